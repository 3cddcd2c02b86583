/* Typed reading of jansson values, with errors that name the field.
 *
 * `path` is what the error calls the object ("config.json", "body.messages[2]"). Required fields give LOAM_INVALID when
 * absent; the _or forms give the fallback for absent and null, and still refuse a wrong type. Borrowed results live
 * as long as the object.
 */
#ifndef LM_BASE_JSON_H
#define LM_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/str.h"

/* Parses a whole document; nesting is bounded by jansson. *out is a new reference (json_decref). */
loam_status lm_json_parse(lm_str text, const char *path, json_t **out, loam_error *err) LM_MUST_USE;

/* Python writes numbers as no JSON does. Infinity, the bound of what has none, becomes null, which is not said; integers that
 * 64 bits do not hold become real numbers as large. text: n bytes, and as many afterwards. */
void lm_json_from_python(char *text, size_t n);

loam_status lm_json_str(const json_t *object, const char *path, const char *key, lm_str *out,
                        loam_error *err) LM_MUST_USE;
loam_status lm_json_i64(const json_t *object, const char *path, const char *key, int64_t *out,
                        loam_error *err) LM_MUST_USE;
loam_status lm_json_str_or(const json_t *object, const char *path, const char *key, lm_str fallback,
                           lm_str *out, loam_error *err) LM_MUST_USE;
loam_status lm_json_i64_or(const json_t *object, const char *path, const char *key,
                           int64_t fallback, int64_t *out, loam_error *err) LM_MUST_USE;
loam_status lm_json_f64_or(const json_t *object, const char *path, const char *key, double fallback,
                           double *out, loam_error *err) LM_MUST_USE;
loam_status lm_json_bool_or(const json_t *object, const char *path, const char *key, bool fallback,
                            bool *out, loam_error *err) LM_MUST_USE;

#endif
