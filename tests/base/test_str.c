#include "testing.h"

#include "base/str.h"

static void test_numbers(void **state) {
    int64_t i;
    uint64_t u;
    double d;
    assert_true(lm_str_to_i64(LM_STR("-9223372036854775808"), &i));
    assert_true(i == INT64_MIN);
    assert_false(lm_str_to_i64(LM_STR("9223372036854775808"), &i));
    assert_false(lm_str_to_i64(LM_STR(""), &i));
    assert_false(lm_str_to_i64(LM_STR("12a"), &i));
    assert_true(lm_str_to_u64(LM_STR("18446744073709551615"), &u));
    assert_false(lm_str_to_u64(LM_STR("18446744073709551616"), &u));
    assert_true(lm_str_to_f64(LM_STR("-2.5e3"), &d));
    assert_true(d == -2500.0);
    assert_false(lm_str_to_f64(LM_STR("nan"), &d));
    assert_false(lm_str_to_f64(LM_STR("1e999"), &d));
    assert_false(lm_str_to_f64(LM_STR("1,5"), &d));
}

static void test_nearest(void **state) {
    const char *const names[] = {"learning_rate", "batch_size", "steps"};
    assert_string_equal(lm_str_nearest("lerning_rate", names, 3), "learning_rate");
    assert_string_equal(lm_str_nearest("step", names, 3), "steps");
    assert_null(lm_str_nearest("completely_else", names, 3));
    assert_int_equal(lm_str_distance(LM_STR("kitten"), LM_STR("sitting")), 3);
}

static void test_buf_limit(void **state) {
    lm_buf buf;
    lm_buf_init(&buf, 8);
    lm_buf_puts(&buf, "12345");
    lm_buf_printf(&buf, "%d", 678);
    assert_int_equal(buf.status, LOAM_OK);
    lm_buf_putc(&buf, '9');
    assert_status(LOAM_LIMIT, lm_buf_status(&buf, &err));
    assert_string_equal(lm_buf_cstr(&buf), "12345678");
    lm_buf_deinit(&buf);
}

static void test_buf_out_of_memory(void **state) {
    lm_buf buf;
    lm_buf_init(&buf, SIZE_MAX / 2);
    lm_mem_fail_after(1);
    lm_buf_puts(&buf, "x");
    assert_status(LOAM_NO_MEMORY, lm_buf_status(&buf, &err));
    assert_string_equal(lm_buf_cstr(&buf), "");
    lm_buf_deinit(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_buf_limit),
        cmocka_unit_test(test_buf_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
