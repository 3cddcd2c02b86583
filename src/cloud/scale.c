#include "cloud/scale.h"

enum { BACKOFF_MS = 500, BACKOFF_MAX_MS = 60000 };

static int64_t clamp(int64_t n, int64_t low, int64_t high) {
    return n < low ? low : n > high ? high : n;
}

int64_t lm_scale_wanted(const lm_scale_input *in) {
    if (in->deleted) return 0;
    bool in_use = in->n_active + in->n_waiting > 0;
    bool idle = !in_use && in->now_ms - in->last_used_ms >= in->idle_timeout_ms;
    int64_t wanted = in->n_live;
    if (in->n_waiting > 0 && wanted == 0) wanted = 1;
    if (in_use && in->n_active >= LM_SCALE_BUSY * in->n_live) wanted = in->n_live + 1;
    if (idle) wanted = in->min_replicas;
    return clamp(wanted, in->min_replicas, in->max_replicas);
}

int64_t lm_scale_backoff_ms(int64_t n_failures) {
    if (n_failures <= 0) return 0;
    int64_t ms = n_failures > 8 ? BACKOFF_MAX_MS : (int64_t)BACKOFF_MS << (n_failures - 1);
    return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}
