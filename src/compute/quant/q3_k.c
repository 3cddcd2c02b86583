/* Q3_K: blocks of 256 elements in sixteen parts of 16, each with a signed 6-bit scale of one f16 number:
 * x = d * scale * (q - 4). Two low bits as lm_quant_get_pairs has them; the third is bit i / 32 of byte i % 32 of
 * `high`. GGUF's type 11. */
#include <string.h>

#include "compute/quant/quant.h"

enum { BLOCK_ELEMS = 256, SUB_ELEMS = 16, N_SUBS = BLOCK_ELEMS / SUB_ELEMS, SCALE_ZERO = 32 };

typedef struct block_q3_k {
    uint8_t high[BLOCK_ELEMS / 8];
    uint8_t q[BLOCK_ELEMS / 4];
    uint8_t scales
        [12]; /* four low bits of s and s + 8 in byte s, then two high bits of s in byte 8 + s % 4 */
    uint16_t d; /* f16 */
} block_q3_k;

static void read(const void *src, lm_quant_block *out) {
    const block_q3_k *block = src;
    out->d = block->d;
    for (int s = 0; s < N_SUBS; s++) {
        int low = block->scales[s % 8] >> s / 8 * 4 & 15;
        int high = block->scales[8 + s % 4] >> s / 4 * 2 & 3;
        out->sub_scale[s] = (int8_t)((low | high << 4) - SCALE_ZERO);
    }
    lm_quant_get_pairs(block->q, out->codes);
    for (int i = 0; i < BLOCK_ELEMS; i++)
        out->codes[i] |= (uint8_t)((block->high[i % 32] >> i / 32 & 1) << 2);
}

static void write(const lm_quant_block *block, void *dst) {
    block_q3_k *out = dst;
    out->d = block->d;
    memset(out->scales, 0, sizeof out->scales);
    for (int s = 0; s < N_SUBS; s++) {
        int scale = block->sub_scale[s] + SCALE_ZERO;
        out->scales[s % 8] |= (uint8_t)((scale & 15) << s / 8 * 4);
        out->scales[8 + s % 4] |= (uint8_t)((scale >> 4) << s / 4 * 2);
    }
    lm_quant_put_pairs(block->codes, out->q);
    memset(out->high, 0, sizeof out->high);
    for (int i = 0; i < BLOCK_ELEMS; i++)
        out->high[i % 32] |= (uint8_t)((block->codes[i] >> 2) << i / 32);
}

static const lm_quant_info quant = {.bits = 3,
                                    .sub_elems = SUB_ELEMS,
                                    .zero = 4,
                                    .scales = LM_SCALES_SUB,
                                    .sub_scale_lo = -SCALE_ZERO,
                                    .sub_scale_hi = SCALE_ZERO - 1,
                                    .read = read,
                                    .write = write};

LM_QUANT_FORMAT(q3_k, BLOCK_ELEMS);
