#include "serve/tokenize.h"

#include "base/json.h"
#include "base/mem.h"
#include "serve/api_error.h"
#include "serve/completions.h"
#include "serve/json_text.h"
#include "serve/openai_chat.h"

enum { REPLY_MAX_BYTES = 64 << 20 };

/* --- Text or talk to ids. */

static loam_status encode_prompt(const lm_completion_context *context, const json_t *body,
                                 lm_vec_i32 *ids, lm_api_error *error) {
    loam_error err = {0};
    lm_str text;
    bool add_special = true;
    LM_TRY(lm_api_read_bool(body, "add_special_tokens", &add_special, error));
    if (lm_json_str(body, "body", "prompt", &text, &err) != LOAM_OK)
        return lm_api_invalid(error, "prompt", "%s", err.message);
    lm_encode_options options = {.add_special = add_special};
    if (lm_tokenizer_encode(context->tokenizer, text, options, ids, &err) == LOAM_OK)
        return LOAM_OK;
    lm_api_error_from(error, &err);
    return LOAM_INVALID;
}

/* The prompt that /v1/chat/completions would compute; special tokens are the template's affair. */
static loam_status encode_messages(const lm_completion_context *context, json_t *body,
                                   lm_vec_i32 *ids, lm_api_error *error) {
    loam_error err = {0};
    lm_api_request request;
    if (!context->chat)
        return lm_api_invalid(error, "messages", "the model '%s' has no conversations",
                              context->model_name);
    LM_TRY(lm_api_talk_parse(context->chat, body, &request, error));
    loam_status status = lm_api_encode_talk(context->chat, &request,
                                            lm_completion_max_prompt_bytes(context), ids, &err);
    if (status == LOAM_INVALID || status == LOAM_LIMIT)
        lm_api_invalid(error, "messages", "%s", err.message);
    else if (status != LOAM_OK)
        lm_api_error_from(error, &err);
    lm_api_request_deinit(&request);
    return status;
}

static void write_ids(const lm_completion_context *context, const lm_vec_i32 *ids, bool with_texts,
                      lm_buf *out) {
    lm_buf_printf(out, "{\"count\":%zu,\"max_model_len\":%lld,\"tokens\":[", ids->len,
                  (long long)lm_completion_max_tokens(context));
    for (size_t i = 0; i < ids->len; i++) lm_buf_printf(out, i ? ",%d" : "%d", ids->ptr[i]);
    lm_buf_puts(out, with_texts ? "],\"token_strs\":[" : "],\"token_strs\":null}");
    if (!with_texts) return;
    for (size_t i = 0; i < ids->len; i++) {
        if (i) lm_buf_putc(out, ',');
        lm_json_text_write(out, lm_tokenizer_token_text(context->tokenizer, ids->ptr[i]));
    }
    lm_buf_puts(out, "]}");
}

static loam_status tokenize(const lm_completion_context *context, json_t *body, lm_buf *out,
                            lm_api_error *error) {
    bool has_messages = json_object_get(body, "messages") != NULL, with_texts = false;
    if (has_messages && json_object_get(body, "prompt"))
        return lm_api_invalid(error, "prompt", "give 'prompt' or 'messages', not both");
    LM_TRY(lm_api_read_bool(body, "return_token_strs", &with_texts, error));
    lm_vec_i32 ids = {0};
    loam_status status = has_messages ? encode_messages(context, body, &ids, error)
                                      : encode_prompt(context, body, &ids, error);
    if (status == LOAM_OK) write_ids(context, &ids, with_texts, out);
    lm_vec_deinit(&ids);
    return status;
}

/* --- Ids to text. */

static loam_status read_ids(const json_t *tokens, int64_t n_vocab, int32_t *ids,
                            lm_api_error *error) {
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        const json_t *value = json_array_get(tokens, i);
        int64_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0 || id >= n_vocab)
            return lm_api_invalid(error, "tokens", "'tokens': the value at %zu is no token id", i);
        ids[i] = (int32_t)id;
    }
    return LOAM_OK;
}

static loam_status decode(const lm_tokenizer *tokenizer, const int32_t *ids, size_t n, lm_buf *out,
                          lm_api_error *error) {
    loam_error err = {0};
    lm_buf text;
    lm_buf_init(&text, REPLY_MAX_BYTES);
    loam_status status = lm_tokenizer_decode(tokenizer, ids, n, &text, &err);
    if (status == LOAM_OK) {
        lm_buf_puts(out, "{\"prompt\":");
        lm_json_text_write(out, lm_buf_view(&text));
        lm_buf_putc(out, '}');
    } else {
        lm_api_error_from(error, &err);
    }
    lm_buf_deinit(&text);
    return status;
}

static loam_status detokenize(const lm_completion_context *context, json_t *body, lm_buf *out,
                              lm_api_error *error) {
    const json_t *tokens = json_object_get(body, "tokens");
    if (!json_is_array(tokens))
        return lm_api_invalid(error, "tokens", "'tokens' must be a list of token ids");
    size_t n = json_array_size(tokens);
    int32_t *ids = lm_calloc(n + 1, sizeof *ids);
    if (!ids) return lm_api_no_memory(error);
    loam_status status = read_ids(tokens, lm_tokenizer_vocab_size(context->tokenizer), ids, error);
    if (status == LOAM_OK) status = decode(context->tokenizer, ids, n, out, error);
    lm_free(ids);
    return status;
}

/* --- Requests. */

typedef loam_status answer_fn(const lm_completion_context *context, json_t *body, lm_buf *out,
                              lm_api_error *error);

static loam_status answer_object(const lm_completion_context *context, lm_http_request *request,
                                 answer_fn *fn, lm_buf *out, lm_api_error *error) {
    loam_error err = {0};
    json_t *body;
    if (lm_json_parse(lm_http_request_body(request), "body", &body, &err) != LOAM_OK)
        return lm_api_invalid(error, "", "%s", err.message);
    loam_status status = json_is_object(body)
                             ? fn(context, body, out, error)
                             : lm_api_invalid(error, "", "the body must be a JSON object");
    json_decref(body);
    return status == LOAM_OK && out->status != LOAM_OK ? lm_api_no_memory(error) : status;
}

static void handle(const lm_completion_context *context, lm_http_request *request, answer_fn *fn) {
    lm_api_error error;
    lm_buf reply;
    lm_buf_init(&reply, REPLY_MAX_BYTES);
    if (answer_object(context, request, fn, &reply, &error) == LOAM_OK)
        lm_http_reply(request, 200, "application/json", lm_buf_view(&reply));
    else
        lm_api_error_reply(request, &error);
    lm_buf_deinit(&reply);
}

void lm_handle_tokenize(lm_http_request *request, void *context) {
    handle(context, request, tokenize);
}

void lm_handle_detokenize(lm_http_request *request, void *context) {
    handle(context, request, detokenize);
}
