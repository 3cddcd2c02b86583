/* Softmax-weighted sum of values over blocks of positions, in one pass:
 * arXiv:1805.02867, arXiv:2205.14135
 *
 * For each block of at most LM_ATTENTION_BLOCK positions, which are consecutive and begin at a
 * multiple of it:
 *     s[j]  = lm_dot(q, k[j]) * scale             m' = max(m, s[0], s[1], ...)
 *     p[j]  = lm_exp(s[j] - m'), absent ones 0    c = lm_exp(m - m')
 *     l'    = l * c + lm_lanes_fold(p)
 *     acc'[d] = acc[d] * c, then acc'[d] = fmaf(p[j], v[j][d], acc'[d]) for j in order
 * and at the end out = acc / l, lse = m + log(l). All attention kernels keep this order.
 */
#ifndef LM_COMPUTE_OPS_ONLINE_SOFTMAX_H
#define LM_COMPUTE_OPS_ONLINE_SOFTMAX_H

#include "compute/numerics.h"

typedef struct lm_online_softmax {
    float max, sum;
    float acc[LM_MAX_HEAD_DIM];
} lm_online_softmax;

static inline void lm_online_softmax_init(lm_online_softmax *state, int64_t dim) {
    state->max = -INFINITY;
    state->sum = 0.0f;
    for (int64_t d = 0; d < dim; d++) state->acc[d] = 0.0f;
}

/* Keys and values of position j begin at k + j * stride and v + j * stride. */
static inline void lm_online_softmax_block(lm_online_softmax *state, const float *q, const float *k,
                                           const float *v, int64_t stride, int64_t n, int64_t dim,
                                           float scale) {
    float p[LM_ATTENTION_BLOCK] = {0};
    float max = state->max;
    for (int64_t j = 0; j < n; j++) {
        p[j] = lm_dot(q, k + j * stride, dim) * scale;
        if (p[j] > max) max = p[j];
    }
    for (int64_t j = 0; j < n; j++) p[j] = lm_exp(p[j] - max);
    float correction = lm_exp(state->max - max);
    for (int64_t d = 0; d < dim; d++) state->acc[d] *= correction;
    for (int64_t j = 0; j < n; j++)
        for (int64_t d = 0; d < dim; d++)
            state->acc[d] = fmaf(p[j], v[j * stride + d], state->acc[d]);
    state->sum = state->sum * correction + lm_lanes_fold(p);
    state->max = max;
}

/* Writes the weighted mean; returns the log of the sum of exponentials. */
static inline float lm_online_softmax_end(const lm_online_softmax *state, float *out, int64_t dim) {
    for (int64_t d = 0; d < dim; d++) out[d] = state->acc[d] / state->sum;
    return state->max + logf(state->sum);
}

#endif
