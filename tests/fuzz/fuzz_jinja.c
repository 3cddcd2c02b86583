/* A chat template, rendered with a fixed conversation under tight limits. */
#include "base/json.h"
#include "model/jinja/jinja.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char CONVERSATION[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"Be \\u4f60\"}, {\"role\": \"user\", "
    "\"content\": [{\"type\": \"text\", \"text\": \"Hi\"}]},"
    " {\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"function\": {\"name\": "
    "\"f\", \"arguments\": {\"a\": 1.5, \"b\": [true]}}}]},"
    " {\"role\": \"tool\", \"content\": \"<x>\"}], \"tools\": [{\"type\": \"function\", "
    "\"function\": {\"name\": \"f\"}}],"
    " \"bos_token\": \"<s>\", \"n\": -7, \"add_generation_prompt\": true}";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    lm_jinja *jinja;
    loam_error err = {0};
    lm_buf out;
    static json_t *variables;
    if (!variables && lm_json_parse(LM_STR(CONVERSATION), "variables", &variables, &err) != LOAM_OK)
        __builtin_trap();
    if (lm_jinja_compile((lm_str){(const char *)bytes, size}, &jinja, &err) != LOAM_OK) {
        if (!err.message[0]) __builtin_trap();
        return 0;
    }
    lm_jinja_options options = {
        .variables = variables,
        .limits = {.max_steps = 100000, .max_memory_bytes = 8 << 20, .max_output_bytes = 1 << 20},
        .now_epoch_s = 1};
    lm_buf_init(&out, 1 << 20);
    if (lm_jinja_render(jinja, &options, &out, &err) != LOAM_OK && (!err.message[0] || out.len))
        __builtin_trap();
    lm_buf_deinit(&out);
    lm_jinja_free(jinja);
    return 0;
}
