#include "databases.h"

#include <pthread.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cloud/db.h"

static lm_db *open_new(void **state) {
    lm_db *db;
    assert_ok(lm_db_open(test_database_new(*state), &db, &err));
    assert_ok(lm_db_exec_script(
        db,
        "CREATE TABLE thing (id TEXT PRIMARY KEY, n BIGINT, note TEXT);"
        "CREATE TABLE part (id TEXT PRIMARY KEY, thing_id TEXT REFERENCES thing (id))",
        &err));
    return db;
}

static loam_status insert(lm_db *db, const char *id, int64_t n, const char *note, loam_error *err) {
    return lm_db_exec(db, "INSERT INTO thing (id, n, note) VALUES (?, ?, ?)",
                      LM_VALUES(lm_text(id), lm_i64(n), lm_text(note)), NULL, err);
}

static int64_t count(lm_db *db) {
    lm_rows rows;
    assert_ok(lm_db_query(db, "SELECT COUNT(*) FROM thing", LM_NO_VALUES, &rows, &err));
    assert_true(lm_rows_next(&rows));
    int64_t n = lm_row_i64(&rows, 0);
    assert_ok(lm_rows_end(&rows, &err));
    return n;
}

static void test_values_come_back(void **state) {
    lm_db *db = open_new(state);
    assert_ok(insert(db, "a", INT64_MAX, "it's 真 and '?'", &err));
    assert_ok(insert(db, "b", INT64_MIN, NULL, &err));
    assert_ok(insert(db, "c", 0, "", &err));
    lm_rows rows;
    assert_ok(lm_db_query(db, "SELECT id, n, note, '?' FROM thing WHERE n <> ? ORDER BY id",
                          LM_VALUES(lm_i64(0)), &rows, &err));
    assert_true(lm_rows_next(&rows));
    assert_int_equal(lm_row_i64(&rows, 1), INT64_MAX);
    assert_string_equal(lm_row_text(&rows, 2).ptr, "it's 真 and '?'");
    assert_string_equal(lm_row_text(&rows, 3).ptr, "?");
    assert_true(lm_rows_next(&rows));
    assert_int_equal(lm_row_i64(&rows, 1), INT64_MIN);
    assert_true(lm_row_is_null(&rows, 2));
    assert_int_equal(lm_row_text(&rows, 2).len, 0);
    assert_false(lm_rows_next(&rows));
    assert_ok(lm_rows_end(&rows, &err));
    lm_db_close(db);
}

static void test_broken_keys_are_conflicts(void **state) {
    lm_db *db = open_new(state);
    assert_ok(insert(db, "a", 1, NULL, &err));
    assert_status(LOAM_CONFLICT, insert(db, "a", 2, NULL, &err));
    assert_status(LOAM_CONFLICT, lm_db_exec(db, "INSERT INTO part (id, thing_id) VALUES (?, ?)",
                                            LM_VALUES(lm_text("p"), lm_text("none")), NULL, &err));
    assert_status(LOAM_INTERNAL,
                  lm_db_exec(db, "SELECT nonsense FROM thing", LM_NO_VALUES, NULL, &err));
    int64_t changed;
    assert_ok(lm_db_exec(db, "UPDATE thing SET n = n + 1 WHERE id = ?", LM_VALUES(lm_text("a")),
                         &changed, &err));
    assert_int_equal(changed, 1);
    lm_db_close(db);
}

static void test_savepoints_undo_one_step(void **state) {
    lm_db *db = open_new(state);
    assert_ok(lm_db_begin(db, &err));
    for (int i = 0; i < 3; i++) {
        char id[8];
        snprintf(id, sizeof id, "%d", i);
        assert_ok(lm_db_savepoint(db, &err));
        assert_ok(insert(db, id, i, NULL, &err));
        if (i != 1) {
            assert_ok(lm_db_release(db, &err));
            continue;
        }
        assert_status(LOAM_CONFLICT, insert(db, id, i, NULL,
                                            &err)); /* PostgreSQL now refuses all but the undoing */
        lm_db_rollback_to(db);
    }
    assert_true(lm_db_in_transaction(db));
    assert_ok(lm_db_commit(db, &err));
    assert_false(lm_db_in_transaction(db));
    assert_int_equal(count(db), 2);
    assert_ok(lm_db_begin(db, &err));
    assert_ok(insert(db, "x", 9, NULL, &err));
    lm_db_rollback(db);
    assert_int_equal(count(db), 2);
    lm_db_close(db);
}

static void test_queries_nest(void **state) {
    static const char sql[] = "SELECT id FROM thing WHERE n >= ? ORDER BY id";
    lm_db *db = open_new(state);
    for (int i = 0; i < 4; i++) assert_ok(insert(db, (char[]){(char)('a' + i), 0}, i, NULL, &err));
    lm_rows outer, inner;
    int n = 0;
    assert_ok(lm_db_query(db, sql, LM_VALUES(lm_i64(0)), &outer, &err));
    while (lm_rows_next(&outer)) {
        assert_ok(lm_db_query(db, sql, LM_VALUES(lm_i64(2)), &inner, &err));
        while (lm_rows_next(&inner)) n++;
        assert_ok(lm_rows_end(&inner, &err));
    }
    assert_ok(lm_rows_end(&outer, &err));
    assert_int_equal(n, 4 * 2);
    lm_db_close(db);
}

static void test_bad_addresses_are_told(void **state) {
    lm_db *db;
    assert_status(LOAM_INVALID, lm_db_open("mysql://somewhere", &db, &err));
    assert_status(LOAM_IO, lm_db_open("/nonexistent/folder/file.db", &db, &err));
    assert_status(LOAM_UNAVAILABLE, lm_db_open("postgresql:///x?host=/nonexistent", &db, &err));
}

/* A server that ends our session costs one failed statement, then all goes on. */
/* The store holds hashes of keys and everybody's usage. */
static void test_files_are_private(void **state) {
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "new.db");
    mode_t before = umask(0);
    lm_db *db;
    assert_ok(lm_db_open(path, &db, &err));
    assert_ok(lm_db_exec_script(db, "CREATE TABLE t (id TEXT)", &err));
    umask(before);
    for (size_t i = 0; i < LM_COUNT_OF(suffixes); i++) {
        struct stat info;
        char *file = lm_asprintf("%s%s", path, suffixes[i]);
        assert_int_equal(stat(file, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
        lm_free(file);
    }
    lm_db_close(db);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

static void test_lost_connection_comes_back(void **state) {
    if (!test_database_is_postgres(*state)) return;
    lm_db *db = open_new(state);
    assert_ok(insert(db, "a", 1, NULL, &err));
    assert_status(LOAM_UNAVAILABLE, lm_db_exec(db, "SELECT pg_terminate_backend(pg_backend_pid())",
                                               LM_NO_VALUES, NULL, &err));
    assert_status(LOAM_UNAVAILABLE, insert(db, "b", 1, NULL, &err));
    assert_false(lm_db_in_transaction(db));
    assert_ok(lm_db_begin(db, &err));
    assert_ok(insert(db, "b", 1, NULL, &err));
    assert_ok(lm_db_commit(db, &err));
    assert_int_equal(count(db), 2);
    lm_db_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_come_back),
        cmocka_unit_test(test_broken_keys_are_conflicts),
        cmocka_unit_test(test_savepoints_undo_one_step),
        cmocka_unit_test(test_queries_nest),
        cmocka_unit_test(test_bad_addresses_are_told),
        cmocka_unit_test(test_files_are_private),
        cmocka_unit_test(test_lost_connection_comes_back),
    };
    return test_on_databases(tests);
}
