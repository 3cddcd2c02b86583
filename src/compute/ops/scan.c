/* SCAN: a selective state space (arXiv:2312.00752, where key is B, query is C and step is Delta). Each channel of a sequence has a few
 * numbers, each with a rate of its own, which decay, take up the channel and answer queries
 * key, query [R, N] f32                                            in
 * x          [R, C] f32                                            in
 * state      STATE [S, N, C] f32                                   in, changed in place
 * row_pos, row_state    ops/sequence_state.h                       in
 * step       [R, C] f32                                            in
 * rate       [N, C] f32: what a step decays by, below 0            in
 * skip       [C] f32: what of x is answered besides                in
 * y          [R, C] f32                                            out 0
 * state                                                            out 1
 *
 *     s[i] = e^(rate[i] * step) * s[i] + key[i] * (step * x);  y = sum over i of s[i] * query[i] + skip * x
 *
 * Order: each channel alone. An element of s is one multiplication and one fused multiply-add, y is summed from 0 on by fused
 * multiply-adds, i = 0 .. N - 1, and so is skip. e^x is lm_exp. A row at position 0 finds zeros.
 */
#include "compute/ops/sequence_state.h"

static bool rows_ok(const lm_tensor *rows, const lm_tensor *x, int64_t width) {
    return rows && lm_is(rows, LM_F32, 2) && lm_same_rows(rows, x) && rows->shape[1] == width;
}

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *key = node->in[0], *x = node->in[2], *state = node->in[LM_IN_STATE],
                    *rate = node->in[7], *skip = node->in[8];
    int64_t n = lm_is(key, LM_F32, 2) ? key->shape[1] : 0;
    if (n < 1 || !x || !lm_is(x, LM_F32, 2) || !rows_ok(key, x, n) ||
        !rows_ok(node->in[1], x, n) || !rows_ok(node->in[6], x, x->shape[1]) || !rate || !skip ||
        !lm_is(rate, LM_F32, 2) || rate->layout != LM_LAYOUT_ROWS || rate->shape[0] != n ||
        rate->shape[1] != x->shape[1] || !lm_is(skip, LM_F32, 1) ||
        skip->shape[0] != x->shape[1] || !lm_sequence_state_ok(node, x, 3) ||
        state->shape[1] != n || state->shape[2] != x->shape[1])
        return lm_op_refuse(node, err,
                            "key and query [R, N], x [R, C], state [S, N, C], row_pos and "
                            "row_state [R] i32, step [R, C], rate [N, C], skip [C], all f32");
    lm_out_like(out[0], x, LM_F32);
    lm_out_in_place(out[LM_OUT_STATE], node->in[LM_IN_STATE]);
    return LOAM_OK;
}

static void advance(const lm_node *node, int64_t r, int64_t c) {
    int64_t n = node->in[0]->shape[1], n_channels = node->in[2]->shape[1];
    const float *key = lm_f32(node->in[0]) + r * n, *query = lm_f32(node->in[1]) + r * n,
                *rate = lm_f32(node->in[7]) + c;
    float x = lm_f32(node->in[2])[r * n_channels + c],
          step = lm_f32(node->in[6])[r * n_channels + c], y = 0.0f;
    float *state = lm_row_state(node, r) + c;
    bool first = lm_row_is_first(node, r);
    for (int64_t i = 0; i < n; i++) {
        float *s = &state[i * n_channels];
        float decayed = lm_exp(rate[i * n_channels] * step) * (first ? 0.0f : *s);
        *s = fmaf(key[i], step * x, decayed);
        y = fmaf(*s, query[i], y);
    }
    lm_f32(node->out[0])[r * n_channels + c] = fmaf(lm_f32(node->in[8])[c], x, y);
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    lm_range channels = lm_share(args, node->in[2]->shape[1]);
    for (int64_t r = 0; r < lm_rows_now(args, node->in[2]); r++)
        for (int64_t c = channels.begin; c < channels.end; c++) advance(node, r, c);
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    enum { EACH = 12 }; /* e^x is 7 */
    out->flops = EACH * node->in[0]->shape[1] * lm_elems_now(node->in[2], extents);
    out->bytes = 2 * lm_states_now(node, extents) + lm_bytes_now(node->out[0], extents) +
                 lm_bytes_now(node->in[7], extents);
    for (int i = 0; i < 3; i++) out->bytes += lm_bytes_now(node->in[i], extents);
    out->bytes += lm_bytes_now(node->in[6], extents);
}

extern const lm_op lm_op_scan;
const lm_op lm_op_scan = {
    .name = "scan",
    .min_inputs = 9,
    .max_inputs = 9,
    .n_outputs = 2,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
