/* EMBED_BACKWARD: grad[ids[r]] += dy[r], rows in order
 * dy    [R, D] f32            in
 * ids   [R] i32               in
 * grad  [V, D] f32 STATE      in, changed in place (out)
 * Threads share the columns, so every element of grad has one writer and one order.
 */
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *dy = node->in[0], *ids = node->in[1];
    lm_tensor *grad = node->in[2];
    if (!lm_is(dy, LM_F32, 2) || !lm_is(ids, LM_I32, 1) || !lm_is(grad, LM_F32, 2) ||
        grad->role != LM_ROLE_STATE || !lm_same_rows(dy, ids) || dy->shape[1] != grad->shape[1])
        return lm_op_refuse(node, err, "dy [R, D] f32, ids [R] i32 and a state grad [V, D] f32");
    lm_out_in_place(out[0], grad);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const float *dy = lm_f32(args->node->in[0]);
    const int32_t *ids = lm_i32(args->node->in[1]);
    float *grad = lm_f32(args->node->out[0]);
    int64_t dim = args->node->in[0]->shape[1], n_rows = lm_rows_now(args, args->node->in[1]);
    lm_range columns = lm_range_split(dim, LM_LANES, args->thread, args->n_threads);
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t d = columns.begin; d < columns.end; d++)
            grad[ids[r] * dim + d] += dy[r * dim + d];
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = lm_elems_now(node->in[0], extents);
    out->bytes = 3 * lm_bytes_now(node->in[0], extents) + lm_bytes_now(node->in[1], extents);
}

extern const lm_op lm_op_embed_backward;
const lm_op lm_op_embed_backward = {
    .name = "embed_backward",
    .min_inputs = 3,
    .max_inputs = 3,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
