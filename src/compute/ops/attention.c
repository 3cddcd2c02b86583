/* ATTENTION: causal attention over whole sequences, for training        arXiv:1706.03762
 * q      [R, Hq * D] f32; rows are sequences of seq_len tokens, one after the other   in
 * k, v   [R, Hkv * D] f32                                                             in
 * out    [R, Hq * D] f32                                                              out 0
 * lse    [R, Hq] f32, log2 of the sum of the powers of two, for the gradient          out 1
 * attrs  n_heads Hq, n_kv_heads Hkv (a divisor), head_dim D, seq_len, scale
 *
 * Order: paged_softmax.h. The last sequence may be shorter.
 */
#include "compute/ops/paged_softmax.h"
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

typedef struct block_room {
    float k[LM_MAX_HEAD_DIM * LM_PAGED_BLOCK], v[LM_MAX_HEAD_DIM * LM_PAGED_BLOCK];
} block_room;

/* The block of n positions that begins at `row`. */
static lm_paged_block load_block(const lm_node *node, int64_t row, int64_t n, int64_t kv_head,
                                 block_room *room) {
    int64_t dim = node->attrs.head_dim, width = node->attrs.n_kv_heads * dim;
    for (int64_t j = 0; j < n; j++) {
        int64_t at = (row + j) * width + kv_head * dim;
        memcpy(room->v + j * dim, lm_f32(node->in[2]) + at, (size_t)dim * sizeof(float));
        for (int64_t d = 0; d < dim; d++)
            room->k[d * LM_PAGED_BLOCK + j] = lm_f32(node->in[1])[at + d];
    }
    return (lm_paged_block){.k = room->k,
                            .v = room->v,
                            .k_dim = dim,
                            .v_dim = dim,
                            .stride = LM_PAGED_BLOCK,
                            .n = n};
}

/* One row of one head. */
static void attend(const lm_node *node, int64_t row, int64_t head) {
    const lm_attrs *a = &node->attrs;
    int64_t at = (row * a->n_heads + head) * a->head_dim, first = row - row % a->seq_len;
    block_room room;
    lm_paged_softmax state;
    lm_paged_softmax_init(&state, lm_f32(node->in[0]) + at, a->head_dim, a->scale);
    for (int64_t pos = first; pos <= row; pos += LM_PAGED_BLOCK) {
        int64_t n = row + 1 - pos < LM_PAGED_BLOCK ? row + 1 - pos : LM_PAGED_BLOCK;
        lm_paged_block b = load_block(node, pos, n, head / (a->n_heads / a->n_kv_heads), &room);
        lm_paged_softmax_block(&state, &b, 0.0f);
    }
    lm_f32(node->out[1])[row * a->n_heads + head] =
        lm_paged_softmax_end(&state, lm_f32(node->out[0]) + at, a->head_dim);
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
