/* One matrix product for LINEAR, LINEAR_DX and LINEAR_DW:  c[m, n] = start + sum over k of a(m, k) * b(k, n), f32.
 *
 * Every c[m, n] is one accumulator that takes fmaf(a, b, acc) for k = 0 .. K-1 in order, whatever the sizes, the number of
 * threads and the instruction set: a vector lane is a column, blocks of k go on from the accumulator that the block
 * before stored. Elements of other types become f32 exactly first. In pairs (see lm_gemm.pairs) the order is 1, 0, 3, 2 ...,
 * a partner that is missing at the end being 0: this is how AVX-512's dot product of bf16 pairs adds, and such a pair is
 * one step of its kernels. Others take the two products one after the other.
 *
 *     columns:  panels of 16; a thread owns a rectangle of row blocks x panels (gemm_share), so threads never wait; few rows over b
 *               in PANELS order take pieces of them from a counter (lanes.h)
 *     k:        blocks of up to LM_GEMM_STEPS. A group of rows of a is brought into order for a block (scratch); a chunk of b, some
 *               panels of the block in panel order (scratch in L2, or the weight as it is packed), stays near while all tiles
 *               of these rows go over it, each with its part of c in registers
 *     few rows: over b in PANELS order; the rows are brought into order once, weights are expanded in registers and read once
 */
#ifndef LM_BACKEND_CPU_GEMM_H
#define LM_BACKEND_CPU_GEMM_H

#include "compute/op.h"

enum {
    LM_PANEL = 16,        /* columns in a panel */
    LM_GEMM_STEPS = 1024, /* of k in a block, at most; a step is one k, or a pair */
    /* A thread's scratch in f32: rows of a, then a chunk of b; the odd lines keep rows and panels out of each other's cache
     * sets. */
    LM_GEMM_A_ROW = LM_GEMM_STEPS + 16, /* from row to row of a */
    LM_GEMM_A_COLUMN = 16,              /* or, transposed, from k to k */
    LM_GEMM_A_BLOCK = 16 * LM_GEMM_A_ROW,
    LM_GEMM_A_BLOCKS = 80,  /* of rows in a group, at most */
    LM_GEMM_A_TOGETHER = 4, /* that are brought into order together, transposed */
    LM_GEMM_A_ELEMS = LM_GEMM_A_BLOCKS * LM_GEMM_A_BLOCK,
    LM_GEMM_B_ELEMS = 1 << 18, /* above the panels of one tile */
    LM_GEMM_SCRATCH_ELEMS = LM_GEMM_A_ELEMS + LM_GEMM_B_ELEMS,
    LM_GEMM_FEW_ROWS = 64, /* at most so many rows go over PANELS as they are */
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
    int64_t l2_bytes; /* of the second-level cache */
    float *c;
    int64_t c_stride;
    bool pairs;         /* b is bf16, a is rounded to it, and products are added in pairs */
    const float *start; /* what c starts from, strided as it is, maybe c itself; NULL: +0 */
    const float *bias;  /* [n], added at the end; NULL: none */
    /* Whose counters share out the columns of few rows over PANELS; NULL: every thread has its own. */
    const lm_kernel_args *shared;
} lm_gemm;

/* Thread `thread` of n_threads does its share. scratch: lm_gemm_scratch_elems floats a thread, 64-byte aligned. The one of
 * avx512_bf16 is for products in pairs alone. */
typedef void lm_gemm_fn(const lm_gemm *gemm, int thread, int n_threads, void *scratch);
lm_gemm_fn lm_gemm_avx2, lm_gemm_avx512, lm_gemm_avx512_bf16, lm_gemm_neon;

static inline int64_t lm_gemm_scratch_elems(lm_gemm_order b_order, int64_t k) {
    int64_t few = LM_GEMM_FEW_ROWS * (k + 1) + LM_PANEL;
    return LM_GEMM_SCRATCH_ELEMS +
           (b_order == LM_GEMM_PANELS ? (few + LM_PANEL - 1) / LM_PANEL * LM_PANEL : 0);
}

#endif
