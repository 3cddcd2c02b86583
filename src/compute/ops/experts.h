/* What the references and kernels of EXPERTS and HEAD_LINEAR share: LINEAR of one matrix as a node of its own, so that all are
 * LINEAR's arithmetic. */
#ifndef LM_COMPUTE_OPS_EXPERTS_H
#define LM_COMPUTE_OPS_EXPERTS_H

#include "compute/ops/rules.h"

typedef struct lm_expert_product {
    lm_node node;
    lm_tensor x, w, bias, y;
} lm_expert_product;

/* y [n_rows, N] = LINEAR(x [n_rows, K], expert's matrix, its bias) of an EXPERTS node; expert_bytes: from one matrix to the
 * next. x and y may be NULL where only sizes are looked at. product must not move afterwards. */
void lm_expert_product_init(lm_expert_product *product, const lm_node *experts, int64_t expert,
                            size_t expert_bytes, int64_t n_rows, const void *x, float *y);

/* Computes it as LINEAR's reference does, on the calling thread; args are those of the node that it belongs to. */
void lm_expert_product_reference(const lm_kernel_args *args, const lm_expert_product *product);

#endif
