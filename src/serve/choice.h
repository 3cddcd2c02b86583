/* One sequence of a request, on the engine's side: its tokens, its sampler, and the way from a sampled token to text that
 * may be sent (detokenizer, then stop strings). Engine thread only.
 */
#ifndef LM_SERVE_CHOICE_H
#define LM_SERVE_CHOICE_H

#include "base/vec.h"
#include "serve/engine_model.h"
#include "serve/scheduler.h"
#include "serve/stop.h"

typedef enum lm_finish {
    LM_FINISH_NONE,
    LM_FINISH_STOP,      /* the model ended the text, or a stop string came */
    LM_FINISH_LENGTH,    /* max_tokens */
    LM_FINISH_CANCELLED, /* nobody waits for it any more */
    LM_FINISH_FAILED,
} lm_finish;

typedef LM_VEC(lm_sample) lm_sample_vec;

/* What a choice has to say after a step. Buffers belong to the caller, who appends many choices to the same ones. */
typedef struct lm_choice_output {
    lm_buf *text; /* what may be sent */
    lm_sample_vec
        *samples; /* of the tokens whose text that is; only when logprobs were asked for */
} lm_choice_output;

/* A sampled token whose text has not been sent yet. */
typedef struct lm_held_sample {
    lm_sample sample;
    size_t text_begin; /* where its text begins in the choice's whole text */
} lm_held_sample;

typedef struct lm_choice lm_choice;

struct lm_choice {
    struct lm_generation *generation; /* the request; serve/engine.c */
    int index;                        /* in the request */
    lm_choice *source;                /* has the same prompt and computes it for us; or NULL */
    lm_sched_seq sched;
    int32_t seq;       /* of the session; -1: none */
    lm_vec_i32 tokens; /* prompt, then generated */
    int64_t n_prompt, n_generated;
    int64_t max_tokens;
    int64_t n_prompt_computed; /* the most ever; preemption does not take it back */
    bool ignore_end;
    int32_t extra_end; /* one more token that ends the text; -1: none */
    lm_sampler *sampler;
    lm_detokenizer detokenizer;
    lm_stop_matcher stop;
    bool logprobs;
    LM_VEC(lm_held_sample) held;
    size_t n_text, n_sent; /* bytes detokenized, bytes given out */
    lm_finish finish;
};

typedef struct lm_choice_options {
    const int32_t *prompt; /* [n_prompt], copied */
    int64_t n_prompt;
    int64_t max_tokens; /* bounded by the context: so many are allocated for */
    bool ignore_end;
    int32_t extra_end;
    bool
        at_start; /* the answer is a text of its own: a leading space of the tokenizer's making is dropped */
    lm_stop_set stop; /* borrowed for the choice's life */
    const lm_sampler_options *sampling;
} lm_choice_options;

/* LOAM_INVALID names a sampling option out of its range. On failure the choice is empty; deinit is harmless. */
loam_status lm_choice_init(lm_choice *choice, const lm_engine_model *model,
                           const lm_choice_options *options, loam_error *err) LM_MUST_USE;
void lm_choice_deinit(lm_choice *choice);

/* Takes the next token; sets choice->finish when it is the last. `scratch` is reset and used. Fails only for want of
 * memory. */
loam_status lm_choice_accept(lm_choice *choice, const lm_engine_model *model,
                             const lm_sample *sample, lm_buf *scratch, lm_choice_output output,
                             loam_error *err) LM_MUST_USE;

/* "stop", "length", or NULL for the others. Static storage. */
const char *lm_finish_name(lm_finish finish);

#endif
