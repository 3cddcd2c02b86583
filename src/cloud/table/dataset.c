#include "cloud/table/dataset.h"

static const lm_column columns[] = {
    LM_COLUMN(lm_dataset, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_dataset, project_id, LM_COLUMN_ID, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_dataset, name, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_dataset, state, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_dataset, source, LM_COLUMN_TEXT, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_dataset, digest, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_dataset, size_bytes, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_dataset, files, LM_COLUMN_JSON, 0),
    LM_COLUMN(lm_dataset, error, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_dataset, created_ms, LM_COLUMN_I64, 0),
};

const lm_table lm_dataset_table = LM_TABLE("dataset", lm_dataset, columns);

loam_status lm_dataset_get(lm_db *db, const char *project_id, const char *id, lm_arena *arena,
                           lm_dataset *out, loam_error *err) {
    return lm_table_find(db, &lm_dataset_table, "project_id = ? AND id = ?",
                         LM_VALUES(lm_text(project_id), lm_text(id)), arena, out, err);
}

loam_status lm_dataset_list(lm_db *db, const char *project_id, const lm_page *page, lm_arena *arena,
                            lm_list *out, const char **out_next, loam_error *err) {
    return lm_table_page(db, &lm_dataset_table, "project_id = ?", LM_VALUES(lm_text(project_id)),
                         page, arena, out, out_next, err);
}

loam_status lm_dataset_in_state(lm_db *db, const char *state, lm_arena *arena, lm_list *out,
                                loam_error *err) {
    if (!state)
        return lm_table_select(db, &lm_dataset_table, "ORDER BY id", LM_NO_VALUES, arena, out, err);
    return lm_table_select(db, &lm_dataset_table, "WHERE state = ? ORDER BY id",
                           LM_VALUES(lm_text(state)), arena, out, err);
}
