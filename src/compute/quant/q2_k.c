/* Q2_K: blocks of 256 elements in sixteen parts of 16, each with a 4-bit scale and a 4-bit min of two f16
 * numbers: x = d * scale * q - dmin * min. Two-bit codes as lm_quant_get_pairs has them. GGUF's type 10. */
#include "compute/quant/quant.h"

enum { BLOCK_ELEMS = 256, SUB_ELEMS = 16, N_SUBS = BLOCK_ELEMS / SUB_ELEMS };

typedef struct block_q2_k {
    uint8_t scales[N_SUBS]; /* the scale below, the min above */
    uint8_t q[BLOCK_ELEMS / 4];
    uint16_t d, dmin; /* f16 */
} block_q2_k;

static void read(const void *src, lm_quant_block *out) {
    const block_q2_k *block = src;
    out->d = block->d;
    out->dmin = block->dmin;
    for (int s = 0; s < N_SUBS; s++) {
        out->sub_scale[s] = block->scales[s] & 15;
        out->sub_min[s] = block->scales[s] >> 4;
    }
    lm_quant_get_pairs(block->q, out->codes);
}

static void write(const lm_quant_block *block, void *dst) {
    block_q2_k *out = dst;
    out->d = block->d;
    out->dmin = block->dmin;
    for (int s = 0; s < N_SUBS; s++)
        out->scales[s] = (uint8_t)(block->sub_scale[s] | block->sub_min[s] << 4);
    lm_quant_put_pairs(block->codes, out->q);
}

static const lm_quant_info quant = {.bits = 2,
                                    .sub_elems = SUB_ELEMS,
                                    .scales = LM_SCALES_SUB_MIN,
                                    .sub_scale_hi = 15,
                                    .sub_min_hi = 15,
                                    .read = read,
                                    .write = write};

LM_QUANT_FORMAT(q2_k, BLOCK_ELEMS);
