/* COLUMN_SUM: sum += the rows of dy, in order
 * dy   [R, N] f32                              in
 * sum  [N] f32 STATE, optional: then from zero in, changed in place (out)
 */
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *dy = node->in[0];
    lm_tensor *sum = node->in[1];
    bool sum_ok = !sum || (lm_is(sum, LM_F32, 1) && sum->role == LM_ROLE_STATE &&
                           sum->shape[0] == dy->shape[1]);
    if (!lm_is(dy, LM_F32, 2) || !sum_ok)
        return lm_op_refuse(node, err, "dy [R, N] f32 and, if any, a state sum [N] f32");
    if (sum)
        lm_out_in_place(out[0], sum);
    else
        lm_out_vector(out[0], dy->shape[1]);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_tensor *dy = args->node->in[0];
    float *sum = lm_f32(args->node->out[0]);
    int64_t n_rows = lm_rows_now(args, dy), n = dy->shape[1];
    lm_range columns = lm_range_split(n, LM_LANES, args->thread, args->n_threads);
    for (int64_t c = columns.begin; c < columns.end && !args->node->in[1]; c++) sum[c] = 0.0f;
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t c = columns.begin; c < columns.end; c++) sum[c] += lm_f32(dy)[r * n + c];
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = lm_elems_now(node->in[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_column_sum;
const lm_op lm_op_column_sum = {
    .name = "column_sum",
    .min_inputs = 1,
    .max_inputs = 2,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
