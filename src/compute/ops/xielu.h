/* What XIELU's reference and kernels share: its numbers, from those that are learned. */
#ifndef LM_COMPUTE_OPS_XIELU_H
#define LM_COMPUTE_OPS_XIELU_H

#include "compute/ops/rules.h"

typedef struct lm_xielu {
    float alpha_p, alpha_n, beta, eps;
} lm_xielu;

static inline double lm_softplus_f64(double x) {
    return x > 30 ? x : log1p(exp(x));
}

static inline lm_xielu lm_xielu_of(const lm_node *node) {
    double beta = *lm_f32(node->in[3]);
    return (lm_xielu){.alpha_p = (float)lm_softplus_f64(*lm_f32(node->in[1])),
                      .alpha_n = (float)(beta + lm_softplus_f64(*lm_f32(node->in[2]))),
                      .beta = (float)beta,
                      .eps = *lm_f32(node->in[4])};
}

#endif
