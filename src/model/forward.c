/* The forward pass of all models: blocks of attention (arXiv:1706.03762, grouped-query arXiv:2305.13245) and MLP, gated
 * (arXiv:2002.05202) or not, with what their descriptor says around them. The contract stands in arch.h. */
#include "base/mem.h"
#include "model/arch.h"

#include <math.h>

/* The builder's tools: graph, config and inputs at hand, and the ops that need no attributes by name. */
typedef struct builder {
    lm_graph *graph;
    const lm_hparams *hp;
    const lm_arch_config *config;
    const lm_forward_inputs *in;
    int64_t layer;
    lm_tensor *entering;     /* the stream as the layer found it */
    lm_tensor *bygone;       /* [rows, n * dim] what it was where it began anew; NULL: it did not */
    lm_tensor *
        *late; /* what experts of this layer say that is added behind the next; NULL: nothing */
    lm_tensor *layer_inputs; /* [rows, n_layers * layer_input_dim]; NULL: there are none */
} builder;

static lm_tensor *param(const builder *b, lm_param_id id) {
    return b->in->param(b->in->ctx, b->graph, id, lm_param_has_layer(id) ? b->layer : 0);
}

static lm_tensor *param_or_none(const builder *b, lm_param_id id) {
    return lm_param_at(b->config, id, lm_param_has_layer(id) ? b->layer : 0) ? param(b, id) : NULL;
}

static lm_tensor *add(const builder *b, lm_tensor *x, lm_tensor *y) {
    return lm_graph_op(b->graph, LM_OP_ADD, &(lm_op_args){.in = {x, y}});
}

/* The type of what enters a matrix product. */
static lm_dtype factor_dtype(const builder *b) {
    return b->in->bf16_products ? LM_BF16 : LM_F32;
}

static lm_tensor *factor(const builder *b, lm_tensor *x) {
    if (!b->in->bf16_products) return x;
    return lm_graph_op(b->graph, LM_OP_CAST, &(lm_op_args){.in = {x}, .attrs.dtype = LM_BF16});
}

static lm_tensor *mapped(const builder *b, lm_tensor *x, lm_function function, double scale) {
    return lm_graph_op(
        b->graph, LM_OP_MAP,
        &(lm_op_args){.in = {x}, .attrs = {.function = function, .scale = (float)scale}});
}

/* Times a factor that is 0 where there is none. */
static lm_tensor *scaled(const builder *b, lm_tensor *x, double scale) {
    return scale > 0 && scale != 1 ? mapped(b, x, LM_FN_SCALE, scale) : x;
}

/* n numbers, all alike but the first. */
static lm_tensor *numbers(const builder *b, float first, float others, int64_t n) {
    const int64_t shape[] = {n};
    float *values = lm_alloc((size_t)n * sizeof *values);
    if (!values) return lm_graph_fail(b->graph, LOAM_NO_MEMORY, "no memory for constants");
    for (int64_t i = 0; i < n; i++) values[i] = i == 0 ? first : others;
    lm_tensor *w = lm_graph_constant(b->graph, "numbers", LM_F32, 1, shape, values);
    lm_free(values);
    return w;
}

/* The weight of a norm that learns nothing. */
static lm_tensor *ones(const builder *b, int64_t n) {
    return numbers(b, 1, 1, n);
}

/* bias: LM_PARAM_COUNT for a norm that never has one. */
static lm_tensor *norm(const builder *b, lm_tensor *x, lm_param_id weight, lm_param_id bias,
                       lm_dtype dtype) {
    bool layer_norm = lm_arch_has(b->config, LM_FEATURE_LAYER_NORM);
    lm_tensor *shift = layer_norm && bias != LM_PARAM_COUNT ? param_or_none(b, bias) : NULL;
    lm_tensor *w = param_or_none(b, weight);
    if (!w && !layer_norm) w = ones(b, b->hp->dim);
    bool behind = weight == LM_PARAM_POST_ATTN_NORM || weight == LM_PARAM_POST_MLP_NORM;
    bool latent = weight == LM_PARAM_Q_LATENT_NORM || weight == LM_PARAM_KV_LATENT_NORM;
    double own_eps = behind ? b->hp->post_norm_eps : 0;
    if (latent) own_eps = b->config->arch->latent_norm_eps;
    lm_attrs attrs = {.eps = (float)(own_eps > 0 ? own_eps : b->hp->rms_norm_eps), .dtype = dtype};
    return lm_graph_op(b->graph, layer_norm ? LM_OP_LAYER_NORM : LM_OP_RMS_NORM,
                       &(lm_op_args){.in = {x, w, shift}, .attrs = attrs});
}

/* Whether there is a norm, with parameters or without. */
static bool norms(const builder *b, lm_param_id weight) {
    return lm_arch_has(b->config, lm_param_feature(weight)) &&
           !(lm_param_has_layer(weight) && lm_arch_lacks_norm(b->config, weight, b->layer));
}

static lm_tensor *linear(const builder *b, lm_tensor *x, lm_param_id weight, lm_param_id bias);

/* What is normed by that weight, through its gate where it has one. */
static lm_tensor *norm_gated(const builder *b, lm_tensor *x, lm_param_id weight) {
    bool of_mlp = weight == LM_PARAM_MLP_NORM;
    lm_param_id down = of_mlp ? LM_PARAM_MLP_NORM_GATE_DOWN : LM_PARAM_ATTN_NORM_GATE_DOWN,
                up = of_mlp ? LM_PARAM_MLP_NORM_GATE_UP : LM_PARAM_ATTN_NORM_GATE_UP;
    bool has_gates = of_mlp || weight == LM_PARAM_ATTN_NORM;
    if (!has_gates || !lm_param_at(b->config, down, b->layer)) return x;
    lm_tensor *gate = mapped(b, linear(b, x, down, LM_PARAM_COUNT), LM_FN_SILU, 0);
    gate = linear(b, gate, up, LM_PARAM_COUNT);
    return lm_graph_op(b->graph, LM_OP_MAP,
                       &(lm_op_args){.in = {gate, x}, .attrs.function = LM_FN_SIGMOID});
}

/* What a block reads: normed where the model norms before. */
static lm_tensor *read_residual(const builder *b, lm_tensor *x, lm_param_id weight,
                                lm_param_id bias) {
    if (!norms(b, weight)) return factor(b, x);
    return norm_gated(b, norm(b, x, weight, bias, factor_dtype(b)), weight);
}

/* The residual stream behind an addition: normed where the model norms the stream itself. */
static lm_tensor *settled(const builder *b, lm_tensor *x, lm_param_id weight, lm_param_id bias) {
    return norms(b, weight) ? norm(b, x, weight, bias, LM_F32) : x;
}

/* What a block adds: normed where the model norms behind, and scaled. */
static lm_tensor *to_residual(const builder *b, lm_tensor *y, lm_param_id weight) {
    if (norms(b, weight)) y = norm(b, y, weight, LM_PARAM_COUNT, LM_F32);
    return scaled(b, y, b->hp->residual_scale);
}

/* bias: LM_PARAM_COUNT for a product that never has one. */
static lm_tensor *linear(const builder *b, lm_tensor *x, lm_param_id weight, lm_param_id bias) {
    lm_tensor *read = scaled(b, x, lm_product_factor(b->hp, weight));
    return lm_graph_op(
        b->graph, LM_OP_LINEAR,
        &(lm_op_args){.in = {read, param(b, weight),
                             bias == LM_PARAM_COUNT ? NULL : param_or_none(b, bias)}});
}

/* Rotation by position of elements from `first` on of each head. x [rows, n_heads * head_dim]. */
static lm_tensor *turn_by(const builder *b, lm_tensor *x, int64_t n_heads, int64_t head_dim,
                          lm_attrs attrs) {
    const lm_forward_inputs *in = b->in;
    bool local = in->local_inv_freq && lm_layer_in(&b->hp->windowed, b->layer);
    attrs.n_heads = n_heads;
    attrs.head_dim = head_dim;
    attrs.scale = local ? 1.0f : in->rope_scale;
    attrs.inverse ^= b->config->arch->rope_backwards;
    return lm_graph_op(
        b->graph, LM_OP_ROPE,
        &(lm_op_args){.in = {x, in->positions, local ? in->local_inv_freq : in->inv_freq},
                      .attrs = attrs});
}

static lm_tensor *turn_as(const builder *b, lm_tensor *x, int64_t n_heads, int64_t head_dim,
                          int64_t first, lm_rope_layout layout) {
    return turn_by(b, x, n_heads, head_dim,
                   (lm_attrs){.first = first, .interleaved = layout == LM_ROPE_INTERLEAVED});
}

static lm_tensor *turn(const builder *b, lm_tensor *x, int64_t n_heads, int64_t head_dim) {
    return turn_as(b, x, n_heads, head_dim, 0, b->hp->rope_layout);
}

/* The norm of queries or keys: a layer norm is of each head alone, but of few models. */
static lm_tensor *head_norm(const builder *b, lm_tensor *x, lm_param_id weight, int64_t n_heads) {
    bool layer_norm = lm_arch_has(b->config, LM_FEATURE_LAYER_NORM);
    lm_param_id bias = weight == LM_PARAM_Q_NORM ? LM_PARAM_Q_NORM_BIAS : LM_PARAM_K_NORM_BIAS;
    lm_tensor *shift = layer_norm ? param_or_none(b, bias) : NULL;
    bool apart = layer_norm && !b->config->arch->heads_normed_together;
    lm_attrs attrs = {.eps = (float)b->hp->rms_norm_eps, .n_heads = apart ? n_heads : 0};
    return lm_graph_op(b->graph, layer_norm ? LM_OP_LAYER_NORM : LM_OP_RMS_NORM,
                       &(lm_op_args){.in = {x, param(b, weight), shift}, .attrs = attrs});
}

/* Bounded where the model bounds queries, keys and values. */
static lm_tensor *clipped(const builder *b, lm_tensor *x) {
    return b->hp->qkv_clip > 0 ? mapped(b, x, LM_FN_CLAMP, b->hp->qkv_clip) : x;
}

/* Every head divided by its root mean square. */
static lm_tensor *unit(const builder *b, lm_tensor *x) {
    return lm_graph_op(b->graph, LM_OP_RMS_NORM,
                       &(lm_op_args){.in = {x, ones(b, lm_head_dim_at(b->hp, b->layer))},
                                     .attrs.eps = (float)b->hp->rms_norm_eps});
}

/* What becomes queries or keys: normed where the model does that, and turned. */
static lm_tensor *placed(const builder *b, lm_tensor *x, lm_param_id norm_weight, int64_t n_heads) {
    bool normed = norms(b, norm_weight), behind = b->config->arch->norm_behind_rope;
    if (normed && !behind) x = head_norm(b, x, norm_weight, n_heads);
    x = clipped(b, x);
    bool turns = b->in->inv_freq && !lm_layer_in(&b->hp->no_rope, b->layer);
    if (turns) x = turn(b, x, n_heads, lm_head_dim_at(b->hp, b->layer));
    if (turns && b->hp->unit_heads) x = unit(b, x);
    return normed && behind ? head_norm(b, x, norm_weight, n_heads) : x;
}

/* What there is of each row, or of each of its choices, weighted and added. */
static lm_tensor *mixed(const builder *b, lm_tensor *x, lm_tensor *weights) {
    return lm_graph_op(b->graph, LM_OP_MIX, &(lm_op_args){.in = {x, weights}});
}

/* Queries times their positions' factors. */
static lm_tensor *grown(const builder *b, lm_tensor *q) {
    if (!b->in->query_factors) return q;
    if (b->hp->growth_unturned && !lm_layer_in(&b->hp->no_rope, b->layer)) return q;
    lm_tensor *factors = lm_graph_op(
        b->graph, LM_OP_EMBED, &(lm_op_args){.in = {b->in->query_factors, b->in->positions}});
    return mixed(b, q, factors);
}

/* Normed in front of the last matrix of a block where the model does that. */
static lm_tensor *sub_normed(const builder *b, lm_tensor *x, lm_param_id weight) {
    return norms(b, weight) ? norm(b, x, weight, LM_PARAM_COUNT, factor_dtype(b)) : factor(b, x);
}

/* What heads attended to, as the output matrix reads it. */
static lm_tensor *gated(const builder *b, lm_tensor *x, lm_tensor *y) {
    if (!lm_param_in(b->config, LM_PARAM_Q_GATE)) return y;
    lm_tensor *gate = linear(b, x, LM_PARAM_Q_GATE, LM_PARAM_COUNT);
    lm_function function = b->config->arch->soft_gates ? LM_FN_SOFTPLUS : LM_FN_SIGMOID;
    if (!b->hp->gate_by_head)
        return lm_graph_op(b->graph, LM_OP_MAP,
                           &(lm_op_args){.in = {gate, y}, .attrs.function = function});
    return lm_graph_op(b->graph, LM_OP_MIX,
                       &(lm_op_args){.in = {y, mapped(b, gate, function, 0)},
                                     .attrs.n_groups = lm_heads_at(b->hp, b->layer)});
}

/* k: the keys before norm and rope, which may be the values as well. */
static lm_tensor *values(const builder *b, lm_tensor *x, lm_tensor *k) {
    bool shared = lm_layer_in(&b->hp->keys_are_values, b->layer);
    lm_tensor *v = clipped(b, shared ? k : linear(b, x, LM_PARAM_V, LM_PARAM_V_BIAS));
    v = scaled(b, v, b->hp->value_scale);
    return b->config->arch->unit_values ? unit(b, v) : v;
}

/* What matrices of three values read, where they read 8 bits. */
static lm_tensor *rounded(const builder *b, lm_tensor *x) {
    if (!b->hp->rounded_reads) return x;
    return lm_graph_op(b->graph, LM_OP_ROUND_ROWS, &(lm_op_args){.in = {x}});
}

static lm_tensor *attention(const builder *b, lm_tensor *x) {
    x = rounded(b, x);
    bool keeps = lm_layer_keeps(b->hp, b->layer);
    lm_tensor *q = linear(b, x, LM_PARAM_Q, LM_PARAM_Q_BIAS);
    lm_tensor *k = keeps ? linear(b, x, LM_PARAM_K, LM_PARAM_K_BIAS) : NULL;
    lm_tensor *v = keeps ? values(b, x, k) : NULL;
    q = grown(b, placed(b, q, LM_PARAM_Q_NORM, lm_heads_at(b->hp, b->layer)));
    if (keeps) k = placed(b, k, LM_PARAM_K_NORM, lm_kv_heads_at(b->hp, b->layer));
    lm_tensor *y = gated(b, x, b->in->attend(b->in->ctx, b->graph, b->layer, q, k, v));
    y = rounded(b, sub_normed(b, y, LM_PARAM_ATTN_SUB_NORM));
    return linear(b, y, LM_PARAM_OUT, LM_PARAM_OUT_BIAS);
}

/* Each head's elements of `rest` behind those of x. */
static lm_tensor *joined(const builder *b, lm_tensor *x, lm_tensor *rest, int64_t n_heads) {
    return lm_graph_op(b->graph, LM_OP_JOIN,
                       &(lm_op_args){.in = {x, rest}, .attrs.n_heads = n_heads});
}

static lm_tensor *by_head(const builder *b, lm_tensor *x, lm_param_id weight) {
    return lm_graph_op(b->graph, LM_OP_HEAD_LINEAR, &(lm_op_args){.in = {x, param(b, weight)}});
}

/* The lightning indexer of DeepSeek-V3.2, arXiv:2512.02556. q_latent: what queries are made from. The Hadamard rotation that published
 * code puts behind rope, of queries and keys alike, changes no product of the two. */
static void choose_positions(const builder *b, lm_tensor *x, lm_tensor *q_latent) {
    const lm_hparams *hp = b->hp;
    const lm_arch *arch = b->config->arch;
    double eps = arch->index_eps_alike ? hp->rms_norm_eps : 1e-6;
    int64_t first = arch->index_turns_last ? hp->index_dim - hp->rope_dim : 0;
    lm_rope_layout layout = arch->index_half_split ? LM_ROPE_HALF_SPLIT : hp->rope_layout;
    lm_tensor *q = linear(b, q_latent, LM_PARAM_INDEX_Q, LM_PARAM_COUNT);
    lm_tensor *k = lm_graph_op(
        b->graph, LM_OP_LAYER_NORM,
        &(lm_op_args){.in = {linear(b, x, LM_PARAM_INDEX_K, LM_PARAM_COUNT),
                             param(b, LM_PARAM_INDEX_K_NORM), param(b, LM_PARAM_INDEX_K_NORM_BIAS)},
                      .attrs.eps = (float)eps});
    q = turn_as(b, q, hp->index_heads, hp->index_dim, first, layout);
    k = turn_as(b, k, 1, hp->index_dim, first, layout);
    lm_tensor *weights = linear(b, x, LM_PARAM_INDEX_WEIGHTS, LM_PARAM_COUNT);
    b->in->choose(b->in->ctx, b->graph, b->layer, q, k, weights);
}

/* Multi-head latent attention, arXiv:2405.04434, with the matrices that make keys and values out of a latent vector applied to
 * queries and to what is attended instead: all heads then read one key, and values are its first elements. */
static lm_tensor *latent_attention(const builder *b, lm_tensor *x) {
    int64_t n_heads = b->hp->n_heads, rope_dim = b->hp->rope_dim;
    lm_tensor *from = x, *latent = NULL;
    if (b->hp->q_latent_dim > 0) {
        latent = linear(b, x, LM_PARAM_Q_DOWN, LM_PARAM_COUNT);
        from = norm(b, latent, LM_PARAM_Q_LATENT_NORM, LM_PARAM_COUNT, LM_F32);
    }
    from = scaled(b, from, b->hp->q_latent_scale);
    if (b->in->choose && lm_layer_indexes(b->hp, b->layer)) choose_positions(b, x, from);
    bool both = b->config->arch->latent_gates;
    if (both) from = joined(b, from, latent, 1);
    lm_tensor *q = by_head(b, linear(b, from, LM_PARAM_Q_NOPE, LM_PARAM_COUNT), LM_PARAM_K_UP);
    bool turns = b->in->inv_freq != NULL;
    lm_tensor *q_rope = linear(b, from, LM_PARAM_Q_ROPE, LM_PARAM_COUNT);
    if (turns) q_rope = turn(b, q_rope, n_heads, rope_dim);
    q = grown(b, joined(b, q, q_rope, n_heads));
    lm_tensor *k = norm(b, linear(b, x, LM_PARAM_KV_DOWN, LM_PARAM_COUNT), LM_PARAM_KV_LATENT_NORM,
                        LM_PARAM_COUNT, LM_F32);
    k = scaled(b, k, b->hp->latent_scale);
    lm_tensor *k_rope = linear(b, x, LM_PARAM_K_ROPE, LM_PARAM_COUNT);
    if (turns) k_rope = turn(b, k_rope, 1, rope_dim);
    k = joined(b, k, k_rope, 1);
    lm_tensor *y = b->in->attend(b->in->ctx, b->graph, b->layer, q, k, NULL);
    y = gated(b, both ? from : x, by_head(b, y, LM_PARAM_V_UP));
    return linear(b, y, LM_PARAM_OUT, LM_PARAM_OUT_BIAS);
}

static lm_tensor *keep_state(const builder *b, lm_state_part part, lm_op_id op,
                             const lm_op_args *args) {
    return b->in->keep_state(b->in->ctx, b->graph, b->layer, part, op, args);
}

/* How the last elements of heads turn, backwards or of keys that stand for `ratio` positions. */
static lm_tensor *turn_last(const builder *b, lm_tensor *x, int64_t n_heads, int64_t head_dim,
                            int64_t ratio, bool back) {
    return turn_by(b, x, n_heads, head_dim,
                   (lm_attrs){.first = head_dim - b->hp->rope_dim,
                              .interleaved = b->hp->rope_layout == LM_ROPE_INTERLEAVED,
                              .inverse = back,
                              .ratio = ratio});
}

/* Keys that stand for several positions: the compressor of DeepSeek-V4, for attention or for its indexer, whose parameters begin with `first`. */
static lm_tensor *pooled_keys(const builder *b, lm_tensor *x, lm_param_id first, int64_t width,
                              lm_state_part part) {
    int64_t ratio = lm_pool_ratio(b->hp, b->layer);
    lm_op_args args = {.in = {linear(b, x, first, LM_PARAM_COUNT),
                              linear(b, x, first + 1, LM_PARAM_COUNT), param(b, first + 2)},
                       .attrs = {.ratio = ratio, .head_dim = width}};
    lm_tensor *y = keep_state(b, part, LM_OP_POOL, &args);
    y = norm(b, y, first + 3, LM_PARAM_COUNT, LM_F32);
    return turn_last(b, y, 1, width, ratio, false);
}

/* The indexer of pooled keys. */
static void choose_pooled(const builder *b, lm_tensor *x, lm_tensor *q_latent) {
    const lm_hparams *hp = b->hp;
    lm_tensor *q = linear(b, q_latent, LM_PARAM_INDEX_Q, LM_PARAM_COUNT);
    q = turn_last(b, q, hp->index_heads, hp->index_dim, 0, false);
    lm_tensor *k = pooled_keys(b, x, LM_PARAM_INDEX_POOL, hp->index_dim, LM_STATE_INDEX_POOL);
    b->in->choose(b->in->ctx, b->graph, b->layer, q, k,
                  linear(b, x, LM_PARAM_INDEX_WEIGHTS, LM_PARAM_COUNT));
}

/* DeepSeek-V4's: all heads read one key, which is their value, so that what they attended to is turned back; groups of heads are made
 * narrow in front of the stream. Layers see keys in a window, and most of them pooled ones beside. */
static lm_tensor *pooled_attention(const builder *b, lm_tensor *x) {
    int64_t n_heads = b->hp->n_heads, dim = b->hp->head_dim;
    lm_tensor *from = norm(b, linear(b, x, LM_PARAM_Q_DOWN, LM_PARAM_COUNT), LM_PARAM_Q_LATENT_NORM,
                           LM_PARAM_COUNT, LM_F32);
    lm_tensor *q = unit(b, linear(b, from, LM_PARAM_Q_UP, LM_PARAM_COUNT)),
              *k = norm(b, linear(b, x, LM_PARAM_KEY, LM_PARAM_COUNT), LM_PARAM_KEY_NORM,
                        LM_PARAM_COUNT, LM_F32);
    if (lm_pool_ratio(b->hp, b->layer) > 0) {
        if (b->in->choose && lm_layer_indexes(b->hp, b->layer)) choose_pooled(b, x, from);
        b->in->pool(b->in->ctx, b->graph, b->layer,
                    pooled_keys(b, x, LM_PARAM_POOL, dim, LM_STATE_POOL));
    }
    q = turn_last(b, q, n_heads, dim, 0, false);
    k = turn_last(b, k, 1, dim, 0, false);
    lm_tensor *y = b->in->attend(b->in->ctx, b->graph, b->layer, q, k, NULL);
    y = by_head(b, turn_last(b, y, n_heads, dim, 0, true), LM_PARAM_OUT_DOWN);
    return linear(b, y, LM_PARAM_OUT_UP, LM_PARAM_COUNT);
}

/* Element by element, or all by the number that y is. */
static lm_tensor *times(const builder *b, lm_tensor *x, lm_tensor *y) {
    return lm_graph_op(b->graph, LM_OP_MAP,
                       &(lm_op_args){.in = {x, y}, .attrs = {.function = LM_FN_SCALE, .scale = 1}});
}

/* bias: LM_PARAM_COUNT for a convolution that never has one. */
static lm_tensor *convolved(const builder *b, lm_tensor *x, lm_state_part part, lm_param_id kernel,
                            lm_param_id bias, bool silu) {
    lm_tensor *shift = bias == LM_PARAM_COUNT ? NULL : param_or_none(b, bias);
    return keep_state(b, part, LM_OP_CAUSAL_CONV,
                      &(lm_op_args){.in = {x, param(b, kernel), shift}, .attrs.silu = silu});
}

/* A convolution of a few rows between two gates: LFM2, arXiv:2511.23404. */
static lm_tensor *short_conv(const builder *b, lm_tensor *x) {
    lm_tensor *in_gate = linear(b, x, LM_PARAM_CONV_IN_GATE, LM_PARAM_COUNT),
              *out_gate = linear(b, x, LM_PARAM_CONV_OUT_GATE, LM_PARAM_COUNT);
    lm_tensor *y = times(b, in_gate, linear(b, x, LM_PARAM_CONV_IN, LM_PARAM_COUNT));
    y = times(b, out_gate, convolved(b, y, LM_STATE_ROWS, LM_PARAM_CONV, LM_PARAM_COUNT, false));
    return linear(b, y, LM_PARAM_CONV_OUT, LM_PARAM_COUNT);
}

/* Keys or queries of recurrent layers, each of length `length`. */
static lm_tensor *unit_heads(const builder *b, lm_tensor *x, float length) {
    enum { MAX_WIDTH = LM_MAX_HEAD_DIM };
    const float eps = 1e-6f; /* beside the sum of squares, whatever the model's */
    int64_t n = b->hp->state_key_dim;
    float weights[MAX_WIDTH];
    LM_ASSERT(n <= MAX_WIDTH); /* lm_hparams_check has seen it */
    for (int64_t i = 0; i < n; i++) weights[i] = length / sqrtf((float)n);
    lm_tensor *w = lm_graph_constant(b->graph, "unit", LM_F32, 1, &n, weights);
    return lm_graph_op(b->graph, LM_OP_RMS_NORM,
                       &(lm_op_args){.in = {x, w}, .attrs.eps = eps / (float)n});
}

static lm_tensor *state_queries(const builder *b, lm_tensor *x) {
    return convolved(b, linear(b, x, LM_PARAM_STATE_Q, LM_PARAM_COUNT), LM_STATE_QUERIES,
                     LM_PARAM_CONV_Q, LM_PARAM_CONV_Q_BIAS, true);
}

static lm_tensor *state_keys(const builder *b, lm_tensor *x) {
    return convolved(b, linear(b, x, LM_PARAM_STATE_K, LM_PARAM_COUNT), LM_STATE_KEYS,
                     LM_PARAM_CONV_K, LM_PARAM_CONV_K_BIAS, true);
}

static lm_tensor *state_values(const builder *b, lm_tensor *x) {
    return convolved(b, linear(b, x, LM_PARAM_STATE_V, LM_PARAM_COUNT), LM_STATE_ROWS,
                     LM_PARAM_CONV_V, LM_PARAM_CONV_V_BIAS, true);
}

static lm_tensor *state_steps(const builder *b, lm_tensor *x) {
    lm_param_id weight = LM_PARAM_STATE_STEP;
    if (lm_param_in(b->config, LM_PARAM_STEP_UP)) {
        x = linear(b, x, weight, LM_PARAM_COUNT);
        weight = LM_PARAM_STEP_UP;
    }
    lm_tensor *steps = linear(b, x, weight, LM_PARAM_STATE_STEP_BIAS);
    return b->hp->step_bound > 0 ? steps : mapped(b, steps, LM_FN_SOFTPLUS, 0);
}

/* What heads of states answer, normed, through their gate. */
static lm_tensor *state_gated(const builder *b, lm_tensor *x, lm_tensor *y) {
    bool sigmoid = lm_arch_has(b->config, LM_FEATURE_KEY_STEPS);
    if (lm_param_in(b->config, LM_PARAM_STATE_GATE_DOWN))
        x = linear(b, x, LM_PARAM_STATE_GATE_DOWN, LM_PARAM_COUNT);
    lm_tensor *gate = linear(b, x, LM_PARAM_STATE_GATE, LM_PARAM_COUNT);
    if (!sigmoid) return lm_graph_op(b->graph, LM_OP_SWIGLU, &(lm_op_args){.in = {gate, y}});
    return lm_graph_op(b->graph, LM_OP_MAP,
                       &(lm_op_args){.in = {gate, y}, .attrs.function = LM_FN_SIGMOID});
}

/* rate: of decay, [heads]. */
static lm_tensor *recur_by(const builder *b, lm_tensor *q, lm_tensor *k, lm_tensor *v,
                           lm_tensor *step, lm_tensor *rate, lm_tensor *beta) {
    const lm_hparams *hp = b->hp;
    lm_op_args args = {.in = {q, k, v, NULL, NULL, NULL, step, rate, beta,
                              param_or_none(b, LM_PARAM_STATE_SKIP)},
                       .attrs = {.n_heads = hp->state_heads,
                                 .n_kv_heads = hp->state_key_heads,
                                 .head_dim = hp->state_key_dim,
                                 .value_dim = hp->state_value_dim,
                                 .scale = (float)hp->step_bound,
                                 .delta = lm_arch_has(b->config, LM_FEATURE_DELTA),
                                 .tiled = hp->state_tiled}};
    return keep_state(b, LM_STATE_MATRIX, LM_OP_RECUR, &args);
}

static lm_tensor *recur(const builder *b, lm_tensor *q, lm_tensor *k, lm_tensor *v, lm_tensor *step,
                        lm_tensor *beta) {
    return recur_by(b, q, k, v, step, param(b, LM_PARAM_STATE_RATE), beta);
}

/* n times a number for each of ids. */
static lm_tensor *alike(const builder *b, lm_tensor *ids, int64_t n, float value) {
    const int64_t shape[] = {1, n};
    float *values = lm_alloc((size_t)n * sizeof *values);
    if (!values) return lm_graph_fail(b->graph, LOAM_NO_MEMORY, "no memory for constants");
    for (int64_t i = 0; i < n; i++) values[i] = value;
    lm_tensor *row = lm_graph_constant(b->graph, "alike", LM_F32, 2, shape, values);
    lm_free(values);
    return lm_graph_op(b->graph, LM_OP_EMBED,
                       &(lm_op_args){.in = {row, ids}, .attrs.first_beyond = true});
}

/* What heads of a layer decay by: slopes as of ALiBi, smaller from layer to layer. */
static lm_tensor *decay_rates(const builder *b) {
    const lm_hparams *hp = b->hp;
    const double least = 1e-5;
    double of_layer = 1 - (double)b->layer / ((double)hp->n_layers - 1 + least) + least;
    float *rates = lm_alloc((size_t)hp->state_heads * sizeof *rates);
    if (!rates) return lm_graph_fail(b->graph, LOAM_NO_MEMORY, "no memory for constants");
    for (int64_t h = 0; h < hp->state_heads; h++)
        rates[h] = (float)(-exp2(-8.0 * (double)(h + 1) / (double)hp->state_heads) * of_layer);
    lm_tensor *all = lm_graph_constant(b->graph, "rates", LM_F32, 1, &hp->state_heads, rates);
    lm_free(rates);
    return all;
}

static lm_tensor *silu_linear(const builder *b, lm_tensor *x, lm_param_id weight) {
    return mapped(b, linear(b, x, weight, LM_PARAM_COUNT), LM_FN_SILU, 0);
}

/* Lightning attention, arXiv:2501.08313. */
static lm_tensor *decaying_states(const builder *b, lm_tensor *x) {
    lm_tensor *ones_of_rows = alike(b, b->in->tokens, b->hp->state_heads, 1);
    lm_tensor *y = recur_by(b, silu_linear(b, x, LM_PARAM_STATE_Q),
                            silu_linear(b, x, LM_PARAM_STATE_K),
                            silu_linear(b, x, LM_PARAM_STATE_V), ones_of_rows, decay_rates(b),
                            ones_of_rows);
    y = lm_graph_op(b->graph, LM_OP_RMS_NORM,
                    &(lm_op_args){.in = {y, param(b, LM_PARAM_STATE_NORM)},
                                  .attrs.eps = (float)b->config->arch->state_norm_eps});
    lm_tensor *gate = linear(b, x, LM_PARAM_STATE_GATE, LM_PARAM_COUNT);
    y = lm_graph_op(b->graph, LM_OP_MAP,
                    &(lm_op_args){.in = {gate, y}, .attrs.function = LM_FN_SIGMOID});
    return linear(b, y, LM_PARAM_STATE_OUT, LM_PARAM_COUNT);
}

/* A state space, arXiv:2405.21060, as Mamba 2 has it. */
static lm_tensor *state_space(const builder *b, lm_tensor *x) {
    lm_tensor *step = state_steps(b, x);
    lm_tensor *y = recur(b, state_queries(b, x), state_keys(b, x), state_values(b, x), step, step);
    lm_tensor *gate = linear(b, x, LM_PARAM_STATE_GATE, LM_PARAM_COUNT);
    y = lm_graph_op(b->graph, LM_OP_SWIGLU, &(lm_op_args){.in = {gate, y}});
    lm_attrs attrs = {.eps = (float)b->hp->rms_norm_eps, .n_heads = b->hp->state_key_heads};
    if (lm_param_in(b->config, LM_PARAM_STATE_NORM))
        y = lm_graph_op(b->graph, LM_OP_RMS_NORM,
                        &(lm_op_args){.in = {y, param(b, LM_PARAM_STATE_NORM)}, .attrs = attrs});
    return linear(b, y, LM_PARAM_STATE_OUT, LM_PARAM_COUNT);
}

/* A gated delta rule, arXiv:2412.06464, as Qwen3-Next has it. */
static lm_tensor *delta_rule(const builder *b, lm_tensor *x) {
    const lm_hparams *hp = b->hp;
    lm_tensor *k = unit_heads(b, state_keys(b, x), 1),
              *q = unit_heads(b, state_queries(b, x), 1 / sqrtf((float)hp->state_key_dim));
    lm_tensor *beta =
        mapped(b, linear(b, x, LM_PARAM_STATE_BETA, LM_PARAM_COUNT), LM_FN_SIGMOID, 0);
    beta = scaled(b, beta, hp->state_beta_scale);
    lm_tensor *y = recur(b, q, k, state_values(b, x), state_steps(b, x), beta);
    double own_eps = b->config->arch->state_norm_eps;
    lm_attrs eps = {.eps = (float)(own_eps > 0 ? own_eps : hp->rms_norm_eps)};
    y = lm_graph_op(b->graph, LM_OP_RMS_NORM,
                    &(lm_op_args){.in = {y, param(b, LM_PARAM_STATE_NORM)}, .attrs = eps});
    return linear(b, state_gated(b, x, y), LM_PARAM_STATE_OUT, LM_PARAM_COUNT);
}

/* What a selective state space reads of channels: normed where the model does that, by a weight or without. */
static lm_tensor *selected(const builder *b, lm_tensor *x, lm_param_id weight, lm_param_id norm) {
    int64_t shape[2];
    lm_tensor *y = linear(b, x, weight, LM_PARAM_COUNT);
    if (!(b->hp->scan_norm_eps > 0)) return y;
    lm_param_shape(b->config, norm, b->layer, shape);
    lm_tensor *w = param_or_none(b, norm);
    return lm_graph_op(b->graph, LM_OP_RMS_NORM,
                       &(lm_op_args){.in = {y, w ? w : ones(b, shape[0])},
                                     .attrs.eps = (float)b->hp->scan_norm_eps});
}

/* A selective state space, arXiv:2312.00752, as Mamba 1 has it. */
static lm_tensor *selective_space(const builder *b, lm_tensor *x) {
    lm_tensor *values = state_values(b, x);
    lm_tensor *step = selected(b, values, LM_PARAM_STATE_STEP, LM_PARAM_SCAN_STEP_NORM);
    step =
        mapped(b, linear(b, step, LM_PARAM_STEP_UP, LM_PARAM_STATE_STEP_BIAS), LM_FN_SOFTPLUS, 0);
    lm_op_args args = {.in = {selected(b, values, LM_PARAM_STATE_K, LM_PARAM_SCAN_K_NORM),
                              selected(b, values, LM_PARAM_STATE_Q, LM_PARAM_SCAN_Q_NORM), values,
                              NULL, NULL, NULL, step, param(b, LM_PARAM_SCAN_RATE),
                              param(b, LM_PARAM_STATE_SKIP)}};
    lm_tensor *y = keep_state(b, LM_STATE_MATRIX, LM_OP_SCAN, &args);
    lm_tensor *gate = linear(b, x, LM_PARAM_STATE_GATE, LM_PARAM_COUNT);
    y = lm_graph_op(b->graph, LM_OP_SWIGLU, &(lm_op_args){.in = {gate, y}});
    return linear(b, y, LM_PARAM_STATE_OUT, LM_PARAM_COUNT);
}

static lm_tensor *recurrent_rows(const builder *b, lm_tensor *x) {
    if (lm_arch_has(b->config, LM_FEATURE_DELTA)) return delta_rule(b, x);
    if (lm_arch_has(b->config, LM_FEATURE_DECAY)) return decaying_states(b, x);
    if (lm_arch_has(b->config, LM_FEATURE_SCAN)) return selective_space(b, x);
    return lm_arch_has(b->config, LM_FEATURE_SSM) ? state_space(b, x) : short_conv(b, x);
}

/* What a layer's rows take from those before them. */
static lm_tensor *mixed_rows(const builder *b, lm_tensor *x) {
    if (lm_layer_in(&b->hp->by_matrix, b->layer))
        return linear(b, x, LM_PARAM_ATTN_MATRIX, LM_PARAM_COUNT);
    if (b->hp->side_by_side) return add(b, recurrent_rows(b, x), attention(b, x));
    if (lm_layer_in(&b->hp->recurrent, b->layer)) return recurrent_rows(b, x);
    if (lm_arch_has(b->config, LM_FEATURE_POOLED)) return pooled_attention(b, x);
    return lm_arch_has(b->config, LM_FEATURE_LATENT) ? latent_attention(b, x) : attention(b, x);
}

/* SiLU of the gate, from above, and what it weights, from both sides, bounded; no SiLU is so far below 0. A gate that is bounded itself
 * has a SiLU of at most its bound's. */
static lm_tensor *limited(const builder *b, lm_tensor *gate, lm_tensor *up, double limit) {
    const lm_arch *arch = b->config->arch;
    bool itself = arch->expert_limit > 0 || arch->caps_gates;
    double most = itself ? limit / (1 + exp(-limit)) : limit;
    gate = mapped(b, mapped(b, gate, LM_FN_SILU, 0), LM_FN_CLAMP, most);
    return times(b, gate, mapped(b, up, LM_FN_CLAMP, limit));
}

/* The activation "situ" of Kimi K3. */
static lm_tensor *capped(const builder *b, lm_tensor *gate, lm_tensor *up) {
    lm_tensor *y =
        lm_graph_op(b->graph, LM_OP_MAP,
                    &(lm_op_args){.in = {gate, mapped(b, gate, LM_FN_SOFT_CAP, b->hp->gate_bound)},
                                  .attrs.function = LM_FN_SIGMOID});
    return times(b, y, b->hp->up_bound > 0 ? mapped(b, up, LM_FN_SOFT_CAP, b->hp->up_bound) : up);
}

/* act(gate) * up, or act(up). limits: of layers; NULL: there are none. */
static lm_tensor *activated(const builder *b, lm_tensor *gate, lm_tensor *up, const float *limits) {
    lm_attrs attrs = {.dtype = factor_dtype(b)};
    if (limits && b->layer < LM_MAX_VARIED_LAYERS && limits[b->layer] > 0)
        return factor(b, limited(b, gate, up, limits[b->layer]));
    if (lm_arch_has(b->config, LM_FEATURE_XIELU))
        return lm_graph_op(
            b->graph, LM_OP_XIELU,
            &(lm_op_args){.in = {up, param(b, LM_PARAM_XIELU_ALPHA_P),
                                 param(b, LM_PARAM_XIELU_ALPHA_N), param(b, LM_PARAM_XIELU_BETA),
                                 param(b, LM_PARAM_XIELU_EPS)},
                          .attrs = attrs});
    if (b->hp->gate_bound > 0) return factor(b, capped(b, gate, up));
    if (!lm_act_find(b->hp->hidden_act, &attrs.function)) /* lm_arch_config_check has seen it */
        return lm_graph_fail(b->graph, LOAM_UNSUPPORTED, "activation '%s'", b->hp->hidden_act);
    if (gate && attrs.function == LM_FN_SILU)
        return lm_graph_op(b->graph, LM_OP_SWIGLU,
                           &(lm_op_args){.in = {gate, up}, .attrs.dtype = attrs.dtype});
    return lm_graph_op(b->graph, LM_OP_MAP,
                       &(lm_op_args){.in = {gate ? gate : up, gate ? up : NULL}, .attrs = attrs});
}

static lm_tensor *mlp(const builder *b, lm_tensor *x) {
    x = rounded(b, x);
    lm_tensor *gate = lm_arch_has(b->config, LM_FEATURE_GATE)
                          ? linear(b, x, LM_PARAM_GATE, LM_PARAM_GATE_BIAS)
                          : NULL;
    if (lm_layer_in(&b->hp->cut_gates, b->layer))
        gate = lm_graph_op(
            b->graph, LM_OP_CUTOFF,
            &(lm_op_args){.in = {gate}, .attrs.scale = (float)b->hp->gate_cutoff});
    lm_tensor *up = linear(b, x, LM_PARAM_UP, LM_PARAM_UP_BIAS);
    lm_tensor *y = activated(b, gate, up, b->hp->mlp_limits);
    if (norms(b, LM_PARAM_MLP_SUB_NORM)) y = sub_normed(b, y, LM_PARAM_MLP_SUB_NORM);
    return linear(b, rounded(b, y), LM_PARAM_DOWN, LM_PARAM_DOWN_BIAS);
}

/* What chosen experts say of x, weighted and added; some may say x itself. */
static lm_tensor *mixed_choices(const builder *b, lm_tensor *y, lm_tensor *weights, lm_tensor *ids,
                                lm_tensor *x) {
    if (b->hp->n_idle_experts == 0) return mixed(b, y, weights);
    return lm_graph_op(b->graph, LM_OP_MIX,
                       &(lm_op_args){.in = {y, weights, ids, x}, .attrs.n_used = b->hp->n_experts});
}

/* A matrix that each row chooses, for each of its choices. */
static lm_tensor *chosen(const builder *b, lm_tensor *x, lm_param_id weight, lm_tensor *ids,
                         lm_param_id bias) {
    return lm_graph_op(b->graph, LM_OP_EXPERTS,
                       &(lm_op_args){.in = {x, param(b, weight), ids, param_or_none(b, bias)}});
}

static lm_tensor *shared_expert(const builder *b, lm_tensor *x) {
    lm_tensor *gate = lm_param_in(b->config, LM_PARAM_SHARED_GATE)
                          ? linear(b, x, LM_PARAM_SHARED_GATE, LM_PARAM_COUNT)
                          : NULL;
    lm_tensor *up = linear(b, x, LM_PARAM_SHARED_UP, LM_PARAM_COUNT);
    lm_tensor *y = linear(b, activated(b, gate, up, b->hp->mlp_limits), LM_PARAM_SHARED_DOWN,
                          LM_PARAM_COUNT);
    if (!lm_param_in(b->config, LM_PARAM_SHARED_ROUTER)) return y;
    lm_tensor *weight = mapped(b, linear(b, x, LM_PARAM_SHARED_ROUTER, LM_PARAM_COUNT),
                               LM_FN_SIGMOID, 0);
    return mixed(b, y, weight);
}

/* y, what the chosen ones say, and what the shared ones do. */
static lm_tensor *with_shared(const builder *b, lm_tensor *y, lm_tensor *x) {
    lm_tensor *shared = shared_expert(b, x);
    if (lm_arch_has(b->config, LM_FEATURE_EXPERTS_BESIDE)) {
        y = norm(b, y, LM_PARAM_POST_EXPERTS_NORM, LM_PARAM_COUNT, LM_F32);
        shared = norm(b, shared, LM_PARAM_POST_SHARED_NORM, LM_PARAM_COUNT, LM_F32);
    }
    return add(b, y, shared);
}

/* The scores by which experts are chosen. */
static lm_tensor *expert_logits(const builder *b, lm_tensor *stream, lm_tensor *x) {
    if (b->config->arch->early_router) x = factor(b, b->entering);
    if (lm_param_in(b->config, LM_PARAM_ROUTER_NORM))
        x = scaled(b, norm(b, stream, LM_PARAM_ROUTER_NORM, LM_PARAM_COUNT, LM_F32),
                   1 / sqrt((double)b->hp->dim));
    return linear(b, x, LM_PARAM_ROUTER, LM_PARAM_ROUTER_BIAS);
}

/* Rows of a table; those beyond the table's last have its first. */
static lm_tensor *lookup(const builder *b, lm_param_id table, lm_tensor *ids) {
    bool first_beyond = table == LM_PARAM_LAYER_EMBED || table == LM_PARAM_MIXTURE_BIAS;
    return lm_graph_op(
        b->graph, LM_OP_EMBED,
        &(lm_op_args){.in = {param(b, table), ids}, .attrs.first_beyond = first_beyond});
}

/* What experts of a width of their own say. */
static lm_tensor *from_latent(const builder *b, lm_tensor *y) {
    lm_tensor *weight = param_or_none(b, LM_PARAM_EXPERTS_OUT_NORM);
    lm_attrs attrs = {.eps = (float)b->hp->rms_norm_eps};
    if (weight)
        y = lm_graph_op(b->graph, LM_OP_RMS_NORM, &(lm_op_args){.in = {y, weight}, .attrs = attrs});
    return linear(b, y, LM_PARAM_EXPERTS_OUT, LM_PARAM_COUNT);
}

/* A mixture of experts: arXiv:1701.06538. x: what the MLP reads of the stream. */
static lm_tensor *mixture(const builder *b, lm_tensor *stream, lm_tensor *x) {
    const lm_hparams *hp = b->hp;
    lm_tensor *read = x;
    if (norms(b, LM_PARAM_ENTRY_NORM))
        read = norm(b, b->entering, LM_PARAM_ENTRY_NORM, LM_PARAM_COUNT, factor_dtype(b));
    lm_attrs attrs = {.n_used = hp->n_experts_used,
                      .n_groups = hp->n_expert_groups,
                      .n_groups_used = hp->n_expert_groups_used,
                      .sigmoid = hp->expert_sigmoid,
                      .softplus = hp->expert_softplus,
                      .normalize = hp->expert_normalize,
                      .by_logits = b->config->arch->chosen_by_logits,
                      .jitter = (float)hp->expert_jitter,
                      .scale = (float)hp->expert_weight_scale};
    lm_tensor *given = lm_layer_in(&hp->token_routed, b->layer)
                           ? lookup(b, LM_PARAM_TOKEN_EXPERTS, b->in->tokens)
                           : NULL;
    lm_tensor *ids = lm_graph_op(
        b->graph, LM_OP_ROUTE,
        &(lm_op_args){.in = {expert_logits(b, stream, read), param_or_none(b, LM_PARAM_CHOICE_BIAS),
                             param_or_none(b, LM_PARAM_EXPERTS_FACTOR), given},
                      .attrs = attrs});
    lm_tensor *weights = ids ? lm_graph_out(ids, 1) : NULL;
    if (lm_arch_has(b->config, LM_FEATURE_EXPERTS_BESIDE))
        read = norm(b, stream, LM_PARAM_EXPERTS_NORM, LM_PARAM_COUNT, factor_dtype(b));
    if (hp->expert_latent_dim > 0) read = linear(b, read, LM_PARAM_EXPERTS_IN, LM_PARAM_COUNT);
    bool before = b->config->arch->weighs_input;
    if (before) read = mixed(b, read, weights);
    lm_tensor *gate = lm_param_in(b->config, LM_PARAM_GATE_EXPS)
                          ? chosen(b, read, LM_PARAM_GATE_EXPS, ids, LM_PARAM_GATE_EXPS_BIAS)
                          : NULL;
    lm_tensor *up = chosen(b, read, LM_PARAM_UP_EXPS, ids, LM_PARAM_UP_EXPS_BIAS);
    lm_tensor *y = chosen(b, activated(b, gate, up, hp->expert_limits), LM_PARAM_DOWN_EXPS, ids,
                          LM_PARAM_DOWN_EXPS_BIAS);
    if (!before) y = mixed_choices(b, y, weights, ids, read);
    if (hp->expert_latent_dim > 0) y = from_latent(b, y);
    if (lm_param_in(b->config, LM_PARAM_MIXTURE_BIAS)) /* a table of one row */
        y = add(b, y, lookup(b, LM_PARAM_MIXTURE_BIAS, b->in->tokens));
    if (b->config->arch->late_mixture) {
        *b->late = y;
        return shared_expert(b, x);
    }
    if (hp->shared_ffn_dim > 0) y = with_shared(b, y, x);
    if (norms(b, LM_PARAM_MIXTURE_NORM))
        y = norm(b, y, LM_PARAM_MIXTURE_NORM, LM_PARAM_COUNT, LM_F32);
    return scaled(b, y, hp->mixture_scale);
}

/* x: what is read of the stream. */
static lm_tensor *feed_forward(const builder *b, lm_tensor *stream, lm_tensor *x) {
    return lm_arch_layer_has_experts(b->config, b->layer) ? mixture(b, stream, x) : mlp(b, x);
}

/* weights: NULL for 1. */
static lm_tensor *columns(const builder *b, lm_tensor *x, int64_t first, int64_t n,
                          lm_tensor *weights) {
    return lm_graph_op(
        b->graph, LM_OP_COLUMNS,
        &(lm_op_args){.in = {x, weights}, .attrs = {.first = first, .n_columns = n}});
}

/* What the layer takes in of the rows' tokens, as much of it as the stream lets through. */
static lm_tensor *layer_input(const builder *b, lm_tensor *x) {
    int64_t n = b->hp->layer_input_dim;
    lm_tensor *gate = linear(b, factor(b, x), LM_PARAM_LAYER_INPUT_GATE, LM_PARAM_COUNT);
    lm_tensor *y = activated(b, gate, columns(b, b->layer_inputs, b->layer * n, n, NULL), NULL);
    return norm(b, linear(b, y, LM_PARAM_LAYER_INPUT_OUT, LM_PARAM_COUNT),
                LM_PARAM_POST_LAYER_INPUT_NORM, LM_PARAM_COUNT, LM_F32);
}

/* A layer that is one block alone: of some families each is. */
static lm_tensor *lone_block(const builder *b, lm_tensor *x) {
    bool mixes = lm_layer_mixes(b->hp, b->layer);
    lm_tensor *entry = mixes ? read_residual(b, x, LM_PARAM_ATTN_NORM, LM_PARAM_ATTN_NORM_BIAS)
                             : read_residual(b, x, LM_PARAM_MLP_NORM, LM_PARAM_MLP_NORM_BIAS);
    return add(b, x, mixes ? mixed_rows(b, entry) : feed_forward(b, x, entry));
}

/* What a learned residual adds to attention, of what attention reads. */
static lm_tensor *laurel(const builder *b, lm_tensor *x) {
    lm_tensor *y = linear(b, linear(b, x, LM_PARAM_LAUREL_DOWN, LM_PARAM_COUNT), LM_PARAM_LAUREL_UP,
                          LM_PARAM_COUNT);
    return add(b, x, norm(b, y, LM_PARAM_POST_LAUREL_NORM, LM_PARAM_COUNT, LM_F32));
}

/* What a block's words are added to; entry: what it reads of x. */
static lm_tensor *kept(const builder *b, lm_tensor *x, lm_tensor *entry) {
    return b->config->arch->norms_stream ? scaled(b, entry, b->hp->stream_scale) : x;
}

/* Attention and MLP, and what is around them. */
static lm_tensor *blocks(const builder *b, lm_tensor *x) {
    bool parallel = lm_arch_has(b->config, LM_FEATURE_PARALLEL) && !b->hp->serial_residual;
    lm_tensor *entry = read_residual(b, x, LM_PARAM_ATTN_NORM, LM_PARAM_ATTN_NORM_BIAS);
    lm_tensor *y = to_residual(b, mixed_rows(b, entry), LM_PARAM_POST_ATTN_NORM);
    lm_tensor *residual = x;
    x = settled(b, add(b, kept(b, x, entry), y), LM_PARAM_ATTN_OUT_NORM,
                LM_PARAM_ATTN_OUT_NORM_BIAS);
    if (lm_arch_has(b->config, LM_FEATURE_LAUREL))
        x = scaled(b, add(b, x, laurel(b, entry)), M_SQRT1_2);
    if (lm_arch_has(b->config, LM_FEATURE_RENORM))
        x = settled(b, add(b, x, residual), LM_PARAM_RENORM, LM_PARAM_RENORM_BIAS);
    if (!parallel || (norms(b, LM_PARAM_MLP_NORM) && !b->hp->shared_norm))
        entry = read_residual(b, parallel ? residual : x, LM_PARAM_MLP_NORM,
                              LM_PARAM_MLP_NORM_BIAS);
    x = add(b, kept(b, x, entry),
            to_residual(b, feed_forward(b, x, entry), LM_PARAM_POST_MLP_NORM));
    return settled(b, x, LM_PARAM_LAYER_OUT_NORM, LM_PARAM_LAYER_OUT_NORM_BIAS);
}

/* The n parts of each row of x with those of z, weighted by coefs. */
static lm_tensor *blend(const builder *b, lm_tensor *x, lm_tensor *z, lm_tensor *coefs, int64_t n) {
    return lm_graph_op(b->graph, LM_OP_BLEND,
                       &(lm_op_args){.in = {x, z, coefs}, .attrs.n_groups = n});
}

/* By what x says streams are weighted; bias: NULL for 0. */
static lm_tensor *stream_coefs(const builder *b, lm_tensor *x, lm_param_id weight,
                               lm_tensor *bias) {
    x = norm(b, x, LM_PARAM_ALTUP_ROUTER_NORM, LM_PARAM_COUNT, LM_F32);
    x = linear(b, scaled(b, x, 1 / (double)b->hp->dim), LM_PARAM_ALTUP_ROUTER, LM_PARAM_COUNT);
    return lm_graph_op(
        b->graph, LM_OP_LINEAR,
        &(lm_op_args){.in = {mapped(b, x, LM_FN_TANH, 0), param(b, weight), bias}});
}

/* One layer of several streams: all are guessed from all, the first is computed, and by how far it was guessed wrong all are
 * corrected. Inputs of layers go to the others. */
static lm_tensor *streams_block(const builder *b, lm_tensor *streams) {
    int64_t dim = b->hp->dim, n = b->hp->n_streams;
    lm_tensor *coefs = stream_coefs(b, columns(b, streams, 0, dim, NULL), LM_PARAM_ALTUP_GUESS, NULL);
    lm_tensor *guesses = blend(b, streams, streams, coefs, n),
              *guess = columns(b, guesses, 0, dim, NULL), *y = blocks(b, guess);
    lm_tensor *wrong = blend(b, y, guess, numbers(b, -1, -1, 1), 1);
    coefs = stream_coefs(b, y, LM_PARAM_ALTUP_CORRECT, ones(b, n));
    streams = blend(b, guesses, wrong, coefs, n);
    y = layer_input(b, columns(b, streams, 0, dim, param(b, LM_PARAM_ALTUP_SCALE)));
    return blend(b, streams, y, numbers(b, 0, 1, n), n);
}

/* By what streams are weighted, of hyper-connections: arXiv:2409.19606. In outputs of the op. */
static lm_tensor *stream_weights(const builder *b, lm_tensor *streams, lm_param_id weight,
                                 lm_param_id scale, lm_param_id base) {
    const lm_hparams *hp = b->hp;
    lm_tensor *x = lm_graph_op(b->graph, LM_OP_RMS_NORM,
                               &(lm_op_args){.in = {streams, ones(b, hp->n_streams * hp->dim)},
                                             .attrs.eps = (float)hp->rms_norm_eps});
    return lm_graph_op(
        b->graph, LM_OP_HYPER,
        &(lm_op_args){.in = {linear(b, x, weight, LM_PARAM_COUNT), param(b, scale), param(b, base)},
                      .attrs = {.n_groups = hp->n_streams,
                                .n_used = hp->stream_rounds,
                                .eps = (float)hp->hyper_eps,
                                .scale = (float)hp->hyper_scale}});
}

/* What a block says, added to streams, which become each other before. */
static lm_tensor *added(const builder *b, lm_tensor *streams, lm_tensor *y, lm_tensor *weights) {
    int64_t n = b->hp->n_streams;
    if (!weights) return NULL;
    if (b->hp->stream_rounds > 0) streams = blend(b, NULL, streams, lm_graph_out(weights, 2), n);
    return blend(b, streams, y, lm_graph_out(weights, 1), n);
}

/* One layer of streams that each block reads and adds to by weights of its own. */
static lm_tensor *hyper_block(const builder *b, lm_tensor *streams) {
    lm_tensor *w = stream_weights(b, streams, LM_PARAM_HYPER_ATTN, LM_PARAM_HYPER_ATTN_SCALE,
                                  LM_PARAM_HYPER_ATTN_BASE);
    lm_tensor *x = mixed(b, streams, w);
    x = read_residual(b, x, LM_PARAM_ATTN_NORM, LM_PARAM_ATTN_NORM_BIAS);
    streams = added(b, streams, mixed_rows(b, x), w);
    w = stream_weights(b, streams, LM_PARAM_HYPER_MLP, LM_PARAM_HYPER_MLP_SCALE,
                       LM_PARAM_HYPER_MLP_BASE);
    x = mixed(b, streams, w);
    lm_tensor *entry = read_residual(b, x, LM_PARAM_MLP_NORM, LM_PARAM_MLP_NORM_BIAS);
    return added(b, streams, feed_forward(b, x, entry), w);
}

/* One layer. */
static lm_tensor *block(const builder *b, lm_tensor *x) {
    bool mixes = lm_layer_mixes(b->hp, b->layer), has_mlp = lm_layer_has_mlp(b->hp, b->layer);
    if (!mixes && !has_mlp) return x;
    if (!mixes || !has_mlp) return lone_block(b, x);
    if (lm_arch_has(b->config, LM_FEATURE_HYPER)) return hyper_block(b, x);
    if (b->hp->n_streams > 0) return streams_block(b, x);
    x = blocks(b, x);
    if (b->layer_inputs) x = add(b, x, layer_input(b, x));
    lm_tensor *scale = param_or_none(b, LM_PARAM_LAYER_SCALE);
    return scale ? times(b, x, scale) : x;
}

/* What is read of a stream that begins anew. */
static lm_tensor *recalled(const builder *b, lm_tensor *x, lm_param_id weight) {
    if (!b->bygone) return x;
    return lm_graph_op(b->graph, LM_OP_RECALL,
                       &(lm_op_args){.in = {x, b->bygone, param(b, weight)},
                                     .attrs.eps = (float)b->hp->rms_norm_eps});
}

/* One layer of such a stream: Kimi K3. */
static lm_tensor *recalling_block(builder *b, lm_tensor *x) {
    lm_tensor *read = recalled(b, x, LM_PARAM_ATTN_RECALL);
    bool keeps = b->layer % b->hp->recall_period == 0;
    if (keeps) b->bygone = b->bygone ? joined(b, b->bygone, x, 1) : x;
    lm_tensor *y =
        mixed_rows(b, read_residual(b, read, LM_PARAM_ATTN_NORM, LM_PARAM_ATTN_NORM_BIAS));
    x = keeps ? y : add(b, x, y);
    read = recalled(b, x, LM_PARAM_MLP_RECALL);
    y = read_residual(b, read, LM_PARAM_MLP_NORM, LM_PARAM_MLP_NORM_BIAS);
    return add(b, x, feed_forward(b, read, y));
}

/* From the embeddings' width to the stream's, where they differ. */
static lm_tensor *widened(const builder *b, lm_tensor *x) {
    if (!lm_param_in(b->config, LM_PARAM_EMBED_IN)) return x;
    return linear(b, factor(b, x), LM_PARAM_EMBED_IN, LM_PARAM_EMBED_IN_BIAS);
}

static lm_tensor *embed(const builder *b) {
    bool first = b->config->arch->maps_tokens;
    lm_tensor *x = lookup(b, LM_PARAM_TOKEN_EMBED, b->in->tokens);
    if (first) x = widened(b, x);
    x = scaled(b, x, b->hp->embedding_scale);
    if (lm_arch_has(b->config, LM_FEATURE_TYPE_EMBED))
        x = add(b, x, lookup(b, LM_PARAM_TYPE_EMBED, b->in->types));
    if (lm_arch_has(b->config, LM_FEATURE_POSITION_EMBED))
        x = add(b, x, lookup(b, LM_PARAM_POSITION_EMBED, b->in->positions));
    if (b->in->sines)
        x = add(b, x,
                lm_graph_op(b->graph, LM_OP_EMBED,
                            &(lm_op_args){.in = {b->in->sines, b->in->positions}}));
    x = settled(b, x, LM_PARAM_EMBED_NORM, LM_PARAM_EMBED_NORM_BIAS);
    return first ? x : widened(b, x);
}

/* What the matrix of logits reads. */
static lm_tensor *narrowed(const builder *b, lm_tensor *x) {
    if (!lm_param_in(b->config, LM_PARAM_EMBED_OUT)) return x;
    return linear(b, x, LM_PARAM_EMBED_OUT, LM_PARAM_COUNT);
}

/* What layers take in of the rows' tokens: a part from a table of its own, another from the embedding x. */
static lm_tensor *layer_inputs(const builder *b, lm_tensor *x) {
    lm_tensor *y = linear(b, factor(b, x), LM_PARAM_LAYER_EMBED_PROJ, LM_PARAM_COUNT);
    y = scaled(b, y, 1 / sqrt((double)b->hp->dim));
    y = lm_graph_op(b->graph, LM_OP_RMS_NORM,
                    &(lm_op_args){.in = {y, param(b, LM_PARAM_LAYER_EMBED_NORM)},
                                  .attrs.eps = (float)b->hp->rms_norm_eps});
    lm_tensor *own = scaled(b, lookup(b, LM_PARAM_LAYER_EMBED, b->in->tokens),
                            sqrt((double)b->hp->layer_input_dim));
    return scaled(b, add(b, y, own), M_SQRT1_2);
}

/* Products with a matrix for each stream but the first, as long as the first is. */
static lm_tensor *matched(const builder *b, lm_tensor *x, lm_param_id weight, lm_tensor *first) {
    const float least = 1e-5f;
    return lm_graph_op(b->graph, LM_OP_MATCH,
                       &(lm_op_args){.in = {by_head(b, x, weight), first}, .attrs.eps = least});
}

/* One stream as several. */
static lm_tensor *parted(const builder *b, lm_tensor *x) {
    lm_tensor *copies = x;
    for (int64_t i = 2; i < b->hp->n_streams; i++) copies = joined(b, copies, x, 1);
    if (lm_arch_has(b->config, LM_FEATURE_HYPER)) return joined(b, copies, x, 1);
    return joined(b, x, matched(b, copies, LM_PARAM_ALTUP_IN, x), 1);
}

/* The mean of several streams, or their sum by weights. */
static lm_tensor *merged(const builder *b, lm_tensor *streams) {
    if (lm_arch_has(b->config, LM_FEATURE_HYPER))
        return mixed(b, streams,
                     stream_weights(b, streams, LM_PARAM_HYPER_OUT, LM_PARAM_HYPER_OUT_SCALE,
                                    LM_PARAM_HYPER_OUT_BASE));
    int64_t dim = b->hp->dim, n_others = b->hp->n_streams - 1;
    lm_tensor *first = columns(b, streams, 0, dim, NULL);
    lm_tensor *others =
        matched(b, columns(b, streams, dim, n_others * dim, NULL), LM_PARAM_ALTUP_OUT, first);
    return scaled(b, blend(b, first, others, ones(b, n_others), 1), 1 / (double)(n_others + 1));
}

/* Whether behind the layer all layers run once more, and read what is normed. */
static bool runs_again(const builder *b) {
    int64_t next = b->layer + 1;
    return !b->hp->loops_unnormed && next < b->hp->n_layers && next % lm_stored_layers(b->hp) == 0;
}

static lm_tensor *wanted_rows(const builder *b, lm_tensor *x) {
    if (!b->in->out_rows) return x;
    return lm_graph_op(b->graph, LM_OP_GATHER_ROWS, &(lm_op_args){.in = {x, b->in->out_rows}});
}

/* What heads read. */
static lm_tensor *body(builder *b) {
    lm_tensor *x = embed(b), *late = NULL;
    b->late = &late;
    if (b->hp->layer_input_dim > 0) b->layer_inputs = layer_inputs(b, x);
    if (b->hp->n_streams > 0) x = parted(b, x);
    for (b->layer = 0; b->layer < b->hp->n_layers; b->layer++) {
        lm_tensor *due = late;
        late = NULL;
        b->entering = x;
        x = b->hp->recall_period > 0 ? recalling_block(b, x) : block(b, x);
        if (due) x = add(b, x, due);
        if (runs_again(b)) x = settled(b, x, LM_PARAM_OUTPUT_NORM, LM_PARAM_OUTPUT_NORM_BIAS);
    }
    x = wanted_rows(b, x);
    if (b->bygone) {
        b->bygone = wanted_rows(b, b->bygone);
        x = recalled(b, x, LM_PARAM_OUTPUT_RECALL);
    }
    if (b->hp->n_streams > 0) x = merged(b, x);
    return read_residual(b, x, LM_PARAM_OUTPUT_NORM, LM_PARAM_OUTPUT_NORM_BIAS);
}

static lm_tensor *output_head(const builder *b) {
    return b->in->param(b->in->ctx, b->graph, LM_PARAM_OUTPUT_HEAD, 0);
}

/* What is in front of the matrix that scores or gives logits. */
static lm_tensor *pooled(const builder *b, lm_tensor *x) {
    lm_function act;
    const char *name = lm_arch_pooler_act(b->config->arch);
    if (!lm_arch_has(b->config, LM_FEATURE_POOLER)) return x;
    if (!lm_act_find(name, &act))
        return lm_graph_fail(b->graph, LOAM_UNSUPPORTED, "activation '%s'", name);
    x = mapped(b, linear(b, x, LM_PARAM_POOLER, LM_PARAM_POOLER_BIAS), act, 0);
    if (!lm_param_in(b->config, LM_PARAM_POOLER_NORM)) return x;
    return norm(b, x, LM_PARAM_POOLER_NORM, LM_PARAM_COUNT, LM_F32);
}

/* Logits of tokens that are read and never written behind those of the others: as good as impossible. */
static lm_tensor *with_unwritten(const builder *b, lm_tensor *x) {
    const float never = -1e30f; /* finite: it survives arithmetic */
    int64_t n = b->hp->vocab_size - lm_head_vocab(b->hp);
    lm_tensor *rows = b->in->out_rows ? b->in->out_rows : b->in->tokens;
    return n > 0 ? joined(b, x, alike(b, rows, n, never), 1) : x;
}

static lm_tensor *logits(const builder *b, lm_tensor *x) {
    if (lm_arch_has(b->config, LM_FEATURE_NO_HEAD))
        return lm_graph_fail(b->graph, LOAM_UNSUPPORTED, "this model writes no text");
    lm_tensor *y = lm_graph_op(b->graph, LM_OP_LINEAR,
                               &(lm_op_args){.in = {narrowed(b, pooled(b, x)), output_head(b),
                                                    param_or_none(b, LM_PARAM_OUTPUT_HEAD_BIAS)}});
    y = scaled(b, y, b->hp->logit_scale);
    if (b->hp->logit_soft_cap > 0) y = mapped(b, y, LM_FN_SOFT_CAP, b->hp->logit_soft_cap);
    return with_unwritten(b, y);
}

static lm_tensor *scores(const builder *b, lm_tensor *x) {
    if (!lm_arch_has(b->config, LM_FEATURE_CLASSIFIER))
        return lm_graph_fail(b->graph, LOAM_UNSUPPORTED, "this model scores no texts");
    return linear(b, pooled(b, x), LM_PARAM_CLASSIFIER, LM_PARAM_CLASSIFIER_BIAS);
}

lm_tensor *lm_arch_forward(lm_graph *graph, const lm_arch_config *config,
                           const lm_forward_inputs *inputs) {
    builder b = {.graph = graph, .hp = &config->hparams, .config = config, .in = inputs};
    lm_tensor *x = body(&b);
    switch (inputs->head) {
    case LM_HEAD_LOGITS: return logits(&b, x);
    case LM_HEAD_STATE: return x;
    case LM_HEAD_SCORES: return scores(&b, x);
    }
    return NULL;
}

lm_tensor *lm_arch_loss(lm_graph *graph, const lm_arch_config *config,
                        const lm_forward_inputs *inputs, lm_tensor *targets) {
    builder b = {.graph = graph, .hp = &config->hparams, .config = config, .in = inputs};
    if (b.hp->logit_soft_cap > 0 || b.hp->logit_scale > 0)
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has no scaled or capped logits");
    if (b.hp->bidirectional || lm_arch_has(config, LM_FEATURE_NO_HEAD))
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has no encoders");
    if (b.hp->alibi_max > 0)
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has no ALiBi biases");
    if (b.hp->query_growth > 0)
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has no queries that grow");
    if (lm_arch_has(config, LM_FEATURE_HEAD_BIAS))
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has no biases on logits");
    if (config->arch->sines)
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has no positions that are sines");
    if (lm_head_vocab(b.hp) != b.hp->vocab_size)
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has no tokens that are only read");
    if (lm_arch_has(config, LM_FEATURE_POOLER))
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has nothing in front of logits");
    if (lm_arch_has(config, LM_FEATURE_EMBED_MAP))
        return lm_graph_fail(graph, LOAM_UNSUPPORTED,
                             "training has no embeddings of another width");
    if (lm_arch_has(config, LM_FEATURE_LATENT))
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has no latent attention");
    if (b.hp->value_dim > 0)
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has no values of another width");
    if (lm_layers_before(&b.hp->recurrent, b.hp->n_layers) > 0)
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has no recurrent layers");
    if (b.hp->n_shared_kv_layers > 0)
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has no layers that share keys");
    if (b.hp->layer_input_dim > 0)
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has no inputs of layers");
    if (b.hp->n_loops > 1)
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has no layers that run again");
    if (b.hp->n_streams > 0)
        return lm_graph_fail(graph, LOAM_UNSUPPORTED, "training has no several streams");
    lm_tensor *x = body(&b), *head = output_head(&b);
    return lm_graph_op(graph, LM_OP_LINEAR_CROSS_ENTROPY,
                       &(lm_op_args){.in = {x, head, targets, head ? head->grad : NULL}});
}
