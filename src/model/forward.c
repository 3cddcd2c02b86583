/* The Llama family's forward pass: blocks of pre-norm attention (arXiv:1706.03762, grouped-query arXiv:2305.13245) and gated
 * MLP (arXiv:2002.05202), options by feature. The contract stands in arch.h. */
#include "model/arch.h"

/* The builder's tools: graph, config and inputs at hand, and the ops that need no attributes by name. */
typedef struct builder {
    lm_graph *graph;
    const lm_hparams *hp;
    const lm_arch_config *config;
    const lm_forward_inputs *in;
    int64_t layer;
} builder;

static lm_tensor *param(const builder *b, lm_param_id id) {
    return b->in->param(b->in->ctx, b->graph, id, lm_param_has_layer(id) ? b->layer : 0);
}

static lm_tensor *param_or_none(const builder *b, lm_param_id id) {
    return lm_param_in(b->config, id) ? param(b, id) : NULL;
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

static lm_tensor *norm(const builder *b, lm_tensor *x, lm_param_id weight, lm_dtype dtype) {
    lm_attrs attrs = {.eps = (float)b->hp->rms_norm_eps, .dtype = dtype};
    return lm_graph_op(b->graph, LM_OP_RMS_NORM,
                       &(lm_op_args){.in = {x, param(b, weight)}, .attrs = attrs});
}

static lm_tensor *linear(const builder *b, lm_tensor *x, lm_param_id weight, lm_param_id bias) {
    return lm_graph_op(b->graph, LM_OP_LINEAR,
                       &(lm_op_args){.in = {x, param(b, weight), param_or_none(b, bias)}});
}

/* Rotation by position. x [rows, n_heads * head_dim]. */
static lm_tensor *turn(const builder *b, lm_tensor *x, int64_t n_heads) {
    lm_attrs attrs = {.n_heads = n_heads,
                      .head_dim = b->hp->head_dim,
                      .scale = b->in->rope_scale,
                      .interleaved = b->hp->rope_layout == LM_ROPE_INTERLEAVED};
    return lm_graph_op(b->graph, LM_OP_ROPE,
                       &(lm_op_args){.in = {x, b->in->positions, b->in->inv_freq}, .attrs = attrs});
}

/* What becomes queries or keys: every head normed where the model does that, then turned. */
static lm_tensor *placed(const builder *b, lm_tensor *x, lm_param_id norm_weight, int64_t n_heads) {
    if (lm_param_in(b->config, norm_weight)) x = norm(b, x, norm_weight, LM_F32);
    return turn(b, x, n_heads);
}

static lm_tensor *attention(const builder *b, lm_tensor *x) {
    lm_tensor *q = linear(b, x, LM_PARAM_Q, LM_PARAM_Q_BIAS);
    lm_tensor *k = linear(b, x, LM_PARAM_K, LM_PARAM_K_BIAS);
    lm_tensor *v = linear(b, x, LM_PARAM_V, LM_PARAM_V_BIAS);
    q = placed(b, q, LM_PARAM_Q_NORM, b->hp->n_heads);
    k = placed(b, k, LM_PARAM_K_NORM, b->hp->n_kv_heads);
    lm_tensor *y = b->in->attend(b->in->ctx, b->graph, b->layer, q, k, v);
    return linear(b, factor(b, y), LM_PARAM_OUT, LM_PARAM_OUT_BIAS);
}

static lm_tensor *mlp(const builder *b, lm_tensor *x) {
    lm_tensor *gate = linear(b, x, LM_PARAM_GATE, LM_PARAM_GATE_BIAS);
    lm_tensor *up = linear(b, x, LM_PARAM_UP, LM_PARAM_UP_BIAS);
    lm_tensor *y = lm_graph_op(b->graph, LM_OP_SWIGLU,
                               &(lm_op_args){.in = {gate, up}, .attrs.dtype = factor_dtype(b)});
    return linear(b, y, LM_PARAM_DOWN, LM_PARAM_DOWN_BIAS);
}

/* What the output head multiplies. */
static lm_tensor *body(builder *b) {
    const lm_forward_inputs *in = b->in;
    lm_tensor *x = lm_graph_op(b->graph, LM_OP_EMBED,
                               &(lm_op_args){.in = {param(b, LM_PARAM_TOKEN_EMBED), in->tokens}});
    for (b->layer = 0; b->layer < b->hp->n_layers; b->layer++) {
        x = add(b, x, attention(b, norm(b, x, LM_PARAM_ATTN_NORM, factor_dtype(b))));
        x = add(b, x, mlp(b, norm(b, x, LM_PARAM_MLP_NORM, factor_dtype(b))));
    }
    if (in->out_rows)
        x = lm_graph_op(b->graph, LM_OP_GATHER_ROWS, &(lm_op_args){.in = {x, in->out_rows}});
    return norm(b, x, LM_PARAM_OUTPUT_NORM, factor_dtype(b));
}

static lm_tensor *output_head(const builder *b) {
    return b->in->param(b->in->ctx, b->graph, LM_PARAM_OUTPUT_HEAD, 0);
}

lm_tensor *lm_arch_forward(lm_graph *graph, const lm_arch_config *config,
                           const lm_forward_inputs *inputs) {
    builder b = {.graph = graph, .hp = &config->hparams, .config = config, .in = inputs};
    lm_tensor *x = body(&b), *head = output_head(&b);
    return lm_graph_op(graph, LM_OP_LINEAR, &(lm_op_args){.in = {x, head}});
}

lm_tensor *lm_arch_loss(lm_graph *graph, const lm_arch_config *config,
                        const lm_forward_inputs *inputs, lm_tensor *targets) {
    builder b = {.graph = graph, .hp = &config->hparams, .config = config, .in = inputs};
    lm_tensor *x = body(&b), *head = output_head(&b);
    return lm_graph_op(graph, LM_OP_LINEAR_CROSS_ENTROPY,
                       &(lm_op_args){.in = {x, head, targets, head ? head->grad : NULL}});
}
