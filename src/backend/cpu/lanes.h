/* How the threads of a run share out work that reads a weight once: pieces in a row, cut into lanes. Every thread counts through
 * a lane of its own, so that what it reads lies together, and helps in the others when its own is through: a thread whose core a
 * neighbour slows does fewer pieces.
 *
 *     lm_lanes lanes = lm_lanes_of(args, n_pieces);
 *     for (int64_t piece; (piece = lm_lanes_take(&lanes)) >= 0;) ...
 */
#ifndef LM_BACKEND_CPU_LANES_H
#define LM_BACKEND_CPU_LANES_H

#include "base/pool.h"
#include "compute/op.h"

typedef struct lm_lanes {
    const lm_kernel_args *args;
    int64_t n_pieces;
    int n_lanes, lane, n_left; /* n_left: lanes that may have pieces */
} lm_lanes;

static inline lm_lanes lm_lanes_of(const lm_kernel_args *args, int64_t n_pieces) {
    int n_lanes = args->n_threads < LM_N_TICKETS ? args->n_threads : LM_N_TICKETS;
    return (lm_lanes){.args = args,
                      .n_pieces = n_pieces,
                      .n_lanes = n_lanes,
                      .lane = args->thread * n_lanes / args->n_threads,
                      .n_left = n_lanes};
}

/* The next piece of this thread; -1: none is left. All counters are used. */
static inline int64_t lm_lanes_take(lm_lanes *lanes) {
    for (; lanes->n_left > 0; lanes->n_left--, lanes->lane = (lanes->lane + 1) % lanes->n_lanes) {
        lm_range pieces = lm_range_split(lanes->n_pieces, 1, lanes->lane, lanes->n_lanes);
        int64_t piece = pieces.begin + lm_kernel_take(lanes->args, lanes->lane);
        if (piece < pieces.end) return piece;
    }
    return -1;
}

#endif
