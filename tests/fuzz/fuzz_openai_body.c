/* Bodies of OpenAI's endpoints: the first byte chooses which (c: chat, e: embeddings, r: rerank, else completions), the rest is
 * the body. */
#include "serve/embed_parse.h"
#include "serve/openai_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check_ids(const lm_api_prompts *prompts) {
    for (size_t i = 0; i < prompts->len; i++)
        for (int64_t k = 0; k < prompts->ptr[i].n_ids; k++)
            if (prompts->ptr[i].ids[k] < 0 || prompts->ptr[i].ids[k] >= 1000) __builtin_trap();
}

static void read_embed(lm_str text, bool rerank) {
    lm_embed_request request;
    lm_api_error error = {0};
    if (lm_embed_request_parse(text, rerank, 1000, &request, &error) != LOAM_OK) {
        if (error.http_status == 0 || !error.message[0]) __builtin_trap();
        return;
    }
    check_ids(&request.inputs);
    if (request.inputs.len == 0 || request.dimensions < 0 || request.top_n < 0) __builtin_trap();
    lm_embed_request_deinit(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const lm_sampler_options defaults = LM_SAMPLER_DEFAULTS;
    lm_api_request request;
    lm_api_error error = {0};
    static lm_chat *chat;
    loam_error err = {0};
    if (!chat &&
        lm_chat_new(
            LM_STR(
                "{% for m in messages %}{{ m.role ~ m.content }}{% endfor %}{{ tools | tojson }}"),
            NULL, &chat, &err))
        __builtin_trap();
    if (size == 0) return 0;
    lm_str text = {(const char *)bytes + 1, size - 1};
    if (bytes[0] == 'e' || bytes[0] == 'r') {
        read_embed(text, bytes[0] == 'r');
        return 0;
    }
    if (lm_api_request_parse(text, bytes[0] == 'c' ? chat : NULL, &defaults, 1000, &request,
                             &error) == LOAM_OK) {
        check_ids(&request.prompts);
        if (request.n < 1 || request.max_tokens < 1) __builtin_trap();
        lm_buf prompt;
        lm_buf_init(&prompt, 1 << 24);
        if (request.chat && lm_chat_render(chat, &request.talk, &prompt, &err) != LOAM_OK &&
            !err.message[0])
            __builtin_trap();
        lm_buf_deinit(&prompt);
        lm_api_request_deinit(&request);
    } else if (error.http_status == 0 || !error.message[0]) {
        __builtin_trap();
    }
    return 0;
}
