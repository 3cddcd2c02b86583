/* The sums of LINEAR with weights that are not quantized, a stretch of k after the other (ops/linear.c). x and w are f32 that
 * stand for elements of any type, exactly. */
#ifndef LM_COMPUTE_OPS_LINEAR_SUMS_H
#define LM_COMPUTE_OPS_LINEAR_SUMS_H

#include "compute/ops/rules.h"

/* acc and n products, one after the other. */
static inline float lm_add_products(const float *x, const float *w, int64_t n, float acc) {
    for (int64_t i = 0; i < n; i++) acc = fmaf(x[i], w[i], acc);
    return acc;
}

/* Where w is bf16: in pairs, the second of each first, x rounded. n is even but at the end of k. */
static inline float lm_add_pairs(const float *x, const float *w, int64_t n, float acc) {
    for (int64_t i = 0; i < n; i += 2) {
        bool whole = i + 1 < n;
        acc = fmaf(whole ? lm_round_bf16(x[i + 1]) : 0.0f, whole ? w[i + 1] : 0.0f, acc);
        acc = fmaf(lm_round_bf16(x[i]), w[i], acc);
    }
    return acc;
}

#endif
