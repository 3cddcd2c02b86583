#include "testing.h"

#include <pthread.h>
#include <signal.h>

#include "base/clock.h"
#include "net/loop.h"

typedef struct counts {
    lm_loop *loop;
    int64_t posted, ticks, signals;
    int64_t last;
    bool ordered;
    lm_timer *timer;
} counts;

static counts g;

static void setup_counts(void) {
    g = (counts){.ordered = true, .last = -1};
    assert_ok(lm_loop_new(&g.loop, &err));
}

static void stop(void *arg) {
    lm_loop_stop(g.loop);
}

static void count_post(void *arg) {
    if ((intptr_t)arg <= g.last) g.ordered = false;
    g.last = (intptr_t)arg;
    g.posted++;
}

static void *post_many(void *arg) {
    for (intptr_t i = 0; i < 10000; i++)
        if (lm_loop_post(g.loop, count_post, (void *)i, NULL) != LOAM_OK) abort();
    if (lm_loop_post(g.loop, stop, NULL, NULL) != LOAM_OK) abort();
    return NULL;
}

static void test_posts_from_a_thread_run_in_order(void **state) {
    pthread_t thread;
    setup_counts();
    assert_int_equal(pthread_create(&thread, NULL, post_many, NULL), 0);
    assert_ok(lm_loop_run(g.loop, &err));
    pthread_join(thread, NULL);
    assert_int_equal(g.posted, 10000);
    assert_true(g.ordered);
    lm_loop_free(g.loop);
}

static void post_again(void *arg) {
    if (++g.posted < 5)
        assert_ok(lm_loop_post(g.loop, post_again, NULL, &err));
    else
        lm_loop_stop(g.loop);
}

static void test_post_from_a_callback(void **state) {
    setup_counts();
    assert_ok(lm_loop_post(g.loop, post_again, NULL, &err));
    assert_ok(lm_loop_run(g.loop, &err));
    assert_int_equal(g.posted, 5);
    lm_loop_free(g.loop);
}

static void tick(void *arg) {
    if (++g.ticks == 3) {
        lm_timer_free(g.timer);
        g.timer = NULL;
        lm_loop_stop(g.loop);
    }
}

static void test_periodic_timer_freed_in_its_callback(void **state) {
    setup_counts();
    int64_t start = lm_clock_mono_ns();
    assert_ok(lm_timer_new(g.loop, 1, 5, tick, NULL, &g.timer, &err));
    assert_ok(lm_loop_run(g.loop, &err));
    assert_int_equal(g.ticks, 3);
    assert_true(lm_clock_mono_ns() - start >= 10 * 1000000);
    lm_loop_free(g.loop);
}

static void count_signal(void *arg) {
    g.signals++;
    lm_loop_stop(g.loop);
}

static void raise_signal(void *arg) {
    raise(SIGUSR1);
}

static void test_signal(void **state) {
    setup_counts();
    assert_ok(lm_loop_on_signal(g.loop, SIGUSR1, count_signal, NULL, &err));
    assert_ok(lm_loop_post(g.loop, raise_signal, NULL, &err));
    assert_ok(lm_loop_run(g.loop, &err));
    assert_int_equal(g.signals, 1);
    lm_loop_free(g.loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_posts_from_a_thread_run_in_order),
                                       cmocka_unit_test(test_post_from_a_callback),
                                       cmocka_unit_test(test_periodic_timer_freed_in_its_callback),
                                       cmocka_unit_test(test_signal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
