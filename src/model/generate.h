/* One sequence from a prompt to its end: what `loam run`, training samples and the C API use. Servers drive sessions
 * themselves, many sequences a step.
 */
#ifndef LM_MODEL_GENERATE_H
#define LM_MODEL_GENERATE_H

#include "model/session.h"

typedef enum lm_stop_reason {
    LM_STOP_END,    /* the model ended the text */
    LM_STOP_LENGTH, /* max_tokens or the context is full */
    LM_STOP_CALLER, /* the callback said so */
} lm_stop_reason;

const char *lm_stop_reason_name(lm_stop_reason reason); /* "stop", "length", "cancelled" */

typedef struct lm_generate_options {
    lm_sampler_options sampling;
    int64_t max_tokens; /* 0: up to the session's context */
    bool ignore_end;    /* go on past end tokens */
    bool has_turn_end;  /* turn_end is one more of them */
    int32_t turn_end;
} lm_generate_options;

typedef struct lm_generate_stats {
    int64_t n_prompt, n_generated; /* tokens; the end token is not counted */
    int64_t prefill_ns, decode_ns;
    int64_t flops;
    lm_stop_reason reason;
} lm_generate_stats;

/* Called for every generated token but the end token; false ends the generation. */
typedef bool lm_generate_fn(void *ctx, const lm_sample *sample);

/* Runs in a sequence of its own, which is freed at the end. LOAM_LIMIT when the prompt does not fit the session's
 * context, saying both lengths; LOAM_INVALID for an empty prompt. out_stats may be NULL. */
loam_status lm_generate(lm_session *session, const int32_t *prompt, int64_t n_prompt,
                        const lm_generate_options *options, lm_generate_fn *fn, void *ctx,
                        lm_generate_stats *out_stats, loam_error *err) LM_MUST_USE;

#endif
