#include "testing.h"

#include "cloud/money.h"

static int64_t charge(lm_u128 quantity, int64_t price, lm_u128 divisor) {
    int64_t micros = -1;
    assert_ok(lm_money_charge(quantity, price, divisor, &micros, &err));
    return micros;
}

static void test_rounds_half_to_even(void **state) {
    assert_int_equal(charge(1, 5, 10), 0);
    assert_int_equal(charge(3, 5, 10), 2);
    assert_int_equal(charge(5, 5, 10), 2);
    assert_int_equal(charge(7, 5, 10), 4);
    assert_int_equal(charge(51, 1, 100), 1);
    assert_int_equal(charge(0, INT64_MAX, 1), 0);
}

static void test_wide_products_are_exact(void **state) {
    lm_u128 wide = (lm_u128)INT64_MAX * INT64_MAX;
    assert_int_equal(charge(wide, 1, (lm_u128)INT64_MAX), INT64_MAX);
    assert_int_equal(charge(wide, INT64_MAX, wide), INT64_MAX); /* 189 bits in between */
    int64_t micros;
    assert_status(LOAM_LIMIT, lm_money_charge(wide, INT64_MAX, 1, &micros, &err));
    assert_status(LOAM_LIMIT, lm_money_charge(INT64_MAX, 2, 1, &micros, &err));
}

static void test_texts(void **state) {
    char text[LM_MONEY_TEXT_BYTES];
    lm_money_format(63863013698, "CNY", text);
    assert_string_equal(text, "63,863.01 CNY");
    lm_money_format(0, "CNY", text);
    assert_string_equal(text, "0.00 CNY");
    lm_money_format(-5000, NULL, text);
    assert_string_equal(text, "-0.005");
    lm_money_format(9999, "CNY", text);
    assert_string_equal(text, "0.009999 CNY");
    lm_money_format(10000, "CNY", text);
    assert_string_equal(text, "0.01 CNY");
    lm_money_format(15000, NULL, text);
    assert_string_equal(text, "0.02");
    lm_money_format(INT64_MIN, NULL, text);
    assert_string_equal(text, "-9,223,372,036,854.78");
    lm_money_format_exact(-1234567, text);
    assert_string_equal(text, "-1.234567");
    lm_money_format_full(-1230000, text);
    assert_string_equal(text, "-1.23");
    lm_money_format_full(63863013698, text);
    assert_string_equal(text, "63863.013698");
    lm_i64_format_grouped(INT64_MIN, text);
    assert_string_equal(text, "-9,223,372,036,854,775,808");
    lm_u128_format_scaled((lm_u128)5 * 1000000000000000000, 3600000000000000000, 4, text);
    assert_string_equal(text, "1.3888");
}

static void test_parsing(void **state) {
    static const struct {
        const char *text;
        int64_t micros; /* -1: refused */
    } cases[] = {{"120000", 120000000000},
                 {"0.5", 500000},
                 {"1,250.25", 1250250000},
                 {".25", 250000},
                 {"0.1234567", -1},
                 {"", -1},
                 {".", -1},
                 {"-1", -1},
                 {"1.2.3", -1},
                 {"12a", -1},
                 {"9223372036854.775807", INT64_MAX},
                 {"9223372036854.775808", -1}};
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++) {
        int64_t micros = -1;
        loam_status status = lm_money_parse(cases[i].text, &micros, NULL);
        assert_int_equal(micros, cases[i].micros);
        assert_int_equal(status, cases[i].micros < 0 ? LOAM_INVALID : LOAM_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds_half_to_even), cmocka_unit_test(test_wide_products_are_exact),
        cmocka_unit_test(test_texts), cmocka_unit_test(test_parsing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
