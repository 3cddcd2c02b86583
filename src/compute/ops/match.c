/* MATCH: y_g = x_g * rms(like) / max(rms(x_g), sqrt(eps)), of the parts x_g of each row of x
 * x      [R, G * D] f32          in
 * like   [R, D] f32              in
 * y      [R, G * D] f32          out
 * attrs  eps
 *
 * Order: mean squares as lm_dot(x, x) / D; y = x * rms(like), then divided.
 */
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *like = node->in[1];
    if (!lm_is(x, LM_F32, 2) || !lm_is(like, LM_F32, 2) || !lm_same_rows(x, like) ||
        x->shape[1] % like->shape[1] != 0)
        return lm_op_refuse(node, err, "x [R, G * D] and like [R, D] f32");
    lm_out_rows(out[0], x, x->shape[1]);
    return LOAM_OK;
}

static float mean_square(const float *x, int64_t n) {
    return lm_dot(x, x, n) / (float)n;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t dim = node->in[1]->shape[1], n = node->in[0]->shape[1] / dim;
    lm_range parts = lm_share(args, lm_rows_now(args, node->in[0]) * n);
    for (int64_t p = parts.begin; p < parts.end; p++) {
        const float *x = lm_f32(node->in[0]) + p * dim, *like = lm_f32(node->in[1]) + p / n * dim;
        float *y = lm_f32(node->out[0]) + p * dim, square = mean_square(x, dim);
        float from = sqrtf(square > node->attrs.eps ? square : node->attrs.eps),
              to = sqrtf(mean_square(like, dim));
        for (int64_t i = 0; i < dim; i++) y[i] = x[i] * to / from;
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 6 * lm_elems_now(node->out[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_match;
const lm_op lm_op_match = {
    .name = "match",
    .min_inputs = 2,
    .max_inputs = 2,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
