#include "cloud/table/version.h"

static const lm_column columns[] = {
    LM_COLUMN(lm_version, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_version, project_id, LM_COLUMN_ID, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_version, model_id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_version, version, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_version, state, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_version, source, LM_COLUMN_TEXT, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_version, digest, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_version, size_bytes, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_version, files, LM_COLUMN_JSON, 0),
    LM_COLUMN(lm_version, job_id, LM_COLUMN_ID, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_version, dataset_id, LM_COLUMN_ID, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_version, recipe_digest, LM_COLUMN_TEXT, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_version, error, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_version, created_ms, LM_COLUMN_I64, 0),
};

const lm_table lm_version_table = LM_TABLE("model_version", lm_version, columns);

loam_status lm_version_get(lm_db *db, const char *project_id, const char *id, lm_arena *arena,
                           lm_version *out, loam_error *err) {
    return lm_table_find(db, &lm_version_table, "project_id = ? AND id = ?",
                         LM_VALUES(lm_text(project_id), lm_text(id)), arena, out, err);
}

loam_status lm_version_of_model(lm_db *db, const char *model_id, const lm_page *page,
                                lm_arena *arena, lm_list *out, const char **out_next,
                                loam_error *err) {
    return lm_table_page(db, &lm_version_table, "model_id = ?", LM_VALUES(lm_text(model_id)), page,
                         arena, out, out_next, err);
}

loam_status lm_version_newest(lm_db *db, const char *model_id, lm_arena *arena, lm_version *out,
                              loam_error *err) {
    lm_list list;
    LM_TRY(lm_table_select(db, &lm_version_table,
                           "WHERE model_id = ? AND state = 'ready' ORDER BY version DESC LIMIT 1",
                           LM_VALUES(lm_text(model_id)), arena, &list, err));
    if (list.len == 0) return lm_error_set(err, LOAM_NOT_FOUND, "no version of the model is ready");
    *out = *(const lm_version *)lm_list_at(&list, 0);
    return LOAM_OK;
}

loam_status lm_version_by_job(lm_db *db, const char *job_id, lm_arena *arena, lm_version *out,
                              loam_error *err) {
    return lm_table_find(db, &lm_version_table, "job_id = ?", LM_VALUES(lm_text(job_id)), arena,
                         out, err);
}

loam_status lm_version_in_state(lm_db *db, const char *state, lm_arena *arena, lm_list *out,
                                loam_error *err) {
    if (!state)
        return lm_table_select(db, &lm_version_table, "ORDER BY id", LM_NO_VALUES, arena, out, err);
    return lm_table_select(db, &lm_version_table, "WHERE state = ? ORDER BY id",
                           LM_VALUES(lm_text(state)), arena, out, err);
}

loam_status lm_version_in_use(lm_db *db, const char *id, bool *out, loam_error *err) {
    int64_t n;
    LM_TRY(lm_db_number(db, "SELECT COUNT(*) FROM endpoint WHERE version_id = ?",
                        LM_VALUES(lm_text(id)), &n, err));
    *out = n > 0;
    return LOAM_OK;
}
