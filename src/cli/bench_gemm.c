/* loam bench gemm: matrix products by shape, element type and direction, held against the roofline. */
#include <string.h>

#include "cli/bench.h"
#include "cli/bench_subject.h"

typedef struct gemm_settings {
    bench_settings bench;
    const char *rows, *n_out, *n_in, *shapes, *types, *ops;
} gemm_settings;

/* A matrix [n, k] as models have them. */
typedef struct gemm_shape {
    const char *set;
    int64_t n, k;
} gemm_shape;

static const gemm_shape shape_sets[] = {
    {"gpt2-124m", 2304, 768},     {"gpt2-124m", 768, 768},    {"gpt2-124m", 3072, 768},
    {"gpt2-124m", 768, 3072},     {"gpt2-124m", 50257, 768},  {"llama-1b", 2048, 2048},
    {"llama-1b", 512, 2048},      {"llama-1b", 8192, 2048},   {"llama-1b", 2048, 8192},
    {"llama-1b", 128256, 2048},   {"qwen3-0.6b", 2048, 1024}, {"qwen3-0.6b", 1024, 1024},
    {"qwen3-0.6b", 1024, 2048},   {"qwen3-0.6b", 3072, 1024}, {"qwen3-0.6b", 1024, 3072},
    {"qwen3-0.6b", 151936, 1024},
};

typedef enum gemm_op { GEMM_FORWARD, GEMM_TRAIN, GEMM_DX, GEMM_DW, GEMM_N_OPS } gemm_op;

static const char *const op_names[GEMM_N_OPS] = {"forward", "train", "dx", "dw"};

typedef struct gemm_bench {
    const gemm_settings *settings;
    bench_list rows;
    gemm_shape shapes[BENCH_LIST_MAX];
    int n_shapes;
    bool types[LM_DTYPE_COUNT], ops[GEMM_N_OPS];
} gemm_bench;

/* ---- One product ---- */

/* y [m, n] = x [m, k] w^T; dx = dy w; dw += dy^T x. Weights of inference are constant, those of training change. */
static bench_case case_of(gemm_op op, lm_dtype type, int64_t m, gemm_shape shape) {
    int64_t n = shape.n, k = shape.k;
    bench_input x = {LM_ROLE_INPUT, type, 2, {m, k}}, dy = {LM_ROLE_INPUT, type, 2, {m, n}},
                w = {LM_ROLE_STATE, type, 2, {n, k}}, dw = {LM_ROLE_STATE, LM_F32, 2, {n, k}};
    switch (op) {
    case GEMM_TRAIN: return (bench_case){.op = LM_OP_LINEAR, .in = {x, w}};
    case GEMM_DX: return (bench_case){.op = LM_OP_LINEAR_DX, .in = {dy, w}};
    case GEMM_DW: return (bench_case){.op = LM_OP_LINEAR_DW, .in = {dy, x, dw}};
    default:
        x.dtype = LM_F32;
        w.role = LM_ROLE_WEIGHT;
        return (bench_case){.op = LM_OP_LINEAR, .in = {x, w}};
    }
}

/* Quantized weights are not trained, and have whole blocks in a row. */
static bool exists(gemm_op op, lm_dtype type, int64_t k) {
    if (k % lm_dtype_get(type)->block_elems != 0) return false;
    return op == GEMM_FORWARD || type == LM_F32 || type == LM_BF16;
}

static loam_status report_product(bench_report *report, const bench_subject *s, gemm_op op,
                                  lm_dtype type, int64_t m, gemm_shape shape, bench_limits *limits,
                                  loam_error *err) {
    lm_cost cost = bench_subject_cost(s);
    bench_times times = bench_subject_time(s);
    double flops = (double)cost.flops, bytes = (double)cost.bytes, least;
    bool memory;
    LM_TRY(bench_limits_seconds(limits, bench_arith_of(type), flops, bytes, bytes, &least, &memory,
                                err));
    bench_field fields[] = {
        {.key = "op", .text = op_names[op], .role = BENCH_KEY, .width = 7},
        {.key = "type", .text = lm_dtype_get(type)->name, .role = BENCH_KEY, .width = 6},
        {.key = "m", .number = (double)m, .role = BENCH_KEY},
        {.key = "n", .number = (double)shape.n, .role = BENCH_KEY},
        {.key = "k", .number = (double)shape.k, .role = BENCH_KEY},
        {.key = "threads", .number = s->device->n_threads, .role = BENCH_KEY},
        {.key = "kernel", .text = bench_subject_kernel(s), .width = 26},
        {.key = "us", .number = times.best * 1e6},
        {.key = "median_us", .number = times.median * 1e6},
        {.key = "gflop_per_s", .number = flops / times.best * 1e-9, .role = BENCH_RATE},
        {.key = "gbyte_per_s", .number = bytes / times.best * 1e-9},
        {.key = "limit", .text = memory ? "memory" : "arithmetic", .width = 10},
        {.key = "limit_pct", .number = 100 * least / times.best},
    };
    bench_report_row(report, fields, LM_COUNT_OF(fields));
    return LOAM_OK;
}

static loam_status bench_product(const gemm_bench *bench, gemm_op op, lm_dtype type,
                                 gemm_shape shape, bench_limits *limits, bench_report *report,
                                 loam_error *err) {
    for (int i = 0; i < bench->rows.len; i++) {
        int64_t m = bench->rows.values[i];
        bench_case c = case_of(op, type, m, shape);
        bench_subject subject;
        loam_status status = bench_subject_init(&subject, &c, limits->device, err);
        if (status == LOAM_OK)
            status = report_product(report, &subject, op, type, m, shape, limits, err);
        bench_subject_deinit(&subject);
        LM_TRY(status);
    }
    return LOAM_OK;
}

static loam_status bench_products(void *arg, lm_device *device, bench_report *report,
                                  loam_error *err) {
    const gemm_bench *bench = arg;
    bench_limits limits = {.device = device};
    for (int op = 0; op < GEMM_N_OPS; op++)
        for (int type = 0; type < LM_DTYPE_COUNT; type++)
            for (int i = 0; i < bench->n_shapes; i++)
                if (bench->ops[op] && bench->types[type] &&
                    exists((gemm_op)op, (lm_dtype)type, bench->shapes[i].k))
                    LM_TRY(bench_product(bench, (gemm_op)op, (lm_dtype)type, bench->shapes[i],
                                         &limits, report, err));
    return LOAM_OK;
}

/* ---- What is asked for ---- */

static bool names(const char *list, const char *name) {
    size_t len = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at += len) {
        bool begins = at == list || at[-1] == ',', ends = at[len] == '\0' || at[len] == ',';
        if (begins && ends) return true;
    }
    return false;
}

static loam_status choose_shapes(gemm_bench *bench, loam_error *err) {
    const gemm_settings *s = bench->settings;
    if (s->n_out || s->n_in) {
        bench_list n, k;
        LM_TRY(bench_list_parse(s->n_out ? s->n_out : "4096", "n", 1, 1 << 24, &n, err));
        LM_TRY(bench_list_parse(s->n_in ? s->n_in : "4096", "k", 1, 1 << 24, &k, err));
        for (int i = 0; i < n.len; i++)
            for (int j = 0; j < k.len && bench->n_shapes < BENCH_LIST_MAX; j++)
                bench->shapes[bench->n_shapes++] = (gemm_shape){"", n.values[i], k.values[j]};
        return LOAM_OK;
    }
    for (size_t i = 0; i < LM_COUNT_OF(shape_sets); i++)
        if (names(s->shapes, shape_sets[i].set)) bench->shapes[bench->n_shapes++] = shape_sets[i];
    if (bench->n_shapes > 0) return LOAM_OK;
    lm_error_set(err, LOAM_INVALID, "there are no shapes of '%s'", s->shapes);
    return lm_error_hint(err, LOAM_INVALID, "known are gpt2-124m, llama-1b and qwen3-0.6b");
}

static loam_status choose_types(gemm_bench *bench, loam_error *err) {
    bool any = false;
    for (int type = 0; type < LM_DTYPE_COUNT; type++) {
        const char *list = bench->settings->types;
        bench->types[type] =
            type != LM_I32 && (!list || names(list, lm_dtype_get((lm_dtype)type)->name));
        any = any || bench->types[type];
    }
    for (int op = 0; op < GEMM_N_OPS; op++)
        bench->ops[op] = names(bench->settings->ops, op_names[op]);
    return any ? LOAM_OK
               : lm_error_set(err, LOAM_INVALID, "no element type is called '%s'",
                              bench->settings->types);
}

static int run_gemm(const void *settings, int n_args, char **args) {
    gemm_bench bench = {.settings = settings};
    loam_error err = {0};
    if (bench_list_parse(bench.settings->rows, "m", 1, 1 << 20, &bench.rows, &err) != LOAM_OK ||
        choose_shapes(&bench, &err) != LOAM_OK || choose_types(&bench, &err) != LOAM_OK)
        return lm_cli_fail(&err);
    return bench_on_devices(&bench.settings->bench, bench_products, &bench);
}

#define AT(field) LM_OPTION_AT(gemm_settings, field)
static const lm_option options[] = {
    {.name = "m",
     .short_name = 'm',
     .type = LM_OPT_STRING,
     .arg = "LIST",
     .offset = AT(rows),
     .help = "rows of activations (default 1,4,8,16,64,512)"},
    {.name = "n",
     .short_name = 'n',
     .type = LM_OPT_STRING,
     .arg = "LIST",
     .offset = AT(n_out),
     .help = "rows of the weight, instead of --shapes"},
    {.name = "k",
     .short_name = 'k',
     .type = LM_OPT_STRING,
     .arg = "LIST",
     .offset = AT(n_in),
     .help = "columns of the weight, instead of --shapes"},
    {.name = "shapes",
     .type = LM_OPT_STRING,
     .arg = "SETS",
     .offset = AT(shapes),
     .help = "weights of gpt2-124m, llama-1b or qwen3-0.6b (default qwen3-0.6b)"},
    {.name = "types",
     .type = LM_OPT_STRING,
     .arg = "LIST",
     .offset = AT(types),
     .help = "element types of the weight, as in f32,q8_0 (default: all)"},
    {.name = "ops",
     .type = LM_OPT_STRING,
     .arg = "LIST",
     .offset = AT(ops),
     .help = "forward (constant weights), train (changing ones), dx, dw (default forward)"},
    BENCH_DEVICE_OPTIONS(gemm_settings),
    BENCH_REPORT_OPTIONS(gemm_settings),
    LM_OPTIONS_END,
};

const lm_command lm_bench_gemm_command = {
    .name = "gemm",
    .summary = "time matrix products by shape and type",
    .description =
        "Times the products of a transformer: activations [m, k] with weights [n, k], and the two "
        "backward ones. The limit is the roofline: the arithmetic at the peak for the weights' "
        "type, "
        "or all operands at the read bandwidth of a working set as large as they are.",
    .examples = "loam bench gemm --shapes llama-1b --types q8_0,bf16 -m 1,8,512 -t 1,2\n"
                "    decode, batched decode and prefill of two formats, on one and two threads\n"
                "loam bench gemm -m 256 -n 3072 -k 768 --types f32,bf16 --ops train,dx,dw\n"
                "    one shape of training\n",
    .options = options,
    .settings_bytes = sizeof(gemm_settings),
    .defaults =
        &(gemm_settings){.rows = "1,4,8,16,64,512", .shapes = "qwen3-0.6b", .ops = "forward"},
    .run = run_gemm,
};
