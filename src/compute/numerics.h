/* The arithmetic that ops share, with its order fixed: what every instruction set must reproduce
 * bit for bit.
 *
 * Reductions along a row (norms, attention scores, softmax sums) run in LM_LANES partial sums: lane
 * j takes elements j, j + 16, j + 32, ... in order, and the lanes are folded pairwise (8 apart,
 * then 4, 2, 1). That is one AVX-512 register, two of AVX2, four of NEON, or an array. Products
 * along a row are fused multiply-adds into the lane. LINEAR has another order: see ops/linear.c.
 */
#ifndef LM_COMPUTE_NUMERICS_H
#define LM_COMPUTE_NUMERICS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LM_LANES = 16 };

/* Elements of a long reduction that is itself cut in chunks: SUM_SQUARES. */
enum { LM_REDUCE_CHUNK = 4096 };

/* Positions that attention takes together: the online softmax rescales once a block, at absolute
 * positions that are multiples of this, so the result depends neither on how a prompt was cut in
 * chunks nor on the cache's block size, which is a multiple of it. See ops/paged_softmax.h. */
enum { LM_PAGED_BLOCK = 64 };

/* Rows of a sequence that ATTENTION_BACKWARD gives equally many keys. */
enum { LM_ATTENTION_STEP = 4 };
#define LM_LN_2 0.693147181f

/* Attention's kernels keep a head's accumulator on the stack. */
enum { LM_MAX_HEAD_DIM = 576, LM_MAX_HEADS = 65536 };

/* Rows that a convolution along a sequence reads: CAUSAL_CONV. */
enum { LM_MAX_CONV_TAPS = 16 };

static inline float lm_lanes_fold(float lanes[LM_LANES]) {
    for (int width = LM_LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++) lanes[j] += lanes[j + width];
    return lanes[0];
}

/* Sum of a[i] * b[i]. */
static inline float lm_dot(const float *a, const float *b, int64_t n) {
    float lanes[LM_LANES] = {0};
    for (int64_t i = 0; i < n; i++) lanes[i % LM_LANES] = fmaf(a[i], b[i], lanes[i % LM_LANES]);
    return lm_lanes_fold(lanes);
}

/* e^x within 2 units in the last place; 0 below -87.33, infinity above 88.37, NaN for NaN.
 * Cody-Waite reduction and the degree-5 polynomial of Cephes' expf (Moshier); SIMD versions do
 * the same operations in the same order. */
static inline float lm_exp(float x) {
    if (x < -87.33f) return 0.0f;
    if (x > 88.37f) return INFINITY;
    if (x != x) return x;
    float n = rintf(x * 1.44269504f);
    float r = fmaf(n, -0.693359375f, x);
    r = fmaf(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = fmaf(p, r, 1.3981999507e-3f);
    p = fmaf(p, r, 8.3334519073e-3f);
    p = fmaf(p, r, 4.1665795894e-2f);
    p = fmaf(p, r, 1.6666665459e-1f);
    p = fmaf(p, r, 5.0000001201e-1f);
    float y = fmaf(p, r * r, r) + 1.0f;
    uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return y * power;
}

/* 2^x for x <= 0 within 2 units in the last place; 2^-126 for all below -126, NaN for NaN. Adding 3 * 2^22 + 127 rounds x to
 * an integer n and leaves n + 127 in the lowest bits, from where it is shifted into the exponent. */
static inline float lm_exp2(float x) {
    if (x < -126.0f) x = -126.0f;
    float shifted = x + 12583039.0f;
    float r = x - (shifted - 12583039.0f);
    float p = 1.326472731e-3f;
    p = fmaf(p, r, 9.671512991e-3f);
    p = fmaf(p, r, 5.550733581e-2f);
    p = fmaf(p, r, 2.402224243e-1f);
    p = fmaf(p, r, 6.931470037e-1f);
    p = fmaf(p, r, 1.0f);
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits <<= 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

/* 1 / (1 + e^-x) */
static inline float lm_sigmoid(float x) {
    return 1.0f / (1.0f + lm_exp(-x));
}

/* log(1 + e^x) within 4 units in the last place, e^-87.33 for all below; NaN for NaN. log(1 + e) is 2 artanh(e / (2 + e)), whose
 * series is cut where e <= 1 does not need more. */
static inline float lm_softplus(float x) {
    float a = x < 0.0f ? x : 0.0f - x; /* -|x| */
    float e = lm_exp(a < -87.33f ? -87.33f : a);
    float s = e / (e + 2.0f), square = s * s;
    float p = 2.0f / 15.0f;
    p = fmaf(p, square, 2.0f / 13.0f);
    p = fmaf(p, square, 2.0f / 11.0f);
    p = fmaf(p, square, 2.0f / 9.0f);
    p = fmaf(p, square, 2.0f / 7.0f);
    p = fmaf(p, square, 2.0f / 5.0f);
    p = fmaf(p, square, 2.0f / 3.0f);
    p = fmaf(p, square, 2.0f);
    return fmaf(p, s, x < 0.0f ? 0.0f : x);
}

/* Within 2^-23 of the hyperbolic tangent, as an absolute error. */
static inline float lm_tanh(float x) {
    return 1.0f - 2.0f / (1.0f + lm_exp(x + x));
}

/* Within 2e-7 of the error function, as an absolute error: Abramowitz and Stegun, 7.1.26. */
static inline float lm_erf(float x) {
    float a = x < 0.0f ? -x : x;
    float t = 1.0f / fmaf(0.3275911f, a, 1.0f);
    float p = 1.061405429f;
    p = fmaf(p, t, -1.453152027f);
    p = fmaf(p, t, 1.421413741f);
    p = fmaf(p, t, -0.284496736f);
    p = fmaf(p, t, 0.254829592f);
    float y = 1.0f - p * t * lm_exp(-(a * a));
    return x < 0.0f ? -y : y;
}

#endif
