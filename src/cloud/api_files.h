/* What the endpoints of models and datasets share: folders in the content store, imported from a path of the server. */
#ifndef LM_CLOUD_API_FILES_H
#define LM_CLOUD_API_FILES_H

#include "cloud/api.h"
#include "cloud/blob_store.h"

extern const char *const lm_import_state_names[];
extern const lm_schema lm_file_schema, lm_import_schema;

/* The body's path, which must be absolute: the server's working folder is nobody's business. */
loam_status lm_import_source(const lm_api_ctx *ctx, const char **out, loam_error *err) LM_MUST_USE;

/* Sets "digest" and "files" of a row's JSON, empty until the import is done. */
void lm_files_json_fill(json_t *object, const char *digest, const char *files);

/* For lm_api_after_commit: there is something to import. */
void lm_import_wake(lm_cloud *cloud, void *arg);

#endif
