/* Runs one node of the conformance table with a given kernel, extents and device, on its own
 * buffers.
 *
 * A `bench` (as in workbench) holds a case's node and pristine inputs; a `result` holds what one
 * run left in the outputs, with guard bytes behind each that the run must not touch.
 */
#ifndef LM_TESTS_CONFORMANCE_HARNESS_H
#define LM_TESTS_CONFORMANCE_HARNESS_H

#include "cases.h"
#include "compute/backend.h"

typedef struct bench {
    const op_case *c;
    lm_graph *graph;
    const lm_node *node;
    void *pristine[LM_MAX_INPUTS]; /* inputs in the case's dtype and row order */
    lm_weight packed; /* of a LINEAR's weight in the device's order; data NULL: not packed */
} bench;

typedef struct result {
    int n;
    uint8_t *bytes[LM_MAX_OUTPUTS];
    size_t size[LM_MAX_OUTPUTS]; /* at capacity */
} result;

/* How to run. */
typedef struct run_options {
    const int64_t *extents;
    int64_t first_row; /* row inputs begin at this row */
    int take_over;     /* input that output 0 shares storage with; -1: none */
} run_options;

/* packer: NULL, or a device in whose order LINEAR's weight is brought; false from bench_init
 * then says that it has none. */
bool bench_init(bench *b, const op_case *c, lm_device *packer);
void bench_deinit(bench *b, lm_device *packer);

/* The case's extents at capacity. */
void bench_extents(const bench *b, int64_t extents[LM_N_EXTENTS]);

/* Fails the test when guard bytes or rows past the extents were written. */
void bench_run(const bench *b, lm_device *device, const lm_kernel *kernel,
               const run_options *options, result *out);
void result_deinit(result *r);

/* Best of some runs, in nanoseconds. */
int64_t bench_time_ns(const bench *b, lm_device *device, const lm_kernel *kernel);

#endif
