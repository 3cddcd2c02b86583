/* ATTENTION_PAGED: causal attention of this step's rows over the paged cache    arXiv:2309.06180
 * q                 [R, Hq * D] f32                                    in
 * k_cache, v_cache  [n_slots, Hkv * D] f32|bf16|f16 (KV_WRITE's outs)  in
 * row_pos           [R] i32: row r attends to positions 0 .. row_pos   in
 * row_seq           [R] i32: its line in block_table                   in
 * block_table       [S, max_blocks] i32: position p of sequence s is in slot
 *                   block_table[s, p / block_tokens] * block_tokens + p % block_tokens   in
 * out               [R, Hq * D] f32                                    out
 * attrs             n_heads Hq, n_kv_heads Hkv (a divisor), head_dim D, scale,
 *                   block_tokens (a multiple of LM_ATTENTION_BLOCK)
 *
 * Order: online_softmax.h, over absolute positions.
 */
#include "compute/ops/online_softmax.h"
#include "compute/ops/rules.h"

static bool cache_ok(const lm_tensor *cache, const lm_attrs *a) {
    return cache->n_dims == 2 && lm_is_float(cache) && cache->extent == LM_EXTENT_FIXED &&
           cache->shape[1] == a->n_kv_heads * a->head_dim && cache->shape[0] % a->block_tokens == 0;
}

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *q = node->in[0], *row_pos = node->in[3], *row_seq = node->in[4],
                    *table = node->in[5];
    const lm_attrs *a = &node->attrs;
    if (!lm_heads_ok(a) || a->block_tokens < 1 || a->block_tokens % LM_ATTENTION_BLOCK != 0)
        return lm_op_refuse(
            node, err,
            "n_heads a multiple of n_kv_heads, head_dim in bounds, block_tokens a multiple of 16");
    if (!lm_is(q, LM_F32, 2) || q->shape[1] != a->n_heads * a->head_dim ||
        !cache_ok(node->in[1], a) || !cache_ok(node->in[2], a) || !lm_is(row_pos, LM_I32, 1) ||
        !lm_is(row_seq, LM_I32, 1) || !lm_is(table, LM_I32, 2) || !lm_same_rows(q, row_pos) ||
        !lm_same_rows(q, row_seq))
        return lm_op_refuse(
            node, err,
            "q [R, n_heads * head_dim] f32, k_cache and v_cache [slots, n_kv_heads * head_dim], "
            "row_pos and row_seq [R] i32, block_table [S, max_blocks] i32");
    lm_out_like(out[0], q, LM_F32);
    return LOAM_OK;
}

/* One row of one head. */
static void attend(const lm_kernel_args *args, int64_t row, int64_t head) {
    const lm_node *node = args->node;
    const lm_attrs *a = &node->attrs;
    int64_t dim = a->head_dim, kv_width = a->n_kv_heads * dim,
            at = row * a->n_heads * dim + head * dim;
    int64_t kv_at = head / (a->n_heads / a->n_kv_heads) * dim,
            n_pos = lm_i32(node->in[3])[row] + (int64_t)1;
    const lm_tensor *table = node->in[5];
    const int32_t *blocks = lm_i32(table) + lm_i32(node->in[4])[row] * table->shape[1];
    LM_ASSERT(n_pos <= table->shape[1] * a->block_tokens);
    float k[LM_ATTENTION_BLOCK * LM_MAX_HEAD_DIM], v[LM_ATTENTION_BLOCK * LM_MAX_HEAD_DIM];
    lm_online_softmax state;
    lm_online_softmax_init(&state, dim);
    for (int64_t pos = 0; pos < n_pos; pos += LM_ATTENTION_BLOCK) {
        int64_t n = n_pos - pos < LM_ATTENTION_BLOCK ? n_pos - pos : LM_ATTENTION_BLOCK;
        int64_t slot = blocks[pos / a->block_tokens] * a->block_tokens + pos % a->block_tokens;
        for (int64_t j = 0; j < n; j++) {
            lm_load(node->in[1], (slot + j) * kv_width + kv_at, k + j * dim, dim);
            lm_load(node->in[2], (slot + j) * kv_width + kv_at, v + j * dim, dim);
        }
        lm_online_softmax_block(&state, lm_f32(node->in[0]) + at, k, v, dim, n, dim, a->scale);
    }
    lm_online_softmax_end(&state, lm_f32(node->out[0]) + at, dim);
}

static void reference(const lm_kernel_args *args) {
    int64_t n_heads = args->node->attrs.n_heads;
    lm_range units = lm_share(args, lm_rows_now(args, args->node->in[0]) * n_heads);
    for (int64_t u = units.begin; u < units.end; u++) attend(args, u / n_heads, u % n_heads);
}

/* Which positions rows attend to is data; the run says how many there are in all
 * (LM_EXTENT_CONTEXT). */
static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    const lm_attrs *a = &node->attrs;
    int64_t context = extents[LM_EXTENT_CONTEXT];
    out->flops = context * a->n_heads * (4 * a->head_dim + 4);
    out->bytes =
        2 * lm_bytes_now(node->in[0], extents) + lm_bytes_now(node->in[3], extents) +
        lm_bytes_now(node->in[4], extents) + lm_bytes_now(node->in[5], extents) +
        2 * context * (int64_t)lm_dtype_bytes(node->in[1]->dtype, a->n_kv_heads * a->head_dim);
}

extern const lm_op lm_op_attention_paged;
const lm_op lm_op_attention_paged = {
    .name = "attention_paged",
    .min_inputs = 6,
    .max_inputs = 6,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
