/* ModelScope's protocol, as its Python client speaks it (modelscope hub/api.py: get_model_files; hub/file_download.py:
 * get_file_download_url, FILE_HASH):
 *
 *     GET /api/v1/models/{repo}/repo/files?Revision={revision}&Recursive=true
 *         {"Code": 200, "Message": ..., "Data": {"Files": [{"Path", "Type": "blob" | "tree", "Size", "Sha256"}]}}
 *     GET /api/v1/models/{repo}/repo?Revision={revision}&FilePath={path}
 */
#include "base/json.h"
#include "hub/hub_kinds.h"

enum { CODE_OK = 200 };

void lm_hub_modelscope_list_url(lm_buf *out, const char *endpoint, const char *repo,
                                const char *revision) {
    lm_hub_put_endpoint(out, endpoint);
    lm_buf_printf(out, "/api/v1/models/%s/repo/files?Revision=", repo);
    lm_buf_put_percent(out, revision, "");
    lm_buf_puts(out, "&Recursive=true");
}

void lm_hub_modelscope_file_url(lm_buf *out, const char *endpoint, const char *repo,
                                const char *revision, const char *path) {
    lm_hub_put_endpoint(out, endpoint);
    lm_buf_printf(out, "/api/v1/models/%s/repo?Revision=", repo);
    lm_buf_put_percent(out, revision, "");
    lm_buf_puts(out, "&FilePath=");
    lm_buf_put_percent(out, path, "");
}

static LM_MUST_USE loam_status read_file(const json_t *file, const char *where, lm_hub_listing *out,
                                         loam_error *err) {
    lm_str path, type, sha256;
    int64_t size;
    LM_TRY(lm_json_str_or(file, where, "Type", LM_STR("blob"), &type, err));
    if (lm_str_is(type, "tree")) return LOAM_OK;
    LM_TRY(lm_json_str(file, where, "Path", &path, err));
    LM_TRY(lm_json_i64(file, where, "Size", &size, err));
    LM_TRY(lm_json_str_or(file, where, "Sha256", LM_STR(""), &sha256, err));
    return lm_hub_listing_add(out, where, path, size, sha256, LM_STR(""), err);
}

loam_status lm_hub_modelscope_read_list(const json_t *document, const char *where,
                                        lm_hub_listing *out, loam_error *err) {
    int64_t code;
    lm_str message;
    LM_TRY(lm_json_i64_or(document, where, "Code", CODE_OK, &code, err));
    LM_TRY(lm_json_str_or(document, where, "Message", LM_STR(""), &message, err));
    if (code != CODE_OK)
        return lm_error_set(err, LOAM_NOT_FOUND, "%s: %.*s (code %lld)", where,
                            (int)(message.len < 200 ? message.len : 200), message.ptr,
                            (long long)code);
    const json_t *files = json_object_get(json_object_get(document, "Data"), "Files"), *file;
    size_t i;
    if (!json_is_array(files))
        return lm_error_set(err, LOAM_INVALID, "%s: 'Data.Files' is no array", where);
    json_array_foreach(files, i, file) LM_TRY(read_file(file, where, out, err));
    return LOAM_OK;
}
