#include "train/learner.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "model/rope_table.h"

/* One planned graph. */
typedef struct task {
    lm_graph *graph;
    lm_plan *plan;
    lm_tensor *tokens, *targets; /* inputs of training and validation */
    lm_tensor *result;           /* loss, or the sum of squares */
    lm_tensor *scalars;          /* input of the update */
} task;

struct lm_learner {
    lm_train_params *params;
    lm_learner_options options;
    task train, validate, norm, update;
    int32_t *tokens, *targets; /* [batch_size * seq_len] */
    int32_t *positions;        /* [batch_size * seq_len] */
    float *inv_freq;           /* [head_dim / 2] */
    float rope_scale;
};

/* All extents of these graphs are fixed. */
static const int64_t no_extents[LM_N_EXTENTS];

/* --- Building */

/* What the forward pass's callbacks need while one graph is built: the tensors of the parameters met so far. */
typedef struct build {
    lm_learner *learner;
    lm_tensor **tensors; /* [params->len] */
    bool with_gradients;
} build;

static lm_tensor *make_param(const build *b, lm_graph *graph, const lm_train_param *param) {
    const lm_train_params *params = b->learner->params;
    char name[LM_PARAM_NAME_BYTES];
    lm_param_name(param->id, param->layer, LM_NAMING_HF, name);
    lm_tensor *grad = NULL;
    if (b->with_gradients)
        grad = lm_graph_state(graph, name, LM_F32, param->n_dims, param->shape,
                              params->grads + param->offset, NULL);
    bool rounded = params->bf16 && param->n_dims == 2;
    void *data = rounded ? (void *)(params->bf16 + param->offset)
                         : (void *)(params->weights + param->offset);
    return lm_graph_state(graph, name, rounded ? LM_BF16 : LM_F32, param->n_dims, param->shape,
                          data, grad);
}

static lm_tensor *param_tensor(void *ctx, lm_graph *graph, lm_param_id id, int64_t layer) {
    const build *b = ctx;
    int i = lm_train_params_find(b->learner->params, id, layer);
    if (!b->tensors[i]) b->tensors[i] = make_param(b, graph, &b->learner->params->list[i]);
    return b->tensors[i];
}

static lm_tensor *attend(void *ctx, lm_graph *graph, int64_t layer, lm_tensor *q, lm_tensor *k,
                         lm_tensor *v) {
    const lm_learner *learner = ((const build *)ctx)->learner;
    lm_attrs attrs = lm_arch_attention(&learner->params->config, layer);
    attrs.seq_len = learner->options.seq_len;
    if (attrs.soft_cap > 0 || (attrs.window > 0 && attrs.window < attrs.seq_len))
        return lm_graph_fail(graph, LOAM_UNSUPPORTED,
                             "training has no sliding windows and no soft caps of attention");
    return lm_graph_op(graph, LM_OP_ATTENTION, &(lm_op_args){.in = {q, k, v}, .attrs = attrs});
}

/* tokens, targets -> loss, as nodes of task->graph. */
static void build_loss(build *b, task *t) {
    lm_learner *learner = b->learner;
    const lm_hparams *hp = &learner->params->config.hparams;
    const int64_t n_rows[] = {learner->options.batch_size * learner->options.seq_len};
    const int64_t n_pairs[] = {hp->head_dim / 2};
    t->tokens = lm_graph_input(t->graph, "tokens", LM_I32, LM_EXTENT_FIXED, 1, n_rows);
    t->targets = lm_graph_input(t->graph, "targets", LM_I32, LM_EXTENT_FIXED, 1, n_rows);
    lm_forward_inputs inputs = {.tokens = t->tokens,
                                .positions = lm_graph_constant(t->graph, "positions", LM_I32, 1,
                                                               n_rows, learner->positions),
                                .inv_freq = lm_graph_constant(t->graph, "inv_freq", LM_F32, 1,
                                                              n_pairs, learner->inv_freq),
                                .rope_scale = learner->rope_scale,
                                .bf16_products = learner->options.bf16,
                                .param = param_tensor,
                                .attend = attend,
                                .ctx = b};
    t->result = lm_arch_loss(t->graph, &learner->params->config, &inputs, t->targets);
    lm_graph_output(t->graph, t->result);
}

static loam_status finish(const lm_learner *learner, task *t, loam_error *err) {
    LM_TRY(lm_graph_status(t->graph, err));
    return lm_plan_new(t->graph, learner->params->device, &t->plan, err);
}

static loam_status build_model(lm_learner *learner, task *t, bool with_gradients, loam_error *err) {
    build b = {.learner = learner, .with_gradients = with_gradients};
    b.tensors = lm_calloc((size_t)learner->params->len, sizeof *b.tensors);
    loam_status status = b.tensors ? lm_graph_new(&t->graph, err) : lm_error_no_memory(err, 0);
    if (status == LOAM_OK) {
        build_loss(&b, t);
        status = lm_graph_status(t->graph, err);
    }
    if (status == LOAM_OK && with_gradients) status = lm_graph_backward(t->graph, t->result, err);
    if (status == LOAM_OK) status = finish(learner, t, err);
    lm_free(b.tensors);
    return status;
}

/* A stretch of one of the flat arrays as a state. */
static lm_tensor *flat_state(lm_graph *graph, const char *name, lm_dtype dtype, void *data,
                             int64_t n) {
    return lm_graph_state(graph, name, dtype, 1, &n, data, NULL);
}

static loam_status build_norm(lm_learner *learner, loam_error *err) {
    const lm_train_params *p = learner->params;
    task *t = &learner->norm;
    LM_TRY(lm_graph_new(&t->graph, err));
    lm_tensor *grads = flat_state(t->graph, "grads", LM_F32, p->grads, p->n_elems);
    t->result = lm_graph_op(t->graph, LM_OP_SUM_SQUARES, &(lm_op_args){.in = {grads}});
    lm_graph_output(t->graph, t->result);
    return finish(learner, t, err);
}

/* One AdamW node for the elements [begin, end) of the flat arrays. */
static void add_adamw(lm_learner *learner, int64_t begin, int64_t end, float weight_decay,
                      uint16_t *bf16) {
    const lm_train_params *p = learner->params;
    lm_graph *g = learner->update.graph;
    int64_t n = end - begin;
    if (n == 0) return;
    lm_attrs attrs = {.beta1 = learner->options.beta1,
                      .beta2 = learner->options.beta2,
                      .eps = learner->options.eps,
                      .weight_decay = weight_decay};
    lm_op_args args = {.in = {flat_state(g, "weights", LM_F32, p->weights + begin, n),
                              flat_state(g, "grads", LM_F32, p->grads + begin, n),
                              flat_state(g, "m", LM_F32, p->m + begin, n),
                              flat_state(g, "v", LM_F32, p->v + begin, n), learner->update.scalars,
                              bf16 ? flat_state(g, "bf16", LM_BF16, bf16, n) : NULL},
                       .attrs = attrs};
    lm_graph_op(g, LM_OP_ADAMW, &args);
}

static loam_status build_update(lm_learner *learner, loam_error *err) {
    const lm_train_params *p = learner->params;
    task *t = &learner->update;
    LM_TRY(lm_graph_new(&t->graph, err));
    t->scalars = lm_graph_input(t->graph, "scalars", LM_F32, LM_EXTENT_FIXED, 1, (int64_t[]){4});
    add_adamw(learner, 0, p->n_matrix_elems, learner->options.weight_decay, p->bf16);
    add_adamw(learner, p->n_matrix_elems, p->n_elems, 0, NULL);
    return finish(learner, t, err);
}

static loam_status alloc_tables(lm_learner *learner, loam_error *err) {
    const lm_hparams *hp = &learner->params->config.hparams;
    int64_t seq_len = learner->options.seq_len, n_rows = learner->options.batch_size * seq_len;
    learner->tokens = lm_calloc((size_t)n_rows, sizeof *learner->tokens);
    learner->targets = lm_calloc((size_t)n_rows, sizeof *learner->targets);
    learner->positions = lm_calloc((size_t)n_rows, sizeof *learner->positions);
    learner->inv_freq = lm_calloc((size_t)hp->head_dim / 2, sizeof *learner->inv_freq);
    if (!learner->tokens || !learner->targets || !learner->positions || !learner->inv_freq)
        return lm_error_no_memory(err, (size_t)n_rows * sizeof *learner->tokens);
    for (int64_t i = 0; i < n_rows; i++) learner->positions[i] = (int32_t)(i % seq_len);
    lm_rope_table(hp, seq_len, learner->inv_freq, &learner->rope_scale);
    return LOAM_OK;
}

loam_status lm_learner_new(lm_train_params *params, const lm_learner_options *options,
                           lm_learner **out, loam_error *err) {
    lm_learner *learner = lm_calloc(1, sizeof *learner);
    if (!learner) return lm_error_no_memory(err, sizeof *learner);
    learner->params = params;
    learner->options = *options;
    loam_status status = alloc_tables(learner, err);
    if (status == LOAM_OK) status = build_model(learner, &learner->train, true, err);
    if (status == LOAM_OK) status = build_model(learner, &learner->validate, false, err);
    if (status == LOAM_OK) status = build_norm(learner, err);
    if (status == LOAM_OK) status = build_update(learner, err);
    if (status == LOAM_OK)
        *out = learner;
    else
        lm_learner_free(learner);
    return status;
}

void lm_learner_free(lm_learner *learner) {
    if (!learner) return;
    task *const tasks[] = {&learner->train, &learner->validate, &learner->norm, &learner->update};
    for (size_t i = 0; i < LM_COUNT_OF(tasks); i++) {
        lm_plan_free(tasks[i]->plan);
        lm_graph_free(tasks[i]->graph);
    }
    lm_free(learner->tokens);
    lm_free(learner->targets);
    lm_free(learner->positions);
    lm_free(learner->inv_freq);
    lm_free(learner);
}

/* --- Running */

int32_t *lm_learner_tokens(lm_learner *learner) {
    return learner->tokens;
}

int32_t *lm_learner_targets(lm_learner *learner) {
    return learner->targets;
}

static loam_status run_loss(lm_learner *learner, const task *t, float *out_loss, loam_error *err) {
    size_t bytes = lm_tensor_bytes(t->tokens);
    memcpy(t->tokens->host, learner->tokens, bytes);
    memcpy(t->targets->host, learner->targets, bytes);
    LM_TRY(lm_plan_run(t->plan, no_extents, err));
    *out_loss = *(const float *)t->result->host;
    return LOAM_OK;
}

loam_status lm_learner_accumulate(lm_learner *learner, float *out_loss, loam_error *err) {
    return run_loss(learner, &learner->train, out_loss, err);
}

loam_status lm_learner_loss(lm_learner *learner, float *out_loss, loam_error *err) {
    return run_loss(learner, &learner->validate, out_loss, err);
}

loam_status lm_learner_grad_norm(lm_learner *learner, double *out_norm, loam_error *err) {
    LM_TRY(lm_plan_run(learner->norm.plan, no_extents, err));
    *out_norm = sqrt((double)*(const float *)learner->norm.result->host);
    return LOAM_OK;
}

loam_status lm_learner_clear_grads(lm_learner *learner, loam_error *err) {
    const lm_train_params *params = learner->params;
    return lm_device_clear(params->device, params->grads,
                           (size_t)params->n_elems * sizeof *params->grads, err);
}

loam_status lm_learner_update(lm_learner *learner, int64_t step, double lr, double factor,
                              loam_error *err) {
    float *scalars = learner->update.scalars->host;
    scalars[0] = (float)lr;
    scalars[1] = (float)(1 - pow((double)learner->options.beta1, (double)(step + 1)));
    scalars[2] = (float)(1 - pow((double)learner->options.beta2, (double)(step + 1)));
    scalars[3] = (float)factor;
    LM_TRY(lm_plan_run(learner->update.plan, no_extents, err));
    return lm_learner_clear_grads(learner, err);
}

lm_learner_flops lm_learner_cost(const lm_learner *learner) {
    return (lm_learner_flops){
        .accumulate = lm_plan_cost(learner->train.plan, no_extents).flops,
        .loss = lm_plan_cost(learner->validate.plan, no_extents).flops,
        .update = lm_plan_cost(learner->norm.plan, no_extents).flops +
                  lm_plan_cost(learner->update.plan, no_extents).flops,
    };
}

lm_plan *lm_learner_plan(lm_learner *learner, const lm_graph **out_graph) {
    *out_graph = learner->train.graph;
    return learner->train.plan;
}
