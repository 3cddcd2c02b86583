/* What CHOOSE's reference and kernels share: which of the scored positions are kept. */
#ifndef LM_COMPUTE_OPS_CHOOSE_H
#define LM_COMPUTE_OPS_CHOOSE_H

#include "compute/ops/paged_cache.h"

/* The best of a row's positions, in its places of the op's outputs: a heap whose first is the worst of them. */
typedef struct lm_chosen {
    int32_t *at;  /* [most] */
    float *score; /* [most] */
    int64_t n, most;
} lm_chosen;

/* None of the row's positions, of which n_used shall be kept. */
lm_chosen lm_chosen_init(const lm_node *choose, int64_t row);

/* Takes n positions from `first` on; positions come in order. */
void lm_chosen_offer(lm_chosen *c, const float *scores, int64_t first, int64_t n);

/* Puts them in order of positions. */
void lm_chosen_end(lm_chosen *c);

/* For a row that sees no more than may be chosen: all. */
void lm_choose_all(const lm_node *choose, int64_t row);

#endif
