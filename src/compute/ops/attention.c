/* ATTENTION: causal attention over whole sequences, for training        arXiv:1706.03762
 * q      [R, Hq * D] f32; rows are sequences of seq_len tokens, one after the other   in
 * k, v   [R, Hkv * D] f32                                                             in
 * out    [R, Hq * D] f32                                                              out 0
 * lse    [R, Hq] f32, log of the sum of exponentials, for the gradient                out 1
 * attrs  n_heads Hq, n_kv_heads Hkv (a divisor), head_dim D, seq_len, scale
 *
 * Order: online_softmax.h. The last sequence may be shorter.
 */
#include "compute/ops/online_softmax.h"
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *q = node->in[0], *k = node->in[1], *v = node->in[2];
    const lm_attrs *a = &node->attrs;
    if (!lm_heads_ok(a) || a->seq_len < 1 || !lm_is(q, LM_F32, 2) || !lm_is(k, LM_F32, 2) ||
        !lm_is(v, LM_F32, 2) || q->shape[1] != a->n_heads * a->head_dim ||
        k->shape[1] != a->n_kv_heads * a->head_dim || !lm_tensor_same_shape(k, v) ||
        !lm_same_rows(q, k))
        return lm_op_refuse(
            node, err,
            "q [R, n_heads * head_dim], k and v [R, n_kv_heads * head_dim], f32, and seq_len");
    lm_out_like(out[0], q, LM_F32);
    lm_out_rows(out[1], q, a->n_heads);
    return LOAM_OK;
}

/* One row of one head. */
static void attend(const lm_node *node, int64_t row, int64_t head) {
    const lm_attrs *a = &node->attrs;
    int64_t dim = a->head_dim, kv_width = a->n_kv_heads * dim, at = (row * a->n_heads + head) * dim;
    int64_t first = row - row % a->seq_len, n_pos = row - first + 1;
    int64_t kv_at = first * kv_width + head / (a->n_heads / a->n_kv_heads) * dim;
    lm_online_softmax state;
    lm_online_softmax_init(&state, dim);
    for (int64_t pos = 0; pos < n_pos; pos += LM_ATTENTION_BLOCK) {
        int64_t n = n_pos - pos < LM_ATTENTION_BLOCK ? n_pos - pos : LM_ATTENTION_BLOCK;
        lm_online_softmax_block(
            &state, lm_f32(node->in[0]) + at, lm_f32(node->in[1]) + kv_at + pos * kv_width,
            lm_f32(node->in[2]) + kv_at + pos * kv_width, kv_width, n, dim, a->scale);
    }
    lm_f32(node->out[1])[row * a->n_heads + head] =
        lm_online_softmax_end(&state, lm_f32(node->out[0]) + at, dim);
}

static void reference(const lm_kernel_args *args) {
    int64_t n_heads = args->node->attrs.n_heads;
    lm_range units = lm_share(args, lm_rows_now(args, args->node->in[0]) * n_heads);
    for (int64_t u = units.begin; u < units.end; u++) attend(args->node, u / n_heads, u % n_heads);
}

static void backward(lm_graph *graph, const lm_node *node, lm_tensor *const *d_out,
                     lm_tensor **d_in) {
    d_in[0] = lm_graph_op(graph, LM_OP_ATTENTION_BACKWARD,
                          &(lm_op_args){.in = {d_out[0], node->in[0], node->in[1], node->in[2],
                                               node->out[0], node->out[1]},
                                        .attrs = node->attrs});
    d_in[1] = lm_graph_out(d_in[0], 1);
    d_in[2] = lm_graph_out(d_in[0], 2);
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    const lm_attrs *a = &node->attrs;
    out->flops = lm_causal_pairs(lm_tensor_dim0(node->in[0], extents), a->seq_len) * a->n_heads *
                 (4 * a->head_dim + 4);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_attention;
const lm_op lm_op_attention = {
    .name = "attention",
    .min_inputs = 3,
    .max_inputs = 3,
    .n_outputs = 2,
    .shape = shape,
    .reference = reference,
    .backward = backward,
    .cost = cost,
};
