/* Attention of one query over blocks of positions, in one pass: arXiv:1805.02867, arXiv:2205.14135. Inference finds the blocks in
 * a paged cache, training in the rows of a sequence.
 *
 * The query is multiplied once by scale * log2(e), so that weights are powers of two. Then for each block of at most
 * LM_PAGED_BLOCK positions, which are consecutive and begin at a multiple of it:
 *     s[j]   = fmaf(q[d], k[d][j], s[j]) for d in order, from +0          (then cap * lm_tanh(s[j] * (1 / cap)) where
 *                                                                         scores are capped, cap times log2(e) too; then
 *                                                                         fmaf(bias[j], log2(e), s[j]) where they are biased)
 *     m'     = max(m, s[0], s[1], ...)          c = lm_exp2(m - m')
 *     p[j]   = lm_exp2(s[j] - m'), absent ones 0
 *     l'[i]  = l[i] * c, then + p[i], + p[i + 16], ...                    LM_LANES partial sums
 *     acc'[d] = acc[d] * c, then fmaf(p[j], v[j][d], acc'[d]) for j in order, absent ones left out
 * and at the end out = acc / lm_lanes_fold(l). It begins with m = -infinity and l = 0; a sink (a score without a value:
 * arXiv:2309.17453) begins with m = sink * log2(e) and l[0] = 1. A window leaves out whole blocks before it, and what lies
 * before it in the first of the others is absent there. No sum runs across the lanes of a vector while there are keys or values to
 * read: positions are lanes in the first product, dimensions in the second. Positions are absolute, so the result depends
 * neither on how a prompt was cut nor on the cache's block size. All kernels keep this order.
 *
 * Keys and values that are codes (integers, with scales: ops/paged_cache.h) are multiplied as integers, whose sums are exact. The
 * query becomes codes of length LM_CODE_LENGTH, and so, by their sum, do the weights of a block:
 *     s[j]    = (float)(sum of q[d] k[d][j] over d) * q_unit          (then times k_scale[j] and so on)
 *     w[j]    = p[j] * v_scale[j], absent ones 0, as codes: rint(w[j] * factor), of lm_code_factor(lm_lanes_fold(w), ...)
 *     acc'[d] = fmaf((float)(sum of w[j] v[j][d] over j), w_unit, acc[d] * c)
 * A sum stays below 2^31: the lengths of q and of a key's or a value's codes are at most LM_CODE_LENGTH and a little more, as is
 * the sum of a block's weights.
 */
#ifndef LM_COMPUTE_OPS_PAGED_SOFTMAX_H
#define LM_COMPUTE_OPS_PAGED_SOFTMAX_H

#include <stdbool.h>

#include "compute/numerics.h"

/* What a query is multiplied with; a cap and a sink are too, of scale 1. */
static inline float lm_paged_query_scale(float scale) {
    return scale * 1.44269504f;
}

/* The first position that a row at `pos` sees through a window (0: none). */
static inline int64_t lm_paged_first(int64_t pos, int64_t window) {
    return window > 0 && pos >= window ? pos - window + 1 : 0;
}

enum { LM_CODE_LENGTH = 32000 };

/* What numbers are multiplied with to become codes (rounded to even), the largest of them, their length or their sum becoming `most`;
 * what a code is worth is *out_unit. The factor is 0, and all codes are, where the magnitude is next to nothing, and where it is not
 * finite: a code is then worth NaN, so that nothing wrong comes back. */
static inline float lm_code_factor(float magnitude, float most, float *out_unit) {
    const float least = 0x1p-60f; /* its square is normal, most / least is finite */
    bool finite = magnitude - magnitude == 0.0f, has_codes = finite && magnitude >= least;
    *out_unit = has_codes ? magnitude / most : finite ? 0.0f : NAN;
    return has_codes ? most / magnitude : 0.0f;
}

/* Codes as floats; x may be infinite where the factor is 0. May be x itself. */
static inline void lm_make_codes(const float *x, float factor, float *codes, int64_t n) {
    for (int64_t i = 0; i < n; i++) codes[i] = factor == 0.0f ? 0.0f : rintf(x[i] * factor);
}

typedef struct lm_paged_softmax {
    float max, q_unit; /* q_unit: what a code of q is worth, where q is codes */
    float sum[LM_LANES];
    float q[LM_MAX_HEAD_DIM], acc[LM_MAX_HEAD_DIM];
} lm_paged_softmax;

/* A block of n keys [k_dim][stride] and values [n][v_dim], of which those from `first` on are seen; scales (there where keys and
 * values are codes) and bias are NULL or [n]. */
typedef struct lm_paged_block {
    const float *k, *v, *k_scale, *v_scale, *bias;
    int64_t k_dim, v_dim, stride, first, n;
} lm_paged_block;

static inline void lm_paged_softmax_init(lm_paged_softmax *state, const float *q, int64_t dim,
                                         float scale) {
    *state = (lm_paged_softmax){.max = -INFINITY};
    for (int64_t d = 0; d < dim; d++) state->q[d] = q[d] * lm_paged_query_scale(scale);
}

/* For blocks of codes. */
static inline void lm_paged_softmax_code(lm_paged_softmax *state, int64_t dim) {
    float length = sqrtf(lm_dot(state->q, state->q, dim));
    lm_make_codes(state->q, lm_code_factor(length, LM_CODE_LENGTH, &state->q_unit), state->q, dim);
}

static inline void lm_paged_softmax_sink(lm_paged_softmax *state, float sink) {
    state->max = lm_paged_query_scale(sink);
    state->sum[0] = 1.0f;
}

static inline float lm_paged_score(const lm_paged_softmax *state, const lm_paged_block *b,
                                   int64_t j) {
    float score = 0.0f;
    int64_t sum = 0;
    for (int64_t d = 0; d < b->k_dim; d++) {
        float key = b->k[d * b->stride + j];
        if (b->k_scale)
            sum += (int64_t)state->q[d] * (int64_t)key;
        else
            score = fmaf(state->q[d], key, score);
    }
    return b->k_scale ? (float)sum * state->q_unit * b->k_scale[j] : score;
}

static inline void lm_paged_add_values(lm_paged_softmax *state, const lm_paged_block *b,
                                       const float *p) {
    for (int64_t j = b->first; j < b->n; j++)
        for (int64_t d = 0; d < b->v_dim; d++)
            state->acc[d] = fmaf(p[j], b->v[j * b->v_dim + d], state->acc[d]);
}

static inline void lm_paged_add_codes(lm_paged_softmax *state, const lm_paged_block *b,
                                      const float *p) {
    float w[LM_PAGED_BLOCK] = {0}, lanes[LM_LANES] = {0}, unit;
    for (int64_t j = b->first; j < b->n; j++) w[j] = p[j] * b->v_scale[j];
    for (int64_t j = 0; j < LM_PAGED_BLOCK; j++) lanes[j % LM_LANES] += w[j];
    lm_make_codes(w, lm_code_factor(lm_lanes_fold(lanes), LM_CODE_LENGTH, &unit), w,
                  LM_PAGED_BLOCK);
    for (int64_t d = 0; d < b->v_dim; d++) {
        int64_t sum = 0;
        for (int64_t j = b->first; j < b->n; j++)
            sum += (int64_t)w[j] * (int64_t)b->v[j * b->v_dim + d];
        state->acc[d] = fmaf((float)sum, unit, state->acc[d]);
    }
}

/* cap: of the scores, times log2(e); 0: none. */
static inline void lm_paged_softmax_block(lm_paged_softmax *state, const lm_paged_block *b,
                                          float cap) {
    float p[LM_PAGED_BLOCK] = {0}, max = state->max;
    for (int64_t j = b->first; j < b->n; j++) {
        p[j] = lm_paged_score(state, b, j);
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
    (b->v_scale ? lm_paged_add_codes : lm_paged_add_values)(state, b, p);
}

/* Writes the weighted mean; returns log2 of the sum of the powers of two. */
static inline float lm_paged_softmax_end(lm_paged_softmax *state, float *out, int64_t dim) {
    float sum = lm_lanes_fold(state->sum);
    for (int64_t d = 0; d < dim; d++) out[d] = state->acc[d] / sum;
    return state->max + log2f(sum);
}

#endif
