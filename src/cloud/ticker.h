/* A thread that does one thing again and again: every period, and at once when woken. */
#ifndef LM_CLOUD_TICKER_H
#define LM_CLOUD_TICKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef struct lm_ticker lm_ticker;

/* tick(arg, woken) runs on the ticker's thread; `woken` tells that somebody asked since the last time. */
typedef void lm_ticker_fn(void *arg, bool woken);

loam_status lm_ticker_new(int64_t period_ms, lm_ticker_fn *tick, void *arg, lm_ticker **out,
                          loam_error *err) LM_MUST_USE;
void lm_ticker_wake(lm_ticker *ticker); /* any thread */
void lm_ticker_free(lm_ticker *ticker); /* waits for a tick under way */

#endif
