/* loam job: training jobs of the cloud. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/rest_wait.h"

enum { RECIPE_MAX_BYTES = 65536, FOLLOW_PAUSE_MS = 500 };

typedef struct job_settings {
    lm_rest rest;
    const char *recipe, *dataset, *model;
    int64_t priority, max_retries;
    bool follow, wait;
} job_settings;

static const lm_print_column list_columns[] = {
    {"id", "id", LM_CELL_TEXT},
    {"name", "name", LM_CELL_TEXT},
    {"state", "state", LM_CELL_TEXT},
    {"priority", "priority", LM_CELL_TEXT},
    {"runs", "epoch", LM_CELL_COUNT},
    {"created", "created_ms", LM_CELL_TIME},
    {"ended", "ended_ms", LM_CELL_TIME},
    {"error", "error", LM_CELL_TEXT},
    {NULL},
};
static const lm_print_column columns[] = {
    {"id", "id", LM_CELL_TEXT},
    {"name", "name", LM_CELL_TEXT},
    {"state", "state", LM_CELL_TEXT},
    {"model", "model_name", LM_CELL_TEXT},
    {"version", "version_id", LM_CELL_TEXT},
    {"dataset", "dataset_id", LM_CELL_TEXT},
    {"recipe", "recipe_digest", LM_CELL_TEXT},
    {"priority", "priority", LM_CELL_TEXT},
    {"runs", "epoch", LM_CELL_COUNT},
    {"retries", "retries", LM_CELL_COUNT},
    {"FLOPs", "flops", LM_CELL_NUMBER},
    {"created", "created_ms", LM_CELL_TIME},
    {"started", "started_ms", LM_CELL_TIME},
    {"ended", "ended_ms", LM_CELL_TIME},
    {"error", "error", LM_CELL_TEXT},
    {NULL},
};
static const lm_print_column run_columns[] = {
    {"id", "id", LM_CELL_TEXT},
    {"run", "epoch", LM_CELL_TEXT},
    {"state", "state", LM_CELL_TEXT},
    {"exit code", "exit_code", LM_CELL_TEXT},
    {"killed by signal", "term_signal", LM_CELL_TEXT},
    {"started", "started_ms", LM_CELL_TIME},
    {"ended", "ended_ms", LM_CELL_TIME},
    {NULL},
};

/* ---- listing and changing ---- */

static const lm_rest *rest_of(const void *settings) {
    return &((const job_settings *)settings)->rest;
}

static int on_job(const void *settings, const char *method, const char *job, const char *tail) {
    loam_error err = {0};
    char path[LM_REST_PATH_BYTES];
    if (lm_rest_path(rest_of(settings), "/jobs", "job", job, tail, path, &err) != LOAM_OK)
        return lm_cli_fail(&err);
    return lm_rest_print_object(rest_of(settings), method, path, NULL, columns);
}

static int run_list(const void *settings, int n_args, char **args) {
    return lm_rest_print_list(rest_of(settings), "/jobs", 0, list_columns);
}

static int run_show(const void *settings, int n_args, char **args) {
    return on_job(settings, "GET", args[0], "");
}

static int run_cancel(const void *settings, int n_args, char **args) {
    return on_job(settings, "POST", args[0], "/cancel");
}

static int run_resume(const void *settings, int n_args, char **args) {
    return on_job(settings, "POST", args[0], "/resume");
}

static int run_runs(const void *settings, int n_args, char **args) {
    loam_error err = {0};
    char path[LM_REST_PATH_BYTES];
    if (lm_rest_path(rest_of(settings), "/jobs", "job", args[0], "/runs", path, &err) != LOAM_OK)
        return lm_cli_fail(&err);
    return lm_rest_print_list(rest_of(settings), path, 0, run_columns);
}

/* ---- waiting ---- */

typedef struct watch {
    const lm_rest *rest;
    const char *path;
    char cursor[64];
    lm_progress progress;
    int64_t step, steps;
    double loss, tokens_per_s;
} watch;

/* One line a validation, beside the progress line: what the loss is, and what the text allows. */
static void note_validation(watch *w, const json_t *metric) {
    lm_progress_clear(&w->progress);
    fprintf(stderr, "step %-6" PRId64 " validation loss %.4f nats a token",
            (int64_t)json_integer_value(json_object_get(metric, "step")),
            json_number_value(json_object_get(metric, "val_loss")));
    double entropy = json_number_value(json_object_get(metric, "entropy"));
    if (entropy > 0) fprintf(stderr, "; the text's own entropy is %.4f", entropy);
    fprintf(stderr, "\n");
}

static void note_metric(watch *w, const json_t *metric) {
    const char *event = json_string_value(json_object_get(metric, "event"));
    if (!event) return;
    if (strcmp(event, "eval") == 0) note_validation(w, metric);
    if (strcmp(event, "start") == 0)
        w->steps = json_integer_value(json_object_get(metric, "steps"));
    if (strcmp(event, "step") != 0) return;
    w->step = json_integer_value(json_object_get(metric, "step"));
    w->loss = json_number_value(json_object_get(metric, "loss"));
    w->tokens_per_s = json_number_value(json_object_get(metric, "tokens_per_s"));
}

/* Notes the next page of metrics; false when there is none now: what cannot be read is read the next time. */
static bool note_page(watch *w) {
    char path[LM_REST_PATH_BYTES + 128];
    json_t *page = NULL, *metric;
    size_t i;
    snprintf(path, sizeof path, "%s/metrics?after=%s", w->path, w->cursor);
    if (lm_rest_call(w->rest, "GET", path, NULL, &page, NULL) != LOAM_OK) return false;
    bool any = json_array_size(json_object_get(page, "data")) > 0;
    json_array_foreach(json_object_get(page, "data"), i, metric) note_metric(w, metric);
    const char *next = json_string_value(json_object_get(page, "next"));
    if (next) snprintf(w->cursor, sizeof w->cursor, "%s", next);
    json_decref(page);
    return any && next;
}

/* Draws how far the trainer is. */
static void show_progress(const json_t *job, void *arg) {
    watch *w = arg;
    while (note_page(w)) {}
    if (w->steps && !w->progress.total)
        lm_progress_init(&w->progress, "training", w->step, w->steps);
    if (w->steps)
        lm_progress_update(&w->progress, w->step, "loss %.3f  %.0f tok/s", w->loss,
                           w->tokens_per_s);
}

static int wait_for_job(const lm_rest *rest, const char *path) {
    static const char *const over[] = {"succeeded", "failed", "cancelled", NULL};
    loam_error err = {0};
    json_t *job = NULL;
    watch w = {.rest = rest, .path = path, .cursor = "0"};
    lm_rest_wait wait = {.path = path, .states = over, .progress = show_progress, .arg = &w};
    loam_status status = lm_rest_wait_for(rest, &wait, &job, &err);
    lm_progress_clear(&w.progress);
    if (status != LOAM_OK) return lm_cli_fail(&err);
    bool good = strcmp(json_string_value(json_object_get(job, "state")), "succeeded") == 0;
    lm_rest_print(rest, job, columns);
    json_decref(job);
    return good ? LM_EXIT_OK : LM_EXIT_FAILED;
}

static int run_wait(const void *settings, int n_args, char **args) {
    loam_error err = {0};
    char path[LM_REST_PATH_BYTES];
    if (lm_rest_path(rest_of(settings), "/jobs", "job", args[0], "", path, &err) != LOAM_OK)
        return lm_cli_fail(&err);
    return wait_for_job(rest_of(settings), path);
}

/* ---- creating ---- */

static loam_status create(const job_settings *settings, const char *name, json_t **out,
                          loam_error *err) {
    char dataset[LM_REST_ID_BYTES] = "", *recipe;
    size_t size;
    if (settings->dataset)
        LM_TRY(lm_rest_find(&settings->rest, "/datasets", "ds", settings->dataset, dataset, err));
    LM_TRY(lm_file_read(settings->recipe, RECIPE_MAX_BYTES, &recipe, &size, err));
    json_t *body = json_pack("{s:s, s:s#, s:s*, s:s*, s:I, s:I}", "name", name, "recipe", recipe,
                             (int)size, "dataset_id", dataset[0] ? dataset : NULL, "model_name",
                             settings->model, "priority", (json_int_t)settings->priority,
                             "max_retries", (json_int_t)settings->max_retries);
    lm_free(recipe);
    if (!body) return lm_error_set(err, LOAM_INVALID, "%s: not UTF-8 text", settings->recipe);
    loam_status status = lm_rest_call(&settings->rest, "POST", "/jobs", body, out, err);
    json_decref(body);
    return status;
}

static int run_create(const void *settings_, int n_args, char **args) {
    const job_settings *settings = settings_;
    loam_error err = {0};
    json_t *job = NULL;
    char path[LM_REST_ID_BYTES + 8];
    if (create(settings, args[0], &job, &err) != LOAM_OK) return lm_cli_fail(&err);
    snprintf(path, sizeof path, "/jobs/%.63s", json_string_value(json_object_get(job, "id")));
    if (!settings->wait) lm_rest_print(&settings->rest, job, columns);
    json_decref(job);
    return settings->wait ? wait_for_job(&settings->rest, path) : LM_EXIT_OK;
}

/* ---- output ---- */

static void print_item(const lm_rest *rest, const json_t *item) {
    const char *line = json_string_value(json_object_get(item, "line"));
    if (line && !rest->json) {
        printf("%s\n", line);
        return;
    }
    json_dumpf(item, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    printf("\n");
}

static bool is_over(const lm_rest *rest, const char *path) {
    json_t *job = NULL;
    if (lm_rest_call(rest, "GET", path, NULL, &job, NULL) != LOAM_OK) return false;
    const char *state = json_string_value(json_object_get(job, "state"));
    bool over = state && strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
    json_decref(job);
    return over;
}

/* One page of `what`; *out_n rows were printed. */
static loam_status print_page(const lm_rest *rest, const char *path, const char *what,
                              char cursor[64], size_t *out_n, loam_error *err) {
    char page_path[LM_REST_PATH_BYTES + 128];
    json_t *page = NULL, *item;
    size_t i;
    snprintf(page_path, sizeof page_path, "%s/%s?after=%s", path, what, cursor);
    LM_TRY(lm_rest_call(rest, "GET", page_path, NULL, &page, err));
    *out_n = json_array_size(json_object_get(page, "data"));
    json_array_foreach(json_object_get(page, "data"), i, item) print_item(rest, item);
    const char *next = json_string_value(json_object_get(page, "next"));
    if (next) snprintf(cursor, 64, "%s", next);
    json_decref(page);
    fflush(stdout);
    return LOAM_OK;
}

static int print_output(const job_settings *settings, const char *job, const char *what) {
    loam_error err = {0};
    char path[LM_REST_PATH_BYTES], cursor[64] = "0";
    size_t n = 0;
    if (lm_rest_path(&settings->rest, "/jobs", "job", job, "", path, &err) != LOAM_OK)
        return lm_cli_fail(&err);
    for (bool last = false;;) {
        if (print_page(&settings->rest, path, what, cursor, &n, &err) != LOAM_OK)
            return lm_cli_fail(&err);
        if (n > 0) continue;
        if (!settings->follow || last) return LM_EXIT_OK;
        last = is_over(&settings->rest, path); /* then once more, for what was written meanwhile */
        if (!last) lm_clock_sleep_ms(FOLLOW_PAUSE_MS);
    }
}

static int run_logs(const void *settings, int n_args, char **args) {
    return print_output(settings, args[0], "logs");
}

static int run_metrics(const void *settings, int n_args, char **args) {
    return print_output(settings, args[0], "metrics");
}

#define AT(field) LM_OPTION_AT(job_settings, field)
static const lm_option plain_options[] = {LM_REST_OPTIONS(job_settings), LM_OPTIONS_END};
static const lm_option follow_options[] = {
    {.name = "follow",
     .short_name = 'f',
     .type = LM_OPT_FLAG,
     .offset = AT(follow),
     .help = "go on until the job is over"},
    LM_REST_OPTIONS(job_settings),
    LM_OPTIONS_END,
};
static const lm_option create_options[] = {
    {.name = "recipe",
     .short_name = 'r',
     .type = LM_OPT_STRING,
     .arg = "FILE",
     .offset = AT(recipe),
     .required = true,
     .help = "recipe of the training (docs/recipes.md)"},
    {.name = "dataset",
     .short_name = 'd',
     .type = LM_OPT_STRING,
     .arg = "DATASET",
     .offset = AT(dataset),
     .help = "what to train on (default: what the recipe says)"},
    {.name = "model",
     .short_name = 'm',
     .type = LM_OPT_STRING,
     .arg = "NAME",
     .offset = AT(model),
     .help = "model that success adds a version to (default: the job's name)"},
    {.name = "priority",
     .short_name = 'p',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(priority),
     .min = -1000,
     .max = 1000,
     .help = "higher ones start first (default 0)"},
    {.name = "max-retries",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(max_retries),
     .min = 0,
     .max = 1000,
     .help = "failures in a row that are forgiven (default 3)"},
    {.name = "wait",
     .short_name = 'w',
     .type = LM_OPT_FLAG,
     .offset = AT(wait),
     .help = "wait until it is over"},
    LM_REST_OPTIONS(job_settings),
    LM_OPTIONS_END,
};
static const job_settings defaults = {.rest = LM_REST_DEFAULTS, .max_retries = 3};

LM_REST_COMMAND(list_command, job_settings, "list", "list the project's jobs", NULL, plain_options,
                0, run_list);
LM_REST_COMMAND(show_command, job_settings, "show", "show a job", "<job>", plain_options, 1,
                run_show);
LM_REST_COMMAND(create_command, job_settings, "create", "submit a training job", "<name>",
                create_options, 1, run_create);
LM_REST_COMMAND(wait_command, job_settings, "wait",
                "wait until a job is over; fails when it did not succeed", "<job>", plain_options,
                1, run_wait);
LM_REST_COMMAND(cancel_command, job_settings, "cancel",
                "cancel a job; a running one stops at a checkpoint", "<job>", plain_options, 1,
                run_cancel);
LM_REST_COMMAND(resume_command, job_settings, "resume", "queue a failed or cancelled job again",
                "<job>", plain_options, 1, run_resume);
LM_REST_COMMAND(runs_command, job_settings, "runs", "list the runs of a job", "<job>",
                plain_options, 1, run_runs);
LM_REST_COMMAND(logs_command, job_settings, "logs", "print a job's log", "<job>", follow_options, 1,
                run_logs);
LM_REST_COMMAND(metrics_command, job_settings, "metrics", "print a job's metrics as JSON lines",
                "<job>", follow_options, 1, run_metrics);

static const lm_command *const subcommands[] = {
    &list_command,   &show_command, &create_command, &wait_command,    &cancel_command,
    &resume_command, &runs_command, &logs_command,   &metrics_command, NULL};

const lm_command lm_cmd_job = {
    .name = "job",
    .summary = "training jobs of the cloud",
    .usage = "<subcommand>",
    .subcommands = subcommands,
};
