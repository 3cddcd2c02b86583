/* IQ4_NL: blocks of 32 elements, an f16 scale and 32 nibbles (quant.h) that pick one of 16 values:
 * x = d * value. GGUF's type 20. */
#include "compute/quant/quant.h"

enum { BLOCK_ELEMS = 32, HALF = BLOCK_ELEMS / 2 };

typedef struct block_iq4_nl {
    uint16_t d; /* f16 */
    uint8_t q[HALF];
} block_iq4_nl;

static void read(const void *src, lm_quant_block *out) {
    const block_iq4_nl *block = src;
    out->d = block->d;
    lm_quant_get_nibbles(block->q, HALF, out->codes);
}

static void write(const lm_quant_block *block, void *dst) {
    block_iq4_nl *out = dst;
    out->d = block->d;
    lm_quant_put_nibbles(block->codes, HALF, out->q);
}

static const lm_quant_info quant = {.bits = 4,
                                    .sub_elems = BLOCK_ELEMS,
                                    .zero = 128,
                                    .values = lm_quant_bell,
                                    .scales = LM_SCALES_F16,
                                    .read = read,
                                    .write = write};

LM_QUANT_FORMAT(iq4_nl, BLOCK_ELEMS);
