/* One SQL database behind one small interface: SQLite (embedded, the default) or PostgreSQL by URL.
 *
 * SQL is written once, in the portable subset, with `?` for parameters, and only in cloud/table/ and cloud/migrations/.
 * The subset: no upsert, no RETURNING, no engine functions; BIGINT and TEXT columns (bytes as hexadecimal); a parameter stands only
 * where its type follows from a column (or inside CAST(? AS BIGINT)). SUM gives what fits int64; see lm_row_i64.
 * Statements are prepared once per text and kept, so the text must be a constant.
 *
 * A connection belongs to one thread at a time (in the running cloud: the store's, see cloud/store.h). A lost PostgreSQL
 * connection fails the statement with LOAM_UNAVAILABLE; the next lm_db_begin connects again.
 *
 * Errors: LOAM_CONFLICT for a broken unique or foreign key, LOAM_IO for a full or failing disk, LOAM_UNAVAILABLE for a
 * lost server or lock, LOAM_CORRUPT for a damaged file, LOAM_INTERNAL for anything else (our SQL is wrong).
 *
 *     lm_rows rows;
 *     LM_TRY(lm_db_query(db, "SELECT id, n FROM thing WHERE owner = ?", LM_VALUES(lm_text(owner)), &rows, err));
 *     while (lm_rows_next(&rows)) use(lm_row_text(&rows, 0), lm_row_i64(&rows, 1));
 *     return lm_rows_end(&rows, err);
 */
#ifndef LM_CLOUD_DB_H
#define LM_CLOUD_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef struct lm_db lm_db;

typedef enum lm_value_type { LM_VALUE_NULL, LM_VALUE_I64, LM_VALUE_TEXT } lm_value_type;

/* A parameter. Text is borrowed, valid UTF-8 without NUL. */
typedef struct lm_value {
    lm_value_type type;
    int64_t i64;
    lm_str text;
} lm_value;

static inline lm_value lm_null(void) {
    return (lm_value){.type = LM_VALUE_NULL};
}
static inline lm_value lm_i64(int64_t number) {
    return (lm_value){.type = LM_VALUE_I64, .i64 = number};
}
/* NULL becomes SQL's null. */
static inline lm_value lm_text(const char *text) {
    return (lm_value){.type = text ? LM_VALUE_TEXT : LM_VALUE_NULL, .text = lm_str_of(text)};
}
static inline lm_value lm_text_str(lm_str text) {
    return (lm_value){.type = LM_VALUE_TEXT, .text = text};
}

/* The parameters of a statement, in the order of its question marks. */
typedef struct lm_values {
    const lm_value *ptr;
    size_t len;
} lm_values;
#define LM_VALUES(...)                            \
    ((lm_values){(const lm_value[]){__VA_ARGS__}, \
                 sizeof((const lm_value[]){__VA_ARGS__}) / sizeof(lm_value)})
#define LM_NO_VALUES ((lm_values){NULL, 0})

/* `url` is a path of a SQLite file (created when absent, mode 0600) or postgresql://...; ":memory:" for tests. */
loam_status lm_db_open(const char *url, lm_db **out, loam_error *err) LM_MUST_USE;
void lm_db_close(lm_db *db);
const char *lm_db_kind(const lm_db *db); /* "sqlite" or "postgresql" */

/* Claims the database for this process, so that no second cloud works on it; waits a moment for a predecessor to leave.
 * LOAM_CONFLICT when somebody holds it. Held until closed. SQLite's claim is the folder's lock, see cloud/server.c. */
loam_status lm_db_claim(lm_db *db, loam_error *err) LM_MUST_USE;

/* Runs a statement that gives no rows. out_changed (rows inserted, updated or deleted) may be NULL. */
loam_status lm_db_exec(lm_db *db, const char *sql, lm_values values, int64_t *out_changed,
                       loam_error *err) LM_MUST_USE;

/* Several statements without parameters, uncached: migrations and pragmas. */
loam_status lm_db_exec_script(lm_db *db, const char *sql, loam_error *err) LM_MUST_USE;

/* Rows of a query under way. Queries may nest. Texts live until the next row or the end. */
typedef struct lm_rows {
    lm_db *db;
    void *state;        /* of the backend */
    int64_t n, index;   /* for backends that hold all rows */
    bool cached;        /* state belongs to the statement cache */
    loam_status status; /* of iterating; told by lm_rows_end */
    loam_error error;
} lm_rows;

/* On success the caller must call lm_rows_end; on failure there is nothing to end. */
loam_status lm_db_query(lm_db *db, const char *sql, lm_values values, lm_rows *out,
                        loam_error *err) LM_MUST_USE;
bool lm_rows_next(lm_rows *rows); /* false: no more, or failed */
loam_status lm_rows_end(lm_rows *rows, loam_error *err) LM_MUST_USE;

/* Columns of the present row, from 0. */
bool lm_row_is_null(const lm_rows *rows, int column);
int64_t lm_row_i64(const lm_rows *rows, int column); /* 0 for null */
lm_str lm_row_text(const lm_rows *rows, int column); /* empty for null; NUL-terminated */

/* Transactions. Savepoints nest inside one; the store uses them to let many callers share one commit. */
loam_status lm_db_begin(lm_db *db, loam_error *err) LM_MUST_USE;
loam_status lm_db_commit(lm_db *db, loam_error *err)
    LM_MUST_USE; /* on failure the transaction is rolled back */
void lm_db_rollback(lm_db *db);
loam_status lm_db_savepoint(lm_db *db, loam_error *err) LM_MUST_USE;
loam_status lm_db_release(lm_db *db,
                          loam_error *err) LM_MUST_USE; /* keep what was done since the savepoint */
void lm_db_rollback_to(lm_db *db);                      /* undo it */
/* False once a failure (full disk, lost server) has ended the transaction by itself. */
bool lm_db_in_transaction(const lm_db *db);

#endif
