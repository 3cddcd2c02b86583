/* Datasets: named folders of files in the content store. */
#ifndef LM_CLOUD_TABLE_DATASET_H
#define LM_CLOUD_TABLE_DATASET_H

#include "cloud/table/table.h"

typedef struct lm_dataset {
    char id[LM_ID_BYTES];
    char project_id[LM_ID_BYTES];
    const char *name;
    const char *state;  /* "importing", "ready" or "failed" */
    const char *source; /* path it is imported from */
    const char *digest; /* of the folder; NULL until ready */
    int64_t size_bytes;
    const char *files; /* [{path,digest,size_bytes}]; NULL until ready */
    const char *error; /* why it failed */
    int64_t created_ms;
} lm_dataset;

extern const lm_table lm_dataset_table;

loam_status lm_dataset_get(lm_db *db, const char *project_id, const char *id, lm_arena *arena,
                           lm_dataset *out, loam_error *err) LM_MUST_USE;
loam_status lm_dataset_list(lm_db *db, const char *project_id, const lm_page *page, lm_arena *arena,
                            lm_list *out, const char **out_next, loam_error *err) LM_MUST_USE;

/* All of any project in this state; every state for NULL. */
loam_status lm_dataset_in_state(lm_db *db, const char *state, lm_arena *arena, lm_list *out,
                                loam_error *err) LM_MUST_USE;

#endif
