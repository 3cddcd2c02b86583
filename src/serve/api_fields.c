#include "serve/api_fields.h"

#include <stdio.h>

#include "base/usage_journal.h"

const json_t *lm_api_field(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

lm_str lm_api_text(const json_t *string) {
    return (lm_str){json_string_value(string), json_string_length(string)};
}

loam_status lm_api_no_memory(lm_api_error *error) {
    return lm_api_fail(error, 503, "unavailable", "out of memory");
}

loam_status lm_api_unknown_field(const char *name, const char *const *names, size_t n,
                                 lm_api_error *error) {
    const char *nearest = lm_str_nearest(name, names, n);
    if (nearest)
        return lm_api_invalid(error, name, "unknown field '%.60s'; did you mean '%s'?", name,
                              nearest);
    return lm_api_invalid(error, name, "unknown field '%.60s'", name);
}

loam_status lm_api_read_bool(const json_t *object, const char *name, bool *out,
                             lm_api_error *error) {
    const json_t *value = lm_api_field(object, name);
    if (!value) return LOAM_OK;
    if (!json_is_boolean(value))
        return lm_api_invalid(error, name, "'%s' must be true or false", name);
    *out = json_is_true(value);
    return LOAM_OK;
}

loam_status lm_api_read_int(const json_t *object, const char *name, int64_t min, int64_t max,
                            int64_t *out, lm_api_error *error) {
    const json_t *value = lm_api_field(object, name);
    if (!value) return LOAM_OK;
    if (!json_is_integer(value))
        return lm_api_invalid(error, name, "'%s' must be an integer", name);
    int64_t number = json_integer_value(value);
    if (number < min || number > max)
        return lm_api_invalid(error, name, "'%s' must be from %lld to %lld, not %lld", name,
                              (long long)min, (long long)max, (long long)number);
    *out = number;
    return LOAM_OK;
}

/* --- What is not in the body, or not of it alone. */

loam_status lm_api_check_model(lm_str model, const char *served, lm_api_error *error) {
    if (lm_str_is(model, served)) return LOAM_OK;
    lm_api_fail(error, 404, "model_not_found", "the model '%.*s' does not exist", (int)model.len,
                model.ptr);
    snprintf(error->param, sizeof error->param, "model");
    return LOAM_INVALID;
}

/* An identifier made of harmless characters that fits a usage record. */
static bool is_identifier(const char *text, size_t max_bytes) {
    size_t len =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/=,");
    return text[len] == '\0' && len < max_bytes;
}

loam_status lm_api_read_ids(const lm_http_request *http, const char *own_id, const char **out_id,
                            const char **out_tag, lm_api_error *error) {
    const char *id = lm_http_request_header(http, "X-Loam-Request");
    const char *tag = lm_http_request_header(http, "X-Loam-Tag");
    if (id && (!id[0] || !is_identifier(id, LM_USAGE_ID_BYTES)))
        return lm_api_fail(error, 400, NULL, "header X-Loam-Request is not an identifier");
    if (tag && !is_identifier(tag, LM_USAGE_TAG_BYTES))
        return lm_api_fail(error, 400, NULL, "header X-Loam-Tag is not an identifier");
    *out_id = id ? id : own_id;
    *out_tag = tag ? tag : "";
    return LOAM_OK;
}

/* --- Prompts. */

typedef struct prompt_reader {
    const char *name;
    size_t max;
    int64_t n_vocab;
    lm_arena *arena;
    lm_api_prompts *out;
    lm_api_error *error;
} prompt_reader;

static loam_status add_prompt(const prompt_reader *r, lm_api_prompt prompt) {
    if (r->out->len >= r->max)
        return lm_api_invalid(r->error, r->name, "'%s' has more than %zu texts", r->name, r->max);
    return lm_vec_push(r->out, prompt) ? LOAM_OK : lm_api_no_memory(r->error);
}

static loam_status add_ids(const prompt_reader *r, const json_t *array) {
    size_t n = json_array_size(array);
    int32_t *ids = lm_arena_calloc(r->arena, n, sizeof *ids);
    if (!ids) return lm_api_no_memory(r->error);
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(array, i);
        if (!json_is_integer(value))
            return lm_api_invalid(r->error, r->name,
                                  "'%s': a list of token ids holds something else at %zu", r->name,
                                  i);
        int64_t id = json_integer_value(value);
        if (id < 0 || id >= r->n_vocab)
            return lm_api_invalid(r->error, r->name, "'%s': token id %lld is not below %lld",
                                  r->name, (long long)id, (long long)r->n_vocab);
        ids[i] = (int32_t)id;
    }
    return add_prompt(r, (lm_api_prompt){.ids = ids, .n_ids = (int64_t)n});
}

static loam_status add_one(const prompt_reader *r, const json_t *value) {
    if (json_is_string(value)) return add_prompt(r, (lm_api_prompt){.text = lm_api_text(value)});
    if (json_is_array(value) && json_array_size(value) > 0) return add_ids(r, value);
    return lm_api_invalid(r->error, r->name,
                          "'%s' must be a string, a list of token ids, or a list of either",
                          r->name);
}

loam_status lm_api_read_prompts(const json_t *body, const char *name, size_t max, int64_t n_vocab,
                                lm_arena *arena, lm_api_prompts *out, lm_api_error *error) {
    const prompt_reader r = {name, max, n_vocab, arena, out, error};
    const json_t *prompt = lm_api_field(body, name);
    if (!prompt) return lm_api_invalid(error, name, "'%s' is missing", name);
    if (!json_is_array(prompt) || json_is_integer(json_array_get(prompt, 0)))
        return add_one(&r, prompt);
    if (json_array_size(prompt) == 0)
        return lm_api_invalid(error, name, "'%s' is an empty list", name);
    for (size_t i = 0; i < json_array_size(prompt); i++)
        LM_TRY(add_one(&r, json_array_get(prompt, i)));
    return LOAM_OK;
}
