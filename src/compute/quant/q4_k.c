/* Q4_K: blocks of 256 elements in eight parts of 32, each with a 6-bit scale and a 6-bit min of two f16
 * numbers: x = d * scale * q - dmin * min. Nibbles (quant.h) in stretches of 64 elements, 32 of each half.
 * GGUF's type 12. */
#include "compute/quant/quant.h"

enum { BLOCK_ELEMS = 256, SUB_ELEMS = 32, STRETCH = 2 * SUB_ELEMS };

typedef struct block_q4_k {
    uint16_t d, dmin; /* f16 */
    uint8_t scales[12];
    uint8_t q[BLOCK_ELEMS / 2];
} block_q4_k;

static void read(const void *src, lm_quant_block *out) {
    const block_q4_k *block = src;
    out->d = block->d;
    out->dmin = block->dmin;
    lm_quant_get_six_bits(block->scales, out);
    for (int at = 0; at < BLOCK_ELEMS; at += STRETCH)
        lm_quant_get_nibbles(block->q + at / 2, SUB_ELEMS, out->codes + at);
}

static void write(const lm_quant_block *block, void *dst) {
    block_q4_k *out = dst;
    out->d = block->d;
    out->dmin = block->dmin;
    lm_quant_put_six_bits(block, out->scales);
    for (int at = 0; at < BLOCK_ELEMS; at += STRETCH)
        lm_quant_put_nibbles(block->codes + at, SUB_ELEMS, out->q + at / 2);
}

static const lm_quant_info quant = {.bits = 4,
                                    .sub_elems = SUB_ELEMS,
                                    .scales = LM_SCALES_SUB_MIN,
                                    .sub_scale_hi = 63,
                                    .sub_min_hi = 63,
                                    .read = read,
                                    .write = write};

LM_QUANT_FORMAT(q4_k, BLOCK_ELEMS);
