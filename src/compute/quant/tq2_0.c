/* TQ2_0: blocks of 256 elements, two-bit codes as lm_quant_get_pairs has them, of which 0, 1 and 2 are used, and one f16
 * scale: x = d * (q - 1). GGUF's type 35, for models whose matrices are of -1, 0 and 1 (arXiv:2402.17764). */
#include "compute/quant/quant.h"

enum { BLOCK_ELEMS = 256 };

typedef struct block_tq2_0 {
    uint8_t q[BLOCK_ELEMS / 4];
    uint16_t d; /* f16 */
} block_tq2_0;

static void read(const void *src, lm_quant_block *out) {
    const block_tq2_0 *block = src;
    out->d = block->d;
    lm_quant_get_pairs(block->q, out->codes);
}

static void write(const lm_quant_block *block, void *dst) {
    block_tq2_0 *out = dst;
    out->d = block->d;
    lm_quant_put_pairs(block->codes, out->q);
}

static const lm_quant_info quant = {.bits = 2,
                                    .n_codes = 3,
                                    .sub_elems = 32,
                                    .zero = 1,
                                    .scales = LM_SCALES_F16,
                                    .read = read,
                                    .write = write};

LM_QUANT_FORMAT(tq2_0, BLOCK_ELEMS);
