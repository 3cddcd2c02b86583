/* loam bench model: prompts and answers a second of a model, alone and many at once, held against the machine's limits.
 *
 * Tests are named as llama-bench and its kin name theirs, and mean the same: pp512 is a prompt of 512 tokens into an empty
 * cache, logits of the last; tg128 is 128 steps of one token behind an empty cache; @d8192 is the same behind 8192
 * tokens; tg32 x16 is 32 steps of 16 sequences, each behind a prompt of its own.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/progress.h"
#include "cli/bench.h"
#include "cli/model_arg.h"
#include "model/session.h"
#include "model/state_cache.h"

typedef struct model_settings {
    bench_settings bench;
    const char *prompts, *answers, *depths, *batches, *kv_dtype;
    int64_t batch_prompt, batch_answers, step_rows, repeats;
} model_settings;

/* n_tokens more for each of n_seqs sequences that have `depth`, in steps of at most rows_a_step a sequence. */
typedef struct model_test {
    int64_t n_seqs, depth, n_tokens, rows_a_step;
} model_test;

enum { MAX_TESTS = 128, MAX_REPEATS = 100 };

typedef struct model_bench {
    const model_settings *settings;
    const char *path;
    lm_dtype kv_dtype;
    model_test tests[MAX_TESTS];
    int n_tests;
    /* of the device at hand */
    lm_model *model;
    lm_session *session;
    lm_step_row *rows;   /* [max_rows] */
    int32_t *seqs;       /* [max_seqs] */
    model_test prepared; /* the sequences that are alive */
    lm_cpu_arith arith;
    double step_bytes;  /* of weights, read once a step */
    double token_bytes; /* of the cache, one token's keys and values in all layers */
    double seq_bytes;   /* of the states of one sequence, read and written once a step */
    bench_limits limits;
    lm_progress progress;
    int64_t n_done; /* runs of tests */
} model_bench;

/* ---- What the model reads and computes ---- */

/* Counts what every step reads, and finds the type that most products are made of. A tied head is the embedding's matrix; an
 * embedding beside a head of its own is read a row at a time. */
static void weigh(model_bench *b) {
    const lm_arch_config *config = lm_model_config(b->model);
    int64_t n_elems[LM_DTYPE_COUNT] = {0};
    lm_dtype most = LM_F32;
    b->step_bytes = 0;
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        if (lm_param_is_by_token((lm_param_id)id) ||
            (id != LM_PARAM_OUTPUT_HEAD && !lm_param_in(config, (lm_param_id)id)))
            continue;
        int64_t n_layers =
            lm_param_has_layer((lm_param_id)id) ? lm_stored_layers(&config->hparams) : 1;
        for (int64_t layer = 0; layer < n_layers; layer++) {
            const lm_weight *w = lm_model_param(b->model, (lm_param_id)id, layer);
            int64_t n = 1;
            for (int d = 0; w && d < w->n_dims; d++) n *= w->shape[d];
            if (!w) continue; /* a dense layer of a mixture of experts has no experts */
            b->step_bytes += (double)lm_dtype_bytes(w->dtype, n);
            n_elems[w->dtype] += n;
            if (n_elems[w->dtype] > n_elems[most]) most = w->dtype;
        }
    }
    lm_kv_options kv = lm_kv_options_of(&config->hparams, b->kv_dtype, 0);
    b->arith = bench_arith_of(most);
    b->token_bytes = (double)lm_kv_block_bytes(&kv) / LM_KV_BLOCK_TOKENS;
    b->seq_bytes = 2 * (double)lm_state_seq_bytes(&config->hparams);
}

static int64_t min_i64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t max_i64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Only the last token of a sequence's rows in a step has its logits computed, and of a prompt only the very last. */
static bool wants_logits(const model_test *test, int64_t i) {
    return test->rows_a_step == 1 || i == test->n_tokens - 1;
}

static loam_status least_seconds(model_bench *b, const model_test *test, double *out,
                                 double *out_flops, double *out_bytes, bool *out_memory,
                                 loam_error *err) {
    double flops = 0, bytes = 0;
    for (int64_t i = 0; i < test->n_tokens; i++)
        flops += (double)lm_session_row_flops(b->session, test->depth + i, wants_logits(test, i));
    for (int64_t i = 0; i < test->n_tokens; i += test->rows_a_step) {
        int64_t end = test->depth + min_i64(i + test->rows_a_step, test->n_tokens);
        bytes += b->step_bytes + (double)(test->n_seqs * end) * b->token_bytes +
                 (double)test->n_seqs * b->seq_bytes;
    }
    *out_flops = flops * (double)test->n_seqs;
    *out_bytes = bytes;
    double working_set = bytes * (double)test->rows_a_step / (double)test->n_tokens;
    return bench_limits_seconds(&b->limits, b->arith, *out_flops, bytes, working_set, out,
                                out_memory, err);
}

/* ---- Running ---- */

/* Speed does not depend on which tokens these are. */
static int32_t any_token(const model_bench *b, int64_t seq, int64_t i) {
    return (int32_t)((i * 7919 + seq * 104729 + 1) % lm_model_config(b->model)->hparams.vocab_size);
}

/* Gives n_tokens more to the test's sequences, which are those from `first` on. */
static loam_status extend(model_bench *b, const model_test *test, int64_t first, loam_error *err) {
    for (int64_t at = 0; at < test->n_tokens; at += test->rows_a_step) {
        int64_t n = min_i64(test->rows_a_step, test->n_tokens - at), n_rows = 0;
        for (int64_t seq = first; seq < first + test->n_seqs; seq++)
            for (int64_t i = at; i < at + n; i++)
                b->rows[n_rows++] = (lm_step_row){.token = any_token(b, seq, test->depth + i),
                                                  .seq = b->seqs[seq],
                                                  .want_logits = wants_logits(test, i)};
        LM_TRY(lm_session_step(b->session, b->rows, n_rows, err));
    }
    return LOAM_OK;
}

/* New sequences of the test's depth, one prompt after the other. */
static loam_status make_sequences(model_bench *b, const model_test *test, loam_error *err) {
    model_test prompt = {1, 0, test->depth, b->settings->step_rows};
    for (int64_t i = 0; i < b->prepared.n_seqs; i++) lm_session_seq_free(b->session, b->seqs[i]);
    b->prepared = (model_test){0};
    for (int64_t i = 0; i < test->n_seqs; i++) {
        LM_TRY(lm_session_seq_new(b->session, &b->seqs[i], err));
        b->prepared.n_seqs++;
        LM_TRY(extend(b, &prompt, i, err));
    }
    b->prepared.depth = test->depth;
    return LOAM_OK;
}

/* The sequences of the test before serve again if they fit. */
static loam_status prepare(model_bench *b, const model_test *test, loam_error *err) {
    bool again = b->prepared.n_seqs == test->n_seqs && b->prepared.depth == test->depth;
    for (int64_t i = 0; again && i < test->n_seqs; i++)
        again = lm_session_seq_keeps(b->session, b->seqs[i], test->depth) == test->depth;
    if (!again) LM_TRY(make_sequences(b, test, err));
    for (int64_t i = 0; i < test->n_seqs; i++)
        lm_session_seq_truncate(b->session, b->seqs[i], test->depth);
    return LOAM_OK;
}

static loam_status run_test(model_bench *b, const model_test *test, double *out_seconds,
                            loam_error *err) {
    LM_TRY(prepare(b, test, err));
    int64_t begin_ns = lm_clock_mono_ns();
    LM_TRY(extend(b, test, 0, err));
    *out_seconds = (double)(lm_clock_mono_ns() - begin_ns) * 1e-9;
    return LOAM_OK;
}

/* ---- Reporting ---- */

static void name_of(const model_test *test, char *out, size_t size) {
    int n = snprintf(out, size, "%s%lld", test->rows_a_step > 1 ? "pp" : "tg",
                     (long long)test->n_tokens);
    if (test->n_seqs > 1)
        snprintf(out + n, size - (size_t)n, " x%lld", (long long)test->n_seqs);
    else if (test->depth > 0)
        snprintf(out + n, size - (size_t)n, " @d%lld", (long long)test->depth);
}

static loam_status report_test(model_bench *b, bench_report *report, const model_test *test,
                               const double *seconds, int n, loam_error *err) {
    double least, flops, bytes, median = seconds[n / 2];
    double tokens = (double)(test->n_seqs * test->n_tokens);
    bool memory;
    char name[64];
    name_of(test, name, sizeof name);
    LM_TRY(least_seconds(b, test, &least, &flops, &bytes, &memory, err));
    bench_field fields[] = {
        {.key = "model", .text = lm_model_name(b->model), .role = BENCH_KEY, .width = 20},
        {.key = "test", .text = name, .role = BENCH_KEY, .width = 14},
        {.key = "kv", .text = lm_dtype_get(b->kv_dtype)->name, .role = BENCH_KEY, .width = 4},
        {.key = "threads", .number = b->limits.device->n_threads, .role = BENCH_KEY},
        {.key = "tok_per_s", .number = tokens / median, .role = BENCH_RATE},
        {.key = "spread_pct", .number = 100 * (seconds[n - 1] - seconds[0]) / median},
        {.key = "gflop_per_s", .number = flops / median * 1e-9},
        {.key = "gbyte_per_s", .number = bytes / median * 1e-9},
        {.key = "limit", .text = memory ? "memory" : "arithmetic", .width = 10},
        {.key = "limit_pct", .number = 100 * least / median},
    };
    lm_progress_clear(&b->progress);
    bench_report_row(report, fields, LM_COUNT_OF(fields));
    return LOAM_OK;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One run to warm up, then those that count. */
static loam_status bench_test(model_bench *b, bench_report *report, const model_test *test,
                              loam_error *err) {
    double seconds[MAX_REPEATS];
    char name[64];
    name_of(test, name, sizeof name);
    for (int64_t i = -1; i < b->settings->repeats; i++) {
        lm_progress_update(&b->progress, b->n_done++, "%s", name);
        LM_TRY(run_test(b, test, &seconds[max_i64(i, 0)], err));
    }
    qsort(seconds, (size_t)b->settings->repeats, sizeof *seconds, by_value);
    return report_test(b, report, test, seconds, (int)b->settings->repeats, err);
}

/* ---- The session ---- */

static loam_status open_session(model_bench *b, loam_error *err) {
    lm_session_options options = {.max_rows = b->settings->step_rows, .kv_dtype = b->kv_dtype};
    for (int i = 0; i < b->n_tests; i++) {
        const model_test *test = &b->tests[i];
        int64_t len = test->depth + test->n_tokens,
                blocks = (len + LM_KV_BLOCK_TOKENS - 1) / LM_KV_BLOCK_TOKENS;
        options.max_rows = max_i64(options.max_rows, test->n_seqs);
        options.max_seqs = max_i64(options.max_seqs, test->n_seqs);
        options.max_context = max_i64(options.max_context, len);
        options.n_blocks = max_i64(options.n_blocks, test->n_seqs * blocks);
    }
    b->rows = lm_calloc((size_t)options.max_rows, sizeof *b->rows);
    b->seqs = lm_calloc((size_t)options.max_seqs, sizeof *b->seqs);
    if (!b->rows || !b->seqs)
        return lm_error_no_memory(err, (size_t)options.max_rows * sizeof *b->rows);
    return lm_session_new(b->model, &options, &b->session, err);
}

static loam_status bench_tests(model_bench *b, bench_report *report, loam_error *err) {
    LM_TRY(lm_model_open(b->path, b->limits.device, NULL, &b->model, err));
    LM_TRY(open_session(b, err));
    weigh(b);
    lm_progress_init(&b->progress, lm_model_name(b->model), 0,
                     b->n_tests * (b->settings->repeats + 1));
    for (int i = 0; i < b->n_tests; i++) LM_TRY(bench_test(b, report, &b->tests[i], err));
    return LOAM_OK;
}

static loam_status bench_device(void *arg, lm_device *device, bench_report *report,
                                loam_error *err) {
    model_bench *b = arg;
    b->limits = (bench_limits){.device = device};
    b->prepared = (model_test){0};
    b->n_done = 0;
    loam_status status = bench_tests(b, report, err);
    lm_progress_clear(&b->progress);
    lm_free(b->rows);
    lm_free(b->seqs);
    lm_session_free(b->session);
    lm_model_free(b->model);
    b->rows = NULL;
    b->seqs = NULL;
    b->session = NULL;
    b->model = NULL;
    return status;
}

/* ---- What is asked for ---- */

static loam_status add_test(model_bench *b, model_test test, loam_error *err) {
    if (b->n_tests == MAX_TESTS)
        return lm_error_set(err, LOAM_LIMIT, "more than %d tests are wanted", MAX_TESTS);
    b->tests[b->n_tests++] = test;
    return LOAM_OK;
}

static loam_status choose_tests(model_bench *b, loam_error *err) {
    const model_settings *s = b->settings;
    bench_list prompts, answers, depths, batches;
    LM_TRY(bench_list_parse(s->prompts, "prompts", 0, 1 << 24, &prompts, err));
    LM_TRY(bench_list_parse(s->answers, "answers", 0, 1 << 24, &answers, err));
    LM_TRY(bench_list_parse(s->depths, "depths", 0, 1 << 24, &depths, err));
    LM_TRY(bench_list_parse(s->batches, "batches", 0, 4096, &batches, err));
    for (int d = 0; d < depths.len; d++) {
        int64_t depth = depths.values[d];
        for (int i = 0; i < prompts.len; i++)
            if (prompts.values[i] > 0)
                LM_TRY(add_test(b, (model_test){1, depth, prompts.values[i], s->step_rows}, err));
        for (int i = 0; i < answers.len; i++)
            if (answers.values[i] > 0)
                LM_TRY(add_test(b, (model_test){1, depth, answers.values[i], 1}, err));
    }
    for (int i = 0; i < batches.len; i++)
        if (batches.values[i] > 0)
            LM_TRY(add_test(
                b, (model_test){batches.values[i], s->batch_prompt, s->batch_answers, 1}, err));
    return LOAM_OK;
}

static int run_model(const void *settings, int n_args, char **args) {
    model_bench b = {.settings = settings, .path = args[0]};
    loam_error err = {0};
    if (!lm_dtype_parse(b.settings->kv_dtype, &b.kv_dtype)) {
        lm_error_set(&err, LOAM_INVALID, "unknown element type '%s' for the cache",
                     b.settings->kv_dtype);
        return lm_cli_fail(&err);
    }
    if (choose_tests(&b, &err) != LOAM_OK) return lm_cli_fail(&err);
    return bench_on_devices(&b.settings->bench, bench_device, &b);
}

#define AT(field) LM_OPTION_AT(model_settings, field)
static const lm_option options[] = {
    {.name = "prompts",
     .short_name = 'p',
     .type = LM_OPT_STRING,
     .arg = "LIST",
     .offset = AT(prompts),
     .help = "tokens of prompts: pp512 and so on; 0: none (default 128,512)"},
    {.name = "answers",
     .short_name = 'n',
     .type = LM_OPT_STRING,
     .arg = "LIST",
     .offset = AT(answers),
     .help = "tokens of answers: tg128 and so on; 0: none (default 128)"},
    {.name = "depths",
     .short_name = 'd',
     .type = LM_OPT_STRING,
     .arg = "LIST",
     .offset = AT(depths),
     .help = "tokens that are in the cache before, for both (default 0)"},
    {.name = "batches",
     .short_name = 'b',
     .type = LM_OPT_STRING,
     .arg = "LIST",
     .offset = AT(batches),
     .help = "sequences answered at once; 0: none (default 4,16)"},
    {.name = "batch-prompt",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(batch_prompt),
     .max = 1 << 24,
     .help = "tokens of the prompt before each of them (default 128)"},
    {.name = "batch-answers",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(batch_answers),
     .min = 1,
     .max = 1 << 24,
     .help = "tokens of each of their answers (default 32)"},
    {.name = "step-rows",
     .short_name = 'u',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(step_rows),
     .min = 2,
     .max = 1 << 20,
     .help = "tokens of a prompt computed at once (default 512)"},
    LM_CLI_KV_DTYPE_OPTION(model_settings),
    {.name = "repeats",
     .short_name = 'r',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(repeats),
     .min = 1,
     .max = MAX_REPEATS,
     .help = "runs of each test; the median counts (default 3)"},
    BENCH_DEVICE_OPTIONS(model_settings),
    BENCH_REPORT_OPTIONS(model_settings),
    LM_OPTIONS_END,
};

const lm_command lm_bench_model_command = {
    .name = "model",
    .summary = "time prompts and answers of a model",
    .usage = "<model>",
    .description =
        "Times prompts (pp512: 512 tokens), answers (tg128: 128 steps of one token) and answers of "
        "many sequences at once (tg32 x16), each after a run to warm up, and prints the median "
        "tokens a second and the spread of the runs. The limit is the roofline: the arithmetic of "
        "the step at the machine's peak for the weights' type, or all weights and the keys and "
        "values once a step at the read bandwidth of memory, states of recurrent layers there and "
        "back, whichever takes longer.",
    .examples = "loam bench model model.gguf\n"
                "    prompts, answers and batches of a usual size\n"
                "loam bench model model.gguf -p 2048 -n 64 -d 8192 -b 0 -t 1,2\n"
                "    behind 8192 tokens of context, on one thread and on two\n"
                "loam bench model model.gguf --baseline before.json --max-slowdown 1.05\n"
                "    fail when anything became slower by more than 5 %\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .model_arg = 1,
    .settings_bytes = sizeof(model_settings),
    .defaults = &(model_settings){.prompts = "128,512",
                                  .answers = "128",
                                  .depths = "0",
                                  .batches = "4,16",
                                  .kv_dtype = LM_CLI_KV_DTYPE,
                                  .batch_prompt = 128,
                                  .batch_answers = 32,
                                  .step_rows = 512,
                                  .repeats = 3},
    .run = run_model,
};
