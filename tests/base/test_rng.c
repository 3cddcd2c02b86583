#include "testing.h"

#include "base/rng.h"

static void test_state_continues_the_stream(void **state) {
    lm_rng a, b;
    lm_rng_init(&a, 42);
    for (int i = 0; i < 10; i++) lm_rng_u64(&a);
    b = a;
    for (int i = 0; i < 100; i++) assert_true(lm_rng_u64(&a) == lm_rng_u64(&b));
    lm_rng_init_stream(&a, 42, 0);
    lm_rng_init_stream(&b, 42, 1);
    assert_true(lm_rng_u64(&a) != lm_rng_u64(&b));
}

static void test_moments(void **state) {
    lm_rng rng;
    lm_rng_init(&rng, 7);
    double sum = 0, sum2 = 0;
    enum { N = 200000 };
    for (int i = 0; i < N; i++) {
        double x = lm_rng_normal(&rng);
        sum += x;
        sum2 += x * x;
    }
    assert_close(sum / N, 0, 0.01, 0); /* 4.5 standard errors */
    assert_close(sum2 / N, 1, 0.015, 0);
    int counts[6] = {0};
    for (int i = 0; i < 60000; i++) counts[lm_rng_below(&rng, 6)]++;
    for (int i = 0; i < 6; i++) assert_close(counts[i], 10000, 450, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_state_continues_the_stream),
                                       cmocka_unit_test(test_moments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
