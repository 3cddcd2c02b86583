/* The merge loop of byte-pair encoding: joins neighbours, cheapest pair first, leftmost on equal cost, until no rule
 * applies. A heap over a linked list of symbols: O(n log n), whatever the text; few symbols are searched instead.
 * Source: Sennrich et al., arXiv:1508.07909.
 */
#ifndef LM_MODEL_MERGE_H
#define LM_MODEL_MERGE_H

#include "base/str.h"
#include "base/vec.h"

/* (left id, right id) -> (rank, result id). Immutable when filled: any thread. */
typedef struct lm_merge_table lm_merge_table;
LM_MUST_USE lm_merge_table *lm_merge_table_new(size_t n_merges); /* NULL when out of memory */
void lm_merge_table_free(lm_merge_table *table);
void lm_merge_table_add(lm_merge_table *table, int32_t left, int32_t right,
                        int32_t result); /* the first rank stays */
void lm_merge_table_add_ranked(lm_merge_table *table, int32_t left, int32_t right, int32_t rank,
                               int32_t result); /* the same with a rank of its own */
LM_MUST_USE bool lm_merge_table_get(const lm_merge_table *table, int32_t left, int32_t right,
                                    int32_t *out_rank, int32_t *out_result);

typedef struct lm_symbol {
    uint32_t start, len; /* of its text; len 0: merged away */
    int32_t id;          /* -1: no token */
    int32_t prev, next;  /* indexes, -1: none */
} lm_symbol;

typedef struct lm_merge_candidate {
    double cost;
    int32_t left, right; /* symbols */
    uint32_t len;        /* of both together when this was found; other now: out of date */
    int32_t result;
} lm_merge_candidate;

/* Working memory, reused from text to text. One thread. */
typedef struct lm_merger {
    LM_VEC(lm_symbol) symbols;
    LM_VEC(lm_merge_candidate) heap;
} lm_merger;

void lm_merger_deinit(lm_merger *merger);
void lm_merger_reset(lm_merger *merger);
LM_MUST_USE bool lm_merger_push(lm_merger *merger, uint32_t start, uint32_t len,
                                int32_t id); /* false: no memory */

/* Whether two neighbours may merge, at which cost, into which token. */
typedef bool (*lm_merge_rule)(const void *context, const lm_symbol *left, const lm_symbol *right,
                              double *out_cost, int32_t *out_result);

/* Merges the symbols pushed so far. The survivors are found from symbol 0 along `next`. False: out of memory. */
LM_MUST_USE bool lm_merger_run(lm_merger *merger, lm_merge_rule rule, const void *context);

/* The rule of a merge table, which is the context. */
bool lm_merge_by_table(const void *context, const lm_symbol *left, const lm_symbol *right,
                       double *out_cost, int32_t *out_result);

#endif
