/* SQLite driver: write-ahead log, a commit is on the disk before it is acknowledged (synchronous FULL), foreign keys held. */
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/mem.h"
#include "cloud/db_backend.h"

typedef struct sqlite_db {
    lm_db base;
    sqlite3 *handle;
} sqlite_db;

static sqlite_db *of(const lm_db *db) {
    return (sqlite_db *)db;
}

static loam_status status_of(int code) {
    switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_FOREIGNKEY: return LOAM_CONFLICT;
    }
    switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM: return LOAM_IO;
    case SQLITE_NOMEM: return LOAM_NO_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return LOAM_UNAVAILABLE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return LOAM_CORRUPT;
    default: return LOAM_INTERNAL;
    }
}

static loam_status failed(const lm_db *db, loam_error *err) {
    int code = sqlite3_extended_errcode(of(db)->handle);
    loam_status status = status_of(code);
    lm_error_set(err, status, "database: %s", sqlite3_errmsg(of(db)->handle));
    if ((code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_IOERR)
        lm_error_hint(err, status, "free some disk space and try again");
    if ((code & 0xff) == SQLITE_BUSY)
        lm_error_hint(err, status, "another program holds the database's lock");
    return status;
}

static void sqlite_close(lm_db *db) {
    size_t cursor = 0;
    lm_str sql;
    uint64_t statement;
    while (db->statements && lm_map_next(db->statements, &cursor, &sql, &statement))
        sqlite3_finalize((sqlite3_stmt *)(uintptr_t)statement);
    lm_map_free(db->statements);
    sqlite3_close(of(db)->handle);
    lm_free(db);
}

static loam_status sqlite_script(lm_db *db, const char *sql, loam_error *err) {
    return sqlite3_exec(of(db)->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? LOAM_OK
                                                                            : failed(db, err);
}

/* Makes a new file that nobody else can read; SQLite gives those beside it the same rights. One that is there is not touched:
 * closing it would drop the locks of other connections. What goes wrong, opening tells. */
static void make_private(const char *path) {
    int fd = strcmp(path, ":memory:") == 0
                 ? -1
                 : open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) close(fd);
}

static loam_status sqlite_open(const char *url, lm_db **out, loam_error *err) {
    sqlite_db *db = lm_calloc(1, sizeof *db);
    if (!db) return lm_error_no_memory(err, sizeof *db);
    db->base.driver = &lm_db_sqlite;
    db->base.statements = lm_map_new();
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    loam_status status = LOAM_OK;
    if (!db->base.statements) {
        status = lm_error_no_memory(err, 0);
    } else {
        make_private(url);
    }
    if (status == LOAM_OK && sqlite3_open_v2(url, &db->handle, flags, NULL) != SQLITE_OK)
        status = failed(&db->base, err);
    if (status == LOAM_OK)
        status = sqlite_script(
            &db->base,
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
            "PRAGMA busy_timeout = 5000; PRAGMA cache_size = -4096;",
            err);
    if (status != LOAM_OK) {
        sqlite_close(&db->base);
        return lm_error_prefix(err, status, "%s", url);
    }
    *out = &db->base;
    return LOAM_OK;
}

/* The kept statement of this text, or a fresh one when that is in use further up (a nested query of the same text). */
static loam_status prepare(lm_db *db, const char *sql, lm_rows *rows, loam_error *err) {
    uint64_t kept;
    bool known = lm_map_get(db->statements, lm_str_of(sql), &kept);
    if (known && !sqlite3_stmt_busy((sqlite3_stmt *)(uintptr_t)kept)) {
        rows->state = (sqlite3_stmt *)(uintptr_t)kept;
        rows->cached = true;
        return LOAM_OK;
    }
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v3(of(db)->handle, sql, -1, known ? 0 : SQLITE_PREPARE_PERSISTENT,
                           &statement, NULL) != SQLITE_OK)
        return failed(db, err);
    rows->state = statement;
    rows->cached = !known && lm_map_set(db->statements, lm_str_of(sql), (uintptr_t)statement);
    return LOAM_OK;
}

static int bind(sqlite3_stmt *statement, int index, const lm_value *value) {
    switch (value->type) {
    case LM_VALUE_I64: return sqlite3_bind_int64(statement, index, value->i64);
    case LM_VALUE_TEXT:
        return sqlite3_bind_text64(statement, index, value->text.ptr ? value->text.ptr : "",
                                   value->text.len, SQLITE_STATIC, SQLITE_UTF8);
    default: return sqlite3_bind_null(statement, index);
    }
}

static void sqlite_end(lm_rows *rows) {
    if (!rows->cached) {
        sqlite3_finalize(rows->state);
        return;
    }
    sqlite3_reset(rows->state);
    sqlite3_clear_bindings(rows->state);
}

static loam_status sqlite_query(lm_db *db, const char *sql, lm_values values, lm_rows *out,
                                loam_error *err) {
    LM_TRY(prepare(db, sql, out, err));
    LM_ASSERT(sqlite3_bind_parameter_count(out->state) == (int)values.len);
    for (size_t i = 0; i < values.len; i++) {
        if (bind(out->state, (int)i + 1, &values.ptr[i]) == SQLITE_OK) continue;
        loam_status status = failed(db, err);
        sqlite_end(out);
        return status;
    }
    return LOAM_OK;
}

static bool sqlite_next(lm_rows *rows) {
    int code = sqlite3_step(rows->state);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) rows->status = failed(rows->db, &rows->error);
    return false;
}

static int64_t sqlite_n_changed(const lm_rows *rows) {
    return sqlite3_changes64(of(rows->db)->handle);
}

static bool sqlite_is_null(const lm_rows *rows, int column) {
    return sqlite3_column_type(rows->state, column) == SQLITE_NULL;
}

static int64_t sqlite_i64(const lm_rows *rows, int column) {
    return sqlite3_column_int64(rows->state, column);
}

static lm_str sqlite_text(const lm_rows *rows, int column) {
    const char *bytes = (const char *)sqlite3_column_text(rows->state, column);
    return (lm_str){bytes ? bytes : "", (size_t)sqlite3_column_bytes(rows->state, column)};
}

static bool sqlite_in_transaction(const lm_db *db) {
    return !sqlite3_get_autocommit(of(db)->handle);
}

static loam_status sqlite_begin(lm_db *db, loam_error *err) {
    return lm_db_exec(db, "BEGIN IMMEDIATE", LM_NO_VALUES, NULL, err);
}

const lm_db_driver lm_db_sqlite = {
    .kind = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .query = sqlite_query,
    .next = sqlite_next,
    .end = sqlite_end,
    .n_changed = sqlite_n_changed,
    .is_null = sqlite_is_null,
    .i64 = sqlite_i64,
    .text = sqlite_text,
    .script = sqlite_script,
    .in_transaction = sqlite_in_transaction,
    .begin = sqlite_begin,
};
