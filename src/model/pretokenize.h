/* Pre-tokenization: regular expressions that cut text into the stretches inside which byte-pair encoding merges.
 *
 * A list of patterns is applied one after the other: each cuts every stretch the former ones left into its matches and
 * what lies between them. Nothing is ever lost. Bytes that are no UTF-8 become stretches of their own. Patterns run on
 * PCRE2, compiled to machine code where it can, with limits on matching, since they come from files.
 */
#ifndef LM_MODEL_PRETOKENIZE_H
#define LM_MODEL_PRETOKENIZE_H

#include "base/str.h"
#include "base/vec.h"

enum {
    LM_PRETOKENIZER_MAX_PATTERNS = 16,
    LM_PRETOKENIZER_MAX_PATTERN_BYTES = 1 << 16,
    LM_PRETOKENIZER_NAME_BYTES = 32,
};

typedef struct lm_pretokenizer_patterns {
    lm_str items[LM_PRETOKENIZER_MAX_PATTERNS];
    int n;
} lm_pretokenizer_patterns;

/* The patterns that GGUF calls by this name; false when loam does not know it. Static storage. */
LM_MUST_USE bool lm_pretokenizer_find(lm_str name, lm_pretokenizer_patterns *out);
const char *lm_pretokenizer_known_names(void); /* "gpt-2, llama-bpe, ..." */

/* The name whose patterns are exactly these, or NULL. */
const char *lm_pretokenizer_name_of(const lm_pretokenizer_patterns *patterns);

/* Compiled patterns. Immutable: any thread. */
typedef struct lm_pretokenizer lm_pretokenizer;

/* LOAM_INVALID with the place in the pattern that does not compile. The patterns need not outlive the call. */
loam_status lm_pretokenizer_new(const lm_pretokenizer_patterns *patterns, lm_pretokenizer **out,
                                loam_error *err) LM_MUST_USE;
void lm_pretokenizer_free(lm_pretokenizer *pretokenizer);

/* Ends of the stretches, as offsets into the text, ascending; the last is the text's length. */
typedef LM_VEC(uint32_t) lm_text_ends;
typedef struct lm_pretokens {
    lm_text_ends ends;
    lm_text_ends next_ends; /* working memory */
} lm_pretokens;
void lm_pretokens_deinit(lm_pretokens *pretokens);

/* Replaces *out by the stretches of the text. LOAM_LIMIT when a pattern takes too long, LOAM_NO_MEMORY. */
loam_status lm_pretokenizer_run(const lm_pretokenizer *pretokenizer, lm_str text, lm_pretokens *out,
                                loam_error *err) LM_MUST_USE;

#endif
