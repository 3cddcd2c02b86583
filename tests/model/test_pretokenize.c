#include "testing.h"

#include "model/pretokenize.h"

/* Cuts the text and joins the stretches with '|'. */
static void check_cut(const char *name, lm_str text, const char *want) {
    lm_pretokenizer_patterns patterns;
    lm_pretokenizer *pretokenizer = NULL;
    lm_pretokens pretokens = {0};
    lm_buf joined;
    lm_buf_init(&joined, 1 << 16);
    assert_true(lm_pretokenizer_find(lm_str_of(name), &patterns));
    assert_ok(lm_pretokenizer_new(&patterns, &pretokenizer, &err));
    assert_ok(lm_pretokenizer_run(pretokenizer, text, &pretokens, &err));
    size_t start = 0;
    for (size_t i = 0; i < pretokens.ends.len; i++) {
        if (i) lm_buf_putc(&joined, '|');
        lm_buf_append(&joined, text.ptr + start, pretokens.ends.ptr[i] - start);
        start = pretokens.ends.ptr[i];
    }
    assert_int_equal(start, text.len);
    assert_string_equal(lm_buf_cstr(&joined), want);
    lm_buf_deinit(&joined);
    lm_pretokens_deinit(&pretokens);
    lm_pretokenizer_free(pretokenizer);
}

static void test_families(void **state) {
    const lm_str text = LM_STR("I'll PAY 12345 $'s  \n\n now");
    check_cut("gpt-2", text, "I|'ll| PAY| 12345| $'|s|  \n\n| now");
    check_cut("default", text, "I|'|ll| PAY| |123|45| |$'|s|  \n\n| now");
    check_cut("llama-bpe", text, "I|'ll| PAY| |123|45| $'|s|  \n\n| now");
    check_cut("qwen2", text, "I|'ll| PAY| |1|2|3|4|5| $'|s|  \n\n| now");
}

static void test_case_is_ignored_where_it_should(void **state) {
    check_cut("llama-bpe", LM_STR("I'LL"), "I|'LL");
    check_cut("gpt-2", LM_STR("I'LL"), "I|'|LL");
}

/* U+180E is a letter-like mark since Unicode 6.3, no white space. */
static void test_white_space_is_unicodes(void **state) {
    check_cut("gpt-2",
              LM_STR("a\xe1\xa0\x8e"
                     "b"),
              "a|\xe1\xa0\x8e|b");
    check_cut("gpt-2", LM_STR("a\xe1\xa0\x8e!"), "a|\xe1\xa0\x8e!");
    check_cut("gpt-2", LM_STR("a\xe2\x80\x83!"), "a|\xe2\x80\x83|!");
}

static void test_broken_utf8_stands_apart(void **state) {
    check_cut("gpt-2",
              LM_STR("a\xff\xfe"
                     "b \xe2\x96"),
              "a|\xff\xfe|b| |\xe2\x96");
    check_cut("gpt-2", LM_STR(""), "");
}

static void test_names(void **state) {
    lm_pretokenizer_patterns patterns;
    assert_false(lm_pretokenizer_find(LM_STR("nobody"), &patterns));
    assert_true(lm_pretokenizer_find(LM_STR("qwen2"), &patterns));
    assert_string_equal(lm_pretokenizer_name_of(&patterns), "qwen2");
    patterns.n = 0;
    assert_null(lm_pretokenizer_name_of(&patterns));
    assert_non_null(strstr(lm_pretokenizer_known_names(), "gpt-2, default"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_case_is_ignored_where_it_should),
        cmocka_unit_test(test_white_space_is_unicodes),
        cmocka_unit_test(test_broken_utf8_stands_apart),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
