/* The three products of a linear layer as gemm.h has them. Rows and types stand in ops/linear.c, linear_dx.c, linear_dw.c. */
#ifndef LM_BACKEND_CPU_LINEAR_H
#define LM_BACKEND_CPU_LINEAR_H

#include "backend/cpu/gemm.h"
#include "compute/op.h"

/* Rows of f32 or bf16, `stride` elements apart. */
typedef struct lm_matrix {
    const void *data;
    lm_dtype dtype;
    int64_t stride;
} lm_matrix;

lm_gemm lm_linear_y(int64_t n_rows, lm_matrix x, const lm_tensor *w, float *y, int64_t y_stride);
/* start [n_rows, n_in]: what dx starts from; NULL: 0. */
lm_gemm lm_linear_dx(int64_t n_rows, lm_matrix dy, const lm_tensor *w, const float *start,
                     float *dx);
/* dw [n_out, n_in]; accumulate: goes on from what is there. */
lm_gemm lm_linear_dw(int64_t n_rows, lm_matrix dy, int64_t n_out, lm_matrix x, int64_t n_in,
                     float *dw, bool accumulate);

#endif
