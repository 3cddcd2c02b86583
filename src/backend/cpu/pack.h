/* PANELS: the order in which the CPU's kernels read a constant weight [N, K]. Panel p holds rows 16p .. 16p + 15, the
 * missing ones of the last panel as zeros; panels follow each other. Inside a panel, for k = 0 .. K-1:
 *
 *     f32, bf16, f16  [K][16] elements
 *     q8_0            per block of 32 k: 16 f16 scales, then [32][16] signed bytes
 *     q4_0            per block of 32 k: 16 f16 scales, then [16][16] bytes; byte row i has k = 2i low, k = 2i + 1 high
 */
#ifndef LM_BACKEND_CPU_PACK_H
#define LM_BACKEND_CPU_PACK_H

#include "backend/cpu/gemm.h"

enum { LM_QUANT_BLOCK = 32 }; /* elements in a block of q8_0 and q4_0 */

typedef struct lm_panel_q8_0 {
    uint16_t d[LM_PANEL];
    int8_t q[LM_QUANT_BLOCK][LM_PANEL];
} lm_panel_q8_0;

typedef struct lm_panel_q4_0 {
    uint16_t d[LM_PANEL];
    uint8_t q[LM_QUANT_BLOCK / 2][LM_PANEL];
} lm_panel_q4_0;

/* Bytes of one panel of K elements a row. */
static inline size_t lm_panel_bytes(lm_dtype dtype, int64_t k) {
    if (dtype == LM_Q8_0) return (size_t)(k / LM_QUANT_BLOCK) * sizeof(lm_panel_q8_0);
    if (dtype == LM_Q4_0) return (size_t)(k / LM_QUANT_BLOCK) * sizeof(lm_panel_q4_0);
    return (size_t)k * LM_PANEL * (dtype == LM_F32 ? sizeof(float) : sizeof(uint16_t));
}

#endif
