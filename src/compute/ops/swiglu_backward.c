/* SWIGLU_BACKWARD: with s = sigmoid(gate)
 *     d_gate = dy * up * (s * (1 + gate * (1 - s)))
 *     d_up   = dy * (gate * s)
 * dy, gate, up   f32, same shape    in
 * d_gate, d_up   f32, their shape   out 0, 1; d_gate may take over any input
 */
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *dy = node->in[0], *gate = node->in[1], *up = node->in[2];
    if (dy->dtype != LM_F32 || gate->dtype != LM_F32 || up->dtype != LM_F32 ||
        !lm_tensor_same_shape(dy, gate) || !lm_tensor_same_shape(dy, up))
        return lm_op_refuse(node, err, "dy, gate and up, f32 of one shape");
    lm_out_like(out[0], gate, LM_F32);
    lm_out_like(out[1], up, LM_F32);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    const float *dy = lm_f32(node->in[0]), *gate = lm_f32(node->in[1]), *up = lm_f32(node->in[2]);
    float *d_gate = lm_f32(node->out[0]), *d_up = lm_f32(node->out[1]);
    lm_range range = lm_share(args, lm_elems_now(node->out[0], args->extents));
    for (int64_t i = range.begin; i < range.end; i++) {
        float g = gate[i], s = lm_sigmoid(g), d = dy[i];
        float slope = s * fmaf(g, 1.0f - s, 1.0f);
        d_gate[i] = d * up[i] * slope;
        d_up[i] = d * (g * s);
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 11 * lm_elems_now(node->out[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_swiglu_backward;
const lm_op lm_op_swiglu_backward = {
    .name = "swiglu_backward",
    .min_inputs = 3,
    .max_inputs = 3,
    .n_outputs = 2,
    .in_place = 1 | 2 | 4,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
