/* Q6_K: blocks of 256 elements in sixteen parts of 16, each with a signed 8-bit scale of one f16 number:
 * x = d * scale * (q - 32). Four low bits are nibbles (quant.h) in stretches of 128 elements, 64 of each half; the
 * two high ones lie as lm_quant_get_pairs has them. GGUF's type 14. */
#include <string.h>

#include "compute/quant/quant.h"

enum { BLOCK_ELEMS = 256, SUB_ELEMS = 16, N_SUBS = BLOCK_ELEMS / SUB_ELEMS, STRETCH = 128 };

typedef struct block_q6_k {
    uint8_t low[BLOCK_ELEMS / 2];
    uint8_t high[BLOCK_ELEMS / 4];
    int8_t scales[N_SUBS];
    uint16_t d; /* f16 */
} block_q6_k;

static void read(const void *src, lm_quant_block *out) {
    const block_q6_k *block = src;
    out->d = block->d;
    memcpy(out->sub_scale, block->scales, sizeof block->scales);
    uint8_t low[BLOCK_ELEMS];
    for (int at = 0; at < BLOCK_ELEMS; at += STRETCH)
        lm_quant_get_nibbles(block->low + at / 2, STRETCH / 2, low + at);
    lm_quant_get_pairs(block->high, out->codes);
    for (int i = 0; i < BLOCK_ELEMS; i++) out->codes[i] = (uint8_t)(out->codes[i] << 4 | low[i]);
}

static void write(const lm_quant_block *block, void *dst) {
    block_q6_k *out = dst;
    out->d = block->d;
    memcpy(out->scales, block->sub_scale, sizeof out->scales);
    uint8_t high[BLOCK_ELEMS];
    for (int i = 0; i < BLOCK_ELEMS; i++) high[i] = block->codes[i] >> 4;
    for (int at = 0; at < BLOCK_ELEMS; at += STRETCH)
        lm_quant_put_nibbles(block->codes + at, STRETCH / 2, out->low + at / 2);
    lm_quant_put_pairs(high, out->high);
}

static const lm_quant_info quant = {.bits = 6,
                                    .sub_elems = SUB_ELEMS,
                                    .zero = 32,
                                    .scales = LM_SCALES_SUB,
                                    .sub_scale_lo = -128,
                                    .sub_scale_hi = 127,
                                    .read = read,
                                    .write = write};

LM_QUANT_FORMAT(q6_k, BLOCK_ELEMS);
