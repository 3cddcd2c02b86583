/* One matrix product for LINEAR, LINEAR_DX and LINEAR_DW:  c[m, n] = start + sum over k of a(m, k) * b(k, n), f32.
 *
 * Every c[m, n] is one accumulator that takes fmaf(a, b, acc) for k = 0 .. K-1 in order, whatever the sizes, the number of
 * threads and the instruction set: a vector lane is a column, blocks of k go on from the accumulator that the block
 * before stored. Elements of other types become f32 exactly first.
 *
 *     columns:  panels of 16; a thread owns a rectangle of row blocks x panels (gemm_share), so threads never wait
 *     k:        blocks of LM_GEMM_K; a chunk of b is brought into panel order as f32 once a block (scratch, in L2), and
 *               each block of rows of a (scratch, in L1) goes over it with its tile of c in registers
 *     few rows: over b in PANELS order; nothing is copied, weights are expanded in registers and read once
 */
#ifndef LM_BACKEND_CPU_GEMM_H
#define LM_BACKEND_CPU_GEMM_H

#include "compute/tensor.h"

enum {
    LM_PANEL = 16,    /* columns in a panel */
    LM_GEMM_K = 256,
    LM_GEMM_N = 1024, /* columns of b brought into panel order at a time */
    /* A thread's scratch in f32: a block of rows of a, then a chunk of b; the odd lines keep rows and panels out of each
     * other's cache sets. */
    LM_GEMM_A_ROW = LM_GEMM_K + 16, /* from row to row of a */
    LM_GEMM_A_COLUMN = 16,          /* or, transposed, from k to k */
    LM_GEMM_A_ELEMS = 16 * LM_GEMM_A_ROW,
    LM_GEMM_B_PANEL = LM_GEMM_K * LM_PANEL + 16,
    LM_GEMM_SCRATCH_ELEMS = LM_GEMM_A_ELEMS + LM_GEMM_N / LM_PANEL * LM_GEMM_B_PANEL,
};

typedef enum lm_gemm_order {
    LM_GEMM_N_ROWS, /* b(k, n) = b[n * stride + k]: a weight as LINEAR has it */
    LM_GEMM_K_ROWS, /* b(k, n) = b[k * stride + n] */
    LM_GEMM_PANELS, /* pack.h's order */
} lm_gemm_order;

/* Strides count elements. a is f32 or bf16; b f32, bf16 or f16. */
typedef struct lm_gemm {
    int64_t m, n, k;
    const void *a;
    lm_dtype a_dtype;
    int64_t a_stride;
    bool a_transposed; /* a(m, k) = a[k * a_stride + m] instead of a[m * a_stride + k] */
    const void *b;
    lm_dtype b_dtype;
    lm_gemm_order b_order;
    int64_t b_stride; /* not read for PANELS */
    float *c;
    int64_t c_stride;
    bool accumulate;   /* start from what c holds; otherwise from +0 */
    const float *bias; /* [n], added at the end; NULL: none */
} lm_gemm;

/* Thread `thread` of n_threads does its share. scratch: LM_GEMM_SCRATCH_ELEMS floats a thread, 64-byte aligned. */
typedef void lm_gemm_fn(const lm_gemm *gemm, int thread, int n_threads, void *scratch);
lm_gemm_fn lm_gemm_avx2, lm_gemm_avx512, lm_gemm_neon;

#endif
