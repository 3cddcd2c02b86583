/* Building: shapes are checked as nodes come, the first error stays, views share, gradients add up. */
#include "testing.h"

#include <math.h>

#include "backend/cpu/cpu.h"
#include "compute/plan.h"

typedef struct fixture {
    lm_graph *graph;
    lm_device *device;
} fixture;

static int setup(void **state) {
    fixture *f = lm_calloc(1, sizeof *f);
    assert_ok(lm_graph_new(&f->graph, &err));
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 2}, &f->device, &err));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    lm_graph_free(f->graph);
    lm_device_close(f->device);
    lm_free(f);
    return 0;
}

static lm_tensor *input(lm_graph *graph, int64_t rows, int64_t columns) {
    return lm_graph_input(graph, "x", LM_F32, LM_EXTENT_ROWS, 2, (int64_t[]){rows, columns});
}

static void test_first_error_stays(void **state) {
    lm_graph *graph = ((fixture *)*state)->graph;
    lm_tensor *x = input(graph, 3, 8), *w = lm_graph_input(graph, "w", LM_F32, LM_EXTENT_FIXED, 2, (int64_t[]){4, 9});
    assert_null(lm_graph_op(graph, LM_OP_LINEAR, &(lm_op_args){.in = {x, w}}));
    assert_null(lm_graph_op(graph, LM_OP_ADD, &(lm_op_args){.in = {NULL, NULL}}));
    loam_error first = {0};
    assert_int_equal(lm_graph_status(graph, &first), LOAM_INVALID);
    assert_string_equal(first.message, "linear wants x [R, K] f32|bf16, w [N, K] and, if any, bias [N] f32; "
                                     "got x f32 [3, 8], w f32 [4, 9]");
    lm_plan *plan;
    assert_status(LOAM_INVALID, lm_plan_new(graph, ((fixture *)*state)->device, &plan, &err));
}

static void test_missing_and_surplus_inputs(void **state) {
    lm_graph *graph = ((fixture *)*state)->graph;
    lm_tensor *x = input(graph, 3, 8);
    lm_graph_op(graph, LM_OP_ADD, &(lm_op_args){.in = {x}});
    loam_error first = {0};
    assert_int_equal(lm_graph_status(graph, &first), LOAM_INVALID);
    assert_string_equal(first.message, "add: input 1 is missing");
}

static void test_impossible_shapes(void **state) {
    static const int64_t shapes[][2] = {{0, 4}, {4, -1}, {INT64_MAX / 2, 2}, {INT64_C(1) << 40, INT64_C(1) << 40}};
    for (size_t i = 0; i < LM_COUNT_OF(shapes); i++) {
        assert_status(LOAM_INVALID, lm_shape_check("t", LM_F32, 2, shapes[i], &err));
        lm_graph *graph;
        assert_ok(lm_graph_new(&graph, &err));
        assert_null(lm_graph_input(graph, "t", LM_F32, LM_EXTENT_FIXED, 2, shapes[i]));
        assert_status(LOAM_INVALID, lm_graph_status(graph, &err));
        lm_graph_free(graph);
    }
    assert_status(LOAM_INVALID, lm_shape_check("t", LM_Q8_0, 2, (int64_t[]){4, 48}, &err));
    assert_status(LOAM_INVALID, lm_shape_check("t", LM_F32, 5, (int64_t[]){1, 1, 1, 1, 1}, &err));
    assert_status(LOAM_INVALID, lm_shape_check("t", LM_F32, 0, NULL, &err));
}

/* An op's own output can be too large although its inputs are not. */
static void test_output_overflow(void **state) {
    lm_graph *graph = ((fixture *)*state)->graph;
    lm_tensor *x = input(graph, INT64_C(1) << 40, 1);
    lm_tensor *w = lm_graph_input(graph, "w", LM_F32, LM_EXTENT_FIXED, 2, (int64_t[]){INT64_C(1) << 40, 1});
    assert_null(lm_graph_op(graph, LM_OP_LINEAR, &(lm_op_args){.in = {x, w}}));
    assert_status(LOAM_INVALID, lm_graph_status(graph, &err));
}

static void test_views_share(void **state) {
    fixture *f = *state;
    lm_tensor *x = input(f->graph, 4, 6);
    lm_tensor *sum = lm_graph_op(f->graph, LM_OP_ADD, &(lm_op_args){.in = {x, x}});
    lm_tensor *view = lm_graph_reshape(f->graph, lm_graph_reshape(f->graph, sum, 3, (int64_t[]){4, 2, 3}), 2, (int64_t[]){4, 6});
    lm_tensor *y = lm_graph_op(f->graph, LM_OP_ADD, &(lm_op_args){.in = {view, x}});
    lm_graph_output(f->graph, y);
    lm_plan *plan;
    assert_ok(lm_plan_new(f->graph, f->device, &plan, &err));
    assert_ptr_equal(view->data, sum->data);
    for (int i = 0; i < 24; i++) ((float *)x->data)[i] = (float)i;
    lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = 3});
    for (int i = 0; i < 18; i++) assert_true(((float *)y->data)[i] == 3.0f * (float)i);
    lm_plan_free(plan);
    assert_null(lm_graph_reshape(f->graph, x, 2, (int64_t[]){6, 4})); /* rows are an extent */
    assert_status(LOAM_INVALID, lm_graph_status(f->graph, &err));
}

/* loss = cross_entropy([h | over two paths]); p is used twice, once through a view. */
static void test_contributions_add(void **state) {
    fixture *f = *state;
    float p_data[4] = {0.5f, -1.0f, 0.25f, 2.0f}, grad_data[4] = {0};
    lm_tensor *grad = lm_graph_state(f->graph, "p.grad", LM_F32, 2, (int64_t[]){2, 2}, grad_data, NULL);
    lm_tensor *p = lm_graph_state(f->graph, "p", LM_F32, 2, (int64_t[]){2, 2}, p_data, grad);
    lm_tensor *targets = lm_graph_input(f->graph, "targets", LM_I32, LM_EXTENT_FIXED, 1, (int64_t[]){1});
    lm_tensor *row = lm_graph_reshape(f->graph, p, 2, (int64_t[]){1, 4});
    lm_tensor *twice = lm_graph_op(f->graph, LM_OP_ADD, &(lm_op_args){.in = {row, row}});
    lm_tensor *logits = lm_graph_op(f->graph, LM_OP_ADD, &(lm_op_args){.in = {twice, row}});
    lm_tensor *loss = lm_graph_op(f->graph, LM_OP_CROSS_ENTROPY, &(lm_op_args){.in = {logits, targets}});
    lm_graph_output(f->graph, loss);
    assert_ok(lm_graph_backward(f->graph, loss, &err));
    lm_plan *plan;
    assert_ok(lm_plan_new(f->graph, f->device, &plan, &err));
    *(int32_t *)targets->data = 2;
    lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){0});
    double sum = 0, e[4];
    for (int i = 0; i < 4; i++) sum += e[i] = exp(3.0 * (double)p_data[i]);
    for (int i = 0; i < 4; i++) assert_close(grad_data[i], 3.0 * (e[i] / sum - (i == 2)), 1e-6, 1e-5);
    lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){0});
    for (int i = 0; i < 4; i++) assert_close(grad_data[i], 6.0 * (e[i] / sum - (i == 2)), 1e-6, 1e-5);
    lm_plan_free(plan);
}

static void test_backward_refuses(void **state) {
    fixture *f = *state;
    lm_tensor *x = input(f->graph, 4, 6);
    assert_status(LOAM_INVALID, lm_graph_backward(f->graph, x, &err));
    lm_tensor *grad = lm_graph_state(f->graph, "p.grad", LM_F32, 2, (int64_t[]){1, 1}, NULL, NULL);
    lm_tensor *p = lm_graph_state(f->graph, "p", LM_F32, 2, (int64_t[]){1, 1}, NULL, grad);
    lm_tensor *index = lm_graph_input(f->graph, "index", LM_I32, LM_EXTENT_FIXED, 1, (int64_t[]){1});
    lm_tensor *y = lm_graph_op(f->graph, LM_OP_GATHER_ROWS, &(lm_op_args){.in = {p, index}});
    assert_status(LOAM_UNSUPPORTED, lm_graph_backward(f->graph, y, &err));
}

static void test_gradient_of_other_shape(void **state) {
    lm_graph *graph = ((fixture *)*state)->graph;
    lm_tensor *grad = lm_graph_state(graph, "p.grad", LM_F32, 1, (int64_t[]){3}, NULL, NULL);
    assert_null(lm_graph_state(graph, "p", LM_F32, 1, (int64_t[]){4}, NULL, grad));
    assert_status(LOAM_INVALID, lm_graph_status(graph, &err));
}

static void test_out_of_memory(void **state) {
    for (uint64_t n = 1; n < 12; n++) {
        lm_graph *graph = NULL;
        lm_plan *plan = NULL;
        lm_mem_fail_after(n);
        loam_status status = lm_graph_new(&graph, NULL);
        if (status == LOAM_OK) {
            lm_tensor *x = input(graph, 4, 6);
            lm_graph_op(graph, LM_OP_ADD, &(lm_op_args){.in = {x, x}});
            status = lm_plan_new(graph, ((fixture *)*state)->device, &plan, NULL);
        }
        lm_mem_fail_after(0);
        if (status != LOAM_OK) assert_int_equal(status, LOAM_NO_MEMORY);
        lm_plan_free(plan);
        lm_graph_free(graph);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_error_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_and_surplus_inputs, setup, teardown),
        cmocka_unit_test(test_impossible_shapes),
        cmocka_unit_test_setup_teardown(test_output_overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_views_share, setup, teardown),
        cmocka_unit_test_setup_teardown(test_contributions_add, setup, teardown),
        cmocka_unit_test_setup_teardown(test_backward_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gradient_of_other_shape, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
