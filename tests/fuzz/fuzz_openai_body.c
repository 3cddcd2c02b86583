/* Bodies of the completion endpoints: the first byte chooses which, the rest is the body. */
#include "serve/openai_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

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
    if (lm_api_request_parse(text, bytes[0] == 'c' ? chat : NULL, &defaults, 1000, &request,
                             &error) == LOAM_OK) {
        for (size_t i = 0; i < request.prompts.len; i++) {
            const lm_api_prompt *prompt = &request.prompts.ptr[i];
            for (int64_t k = 0; k < prompt->n_ids; k++)
                if (prompt->ids[k] < 0 || prompt->ids[k] >= 1000) __builtin_trap();
        }
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
