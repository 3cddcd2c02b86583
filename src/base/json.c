#include "base/json.h"

static const char *type_name(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    default: return "null";
    }
}

static loam_status wrong_type(loam_error *err, const char *path, const char *key, const char *want,
                              const json_t *value) {
    return lm_error_set(err, LOAM_INVALID, "%s: '%s' must be %s, not %s", path, key, want,
                        type_name(value));
}

static loam_status missing(loam_error *err, const char *path, const char *key) {
    return lm_error_set(err, LOAM_INVALID, "%s: '%s' is missing", path, key);
}

/* The field, or NULL when absent or null. */
static json_t *field(const json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

loam_status lm_json_parse(lm_str text, const char *path, json_t **out, loam_error *err) {
    json_error_t detail;
    json_t *value = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &detail);
    if (!value)
        return lm_error_set(err, LOAM_INVALID, "%s: not valid JSON at line %d column %d: %s", path,
                            detail.line, detail.column, detail.text);
    *out = value;
    return LOAM_OK;
}

loam_status lm_json_str(const json_t *object, const char *path, const char *key, lm_str *out,
                        loam_error *err) {
    if (!field(object, key)) return missing(err, path, key);
    return lm_json_str_or(object, path, key, LM_STR(""), out, err);
}

loam_status lm_json_i64(const json_t *object, const char *path, const char *key, int64_t *out,
                        loam_error *err) {
    if (!field(object, key)) return missing(err, path, key);
    return lm_json_i64_or(object, path, key, 0, out, err);
}

loam_status lm_json_str_or(const json_t *object, const char *path, const char *key, lm_str fallback,
                           lm_str *out, loam_error *err) {
    const json_t *value = field(object, key);
    if (value && !json_is_string(value)) return wrong_type(err, path, key, "a string", value);
    *out = value ? (lm_str){json_string_value(value), json_string_length(value)} : fallback;
    return LOAM_OK;
}

loam_status lm_json_i64_or(const json_t *object, const char *path, const char *key,
                           int64_t fallback, int64_t *out, loam_error *err) {
    const json_t *value = field(object, key);
    if (value && !json_is_integer(value)) return wrong_type(err, path, key, "an integer", value);
    *out = value ? json_integer_value(value) : fallback;
    return LOAM_OK;
}

loam_status lm_json_f64_or(const json_t *object, const char *path, const char *key, double fallback,
                           double *out, loam_error *err) {
    const json_t *value = field(object, key);
    if (value && !json_is_number(value)) return wrong_type(err, path, key, "a number", value);
    *out = value ? json_number_value(value) : fallback;
    return LOAM_OK;
}

loam_status lm_json_bool_or(const json_t *object, const char *path, const char *key, bool fallback,
                            bool *out, loam_error *err) {
    const json_t *value = field(object, key);
    if (value && !json_is_boolean(value)) return wrong_type(err, path, key, "a boolean", value);
    *out = value ? json_is_true(value) : fallback;
    return LOAM_OK;
}
