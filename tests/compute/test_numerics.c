/* The shared arithmetic: how exact lm_exp is, and in which order sums run. */
#include "testing.h"

#include "compute/numerics.h"

static void test_exp_error(void **state) {
    double worst = 0;
    for (float x = -87.3f; x < 88.3f; x += 0.00137f) {
        double exact = exp((double)x),
               spacing = (double)(nextafterf((float)exact, INFINITY) - (float)exact);
        double error = fabs((double)lm_exp(x) - exact) / spacing;
        if (error > worst) worst = error;
    }
    assert_true(worst < 2.0);
    assert_true(lm_exp(0.0f) == 1.0f);
}

static void test_exp_ends(void **state) {
    assert_true(lm_exp(-87.4f) == 0.0f);
    assert_true(lm_exp(-INFINITY) == 0.0f);
    assert_true(isinf(lm_exp(88.4f)) && isinf(lm_exp(INFINITY)));
    assert_true(isnan(lm_exp(NAN)));
    assert_true(lm_sigmoid(-INFINITY) == 0.0f && lm_sigmoid(INFINITY) == 1.0f &&
                lm_sigmoid(0.0f) == 0.5f);
}

/* Lane 3 alone meets 2^24, where adding 1 to a float is lost; any other order would lose or keep
 * others. */
static void test_dot_lanes(void **state) {
    float a[50], ones[50];
    for (int i = 0; i < 50; i++) {
        a[i] = i == 3 ? 0x1p24f : 1.0f;
        ones[i] = 1.0f;
    }
    /* Lane 3 has 2^24 + 1 + 1, each lost. Lanes 0 and 1 have four ones, the rest three: 4+4+3*13
     * = 47, folded as (0+8), ... */
    float lanes[LM_LANES];
    for (int j = 0; j < LM_LANES; j++) lanes[j] = j < 2 ? 4.0f : 3.0f;
    lanes[3] = 0x1p24f;
    assert_true(lm_dot(a, ones, 50) == lm_lanes_fold(lanes));
    assert_true(lm_dot(a, ones, 0) == 0.0f);
    float fold[LM_LANES] = {[0] = 0x1p24f, [8] = 1.0f, [4] = 1.0f, [12] = 1.0f};
    assert_true(lm_lanes_fold(fold) == 0x1p24f + 2.0f); /* (0 + 8) loses 1, (4 + 12) is 2 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp_error),
        cmocka_unit_test(test_exp_ends),
        cmocka_unit_test(test_dot_lanes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
