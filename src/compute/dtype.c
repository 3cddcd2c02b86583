/* The table of element types, and the plain ones: f32, bf16, f16, i32, i8, i16. Quantization formats are
 * in quant/. */
#include "compute/dtype.h"

#include <math.h>
#include <string.h>

static void unpack_f32(const void *src, float *dst, int64_t n) {
    memmove(dst, src, (size_t)n * sizeof *dst);
}

static void pack_f32(const float *src, void *dst, int64_t n) {
    memmove(dst, src, (size_t)n * sizeof *src);
}

static void unpack_bf16(const void *src, float *dst, int64_t n) {
    const uint16_t *x = src;
    for (int64_t i = 0; i < n; i++) dst[i] = lm_bf16_to_f32(x[i]);
}

static void pack_bf16(const float *src, void *dst, int64_t n) {
    uint16_t *y = dst;
    for (int64_t i = 0; i < n; i++) y[i] = lm_f32_to_bf16(src[i]);
}

static void unpack_f16(const void *src, float *dst, int64_t n) {
    const uint16_t *x = src;
    for (int64_t i = 0; i < n; i++) dst[i] = lm_f16_to_f32(x[i]);
}

static void pack_f16(const float *src, void *dst, int64_t n) {
    uint16_t *y = dst;
    for (int64_t i = 0; i < n; i++) y[i] = lm_f32_to_f16(src[i]);
}

static void unpack_i8(const void *src, float *dst, int64_t n) {
    const int8_t *x = src;
    for (int64_t i = 0; i < n; i++) dst[i] = (float)x[i];
}

static void unpack_i16(const void *src, float *dst, int64_t n) {
    const int16_t *x = src;
    for (int64_t i = 0; i < n; i++) dst[i] = (float)x[i];
}

/* To even, within -most to most; NaN becomes 0. */
static float to_integer(float x, float most) {
    if (x != x) return 0.0f;
    return rintf(x > most ? most : x < -most ? -most : x);
}

static void pack_i8(const float *src, void *dst, int64_t n) {
    int8_t *y = dst;
    for (int64_t i = 0; i < n; i++) y[i] = (int8_t)to_integer(src[i], INT8_MAX);
}

static void pack_i16(const float *src, void *dst, int64_t n) {
    int16_t *y = dst;
    for (int64_t i = 0; i < n; i++) y[i] = (int16_t)to_integer(src[i], INT16_MAX);
}

const lm_dtype_info lm_dtype_info_f32 = {"f32", 1, 4, unpack_f32, pack_f32, NULL};
const lm_dtype_info lm_dtype_info_bf16 = {"bf16", 1, 2, unpack_bf16, pack_bf16, NULL};
const lm_dtype_info lm_dtype_info_f16 = {"f16", 1, 2, unpack_f16, pack_f16, NULL};
const lm_dtype_info lm_dtype_info_i32 = {"i32", 1, 4, NULL, NULL, NULL};
const lm_dtype_info lm_dtype_info_i8 = {"i8", 1, 1, unpack_i8, pack_i8, NULL};
const lm_dtype_info lm_dtype_info_i16 = {"i16", 1, 2, unpack_i16, pack_i16, NULL};

#define LM_DTYPE(id, name) extern const lm_dtype_info lm_dtype_info_##name;
#include "compute/dtypes.def"
#undef LM_DTYPE

static const lm_dtype_info *const infos[] = {
#define LM_DTYPE(id, name) &lm_dtype_info_##name,
#include "compute/dtypes.def"
#undef LM_DTYPE
};

const lm_dtype_info *lm_dtype_get(lm_dtype dtype) {
    return infos[dtype];
}

bool lm_dtype_parse(const char *name, lm_dtype *out) {
    for (int i = 0; i < LM_DTYPE_COUNT; i++) {
        if (strcmp(infos[i]->name, name) != 0) continue;
        *out = (lm_dtype)i;
        return true;
    }
    return false;
}

bool lm_dtype_is_quantized(lm_dtype dtype) {
    return infos[dtype]->block_elems > 1;
}

size_t lm_dtype_bytes(lm_dtype dtype, int64_t n) {
    return (size_t)(n / infos[dtype]->block_elems) * infos[dtype]->block_bytes;
}

static float f32_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

float lm_f16_to_f32(uint16_t x) {
    uint32_t sign = (uint32_t)(x & 0x8000u) << 16, exponent = (x >> 10) & 31u,
             mantissa = x & 0x3ffu;
    if (exponent == 31) return f32_of_bits(sign | 0x7f800000u | mantissa << 13);
    if (exponent > 0) return f32_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    float tiny = (float)mantissa * 0x1p-24f; /* zero and subnormals, exactly */
    return sign ? -tiny : tiny;
}

uint16_t lm_f32_to_f16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | (bits >> 13 & 0x3ffu));
    if (bits >= 0x477ff000u)
        return (uint16_t)(sign | 0x7c00u); /* 65520 and more round to infinity */
    if (bits < 0x38800000u) {
        /* Below the smallest normal: adding 0.5 puts the last bit of the result at 2^-24 and
         * rounds to even. */
        float shifted = f32_of_bits(bits) + 0.5f;
        memcpy(&bits, &shifted, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3f000000u));
    }
    bits += 0xfffu + (bits >> 13 & 1u);
    return (uint16_t)(sign | (bits - 0x38000000u) >> 13);
}
