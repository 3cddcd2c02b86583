#include "cli/bench_subject.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "compute/device.h"

enum {
    SAMPLE_NS = 1000 * 1000,
    MEASURE_NS = 100 * 1000 * 1000,
    MIN_SAMPLES = 5,
    MAX_SAMPLES = 200,
    CHUNK = 1024, /* elements that differ; a multiple of every format's block */
};

/* ---- Filling ---- */

static int64_t n_elems_of(const bench_input *in) {
    int64_t n = 1;
    for (int i = 0; i < in->n_dims; i++) n *= in->shape[i];
    return n;
}

static void fill_ids(const bench_input *in, int32_t *ids) {
    int64_t n = n_elems_of(in), step = in->step > 0 ? in->step : 1,
            first = in->limit - n * step % in->limit;
    for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)((first + (i + 1) * step - 1) % in->limit);
}

/* Small positive numbers, so that every op is in its domain. */
static void fill(const bench_input *in, void *data) {
    if (in->dtype == LM_I32) {
        fill_ids(in, data);
        return;
    }
    lm_rng rng;
    lm_rng_init(&rng, 1);
    float values[CHUNK];
    for (int i = 0; i < CHUNK; i++) values[i] = 0.1f + lm_rng_f32(&rng);
    int64_t n = n_elems_of(in), first = n < CHUNK ? n : CHUNK;
    lm_dtype_get(in->dtype)->pack(values, data, first);
    for (int64_t at = first; at < n; at += CHUNK)
        memcpy((char *)data + lm_dtype_bytes(in->dtype, at), data,
               lm_dtype_bytes(in->dtype, n - at < CHUNK ? n - at : CHUNK));
}

/* ---- Making ---- */

static lm_tensor *make_weight(bench_subject *s, const bench_input *in, int i) {
    lm_weight packed,
        weight = {.name = "w", .dtype = in->dtype, .n_dims = in->n_dims, .data = s->data[i]};
    memcpy(weight.shape, in->shape, sizeof weight.shape);
    if (lm_device_pack(s->device, &weight, &packed, NULL) != LOAM_OK)
        return lm_graph_weight(s->graph, &weight);
    s->packed = (void *)packed.data;
    s->device->backend->free(s->device, s->data[i]);
    s->data[i] = NULL;
    return lm_graph_weight(s->graph, &packed);
}

static loam_status make_inputs(bench_subject *s, const bench_case *of, lm_op_args *out,
                               loam_error *err) {
    static const char *const names[LM_MAX_INPUTS] = {"in0", "in1", "in2", "in3", "in4",  "in5",
                                                     "in6", "in7", "in8", "in9", "in10", "in11"};
    for (int i = 0; i < LM_MAX_INPUTS; i++) {
        const bench_input *in = &of->in[i];
        if (in->n_dims == 0) continue;
        if (in->role == LM_ROLE_INPUT) {
            out->in[i] = lm_graph_input(s->graph, names[i], in->dtype, LM_EXTENT_FIXED, in->n_dims,
                                        in->shape);
            continue;
        }
        LM_TRY(s->device->backend->alloc(s->device, lm_dtype_bytes(in->dtype, n_elems_of(in)),
                                         &s->data[i], err));
        fill(in, s->data[i]);
        out->in[i] = in->role == LM_ROLE_WEIGHT
                         ? make_weight(s, in, i)
                         : lm_graph_state(s->graph, names[i], in->dtype, in->n_dims, in->shape,
                                          s->data[i], NULL);
    }
    return LOAM_OK;
}

loam_status bench_subject_init(bench_subject *s, const bench_case *of, lm_device *device,
                               loam_error *err) {
    *s = (bench_subject){.device = device,
                         .extents = {[LM_EXTENT_CONTEXT] = of->context,
                                     [LM_EXTENT_CACHED] = of->cached,
                                     [LM_EXTENT_WINDOW_CONTEXT] = of->context,
                                     [LM_EXTENT_WINDOW_CACHED] = of->cached}};
    LM_TRY(lm_graph_new(&s->graph, err));
    lm_op_args args = {.attrs = of->attrs};
    LM_TRY(make_inputs(s, of, &args, err));
    lm_graph_output(s->graph, lm_graph_op(s->graph, of->op, &args));
    LM_TRY(lm_graph_status(s->graph, err));
    LM_TRY(lm_plan_new(s->graph, device, &s->plan, err));
    for (int i = 0; i < LM_MAX_INPUTS; i++)
        if (of->in[i].n_dims > 0 && of->in[i].role == LM_ROLE_INPUT)
            fill(&of->in[i], args.in[i]->host);
    return LOAM_OK;
}

void bench_subject_deinit(bench_subject *s) {
    lm_plan_free(s->plan);
    lm_graph_free(s->graph);
    for (int i = 0; i < LM_MAX_INPUTS; i++) s->device->backend->free(s->device, s->data[i]);
    s->device->backend->free(s->device, s->packed);
}

lm_cost bench_subject_cost(const bench_subject *s) {
    return lm_plan_cost(s->plan, s->extents);
}

const char *bench_subject_kernel(const bench_subject *s) {
    return lm_plan_kernel_name(s->plan, 0);
}

/* ---- Timing ---- */

static int64_t time_runs(const bench_subject *s, int64_t n) {
    int64_t begin_ns = lm_clock_mono_ns();
    for (int64_t i = 0; i < n; i++)
        LM_ASSERT(lm_plan_run(s->plan, s->extents, NULL) == LOAM_OK); /* the CPU is never lost */
    return lm_clock_mono_ns() - begin_ns;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bench_times bench_subject_time(const bench_subject *s) {
    int64_t n_runs = 1;
    while (time_runs(s, n_runs) < SAMPLE_NS) n_runs *= 2;
    double samples[MAX_SAMPLES];
    int n = 0;
    int64_t end_ns = lm_clock_mono_ns() + MEASURE_NS;
    while (n < MIN_SAMPLES || (n < MAX_SAMPLES && lm_clock_mono_ns() < end_ns))
        samples[n++] = (double)time_runs(s, n_runs) * 1e-9 / (double)n_runs;
    qsort(samples, (size_t)n, sizeof *samples, by_value);
    return (bench_times){.best = samples[0], .median = samples[n / 2]};
}
