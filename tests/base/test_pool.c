#include "testing.h"

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
        cmocka_unit_test(test_split_covers),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
