/* CAUSAL_CONV: a convolution of each channel along its sequence, over a row and those before it, or silu of it
 * x          [R, C] f32                                                   in
 * w          [K, C] f32, 2 <= K <= LM_MAX_CONV_TAPS; the last tap is the row's own    in
 * bias       [C] f32, optional                                            in
 * state      STATE [S, K - 1, C] f32: x of the K - 1 rows before, oldest first    in, changed in place
 * row_pos, row_state    ops/sequence_state.h                              in
 * y          [R, C] f32                                                   out 0
 * state                                                                   out 1
 * attrs      silu
 *
 * Order: from the bias, or 0, on one fused multiply-add a tap, oldest first; then x * sigmoid(x) of it. Rows before a sequence's first are 0.
 */
#include "compute/ops/sequence_state.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *w = node->in[1], *bias = node->in[2],
                    *state = node->in[LM_IN_STATE];
    if (!lm_is(x, LM_F32, 2) || !lm_sequence_state_ok(node, x, 3) || !lm_is(w, LM_F32, 2) ||
        w->layout != LM_LAYOUT_ROWS || w->shape[0] < 2 || w->shape[0] > LM_MAX_CONV_TAPS ||
        w->shape[1] != x->shape[1] || (bias && !lm_is(bias, LM_F32, 1)) ||
        (bias && bias->shape[0] != x->shape[1]) || state->shape[1] != w->shape[0] - 1 ||
        state->shape[2] != x->shape[1])
        return lm_op_refuse(node, err,
                            "x [R, C], w [K, C], bias [C] or nothing, state [S, K - 1, C] f32, "
                            "row_pos and row_state [R] i32");
    lm_out_like(out[0], x, LM_F32);
    lm_out_in_place(out[LM_OUT_STATE], node->in[LM_IN_STATE]);
    return LOAM_OK;
}

static void convolve(const lm_node *node, int64_t r, int64_t c) {
    int64_t n_channels = node->in[0]->shape[1], n_taps = node->in[1]->shape[0];
    const float *w = lm_f32(node->in[1]) + c;
    float x = lm_f32(node->in[0])[r * n_channels + c], *state = lm_row_state(node, r) + c;
    float y = node->in[2] ? lm_f32(node->in[2])[c] : 0.0f;
    bool first = lm_row_is_first(node, r);
    for (int64_t k = 0; k < n_taps - 1; k++) {
        float before = first ? 0.0f : state[k * n_channels];
        y = fmaf(w[k * n_channels], before, y);
        if (k > 0) state[(k - 1) * n_channels] = before;
    }
    state[(n_taps - 2) * n_channels] = x;
    y = fmaf(w[(n_taps - 1) * n_channels], x, y);
    lm_f32(node->out[0])[r * n_channels + c] = node->attrs.silu ? y * lm_sigmoid(y) : y;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    lm_range channels = lm_share(args, node->in[0]->shape[1]);
    for (int64_t r = 0; r < lm_rows_now(args, node->in[0]); r++)
        for (int64_t c = channels.begin; c < channels.end; c++) convolve(node, r, c);
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 2 * node->in[1]->shape[0] * lm_elems_now(node->in[0], extents);
    out->bytes = lm_bytes_now(node->in[0], extents) + lm_bytes_now(node->in[1], extents) +
                 lm_bytes_now(node->out[0], extents) + 2 * lm_states_now(node, extents);
}

extern const lm_op lm_op_causal_conv;
const lm_op lm_op_causal_conv = {
    .name = "causal_conv",
    .min_inputs = 2,
    .max_inputs = 6,
    .n_outputs = 2,
    .in_place = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
