/* loam bench train: optimizer steps of a model with drawn weights, on drawn tokens, or where their time goes. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "compute/plan.h"
#include "train/learner.h"

typedef struct train_settings {
    bench_settings bench;
    const char *dtype;
    int64_t n_layers, dim, n_heads, ffn_dim, vocab_size, batch_size, seq_len, n_steps;
    bool ops;
} train_settings;

typedef struct train_bench {
    const train_settings *settings;
    lm_device *device;
    lm_train_params params;
    lm_learner *learner;
    bench_report *report;
} train_bench;

/* Blocks of the Llama family; the head is the embedding, as in GPT-2. */
static lm_arch_config config_of(const train_settings *s) {
    return (lm_arch_config){.arch = lm_arch_find("llama"),
                            .features = LM_FEATURE_ALWAYS,
                            .hparams = {.architecture = "llama",
                                        .n_layers = s->n_layers,
                                        .dim = s->dim,
                                        .n_heads = s->n_heads,
                                        .n_kv_heads = s->n_heads,
                                        .head_dim = s->dim / s->n_heads,
                                        .rope_dim = s->dim / s->n_heads,
                                        .ffn_dim = s->ffn_dim,
                                        .hidden_act = "silu",
                                        .vocab_size = s->vocab_size,
                                        .context_len = s->seq_len,
                                        .rms_norm_eps = 1e-5,
                                        .rope_theta = 10000,
                                        .rope_layout = LM_ROPE_HALF_SPLIT,
                                        .rope_scaling = {.factor = 1},
                                        .tied_embeddings = true}};
}

static loam_status prepare(train_bench *b, loam_error *err) {
    const train_settings *s = b->settings;
    bool bf16 = strcmp(s->dtype, "bf16") == 0;
    if (!bf16 && strcmp(s->dtype, "f32") != 0)
        return lm_error_set(err, LOAM_INVALID, "dtype '%s' is not one of f32, bf16", s->dtype);
    lm_arch_config config = config_of(s);
    LM_TRY(lm_arch_config_check(&config, err));
    LM_TRY(lm_train_params_init(
        &b->params, b->device, &config,
        &(lm_train_params_options){.seed = 1, .init_std = 0.02, .bf16 = bf16}, err));
    lm_learner_options options = {.batch_size = s->batch_size,
                                  .seq_len = s->seq_len,
                                  .bf16 = bf16,
                                  .beta1 = 0.9f,
                                  .beta2 = 0.95f,
                                  .eps = 1e-8f,
                                  .weight_decay = 0.1f};
    LM_TRY(lm_learner_new(&b->params, &options, &b->learner, err));
    lm_rng rng;
    lm_rng_init(&rng, 1);
    for (int64_t i = 0; i < s->batch_size * s->seq_len; i++) {
        lm_learner_tokens(b->learner)[i] = (int32_t)lm_rng_below(&rng, (uint64_t)s->vocab_size);
        lm_learner_targets(b->learner)[i] = (int32_t)lm_rng_below(&rng, (uint64_t)s->vocab_size);
    }
    return LOAM_OK;
}

/* One step, clipping of the gradient included. */
static loam_status time_step(train_bench *b, int64_t step, int64_t *out_ns, float *out_loss,
                             loam_error *err) {
    int64_t start_ns = lm_clock_mono_ns();
    double norm;
    LM_TRY(lm_learner_accumulate(b->learner, out_loss, err));
    LM_TRY(lm_learner_grad_norm(b->learner, &norm, err));
    LM_TRY(lm_learner_update(b->learner, step, 3e-4, norm > 1 ? 1 / norm : 1, err));
    *out_ns = lm_clock_mono_ns() - start_ns;
    return LOAM_OK;
}

static void report_step(const train_bench *b, int64_t step, int64_t ns, float loss) {
    lm_learner_flops cost = lm_learner_cost(b->learner);
    double seconds = (double)ns * 1e-9, flops = (double)(cost.accumulate + cost.update);
    bench_field fields[] = {
        {.key = "dtype", .text = b->settings->dtype, .role = BENCH_KEY, .width = 6},
        {.key = "threads", .number = b->device->n_threads, .role = BENCH_KEY},
        {.key = "step", .number = (double)step, .role = BENCH_KEY},
        {.key = "ms", .number = seconds * 1e3, .role = BENCH_TIME},
        {.key = "tokens_per_s",
         .number = (double)(b->settings->batch_size * b->settings->seq_len) / seconds},
        {.key = "gflop_per_s", .number = flops / seconds * 1e-9},
        {.key = "loss", .number = (double)loss},
    };
    bench_report_row(b->report, fields, LM_COUNT_OF(fields));
}

/* ---- Shares of the kernels ---- */

typedef struct share {
    const char *kernel;
    int64_t n, ns;
} share;

static int by_time(const void *a, const void *b) {
    int64_t x = ((const share *)a)->ns, y = ((const share *)b)->ns;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Adds the plan's nodes up by kernel; returns how many kernels there are. shares: room for every node. */
static int sum_up(const lm_plan *plan, int n_nodes, share *shares) {
    const int64_t *ns = lm_plan_profile_ns(plan);
    int n = 0;
    for (int i = 0; i < n_nodes; i++) {
        const char *name = lm_plan_kernel_name(plan, i);
        int at = 0;
        while (at < n && strcmp(shares[at].kernel, name) != 0) at++;
        if (at == n) shares[n++] = (share){.kernel = name};
        shares[at].n++;
        shares[at].ns += ns[i];
    }
    qsort(shares, (size_t)n, sizeof *shares, by_time);
    return n;
}

static loam_status report_ops(train_bench *b, loam_error *err) {
    const lm_graph *graph;
    const lm_plan *plan = lm_learner_plan(b->learner, &graph);
    int n_nodes = lm_graph_n_nodes(graph);
    share *shares = lm_calloc((size_t)n_nodes, sizeof *shares);
    if (!shares) return lm_error_no_memory(err, (size_t)n_nodes * sizeof *shares);
    int n = sum_up(plan, n_nodes, shares);
    double total = 0;
    for (int i = 0; i < n; i++) total += (double)shares[i].ns;
    for (int i = 0; i < n; i++) {
        bench_field fields[] = {
            {.key = "kernel", .text = shares[i].kernel, .role = BENCH_KEY, .width = 32},
            {.key = "threads", .number = b->device->n_threads, .role = BENCH_KEY},
            {.key = "nodes", .number = (double)shares[i].n},
            {.key = "ms",
             .number = (double)shares[i].ns * 1e-6 / (double)b->settings->n_steps,
             .role = BENCH_TIME},
            {.key = "pct", .number = 100 * (double)shares[i].ns / total},
        };
        bench_report_row(b->report, fields, LM_COUNT_OF(fields));
    }
    lm_free(shares);
    return LOAM_OK;
}

static loam_status run_steps(train_bench *b, loam_error *err) {
    const train_settings *s = b->settings;
    int64_t ns;
    float loss;
    LM_TRY(time_step(b, 0, &ns, &loss, err)); /* memory is touched for the first time */
    if (s->ops) {
        const lm_graph *graph;
        LM_TRY(lm_plan_profile_start(lm_learner_plan(b->learner, &graph), err));
    }
    for (int64_t step = 0; step < s->n_steps; step++) {
        LM_TRY(time_step(b, step + 1, &ns, &loss, err));
        if (!s->ops) report_step(b, step, ns, loss);
    }
    return s->ops ? report_ops(b, err) : LOAM_OK;
}

static loam_status bench_steps(void *arg, lm_device *device, bench_report *report,
                               loam_error *err) {
    train_bench b = {.settings = arg, .device = device, .report = report};
    loam_status status = prepare(&b, err);
    if (status == LOAM_OK) status = run_steps(&b, err);
    lm_learner_free(b.learner);
    lm_train_params_deinit(&b.params);
    return status;
}

static int run_train(const void *settings, int n_args, char **args) {
    train_settings own = *(const train_settings *)settings;
    return bench_on_devices(&own.bench, bench_steps, &own);
}

/* ---- The command ---- */

#define AT(field) LM_OPTION_AT(train_settings, field)
#define SIZE(field_, name_, most, help_)                                               \
    {                                                                                  \
        .name = name_, .type = LM_OPT_INT, .arg = "N", .offset = AT(field_), .min = 1, \
        .max = most, .help = help_                                                     \
    }
static const lm_option options[] = {
    {.name = "dtype",
     .type = LM_OPT_STRING,
     .arg = "NAME",
     .offset = AT(dtype),
     .help = "f32 or bf16 products (default f32)"},
    SIZE(n_layers, "layers", 1024, "blocks of the model (default 12)"),
    SIZE(dim, "dim", 1 << 16, "width of the model (default 768)"),
    SIZE(n_heads, "heads", 1024, "heads of attention (default 12)"),
    SIZE(ffn_dim, "ffn-dim", 1 << 18, "width of the gated MLP (default 2048)"),
    SIZE(vocab_size, "vocab", 1 << 20, "tokens in the vocabulary (default 50304)"),
    SIZE(batch_size, "batch", 1 << 16, "sequences in a step (default 4)"),
    SIZE(seq_len, "context", 1 << 20, "tokens in a sequence (default 256)"),
    SIZE(n_steps, "steps", 1 << 20, "steps to time, after one that is not (default 5)"),
    {.name = "ops",
     .type = LM_OPT_FLAG,
     .offset = AT(ops),
     .help = "print where the time of forward and backward goes instead"},
    BENCH_DEVICE_OPTIONS(train_settings),
    BENCH_REPORT_OPTIONS(train_settings),
    LM_OPTIONS_END,
};

/* A gated MLP of 2048 has the parameters and operations of GPT-2's plain one of 3072. */
static const train_settings defaults = {.dtype = "f32",
                                        .n_layers = 12,
                                        .dim = 768,
                                        .n_heads = 12,
                                        .ffn_dim = 2048,
                                        .vocab_size = 50304,
                                        .batch_size = 4,
                                        .seq_len = 256,
                                        .n_steps = 5};

const lm_command lm_bench_train_command = {
    .name = "train",
    .summary = "time steps of training",
    .description = "Times optimizer steps of a model with drawn weights: forward, backward, the "
                   "gradient's norm and AdamW. Its size is that of GPT-2 with 124 million "
                   "parameters unless told otherwise.",
    .examples = "loam bench train --dtype bf16 --ops\n    and where the time goes, by kernel\n",
    .options = options,
    .settings_bytes = sizeof(train_settings),
    .defaults = &defaults,
    .run = run_train,
};
