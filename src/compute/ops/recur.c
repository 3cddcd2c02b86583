/* RECUR: linear attention. Each head of a sequence has a matrix that decays, takes up keys with values, and answers queries:
 * state spaces (arXiv:2405.21060, where k is B, q is C, v is x and step is dt) and gated delta rules (arXiv:2412.06464), whose rows may
 * each have a step of their own (arXiv:2510.26692)
 * q, k       [R, Hk * Dk] f32                                     in
 * v          [R, H * Dv] f32                                      in
 * state      STATE [S, H, Dk, Dv] f32                             in, changed in place
 * row_pos, row_state    ops/sequence_state.h                      in
 * step       [R, H] f32, or of delta rules [R, H * Dk]            in
 * rate       [H] f32: what a step decays by, below 0              in
 * beta       [R, H] f32: how much of a row is taken up            in
 * skip       [H] f32, optional: what of v is answered besides     in
 * y          [R, H * Dv] f32                                      out 0
 * state                                                           out 1
 * attrs      n_heads H, n_kv_heads Hk (a divisor), head_dim Dk, value_dim Dv; delta: only what the state does not yet answer a key with is
 *            taken up; tiled: head h has the key of head h mod Hk, instead of h / (H / Hk); scale B: steps may be below 0 and decay
 *            at most by e^-B, 0: they are not bounded
 *
 *     a = e^(rate * step), or e^(-B sigmoid(-rate * step));  u = beta * v, of a delta rule beta * (v - a * (S^T k));  S = a * S + k u^T;  y = S^T q + skip * v
 *
 * With steps of rows a is a vector, row i of S is multiplied by a[i] at first, and u = beta * (v - S^T k).
 *
 * Order: each column of S alone. S^T k and S^T q from 0 on by fused multiply-adds, k's and q's elements in order; an element of S is one
 * multiplication and one fused multiply-add; beta, a and the difference are multiplied in the order written; skip is a fused
 * multiply-add. e^x is lm_exp. A row at position 0 finds zeros.
 */
#include "compute/ops/sequence_state.h"

static bool rows_ok(const lm_tensor *x, const lm_tensor *like, int64_t width) {
    return x && lm_is(x, LM_F32, 2) && lm_same_rows(x, like) && x->shape[1] == width;
}

static bool vector_ok(const lm_tensor *x, int64_t n) {
    return lm_is(x, LM_F32, 1) && x->shape[0] == n;
}

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_attrs *a = &node->attrs;
    const lm_tensor *v = node->in[2], *state = node->in[LM_IN_STATE], *rate = node->in[7],
                    *skip = node->in[9];
    int64_t n_heads = a->n_heads, keys = a->n_kv_heads * a->head_dim;
    int64_t steps = a->delta && node->in[6] && lm_recur_by_key(node) ? n_heads * a->head_dim : n_heads;
    if (!lm_heads_ok(a) || a->value_dim < 1 || !v || !rows_ok(v, v, n_heads * a->value_dim) ||
        !rows_ok(node->in[0], v, keys) || !rows_ok(node->in[1], v, keys) ||
        !rows_ok(node->in[6], v, steps) || !rate || !vector_ok(rate, n_heads) ||
        !rows_ok(node->in[8], v, n_heads) || (skip && !vector_ok(skip, n_heads)) ||
        !lm_sequence_state_ok(node, v, 4) || state->shape[1] != n_heads ||
        state->shape[2] != a->head_dim || state->shape[3] != a->value_dim)
        return lm_op_refuse(
            node, err,
            "q and k [R, n_kv_heads * head_dim], v [R, n_heads * value_dim], state "
            "[S, n_heads, head_dim, value_dim], row_pos and row_state [R] i32, step "
            "[R, n_heads] or of delta rules [R, n_heads * head_dim], rate [n_heads], beta [R, n_heads], skip [n_heads]");
    lm_out_like(out[0], v, LM_F32);
    lm_out_in_place(out[LM_OUT_STATE], node->in[LM_IN_STATE]);
    return LOAM_OK;
}

/* One column of one head's state. */
static void advance(const lm_node *node, int64_t r, int64_t h, int64_t column) {
    const lm_attrs *a = &node->attrs;
    int64_t at = r * a->n_heads + h, n = a->head_dim, dim = a->value_dim;
    const float *q = lm_f32(node->in[0]) + lm_recur_key(node, r, h),
                *k = lm_f32(node->in[1]) + lm_recur_key(node, r, h);
    float v = lm_f32(node->in[2])[at * dim + column], beta = lm_f32(node->in[8])[at];
    float *s = lm_row_state(node, r) + h * n * dim + column;
    bool by_key = lm_recur_by_key(node);
    float decay = by_key ? 1.0f : lm_recur_decay(node, r, h, 0), answer = 0.0f, y = 0.0f;
    for (int64_t i = 0; lm_row_is_first(node, r) && i < n; i++) s[i * dim] = 0.0f;
    for (int64_t i = 0; by_key && i < n; i++) s[i * dim] *= lm_recur_decay(node, r, h, i);
    for (int64_t i = 0; a->delta && i < n; i++) answer = fmaf(s[i * dim], k[i], answer);
    float u = a->delta ? beta * (v - decay * answer) : beta * v;
    for (int64_t i = 0; i < n; i++) {
        s[i * dim] = fmaf(k[i], u, decay * s[i * dim]);
        y = fmaf(s[i * dim], q[i], y);
    }
    if (node->in[9]) y = fmaf(lm_f32(node->in[9])[h], v, y);
    lm_f32(node->out[0])[at * dim + column] = y;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t dim = node->attrs.value_dim;
    lm_range columns = lm_share(args, node->attrs.n_heads * dim);
    for (int64_t r = 0; r < lm_rows_now(args, node->in[2]); r++)
        for (int64_t c = columns.begin; c < columns.end; c++) advance(node, r, c / dim, c % dim);
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    const lm_attrs *a = &node->attrs;
    int64_t each = a->delta ? 7 : 5;
    out->flops = each * a->head_dim * lm_elems_now(node->in[2], extents);
    out->bytes = 2 * lm_states_now(node, extents) + lm_bytes_now(node->out[0], extents);
    for (int i = 0; i < 3; i++) out->bytes += lm_bytes_now(node->in[i], extents);
}

extern const lm_op lm_op_recur;
const lm_op lm_op_recur = {
    .name = "recur",
    .min_inputs = 9,
    .max_inputs = 10,
    .n_outputs = 2,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
