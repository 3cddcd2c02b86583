/* What XIELU's reference and kernels share: its numbers, from those that are learned. */
#ifndef LM_COMPUTE_OPS_XIELU_H
#define LM_COMPUTE_OPS_XIELU_H

#include "compute/ops/rules.h"

typedef struct lm_xielu {
    float alpha_p, alpha_n, beta, eps;
} lm_xielu;

static inline lm_xielu lm_xielu_of(const lm_node *node) {
    float beta = *lm_f32(node->in[3]);
    return (lm_xielu){.alpha_p = lm_softplus(*lm_f32(node->in[1])),
                      .alpha_n = beta + lm_softplus(*lm_f32(node->in[2])),
                      .beta = beta,
                      .eps = *lm_f32(node->in[4])};
}

#endif
