/* Values of a config.json by key, for the files that read it into lm_hparams. A value of another type is an error that names file and key.
 *
 * keys: "a|b|c", of which the first that is there and not null counts: families call the same thing by different names.
 */
#ifndef LM_MODEL_CONFIG_READER_H
#define LM_MODEL_CONFIG_READER_H

#include <jansson.h>

#include "base/str.h"
#include "model/arch.h"

/* The object that is read, and what a family has where it does not say. */
typedef struct lm_config_reader {
    const json_t *config;
    const char *path;
    const lm_arch *arch; /* NULL: not known */
    loam_error *err;
} lm_config_reader;

enum { LM_CONFIG_KEY_BYTES = 64 };

/* The key that counts; the first where none is there. Returns out. */
const char *lm_config_key(const lm_config_reader *r, const char *keys,
                          char out[LM_CONFIG_KEY_BYTES]);

LM_MUST_USE loam_status lm_config_need_i64(const lm_config_reader *r, const char *keys,
                                           int64_t *out);
LM_MUST_USE loam_status lm_config_i64(const lm_config_reader *r, const char *keys, int64_t fallback,
                                      int64_t *out);
/* A number, or a list of one for each layer, which must be alike. */
LM_MUST_USE loam_status lm_config_need_alike(const lm_config_reader *r, const char *keys,
                                             int64_t *out);
LM_MUST_USE loam_status lm_config_alike(const lm_config_reader *r, const char *keys,
                                        int64_t fallback, int64_t *out);
LM_MUST_USE loam_status lm_config_f64(const lm_config_reader *r, const char *keys, double fallback,
                                      double *out);
LM_MUST_USE loam_status lm_config_bool(const lm_config_reader *r, const char *key, bool fallback,
                                       bool *out);
/* A text that fits in out with the zero behind it, and is not empty. */
LM_MUST_USE loam_status lm_config_text(const lm_config_reader *r, const char *keys, lm_str fallback,
                                       char *out, size_t out_bytes);

/* n times a width, which nobody has looked at yet; 0, which is refused later, where that is no number. */
int64_t lm_config_times(int64_t n, int64_t width);

bool lm_config_lists(const json_t *list,
                     int64_t number); /* whether it is one of a list; NULL: no */

#endif
