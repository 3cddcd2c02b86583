/* Q4_0: blocks of 32 elements, an f16 scale and 32 nibbles: x = d * (q - 8). Byte i holds element i
 * in its low nibble and element i + 16 in its high one. GGUF's type 2, as ggml's reference packs it:
 * the element of largest magnitude becomes -8. */
#include <math.h>

#include "compute/quant/quant.h"

enum { BLOCK_ELEMS = 32, HALF = BLOCK_ELEMS / 2 };

typedef struct block_q4_0 {
    uint16_t d; /* f16 */
    uint8_t q[HALF];
} block_q4_0;

static void read(const void *src, lm_quant_block *out) {
    const block_q4_0 *block = src;
    out->d = block->d;
    lm_quant_get_nibbles(block->q, HALF, out->codes);
}

static void write(const lm_quant_block *block, void *dst) {
    block_q4_0 *out = dst;
    out->d = block->d;
    lm_quant_put_nibbles(block->codes, HALF, out->q);
}

static const lm_quant_info quant = {.bits = 4,
                                    .sub_elems = BLOCK_ELEMS,
                                    .zero = 8,
                                    .scales = LM_SCALES_F16,
                                    .read = read,
                                    .write = write};

static uint8_t nibble(float scaled) {
    float q = scaled + 8.5f;
    return q >= 15.0f ? 15 : q <= 0.0f ? 0 : (uint8_t)q;
}

static void pack(const float *src, void *dst, int64_t n) {
    block_q4_0 *blocks = dst;
    for (int64_t b = 0; b < n / BLOCK_ELEMS; b++) {
        const float *x = src + b * BLOCK_ELEMS;
        float extreme = 0.0f;
        for (int i = 0; i < BLOCK_ELEMS; i++)
            if (fabsf(x[i]) > fabsf(extreme)) extreme = x[i];
        float d = extreme / -8.0f;
        float inverse = d != 0.0f ? 1.0f / d : 0.0f;
        blocks[b].d = lm_f32_to_f16(d);
        for (int i = 0; i < HALF; i++)
            blocks[b].q[i] = (uint8_t)(nibble(x[i] * inverse) | nibble(x[i + HALF] * inverse) << 4);
    }
}

LM_QUANT_FORMAT_WITH(q4_0, BLOCK_ELEMS, pack);
