#include "cloud/table/member.h"

static const lm_column columns[] = {
    LM_COLUMN(lm_member, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_member, project_id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_member, name, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_member, role, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_member, created_ms, LM_COLUMN_I64, 0),
};
const lm_table lm_member_table = LM_TABLE("member", lm_member, columns);

loam_status lm_member_find(lm_db *db, const char *project_id, const char *id, lm_arena *arena,
                           lm_member *out, loam_error *err) {
    return lm_table_find(db, &lm_member_table, "project_id = ? AND id = ?",
                         LM_VALUES(lm_text(project_id), lm_text(id)), arena, out, err);
}

loam_status lm_member_page(lm_db *db, const char *project_id, const lm_page *page, lm_arena *arena,
                           lm_list *out, const char **out_next, loam_error *err) {
    return lm_table_page(db, &lm_member_table, "project_id = ?", LM_VALUES(lm_text(project_id)),
                         page, arena, out, out_next, err);
}
