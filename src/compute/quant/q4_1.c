/* Q4_1: blocks of 32 elements, an f16 scale, an f16 offset and 32 nibbles (quant.h): x = d * q + m, the
 * offset being our min with its sign turned. GGUF's type 3. */
#include "compute/quant/quant.h"

enum { BLOCK_ELEMS = 32, HALF = BLOCK_ELEMS / 2 };

typedef struct block_q4_1 {
    uint16_t d, m; /* f16 */
    uint8_t q[HALF];
} block_q4_1;

static void read(const void *src, lm_quant_block *out) {
    const block_q4_1 *block = src;
    out->d = block->d;
    out->dmin = block->m ^ LM_F16_SIGN;
    lm_quant_get_nibbles(block->q, HALF, out->codes);
}

static void write(const lm_quant_block *block, void *dst) {
    block_q4_1 *out = dst;
    out->d = block->d;
    out->m = block->dmin ^ LM_F16_SIGN;
    lm_quant_put_nibbles(block->codes, HALF, out->q);
}

static const lm_quant_info quant = {
    .bits = 4, .sub_elems = BLOCK_ELEMS, .scales = LM_SCALES_F16_MIN, .read = read, .write = write};

LM_QUANT_FORMAT(q4_1, BLOCK_ELEMS);
