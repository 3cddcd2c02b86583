/* Planning, on a device that only records: no value is overwritten while it is needed, kernels
 * and workspace are asked for as promised, inputs and outputs come and go with their rows, and
 * running allocates nothing. */
#include "testing.h"

#include "backend/cpu/cpu.h"
#include "base/rng.h"
#include "compute/plan.h"
#include "recording_device.h"

static void open_device(recording_device *r) {
    recording_open(r, &(recording_options){.lacks = LM_OP_COUNT});
}

enum { MAX_VALUES = 64, WIDTH = 8 };

/* A random program of adds, gates, products, norms and views; about a fifth of its values are
 * outputs. */
static lm_graph *random_graph(lm_rng *rng, const lm_weight *w, const lm_weight *scale) {
    lm_graph *graph;
    assert_ok(lm_graph_new(&graph, &err));
    lm_tensor *values[MAX_VALUES];
    int n = 0, target = 4 + (int)lm_rng_below(rng, MAX_VALUES - 4);
    for (; n < 2; n++)
        values[n] = lm_graph_input(graph, "x", LM_F32, LM_EXTENT_ROWS, 2, (int64_t[]){4, WIDTH});
    lm_tensor *weight = lm_graph_weight(graph, w), *scales = lm_graph_weight(graph, scale);
    while (n < target) {
        lm_tensor *a = values[lm_rng_below(rng, (uint64_t)n)],
                  *b = values[lm_rng_below(rng, (uint64_t)n)];
        switch (lm_rng_below(rng, 5)) {
        case 0: values[n] = lm_graph_op(graph, LM_OP_ADD, &(lm_op_args){.in = {a, b}}); break;
        case 1: values[n] = lm_graph_op(graph, LM_OP_SWIGLU, &(lm_op_args){.in = {a, b}}); break;
        case 2:
            values[n] = lm_graph_op(graph, LM_OP_LINEAR, &(lm_op_args){.in = {a, weight}});
            break;
        case 3:
            values[n] = lm_graph_op(graph, LM_OP_RMS_NORM, &(lm_op_args){.in = {a, scales}});
            break;
        default:
            values[n] =
                lm_graph_reshape(graph, lm_graph_reshape(graph, a, 3, (int64_t[]){4, 2, WIDTH / 2}),
                                 2, (int64_t[]){4, WIDTH});
        }
        if (lm_rng_below(rng, 5) == 0) lm_graph_output(graph, values[n]);
        n++;
    }
    lm_graph_output(graph, values[n - 1]);
    return graph;
}

static void check_random_graph(recording_device *r, lm_rng *rng, const lm_weight *w,
                               const lm_weight *scale, size_t *sum, size_t *arena) {
    lm_graph *graph = random_graph(rng, w, scale);
    lm_plan *plan;
    assert_ok(lm_plan_new(graph, &r->base, &plan, &err));
    int n = lm_graph_n_tensors(graph);
    for (int i = 0; i < n; i++) {
        lm_tensor *tensor = lm_graph_tensor(graph, i);
        if (tensor->role == LM_ROLE_VALUE && !tensor->view_of) *sum += lm_tensor_bytes(tensor);
    }
    *arena += lm_plan_arena_bytes(plan);
    for (int run = 0; run < 2; run++) {
        recording_forget(r);
        assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = 4}, &err));
        for (int i = 0; i < n; i++) {
            lm_tensor *tensor = lm_graph_tensor(graph, i);
            if (tensor->is_output || tensor->role == LM_ROLE_INPUT) recording_check(r, tensor);
        }
    }
    lm_plan_free(plan);
    lm_graph_free(graph);
}

static lm_weight device_weight(recording_device *r, int n_dims) {
    lm_weight w = {.name = "w", .dtype = LM_F32, .n_dims = n_dims, .shape = {WIDTH, WIDTH}};
    void *data;
    assert_ok(lm_device_alloc(&r->base, WIDTH * WIDTH * sizeof(float), &data, &err));
    w.data = data;
    return w;
}

static void test_needed_values_keep(void **state) {
    recording_device r;
    open_device(&r);
    lm_weight w = device_weight(&r, 2), scale = device_weight(&r, 1);
    lm_rng rng;
    lm_rng_init(&rng, 3);
    size_t sum = 0, arena = 0;
    for (int i = 0; i < 300; i++) check_random_graph(&r, &rng, &w, &scale, &sum, &arena);
    /* Sharing does happen, though a fifth of the values are kept to the end. */
    assert_true(arena < sum * 2 / 3);
    lm_device_free(&r.base, (void *)w.data);
    lm_device_free(&r.base, (void *)scale.data);
    lm_device_close(&r.base);
}

/* A chain of elementwise ops works in one place. */
static void test_chain_in_place(void **state) {
    lm_graph *graph;
    assert_ok(lm_graph_new(&graph, &err));
    lm_tensor *x = lm_graph_input(graph, "x", LM_F32, LM_EXTENT_FIXED, 1, (int64_t[]){1024}),
              *y = x;
    for (int i = 0; i < 10; i++) y = lm_graph_op(graph, LM_OP_ADD, &(lm_op_args){.in = {y, x}});
    lm_graph_output(graph, y);
    recording_device r;
    open_device(&r);
    lm_plan *plan;
    assert_ok(lm_plan_new(graph, &r.base, &plan, &err));
    assert_int_equal(lm_plan_arena_bytes(plan), 2 * 4096);
    lm_plan_free(plan);
    lm_graph_free(graph);
    lm_device_close(&r.base);
}

static lm_graph *gated_graph(void) {
    lm_graph *graph;
    assert_ok(lm_graph_new(&graph, &err));
    lm_tensor *x = lm_graph_input(graph, "x", LM_F32, LM_EXTENT_ROWS, 2, (int64_t[]){4, WIDTH});
    lm_tensor *sum = lm_graph_op(graph, LM_OP_ADD, &(lm_op_args){.in = {x, x}});
    lm_graph_output(graph, lm_graph_op(graph, LM_OP_SWIGLU, &(lm_op_args){.in = {sum, x}}));
    return graph;
}

static void test_workspace_profile_cost(void **state) {
    lm_graph *graph = gated_graph();
    recording_device r;
    open_device(&r);
    lm_plan *plan;
    assert_ok(lm_plan_new(graph, &r.base, &plan, &err));
    assert_int_equal(recording_count(&r, RECORDED_ALLOC), 2);
    assert_int_equal(recording_get(&r, RECORDED_ALLOC, 0)->size_bytes, lm_plan_arena_bytes(plan));
    /* The largest that a kernel asks for. */
    assert_int_equal(recording_get(&r, RECORDED_ALLOC, 1)->size_bytes,
                     recording_workspace_bytes(LM_OP_SWIGLU));
    assert_null(lm_plan_profile_ns(plan));
    assert_ok(lm_plan_profile_start(plan, &err));
    for (int i = 0; i < 3; i++)
        assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = 2}, &err));
    assert_int_equal(recording_count(&r, RECORDED_RUN), 3);
    assert_int_equal(lm_plan_profile_ns(plan)[0], 3);
    assert_int_equal(lm_plan_profile_ns(plan)[1], 6);
    lm_cost two = lm_plan_cost(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = 2});
    lm_cost four = lm_plan_cost(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = 4});
    assert_int_equal(two.flops, 2 * WIDTH * (1 + 6));
    assert_int_equal(two.bytes, 2 * WIDTH * 4 * (3 + 3));
    assert_int_equal(four.flops, 2 * two.flops);
    assert_string_equal(lm_plan_kernel_name(plan, 1), "swiglu/recording");
    lm_plan_free(plan);
    lm_graph_free(graph);
    lm_device_close(&r.base);
}

/* Inputs come before the steps and outputs after them, as many rows as the run has. */
static void test_inputs_and_outputs_travel_with_their_rows(void **state) {
    static const recording_kind order[] = {RECORDED_UPLOAD, RECORDED_RUN, RECORDED_STEP,
                                           RECORDED_STEP, RECORDED_DOWNLOAD};
    lm_graph *graph = gated_graph();
    recording_device r;
    open_device(&r);
    lm_plan *plan;
    assert_ok(lm_plan_new(graph, &r.base, &plan, &err));
    recording_forget(&r);
    for (int rows = 1; rows <= 4; rows++) {
        assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = rows}, &err));
        assert_int_equal(r.n_events, LM_COUNT_OF(order));
        for (int i = 0; i < r.n_events; i++) assert_int_equal(r.events[i].kind, order[i]);
        assert_int_equal(recording_bytes(&r, RECORDED_UPLOAD), rows * WIDTH * 4);
        assert_int_equal(recording_bytes(&r, RECORDED_DOWNLOAD), rows * WIDTH * 4);
        recording_forget(&r);
    }
    assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){0}, &err)); /* nothing to bring */
    assert_int_equal(recording_count(&r, RECORDED_UPLOAD), 0);
    assert_int_equal(recording_count(&r, RECORDED_DOWNLOAD), 0);
    lm_plan_free(plan);
    lm_graph_free(graph);
    lm_device_close(&r.base);
}

static void test_host_memory_is_used_as_it_is(void **state) {
    lm_graph *graph = gated_graph();
    recording_device r;
    recording_open(&r, &(recording_options){.lacks = LM_OP_COUNT, .shares_host_memory = true});
    lm_plan *plan;
    assert_ok(lm_plan_new(graph, &r.base, &plan, &err));
    for (int i = 0; i < lm_graph_n_tensors(graph); i++) {
        const lm_tensor *tensor = lm_graph_tensor(graph, i);
        bool exchanged = tensor->role == LM_ROLE_INPUT || tensor->is_output;
        assert_ptr_equal(tensor->host, exchanged ? tensor->data : NULL);
    }
    recording_fill(&r, lm_graph_tensor(graph, 0));
    recording_forget(&r);
    assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = 4}, &err));
    assert_int_equal(r.n_events, 3); /* the run and its two steps */
    lm_plan_free(plan);
    lm_graph_free(graph);
    lm_device_close(&r.base);
}

static void test_backend_lacks_op(void **state) {
    lm_graph *graph = gated_graph();
    recording_device r;
    recording_open(&r, &(recording_options){.lacks = LM_OP_SWIGLU});
    loam_error refusal = {0};
    lm_plan *plan = NULL;
    assert_int_equal(lm_plan_new(graph, &r.base, &plan, &refusal), LOAM_UNSUPPORTED);
    assert_string_equal(refusal.message, "the recording backend has no kernel for swiglu");
    assert_null(plan);
    lm_graph_free(graph);
    lm_device_close(&r.base); /* nothing is left on it */
}

static void test_memory_that_runs_out(void **state) {
    for (int n = 1; n <= 2; n++) { /* the arena, the workspace */
        lm_graph *graph = gated_graph();
        recording_device r;
        recording_open(&r, &(recording_options){.lacks = LM_OP_COUNT, .fail_alloc = n});
        lm_plan *plan = NULL;
        assert_status(LOAM_NO_MEMORY, lm_plan_new(graph, &r.base, &plan, &err));
        assert_null(plan);
        lm_graph_free(graph);
        lm_device_close(&r.base);
    }
}

/* Upload, run and download fail in turn. */
static void test_lost_device_is_told(void **state) {
    for (int n = 1; n <= 3; n++) {
        lm_graph *graph = gated_graph();
        recording_device r;
        recording_open(&r, &(recording_options){.lacks = LM_OP_COUNT, .lost_after = n});
        lm_plan *plan;
        assert_ok(lm_plan_new(graph, &r.base, &plan, &err));
        const int64_t extents[LM_N_EXTENTS] = {[LM_EXTENT_ROWS] = 4};
        if (n == 3) assert_ok(lm_plan_run(plan, extents, &err));
        assert_status(LOAM_UNAVAILABLE, lm_plan_run(plan, extents, &err));
        lm_plan_free(plan);
        lm_graph_free(graph);
        lm_device_close(&r.base);
    }
}

static void test_values_too_large_together(void **state) {
    lm_graph *graph;
    assert_ok(lm_graph_new(&graph, &err));
    for (int i = 0; i < 4; i++) {
        lm_tensor *x =
            lm_graph_input(graph, "x", LM_F32, LM_EXTENT_FIXED, 1, (int64_t[]){INT64_MAX / 4});
        lm_graph_output(graph, lm_graph_op(graph, LM_OP_ADD, &(lm_op_args){.in = {x, x}}));
    }
    recording_device r;
    open_device(&r);
    lm_plan *plan;
    assert_status(LOAM_LIMIT, lm_plan_new(graph, &r.base, &plan, &err));
    lm_graph_free(graph);
    lm_device_close(&r.base);
}

static void test_run_allocates_nothing(void **state) {
    lm_device *device;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 2}, &device, &err));
    lm_graph *graph = gated_graph();
    lm_plan *plan;
    assert_ok(lm_plan_new(graph, device, &plan, &err));
    uint64_t before = lm_mem_n_allocs();
    for (int64_t rows = 0; rows <= 4; rows++)
        assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = rows}, &err));
    assert_int_equal(lm_mem_n_allocs(), before);
    lm_plan_free(plan);
    lm_graph_free(graph);
    lm_device_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_needed_values_keep),
        cmocka_unit_test(test_chain_in_place),
        cmocka_unit_test(test_workspace_profile_cost),
        cmocka_unit_test(test_inputs_and_outputs_travel_with_their_rows),
        cmocka_unit_test(test_host_memory_is_used_as_it_is),
        cmocka_unit_test(test_backend_lacks_op),
        cmocka_unit_test(test_memory_that_runs_out),
        cmocka_unit_test(test_lost_device_is_told),
        cmocka_unit_test(test_values_too_large_together),
        cmocka_unit_test(test_run_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
