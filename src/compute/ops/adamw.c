/* ADAMW: one step of Adam with decoupled weight decay on one parameter        arXiv:1711.05101
 * param    f32 STATE                                       in, changed in place (out 0)
 * grad     f32, its shape                                  in
 * m, v     f32 STATE, its shape: first and second moment   in, changed in place (out 1, 2)
 * scalars  [4] f32: lr, c1 = 1 - beta1^t, c2 = 1 - beta2^t, factor on grad     in
 * copy     bf16 STATE, its shape, optional: param rounded  in, changed in place (out 3)
 * attrs    beta1, beta2, eps, weight_decay
 * What changes from step to step is an input, so that one graph serves every step.
 *
 *     g = grad * factor
 *     m = beta1 m + (1 - beta1) g        as fmaf(beta1, m, (1 - beta1) * g)
 *     v = beta2 v + (1 - beta2) g^2      as fmaf(beta2, v, (1 - beta2) * (g * g))
 *     u = (m / c1) / (sqrt(v / c2) + eps)
 *     param = param - lr (weight_decay param + u)
 *                                        as fmaf(-lr, fmaf(weight_decay, param, u), param)
 */
#include "compute/ops/rules.h"

static bool is_moment(const lm_tensor *moment, const lm_tensor *param) {
    return moment->role == LM_ROLE_STATE && moment->dtype == LM_F32 &&
           lm_tensor_same_shape(moment, param);
}

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    lm_tensor *param = node->in[0], *m = node->in[2], *v = node->in[3], *copy = node->in[5];
    const lm_tensor *grad = node->in[1], *scalars = node->in[4];
    bool copy_ok = !copy || (copy->role == LM_ROLE_STATE && copy->dtype == LM_BF16 &&
                             lm_tensor_same_shape(copy, param));
    if (param->role != LM_ROLE_STATE || param->dtype != LM_F32 || grad->dtype != LM_F32 ||
        !copy_ok || !lm_tensor_same_shape(grad, param) || !is_moment(m, param) ||
        !is_moment(v, param) || !lm_is(scalars, LM_F32, 1) || scalars->shape[0] != 4)
        return lm_op_refuse(node, err,
                            "f32 states param, m, v and f32 grad of one shape, scalars [4], maybe "
                            "a bf16 state copy");
    lm_out_in_place(out[0], param);
    lm_out_in_place(out[1], m);
    lm_out_in_place(out[2], v);
    if (copy) lm_out_in_place(out[3], copy);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    const lm_attrs *a = &node->attrs;
    const float *grad = lm_f32(node->in[1]), *scalars = lm_f32(node->in[4]);
    float *param = lm_f32(node->out[0]), *m = lm_f32(node->out[1]), *v = lm_f32(node->out[2]);
    uint16_t *copy = node->in[5] ? node->in[5]->data : NULL;
    float lr = scalars[0], c1 = scalars[1], c2 = scalars[2], factor = scalars[3];
    lm_range range = lm_share(args, lm_elems_now(node->out[0], args->extents));
    for (int64_t i = range.begin; i < range.end; i++) {
        float g = grad[i] * factor;
        m[i] = fmaf(a->beta1, m[i], (1.0f - a->beta1) * g);
        v[i] = fmaf(a->beta2, v[i], (1.0f - a->beta2) * (g * g));
        float update = m[i] / c1 / (sqrtf(v[i] / c2) + a->eps);
        param[i] = fmaf(-lr, fmaf(a->weight_decay, param[i], update), param[i]);
        if (copy) copy[i] = lm_f32_to_bf16(param[i]);
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 16 * lm_elems_now(node->in[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_adamw;
const lm_op lm_op_adamw = {
    .name = "adamw",
    .min_inputs = 5,
    .max_inputs = 6,
    .n_outputs = 4,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
