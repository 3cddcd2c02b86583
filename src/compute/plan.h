/* A plan: a graph made ready to run on a device. Every value has its place in one arena (by
 * liveness: two values that are never needed together may share bytes), every node its kernel;
 * running allocates nothing.
 *
 *     lm_plan *plan;
 *     LM_TRY(lm_plan_new(graph, device, &plan, err));
 *     memcpy(ids->host, ...);                            inputs' and outputs' places are set now
 *     int64_t extents[LM_N_EXTENTS] = {[LM_EXTENT_ROWS] = 3, [LM_EXTENT_OUTS] = 1};
 *     LM_TRY(lm_plan_run(plan, extents, err));
 *     use(logits->host);
 *
 * A run brings inputs to the device and outputs back, as many rows as it has; where device memory
 * is host memory nothing is copied. The graph must outlive the plan and belongs to it from then on
 * (its tensors' data and host pointers are the plan's). A plan and its device are used by one
 * thread at a time.
 */
#ifndef LM_COMPUTE_PLAN_H
#define LM_COMPUTE_PLAN_H

#include "compute/device.h"

typedef struct lm_plan lm_plan;

loam_status lm_plan_new(lm_graph *graph, lm_device *device, lm_plan **out,
                        loam_error *err) LM_MUST_USE;
void lm_plan_free(lm_plan *plan);

/* extents: [LM_N_EXTENTS], each at most the capacity of every tensor that has it (asserted).
 * LOAM_UNAVAILABLE: the device is lost; never on the CPU. */
loam_status lm_plan_run(lm_plan *plan, const int64_t *extents, loam_error *err) LM_MUST_USE;

/* Sum of the nodes' costs for these extents, and one node's kernel name. */
lm_cost lm_plan_cost(const lm_plan *plan, const int64_t *extents);
const char *lm_plan_kernel_name(const lm_plan *plan, int node);

size_t lm_plan_arena_bytes(const lm_plan *plan);

const lm_graph *lm_plan_graph(const lm_plan *plan);

/* Switches per-node timing on (accumulates until read) and reads it: [n_nodes] nanoseconds. */
loam_status lm_plan_profile_start(lm_plan *plan, loam_error *err) LM_MUST_USE;
const int64_t *lm_plan_profile_ns(const lm_plan *plan);

#endif
