/* A request inside the engine. Fields say which thread may touch them; a batch of events hands over between the two. */
#ifndef LM_SERVE_GENERATION_H
#define LM_SERVE_GENERATION_H

#include <stdatomic.h>

#include "serve/engine.h"

struct lm_generation {
    lm_engine *engine;
    atomic_bool cancelled; /* set by the loop, read by the engine */

    /* constant after submission */
    lm_str *stops;
    size_t n_stops;

    /* engine's thread from submission to the last event */
    lm_choice *choices;
    size_t n_choices, n_left;
    lm_usage_record record;
    int64_t device_ns;    /* record.device_us before rounding */
    int64_t journal_slot; /* -1: not admitted yet */
    loam_error error;     /* written before the event that tells of it */

    /* loop's thread */
    lm_generation_fn *on_event;
    void *arg;
    lm_generation *previous, *next; /* all of the engine */
};

/* Builds the choices; nothing is shared with the options afterwards. */
loam_status lm_generation_new(const lm_engine_model *model, const lm_generation_options *options,
                              lm_generation **out, loam_error *err) LM_MUST_USE;
void lm_generation_free(lm_generation *generation);

#endif
