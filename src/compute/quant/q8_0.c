/* Q8_0: blocks of 32 elements, an f16 scale and 32 signed bytes: x = d * q. GGUF's type 8, as
 * ggml's reference packs it. */
#include <math.h>

#include "compute/quant/quant.h"

enum { BLOCK_ELEMS = 32 };

typedef struct block_q8_0 {
    uint16_t d; /* f16 */
    int8_t q[BLOCK_ELEMS];
} block_q8_0;

/* Codes are the quants plus 128. */
static void read(const void *src, lm_quant_block *out) {
    const block_q8_0 *block = src;
    out->d = block->d;
    for (int i = 0; i < BLOCK_ELEMS; i++) out->codes[i] = (uint8_t)(block->q[i] + 128);
}

static void write(const lm_quant_block *block, void *dst) {
    block_q8_0 *out = dst;
    out->d = block->d;
    for (int i = 0; i < BLOCK_ELEMS; i++) out->q[i] = (int8_t)(block->codes[i] - 128);
}

static const lm_quant_info quant = {.bits = 8,
                                    .sub_elems = BLOCK_ELEMS,
                                    .zero = 128,
                                    .scales = LM_SCALES_F16,
                                    .read = read,
                                    .write = write};

static float largest(const float *x) {
    enum { LANES = 8 }; /* independent of each other, for the compiler's vectors */
    float most[LANES] = {0}, max = 0.0f;
    for (int i = 0; i < BLOCK_ELEMS; i += LANES)
        for (int j = 0; j < LANES; j++) {
            float size = fabsf(x[i + j]);
            most[j] = size > most[j] ? size : most[j];
        }
    for (int j = 0; j < LANES; j++) max = most[j] > max ? most[j] : max;
    return max;
}

/* Halves away from zero, as roundf does, without its call. */
static int8_t nearest(float x) {
    int whole = (int)x;
    float rest = x - (float)whole;
    return (int8_t)(whole + (rest >= 0.5f) - (rest <= -0.5f));
}

static void pack(const float *src, void *dst, int64_t n) {
    block_q8_0 *blocks = dst;
    for (int64_t b = 0; b < n / BLOCK_ELEMS; b++) {
        const float *x = src + b * BLOCK_ELEMS;
        float d = largest(x) / 127.0f;
        float inverse = d != 0.0f ? 1.0f / d : 0.0f;
        blocks[b].d = lm_f32_to_f16(d);
        for (int i = 0; i < BLOCK_ELEMS; i++) blocks[b].q[i] = nearest(x[i] * inverse);
    }
}

LM_QUANT_FORMAT_WITH(q8_0, BLOCK_ELEMS, pack);
