/* Q5_0: blocks of 32 elements, an f16 scale, 32 fifth bits and 32 nibbles (quant.h): x = d * (q - 16).
 * GGUF's type 6. */
#include "compute/quant/quant.h"

enum { BLOCK_ELEMS = 32, HALF = BLOCK_ELEMS / 2 };

typedef struct block_q5_0 {
    uint16_t d; /* f16 */
    uint8_t high[4];
    uint8_t q[HALF];
} block_q5_0;

static void read(const void *src, lm_quant_block *out) {
    const block_q5_0 *block = src;
    out->d = block->d;
    lm_quant_get_nibbles(block->q, HALF, out->codes);
    lm_quant_get_fifths(block->high, out->codes);
}

static void write(const lm_quant_block *block, void *dst) {
    block_q5_0 *out = dst;
    out->d = block->d;
    lm_quant_put_nibbles(block->codes, HALF, out->q);
    lm_quant_put_fifths(block->codes, out->high);
}

static const lm_quant_info quant = {.bits = 5,
                                    .sub_elems = BLOCK_ELEMS,
                                    .zero = 16,
                                    .scales = LM_SCALES_F16,
                                    .read = read,
                                    .write = write};

LM_QUANT_FORMAT(q5_0, BLOCK_ELEMS);
