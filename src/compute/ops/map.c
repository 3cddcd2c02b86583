/* MAP: y = f(x), or f(x) * up
 * x      f32                                                        in
 * up     f32, its shape or one number, optional: what a gate lets through in
 * y      attrs.dtype, f32 or bf16, its shape; may take over either   out
 * attrs  function, scale (of SCALE, SOFT_CAP and CLAMP)
 *
 * Operations and their order stand in apply() below. Only SCALE has a gradient: gates that are trained are SWIGLU.
 */
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *up = node->in[1];
    if (!lm_is_f32_or_bf16(node->attrs.dtype) || (unsigned)node->attrs.function >= LM_N_FUNCTIONS)
        return lm_op_refuse(node, err, "a known function, and f32 or bf16 to be made");
    if (x->dtype != LM_F32 ||
        (up && (up->dtype != LM_F32 || !(lm_tensor_is_number(up) || lm_tensor_same_shape(x, up)))))
        return lm_op_refuse(node, err, "x f32 and, if any, up f32 of its shape or [1]");
    lm_out_like(out[0], x, node->attrs.dtype);
    return LOAM_OK;
}

static float apply(const lm_attrs *a, float x) {
    switch (a->function) {
    case LM_FN_SCALE: return x * a->scale;
    case LM_FN_SOFT_CAP: return lm_tanh(x / a->scale) * a->scale;
    case LM_FN_SILU: return x * lm_sigmoid(x);
    case LM_FN_GELU: return 0.5f * x * (1.0f + lm_erf(x * 0.707106781f));
    case LM_FN_GELU_TANH: {
        float inner = fmaf(0.044715f * x * x, x, x) * 0.797884561f;
        return x * lm_sigmoid(inner + inner);
    }
    case LM_FN_RELU: return x > 0.0f ? x : 0.0f;
    case LM_FN_RELU_SQUARED: return x > 0.0f ? x * x : 0.0f;
    case LM_FN_TANH: return lm_tanh(x);
    case LM_FN_SIGMOID: return lm_sigmoid(x);
    case LM_FN_SOFTPLUS: return lm_softplus(x);
    case LM_FN_CLAMP: {
        float low = x < a->scale ? x : a->scale;
        return -a->scale < low ? low : -a->scale;
    }
    case LM_FN_SWIGLU_CLAMPED: {
        float low = x < 7.0f ? x : 7.0f;
        return low * lm_sigmoid(1.702f * low);
    }
    case LM_N_FUNCTIONS: break;
    }
    return x;
}

static float clamped(float x) {
    float low = x < 7.0f ? x : 7.0f;
    return low > -7.0f ? low : -7.0f;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    const float *x = lm_f32(node->in[0]), *up = node->in[1] ? lm_f32(node->in[1]) : NULL;
    bool one = node->in[1] && lm_tensor_is_number(node->in[1]);
    lm_range range = lm_share(args, lm_elems_now(node->out[0], args->extents));
    for (int64_t i = range.begin; i < range.end; i++) {
        float y = apply(&node->attrs, x[i]);
        float u = up ? up[one ? 0 : i] : 1.0f;
        if (up) y *= node->attrs.function == LM_FN_SWIGLU_CLAMPED ? clamped(u) + 1.0f : u;
        lm_store(node->out[0], i, &y, 1);
    }
}

static void backward(lm_graph *graph, const lm_node *node, lm_tensor *const *d_out,
                     lm_tensor **d_in) {
    if (node->attrs.function != LM_FN_SCALE || node->in[1]) {
        lm_graph_fail(graph, LOAM_UNSUPPORTED, "map: this function has no gradient, only scale has");
        return;
    }
    d_in[0] = lm_graph_op(graph, LM_OP_MAP,
                          &(lm_op_args){.in = {d_out[0]}, .attrs = {.scale = node->attrs.scale}});
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    int64_t each = node->attrs.function == LM_FN_SCALE ? 1 : 6;
    out->flops = (each + (node->in[1] ? 1 : 0)) * lm_elems_now(node->out[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_map;
const lm_op lm_op_map = {
    .name = "map",
    .min_inputs = 1,
    .max_inputs = 2,
    .n_outputs = 1,
    .in_place = 1 | 2,
    .shape = shape,
    .reference = reference,
    .backward = backward,
    .cost = cost,
};
