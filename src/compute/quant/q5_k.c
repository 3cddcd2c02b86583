/* Q5_K: Q4_K with a fifth bit: blocks of 256 elements in eight parts of 32, each with a 6-bit scale and a 6-bit
 * min of two f16 numbers: x = d * scale * q - dmin * min. Bit s of byte i of `high` belongs to element i of part
 * s. GGUF's type 13. */
#include "compute/quant/quant.h"

enum { BLOCK_ELEMS = 256, SUB_ELEMS = 32, STRETCH = 2 * SUB_ELEMS };

typedef struct block_q5_k {
    uint16_t d, dmin; /* f16 */
    uint8_t scales[12];
    uint8_t high[SUB_ELEMS];
    uint8_t q[BLOCK_ELEMS / 2];
} block_q5_k;

static void read(const void *src, lm_quant_block *out) {
    const block_q5_k *block = src;
    out->d = block->d;
    out->dmin = block->dmin;
    lm_quant_get_six_bits(block->scales, out);
    for (int at = 0; at < BLOCK_ELEMS; at += STRETCH)
        lm_quant_get_nibbles(block->q + at / 2, SUB_ELEMS, out->codes + at);
    for (int i = 0; i < BLOCK_ELEMS; i++)
        out->codes[i] |= (uint8_t)((block->high[i % SUB_ELEMS] >> i / SUB_ELEMS & 1) << 4);
}

static void write(const lm_quant_block *block, void *dst) {
    block_q5_k *out = dst;
    out->d = block->d;
    out->dmin = block->dmin;
    lm_quant_put_six_bits(block, out->scales);
    for (int at = 0; at < BLOCK_ELEMS; at += STRETCH)
        lm_quant_put_nibbles(block->codes + at, SUB_ELEMS, out->q + at / 2);
    for (int i = 0; i < SUB_ELEMS; i++) out->high[i] = 0;
    for (int i = 0; i < BLOCK_ELEMS; i++)
        out->high[i % SUB_ELEMS] |= (uint8_t)((block->codes[i] >> 4) << i / SUB_ELEMS);
}

static const lm_quant_info quant = {.bits = 5,
                                    .sub_elems = SUB_ELEMS,
                                    .scales = LM_SCALES_SUB_MIN,
                                    .sub_scale_hi = 63,
                                    .sub_min_hi = 63,
                                    .read = read,
                                    .write = write};

LM_QUANT_FORMAT(q5_k, BLOCK_ELEMS);
