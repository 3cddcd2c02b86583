/* Training jobs: what is asked for. Their executions are runs.
 *
 *     queued --a run starts--> running --exit 0, model imported--> succeeded
 *       ^ ^                       |------- cut, or failed with retries left ------> queued, after a pause
 *       | '-- resume -- failed, cancelled <-- failed for good, or cancel_requested */
#ifndef LM_CLOUD_TABLE_JOB_H
#define LM_CLOUD_TABLE_JOB_H

#include "cloud/table/table.h"

typedef struct lm_job {
    char id[LM_ID_BYTES];
    char project_id[LM_ID_BYTES];
    const char *name;
    const char *state;
    const char *recipe;        /* YAML, as given */
    const char *recipe_digest; /* SHA-256 of the recipe */
    char dataset_id[LM_ID_BYTES];
    const char *model_name; /* model that success adds a version to */
    int64_t priority;       /* higher first */
    int64_t max_retries;
    int64_t retries; /* failures so far; cuts do not count */
    bool cancel_requested;
    int64_t not_before_ms;        /* pause after a failure */
    int64_t epoch;                /* number of the newest run; fences older ones */
    int64_t flops;                /* done and booked, since the first step */
    char version_id[LM_ID_BYTES]; /* made by success */
    const char *error;
    int64_t created_ms;
    int64_t started_ms; /* first run */
    int64_t ended_ms;
} lm_job;

extern const lm_table lm_job_table;

loam_status lm_job_get(lm_db *db, const char *project_id, const char *id, lm_arena *arena,
                       lm_job *out, loam_error *err) LM_MUST_USE;
loam_status lm_job_by_id(lm_db *db, const char *id, lm_arena *arena, lm_job *out,
                         loam_error *err) LM_MUST_USE;
loam_status lm_job_list(lm_db *db, const char *project_id, const lm_page *page, lm_arena *arena,
                        lm_list *out, const char **out_next, loam_error *err) LM_MUST_USE;
loam_status lm_job_in_state(lm_db *db, const char *state, lm_arena *arena, lm_list *out,
                            loam_error *err) LM_MUST_USE;

/* Finishes a job in "succeeded", "failed" or "cancelled"; version_id and error may be NULL. */
loam_status lm_job_end(lm_db *db, const char *id, const char *state, const char *version_id,
                       const char *error, int64_t now_ms, loam_error *err) LM_MUST_USE;

/* Do jobs that are queued or running need this dataset? */
loam_status lm_job_needs_dataset(lm_db *db, const char *dataset_id, bool *out,
                                 loam_error *err) LM_MUST_USE;

/* Milliseconds that runs of the project have held compute since a moment: the measure of fair share. */
loam_status lm_job_share_ms(lm_db *db, const char *project_id, int64_t since_ms, int64_t now_ms,
                            int64_t *out, loam_error *err) LM_MUST_USE;

#endif
