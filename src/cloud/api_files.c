#include "cloud/api_files.h"

#include "cloud/cloud.h"
#include "cloud/registry.h"

const char *const lm_import_state_names[] = {"importing", "ready", "failed", NULL};

static const lm_field file_fields[] = {
    {.name = "path", .type = LM_FIELD_STRING, .required = true},
    {.name = "digest", .type = LM_FIELD_STRING, .required = true, .help = "SHA-256"},
    {.name = "size_bytes", .type = LM_FIELD_INTEGER, .required = true},
};
const lm_schema lm_file_schema = LM_SCHEMA("File", file_fields);

static const lm_field import_fields[] = {
    {.name = "name", .type = LM_FIELD_STRING, .required = true, .min = 1, .max = 64},
    {.name = "path",
     .type = LM_FIELD_STRING,
     .required = true,
     .min = 1,
     .max = 1000,
     .help = "absolute path of a file or folder on the server"},
};
const lm_schema lm_import_schema = LM_SCHEMA("Import", import_fields);

loam_status lm_import_source(const lm_api_ctx *ctx, const char **out, loam_error *err) {
    const char *path = lm_api_str(ctx->body, "path", "");
    if (path[0] != '/')
        return lm_error_set(err, LOAM_INVALID, "body.path: '%s' is not an absolute path", path);
    *out = path;
    return LOAM_OK;
}

void lm_files_json_fill(json_t *object, const char *digest, const char *files) {
    if (!digest) json_object_set_new(object, "digest", json_string(""));
    if (!files) json_object_set_new(object, "files", json_array());
}

static void wake_registry(lm_cloud *cloud, void *arg) {
    lm_registry_wake(cloud->registry);
}

loam_status lm_import_reply(lm_api_ctx *ctx, const char *event, const char *subject_id,
                            json_t *object, loam_error *err) {
    loam_status status = lm_api_event(ctx, event, subject_id, NULL, object, err);
    lm_api_after_commit(ctx, wake_registry, NULL);
    if (status == LOAM_OK) return lm_api_reply(ctx, object, err);
    json_decref(object);
    return status;
}
