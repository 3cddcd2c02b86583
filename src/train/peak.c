#include "train/peak.h"

#include "base/clock.h"
#include "compute/plan.h"

enum { PEAK_SIZE = 512, PEAK_RUNS = 8 };

/* y = x w^T over values that the plan zeroed: the time does not depend on them. */
static loam_status build(lm_graph *graph, lm_dtype dtype, void *weights, loam_error *err) {
    const int64_t shape[] = {PEAK_SIZE, PEAK_SIZE};
    lm_tensor *x = lm_graph_input(graph, "x", dtype, LM_EXTENT_FIXED, 2, shape);
    lm_tensor *w = lm_graph_state(graph, "w", dtype, 2, shape, weights, NULL);
    lm_graph_output(graph, lm_graph_op(graph, LM_OP_LINEAR, &(lm_op_args){.in = {x, w}}));
    return lm_graph_status(graph, err);
}

static loam_status best_rate(lm_plan *plan, double *out, loam_error *err) {
    static const int64_t no_extents[LM_N_EXTENTS];
    double flops = (double)lm_plan_cost(plan, no_extents).flops, best = 0;
    for (int i = 0; i < PEAK_RUNS; i++) {
        int64_t start_ns = lm_clock_mono_ns();
        LM_TRY(lm_plan_run(plan, no_extents, err));
        double rate = flops * 1e9 / (double)(lm_clock_mono_ns() - start_ns + 1);
        if (rate > best) best = rate;
    }
    *out = best;
    return LOAM_OK;
}

loam_status lm_peak_measure(lm_device *device, lm_dtype dtype, double *out_flops_per_s,
                            loam_error *err) {
    lm_graph *graph = NULL;
    lm_plan *plan = NULL;
    void *weights = NULL;
    loam_status status =
        lm_device_alloc(device, PEAK_SIZE * lm_dtype_bytes(dtype, PEAK_SIZE), &weights, err);
    if (status == LOAM_OK) status = lm_graph_new(&graph, err);
    if (status == LOAM_OK) status = build(graph, dtype, weights, err);
    if (status == LOAM_OK) status = lm_plan_new(graph, device, &plan, err);
    if (status == LOAM_OK) status = best_rate(plan, out_flops_per_s, err);
    lm_plan_free(plan);
    lm_graph_free(graph);
    lm_device_free(device, weights);
    return status;
}
