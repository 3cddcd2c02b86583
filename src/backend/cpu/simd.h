/* Sixteen f32 lanes under one name on every x86 instruction set, so that a kernel is written once and compiled twice.
 *
 * Included only by files that are compiled for one instruction set (see meson.build); LM_ISA(name) makes their symbols
 * differ. Lane i of every operation gives the same bits on both sets: each is one correctly rounded IEEE operation, and
 * across lanes only lm_v16_fold sums, in the order of lm_lanes_fold.
 * The _n forms touch only the first n lanes of memory (0 to 16); lanes past n load as zero.
 */
#ifndef LM_BACKEND_CPU_SIMD_H
#define LM_BACKEND_CPU_SIMD_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "compute/numerics.h"

#define LM_ALWAYS_INLINE inline __attribute__((always_inline))

#if defined(__AVX512F__)
#define LM_ISA(name) name##_avx512
#include "backend/cpu/simd_avx512.h"
#else
#define LM_ISA(name) name##_avx2
#include "backend/cpu/simd_avx2.h"
#endif

/* Sum of the lanes in the order of lm_lanes_fold. */
static LM_ALWAYS_INLINE float lm_v16_fold(lm_v16 x) {
    float lanes[LM_LANES];
    lm_v16_store(lanes, x);
    return lm_lanes_fold(lanes);
}

/* lm_exp in every lane, bit for bit. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_exp(lm_v16 x) {
    const lm_v16 low = lm_v16_set1(-87.33f), high = lm_v16_set1(88.37f);
    lm_v16 n = lm_v16_round(lm_v16_mul(x, lm_v16_set1(1.44269504f)));
    lm_v16 r = lm_v16_fma(n, lm_v16_set1(-0.693359375f), x);
    r = lm_v16_fma(n, lm_v16_set1(2.12194440e-4f), r);
    lm_v16 p = lm_v16_set1(1.9875691500e-4f);
    p = lm_v16_fma(p, r, lm_v16_set1(1.3981999507e-3f));
    p = lm_v16_fma(p, r, lm_v16_set1(8.3334519073e-3f));
    p = lm_v16_fma(p, r, lm_v16_set1(4.1665795894e-2f));
    p = lm_v16_fma(p, r, lm_v16_set1(1.6666665459e-1f));
    p = lm_v16_fma(p, r, lm_v16_set1(5.0000001201e-1f));
    lm_v16 y = lm_v16_add(lm_v16_fma(p, lm_v16_mul(r, r), r), lm_v16_set1(1.0f));
    y = lm_v16_mul(y, lm_v16_exp2i(n));
    y = lm_v16_if_less(x, low, lm_v16_zero(), y);
    y = lm_v16_if_less(high, x, lm_v16_set1(INFINITY), y);
    return lm_v16_if_nan(x, x, y);
}

/* lm_sigmoid in every lane, bit for bit. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_sigmoid(lm_v16 x) {
    const lm_v16 one = lm_v16_set1(1.0f);
    lm_v16 minus = lm_v16_mul(x, lm_v16_set1(-1.0f));
    return lm_v16_div(one, lm_v16_add(one, lm_v16_exp(minus)));
}

#endif
