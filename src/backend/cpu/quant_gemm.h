/* y = x w^T + bias for a quantized weight in panels (quant_panel.h), by LINEAR's rule for quantized weights (ops/linear.c).
 *
 *     rows      blocks of them, whose quantized x stays in L2 of the core that computes them; a block is cut evenly into tiles of a few rows
 *     columns   panels of 32, shared out among threads
 *     k         chunks of LM_QUANT_CHUNK: a panel's codes are brought into bytes and its scales into f32 once a chunk
 *               (scratch, in L1), and all tiles of the block go over it with their integer sums in registers
 *
 * One tile and a thousand run the same code, so a step of one token, of many sequences and a prompt give the same bits.
 *
 * An integer sum of a piece of x in units of 2^-e begins with the bits of the f32 magic = 1.5 * 2^(23 - e), whose last place is
 * 2^-e: then its bits are those of magic + sum * 2^-e, and magic subtracted leaves sum * 2^-e, exactly: neither a conversion nor a
 * product.
 */
#ifndef LM_BACKEND_CPU_QUANT_GEMM_H
#define LM_BACKEND_CPU_QUANT_GEMM_H

#include "backend/cpu/quant_panel.h"
#include "compute/backend.h"

enum {
    LM_QUANT_GROUP = 128,          /* k of x that share a scale (ops/linear.c) */
    LM_QUANT_MAX_SHIFT = 16,       /* powers of two between a piece and its group */
    LM_QUANT_MAX_ROWS = 512,       /* of a block */
    LM_QUANT_BLOCK_BYTES = 1 << 20 /* of a block's quantized x */
};

/* Whether a device can read quantized weights in panels. */
bool lm_cpu_has_quant_kernels(const lm_device *device);

/* LINEAR's kernel body: x [R, K] f32|bf16, w in panels. */
typedef void lm_quant_gemm_fn(const lm_kernel_args *args);
typedef size_t lm_quant_gemm_bytes_fn(const lm_node *node, int n_threads);
lm_quant_gemm_fn lm_quant_gemm_avx2, lm_quant_gemm_avx512;
lm_quant_gemm_fn lm_quant_gemm_neon, lm_quant_gemm_neon_dotprod, lm_quant_gemm_neon_i8mm;
/* Workspace for a node at capacity. */
lm_quant_gemm_bytes_fn lm_quant_gemm_bytes_avx2, lm_quant_gemm_bytes_avx512;
lm_quant_gemm_bytes_fn lm_quant_gemm_bytes_neon, lm_quant_gemm_bytes_neon_dotprod;
lm_quant_gemm_bytes_fn lm_quant_gemm_bytes_neon_i8mm;

/* Chosen rows of x by some panels of a matrix, for one thread that works alone: what EXPERTS is made of. */
typedef struct lm_quant_piece {
    const lm_tensor *x;    /* [X, K] f32|bf16 */
    const lm_tensor *w;    /* [N, K] in panels */
    const lm_tensor *bias; /* [N]; NULL: none */
    float *y;              /* [Y, N] */
    const int32_t *slots;  /* [n_slots]: rows of y; slot s is of row s / slots_a_row of x */
    int64_t n_slots, slots_a_row;
    lm_range panels;
    /* [X], in and out: which rows of x the thread has rounded since these were 0, so that it need not do it again;
     * NULL: each is read but once. */
    uint8_t *rounded;
} lm_quant_piece;

/* room: lm_quant_piece_bytes of the EXPERTS node, aligned to 64. */
typedef void lm_quant_piece_fn(const lm_quant_piece *piece, void *room);
typedef size_t lm_quant_piece_bytes_fn(const lm_node *experts);
lm_quant_piece_fn lm_quant_piece_avx2, lm_quant_piece_avx512;
lm_quant_piece_fn lm_quant_piece_neon, lm_quant_piece_neon_dotprod, lm_quant_piece_neon_i8mm;
lm_quant_piece_bytes_fn lm_quant_piece_bytes_avx2, lm_quant_piece_bytes_avx512;
lm_quant_piece_bytes_fn lm_quant_piece_bytes_neon, lm_quant_piece_bytes_neon_dotprod;
lm_quant_piece_bytes_fn lm_quant_piece_bytes_neon_i8mm;

#endif
