/* ATTENTION_PAGED: causal attention of this step's rows over the paged cache    arXiv:2309.06180
 * q                 [R, Hq * D] f32                                    in
 * k_cache, v_cache  ops/paged_cache.h (KV_WRITE's outs)                in
 *                   without v_cache a value is the first Dv elements of its key, whose scale it has: arXiv:2405.04434
 * row_pos           [R] i32: row r attends to positions 0 .. row_pos, to the last `window` of them, or, chunked, to
 *                   those of its own run of `window` positions    in
 * row_seq           [R] i32: its line in block_table                   in
 * block_table       [S, max_blocks] i32: the blocks of a sequence, T positions each     in
 * k_scale, v_scale  of an i8 or i16 cache only                         in
 * sinks             [Hq] f32, optional: a score for each head that joins the softmax and has no value    in
 * row_at            [R] i32, optional: where row r itself is, at most row_pos: it sees what is behind it, too, through a window
 *                   what is at most window / 2 away                    in
 * bias              [Hq, B] f32, optional: added to scores by how far a position is from the row's, which has the last
 *                   element, with row_at the middle one of an odd B    in
 * chosen            [R, K] i32, optional, without v_cache only: a row with more than K positions up to row_pos attends to these of
 *                   them instead, as if they were positions 0 .. K - 1 (CHOOSE)    in
 * out               [R, Hq * Dv] f32                                   out
 * attrs             n_heads Hq, n_kv_heads Hkv (a divisor), head_dim D, scale, window, chunked, soft_cap; value_dim Dv where there
 *                   is no v_cache (at most D), or its values are of another width than D
 *
 * T is a multiple of LM_PAGED_BLOCK. Order: ops/paged_softmax.h, over absolute positions.
 */
#include "compute/ops/paged_cache.h"

static bool cache_ok(const lm_node *node) {
    const lm_tensor *k = node->in[1];
    const lm_attrs *a = &node->attrs;
    const lm_tensor *v = node->in[2];
    if (!lm_paged_cache_ok(k, v, node->in[6], node->in[7])) return false;
    bool values_ok = v ? lm_paged_value_dim(v) == lm_value_dim(a)
                       : a->value_dim > 0 && a->value_dim <= a->head_dim;
    bool pooled = a->ratio > 0 && !v && node->in[11] && lm_pooled_ratio_ok(a->ratio) &&
                  lm_paged_tokens(k) == lm_pooled_tokens(a->ratio);
    return values_ok && lm_paged_n_heads(k) == a->n_kv_heads &&
           lm_paged_head_dim(k) == a->head_dim &&
           (a->ratio > 0 ? pooled : lm_paged_tokens(k) % LM_PAGED_BLOCK == 0);
}

static bool bias_ok(const lm_node *node) {
    const lm_tensor *bias = node->in[10];
    return !bias || (lm_is(bias, LM_F32, 2) && bias->layout == LM_LAYOUT_ROWS &&
                     bias->shape[0] == node->attrs.n_heads && (!node->in[9] || bias->shape[1] % 2));
}

static bool chosen_ok(const lm_node *node) {
    const lm_tensor *chosen = node->in[11];
    if (!chosen) return true;
    return lm_is(chosen, LM_I32, 2) && lm_same_rows(node->in[0], chosen) && !node->in[2] &&
           !node->in[9] && !node->in[10] &&
           (node->attrs.ratio > 0 ? node->attrs.window > 0 && chosen->shape[1] > node->attrs.window
                                  : node->attrs.window == 0);
}

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *q = node->in[0], *row_pos = node->in[3], *row_seq = node->in[4],
                    *table = node->in[5];
    const lm_attrs *a = &node->attrs;
    if (!lm_heads_ok(a) || !cache_ok(node))
        return lm_op_refuse(node, err,
                            "n_heads a multiple of n_kv_heads, k_cache [blocks, n_kv_heads, "
                            "head_dim, T], v_cache [blocks, n_kv_heads, T, value_dim] or value_dim, "
                            "T a multiple of 64, and with i8 and i16 scales [blocks, "
                            "n_kv_heads, T] and an even head_dim");
    if (a->window < 0 || !(a->soft_cap >= 0.0f) ||
        (node->in[8] && (!lm_is(node->in[8], LM_F32, 1) || node->in[8]->shape[0] != a->n_heads)))
        return lm_op_refuse(node, err, "window and soft_cap of 0 or more, sinks [n_heads] f32");
    if (a->chunked && node->in[9])
        return lm_op_refuse(node, err, "no chunks where rows see what is behind them");
    if (!bias_ok(node) ||
        (node->in[9] && (!lm_is(node->in[9], LM_I32, 1) || !lm_same_rows(q, node->in[9]))))
        return lm_op_refuse(node, err, "row_at [R] i32, bias [n_heads, B] f32");
    if (!chosen_ok(node))
        return lm_op_refuse(
            node, err, "chosen [R, K] i32, without v_cache, row_at, bias and, but of LIST, window");
    if (!row_pos || !row_seq || !table || !lm_is(q, LM_F32, 2) ||
        q->shape[1] != a->n_heads * a->head_dim || !lm_is(row_pos, LM_I32, 1) ||
        !lm_is(row_seq, LM_I32, 1) || !lm_is(table, LM_I32, 2) || !lm_same_rows(q, row_pos) ||
        !lm_same_rows(q, row_seq))
        return lm_op_refuse(node, err,
                            "q [R, n_heads * head_dim] f32, row_pos and row_seq [R] i32, "
                            "block_table [S, max_blocks] i32");
    lm_out_rows(out[0], q, a->n_heads * lm_value_dim(a));
    return LOAM_OK;
}

/* n positions of a head, from `token` of a block on or chosen ones, as f32. */
typedef struct block_room {
    float k[LM_MAX_HEAD_DIM * LM_PAGED_BLOCK], v[LM_MAX_HEAD_DIM * LM_PAGED_BLOCK];
    float scale[LM_PAGED_BLOCK];
} block_room;

/* Two rows of n elements, of which each pair has one of each. */
static void load_pairs(const lm_tensor *cache, int64_t at, int64_t n, float *first, float *second) {
    float pairs[2 * LM_MAX_HEAD_DIM];
    lm_load(cache, at, pairs, 2 * n);
    for (int64_t i = 0; i < n; i++) {
        first[i] = pairs[2 * i];
        second[i] = pairs[2 * i + 1];
    }
}

/* Keys [dim][LM_PAGED_BLOCK] of n positions from `token` on, of a head whose keys begin `at`. */
static void load_keys(const lm_tensor *k, int64_t at, int64_t token, int64_t n, float *out) {
    int64_t step = lm_paged_coded(k->dtype) ? 2 : 1;
    for (int64_t d = 0; d < lm_paged_head_dim(k); d += step) {
        float *row = out + d * LM_PAGED_BLOCK;
        int64_t from = at + lm_paged_key_at(k, token, d);
        if (step == 2)
            load_pairs(k, from, n, row, row + LM_PAGED_BLOCK);
        else
            lm_load(k, from, row, n);
    }
}

/* Values [n][dim]; `token` is even. */
static void load_values(const lm_tensor *v, int64_t at, int64_t token, int64_t n, float *out) {
    int64_t dim = lm_paged_value_dim(v), step = lm_paged_coded(v->dtype) ? 2 : 1;
    for (int64_t j = 0; j < n; j += step) {
        int64_t from = at + lm_paged_value_at(v, token + j, 0);
        if (step == 2)
            load_pairs(v, from, dim, out + j * dim, out + (j + 1) * dim);
        else
            lm_load(v, from, out + j * dim, dim);
    }
}

/* Values that are the first elements of n keys. */
static void values_of_keys(const lm_node *node, int64_t n, block_room *room) {
    int64_t value_dim = lm_value_dim(&node->attrs);
    for (int64_t i = 0; i < n * value_dim; i++)
        room->v[i] = room->k[i % value_dim * LM_PAGED_BLOCK + i / value_dim];
}

static lm_paged_block load_block(const lm_node *node, int64_t block, int64_t token, int64_t n,
                                 int64_t kv_head, block_room *room) {
    const lm_tensor *k = node->in[1], *v = node->in[2];
    int64_t dim = lm_paged_head_dim(k), value_dim = lm_value_dim(&node->attrs),
            scale_at = lm_paged_scale_at(k, block, kv_head) + token;
    load_keys(k, lm_paged_at(k, block, kv_head), token, n, room->k);
    if (v)
        load_values(v, lm_paged_at(v, block, kv_head), token, n, room->v);
    else
        values_of_keys(node, n, room);
    const lm_tensor *v_scale = v ? node->in[7] : node->in[6];
    return (lm_paged_block){.k = room->k,
                            .v = room->v,
                            .k_scale = node->in[6] ? lm_f32(node->in[6]) + scale_at : NULL,
                            .v_scale = v_scale ? lm_f32(v_scale) + scale_at : NULL,
                            .k_dim = dim,
                            .v_dim = value_dim,
                            .stride = LM_PAGED_BLOCK,
                            .n = n};
}

/* The n positions of a sequence, whose blocks these are, that `chosen` names. */
static lm_paged_block load_chosen(const lm_node *node, const int32_t *blocks, const int32_t *chosen,
                                  int64_t n, int64_t kv_head, block_room *room) {
    const lm_tensor *k = node->in[1], *scale = node->in[6];
    int64_t dim = lm_paged_head_dim(k), tokens = lm_paged_tokens(k);
    for (int64_t j = 0; j < n; j++) {
        int64_t block = blocks[chosen[j] / tokens], token = chosen[j] % tokens,
                at = lm_paged_at(k, block, kv_head);
        for (int64_t d = 0; d < dim; d++)
            lm_load(k, at + lm_paged_key_at(k, token, d), room->k + d * LM_PAGED_BLOCK + j, 1);
        if (scale)
            room->scale[j] = lm_f32(scale)[lm_paged_scale_at(k, block, kv_head) + token];
    }
    values_of_keys(node, n, room);
    const float *scales = scale ? room->scale : NULL;
    return (lm_paged_block){.k = room->k,
                            .v = room->v,
                            .k_scale = scales,
                            .v_scale = scales,
                            .k_dim = dim,
                            .v_dim = lm_value_dim(&node->attrs),
                            .stride = LM_PAGED_BLOCK,
                            .n = n};
}

/* One row of one head. */
static void attend(const lm_kernel_args *args, int64_t row, int64_t head) {
    const lm_node *node = args->node;
    const lm_attrs *a = &node->attrs;
    int64_t at = (row * a->n_heads + head) * a->head_dim,
            kv_head = head / (a->n_heads / a->n_kv_heads), tokens = lm_paged_tokens(node->in[1]);
    lm_range seen = lm_paged_seen(node, row);
    const float *bias = lm_paged_bias(node, row, head);
    const int32_t *chosen = lm_paged_chosen(node, row);
    const lm_tensor *table = node->in[5];
    const int32_t *blocks = lm_i32(table) + lm_i32(node->in[4])[row] * table->shape[1];
    LM_ASSERT(seen.end <= table->shape[1] * tokens);
    block_room room;
    lm_paged_softmax state;
    lm_paged_softmax_init(&state, lm_f32(node->in[0]) + at, a->head_dim, a->scale);
    if (node->in[6]) lm_paged_softmax_code(&state, a->head_dim);
    if (node->in[8]) lm_paged_softmax_sink(&state, lm_f32(node->in[8])[head]);
    for (int64_t pos = seen.begin - seen.begin % LM_PAGED_BLOCK; pos < seen.end;
         pos += LM_PAGED_BLOCK) {
        int64_t n = seen.end - pos < LM_PAGED_BLOCK ? seen.end - pos : LM_PAGED_BLOCK;
        lm_paged_block b =
            chosen ? load_chosen(node, blocks, chosen + pos, n, kv_head, &room)
                   : load_block(node, blocks[pos / tokens], pos % tokens, n, kv_head, &room);
        b.first = seen.begin > pos ? seen.begin - pos : 0;
        b.bias = bias ? bias + pos : NULL;
        lm_paged_softmax_block(&state, &b, lm_paged_query_scale(a->soft_cap));
    }
    int64_t value_dim = lm_value_dim(a);
    lm_paged_softmax_end(&state, lm_f32(node->out[0]) + (row * a->n_heads + head) * value_dim,
                         value_dim);
}

static void reference(const lm_kernel_args *args) {
    int64_t n_heads = args->node->attrs.n_heads;
    lm_range units = lm_share(args, lm_rows_now(args, args->node->in[0]) * n_heads);
    for (int64_t u = units.begin; u < units.end; u++) attend(args, u / n_heads, u % n_heads);
}

/* Which positions rows attend to is data; the run says how many there are in all (LM_EXTENT_CONTEXT)
 * and how many of the cache's are read at least once (LM_EXTENT_CACHED); of those that a window lets see, or that are chosen, likewise. */
static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    const lm_attrs *a = &node->attrs;
    bool some = a->window > 0 || node->in[11];
    int64_t width = a->head_dim + (node->in[2] ? lm_value_dim(a) : 0),
            position = (int64_t)lm_dtype_bytes(node->in[1]->dtype, a->n_kv_heads * width);
    int64_t context = extents[some ? LM_EXTENT_WINDOW_CONTEXT : LM_EXTENT_CONTEXT],
            cached = extents[some ? LM_EXTENT_WINDOW_CACHED : LM_EXTENT_CACHED];
    for (int i = 6; i < 8; i++)
        if (node->in[i]) position += a->n_kv_heads * (int64_t)sizeof(float);
    out->flops = context * a->n_heads * (2 * (a->head_dim + lm_value_dim(a)) + 4);
    out->bytes = lm_bytes_now(node->in[0], extents) + lm_bytes_now(node->out[0], extents) +
                 lm_bytes_now(node->in[3], extents) + lm_bytes_now(node->in[4], extents) +
                 lm_bytes_now(node->in[5], extents) + lm_bytes_now(node->in[11], extents) +
                 cached * position;
}

extern const lm_op lm_op_attention_paged;
const lm_op lm_op_attention_paged = {
    .name = "attention_paged",
    .min_inputs = 2,
    .max_inputs = 12,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
