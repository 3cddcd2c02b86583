/* CHOOSE: the positions that an indexer finds best for each row    the lightning indexer of DeepSeek-V3.2
 * q              [R, H * D] f32                                        in
 * k_cache        [n_blocks, 1, D, T] f32, bf16 or f16: ops/paged_cache.h (KV_WRITE's out), one key for all heads    in
 * weights        [R, H] f32                                            in
 * row_pos, row_seq, block_table    as of ATTENTION_PAGED               in
 * chosen         [R, K] i32: of row r's positions 0 .. row_pos the K best, in order of positions; all where there are no more,
 *                and -1 behind them                                    out
 * score          [R, K] f32: what each of them scored; 0 where all are chosen    out
 *                or of pooled keys, where T is lm_pooled_in_block(ratio), the manieth they are, of those that end there
 * attrs          n_heads H, head_dim D, n_used K, scale, ratio
 *
 * score(p) = sum over heads of (weights[h] * scale) * max(q[h] . k[p], 0): s = fmaf(q[d], k[d], s) for d in order, from +0; then the sum
 * fmaf(weights[h] * scale, s, sum) for h in order, from +0. A dot product that is not a number counts as 0, a score as -infinity. Of
 * equal scores the lower position is better. So a position is chosen or not whatever the order in which they are looked at.
 */
#include "compute/ops/choose.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *q = node->in[0], *k = node->in[1], *weights = node->in[2],
                    *row_pos = node->in[3], *row_seq = node->in[4], *table = node->in[5];
    const lm_attrs *a = &node->attrs;
    if (a->n_heads < 1 || a->n_heads > LM_MAX_HEADS || a->head_dim < 1 ||
        a->head_dim > LM_MAX_HEAD_DIM || a->n_used < 1)
        return lm_op_refuse(node, err, "n_heads, head_dim and n_used of reason");
    if (!lm_paged_cache_ok(k, NULL, NULL, NULL) || lm_paged_n_heads(k) != 1 ||
        lm_paged_head_dim(k) != a->head_dim || a->ratio < 0 ||
        (a->ratio > 0
             ? !lm_pooled_ratio_ok(a->ratio) || lm_paged_tokens(k) != lm_pooled_in_block(a->ratio)
             : lm_paged_tokens(k) % LM_PAGED_BLOCK != 0))
        return lm_op_refuse(node, err,
                            "k_cache [blocks, 1, head_dim, T] of floats, T a multiple of 64");
    if (!lm_is(q, LM_F32, 2) || q->shape[1] != a->n_heads * a->head_dim ||
        !lm_is(weights, LM_F32, 2) || weights->shape[1] != a->n_heads ||
        !lm_is(row_pos, LM_I32, 1) || !lm_is(row_seq, LM_I32, 1) || !lm_is(table, LM_I32, 2) ||
        !lm_same_rows(q, weights) || !lm_same_rows(q, row_pos) || !lm_same_rows(q, row_seq))
        return lm_op_refuse(node, err,
                            "q [R, n_heads * head_dim] f32, weights [R, n_heads] f32, row_pos and "
                            "row_seq [R] i32, block_table [S, max_blocks] i32");
    lm_out_rows(out[0], q, a->n_used);
    lm_out_rows(out[1], q, a->n_used);
    out[0]->dtype = LM_I32;
    return LOAM_OK;
}

/* ---- The heap. */

/* Of two kept ones: the other was kept before where scores are equal, at a lower position. */
static bool is_worse(const lm_chosen *c, int64_t i, int64_t other) {
    if (c->score[i] != c->score[other]) return c->score[i] < c->score[other];
    return c->at[i] > c->at[other];
}

static bool is_later(const lm_chosen *c, int64_t i, int64_t other) {
    return c->at[i] > c->at[other];
}

static void swap(lm_chosen *c, int64_t i, int64_t other) {
    int32_t at = c->at[i];
    float score = c->score[i];
    c->at[i] = c->at[other];
    c->score[i] = c->score[other];
    c->at[other] = at;
    c->score[other] = score;
}

/* Lets what is at i sink below those of n that come first. */
static void sink(lm_chosen *c, int64_t i, int64_t n,
                 bool (*first)(const lm_chosen *, int64_t, int64_t)) {
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child >= n) return;
        if (child + 1 < n && first(c, child + 1, child)) child++;
        if (!first(c, child, i)) return;
        swap(c, i, child);
        i = child;
    }
}

static void heap(lm_chosen *c, bool (*first)(const lm_chosen *, int64_t, int64_t)) {
    for (int64_t i = c->n / 2 - 1; i >= 0; i--) sink(c, i, c->n, first);
}

lm_chosen lm_chosen_init(const lm_node *choose, int64_t row) {
    int64_t most = choose->attrs.n_used;
    return (lm_chosen){.at = (int32_t *)choose->out[0]->data + row * most,
                       .score = lm_f32(choose->out[1]) + row * most,
                       .most = most};
}

void lm_chosen_offer(lm_chosen *c, const float *scores, int64_t first, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float score = scores[i] == scores[i] ? scores[i] : -INFINITY;
        bool full = c->n == c->most;
        if (full && !(score > c->score[0])) continue;
        int64_t to = full ? 0 : c->n++;
        c->at[to] = (int32_t)(first + i);
        c->score[to] = score;
        if (full)
            sink(c, 0, c->n, is_worse);
        else if (c->n == c->most)
            heap(c, is_worse);
    }
}

void lm_chosen_end(lm_chosen *c) {
    heap(c, is_later);
    for (int64_t n = c->n - 1; n > 0; n--) {
        swap(c, 0, n);
        sink(c, 0, n, is_later);
    }
}

void lm_choose_all(const lm_node *choose, int64_t row) {
    lm_chosen c = lm_chosen_init(choose, row);
    for (int64_t i = 0; i < c.most; i++) {
        c.at[i] = i < lm_paged_choices(choose, row) ? (int32_t)i : -1;
        c.score[i] = 0.0f;
    }
}

/* ---- The reference. */

/* keys [D][LM_PAGED_BLOCK] */
static float score_of(const lm_node *node, int64_t row, const float *keys, int64_t j) {
    const lm_attrs *a = &node->attrs;
    const float *q = lm_f32(node->in[0]) + row * a->n_heads * a->head_dim,
                *weights = lm_f32(node->in[2]) + row * a->n_heads;
    float sum = 0.0f;
    for (int64_t h = 0; h < a->n_heads; h++) {
        float s = 0.0f;
        for (int64_t d = 0; d < a->head_dim; d++)
            s = fmaf(q[h * a->head_dim + d], keys[d * LM_PAGED_BLOCK + j], s);
        sum = fmaf(weights[h] * a->scale, s > 0.0f ? s : 0.0f, sum);
    }
    return sum;
}

static void choose(const lm_node *node, int64_t row) {
    const lm_tensor *k = node->in[1], *table = node->in[5];
    const int32_t *blocks = lm_i32(table) + lm_i32(node->in[4])[row] * table->shape[1];
    int64_t n_pos = lm_paged_choices(node, row), tokens = lm_paged_tokens(k),
            each = node->attrs.ratio > LM_PAGED_BLOCK ? node->attrs.ratio / LM_PAGED_BLOCK : 1,
            piece = tokens < LM_PAGED_BLOCK ? tokens : LM_PAGED_BLOCK;
    float keys[LM_MAX_HEAD_DIM * LM_PAGED_BLOCK], scores[LM_PAGED_BLOCK];
    lm_chosen chosen = lm_chosen_init(node, row);
    LM_ASSERT(n_pos * each <= table->shape[1] * tokens);
    for (int64_t pos = 0; pos < n_pos; pos += piece) {
        int64_t n = n_pos - pos < piece ? n_pos - pos : piece,
                at = lm_paged_at(k, blocks[(pos / tokens + 1) * each - 1], 0);
        for (int64_t d = 0; d < node->attrs.head_dim; d++)
            lm_load(k, at + lm_paged_key_at(k, pos % tokens, d), keys + d * LM_PAGED_BLOCK, n);
        for (int64_t j = 0; j < n; j++) scores[j] = score_of(node, row, keys, j);
        lm_chosen_offer(&chosen, scores, pos, n);
    }
    lm_chosen_end(&chosen);
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    lm_range rows = lm_share(args, lm_rows_now(args, node->in[0]));
    for (int64_t row = rows.begin; row < rows.end; row++)
        (lm_paged_chooses(node, row, node->attrs.n_used) ? choose : lm_choose_all)(node, row);
}

/* Of rows that see more than may be chosen all that they see is scored: counted for all of them. */
static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    const lm_attrs *a = &node->attrs;
    int64_t position = (int64_t)lm_dtype_bytes(node->in[1]->dtype, a->head_dim);
    out->flops = extents[LM_EXTENT_CONTEXT] * a->n_heads * (2 * a->head_dim + 3);
    out->bytes = extents[LM_EXTENT_CACHED] * position + lm_bytes_now(node->out[0], extents) +
                 lm_bytes_now(node->out[1], extents);
    for (int i = 0; i < node->n_inputs; i++)
        if (i != 1) out->bytes += lm_bytes_now(node->in[i], extents);
}

extern const lm_op lm_op_choose;
const lm_op lm_op_choose = {
    .name = "choose",
    .min_inputs = 6,
    .max_inputs = 6,
    .n_outputs = 2,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
