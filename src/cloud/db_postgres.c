/* PostgreSQL driver over libpq: statements prepared by text, values in text form so that the server infers their types. */
#include <libpq-fe.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"
#include "cloud/db_backend.h"

typedef struct postgres_db {
    lm_db base;
    PGconn *conn;
    bool claimed; /* a new connection must claim again */
} postgres_db;

enum { MAX_SQL_BYTES = 1 << 20, STATEMENT_NAME_BYTES = 32 };

static postgres_db *of(const lm_db *db) {
    return (postgres_db *)db;
}

typedef struct state_class {
    const char *sqlstate; /* whole, or the class of two characters */
    loam_status status;
    const char *hint;
} state_class;

static const state_class state_classes[] = {
    {"23505", LOAM_CONFLICT, NULL},
    {"23503", LOAM_CONFLICT, NULL},
    {"53100", LOAM_IO, "free some disk space on the database's machine and try again"},
    {"53200", LOAM_NO_MEMORY, NULL},
    {"53", LOAM_UNAVAILABLE, "the database server has no resources left"},
    {"58", LOAM_IO, NULL},
    {"08", LOAM_UNAVAILABLE, "check that the database server runs"},
    {"57", LOAM_UNAVAILABLE, "check that the database server runs"},
    {"40", LOAM_UNAVAILABLE, "try again"},
    {"55", LOAM_UNAVAILABLE, "try again"},
    {"XX001", LOAM_CORRUPT, NULL},
};

static loam_status failed(const lm_db *db, const PGresult *result, loam_error *err) {
    const char *sqlstate = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *text = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    bool lost = PQstatus(of(db)->conn) != CONNECTION_OK;
    state_class found = {NULL, lost ? LOAM_UNAVAILABLE : LOAM_INTERNAL,
                         lost ? "check that the database server runs" : NULL};
    for (size_t i = 0; sqlstate && i < LM_COUNT_OF(state_classes); i++) {
        if (strncmp(sqlstate, state_classes[i].sqlstate, strlen(state_classes[i].sqlstate)) != 0)
            continue;
        found = state_classes[i];
        break;
    }
    if (!text) text = PQerrorMessage(of(db)->conn);
    lm_error_set(err, found.status, "database: %.*s", (int)strcspn(text, "\n"), text);
    return found.hint ? lm_error_hint(err, found.status, "%s", found.hint) : found.status;
}

static void forget_statements(lm_db *db) {
    lm_map_free(db->statements);
    db->statements = lm_map_new();
}

static void postgres_close(lm_db *db) {
    PQfinish(of(db)->conn);
    lm_map_free(db->statements);
    lm_free(db);
}

static void ignore_notice(void *arg, const PGresult *result) {}

static loam_status postgres_open(const char *url, lm_db **out, loam_error *err) {
    postgres_db *db = lm_calloc(1, sizeof *db);
    if (!db) return lm_error_no_memory(err, sizeof *db);
    db->base.driver = &lm_db_postgres;
    db->base.statements = lm_map_new();
    db->conn = PQconnectdb(url);
    if (!db->base.statements || PQstatus(db->conn) != CONNECTION_OK) {
        loam_status status = failed(&db->base, NULL, err);
        postgres_close(&db->base);
        return status;
    }
    PQsetNoticeReceiver(db->conn, ignore_notice, NULL);
    PQsetClientEncoding(db->conn, "UTF8");
    *out = &db->base;
    return LOAM_OK;
}

/* `?` becomes $1, $2, ...; question marks inside quotes stay. */
static void translate(const char *sql, lm_buf *out) {
    int n = 0;
    bool quoted = false;
    for (const char *c = sql; *c; c++) {
        if (*c == '\'') quoted = !quoted;
        if (*c == '?' && !quoted) {
            lm_buf_printf(out, "$%d", ++n);
        } else {
            lm_buf_putc(out, *c);
        }
    }
}

static loam_status check(lm_db *db, PGresult *result, loam_error *err) {
    ExecStatusType code = PQresultStatus(result);
    bool ok = code == PGRES_COMMAND_OK || code == PGRES_TUPLES_OK;
    loam_status status = ok ? LOAM_OK : failed(db, result, err);
    if (!ok) PQclear(result);
    return status;
}

/* Prepares the text under a name of its own at its first use; the name follows from its number. */
static loam_status prepare(lm_db *db, const char *sql, char name[STATEMENT_NAME_BYTES],
                           loam_error *err) {
    uint64_t number;
    if (!db->statements) return lm_error_no_memory(err, 0);
    bool known = lm_map_get(db->statements, lm_str_of(sql), &number);
    if (!known) number = lm_map_len(db->statements);
    snprintf(name, STATEMENT_NAME_BYTES, "s%llu", (unsigned long long)number);
    if (known) return LOAM_OK;
    lm_buf text;
    lm_buf_init(&text, MAX_SQL_BYTES);
    translate(sql, &text);
    loam_status status = lm_buf_status(&text, err);
    PGresult *result = NULL;
    if (status == LOAM_OK) {
        result = PQprepare(of(db)->conn, name, lm_buf_cstr(&text), 0, NULL);
        status = check(db, result, err);
    }
    lm_buf_deinit(&text);
    if (status != LOAM_OK) return status;
    PQclear(result);
    if (!lm_map_set(db->statements, lm_str_of(sql), number)) return lm_error_no_memory(err, 0);
    return LOAM_OK;
}

enum { MAX_VALUES = 64, NUMBER_BYTES = 24 };

typedef struct parameters {
    const char *texts[MAX_VALUES];
    char numbers[MAX_VALUES][NUMBER_BYTES];
    char *copies[MAX_VALUES]; /* terminated copies of borrowed texts */
} parameters;

static bool set_parameter(parameters *p, size_t i, const lm_value *value) {
    switch (value->type) {
    case LM_VALUE_I64:
        snprintf(p->numbers[i], NUMBER_BYTES, "%lld", (long long)value->i64);
        p->texts[i] = p->numbers[i];
        return true;
    case LM_VALUE_TEXT:
        p->texts[i] = p->copies[i] =
            lm_strndup(value->text.ptr ? value->text.ptr : "", value->text.len);
        return p->copies[i] != NULL;
    default: return true;
    }
}

static loam_status postgres_query(lm_db *db, const char *sql, lm_values values, lm_rows *out,
                                  loam_error *err) {
    LM_ASSERT(values.len <= MAX_VALUES);
    char name[STATEMENT_NAME_BYTES];
    LM_TRY(prepare(db, sql, name, err));
    parameters p = {0};
    bool complete = true;
    for (size_t i = 0; i < values.len && complete; i++)
        complete = set_parameter(&p, i, &values.ptr[i]);
    loam_status status = complete ? LOAM_OK : lm_error_no_memory(err, 0);
    if (complete) {
        PGresult *result =
            PQexecPrepared(of(db)->conn, name, (int)values.len, p.texts, NULL, NULL, 0);
        status = check(db, result, err);
        if (status == LOAM_OK)
            *out = (lm_rows){.db = db, .state = result, .n = PQntuples(result), .index = -1};
    }
    for (size_t i = 0; i < values.len; i++) lm_free(p.copies[i]);
    return status;
}

static bool postgres_next(lm_rows *rows) {
    return ++rows->index < rows->n;
}

static void postgres_end(lm_rows *rows) {
    PQclear(rows->state);
}

static int64_t postgres_n_changed(const lm_rows *rows) {
    return strtoll(PQcmdTuples(rows->state), NULL, 10);
}

static bool postgres_is_null(const lm_rows *rows, int column) {
    return PQgetisnull(rows->state, (int)rows->index, column);
}

static int64_t postgres_i64(const lm_rows *rows, int column) {
    return strtoll(PQgetvalue(rows->state, (int)rows->index, column), NULL, 10);
}

static lm_str postgres_text(const lm_rows *rows, int column) {
    return (lm_str){PQgetvalue(rows->state, (int)rows->index, column),
                    (size_t)PQgetlength(rows->state, (int)rows->index, column)};
}

static loam_status postgres_script(lm_db *db, const char *sql, loam_error *err) {
    PGresult *result = PQexec(of(db)->conn, sql);
    LM_TRY(check(db, result, err));
    PQclear(result);
    return LOAM_OK;
}

static bool postgres_in_transaction(const lm_db *db) {
    PGTransactionStatusType state = PQtransactionStatus(of(db)->conn);
    return state == PQTRANS_INTRANS || state == PQTRANS_INERROR || state == PQTRANS_ACTIVE;
}

/* An advisory lock on the database; it goes with the session, which the server may notice late. */
static loam_status postgres_claim(lm_db *db, loam_error *err) {
    enum { TRIES = 50, PAUSE_MS = 100 };
    for (int i = 0; i < TRIES; i++) {
        lm_rows rows;
        LM_TRY(lm_db_query(db, "SELECT CASE WHEN pg_try_advisory_lock(7811341) THEN 1 ELSE 0 END",
                           LM_NO_VALUES, &rows, err));
        of(db)->claimed = lm_rows_next(&rows) && lm_row_i64(&rows, 0);
        LM_TRY(lm_rows_end(&rows, err));
        if (of(db)->claimed) return LOAM_OK;
        lm_clock_sleep_ms(PAUSE_MS);
    }
    lm_error_set(err, LOAM_CONFLICT, "another cloud works on this database");
    return lm_error_hint(err, LOAM_CONFLICT,
                         "stop the other 'loam up', or give this one a database of its own");
}

static loam_status postgres_begin(lm_db *db, loam_error *err) {
    loam_status status = PQstatus(of(db)->conn) == CONNECTION_OK
                             ? lm_db_exec(db, "BEGIN", LM_NO_VALUES, NULL, err)
                             : LOAM_UNAVAILABLE;
    if (status != LOAM_UNAVAILABLE) return status;
    PQreset(of(db)->conn); /* a server that went away and came back costs nobody an error */
    forget_statements(db);
    if (PQstatus(of(db)->conn) != CONNECTION_OK) return failed(db, NULL, err);
    if (of(db)->claimed) LM_TRY(postgres_claim(db, err));
    return lm_db_exec(db, "BEGIN", LM_NO_VALUES, NULL, err);
}

const lm_db_driver lm_db_postgres = {
    .kind = "postgresql",
    .open = postgres_open,
    .close = postgres_close,
    .claim = postgres_claim,
    .query = postgres_query,
    .next = postgres_next,
    .end = postgres_end,
    .n_changed = postgres_n_changed,
    .is_null = postgres_is_null,
    .i64 = postgres_i64,
    .text = postgres_text,
    .script = postgres_script,
    .in_transaction = postgres_in_transaction,
    .begin = postgres_begin,
};
