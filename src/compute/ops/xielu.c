/* XIELU: an activation with slopes that are learned        arXiv:2411.13010
 * x                          f32                                             in
 * alpha_p, alpha_n, beta, eps   [1] f32                                       in
 * y                          attrs.dtype, f32 or bf16, x's shape; may take over x    out
 *
 * With p = lm_softplus(alpha_p) and n = beta + lm_softplus(alpha_n):
 *     x > 0:  y = fmaf(p * x, x, beta * x)
 *     else:   y = fmaf((lm_exp(min(x, eps)) - 1) - x, n, beta * x)
 */
#include "compute/ops/xielu.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    if (node->in[0]->dtype != LM_F32 || !lm_is_f32_or_bf16(node->attrs.dtype))
        return lm_op_refuse(node, err, "x f32, and f32 or bf16 to be made");
    for (int i = 1; i < 5; i++)
        if (!lm_is(node->in[i], LM_F32, 1) || node->in[i]->shape[0] != 1)
            return lm_op_refuse(node, err, "alpha_p, alpha_n, beta and eps [1] f32");
    lm_out_like(out[0], node->in[0], node->attrs.dtype);
    return LOAM_OK;
}

static float apply(const lm_xielu *a, float x) {
    float low = x < a->eps ? x : a->eps;
    if (0.0f < x) return fmaf(a->alpha_p * x, x, a->beta * x);
    return fmaf((lm_exp(low) - 1.0f) - x, a->alpha_n, a->beta * x);
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    const float *x = lm_f32(node->in[0]);
    const lm_xielu numbers = lm_xielu_of(node);
    lm_range range = lm_share(args, lm_elems_now(node->out[0], args->extents));
    for (int64_t i = range.begin; i < range.end; i++) {
        float y = apply(&numbers, x[i]);
        lm_store(node->out[0], i, &y, 1);
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 8 * lm_elems_now(node->out[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_xielu;
const lm_op lm_op_xielu = {
    .name = "xielu",
    .min_inputs = 5,
    .max_inputs = 5,
    .n_outputs = 1,
    .in_place = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
