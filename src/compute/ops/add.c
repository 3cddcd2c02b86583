/* ADD: c = a + b
 * a, b  f32, same shape    in
 * c     f32, their shape   out; may take over either
 */
#include "compute/ops/rules.h"

static void reference(const lm_kernel_args *args) {
    const float *a = lm_f32(args->node->in[0]), *b = lm_f32(args->node->in[1]);
    float *c = lm_f32(args->node->out[0]);
    lm_range range = lm_share(args, lm_elems_now(args->node->out[0], args->extents));
    for (int64_t i = range.begin; i < range.end; i++) c[i] = a[i] + b[i];
}

static void backward(lm_graph *graph, const lm_node *node, lm_tensor *const *d_out,
                     lm_tensor **d_in) {
    d_in[0] = d_in[1] = d_out[0];
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = lm_elems_now(node->out[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_add;
const lm_op lm_op_add = {
    .name = "add",
    .min_inputs = 2,
    .max_inputs = 2,
    .n_outputs = 1,
    .in_place = 1 | 2,
    .shape = lm_shape_f32_pair,
    .reference = reference,
    .backward = backward,
    .cost = cost,
};
