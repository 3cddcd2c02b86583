/* IQ4_XS: blocks of 256 elements in eight parts of 32, each with a signed 6-bit scale of one f16 number and 32
 * nibbles (quant.h) that pick one of 16 values: x = d * scale * value. GGUF's type 23. */
#include <string.h>

#include "compute/quant/quant.h"

enum { BLOCK_ELEMS = 256, SUB_ELEMS = 32, N_SUBS = BLOCK_ELEMS / SUB_ELEMS, SCALE_ZERO = 32 };

typedef struct block_iq4_xs {
    uint16_t d;           /* f16 */
    uint16_t scales_high; /* two bits each */
    uint8_t scales_low[N_SUBS / 2];
    uint8_t q[BLOCK_ELEMS / 2];
} block_iq4_xs;

static void read(const void *src, lm_quant_block *out) {
    const block_iq4_xs *block = src;
    out->d = block->d;
    for (int s = 0; s < N_SUBS; s++) {
        int low = block->scales_low[s / 2] >> s % 2 * 4 & 15,
            high = block->scales_high >> 2 * s & 3;
        out->sub_scale[s] = (int8_t)((low | high << 4) - SCALE_ZERO);
        lm_quant_get_nibbles(block->q + s * SUB_ELEMS / 2, SUB_ELEMS / 2,
                             out->codes + s * SUB_ELEMS);
    }
}

static void write(const lm_quant_block *block, void *dst) {
    block_iq4_xs *out = dst;
    *out = (block_iq4_xs){.d = block->d};
    for (int s = 0; s < N_SUBS; s++) {
        int scale = block->sub_scale[s] + SCALE_ZERO;
        out->scales_low[s / 2] |= (uint8_t)((scale & 15) << s % 2 * 4);
        out->scales_high |= (uint16_t)((scale >> 4) << 2 * s);
        lm_quant_put_nibbles(block->codes + s * SUB_ELEMS, SUB_ELEMS / 2,
                             out->q + s * SUB_ELEMS / 2);
    }
}

static const lm_quant_info quant = {.bits = 4,
                                    .sub_elems = SUB_ELEMS,
                                    .zero = 128,
                                    .values = lm_quant_bell,
                                    .scales = LM_SCALES_SUB,
                                    .sub_scale_lo = -SCALE_ZERO,
                                    .sub_scale_hi = SCALE_ZERO - 1,
                                    .read = read,
                                    .write = write};

LM_QUANT_FORMAT(iq4_xs, BLOCK_ELEMS);
