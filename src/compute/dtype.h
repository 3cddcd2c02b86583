/* Element types and quantization formats as one table: how elements are stored, and how they become
 * f32 and back.
 *
 * A quantized row is a sequence of blocks of `block_elems` consecutive elements; row lengths are
 * multiples of it. A new format is one file under quant/ and one line in dtypes.def. Any thread.
 */
#ifndef LM_COMPUTE_DTYPE_H
#define LM_COMPUTE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum lm_dtype {
#define LM_DTYPE(id, name) LM_##id,
#include "compute/dtypes.def"
#undef LM_DTYPE
    LM_DTYPE_COUNT,
} lm_dtype;

typedef struct lm_dtype_info {
    const char *name;    /* "f32", "q8_0" */
    int64_t block_elems; /* 1 for plain types */
    size_t block_bytes;
    /* n elements, a multiple of block_elems. NULL for i32. Rounding is to nearest even for plain
     * types. Quantized ones are searched for the least squared error (quant/search.h), but for Q8_0
     * and Q4_0, which are also made while a model runs: those get ggml's reference quantization. */
    void (*unpack)(const void *src, float *dst, int64_t n);
    void (*pack)(const float *src, void *dst, int64_t n);
    const struct lm_quant_info *quant; /* quant/quant.h; NULL for plain types */
} lm_dtype_info;

const lm_dtype_info *lm_dtype_get(lm_dtype dtype); /* never NULL for a valid dtype */
bool lm_dtype_parse(const char *name, lm_dtype *out);
bool lm_dtype_is_quantized(lm_dtype dtype);

/* Bytes of n consecutive elements (n a multiple of block_elems; the caller has checked n against
 * overflow). */
size_t lm_dtype_bytes(lm_dtype dtype, int64_t n);

static inline float lm_bf16_to_f32(uint16_t x) {
    union {
        uint32_t u;
        float f;
    } v = {(uint32_t)x << 16};
    return v.f;
}

/* Round to nearest even; NaN stays NaN. */
static inline uint16_t lm_f32_to_bf16(float x) {
    union {
        float f;
        uint32_t u;
    } v = {x};
    if ((v.u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((v.u >> 16) | 0x40u);
    return (uint16_t)((v.u + 0x7fffu + ((v.u >> 16) & 1u)) >> 16);
}

float lm_f16_to_f32(uint16_t x);
uint16_t lm_f32_to_f16(float x); /* round to nearest even, overflow to infinity */

#endif
