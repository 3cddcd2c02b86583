#include "cloud/table/replica.h"

static const lm_column columns[] = {
    LM_COLUMN(lm_replica, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_replica, endpoint_id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_replica, project_id, LM_COLUMN_ID, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_replica, version_id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_replica, pool_id, LM_COLUMN_ID, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_replica, model, LM_COLUMN_TEXT, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_replica, state, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_replica, pid, LM_COLUMN_I64, LM_COLUMN_ZERO_NULL),
    LM_COLUMN(lm_replica, port, LM_COLUMN_I64, LM_COLUMN_ZERO_NULL),
    LM_COLUMN(lm_replica, error, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_replica, journal_slot, LM_COLUMN_I64, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_replica, created_ms, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_replica, ready_ms, LM_COLUMN_I64, LM_COLUMN_ZERO_NULL),
    LM_COLUMN(lm_replica, ended_ms, LM_COLUMN_I64, LM_COLUMN_ZERO_NULL),
};

const lm_table lm_replica_table = LM_TABLE("replica", lm_replica, columns);

loam_status lm_replica_of_endpoint(lm_db *db, const char *endpoint_id, const lm_page *page,
                                   lm_arena *arena, lm_list *out, const char **out_next,
                                   loam_error *err) {
    return lm_table_page(db, &lm_replica_table, "endpoint_id = ? AND state <> 'gone'",
                         LM_VALUES(lm_text(endpoint_id)), page, arena, out, out_next, err);
}

loam_status lm_replica_last_failed(lm_db *db, const char *endpoint_id, lm_arena *arena,
                                   lm_replica *out, loam_error *err) {
    return lm_table_find(db, &lm_replica_table,
                         "endpoint_id = ? AND error IS NOT NULL ORDER BY id DESC",
                         LM_VALUES(lm_text(endpoint_id)), arena, out, err);
}

loam_status lm_replica_by_id(lm_db *db, const char *id, lm_arena *arena, lm_replica *out,
                             loam_error *err) {
    return lm_table_find(db, &lm_replica_table, "id = ?", LM_VALUES(lm_text(id)), arena, out, err);
}

loam_status lm_replica_mark_journal(lm_db *db, const char *id, int64_t journal_slot,
                                    loam_error *err) {
    return lm_db_exec(db, "UPDATE replica SET journal_slot = ? WHERE id = ?",
                      LM_VALUES(lm_i64(journal_slot), lm_text(id)), NULL, err);
}

loam_status lm_replica_live(lm_db *db, lm_arena *arena, lm_list *out, loam_error *err) {
    return lm_table_select(db, &lm_replica_table, "WHERE state <> 'gone' ORDER BY id", LM_NO_VALUES,
                           arena, out, err);
}
