/* Attention of one query over blocks of positions, in one pass: arXiv:1805.02867, arXiv:2205.14135. Inference finds the blocks in
 * a paged cache, training in the rows of a sequence.
 *
 * The query is multiplied once by scale * log2(e), so that weights are powers of two. Then for each block of at most
 * LM_PAGED_BLOCK positions, which are consecutive and begin at a multiple of it:
 *     s[j]   = fmaf(q[d], k[d][j], s[j]) for d in order, from +0          (times k_scale[j] where the keys have scales;
 *                                                                         then cap * lm_tanh(s[j] * (1 / cap)) where
 *                                                                         scores are capped, cap times log2(e) too; then
 *                                                                         fmaf(bias[j], log2(e), s[j]) where they are biased)
 *     m'     = max(m, s[0], s[1], ...)          c = lm_exp2(m - m')
 *     p[j]   = lm_exp2(s[j] - m'), absent ones 0
 *     l'[i]  = l[i] * c, then + p[i], + p[i + 16], ...                    LM_LANES partial sums
 *     acc'[d] = acc[d] * c, then fmaf(p[j], v[j][d], acc'[d]) for j in order, absent ones left out
 *                                                                         (p[j] times v_scale[j] first)
 * and at the end out = acc / lm_lanes_fold(l). It begins with m = -infinity and l = 0; a sink (a score without a value:
 * arXiv:2309.17453) begins with m = sink * log2(e) and l[0] = 1. A window leaves out whole blocks before it, and what lies
 * before it in the first of the others is absent there. No sum runs across the lanes of a vector while there are keys or values to
 * read: positions are lanes in the first product, dimensions in the second. Positions are absolute, so the result depends
 * neither on how a prompt was cut nor on the cache's block size. All kernels keep this order.
 */
#ifndef LM_COMPUTE_OPS_PAGED_SOFTMAX_H
#define LM_COMPUTE_OPS_PAGED_SOFTMAX_H

#include "compute/numerics.h"

/* What a query is multiplied with; a cap and a sink are too, of scale 1. */
static inline float lm_paged_query_scale(float scale) {
    return scale * 1.44269504f;
}

/* The first position that a row at `pos` sees through a window (0: none). */
static inline int64_t lm_paged_first(int64_t pos, int64_t window) {
    return window > 0 && pos >= window ? pos - window + 1 : 0;
}

typedef struct lm_paged_softmax {
    float max;
    float sum[LM_LANES];
    float q[LM_MAX_HEAD_DIM], acc[LM_MAX_HEAD_DIM];
} lm_paged_softmax;

/* A block of n keys [k_dim][stride] and values [n][v_dim], of which those from `first` on are seen; scales and bias are NULL or [n]. */
typedef struct lm_paged_block {
    const float *k, *v, *k_scale, *v_scale, *bias;
    int64_t k_dim, v_dim, stride, first, n;
} lm_paged_block;

static inline void lm_paged_softmax_init(lm_paged_softmax *state, const float *q, int64_t dim,
                                         float scale) {
    *state = (lm_paged_softmax){.max = -INFINITY};
    for (int64_t d = 0; d < dim; d++) state->q[d] = q[d] * lm_paged_query_scale(scale);
}

static inline void lm_paged_softmax_sink(lm_paged_softmax *state, float sink) {
    state->max = lm_paged_query_scale(sink);
    state->sum[0] = 1.0f;
}

/* cap: of the scores, times log2(e); 0: none. */
static inline void lm_paged_softmax_block(lm_paged_softmax *state, const lm_paged_block *b,
                                          float cap) {
    float p[LM_PAGED_BLOCK] = {0}, max = state->max;
    for (int64_t j = b->first; j < b->n; j++) {
        for (int64_t d = 0; d < b->k_dim; d++)
            p[j] = fmaf(state->q[d], b->k[d * b->stride + j], p[j]);
        if (b->k_scale) p[j] *= b->k_scale[j];
        if (cap > 0.0f) p[j] = cap * lm_tanh(p[j] * (1.0f / cap));
        if (b->bias) p[j] = fmaf(b->bias[j], lm_paged_query_scale(1.0f), p[j]);
        if (p[j] > max) max = p[j];
    }
    float keep = lm_exp2(state->max - max);
    state->max = max;
    for (int64_t j = b->first; j < b->n; j++) p[j] = lm_exp2(p[j] - max);
    for (int64_t i = 0; i < LM_LANES; i++) state->sum[i] *= keep;
    for (int64_t j = 0; j < LM_PAGED_BLOCK; j++) state->sum[j % LM_LANES] += p[j];
    for (int64_t d = 0; d < b->v_dim; d++) state->acc[d] *= keep;
    for (int64_t j = b->first; j < b->n; j++) {
        float weight = b->v_scale ? p[j] * b->v_scale[j] : p[j];
        for (int64_t d = 0; d < b->v_dim; d++)
            state->acc[d] = fmaf(weight, b->v[j * b->v_dim + d], state->acc[d]);
    }
}

/* Writes the weighted mean; returns log2 of the sum of the powers of two. */
static inline float lm_paged_softmax_end(lm_paged_softmax *state, float *out, int64_t dim) {
    float sum = lm_lanes_fold(state->sum);
    for (int64_t d = 0; d < dim; d++) out[d] = state->acc[d] / sum;
    return state->max + log2f(sum);
}

#endif
