/* Sixteen f32 lanes under one name on every instruction set, so that a kernel is written once and compiled for each.
 *
 * Included only by files that are compiled for one instruction set (see meson.build); LM_ISA(name) makes their symbols
 * differ. Lane i of every operation gives the same bits on all sets: each is one correctly rounded IEEE operation, and
 * across lanes only lm_v16_fold sums, in the order of lm_lanes_fold.
 * max and min give the second operand where either is NaN. The _n forms touch only the first n lanes of memory (0 to
 * 16); lanes past n load as zero.
 */
#ifndef LM_BACKEND_CPU_SIMD_H
#define LM_BACKEND_CPU_SIMD_H

#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "compute/dtype.h"
#include "compute/numerics.h"

/* Of a function whose constant arguments are the sizes of its loops: compiled once for each of them, with its arrays in
 * registers. With the checks of sanitizers so many copies take the compiler minutes: then it is one function and the sizes
 * are variables, which gives the same bits. */
#ifdef LM_SANITIZED
#define LM_SIZED __attribute__((noinline, unused))
#else
#define LM_SIZED LM_ALWAYS_INLINE
#endif

#define LM_JOIN(a, b) a##b

#if defined(__aarch64__)
#if defined(__ARM_FEATURE_MATMUL_INT8)
#define LM_ISA(name) LM_JOIN(name, _neon_i8mm)
#define LM_ISA_NAME "neon-i8mm"
#define LM_ISA_LEVEL LM_CPU_NEON_I8MM
#elif defined(__ARM_FEATURE_DOTPROD)
#define LM_ISA(name) LM_JOIN(name, _neon_dotprod)
#define LM_ISA_NAME "neon-dotprod"
#define LM_ISA_LEVEL LM_CPU_NEON_DOTPROD
#else
#define LM_ISA(name) LM_JOIN(name, _neon)
#define LM_ISA_NAME "neon"
#define LM_ISA_LEVEL LM_CPU_NEON
#endif
#include "backend/cpu/simd_neon.h"
#elif defined(__AVX512BF16__)
#define LM_ISA(name) LM_JOIN(name, _avx512_bf16)
#define LM_ISA_NAME "avx512-bf16"
#define LM_ISA_LEVEL LM_CPU_AVX512_BF16
#include "backend/cpu/simd_avx512.h"
#elif defined(__AVX512F__)
#define LM_ISA(name) LM_JOIN(name, _avx512)
#define LM_ISA_NAME "avx512"
#define LM_ISA_LEVEL LM_CPU_AVX512
#include "backend/cpu/simd_avx512.h"
#else
#define LM_ISA(name) LM_JOIN(name, _avx2)
#define LM_ISA_NAME "avx2"
#define LM_ISA_LEVEL LM_CPU_AVX2
#include "backend/cpu/simd_avx2.h"
#endif

/* for each run of at most 16 elements in [begin, end): `at` is its first, `n` how many. The body is there twice, once for
 * n = 16 as a constant, which then needs no masks, and once for what is left. */
#define LM_FOR_LANES(at, n, begin, end)                                                         \
    _Pragma("GCC unroll 2") for (int lm_rest = 0; lm_rest < 2;                                  \
                                 lm_rest++) for (int64_t at =                                   \
                                                     lm_rest                                    \
                                                         ? (end) - ((end) - (begin)) % LM_LANES \
                                                         : (begin),                             \
                                                 n = lm_rest ? (end)-at : LM_LANES;             \
                                                 n > 0 && at + n <= (end); at += LM_LANES)

/* n <= 16 elements from `at` on of f32, bf16 or f16; dtype is a constant where this is inlined. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_load_as(const void *p, int64_t at, int64_t n,
                                              const lm_dtype dtype) {
    if (dtype == LM_F32)
        return n == LM_LANES ? lm_v16_load((const float *)p + at)
                             : lm_v16_load_n((const float *)p + at, n);
    const uint16_t *halves = (const uint16_t *)p + at;
    if (dtype == LM_BF16)
        return n == LM_LANES ? lm_v16_load_bf16(halves) : lm_v16_load_bf16_n(halves, n);
    return n == LM_LANES ? lm_v16_load_f16(halves) : lm_v16_load_f16_n(halves, n);
}

/* The first n lanes to elements from `at` on of f32, bf16 or f16, rounded to even. */
static LM_ALWAYS_INLINE void lm_v16_store_as(void *p, int64_t at, lm_v16 x, int64_t n,
                                             const lm_dtype dtype) {
    if (dtype == LM_F32)
        lm_v16_store_n((float *)p + at, x, n);
    else if (dtype == LM_BF16)
        lm_v16_store_bf16_n((uint16_t *)p + at, x, n);
    else
        lm_v16_store_f16_n((uint16_t *)p + at, x, n);
}

/* Sixteen pairs of 16-bit integers, from pair `at` on of i8 or i16 pairs; and the first n of them to such. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_load_pairs(const void *p, int64_t at, const lm_dtype dtype) {
    return dtype == LM_I8 ? lm_v16_load_pairs_i8((const int8_t *)p + 2 * at)
                          : lm_v16_load((const float *)p + at);
}

static LM_ALWAYS_INLINE void lm_v16_store_pairs(void *p, int64_t at, lm_v16 pairs, int64_t n,
                                                const lm_dtype dtype) {
    if (dtype == LM_I8)
        lm_v16_store_pairs_i8_n((int8_t *)p + 2 * at, pairs, n);
    else
        lm_v16_store_n((float *)p + at, pairs, n);
}

/* Calls fn(..., dtype) with a constant dtype: f32, bf16 or f16. */
#define LM_WITH_DTYPE(dtype, fn, ...) \
    do {                              \
        if ((dtype) == LM_F32)        \
            fn(__VA_ARGS__, LM_F32);  \
        else if ((dtype) == LM_BF16)  \
            fn(__VA_ARGS__, LM_BF16); \
        else                          \
            fn(__VA_ARGS__, LM_F16);  \
    } while (0)

/* out[k * out_stride + i] = element k of row i, for i < n_rows <= 16 (else 0) and k < n_k; row i begins at
 * rows + i * stride_bytes. 16 x 16 elements are turned over at a time. */
static LM_SIZED void lm_v16_turn_rows(const char *rows, int64_t stride_bytes, int64_t n_rows,
                                      int64_t n_k, float *out, int64_t out_stride,
                                      const lm_dtype dtype) {
    LM_FOR_LANES(k, n, 0, n_k) {
        lm_v16 m[LM_LANES];
        if (n_rows == LM_LANES && n == LM_LANES) { /* in registers */
#pragma GCC unroll 16
            for (int i = 0; i < LM_LANES; i++)
                m[i] = lm_v16_load_as(rows + i * stride_bytes, k, LM_LANES, dtype);
            lm_v16_transpose(m);
#pragma GCC unroll 16
            for (int i = 0; i < LM_LANES; i++) lm_v16_store(out + (k + i) * out_stride, m[i]);
            continue;
        }
        for (int i = 0; i < LM_LANES; i++)
            m[i] =
                i < n_rows ? lm_v16_load_as(rows + i * stride_bytes, k, n, dtype) : lm_v16_zero();
        lm_v16_transpose(m);
        for (int64_t i = 0; i < n; i++) lm_v16_store(out + (k + i) * out_stride, m[i]);
    }
}

/* out[k][i] = rows[at + i * stride + k] for i < n_rows <= 16 (else 0) and k < n_k. */
static LM_SIZED void lm_v16_columns(const void *rows, int64_t at, int64_t stride, int64_t n_rows,
                                    int64_t n_k, float *out, const lm_dtype dtype) {
    int64_t elem_bytes = dtype == LM_F32 ? 4 : 2;
    lm_v16_turn_rows((const char *)rows + at * elem_bytes, stride * elem_bytes, n_rows, n_k, out,
                     LM_LANES, dtype);
}

/* lm_dot, bit for bit. */
static LM_ALWAYS_INLINE float lm_v16_dot(const float *a, const float *b, int64_t n) {
    lm_v16 lanes = lm_v16_zero();
    LM_FOR_LANES(i, count, 0, n)
    lanes = lm_v16_fma(lm_v16_load_n(a + i, count), lm_v16_load_n(b + i, count), lanes);
    return lm_v16_fold(lanes);
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

/* lm_exp2 in every lane, bit for bit. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_exp2(lm_v16 x) {
    const lm_v16 shift = lm_v16_set1(12583039.0f);
    x = lm_v16_max(lm_v16_set1(-126.0f), x); /* x where it is NaN */
    lm_v16 shifted = lm_v16_add(x, shift);
    lm_v16 r = lm_v16_sub(x, lm_v16_sub(shifted, shift));
    lm_v16 p = lm_v16_set1(1.326472731e-3f);
    p = lm_v16_fma(p, r, lm_v16_set1(9.671512991e-3f));
    p = lm_v16_fma(p, r, lm_v16_set1(5.550733581e-2f));
    p = lm_v16_fma(p, r, lm_v16_set1(2.402224243e-1f));
    p = lm_v16_fma(p, r, lm_v16_set1(6.931470037e-1f));
    p = lm_v16_fma(p, r, lm_v16_set1(1.0f));
    return lm_v16_mul(p, lm_v16_shift_exponent(shifted));
}

/* lm_sigmoid in every lane, bit for bit. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_sigmoid(lm_v16 x) {
    const lm_v16 one = lm_v16_set1(1.0f);
    lm_v16 minus = lm_v16_mul(x, lm_v16_set1(-1.0f));
    return lm_v16_div(one, lm_v16_add(one, lm_v16_exp(minus)));
}

/* lm_softplus in every lane, bit for bit. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_softplus(lm_v16 x) {
    const lm_v16 zero = lm_v16_zero(), low = lm_v16_set1(-87.33f);
    lm_v16 a = lm_v16_if_less(x, zero, x, lm_v16_sub(zero, x));
    lm_v16 e = lm_v16_exp(lm_v16_if_less(a, low, low, a));
    lm_v16 s = lm_v16_div(e, lm_v16_add(e, lm_v16_set1(2.0f))), square = lm_v16_mul(s, s);
    lm_v16 p = lm_v16_set1(2.0f / 15.0f);
    p = lm_v16_fma(p, square, lm_v16_set1(2.0f / 13.0f));
    p = lm_v16_fma(p, square, lm_v16_set1(2.0f / 11.0f));
    p = lm_v16_fma(p, square, lm_v16_set1(2.0f / 9.0f));
    p = lm_v16_fma(p, square, lm_v16_set1(2.0f / 7.0f));
    p = lm_v16_fma(p, square, lm_v16_set1(2.0f / 5.0f));
    p = lm_v16_fma(p, square, lm_v16_set1(2.0f / 3.0f));
    p = lm_v16_fma(p, square, lm_v16_set1(2.0f));
    return lm_v16_fma(p, s, lm_v16_if_less(x, zero, zero, x));
}

/* lm_tanh in every lane, bit for bit. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_tanh(lm_v16 x) {
    const lm_v16 one = lm_v16_set1(1.0f), two = lm_v16_set1(2.0f);
    return lm_v16_sub(one, lm_v16_div(two, lm_v16_add(one, lm_v16_exp(lm_v16_add(x, x)))));
}

/* lm_erf in every lane, bit for bit. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_erf(lm_v16 x) {
    const lm_v16 zero = lm_v16_zero(), one = lm_v16_set1(1.0f), minus = lm_v16_set1(-1.0f);
    lm_v16 a = lm_v16_if_less(x, zero, lm_v16_mul(x, minus), x);
    lm_v16 t = lm_v16_div(one, lm_v16_fma(lm_v16_set1(0.3275911f), a, one));
    lm_v16 p = lm_v16_set1(1.061405429f);
    p = lm_v16_fma(p, t, lm_v16_set1(-1.453152027f));
    p = lm_v16_fma(p, t, lm_v16_set1(1.421413741f));
    p = lm_v16_fma(p, t, lm_v16_set1(-0.284496736f));
    p = lm_v16_fma(p, t, lm_v16_set1(0.254829592f));
    lm_v16 tail = lm_v16_exp(lm_v16_mul(lm_v16_mul(a, a), minus));
    lm_v16 y = lm_v16_sub(one, lm_v16_mul(lm_v16_mul(p, t), tail));
    return lm_v16_if_less(x, zero, lm_v16_mul(y, minus), y);
}

#endif
