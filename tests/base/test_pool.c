#include "testing.h"

#include <stdatomic.h>

#include "base/pool.h"

enum { N = 100003 };

typedef struct job {
    lm_pool *pool;
    int64_t squares[N];
    int64_t partial[LM_POOL_MAX_THREADS];
    int64_t sums[LM_POOL_MAX_THREADS]; /* every thread's view of the total after the barrier */
} job;

static void square_and_sum(void *arg, int thread, int n_threads) {
    job *j = arg;
    lm_range range = lm_range_split(N, 16, thread, n_threads);
    int64_t sum = 0;
    for (int64_t i = range.begin; i < range.end; i++) sum += j->squares[i] = i * i % 1000;
    j->partial[thread] = sum;
    lm_pool_barrier(j->pool);
    int64_t total = 0;
    for (int t = 0; t < n_threads; t++) total += j->partial[t];
    j->sums[thread] = total;
}

static void test_run_and_barrier(void **state) {
    job *j = lm_calloc(1, sizeof *j);
    int64_t expected = 0;
    for (int64_t i = 0; i < N; i++) expected += i * i % 1000;
    for (int n = 1; n <= 5; n++) {
        assert_ok(lm_pool_new(n, &j->pool, &err));
        for (int round = 0; round < 200; round++) {
            lm_pool_run(j->pool, square_and_sum, j);
            for (int t = 0; t < n; t++) assert_int_equal(j->sums[t], expected);
        }
        lm_pool_free(j->pool);
    }
    lm_free(j);
}

typedef struct meeting {
    lm_pool *pool;
    int64_t n_alone, arrivals; /* arrivals: of all threads in all rounds */
    _Atomic int64_t n_came;
    bool wrong;
} meeting;

/* Whoever comes last sees all that came, and no one goes on before it is through. */
static void count_meeting(void *arg) {
    meeting *m = arg;
    int n_threads = lm_pool_n_threads(m->pool);
    m->arrivals = atomic_load(&m->n_came);
    m->wrong |= m->arrivals != ++m->n_alone * n_threads;
}

static void meet_often(void *arg, int thread, int n_threads) {
    meeting *m = arg;
    for (int64_t round = 1; round <= 100; round++) {
        atomic_fetch_add(&m->n_came, 1);
        lm_pool_meet(m->pool, count_meeting, m);
        if (m->n_alone < round || m->arrivals < round * n_threads) m->wrong = true;
    }
}

static void test_meet(void **state) {
    for (int n = 1; n <= 4; n++) {
        meeting m = {0};
        assert_ok(lm_pool_new(n, &m.pool, &err));
        lm_pool_run(m.pool, meet_often, &m);
        assert_false(m.wrong);
        assert_int_equal(m.n_alone, 100);
        lm_pool_free(m.pool);
    }
}

static void test_split_covers(void **state) {
    for (int64_t n = 0; n < 70; n++) {
        for (int n_threads = 1; n_threads < 9; n_threads++) {
            int64_t at = 0;
            for (int t = 0; t < n_threads; t++) {
                lm_range r = lm_range_split(n, 8, t, n_threads);
                assert_int_equal(r.begin, at);
                assert_true(r.end >= r.begin);
                at = r.end;
            }
            assert_int_equal(at, n);
        }
    }
}

static void test_limits(void **state) {
    lm_pool *pool;
    assert_status(LOAM_INVALID, lm_pool_new(-1, &pool, &err));
    assert_status(LOAM_INVALID, lm_pool_new(LM_POOL_MAX_THREADS + 1, &pool, &err));
    lm_pool_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_and_barrier),
        cmocka_unit_test(test_meet),
        cmocka_unit_test(test_split_covers),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
