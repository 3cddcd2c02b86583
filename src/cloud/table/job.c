#include "cloud/table/job.h"

static const lm_column columns[] = {
    LM_COLUMN(lm_job, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_job, project_id, LM_COLUMN_ID, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_job, name, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_job, state, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_job, recipe, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_job, recipe_digest, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_job, dataset_id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_job, model_name, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_job, priority, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_job, max_retries, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_job, retries, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_job, cancel_requested, LM_COLUMN_BOOL, 0),
    LM_COLUMN(lm_job, not_before_ms, LM_COLUMN_I64, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_job, epoch, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_job, flops, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_job, version_id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_job, error, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_job, created_ms, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_job, started_ms, LM_COLUMN_I64, LM_COLUMN_ZERO_NULL),
    LM_COLUMN(lm_job, ended_ms, LM_COLUMN_I64, LM_COLUMN_ZERO_NULL),
};

const lm_table lm_job_table = LM_TABLE("job", lm_job, columns);

loam_status lm_job_get(lm_db *db, const char *project_id, const char *id, lm_arena *arena,
                       lm_job *out, loam_error *err) {
    return lm_table_find(db, &lm_job_table, "project_id = ? AND id = ?",
                         LM_VALUES(lm_text(project_id), lm_text(id)), arena, out, err);
}

loam_status lm_job_by_id(lm_db *db, const char *id, lm_arena *arena, lm_job *out, loam_error *err) {
    return lm_table_find(db, &lm_job_table, "id = ?", LM_VALUES(lm_text(id)), arena, out, err);
}

loam_status lm_job_list(lm_db *db, const char *project_id, const lm_page *page, lm_arena *arena,
                        lm_list *out, const char **out_next, loam_error *err) {
    return lm_table_page(db, &lm_job_table, "project_id = ?", LM_VALUES(lm_text(project_id)), page,
                         arena, out, out_next, err);
}

loam_status lm_job_in_state(lm_db *db, const char *state, lm_arena *arena, lm_list *out,
                            loam_error *err) {
    return lm_table_select(db, &lm_job_table, "WHERE state = ? ORDER BY priority DESC, id",
                           LM_VALUES(lm_text(state)), arena, out, err);
}

loam_status lm_job_end(lm_db *db, const char *id, const char *state, const char *version_id,
                       const char *error, int64_t now_ms, loam_error *err) {
    return lm_db_exec(
        db, "UPDATE job SET state = ?, version_id = ?, error = ?, ended_ms = ? WHERE id = ?",
        LM_VALUES(lm_text(state), lm_text(version_id), lm_text(error), lm_i64(now_ms), lm_text(id)),
        NULL, err);
}

loam_status lm_job_needs_dataset(lm_db *db, const char *dataset_id, bool *out, loam_error *err) {
    int64_t n;
    LM_TRY(lm_db_number(
        db, "SELECT COUNT(*) FROM job WHERE dataset_id = ? AND state IN ('queued', 'running')",
        LM_VALUES(lm_text(dataset_id)), &n, err));
    *out = n > 0;
    return LOAM_OK;
}

loam_status lm_job_share_ms(lm_db *db, const char *project_id, int64_t since_ms, int64_t now_ms,
                            int64_t *out, loam_error *err) {
    int64_t ended, running;
    LM_TRY(lm_db_number(
        db, "SELECT SUM(ended_ms - started_ms) FROM run WHERE project_id = ? AND ended_ms > ?",
        LM_VALUES(lm_text(project_id), lm_i64(since_ms)), &ended, err));
    LM_TRY(lm_db_number(
        db,
        "SELECT SUM(CAST(? AS BIGINT) - started_ms) FROM run WHERE project_id = ? AND ended_ms = 0",
        LM_VALUES(lm_i64(now_ms), lm_text(project_id)), &running, err));
    *out = ended + running;
    return LOAM_OK;
}
