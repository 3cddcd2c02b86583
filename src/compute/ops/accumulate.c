/* ACCUMULATE: state += value
 * state  f32 STATE            in, changed in place (out)
 * value  f32, same shape      in
 * Not differentiable.
 */
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    lm_tensor *state = node->in[0];
    const lm_tensor *value = node->in[1];
    if (state->role != LM_ROLE_STATE || state->dtype != LM_F32 || value->dtype != LM_F32 ||
        !lm_tensor_same_shape(state, value))
        return lm_op_refuse(node, err, "an f32 state and an f32 value of its shape");
    lm_out_in_place(out[0], state);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    float *state = lm_f32(args->node->out[0]);
    const float *value = lm_f32(args->node->in[1]);
    lm_range range = lm_share(args, lm_elems_now(args->node->out[0], args->extents));
    for (int64_t i = range.begin; i < range.end; i++) state[i] += value[i];
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = lm_elems_now(node->out[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_accumulate;
const lm_op lm_op_accumulate = {
    .name = "accumulate",
    .min_inputs = 2,
    .max_inputs = 2,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
