/* loam bench model: prompts and answers a second, held against the machine's limits. */
#include <stdio.h>

#include "backend/cpu/machine.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/bench.h"
#include "cli/command.h"
#include "model/session.h"

enum { MEMORY_BYTES = 1 << 30, MAX_BATCH = 16 };

typedef struct model_bench {
    const bench_settings *settings;
    lm_model *model;
    lm_session *session;
    lm_step_row *rows; /* [prompt_tokens or MAX_BATCH, the larger] */
    double peak_flops, peak_bytes;
    bool reported;
} model_bench;

/* One measurement: the nearer of two limits is the arithmetic and reading all weights once a step. */
static void report(model_bench *b, const char *what, int64_t n_tokens, int64_t n_steps,
                   int64_t flops, int64_t ns) {
    double seconds = (double)ns * 1e-9,
           bytes = (double)n_steps * (double)lm_model_weight_bytes(b->model);
    double for_flops = (double)flops / b->peak_flops, for_bytes = bytes / b->peak_bytes;
    double floor = for_flops > for_bytes ? for_flops : for_bytes;
    bench_field fields[] = {
        {.key = "what", .text = what},
        {.key = "tokens/s", .number = (double)n_tokens / seconds},
        {.key = "GFLOP/s", .number = (double)flops * 1e-9 / seconds},
        {.key = "weights GB/s", .number = bytes * 1e-9 / seconds},
        {.key = "limit", .text = for_flops > for_bytes ? "arithmetic" : "memory"},
        {.key = "of limit %", .number = 100 * floor / seconds},
    };
    bench_report_row(bench_format_of(b->settings), !b->reported, fields, LM_COUNT_OF(fields));
    b->reported = true;
}

/* Speed does not depend on which tokens these are. */
static int32_t any_token(const model_bench *b, int64_t i) {
    return (int32_t)(i * 7919 % lm_model_config(b->model)->hparams.vocab_size);
}

/* One sequence's prompt in one step; it stays for the answers. */
static loam_status bench_prompt(model_bench *b, int32_t seq, loam_error *err) {
    int64_t n = b->settings->prompt_tokens, flops = 0;
    for (int64_t i = 0; i < n; i++) {
        b->rows[i] = (lm_step_row){.token = any_token(b, i), .seq = seq, .want_logits = i == n - 1};
        flops += lm_session_row_flops(b->session, i, i == n - 1);
    }
    int64_t start_ns = lm_clock_mono_ns();
    LM_TRY(lm_session_step(b->session, b->rows, n, err));
    report(b, "prompt", n, 1, flops, lm_clock_mono_ns() - start_ns);
    return LOAM_OK;
}

/* Answers of `batch` sequences at once, each behind the same prompt. */
static loam_status bench_answers(model_bench *b, int32_t prompt, int batch, loam_error *err) {
    int64_t n_prompt = b->settings->prompt_tokens, n_steps = b->settings->answer_tokens, flops = 0;
    for (int i = 0; i < batch; i++) {
        b->rows[i] = (lm_step_row){.token = any_token(b, i), .want_logits = true};
        LM_TRY(lm_session_seq_fork(b->session, prompt, n_prompt, &b->rows[i].seq, err));
    }
    int64_t start_ns = lm_clock_mono_ns();
    for (int64_t step = 0; step < n_steps; step++) {
        LM_TRY(lm_session_step(b->session, b->rows, batch, err));
        flops += batch * lm_session_row_flops(b->session, n_prompt + step, true);
    }
    int64_t ns = lm_clock_mono_ns() - start_ns;
    for (int i = 0; i < batch; i++) lm_session_seq_free(b->session, b->rows[i].seq);
    char what[32];
    snprintf(what, sizeof what, "answer, %d at once", batch);
    report(b, what, batch * n_steps, n_steps, flops, ns);
    return LOAM_OK;
}

static loam_status bench_all(model_bench *b, loam_error *err) {
    int32_t prompt;
    LM_TRY(lm_session_seq_new(b->session, &prompt, err));
    LM_TRY(bench_prompt(b, prompt, err));
    for (int batch = 1; batch <= MAX_BATCH; batch *= 4)
        LM_TRY(bench_answers(b, prompt, batch, err));
    return LOAM_OK;
}

static loam_status prepare(model_bench *b, const char *path, lm_device *device, loam_error *err) {
    int64_t n_prompt = b->settings->prompt_tokens,
            n_rows = n_prompt > MAX_BATCH ? n_prompt : MAX_BATCH;
    LM_TRY(lm_cpu_read_bandwidth(device, MEMORY_BYTES, &b->peak_bytes, err));
    b->peak_flops = lm_cpu_peak_flops(device);
    LM_TRY(lm_model_open(path, device, NULL, &b->model, err));
    lm_session_options options = {.max_rows = n_rows,
                                  .max_outs = MAX_BATCH,
                                  .max_seqs = MAX_BATCH + 1,
                                  .max_context = n_prompt + b->settings->answer_tokens,
                                  .kv_dtype = LM_F16};
    LM_TRY(lm_session_new(b->model, &options, &b->session, err));
    b->rows = lm_calloc((size_t)n_rows, sizeof *b->rows);
    return b->rows ? LOAM_OK : lm_error_no_memory(err, (size_t)n_rows * sizeof *b->rows);
}

int bench_model(const void *settings, int n_args, char **args) {
    loam_error err = {0};
    lm_device *device;
    model_bench b = {.settings = settings};
    loam_status status = bench_open(settings, &device, &err);
    if (status != LOAM_OK) return lm_cli_fail(&err);
    status = prepare(&b, args[0], device, &err);
    if (status == LOAM_OK) status = bench_all(&b, &err);
    lm_free(b.rows);
    lm_session_free(b.session);
    lm_model_free(b.model);
    lm_device_close(device);
    return status == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}
