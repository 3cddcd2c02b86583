#include "cloud/table/project.h"

static const lm_column columns[] = {
    LM_COLUMN(lm_project, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_project, name, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_project, is_operator, LM_COLUMN_BOOL, 0),
    LM_COLUMN(lm_project, archived, LM_COLUMN_BOOL, 0),
    LM_COLUMN(lm_project, created_ms, LM_COLUMN_I64, 0),
};
const lm_table lm_project_table = LM_TABLE("project", lm_project, columns);

loam_status lm_project_find(lm_db *db, const char *id, lm_arena *arena, lm_project *out,
                            loam_error *err) {
    return lm_table_find(db, &lm_project_table, "id = ?", LM_VALUES(lm_text(id)), arena, out, err);
}

loam_status lm_project_page(lm_db *db, const lm_page *page, lm_arena *arena, lm_list *out,
                            const char **out_next, loam_error *err) {
    return lm_table_page(db, &lm_project_table, "id <> ''", LM_NO_VALUES, page, arena, out,
                         out_next, err);
}

loam_status lm_project_count(lm_db *db, int64_t *out, loam_error *err) {
    return lm_db_number(db, "SELECT COUNT(*) FROM project", LM_NO_VALUES, out, err);
}
