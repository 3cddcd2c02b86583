#include "databases.h"

#include <pthread.h>

#include "base/clock.h"
#include "cloud/id.h"
#include "cloud/store.h"
#include "cloud/table/table.h"

typedef struct insert_job {
    lm_store_job job;
    const char *id;
    loam_status outcome;
    int n_done;
} insert_job;

static loam_status insert_project(lm_db *db, const char *id, loam_error *err) {
    return lm_db_exec(
        db,
        "INSERT INTO project (id, name, is_operator, archived, created_ms) VALUES (?, ?, 0, 0, 1)",
        LM_VALUES(lm_text(id), lm_text(id)), NULL, err);
}

static loam_status insert_run(lm_store_job *job, lm_db *db, loam_error *err) {
    return insert_project(db, ((insert_job *)job)->id, err);
}

static void insert_done(lm_store_job *job, loam_status status, const loam_error *err) {
    ((insert_job *)job)->outcome = status;
    ((insert_job *)job)->n_done++;
}

static loam_status count_projects(lm_db *db, void *arg, loam_error *err) {
    return lm_db_number(db, "SELECT COUNT(*) FROM project", LM_NO_VALUES, arg, err);
}

static void test_each_job_succeeds_or_fails_alone(void **state) {
    const char *url = test_database_new(*state);
    lm_store *store;
    assert_ok(lm_store_new(url, &store, &err));
    enum { N = 600 };
    static insert_job jobs[N];
    static char ids[N][16];
    for (int i = 0; i < N; i++) {
        snprintf(ids[i], sizeof ids[i], "p%d",
                 i % 3 == 2 ? i - 1 : i); /* every third repeats the one before */
        jobs[i] = (insert_job){.job = {.run = insert_run, .done = insert_done}, .id = ids[i]};
        assert_ok(lm_store_submit(store, &jobs[i].job, &err));
    }
    int64_t n = 0;
    assert_ok(lm_store_call(store, count_projects, &n, &err));
    assert_int_equal(n, N / 3 * 2);
    for (int i = 0; i < N; i++) {
        assert_int_equal(jobs[i].n_done, 1);
        assert_int_equal(jobs[i].outcome, i % 3 == 2 ? LOAM_CONFLICT : LOAM_OK);
    }
    lm_store_free(store);
    assert_ok(lm_store_new(url, &store,
                           &err)); /* what was acknowledged is there, and migrations run once */
    assert_ok(lm_store_call(store, count_projects, &n, &err));
    assert_int_equal(n, N / 3 * 2);
    lm_store_free(store);
}

static loam_status fill_rows(lm_db *db, void *arg, loam_error *err) {
    int *next = arg;
    char id[160];
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "%0150d", (*next)++);
        LM_TRY(insert_project(db, id, err));
    }
    return LOAM_OK;
}

static loam_status set_page_limit(lm_db *db, void *arg, loam_error *err) {
    return lm_db_exec_script(db, arg, err);
}

/* A full disk fails the writers with words that help, loses nothing that was acknowledged, and passes. */
static void test_full_disk(void **state) {
    if (test_database_is_postgres(*state))
        return; /* its own server's disk; the mapping of 53100 is the same code path */
    lm_store *store;
    assert_ok(lm_store_new(test_database_new(*state), &store, &err));
    assert_ok(lm_store_call(store, set_page_limit, "PRAGMA max_page_count = 400", &err));
    int next = 0, n_acknowledged = 0;
    loam_error failure = {0};
    while (lm_store_call(store, fill_rows, &next, &failure) == LOAM_OK) n_acknowledged += 40;
    assert_int_equal(failure.status, LOAM_IO);
    assert_non_null(strstr(failure.message, "full"));
    assert_non_null(strstr(failure.hint, "free some disk space"));
    assert_true(n_acknowledged > 0);
    int64_t n;
    assert_ok(lm_store_call(store, count_projects, &n, &err));
    assert_int_equal(n, n_acknowledged);
    assert_ok(lm_store_call(store, set_page_limit, "PRAGMA max_page_count = 100000", &err));
    assert_ok(lm_store_call(store, fill_rows, &next, &err));
    assert_ok(lm_store_call(store, count_projects, &n, &err));
    assert_int_equal(n, n_acknowledged + 40);
    lm_store_free(store);
}

typedef struct writer {
    pthread_t thread;
    lm_store *store;
    int number, n_failed;
    char id[32];
} writer;

static loam_status insert_own(lm_db *db, void *arg, loam_error *err) {
    return insert_project(db, ((writer *)arg)->id, err);
}

static void *writer_main(void *arg) {
    writer *w = arg;
    for (int i = 0; i < 50; i++) {
        snprintf(w->id, sizeof w->id, "w%d-%d", w->number, i);
        if (lm_store_call(w->store, insert_own, w, NULL) != LOAM_OK) w->n_failed++;
    }
    return NULL;
}

static void test_many_threads(void **state) {
    lm_store *store;
    assert_ok(lm_store_new(test_database_new(*state), &store, &err));
    writer writers[8];
    for (int i = 0; i < 8; i++) {
        writers[i] = (writer){.store = store, .number = i};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_int_equal(writers[i].n_failed, 0);
    }
    int64_t n;
    assert_ok(lm_store_call(store, count_projects, &n, &err));
    assert_int_equal(n, 400);
    lm_store_free(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_job_succeeds_or_fails_alone),
                                       cmocka_unit_test(test_full_disk),
                                       cmocka_unit_test(test_many_threads)};
    return test_on_databases(tests);
}
