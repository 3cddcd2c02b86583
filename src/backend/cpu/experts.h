/* What the kernels of EXPERTS share: how a step's products are put together by expert and handed out to threads. */
#ifndef LM_BACKEND_CPU_EXPERTS_H
#define LM_BACKEND_CPU_EXPERTS_H

#include "backend/cpu/cpu.h"
#include "backend/cpu/quant_gemm.h"

/* The products of some of the rows that chose an expert with some columns of its matrix's product. The k-th choice of row r is
 * slot r * k_used + k. */
typedef struct lm_expert_piece {
    int64_t expert;
    lm_range columns; /* from a whole panel on, up to one or the end */
    const int32_t *slots;
    int64_t n_slots;
} lm_expert_piece;

typedef void lm_expert_piece_fn(void *worker, const lm_expert_piece *piece);

/* Calls run for every piece that this thread takes. order: lm_cpu_experts_order_bytes of the thread's own, aligned to 64. */
void lm_cpu_share_experts(const lm_kernel_args *args, void *order, lm_expert_piece_fn *run,
                          void *worker);
size_t lm_cpu_experts_order_bytes(const lm_node *node);

/* EXPERTS over packed quantized weights: the body of its kernels, one for each instruction set, and their workspace.
 * piece_bytes: what lm_quant_piece_bytes of that set says. */
void lm_cpu_quant_experts(const lm_kernel_args *args, lm_quant_piece_fn *multiply,
                          size_t piece_bytes);
size_t lm_cpu_quant_experts_bytes(const lm_device *device, const lm_node *node, size_t piece_bytes);

#endif
