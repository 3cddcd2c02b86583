/* loam bench ops: one op at a time, at the sizes of training and of inference. */
#include <string.h>

#include "cli/bench.h"
#include "cli/bench_subject.h"

#define IN(...) BENCH_IN(__VA_ARGS__)
#define STATE(...) BENCH_STATE(__VA_ARGS__)
#define IDS(n, limit) BENCH_IDS(n, limit)
#define ATTENTION(rows, seq, heads, kv_heads, dim)                                               \
    {"attention " #rows " rows, sequences of " #seq,                                             \
     LM_OP_ATTENTION,                                                                            \
     {IN(2, {rows, heads * dim}), IN(2, {rows, kv_heads * dim}), IN(2, {rows, kv_heads * dim})}, \
     {.n_heads = heads,                                                                          \
      .n_kv_heads = kv_heads,                                                                    \
      .head_dim = dim,                                                                           \
      .seq_len = seq,                                                                            \
      .scale = 0.125f}},                                                                         \
    {                                                                                            \
        "attention_backward " #rows " rows, sequences of " #seq, LM_OP_ATTENTION_BACKWARD,       \
            {IN(2, {rows, heads * dim}),    IN(2, {rows, heads * dim}),                          \
             IN(2, {rows, kv_heads * dim}), IN(2, {rows, kv_heads * dim}),                       \
             IN(2, {rows, heads * dim}),    IN(2, {rows, heads})},                               \
            {.n_heads = heads,                                                                   \
             .n_kv_heads = kv_heads,                                                             \
             .head_dim = dim,                                                                    \
             .seq_len = seq,                                                                     \
             .scale = 0.125f}                                                                    \
    }
/* A cache of so many tokens, and the last rows of the one sequence that fills it. */
#define CACHE(type, tokens, kv_heads, dim)                               \
    {LM_ROLE_STATE, LM_##type, 4, {(tokens) / 64, kv_heads, dim, 64}}, { \
        LM_ROLE_STATE, LM_##type, 4, {                                   \
            (tokens) / 64, kv_heads, 64, dim                             \
        }                                                                \
    }
#define PAGED(rows, type, tokens, heads, kv_heads, dim, ...)                       \
    {"attention_paged " #rows " rows over " #tokens " " #type " " #heads "x" #dim, \
     LM_OP_ATTENTION_PAGED,                                                        \
     {IN(2, {rows, heads * dim}),                                                  \
      CACHE(type, tokens, kv_heads, dim),                                          \
      IDS(rows, tokens),                                                           \
      IDS(rows, 1),                                                                \
      {LM_ROLE_INPUT, LM_I32, 2, {1, (tokens) / 64}, (tokens) / 64},               \
      __VA_ARGS__},                                                                \
     {.n_heads = heads, .n_kv_heads = kv_heads, .head_dim = dim, .scale = 0.125f}, \
     (rows) * (tokens) - (rows) * ((rows) - 1) / 2,                                \
     tokens}
/* All heads read one key of 576 numbers, of which 512 are the value. */
#define LATENT(rows, type, tokens, heads, ...)                                              \
    {"attention_paged " #rows " rows over " #tokens " " #type " latent " #heads "x576",     \
     LM_OP_ATTENTION_PAGED,                                                                 \
     {IN(2, {rows, heads * 576}),                                                           \
      {LM_ROLE_STATE, LM_##type, 4, {(tokens) / 64, 1, 576, 64}},                           \
      {0},                                                                                  \
      IDS(rows, tokens),                                                                    \
      IDS(rows, 1),                                                                         \
      {LM_ROLE_INPUT, LM_I32, 2, {1, (tokens) / 64}, (tokens) / 64},                        \
      __VA_ARGS__},                                                                         \
     {.n_heads = heads, .n_kv_heads = 1, .head_dim = 576, .value_dim = 512, .scale = 0.1f}, \
     (rows) * (tokens) - (rows) * ((rows) - 1) / 2,                                         \
     tokens}
/* One row that sees each `step`-th position of such a cache, and the indexer of DeepSeek-V3.2 that would choose them. */
#define CHOSEN(type, tokens, heads, n, step, ...)                                             \
    {"attention_paged 1 row of " #n " chosen of " #tokens " " #type " latent " #heads "x576", \
     LM_OP_ATTENTION_PAGED,                                                                   \
     {IN(2, {1, heads * 576}),                                                                \
      {LM_ROLE_STATE, LM_##type, 4, {(tokens) / 64, 1, 576, 64}},                             \
      {0},                                                                                    \
      IDS(1, tokens),                                                                         \
      IDS(1, 1),                                                                              \
      {LM_ROLE_INPUT, LM_I32, 2, {1, (tokens) / 64}, (tokens) / 64},                          \
      __VA_ARGS__,                                                                            \
      {0},                                                                                    \
      {0},                                                                                    \
      {0},                                                                                    \
      {0},                                                                                    \
      {LM_ROLE_INPUT, LM_I32, 2, {1, n}, tokens, step}},                                      \
     {.n_heads = heads, .n_kv_heads = 1, .head_dim = 576, .value_dim = 512, .scale = 0.1f},   \
     n,                                                                                       \
     n}
#define CHOOSE(rows, type, tokens, heads, dim, n)                                  \
    {"choose " #rows " rows, " #n " of " #tokens " " #type " by " #heads "x" #dim, \
     LM_OP_CHOOSE,                                                                 \
     {IN(2, {rows, heads * dim}),                                                  \
      {LM_ROLE_STATE, LM_##type, 4, {(tokens) / 64, 1, dim, 64}},                  \
      IN(2, {rows, heads}),                                                        \
      IDS(rows, tokens),                                                           \
      IDS(rows, 1),                                                                \
      {LM_ROLE_INPUT, LM_I32, 2, {1, (tokens) / 64}, (tokens) / 64}},              \
     {.n_heads = heads, .head_dim = dim, .n_used = n, .scale = 0.01f},             \
     (rows) * (tokens) - (rows) * ((rows) - 1) / 2,                                \
     tokens}
/* Rows that choose 8 experts each, so that all are chosen. */
#define EXPERTS(rows, n_experts, type, n, k)                                               \
    {                                                                                      \
        "experts " #rows " rows, " #n_experts " of " #n "x" #k " " #type, LM_OP_EXPERTS, { \
            IN(2, {rows, k}), {LM_ROLE_WEIGHT, LM_##type, 3, {n_experts, n, k}}, {         \
                LM_ROLE_INPUT, LM_I32, 2, {rows, 8}, n_experts                             \
            }                                                                              \
        }                                                                                  \
    }
#define SCALES(tokens, kv_heads) \
    STATE(3, {(tokens) / 64, kv_heads, 64}), STATE(3, {(tokens) / 64, kv_heads, 64})
#define KV_WRITE(rows, type, tokens, kv_heads, dim, ...)                           \
    {                                                                              \
        "kv_write " #rows " rows " #type, LM_OP_KV_WRITE, {                        \
            IN(2, {rows, kv_heads * dim}), IN(2, {rows, kv_heads * dim}),          \
                CACHE(type, tokens, kv_heads, dim), IDS(rows, tokens), __VA_ARGS__ \
        }                                                                          \
    }

static const bench_case cases[] = {
    ATTENTION(768, 64, 4, 4, 32),
    ATTENTION(1024, 256, 6, 2, 64),
    ATTENTION(2048, 1024, 12, 12, 64),
    PAGED(1, F32, 1024, 32, 8, 128),
    PAGED(1, BF16, 4096, 32, 8, 128),
    PAGED(1, F16, 1024, 32, 32, 64),
    PAGED(1, F16, 131072, 32, 8, 64), /* more than any cache holds */
    PAGED(1, I16, 131072, 32, 8, 64, SCALES(131072, 8)),
    PAGED(1, I8, 131072, 32, 8, 64, SCALES(131072, 8)),
    PAGED(1, F16, 8192, 32, 8, 64),
    PAGED(1, F16, 8192, 16, 8, 128),
    PAGED(1, I16, 8192, 16, 8, 128, SCALES(8192, 8)),
    PAGED(1, I8, 8192, 32, 8, 64, SCALES(8192, 8)),
    PAGED(1, I8, 8192, 16, 8, 128, SCALES(8192, 8)),
    PAGED(512, F16, 512, 32, 8, 64),
    PAGED(512, F16, 8192, 32, 8, 64),
    PAGED(512, F16, 8192, 16, 8, 128),
    PAGED(512, F16, 32768, 16, 8, 128),
    PAGED(512, I16, 8192, 16, 8, 128, SCALES(8192, 8)),
    PAGED(512, I16, 32768, 16, 8, 128, SCALES(32768, 8)),
    PAGED(512, I8, 8192, 16, 8, 128, SCALES(8192, 8)),
    LATENT(1, F16, 4096, 16),
    LATENT(1, F16, 131072, 16),
    LATENT(1, F16, 4096, 128),
    LATENT(512, F16, 4096, 16),
    LATENT(1, I16, 4096, 16, STATE(3, {4096 / 64, 1, 64})),
    LATENT(1, I16, 131072, 16, STATE(3, {131072 / 64, 1, 64})),
    LATENT(512, I16, 4096, 16, STATE(3, {4096 / 64, 1, 64})),
    LATENT(1, F16, 32768, 128),
    LATENT(1, I16, 32768, 128, STATE(3, {32768 / 64, 1, 64})),
    CHOSEN(F16, 32768, 128, 2048, 16, {0}),
    CHOSEN(I16, 32768, 128, 2048, 16, STATE(3, {32768 / 64, 1, 64})),
    CHOOSE(1, F16, 32768, 64, 128, 2048),
    CHOOSE(64, F16, 32768, 64, 128, 2048),
    KV_WRITE(1, F16, 8192, 8, 128),
    KV_WRITE(512, F16, 8192, 8, 128),
    KV_WRITE(1, I16, 8192, 8, 128, SCALES(8192, 8)),
    KV_WRITE(512, I16, 8192, 8, 128, SCALES(8192, 8)),
    EXPERTS(1, 8, Q4_0, 768, 2048),
    EXPERTS(8, 52, Q4_0, 768, 2048),
    EXPERTS(32, 112, Q4_0, 768, 2048),
    EXPERTS(32, 112, Q8_0, 768, 2048),
    EXPERTS(512, 128, Q4_0, 768, 2048),
    {"rms_norm 768x128", LM_OP_RMS_NORM, {IN(2, {768, 128}), STATE(1, {128})}, {.eps = 1e-5f}},
    {"rms_norm 1024x768", LM_OP_RMS_NORM, {IN(2, {1024, 768}), STATE(1, {768})}, {.eps = 1e-5f}},
    {"rms_norm_backward 768x128",
     LM_OP_RMS_NORM_BACKWARD,
     {IN(2, {768, 128}), IN(2, {768, 128}), STATE(1, {128}), IN(1, {768}), STATE(1, {128})}},
    {"rope 768 rows, 4 heads of 32",
     LM_OP_ROPE,
     {IN(2, {768, 128}), IDS(768, 64), STATE(1, {16})},
     {.n_heads = 4, .head_dim = 32}},
    {"rope 512 rows, 32 heads of 128",
     LM_OP_ROPE,
     {IN(2, {512, 4096}), IDS(512, 512), STATE(1, {64})},
     {.n_heads = 32, .head_dim = 128}},
    {"swiglu 768x512", LM_OP_SWIGLU, {IN(2, {768, 512}), IN(2, {768, 512})}},
    {"swiglu_backward 768x512",
     LM_OP_SWIGLU_BACKWARD,
     {IN(2, {768, 512}), IN(2, {768, 512}), IN(2, {768, 512})}},
    {"cross_entropy 768x65", LM_OP_CROSS_ENTROPY, {IN(2, {768, 65}), IDS(768, 65)}},
    {"cross_entropy 512x8192", LM_OP_CROSS_ENTROPY, {IN(2, {512, 8192}), IDS(512, 8192)}},
    {"cross_entropy_backward 768x65",
     LM_OP_CROSS_ENTROPY_BACKWARD,
     {IN(2, {768, 65}), IDS(768, 65), IN(1, {768}), IN(1, {1})}},
    {"blend 512 rows, 4 streams of 2048",
     LM_OP_BLEND,
     {IN(2, {512, 8192}), IN(2, {512, 8192}), IN(2, {512, 16})},
     {.n_groups = 4}},
    {"cutoff 512x8192", LM_OP_CUTOFF, {IN(2, {512, 8192})}, {.scale = 1.6f}},
    {"recall 512 rows of 2048, 5 parts",
     LM_OP_RECALL,
     {IN(2, {512, 2048}), IN(2, {512, 10240}), IN(1, {2048})},
     {.eps = 1e-5f}},
    {"round_rows 512x8192", LM_OP_ROUND_ROWS, {IN(2, {512, 8192})}},
    {"match 512x2048", LM_OP_MATCH, {IN(2, {512, 6144}), IN(2, {512, 2048})}, {.eps = 1e-5f}},
    {"add 768x128", LM_OP_ADD, {IN(2, {768, 128}), IN(2, {768, 128})}},
    {"cast f32 to bf16 768x512", LM_OP_CAST, {IN(2, {768, 512})}, {.dtype = LM_BF16}},
    {"embed_backward 768x128",
     LM_OP_EMBED_BACKWARD,
     {IN(2, {768, 128}), IDS(768, 65), STATE(2, {65, 128})}},
    {"sum_squares 512x128", LM_OP_SUM_SQUARES, {STATE(2, {512, 128})}},
    {"sum_squares 4096x4096", LM_OP_SUM_SQUARES, {STATE(2, {4096, 4096})}},
    {"adamw 512x128",
     LM_OP_ADAMW,
     {STATE(2, {512, 128}), STATE(2, {512, 128}), STATE(2, {512, 128}), STATE(2, {512, 128}),
      IN(1, {4})},
     {.beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .weight_decay = 0.1f}},
    {"adamw 4096x1024",
     LM_OP_ADAMW,
     {STATE(2, {4096, 1024}), STATE(2, {4096, 1024}), STATE(2, {4096, 1024}),
      STATE(2, {4096, 1024}), IN(1, {4})},
     {.beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .weight_decay = 0.1f}},
};

typedef struct ops_settings {
    bench_settings bench;
} ops_settings;

typedef struct ops_bench {
    const char *filter; /* NULL: all */
} ops_bench;

static loam_status report_case(const bench_subject *s, const bench_case *c, bench_limits *limits,
                               bench_report *report, loam_error *err) {
    lm_cost cost = bench_subject_cost(s);
    bench_times times = bench_subject_time(s);
    double flops = (double)cost.flops, bytes = (double)cost.bytes, least;
    LM_TRY(bench_limits_seconds(limits, LM_CPU_ARITH_F32, flops, bytes, bytes, &least, NULL, err));
    bench_field fields[] = {
        {.key = "op", .text = c->name, .role = BENCH_KEY, .width = 46},
        {.key = "threads", .number = s->device->n_threads, .role = BENCH_KEY},
        {.key = "kernel", .text = bench_subject_kernel(s), .width = 30},
        {.key = "us", .number = times.best * 1e6, .role = BENCH_TIME},
        {.key = "median_us", .number = times.median * 1e6},
        {.key = "gflop_per_s", .number = flops / times.best * 1e-9},
        {.key = "gbyte_per_s", .number = bytes / times.best * 1e-9},
        {.key = "limit_pct", .number = 100 * least / times.best},
    };
    bench_report_row(report, fields, LM_COUNT_OF(fields));
    return LOAM_OK;
}

static loam_status bench_cases(void *arg, lm_device *device, bench_report *report,
                               loam_error *err) {
    const ops_bench *bench = arg;
    bench_limits limits = {.device = device};
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++) {
        if (bench->filter && !strstr(cases[i].name, bench->filter)) continue;
        bench_subject subject;
        loam_status status = bench_subject_init(&subject, &cases[i], device, err);
        if (status == LOAM_OK) status = report_case(&subject, &cases[i], &limits, report, err);
        bench_subject_deinit(&subject);
        LM_TRY(status);
    }
    return LOAM_OK;
}

static int run_ops(const void *settings_, int n_args, char **args) {
    const ops_settings *settings = settings_;
    ops_bench bench = {.filter = n_args ? args[0] : NULL};
    return bench_on_devices(&settings->bench, bench_cases, &bench);
}

static const lm_option options[] = {
    BENCH_DEVICE_OPTIONS(ops_settings),
    BENCH_REPORT_OPTIONS(ops_settings),
    LM_OPTIONS_END,
};

const lm_command lm_bench_ops_command = {
    .name = "ops",
    .summary = "time the kernels",
    .usage = "[filter]",
    .description = "Times every op at sizes that training and inference have, and holds it against "
                   "the nearer of the machine's arithmetic and memory limits. The filter is a part "
                   "of a row's name. Matrix products by shape and type: loam bench gemm.",
    .examples = "loam bench ops attention --threads 1\n    attention on one thread\n",
    .options = options,
    .max_args = 1,
    .settings_bytes = sizeof(ops_settings),
    .run = run_ops,
};
