/* From texts to ids, for the loops that look up every word: texts are borrowed, hashing is quick. What is stored comes
 * from a vocabulary, not from strangers, so that lookups cannot be made to collide. Immutable when filled: any thread.
 */
#ifndef LM_MODEL_TEXT_INDEX_H
#define LM_MODEL_TEXT_INDEX_H

#include "base/str.h"

/* Any 64 bits from any bytes; the same in one process. */
static inline uint64_t lm_text_hash(lm_str text) {
    const uint64_t k = 0x9e3779b97f4a7c15u;
    uint64_t h = text.len * k, word = 0;
    const char *at = text.ptr;
    size_t n = text.len;
    for (; n >= 8; n -= 8, at += 8) {
        memcpy(&word, at, 8);
        h = (h ^ word) * k;
        h ^= h >> 29;
    }
    if (n >= 4) { /* the last bytes in two reads that may overlap */
        uint32_t low, high;
        memcpy(&low, at, 4);
        memcpy(&high, at + n - 4, 4);
        word = (uint64_t)high << 32 | low;
    } else {
        word = 0;
        for (size_t i = 0; i < n; i++) word = word << 8 | (uint8_t)at[i];
    }
    h = (h ^ word) * k;
    return h ^ h >> 32;
}

typedef struct lm_text_index lm_text_index;

LM_MUST_USE lm_text_index *lm_text_index_new(size_t n_texts); /* NULL when out of memory */
void lm_text_index_free(lm_text_index *index);                /* NULL is fine */

/* At most n_texts times. The first of equal texts stays. */
void lm_text_index_add(lm_text_index *index, lm_str text, int32_t id);

/* `hash` is lm_text_hash(text). -1 when the text is not there. */
int32_t lm_text_index_get(const lm_text_index *index, lm_str text, uint64_t hash);

#endif
