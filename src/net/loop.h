/* One event loop on one thread (libevent): timers, work posted from other threads, and the HTTP server and client that
 * live on it.
 *
 * Everything that belongs to a loop is used on the loop's thread only, except lm_loop_post and lm_loop_stop, which any
 * thread may call. Callbacks must not block.
 */
#ifndef LM_NET_LOOP_H
#define LM_NET_LOOP_H

#include <stdint.h>

#include "base/error.h"

typedef struct lm_loop lm_loop;
typedef struct lm_timer lm_timer;
typedef void lm_loop_fn(void *arg);

loam_status lm_loop_new(lm_loop **out, loam_error *err) LM_MUST_USE;
void lm_loop_free(
    lm_loop *loop); /* after run has returned; posted functions that did not run are dropped */

/* Serves events until lm_loop_stop. */
loam_status lm_loop_run(lm_loop *loop, loam_error *err) LM_MUST_USE;
void lm_loop_stop(lm_loop *loop);

/* fn(arg) runs once on the loop's thread, in the order of posting. Any thread; also from a callback of the loop. */
loam_status lm_loop_post(lm_loop *loop, lm_loop_fn *fn, void *arg, loam_error *err) LM_MUST_USE;

/* fn(arg) after delay_ms, then every period_ms (0: once). Freeing cancels; free it also after a single shot. */
loam_status lm_timer_new(lm_loop *loop, int64_t delay_ms, int64_t period_ms, lm_loop_fn *fn,
                         void *arg, lm_timer **out, loam_error *err) LM_MUST_USE;
void lm_timer_free(lm_timer *timer);

/* fn(arg) on the loop's thread when the process gets the signal. Freed with the loop. */
loam_status lm_loop_on_signal(lm_loop *loop, int signal_number, lm_loop_fn *fn, void *arg,
                              loam_error *err) LM_MUST_USE;

#endif
