#include "model/config_reader.h"

#include <stdio.h>

#include "base/checked.h"
#include "base/json.h"

const char *lm_config_key(const lm_config_reader *r, const char *keys,
                          char out[LM_CONFIG_KEY_BYTES]) {
    for (const char *at = keys, *end; at; at = *end ? end + 1 : NULL) {
        end = at + strcspn(at, "|");
        snprintf(out, LM_CONFIG_KEY_BYTES, "%.*s", (int)(end - at), at);
        const json_t *value = json_object_get(r->config, out);
        if (value && !json_is_null(value)) return out;
    }
    snprintf(out, LM_CONFIG_KEY_BYTES, "%.*s", (int)strcspn(keys, "|"), keys);
    return out;
}

loam_status lm_config_need_i64(const lm_config_reader *r, const char *keys, int64_t *out) {
    char key[LM_CONFIG_KEY_BYTES];
    return lm_json_i64(r->config, r->path, lm_config_key(r, keys, key), out, r->err);
}

loam_status lm_config_i64(const lm_config_reader *r, const char *keys, int64_t fallback,
                          int64_t *out) {
    char key[LM_CONFIG_KEY_BYTES];
    return lm_json_i64_or(r->config, r->path, lm_config_key(r, keys, key), fallback, out, r->err);
}

loam_status lm_config_alike(const lm_config_reader *r, const char *keys, int64_t fallback,
                            int64_t *out) {
    char key[LM_CONFIG_KEY_BYTES];
    const json_t *list = json_object_get(r->config, lm_config_key(r, keys, key));
    if (!json_is_array(list)) return lm_config_i64(r, keys, fallback, out);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_integer(json_array_get(list, i)) ||
            !json_equal(json_array_get(list, i), json_array_get(list, 0)))
            return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: '%s' is not the same in all layers",
                                r->path, key);
    *out = json_array_size(list) ? json_integer_value(json_array_get(list, 0)) : fallback;
    return LOAM_OK;
}

loam_status lm_config_need_alike(const lm_config_reader *r, const char *keys, int64_t *out) {
    char key[LM_CONFIG_KEY_BYTES];
    bool listed = json_is_array(json_object_get(r->config, lm_config_key(r, keys, key)));
    return listed ? lm_config_alike(r, keys, 0, out) : lm_config_need_i64(r, keys, out);
}

loam_status lm_config_f64(const lm_config_reader *r, const char *keys, double fallback,
                          double *out) {
    char key[LM_CONFIG_KEY_BYTES];
    return lm_json_f64_or(r->config, r->path, lm_config_key(r, keys, key), fallback, out, r->err);
}

loam_status lm_config_bool(const lm_config_reader *r, const char *key, bool fallback, bool *out) {
    return lm_json_bool_or(r->config, r->path, key, fallback, out, r->err);
}

loam_status lm_config_text(const lm_config_reader *r, const char *keys, lm_str fallback, char *out,
                           size_t out_bytes) {
    char key[LM_CONFIG_KEY_BYTES];
    lm_str text;
    LM_TRY(
        lm_json_str_or(r->config, r->path, lm_config_key(r, keys, key), fallback, &text, r->err));
    if (text.len == 0 || text.len >= out_bytes)
        return lm_error_set(r->err, LOAM_INVALID, "%s: '%s' is missing or too long", r->path, key);
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return LOAM_OK;
}

int64_t lm_config_times(int64_t n, int64_t width) {
    int64_t all;
    return lm_checked_mul_i64(n, width, &all) ? all : 0;
}

bool lm_config_lists(const json_t *list, int64_t number) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_integer_value(json_array_get(list, i)) == number) return true;
    return false;
}
