#include "cloud/table/overview.h"

#include "cloud/table/table.h"

loam_status lm_overview_read(lm_db *db, const char *project_id, lm_overview *out, loam_error *err) {
    static const char jobs_sql[] = "SELECT COUNT(*) FROM job WHERE project_id = ? AND state = ?";
    lm_value project = lm_text(project_id);
    lm_overview overview;
    LM_TRY(lm_db_number(db, jobs_sql, LM_VALUES(project, lm_text("running")),
                        &overview.running_jobs, err));
    LM_TRY(lm_db_number(db, jobs_sql, LM_VALUES(project, lm_text("queued")), &overview.queued_jobs,
                        err));
    LM_TRY(lm_db_number(db, "SELECT COUNT(*) FROM endpoint WHERE project_id = ? AND deleted = 0",
                        LM_VALUES(project), &overview.endpoints, err));
    *out = overview;
    return LOAM_OK;
}

loam_status lm_overview_tokens(lm_db *db, const char *project_id, int64_t until_ms, int64_t *out,
                               int n, loam_error *err) {
    enum { MINUTE_MS = 60000, LONGEST_REQUEST_MS = 3600000 };
    int64_t end_minute = until_ms / MINUTE_MS, first_minute = end_minute - n;
    for (int i = 0; i < n; i++) out[i] = 0;
    lm_rows rows;
    LM_TRY(lm_db_query(
        db,
        "SELECT end_ms / 60000, SUM(prompt_tokens + completion_tokens) FROM usage_record"
        " WHERE project_id = ? AND start_ms >= ? AND end_ms >= ? AND end_ms < ? GROUP BY 1",
        LM_VALUES(lm_text(project_id), lm_i64(first_minute * MINUTE_MS - LONGEST_REQUEST_MS),
                  lm_i64(first_minute * MINUTE_MS), lm_i64(end_minute * MINUTE_MS)),
        &rows, err));
    while (lm_rows_next(&rows)) out[lm_row_i64(&rows, 0) - first_minute] = lm_row_i64(&rows, 1);
    return lm_rows_end(&rows, err);
}
