/* From sampled tokens to text: ends, limits, stop strings and the logprobs that go with the text. */
#include "fake_model.h"

#include "serve/choice.h"

static fake_model g_fake;
static lm_choice g_choice;
static lm_buf g_text, g_scratch;
static lm_sample_vec g_samples;

static void begin(int64_t max_tokens, const lm_str *stops, size_t n_stops, bool ignore_end) {
    static const int32_t prompt[] = {1, 2, 3};
    lm_sampler_options sampling = LM_SAMPLER_DEFAULTS;
    sampling.logprobs = true;
    fake_model_init(&g_fake, 1, 100);
    lm_choice_options options = {.prompt = prompt,
                                 .n_prompt = 3,
                                 .max_tokens = max_tokens,
                                 .ignore_end = ignore_end,
                                 .extra_end = 26,
                                 .stop = {stops, n_stops},
                                 .sampling = &sampling};
    assert_ok(lm_choice_init(&g_choice, &g_fake.base, &options, &err));
    lm_buf_init(&g_text, 1000);
    lm_buf_init(&g_scratch, 1000);
    g_samples = (lm_sample_vec){0};
}

static void end(void) {
    lm_choice_deinit(&g_choice);
    lm_buf_deinit(&g_text);
    lm_buf_deinit(&g_scratch);
    lm_vec_deinit(&g_samples);
}

/* Tokens as letters: 'a' is 1; '.' is the end token 0, 'z' the extra one. Stops with the choice. */
static void say(const char *letters) {
    for (; *letters && g_choice.finish == LM_FINISH_NONE; letters++) {
        lm_sample sample = {.token = *letters == '.' ? 0 : *letters - 'a' + 1};
        lm_choice_output output = {&g_text, &g_samples};
        assert_ok(lm_choice_accept(&g_choice, &g_fake.base, &sample, &g_scratch, output, &err));
    }
}

static void expect(const char *text, size_t n_samples, int64_t n_generated, lm_finish finish) {
    assert_string_equal(lm_buf_cstr(&g_text), text);
    assert_int_equal(g_samples.len, n_samples);
    assert_int_equal(g_choice.n_generated, n_generated);
    assert_int_equal(g_choice.finish, finish);
    end();
}

static void test_ends(void **state) {
    begin(10, NULL, 0, false);
    say("abc.d");
    expect("abc", 3, 3, LM_FINISH_STOP); /* the end token is no text and not counted */
    begin(10, NULL, 0, false);
    say("abz");
    expect("ab", 2, 2, LM_FINISH_STOP);
    begin(10, NULL, 0, true);
    say("ab.z");
    expect("ab.z", 4, 4, LM_FINISH_NONE);
    begin(4, NULL, 0, false);
    say("abcdef");
    expect("abcd", 4, 4, LM_FINISH_LENGTH);
}

static void test_stop_strings(void **state) {
    const lm_str stops[] = {LM_STR("cde")};
    begin(10, stops, 1, false);
    say("abcd");
    assert_string_equal(lm_buf_cstr(&g_text), "ab");
    assert_int_equal(g_samples.len, 2);
    say("e");
    expect("ab", 2, 5, LM_FINISH_STOP);
    begin(10, stops, 1, false);
    say("abcd.");
    expect("abcd", 4, 4, LM_FINISH_STOP); /* what was held is text after all */
    begin(4, stops, 1, false);
    say("abcd");
    expect("abcd", 4, 4, LM_FINISH_LENGTH);
    begin(5, stops, 1, false);
    say("abcde");
    expect("ab", 2, 5, LM_FINISH_STOP); /* complete with the last token allowed */
}

static void test_wrong_sampling_is_refused(void **state) {
    static const int32_t prompt[] = {1};
    lm_sampler_options sampling = LM_SAMPLER_DEFAULTS;
    sampling.temperature = -1;
    lm_choice_options options = {
        .prompt = prompt, .n_prompt = 1, .max_tokens = 1, .sampling = &sampling};
    fake_model_init(&g_fake, 1, 100);
    assert_status(LOAM_INVALID, lm_choice_init(&g_choice, &g_fake.base, &options, &err));
    lm_choice_deinit(&g_choice);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ends),
                                       cmocka_unit_test(test_stop_strings),
                                       cmocka_unit_test(test_wrong_sampling_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
