#include "testing.h"

#include <jansson.h>

#include "serve/openai_reply.h"

static const lm_reply_head COMPLETION = {.id = "cmpl-1", .created_s = 7, .model = {"m\"x", 3}};
static const lm_reply_head CHAT = {
    .id = "chatcmpl-1", .chat = true, .created_s = 7, .model = {"m", 1}};

/* Compares what was written with the JSON that is expected, whatever the order of keys. */
static void expect(lm_buf *written, const char *wanted) {
    json_error_t error;
    json_t *have = json_loadb(lm_buf_cstr(written), written->len, 0, &error),
           *want = json_loads(wanted, 0, &error);
    if (!have || !want || !json_equal(have, want))
        fail_msg("%s\nis not\n%s", lm_buf_cstr(written), wanted);
    json_decref(have);
    json_decref(want);
    lm_buf_reset(written);
}

static void test_whole_replies(void **state) {
    lm_buf out;
    lm_buf_init(&out, 10000);
    const lm_reply_choice choices[] = {
        {.index = 0, .text = LM_STR("a\n"), .finish = LM_FINISH_STOP},
        {.index = 1, .text = LM_STR("b"), .finish = LM_FINISH_LENGTH}};
    lm_reply_write(&out, &COMPLETION, choices, 2, (lm_reply_usage){3, 4});
    expect(&out, "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":7,\"model\":"
                 "\"m\\\"x\",\"choices\":["
                 "{\"index\":0,\"text\":\"a\\n\",\"logprobs\":null,\"finish_reason\":\"stop\"},"
                 "{\"index\":1,\"text\":\"b\",\"logprobs\":null,\"finish_reason\":\"length\"}],"
                 "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}");
    lm_reply_write(&out, &CHAT, choices, 1, (lm_reply_usage){3, 4});
    expect(
        &out,
        "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"m\","
        "\"choices\":["
        "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a\\n\",\"refusal\":null},"
        "\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}");
    lm_buf_deinit(&out);
}

static void test_chunks(void **state) {
    lm_buf out;
    lm_buf_init(&out, 10000);
    lm_reply_choice choice = {.index = 2, .text = LM_STR("a"), .first = true};
    lm_reply_write_chunk(&out, &CHAT, &choice, true);
    expect(&out,
           "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":"
           "\"m\",\"choices\":["
           "{\"index\":2,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"},\"logprobs\":null,"
           "\"finish_reason\":null}],\"usage\":null}");
    choice = (lm_reply_choice){.index = 2, .finish = LM_FINISH_LENGTH};
    lm_reply_write_chunk(&out, &CHAT, &choice, false);
    expect(&out, "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":7,"
                 "\"model\":\"m\",\"choices\":["
                 "{\"index\":2,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"length\"}]}");
    lm_reply_write_usage_chunk(&out, &COMPLETION, (lm_reply_usage){1, 2});
    expect(&out, "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":7,\"model\":"
                 "\"m\\\"x\",\"choices\":[],"
                 "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}");
    lm_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole_replies),
                                       cmocka_unit_test(test_chunks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
