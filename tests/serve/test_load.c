/* The load client against a stub that answers what the request says: what it counts, and what it takes for a failure. */
#include "net/net_fixture.h"

#include "base/json.h"
#include "serve/load.h"

enum { N_EVENTS = 3, N_TOKENS = 5 };

/* The model's name says how the stub behaves. */
static void answer(lm_http_request *request, void *arg) {
    json_t *body;
    assert_ok(lm_json_parse(lm_http_request_body(request), "body", &body, &err));
    lm_str model;
    assert_ok(lm_json_str(body, "body", "model", &model, &err));
    size_t n_prompt = json_array_size(json_object_get(body, "prompt"));
    if (n_prompt < 4 || n_prompt > 6 || lm_str_is(model, "refuse")) {
        lm_http_reply(request, 500, "application/json", LM_STR("{}"));
    } else {
        lm_http_stream_begin(request, 200, "text/event-stream");
        for (int i = 0; i < N_EVENTS && !lm_str_is(model, "silent"); i++)
            lm_http_stream_send_event(request, LM_STR("{\"choices\":[{\"text\":\"x\"}]}"));
        if (lm_str_is(model, "usage"))
            lm_http_stream_send_event(
                request, LM_STR("{\"choices\":[],\"usage\":{\"completion_tokens\":5}}"));
        if (lm_str_is(model, "error"))
            lm_http_stream_send_event(request, LM_STR("{\"error\":{\"message\":\"cut off\"}}"));
        lm_http_stream_send_event(request, LM_STR("[DONE]"));
        lm_http_stream_end(request);
    }
    json_decref(body);
}

static lm_load_result load(const char *model) {
    static const lm_http_route routes[] = {{"POST", "/v1/completions", answer, NULL}};
    net_fixture fixture;
    net_fixture_start(&fixture, &(lm_http_server_options){.host = "127.0.0.1",
                                                          .routes = routes,
                                                          .n_routes = LM_COUNT_OF(routes)});
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", fixture.port);
    lm_load_options options = {.url = url,
                               .model = model,
                               .n_clients = 4,
                               .n_requests = 10,
                               .min_prompt_tokens = 4,
                               .max_prompt_tokens = 6,
                               .answer_tokens = N_TOKENS,
                               .vocab_size = 100};
    lm_load_result result;
    assert_ok(lm_load_run(&options, &result, &err));
    net_fixture_stop(&fixture);
    return result;
}

static void test_counts(void **state) {
    lm_load_result r = load("usage");
    assert_int_equal(r.n_done, 10);
    assert_int_equal(r.n_failed, 0);
    assert_int_equal(r.answer_tokens, 10 * N_TOKENS);
    assert_in_range(r.prompt_tokens, 10 * 4, 10 * 6);
    assert_true(r.seconds > 0 && r.ttft.p50_ms > 0 && r.ttft.p99_ms >= r.ttft.p50_ms);
    assert_true(r.request.p50_ms >= r.ttft.p50_ms);
    assert_int_equal(load("events").answer_tokens, 10 * N_EVENTS);
}

static void test_failures(void **state) {
    static const char *const cases[][2] = {{"refuse", "the server answered 500"},
                                           {"silent", "an answer has no text"},
                                           {"error", "cut off"}};
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++) {
        lm_load_result r = load(cases[i][0]);
        assert_int_equal(r.n_failed, 10);
        assert_int_equal(r.n_done, 0);
        assert_string_equal(r.failure, cases[i][1]);
    }
}

static void test_nobody_there(void **state) {
    lm_load_options options = {.url = "http://127.0.0.1:1",
                               .model = "x",
                               .n_clients = 2,
                               .n_requests = 3,
                               .min_prompt_tokens = 1,
                               .max_prompt_tokens = 1,
                               .answer_tokens = 1,
                               .vocab_size = 100};
    lm_load_result r;
    assert_ok(lm_load_run(&options, &r, &err));
    assert_int_equal(r.n_failed, 3);
    options.n_clients = 0;
    assert_status(LOAM_INVALID, lm_load_run(&options, &r, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_nobody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
