#include "cloud/scheduler.h"

#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cloud/job_files.h"
#include "cloud/scheduler_internal.h"

enum {
    PERIOD_MS = 250,
    ARENA_BYTES = 64 << 10,
    STOP_GRACE_MS = 20000,
    SHARE_WINDOW_MS = 24 * 3600 * 1000
};

/* ---- looking ---- */

typedef struct look {
    lm_scheduler *scheduler;
    lm_list runs; /* running */
    lm_job *jobs; /* of the runs */
    lm_list queued;
    int64_t *shares; /* of the queued jobs' projects */
    lm_pool_row pool;
} look;

static loam_status load_look(lm_db *db, void *arg, loam_error *err) {
    look *l = arg;
    lm_arena *arena = &l->scheduler->arena;
    int64_t now_ms = lm_clock_epoch_ms();
    LM_TRY(lm_pool_local(db, arena, &l->pool, err));
    LM_TRY(lm_run_in_state(db, "running", arena, &l->runs, err));
    LM_TRY(lm_job_in_state(db, "queued", arena, &l->queued, err));
    l->jobs = lm_arena_calloc(arena, l->runs.len + 1, sizeof *l->jobs);
    l->shares = lm_arena_calloc(arena, l->queued.len + 1, sizeof *l->shares);
    if (!l->jobs || !l->shares) return lm_error_no_memory(err, l->queued.len);
    for (size_t i = 0; i < l->runs.len; i++)
        LM_TRY(lm_job_by_id(db, ((const lm_run *)lm_list_at(&l->runs, i))->job_id, arena,
                            &l->jobs[i], err));
    for (size_t i = 0; i < l->queued.len; i++)
        LM_TRY(lm_job_share_ms(db, ((const lm_job *)lm_list_at(&l->queued, i))->project_id,
                               now_ms - SHARE_WINDOW_MS, now_ms, &l->shares[i], err));
    return LOAM_OK;
}

static lm_followed *followed_of(lm_scheduler *scheduler, const char *run_id) {
    for (size_t i = 0; i < scheduler->followed.len; i++) {
        if (strcmp(scheduler->followed.ptr[i].run_id, run_id) == 0)
            return &scheduler->followed.ptr[i];
    }
    lm_followed fresh = {0};
    memcpy(fresh.run_id, run_id, sizeof fresh.run_id);
    return lm_vec_push(&scheduler->followed, fresh)
               ? &scheduler->followed.ptr[scheduler->followed.len - 1]
               : NULL;
}

static void forget(lm_scheduler *scheduler, const lm_followed *followed) {
    size_t i = (size_t)(followed - scheduler->followed.ptr);
    scheduler->followed.ptr[i] = scheduler->followed.ptr[--scheduler->followed.len];
}

/* ---- one run ---- */

static bool must_stop(const lm_run_view *view) {
    return view->job.cancel_requested || atomic_load(&view->scheduler->draining);
}

/* The trainer is asked to stop, and after a while made to. */
static loam_status ask_to_stop(lm_run_view *view, const char *state_dir, loam_error *err) {
    int64_t now_ns = lm_clock_mono_ns();
    lm_executor *executor = view->scheduler->options.executor;
    if (view->followed->stop_asked_ns == 0) {
        view->followed->stop_asked_ns = now_ns;
        return lm_executor_signal(executor, state_dir, SIGTERM, err);
    }
    bool patient = now_ns - view->followed->stop_asked_ns < (int64_t)STOP_GRACE_MS * 1000000;
    return patient ? LOAM_OK : lm_executor_signal(executor, state_dir, SIGKILL, err);
}

static loam_status finish(lm_run_view *view, const lm_process_info *info, const char *launch_error,
                          loam_error *err) {
    LM_TRY(lm_run_finish(view, info, launch_error, err));
    forget(view->scheduler, view->followed);
    return LOAM_OK;
}

static loam_status launch(lm_run_view *view, const lm_process_info *info, loam_error *err) {
    if (view->job.cancel_requested) return finish(view, info, "the job was cancelled", err);
    loam_error failure = {0};
    if (lm_run_launch(view, &failure) == LOAM_OK) return LOAM_OK;
    return finish(view, info, failure.message, err);
}

static loam_status look_after(lm_run_view *view, loam_error *err) {
    lm_process_info info;
    char *state_dir = lm_job_run_dir(view->scheduler->options.home, view->job.id, view->run.epoch);
    loam_status status =
        state_dir ? lm_executor_poll(view->scheduler->options.executor, state_dir, &info, err)
                  : lm_error_no_memory(err, 1);
    if (status == LOAM_OK) {
        lm_run_follow(view); /* after polling: of an ended trainer this is all there is */
        if (info.state == LM_PROCESS_NONE) {
            status = launch(view, &info, err);
        } else if (info.state == LM_PROCESS_RUNNING) {
            status = lm_run_meter(view, err);
            if (status == LOAM_OK && must_stop(view)) status = ask_to_stop(view, state_dir, err);
        } else {
            status = finish(view, &info, NULL, err);
        }
    }
    lm_free(state_dir);
    return status;
}

/* ---- starting ---- */

/* Which queued job is next: the list is in order of priority and age; among equals the smallest share wins. */
static const lm_job *next_job(const look *l) {
    const lm_job *best = NULL;
    int64_t best_share = 0, now_ms = lm_clock_epoch_ms();
    for (size_t i = 0; i < l->queued.len; i++) {
        const lm_job *job = lm_list_at(&l->queued, i);
        if (job->not_before_ms > now_ms) continue;
        if (best && job->priority < best->priority) break;
        if (!best || l->shares[i] < best_share) {
            best = job;
            best_share = l->shares[i];
        }
    }
    return best;
}

typedef struct beginning {
    lm_scheduler *scheduler;
    const char *job_id;
    const lm_pool_row *pool;
    bool begun;
} beginning;

/* Commits the run with its epoch; its process comes after. */
static loam_status begin_in_store(lm_db *db, void *arg, loam_error *err) {
    beginning *b = arg;
    lm_job job;
    int64_t now_ms = lm_clock_epoch_ms();
    LM_TRY(lm_job_by_id(db, b->job_id, &b->scheduler->arena, &job, err));
    if (strcmp(job.state, "queued") != 0) return LOAM_OK; /* cancelled meanwhile */
    job.state = "running";
    job.epoch++;
    if (!job.started_ms) job.started_ms = now_ms;
    lm_run run = {
        .epoch = job.epoch, .state = "running", .metered_ms = now_ms, .started_ms = now_ms};
    lm_id_new(b->scheduler->options.ids, "run", run.id);
    memcpy(run.job_id, job.id, LM_ID_BYTES);
    memcpy(run.project_id, job.project_id, LM_ID_BYTES);
    memcpy(run.pool_id, b->pool->id, LM_ID_BYTES);
    b->begun = true;
    LM_TRY(lm_table_insert(db, &lm_run_table, &run, err));
    return lm_table_update(db, &lm_job_table, &job, err);
}

static loam_status begin_next(look *l, bool *out_begun, loam_error *err) {
    const lm_job *job = next_job(l);
    *out_begun = false;
    bool room = (int64_t)l->runs.len < l->pool.max_runs && !atomic_load(&l->scheduler->draining);
    if (!job || !room) return LOAM_OK;
    beginning b = {.scheduler = l->scheduler, .job_id = job->id, .pool = &l->pool};
    LM_TRY(lm_store_call(l->scheduler->options.store, begin_in_store, &b, err));
    *out_begun = b.begun;
    return LOAM_OK;
}

/* ---- the service ---- */

/* Looks after every run, then begins at most one. *out_again: look again at once. */
static loam_status look_once(lm_scheduler *scheduler, bool *out_again, loam_error *err) {
    look l = {.scheduler = scheduler};
    lm_arena_reset(&scheduler->arena);
    LM_TRY(lm_store_call(scheduler->options.store, load_look, &l, err));
    scheduler->waiting = l.runs.len + l.queued.len > 0;
    if (atomic_load(&scheduler->draining)) atomic_store(&scheduler->drained, l.runs.len == 0);
    for (size_t i = 0; i < l.runs.len; i++) {
        loam_error failure = {0};
        lm_run_view view = {.scheduler = scheduler,
                            .run = *(const lm_run *)lm_list_at(&l.runs, i),
                            .job = l.jobs[i],
                            .pool = l.pool};
        view.followed = followed_of(scheduler, view.run.id);
        if (!view.followed) return lm_error_no_memory(err, sizeof *view.followed);
        if (look_after(&view, &failure) != LOAM_OK)
            lm_log_error(LM_LOG_WARN, "scheduler", &failure);
    }
    return begin_next(&l, out_again, err);
}

static void tick(void *arg, bool woken) {
    lm_scheduler *scheduler = arg;
    loam_error err = {0};
    bool again = woken || scheduler->waiting;
    while (again) {
        if (look_once(scheduler, &again, &err) == LOAM_OK) continue;
        lm_log_error(LM_LOG_WARN, "scheduler", &err);
        scheduler->waiting = true;
        break;
    }
}

void lm_scheduler_drain(lm_scheduler *scheduler) {
    atomic_store(&scheduler->draining, true);
    lm_scheduler_wake(scheduler);
}

bool lm_scheduler_drained(const lm_scheduler *scheduler) {
    return atomic_load(&scheduler->drained);
}

void lm_scheduler_wake(lm_scheduler *scheduler) {
    lm_ticker_wake(scheduler->ticker);
}

loam_status lm_scheduler_new(const lm_scheduler_options *options, lm_scheduler **out,
                             loam_error *err) {
    lm_scheduler *scheduler = lm_calloc(1, sizeof *scheduler);
    if (!scheduler) return lm_error_no_memory(err, sizeof *scheduler);
    scheduler->options = *options;
    lm_arena_init(&scheduler->arena, ARENA_BYTES, SIZE_MAX);
    int64_t period_ms = options->period_ms ? options->period_ms : PERIOD_MS;
    loam_status status = lm_ticker_new(period_ms, tick, scheduler, &scheduler->ticker, err);
    if (status != LOAM_OK)
        lm_scheduler_free(scheduler);
    else
        *out = scheduler;
    return status;
}

void lm_scheduler_free(lm_scheduler *scheduler) {
    if (!scheduler) return;
    lm_ticker_free(scheduler->ticker);
    lm_vec_deinit(&scheduler->followed);
    lm_arena_deinit(&scheduler->arena);
    lm_free(scheduler);
}
