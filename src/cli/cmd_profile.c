/* loam profile: where a model's time goes, op by op. */
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/bench.h"
#include "cli/model_arg.h"
#include "compute/profile.h"
#include "model/session.h"

typedef struct profile_settings {
    bench_settings bench;
    const char *trace, *kv_dtype;
    int64_t prompt_tokens, answer_tokens, n_seqs, step_rows;
    bool nodes;
} profile_settings;

enum { MAX_TRACE_BYTES = 1 << 30 };

typedef struct profile_work {
    const profile_settings *settings;
    const char *path;
    lm_dtype kv_dtype;
    lm_model *model;
    lm_session *session;
    lm_profile *profile;
    lm_step_row *rows; /* [max_rows] */
    int32_t *seqs;     /* [n_seqs] */
} profile_work;

/* ---- The runs ---- */

/* Prompts are computed one sequence after the other, answers side by side. */
static loam_status run_step(profile_work *w, const char *phase, int64_t n_rows, loam_error *err) {
    int64_t begin_ns = lm_clock_mono_ns();
    LM_TRY(lm_session_step(w->session, w->rows, n_rows, err));
    return lm_profile_add(w->profile, phase, lm_session_extents(w->session), begin_ns,
                          lm_clock_mono_ns(), err);
}

static loam_status run_prompt(profile_work *w, int64_t seq, loam_error *err) {
    int64_t n_tokens = w->settings->prompt_tokens, n_rows = 0,
            n_vocab = lm_model_config(w->model)->hparams.vocab_size;
    for (int64_t i = 0; i < n_tokens; i++) {
        w->rows[n_rows++] = (lm_step_row){.token = (int32_t)((i * 7919 + seq) % n_vocab),
                                          .seq = w->seqs[seq],
                                          .want_logits = i == n_tokens - 1};
        if (n_rows < w->settings->step_rows && i < n_tokens - 1) continue;
        LM_TRY(run_step(w, "prefill", n_rows, err));
        n_rows = 0;
    }
    return LOAM_OK;
}

static loam_status run_all(profile_work *w, loam_error *err) {
    int64_t n_seqs = w->settings->n_seqs;
    for (int64_t i = 0; i < n_seqs; i++) {
        LM_TRY(lm_session_seq_new(w->session, &w->seqs[i], err));
        LM_TRY(run_prompt(w, i, err));
    }
    for (int64_t step = 0; step < w->settings->answer_tokens; step++) {
        for (int64_t i = 0; i < n_seqs; i++)
            w->rows[i] = (lm_step_row){.token = 1, .seq = w->seqs[i], .want_logits = true};
        LM_TRY(run_step(w, "decode", n_seqs, err));
    }
    return LOAM_OK;
}

/* Once to warm up, once for the profile. */
static loam_status run_twice(profile_work *w, loam_error *err) {
    for (int i = 0; i < 2; i++) {
        lm_profile_free(w->profile);
        w->profile = NULL;
        LM_TRY(lm_profile_new(lm_session_plan(w->session), &w->profile, err));
        LM_TRY(run_all(w, err));
        for (int64_t seq = 0; seq < w->settings->n_seqs; seq++)
            lm_session_seq_free(w->session, w->seqs[seq]);
    }
    return LOAM_OK;
}

/* ---- The report ---- */

static loam_status report_row(bench_report *report, const profile_work *w,
                              const lm_profile_row *row, bench_limits *limits, loam_error *err) {
    double flops = (double)row->flops, bytes = (double)row->bytes, seconds = (double)row->ns * 1e-9,
           least;
    /* A step goes through all weights before it comes back to one; what passes between ops stays in the caches. */
    double working_set =
        row->reads_weight ? (double)lm_model_weight_bytes(w->model) : bytes / (double)row->n_runs;
    LM_TRY(bench_limits_seconds(limits, bench_arith_of(row->dtype), flops, bytes, working_set,
                                &least, NULL, err));
    double phase_ns = (double)lm_profile_phase_ns(w->profile, row->phase);
    bool timed = seconds > 0;
    bench_field fields[] = {
        {.key = "phase", .text = row->phase, .role = BENCH_KEY, .width = 8},
        {.key = "op", .text = row->op, .role = BENCH_KEY, .width = 16},
        {.key = "kernel", .text = row->kernel, .width = 30},
        {.key = "shape", .text = row->shape, .role = BENCH_KEY, .width = 22},
        {.key = "runs", .number = (double)row->n_runs, .role = BENCH_KEY},
        {.key = "ms", .number = seconds * 1e3, .role = BENCH_TIME},
        {.key = "time_pct", .number = 100 * (double)row->ns / phase_ns},
        {.key = "gflop", .number = flops * 1e-9},
        {.key = "mbyte", .number = bytes * 1e-6},
        {.key = "gflop_per_s", .number = timed ? flops / seconds * 1e-9 : 0},
        {.key = "gbyte_per_s", .number = timed ? bytes / seconds * 1e-9 : 0},
        {.key = "limit_pct", .number = timed ? 100 * least / seconds : 0},
        {.key = "name", .text = row->name, .role = BENCH_KEY},
    };
    int n_fields = LM_COUNT_OF(fields);
    bench_report_row(report, fields, w->settings->nodes ? n_fields : n_fields - 1);
    return LOAM_OK;
}

static loam_status report_profile(const profile_work *w, lm_device *device, bench_report *report,
                                  loam_error *err) {
    int max = lm_profile_max_rows(w->profile);
    lm_profile_row *rows = lm_calloc((size_t)max, sizeof *rows);
    if (!rows) return lm_error_no_memory(err, (size_t)max * sizeof *rows);
    int n = w->settings->nodes ? lm_profile_nodes(w->profile, rows, max)
                               : lm_profile_sums(w->profile, rows, max);
    bench_limits limits = {.device = device};
    loam_status status = LOAM_OK;
    for (int i = 0; i < n && status == LOAM_OK; i++)
        status = report_row(report, w, &rows[i], &limits, err);
    lm_free(rows);
    return status;
}

static loam_status write_trace(const profile_work *w, loam_error *err) {
    lm_buf text;
    lm_buf_init(&text, MAX_TRACE_BYTES);
    lm_profile_trace(w->profile, &text);
    loam_status status = lm_buf_status(&text, err);
    if (status == LOAM_OK)
        status = lm_file_write_atomic(w->settings->trace, lm_buf_cstr(&text), text.len, err);
    lm_buf_deinit(&text);
    return status;
}

/* ---- Beginning and end ---- */

static loam_status open_session(profile_work *w, loam_error *err) {
    const profile_settings *s = w->settings;
    int64_t max_rows = s->step_rows > s->n_seqs ? s->step_rows : s->n_seqs;
    lm_session_options options = {.max_rows = max_rows,
                                  .max_seqs = s->n_seqs,
                                  .max_context = s->prompt_tokens + s->answer_tokens,
                                  .kv_dtype = w->kv_dtype};
    w->rows = lm_calloc((size_t)max_rows, sizeof *w->rows);
    w->seqs = lm_calloc((size_t)s->n_seqs, sizeof *w->seqs);
    if (!w->rows || !w->seqs) return lm_error_no_memory(err, (size_t)max_rows * sizeof *w->rows);
    return lm_session_new(w->model, &options, &w->session, err);
}

static loam_status profile_device(void *arg, lm_device *device, bench_report *report,
                                  loam_error *err) {
    profile_work w = *(const profile_work *)arg;
    loam_status status = lm_model_open(w.path, device, NULL, &w.model, err);
    if (status == LOAM_OK) status = open_session(&w, err);
    if (status == LOAM_OK) status = run_twice(&w, err);
    if (status == LOAM_OK) status = report_profile(&w, device, report, err);
    if (status == LOAM_OK && w.settings->trace) status = write_trace(&w, err);
    lm_profile_free(w.profile);
    lm_session_free(w.session);
    lm_free(w.rows);
    lm_free(w.seqs);
    lm_model_free(w.model);
    return status;
}

static int run_profile(const void *settings, int n_args, char **args) {
    profile_work w = {.settings = settings, .path = args[0]};
    if (!lm_dtype_parse(w.settings->kv_dtype, &w.kv_dtype)) {
        loam_error err = {0};
        lm_error_set(&err, LOAM_INVALID, "unknown element type '%s' for the cache",
                     w.settings->kv_dtype);
        return lm_cli_fail(&err);
    }
    return bench_on_devices(&w.settings->bench, profile_device, &w);
}

#define AT(field) LM_OPTION_AT(profile_settings, field)
static const lm_option options[] = {
    {.name = "prompt-tokens",
     .short_name = 'p',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(prompt_tokens),
     .min = 1,
     .max = 1 << 20,
     .help = "tokens of the prompt (default 512)"},
    {.name = "answer-tokens",
     .short_name = 'n',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(answer_tokens),
     .min = 0,
     .max = 1 << 20,
     .help = "steps of the answer (default 16)"},
    {.name = "seqs",
     .short_name = 'b',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(n_seqs),
     .min = 1,
     .max = 4096,
     .help = "sequences answered at once, each with a prompt of its own (default 1)"},
    {.name = "step-rows",
     .short_name = 'u',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(step_rows),
     .min = 1,
     .max = 1 << 20,
     .help = "tokens of a prompt computed at once (default 512)"},
    {.name = "nodes",
     .type = LM_OPT_FLAG,
     .offset = AT(nodes),
     .help = "a row for every node of the graph instead of one for every kind of work"},
    {.name = "trace",
     .type = LM_OPT_STRING,
     .arg = "FILE",
     .offset = AT(trace),
     .help = "write all runs to FILE in Chrome's trace format, for Perfetto"},
    LM_CLI_KV_DTYPE_OPTION(profile_settings),
    BENCH_DEVICE_OPTIONS(profile_settings),
    BENCH_REPORT_OPTIONS(profile_settings),
    LM_OPTIONS_END,
};

const lm_command lm_cmd_profile = {
    .name = "profile",
    .summary = "show where a model's time goes",
    .usage = "<model>",
    .description =
        "Runs a prompt and an answer, after one to warm up, and prints for every kind of work (an "
        "op, "
        "its kernel and the weight's type and shape) the time, its share, the operations and bytes "
        "that the op's definition counts, and how much of the machine's limit is reached.",
    .examples = "loam profile model.gguf\n"
                "    a prompt of 512 tokens and 16 steps of the answer\n"
                "loam profile model.gguf -p 128 -n 8 --seqs 16 --trace trace.json\n"
                "    sixteen sequences at once; open the trace in ui.perfetto.dev\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .model_arg = 1,
    .settings_bytes = sizeof(profile_settings),
    .defaults = &(profile_settings){.prompt_tokens = 512,
                                    .answer_tokens = 16,
                                    .n_seqs = 1,
                                    .step_rows = 512,
                                    .kv_dtype = LM_CLI_KV_DTYPE},
    .run = run_profile,
};
