/* LAYER_NORM: y = (x - mean(x)) / sqrt(var(x) + eps) * w + b        arXiv:1607.06450
 * x      [R, D] f32, H groups of G = D / H elements, each normalized alone      in
 * w      [D] or [G] f32, optional: 1                                            in
 * b      [D] or [G] f32, optional: 0                                            in
 * y      [R, D] attrs.dtype, f32 or bf16; may take over x                       out
 * attrs  eps, added to the variance; n_heads, H, where 0 stands for 1
 *
 * Order: sum of x and of (x - mean)^2 in LM_LANES partial sums, as lm_dot has them; inverse = 1 / sqrt(squares / G +
 * eps); then y = fmaf((x - mean) * inverse, w, b), without w and b where they are absent.
 */
#include "compute/ops/rules.h"

static bool vector_ok(const lm_tensor *v, int64_t dim, int64_t group) {
    return !v || (lm_is(v, LM_F32, 1) && (v->shape[0] == dim || v->shape[0] == group));
}

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0];
    if (!lm_is(x, LM_F32, 2) || node->attrs.n_heads < 0 || x->shape[1] % lm_n_groups(node) ||
        !lm_is_f32_or_bf16(node->attrs.dtype))
        return lm_op_refuse(node, err, "x [R, D] f32, D a multiple of the heads");
    int64_t dim = x->shape[1], group = dim / lm_n_groups(node);
    if (!vector_ok(node->in[1], dim, group) || !vector_ok(node->in[2], dim, group))
        return lm_op_refuse(node, err, "w and b, if any, [D] f32 or as wide as a head");
    lm_out_like(out[0], x, node->attrs.dtype);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t dim = node->in[0]->shape[1] / lm_n_groups(node);
    lm_range rows = lm_share(args, lm_rows_now(args, node->in[0]) * lm_n_groups(node));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const float *x = lm_f32(node->in[0]) + r * dim, *w = lm_group_of(node, 1, r, dim),
                    *b = lm_group_of(node, 2, r, dim);
        float mean = lm_mean(x, dim);
        float inverse = 1.0f / sqrtf(lm_squares_about(x, mean, dim) / (float)dim + node->attrs.eps);
        for (int64_t i = 0; i < dim; i++) {
            float y = (x[i] - mean) * inverse;
            if (w || b) y = fmaf(y, w ? w[i] : 1.0f, b ? b[i] : 0.0f);
            lm_store(node->out[0], r * dim + i, &y, 1);
        }
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 7 * lm_elems_now(node->in[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_layer_norm;
const lm_op lm_op_layer_norm = {
    .name = "layer_norm",
    .min_inputs = 1,
    .max_inputs = 3,
    .n_outputs = 1,
    .in_place = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
