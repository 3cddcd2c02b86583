#include "testing.h"

#include "train/schedule.h"

static void test_shape(void **state) {
    lm_schedule s = {.lr = 1e-3, .min_lr = 1e-4, .warmup_steps = 10, .steps = 111};
    assert_close(lm_schedule_lr(&s, 0), 1e-4, 1e-15, 0);
    assert_close(lm_schedule_lr(&s, 9), 1e-3, 1e-15, 0);
    assert_close(lm_schedule_lr(&s, 10), 1e-3, 1e-15, 0);
    assert_close(lm_schedule_lr(&s, 60), 5.5e-4, 1e-15, 0); /* half way */
    assert_close(lm_schedule_lr(&s, 110), 1e-4, 1e-15, 0);
    for (int64_t i = 11; i < 111; i++)
        assert_true(lm_schedule_lr(&s, i) < lm_schedule_lr(&s, i - 1));
}

static void test_edges(void **state) {
    lm_schedule none = {.lr = 1, .min_lr = 0.5, .warmup_steps = 0, .steps = 1};
    assert_close(lm_schedule_lr(&none, 0), 0.5, 0, 0);
    lm_schedule all = {.lr = 1, .min_lr = 0, .warmup_steps = 4, .steps = 4};
    assert_close(lm_schedule_lr(&all, 3), 1, 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shape), cmocka_unit_test(test_edges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
