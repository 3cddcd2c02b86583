/* Which positions are kept: the best, the lower ones of equal ones, in order, however they are offered. */
#include "testing.h"

#include <math.h>

#include "base/rng.h"
#include "compute/ops/choose.h"

enum { N = 200 };

/* Whether position i is better than `other`. */
static bool is_better(const float *scores, int i, int other) {
    float a = isnan(scores[i]) ? -INFINITY : scores[i],
          b = isnan(scores[other]) ? -INFINITY : scores[other];
    return a != b ? a > b : i < other;
}

static void check(const float *scores, int most, int step) {
    int32_t at[N];
    float kept[N];
    lm_chosen c = {.at = at, .score = kept, .most = most};
    for (int first = 0; first < N; first += step)
        lm_chosen_offer(&c, scores + first, first, first + step < N ? step : N - first);
    lm_chosen_end(&c);
    assert_int_equal(c.n, most);
    int n = 0;
    for (int i = 0; i < N; i++) {
        int n_better = 0;
        for (int other = 0; other < N; other++) n_better += is_better(scores, other, i);
        if (n_better >= most) continue;
        assert_int_equal(at[n], i);
        assert_true(kept[n] == scores[i] || (isnan(scores[i]) && kept[n] == -INFINITY));
        n++;
    }
    assert_int_equal(n, most);
}

static void check_all(const float *scores) {
    static const int counts[] = {1, 2, 3, 63, 64, 100, N - 1, N};
    for (size_t i = 0; i < LM_COUNT_OF(counts); i++)
        for (int step = 1; step <= N; step = step * 5 + 1) check(scores, counts[i], step);
}

static void test_the_best_are_kept(void **state) {
    float scores[N];
    lm_rng rng;
    lm_rng_init(&rng, 5);
    for (int i = 0; i < N; i++) scores[i] = lm_rng_normal(&rng);
    check_all(scores);
    for (int i = 0; i < N; i++) scores[i] = (float)i;
    check_all(scores);
    for (int i = 0; i < N; i++) scores[i] = (float)-i;
    check_all(scores);
}

static void test_of_equal_ones_the_lower_are(void **state) {
    float scores[N] = {0};
    lm_rng rng;
    check_all(scores);
    lm_rng_init(&rng, 6);
    for (int i = 0; i < N; i++) scores[i] = (float)lm_rng_below(&rng, 4) - 1.0f;
    check_all(scores);
    for (int i = 0; i < N; i++) scores[i] = i % 2 ? 0.0f : -0.0f;
    check_all(scores);
}

static void test_what_is_no_number_is_worst(void **state) {
    float scores[N];
    for (int i = 0; i < N; i++) scores[i] = i % 3 ? (float)(i % 7) : i % 2 ? NAN : -INFINITY;
    scores[150] = INFINITY;
    check_all(scores);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_best_are_kept),
        cmocka_unit_test(test_of_equal_ones_the_lower_are),
        cmocka_unit_test(test_what_is_no_number_is_worst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
