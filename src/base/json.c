#include "base/json.h"

#include <ctype.h>

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

/* The name of a number without one in JSON becomes null. Returns how many bytes it had, 0: none is there. */
static size_t bound_to_null(char *text, size_t n) {
    static const char *const names[] = {"-Infinity", "Infinity"};
    for (size_t i = 0; i < LM_COUNT_OF(names); i++) {
        size_t len = strlen(names[i]);
        if (n < len || memcmp(text, names[i], len) != 0) continue;
        memset(text, ' ', len);
        memcpy(text, "null", 4);
        return len;
    }
    return 0;
}

/* An integer that does not fit 64 bits becomes a real number, as large but for its last digits, of as many bytes. Returns how many
 * the number has, 0: none is there. */
static size_t integer_to_real(char *text, size_t n) {
    static const char thousands[] = "e03";
    size_t first = n > 0 && text[0] == '-', len = first;
    bool whole = true;
    int64_t value;
    for (; len < n && text[len] != '\0' && strchr("0123456789+-.eE", text[len]); len++)
        if (!isdigit((unsigned char)text[len])) whole = false;
    if (whole && len - first > strlen(thousands) && !lm_str_to_i64((lm_str){text, len}, &value))
        memcpy(text + len - strlen(thousands), thousands, strlen(thousands));
    return len > first ? len : 0;
}

void lm_json_from_python(char *text, size_t n) {
    bool in_string = false;
    for (size_t at = 0, len; at < n; at += len) {
        len = 1;
        if (text[at] == '"') in_string = !in_string;
        if (in_string && text[at] == '\\') len = 2; /* what is escaped ends no string */
        if (in_string) continue;
        size_t name = bound_to_null(text + at, n - at);
        size_t number = name > 0 ? name : integer_to_real(text + at, n - at);
        if (number > 0) len = number;
    }
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
