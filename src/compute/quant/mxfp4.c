/* MXFP4: blocks of 32 elements, a power of two and 32 nibbles (quant.h), each a 4-bit float (a sign, two
 * bits of exponent, one of mantissa). Here a nibble stands for twice its float, a whole number, and the scale
 * for half the power. GGUF's type 39; OCP Microscaling Formats v1.0. */
#include "compute/quant/quant.h"

enum { BLOCK_ELEMS = 32, HALF = BLOCK_ELEMS / 2 };

typedef struct block_mxfp4 {
    uint8_t e; /* 2^(e - 127) */
    uint8_t q[HALF];
} block_mxfp4;

/* Twice 0, 0.5, 1, 1.5, 2, 3, 4, 6, and the same below zero. */
enum { ZERO = 12 };
static const uint8_t twice[LM_QUANT_VALUES] = {
    ZERO + 0, ZERO + 1, ZERO + 2, ZERO + 3, ZERO + 4, ZERO + 6, ZERO + 8, ZERO + 12,
    ZERO - 0, ZERO - 1, ZERO - 2, ZERO - 3, ZERO - 4, ZERO - 6, ZERO - 8, ZERO - 12};

static void read(const void *src, lm_quant_block *out) {
    const block_mxfp4 *block = src;
    out->d = block->e;
    lm_quant_get_nibbles(block->q, HALF, out->codes);
}

static void write(const lm_quant_block *block, void *dst) {
    block_mxfp4 *out = dst;
    out->e = (uint8_t)block->d;
    lm_quant_put_nibbles(block->codes, HALF, out->q);
}

static const lm_quant_info quant = {.bits = 4,
                                    .sub_elems = BLOCK_ELEMS,
                                    .zero = ZERO,
                                    .values = twice,
                                    .scales = LM_SCALES_E8M0,
                                    .read = read,
                                    .write = write};

LM_QUANT_FORMAT(mxfp4, BLOCK_ELEMS);
