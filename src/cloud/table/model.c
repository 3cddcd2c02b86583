#include "cloud/table/model.h"

static const lm_column columns[] = {
    LM_COLUMN(lm_model, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_model, project_id, LM_COLUMN_ID, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_model, name, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_model, latest_version, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_model, created_ms, LM_COLUMN_I64, 0),
};

const lm_table lm_model_table = LM_TABLE("model", lm_model, columns);

loam_status lm_model_get(lm_db *db, const char *project_id, const char *id, lm_arena *arena,
                         lm_model *out, loam_error *err) {
    return lm_table_find(db, &lm_model_table, "project_id = ? AND id = ?",
                         LM_VALUES(lm_text(project_id), lm_text(id)), arena, out, err);
}

loam_status lm_model_by_name(lm_db *db, const char *project_id, const char *name, lm_arena *arena,
                             lm_model *out, loam_error *err) {
    return lm_table_find(db, &lm_model_table, "project_id = ? AND name = ?",
                         LM_VALUES(lm_text(project_id), lm_text(name)), arena, out, err);
}

loam_status lm_model_list(lm_db *db, const char *project_id, const lm_page *page, lm_arena *arena,
                          lm_list *out, const char **out_next, loam_error *err) {
    return lm_table_page(db, &lm_model_table, "project_id = ?", LM_VALUES(lm_text(project_id)),
                         page, arena, out, out_next, err);
}
