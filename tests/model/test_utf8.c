#include "testing.h"

#include "model/utf8.h"

static bool is_character(uint32_t code_point) {
    return code_point <= 0x10ffff && (code_point < 0xd800 || code_point > 0xdfff);
}

static void test_every_character(void **state) {
    for (uint32_t code_point = 0; code_point <= 0x10ffff; code_point++) {
        char text[LM_UTF8_MAX_BYTES];
        if (!is_character(code_point)) continue;
        size_t n = lm_utf8_encode(code_point, text);
        if (lm_utf8_char_bytes(text, n) != n || lm_utf8_decode(text, n) != code_point)
            fail_msg("U+%04X does not come back", code_point);
        for (size_t cut = 1; cut < n; cut++) {
            if (lm_utf8_char_bytes(text, cut) != 0 || !lm_utf8_is_cut(text, cut))
                fail_msg("U+%04X cut at %zu", code_point, cut);
        }
    }
}

static void test_what_is_no_character(void **state) {
    static const char *const broken[] = {"\x80",
                                         "\xbf",
                                         "\xc0\x80",
                                         "\xc1\xbf",
                                         "\xe0\x9f\xbf",
                                         "\xed\xa0\x80",
                                         "\xf0\x8f\xbf\xbf",
                                         "\xf4\x90\x80\x80",
                                         "\xf5\x80\x80\x80",
                                         "\xff",
                                         "\xc3"
                                         "a",
                                         "\xe2\x96"
                                         "a"};
    for (size_t i = 0; i < LM_COUNT_OF(broken); i++) {
        size_t n = strlen(broken[i]);
        assert_int_equal(lm_utf8_char_bytes(broken[i], n), 0);
        assert_false(lm_utf8_is_cut(broken[i], n));
    }
}

static void test_runs(void **state) {
    static const char text[] = "a\xc3\xa9\xff\xe2\x96"
                               "b";
    assert_int_equal(lm_utf8_run_bytes(text, 7, true), 3);
    assert_int_equal(lm_utf8_run_bytes(text, 7, false), 0);
    assert_int_equal(lm_utf8_run_bytes(text + 3, 4, false), 3);
    assert_int_equal(lm_utf8_run_bytes(text, 0, true), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_what_is_no_character),
        cmocka_unit_test(test_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
