/* A trie of byte strings: all of them that a text begins with, shortest first, in one walk. Children stand side by side,
 * sorted by label; the root's are found by index. Immutable when built: any thread.
 */
#ifndef LM_MODEL_TOKEN_TRIE_H
#define LM_MODEL_TOKEN_TRIE_H

#include "base/str.h"

typedef struct lm_token_trie lm_token_trie;

typedef struct lm_trie_entry {
    lm_str key;    /* not empty */
    int32_t value; /* >= 0 */
} lm_trie_entry;

/* Sorts the entries. Of equal keys one with the smallest value stays. NULL when out of memory. */
LM_MUST_USE lm_token_trie *lm_token_trie_new(lm_trie_entry *entries, size_t n);
void lm_token_trie_free(lm_token_trie *trie); /* NULL is fine */

/* A walk: begin at node 0, step by bytes until it returns 0; *out_value is the node's value, -1 when no key ends there.
 */
LM_MUST_USE uint32_t lm_token_trie_step(const lm_token_trie *trie, uint32_t node, uint8_t byte,
                                        int32_t *out_value);

/* The longest key that text begins with, going on from `node`; -1 when none. */
int32_t lm_token_trie_longest(const lm_token_trie *trie, uint32_t node, lm_str text,
                              size_t *out_len);

/* The node that `prefix` leads to; 0 with false when no key begins so. */
bool lm_token_trie_find(const lm_token_trie *trie, lm_str prefix, uint32_t *out_node);

#endif
