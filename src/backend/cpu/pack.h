/* PANELS: the order in which the CPU's kernels read a constant weight [N, K]. Quantized types: see quant_panel.h. Others: panel p
 * holds rows 16p .. 16p + 15, the missing ones of the last panel as zeros, as [K][16] elements; panels follow each other. bf16 is
 * in pairs: [K / 2][16] of elements 2k and 2k + 1, the last pair of an odd K ending with a zero.
 */
#ifndef LM_BACKEND_CPU_PACK_H
#define LM_BACKEND_CPU_PACK_H

#include "backend/cpu/gemm.h"

/* Bytes of one panel of K elements a row, of f32, bf16 or f16. */
static inline size_t lm_panel_bytes(lm_dtype dtype, int64_t k) {
    if (dtype == LM_BF16) return (size_t)((k + 1) / 2) * LM_PANEL * 2 * sizeof(uint16_t);
    return (size_t)k * LM_PANEL * (dtype == LM_F32 ? sizeof(float) : sizeof(uint16_t));
}

#endif
