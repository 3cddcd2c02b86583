/* The lanes of simd.h in two 256-bit registers. Included by simd.h alone. */
#ifndef LM_BACKEND_CPU_SIMD_AVX2_H
#define LM_BACKEND_CPU_SIMD_AVX2_H

#include <immintrin.h>

typedef struct lm_v16 {
    __m256 lo, hi;
} lm_v16;

typedef struct lm_i32x16 {
    __m256i lo, hi;
} lm_i32x16;

static LM_ALWAYS_INLINE lm_v16 lm_v16_zero(void) {
    return (lm_v16){_mm256_setzero_ps(), _mm256_setzero_ps()};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_set1(float x) {
    return (lm_v16){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load(const float *p) {
    return (lm_v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_n(const float *p, int64_t n) {
    if (n == LM_LANES) return lm_v16_load(p);
    float lanes[LM_LANES] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return lm_v16_load(lanes);
}

static LM_ALWAYS_INLINE void lm_v16_store(float *p, lm_v16 x) {
    _mm256_storeu_ps(p, x.lo);
    _mm256_storeu_ps(p + 8, x.hi);
}

static LM_ALWAYS_INLINE void lm_v16_store_n(float *p, lm_v16 x, int64_t n) {
    if (n == LM_LANES) {
        lm_v16_store(p, x);
        return;
    }
    float lanes[LM_LANES];
    lm_v16_store(lanes, x);
    memcpy(p, lanes, (size_t)n * sizeof *p);
}

#define LM_V16_BINARY(name, intrinsic)                                 \
    static LM_ALWAYS_INLINE lm_v16 lm_v16_##name(lm_v16 a, lm_v16 b) { \
        return (lm_v16){intrinsic(a.lo, b.lo), intrinsic(a.hi, b.hi)}; \
    }
LM_V16_BINARY(add, _mm256_add_ps)
LM_V16_BINARY(sub, _mm256_sub_ps)
LM_V16_BINARY(mul, _mm256_mul_ps)
LM_V16_BINARY(div, _mm256_div_ps)
LM_V16_BINARY(max, _mm256_max_ps)
LM_V16_BINARY(min, _mm256_min_ps)
#undef LM_V16_BINARY

static LM_ALWAYS_INLINE lm_v16 lm_v16_fma(lm_v16 a, lm_v16 b, lm_v16 c) {
    return (lm_v16){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_sqrt(lm_v16 a) {
    return (lm_v16){_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)};
}

static LM_ALWAYS_INLINE __m256 lm_v16_low(lm_v16 a) {
    return a.lo;
}

static LM_ALWAYS_INLINE __m256 lm_v16_high(lm_v16 a) {
    return a.hi;
}

static LM_ALWAYS_INLINE __m128 lm_v8_fold_four(__m256 a, __m256 b, __m256 c, __m256 d) {
    __m128 e = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    __m128 f = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    __m128 g = _mm_add_ps(_mm256_castps256_ps128(c), _mm256_extractf128_ps(c, 1));
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(d), _mm256_extractf128_ps(d, 1));
    __m128 ef = _mm_add_ps(_mm_movelh_ps(e, f), _mm_movehl_ps(f, e));
    __m128 gh = _mm_add_ps(_mm_movelh_ps(g, h), _mm_movehl_ps(h, g));
    return _mm_add_ps(_mm_shuffle_ps(ef, gh, 0x88), _mm_shuffle_ps(ef, gh, 0xdd));
}

/* Lane i of the result is the fold of m[i] (lm_v16_fold): each step adds halves of two vectors at once. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_fold_each(const lm_v16 m[16]) {
    __m256 eight[16];
    for (int i = 0; i < 16; i++) eight[i] = _mm256_add_ps(m[i].lo, m[i].hi);
    __m128 four[4];
    for (int i = 0; i < 4; i++)
        four[i] =
            lm_v8_fold_four(eight[4 * i], eight[4 * i + 1], eight[4 * i + 2], eight[4 * i + 3]);
    return (lm_v16){_mm256_set_m128(four[1], four[0]), _mm256_set_m128(four[3], four[2])};
}

/* Nearest integer, halves to even. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_round(lm_v16 a) {
    return (lm_v16){_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                    _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}

static LM_ALWAYS_INLINE __m256 lm_v8_exp2i(__m256 n) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}

/* 2^n for integer n in -126 to 127. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_exp2i(lm_v16 n) {
    return (lm_v16){lm_v8_exp2i(n.lo), lm_v8_exp2i(n.hi)};
}

/* The lanes' bits moved up by 23, where the exponent is: n + 127 as an integer becomes 2^n. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_shift_exponent(lm_v16 a) {
    return (lm_v16){_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.lo), 23)),
                    _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.hi), 23))};
}

/* a where x is NaN, b elsewhere. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_if_nan(lm_v16 x, lm_v16 a, lm_v16 b) {
    return (lm_v16){_mm256_blendv_ps(b.lo, a.lo, _mm256_cmp_ps(x.lo, x.lo, _CMP_UNORD_Q)),
                    _mm256_blendv_ps(b.hi, a.hi, _mm256_cmp_ps(x.hi, x.hi, _CMP_UNORD_Q))};
}

/* a where x < y, b elsewhere. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_if_less(lm_v16 x, lm_v16 y, lm_v16 a, lm_v16 b) {
    return (lm_v16){_mm256_blendv_ps(b.lo, a.lo, _mm256_cmp_ps(x.lo, y.lo, _CMP_LT_OQ)),
                    _mm256_blendv_ps(b.hi, a.hi, _mm256_cmp_ps(x.hi, y.hi, _CMP_LT_OQ))};
}

/* The first n lanes of a, then those of b. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_first(int64_t n, lm_v16 a, lm_v16 b) {
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256 lo = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), index));
    __m256 hi = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32((int)n - 8), index));
    return (lm_v16){_mm256_blendv_ps(b.lo, a.lo, lo), _mm256_blendv_ps(b.hi, a.hi, hi)};
}

static LM_ALWAYS_INLINE __m256 lm_v8_load_bf16(const uint16_t *p) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_bf16(const uint16_t *p) {
    return (lm_v16){lm_v8_load_bf16(p), lm_v8_load_bf16(p + 8)};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_bf16_n(const uint16_t *p, int64_t n) {
    uint16_t lanes[LM_LANES] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return lm_v16_load_bf16(lanes);
}

static LM_ALWAYS_INLINE __m256i lm_v8_to_bf16(__m256 x) {
    __m256i bits = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
}

/* Round to nearest even, NaN kept. */
static LM_ALWAYS_INLINE void lm_v16_store_bf16_n(uint16_t *p, lm_v16 x, int64_t n) {
    __m256i halves =
        _mm256_packus_epi32(lm_v8_to_bf16(x.lo), lm_v8_to_bf16(x.hi)); /* in quarters 0 2 1 3 */
    uint16_t lanes[LM_LANES];
    _mm256_storeu_si256((__m256i *)lanes, _mm256_permute4x64_epi64(halves, 0xd8));
    memcpy(p, lanes, (size_t)n * sizeof *p);
}

/* What store_bf16 and load_bf16 make of x. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_round_bf16(lm_v16 x) {
    return (lm_v16){_mm256_castsi256_ps(_mm256_slli_epi32(lm_v8_to_bf16(x.lo), 16)),
                    _mm256_castsi256_ps(_mm256_slli_epi32(lm_v8_to_bf16(x.hi), 16))};
}

/* Lanes that hold two bf16 each: the one in the lower halves, the one in the upper halves, and such lanes from both. */
static LM_ALWAYS_INLINE __m256 lm_v8_pair_low(__m256 pairs) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(pairs), 16));
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_pair_low(lm_v16 pairs) {
    return (lm_v16){lm_v8_pair_low(pairs.lo), lm_v8_pair_low(pairs.hi)};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_pair_high(lm_v16 pairs) {
    const __m256 upper = _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffff0000));
    return (lm_v16){_mm256_and_ps(pairs.lo, upper), _mm256_and_ps(pairs.hi, upper)};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_pair(lm_v16 low, lm_v16 high) {
    lm_v16 upper = lm_v16_pair_high(high);
    __m256i lo = _mm256_srli_epi32(_mm256_castps_si256(low.lo), 16),
            hi = _mm256_srli_epi32(_mm256_castps_si256(low.hi), 16);
    return (lm_v16){_mm256_or_ps(_mm256_castsi256_ps(lo), upper.lo),
                    _mm256_or_ps(_mm256_castsi256_ps(hi), upper.hi)};
}

static LM_ALWAYS_INLINE lm_v16 lm_v8_zip(__m256 a, __m256 b) {
    __m256 low = _mm256_unpacklo_ps(a, b), high = _mm256_unpackhi_ps(a, b);
    return (lm_v16){_mm256_permute2f128_ps(low, high, 0x20),
                    _mm256_permute2f128_ps(low, high, 0x31)};
}

/* Lanes 0, 0, 1, 1, ... of a and b in turn. */
static LM_ALWAYS_INLINE void lm_v16_zip(lm_v16 a, lm_v16 b, lm_v16 *out_first, lm_v16 *out_second) {
    *out_first = lm_v8_zip(a.lo, b.lo);
    *out_second = lm_v8_zip(a.hi, b.hi);
}

/* Lanes 2i and 2i + 1 change places. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_swap(lm_v16 x) {
    return (lm_v16){_mm256_permute_ps(x.lo, 0xb1), _mm256_permute_ps(x.hi, 0xb1)};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_f16(const uint16_t *p) {
    return (lm_v16){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
                    _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8)))};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_f16_n(const uint16_t *p, int64_t n) {
    uint16_t lanes[LM_LANES] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return lm_v16_load_f16(lanes);
}

/* Round to nearest even, NaN kept. */
static LM_ALWAYS_INLINE void lm_v16_store_f16_n(uint16_t *p, lm_v16 x, int64_t n) {
    uint16_t lanes[LM_LANES];
    _mm_storeu_si128((__m128i *)lanes, _mm256_cvtps_ph(x.lo, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((__m128i *)(lanes + 8), _mm256_cvtps_ph(x.hi, _MM_FROUND_TO_NEAREST_INT));
    memcpy(p, lanes, (size_t)n * sizeof *p);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_i8(const int8_t *p) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    return (lm_v16){_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
                    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
}

/* Rounded to the nearest integer, halves to even; the lanes are within the type. */
static LM_ALWAYS_INLINE void lm_v16_store_i16_n(int16_t *p, lm_v16 x, int64_t n) {
    __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(x.lo), _mm256_cvtps_epi32(x.hi));
    int16_t lanes[LM_LANES];
    _mm256_storeu_si256((__m256i *)lanes, _mm256_permute4x64_epi64(words, 0xd8));
    memcpy(p, lanes, (size_t)n * sizeof *p);
}

static LM_ALWAYS_INLINE __m256 lm_v8_to_i16(__m256 x) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtps_epi32(x), 16));
}

/* The same as 16-bit integers in the upper halves of lanes. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_to_i16(lm_v16 x) {
    return (lm_v16){lm_v8_to_i16(x.lo), lm_v8_to_i16(x.hi)};
}

/* Lanes that hold two 16-bit integers each, from pairs of bytes, and the first n of them to such. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_load_pairs_i8(const int8_t *p) {
    const __m128i *halves = (const __m128i *)p;
    return (lm_v16){_mm256_castsi256_ps(_mm256_cvtepi8_epi16(_mm_loadu_si128(halves))),
                    _mm256_castsi256_ps(_mm256_cvtepi8_epi16(_mm_loadu_si128(halves + 1)))};
}

static LM_ALWAYS_INLINE void lm_v16_store_pairs_i8_n(int8_t *p, lm_v16 pairs, int64_t n) {
    __m256i bytes =
        _mm256_packs_epi16(_mm256_castps_si256(pairs.lo), _mm256_castps_si256(pairs.hi));
    int8_t lanes[2 * LM_LANES];
    _mm256_storeu_si256((__m256i *)lanes, _mm256_permute4x64_epi64(bytes, 0xd8));
    memcpy(p, lanes, (size_t)(2 * n) * sizeof *p);
}

static LM_ALWAYS_INLINE lm_i32x16 lm_i32x16_zero(void) {
    return (lm_i32x16){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

static LM_ALWAYS_INLINE __m256i lm_v8_dot_pairs(__m256i sum, __m256 a, __m256 b) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_castps_si256(a), _mm256_castps_si256(b)));
}

/* sum + the products of a's and b's 16-bit integers, two a lane. Exact. */
static LM_ALWAYS_INLINE lm_i32x16 lm_i32x16_dot_pairs(lm_i32x16 sum, lm_v16 a, lm_v16 b) {
    return (lm_i32x16){lm_v8_dot_pairs(sum.lo, a.lo, b.lo), lm_v8_dot_pairs(sum.hi, a.hi, b.hi)};
}

/* Rounded to even. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_from_i32(lm_i32x16 x) {
    return (lm_v16){_mm256_cvtepi32_ps(x.lo), _mm256_cvtepi32_ps(x.hi)};
}

/* Sixteen bytes, each a pair of four-bit numbers biased by 8: the low ones and the high ones. */
static LM_ALWAYS_INLINE void lm_v16_load_u4(const uint8_t *p, lm_v16 *out_low, lm_v16 *out_high) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)p), mask = _mm_set1_epi8(15),
            bias = _mm_set1_epi8(8);
    int8_t low[LM_LANES], high[LM_LANES];
    _mm_storeu_si128((__m128i *)low, _mm_sub_epi8(_mm_and_si128(bytes, mask), bias));
    _mm_storeu_si128((__m128i *)high,
                     _mm_sub_epi8(_mm_and_si128(_mm_srli_epi16(bytes, 4), mask), bias));
    *out_low = lm_v16_load_i8(low);
    *out_high = lm_v16_load_i8(high);
}

static LM_ALWAYS_INLINE void lm_v8_transpose(__m256 m[8]) {
    __m256 t[8];
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(m[2 * i], m[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(m[2 * i], m[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            m[4 * i + 2 * j] = _mm256_shuffle_ps(t[4 * i + j], t[4 * i + 2 + j], 0x44);
            m[4 * i + 2 * j + 1] = _mm256_shuffle_ps(t[4 * i + j], t[4 * i + 2 + j], 0xee);
        }
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(m[i], m[4 + i], 0x20);
        t[4 + i] = _mm256_permute2f128_ps(m[i], m[4 + i], 0x31);
    }
    memcpy(m, t, sizeof t);
}

/* m[i] lane j becomes m[j] lane i. */
static LM_ALWAYS_INLINE void lm_v16_transpose(lm_v16 m[16]) {
    __m256 a[8], b[8], c[8], d[8];
    for (int i = 0; i < 8; i++) {
        a[i] = m[i].lo;
        b[i] = m[i].hi;
        c[i] = m[8 + i].lo;
        d[i] = m[8 + i].hi;
    }
    lm_v8_transpose(a);
    lm_v8_transpose(b);
    lm_v8_transpose(c);
    lm_v8_transpose(d);
    for (int i = 0; i < 8; i++) {
        m[i] = (lm_v16){a[i], c[i]};
        m[8 + i] = (lm_v16){b[i], d[i]};
    }
}

#include "backend/cpu/simd_x86.h"

#endif
