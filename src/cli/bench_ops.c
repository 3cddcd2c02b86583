/* loam bench ops: one op at a time, at the sizes of training and of inference. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/cpu/machine.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "cli/command.h"
#include "compute/plan.h"

enum {
    WARM_UP_NS = 20 * 1000 * 1000,
    SAMPLE_NS = 20 * 1000 * 1000,
    SAMPLES = 7,                /* the median counts */
    MAX_SIZE_BITS = 29,         /* bandwidth is measured for working sets of powers of two up to this */
};

typedef struct input {
    lm_role role;
    lm_dtype dtype;
    int n_dims; /* 0: no such input */
    int64_t shape[2];
    int32_t limit; /* i32 inputs count up from 0 below it */
} input;

typedef struct row {
    const char *name;
    lm_op_id op;
    input in[LM_MAX_INPUTS];
    lm_attrs attrs;
    int64_t context; /* positions attended to in all */
} row;

#define IN(...) {LM_ROLE_INPUT, LM_F32, __VA_ARGS__}
#define STATE(...) {LM_ROLE_STATE, LM_F32, __VA_ARGS__}
#define IDS(n, limit) {LM_ROLE_INPUT, LM_I32, 1, {n}, limit}
#define LINEAR(rows, type, n, k)                                                                                       \
    {"linear " #rows " rows, " #type " " #n "x" #k, LM_OP_LINEAR, {IN(2, {rows, k}), {LM_ROLE_WEIGHT, LM_##type, 2, {n, k}}}}
/* Training: the weight is a state, and changes each step. */
#define LINEAR_TRAIN(rows, n, k)                                                                                       \
    {"linear train " #rows " rows, " #n "x" #k, LM_OP_LINEAR, {IN(2, {rows, k}), STATE(2, {n, k})}},                    \
    {"linear_dx " #rows " rows, " #n "x" #k, LM_OP_LINEAR_DX, {IN(2, {rows, n}), STATE(2, {n, k})}},                    \
    {"linear_dw " #rows " rows, " #n "x" #k, LM_OP_LINEAR_DW, {IN(2, {rows, n}), IN(2, {rows, k}), STATE(2, {n, k})}}
#define BF16(role, ...) {role, LM_BF16, __VA_ARGS__}
#define LINEAR_BF16(rows, n, k)                                                                                        \
    {"linear train bf16 " #rows " rows, " #n "x" #k, LM_OP_LINEAR,                                                      \
     {BF16(LM_ROLE_INPUT, 2, {rows, k}), BF16(LM_ROLE_STATE, 2, {n, k})}},                                              \
    {"linear_dx bf16 " #rows " rows, " #n "x" #k, LM_OP_LINEAR_DX,                                                      \
     {BF16(LM_ROLE_INPUT, 2, {rows, n}), BF16(LM_ROLE_STATE, 2, {n, k})}},                                              \
    {"linear_dw bf16 " #rows " rows, " #n "x" #k, LM_OP_LINEAR_DW,                                                      \
     {BF16(LM_ROLE_INPUT, 2, {rows, n}), BF16(LM_ROLE_INPUT, 2, {rows, k}), STATE(2, {n, k})}}
#define ATTENTION(rows, seq, heads, kv_heads, dim)                                                                     \
    {"attention " #rows " rows, sequences of " #seq, LM_OP_ATTENTION,                                                   \
     {IN(2, {rows, heads * dim}), IN(2, {rows, kv_heads * dim}), IN(2, {rows, kv_heads * dim})},                        \
     {.n_heads = heads, .n_kv_heads = kv_heads, .head_dim = dim, .seq_len = seq, .scale = 0.125f}},                     \
    {"attention_backward " #rows " rows, sequences of " #seq, LM_OP_ATTENTION_BACKWARD,                                 \
     {IN(2, {rows, heads * dim}), IN(2, {rows, heads * dim}), IN(2, {rows, kv_heads * dim}),                            \
      IN(2, {rows, kv_heads * dim}), IN(2, {rows, heads * dim}), IN(2, {rows, heads})},                                 \
     {.n_heads = heads, .n_kv_heads = kv_heads, .head_dim = dim, .seq_len = seq, .scale = 0.125f}}
/* Rows of one sequence at positions that end with the cache's last; `at` says which. */
#define PAGED(rows, type, tokens, heads, kv_heads, dim)                                                                \
    {"attention_paged " #rows " rows over " #tokens " " #type, LM_OP_ATTENTION_PAGED,                                   \
     {IN(2, {rows, heads * dim}), {LM_ROLE_STATE, LM_##type, 2, {tokens, kv_heads * dim}},                              \
      {LM_ROLE_STATE, LM_##type, 2, {tokens, kv_heads * dim}}, IDS(rows, tokens), IDS(rows, 1),                          \
      {LM_ROLE_INPUT, LM_I32, 2, {1, tokens / 16}, tokens / 16}},                                                       \
     {.n_heads = heads, .n_kv_heads = kv_heads, .head_dim = dim, .block_tokens = 16, .scale = 0.125f}, tokens}

static const row rows[] = {
    LINEAR(1, F32, 4096, 4096), LINEAR(1, BF16, 4096, 4096), LINEAR(1, F16, 4096, 4096), LINEAR(1, Q8_0, 4096, 4096),
    LINEAR(1, Q4_0, 4096, 4096), LINEAR(4, F32, 4096, 4096), LINEAR(4, BF16, 4096, 4096), LINEAR(4, Q8_0, 4096, 4096),
    LINEAR(4, Q4_0, 4096, 4096), LINEAR(16, F32, 2048, 2048), LINEAR(16, Q4_0, 2048, 2048),
    LINEAR(256, F32, 2048, 2048), LINEAR(256, BF16, 2048, 2048), LINEAR(256, Q8_0, 2048, 2048), LINEAR(256, Q4_0, 2048, 2048),
    LINEAR_TRAIN(768, 128, 128), LINEAR_TRAIN(768, 384, 128), LINEAR_TRAIN(768, 512, 128), LINEAR_TRAIN(768, 65, 128),
    LINEAR_TRAIN(1024, 3072, 768), LINEAR_BF16(768, 384, 128), LINEAR_BF16(1024, 3072, 768),
    ATTENTION(768, 64, 4, 4, 32), ATTENTION(1024, 256, 6, 2, 64), ATTENTION(2048, 1024, 12, 12, 64),
    PAGED(1, F32, 1024, 32, 8, 128), PAGED(1, BF16, 4096, 32, 8, 128), PAGED(1, F16, 1024, 32, 32, 64),
    {"rms_norm 768x128", LM_OP_RMS_NORM, {IN(2, {768, 128}), STATE(1, {128})}, {.eps = 1e-5f}},
    {"rms_norm 1024x768", LM_OP_RMS_NORM, {IN(2, {1024, 768}), STATE(1, {768})}, {.eps = 1e-5f}},
    {"rms_norm_backward 768x128", LM_OP_RMS_NORM_BACKWARD,
     {IN(2, {768, 128}), IN(2, {768, 128}), STATE(1, {128}), IN(1, {768}), STATE(1, {128})}},
    {"rope 768 rows, 4 heads of 32", LM_OP_ROPE, {IN(2, {768, 128}), IDS(768, 64), STATE(1, {16})},
     {.n_heads = 4, .head_dim = 32}},
    {"rope 512 rows, 32 heads of 128", LM_OP_ROPE, {IN(2, {512, 4096}), IDS(512, 512), STATE(1, {64})},
     {.n_heads = 32, .head_dim = 128}},
    {"swiglu 768x512", LM_OP_SWIGLU, {IN(2, {768, 512}), IN(2, {768, 512})}},
    {"swiglu_backward 768x512", LM_OP_SWIGLU_BACKWARD, {IN(2, {768, 512}), IN(2, {768, 512}), IN(2, {768, 512})}},
    {"cross_entropy 768x65", LM_OP_CROSS_ENTROPY, {IN(2, {768, 65}), IDS(768, 65)}},
    {"cross_entropy 512x8192", LM_OP_CROSS_ENTROPY, {IN(2, {512, 8192}), IDS(512, 8192)}},
    {"cross_entropy_backward 768x65", LM_OP_CROSS_ENTROPY_BACKWARD,
     {IN(2, {768, 65}), IDS(768, 65), IN(1, {768}), IN(1, {1})}},
    {"add 768x128", LM_OP_ADD, {IN(2, {768, 128}), IN(2, {768, 128})}},
    {"cast f32 to bf16 768x512", LM_OP_CAST, {IN(2, {768, 512})}, {.dtype = LM_BF16}},
    {"embed_backward 768x128", LM_OP_EMBED_BACKWARD, {IN(2, {768, 128}), IDS(768, 65), STATE(2, {65, 128})}},
    {"sum_squares 512x128", LM_OP_SUM_SQUARES, {STATE(2, {512, 128})}},
    {"sum_squares 4096x4096", LM_OP_SUM_SQUARES, {STATE(2, {4096, 4096})}},
    {"adamw 512x128", LM_OP_ADAMW, {STATE(2, {512, 128}), STATE(2, {512, 128}), STATE(2, {512, 128}), STATE(2, {512, 128}), IN(1, {4})},
     {.beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .weight_decay = 0.1f}},
    {"adamw 4096x1024", LM_OP_ADAMW,
     {STATE(2, {4096, 1024}), STATE(2, {4096, 1024}), STATE(2, {4096, 1024}), STATE(2, {4096, 1024}), IN(1, {4})},
     {.beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .weight_decay = 0.1f}},
};

/* One row made ready. */
typedef struct subject {
    lm_device *device;
    lm_graph *graph;
    lm_plan *plan;
    void *data[LM_MAX_INPUTS]; /* of weights and states; of a weight in the device's order `packed` instead */
    void *packed;
} subject;

static int64_t n_elems_of(const input *in) {
    return in->shape[0] * (in->n_dims > 1 ? in->shape[1] : 1);
}

/* Small positive numbers, so that every op is in its domain. */
static void fill(const input *in, void *data) {
    enum { CHUNK = 1024 };
    lm_rng rng;
    lm_rng_init(&rng, 1);
    float values[CHUNK];
    for (int64_t at = 0, n = n_elems_of(in); at < n; at += CHUNK) {
        int64_t count = n - at < CHUNK ? n - at : CHUNK;
        for (int64_t i = 0; i < count; i++) {
            if (in->dtype == LM_I32)
                ((int32_t *)data)[at + i] = (int32_t)((at + i + in->limit - n % in->limit) % in->limit); /* ends with limit - 1 */
            else
                values[i] = 0.1f + lm_rng_f32(&rng);
        }
        if (in->dtype != LM_I32) lm_dtype_get(in->dtype)->pack(values, (char *)data + lm_dtype_bytes(in->dtype, at), count);
    }
}

static lm_tensor *make_weight(subject *s, const row *r, int i) {
    const input *in = &r->in[i];
    lm_weight weight = {.name = "w", .dtype = in->dtype, .n_dims = in->n_dims, .shape = {in->shape[0], in->shape[1]},
                        .data = s->data[i]};
    lm_weight packed;
    if (s->device->backend->pack(s->device, &weight, &packed, NULL) != LOAM_OK) return lm_graph_weight(s->graph, &weight);
    s->packed = (void *)packed.data;
    return lm_graph_weight(s->graph, &packed);
}

static loam_status make_inputs(subject *s, const row *r, lm_op_args *out, loam_error *err) {
    static const char *const names[LM_MAX_INPUTS] = {"in0", "in1", "in2", "in3", "in4", "in5", "in6", "in7"};
    for (int i = 0; i < LM_MAX_INPUTS; i++) {
        const input *in = &r->in[i];
        if (in->n_dims == 0) continue;
        if (in->role == LM_ROLE_INPUT) {
            out->in[i] = lm_graph_input(s->graph, names[i], in->dtype, LM_EXTENT_FIXED, in->n_dims, in->shape);
            continue;
        }
        LM_TRY(s->device->backend->alloc(s->device, lm_dtype_bytes(in->dtype, n_elems_of(in)), &s->data[i], err));
        fill(in, s->data[i]);
        out->in[i] = in->role == LM_ROLE_WEIGHT
                         ? make_weight(s, r, i)
                         : lm_graph_state(s->graph, names[i], in->dtype, in->n_dims, in->shape, s->data[i], NULL);
    }
    return LOAM_OK;
}

static loam_status make_subject(subject *s, const row *r, lm_device *device, loam_error *err) {
    *s = (subject){.device = device};
    LM_TRY(lm_graph_new(&s->graph, err));
    lm_op_args args = {.attrs = r->attrs};
    LM_TRY(make_inputs(s, r, &args, err));
    lm_graph_output(s->graph, lm_graph_op(s->graph, r->op, &args));
    LM_TRY(lm_graph_status(s->graph, err));
    LM_TRY(lm_plan_new(s->graph, device, &s->plan, err));
    for (int i = 0; i < LM_MAX_INPUTS; i++)
        if (r->in[i].n_dims > 0 && r->in[i].role == LM_ROLE_INPUT) fill(&r->in[i], args.in[i]->host);
    return LOAM_OK;
}

static void free_subject(subject *s) {
    lm_plan_free(s->plan);
    lm_graph_free(s->graph);
    for (int i = 0; i < LM_MAX_INPUTS; i++) s->device->backend->free(s->device, s->data[i]);
    s->device->backend->free(s->device, s->packed);
}

/* Nanoseconds of n runs. */
static double time_runs(const subject *s, const int64_t *extents, int64_t n) {
    int64_t begin_ns = lm_clock_mono_ns();
    for (int64_t i = 0; i < n; i++) LM_ASSERT(lm_plan_run(s->plan, extents, NULL) == LOAM_OK); /* the CPU is never lost */
    return (double)(lm_clock_mono_ns() - begin_ns);
}

/* Median nanoseconds of a run. */
static double measure(const subject *s, const int64_t *extents) {
    int64_t n = 1;
    double ns = time_runs(s, extents, n), samples[SAMPLES];
    for (; ns < WARM_UP_NS; n *= 2) ns = time_runs(s, extents, 2 * n);
    n = (int64_t)(SAMPLE_NS * (double)n / ns) + 1;
    for (int i = 0; i < SAMPLES; i++) {
        double sample = time_runs(s, extents, n) / (double)n;
        int at = i;
        for (; at > 0 && samples[at - 1] > sample; at--) samples[at] = samples[at - 1];
        samples[at] = sample;
    }
    return samples[SAMPLES / 2];
}

/* The machine's limits for these threads. A row's bandwidth is that of a buffer as large as its operands: where they stay
 * between runs is what decides. */
typedef struct limits {
    double flops;
    double bytes_per_s[MAX_SIZE_BITS + 1]; /* of a working set of up to 2^i bytes; 0: not measured yet */
} limits;

static loam_status bandwidth_for(lm_device *device, limits *l, int64_t bytes, double *out, loam_error *err) {
    int bits = 15;
    while (bits < MAX_SIZE_BITS && (int64_t)1 << bits < bytes) bits++;
    if (l->bytes_per_s[bits] == 0.0)
        LM_TRY(lm_cpu_read_bandwidth(device, (size_t)1 << bits, &l->bytes_per_s[bits], err));
    *out = l->bytes_per_s[bits];
    return LOAM_OK;
}

static loam_status report(bench_format format, bool first, const subject *s, const row *r, limits *l, loam_error *err) {
    int64_t extents[LM_N_EXTENTS] = {[LM_EXTENT_CONTEXT] = r->context};
    lm_cost cost = lm_plan_cost(s->plan, extents);
    double seconds = measure(s, extents) * 1e-9, bytes_per_s;
    LM_TRY(bandwidth_for(s->device, l, cost.bytes, &bytes_per_s, err));
    double least = fmax((double)cost.flops / l->flops, (double)cost.bytes / bytes_per_s);
    bench_field fields[] = {
        {.key = "op", .text = r->name},
        {.key = "kernel", .text = lm_plan_kernel_name(s->plan, 0)},
        {.key = "us", .number = seconds * 1e6},
        {.key = "gflop_per_s", .number = (double)cost.flops / seconds * 1e-9},
        {.key = "gbyte_per_s", .number = (double)cost.bytes / seconds * 1e-9},
        {.key = "%_of_limit", .number = 100 * least / seconds},
    };
    bench_report_row(format, first, fields, LM_COUNT_OF(fields));
    return LOAM_OK;
}

static loam_status bench_rows(lm_device *device, bench_format format, const char *filter, loam_error *err) {
    limits l = {.flops = lm_cpu_peak_flops(device)};
    bool first = true;
    for (size_t i = 0; i < LM_COUNT_OF(rows); i++) {
        if (filter && !strstr(rows[i].name, filter)) continue;
        subject s;
        loam_status status = make_subject(&s, &rows[i], device, err);
        if (status == LOAM_OK) status = report(format, first, &s, &rows[i], &l, err);
        free_subject(&s);
        LM_TRY(status);
        first = false;
    }
    return LOAM_OK;
}

int bench_ops(const void *settings, int n_args, char **args) {
    loam_error err = {0};
    lm_device *device;
    loam_status status = bench_open(settings, &device, &err);
    if (status != LOAM_OK) return lm_cli_fail(&err);
    status = bench_rows(device, bench_format_of(settings), n_args ? args[0] : NULL, &err);
    lm_device_close(device);
    return status == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}
