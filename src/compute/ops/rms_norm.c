/* RMS_NORM: y = x / rms(x) * w        arXiv:1910.07467
 * x        [R, D] f32, D / G groups of G elements                in
 * w        [G] f32: G = D, or a head's width: each head alone, or
 *          [D] with n_heads heads: each alone, with weights of its own    in
 * y        [R, D] attrs.dtype, f32 or bf16; may take over x      out 0
 * inverse  [R, D / G] f32, 1 / rms(group), for the gradient      out 1
 * attrs    eps, added to the mean square; n_heads where heads have weights of their own, which has no gradient
 *
 * Order: for each group the sum of squares as lm_dot(x, x); inverse = 1 / sqrt(sum / G + eps);
 * then y = (x * inverse) * w, rounded where y is bf16.
 */
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *w = node->in[1];
    int64_t n_heads = node->attrs.n_heads;
    if (!lm_is(x, LM_F32, 2) || !lm_is(w, LM_F32, 1) || x->shape[1] % w->shape[0] ||
        !lm_is_f32_or_bf16(node->attrs.dtype))
        return lm_op_refuse(node, err, "x [R, D] f32 and w [G] f32, D a multiple of G");
    if (n_heads != 0 && (n_heads < 0 || w->shape[0] != x->shape[1] || x->shape[1] % n_heads))
        return lm_op_refuse(node, err, "x [R, D] f32 and w [D] f32, D a multiple of n_heads");
    lm_out_like(out[0], x, node->attrs.dtype);
    lm_out_rows(out[1], x, n_heads ? n_heads : x->shape[1] / w->shape[0]);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t dim = node->in[1]->shape[0] / lm_n_groups(node);
    lm_range rows = lm_share(args, lm_elems_now(node->in[0], args->extents) / dim);
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const float *x = lm_f32(node->in[0]) + r * dim, *w = lm_group_of(node, 1, r, dim);
        float inverse = 1.0f / sqrtf(lm_dot(x, x, dim) / (float)dim + node->attrs.eps);
        lm_f32(node->out[1])[r] = inverse;
        for (int64_t i = 0; i < dim; i++) {
            float y = x[i] * inverse * w[i];
            lm_store(node->out[0], r * dim + i, &y, 1);
        }
    }
}

static void backward(lm_graph *graph, const lm_node *node, lm_tensor *const *d_out,
                     lm_tensor **d_in) {
    lm_tensor *w = node->in[1];
    if (node->attrs.n_heads) {
        lm_graph_fail(graph, LOAM_UNSUPPORTED, "rms_norm: no gradient of heads' own weights");
        return;
    }
    lm_tensor *grad = w->requires_grad ? lm_graph_leaf_grad(graph, w) : NULL;
    d_in[0] = lm_graph_op(graph, LM_OP_RMS_NORM_BACKWARD,
                          &(lm_op_args){.in = {d_out[0], node->in[0], w, node->out[1], grad,
                                               lm_graph_given(node->in[0])}});
    if (!grad) d_in[1] = lm_graph_out(d_in[0], 1);
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 4 * lm_elems_now(node->in[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_rms_norm;
const lm_op lm_op_rms_norm = {
    .name = "rms_norm",
    .min_inputs = 2,
    .max_inputs = 2,
    .n_outputs = 2,
    .in_place = 1,
    .shape = shape,
    .reference = reference,
    .backward = backward,
    .cost = cost,
};
