/* GATHER_ROWS: y[o] = x[index[o]]
 * x      [R, D] f32                          in
 * index  [O] i32, each in [0, R of the run)  in
 * y      [O, D] f32                          out
 * Not differentiable: training wants every row's logits.
 */
#include <string.h>

#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *index = node->in[1];
    if (!lm_is(x, LM_F32, 2) || !lm_is(index, LM_I32, 1))
        return lm_op_refuse(node, err, "x [R, D] f32 and index [O] i32");
    lm_out_rows(out[0], index, x->shape[1]);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const float *x = lm_f32(args->node->in[0]);
    const int32_t *index = lm_i32(args->node->in[1]);
    float *y = lm_f32(args->node->out[0]);
    int64_t dim = args->node->in[0]->shape[1], n_rows = lm_rows_now(args, args->node->in[0]);
    lm_range rows = lm_share(args, lm_rows_now(args, args->node->in[1]));
    for (int64_t o = rows.begin; o < rows.end; o++) {
        LM_ASSERT(index[o] >= 0 && index[o] < n_rows);
        memcpy(y + o * dim, x + index[o] * dim, (size_t)dim * sizeof *y);
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 0;
    out->bytes = 2 * lm_bytes_now(node->out[0], extents) + lm_bytes_now(node->in[1], extents);
}

extern const lm_op lm_op_gather_rows;
const lm_op lm_op_gather_rows = {
    .name = "gather_rows",
    .min_inputs = 2,
    .max_inputs = 2,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
