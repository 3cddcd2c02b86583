/* Integer products in the lanes of simd.h: 64 bytes (lm_b64) as 16 groups of four, and 16 sums of 32 bits (lm_i16), lane i
 * being group i's. Exact, so that every instruction set gives the same integers. Where LM_HAS_ROW_PAIRS is defined, two rows
 * of x can be multiplied at once (lm_i16x2).
 */
#ifndef LM_BACKEND_CPU_SIMD_INT8_H
#define LM_BACKEND_CPU_SIMD_INT8_H

#include "backend/cpu/simd.h"

#if defined(__aarch64__)

#include "backend/cpu/simd_int8_neon.h"

#elif defined(__AVX512VNNI__)

typedef __m512i lm_b64, lm_i16;

static LM_ALWAYS_INLINE lm_b64 lm_b64_load(const void *p) {
    return _mm512_loadu_si512(p);
}

static LM_ALWAYS_INLINE void lm_b64_store(void *p, lm_b64 x) {
    _mm512_storeu_si512(p, x);
}

static LM_ALWAYS_INLINE lm_b64 lm_b64_set1(int byte) {
    return _mm512_set1_epi8((char)byte);
}

static LM_ALWAYS_INLINE lm_b64 lm_b64_and(lm_b64 a, lm_b64 b) {
    return _mm512_and_si512(a, b);
}

static LM_ALWAYS_INLINE lm_b64 lm_b64_or(lm_b64 a, lm_b64 b) {
    return _mm512_or_si512(a, b);
}

/* Every byte n bits down (n < 0: up); what crosses from a neighbouring byte is left in and wants masking. */
static LM_ALWAYS_INLINE lm_b64 lm_b64_shift(lm_b64 x, const int n) {
    return n > 0   ? _mm512_srli_epi16(x, (unsigned)n)
           : n < 0 ? _mm512_slli_epi16(x, (unsigned)-n)
                   : x;
}

/* table[x] of every byte below 16. */
static LM_ALWAYS_INLINE lm_b64 lm_b64_look_up(const uint8_t table[16], lm_b64 x) {
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)table)), x);
}

/* The four bytes, or the integer, at p in every lane. */
static LM_ALWAYS_INLINE lm_b64 lm_b64_set4(const void *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}

static LM_ALWAYS_INLINE lm_i16 lm_i16_set1(const int32_t *p) {
    return _mm512_set1_epi32(*p);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_from_bits(lm_i16 x) {
    return _mm512_castsi512_ps(x);
}

/* sum + w . x in every lane, w unsigned and x signed, not -128. `wide`: bytes of w may be above 128. Products with such bytes
 * may be those of w - LM_WIDE_OFFSET instead. */
enum { LM_WIDE_OFFSET = 0 };
static LM_ALWAYS_INLINE lm_i16 lm_i16_dot(lm_i16 sum, lm_b64 w, lm_b64 x, const bool wide) {
    return _mm512_dpbusd_epi32(sum, w, x);
}

/* Sixteen integers of at most 8 bits, rounded from x (halves to even), as bytes. */
static LM_ALWAYS_INLINE void lm_v16_store_i8(int8_t *p, lm_v16 x) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
}

/* The largest magnitude among 32 lanes; NaN if there is one. */
static LM_ALWAYS_INLINE float lm_v16_max_magnitude(lm_v16 a, lm_v16 b) {
    __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i max = _mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(a), magnitude),
                                   _mm512_and_si512(_mm512_castps_si512(b), magnitude));
    int32_t bits = _mm512_reduce_max_epi32(max);
    float amax;
    memcpy(&amax, &bits, sizeof amax);
    return amax;
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_u8(const uint8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

/* 2^(e - 128) for bytes e; from 2^104 on NaN. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_load_e8m0_half(const uint8_t *p) {
    __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
    __m512 power = _mm512_scalef_ps(
        _mm512_set1_ps(1.0f), _mm512_cvtepi32_ps(_mm512_sub_epi32(e, _mm512_set1_epi32(128))));
    __mmask16 large = _mm512_cmpgt_epi32_mask(e, _mm512_set1_epi32(231));
    return _mm512_mask_blend_ps(large, power, _mm512_set1_ps(NAN));
}

#elif defined(__AVX2__) && !defined(__AVX512F__)

typedef struct lm_b64 {
    __m256i lo, hi;
} lm_b64;
typedef lm_b64 lm_i16;

static LM_ALWAYS_INLINE lm_b64 lm_b64_load(const void *p) {
    const __m256i *halves = p;
    return (lm_b64){_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
}

static LM_ALWAYS_INLINE void lm_b64_store(void *p, lm_b64 x) {
    __m256i *halves = p;
    _mm256_storeu_si256(halves, x.lo);
    _mm256_storeu_si256(halves + 1, x.hi);
}

static LM_ALWAYS_INLINE lm_b64 lm_b64_set1(int byte) {
    __m256i x = _mm256_set1_epi8((char)byte);
    return (lm_b64){x, x};
}

static LM_ALWAYS_INLINE lm_b64 lm_b64_and(lm_b64 a, lm_b64 b) {
    return (lm_b64){_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)};
}

static LM_ALWAYS_INLINE lm_b64 lm_b64_or(lm_b64 a, lm_b64 b) {
    return (lm_b64){_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)};
}

static LM_ALWAYS_INLINE lm_b64 lm_b64_shift(lm_b64 x, const int n) {
    if (n > 0) return (lm_b64){_mm256_srli_epi16(x.lo, n), _mm256_srli_epi16(x.hi, n)};
    if (n < 0) return (lm_b64){_mm256_slli_epi16(x.lo, -n), _mm256_slli_epi16(x.hi, -n)};
    return x;
}

static LM_ALWAYS_INLINE lm_b64 lm_b64_look_up(const uint8_t table[16], lm_b64 x) {
    __m256i t = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
    return (lm_b64){_mm256_shuffle_epi8(t, x.lo), _mm256_shuffle_epi8(t, x.hi)};
}

static LM_ALWAYS_INLINE lm_b64 lm_b64_set4(const void *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    __m256i x = _mm256_set1_epi32(four);
    return (lm_b64){x, x};
}

static LM_ALWAYS_INLINE lm_i16 lm_i16_set1(const int32_t *p) {
    return lm_b64_set4(p);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_from_bits(lm_i16 x) {
    return (lm_v16){_mm256_castsi256_ps(x.lo), _mm256_castsi256_ps(x.hi)};
}

/* Pairs are summed in 16 bits, which holds 2 * 128 * 127 and no more: wide bytes are taken down by 128 first and their signs
 * given to x. */
enum { LM_WIDE_OFFSET = 128 };
static LM_ALWAYS_INLINE __m256i lm_b32_dot(__m256i sum, __m256i w, __m256i x, const bool wide) {
    if (wide) {
        w = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
        x = _mm256_sign_epi8(x, w);
        w = _mm256_abs_epi8(w);
    }
    __m256i pairs = _mm256_maddubs_epi16(w, x);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static LM_ALWAYS_INLINE lm_i16 lm_i16_dot(lm_i16 sum, lm_b64 w, lm_b64 x, const bool wide) {
    return (lm_i16){lm_b32_dot(sum.lo, w.lo, x.lo, wide), lm_b32_dot(sum.hi, w.hi, x.hi, wide)};
}

static LM_ALWAYS_INLINE void lm_v16_store_i8(int8_t *p, lm_v16 x) {
    __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(x.lo), _mm256_cvtps_epi32(x.hi));
    words = _mm256_permute4x64_epi64(words, 0xd8);
    _mm_storeu_si128((__m128i *)p, _mm_packs_epi16(_mm256_castsi256_si128(words),
                                                   _mm256_extracti128_si256(words, 1)));
}

static LM_ALWAYS_INLINE __m256i lm_v8_magnitude(__m256 x) {
    return _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff));
}

static LM_ALWAYS_INLINE float lm_v16_max_magnitude(lm_v16 a, lm_v16 b) {
    __m256i eight =
        _mm256_max_epi32(_mm256_max_epi32(lm_v8_magnitude(a.lo), lm_v8_magnitude(a.hi)),
                         _mm256_max_epi32(lm_v8_magnitude(b.lo), lm_v8_magnitude(b.hi)));
    __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    __m128i two = _mm_max_epi32(four, _mm_unpackhi_epi64(four, four));
    __m128i one = _mm_max_epi32(two, _mm_shuffle_epi32(two, 1));
    return _mm_cvtss_f32(_mm_castsi128_ps(one));
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_u8(const uint8_t *p) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    return (lm_v16){_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
                    _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
}

/* The exponent's place in f32 has e - 1; below it are subnormals. */
static LM_ALWAYS_INLINE __m256 lm_v8_e8m0_half(__m256i e) {
    __m256i bits = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
    __m256i small = _mm256_sllv_epi32(_mm256_set1_epi32(0x200000), e);
    bits = _mm256_blendv_epi8(bits, small, _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e));
    __m256i large = _mm256_cmpgt_epi32(e, _mm256_set1_epi32(231));
    return _mm256_blendv_ps(_mm256_castsi256_ps(bits), _mm256_set1_ps(NAN),
                            _mm256_castsi256_ps(large));
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_e8m0_half(const uint8_t *p) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    return (lm_v16){lm_v8_e8m0_half(_mm256_cvtepu8_epi32(bytes)),
                    lm_v8_e8m0_half(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
}

#endif

#endif
