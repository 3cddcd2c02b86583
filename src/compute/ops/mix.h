/* What MIX's reference and kernels share. */
#ifndef LM_COMPUTE_OPS_MIX_H
#define LM_COMPUTE_OPS_MIX_H

#include "compute/ops/rules.h"

/* Parts of a row that are mixed each by itself. */
static inline int64_t lm_mix_parts(const lm_node *mix) {
    return mix->attrs.n_groups > 0 ? mix->attrs.n_groups : 1;
}

#endif
