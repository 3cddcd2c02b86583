#include "model/session_graph.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "compute/ops/paged_cache.h"
#include "compute/ops/sequence_state.h"
#include "model/rope_table.h"

/* What the forward pass's callbacks need. */
typedef struct build {
    const lm_model *model;
    const lm_hparams *hp;
    lm_kv_cache *cache;
    lm_state_cache *states;
    const lm_session_options *limits;
    lm_session_graph *sg;
    lm_tensor *own, *pooled, *alone; /* PLACE's, of layers of this ratio: */
    int64_t ratio;
    lm_tensor *chosen; /* positions that rows of this layer and those behind it see; NULL: all */
    lm_tensor *written[2][LM_KV_N_PARTS]; /* caches of the last layers without and with a window that wrote to theirs */
} build;

static lm_tensor *param(void *ctx, lm_graph *graph, lm_param_id id, int64_t layer) {
    const build *b = ctx;
    return lm_graph_weight(graph, lm_model_param(b->model, id, layer));
}

/* A part of a layer's cache as a state; NULL where there is none. */
static lm_tensor *cache_state(const build *b, lm_graph *graph, int64_t layer, lm_kv_part part) {
    static const char *const names[] = {"k_cache", "v_cache", "k_scale", "v_scale"};
    void *data = lm_kv_cache_part(b->cache, lm_cached_layer(b->hp, layer), part);
    if (!data) return NULL;
    bool keys = part == LM_KV_KEYS, scales = part >= LM_KV_KEY_SCALES;
    int64_t ratio = lm_pool_ratio(b->hp, layer),
            tokens = ratio > 0 ? lm_pooled_tokens(ratio) : LM_KV_BLOCK_TOKENS;
    int64_t shape[] = {b->limits->n_blocks, lm_kv_heads_at(b->hp, layer),
                       keys ? lm_head_dim_at(b->hp, layer) : tokens,
                       keys ? tokens : lm_value_dim_at(b->hp, layer)};
    return lm_graph_state(graph, names[part], scales ? LM_F32 : b->limits->kv_dtype, scales ? 3 : 4,
                          shape, data, NULL);
}

/* The keys of a layer's indexer; see cache_state. */
static lm_tensor *index_state(const build *b, lm_graph *graph, int64_t layer) {
    int64_t ratio = lm_pool_ratio(b->hp, layer),
            tokens = ratio > 0 ? lm_pooled_in_block(ratio) : LM_KV_BLOCK_TOKENS;
    int64_t shape[] = {b->limits->n_blocks, 1, b->hp->index_dim, tokens};
    void *data = lm_kv_cache_part(b->cache, lm_cached_layer(b->hp, layer), LM_KV_INDEX_KEYS);
    return lm_graph_state(graph, "index_cache", lm_kv_index_dtype(b->limits->kv_dtype), 4, shape,
                          data, NULL);
}

/* Where keys of layers with pooled ones go. */
static void place_keys(build *b, lm_graph *graph, int64_t ratio) {
    if (b->ratio == ratio) return;
    b->ratio = ratio;
    b->own = lm_graph_op(graph, LM_OP_PLACE,
                         &(lm_op_args){.in = {b->sg->slots, b->sg->seen}, .attrs.ratio = ratio});
    b->pooled = b->own ? lm_graph_out(b->own, 1) : NULL;
    b->alone = b->own ? lm_graph_out(b->own, 2) : NULL;
}

/* Writes to the layer's; parts: it, as it is then. */
static void write_cache(const build *b, lm_graph *graph, int64_t layer, lm_tensor *k, lm_tensor *v,
                        lm_tensor *slots, lm_tensor **parts) {
    for (int i = 0; i < LM_KV_INDEX_KEYS; i++)
        parts[i] = cache_state(b, graph, layer, (lm_kv_part)i);
    lm_op_args write = {.in = {k, v, parts[LM_KV_KEYS], parts[LM_KV_VALUES], slots,
                               parts[LM_KV_KEY_SCALES], parts[LM_KV_VALUE_SCALES]}};
    lm_tensor *written = lm_graph_op(graph, LM_OP_KV_WRITE, &write);
    for (int i = 0, n = 0; i < LM_KV_INDEX_KEYS; i++)
        if (parts[i]) parts[i] = lm_graph_out(written, n++);
}

/* Pooled keys go into the layer's cache, too; what is written there behind them is another place. */
static void pool(void *ctx, lm_graph *graph, int64_t layer, lm_tensor *keys) {
    build *b = ctx;
    lm_tensor *parts[LM_KV_N_PARTS];
    place_keys(b, graph, lm_pool_ratio(b->hp, layer));
    write_cache(b, graph, layer, keys, NULL, b->pooled, parts);
}

/* What rows of a layer with pooled keys see. */
static lm_tensor *listed(const build *b, lm_graph *graph, int64_t layer) {
    lm_attrs attrs = lm_arch_attention(lm_model_config(b->model), layer);
    int64_t most = b->limits->max_context / attrs.ratio;
    bool chooses = b->chosen && lm_layer_indexes(b->hp, layer);
    return lm_graph_op(graph, LM_OP_LIST,
                       &(lm_op_args){.in = {b->sg->seen, chooses ? b->chosen : NULL},
                                     .attrs = {.window = attrs.window,
                                               .ratio = attrs.ratio,
                                               .n_used = most > 0 ? most : 1}});
}

static lm_tensor *attend(void *ctx, lm_graph *graph, int64_t layer, lm_tensor *q, lm_tensor *k,
                         lm_tensor *v) {
    build *b = ctx;
    lm_tensor **parts = b->written[lm_layer_in(&b->hp->windowed, layer)];
    int64_t ratio = lm_pool_ratio(b->hp, layer);
    if (ratio > 0) place_keys(b, graph, ratio);
    if (k) write_cache(b, graph, layer, k, v, ratio > 0 ? b->own : b->sg->slots, parts);
    lm_tensor *chosen = ratio > 0                ? listed(b, graph, layer)
                        : b->hp->index_ratio > 0 ? NULL
                                                 : b->chosen;
    const lm_weight *sinks = lm_model_param(b->model, LM_PARAM_SINKS, layer);
    lm_op_args args = {
        .in = {q, parts[LM_KV_KEYS], parts[LM_KV_VALUES], b->sg->seen, b->sg->row_seq, b->sg->table,
               parts[LM_KV_KEY_SCALES], parts[LM_KV_VALUE_SCALES],
               sinks ? lm_graph_weight(graph, sinks) : NULL, b->sg->at, b->sg->bias, chosen},
        .attrs = lm_arch_attention(lm_model_config(b->model), layer)};
    return lm_graph_op(graph, LM_OP_ATTENTION_PAGED, &args);
}

static void choose(void *ctx, lm_graph *graph, int64_t layer, lm_tensor *q, lm_tensor *k,
                   lm_tensor *weights) {
    build *b = ctx;
    int64_t ratio = lm_pool_ratio(b->hp, layer);
    if (ratio > 0) place_keys(b, graph, ratio);
    lm_tensor *slots = ratio > 0 ? b->alone : b->sg->slots;
    lm_tensor *keys =
        lm_graph_op(graph, LM_OP_KV_WRITE,
                    &(lm_op_args){.in = {k, NULL, index_state(b, graph, layer), NULL, slots}});
    b->chosen = lm_graph_op(
        graph, LM_OP_CHOOSE,
        &(lm_op_args){.in = {q, keys, weights, b->sg->seen, b->sg->row_seq, b->sg->table},
                      .attrs = lm_arch_choice(lm_model_config(b->model))});
}

/* An op whose state is a part of the layer's. */
static lm_tensor *keep_state(void *ctx, lm_graph *graph, int64_t layer, lm_state_part part,
                             lm_op_id op, const lm_op_args *args) {
    static const char *const names[] = {"rows_before", "keys_before",  "queries_before",
                                        "pooled",      "index_pooled", "state"};
    const build *b = ctx;
    int64_t shape[4];
    void *data;
    int n_dims = lm_state_cache_part(b->states, layer, part, shape, &data);
    lm_op_args all = *args;
    all.in[LM_IN_STATE] =
        lm_graph_state(graph, names[part], LM_F32, n_dims, shape, data, NULL);
    all.in[LM_IN_ROW_POS] = b->sg->seen;
    all.in[LM_IN_ROW_STATE] = b->sg->states;
    return lm_graph_op(graph, op, &all);
}

static void add_inputs(const build *b) {
    lm_session_graph *sg = b->sg;
    const int64_t rows[] = {b->limits->max_rows}, outs[] = {b->limits->max_outs};
    const int64_t table[] = {b->limits->max_seqs, lm_kv_cache_table_blocks(b->cache)};
    sg->tokens = lm_graph_input(sg->graph, "tokens", LM_I32, LM_EXTENT_ROWS, 1, rows);
    sg->positions = lm_graph_input(sg->graph, "positions", LM_I32, LM_EXTENT_ROWS, 1, rows);
    sg->seen = sg->positions;
    if (b->hp->bidirectional || b->hp->position_offset > 0)
        sg->seen = lm_graph_input(sg->graph, "seen", LM_I32, LM_EXTENT_ROWS, 1, rows);
    bool biased = b->hp->alibi_max > 0 || lm_model_param(b->model, LM_PARAM_DISTANCE_BIAS, 0);
    if (b->hp->bidirectional && (b->hp->window > 0 || biased))
        sg->at = lm_graph_input(sg->graph, "at", LM_I32, LM_EXTENT_ROWS, 1, rows);
    if (lm_model_param(b->model, LM_PARAM_TYPE_EMBED, 0))
        sg->types = lm_graph_input(sg->graph, "types", LM_I32, LM_EXTENT_ROWS, 1, rows);
    sg->slots = lm_graph_input(sg->graph, "slots", LM_I32, LM_EXTENT_ROWS, 1, rows);
    if (b->states)
        sg->states = lm_graph_input(sg->graph, "states", LM_I32, LM_EXTENT_ROWS, 1, rows);
    sg->row_seq = lm_graph_input(sg->graph, "row_seq", LM_I32, LM_EXTENT_ROWS, 1, rows);
    sg->table = lm_graph_input(sg->graph, "block_table", LM_I32, LM_EXTENT_SEQS, 2, table);
    sg->out_rows = lm_graph_input(sg->graph, "out_rows", LM_I32, LM_EXTENT_OUTS, 1, outs);
}

bool lm_session_keeps(const lm_node *node) {
    return node->op == LM_OP_EXPERTS ||
           (node->op == LM_OP_LINEAR && node->in[0]->extent == LM_EXTENT_ROWS);
}

static void keep_factors(lm_graph *graph) {
    for (int i = 0; i < lm_graph_n_nodes(graph); i++) {
        const lm_node *node = lm_graph_node(graph, i);
        if (!lm_session_keeps(node)) continue;
        lm_graph_output(graph, node->in[0]);
        if (node->op == LM_OP_EXPERTS) lm_graph_output(graph, node->in[2]);
    }
}

static lm_tensor *frequencies(const build *b, const char *name, const float *inv_freq,
                              int64_t rope_dim) {
    const int64_t n_pairs[] = {rope_dim / 2};
    return lm_graph_constant(b->sg->graph, name, LM_F32, 1, n_pairs, inv_freq);
}

/* ALiBi's slope of a head, arXiv:2108.12409: of heads beyond a power of two n those of 2n heads, each second one. */
static double slope_of(const lm_hparams *hp, int64_t head) {
    int64_t n = 1;
    while (2 * n <= hp->n_heads) n *= 2;
    double step = hp->alibi_max / (double)n;
    return exp2(-(head < n ? step * (double)(head + 1) : step / 2 * (double)(2 * (head - n) + 1)));
}

/* ALiBi's of a position `distance` behind a row's, [head] of all. */
static void fill_alibi(const build *b, int64_t distance, float *out) {
    lm_attrs attrs = lm_arch_attention(lm_model_config(b->model), 0);
    double scale = lm_model_config(b->model)->arch->alibi_scaled ? attrs.scale : 1;
    for (int64_t head = 0; head < b->hp->n_heads; head++)
        out[head] = (float)(-slope_of(b->hp, head) * scale * (double)llabs(distance));
}

/* The span that a distance lies in, arXiv:1910.10683: each its own at first, then as logarithms up to 128; those behind a row are the
 * second half. In f32, as it was when the biases were learned. */
static int64_t span_of(int64_t distance) {
    enum { HALF = LM_DISTANCE_SPANS / 2, EXACT = HALF / 2, FARTHEST = 128 };
    int64_t n = llabs(distance), span = n;
    if (n >= EXACT)
        span = EXACT + (int64_t)(logf((float)n / EXACT) / (float)log(FARTHEST / EXACT) * EXACT);
    return (span < HALF ? span : HALF - 1) + (distance > 0 ? HALF : 0);
}

static void fill_learned(const build *b, const lm_weight *bias, int64_t distance, float *out) {
    int64_t n = b->hp->n_heads;
    const char *row = (const char *)bias->data + lm_dtype_bytes(bias->dtype, span_of(distance) * n);
    lm_dtype_get(bias->dtype)->unpack(row, out, n);
}

/* Scores' biases by distance; NULL: there are none. */
static lm_tensor *distance_bias(const build *b) {
    const lm_weight *learned = lm_model_param(b->model, LM_PARAM_DISTANCE_BIAS, 0);
    int64_t n = b->limits->max_context, width = b->hp->bidirectional ? 2 * n - 1 : n,
            n_heads = b->hp->n_heads;
    const int64_t shape[] = {n_heads, width};
    if (!learned && !(b->hp->alibi_max > 0)) return NULL;
    if (learned && !lm_device_shares_host_memory(lm_model_device(b->model)))
        return lm_graph_fail(b->sg->graph, LOAM_UNSUPPORTED, "biases by distance on this device");
    float *bias = lm_calloc((size_t)(n_heads * (width + 1)), sizeof *bias);
    if (!bias) return lm_graph_fail(b->sg->graph, LOAM_NO_MEMORY, "no memory for biases");
    float *of_heads = bias + n_heads * width;
    for (int64_t i = 0; i < width; i++) {
        if (learned)
            fill_learned(b, learned, i - (n - 1), of_heads);
        else
            fill_alibi(b, i - (n - 1), of_heads);
        for (int64_t head = 0; head < n_heads; head++) bias[head * width + i] = of_heads[head];
    }
    lm_tensor *table = lm_graph_constant(b->sg->graph, "bias", LM_F32, 2, shape, bias);
    lm_free(bias);
    return table;
}

/* NULL where all are 1. */
static lm_tensor *query_factors(const build *b) {
    const int64_t shape[] = {b->limits->max_context, 1};
    if (!(b->hp->query_growth > 0)) return NULL;
    float *factors = lm_calloc((size_t)shape[0], sizeof *factors);
    if (!factors)
        return lm_graph_fail(b->sg->graph, LOAM_NO_MEMORY, "no memory for factors of queries");
    for (int64_t i = 0; i < shape[0]; i++) factors[i] = (float)lm_query_factor(b->hp, i);
    lm_tensor *table =
        lm_graph_constant(b->sg->graph, "query_factors", LM_F32, 2, shape, factors);
    lm_free(factors);
    return table;
}

/* NULL where positions are not added so. Rows are those of in->positions. */
static lm_tensor *sines(const build *b) {
    lm_sines kind = lm_model_config(b->model)->arch->sines;
    const int64_t shape[] = {b->limits->max_context + b->hp->position_offset, b->hp->dim};
    int64_t n = b->hp->dim / 2;
    if (kind == LM_SINES_NONE) return NULL;
    float *values = lm_calloc((size_t)(shape[0] * shape[1]), sizeof *values);
    if (!values) return lm_graph_fail(b->sg->graph, LOAM_NO_MEMORY, "no memory for positions");
    for (int64_t i = 0; i < n; i++) {
        double share = (double)i / (double)(kind == LM_SINES_TO_END && n > 1 ? n - 1 : n);
        float frequency = (float)pow(10000, -share);
        for (int64_t at = 0; at < shape[0]; at++) {
            double angle = (double)((float)at * frequency);
            values[at * shape[1] + i] = (float)sin(angle);
            values[at * shape[1] + n + i] = (float)cos(angle);
        }
    }
    lm_tensor *table = lm_graph_constant(b->sg->graph, "sines", LM_F32, 2, shape, values);
    lm_free(values);
    return table;
}

/* inv_freq: room for half of either rope_dim. */
static loam_status build_graph(build *b, float *inv_freq, loam_error *err) {
    lm_session_graph *sg = b->sg;
    const lm_arch_config *config = lm_model_config(b->model);
    LM_TRY(lm_graph_new(&sg->graph, err));
    add_inputs(b);
    sg->bias = distance_bias(b);
    float rope_scale;
    lm_tensor *local = NULL, *global = NULL;
    if (b->hp->local_rope_theta > 0) {
        lm_rope_local_table(b->hp, inv_freq);
        local = frequencies(b, "local_inv_freq", inv_freq, lm_local_rope_dim(b->hp));
    }
    lm_rope_table(b->hp, b->limits->max_context, inv_freq, &rope_scale);
    if (!config->arch->no_rope) global = frequencies(b, "inv_freq", inv_freq, b->hp->rope_dim);
    lm_forward_inputs inputs = {
        .tokens = sg->tokens,
        .positions = sg->positions,
        .inv_freq = global,
        .rope_scale = rope_scale,
        .local_inv_freq = local,
        .query_factors = query_factors(b),
        .sines = sines(b),
        .types = sg->types,
        .out_rows = sg->out_rows,
        .head = b->limits->head,
        .param = param,
        .attend = attend,
        .choose = lm_hparams_choose(b->hp, b->limits->max_context) ? choose : NULL,
        .pool = pool,
        .keep_state = keep_state,
        .ctx = b,
    };
    sg->logits = lm_arch_forward(sg->graph, config, &inputs);
    LM_TRY(lm_graph_status(sg->graph, err));
    lm_graph_output(sg->graph, sg->logits);
    if (b->limits->keep_factors) keep_factors(sg->graph);
    return lm_plan_new(sg->graph, lm_model_device(b->model), &sg->plan, err);
}

loam_status lm_session_graph_init(lm_session_graph *sg, const lm_model *model, lm_kv_cache *cache,
                                  lm_state_cache *states, const lm_session_options *limits,
                                  loam_error *err) {
    const lm_hparams *hp = &lm_model_config(model)->hparams;
    int64_t local = lm_local_rope_dim(hp), n = (hp->rope_dim > local ? hp->rope_dim : local) / 2;
    float *inv_freq = lm_calloc(n, sizeof *inv_freq);
    *sg = (lm_session_graph){0};
    if (!inv_freq) return lm_error_no_memory(err, n * sizeof *inv_freq);
    build b = {
        .model = model, .hp = hp, .cache = cache, .states = states, .limits = limits, .sg = sg};
    loam_status status = build_graph(&b, inv_freq, err);
    lm_free(inv_freq);
    if (status != LOAM_OK) lm_session_graph_deinit(sg);
    return status;
}

void lm_session_graph_deinit(lm_session_graph *sg) {
    lm_plan_free(sg->plan);
    lm_graph_free(sg->graph);
    *sg = (lm_session_graph){0};
}
