/* simd_int8.h in four 128-bit registers, with the products that the instruction set has. Included by simd_int8.h alone. */
#ifndef LM_BACKEND_CPU_SIMD_INT8_NEON_H
#define LM_BACKEND_CPU_SIMD_INT8_NEON_H

typedef struct lm_b64 {
    uint8x16_t q0, q1, q2, q3;
} lm_b64;

typedef struct lm_i16 {
    int32x4_t q0, q1, q2, q3;
} lm_i16;

static LM_ALWAYS_INLINE lm_b64 lm_b64_load(const void *p) {
    const uint8_t *bytes = p;
    return (lm_b64){vld1q_u8(bytes), vld1q_u8(bytes + 16), vld1q_u8(bytes + 32),
                    vld1q_u8(bytes + 48)};
}

static LM_ALWAYS_INLINE void lm_b64_store(void *p, lm_b64 x) {
    uint8_t *bytes = p;
    vst1q_u8(bytes, x.q0);
    vst1q_u8(bytes + 16, x.q1);
    vst1q_u8(bytes + 32, x.q2);
    vst1q_u8(bytes + 48, x.q3);
}

static LM_ALWAYS_INLINE lm_b64 lm_b64_set1(int byte) {
    uint8x16_t x = vdupq_n_u8((uint8_t)byte);
    return (lm_b64){x, x, x, x};
}

#define LM_B64_BINARY(name, intrinsic)                                                       \
    static LM_ALWAYS_INLINE lm_b64 lm_b64_##name(lm_b64 a, lm_b64 b) {                       \
        return (lm_b64){intrinsic(a.q0, b.q0), intrinsic(a.q1, b.q1), intrinsic(a.q2, b.q2), \
                        intrinsic(a.q3, b.q3)};                                              \
    }
LM_B64_BINARY(and, vandq_u8)
LM_B64_BINARY(or, vorrq_u8)
#undef LM_B64_BINARY

static LM_ALWAYS_INLINE lm_b64 lm_b64_shift(lm_b64 x, const int n) {
    int8x16_t up = vdupq_n_s8((int8_t)-n);
    return (lm_b64){vshlq_u8(x.q0, up), vshlq_u8(x.q1, up), vshlq_u8(x.q2, up), vshlq_u8(x.q3, up)};
}

static LM_ALWAYS_INLINE lm_b64 lm_b64_look_up(const uint8_t table[16], lm_b64 x) {
    uint8x16_t t = vld1q_u8(table);
    return (lm_b64){vqtbl1q_u8(t, x.q0), vqtbl1q_u8(t, x.q1), vqtbl1q_u8(t, x.q2),
                    vqtbl1q_u8(t, x.q3)};
}

static LM_ALWAYS_INLINE lm_b64 lm_b64_set4(const void *p) {
    uint32_t four;
    memcpy(&four, p, sizeof four);
    uint8x16_t x = vreinterpretq_u8_u32(vdupq_n_u32(four));
    return (lm_b64){x, x, x, x};
}

static LM_ALWAYS_INLINE lm_i16 lm_i16_set1(const int32_t *p) {
    int32x4_t x = vdupq_n_s32(*p);
    return (lm_i16){x, x, x, x};
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_from_bits(lm_i16 x) {
    return (lm_v16){vreinterpretq_f32_s32(x.q0), vreinterpretq_f32_s32(x.q1),
                    vreinterpretq_f32_s32(x.q2), vreinterpretq_f32_s32(x.q3)};
}

#if defined(__ARM_FEATURE_MATMUL_INT8)

enum { LM_WIDE_OFFSET = 0 };
static LM_ALWAYS_INLINE int32x4_t lm_b16_dot(int32x4_t sum, uint8x16_t w, uint8x16_t x,
                                             const bool wide) {
    return vusdotq_s32(sum, w, vreinterpretq_s8_u8(x));
}

/* Sums of two rows of x: register j has columns 2j and 2j + 1, in each the first row and the second. */
#define LM_HAS_ROW_PAIRS
typedef struct lm_i16x2 {
    int32x4_t q[8];
} lm_i16x2;

/* start[0] in the first row, start[1] in the second. */
static LM_ALWAYS_INLINE lm_i16x2 lm_i16x2_set(const int32_t start[2]) {
    int64_t both;
    memcpy(&both, start, sizeof both);
    int32x4_t x = vreinterpretq_s32_s64(vdupq_n_s64(both));
    return (lm_i16x2){{x, x, x, x, x, x, x, x}};
}

/* sum + the products of eight bytes of each column, four in `low` and four in `high`, with those at row_0 and row_1. */
static LM_ALWAYS_INLINE lm_i16x2 lm_i16x2_dot(lm_i16x2 sum, lm_b64 low, lm_b64 high,
                                              const void *row_0, const void *row_1) {
    int8x16_t x = vcombine_s8(vld1_s8(row_0), vld1_s8(row_1));
#define LM_COLUMNS(half, member) \
    vreinterpretq_u8_u32(half(vreinterpretq_u32_u8(low.member), vreinterpretq_u32_u8(high.member)))
    return (lm_i16x2){{vusmmlaq_s32(sum.q[0], LM_COLUMNS(vzip1q_u32, q0), x),
                       vusmmlaq_s32(sum.q[1], LM_COLUMNS(vzip2q_u32, q0), x),
                       vusmmlaq_s32(sum.q[2], LM_COLUMNS(vzip1q_u32, q1), x),
                       vusmmlaq_s32(sum.q[3], LM_COLUMNS(vzip2q_u32, q1), x),
                       vusmmlaq_s32(sum.q[4], LM_COLUMNS(vzip1q_u32, q2), x),
                       vusmmlaq_s32(sum.q[5], LM_COLUMNS(vzip2q_u32, q2), x),
                       vusmmlaq_s32(sum.q[6], LM_COLUMNS(vzip1q_u32, q3), x),
                       vusmmlaq_s32(sum.q[7], LM_COLUMNS(vzip2q_u32, q3), x)}};
#undef LM_COLUMNS
}

static LM_ALWAYS_INLINE void lm_i16x2_rows(lm_i16x2 sum, lm_i16 *out_0, lm_i16 *out_1) {
    *out_0 = (lm_i16){vuzp1q_s32(sum.q[0], sum.q[1]), vuzp1q_s32(sum.q[2], sum.q[3]),
                      vuzp1q_s32(sum.q[4], sum.q[5]), vuzp1q_s32(sum.q[6], sum.q[7])};
    *out_1 = (lm_i16){vuzp2q_s32(sum.q[0], sum.q[1]), vuzp2q_s32(sum.q[2], sum.q[3]),
                      vuzp2q_s32(sum.q[4], sum.q[5]), vuzp2q_s32(sum.q[6], sum.q[7])};
}

#else

/* Products here are of signed bytes: wide ones are taken down by 128 first. */
enum { LM_WIDE_OFFSET = 128 };
static LM_ALWAYS_INLINE int32x4_t lm_b16_dot(int32x4_t sum, uint8x16_t w, uint8x16_t x,
                                             const bool wide) {
    int8x16_t a = vreinterpretq_s8_u8(wide ? veorq_u8(w, vdupq_n_u8(128)) : w),
              b = vreinterpretq_s8_u8(x);
#if defined(__ARM_FEATURE_DOTPROD)
    return vdotq_s32(sum, a, b);
#else
    /* Pairs are summed in 16 bits, which holds 2 * 128 * 127. */
    int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
    return vpadalq_s16(sum, vpaddq_s16(low, high));
#endif
}

#endif

static LM_ALWAYS_INLINE lm_i16 lm_i16_dot(lm_i16 sum, lm_b64 w, lm_b64 x, const bool wide) {
    return (lm_i16){lm_b16_dot(sum.q0, w.q0, x.q0, wide), lm_b16_dot(sum.q1, w.q1, x.q1, wide),
                    lm_b16_dot(sum.q2, w.q2, x.q2, wide), lm_b16_dot(sum.q3, w.q3, x.q3, wide)};
}

static LM_ALWAYS_INLINE void lm_v16_store_i8(int8_t *p, lm_v16 x) {
    int16x8_t low = vcombine_s16(vmovn_s32(vcvtnq_s32_f32(x.q0)), vmovn_s32(vcvtnq_s32_f32(x.q1))),
              high = vcombine_s16(vmovn_s32(vcvtnq_s32_f32(x.q2)), vmovn_s32(vcvtnq_s32_f32(x.q3)));
    vst1q_s8(p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
}

static LM_ALWAYS_INLINE uint32x4_t lm_v4_larger_magnitude(float32x4_t a, float32x4_t b) {
    return vmaxq_u32(vreinterpretq_u32_f32(vabsq_f32(a)), vreinterpretq_u32_f32(vabsq_f32(b)));
}

static LM_ALWAYS_INLINE float lm_v16_max_magnitude(lm_v16 a, lm_v16 b) {
    uint32x4_t four = vmaxq_u32(
        vmaxq_u32(lm_v4_larger_magnitude(a.q0, a.q1), lm_v4_larger_magnitude(a.q2, a.q3)),
        vmaxq_u32(lm_v4_larger_magnitude(b.q0, b.q1), lm_v4_larger_magnitude(b.q2, b.q3)));
    uint32_t bits = vmaxvq_u32(four);
    float amax;
    memcpy(&amax, &bits, sizeof amax);
    return amax;
}

/* Bytes of a vector as four registers of 32 bits. */
static LM_ALWAYS_INLINE void lm_b16_widen(const uint8_t *p, uint32x4_t out[4]) {
    uint8x16_t bytes = vld1q_u8(p);
    uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
    out[0] = vmovl_u16(vget_low_u16(low));
    out[1] = vmovl_high_u16(low);
    out[2] = vmovl_u16(vget_low_u16(high));
    out[3] = vmovl_high_u16(high);
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_u8(const uint8_t *p) {
    uint32x4_t x[4];
    lm_b16_widen(p, x);
    return (lm_v16){vcvtq_f32_u32(x[0]), vcvtq_f32_u32(x[1]), vcvtq_f32_u32(x[2]),
                    vcvtq_f32_u32(x[3])};
}

/* The exponent's place in f32 has e - 1; below it are subnormals. */
static LM_ALWAYS_INLINE float32x4_t lm_v4_e8m0_half(uint32x4_t e) {
    uint32x4_t bits = vshlq_n_u32(vsubq_u32(e, vdupq_n_u32(1)), 23);
    uint32x4_t small = vshlq_u32(vdupq_n_u32(0x200000), vreinterpretq_s32_u32(e));
    bits = vbslq_u32(vcltq_u32(e, vdupq_n_u32(2)), small, bits);
    return vbslq_f32(vcgtq_u32(e, vdupq_n_u32(231)), vdupq_n_f32(NAN), vreinterpretq_f32_u32(bits));
}

static LM_ALWAYS_INLINE lm_v16 lm_v16_load_e8m0_half(const uint8_t *p) {
    uint32x4_t e[4];
    lm_b16_widen(p, e);
    return (lm_v16){lm_v4_e8m0_half(e[0]), lm_v4_e8m0_half(e[1]), lm_v4_e8m0_half(e[2]),
                    lm_v4_e8m0_half(e[3])};
}

#endif
