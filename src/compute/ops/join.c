/* JOIN: heads made longer: each head of b behind the one of a
 * a      [R, H * A] f32            in
 * b      [R, H * B] f32            in
 * y      [R, H * (A + B)] f32      out
 * attrs  n_heads H
 */
#include <string.h>

#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *a = node->in[0], *b = node->in[1];
    int64_t n_heads = node->attrs.n_heads;
    if (n_heads < 1 || !lm_is(a, LM_F32, 2) || !lm_is(b, LM_F32, 2) || !lm_same_rows(a, b) ||
        a->shape[1] % n_heads != 0 || b->shape[1] % n_heads != 0)
        return lm_op_refuse(node, err, "a [R, n_heads * A] and b [R, n_heads * B] f32");
    lm_out_rows(out[0], a, a->shape[1] + b->shape[1]);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t n_heads = node->attrs.n_heads, n_a = node->in[0]->shape[1] / n_heads,
            n_b = node->in[1]->shape[1] / n_heads;
    lm_range heads = lm_share(args, lm_rows_now(args, node->in[0]) * n_heads);
    for (int64_t h = heads.begin; h < heads.end; h++) {
        float *y = lm_f32(node->out[0]) + h * (n_a + n_b);
        memcpy(y, lm_f32(node->in[0]) + h * n_a, (size_t)n_a * sizeof *y);
        memcpy(y + n_a, lm_f32(node->in[1]) + h * n_b, (size_t)n_b * sizeof *y);
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 0;
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_join;
const lm_op lm_op_join = {
    .name = "join",
    .min_inputs = 2,
    .max_inputs = 2,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
