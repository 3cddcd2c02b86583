/* Where the time of a plan's runs goes: per node and run, and summed up by kind of work; as rows, and as a trace for
 * chrome://tracing or Perfetto.
 *
 *     lm_profile *profile;
 *     LM_TRY(lm_profile_new(plan, &profile, err));
 *     LM_TRY(lm_plan_run(plan, extents, err));
 *     LM_TRY(lm_profile_add(profile, "decode", extents, begin_ns, end_ns, err));     after every run
 *     lm_profile_row rows[...];
 *     int n = lm_profile_sums(profile, rows, max);
 *
 * Nodes are timed by the device; a node's work is counted from its op's definition (lm_node_cost), whatever a kernel does.
 * Timing stays on for the plan's life. Borrows the plan. One thread.
 */
#ifndef LM_COMPUTE_PROFILE_H
#define LM_COMPUTE_PROFILE_H

#include "base/str.h"
#include "compute/plan.h"

typedef struct lm_profile lm_profile;

enum { LM_PROFILE_MAX_RUNS = 4096 };

loam_status lm_profile_new(lm_plan *plan, lm_profile **out, loam_error *err) LM_MUST_USE;
void lm_profile_free(lm_profile *profile);

/* Keeps what the plan's last run took. phase: borrowed, names the kind of run; runs of one phase are summed up. Begin and end
 * by lm_clock_mono_ns. LOAM_LIMIT after LM_PROFILE_MAX_RUNS, LOAM_NO_MEMORY. */
loam_status lm_profile_add(lm_profile *profile, const char *phase, const int64_t *extents,
                           int64_t begin_ns, int64_t end_ns, loam_error *err) LM_MUST_USE;

enum { LM_PROFILE_SHAPE_BYTES = 64 };

/* One node, or all nodes that do the same work: op, kernel, and the type and shape of what tells them apart, a weight if there
 * is one. */
typedef struct lm_profile_row {
    const char *phase, *op, *kernel;
    const char *name;                   /* of one node: the weight it reads, or ""; of a sum "" */
    char shape[LM_PROFILE_SHAPE_BYTES]; /* "q8_0 [2048x1024]" */
    lm_dtype dtype;
    bool reads_weight;
    int64_t n_runs; /* of nodes */
    int64_t ns, flops, bytes;
} lm_profile_row;

/* Fill at most `max` rows and return how many there are: every node of every phase in the order of running, or every kind of
 * work, by time, the longest first within a phase. */
int lm_profile_nodes(const lm_profile *profile, lm_profile_row *rows, int max);
int lm_profile_sums(const lm_profile *profile, lm_profile_row *rows, int max);

/* Most rows that either may have. */
int lm_profile_max_rows(const lm_profile *profile);

/* Time of a phase's runs by the clock, what lies between nodes included. */
int64_t lm_profile_phase_ns(const lm_profile *profile, const char *phase);

/* Appends the trace (Trace Event Format, JSON) to a buffer, whose status shows failures. */
void lm_profile_trace(const lm_profile *profile, lm_buf *out);

#endif
