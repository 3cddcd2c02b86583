/* ROUND_ROWS: y = round(x * s) / s, s = 127 / max(largest magnitude of the row, 1e-5): rows of 8 bits, as BitNet's matrices read them
 * (arXiv:2402.17764)
 * x      [R, D] f32                 in
 * y      [R, D] f32                 out, may take over x
 *
 * Order: the largest of a row depends on none; s, the product and the quotient are rounded once each, and halves go to the even number.
 * NaN counts for no magnitude and stays NaN.
 */
#include "compute/ops/rules.h"

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t dim = node->in[0]->shape[1];
    lm_range rows = lm_share(args, lm_rows_now(args, node->in[0]));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const float *x = lm_f32(node->in[0]) + r * dim;
        float *y = lm_f32(node->out[0]) + r * dim, most = 1e-5f;
        for (int64_t i = 0; i < dim; i++)
            if (fabsf(x[i]) > most) most = fabsf(x[i]);
        float scale = 127.0f / most;
        for (int64_t i = 0; i < dim; i++) y[i] = rintf(x[i] * scale) / scale;
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 5 * lm_elems_now(node->out[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_round_rows;
const lm_op lm_op_round_rows = {
    .name = "round_rows",
    .min_inputs = 1,
    .max_inputs = 1,
    .n_outputs = 1,
    .in_place = 1,
    .shape = lm_shape_f32_rows,
    .reference = reference,
    .cost = cost,
};
