/* The part of the database interface that is the same for every driver. */
#include "cloud/db.h"

#include "base/log.h"
#include "cloud/db_backend.h"

loam_status lm_db_open(const char *url, lm_db **out, loam_error *err) {
    lm_str text = lm_str_of(url);
    bool is_postgres =
        lm_str_starts(text, LM_STR("postgresql://")) || lm_str_starts(text, LM_STR("postgres://"));
    if (!is_postgres && strstr(url, "://")) {
        lm_error_set(err, LOAM_INVALID, "database '%s': unknown kind", url);
        return lm_error_hint(err, LOAM_INVALID, "give a file's path or a postgresql:// address");
    }
    const lm_db_driver *driver = is_postgres ? &lm_db_postgres : &lm_db_sqlite;
    return driver->open(url, out, err);
}

void lm_db_close(lm_db *db) {
    if (db) db->driver->close(db);
}

loam_status lm_db_claim(lm_db *db, loam_error *err) {
    return db->driver->claim ? db->driver->claim(db, err) : LOAM_OK;
}

const char *lm_db_kind(const lm_db *db) {
    return db->driver->kind;
}

loam_status lm_db_query(lm_db *db, const char *sql, lm_values values, lm_rows *out,
                        loam_error *err) {
    *out = (lm_rows){.db = db};
    return db->driver->query(db, sql, values, out, err);
}

bool lm_rows_next(lm_rows *rows) {
    return rows->status == LOAM_OK && rows->db->driver->next(rows);
}

loam_status lm_rows_end(lm_rows *rows, loam_error *err) {
    if (rows->state) rows->db->driver->end(rows);
    rows->state = NULL;
    if (rows->status != LOAM_OK && err) *err = rows->error;
    return rows->status;
}

bool lm_row_is_null(const lm_rows *rows, int column) {
    return rows->db->driver->is_null(rows, column);
}

int64_t lm_row_i64(const lm_rows *rows, int column) {
    return rows->db->driver->i64(rows, column);
}

lm_str lm_row_text(const lm_rows *rows, int column) {
    return rows->db->driver->text(rows, column);
}

loam_status lm_db_exec(lm_db *db, const char *sql, lm_values values, int64_t *out_changed,
                       loam_error *err) {
    lm_rows rows;
    LM_TRY(lm_db_query(db, sql, values, &rows, err));
    while (lm_rows_next(&rows)) {
    }
    int64_t changed = rows.status == LOAM_OK ? db->driver->n_changed(&rows) : 0;
    LM_TRY(lm_rows_end(&rows, err));
    if (out_changed) *out_changed = changed;
    return LOAM_OK;
}

loam_status lm_db_exec_script(lm_db *db, const char *sql, loam_error *err) {
    return db->driver->script(db, sql, err);
}

bool lm_db_in_transaction(const lm_db *db) {
    return db->driver->in_transaction(db);
}

loam_status lm_db_begin(lm_db *db, loam_error *err) {
    return db->driver->begin(db, err);
}

loam_status lm_db_commit(lm_db *db, loam_error *err) {
    loam_status status = lm_db_exec(db, "COMMIT", LM_NO_VALUES, NULL, err);
    if (status != LOAM_OK) lm_db_rollback(db);
    return status;
}

/* Undoing cannot be refused: when even that fails the connection is broken, and the next begin finds out. */
static void undo(lm_db *db, const char *sql) {
    loam_error err = {0};
    if (!lm_db_in_transaction(db)) return;
    if (lm_db_exec(db, sql, LM_NO_VALUES, NULL, &err) != LOAM_OK)
        lm_log_error(LM_LOG_WARN, "store", &err);
}

void lm_db_rollback(lm_db *db) {
    undo(db, "ROLLBACK");
}

loam_status lm_db_savepoint(lm_db *db, loam_error *err) {
    return lm_db_exec(db, "SAVEPOINT step", LM_NO_VALUES, NULL, err);
}

loam_status lm_db_release(lm_db *db, loam_error *err) {
    return lm_db_exec(db, "RELEASE SAVEPOINT step", LM_NO_VALUES, NULL, err);
}

void lm_db_rollback_to(lm_db *db) {
    undo(db, "ROLLBACK TO SAVEPOINT step");
    undo(db, "RELEASE SAVEPOINT step");
}
