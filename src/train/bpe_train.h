/* Learning byte-level BPE merges from text (Sennrich et al., arXiv:1508.07909; bytes as in GPT-2).
 *
 * Symbols 0 to 255 are the bytes; merge i makes symbol 256 + i. The most frequent pair of neighbours within a pre-token is
 * merged first; of equally frequent ones the one with the smaller left symbol, then the smaller right one, so the result is
 * a function of the text alone. Counts are kept incrementally: a merge touches only the words that hold the pair.
 */
#ifndef LM_TRAIN_BPE_TRAIN_H
#define LM_TRAIN_BPE_TRAIN_H

#include "base/str.h"
#include "base/vec.h"

enum { LM_BPE_N_BYTES = 256 };

typedef struct lm_bpe_merge {
    int32_t left, right;
} lm_bpe_merge;

typedef LM_VEC(lm_bpe_merge) lm_bpe_merges;

/* The words (pre-tokens) of a text with their counts. */
typedef struct lm_bpe_words lm_bpe_words;

LM_MUST_USE lm_bpe_words *lm_bpe_words_new(void);
void lm_bpe_words_free(lm_bpe_words *words);
LM_MUST_USE bool lm_bpe_words_add(lm_bpe_words *words, lm_str word); /* false: out of memory */
size_t lm_bpe_words_len(const lm_bpe_words *words);                  /* different ones */

/* Appends up to n_merges merges; fewer when no pair is left that occurs twice. Uses the words up: only free may follow. */
loam_status lm_bpe_learn(lm_bpe_words *words, int32_t n_merges, lm_bpe_merges *out,
                         loam_error *err) LM_MUST_USE;

#endif
