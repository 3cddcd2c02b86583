/* Regular expressions over text, in the dialects tokenizers are published with (Oniguruma's and Rust's), on PCRE2:
 * compiled to machine code where it can, with limits on matching, since they come from files.
 */
#ifndef LM_MODEL_TEXT_PATTERN_H
#define LM_MODEL_TEXT_PATTERN_H

#include "base/str.h"

enum { LM_TEXT_PATTERN_MAX_BYTES = 1 << 16 };

/* Immutable: any thread. */
typedef struct lm_text_pattern lm_text_pattern;

/* LOAM_INVALID with the place in the pattern that does not compile, LOAM_LIMIT. The text need not outlive the call. */
loam_status lm_text_pattern_new(lm_str pattern, lm_text_pattern **out, loam_error *err) LM_MUST_USE;
void lm_text_pattern_free(lm_text_pattern *pattern); /* NULL is fine */

/* Working memory of matching; zeroed is empty. One thread. */
typedef struct lm_text_matcher {
    struct pcre2_real_match_data_8 *data;
    struct pcre2_real_match_context_8 *context;
} lm_text_matcher;

void lm_text_matcher_deinit(lm_text_matcher *matcher);

/* The first match in `text`, which is valid UTF-8, at or behind `from`; *out_found false when there is none. A match
 * may be empty. LOAM_LIMIT when it takes too long, LOAM_NO_MEMORY. */
loam_status lm_text_pattern_find(const lm_text_pattern *pattern, lm_text_matcher *matcher,
                                 lm_str text, size_t from, bool *out_found, size_t *out_start,
                                 size_t *out_end, loam_error *err) LM_MUST_USE;

#endif
