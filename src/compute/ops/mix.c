/* MIX: what k experts say of a row, weighted and added
 * x        [R, k * N] f32                 in
 * weights  [R, k] f32                     in
 * y        [R, N] f32                     out
 *
 * Order: acc = fmaf(weights[r, i], x[r, i * N + n], acc) for i = 0 .. k - 1, from +0.
 */
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *weights = node->in[1];
    if (!lm_is(x, LM_F32, 2) || !lm_is(weights, LM_F32, 2) || !lm_same_rows(x, weights) ||
        x->shape[1] % weights->shape[1] != 0)
        return lm_op_refuse(node, err, "x [R, k * N] f32 and weights [R, k] f32");
    lm_out_rows(out[0], x, x->shape[1] / weights->shape[1]);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t k = node->in[1]->shape[1], n = node->out[0]->shape[1];
    lm_range elems = lm_share(args, lm_elems_now(node->out[0], args->extents));
    for (int64_t at = elems.begin; at < elems.end; at++) {
        int64_t row = at / n, column = at % n;
        const float *x = lm_f32(node->in[0]) + row * k * n + column,
                    *weights = lm_f32(node->in[1]) + row * k;
        float acc = 0.0f;
        for (int64_t i = 0; i < k; i++) acc = fmaf(weights[i], x[i * n], acc);
        lm_f32(node->out[0])[at] = acc;
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 2 * lm_elems_now(node->in[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_mix;
const lm_op lm_op_mix = {
    .name = "mix",
    .min_inputs = 2,
    .max_inputs = 2,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
