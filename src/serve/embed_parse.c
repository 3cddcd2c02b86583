#include "serve/embed_parse.h"

#include <stdio.h>

#include "base/json.h"

enum { ARENA_CHUNK_BYTES = 16 << 10, ARENA_MAX_BYTES = 64 << 20 };

/* The fields of either endpoint; "user" is accepted without effect. */
static const char *const EMBED_FIELDS[] = {"model", "input", "encoding_format", "dimensions",
                                           "truncate_prompt_tokens", "user"};
static const char *const RERANK_FIELDS[] = {
    "model",   "query", "documents", "top_n", "return_documents", "truncate_prompt_tokens",
    "user"};

static loam_status check_fields(const json_t *body, const char *const *names, size_t n,
                                lm_api_error *error) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)body, name, value) {
        size_t i = 0;
        while (i < n && strcmp(names[i], name) != 0) i++;
        if (i == n) return lm_api_unknown_field(name, names, n, error);
    }
    return LOAM_OK;
}

/* Nothing has no meaning: OpenAI's refuses it too. */
static loam_status check_texts(const lm_embed_request *request, const char *name,
                               lm_api_error *error) {
    for (size_t i = 0; i < request->inputs.len; i++) {
        const lm_api_prompt *input = &request->inputs.ptr[i];
        if (!input->ids && input->text.len == 0)
            return lm_api_invalid(error, name, "'%s': text %zu is empty", name, i);
    }
    return LOAM_OK;
}

static loam_status read_truncate(const json_t *body, lm_embed_request *out, lm_api_error *error) {
    static const char name[] = "truncate_prompt_tokens";
    LM_TRY(lm_api_read_int(body, name, -1, INT32_MAX, &out->truncate, error));
    if (out->truncate != 0 || !lm_api_field(body, name)) return LOAM_OK;
    return lm_api_invalid(error, name, "'%s' is 0: it must be from 1, or -1", name);
}

static loam_status read_format(const json_t *body, lm_embed_request *out, lm_api_error *error) {
    const json_t *format = lm_api_field(body, "encoding_format");
    const char *text = json_is_string(format) ? json_string_value(format) : "";
    if (!format || strcmp(text, "float") == 0) return LOAM_OK;
    out->base64 = strcmp(text, "base64") == 0;
    if (out->base64) return LOAM_OK;
    return lm_api_invalid(error, "encoding_format",
                          "'encoding_format' must be \"float\" or \"base64\"");
}

static loam_status read_embeddings(const json_t *body, int64_t n_vocab, lm_embed_request *out,
                                   lm_api_error *error) {
    LM_TRY(check_fields(body, EMBED_FIELDS, LM_COUNT_OF(EMBED_FIELDS), error));
    LM_TRY(lm_api_read_prompts(body, "input", LM_API_MAX_INPUTS, n_vocab, &out->arena, &out->inputs,
                               error));
    LM_TRY(check_texts(out, "input", error));
    LM_TRY(read_format(body, out, error));
    return lm_api_read_int(body, "dimensions", 1, INT32_MAX, &out->dimensions, error);
}

/* A string, or an object whose "text" is one. */
static loam_status add_document(const json_t *value, size_t index, lm_embed_request *out,
                                lm_api_error *error) {
    const json_t *text = json_is_object(value) ? json_object_get(value, "text") : value;
    if (!json_is_string(text))
        return lm_api_invalid(error, "documents",
                              "'documents': %zu is neither a string nor an object with a 'text'",
                              index);
    lm_api_prompt document = {.text = lm_api_text(text)};
    return lm_vec_push(&out->inputs, document) ? LOAM_OK : lm_api_no_memory(error);
}

static loam_status read_documents(const json_t *body, lm_embed_request *out, lm_api_error *error) {
    const json_t *documents = lm_api_field(body, "documents");
    if (!json_is_array(documents))
        return lm_api_invalid(error, "documents", "'documents' must be a list of texts");
    size_t n = json_array_size(documents);
    if (n == 0) return lm_api_invalid(error, "documents", "'documents' is an empty list");
    if (n > LM_API_MAX_INPUTS)
        return lm_api_invalid(error, "documents", "'documents' has %zu texts; at most %d are taken",
                              n, LM_API_MAX_INPUTS);
    for (size_t i = 0; i < n; i++)
        LM_TRY(add_document(json_array_get(documents, i), i, out, error));
    return check_texts(out, "documents", error);
}

static loam_status read_rerank(const json_t *body, lm_embed_request *out, lm_api_error *error) {
    const json_t *query = lm_api_field(body, "query");
    LM_TRY(check_fields(body, RERANK_FIELDS, LM_COUNT_OF(RERANK_FIELDS), error));
    if (!json_is_string(query)) return lm_api_invalid(error, "query", "'query' must be a string");
    out->query = lm_api_text(query);
    if (out->query.len == 0) return lm_api_invalid(error, "query", "'query' is empty");
    LM_TRY(read_documents(body, out, error));
    out->return_documents = true;
    LM_TRY(lm_api_read_bool(body, "return_documents", &out->return_documents, error));
    return lm_api_read_int(body, "top_n", 0, INT32_MAX, &out->top_n, error);
}

static loam_status read_body(int64_t n_vocab, lm_embed_request *out, lm_api_error *error) {
    const json_t *body = out->body, *model = json_object_get(body, "model");
    if (!json_is_object(body)) return lm_api_invalid(error, "", "the body must be a JSON object");
    if (!json_is_string(model)) return lm_api_invalid(error, "model", "'model' must be a string");
    out->model = lm_api_text(model);
    LM_TRY(read_truncate(body, out, error));
    return out->rerank ? read_rerank(body, out, error) : read_embeddings(body, n_vocab, out, error);
}

loam_status lm_embed_request_parse(lm_str text, bool rerank, int64_t n_vocab, lm_embed_request *out,
                                   lm_api_error *error) {
    loam_error err = {0};
    *out = (lm_embed_request){.rerank = rerank};
    if (lm_json_parse(text, "body", &out->body, &err) != LOAM_OK)
        return lm_api_invalid(error, "", "%s", err.message);
    lm_arena_init(&out->arena, ARENA_CHUNK_BYTES, ARENA_MAX_BYTES);
    loam_status status = read_body(n_vocab, out, error);
    if (status != LOAM_OK) lm_embed_request_deinit(out);
    return status;
}

void lm_embed_request_deinit(lm_embed_request *request) {
    lm_vec_deinit(&request->inputs);
    lm_arena_deinit(&request->arena);
    json_decref(request->body);
    request->body = NULL;
}
