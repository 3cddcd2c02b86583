#include "testing.h"

#include "model/pretokenize.h"

/* Cuts the text and joins the stretches with '|'. */
static void check_steps(const lm_pretokenizer_steps *steps, lm_str text, const char *want) {
    lm_pretokenizer *pretokenizer = NULL;
    lm_pretokens pretokens;
    lm_buf joined;
    lm_buf_init(&joined, 1 << 16);
    lm_pretokens_init(&pretokens);
    assert_ok(lm_pretokenizer_new(steps, true, &pretokenizer, &err));
    assert_ok(lm_pretokenizer_run(pretokenizer, text, true, &pretokens, &err));
    for (size_t i = 0; i < pretokens.stretches.len; i++) {
        lm_stretch stretch = pretokens.stretches.ptr[i];
        if (i) lm_buf_putc(&joined, '|');
        lm_buf_append(&joined, pretokens.text.ptr + stretch.start, stretch.end - stretch.start);
    }
    assert_string_equal(lm_buf_cstr(&joined), want);
    lm_buf_deinit(&joined);
    lm_pretokens_deinit(&pretokens);
    lm_pretokenizer_free(pretokenizer);
}

static void check_cut(const char *name, lm_str text, const char *want) {
    lm_pretokenizer_steps steps = {0};
    const lm_pretokenizer_preset *preset = lm_pretokenizer_find(lm_str_of(name));
    assert_non_null(preset);
    assert_true(lm_pretokenizer_add_preset(preset, &steps));
    check_steps(&steps, text, want);
    lm_vec_deinit(&steps);
}

static void check_split(lm_split_at at, const char *what, lm_split_behavior behavior, bool inverted,
                        const char *text, const char *want) {
    lm_pretokenizer_step step = {.kind = LM_PRETOKENIZER_SPLIT,
                                 .at = at,
                                 .behavior = behavior,
                                 .inverted = inverted,
                                 .text = lm_str_of(what)};
    lm_pretokenizer_steps steps = {.ptr = &step, .len = 1};
    check_steps(&steps, lm_str_of(text), want);
}

/* What tokenizers' documentation of SplitDelimiterBehavior says, and its answers. */
static void test_behaviors(void **state) {
    static const struct {
        lm_split_behavior behavior;
        const char *want, *inverted;
    } rows[] = {
        {LM_SPLIT_ISOLATED, "the|-|final|-|-|countdown", "the|-|final|-|-|countdown"},
        {LM_SPLIT_REMOVED, "the|final|countdown", "-|-|-"},
        {LM_SPLIT_MERGED_WITH_PREVIOUS, "the-|final-|-|countdown", "the|-final|-|-countdown"},
        {LM_SPLIT_MERGED_WITH_NEXT, "the|-final|-|-countdown", "the-|final-|-|countdown"},
        {LM_SPLIT_CONTIGUOUS, "the|-|final|--|countdown", "the|-|final|--|countdown"}};
    for (size_t i = 0; i < LM_COUNT_OF(rows); i++) {
        check_split(LM_SPLIT_AT_TEXT, "-", rows[i].behavior, false, "the-final--countdown",
                    rows[i].want);
        check_split(LM_SPLIT_AT_REGEX, "-", rows[i].behavior, true, "the-final--countdown",
                    rows[i].inverted);
    }
}

static void test_classes(void **state) {
    check_split(LM_SPLIT_AT_SPACE, "", LM_SPLIT_REMOVED, false,
                "a \xe3\x80\x80"
                "b\n",
                "a|b");
    check_split(LM_SPLIT_AT_PUNCTUATION, "", LM_SPLIT_ISOLATED, false, "a,b\xe3\x80\x82$",
                "a|,|b|\xe3\x80\x82|$");
    check_split(LM_SPLIT_AT_NUMERIC, "", LM_SPLIT_CONTIGUOUS, false,
                "a12\xc2\xbd"
                "b",
                "a|12\xc2\xbd|b");
}

/* Spellings of other engines: intersections, scripts, \h, marks in \w; a match of nothing cuts. */
static void test_dialects(void **state) {
    check_split(LM_SPLIT_AT_REGEX, "[\\p{L}&&[^\\p{Han}]]+", LM_SPLIT_ISOLATED, false,
                "ab\xe4\xbd\xa0"
                "cd1",
                "ab|\xe4\xbd\xa0|cd|1");
    check_split(LM_SPLIT_AT_REGEX, "\\p{Han}+", LM_SPLIT_ISOLATED, false,
                "\xe4\xbd\xa0\xe3\x80\x81",
                "\xe4\xbd\xa0|\xe3\x80\x81"); /* U+3001 is used with Han */
    check_split(LM_SPLIT_AT_REGEX, "\\h+", LM_SPLIT_ISOLATED, false, "xaFx", "x|aF|x");
    check_split(LM_SPLIT_AT_REGEX, "\\w+", LM_SPLIT_ISOLATED, false, "e\xcc\x81!", "e\xcc\x81|!");
    check_split(LM_SPLIT_AT_REGEX, "(?=(\\d{3})+(?!\\d))", LM_SPLIT_ISOLATED, false, "1234567",
                "1|234|567");
}

static void test_metaspace(void **state) {
    lm_pretokenizer_step step = {.kind = LM_PRETOKENIZER_METASPACE,
                                 .text = LM_STR("_"),
                                 .scheme = LM_PREPEND_ALWAYS,
                                 .cuts = true};
    lm_pretokenizer_steps steps = {.ptr = &step, .len = 1};
    check_steps(&steps, LM_STR("a b  c"), "_a|_b|_|_c");
    check_steps(&steps, LM_STR(" a"), "_a");
    step.scheme = LM_PREPEND_NEVER;
    step.cuts = false;
    check_steps(&steps, LM_STR("a b"), "a_b");
}

static void test_length(void **state) {
    lm_pretokenizer_step step = {.kind = LM_PRETOKENIZER_LENGTH, .length = 2};
    lm_pretokenizer_steps steps = {.ptr = &step, .len = 1};
    check_steps(&steps,
                LM_STR("a\xc3\xa9"
                       "cde"),
                "a\xc3\xa9|cd|e");
}

/* Every row's patterns compile, and its name is found again. */
static void test_all_presets(void **state) {
    const char *names = lm_pretokenizer_known_names();
    for (const char *name = names, *end; *name; name = *end ? end + 2 : end) {
        end = strchr(name, ',') ? strchr(name, ',') : name + strlen(name);
        lm_pretokenizer_steps steps = {0};
        lm_pretokenizer *pretokenizer = NULL;
        const lm_pretokenizer_preset *preset =
            lm_pretokenizer_find((lm_str){name, (size_t)(end - name)});
        assert_non_null(preset);
        assert_true(lm_pretokenizer_add_preset(preset, &steps));
        assert_ok(lm_pretokenizer_new(&steps, true, &pretokenizer, &err));
        lm_pretokenizer_free(pretokenizer);
        lm_vec_deinit(&steps);
    }
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
    lm_pretokenizer_steps steps = {0};
    assert_null(lm_pretokenizer_find(LM_STR("nobody")));
    assert_true(lm_pretokenizer_add_preset(lm_pretokenizer_find(LM_STR("qwen2")), &steps));
    assert_string_equal(lm_pretokenizer_name_of(&steps), "qwen2");
    steps.ptr[0].inverted = true;
    assert_null(lm_pretokenizer_name_of(&steps));
    lm_vec_deinit(&steps);
    assert_non_null(strstr(lm_pretokenizer_known_names(), "gpt-2, default"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_behaviors),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_dialects),
        cmocka_unit_test(test_metaspace),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_all_presets),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_case_is_ignored_where_it_should),
        cmocka_unit_test(test_white_space_is_unicodes),
        cmocka_unit_test(test_broken_utf8_stands_apart),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
