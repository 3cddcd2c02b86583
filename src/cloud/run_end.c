/* Booking a run's compute, and what becomes of its job when it ends. Everything here happens inside one transaction of the
 * store, and reads the rows again there: they may have changed since the look. */
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cloud/job_files.h"
#include "cloud/scheduler_internal.h"
#include "cloud/table/model.h"
#include "cloud/table/version.h"

enum {
    EXIT_STOPPED = 75,
    EXIT_USAGE = 2,
    RETRY_PAUSE_MS = 1000,
    RETRY_PAUSE_MAX_MS = 300000,
    MAX_DOUBLINGS = 16,
    SEGMENT_MS = 60000
};

/* ---- booking ---- */

/* Books [run->metered_ms, until_ms) with the operations done meanwhile, and moves both marks. The reference names the run
 * and the segment's number, which is in the row: whatever was committed is not booked again. */
static loam_status book_segment(lm_db *db, lm_run_view *view, int64_t until_ms, loam_error *err) {
    lm_run *run = &view->run;
    lm_job *job = &view->job;
    char reference[LM_ID_BYTES + 24];
    int64_t max_runs = view->pool.max_runs > 0 ? view->pool.max_runs : 1;
    int64_t flops =
        view->followed->flops - job->flops; /* steps repeated after a cut are delivered once */
    snprintf(reference, sizeof reference, "%s/%lld", run->id, (long long)run->segments);
    lm_usage usage = {.reference = reference,
                      .kind = LM_USAGE_RUN,
                      .project_id = job->project_id,
                      .model = "",
                      .job_id = job->id,
                      .start_ms = run->metered_ms,
                      .end_ms = until_ms,
                      .flops = flops > 0 ? flops : 0,
                      .device_us = (until_ms - run->metered_ms) * 1000,
                      .peak_flops = view->pool.peak_flops / max_runs};
    lm_booking booking;
    LM_TRY(lm_ledger_book(view->scheduler->options.ledger, db, &usage, &booking, err));
    run->metered_ms = until_ms;
    run->segments++;
    job->flops += usage.flops;
    return LOAM_OK;
}

static loam_status reload(lm_db *db, lm_run_view *view, loam_error *err) {
    lm_arena *arena = &view->scheduler->arena;
    LM_TRY(lm_job_by_id(db, view->job.id, arena, &view->job, err));
    return lm_run_by_id(db, view->run.id, arena, &view->run, err);
}

static loam_status save(lm_db *db, const lm_run_view *view, loam_error *err) {
    LM_TRY(lm_table_update(db, &lm_run_table, &view->run, err));
    return lm_table_update(db, &lm_job_table, &view->job, err);
}

static int64_t segment_ms(const lm_run_view *view) {
    int64_t wanted = view->scheduler->options.segment_ms;
    return wanted ? wanted : SEGMENT_MS;
}

static loam_status meter_in_store(lm_db *db, void *arg, loam_error *err) {
    lm_run_view *view = arg;
    LM_TRY(reload(db, view, err));
    LM_TRY(book_segment(db, view, view->run.metered_ms + segment_ms(view), err));
    return save(db, view, err);
}

loam_status lm_run_meter(lm_run_view *view, loam_error *err) {
    while (view->run.metered_ms + segment_ms(view) <= lm_clock_epoch_ms())
        LM_TRY(lm_store_call(view->scheduler->options.store, meter_in_store, view, err));
    return LOAM_OK;
}

/* ---- judging ---- */

typedef struct ending {
    lm_run_view *view;
    const lm_process_info *info;
    const char *launch_error; /* the trainer could not even be started; NULL: it was */
    int64_t ended_ms;
    char message[400];
} ending;

/* When a process that left no word was last seen alive: its last output. */
static int64_t last_sign_ms(const lm_run_view *view) {
    char *dir = lm_job_run_dir(view->scheduler->options.home, view->job.id, view->run.epoch);
    char *path = dir ? lm_asprintf("%s/stdout", dir) : NULL;
    struct stat info;
    int64_t ms = view->run.metered_ms;
    if (path && stat(path, &info) == 0)
        ms = (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
    lm_free(dir);
    lm_free(path);
    return ms;
}

static void describe(ending *e) {
    const lm_process_info *info = e->info;
    char line[360], *dir = lm_job_run_dir(e->view->scheduler->options.home, e->view->job.id,
                                          e->view->run.epoch);
    char *path = dir ? lm_asprintf("%s/stderr", dir) : NULL;
    lm_last_message(path ? path : "", line, sizeof line);
    lm_free(dir);
    lm_free(path);
    if (e->launch_error) {
        snprintf(e->message, sizeof e->message, "cannot start the trainer: %.300s",
                 e->launch_error);
    } else if (info->state == LM_PROCESS_LOST) {
        snprintf(e->message, sizeof e->message, "the trainer is gone without a word");
    } else if (info->term_signal) {
        snprintf(e->message, sizeof e->message, "the trainer was ended by signal %d",
                 info->term_signal);
    } else {
        snprintf(e->message, sizeof e->message, "the trainer ended with code %d%s%s",
                 info->exit_code, line[0] ? ": " : "", line);
    }
}

static loam_status find_or_make_model(lm_db *db, const ending *e, lm_model *out, loam_error *err) {
    const lm_job *job = &e->view->job;
    lm_arena *arena = &e->view->scheduler->arena;
    loam_status status = lm_model_by_name(db, job->project_id, job->model_name, arena, out, err);
    if (status != LOAM_NOT_FOUND) return status;
    *out = (lm_model){.name = job->model_name, .created_ms = lm_clock_epoch_ms()};
    lm_id_new(e->view->scheduler->options.ids, "mod", out->id);
    memcpy(out->project_id, job->project_id, LM_ID_BYTES);
    return lm_table_insert(db, &lm_model_table, out, err);
}

/* The trained model becomes a version; importing it ends the job (see registry.h). */
static loam_status hand_over(lm_db *db, ending *e, loam_error *err) {
    lm_run_view *view = e->view;
    lm_arena *arena = &view->scheduler->arena;
    lm_version version = {0};
    lm_model model;
    char *source =
        lm_arena_printf(arena, "%s/jobs/%s/out/model", view->scheduler->options.home, view->job.id);
    if (!source) return lm_error_no_memory(err, 1);
    loam_status status = lm_version_by_job(db, view->job.id, arena, &version, err);
    if (status == LOAM_OK) { /* a resumed job whose import had failed */
        version.state = "importing";
        return lm_table_update(db, &lm_version_table, &version, err);
    }
    if (status != LOAM_NOT_FOUND) return status;
    LM_TRY(find_or_make_model(db, e, &model, err));
    version = (lm_version){.version = ++model.latest_version,
                           .state = "importing",
                           .source = source,
                           .recipe_digest = view->job.recipe_digest,
                           .created_ms = lm_clock_epoch_ms()};
    lm_id_new(view->scheduler->options.ids, "ver", version.id);
    memcpy(version.project_id, view->job.project_id, LM_ID_BYTES);
    memcpy(version.model_id, model.id, LM_ID_BYTES);
    memcpy(version.job_id, view->job.id, LM_ID_BYTES);
    memcpy(version.dataset_id, view->job.dataset_id, LM_ID_BYTES);
    LM_TRY(lm_table_update(db, &lm_model_table, &model, err));
    return lm_table_insert(db, &lm_version_table, &version, err);
}

static void end_job(lm_job *job, const char *state, const char *error) {
    job->state = state;
    job->error = error;
    job->ended_ms = lm_clock_epoch_ms();
}

static void queue_again(ending *e, bool at_once) {
    const lm_scheduler_options *options = &e->view->scheduler->options;
    lm_job *job = &e->view->job;
    int64_t pause_ms = options->retry_pause_ms ? options->retry_pause_ms : RETRY_PAUSE_MS;
    int64_t doublings = job->retries < MAX_DOUBLINGS ? job->retries : MAX_DOUBLINGS;
    pause_ms <<= doublings;
    if (pause_ms > RETRY_PAUSE_MAX_MS) pause_ms = RETRY_PAUSE_MAX_MS;
    job->state = "queued";
    job->not_before_ms = at_once ? 0 : lm_clock_epoch_ms() + pause_ms;
    job->error = e->message;
}

/* A run that was cut or failed: again, unless the job has used up its retries without getting anywhere. */
static void retry_or_fail(ending *e, bool cut) {
    lm_job *job = &e->view->job;
    bool progressed = e->view->followed->checkpointed;
    if (progressed) job->retries = 0;
    if (job->retries >= job->max_retries && !(cut && progressed)) {
        end_job(job, "failed", e->message);
        return;
    }
    queue_again(e, cut && progressed);
    job->retries++;
}

static loam_status judge(lm_db *db, ending *e, loam_error *err) {
    lm_job *job = &e->view->job;
    lm_run *run = &e->view->run;
    const lm_process_info *info = e->info;
    bool exited = !e->launch_error && info->state == LM_PROCESS_EXITED && info->term_signal == 0;
    if (exited && info->exit_code == 0) {
        run->state = "succeeded";
        job->error = NULL;
        return hand_over(db, e, err);
    }
    if (job->cancel_requested) {
        run->state = "cancelled";
        end_job(job, "cancelled", NULL);
    } else if (exited && info->exit_code == EXIT_STOPPED) {
        run->state = "stopped";
        queue_again(e, true);
    } else if (exited && info->exit_code == EXIT_USAGE) {
        run->state = "failed";
        end_job(job, "failed", e->message); /* the recipe is wrong: trying again would not help */
    } else {
        bool cut = !exited && !e->launch_error;
        run->state = cut ? "lost" : "failed";
        retry_or_fail(e, cut);
    }
    return LOAM_OK;
}

static loam_status finish_in_store(lm_db *db, void *arg, loam_error *err) {
    ending *e = arg;
    lm_run *run = &e->view->run;
    LM_TRY(reload(db, e->view, err));
    if (strcmp(run->state, "running") != 0) return LOAM_OK; /* judged already */
    if (e->ended_ms > run->metered_ms) LM_TRY(book_segment(db, e->view, e->ended_ms, err));
    run->exit_code = e->info->exit_code;
    run->term_signal = e->info->term_signal;
    run->ended_ms = e->ended_ms;
    LM_TRY(judge(db, e, err));
    return save(db, e->view, err);
}

loam_status lm_run_finish(lm_run_view *view, const lm_process_info *info, const char *launch_error,
                          loam_error *err) {
    ending e = {.view = view, .info = info, .launch_error = launch_error};
    e.ended_ms = info->state == LM_PROCESS_EXITED ? info->ended_ms : last_sign_ms(view);
    if (e.ended_ms < view->run.metered_ms) e.ended_ms = view->run.metered_ms;
    describe(&e);
    LM_TRY(lm_store_call(view->scheduler->options.store, finish_in_store, &e, err));
    lm_registry_wake(view->scheduler->options.registry);
    return LOAM_OK;
}
