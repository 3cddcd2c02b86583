#include "serve/openai_parse.h"

#include <stdio.h>

#include "base/json.h"
#include "base/rng.h"
#include "serve/openai_chat.h"

enum {
    ARENA_CHUNK_BYTES = 16 << 10,
    ARENA_MAX_BYTES = 64 << 20,
    COMPLETION_DEFAULT_TOKENS = 16, /* as OpenAI's */
    MAX_COMPLETION_LOGPROBS = 5,
};

typedef enum field_kind {
    FIELD_BOTH,
    FIELD_COMPLETION,
    FIELD_CHAT,
    FIELD_IGNORED,     /* accepted without effect */
    FIELD_UNSUPPORTED, /* only its empty or neutral value is accepted */
} field_kind;

static const struct {
    const char *name;
    field_kind kind;
} FIELDS[] = {
    {"model", FIELD_BOTH},
    {"stream", FIELD_BOTH},
    {"stream_options", FIELD_BOTH},
    {"n", FIELD_BOTH},
    {"stop", FIELD_BOTH},
    {"seed", FIELD_BOTH},
    {"max_tokens", FIELD_BOTH},
    {"temperature", FIELD_BOTH},
    {"top_p", FIELD_BOTH},
    {"top_k", FIELD_BOTH},
    {"min_p", FIELD_BOTH},
    {"frequency_penalty", FIELD_BOTH},
    {"presence_penalty", FIELD_BOTH},
    {"repetition_penalty", FIELD_BOTH},
    {"logit_bias", FIELD_BOTH},
    {"logprobs", FIELD_BOTH},
    {"ignore_eos", FIELD_BOTH},
    {"prompt", FIELD_COMPLETION},
    {"echo", FIELD_COMPLETION},
    {"messages", FIELD_CHAT},
    {"tools", FIELD_CHAT},
    {"tool_choice", FIELD_CHAT},
    {"documents", FIELD_CHAT},
    {"chat_template_kwargs", FIELD_CHAT},
    {"add_generation_prompt", FIELD_CHAT},
    {"reasoning_effort", FIELD_CHAT},
    {"top_logprobs", FIELD_CHAT},
    {"max_completion_tokens", FIELD_CHAT},
    {"user", FIELD_IGNORED},
    {"metadata", FIELD_IGNORED},
    {"store", FIELD_IGNORED},
    {"service_tier", FIELD_IGNORED},
    {"safety_identifier", FIELD_IGNORED},
    {"prompt_cache_key", FIELD_IGNORED},
    {"parallel_tool_calls", FIELD_IGNORED},
    {"best_of", FIELD_UNSUPPORTED},
    {"suffix", FIELD_UNSUPPORTED},
    {"functions", FIELD_UNSUPPORTED},
    {"function_call", FIELD_UNSUPPORTED},
    {"response_format", FIELD_UNSUPPORTED},
    {"audio", FIELD_UNSUPPORTED},
    {"modalities", FIELD_UNSUPPORTED},
    {"prediction", FIELD_UNSUPPORTED},
    {"verbosity", FIELD_UNSUPPORTED},
    {"web_search_options", FIELD_UNSUPPORTED},
};

/* Fields that are plain numbers of the sampler. */
static const struct {
    const char *name;
    size_t offset;
    double min, max;
} NUMBERS[] = {
    {"temperature", offsetof(lm_sampler_options, temperature), 0, 2},
    {"top_p", offsetof(lm_sampler_options, top_p), 0, 1},
    {"min_p", offsetof(lm_sampler_options, min_p), 0, 1},
    {"frequency_penalty", offsetof(lm_sampler_options, frequency_penalty), -2, 2},
    {"presence_penalty", offsetof(lm_sampler_options, presence_penalty), -2, 2},
    {"repetition_penalty", offsetof(lm_sampler_options, repetition_penalty), 0.01, 10},
};

static bool is_neutral(const char *name, const json_t *value) {
    if (json_is_false(value) || (json_is_array(value) && json_array_size(value) == 0)) return true;
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        return text[0] == '\0' || (strcmp(name, "function_call") == 0 && strcmp(text, "none") == 0);
    }
    if (strcmp(name, "best_of") == 0)
        return json_is_integer(value) && json_integer_value(value) == 1;
    const json_t *first = json_array_get(value, 0), *type = json_object_get(value, "type");
    if (strcmp(name, "modalities") == 0)
        return json_array_size(value) == 1 && json_is_string(first) &&
               strcmp(json_string_value(first), "text") == 0;
    return strcmp(name, "response_format") == 0 && json_is_string(type) &&
           strcmp(json_string_value(type), "text") == 0;
}

static loam_status unknown_field(const char *name, lm_api_error *error) {
    const char *names[LM_COUNT_OF(FIELDS)];
    for (size_t i = 0; i < LM_COUNT_OF(FIELDS); i++) names[i] = FIELDS[i].name;
    return lm_api_unknown_field(name, names, LM_COUNT_OF(FIELDS), error);
}

static loam_status check_field(const char *name, const json_t *value, bool chat,
                               lm_api_error *error) {
    for (size_t i = 0; i < LM_COUNT_OF(FIELDS); i++) {
        if (strcmp(FIELDS[i].name, name) != 0) continue;
        field_kind kind = FIELDS[i].kind;
        if (kind == (chat ? FIELD_COMPLETION : FIELD_CHAT))
            return lm_api_invalid(error, name, "'%s' does not belong to this endpoint", name);
        if (kind == FIELD_UNSUPPORTED && !json_is_null(value) && !is_neutral(name, value))
            return lm_api_invalid(error, name, "'%s' is not supported", name);
        return LOAM_OK;
    }
    return unknown_field(name, error);
}

static loam_status check_fields(const json_t *body, bool chat, lm_api_error *error) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)body, name, value) LM_TRY(check_field(name, value, chat, error));
    return LOAM_OK;
}

static loam_status read_numbers(const json_t *body, lm_sampler_options *sampling,
                                lm_api_error *error) {
    for (size_t i = 0; i < LM_COUNT_OF(NUMBERS); i++) {
        const char *name = NUMBERS[i].name;
        const json_t *value = lm_api_field(body, name);
        if (!value) continue;
        if (!json_is_number(value))
            return lm_api_invalid(error, name, "'%s' must be a number", name);
        double number = json_number_value(value);
        if (!(number >= NUMBERS[i].min && number <= NUMBERS[i].max))
            return lm_api_invalid(error, name, "'%s' must be from %g to %g, not %g", name,
                                  NUMBERS[i].min, NUMBERS[i].max, number);
        *(float *)((char *)sampling + NUMBERS[i].offset) = (float)number;
    }
    return LOAM_OK;
}

static loam_status read_biases(const json_t *body, int64_t n_vocab, lm_api_request *out,
                               lm_api_error *error) {
    json_t *biases = (json_t *)lm_api_field(body, "logit_bias"), *value;
    const char *key;
    if (!biases) return LOAM_OK;
    if (!json_is_object(biases))
        return lm_api_invalid(error, "logit_bias", "'logit_bias' must be an object");
    size_t n = json_object_size(biases);
    if (n > LM_MAX_LOGIT_BIASES)
        return lm_api_invalid(error, "logit_bias",
                              "'logit_bias' has %zu tokens; at most %d are taken", n,
                              LM_MAX_LOGIT_BIASES);
    lm_logit_bias *copy = lm_arena_calloc(&out->arena, n + 1, sizeof *copy);
    if (!copy) return lm_api_no_memory(error);
    n = 0;
    json_object_foreach(biases, key, value) {
        int64_t token;
        if (!lm_str_to_i64(lm_str_of(key), &token) || token < 0 || token >= n_vocab)
            return lm_api_invalid(error, "logit_bias", "'logit_bias': '%.40s' is not a token id",
                                  key);
        if (!json_is_number(value) ||
            !(json_number_value(value) >= -100 && json_number_value(value) <= 100))
            return lm_api_invalid(error, "logit_bias",
                                  "'logit_bias': the value of %.40s must be from -100 to 100", key);
        copy[n++] = (lm_logit_bias){(int32_t)token, (float)json_number_value(value)};
    }
    out->sampling.biases = copy;
    out->sampling.n_biases = (int)n;
    return LOAM_OK;
}

static loam_status read_sampling(const json_t *body, int64_t n_vocab, lm_api_request *out,
                                 lm_api_error *error) {
    lm_sampler_options *sampling = &out->sampling;
    LM_TRY(read_numbers(body, sampling, error));
    int64_t top_k = sampling->top_k, seed = (int64_t)(lm_rng_os_seed() >> 1);
    LM_TRY(lm_api_read_int(body, "top_k", -1, INT32_MAX, &top_k, error));
    LM_TRY(lm_api_read_int(body, "seed", INT64_MIN, INT64_MAX, &seed, error));
    sampling->top_k = top_k < 0 ? 0 : top_k;
    sampling->seed = (uint64_t)seed;
    if (sampling->top_p == 0) { /* the narrowest nucleus is the likeliest token */
        sampling->top_p = 1;
        sampling->top_k = 1;
    }
    return read_biases(body, n_vocab, out, error);
}

static loam_status read_logprobs(const json_t *body, lm_api_request *out, lm_api_error *error) {
    int64_t n_top = 0;
    bool wanted = false;
    if (!out->chat) {
        wanted = lm_api_field(body, "logprobs") != NULL;
        LM_TRY(lm_api_read_int(body, "logprobs", 0, MAX_COMPLETION_LOGPROBS, &n_top, error));
    } else {
        LM_TRY(lm_api_read_bool(body, "logprobs", &wanted, error));
        LM_TRY(lm_api_read_int(body, "top_logprobs", 0, LM_MAX_TOP_LOGPROBS, &n_top, error));
        if (lm_api_field(body, "top_logprobs") && !wanted)
            return lm_api_invalid(error, "top_logprobs",
                                  "'top_logprobs' needs 'logprobs' to be true");
    }
    out->sampling.logprobs = wanted;
    out->sampling.n_top_logprobs = (int)n_top;
    return LOAM_OK;
}

static loam_status add_stop(const json_t *value, lm_api_request *out, lm_api_error *error) {
    if (!json_is_string(value))
        return lm_api_invalid(error, "stop", "'stop' must be a string or an array of strings");
    lm_str text = lm_api_text(value);
    if (text.len == 0 || text.len > LM_STOP_MAX_BYTES)
        return lm_api_invalid(error, "stop", "a stop string must have from 1 to %d bytes, not %zu",
                              LM_STOP_MAX_BYTES, text.len);
    out->stops[out->n_stops++] = text;
    return LOAM_OK;
}

static loam_status read_stops(const json_t *body, lm_api_request *out, lm_api_error *error) {
    const json_t *stop = lm_api_field(body, "stop");
    if (!stop) return LOAM_OK;
    if (!json_is_array(stop)) return add_stop(stop, out, error);
    size_t most = LM_STOP_MAX_STRINGS - 1; /* the chat template may have one of its own */
    if (json_array_size(stop) > most)
        return lm_api_invalid(error, "stop", "'stop' has %zu strings; at most %zu are taken",
                              json_array_size(stop), most);
    for (size_t i = 0; i < json_array_size(stop); i++)
        LM_TRY(add_stop(json_array_get(stop, i), out, error));
    return LOAM_OK;
}

static loam_status read_stream(const json_t *body, lm_api_request *out, lm_api_error *error) {
    const json_t *options = lm_api_field(body, "stream_options");
    LM_TRY(lm_api_read_bool(body, "stream", &out->stream, error));
    if (!options) return LOAM_OK;
    if (!json_is_object(options))
        return lm_api_invalid(error, "stream_options", "'stream_options' must be an object");
    if (!out->stream)
        return lm_api_invalid(error, "stream_options",
                              "'stream_options' needs 'stream' to be true");
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)options, name, value) {
        if (strcmp(name, "include_usage") != 0 && strcmp(name, "include_obfuscation") != 0)
            return lm_api_invalid(error, "stream_options", "unknown field 'stream_options.%.60s'",
                                  name);
    }
    return lm_api_read_bool(options, "include_usage", &out->include_usage, error);
}

static loam_status read_max_tokens(const json_t *body, lm_api_request *out, lm_api_error *error) {
    out->max_tokens = out->chat ? INT64_MAX : COMPLETION_DEFAULT_TOKENS;
    LM_TRY(lm_api_read_int(body, "max_tokens", 1, INT32_MAX, &out->max_tokens, error));
    return lm_api_read_int(body, "max_completion_tokens", 1, INT32_MAX, &out->max_tokens, error);
}

static loam_status read_body(const lm_chat *chat, lm_api_request *out, int64_t n_vocab,
                             lm_api_error *error) {
    const json_t *body = out->body, *model = json_object_get(body, "model");
    int64_t n = 1;
    LM_TRY(check_fields(body, out->chat, error));
    if (!json_is_string(model)) return lm_api_invalid(error, "model", "'model' must be a string");
    out->model = lm_api_text(model);
    LM_TRY(chat ? lm_api_read_talk(chat, out, error)
                : lm_api_read_prompts(body, "prompt", LM_API_MAX_PROMPTS, n_vocab, &out->arena,
                                      &out->prompts, error));
    LM_TRY(lm_api_read_int(body, "n", 1, LM_API_MAX_CHOICES, &n, error));
    out->n = (int)n;
    LM_TRY(read_max_tokens(body, out, error));
    LM_TRY(read_stream(body, out, error));
    LM_TRY(read_stops(body, out, error));
    LM_TRY(lm_api_read_bool(body, "echo", &out->echo, error));
    LM_TRY(lm_api_read_bool(body, "ignore_eos", &out->ignore_end, error));
    LM_TRY(read_sampling(body, n_vocab, out, error));
    LM_TRY(read_logprobs(body, out, error));
    if (out->echo && out->sampling.logprobs)
        return lm_api_invalid(error, "echo", "'echo' together with 'logprobs' is not supported");
    return LOAM_OK;
}

loam_status lm_api_request_parse(lm_str text, const lm_chat *chat,
                                 const lm_sampler_options *defaults, int64_t n_vocab,
                                 lm_api_request *out, lm_api_error *error) {
    loam_error err = {0};
    *out = (lm_api_request){.chat = chat != NULL, .sampling = *defaults};
    if (lm_json_parse(text, "body", &out->body, &err) != LOAM_OK)
        return lm_api_invalid(error, "", "%s", err.message);
    lm_arena_init(&out->arena, ARENA_CHUNK_BYTES, ARENA_MAX_BYTES);
    loam_status status = json_is_object(out->body)
                             ? read_body(chat, out, n_vocab, error)
                             : lm_api_invalid(error, "", "the body must be a JSON object");
    if (status != LOAM_OK) lm_api_request_deinit(out);
    return status;
}

void lm_api_request_deinit(lm_api_request *request) {
    lm_vec_deinit(&request->prompts);
    json_decref(request->messages);
    json_decref(request->variables);
    request->messages = request->variables = NULL;
    lm_arena_deinit(&request->arena);
    json_decref(request->body);
    request->body = NULL;
}
