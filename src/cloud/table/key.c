#include "cloud/table/key.h"

static const lm_column columns[] = {
    LM_COLUMN(lm_key, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_key, project_id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_key, member_id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_key, name, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_key, secret_hash, LM_COLUMN_TEXT, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_key, role, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_key, scopes, LM_COLUMN_I64, LM_COLUMN_HIDDEN),
    LM_COLUMN(lm_key, created_ms, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_key, expires_ms, LM_COLUMN_I64, LM_COLUMN_ZERO_NULL),
    LM_COLUMN(lm_key, revoked_ms, LM_COLUMN_I64, LM_COLUMN_ZERO_NULL),
    LM_COLUMN(lm_key, token_budget, LM_COLUMN_I64, LM_COLUMN_ZERO_NULL),
    LM_COLUMN(lm_key, money_budget_micros, LM_COLUMN_I64, LM_COLUMN_ZERO_NULL),
    LM_COLUMN(lm_key, requests_per_minute, LM_COLUMN_I64, LM_COLUMN_ZERO_NULL),
};
const lm_table lm_key_table = LM_TABLE("api_key", lm_key, columns);

loam_status lm_key_find(lm_db *db, const char *project_id, const char *id, lm_arena *arena,
                        lm_key *out, loam_error *err) {
    return lm_table_find(db, &lm_key_table, "project_id = ? AND id = ?",
                         LM_VALUES(lm_text(project_id), lm_text(id)), arena, out, err);
}

loam_status lm_key_read(lm_db *db, const char *id, lm_arena *arena, lm_key *out, loam_error *err) {
    return lm_table_find(db, &lm_key_table, "id = ?", LM_VALUES(lm_text(id)), arena, out, err);
}

loam_status lm_key_page(lm_db *db, const char *project_id, const lm_page *page, lm_arena *arena,
                        lm_list *out, const char **out_next, loam_error *err) {
    return lm_table_page(db, &lm_key_table, "project_id = ?", LM_VALUES(lm_text(project_id)), page,
                         arena, out, out_next, err);
}

/* Role of the key's member and state of its project. */
static loam_status read_surroundings(lm_db *db, lm_key_standing *standing, lm_arena *arena,
                                     loam_error *err) {
    lm_rows rows;
    LM_TRY(lm_db_query(db,
                       "SELECT project.archived, member.role FROM api_key"
                       " JOIN project ON project.id = api_key.project_id"
                       " LEFT JOIN member ON member.id = api_key.member_id WHERE api_key.id = ?",
                       LM_VALUES(lm_text(standing->key.id)), &rows, err));
    if (lm_rows_next(&rows)) {
        standing->project_archived = lm_row_i64(&rows, 0) != 0;
        if (!lm_row_is_null(&rows, 1)) {
            lm_str role = lm_row_text(&rows, 1);
            standing->member_role = lm_arena_strndup(arena, role.ptr, role.len);
        }
    }
    return lm_rows_end(&rows, err);
}

static loam_status read_spent(lm_db *db, lm_key_standing *standing, loam_error *err) {
    lm_rows rows;
    LM_TRY(lm_db_query(db,
                       "SELECT SUM(prompt_tokens + completion_tokens), SUM(amount_micros) FROM "
                       "usage_record WHERE key_id = ?",
                       LM_VALUES(lm_text(standing->key.id)), &rows, err));
    if (lm_rows_next(&rows)) {
        standing->tokens_used = lm_row_i64(&rows, 0);
        standing->micros_used = lm_row_i64(&rows, 1);
    }
    return lm_rows_end(&rows, err);
}

loam_status lm_key_standings_read(lm_db *db, const char *key_id, lm_arena *arena,
                                  lm_key_standings *out, loam_error *err) {
    lm_list keys;
    if (key_id) {
        LM_TRY(lm_table_select(db, &lm_key_table, "WHERE id = ?", LM_VALUES(lm_text(key_id)), arena,
                               &keys, err));
    } else {
        LM_TRY(lm_table_select(db, &lm_key_table, "ORDER BY id", LM_NO_VALUES, arena, &keys, err));
    }
    lm_key_standing *standings = lm_arena_calloc(arena, keys.len + 1, sizeof *standings);
    if (!standings) return lm_error_no_memory(err, keys.len * sizeof *standings);
    for (size_t i = 0; i < keys.len; i++) {
        standings[i].key = *(lm_key *)lm_list_at(&keys, i);
        LM_TRY(read_surroundings(db, &standings[i], arena, err));
        LM_TRY(read_spent(db, &standings[i], err));
    }
    *out = (lm_key_standings){standings, keys.len};
    return LOAM_OK;
}

loam_status lm_key_revoke_of_member(lm_db *db, const char *member_id, int64_t now_ms,
                                    loam_error *err) {
    return lm_db_exec(db,
                      "UPDATE api_key SET revoked_ms = CASE WHEN revoked_ms = 0 THEN CAST(? AS "
                      "BIGINT) ELSE revoked_ms END,"
                      " member_id = NULL WHERE member_id = ?",
                      LM_VALUES(lm_i64(now_ms), lm_text(member_id)), NULL, err);
}
