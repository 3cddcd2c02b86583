/* What LINEAR_CROSS_ENTROPY does with the logits of some rows between its products. */
#ifndef LM_BACKEND_CPU_LOSS_ROWS_H
#define LM_BACKEND_CPU_LOSS_ROWS_H

#include "base/pool.h"
#include "compute/dtype.h"

typedef struct lm_loss_rows {
    float *logits; /* row r begins at r * stride; afterwards its gradient, as d_dtype, does */
    int64_t stride, n_classes;
    const int32_t *targets; /* below n_classes; negative: the row is left out, its gradient 0 */
    float *lse, *at_target; /* of every row: log of the sum of exponentials, logit of the target */
    bool with_gradients;
    lm_dtype d_dtype; /* f32 or bf16 */
    float scale;      /* of the gradient */
} lm_loss_rows;

/* Does rows [begin, end). */
typedef void lm_loss_rows_fn(const lm_loss_rows *loss, lm_range rows);
lm_loss_rows_fn lm_loss_rows_avx2, lm_loss_rows_avx512, lm_loss_rows_neon;

#endif
