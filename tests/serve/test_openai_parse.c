#include "testing.h"

#include "serve/openai_chat.h"

enum { N_VOCAB = 1000 };

static const lm_sampler_options DEFAULTS = LM_SAMPLER_DEFAULTS;

/* Parses; on refusal returns false with g_error set. */
static lm_api_error g_error;
static lm_api_request g_request;

static lm_chat *g_chat;

static bool parse(bool chat, const char *body) {
    g_error = (lm_api_error){0};
    return lm_api_request_parse(lm_str_of(body), chat ? g_chat : NULL, &DEFAULTS, N_VOCAB,
                                &g_request, &g_error) == LOAM_OK;
}

static void expect_ok(bool chat, const char *body) {
    if (!parse(chat, body)) fail_msg("'%s' refused: %s", body, g_error.message);
}

static void expect_refused(bool chat, const char *body, const char *param, const char *text) {
    if (parse(chat, body)) fail_msg("'%s' accepted", body);
    assert_int_equal(g_error.http_status, 400);
    if (strcmp(g_error.param, param) != 0 || !strstr(g_error.message, text))
        fail_msg("'%s' gave param '%s': '%s'", body, g_error.param, g_error.message);
}

#define COMPLETION(fields) "{\"model\":\"m\",\"prompt\":\"p\"," fields "}"
#define CHAT(fields) \
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"c\"}]," fields "}"

static void test_everything_in_a_completion(void **state) {
    expect_ok(
        false,
        COMPLETION(
            "\"n\":3,\"max_tokens\":7,\"temperature\":0.5,\"top_p\":0.9,\"top_k\":40,\"min_p\":0.1,"
            "\"frequency_penalty\":-1,\"presence_penalty\":2,\"repetition_penalty\":1.1,\"seed\":-"
            "5,"
            "\"stop\":[\"a\",\"bc\"],\"stream\":true,\"stream_options\":{\"include_usage\":true},"
            "\"logprobs\":4,\"logit_bias\":{\"12\":-100,\"999\":3.5},\"ignore_eos\":true,"
            "\"user\":\"u\",\"best_of\":1,\"suffix\":null,\"echo\":false"));
    assert_int_equal(g_request.n, 3);
    assert_int_equal(g_request.max_tokens, 7);
    assert_close(g_request.sampling.temperature, 0.5, 1e-6, 0);
    assert_int_equal(g_request.sampling.top_k, 40);
    assert_int_equal(g_request.sampling.seed, (uint64_t)-5);
    assert_int_equal(g_request.n_stops, 2);
    assert_true(lm_str_is(g_request.stops[1], "bc"));
    assert_true(g_request.stream && g_request.include_usage && g_request.ignore_end);
    assert_true(g_request.sampling.logprobs);
    assert_int_equal(g_request.sampling.n_top_logprobs, 4);
    assert_int_equal(g_request.sampling.n_biases, 2);
    lm_api_request_deinit(&g_request);
}

static void test_defaults(void **state) {
    expect_ok(false, "{\"model\":\"m\",\"prompt\":\"p\",\"temperature\":null}");
    assert_int_equal(g_request.max_tokens, 16);
    assert_int_equal(g_request.n, 1);
    assert_close(g_request.sampling.temperature, 1, 0, 0);
    assert_false(g_request.stream || g_request.echo || g_request.sampling.logprobs);
    lm_api_request_deinit(&g_request);
    expect_ok(true, CHAT("\"n\":1"));
    assert_int_equal(g_request.max_tokens, INT64_MAX);
    lm_api_request_deinit(&g_request);
    expect_ok(false, COMPLETION("\"top_p\":0"));
    assert_int_equal(g_request.sampling.top_k, 1);
    lm_api_request_deinit(&g_request);
}

static void test_prompt_kinds(void **state) {
    expect_ok(false, "{\"model\":\"m\",\"prompt\":[1,2,3]}");
    assert_int_equal(g_request.prompts.len, 1);
    assert_int_equal(g_request.prompts.ptr[0].n_ids, 3);
    lm_api_request_deinit(&g_request);
    expect_ok(false, "{\"model\":\"m\",\"prompt\":[\"a\",[7],\"\"]}");
    assert_int_equal(g_request.prompts.len, 3);
    assert_int_equal(g_request.prompts.ptr[1].ids[0], 7);
    lm_api_request_deinit(&g_request);
    expect_refused(false, "{\"model\":\"m\"}", "prompt", "missing");
    expect_refused(false, "{\"model\":\"m\",\"prompt\":[]}", "prompt", "empty");
    expect_refused(false, "{\"model\":\"m\",\"prompt\":[[]]}", "prompt", "must be");
    expect_refused(false, "{\"model\":\"m\",\"prompt\":[1,\"a\"]}", "prompt", "at 1");
    expect_refused(false, "{\"model\":\"m\",\"prompt\":[-1]}", "prompt", "-1");
    expect_refused(false, "{\"model\":\"m\",\"prompt\":[1000]}", "prompt", "1000");
    expect_refused(false, "{\"model\":\"m\",\"prompt\":{}}", "prompt", "must be");
}

static void expect_text(size_t message, const char *key, const char *text) {
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(g_request.talk.messages, message), key)),
        text);
}

static void test_messages(void **state) {
    expect_ok(true,
              "{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":[{\"type\":"
              "\"text\",\"text\":\"a\"},"
              "{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\",\"content\":null}]}");
    expect_text(0, "role", "system");
    expect_text(0, "content", "ab");
    expect_text(1, "content", "");
    lm_api_request_deinit(&g_request);
    expect_refused(true, "{\"model\":\"m\",\"messages\":[]}", "messages", "at least one");
    expect_refused(true, "{\"model\":\"m\",\"messages\":[7]}", "messages[0]", "object");
    expect_refused(true, "{\"model\":\"m\",\"messages\":[{\"role\":\"king\",\"content\":\"\"}]}",
                   "messages[0]", "king");
    expect_refused(true, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", "messages[0]",
                   "content");
    expect_refused(true,
                   "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
                   "\"image_url\"}]}]}",
                   "messages[0]", "type 'text'");
}

static void test_calls_and_tools(void **state) {
    expect_ok(true,
              "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"c\"},{\"role\":"
              "\"assistant\",\"content\":null,\"reasoning_content\":\"r\",\"tool_calls\":["
              "{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{"
              "\\\"a\\\":1}\"}},"
              "{\"function\":{\"name\":\"g\",\"arguments\":\"\"}},{\"function\":{\"name\":\"h\","
              "\"arguments\":\"[\"}}]},"
              "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":[{\"type\":\"text\",\"text\":"
              "\"5\"}]}],"
              "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":"
              "\"auto\",\"reasoning_effort\":\"low\","
              "\"chat_template_kwargs\":{\"enable_thinking\":false,\"tools\":[]},\"documents\":[{"
              "\"title\":\"t\",\"text\":\"x\"}],\"add_generation_prompt\":false}");
    const json_t *answer = json_array_get(g_request.talk.messages, 1),
                 *calls = json_object_get(answer, "tool_calls");
    const char *const arguments[] = {"{\"a\":1}", "{}", "\"[\""};
    assert_true(json_is_null(json_object_get(answer, "content")));
    for (size_t i = 0; i < 3; i++) {
        char *text = json_dumps(
            json_object_get(json_object_get(json_array_get(calls, i), "function"), "arguments"),
            JSON_COMPACT | JSON_ENCODE_ANY);
        assert_string_equal(text, arguments[i]);
        free(text);
    }
    expect_text(2, "content", "5");
    assert_int_equal(json_array_size(g_request.talk.tools), 1);
    assert_int_equal(json_array_size(g_request.talk.documents), 1);
    assert_true(json_is_false(json_object_get(g_request.talk.variables, "enable_thinking")));
    assert_null(json_object_get(g_request.talk.variables, "tools"));
    assert_string_equal(
        json_string_value(json_object_get(g_request.talk.variables, "reasoning_effort")), "low");
    assert_true(g_request.talk.no_generation_prompt);
    assert_true(lm_api_retry_talk(&g_request, 1));
    assert_null(json_object_get(json_array_get(g_request.talk.messages, 1), "content"));
    assert_true(lm_api_retry_talk(&g_request, 2));
    expect_text(1, "content", "");
    assert_false(lm_api_retry_talk(&g_request, 1));
    lm_api_request_deinit(&g_request);
    expect_ok(true, CHAT("\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"none\""));
    assert_null(g_request.talk.tools);
    lm_api_request_deinit(&g_request);
}

static void test_wrong_values_are_named(void **state) {
    expect_refused(false, "nonsense", "", "not valid JSON");
    expect_refused(false, "[1]", "", "object");
    expect_refused(false, "{\"prompt\":\"p\"}", "model", "string");
    expect_refused(false, "{\"model\":\"m\",\"model\":\"m\",\"prompt\":\"\"}", "", "duplicate");
    expect_refused(false, COMPLETION("\"temperature\":2.1"), "temperature", "from 0 to 2, not 2.1");
    expect_refused(false, COMPLETION("\"temperature\":\"hot\""), "temperature", "number");
    expect_refused(false, COMPLETION("\"top_p\":-0.1"), "top_p", "from 0 to 1");
    expect_refused(false, COMPLETION("\"max_tokens\":0"), "max_tokens", "from 1");
    expect_refused(false, COMPLETION("\"max_tokens\":1.5"), "max_tokens", "integer");
    expect_refused(false, COMPLETION("\"n\":129"), "n", "from 1 to 128");
    expect_refused(false, COMPLETION("\"stream\":1"), "stream", "true or false");
    expect_refused(false, COMPLETION("\"stream_options\":{}"), "stream_options", "'stream'");
    expect_refused(false, COMPLETION("\"stop\":[1]"), "stop", "string");
    expect_refused(false, COMPLETION("\"stop\":\"\""), "stop", "bytes");
    expect_refused(false, COMPLETION("\"logit_bias\":{\"x\":1}"), "logit_bias", "'x'");
    expect_refused(false, COMPLETION("\"logit_bias\":{\"1\":101}"), "logit_bias", "-100 to 100");
    expect_refused(false, COMPLETION("\"logprobs\":true"), "logprobs", "integer");
    expect_refused(true, CHAT("\"logprobs\":2"), "logprobs", "true or false");
    expect_refused(true, CHAT("\"top_logprobs\":2"), "top_logprobs", "'logprobs'");
}

static void test_fields_out_of_place(void **state) {
    expect_refused(false, COMPLETION("\"temprature\":1"), "temprature",
                   "did you mean 'temperature'");
    expect_refused(false, COMPLETION("\"messages\":[]"), "messages", "endpoint");
    expect_refused(true, CHAT("\"echo\":true"), "echo", "endpoint");
    expect_refused(true, CHAT("\"tools\":[{}]"), "tools", "tools[0]");
    expect_refused(true, CHAT("\"tools\":{}"), "tools", "list");
    expect_refused(true, CHAT("\"tool_choice\":\"required\""), "tool_choice", "not supported");
    expect_refused(true, CHAT("\"chat_template_kwargs\":[]"), "chat_template_kwargs", "object");
    expect_refused(true,
                   "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]}",
                   "messages[0]", "function");
    expect_refused(false, COMPLETION("\"tools\":[]"), "tools", "endpoint");
    expect_refused(true, CHAT("\"response_format\":{\"type\":\"json_object\"}"), "response_format",
                   "not supported");
    expect_refused(false, COMPLETION("\"echo\":true,\"logprobs\":1"), "echo", "logprobs");
    expect_ok(true, CHAT("\"tools\":[],\"tool_choice\":\"none\",\"response_format\":{\"type\":"
                         "\"text\"},\"store\":true"));
    lm_api_request_deinit(&g_request);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_everything_in_a_completion),
                                       cmocka_unit_test(test_defaults),
                                       cmocka_unit_test(test_prompt_kinds),
                                       cmocka_unit_test(test_messages),
                                       cmocka_unit_test(test_calls_and_tools),
                                       cmocka_unit_test(test_wrong_values_are_named),
                                       cmocka_unit_test(test_fields_out_of_place)};
    assert_ok(lm_chat_new(LM_STR("{{ messages }}"), NULL, &g_chat, &err));
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    lm_chat_free(g_chat);
    return n_failed;
}
