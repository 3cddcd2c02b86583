#include "serve/embed_engine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { RETRY_MS = 1, MAX_TEXTS = 1 << 16 /* of all jobs under way */ };

struct lm_embed_job {
    lm_embed_engine *engine;
    atomic_bool cancelled; /* set by the loop, read by the engine */

    /* engine's thread until it is posted back */
    lm_embed_text *texts;   /* [n_texts], with tokens and vectors below */
    size_t n_texts, n_done; /* texts are done in order */
    size_t n_taken;         /* for the step in the making */
    int32_t *tokens;
    float *vectors;
    lm_usage_record record;
    int64_t device_ns;    /* record.device_us before rounding */
    int64_t journal_slot; /* -1: not begun */
    loam_error error;

    /* loop's thread */
    lm_embed_done_fn *on_done;
    void *arg;
    lm_embed_job *previous, *next; /* all of the engine */
};

struct lm_embed_engine {
    lm_embedder *embedder;
    lm_embed_engine_options options;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock; /* guards from here ... */
    pthread_cond_t wake;  /* there is intake, or the end */
    LM_VEC(lm_embed_job *) intake;
    bool stopping;
    lm_engine_stats stats; /* ... to here */

    /* engine's thread; the arrays [max texts of a step] */
    LM_VEC(lm_embed_job *) jobs; /* in order of arrival */
    lm_embed_text **texts;
    lm_embed_job **owners;
    int64_t *n_before, *flops_before; /* what was done of each before the step */

    /* loop's thread */
    lm_embed_job *first;
    int64_t n_jobs, n_texts;
};

static void job_free(lm_embed_job *job) {
    if (!job) return;
    lm_free(job->texts);
    lm_free(job->tokens);
    lm_free(job->vectors);
    lm_free(job);
}

/* --- Loop's thread: delivery. */

static void unlink_job(lm_embed_job *job) {
    lm_embed_engine *engine = job->engine;
    *(job->previous ? &job->previous->next : &engine->first) = job->next;
    if (job->next) job->next->previous = job->previous;
    engine->n_jobs--;
    engine->n_texts -= (int64_t)job->n_texts;
}

static void deliver(void *arg) {
    lm_embed_job *job = arg;
    bool failed = job->error.status != LOAM_OK;
    if (!atomic_load(&job->cancelled))
        job->on_done(failed ? NULL : job->vectors, failed ? &job->error : NULL, job->arg);
    unlink_job(job);
    job_free(job);
}

/* --- Engine's thread. */

static bool is_stopping(lm_embed_engine *engine) {
    pthread_mutex_lock(&engine->lock);
    bool stopping = engine->stopping;
    pthread_mutex_unlock(&engine->lock);
    return stopping;
}

/* Takes what was submitted; waits until there is work. false: the engine stops. */
static bool take_work(lm_embed_engine *engine) {
    pthread_mutex_lock(&engine->lock);
    while (!engine->stopping && engine->intake.len == 0 && engine->jobs.len == 0)
        pthread_cond_wait(&engine->wake, &engine->lock);
    for (size_t i = 0; i < engine->intake.len; i++) {
        bool room = lm_vec_push(&engine->jobs, engine->intake.ptr[i]);
        LM_ASSERT(room); /* a pointer for each of a bounded number of jobs */
    }
    engine->intake.len = 0;
    bool goes_on = !engine->stopping;
    pthread_mutex_unlock(&engine->lock);
    return goes_on;
}

static void write_record(lm_embed_engine *engine, lm_embed_job *job) {
    if (job->journal_slot >= 0)
        lm_usage_journal_update(engine->options.journal, job->journal_slot, &job->record);
}

/* The job is over, well or not: closes its record and gives back what its texts hold. */
static void close_job(lm_embed_engine *engine, lm_embed_job *job) {
    for (size_t i = 0; i < job->n_texts; i++) lm_embedder_drop(engine->embedder, &job->texts[i]);
    job->record.end_ms = lm_clock_epoch_ms();
    job->record.finished = 1;
    write_record(engine, job);
}

/* Sends home who is finished, failed or cancelled. */
static void end_jobs(lm_embed_engine *engine) {
    size_t n = 0;
    for (size_t i = 0; i < engine->jobs.len; i++) {
        lm_embed_job *job = engine->jobs.ptr[i];
        bool over = job->n_done == job->n_texts || job->error.status != LOAM_OK ||
                    atomic_load(&job->cancelled);
        if (!over) {
            engine->jobs.ptr[n++] = job;
            continue;
        }
        close_job(engine, job);
        while (lm_loop_post(engine->options.loop, deliver, job, NULL) != LOAM_OK &&
               !is_stopping(engine))
            lm_clock_sleep_ms(RETRY_MS);
    }
    engine->jobs.len = n;
}

/* The job's record exists from its first step on. A journal that cannot grow refuses the job. */
static bool open_record(lm_embed_engine *engine, lm_embed_job *job) {
    lm_usage_journal *journal = engine->options.journal;
    if (!journal || job->journal_slot >= 0) return true;
    if (lm_usage_journal_append(journal, &job->record, &job->journal_slot, &job->error) == LOAM_OK)
        return true;
    lm_log_error(LM_LOG_ERROR, "serve", &job->error);
    return false;
}

static void take_text(lm_embed_engine *engine, lm_embed_job *job, size_t *inout_n) {
    size_t n = (*inout_n)++;
    lm_embed_text *text = &job->texts[job->n_done + job->n_taken++];
    engine->texts[n] = text;
    engine->owners[n] = job;
    engine->n_before[n] = text->n_done;
    engine->flops_before[n] = text->flops;
}

/* The next texts, as many as a step may have: first the one that is computed in part, then one of each job in turn, so that a
 * job of few texts does not wait for one of many. */
static size_t gather(lm_embed_engine *engine) {
    size_t n = 0, max = (size_t)lm_embedder_max_texts(engine->embedder), n_jobs = engine->jobs.len;
    for (size_t i = 0; i < n_jobs; i++) {
        lm_embed_job *job = engine->jobs.ptr[i];
        job->n_taken = 0;
        if (open_record(engine, job) && job->texts[job->n_done].n_done > 0)
            take_text(engine, job, &n);
    }
    for (size_t before = SIZE_MAX; n < max && n != before;) {
        before = n;
        for (size_t i = 0; i < n_jobs && n < max; i++) {
            lm_embed_job *job = engine->jobs.ptr[i];
            bool has_more = job->n_done + job->n_taken < job->n_texts;
            if (has_more && job->error.status == LOAM_OK) take_text(engine, job, &n);
        }
    }
    return n;
}

/* Charges jobs for their rows: operations, and a share of the step's time. */
static void account(lm_embed_engine *engine, size_t n, int64_t n_rows, int64_t step_ns) {
    for (size_t i = 0; i < n; i++) {
        lm_embed_job *job = engine->owners[i];
        const lm_embed_text *text = engine->texts[i];
        int64_t n_new = text->n_done - engine->n_before[i];
        job->record.prompt_tokens += n_new;
        job->device_ns += step_ns * n_new / n_rows;
        job->n_done += n_new > 0 && text->n_done == text->n_tokens;
        job->record.device_us = job->device_ns / 1000;
        job->record.flops += text->flops - engine->flops_before[i];
        engine->stats.flops += text->flops - engine->flops_before[i];
    }
    for (size_t i = 0; i < n; i++) write_record(engine, engine->owners[i]);
    engine->stats.n_steps++;
    engine->stats.n_rows += n_rows;
    engine->stats.step_ns += step_ns;
    engine->stats.n_active = (int64_t)n;
}

static void fail_jobs(lm_embed_engine *engine, size_t n, const loam_error *err) {
    lm_log_error(LM_LOG_ERROR, "serve", err);
    for (size_t i = 0; i < n; i++) engine->owners[i]->error = *err;
}

static void *engine_main(void *arg) {
    lm_embed_engine *engine = arg;
    while (take_work(engine)) {
        loam_error err = {0};
        int64_t n_rows = 0;
        end_jobs(engine);
        size_t n = gather(engine);
        int64_t start_ns = lm_clock_mono_ns();
        if (n > 0 && lm_embedder_step(engine->embedder, engine->texts, n, &n_rows, &err)) {
            fail_jobs(engine, n, &err);
        } else if (n > 0) {
            pthread_mutex_lock(&engine->lock);
            account(engine, n, n_rows, lm_clock_mono_ns() - start_ns);
            pthread_mutex_unlock(&engine->lock);
        }
        end_jobs(engine);
    }
    for (size_t i = 0; i < engine->jobs.len; i++) close_job(engine, engine->jobs.ptr[i]);
    return NULL;
}

/* --- Loop's thread: birth, submission, end. */

static loam_status allocate(lm_embed_engine *engine, loam_error *err) {
    size_t n = (size_t)lm_embedder_max_texts(engine->embedder);
    engine->texts = lm_calloc(n, sizeof *engine->texts);
    engine->owners = lm_calloc(n, sizeof *engine->owners);
    engine->n_before = lm_calloc(n, sizeof *engine->n_before);
    engine->flops_before = lm_calloc(n, sizeof *engine->flops_before);
    if (!engine->texts || !engine->owners || !engine->n_before || !engine->flops_before ||
        !lm_vec_reserve(&engine->jobs, (size_t)engine->options.max_waiting))
        return lm_error_no_memory(err, n * sizeof *engine->texts);
    return LOAM_OK;
}

loam_status lm_embed_engine_new(lm_embedder *embedder, const lm_embed_engine_options *options,
                                lm_embed_engine **out, loam_error *err) {
    lm_embed_engine *engine = lm_calloc(1, sizeof *engine);
    if (!engine) return lm_error_no_memory(err, sizeof *engine);
    engine->embedder = embedder;
    engine->options = *options;
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->wake, NULL);
    loam_status status = allocate(engine, err);
    if (status == LOAM_OK) {
        engine->has_thread = pthread_create(&engine->thread, NULL, engine_main, engine) == 0;
        if (!engine->has_thread) status = lm_error_errno(err, "cannot start the engine's thread");
    }
    if (status != LOAM_OK) {
        lm_embed_engine_free(engine);
        return status;
    }
    *out = engine;
    return LOAM_OK;
}

void lm_embed_engine_free(lm_embed_engine *engine) {
    if (!engine) return;
    pthread_mutex_lock(&engine->lock);
    engine->stopping = true;
    pthread_cond_broadcast(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
    if (engine->has_thread) pthread_join(engine->thread, NULL);
    while (engine->first) {
        lm_embed_job *job = engine->first;
        unlink_job(job);
        job_free(job);
    }
    lm_vec_deinit(&engine->intake);
    lm_vec_deinit(&engine->jobs);
    lm_free(engine->texts);
    lm_free(engine->owners);
    lm_free(engine->n_before);
    lm_free(engine->flops_before);
    pthread_cond_destroy(&engine->wake);
    pthread_mutex_destroy(&engine->lock);
    lm_free(engine);
}

const lm_embedder *lm_embed_engine_embedder(const lm_embed_engine *engine) {
    return engine->embedder;
}

static loam_status fill_job(lm_embed_job *job, const lm_embed_job_options *options, int64_t width,
                            loam_error *err) {
    size_t n_tokens = 0, at = 0;
    for (size_t i = 0; i < options->n_inputs; i++) n_tokens += options->inputs[i].n_tokens;
    job->n_texts = options->n_inputs;
    job->texts = lm_calloc(job->n_texts, sizeof *job->texts);
    job->tokens = lm_calloc(n_tokens, sizeof *job->tokens);
    job->vectors = lm_calloc(job->n_texts * (size_t)width, sizeof *job->vectors);
    if (!job->texts || !job->tokens || !job->vectors)
        return lm_error_no_memory(err, job->n_texts * (size_t)width * sizeof *job->vectors);
    for (size_t i = 0; i < job->n_texts; i++) {
        const lm_embed_input *input = &options->inputs[i];
        memcpy(job->tokens + at, input->tokens, (size_t)input->n_tokens * sizeof *job->tokens);
        job->texts[i] = (lm_embed_text){.tokens = job->tokens + at,
                                        .n_tokens = input->n_tokens,
                                        .second_begin = input->second_begin,
                                        .out = job->vectors + i * (size_t)width};
        at += (size_t)input->n_tokens;
    }
    job->record.start_ms = lm_clock_epoch_ms();
    snprintf(job->record.request_id, sizeof job->record.request_id, "%s", options->request_id);
    snprintf(job->record.tag, sizeof job->record.tag, "%s", options->tag);
    return LOAM_OK;
}

static loam_status check_room(const lm_embed_engine *engine, size_t n_inputs, loam_error *err) {
    if (engine->n_jobs < engine->options.max_waiting &&
        engine->n_texts + (int64_t)n_inputs <= MAX_TEXTS)
        return LOAM_OK;
    return lm_error_set(err, LOAM_LIMIT, "the queue is full: %lld texts of %lld requests wait",
                        (long long)engine->n_texts, (long long)engine->n_jobs);
}

static loam_status enqueue(lm_embed_engine *engine, lm_embed_job *job, loam_error *err) {
    pthread_mutex_lock(&engine->lock);
    bool room = lm_vec_push(&engine->intake, job);
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
    return room ? LOAM_OK : lm_error_no_memory(err, sizeof job);
}

loam_status lm_embed_engine_submit(lm_embed_engine *engine, const lm_embed_job_options *options,
                                   lm_embed_job **out, loam_error *err) {
    LM_TRY(check_room(engine, options->n_inputs, err));
    lm_embed_job *job = lm_calloc(1, sizeof *job);
    if (!job) return lm_error_no_memory(err, sizeof *job);
    job->engine = engine;
    job->journal_slot = -1;
    job->on_done = options->on_done;
    job->arg = options->arg;
    loam_status status = fill_job(job, options, lm_embedder_width(engine->embedder), err);
    if (status == LOAM_OK) status = enqueue(engine, job, err);
    if (status != LOAM_OK) {
        job_free(job);
        return status;
    }
    job->next = engine->first;
    if (engine->first) engine->first->previous = job;
    engine->first = job;
    engine->n_jobs++;
    engine->n_texts += (int64_t)job->n_texts;
    *out = job;
    return LOAM_OK;
}

void lm_embed_job_cancel(lm_embed_job *job) {
    atomic_store(&job->cancelled, true);
}

int64_t lm_embed_engine_n_jobs(const lm_embed_engine *engine) {
    return engine->n_jobs;
}

lm_engine_stats lm_embed_engine_stats(lm_embed_engine *engine) {
    pthread_mutex_lock(&engine->lock);
    lm_engine_stats stats = engine->stats;
    pthread_mutex_unlock(&engine->lock);
    if (stats.n_active > engine->n_texts) stats.n_active = engine->n_texts;
    stats.n_waiting = engine->n_texts - stats.n_active;
    return stats;
}
