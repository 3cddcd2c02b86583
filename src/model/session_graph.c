#include "model/session_graph.h"

#include <math.h>

#include "base/mem.h"
#include "model/rope_table.h"

/* What the forward pass's callbacks need. */
typedef struct build {
    const lm_model *model;
    const lm_hparams *hp;
    lm_kv_cache *cache;
    const lm_session_options *limits;
    lm_session_graph *sg;
} build;

static lm_tensor *param(void *ctx, lm_graph *graph, lm_param_id id, int64_t layer) {
    const build *b = ctx;
    return lm_graph_weight(graph, lm_model_param(b->model, id, layer));
}

static lm_tensor *cache_state(const build *b, lm_graph *graph, const char *name, void *data) {
    int64_t shape[] = {b->limits->n_blocks * LM_KV_BLOCK_TOKENS,
                       b->hp->n_kv_heads * b->hp->head_dim};
    return lm_graph_state(graph, name, b->limits->kv_dtype, 2, shape, data, NULL);
}

static lm_tensor *attend(void *ctx, lm_graph *graph, int64_t layer, lm_tensor *q, lm_tensor *k,
                         lm_tensor *v) {
    const build *b = ctx;
    lm_tensor *keys = cache_state(b, graph, "k_cache", lm_kv_cache_keys(b->cache, layer));
    lm_tensor *values = cache_state(b, graph, "v_cache", lm_kv_cache_values(b->cache, layer));
    keys =
        lm_graph_op(graph, LM_OP_KV_WRITE, &(lm_op_args){.in = {k, v, keys, values, b->sg->slots}});
    values = keys ? lm_graph_out(keys, 1) : NULL;
    lm_attrs attrs = {.n_heads = b->hp->n_heads,
                      .n_kv_heads = b->hp->n_kv_heads,
                      .head_dim = b->hp->head_dim,
                      .block_tokens = LM_KV_BLOCK_TOKENS,
                      .scale = 1.0f / sqrtf((float)b->hp->head_dim)};
    lm_op_args args = {.in = {q, keys, values, b->sg->positions, b->sg->row_seq, b->sg->table},
                       .attrs = attrs};
    return lm_graph_op(graph, LM_OP_ATTENTION_PAGED, &args);
}

static void add_inputs(const build *b) {
    lm_session_graph *sg = b->sg;
    const int64_t rows[] = {b->limits->max_rows}, outs[] = {b->limits->max_outs};
    const int64_t table[] = {b->limits->max_seqs, lm_kv_cache_table_blocks(b->cache)};
    sg->tokens = lm_graph_input(sg->graph, "tokens", LM_I32, LM_EXTENT_ROWS, 1, rows);
    sg->positions = lm_graph_input(sg->graph, "positions", LM_I32, LM_EXTENT_ROWS, 1, rows);
    sg->slots = lm_graph_input(sg->graph, "slots", LM_I32, LM_EXTENT_ROWS, 1, rows);
    sg->row_seq = lm_graph_input(sg->graph, "row_seq", LM_I32, LM_EXTENT_ROWS, 1, rows);
    sg->table = lm_graph_input(sg->graph, "block_table", LM_I32, LM_EXTENT_SEQS, 2, table);
    sg->out_rows = lm_graph_input(sg->graph, "out_rows", LM_I32, LM_EXTENT_OUTS, 1, outs);
}

/* inv_freq: room for rope_dim / 2. */
static loam_status build_graph(const build *b, float *inv_freq, loam_error *err) {
    lm_session_graph *sg = b->sg;
    LM_TRY(lm_graph_new(&sg->graph, err));
    add_inputs(b);
    const int64_t n_pairs[] = {b->hp->rope_dim / 2};
    float rope_scale;
    lm_rope_table(b->hp, b->limits->max_context, inv_freq, &rope_scale);
    lm_forward_inputs inputs = {
        .tokens = sg->tokens,
        .positions = sg->positions,
        .inv_freq = lm_graph_constant(sg->graph, "inv_freq", LM_F32, 1, n_pairs, inv_freq),
        .rope_scale = rope_scale,
        .out_rows = sg->out_rows,
        .param = param,
        .attend = attend,
        .ctx = (void *)b,
    };
    sg->logits = lm_arch_forward(sg->graph, lm_model_config(b->model), &inputs);
    LM_TRY(lm_graph_status(sg->graph, err));
    lm_graph_output(sg->graph, sg->logits);
    return lm_plan_new(sg->graph, lm_model_device(b->model), &sg->plan, err);
}

loam_status lm_session_graph_init(lm_session_graph *sg, const lm_model *model, lm_kv_cache *cache,
                                  const lm_session_options *limits, loam_error *err) {
    const lm_hparams *hp = &lm_model_config(model)->hparams;
    float *inv_freq = lm_calloc(hp->rope_dim / 2, sizeof *inv_freq);
    *sg = (lm_session_graph){0};
    if (!inv_freq) return lm_error_no_memory(err, hp->rope_dim / 2 * sizeof *inv_freq);
    build b = {.model = model, .hp = hp, .cache = cache, .limits = limits, .sg = sg};
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
