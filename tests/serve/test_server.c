/* The whole server in this process, on a thread of its own, with a real small model: what one client gets does not depend
 * on the others, nobody's fault takes it down, and it drains. For sanitizers; OpenAI's own client is in tests/api. */
#include "serve/live_server.h"

#include "base/usage_journal.h"

enum { N_CLIENTS = 64 };

static int setup(void **state) {
    if (!test_data_dir()) return 0;
    char *path = lm_asprintf("%s/models/stories260K", test_data_dir());
    live_open(path);
    lm_free(path);
    return 0;
}

static int teardown(void **state) {
    if (test_data_dir()) live_close();
    return 0;
}

static void start(lm_serve_options options) {
    if (!test_data_dir()) skip(); /* LOAM_TEST_DATA with models/stories260K */
    live_start(options, "story");
}

static void fill(live_client *c, int i) {
    snprintf(c->body, sizeof c->body,
             "{\"model\":\"story\",\"prompt\":\"%s number %d "
             "said\",\"max_tokens\":%d,\"temperature\":%s,\"seed\":%d,\"logprobs\":2}",
             i % 2 ? "The little dog" : "One", i, 8 + i % 20, i % 3 ? "0" : "1.5", i);
}

static void test_company_changes_no_bit(void **state) {
    static live_client alone[N_CLIENTS], together[N_CLIENTS];
    start((lm_serve_options){.journal = g_live.journal});
    for (int i = 0; i < N_CLIENTS; i++) {
        fill(&alone[i], i);
        fill(&together[i], i);
        live_client_main(&alone[i]);
        assert_int_equal(alone[i].http_status, 200);
    }
    live_check_company(together, alone, N_CLIENTS);
    live_stop();
    static lm_usage_record records[2 * N_CLIENTS + 1];
    int64_t cursor = 0, n;
    assert_ok(
        lm_usage_journal_read(g_live.journal, &cursor, records, LM_COUNT_OF(records), &n, &err));
    assert_int_equal(n, 2 * N_CLIENTS);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(records[i].finished, 1);
        assert_true(records[i].flops > 0 && records[i].prompt_tokens > 0);
    }
}

/* Prompts shared between choices, and far fewer blocks than all want: blocks are copied, sequences preempted and computed
 * again, and everybody gets what they get alone. */
static void test_few_blocks_and_shared_prompts(void **state) {
    enum { N = 24 };
    static live_client roomy[N], tight[N];
    start((lm_serve_options){.max_context = 128});
    for (int i = 0; i < N; i++) {
        snprintf(roomy[i].body, sizeof roomy[i].body,
                 "{\"model\":\"story\",\"prompt\":\"Tom saw "
                 "%.*s\",\"n\":4,\"max_tokens\":%d,\"seed\":%d,\"ignore_eos\":true}",
                 i, "a big red ball and a small dog", 40 + i, i);
        live_client_main(&roomy[i]);
        assert_int_equal(roomy[i].http_status, 200);
        tight[i] = roomy[i];
    }
    live_stop();
    start((lm_serve_options){.max_context = 128, .n_blocks = 9, .max_seqs = 12});
    live_check_company(tight, roomy, N);
    int http_status;
    char *metrics = live_ask("/metrics", NULL, &http_status);
    assert_non_null(strstr(metrics, "loam_kv_blocks_used 0\n"));
    assert_null(strstr(metrics, "loam_preemptions_total 0\n"));
    lm_free(metrics);
    live_stop();
}

static bool leave_at_once(lm_str bytes, void *arg) {
    return false;
}

static void test_clients_that_leave(void **state) {
    start((lm_serve_options){0});
    for (int i = 0; i < 20; i++) {
        char url[128];
        lm_buf answer;
        int http_status;
        snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/completions", g_live.port);
        lm_http_fetch_options options = {
            .method = "POST",
            .url = url,
            .on_body = leave_at_once,
            .body = LM_STR("{\"model\":\"story\",\"prompt\":\"\",\"max_tokens\":400,\"stream\":"
                           "true,\"ignore_eos\":true,\"n\":3}")};
        assert_status(LOAM_CANCELLED, lm_http_fetch(&options, &http_status, &answer, &err));
        lm_buf_deinit(&answer);
    }
    bool all_free = false;
    for (int i = 0; i < 300 && !all_free; i++) {
        int http_status;
        char *metrics = live_ask("/metrics", NULL, &http_status);
        all_free =
            strstr(metrics, "loam_kv_blocks_used 0\n") && strstr(metrics, "status=\"499\"} 20\n");
        lm_free(metrics);
        if (!all_free) lm_clock_sleep_ms(10);
    }
    assert_true(all_free);
    live_stop();
}

static void test_refusals(void **state) {
    start((lm_serve_options){.max_context = 64, .max_seqs = 2});
    live_expect("/v1/completions", "{\"model\":\"other\",\"prompt\":\"\"}", 404,
                "\"code\":\"model_not_found\"");
    live_expect(
        "/v1/completions",
        "{\"model\":\"story\",\"prompt\":\"X X X X X X X X X X X X X X X X X X X X X X X X X X "
        "X X X X X X X X X X X\"}",
        400, "context of 64");
    live_expect("/v1/completions", "{\"model\":\"story\",\"prompt\":\"a\",\"n\":3}", 400,
                "at most 2");
    live_expect("/v1/completions", "{", 400, "not valid JSON");
    live_expect("/v1/chat/completions", "{\"model\":\"story\",\"messages\":\"hello\"}", 400,
                "\"param\":\"messages\"");
    live_expect("/tokenize", "{\"prompt\":1}", 400, "must be a string");
    live_expect("/detokenize", "{\"tokens\":[99999]}", 400, "no token id");
    live_expect("/tokenize", "{\"prompt\":\"a\",\"messages\":[]}", 400, "not both");
    live_expect("/tokenize", "{\"messages\":[]}", 400, "\"param\":\"messages\"");
    live_expect("/tokenize", "{\"messages\":[{\"role\":\"nobody\",\"content\":\"\"}]}", 400,
                "no role");
    live_expect("/tokenize", "[]", 400, "must be a JSON object");
    live_expect("/v1/models/other", NULL, 404, "model_not_found");
    live_expect("/v1/embeddings", "{\"model\":\"story\",\"input\":\"a\"}", 400,
                "gives no embeddings");
    live_expect("/v1/rerank", "{\"model\":\"story\",\"query\":\"a\",\"documents\":[\"b\"]}", 400,
                "gives no scores");
    live_expect("/nowhere", NULL, 404, "\"type\":\"invalid_request_error\"");
    live_expect("/v1/models", NULL, 200, "\"id\":\"story\"");
    live_expect("/health", NULL, 200, "ok");
    live_stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_company_changes_no_bit),
                                       cmocka_unit_test(test_few_blocks_and_shared_prompts),
                                       cmocka_unit_test(test_clients_that_leave),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
