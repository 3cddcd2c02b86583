/* The batching engine: one thread that steps the model over all running requests, which join and leave at every step.
 *
 * The event loop's thread submits and cancels; the engine's thread owns the model. They share nothing else: requests go
 * over a locked list, what happened in a step comes back as one batch of events posted to the loop, and only so many
 * batches exist, so a loop that falls behind slows the engine instead of growing memory.
 *
 *     loop   --submit-->  intake  --> waiting --admit--> active --step by step--> finished
 *       ^                                ^                 |                        |
 *       |                                +---- preempt ----+                        |
 *       +------------------------ batch of events (lm_loop_post) -------------------+
 *
 * A cancelled request loses its sequences and blocks before the next step begins. If a usage journal is given, a
 * request's record is appended when it is first admitted, updated with every step, and finished at its end.
 */
#ifndef LM_SERVE_ENGINE_H
#define LM_SERVE_ENGINE_H

#include "base/usage_journal.h"
#include "net/loop.h"
#include "serve/choice.h"

typedef struct lm_engine lm_engine;
typedef struct lm_generation lm_generation; /* one request under way */

typedef struct lm_engine_options {
    lm_loop *loop;             /* events are delivered on it */
    lm_usage_journal *journal; /* borrowed; NULL: none */
    int64_t
        max_waiting; /* sequences beyond max_seqs of the model that may wait; submit refuses more */
    int64_t
        prefill_ms; /* what prompts may add to a step while others stream, up to three times as much when more wait than stream; 0: 50 */
} lm_engine_options;

typedef struct lm_generation_event {
    int choice;               /* prompt * n + i */
    bool first;               /* of this choice */
    lm_str text;              /* to be sent now; may be empty. Until the callback returns */
    const lm_sample *samples; /* [n_samples], when logprobs were asked for; likewise */
    size_t n_samples;
    int64_t n_new_tokens;    /* generated since the choice's last event */
    int64_t n_generated;     /* so far */
    lm_finish finish;        /* not NONE: the choice's last event */
    const loam_error *error; /* for LM_FINISH_FAILED */
    bool last;               /* of the generation, which is gone when the callback returns */
} lm_generation_event;

typedef void lm_generation_fn(lm_generation *generation, const lm_generation_event *event,
                              void *arg);

typedef struct lm_generation_prompt {
    const int32_t *tokens;
    int64_t n_tokens; /* 1 .. max_context - 1 of the model */
} lm_generation_prompt;

typedef struct lm_generation_options {
    const lm_generation_prompt *prompts; /* copied */
    size_t n_prompts;
    int n;              /* choices for each prompt */
    int64_t max_tokens; /* per choice; cut to what the context leaves */
    bool ignore_end;
    int32_t extra_end;   /* -1: none */
    bool at_start;       /* lm_choice_options */
    const lm_str *stops; /* copied */
    size_t n_stops;
    lm_sampler_options sampling; /* choice i draws from seed + i */
    const char *request_id;      /* key in the usage journal */
    const char *tag;
    lm_generation_fn *on_event; /* on the loop's thread */
    void *arg;
} lm_generation_options;

typedef struct lm_engine_stats {
    int64_t n_active, n_waiting; /* sequences */
    int64_t n_blocks, n_free_blocks;
    int64_t n_steps, n_rows, n_preempted; /* since the start */
    int64_t flops;
    int64_t step_ns;
} lm_engine_stats;

/* Starts the thread. The model is borrowed, and the engine's alone until free. */
loam_status lm_engine_new(lm_engine_model *model, const lm_engine_options *options, lm_engine **out,
                          loam_error *err) LM_MUST_USE;

/* Ends the thread, finishes the journal's records, drops what is under way without further events. The loop no longer
 * runs, or runs no posted function of the engine's any more. */
void lm_engine_free(lm_engine *engine);

const lm_engine_model *lm_engine_limits(const lm_engine *engine); /* its max_* and n_* fields */

/* Loop's thread. LOAM_LIMIT: the queue is full; LOAM_INVALID: a sampling option out of range. */
loam_status lm_engine_submit(lm_engine *engine, const lm_generation_options *options,
                             lm_generation **out, loam_error *err) LM_MUST_USE;

/* Loop's thread. No event comes any more; the generation must not be touched again. */
void lm_generation_cancel(lm_generation *generation);

int64_t
lm_engine_n_generations(const lm_engine *engine); /* under way, cancelled ones too. Loop's thread */
lm_engine_stats
lm_engine_stats_get(const lm_engine *engine); /* as of the last batch. Loop's thread */

#endif
