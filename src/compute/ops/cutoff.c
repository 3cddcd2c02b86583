/* CUTOFF: y = max(0, x - (mean + scale * deviation)), mean and standard deviation those of the row
 * x      [R, D] f32                 in
 * y      [R, D] f32                 out
 * attrs  scale
 *
 * Order: as in LAYER_NORM; deviation = sqrt(sum of squares / D).
 */
#include "compute/ops/rules.h"

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t dim = node->in[0]->shape[1];
    lm_range rows = lm_share(args, lm_rows_now(args, node->in[0]));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const float *x = lm_f32(node->in[0]) + r * dim;
        float *y = lm_f32(node->out[0]) + r * dim, mean = lm_mean(x, dim);
        float deviation = sqrtf(lm_squares_about(x, mean, dim) / (float)dim);
        float least = mean + deviation * node->attrs.scale;
        for (int64_t i = 0; i < dim; i++) y[i] = x[i] > least ? x[i] - least : 0.0f;
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 6 * lm_elems_now(node->out[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_cutoff;
const lm_op lm_op_cutoff = {
    .name = "cutoff",
    .min_inputs = 1,
    .max_inputs = 1,
    .n_outputs = 1,
    .shape = lm_shape_f32_rows,
    .reference = reference,
    .cost = cost,
};
