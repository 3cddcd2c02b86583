/* Thread pool with a static partition: every thread runs the same function and takes the share its number says.
 *
 *     static void scale(void *arg, int thread, int n_threads) {
 *         job *j = arg;
 *         lm_range r = lm_range_split(j->n, 1, thread, n_threads);
 *         for (int64_t i = r.begin; i < r.end; i++) j->y[i] = 2 * j->x[i];
 *     }
 *     lm_pool_run(pool, scale, &job);
 *
 * The caller is thread 0 and takes part. No work stealing: which thread does what is a function of (size, thread,
 * n_threads) alone. Waiting threads spin for some microseconds, then sleep on a futex, so an idle pool costs its
 * neighbours nothing. One run at a time; runs do not nest. The owner's thread calls run and free.
 */
#ifndef LM_BASE_POOL_H
#define LM_BASE_POOL_H

#include <stdint.h>

#include "base/error.h"

typedef struct lm_pool lm_pool;
typedef void lm_pool_fn(void *arg, int thread, int n_threads);

enum { LM_POOL_MAX_THREADS = 256 };

/* n_threads 0: one per CPU this process may run on (affinity and cgroup quota). LOAM_INVALID past the maximum. */
loam_status lm_pool_new(int n_threads, lm_pool **out, loam_error *err) LM_MUST_USE;
void lm_pool_free(lm_pool *pool);
int lm_pool_n_threads(const lm_pool *pool);

/* Runs fn on every thread; returns when all are done. Everything they wrote is visible to the caller. */
void lm_pool_run(lm_pool *pool, lm_pool_fn *fn, void *arg);

/* Inside a run: no thread goes on before all have come here, and what they wrote before is visible after. Every
 * thread of the run must call it equally often. */
void lm_pool_barrier(lm_pool *pool);

/* A barrier at which the thread that comes last calls alone(arg) before it lets the others go on: it sees what all have
 * written, and all see what it writes. All threads must bring the same function and argument. */
typedef void lm_pool_meet_fn(void *arg);
void lm_pool_meet(lm_pool *pool, lm_pool_meet_fn *alone, void *arg);

typedef struct lm_range {
    int64_t begin, end;
} lm_range;

/* The share of `thread` in [0, n): contiguous, in multiples of `grain` (except the last), shares differ by at most one
 * grain, thread order is index order. */
static inline lm_range lm_range_split(int64_t n, int64_t grain, int thread, int n_threads) {
    int64_t n_grains = (n + grain - 1) / grain;
    int64_t begin = n_grains * thread / n_threads * grain;
    int64_t end = n_grains * (thread + 1) / n_threads * grain;
    return (lm_range){begin < n ? begin : n, end < n ? end : n};
}

/* The n elements from `begin` on, as far as they lie before `end`. */
static inline lm_range lm_range_from(int64_t begin, int64_t n, int64_t end) {
    return (lm_range){begin, begin + n < end ? begin + n : end};
}

#endif
