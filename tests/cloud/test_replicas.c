/* Endpoints with worker processes: deploying, scaling to zero and back, restarts, and usage booked exactly once. The fake
 * program is argv[1]. */
#include "ops_fixture.h"

#include <signal.h>

#include "base/usage_journal.h"
#include "cloud/scale.h"
#include "net/http_fetch.h"

static const char *g_program;

static ops_fixture *begin(void **state) {
    ops_fixture *f = ops_begin(state, g_program);
    ops_start_replicas(f);
    return f;
}

static void wait_number(ops_fixture *f, const char *sql, int64_t wanted) {
    int64_t number = ops_number(f, sql);
    for (int i = 0; i < 1000 && number != wanted; i++) {
        lm_clock_sleep_ms(10);
        number = ops_number(f, sql);
    }
    if (number != wanted)
        fail_msg("%s: %lld, wanted %lld", sql, (long long)number, (long long)wanted);
}

static loam_status insert_endpoint(lm_db *db, void *arg, loam_error *err) {
    return lm_table_insert(db, &lm_endpoint_table, arg, err);
}

static lm_endpoint deploy(ops_fixture *f, const char *const *files, int64_t min, int64_t max,
                          int64_t idle_timeout_ms) {
    lm_endpoint endpoint = {.name = "m",
                            .model = "model",
                            .min_replicas = min,
                            .max_replicas = max,
                            .idle_timeout_ms = idle_timeout_ms,
                            .created_ms = lm_clock_epoch_ms()};
    lm_id_new(&f->ids, "ep", endpoint.id);
    memcpy(endpoint.project_id, f->project_id, LM_ID_BYTES);
    ops_add_version(f, "model", files, endpoint.version_id);
    ops_wait_version(f, endpoint.version_id, "ready");
    ops_call(f, insert_endpoint, &endpoint);
    lm_replicas_wake(f->replicas);
    return endpoint;
}

static const char *const good_model[] = {"config.json", "{}", NULL};

/* A replica as the router sees it, waiting until there is one. */
static lm_router_replica pick(ops_fixture *f, const char *endpoint_id) {
    lm_router_replica replica = {0};
    for (int i = 0; i < 1000; i++) {
        lm_router_tries tries = {0};
        if (lm_router_pick(f->router, endpoint_id, &tries, &replica, NULL) == LOAM_OK)
            return replica;
        lm_clock_sleep_ms(10);
    }
    fail_msg("no replica becomes ready");
    return replica;
}

static int complete(const lm_router_replica *replica, int tokens) {
    char url[160], body[64];
    int status = 0;
    lm_buf answer;
    snprintf(url, sizeof url, "%s/v1/completions", replica->url);
    int len = snprintf(body, sizeof body, "{\"max_tokens\":%d}", tokens);
    lm_http_fetch_options options = {
        .method = "POST", .url = url, .body = {body, (size_t)len}, .timeout_ms = 5000};
    assert_ok(lm_http_fetch(&options, &status, &answer, &err));
    lm_buf_deinit(&answer);
    return status;
}

static void test_deploys_and_books(void **state) {
    ops_fixture *f = begin(state);
    lm_endpoint endpoint = deploy(f, good_model, 1, 1, 60000);
    lm_router_replica replica = pick(f, endpoint.id);
    for (int i = 0; i < 3; i++) assert_int_equal(complete(&replica, 5), 200);
    lm_router_release(f->router, endpoint.id, replica.id, false, 1);
    /* without a gateway all carry the same id: one record, the others change nothing */
    wait_number(f, "SELECT COUNT(*) FROM usage_record", 1);
    wait_number(f, "SELECT SUM(completion_tokens) FROM usage_record", 5);
    wait_number(f, "SELECT journal_slot FROM replica", 3);
}

static void test_sleeps_and_wakes(void **state) {
    ops_fixture *f = begin(state);
    lm_endpoint endpoint = deploy(f, good_model, 0, 1, 150);
    lm_clock_sleep_ms(300);
    assert_int_equal(ops_number(f, "SELECT COUNT(*) FROM replica WHERE state <> 'gone'"), 0);
    lm_router_wait(f->router, endpoint.id, +1);
    lm_replicas_wake(f->replicas);
    lm_router_replica replica = pick(f, endpoint.id);
    lm_router_wait(f->router, endpoint.id, -1);
    lm_clock_sleep_ms(400);
    assert_int_equal(ops_number(f, "SELECT COUNT(*) FROM replica WHERE state = 'ready'"),
                     1); /* in use: it stays */
    lm_router_release(f->router, endpoint.id, replica.id, false, 1);
    wait_number(f, "SELECT COUNT(*) FROM replica WHERE state <> 'gone'", 0);
    char *dir = lm_asprintf("%s/replicas/%s", f->home, replica.id);
    for (int i = 0; i < 100 && lm_file_exists(dir); i++) lm_clock_sleep_ms(10);
    assert_false(lm_file_exists(dir));
    lm_free(dir);
}

static pid_t pid_of(ops_fixture *f, const char *replica_id) {
    lm_process_info info = {0};
    char *dir = lm_asprintf("%s/replicas/%s", f->home, replica_id);
    assert_ok(lm_executor_poll(f->executor, dir, &info, &err));
    lm_free(dir);
    assert_true(info.pid > 0);
    return (pid_t)info.pid;
}

static void test_killed_worker_is_replaced(void **state) {
    ops_fixture *f = begin(state);
    lm_endpoint endpoint = deploy(f, good_model, 1, 2, 60000);
    lm_router_replica first = pick(f, endpoint.id);
    assert_int_equal(complete(&first, 4), 200);
    kill(pid_of(f, first.id), SIGKILL);
    for (int i = 0; i < 500; i++) {
        lm_router_replica now = pick(f, endpoint.id);
        lm_router_release(f->router, endpoint.id, now.id, false, -1);
        if (strcmp(now.id, first.id) != 0) break;
        lm_clock_sleep_ms(10);
    }
    wait_number(f, "SELECT SUM(completion_tokens) FROM usage_record", 4);
    wait_number(f, "SELECT COUNT(*) FROM replica WHERE state = 'gone' AND error IS NOT NULL", 1);
    lm_router_release(f->router, endpoint.id, first.id, false, -1);
}

static void test_manager_restarts(void **state) {
    ops_fixture *f = begin(state);
    lm_endpoint endpoint = deploy(f, good_model, 1, 1, 60000);
    lm_router_replica before = pick(f, endpoint.id);
    ops_close(f);
    lm_clock_sleep_ms(50);
    ops_open(f, g_program);
    assert_int_equal(complete(&before, 3), 200); /* served and metered while nobody watched */
    ops_start_replicas(f);
    lm_router_replica after = pick(f, endpoint.id); /* known as soon as the manager is there */
    assert_string_equal(after.id, before.id);
    assert_string_equal(after.url, before.url);
    lm_router_release(f->router, endpoint.id, after.id, false, -1);
    wait_number(f, "SELECT SUM(completion_tokens) FROM usage_record", 3);
}

static void test_failing_model_backs_off(void **state) {
    ops_fixture *f = begin(state);
    static const char *const bad_model[] = {"config.json", "{}", "fail", "1", NULL};
    deploy(f, bad_model, 1, 1, 60000);
    wait_number(f, "SELECT COUNT(*) FROM replica WHERE error IS NOT NULL", 1);
    lm_clock_sleep_ms(300);
    assert_true(ops_number(f, "SELECT COUNT(*) FROM replica") <= 2);
    assert_int_equal(
        ops_number(f, "SELECT COUNT(*) FROM replica WHERE error LIKE '%cannot be served%'"),
        ops_number(f, "SELECT COUNT(*) FROM replica WHERE error IS NOT NULL"));
}

static loam_status set_version(lm_db *db, void *arg, loam_error *err) {
    return lm_table_update(db, &lm_endpoint_table, arg, err);
}

/* Three failures in a row are told to the router; the next request is reason for another start, and another version for a
 * clean slate. */
static void test_trouble_is_known_until_it_ends(void **state) {
    ops_fixture *f = begin(state);
    static const char *const bad_model[] = {"config.json", "{}", "fail", "1", NULL};
    lm_endpoint endpoint = deploy(f, bad_model, 0, 1, 60000);
    lm_router_activity known;
    for (int i = 0; i < 1000 && !lm_router_activity_of(f->router, endpoint.id, &known); i++)
        lm_clock_sleep_ms(10);
    lm_router_wait(f->router, endpoint.id, +1);
    lm_replicas_wake(f->replicas);
    loam_status status = LOAM_OK;
    loam_error why = {0};
    lm_router_replica replica;
    lm_router_tries tries = {0};
    for (int i = 0; i < 1000 && status != LOAM_CONFLICT; i++) {
        lm_clock_sleep_ms(10);
        status = lm_router_pick(f->router, endpoint.id, &tries, &replica, &why);
    }
    assert_int_equal(status, LOAM_CONFLICT);
    assert_non_null(strstr(why.message, "cannot be served"));
    lm_router_wait(f->router, endpoint.id, -1);
    wait_number(f, "SELECT COUNT(*) FROM replica", 4); /* somebody asked: once more */

    ops_add_version(f, "other", good_model, endpoint.version_id);
    ops_wait_version(f, endpoint.version_id, "ready");
    ops_call(f, set_version, &endpoint);
    status = lm_router_pick(f->router, endpoint.id, &tries, &replica, NULL);
    assert_int_not_equal(status, LOAM_OK);
    lm_replicas_wake(f->replicas);
    lm_router_wait(f->router, endpoint.id, +1);
    replica = pick(f, endpoint.id);
    lm_router_wait(f->router, endpoint.id, -1);
    lm_router_release(f->router, endpoint.id, replica.id, false, 1);
}

static void test_scale_policy(void **state) {
    lm_scale_input in = {
        .max_replicas = 3, .idle_timeout_ms = 1000, .now_ms = 10000, .last_used_ms = 9500};
    assert_int_equal(lm_scale_wanted(&in), 0);
    in.n_waiting = 1;
    assert_int_equal(lm_scale_wanted(&in), 1);
    in.n_waiting = 0;
    in.n_live = 1;
    assert_int_equal(lm_scale_wanted(&in), 1); /* not idle long enough */
    in.now_ms = 11000;
    assert_int_equal(lm_scale_wanted(&in), 0);
    in.n_active = 1;
    assert_int_equal(lm_scale_wanted(&in), 1);
    in.n_active = LM_SCALE_BUSY;
    assert_int_equal(lm_scale_wanted(&in), 2);
    in.n_live = 3;
    in.n_active = 3 * LM_SCALE_BUSY;
    assert_int_equal(lm_scale_wanted(&in), 3);
    in.deleted = true;
    assert_int_equal(lm_scale_wanted(&in), 0);
    assert_int_equal(lm_scale_backoff_ms(0), 0);
    assert_int_equal(lm_scale_backoff_ms(1), 500);
    assert_int_equal(lm_scale_backoff_ms(3), 2000);
    assert_int_equal(lm_scale_backoff_ms(1000), 60000);
}

int main(int argc, char **argv) {
    if (argc < 2) return 1;
    g_program = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scale_policy),
        cmocka_unit_test_teardown(test_deploys_and_books, ops_end),
        cmocka_unit_test_teardown(test_sleeps_and_wakes, ops_end),
        cmocka_unit_test_teardown(test_killed_worker_is_replaced, ops_end),
        cmocka_unit_test_teardown(test_manager_restarts, ops_end),
        cmocka_unit_test_teardown(test_failing_model_backs_off, ops_end),
        cmocka_unit_test_teardown(test_trouble_is_known_until_it_ends, ops_end),
    };
    return test_on_databases(tests);
}
