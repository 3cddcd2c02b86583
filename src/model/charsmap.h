/* SentencePiece's precompiled map of characters: a double-array trie of character sequences, and what each becomes.
 * Source: Kudo and Richardson, arXiv:1808.06226; layout of the units from darts-clone.
 */
#ifndef LM_MODEL_CHARSMAP_H
#define LM_MODEL_CHARSMAP_H

#include "base/str.h"

/* A view of the map's bytes, which it borrows. Immutable: any thread. */
typedef struct lm_charsmap {
    const char *units; /* little-endian 32-bit words, not aligned */
    size_t n_units;
    lm_str texts; /* zero-terminated ones */
} lm_charsmap;

/* Empty bytes give a map of nothing. LOAM_CORRUPT when the bytes end early. */
loam_status lm_charsmap_init(lm_charsmap *map, lm_str bytes, loam_error *err) LM_MUST_USE;

/* The longest (or shortest) sequence at the beginning of `text` that the map knows: its bytes and what it becomes.
 * False when there is none. */
bool lm_charsmap_match(const lm_charsmap *map, lm_str text, bool shortest, size_t *out_len,
                       lm_str *out_text);

#endif
