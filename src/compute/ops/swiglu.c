/* SWIGLU: y = silu(gate) * up,  silu(g) = g * sigmoid(g)        arXiv:2002.05202
 * gate, up  f32, same shape                           in
 * y         attrs.dtype, f32 or bf16, their shape; may take over either    out
 */
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    if (!lm_is_f32_or_bf16(node->attrs.dtype))
        return lm_op_refuse(node, err, "f32 or bf16 to be made");
    LM_TRY(lm_shape_f32_pair(node, out, err));
    out[0]->dtype = node->attrs.dtype;
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const float *gate = lm_f32(args->node->in[0]), *up = lm_f32(args->node->in[1]);
    lm_range range = lm_share(args, lm_elems_now(args->node->out[0], args->extents));
    for (int64_t i = range.begin; i < range.end; i++) {
        float y = gate[i] * lm_sigmoid(gate[i]) * up[i];
        lm_store(args->node->out[0], i, &y, 1);
    }
}

static void backward(lm_graph *graph, const lm_node *node, lm_tensor *const *d_out,
                     lm_tensor **d_in) {
    d_in[0] = lm_graph_op(graph, LM_OP_SWIGLU_BACKWARD,
                          &(lm_op_args){.in = {d_out[0], node->in[0], node->in[1]}});
    d_in[1] = lm_graph_out(d_in[0], 1);
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops =
        6 * lm_elems_now(node->out[0], extents); /* negate, exp, add, divide, two products */
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_swiglu;
const lm_op lm_op_swiglu = {
    .name = "swiglu",
    .min_inputs = 2,
    .max_inputs = 2,
    .n_outputs = 1,
    .in_place = 1 | 2,
    .shape = shape,
    .reference = reference,
    .backward = backward,
    .cost = cost,
};
