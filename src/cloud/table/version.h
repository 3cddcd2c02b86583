/* Versions of models: immutable folders in the content store, with where they come from. */
#ifndef LM_CLOUD_TABLE_VERSION_H
#define LM_CLOUD_TABLE_VERSION_H

#include "cloud/table/table.h"

typedef struct lm_version {
    char id[LM_ID_BYTES];
    char project_id[LM_ID_BYTES];
    char model_id[LM_ID_BYTES];
    int64_t version;    /* 1, 2, ... within its model */
    const char *state;  /* "importing", "ready" or "failed" */
    const char *source; /* path it is imported from */
    const char *digest; /* of the folder; NULL until ready */
    int64_t size_bytes;
    const char *files;        /* [{path,digest,size_bytes}]; NULL until ready */
    char job_id[LM_ID_BYTES]; /* lineage; empty when imported */
    char dataset_id[LM_ID_BYTES];
    const char *recipe_digest;
    const char *error; /* why it failed */
    int64_t created_ms;
} lm_version;

extern const lm_table lm_version_table;

loam_status lm_version_get(lm_db *db, const char *project_id, const char *id, lm_arena *arena,
                           lm_version *out, loam_error *err) LM_MUST_USE;
loam_status lm_version_of_model(lm_db *db, const char *model_id, const lm_page *page,
                                lm_arena *arena, lm_list *out, const char **out_next,
                                loam_error *err) LM_MUST_USE;

/* The newest version of a model that is ready. */
loam_status lm_version_newest(lm_db *db, const char *model_id, lm_arena *arena, lm_version *out,
                              loam_error *err) LM_MUST_USE;

/* The version that a job's success made. */
loam_status lm_version_by_job(lm_db *db, const char *job_id, lm_arena *arena, lm_version *out,
                              loam_error *err) LM_MUST_USE;

/* All of any project in this state; every state for NULL. */
loam_status lm_version_in_state(lm_db *db, const char *state, lm_arena *arena, lm_list *out,
                                loam_error *err) LM_MUST_USE;

/* Is an endpoint serving it? */
loam_status lm_version_in_use(lm_db *db, const char *id, bool *out, loam_error *err) LM_MUST_USE;

#endif
