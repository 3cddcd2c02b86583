/* Quantization formats read apart: every block is small integer codes and scales,
 *
 *     x[i] = scale[s] * (value[i] - zero) - min[s]        s = i / sub_elems
 *
 * where value is the code itself or an entry of a table, scale[s] is d or d * sub_scale[s], and min[s] is absent, dmin,
 * or dmin * sub_min[s]. All of it in f32, each operation rounded once. That is enough to dequantize, to multiply with
 * integers, and for a backend to pack any format in an order of its own: a new format is one file with a `read` and one
 * line in dtypes.def; no kernel knows formats by name.
 */
#ifndef LM_COMPUTE_QUANT_QUANT_H
#define LM_COMPUTE_QUANT_QUANT_H

#include "compute/dtype.h"

enum {
    LM_QUANT_MAX_BLOCK = 256,
    LM_QUANT_MAX_SUBS = 16, /* in a block */
    LM_QUANT_VALUES = 16,   /* entries of a table of values */
};

typedef enum lm_quant_scales {
    LM_SCALES_F16,     /* scale = d */
    LM_SCALES_F16_MIN, /* scale = d, min = dmin */
    LM_SCALES_E8M0,    /* scale = 2^(e - 128), d being the byte e */
    LM_SCALES_SUB,     /* scale = d * sub_scale */
    LM_SCALES_SUB_MIN, /* scale = d * sub_scale, min = dmin * sub_min */
} lm_quant_scales;

/* One block read apart; fields that the format does not have are left alone. */
typedef struct lm_quant_block {
    uint16_t d, dmin; /* f16 bits */
    int8_t sub_scale[LM_QUANT_MAX_SUBS];
    uint8_t sub_min[LM_QUANT_MAX_SUBS];
    uint8_t codes[LM_QUANT_MAX_BLOCK]; /* each below 1 << bits */
} lm_quant_block;

typedef struct lm_quant_info {
    int bits;              /* of a code: 2, 3, 4, 5, 6 or 8 */
    int sub_elems;         /* elements that share a scale: 16 or 32 */
    int zero;              /* 0 to 128 */
    const uint8_t *values; /* [LM_QUANT_VALUES], what a code stands for; NULL: itself */
    lm_quant_scales scales;
    void (*read)(const void *block, lm_quant_block *out);
} lm_quant_info;

static inline bool lm_quant_has_min(const lm_quant_info *quant) {
    return quant->scales == LM_SCALES_F16_MIN || quant->scales == LM_SCALES_SUB_MIN;
}

/* 2^(e - 128) for a byte e; the smallest two are subnormal. */
float lm_e8m0_half(uint8_t e);

/* Scales, and mins of formats that have them, of a block with n_subs parts. */
void lm_quant_scales_of(const lm_quant_info *quant, const lm_quant_block *block, int n_subs,
                        float *scale, float *min);

/* lm_dtype_info.unpack of a quantized type. */
void lm_quant_unpack(const lm_dtype_info *info, const void *src, float *dst, int64_t n);

/* Defines lm_dtype_info_<name> from the format's `quant`, block type and `pack`, which its file has above. */
#define LM_QUANT_FORMAT(name, block_elems)                                                 \
    extern const lm_dtype_info lm_dtype_info_##name;                                       \
    static void unpack(const void *src, float *dst, int64_t n) {                           \
        lm_quant_unpack(&lm_dtype_info_##name, src, dst, n);                               \
    }                                                                                      \
    const lm_dtype_info lm_dtype_info_##name = {#name,  block_elems, sizeof(block_##name), \
                                                unpack, pack,        &quant}

#endif
