/* What the endpoints of models and datasets share: folders in the content store, imported from a path of the server. */
#ifndef LM_CLOUD_API_FILES_H
#define LM_CLOUD_API_FILES_H

#include "cloud/api.h"
#include "cloud/blob_store.h"

extern const char *const lm_import_state_names[];
extern const lm_schema lm_file_schema, lm_import_schema;

/* The fields of what was, or is being, imported. */
#define LM_IMPORTED_FIELDS                                                  \
    {.name = "state",                                                       \
     .type = LM_FIELD_STRING,                                               \
     .required = true,                                                      \
     .choices = lm_import_state_names},                                     \
        {.name = "digest",                                                  \
         .type = LM_FIELD_STRING,                                           \
         .required = true,                                                  \
         .help = "of the folder; empty until ready"},                       \
        {.name = "size_bytes", .type = LM_FIELD_INTEGER, .required = true}, \
        {.name = "files",                                                   \
         .type = LM_FIELD_ARRAY,                                            \
         .required = true,                                                  \
         .max = LM_BLOB_MAX_FILES,                                          \
         .items = LM_FIELD_OBJECT,                                          \
         .schema = &lm_file_schema},                                        \
        {.name = "error",                                                   \
         .type = LM_FIELD_STRING,                                           \
         .required = true,                                                  \
         .nullable = true,                                                  \
         .help = "why importing failed"},                                   \
    {                                                                       \
        .name = "created_ms", .type = LM_FIELD_INTEGER, .required = true    \
    }

/* The body's path, which must be absolute: the server's working folder is nobody's business. */
loam_status lm_import_source(const lm_api_ctx *ctx, const char **out, loam_error *err) LM_MUST_USE;

/* Sets "digest" and "files" of a row's JSON, empty until the import is done. */
void lm_files_json_fill(json_t *object, const char *digest, const char *files);

/* What ends every handler that has queued an import: the event on the subject, the answer (takes `object`; NULL: there was no
 * memory for it), and after the commit the import itself. */
loam_status lm_import_reply(lm_api_ctx *ctx, const char *event, const char *subject_id,
                            json_t *object, loam_error *err) LM_MUST_USE;

#endif
