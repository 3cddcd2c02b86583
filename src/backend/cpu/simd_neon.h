/* The lanes of simd.h in four 128-bit registers. Included by simd.h alone. */
#ifndef LM_BACKEND_CPU_SIMD_NEON_H
#define LM_BACKEND_CPU_SIMD_NEON_H

#include <arm_neon.h>

typedef struct lm_v16 {
    float32x4_t q0, q1, q2, q3; /* lanes 0..3, 4..7, 8..11, 12..15 */
} lm_v16;

typedef struct lm_i32x16 {
    int32x4_t q0, q1, q2, q3;
} lm_i32x16;

static LM_ALWAYS_INLINE lm_v16 lm_v16_set1(float x) {
    float32x4_t four = vdupq_n_f32(x);
    return (lm_v16){four, four, four, four};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_zero(void) {
    return lm_v16_set1(0.0f);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load(const float *p) {
    return (lm_v16){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_n(const float *p, int64_t n) {
    if (n == LM_LANES) return lm_v16_load(p);
    float lanes[LM_LANES] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return lm_v16_load(lanes);
}

static LM_ALWAYS_INLINE void lm_v16_store(float *p, lm_v16 x) {
    vst1q_f32(p, x.q0);
    vst1q_f32(p + 4, x.q1);
    vst1q_f32(p + 8, x.q2);
    vst1q_f32(p + 12, x.q3);
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

/* As x86 has them: b where either is NaN, and of two zeros. */
static LM_ALWAYS_INLINE float32x4_t lm_v4_max(float32x4_t a, float32x4_t b) {
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static LM_ALWAYS_INLINE float32x4_t lm_v4_min(float32x4_t a, float32x4_t b) {
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

#define LM_V16_BINARY(name, intrinsic)                                                       \
    static LM_ALWAYS_INLINE lm_v16 lm_v16_##name(lm_v16 a, lm_v16 b) {                       \
        return (lm_v16){intrinsic(a.q0, b.q0), intrinsic(a.q1, b.q1), intrinsic(a.q2, b.q2), \
                        intrinsic(a.q3, b.q3)};                                              \
    }
LM_V16_BINARY(add, vaddq_f32)
LM_V16_BINARY(sub, vsubq_f32)
LM_V16_BINARY(mul, vmulq_f32)
LM_V16_BINARY(div, vdivq_f32)
LM_V16_BINARY(max, lm_v4_max)
LM_V16_BINARY(min, lm_v4_min)
#undef LM_V16_BINARY

/* a * b + c */
static LM_ALWAYS_INLINE lm_v16 lm_v16_fma(lm_v16 a, lm_v16 b, lm_v16 c) {
    return (lm_v16){vfmaq_f32(c.q0, a.q0, b.q0), vfmaq_f32(c.q1, a.q1, b.q1),
                    vfmaq_f32(c.q2, a.q2, b.q2), vfmaq_f32(c.q3, a.q3, b.q3)};
}

/* 2^n for integer n in -126 to 127. */
static LM_ALWAYS_INLINE float32x4_t lm_v4_exp2i(float32x4_t n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23));
}

/* The lanes' bits moved up by 23, where the exponent is: n + 127 as an integer becomes 2^n. */
static LM_ALWAYS_INLINE float32x4_t lm_v4_shift_exponent(float32x4_t x) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(x), 23));
}

#define LM_V16_UNARY(name, intrinsic)                                                        \
    static LM_ALWAYS_INLINE lm_v16 lm_v16_##name(lm_v16 a) {                                 \
        return (lm_v16){intrinsic(a.q0), intrinsic(a.q1), intrinsic(a.q2), intrinsic(a.q3)}; \
    }
LM_V16_UNARY(sqrt, vsqrtq_f32)
LM_V16_UNARY(round, vrndnq_f32) /* to the nearest integer, halves to even */
LM_V16_UNARY(exp2i, lm_v4_exp2i)
LM_V16_UNARY(shift_exponent, lm_v4_shift_exponent)
#undef LM_V16_UNARY

/* Sum of the lanes in the order of lm_lanes_fold. */
static LM_ALWAYS_INLINE float lm_v16_fold(lm_v16 x) {
    float32x4_t four = vaddq_f32(vaddq_f32(x.q0, x.q2), vaddq_f32(x.q1, x.q3));
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

/* The largest lane; no NaN among them, or all NaN. */
static LM_ALWAYS_INLINE float lm_v16_max_lane(lm_v16 x) {
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.q0, x.q2), vmaxq_f32(x.q1, x.q3)));
}

static LM_ALWAYS_INLINE float32x4_t lm_v4_fold_each(const lm_v16 m[4]) {
    float32x4_t four[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        four[i] = vaddq_f32(vaddq_f32(m[i].q0, m[i].q2), vaddq_f32(m[i].q1, m[i].q3));
    /* Lanes 0 + 2 and 1 + 3 of two vectors side by side, then the neighbours. */
    float64x2_t a = vreinterpretq_f64_f32(four[0]), b = vreinterpretq_f64_f32(four[1]),
                c = vreinterpretq_f64_f32(four[2]), d = vreinterpretq_f64_f32(four[3]);
    float32x4_t ab =
        vaddq_f32(vreinterpretq_f32_f64(vzip1q_f64(a, b)), vreinterpretq_f32_f64(vzip2q_f64(a, b)));
    float32x4_t cd =
        vaddq_f32(vreinterpretq_f32_f64(vzip1q_f64(c, d)), vreinterpretq_f32_f64(vzip2q_f64(c, d)));
    return vpaddq_f32(ab, cd);
}

/* Lane i of the result is the fold of m[i] (lm_v16_fold): each step adds halves of two vectors at once. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_fold_each(const lm_v16 m[16]) {
    return (lm_v16){lm_v4_fold_each(m), lm_v4_fold_each(m + 4), lm_v4_fold_each(m + 8),
                    lm_v4_fold_each(m + 12)};
}

static LM_ALWAYS_INLINE float32x4_t lm_v4_if_nan(float32x4_t x, float32x4_t a, float32x4_t b) {
    return vbslq_f32(vceqq_f32(x, x), b, a);
}

/* a where x is NaN, b elsewhere. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_if_nan(lm_v16 x, lm_v16 a, lm_v16 b) {
    return (lm_v16){lm_v4_if_nan(x.q0, a.q0, b.q0), lm_v4_if_nan(x.q1, a.q1, b.q1),
                    lm_v4_if_nan(x.q2, a.q2, b.q2), lm_v4_if_nan(x.q3, a.q3, b.q3)};
}

/* a where x < y, b elsewhere. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_if_less(lm_v16 x, lm_v16 y, lm_v16 a, lm_v16 b) {
    return (lm_v16){
        vbslq_f32(vcltq_f32(x.q0, y.q0), a.q0, b.q0), vbslq_f32(vcltq_f32(x.q1, y.q1), a.q1, b.q1),
        vbslq_f32(vcltq_f32(x.q2, y.q2), a.q2, b.q2), vbslq_f32(vcltq_f32(x.q3, y.q3), a.q3, b.q3)};
}

/* a in lanes before n of the four that start at `lane`, b elsewhere. */
static LM_ALWAYS_INLINE float32x4_t lm_v4_first(int64_t n, int lane, float32x4_t a, float32x4_t b) {
    const int32x4_t index = {0, 1, 2, 3};
    return vbslq_f32(vcltq_s32(index, vdupq_n_s32((int)n - lane)), a, b);
}

/* The first n lanes of a, then those of b. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_first(int64_t n, lm_v16 a, lm_v16 b) {
    return (lm_v16){lm_v4_first(n, 0, a.q0, b.q0), lm_v4_first(n, 4, a.q1, b.q1),
                    lm_v4_first(n, 8, a.q2, b.q2), lm_v4_first(n, 12, a.q3, b.q3)};
}

static LM_ALWAYS_INLINE float32x4_t lm_v4_from_bf16(uint16x4_t halves) {
    return vreinterpretq_f32_u32(vshll_n_u16(halves, 16));
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_bf16(const uint16_t *p) {
    uint16x8_t low = vld1q_u16(p), high = vld1q_u16(p + 8);
    return (lm_v16){lm_v4_from_bf16(vget_low_u16(low)), lm_v4_from_bf16(vget_high_u16(low)),
                    lm_v4_from_bf16(vget_low_u16(high)), lm_v4_from_bf16(vget_high_u16(high))};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_bf16_n(const uint16_t *p, int64_t n) {
    uint16_t lanes[LM_LANES] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return lm_v16_load_bf16(lanes);
}

static LM_ALWAYS_INLINE uint16x4_t lm_v4_to_bf16(float32x4_t x) {
    uint32x4_t bits = vreinterpretq_u32_f32(x);
    uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    return vshrn_n_u32(vbslq_u32(vceqq_f32(x, x), rounded, quiet), 16);
}

/* Round to nearest even, NaN kept. */
static LM_ALWAYS_INLINE void lm_v16_store_bf16_n(uint16_t *p, lm_v16 x, int64_t n) {
    uint16_t lanes[LM_LANES];
    vst1q_u16(lanes, vcombine_u16(lm_v4_to_bf16(x.q0), lm_v4_to_bf16(x.q1)));
    vst1q_u16(lanes + 8, vcombine_u16(lm_v4_to_bf16(x.q2), lm_v4_to_bf16(x.q3)));
    memcpy(p, lanes, (size_t)n * sizeof *p);
}

#define LM_V16_UNARY(name, function)                                                     \
    static LM_ALWAYS_INLINE lm_v16 lm_v16_##name(lm_v16 x) {                             \
        return (lm_v16){function(x.q0), function(x.q1), function(x.q2), function(x.q3)}; \
    }

/* What store_bf16 and load_bf16 make of x. */
static LM_ALWAYS_INLINE float32x4_t lm_v4_round_bf16(float32x4_t x) {
    return lm_v4_from_bf16(lm_v4_to_bf16(x));
}
LM_V16_UNARY(round_bf16, lm_v4_round_bf16)

/* Lanes that hold two bf16 each: the one in the lower halves, the one in the upper halves, and such lanes from both. */
static LM_ALWAYS_INLINE float32x4_t lm_v4_pair_low(float32x4_t pairs) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(pairs), 16));
}
LM_V16_UNARY(pair_low, lm_v4_pair_low)

static LM_ALWAYS_INLINE float32x4_t lm_v4_pair_high(float32x4_t pairs) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(pairs), vdupq_n_u32(0xffff0000u)));
}
LM_V16_UNARY(pair_high, lm_v4_pair_high)

static LM_ALWAYS_INLINE float32x4_t lm_v4_pair(float32x4_t low, float32x4_t high) {
    return vreinterpretq_f32_u32(
        vsriq_n_u32(vreinterpretq_u32_f32(high), vreinterpretq_u32_f32(low), 16));
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_pair(lm_v16 low, lm_v16 high) {
    return (lm_v16){lm_v4_pair(low.q0, high.q0), lm_v4_pair(low.q1, high.q1),
                    lm_v4_pair(low.q2, high.q2), lm_v4_pair(low.q3, high.q3)};
}

/* Lanes 0, 0, 1, 1, ... of a and b in turn. */
static LM_ALWAYS_INLINE void lm_v16_zip(lm_v16 a, lm_v16 b, lm_v16 *out_first, lm_v16 *out_second) {
    *out_first = (lm_v16){vzip1q_f32(a.q0, b.q0), vzip2q_f32(a.q0, b.q0), vzip1q_f32(a.q1, b.q1),
                          vzip2q_f32(a.q1, b.q1)};
    *out_second = (lm_v16){vzip1q_f32(a.q2, b.q2), vzip2q_f32(a.q2, b.q2), vzip1q_f32(a.q3, b.q3),
                           vzip2q_f32(a.q3, b.q3)};
}

/* Lanes 2i and 2i + 1 change places. */
LM_V16_UNARY(swap, vrev64q_f32)
#undef LM_V16_UNARY

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_f16(const uint16_t *p) {
    float16x8_t low = vreinterpretq_f16_u16(vld1q_u16(p)),
                high = vreinterpretq_f16_u16(vld1q_u16(p + 8));
    return (lm_v16){vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low),
                    vcvt_f32_f16(vget_low_f16(high)), vcvt_high_f32_f16(high)};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_f16_n(const uint16_t *p, int64_t n) {
    uint16_t lanes[LM_LANES] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return lm_v16_load_f16(lanes);
}

/* Round to nearest even, NaN kept. */
static LM_ALWAYS_INLINE void lm_v16_store_f16_n(uint16_t *p, lm_v16 x, int64_t n) {
    uint16_t lanes[LM_LANES];
    vst1q_u16(lanes, vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(x.q0), x.q1)));
    vst1q_u16(lanes + 8, vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(x.q2), x.q3)));
    memcpy(p, lanes, (size_t)n * sizeof *p);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_from_i8(int8x16_t bytes) {
    int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    return (lm_v16){vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
                    vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
                    vcvtq_f32_s32(vmovl_high_s16(high))};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_i8(const int8_t *p) {
    return lm_v16_from_i8(vld1q_s8(p));
}

/* Rounded to the nearest integer, halves to even; the lanes are within the type. */
static LM_ALWAYS_INLINE void lm_v16_store_i16_n(int16_t *p, lm_v16 x, int64_t n) {
    int16_t lanes[LM_LANES];
    vst1q_s16(lanes,
              vcombine_s16(vmovn_s32(vcvtnq_s32_f32(x.q0)), vmovn_s32(vcvtnq_s32_f32(x.q1))));
    vst1q_s16(lanes + 8,
              vcombine_s16(vmovn_s32(vcvtnq_s32_f32(x.q2)), vmovn_s32(vcvtnq_s32_f32(x.q3))));
    memcpy(p, lanes, (size_t)n * sizeof *p);
}

static LM_ALWAYS_INLINE float32x4_t lm_v4_to_i16(float32x4_t x) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vcvtnq_s32_f32(x), 16));
}

/* The same as 16-bit integers in the upper halves of lanes. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_to_i16(lm_v16 x) {
    return (lm_v16){lm_v4_to_i16(x.q0), lm_v4_to_i16(x.q1), lm_v4_to_i16(x.q2), lm_v4_to_i16(x.q3)};
}

/* Lanes that hold two 16-bit integers each, from pairs of bytes, and the first n of them to such. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_load_pairs_i8(const int8_t *p) {
    int8x16_t low = vld1q_s8(p), high = vld1q_s8(p + 16);
    return (lm_v16){vreinterpretq_f32_s16(vmovl_s8(vget_low_s8(low))),
                    vreinterpretq_f32_s16(vmovl_high_s8(low)),
                    vreinterpretq_f32_s16(vmovl_s8(vget_low_s8(high))),
                    vreinterpretq_f32_s16(vmovl_high_s8(high))};
}

static LM_ALWAYS_INLINE void lm_v16_store_pairs_i8_n(int8_t *p, lm_v16 pairs, int64_t n) {
    int8_t lanes[2 * LM_LANES];
    vst1q_s8(lanes, vcombine_s8(vmovn_s16(vreinterpretq_s16_f32(pairs.q0)),
                                vmovn_s16(vreinterpretq_s16_f32(pairs.q1))));
    vst1q_s8(lanes + 16, vcombine_s8(vmovn_s16(vreinterpretq_s16_f32(pairs.q2)),
                                     vmovn_s16(vreinterpretq_s16_f32(pairs.q3))));
    memcpy(p, lanes, (size_t)(2 * n) * sizeof *p);
}

static LM_ALWAYS_INLINE lm_i32x16 lm_i32x16_zero(void) {
    int32x4_t four = vdupq_n_s32(0);
    return (lm_i32x16){four, four, four, four};
}

static LM_ALWAYS_INLINE int32x4_t lm_v4_dot_pairs(int32x4_t sum, float32x4_t a, float32x4_t b) {
    int16x8_t x = vreinterpretq_s16_f32(a), y = vreinterpretq_s16_f32(b);
    int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y)), high = vmull_high_s16(x, y);
    return vaddq_s32(sum, vpaddq_s32(low, high));
}

/* sum + the products of a's and b's 16-bit integers, two a lane. Exact. */
static LM_ALWAYS_INLINE lm_i32x16 lm_i32x16_dot_pairs(lm_i32x16 sum, lm_v16 a, lm_v16 b) {
    return (lm_i32x16){lm_v4_dot_pairs(sum.q0, a.q0, b.q0), lm_v4_dot_pairs(sum.q1, a.q1, b.q1),
                       lm_v4_dot_pairs(sum.q2, a.q2, b.q2), lm_v4_dot_pairs(sum.q3, a.q3, b.q3)};
}

/* Rounded to even. */
static LM_ALWAYS_INLINE lm_v16 lm_v16_from_i32(lm_i32x16 x) {
    return (lm_v16){vcvtq_f32_s32(x.q0), vcvtq_f32_s32(x.q1), vcvtq_f32_s32(x.q2),
                    vcvtq_f32_s32(x.q3)};
}

/* Sixteen bytes, each a pair of four-bit numbers biased by 8: the low ones and the high ones. */
static LM_ALWAYS_INLINE void lm_v16_load_u4(const uint8_t *p, lm_v16 *out_low, lm_v16 *out_high) {
    uint8x16_t bytes = vld1q_u8(p);
    int8x16_t low = vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(15))),
              high = vreinterpretq_s8_u8(vshrq_n_u8(bytes, 4)), bias = vdupq_n_s8(8);
    *out_low = lm_v16_from_i8(vsubq_s8(low, bias));
    *out_high = lm_v16_from_i8(vsubq_s8(high, bias));
}

/* The 4 x 4 lanes of four registers are turned over. */
static LM_ALWAYS_INLINE void lm_v4_transpose(float32x4_t *a, float32x4_t *b, float32x4_t *c,
                                             float32x4_t *d) {
    float64x2_t ab_even = vreinterpretq_f64_f32(vtrn1q_f32(*a, *b)),
                ab_odd = vreinterpretq_f64_f32(vtrn2q_f32(*a, *b)),
                cd_even = vreinterpretq_f64_f32(vtrn1q_f32(*c, *d)),
                cd_odd = vreinterpretq_f64_f32(vtrn2q_f32(*c, *d));
    *a = vreinterpretq_f32_f64(vtrn1q_f64(ab_even, cd_even));
    *b = vreinterpretq_f32_f64(vtrn1q_f64(ab_odd, cd_odd));
    *c = vreinterpretq_f32_f64(vtrn2q_f64(ab_even, cd_even));
    *d = vreinterpretq_f32_f64(vtrn2q_f64(ab_odd, cd_odd));
}

/* m[i] lane j becomes m[j] lane i: the sixteen blocks of 4 x 4 in themselves, then with each other. */
static LM_ALWAYS_INLINE void lm_v16_transpose(lm_v16 m[16]) {
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        lm_v4_transpose(&m[i].q0, &m[i + 1].q0, &m[i + 2].q0, &m[i + 3].q0);
        lm_v4_transpose(&m[i].q1, &m[i + 1].q1, &m[i + 2].q1, &m[i + 3].q1);
        lm_v4_transpose(&m[i].q2, &m[i + 1].q2, &m[i + 2].q2, &m[i + 3].q2);
        lm_v4_transpose(&m[i].q3, &m[i + 1].q3, &m[i + 2].q3, &m[i + 3].q3);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        lm_v16 a = m[i], b = m[4 + i], c = m[8 + i], d = m[12 + i];
        m[i] = (lm_v16){a.q0, b.q0, c.q0, d.q0};
        m[4 + i] = (lm_v16){a.q1, b.q1, c.q1, d.q1};
        m[8 + i] = (lm_v16){a.q2, b.q2, c.q2, d.q2};
        m[12 + i] = (lm_v16){a.q3, b.q3, c.q3, d.q3};
    }
}

#endif
