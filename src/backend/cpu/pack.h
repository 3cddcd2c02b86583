/* PANELS: the order in which the CPU's kernels read a constant weight [N, K]. Quantized types: see quant_panel.h. Others: panel p
 * holds rows 16p .. 16p + 15, the missing ones of the last panel as zeros, as [K][16] elements; panels follow each other.
 */
#ifndef LM_BACKEND_CPU_PACK_H
#define LM_BACKEND_CPU_PACK_H

#include "backend/cpu/gemm.h"

/* Bytes of one panel of K elements a row, of f32, bf16 or f16. */
static inline size_t lm_panel_bytes(lm_dtype dtype, int64_t k) {
    return (size_t)k * LM_PANEL * (dtype == LM_F32 ? sizeof(float) : sizeof(uint16_t));
}

#endif
