#include "serve/engine.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "serve/event_batch.h"
#include "serve/generation.h"

enum {
    N_BATCHES = 8,
    BATCH_TEXT_MAX_BYTES = 64 << 20,
    SCRATCH_MAX_BYTES = 1 << 20,
    PREFILL_MS = 50,
    PREFILL_MIN_ROWS = 16,
    SAMPLE_INLINE_ELEMS = 1 << 15, /* below so many logits threads cost more than they bring */
    RETRY_MS = 1,
};

struct lm_engine {
    lm_engine_model *model;
    lm_engine_options options;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock; /* guards from here ... */
    pthread_cond_t wake;  /* there is intake, a free batch, or the end */
    LM_VEC(lm_choice *) intake;
    int64_t n_unfinished;                     /* sequences submitted and not finished */
    lm_event_batch *free_batches, **free_end; /* a queue, so that all are soon warm */
    bool stopping;                            /* ... to here */

    /* engine's thread */
    LM_VEC(lm_choice *) choices; /* waiting and active, in order of arrival */
    LM_VEC(lm_sched_seq *) sched;
    lm_step_row *rows;   /* [max_rows] */
    lm_choice **sampled; /* [max_seqs]: whose logits the step gave, in order */
    lm_sample *samples;  /* [max_seqs] */
    loam_error *errors;  /* [max_seqs] */
    int64_t n_sampled;
    int64_t n_prefill;     /* rows of the step that are not a decoding sequence's */
    double decode_ns;      /* moving averages, 0: unknown: a step without prompts, */
    double prefill_row_ns; /* and what one row of a prompt adds to it */
    lm_buf scratch;
    lm_engine_stats stats;

    /* loop's thread */
    lm_generation *generations;
    int64_t n_generations;
    lm_engine_stats seen_stats;
    lm_event_batch batches[N_BATCHES]; /* storage; see free_batches */
};

/* With the lock held. */
static void give_back_batch(lm_engine *engine, lm_event_batch *batch) {
    batch->next = NULL;
    *engine->free_end = batch;
    engine->free_end = &batch->next;
}

static lm_event_batch *take_batch(lm_engine *engine) {
    lm_event_batch *batch = engine->free_batches;
    engine->free_batches = batch->next;
    if (!engine->free_batches) engine->free_end = &engine->free_batches;
    return batch;
}

/* --- Loop's thread: delivery. */

static void unlink_generation(lm_engine *engine, lm_generation *generation) {
    if (generation->previous)
        generation->previous->next = generation->next;
    else
        engine->generations = generation->next;
    if (generation->next) generation->next->previous = generation->previous;
    engine->n_generations--;
}

static void deliver_event(lm_event_batch *batch, lm_stored_event *stored) {
    lm_generation *generation = stored->generation;
    lm_generation_event *event = &stored->event;
    event->text = (lm_str){lm_buf_view(&batch->text).ptr + stored->text_begin, stored->text_len};
    event->samples = batch->samples.ptr + stored->sample_begin;
    event->error = &generation->error;
    bool last = event->last;
    if (!atomic_load(&generation->cancelled))
        generation->on_event(generation, event, generation->arg);
    if (!last) return;
    unlink_generation(batch->engine, generation);
    lm_generation_free(generation);
}

static void deliver_batch(void *arg) {
    lm_event_batch *batch = arg;
    lm_engine *engine = batch->engine;
    engine->seen_stats = batch->stats;
    for (size_t i = 0; i < batch->events.len; i++) deliver_event(batch, &batch->events.ptr[i]);
    batch->events.len = 0;
    batch->samples.len = 0;
    lm_buf_reset(&batch->text);
    pthread_mutex_lock(&engine->lock);
    give_back_batch(engine, batch);
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
}

/* --- Engine's thread: the way out. */

/* An event of a choice, with the text and samples appended to the batch since the two marks. */
static void add_event(lm_event_batch *batch, lm_choice *choice, int64_t n_new_tokens,
                      size_t text_begin, size_t sample_begin) {
    lm_generation *generation = choice->generation;
    lm_stored_event stored = {
        .generation = generation,
        .event = {.choice = choice->index,
                  .first = choice->n_generated == n_new_tokens && n_new_tokens > 0,
                  .n_samples = batch->samples.len - sample_begin,
                  .n_new_tokens = n_new_tokens,
                  .n_generated = choice->n_generated,
                  .finish = choice->finish,
                  .last = generation->n_left == 0},
        .text_begin = text_begin,
        .text_len = batch->text.len - text_begin,
        .sample_begin = sample_begin,
    };
    bool stored_it = lm_vec_push(&batch->events, stored);
    LM_ASSERT(stored_it); /* a lost last event would leak the request and hang its client */
}

static void publish(lm_engine *engine, lm_event_batch *batch) {
    batch->stats = engine->stats;
    while (lm_loop_post(engine->options.loop, deliver_batch, batch, NULL) != LOAM_OK)
        lm_clock_sleep_ms(RETRY_MS);
}

/* Takes what was submitted, and a batch to fill; waits until there is work. NULL: the engine stops. */
static lm_event_batch *next_work(lm_engine *engine) {
    pthread_mutex_lock(&engine->lock);
    while (!engine->stopping &&
           ((engine->intake.len == 0 && engine->choices.len == 0) || !engine->free_batches))
        pthread_cond_wait(&engine->wake, &engine->lock);
    lm_event_batch *batch = engine->stopping ? NULL : take_batch(engine);
    if (batch) {
        for (size_t i = 0; i < engine->intake.len; i++) {
            bool room = lm_vec_push(&engine->choices, engine->intake.ptr[i]) &&
                        lm_vec_reserve(&engine->sched, engine->choices.len);
            LM_ASSERT(room); /* a pointer for each of a bounded number of sequences */
        }
        engine->intake.len = 0;
    }
    pthread_mutex_unlock(&engine->lock);
    return batch;
}

/* --- Engine's thread: the lives of choices. */

static void release_seq(lm_engine *engine, lm_choice *choice) {
    if (choice->seq >= 0) engine->model->ops->seq_free(engine->model, choice->seq);
    choice->seq = -1;
    choice->sched.active = false;
    choice->sched.n_computed = choice->sched.n_blocks = 0;
}

static void write_record(lm_engine *engine, lm_generation *generation) {
    if (generation->journal_slot >= 0)
        lm_usage_journal_update(engine->options.journal, generation->journal_slot,
                                &generation->record);
}

/* The choice has its finish: gives back its blocks, closes the request's record when it was the last. Its event is still
 * to be added. */
static void end_choice(lm_engine *engine, lm_choice *choice) {
    lm_generation *generation = choice->generation;
    release_seq(engine, choice);
    generation->n_left--;
    if (generation->n_left == 0) {
        generation->record.end_ms = lm_clock_epoch_ms();
        generation->record.finished = 1;
        write_record(engine, generation);
    }
    pthread_mutex_lock(&engine->lock);
    engine->n_unfinished--;
    pthread_mutex_unlock(&engine->lock);
}

static void end_without_text(lm_engine *engine, lm_event_batch *batch, lm_choice *choice,
                             lm_finish finish) {
    choice->finish = finish;
    end_choice(engine, choice);
    add_event(batch, choice, 0, batch->text.len, batch->samples.len);
}

static void fail_choice(lm_engine *engine, lm_event_batch *batch, lm_choice *choice,
                        const loam_error *err) {
    if (choice->generation->error.status == LOAM_OK)
        choice->generation->error = *err; /* the loop may be reading it */
    end_without_text(engine, batch, choice, LM_FINISH_FAILED);
}

static void drop_cancelled(lm_engine *engine, lm_event_batch *batch) {
    for (size_t i = 0; i < engine->choices.len; i++) {
        lm_choice *choice = engine->choices.ptr[i];
        if (atomic_load(&choice->generation->cancelled))
            end_without_text(engine, batch, choice, LM_FINISH_CANCELLED);
    }
}

static void forget_finished(lm_engine *engine) {
    size_t n = 0;
    int64_t n_active = 0;
    for (size_t i = 0; i < engine->choices.len; i++) {
        lm_choice *choice = engine->choices.ptr[i];
        if (choice->finish != LM_FINISH_NONE) continue;
        engine->choices.ptr[n++] = choice;
        n_active += choice->sched.active;
    }
    engine->choices.len = n;
    engine->stats.n_active = n_active;
    engine->stats.n_waiting = (int64_t)n - n_active;
    engine->stats.n_blocks = engine->model->n_blocks;
    engine->stats.n_free_blocks = engine->model->ops->n_free_blocks(engine->model);
}

/* --- Engine's thread: a step. */

/* How much of its source's prompt a waiting choice can take over: all but the last token, whose logits it needs. With states
 * only from a source that is just there (pause_sources). */
static int64_t n_shareable(const lm_engine *engine, const lm_choice *choice) {
    const lm_choice *source = choice->source;
    bool fresh = choice->n_generated == 0 && choice->n_prompt_computed == 0;
    if (!source || !fresh || source->finish != LM_FINISH_NONE || source->seq < 0) return 0;
    int64_t shared = choice->n_prompt - 1, computed = source->sched.n_computed;
    return computed == shared || (computed > shared && !engine->model->keeps_states) ? shared : 0;
}

/* Worth waiting for: the source is about to compute the prompt that this choice shares. */
static bool waits_for_source(const lm_choice *choice) {
    const lm_choice *source = choice->source;
    return source && source->finish == LM_FINISH_NONE && choice->n_prompt_computed == 0 &&
           source->sched.n_computed < choice->n_prompt - 1;
}

static void describe(lm_engine *engine, lm_choice *choice) {
    lm_sched_seq *sched = &choice->sched;
    int64_t block_tokens = engine->model->block_tokens;
    if (sched->active) {
        sched->n_blocks = (sched->n_computed + block_tokens - 1) / block_tokens;
        return;
    }
    sched->blocked = waits_for_source(choice);
    sched->n_computed = n_shareable(engine, choice);
    sched->n_blocks = sched->n_computed / block_tokens;
}

/* States cannot be taken apart: for those who wait for its prompt a source stops in front of the last token. Who is not
 * admitted in the step after that computes the prompt itself. */
static void pause_sources(lm_engine *engine) {
    for (size_t i = 0; engine->model->keeps_states && i < engine->choices.len; i++) {
        const lm_choice *choice = engine->choices.ptr[i];
        if (choice->finish != LM_FINISH_NONE || choice->sched.active || !choice->sched.blocked)
            continue;
        lm_sched_seq *source = &choice->source->sched;
        int64_t most = choice->n_prompt - 1 - source->n_computed;
        if (source->n_rows > most) source->n_rows = most;
    }
}

static void plan(lm_engine *engine) {
    const lm_engine_model *model = engine->model;
    int64_t prefill_ms = engine->options.prefill_ms ? engine->options.prefill_ms : PREFILL_MS;
    int64_t max_prefill = model->max_rows;
    if (engine->prefill_row_ns > 0)
        max_prefill = (int64_t)((double)prefill_ms * 1e6 / engine->prefill_row_ns);
    if (max_prefill < PREFILL_MIN_ROWS) max_prefill = PREFILL_MIN_ROWS;
    lm_sched_limits limits = {
        .max_rows = model->max_rows,
        .max_prefill_rows = max_prefill,
        .max_seqs = model->max_seqs,
        .block_tokens = model->block_tokens,
        .n_free_blocks = model->ops->n_free_blocks(model),
    };
    engine->sched.len = 0;
    for (size_t i = 0; i < engine->choices.len; i++) {
        lm_choice *choice = engine->choices.ptr[i];
        if (choice->finish != LM_FINISH_NONE) continue;
        describe(engine, choice);
        engine->sched.ptr[engine->sched.len++] = &choice->sched;
    }
    lm_schedule(&limits, engine->sched.ptr, engine->sched.len);
    pause_sources(engine);
}

/* The request's record exists from its first admission. A journal that cannot grow refuses the request. */
static loam_status open_record(lm_engine *engine, lm_generation *generation, loam_error *err) {
    if (!engine->options.journal || generation->journal_slot >= 0) return LOAM_OK;
    return lm_usage_journal_append(engine->options.journal, &generation->record,
                                   &generation->journal_slot, err);
}

static loam_status start_seq(lm_engine *engine, lm_choice *choice, loam_error *err) {
    lm_engine_model *model = engine->model;
    int64_t shared = choice->sched.n_computed;
    if (shared > 0)
        return model->ops->seq_fork(model, choice->source->seq, shared, &choice->seq, err);
    return model->ops->seq_new(model, &choice->seq, err);
}

static void preempt_choice(lm_engine *engine, lm_choice *choice) {
    release_seq(engine, choice);
    choice->sched.n_rows = 0;
    engine->stats.n_preempted++;
}

/* What cannot be admitted after all waits on. */
static void admit_choice(lm_engine *engine, lm_event_batch *batch, lm_choice *choice) {
    lm_sched_seq *sched = &choice->sched;
    loam_error err = {0};
    if (open_record(engine, choice->generation, &err) != LOAM_OK) {
        lm_log_error(LM_LOG_ERROR, "serve", &err);
        fail_choice(engine, batch, choice, &err);
        return;
    }
    if (sched->n_computed > 0 && choice->source->seq < 0)
        sched->n_computed = 0; /* it was preempted in this very plan */
    if (start_seq(engine, choice, &err) == LOAM_OK) return;
    release_seq(engine, choice);
    sched->n_rows = 0;
}

/* The choice's rows, and a place in `sampled` if it gets logits. Without blocks for them it sits this step out. */
static int64_t add_rows(lm_engine *engine, lm_choice *choice, int64_t n_rows) {
    lm_sched_seq *sched = &choice->sched;
    if (!sched->active || sched->n_rows == 0) return n_rows;
    if (engine->model->ops->seq_reserve(engine->model, choice->seq, sched->n_rows, NULL) !=
        LOAM_OK) {
        sched->n_rows = 0;
        return n_rows;
    }
    if (sched->n_tokens - sched->n_computed > 1) engine->n_prefill += sched->n_rows;
    int64_t end = sched->n_computed + sched->n_rows;
    for (int64_t at = sched->n_computed; at < end; at++) {
        bool last = at + 1 == sched->n_tokens;
        engine->rows[n_rows++] = (lm_step_row){choice->tokens.ptr[at], choice->seq, last};
        if (last) engine->sampled[engine->n_sampled++] = choice;
    }
    return n_rows;
}

/* Carries out the plan: first who leaves, so that others can take their blocks; then who comes, which may share blocks;
 * only then is everybody's next block their own to reserve. Returns the number of rows. */
static int64_t carry_out_plan(lm_engine *engine, lm_event_batch *batch) {
    lm_choice **choices = engine->choices.ptr;
    size_t n = engine->choices.len;
    int64_t n_rows = 0;
    engine->n_sampled = engine->n_prefill = 0;
    for (size_t i = 0; i < n; i++)
        if (choices[i]->finish == LM_FINISH_NONE && choices[i]->sched.preempt)
            preempt_choice(engine, choices[i]);
    for (size_t i = 0; i < n; i++)
        if (choices[i]->finish == LM_FINISH_NONE && choices[i]->sched.admit)
            admit_choice(engine, batch, choices[i]);
    for (size_t i = 0; i < n; i++)
        if (choices[i]->finish == LM_FINISH_NONE) n_rows = add_rows(engine, choices[i], n_rows);
    return n_rows;
}

/* The plan counts shared blocks as everyone's own, so it can hope for blocks that a preemption does not set free. If nobody
 * can move for that, the youngest gives way. */
static void unblock(lm_engine *engine) {
    for (size_t i = engine->choices.len; i-- > 0;) {
        lm_choice *choice = engine->choices.ptr[i];
        if (choice->finish != LM_FINISH_NONE || !choice->sched.active) continue;
        preempt_choice(engine, choice);
        return;
    }
}

/* Charges a choice for its rows: their operations, and their share of the step's time. */
static void account(lm_engine *engine, lm_choice *choice, int64_t step_ns, int64_t n_step_rows) {
    lm_sched_seq *sched = &choice->sched;
    lm_generation *generation = choice->generation;
    lm_usage_record *record = &generation->record;
    for (int64_t i = 0; i < sched->n_rows; i++) {
        int64_t position = sched->n_computed + i;
        int64_t flops =
            engine->model->ops->row_flops(engine->model, position, position + 1 == sched->n_tokens);
        record->flops += flops;
        engine->stats.flops += flops;
    }
    generation->device_ns += step_ns * sched->n_rows / n_step_rows;
    record->device_us = generation->device_ns / 1000;
    sched->n_computed += sched->n_rows;
    int64_t in_prompt = sched->n_computed < choice->n_prompt ? sched->n_computed : choice->n_prompt;
    if (in_prompt > choice->n_prompt_computed) {
        if (!choice->source) record->prompt_tokens += in_prompt - choice->n_prompt_computed;
        choice->n_prompt_computed = in_prompt;
    }
}

static void sample_share(void *arg, int thread, int n_threads) {
    lm_engine *engine = arg;
    for (int64_t i = thread; i < engine->n_sampled; i += n_threads) {
        engine->errors[i].status = LOAM_OK;
        float *logits = engine->model->ops->logits(engine->model, i);
        loam_status status = lm_sampler_sample(engine->sampled[i]->sampler, logits,
                                               &engine->samples[i], &engine->errors[i]);
        engine->errors[i].status = status;
    }
}

static void sample_all(lm_engine *engine) {
    if (engine->n_sampled * engine->model->n_vocab <= SAMPLE_INLINE_ELEMS)
        sample_share(engine, 0, 1);
    else
        engine->model->ops->parallel(engine->model, sample_share, engine);
}

static void accept_sample(lm_engine *engine, lm_event_batch *batch, lm_choice *choice,
                          const lm_sample *sample, loam_error *err) {
    size_t text_begin = batch->text.len, sample_begin = batch->samples.len;
    int64_t n_before = choice->n_generated;
    lm_choice_output output = {&batch->text, &batch->samples};
    if (err->status == LOAM_OK)
        err->status =
            lm_choice_accept(choice, engine->model, sample, &engine->scratch, output, err);
    choice->generation->record.completion_tokens += choice->n_generated - n_before;
    if (err->status != LOAM_OK) {
        lm_log_error(LM_LOG_ERROR, "serve", err);
        fail_choice(engine, batch, choice, err);
        return;
    }
    if (choice->finish != LM_FINISH_NONE) end_choice(engine, choice);
    add_event(batch, choice, choice->n_generated - n_before, text_begin, sample_begin);
}

static void fail_step(lm_engine *engine, lm_event_batch *batch, const loam_error *err) {
    lm_log_error(LM_LOG_ERROR, "serve", err);
    for (size_t i = 0; i < engine->choices.len; i++) {
        lm_choice *choice = engine->choices.ptr[i];
        if (choice->finish == LM_FINISH_NONE && choice->sched.n_rows > 0)
            fail_choice(engine, batch, choice, err);
    }
}

static void average(double *mean, double now) {
    *mean = *mean > 0 ? 0.8 * *mean + 0.2 * now : now;
}

/* A step costs what reading the weights costs, whoever is in it, and a little for every row: only the latter is a
 * prompt's doing. */
static void measure(lm_engine *engine, int64_t step_ns, int64_t n_rows) {
    if (engine->n_prefill == 0) {
        average(&engine->decode_ns, (double)step_ns);
    } else {
        double extra_ns = (double)step_ns - (engine->n_prefill < n_rows ? engine->decode_ns : 0);
        if (extra_ns > 0) average(&engine->prefill_row_ns, extra_ns / (double)engine->n_prefill);
    }
    engine->stats.n_steps++;
    engine->stats.n_rows += n_rows;
    engine->stats.step_ns += step_ns;
}

static void run_step(lm_engine *engine, lm_event_batch *batch) {
    loam_error err = {0};
    plan(engine);
    int64_t n_rows = carry_out_plan(engine, batch);
    if (n_rows == 0) {
        unblock(engine);
        return;
    }
    int64_t start_ns = lm_clock_mono_ns();
    if (engine->model->ops->step(engine->model, engine->rows, n_rows, &err) != LOAM_OK) {
        fail_step(engine, batch, &err);
        return;
    }
    int64_t step_ns = lm_clock_mono_ns() - start_ns;
    measure(engine, step_ns, n_rows);
    for (size_t i = 0; i < engine->choices.len; i++) {
        lm_choice *choice = engine->choices.ptr[i];
        if (choice->finish == LM_FINISH_NONE && choice->sched.n_rows > 0)
            account(engine, choice, step_ns, n_rows);
    }
    sample_all(engine);
    for (int64_t i = 0; i < engine->n_sampled; i++)
        accept_sample(engine, batch, engine->sampled[i], &engine->samples[i], &engine->errors[i]);
    for (size_t i = 0; i < engine->choices.len; i++) {
        lm_choice *choice = engine->choices.ptr[i];
        if (choice->finish == LM_FINISH_NONE && choice->sched.n_rows > 0)
            write_record(engine, choice->generation);
    }
}

static void *engine_main(void *arg) {
    lm_engine *engine = arg;
    for (lm_event_batch *batch; (batch = next_work(engine));) {
        drop_cancelled(engine, batch);
        int64_t n_steps = engine->stats.n_steps;
        run_step(engine, batch);
        bool idle = engine->stats.n_steps == n_steps && batch->events.len == 0;
        forget_finished(engine);
        publish(engine, batch);
        if (idle) lm_clock_sleep_ms(RETRY_MS); /* nothing could move: do not spin */
    }
    for (size_t i = 0; i < engine->choices.len; i++) end_choice(engine, engine->choices.ptr[i]);
    return NULL;
}

/* --- Loop's thread: birth, submission, end. */

static loam_status allocate(lm_engine *engine, loam_error *err) {
    size_t n_seqs = (size_t)engine->model->max_seqs, n_rows = (size_t)engine->model->max_rows;
    engine->rows = lm_calloc(n_rows, sizeof *engine->rows);
    engine->sampled = lm_calloc(n_seqs, sizeof *engine->sampled);
    engine->samples = lm_calloc(n_seqs, sizeof *engine->samples);
    engine->errors = lm_calloc(n_seqs, sizeof *engine->errors);
    if (!engine->rows || !engine->sampled || !engine->samples || !engine->errors)
        return lm_error_no_memory(err, n_seqs * sizeof *engine->samples);
    return LOAM_OK;
}

loam_status lm_engine_new(lm_engine_model *model, const lm_engine_options *options, lm_engine **out,
                          loam_error *err) {
    lm_engine *engine = lm_calloc(1, sizeof *engine);
    if (!engine) return lm_error_no_memory(err, sizeof *engine);
    engine->model = model;
    engine->options = *options;
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->wake, NULL);
    lm_buf_init(&engine->scratch, SCRATCH_MAX_BYTES);
    engine->free_end = &engine->free_batches;
    for (int i = 0; i < N_BATCHES; i++) {
        engine->batches[i].engine = engine;
        lm_buf_init(&engine->batches[i].text, BATCH_TEXT_MAX_BYTES);
        give_back_batch(engine, &engine->batches[i]);
    }
    forget_finished(engine); /* first figures for the metrics */
    engine->seen_stats = engine->stats;
    loam_status status = allocate(engine, err);
    if (status == LOAM_OK) {
        engine->has_thread = pthread_create(&engine->thread, NULL, engine_main, engine) == 0;
        if (!engine->has_thread) status = lm_error_errno(err, "cannot start the engine's thread");
    }
    if (status != LOAM_OK) {
        lm_engine_free(engine);
        return status;
    }
    *out = engine;
    return LOAM_OK;
}

static void stop_thread(lm_engine *engine) {
    pthread_mutex_lock(&engine->lock);
    engine->stopping = true;
    pthread_cond_broadcast(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
    if (engine->has_thread) pthread_join(engine->thread, NULL);
}

void lm_engine_free(lm_engine *engine) {
    if (!engine) return;
    stop_thread(engine);
    while (engine->generations) {
        lm_generation *generation = engine->generations;
        unlink_generation(engine, generation);
        lm_generation_free(generation);
    }
    for (int i = 0; i < N_BATCHES; i++) {
        lm_vec_deinit(&engine->batches[i].events);
        lm_vec_deinit(&engine->batches[i].samples);
        lm_buf_deinit(&engine->batches[i].text);
    }
    lm_vec_deinit(&engine->intake);
    lm_vec_deinit(&engine->choices);
    lm_vec_deinit(&engine->sched);
    lm_buf_deinit(&engine->scratch);
    lm_free(engine->rows);
    lm_free(engine->sampled);
    lm_free(engine->samples);
    lm_free(engine->errors);
    pthread_cond_destroy(&engine->wake);
    pthread_mutex_destroy(&engine->lock);
    lm_free(engine);
}

const lm_engine_model *lm_engine_limits(const lm_engine *engine) {
    return engine->model;
}

/* Puts the choices into the intake, all or none. */
static loam_status enqueue(lm_engine *engine, lm_generation *generation, loam_error *err) {
    loam_status status = LOAM_OK;
    int64_t n = (int64_t)generation->n_choices,
            max = engine->model->max_seqs + engine->options.max_waiting;
    pthread_mutex_lock(&engine->lock);
    if (engine->n_unfinished + n > max) {
        status = lm_error_set(err, LOAM_LIMIT, "the queue is full: %lld sequences run or wait",
                              (long long)engine->n_unfinished);
    } else if (!lm_vec_reserve(&engine->intake, (size_t)n)) {
        status = lm_error_no_memory(err, (size_t)n * sizeof(lm_choice *));
    } else {
        for (int64_t i = 0; i < n; i++)
            engine->intake.ptr[engine->intake.len++] = &generation->choices[i];
        engine->n_unfinished += n;
        pthread_cond_signal(&engine->wake);
    }
    pthread_mutex_unlock(&engine->lock);
    return status;
}

loam_status lm_engine_submit(lm_engine *engine, const lm_generation_options *options,
                             lm_generation **out, loam_error *err) {
    lm_generation *generation;
    LM_TRY(lm_generation_new(engine->model, options, &generation, err));
    generation->engine = engine;
    loam_status status = enqueue(engine, generation, err);
    if (status != LOAM_OK) {
        lm_generation_free(generation);
        return status;
    }
    generation->next = engine->generations;
    if (engine->generations) engine->generations->previous = generation;
    engine->generations = generation;
    engine->n_generations++;
    *out = generation;
    return LOAM_OK;
}

void lm_generation_cancel(lm_generation *generation) {
    atomic_store(&generation->cancelled, true);
}

int64_t lm_engine_n_generations(const lm_engine *engine) {
    return engine->n_generations;
}

lm_engine_stats lm_engine_stats_get(const lm_engine *engine) {
    return engine->seen_stats;
}
