/* What happened in one step, on its way from the engine's thread to the loop's. Filled by the engine, delivered and
 * reset by the loop; buffers are kept, so that a warmed-up engine allocates nothing.
 */
#ifndef LM_SERVE_EVENT_BATCH_H
#define LM_SERVE_EVENT_BATCH_H

#include "serve/generation.h"

typedef struct lm_stored_event {
    lm_generation *generation;
    lm_generation_event event; /* its text and samples are set on delivery */
    size_t text_begin, text_len, sample_begin;
} lm_stored_event;

typedef struct lm_event_batch lm_event_batch;

struct lm_event_batch {
    lm_engine *engine;
    LM_VEC(lm_stored_event) events;
    lm_buf text;
    lm_sample_vec samples;
    lm_engine_stats stats;
    lm_event_batch *next; /* in the engine's free list */
};

#endif
