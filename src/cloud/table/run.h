/* Runs: executions of a job's trainer, fenced by their epoch.
 * States: running, succeeded, failed, stopped (at a checkpoint), lost (killed or gone), cancelled. */
#ifndef LM_CLOUD_TABLE_RUN_H
#define LM_CLOUD_TABLE_RUN_H

#include "cloud/table/table.h"

typedef struct lm_run {
    char id[LM_ID_BYTES];
    char job_id[LM_ID_BYTES];
    char project_id[LM_ID_BYTES];
    char pool_id[LM_ID_BYTES];
    int64_t epoch; /* 1, 2, ... within its job */
    const char *state;
    int64_t exit_code;
    int64_t term_signal; /* signal that ended it */
    int64_t metered_ms;  /* the lease is booked up to here */
    int64_t segments;    /* booked so far */
    int64_t started_ms;
    int64_t ended_ms;
} lm_run;

extern const lm_table lm_run_table;

loam_status lm_run_of_job(lm_db *db, const char *job_id, const lm_page *page, lm_arena *arena,
                          lm_list *out, const char **out_next, loam_error *err) LM_MUST_USE;
loam_status lm_run_by_id(lm_db *db, const char *id, lm_arena *arena, lm_run *out,
                         loam_error *err) LM_MUST_USE;
loam_status lm_run_in_state(lm_db *db, const char *state, lm_arena *arena, lm_list *out,
                            loam_error *err) LM_MUST_USE;

#endif
