/* Q8_0: blocks of 32 elements, an f16 scale and 32 signed bytes: x = d * q. GGUF's type 8, as
 * ggml's reference packs it. */
#include <math.h>

#include "compute/dtype.h"

enum { BLOCK_ELEMS = 32 };

typedef struct block_q8_0 {
    uint16_t d; /* f16 */
    int8_t q[BLOCK_ELEMS];
} block_q8_0;

static void unpack(const void *src, float *dst, int64_t n) {
    const block_q8_0 *blocks = src;
    for (int64_t b = 0; b < n / BLOCK_ELEMS; b++) {
        float d = lm_f16_to_f32(blocks[b].d);
        for (int i = 0; i < BLOCK_ELEMS; i++) dst[b * BLOCK_ELEMS + i] = (float)blocks[b].q[i] * d;
    }
}

static void pack(const float *src, void *dst, int64_t n) {
    block_q8_0 *blocks = dst;
    for (int64_t b = 0; b < n / BLOCK_ELEMS; b++) {
        const float *x = src + b * BLOCK_ELEMS;
        float max = 0.0f;
        for (int i = 0; i < BLOCK_ELEMS; i++) max = fmaxf(max, fabsf(x[i]));
        float d = max / 127.0f;
        float inverse = d != 0.0f ? 1.0f / d : 0.0f;
        blocks[b].d = lm_f32_to_f16(d);
        for (int i = 0; i < BLOCK_ELEMS; i++) blocks[b].q[i] = (int8_t)roundf(x[i] * inverse);
    }
}

extern const lm_dtype_info lm_dtype_info_q8_0;
const lm_dtype_info lm_dtype_info_q8_0 = {"q8_0", BLOCK_ELEMS, sizeof(block_q8_0), unpack, pack};
