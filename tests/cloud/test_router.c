#include "testing.h"

#include "base/clock.h"
#include "cloud/keyring.h"
#include "cloud/reservations.h"
#include "cloud/router.h"

static lm_router *new_router(void) {
    lm_router *router = NULL;
    assert_ok(lm_router_new(&router, &err));
    return router;
}

/* Endpoint "e" of project "p", named "m", with replicas r0..r<n-1>. */
static void publish(lm_router *router, int n) {
    lm_router_replica replicas[4] = {0};
    for (int i = 0; i < n; i++) {
        snprintf(replicas[i].id, sizeof replicas[i].id, "r%d", i);
        snprintf(replicas[i].url, sizeof replicas[i].url, "http://127.0.0.1:%d", 1000 + i);
    }
    lm_router_endpoint endpoint = {
        .id = "e", .project_id = "p", .name = "m", .replicas = replicas, .n_replicas = (size_t)n};
    assert_ok(lm_router_publish(router, &endpoint, 1, &err));
}

static void pick(lm_router *router, lm_router_tries *tries, const char *wanted) {
    lm_router_replica replica;
    assert_ok(lm_router_pick(router, "e", tries, &replica, &err));
    assert_string_equal(replica.id, wanted);
}

static void test_names_belong_to_projects(void **state) {
    lm_router *router = new_router();
    char id[LM_ROUTER_ID_BYTES];
    publish(router, 1);
    assert_true(lm_router_find(router, "p", "m", id));
    assert_string_equal(id, "e");
    assert_false(lm_router_find(router, "q", "m", id));
    assert_false(lm_router_find(router, "p", "n", id));
    lm_router_free(router);
}

static void test_least_loaded_and_not_twice(void **state) {
    lm_router *router = new_router();
    lm_router_tries first = {0}, second = {0}, third = {0};
    lm_router_replica replica;
    publish(router, 2);
    pick(router, &first, "r0");
    pick(router, &second, "r1");
    lm_router_release(router, "e", "r0", false, 5);
    pick(router, &third, "r0");
    pick(router, &third, "r1");
    assert_status(LOAM_UNAVAILABLE,
                  lm_router_pick(router, "e", &third, &replica, &err)); /* both were tried */
    assert_status(LOAM_NOT_FOUND, lm_router_pick(router, "x", &third, &replica, &err));
    assert_int_equal(lm_router_replica_active(router, "r1"), 2);
    lm_router_free(router);
}

static void test_failed_ones_come_last(void **state) {
    lm_router *router = new_router();
    lm_router_tries tries[3] = {0};
    publish(router, 2);
    pick(router, &tries[0], "r0");
    lm_router_release(router, "e", "r0", true, -1);
    pick(router, &tries[1], "r1");
    pick(router, &tries[2], "r1"); /* though it has more to do */
    pick(router, &tries[2], "r0"); /* better than nobody */
    lm_router_free(router);
}

static void test_counts_survive_publishing(void **state) {
    lm_router *router = new_router();
    lm_router_tries tries = {0}, again = {0};
    lm_router_activity activity;
    publish(router, 1);
    pick(router, &tries, "r0");
    lm_router_wait(router, "e", +1);
    publish(router, 2);
    assert_int_equal(lm_router_replica_active(router, "r0"), 1);
    pick(router, &again, "r1");
    publish(router, 0);
    lm_router_release(router, "e", "r0", false,
                      4); /* its replica is gone: the endpoint still knows */
    lm_router_release(router, "e", "r1", false, 6);
    lm_router_wait(router, "e", -1);
    assert_true(lm_router_activity_of(router, "e", &activity));
    assert_int_equal(activity.n_active, 0);
    assert_int_equal(activity.n_waiting, 0);
    assert_int_equal(activity.n_requests, 2);
    assert_close(activity.latency_p50_ms, 6, 0, 0);
    assert_true(activity.last_used_ms > 0);
    lm_router_free(router);
}

/* A keyring without keys refuses reservations, so these are made by hand: what counts is who gives what back, once. */
static void test_reservations(void **state) {
    lm_keyring *keyring = NULL;
    lm_reservations *reservations = NULL;
    assert_ok(lm_keyring_new(&keyring, &err));
    assert_ok(lm_reservations_new(keyring, &reservations, &err));
    for (int i = 0; i < 100; i++) {
        char id[32];
        lm_reservation reservation = {.tokens = 10};
        snprintf(id, sizeof id, "req_%d", i);
        assert_ok(lm_reservations_hold(reservations, id, &reservation, &err));
        if (i % 3 == 0)
            lm_reservations_ended(reservations, id, false);
        else
            lm_reservations_ended(reservations, id, true);
        if (i % 3 == 1) lm_reservations_booked(reservations, id, "", 5, 0);
    }
    assert_int_equal(lm_reservations_held(reservations), 33);
    lm_reservations_booked(reservations, "req_2.2", "", 5,
                           0); /* a later attempt settles its request's */
    assert_int_equal(lm_reservations_held(reservations), 32);
    lm_reservations_expire(reservations, lm_clock_epoch_ms());
    assert_int_equal(lm_reservations_held(reservations), 32);
    lm_reservations_expire(reservations, lm_clock_epoch_ms() + 120000);
    assert_int_equal(lm_reservations_held(reservations), 0);
    lm_reservations_free(reservations);
    lm_keyring_free(keyring);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_belong_to_projects),
        cmocka_unit_test(test_least_loaded_and_not_twice),
        cmocka_unit_test(test_failed_ones_come_last),
        cmocka_unit_test(test_counts_survive_publishing),
        cmocka_unit_test(test_reservations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
