/* Training jobs: submitting, following, cancelling, resuming. What starts when is the scheduler's. */
#include "base/clock.h"
#include "base/hash.h"
#include "cloud/cloud.h"
#include "cloud/job_files.h"
#include "cloud/scheduler.h"
#include "cloud/table/dataset.h"
#include "cloud/table/job.h"
#include "cloud/table/run.h"

enum { RECIPE_MAX = 65536, RETRIES_MAX = 1000, RETRIES_DEFAULT = 3, PRIORITY_MAX = 1000 };

static const char *const state_names[] = {"queued", "running",   "succeeded",
                                          "failed", "cancelled", NULL};
static const char *const run_state_names[] = {"running", "succeeded", "failed", "stopped",
                                              "lost",    "cancelled", NULL};

static const lm_field job_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "job"},
    {.name = "name", .type = LM_FIELD_STRING, .required = true},
    {.name = "state", .type = LM_FIELD_STRING, .required = true, .choices = state_names},
    {.name = "recipe",
     .type = LM_FIELD_STRING,
     .required = true,
     .max = RECIPE_MAX,
     .help = "YAML"},
    {.name = "recipe_digest", .type = LM_FIELD_STRING, .required = true, .help = "SHA-256"},
    {.name = "dataset_id",
     .type = LM_FIELD_STRING,
     .required = true,
     .nullable = true,
     .id_prefix = "ds"},
    {.name = "model_name",
     .type = LM_FIELD_STRING,
     .required = true,
     .help = "model that success adds a version to"},
    {.name = "priority",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .min = -PRIORITY_MAX,
     .max = PRIORITY_MAX,
     .help = "higher first"},
    {.name = "max_retries", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "retries",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .help = "failures in a row without a checkpoint"},
    {.name = "cancel_requested", .type = LM_FIELD_BOOLEAN, .required = true},
    {.name = "epoch",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .help = "number of its newest run"},
    {.name = "flops",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .max = INT64_MAX,
     .help = "done and booked"},
    {.name = "version_id",
     .type = LM_FIELD_STRING,
     .required = true,
     .nullable = true,
     .id_prefix = "ver",
     .help = "what it made"},
    {.name = "error", .type = LM_FIELD_STRING, .required = true, .nullable = true},
    {.name = "created_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "started_ms", .type = LM_FIELD_INTEGER, .required = true, .nullable = true},
    {.name = "ended_ms", .type = LM_FIELD_INTEGER, .required = true, .nullable = true},
};
static const lm_schema job_schema = LM_SCHEMA("Job", job_fields);

static const lm_field new_job_fields[] = {
    {.name = "name", .type = LM_FIELD_STRING, .required = true, .min = 1, .max = 64},
    {.name = "recipe",
     .type = LM_FIELD_STRING,
     .required = true,
     .min = 1,
     .max = RECIPE_MAX,
     .help = "YAML"},
    {.name = "dataset_id",
     .type = LM_FIELD_STRING,
     .nullable = true,
     .id_prefix = "ds",
     .help = "what to train on"},
    {.name = "model_name",
     .type = LM_FIELD_STRING,
     .nullable = true,
     .min = 1,
     .max = 64,
     .help = "the job's name if not given"},
    {.name = "priority",
     .type = LM_FIELD_INTEGER,
     .min = -PRIORITY_MAX,
     .max = PRIORITY_MAX,
     .help = "0 if not given"},
    {.name = "max_retries",
     .type = LM_FIELD_INTEGER,
     .min = 0,
     .max = RETRIES_MAX,
     .help = "3 if not given"},
};
static const lm_schema new_job_schema = LM_SCHEMA("NewJob", new_job_fields);

static const lm_field run_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "run"},
    {.name = "job_id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "job"},
    {.name = "pool_id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "pool"},
    {.name = "epoch",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .help = "1, 2, ... within its job"},
    {.name = "state", .type = LM_FIELD_STRING, .required = true, .choices = run_state_names},
    {.name = "exit_code",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .nullable = true,
     .help = "null while it runs, and when a signal killed it"},
    {.name = "term_signal",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .nullable = true,
     .help = "the signal that killed it"},
    {.name = "started_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "ended_ms", .type = LM_FIELD_INTEGER, .required = true, .nullable = true},
};
static const lm_schema run_schema = LM_SCHEMA("Run", run_fields);

static const lm_field line_fields[] = {
    {.name = "line", .type = LM_FIELD_STRING, .required = true, .max = LM_JOB_LINE_MAX_BYTES},
};
static const lm_schema line_schema = LM_SCHEMA("LogLine", line_fields);

static const lm_field metric_fields[] = {
    {.name = "event",
     .type = LM_FIELD_STRING,
     .help = "start, step, eval, sample, checkpoint or done"},
    {.name = "epoch", .type = LM_FIELD_INTEGER, .required = true, .help = "number of the run"},
    {.name = "step", .type = LM_FIELD_INTEGER},
    {.name = "steps", .type = LM_FIELD_INTEGER},
    {.name = "params", .type = LM_FIELD_INTEGER},
    {.name = "resumed_from", .type = LM_FIELD_INTEGER, .nullable = true},
    {.name = "tokens", .type = LM_FIELD_INTEGER},
    {.name = "loss", .type = LM_FIELD_NUMBER, .nullable = true},
    {.name = "val_loss", .type = LM_FIELD_NUMBER, .nullable = true},
    {.name = "entropy",
     .type = LM_FIELD_NUMBER,
     .nullable = true,
     .help = "of the text itself, nats a token, where its generator says so: what val_loss can "
             "come down to"},
    {.name = "lr", .type = LM_FIELD_NUMBER},
    {.name = "grad_norm", .type = LM_FIELD_NUMBER, .nullable = true},
    {.name = "tokens_per_s", .type = LM_FIELD_NUMBER},
    {.name = "flops", .type = LM_FIELD_INTEGER, .help = "since the first step"},
    {.name = "device_ms", .type = LM_FIELD_INTEGER, .help = "since the first step"},
    {.name = "mfu", .type = LM_FIELD_NUMBER},
    {.name = "text", .type = LM_FIELD_STRING, .max = LM_JOB_LINE_MAX_BYTES, .help = "a sample"},
};
static const lm_schema metric_schema = LM_SCHEMA("Metric", metric_fields);

/* ---- submitting and showing ---- */

static void wake_scheduler(lm_cloud *cloud, void *arg) {
    lm_scheduler_wake(cloud->scheduler);
}

static loam_status list_jobs(lm_api_ctx *ctx, loam_error *err) {
    lm_page page = lm_api_page(ctx);
    lm_list list;
    const char *next;
    LM_TRY(lm_job_list(ctx->db, ctx->caller.project_id, &page, ctx->arena, &list, &next, err));
    return lm_api_reply_list(ctx, lm_list_json(&list), next, err);
}

static loam_status find_job(lm_api_ctx *ctx, lm_job *out, loam_error *err) {
    return lm_job_get(ctx->db, ctx->caller.project_id, ctx->params[0], ctx->arena, out, err);
}

static loam_status check_dataset(lm_api_ctx *ctx, const lm_job *job, loam_error *err) {
    lm_dataset dataset;
    if (!job->dataset_id[0]) return LOAM_OK;
    LM_TRY(lm_dataset_get(ctx->db, job->project_id, job->dataset_id, ctx->arena, &dataset, err));
    if (strcmp(dataset.state, "ready") == 0) return LOAM_OK;
    (void)lm_error_set(err, LOAM_CONFLICT, "dataset '%s' is %s", dataset.name, dataset.state);
    return lm_error_hint(err, LOAM_CONFLICT, "wait until it is ready");
}

static void digest_of(const char *text, char out[LM_SHA256_HEX_BYTES]) {
    lm_sha256 hash;
    uint8_t digest[LM_SHA256_BYTES];
    lm_sha256_init(&hash);
    lm_sha256_update(&hash, text, strlen(text));
    lm_sha256_final(&hash, digest);
    lm_sha256_hex(digest, out);
}

static loam_status submit_job(lm_api_ctx *ctx, loam_error *err) {
    char digest[LM_SHA256_HEX_BYTES];
    const char *name = lm_api_str(ctx->body, "name", "");
    lm_job job = {.name = name,
                  .state = "queued",
                  .recipe = lm_api_str(ctx->body, "recipe", ""),
                  .recipe_digest = digest,
                  .model_name = lm_api_str(ctx->body, "model_name", name),
                  .priority = lm_api_i64(ctx->body, "priority", 0),
                  .max_retries = lm_api_i64(ctx->body, "max_retries", RETRIES_DEFAULT),
                  .created_ms = lm_clock_epoch_ms()};
    digest_of(job.recipe, digest);
    lm_api_new_id(ctx, "job", job.id);
    memcpy(job.project_id, ctx->caller.project_id, LM_ID_BYTES);
    snprintf(job.dataset_id, sizeof job.dataset_id, "%s", lm_api_str(ctx->body, "dataset_id", ""));
    LM_TRY(check_dataset(ctx, &job, err));
    LM_TRY(lm_table_insert(ctx->db, &lm_job_table, &job, err));
    LM_TRY(lm_api_event(ctx, "job.submit", job.id, NULL, ctx->body, err));
    lm_api_after_commit(ctx, wake_scheduler, NULL);
    return lm_api_reply_row(ctx, &lm_job_table, &job, err);
}

static loam_status get_job(lm_api_ctx *ctx, loam_error *err) {
    lm_job job;
    LM_TRY(find_job(ctx, &job, err));
    return lm_api_reply_row(ctx, &lm_job_table, &job, err);
}

/* ---- changing ---- */

static loam_status save_job(lm_api_ctx *ctx, const lm_job *job, const char *event,
                            loam_error *err) {
    LM_TRY(lm_table_update(ctx->db, &lm_job_table, job, err));
    LM_TRY(lm_api_event(ctx, event, job->id, NULL, NULL, err));
    lm_api_after_commit(ctx, wake_scheduler, NULL);
    return lm_api_reply_row(ctx, &lm_job_table, job, err);
}

static loam_status cancel_job(lm_api_ctx *ctx, loam_error *err) {
    lm_job job;
    LM_TRY(find_job(ctx, &job, err));
    if (strcmp(job.state, "queued") == 0) {
        job.state = "cancelled";
        job.ended_ms = lm_clock_epoch_ms();
    } else if (strcmp(job.state, "running") == 0) {
        job.cancel_requested = true;
    } else {
        return lm_error_set(err, LOAM_CONFLICT, "the job has %s already",
                            strcmp(job.state, "cancelled") == 0 ? "been cancelled" : job.state);
    }
    return save_job(ctx, &job, "job.cancel", err);
}

static loam_status resume_job(lm_api_ctx *ctx, loam_error *err) {
    lm_job job;
    LM_TRY(find_job(ctx, &job, err));
    if (strcmp(job.state, "failed") != 0 && strcmp(job.state, "cancelled") != 0)
        return lm_error_set(err, LOAM_CONFLICT,
                            "the job is %s; only failed and cancelled ones can be resumed",
                            job.state);
    job.state = "queued";
    job.cancel_requested = false;
    job.retries = job.not_before_ms = job.ended_ms = 0;
    job.error = NULL;
    return save_job(ctx, &job, "job.resume", err);
}

/* ---- following ---- */

/* Without the exit codes of runs that never exited. */
static json_t *runs_json(const lm_list *list) {
    json_t *array = lm_list_json(list);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const lm_run *run = lm_list_at(list, i);
        if (run->ended_ms && !run->term_signal) continue;
        json_object_set_new(json_array_get(array, i), "exit_code", json_null());
    }
    return array;
}

static loam_status list_runs(lm_api_ctx *ctx, loam_error *err) {
    lm_page page = lm_api_page(ctx);
    lm_job job;
    lm_list list;
    const char *next;
    LM_TRY(find_job(ctx, &job, err));
    LM_TRY(lm_run_of_job(ctx->db, job.id, &page, ctx->arena, &list, &next, err));
    return lm_api_reply_list(ctx, runs_json(&list), next, err);
}

/* Leaves of every object only what the schema knows, so that a trainer of another version cannot break the contract. */
static void keep_known(json_t *array, const lm_schema *schema) {
    for (size_t i = 0; i < json_array_size(array); i++) {
        json_t *known = json_object(), *item = json_array_get(array, i);
        for (size_t j = 0; j < schema->n_fields; j++) {
            json_t *value = json_object_get(item, schema->fields[j].name);
            if (value) json_object_set(known, schema->fields[j].name, value);
        }
        json_array_set_new(array, i, known);
    }
}

/* A page of a job's output. `next` is always given, so that a caller can ask for what is written later. */
static loam_status read_output(lm_api_ctx *ctx, lm_job_stream stream, const lm_schema *schema,
                               loam_error *err) {
    lm_page page = lm_api_page(ctx);
    lm_job job;
    char next[LM_JOB_CURSOR_BYTES];
    LM_TRY(find_job(ctx, &job, err));
    json_t *data = json_array();
    loam_status status =
        lm_job_read(ctx->cloud->config.home, job.id, job.epoch, stream, page.after,
                    lm_api_i64(ctx->query, "limit", LM_API_PAGE_MAX), data, next, err);
    if (status != LOAM_OK) {
        json_decref(data);
        return status;
    }
    keep_known(data, schema);
    return lm_api_reply_list(ctx, data, next, err);
}

static loam_status read_logs(lm_api_ctx *ctx, loam_error *err) {
    return read_output(ctx, LM_JOB_LOGS, &line_schema, err);
}

static loam_status read_metrics(lm_api_ctx *ctx, loam_error *err) {
    return read_output(ctx, LM_JOB_METRICS, &metric_schema, err);
}

static const lm_api_endpoint rows[] = {
    {.method = "GET",
     .path = "/jobs",
     .scope = LM_SCOPE_READ,
     .reply = &job_schema,
     .shape = LM_API_LIST,
     .summary = "List the project's jobs",
     .handler = list_jobs},
    {.method = "POST",
     .path = "/jobs",
     .scope = LM_SCOPE_WRITE,
     .request = &new_job_schema,
     .reply = &job_schema,
     .http_status = 201,
     .summary = "Submit a training job",
     .handler = submit_job},
    {.method = "GET",
     .path = "/jobs/{id}",
     .scope = LM_SCOPE_READ,
     .id_prefix = "job",
     .reply = &job_schema,
     .summary = "Show a job",
     .handler = get_job},
    {.method = "POST",
     .path = "/jobs/{id}/cancel",
     .scope = LM_SCOPE_WRITE,
     .id_prefix = "job",
     .reply = &job_schema,
     .summary = "Cancel a job; a running one stops at a checkpoint",
     .handler = cancel_job},
    {.method = "POST",
     .path = "/jobs/{id}/resume",
     .scope = LM_SCOPE_WRITE,
     .id_prefix = "job",
     .reply = &job_schema,
     .summary = "Queue a failed or cancelled job again; it goes on from its last checkpoint",
     .handler = resume_job},
    {.method = "GET",
     .path = "/jobs/{id}/runs",
     .scope = LM_SCOPE_READ,
     .id_prefix = "job",
     .reply = &run_schema,
     .shape = LM_API_LIST,
     .summary = "List a job's runs",
     .handler = list_runs},
    {.method = "GET",
     .path = "/jobs/{id}/logs",
     .scope = LM_SCOPE_READ,
     .id_prefix = "job",
     .reply = &line_schema,
     .shape = LM_API_LIST,
     .summary = "Read a job's log; `next` goes on where this page ended",
     .handler = read_logs},
    {.method = "GET",
     .path = "/jobs/{id}/metrics",
     .scope = LM_SCOPE_READ,
     .id_prefix = "job",
     .reply = &metric_schema,
     .shape = LM_API_LIST,
     .summary = "Read a job's metrics; `next` goes on where this page ended",
     .handler = read_metrics},
};
const lm_api_table lm_api_jobs = LM_API_TABLE(rows);
