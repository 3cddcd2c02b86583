/* What MIX's reference and kernels share. */
#ifndef LM_COMPUTE_OPS_MIX_H
#define LM_COMPUTE_OPS_MIX_H

#include "compute/ops/rules.h"

/* Parts of a row that are mixed each by itself. */
static inline int64_t lm_mix_parts(const lm_node *mix) {
    return mix->attrs.n_groups > 0 ? mix->attrs.n_groups : 1;
}

/* Whether the i-th choice of a row is one that says what `own` has of it. */
static inline bool lm_mix_is_own(const lm_node *mix, int64_t row, int64_t i) {
    const lm_tensor *ids = mix->in[2];
    return ids && lm_i32(ids)[row * ids->shape[1] + i] >= mix->attrs.n_used;
}

#endif
