#include "testing.h"

#include "serve/json_text.h"
#include "serve/metrics.h"

static void expect_lines(lm_buf *text, const char *const *lines) {
    for (; *lines; lines++)
        if (!strstr(lm_buf_cstr(text), *lines))
            fail_msg("'%s' is not in:\n%s", *lines, lm_buf_cstr(text));
}

static void test_exposition(void **state) {
    lm_metrics metrics;
    lm_metrics_init(&metrics);
    lm_histogram_observe(&metrics.first_token, 0.003);
    lm_histogram_observe(&metrics.first_token, 0.05);
    lm_histogram_observe(&metrics.first_token, 1000);
    lm_metrics_count_request(&metrics, LM_ENDPOINT_CHAT, 200);
    lm_metrics_count_request(&metrics, LM_ENDPOINT_CHAT, 200);
    lm_metrics_count_request(&metrics, LM_ENDPOINT_CHAT, 429);
    lm_engine_stats stats = {.n_active = 3, .n_blocks = 10, .n_free_blocks = 4};
    lm_buf text;
    lm_buf_init(&text, 1 << 20);
    lm_metrics_write(&metrics, &stats, &text);
    expect_lines(&text,
                 (
                     const char *const[]){"# TYPE loam_time_to_first_token_seconds histogram\n",
                                          "loam_time_to_first_token_seconds_bucket{le=\"0.005\"} "
                                          "1\n",
                                          "loam_time_to_first_token_seconds_bucket{le=\"0.05\"} "
                                          "2\n", /* a bound belongs to its bucket */
                                          "loam_time_to_first_token_seconds_bucket{le=\"60\"} 2\n",
                                          "loam_time_to_first_token_seconds_bucket{le=\"+Inf\"} "
                                          "3\n",
                                          "loam_time_to_first_token_seconds_count 3\n",
                                          "loam_requests_total{endpoint=\"chat_completions\","
                                          "status=\"200\"} 2\n",
                                          "loam_requests_total{endpoint=\"chat_completions\","
                                          "status=\"429\"} 1\n",
                                          "loam_sequences_running 3\n", "loam_kv_blocks_used 6\n",
                                          NULL});
    lm_buf_deinit(&text);
}

static void test_json_text(void **state) {
    lm_buf out;
    lm_buf_init(&out, 1000);
    lm_json_text_write(&out, LM_STR("a\"b\\c\n\t\x01\x7f \xc3\xa4 \xf0\x9f\x98\x80 \xff\xc3"));
    assert_string_equal(
        lm_buf_cstr(&out),
        "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f \xc3\xa4 \xf0\x9f\x98\x80 \xef\xbf\xbd\xef\xbf\xbd\"");
    lm_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exposition),
                                       cmocka_unit_test(test_json_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
