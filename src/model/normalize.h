/* Normalization: what happens to a text before it is cut and encoded, as a list of small steps.
 *
 * The steps are the primitives that other libraries' normalizers consist of; BERT's, for example, is up to four of
 * them. Bytes that are no UTF-8 pass through every step unchanged.
 */
#ifndef LM_MODEL_NORMALIZE_H
#define LM_MODEL_NORMALIZE_H

#include "base/str.h"
#include "base/vec.h"
#include "model/text_pattern.h"
#include "model/token_trie.h"

typedef enum lm_normalizer_kind {
#define LM_NORMALIZER(id, run) LM_NORMALIZER_##id,
#include "model/normalizers.def"
#undef LM_NORMALIZER
    LM_NORMALIZER_KIND_COUNT,
} lm_normalizer_kind;

/* One step as plain data; the texts are borrowed. Members that a kind does not name do not matter to it. */
typedef struct lm_normalizer_step {
    lm_normalizer_kind kind;
    lm_str pattern;   /* REPLACE: what is looked for; CHARSMAP and SENTENCEPIECE: the map's bytes */
    bool is_regex;    /* REPLACE */
    lm_str text;      /* REPLACE: what comes in its place; PREPEND: what comes in front */
    bool left, right; /* STRIP: from which ends */
    bool prefixes, suffixes, squeezes, escapes; /* SENTENCEPIECE */
} lm_normalizer_step;

typedef LM_VEC(lm_normalizer_step) lm_normalizer_steps;

/* Steps made ready. Immutable: any thread; what the steps borrow must outlive it. */
typedef struct lm_normalizer lm_normalizer;

/* symbols: what SENTENCEPIECE leaves as it is, borrowed; NULL: nothing. LOAM_INVALID when a pattern does not compile,
 * LOAM_CORRUPT for a broken map. */
loam_status lm_normalizer_new(const lm_normalizer_steps *steps, const lm_token_trie *symbols,
                              lm_normalizer **out, loam_error *err) LM_MUST_USE;
void lm_normalizer_free(lm_normalizer *normalizer); /* NULL is fine */

/* Working memory, reused from text to text; one thread. */
typedef struct lm_normalizer_scratch {
    lm_buf from, to;
    lm_text_matcher matcher;
} lm_normalizer_scratch;
void lm_normalizer_scratch_init(lm_normalizer_scratch *scratch);
void lm_normalizer_scratch_deinit(lm_normalizer_scratch *scratch);

/* *out is `text` itself when there are no steps, else in the scratch until its next use. LOAM_LIMIT, LOAM_NO_MEMORY. */
loam_status lm_normalizer_run(const lm_normalizer *normalizer, lm_str text,
                              lm_normalizer_scratch *scratch, lm_str *out,
                              loam_error *err) LM_MUST_USE;

#endif
