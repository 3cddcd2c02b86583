/* One op made ready to be timed: a graph of a single node with inputs filled, on a device.
 *
 *     bench_case c = {.op = LM_OP_ADD, .in = {BENCH_IN(2, {768, 128}), BENCH_IN(2, {768, 128})}};
 *     LM_TRY(bench_subject_init(&subject, &c, device, err));
 *     bench_times times = bench_subject_time(&subject);
 *     bench_subject_deinit(&subject);
 */
#ifndef LM_CLI_BENCH_SUBJECT_H
#define LM_CLI_BENCH_SUBJECT_H

#include "compute/plan.h"

typedef struct bench_input {
    lm_role role;
    lm_dtype dtype;
    int n_dims; /* 0: no such input */
    int64_t shape[LM_MAX_DIMS];
    int32_t limit; /* i32 inputs count up below it, the last one being limit - 1, */
    int32_t step;  /* by so many; 0: 1 */
} bench_input;

#define BENCH_INPUT(role, type, ...) {LM_ROLE_##role, type, __VA_ARGS__}
#define BENCH_IN(...) BENCH_INPUT(INPUT, LM_F32, __VA_ARGS__)
#define BENCH_STATE(...) BENCH_INPUT(STATE, LM_F32, __VA_ARGS__)
#define BENCH_IDS(n, limit) BENCH_INPUT(INPUT, LM_I32, 1, {n}, limit)

typedef struct bench_case {
    const char *name;
    lm_op_id op;
    bench_input in[LM_MAX_INPUTS];
    lm_attrs attrs;
    int64_t context; /* positions attended to in all rows together */
    int64_t cached;  /* and of how many, counting each once */
} bench_case;

typedef struct bench_subject {
    lm_device *device;
    lm_graph *graph;
    lm_plan *plan;
    int64_t extents[LM_N_EXTENTS];
    void *data
        [LM_MAX_INPUTS]; /* of weights and states; of a weight in the device's order `packed` instead */
    void *packed;
} bench_subject;

/* Constant matrices come in the device's order if it has one. Deinit after failure, too. */
loam_status bench_subject_init(bench_subject *subject, const bench_case *of, lm_device *device,
                               loam_error *err) LM_MUST_USE;
void bench_subject_deinit(bench_subject *subject);

lm_cost bench_subject_cost(const bench_subject *subject);
const char *bench_subject_kernel(const bench_subject *subject);

/* Seconds of one run, of samples of a millisecond or of one run: the best, as neighbours only ever slow us, and the median. */
typedef struct bench_times {
    double best, median;
} bench_times;
bench_times bench_subject_time(const bench_subject *subject);

#endif
