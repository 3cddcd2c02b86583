#include "train/report.h"

#include <math.h>
#include <unistd.h>

#include <jansson.h>

#include "base/mem.h"
#include "base/progress.h"
#include "model/utf8.h"
#include "train/tensorboard.h"

enum { REPORT_MAX_TEXT_BYTES = 4 << 20 };

struct lm_train_report {
    FILE *json; /* NULL: events are not wanted as lines */
    FILE *text; /* for people */
    FILE *metrics;
    char *metrics_path;
    lm_tensorboard *board;
    lm_progress progress;
};

loam_status lm_train_report_new(const char *dir, FILE *json, FILE *text, lm_train_report **report,
                                loam_error *err) {
    LM_TRY(lm_file_make_dirs(dir, err));
    lm_train_report *r = lm_calloc(1, sizeof *r);
    if (!r) return lm_error_no_memory(err, sizeof *r);
    r->json = json;
    r->text = text;
    r->metrics_path = lm_path_join(dir, "metrics.jsonl");
    loam_status status =
        r->metrics_path ? lm_tensorboard_open(dir, &r->board, err) : lm_error_no_memory(err, 0);
    if (status == LOAM_OK && !(r->metrics = fopen(r->metrics_path, "a+e")))
        status = lm_error_errno(err, "%s", r->metrics_path);
    if (status == LOAM_OK)
        *report = r;
    else
        lm_train_report_free(r);
    return status;
}

void lm_train_report_free(lm_train_report *report) {
    if (!report) return;
    lm_progress_clear(&report->progress);
    if (report->metrics) fclose(report->metrics);
    lm_tensorboard_close(report->board);
    lm_free(report->metrics_path);
    lm_free(report);
}

/* --- JSON */

/* null for what JSON has no number for. */
static json_t *real(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *real_or_null(double value) {
    return value > 0 ? real(value) : json_null();
}

static json_t *text_json(const char *text) {
    lm_buf valid;
    lm_buf_init(&valid, REPORT_MAX_TEXT_BYTES);
    lm_utf8_repair(lm_str_of(text), &valid);
    json_t *value = json_stringn(lm_buf_cstr(&valid), valid.len);
    lm_buf_deinit(&valid);
    return value;
}

static json_t *start_json(const lm_train_event *e) {
    return json_pack("{s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "steps",
                     (json_int_t)e->steps, "params", (json_int_t)e->n_params, "resumed_from",
                     e->resumed ? json_integer(e->step) : json_null(), "vocab_size",
                     (json_int_t)e->vocab_size, "train_tokens", (json_int_t)e->n_train_tokens,
                     "validation_tokens", (json_int_t)e->n_validation_tokens, "tokens_per_step",
                     (json_int_t)e->tokens_per_step, "expected_flops", real(e->expected_flops),
                     "peak_flops_per_s", real(e->peak_flops_per_s), "entropy",
                     real_or_null(e->entropy));
}

static json_t *step_json(const lm_train_event *e) {
    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:o}", "step", (json_int_t)e->step,
                     "tokens", (json_int_t)e->tokens, "loss", real(e->loss), "lr", real(e->lr),
                     "grad_norm", real(e->grad_norm), "tokens_per_s", real(e->tokens_per_s),
                     "flops", (json_int_t)e->flops, "device_ms", (json_int_t)e->device_ms, "mfu",
                     real(e->mfu));
}

static json_t *event_json(const lm_train_event *e) {
    json_int_t step = e->step;
    switch (e->kind) {
    case LM_TRAIN_START: return start_json(e);
    case LM_TRAIN_STEP: return step_json(e);
    case LM_TRAIN_EVAL:
        return json_pack("{s:I, s:o, s:o}", "step", step, "val_loss", real(e->val_loss), "entropy",
                         real_or_null(e->entropy));
    case LM_TRAIN_SAMPLE:
    case LM_TRAIN_WARNING: return json_pack("{s:I, s:o}", "step", step, "text", text_json(e->text));
    case LM_TRAIN_CHECKPOINT:
        return json_pack("{s:I, s:o}", "step", step, "path", text_json(e->path));
    case LM_TRAIN_DONE:
        return json_pack("{s:I, s:o, s:o, s:o, s:o, s:I, s:I}", "step", step, "model",
                         text_json(e->path), "gguf", text_json(e->gguf), "val_loss",
                         real(e->val_loss), "entropy", real_or_null(e->entropy), "flops",
                         (json_int_t)e->flops, "device_ms", (json_int_t)e->device_ms);
    }
    return NULL;
}

/* One line; NULL when out of memory. Free with free: jansson's own. */
static char *event_line(const lm_train_event *e) {
    static const char *const names[] = {
        [LM_TRAIN_START] = "start",
        [LM_TRAIN_STEP] = "step",
        [LM_TRAIN_EVAL] = "eval",
        [LM_TRAIN_SAMPLE] = "sample",
        [LM_TRAIN_WARNING] = "warning",
        [LM_TRAIN_DONE] = "done",
        [LM_TRAIN_CHECKPOINT] = "checkpoint",
    };
    json_t *line = json_pack("{s:s}", "event", names[e->kind]), *fields = event_json(e);
    char *text = NULL;
    if (line && fields && json_object_update(line, fields) == 0)
        text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
    json_decref(fields);
    json_decref(line);
    return text;
}

/* --- The record */

/* Whether a recorded line is of a step past `step`. */
static bool is_past(const char *line, size_t len, int64_t step) {
    json_t *object = json_loadb(line, len, 0, NULL);
    const json_t *number = json_object_get(object, "step");
    bool past = !object || (json_is_integer(number) && json_integer_value(number) > step);
    json_decref(object);
    return past;
}

/* Cuts the record at the first line past the step, or that a crash cut short. */
static void drop_past(lm_train_report *r, int64_t step) {
    char *line = NULL;
    size_t capacity = 0;
    long end = 0;
    rewind(r->metrics);
    for (ssize_t len; (len = getline(&line, &capacity, r->metrics)) > 0; end += len) {
        if (is_past(line, (size_t)len, step)) break;
    }
    free(line); /* getline's own */
    fflush(r->metrics);
    if (ftruncate(fileno(r->metrics), end) == 0) fseek(r->metrics, 0, SEEK_END);
}

/* Steps reach the file at once: a checkpoint that outlives a kill must not be ahead of the record. */
static void record(lm_train_report *r, const lm_train_event *e, const char *line) {
    if (e->kind == LM_TRAIN_START) drop_past(r, e->step);
    fprintf(r->metrics, "%s\n", line);
    fflush(r->metrics);
}

static void draw_curves(lm_train_report *r, const lm_train_event *e) {
    if (e->kind == LM_TRAIN_STEP) {
        lm_tensorboard_scalar(r->board, e->step, "train/loss", (float)e->loss);
        lm_tensorboard_scalar(r->board, e->step, "train/lr", (float)e->lr);
        lm_tensorboard_scalar(r->board, e->step, "train/grad_norm", (float)e->grad_norm);
        lm_tensorboard_scalar(r->board, e->step, "speed/tokens_per_s", (float)e->tokens_per_s);
        lm_tensorboard_scalar(r->board, e->step, "speed/mfu", (float)e->mfu);
        return;
    }
    if (e->kind == LM_TRAIN_EVAL)
        lm_tensorboard_scalar(r->board, e->step, "validation/loss", (float)e->val_loss);
    if (e->kind == LM_TRAIN_SAMPLE) lm_tensorboard_text(r->board, e->step, "sample", e->text);
    loam_error ignored; /* curves are not worth ending a run for; metrics.jsonl has the same */
    if (lm_tensorboard_flush(r->board, &ignored) != LOAM_OK) return;
}

/* --- For people */

static void print_start(lm_train_report *r, const lm_train_event *e) {
    fprintf(r->text, "model       %.3f M parameters, vocabulary %lld\n", (double)e->n_params * 1e-6,
            (long long)e->vocab_size);
    fprintf(r->text, "text        %lld training tokens, %lld to validate on\n",
            (long long)e->n_train_tokens, (long long)e->n_validation_tokens);
    fprintf(r->text,
            "training    %lld steps of %lld tokens, %.3g TFLOP; at best %.1f s at this machine's "
            "%.1f GFLOP/s\n",
            (long long)e->steps, (long long)e->tokens_per_step, e->expected_flops * 1e-12,
            e->expected_flops / e->peak_flops_per_s, e->peak_flops_per_s * 1e-9);
    if (e->resumed) fprintf(r->text, "resumed     from step %lld\n", (long long)e->step);
    lm_progress_init(&r->progress, "training", e->step, e->steps);
}

static void print_validation(const lm_train_report *r, const lm_train_event *e) {
    fprintf(r->text, "step %-6lld validation loss %.4f nats a token", (long long)e->step,
            e->val_loss);
    if (e->entropy > 0) fprintf(r->text, "; the text's own entropy is %.4f", e->entropy);
    fprintf(r->text, "\n");
}

static void print_event(lm_train_report *r, const lm_train_event *e) {
    if (e->kind == LM_TRAIN_STEP) {
        lm_progress_update(&r->progress, e->step, "loss %.4f  %.0f tok/s  MFU %.0f%%", e->loss,
                           e->tokens_per_s, e->mfu * 100);
        return;
    }
    lm_progress_clear(&r->progress);
    switch (e->kind) {
    case LM_TRAIN_START: print_start(r, e); break;
    case LM_TRAIN_EVAL: print_validation(r, e); break;
    case LM_TRAIN_SAMPLE:
        fprintf(r->text, "step %-6lld sample:\n%s\n", (long long)e->step, e->text);
        break;
    case LM_TRAIN_WARNING:
        fprintf(r->text, "step %-6lld warning: %s\n", (long long)e->step, e->text);
        break;
    case LM_TRAIN_DONE:
        fprintf(r->text, "done        %s and %s, after %.1f s of computing\n", e->path, e->gguf,
                (double)e->device_ms * 1e-3);
        break;
    default: break;
    }
    fflush(r->text);
}

void lm_train_report_event(void *report, const lm_train_event *event) {
    lm_train_report *r = report;
    char *line = event_line(event);
    if (line) record(r, event, line);
    draw_curves(r, event);
    if (r->json && line) {
        fprintf(r->json, "%s\n", line);
        fflush(r->json);
    }
    print_event(r, event);
    free(line);
}
