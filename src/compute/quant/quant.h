/* Quantization formats read apart: every block is small integer codes and scales,
 *
 *     x[i] = scale[s] * (value[i] - zero) - min[s]        s = i / sub_elems
 *
 * where value is the code itself or an entry of a table, scale[s] is d or d * sub_scale[s], and min[s] is absent, dmin,
 * or dmin * sub_min[s]. All of it in f32, each operation rounded once. That is enough to dequantize, to multiply with
 * integers, and for a backend to pack any format in an order of its own: a new format is one file with a `read` and a
 * `write`, and one line in dtypes.def; no kernel and no quantizer knows formats by name.
 */
#ifndef LM_COMPUTE_QUANT_QUANT_H
#define LM_COMPUTE_QUANT_QUANT_H

#include "compute/dtype.h"
#include "compute/quant/search.h"

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
    int n_codes;           /* that are written, from 0 up; 0: all that so many bits can say */
    int sub_elems;         /* elements that share a scale: 16 or 32 */
    int zero;              /* 0 to 128 */
    const uint8_t *values; /* [LM_QUANT_VALUES], what a code stands for; NULL: itself */
    lm_quant_scales scales;
    /* What sub_scale and sub_min may be, where the format has them; sub_min begins at 0. */
    int sub_scale_lo, sub_scale_hi, sub_min_hi;
    /* Inverse to each other on all blocks that `write` makes. */
    void (*read)(const void *block, lm_quant_block *out);
    void (*write)(const lm_quant_block *block, void *out);
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

/* How several formats lay codes and scales out; `get` reads, `put` writes.
 *   nibbles   byte i holds the low 4 bits of code i below and those of code i + n above      n bytes, 2n codes
 *   fifths    bit i of 32 little-endian bits is bit 4 of code i, which is ORed in            4 bytes
 *   pairs     two bits 2j of byte i of stretch t are code 128 t + 32 j + i                  64 bytes, 256 codes
 *   six bits  eight 6-bit scales and eight 6-bit mins as Q4_K and Q5_K have them             12 bytes */
void lm_quant_get_nibbles(const uint8_t *bytes, int n, uint8_t *codes);
void lm_quant_put_nibbles(const uint8_t *codes, int n, uint8_t *bytes);
void lm_quant_get_fifths(const uint8_t bytes[4], uint8_t *codes);
void lm_quant_put_fifths(const uint8_t *codes, uint8_t bytes[4]);
void lm_quant_get_pairs(const uint8_t bytes[64], uint8_t codes[256]);
void lm_quant_put_pairs(const uint8_t codes[256], uint8_t bytes[64]); /* of the two low bits */
void lm_quant_get_six_bits(const uint8_t bytes[12], lm_quant_block *out);
void lm_quant_put_six_bits(const lm_quant_block *block, uint8_t bytes[12]);

enum { LM_F16_SIGN = 0x8000 };

/* Signed 4-bit values on a curve that follows a bell, plus 128: IQ4_NL and IQ4_XS. */
extern const uint8_t lm_quant_bell[LM_QUANT_VALUES];

/* Defines lm_dtype_info_<name> from the format's `quant` and block type, which its file has above. Packing searches for
 * the least squared error (search.h); LM_QUANT_FORMAT_WITH names a function of the file's own instead. */
#define LM_QUANT_FORMAT(name, block_elems)                     \
    static void pack(const float *src, void *dst, int64_t n);  \
    LM_QUANT_FORMAT_WITH(name, block_elems, pack);             \
    static void pack(const float *src, void *dst, int64_t n) { \
        lm_quantize(&lm_dtype_info_##name, src, NULL, dst, n); \
    }                                                          \
    _Static_assert((int)(block_elems) <= (int)LM_QUANT_MAX_BLOCK, "a block")

#define LM_QUANT_FORMAT_WITH(name, block_elems, pack)                                      \
    extern const lm_dtype_info lm_dtype_info_##name;                                       \
    static void unpack(const void *src, float *dst, int64_t n) {                           \
        lm_quant_unpack(&lm_dtype_info_##name, src, dst, n);                               \
    }                                                                                      \
    const lm_dtype_info lm_dtype_info_##name = {#name,  block_elems, sizeof(block_##name), \
                                                unpack, pack,        &quant}

#endif
