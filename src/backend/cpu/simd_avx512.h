/* The lanes of simd.h in one 512-bit register. Included by simd.h alone. */
#ifndef LM_BACKEND_CPU_SIMD_AVX512_H
#define LM_BACKEND_CPU_SIMD_AVX512_H

#include <immintrin.h>

typedef __m512 lm_v16;
typedef __m512i lm_i32x16;

static LM_ALWAYS_INLINE __mmask16 lm_v16_mask(int64_t n) {
    return (__mmask16)((1u << n) - 1u);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_zero(void) {
    return _mm512_setzero_ps();
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_set1(float x) {
    return _mm512_set1_ps(x);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load(const float *p) {
    return _mm512_loadu_ps(p);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_n(const float *p, int64_t n) {
    if (n == LM_LANES) return lm_v16_load(p);
    return _mm512_maskz_loadu_ps(lm_v16_mask(n), p);
}

static LM_ALWAYS_INLINE void lm_v16_store(float *p, lm_v16 x) {
    _mm512_storeu_ps(p, x);
}

static LM_ALWAYS_INLINE void lm_v16_store_n(float *p, lm_v16 x, int64_t n) {
    if (n == LM_LANES)
        lm_v16_store(p, x);
    else
        _mm512_mask_storeu_ps(p, lm_v16_mask(n), x);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_fma(lm_v16 a, lm_v16 b, lm_v16 c) {
    return _mm512_fmadd_ps(a, b, c);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_add(lm_v16 a, lm_v16 b) {
    return _mm512_add_ps(a, b);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_sub(lm_v16 a, lm_v16 b) {
    return _mm512_sub_ps(a, b);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_mul(lm_v16 a, lm_v16 b) {
    return _mm512_mul_ps(a, b);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_div(lm_v16 a, lm_v16 b) {
    return _mm512_div_ps(a, b);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_sqrt(lm_v16 a) {
    return _mm512_sqrt_ps(a);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_max(lm_v16 a, lm_v16 b) {
    return _mm512_max_ps(a, b);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_min(lm_v16 a, lm_v16 b) {
    return _mm512_min_ps(a, b);
}

static LM_ALWAYS_INLINE __m256 lm_v16_low(lm_v16 a) {
    return _mm512_castps512_ps256(a);
}

static LM_ALWAYS_INLINE __m256 lm_v16_high(lm_v16 a) {
    return _mm512_extractf32x8_ps(a, 1);
}

/* Lane i of the result is the fold of m[i] (lm_v16_fold): each step adds halves of two vectors at once. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_fold_each(const lm_v16 m[16]) {
    __m512 four[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m512 a = _mm512_add_ps(_mm512_shuffle_f32x4(m[i], m[4 + i], 0x44),
                                 _mm512_shuffle_f32x4(m[i], m[4 + i], 0xee));
        __m512 b = _mm512_add_ps(_mm512_shuffle_f32x4(m[8 + i], m[12 + i], 0x44),
                                 _mm512_shuffle_f32x4(m[8 + i], m[12 + i], 0xee));
        four[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
    }
    __m512 two[2];
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        __m512d a = _mm512_castps_pd(four[2 * i]), b = _mm512_castps_pd(four[2 * i + 1]);
        two[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                               _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    return _mm512_add_ps(_mm512_shuffle_ps(two[0], two[1], 0x88),
                         _mm512_shuffle_ps(two[0], two[1], 0xdd));
}

/* Nearest integer, halves to even. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_round(lm_v16 a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* 2^n for integer n in -126 to 127. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_exp2i(lm_v16 n) {
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}

/* The lanes' bits moved up by 23, where the exponent is: n + 127 as an integer becomes 2^n. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_shift_exponent(lm_v16 a) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a), 23));
}

/* a where x is NaN, b elsewhere. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_if_nan(lm_v16 x, lm_v16 a, lm_v16 b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), b, a);
}

/* a where x < y, b elsewhere. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_if_less(lm_v16 x, lm_v16 y, lm_v16 a, lm_v16 b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_LT_OQ), b, a);
}

/* The first n lanes of a, then those of b. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_first(int64_t n, lm_v16 a, lm_v16 b) {
    return _mm512_mask_blend_ps(lm_v16_mask(n), b, a);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_from_bf16(__m256i x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_bf16(const uint16_t *p) {
    return lm_v16_from_bf16(_mm256_loadu_si256((const __m256i *)p));
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_bf16_n(const uint16_t *p, int64_t n) {
    return lm_v16_from_bf16(_mm256_maskz_loadu_epi16(lm_v16_mask(n), p));
}

/* The bf16 nearest to each lane, to even, in the upper halves (NaN kept); the lower halves are not zero. */
static LM_ALWAYS_INLINE __m512i lm_v16_bf16_bits(lm_v16 x) {
    __m512i bits = _mm512_castps_si512(x);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    return _mm512_mask_blend_epi32(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), rounded, quiet);
}

/* Round to nearest even, NaN kept. */
static LM_ALWAYS_INLINE void lm_v16_store_bf16_n(uint16_t *p, lm_v16 x, int64_t n) {
    _mm256_mask_storeu_epi16(p, lm_v16_mask(n),
                             _mm512_cvtepi32_epi16(_mm512_srli_epi32(lm_v16_bf16_bits(x), 16)));
}

/* What store_bf16 and load_bf16 make of x. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_round_bf16(lm_v16 x) {
    return _mm512_castsi512_ps(
        _mm512_and_si512(lm_v16_bf16_bits(x), _mm512_set1_epi32((int)0xffff0000)));
}

/* Lanes that hold two bf16 each: the one in the lower halves, the one in the upper halves, and such lanes from both. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_pair_low(lm_v16 pairs) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16));
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_pair_high(lm_v16 pairs) {
    return _mm512_castsi512_ps(
        _mm512_and_si512(_mm512_castps_si512(pairs), _mm512_set1_epi32((int)0xffff0000)));
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_pair(lm_v16 low, lm_v16 high) {
    return _mm512_castsi512_ps(_mm512_or_si512(_mm512_srli_epi32(_mm512_castps_si512(low), 16),
                                               _mm512_castps_si512(lm_v16_pair_high(high))));
}

/* Lanes 0, 0, 1, 1, ... of a and b in turn. */
static LM_ALWAYS_INLINE void lm_v16_zip(lm_v16 a, lm_v16 b, lm_v16 *out_first, lm_v16 *out_second) {
    const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    *out_first = _mm512_permutex2var_ps(a, first, b);
    *out_second = _mm512_permutex2var_ps(a, _mm512_add_epi32(first, _mm512_set1_epi32(8)), b);
}

/* Lanes 2i and 2i + 1 change places. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_swap(lm_v16 x) {
    return _mm512_permute_ps(x, 0xb1);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_f16_n(const uint16_t *p, int64_t n) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lm_v16_mask(n), p));
}

/* Round to nearest even, NaN kept. */
static LM_ALWAYS_INLINE void lm_v16_store_f16_n(uint16_t *p, lm_v16 x, int64_t n) {
    __m256i halves = _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_mask_storeu_epi16(p, lm_v16_mask(n), halves);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_i8(const int8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

/* Rounded to the nearest integer, halves to even; the lanes are within the type. */
static LM_ALWAYS_INLINE void lm_v16_store_i16_n(int16_t *p, lm_v16 x, int64_t n) {
    _mm256_mask_storeu_epi16(p, lm_v16_mask(n), _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(x)));
}

/* The same as 16-bit integers in the upper halves of lanes. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_to_i16(lm_v16 x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtps_epi32(x), 16));
}

/* Lanes that hold two 16-bit integers each, from pairs of bytes, and the first n of them to such. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_load_pairs_i8(const int8_t *p) {
    return _mm512_castsi512_ps(_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p)));
}

static LM_ALWAYS_INLINE void lm_v16_store_pairs_i8_n(int8_t *p, lm_v16 pairs, int64_t n) {
    _mm256_mask_storeu_epi8(p, (__mmask32)((1ull << (2 * n)) - 1),
                            _mm512_cvtepi16_epi8(_mm512_castps_si512(pairs)));
}

static LM_ALWAYS_INLINE lm_i32x16 lm_i32x16_zero(void) {
    return _mm512_setzero_si512();
}

/* sum + the products of a's and b's 16-bit integers, two a lane. Exact. */
static LM_ALWAYS_INLINE lm_i32x16 lm_i32x16_dot_pairs(lm_i32x16 sum, lm_v16 a, lm_v16 b) {
    __m512i x = _mm512_castps_si512(a), y = _mm512_castps_si512(b);
#if defined(__AVX512VNNI__)
    return _mm512_dpwssd_epi32(sum, x, y);
#else
    return _mm512_add_epi32(sum, _mm512_madd_epi16(x, y));
#endif
}

/* Rounded to even. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_from_i32(lm_i32x16 x) {
    return _mm512_cvtepi32_ps(x);
}

/* Sixteen bytes, each a pair of four-bit numbers biased by 8: the low ones and the high ones. */
static LM_ALWAYS_INLINE void lm_v16_load_u4(const uint8_t *p, lm_v16 *out_low, lm_v16 *out_high) {
    const __m512 values = _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
    __m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
    *out_low = _mm512_permutexvar_ps(bytes, values); /* looks at the low four bits of each index */
    *out_high = _mm512_permutexvar_ps(_mm512_srli_epi32(bytes, 4), values);
}

/* m[i] lane j becomes m[j] lane i. */
static LM_ALWAYS_INLINE void lm_v16_transpose(lm_v16 m[16]) {
    __m512 t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_ps(m[2 * i], m[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(m[2 * i], m[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 2; j++) {
            __m512d a = _mm512_castps_pd(t[4 * i + j]), b = _mm512_castps_pd(t[4 * i + 2 + j]);
            m[4 * i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            m[4 * i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(m[i], m[4 + i], 0x88);
        t[4 + i] = _mm512_shuffle_f32x4(m[i], m[4 + i], 0xdd);
        t[8 + i] = _mm512_shuffle_f32x4(m[8 + i], m[12 + i], 0x88);
        t[12 + i] = _mm512_shuffle_f32x4(m[8 + i], m[12 + i], 0xdd);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        m[i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0x88);
        m[8 + i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0xdd);
    }
}

#include "backend/cpu/simd_x86.h"

#endif
