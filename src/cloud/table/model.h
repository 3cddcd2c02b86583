/* Models: a name in a project, under which versions stand. */
#ifndef LM_CLOUD_TABLE_MODEL_H
#define LM_CLOUD_TABLE_MODEL_H

#include "cloud/table/table.h"

typedef struct lm_model {
    char id[LM_ID_BYTES];
    char project_id[LM_ID_BYTES];
    const char *name;
    int64_t latest_version; /* number of the newest version; 0: none yet */
    int64_t created_ms;
} lm_model;

extern const lm_table lm_model_table;

loam_status lm_model_get(lm_db *db, const char *project_id, const char *id, lm_arena *arena,
                         lm_model *out, loam_error *err) LM_MUST_USE;
loam_status lm_model_by_name(lm_db *db, const char *project_id, const char *name, lm_arena *arena,
                             lm_model *out, loam_error *err) LM_MUST_USE;
loam_status lm_model_list(lm_db *db, const char *project_id, const lm_page *page, lm_arena *arena,
                          lm_list *out, const char **out_next, loam_error *err) LM_MUST_USE;

#endif
