#include "cloud/table/endpoint.h"

static const lm_column columns[] = {
    LM_COLUMN(lm_endpoint, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_endpoint, project_id, LM_COLUMN_ID, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_endpoint, name, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_endpoint, model, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_endpoint, version_id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_endpoint, min_replicas, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_endpoint, max_replicas, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_endpoint, idle_timeout_ms, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_endpoint, deleted, LM_COLUMN_BOOL, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_endpoint, created_ms, LM_COLUMN_I64, 0),
};

const lm_table lm_endpoint_table = LM_TABLE("endpoint", lm_endpoint, columns);

loam_status lm_endpoint_get(lm_db *db, const char *project_id, const char *id, lm_arena *arena,
                            lm_endpoint *out, loam_error *err) {
    return lm_table_find(db, &lm_endpoint_table, "project_id = ? AND deleted = 0 AND id = ?",
                         LM_VALUES(lm_text(project_id), lm_text(id)), arena, out, err);
}

loam_status lm_endpoint_list(lm_db *db, const char *project_id, const lm_page *page,
                             lm_arena *arena, lm_list *out, const char **out_next,
                             loam_error *err) {
    return lm_table_page(db, &lm_endpoint_table, "project_id = ? AND deleted = 0",
                         LM_VALUES(lm_text(project_id)), page, arena, out, out_next, err);
}

loam_status lm_endpoint_by_name(lm_db *db, const char *project_id, const char *name,
                                lm_arena *arena, lm_endpoint *out, loam_error *err) {
    return lm_table_find(db, &lm_endpoint_table, "project_id = ? AND name = ?",
                         LM_VALUES(lm_text(project_id), lm_text(name)), arena, out, err);
}

loam_status lm_endpoint_all(lm_db *db, lm_arena *arena, lm_list *out, loam_error *err) {
    return lm_table_select(db, &lm_endpoint_table, "ORDER BY id", LM_NO_VALUES, arena, out, err);
}
