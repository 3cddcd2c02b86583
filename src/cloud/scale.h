/* How many replicas an endpoint should have now: a pure function of what it is set to, what it has, and how it is used. */
#ifndef LM_CLOUD_SCALE_H
#define LM_CLOUD_SCALE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LM_SCALE_BUSY = 32
}; /* requests under way at a replica from which on another one is worth starting */

typedef struct lm_scale_input {
    int64_t min_replicas, max_replicas;
    int64_t idle_timeout_ms;
    bool deleted;
    int64_t n_live; /* starting or ready */
    int64_t n_active, n_waiting;
    int64_t last_used_ms; /* epoch; a start or the cloud's own start counts as use */
    int64_t now_ms;
} lm_scale_input;

/* The number wanted; differs from n_live by at most what one look should change. */
int64_t lm_scale_wanted(const lm_scale_input *in);

/* How long to wait before starting the next replica after n failures in a row: 0, 0.5 s, 1 s, 2 s, ... at most a minute. */
int64_t lm_scale_backoff_ms(int64_t n_failures);

#endif
