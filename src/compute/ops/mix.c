/* MIX: what k experts say of a row, weighted and added; or of each of S parts of a row, by weights of its own
 * x        [R, S * k * N] f32             in
 * weights  [R, S * k] f32                 in
 * ids      [R, k] i32, optional: of whom x is, with S 1    in
 * own      [R, N] f32, with ids: what those say whose ids are n_used and beyond, whatever x has    in
 * y        [R, S * N] f32                 out
 * attrs    n_groups S, 0 stands for 1; n_used
 *
 * Order: acc = fmaf(weights[r, s * k + i], x[r, (s * k + i) * N + n], acc) for i = 0 .. k - 1, from +0.
 */
#include "compute/ops/mix.h"

static bool own_ok(const lm_node *node) {
    const lm_tensor *x = node->in[0], *weights = node->in[1], *ids = node->in[2],
                    *own = node->in[3];
    if (!ids || !own) return !ids && !own;
    return lm_mix_parts(node) == 1 && lm_is(ids, LM_I32, 2) && lm_is(own, LM_F32, 2) &&
           lm_same_rows(x, ids) && lm_same_rows(x, own) && ids->shape[1] == weights->shape[1] &&
           own->shape[1] * ids->shape[1] == x->shape[1];
}

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *weights = node->in[1];
    int64_t s = lm_mix_parts(node);
    if (!own_ok(node))
        return lm_op_refuse(node, err, "own [R, N] f32 with ids [R, k] i32, and no parts of rows");
    if (!lm_is(x, LM_F32, 2) || !lm_is(weights, LM_F32, 2) || !lm_same_rows(x, weights) ||
        weights->shape[1] % s != 0 || x->shape[1] % weights->shape[1] != 0)
        return lm_op_refuse(node, err, "x [R, n_groups * k * N] and weights [R, n_groups * k] f32");
    lm_out_rows(out[0], x, x->shape[1] / weights->shape[1] * s);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t s = lm_mix_parts(node), k = node->in[1]->shape[1] / s, n = node->out[0]->shape[1] / s;
    lm_range elems = lm_share(args, lm_elems_now(node->out[0], args->extents));
    for (int64_t at = elems.begin; at < elems.end; at++) {
        int64_t part = at / n, column = at % n;
        const float *x = lm_f32(node->in[0]) + part * k * n + column,
                    *weights = lm_f32(node->in[1]) + part * k;
        float acc = 0.0f;
        for (int64_t i = 0; i < k; i++)
            acc = fmaf(weights[i],
                       lm_mix_is_own(node, part, i) ? lm_f32(node->in[3])[at] : x[i * n], acc);
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
    .max_inputs = 4,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
