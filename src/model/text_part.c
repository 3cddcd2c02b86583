#include "model/text_part.h"

#include <string.h>

#include "base/json.h"

typedef enum line_kind { TYPE, REFUSED, UNUSED, DEFAULTS } line_kind;

static const struct line {
    line_kind kind;
    const char *type, *says;
} lines[] = {
#define LM_TEXT(kind, type, says) {kind, type, says},
#include "model/text_parts.def"
#undef LM_TEXT
};

/* What the line of this type says; NULL: it has none. */
static const char *look_up(line_kind kind, const char *type) {
    for (size_t i = 0; type && i < LM_COUNT_OF(lines); i++)
        if (lines[i].kind == kind && strcmp(lines[i].type, type) == 0) return lines[i].says;
    return NULL;
}

static const char *type_of(const json_t *object) {
    return json_string_value(json_object_get(object, "model_type"));
}

const json_t *lm_text_part_object(const json_t *config) {
    /* Models that speak have a part that thinks, with its text part inside. */
    static const char *const parts[] = {"thinker_config", "text_config", "llm_config",
                                        "language_config"};
    for (size_t i = 0; i < LM_COUNT_OF(parts); i++) {
        const json_t *part = json_object_get(config, parts[i]);
        if (json_is_object(part)) config = part;
    }
    return config;
}

static LM_MUST_USE loam_status add_defaults(json_t *part, loam_error *err) {
    const char *text = look_up(DEFAULTS, type_of(part));
    json_t *object;
    if (!text) return LOAM_OK;
    LM_TRY(lm_json_parse(lm_str_of(text), "text_parts.def", &object, err));
    int failed = json_object_update_missing(part, object);
    json_decref(object);
    return failed ? lm_error_no_memory(err, strlen(text)) : LOAM_OK;
}

static LM_MUST_USE loam_status name_type(json_t *part, loam_error *err) {
    const char *as = look_up(TYPE, type_of(part));
    if (as && json_object_set_new(part, "model_type", json_string(as)))
        return lm_error_no_memory(err, strlen(as));
    return LOAM_OK;
}

static LM_MUST_USE loam_status complete(json_t *part, const json_t *whole, loam_error *err) {
    const char *unused = look_up(UNUSED, type_of(whole));
    if (unused) json_object_del(part, unused);
    return add_defaults(part, err);
}

static LM_MUST_USE loam_status check_whole(const json_t *whole, const char *path, loam_error *err) {
    const char *type = type_of(whole), *why = look_up(REFUSED, type);
    if (!why) return LOAM_OK;
    return lm_error_set(err, LOAM_UNSUPPORTED,
                        "%s: the text part of '%s' does not answer alone: %s", path, type, why);
}

loam_status lm_text_part(const json_t *config, const char *path, json_t **out, bool *out_is_part,
                         loam_error *err) {
    static const char *const shared[] = {"model_type", "tie_word_embeddings"};
    static const char *const inner[] = {"attn_config", "ffn_config"}; /* DBRX's and MPT's */
    const json_t *object = lm_text_part_object(config);
    LM_TRY(check_whole(config, path, err));
    json_t *copy = json_copy((json_t *)object);
    if (!copy) return lm_error_no_memory(err, json_object_size(object));
    for (size_t i = 0; i < LM_COUNT_OF(shared); i++) {
        json_t *value = json_object_get(config, shared[i]);
        if (value && !json_object_get(copy, shared[i])) json_object_set(copy, shared[i], value);
    }
    for (size_t i = 0; i < LM_COUNT_OF(inner); i++) {
        json_t *part = json_object_get(copy, inner[i]);
        if (json_is_object(part)) json_object_update_missing(copy, part);
    }
    bool is_part = object != config || json_object_get(config, "vision_config");
    loam_status status = name_type(copy, err);
    if (status == LOAM_OK && is_part) status = complete(copy, config, err);
    if (status != LOAM_OK) {
        json_decref(copy);
        return status;
    }
    *out_is_part = is_part;
    *out = copy;
    return LOAM_OK;
}
