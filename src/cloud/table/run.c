#include "cloud/table/run.h"

static const lm_column columns[] = {
    LM_COLUMN(lm_run, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_run, job_id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_run, project_id, LM_COLUMN_ID, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_run, pool_id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_run, epoch, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_run, state, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_run, exit_code, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_run, term_signal, LM_COLUMN_I64, LM_COLUMN_ZERO_NULL),
    LM_COLUMN(lm_run, metered_ms, LM_COLUMN_I64, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_run, segments, LM_COLUMN_I64, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_run, started_ms, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_run, ended_ms, LM_COLUMN_I64, LM_COLUMN_ZERO_NULL),
};

const lm_table lm_run_table = LM_TABLE("run", lm_run, columns);

loam_status lm_run_of_job(lm_db *db, const char *job_id, const lm_page *page, lm_arena *arena,
                          lm_list *out, const char **out_next, loam_error *err) {
    return lm_table_page(db, &lm_run_table, "job_id = ?", LM_VALUES(lm_text(job_id)), page, arena,
                         out, out_next, err);
}

loam_status lm_run_by_id(lm_db *db, const char *id, lm_arena *arena, lm_run *out, loam_error *err) {
    return lm_table_find(db, &lm_run_table, "id = ?", LM_VALUES(lm_text(id)), arena, out, err);
}

loam_status lm_run_in_state(lm_db *db, const char *state, lm_arena *arena, lm_list *out,
                            loam_error *err) {
    return lm_table_select(db, &lm_run_table, "WHERE state = ? ORDER BY id",
                           LM_VALUES(lm_text(state)), arena, out, err);
}
