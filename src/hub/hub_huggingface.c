/* Hugging Face's protocol, as its Python client speaks it (huggingface_hub 1.x, hf_api.py: model_info with
 * files_metadata, RepoSibling; file_download.py: hf_hub_url):
 *
 *     GET /api/models/{repo}/revision/{revision}?blobs=true
 *         {"sha": commit, "siblings": [{"rfilename", "size", "blobId", "lfs": {"sha256", "size", "pointerSize"}}]}
 *     GET /{repo}/resolve/{revision}/{path}      the file, or a redirect to where it is kept
 */
#include "base/json.h"
#include "hub/hub_kinds.h"

void lm_hub_huggingface_list_url(lm_buf *out, const char *endpoint, const char *repo,
                                 const char *revision) {
    lm_hub_put_endpoint(out, endpoint);
    lm_buf_printf(out, "/api/models/%s/revision/", repo);
    lm_buf_put_percent(out, revision, "");
    lm_buf_puts(out, "?blobs=true");
}

void lm_hub_huggingface_file_url(lm_buf *out, const char *endpoint, const char *repo,
                                 const char *revision, const char *path) {
    lm_hub_put_endpoint(out, endpoint);
    lm_buf_printf(out, "/%s/resolve/", repo);
    lm_buf_put_percent(out, revision, "");
    lm_buf_putc(out, '/');
    lm_buf_put_percent(out, path, "/");
}

static LM_MUST_USE loam_status read_sibling(const json_t *sibling, const char *where,
                                            lm_hub_listing *out, loam_error *err) {
    lm_str path, oid, sha256 = LM_STR("");
    int64_t size;
    LM_TRY(lm_json_str(sibling, where, "rfilename", &path, err));
    LM_TRY(lm_json_i64(sibling, where, "size", &size, err));
    LM_TRY(lm_json_str_or(sibling, where, "blobId", LM_STR(""), &oid, err));
    const json_t *lfs = json_object_get(sibling, "lfs");
    if (json_is_object(lfs)) {
        LM_TRY(lm_json_str_or(lfs, where, "sha256", LM_STR(""), &sha256, err));
        oid = LM_STR(""); /* of the pointer, not of the file */
    }
    return lm_hub_listing_add(out, where, path, size, sha256, oid, err);
}

loam_status lm_hub_huggingface_read_list(const json_t *document, const char *where,
                                         lm_hub_listing *out, loam_error *err) {
    lm_str commit;
    LM_TRY(lm_json_str_or(document, where, "sha", LM_STR(""), &commit, err));
    LM_TRY(lm_hub_listing_set_commit(out, where, commit, err));
    const json_t *siblings = json_object_get(document, "siblings"), *sibling;
    size_t i;
    if (!json_is_array(siblings))
        return lm_error_set(err, LOAM_INVALID, "%s: 'siblings' is no array", where);
    json_array_foreach(siblings, i, sibling) LM_TRY(read_sibling(sibling, where, out, err));
    return LOAM_OK;
}
