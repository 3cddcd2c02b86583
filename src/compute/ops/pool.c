/* POOL: one vector of each `ratio` rows of a sequence: DeepSeek-V4's compressed keys
 * x          [R, P * D] f32, P 1 or 2                                     in
 * gates      [R, P * D] f32                                               in
 * bias       [ratio, P * D] f32: added to gates of the first, second, ... of those rows    in
 * state      STATE [S, 2, 3, D] f32: of what is being made, and of what comes after it, the largest gate, sum and weighted sum    in, changed in place
 * row_pos, row_state    ops/sequence_state.h                              in
 * y          [R, D] f32: of the last of each `ratio` rows of the sequence; 0 of others    out 0
 * state                                                                   out 1
 * attrs      ratio, head_dim D
 *
 * y is the sum of those rows' x, weighted by the softmax of their gates, element by element. With P = 2 the last D elements are taken; and the first
 * D of the `ratio` rows before, where there are any, are in the same sum, in front of them.
 *
 * Order: row by row, m' = max(m, gate), c = lm_exp(m - m'), w = lm_exp(gate - m'), l' = fmaf(l, c, w), acc' = fmaf(acc, c, w * x); the first of
 * a sum is taken as it is. y = acc / l.
 */
#include "compute/ops/sequence_state.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *gates = node->in[1], *bias = node->in[2],
                    *state = node->in[LM_IN_STATE];
    int64_t d = node->attrs.head_dim, ratio = node->attrs.ratio;
    if (!lm_is(x, LM_F32, 2) || !lm_is(gates, LM_F32, 2) || !lm_tensor_same_shape(x, gates) ||
        d < 1 || (x->shape[1] != d && x->shape[1] != 2 * d) || !lm_is(bias, LM_F32, 2) ||
        bias->layout != LM_LAYOUT_ROWS || bias->shape[0] != ratio ||
        bias->shape[1] != x->shape[1] || !lm_sequence_state_ok(node, x, 4) ||
        state->shape[1] != 2 || state->shape[2] != 3 || state->shape[3] != d)
        return lm_op_refuse(node, err,
                            "x and gates [R, P * head_dim], bias [ratio, P * head_dim], state [S, "
                            "2, 3, head_dim] f32, row_pos and row_state [R] i32");
    lm_out_rows(out[0], x, d);
    lm_out_in_place(out[LM_OUT_STATE], node->in[LM_IN_STATE]);
    return LOAM_OK;
}

/* The largest gate, sum and weighted sum of an element, `d` apart. */
static void take(float *sum, int64_t d, float x, float gate) {
    float max = sum[0];
    if (sum[d] == 0.0f) {
        sum[0] = gate;
        sum[d] = 1.0f;
        sum[2 * d] = x;
        return;
    }
    sum[0] = gate > max ? gate : max;
    float keep = lm_exp(max - sum[0]), weight = lm_exp(gate - sum[0]);
    sum[d] = fmaf(sum[d], keep, weight);
    sum[2 * d] = fmaf(sum[2 * d], keep, weight * x);
}

static void pool(const lm_node *node, int64_t r, int64_t i) {
    int64_t d = node->attrs.head_dim, width = node->in[0]->shape[1], ratio = node->attrs.ratio,
            at = lm_i32(node->in[LM_IN_ROW_POS])[r] % ratio;
    const float *x = lm_f32(node->in[0]) + r * width + i,
                *gates = lm_f32(node->in[1]) + r * width + i,
                *bias = lm_f32(node->in[2]) + at * width + i;
    float *now = lm_row_state(node, r) + i, *next = now + 3 * d;
    if (lm_row_is_first(node, r)) now[d] = next[d] = 0.0f;
    int64_t own = width - d;
    take(now, d, x[own], gates[own] + bias[own]);
    if (own > 0) take(next, d, x[0], gates[0] + bias[0]);
    bool ends = at == ratio - 1;
    lm_f32(node->out[0])[r * d + i] = ends ? now[2 * d] / now[d] : 0.0f;
    if (!ends) return;
    for (int64_t part = 0; own > 0 && part < 3; part++) now[part * d] = next[part * d];
    (own > 0 ? next : now)[d] = 0.0f;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    lm_range elems = lm_share(args, node->attrs.head_dim);
    for (int64_t r = 0; r < lm_rows_now(args, node->in[0]); r++)
        for (int64_t i = elems.begin; i < elems.end; i++) pool(node, r, i);
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 8 * lm_elems_now(node->in[0], extents);
    out->bytes = lm_bytes_now(node->in[0], extents) + lm_bytes_now(node->in[1], extents) +
                 lm_bytes_now(node->in[2], extents) + lm_bytes_now(node->out[0], extents) +
                 2 * lm_states_now(node, extents);
}

extern const lm_op lm_op_pool;
const lm_op lm_op_pool = {
    .name = "pool",
    .min_inputs = 6,
    .max_inputs = 6,
    .n_outputs = 2,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
