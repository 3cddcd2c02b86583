/* Building: shapes are checked as nodes come, the first error stays, views share, gradients add
 * up. */
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
    lm_tensor *x = input(graph, 3, 8),
              *w = lm_graph_input(graph, "w", LM_F32, LM_EXTENT_FIXED, 2, (int64_t[]){4, 9});
    assert_null(lm_graph_op(graph, LM_OP_LINEAR, &(lm_op_args){.in = {x, w}}));
    assert_null(lm_graph_op(graph, LM_OP_ADD, &(lm_op_args){.in = {NULL, NULL}}));
    loam_error first = {0};
    assert_int_equal(lm_graph_status(graph, &first), LOAM_INVALID);
    assert_string_equal(first.message,
                        "linear wants x [R, K] f32|bf16, w [N, K] and, if any, bias [N] f32; "
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
    static const int64_t shapes[][2] = {
        {0, 4}, {4, -1}, {INT64_MAX / 2, 2}, {INT64_C(1) << 40, INT64_C(1) << 40}};
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
    lm_tensor *w =
        lm_graph_input(graph, "w", LM_F32, LM_EXTENT_FIXED, 2, (int64_t[]){INT64_C(1) << 40, 1});
    assert_null(lm_graph_op(graph, LM_OP_LINEAR, &(lm_op_args){.in = {x, w}}));
    assert_status(LOAM_INVALID, lm_graph_status(graph, &err));
}

static void test_views_share(void **state) {
    fixture *f = *state;
    lm_tensor *x = input(f->graph, 4, 6);
    lm_tensor *sum = lm_graph_op(f->graph, LM_OP_ADD, &(lm_op_args){.in = {x, x}});
    lm_tensor *view = lm_graph_reshape(
        f->graph, lm_graph_reshape(f->graph, sum, 3, (int64_t[]){4, 2, 3}), 2, (int64_t[]){4, 6});
    lm_tensor *y = lm_graph_op(f->graph, LM_OP_ADD, &(lm_op_args){.in = {view, x}});
    lm_graph_output(f->graph, y);
    lm_plan *plan;
    assert_ok(lm_plan_new(f->graph, f->device, &plan, &err));
    assert_ptr_equal(view->data, sum->data);
    for (int i = 0; i < 24; i++) ((float *)x->data)[i] = (float)i;
    assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = 3}, &err));
    for (int i = 0; i < 18; i++) assert_true(((float *)y->data)[i] == 3.0f * (float)i);
    lm_plan_free(plan);
    assert_null(lm_graph_reshape(f->graph, x, 2, (int64_t[]){6, 4})); /* rows are an extent */
    assert_status(LOAM_INVALID, lm_graph_status(f->graph, &err));
}

/* loss = cross_entropy([h | over two paths]); p is used twice, once through a view. */
static void test_contributions_add(void **state) {
    fixture *f = *state;
    float p_data[4] = {0.5f, -1.0f, 0.25f, 2.0f}, grad_data[4] = {0};
    lm_tensor *grad =
        lm_graph_state(f->graph, "p.grad", LM_F32, 2, (int64_t[]){2, 2}, grad_data, NULL);
    lm_tensor *p = lm_graph_state(f->graph, "p", LM_F32, 2, (int64_t[]){2, 2}, p_data, grad);
    lm_tensor *targets =
        lm_graph_input(f->graph, "targets", LM_I32, LM_EXTENT_FIXED, 1, (int64_t[]){1});
    lm_tensor *row = lm_graph_reshape(f->graph, p, 2, (int64_t[]){1, 4});
    lm_tensor *twice = lm_graph_op(f->graph, LM_OP_ADD, &(lm_op_args){.in = {row, row}});
    lm_tensor *logits = lm_graph_op(f->graph, LM_OP_ADD, &(lm_op_args){.in = {twice, row}});
    lm_tensor *loss =
        lm_graph_op(f->graph, LM_OP_CROSS_ENTROPY, &(lm_op_args){.in = {logits, targets}});
    lm_graph_output(f->graph, loss);
    assert_ok(lm_graph_backward(f->graph, loss, &err));
    lm_plan *plan;
    assert_ok(lm_plan_new(f->graph, f->device, &plan, &err));
    *(int32_t *)targets->data = 2;
    assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){0}, &err));
    double sum = 0, e[4];
    for (int i = 0; i < 4; i++) sum += e[i] = exp(3.0 * (double)p_data[i]);
    for (int i = 0; i < 4; i++)
        assert_close(grad_data[i], 3.0 * (e[i] / sum - (i == 2)), 1e-6, 1e-5);
    assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){0}, &err));
    for (int i = 0; i < 4; i++)
        assert_close(grad_data[i], 6.0 * (e[i] / sum - (i == 2)), 1e-6, 1e-5);
    lm_plan_free(plan);
}

/* Gradients that start from one another, whose start others have been given too:
 * x = 2 p, q = x + p, loss = cross_entropy(q w^T + q + x). */
static void test_contributions_start_from_others(void **state) {
    fixture *f = *state;
    const int64_t row[] = {1, 4}, square[] = {4, 4};
    float p_data[4] = {0.5f, -1.0f, 0.25f, 0.75f}, grad_data[4] = {0}, w_data[16];
    for (int i = 0; i < 16; i++) w_data[i] = 0.1f * (float)(i * i % 11) - 0.4f;
    lm_graph *g = f->graph;
    lm_tensor *grad = lm_graph_state(g, "p.grad", LM_F32, 2, row, grad_data, NULL);
    lm_tensor *p = lm_graph_state(g, "p", LM_F32, 2, row, p_data, grad);
    lm_tensor *w = lm_graph_state(g, "w", LM_F32, 2, square, w_data, NULL);
    lm_tensor *targets = lm_graph_input(g, "targets", LM_I32, LM_EXTENT_FIXED, 1, (int64_t[]){1});
    lm_tensor *x = lm_graph_op(g, LM_OP_ADD, &(lm_op_args){.in = {p, p}});
    lm_tensor *q = lm_graph_op(g, LM_OP_ADD, &(lm_op_args){.in = {x, p}});
    lm_tensor *y = lm_graph_op(g, LM_OP_LINEAR, &(lm_op_args){.in = {q, w}});
    lm_tensor *sum = lm_graph_op(g, LM_OP_ADD, &(lm_op_args){.in = {y, q}});
    lm_tensor *logits = lm_graph_op(g, LM_OP_ADD, &(lm_op_args){.in = {sum, x}});
    lm_tensor *loss = lm_graph_op(g, LM_OP_CROSS_ENTROPY, &(lm_op_args){.in = {logits, targets}});
    lm_graph_output(g, loss);
    lm_graph_output(g, logits);
    assert_ok(lm_graph_backward(g, loss, &err));
    lm_plan *plan;
    assert_ok(lm_plan_new(g, f->device, &plan, &err));
    *(int32_t *)targets->data = 2;
    assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){0}, &err));
    double total = 0, d[4];
    for (int i = 0; i < 4; i++) total += d[i] = exp((double)((const float *)logits->host)[i]);
    for (int i = 0; i < 4; i++) d[i] = d[i] / total - (i == 2);
    for (int k = 0; k < 4; k++) {
        double expected = 5 * d[k];
        for (int n = 0; n < 4; n++) expected += 3 * d[n] * (double)w_data[n * 4 + k];
        assert_close(grad_data[k], expected, 1e-6, 1e-5);
    }
    lm_plan_free(plan);
}

typedef struct product {
    float x[6], x_grad[6], w[8], w_grad[8];
    uint16_t w_rounded[8];
} product;

enum product_kind { ALL_F32, CAST_BOTH, BF16_COPY };

/* loss = cross_entropy(x w^T) and its gradients; in bf16 by casting both, or with a rounded copy
 * of w that shares w's gradient, as a trainer with f32 master weights has it. */
static void run_product(fixture *f, enum product_kind kind, product *p) {
    lm_graph *graph;
    lm_plan *plan;
    int64_t x_shape[] = {3, 2}, w_shape[] = {4, 2};
    for (int i = 0; i < 8; i++) p->w_rounded[i] = lm_f32_to_bf16(p->w[i]);
    assert_ok(lm_graph_new(&graph, &err));
    lm_tensor *x_grad = lm_graph_state(graph, "x.grad", LM_F32, 2, x_shape, p->x_grad, NULL);
    lm_tensor *w_grad = lm_graph_state(graph, "w.grad", LM_F32, 2, w_shape, p->w_grad, NULL);
    lm_tensor *x = lm_graph_state(graph, "x", LM_F32, 2, x_shape, p->x, x_grad);
    lm_tensor *w = kind == BF16_COPY
                       ? lm_graph_state(graph, "w", LM_BF16, 2, w_shape, p->w_rounded, w_grad)
                       : lm_graph_state(graph, "w", LM_F32, 2, w_shape, p->w, w_grad);
    lm_op_args cast_x = {.in = {x}, .attrs.dtype = LM_BF16},
               cast_w = {.in = {w}, .attrs.dtype = LM_BF16};
    if (kind != ALL_F32) x = lm_graph_op(graph, LM_OP_CAST, &cast_x);
    if (kind == CAST_BOTH) w = lm_graph_op(graph, LM_OP_CAST, &cast_w);
    lm_tensor *logits = lm_graph_op(graph, LM_OP_LINEAR, &(lm_op_args){.in = {x, w}});
    lm_tensor *targets =
        lm_graph_input(graph, "targets", LM_I32, LM_EXTENT_FIXED, 1, (int64_t[]){3});
    lm_tensor *loss =
        lm_graph_op(graph, LM_OP_CROSS_ENTROPY, &(lm_op_args){.in = {logits, targets}});
    assert_ok(lm_graph_backward(graph, loss, &err));
    assert_ok(lm_plan_new(graph, f->device, &plan, &err));
    memcpy(targets->data, (int32_t[]){3, 0, -1}, 3 * sizeof(int32_t));
    assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){0}, &err));
    lm_plan_free(plan);
    lm_graph_free(graph);
}

static void test_bf16_gradients(void **state) {
    product exact = {.x = {1, -2, 0.3f, 0.7f, 5, 6},
                     .w = {0.1f, -0.2f, 0.9f, 1.1f, -0.6f, 0.3f, 0.5f, 0.45f}};
    product cast = exact, copy = exact;
    run_product(*state, ALL_F32, &exact);
    run_product(*state, CAST_BOTH, &cast);
    run_product(*state, BF16_COPY, &copy);
    for (int i = 0; i < 8; i++)
        assert_close(cast.w_grad[i], exact.w_grad[i], 4e-3, 1e-2); /* bf16 has 8 bits */
    for (int i = 0; i < 6; i++) assert_close(cast.x_grad[i], exact.x_grad[i], 4e-3, 1e-2);
    assert_memory_equal(cast.w_grad, copy.w_grad, sizeof copy.w_grad);
    assert_memory_equal(cast.x_grad, copy.x_grad, sizeof copy.x_grad);
}

static void test_backward_refuses(void **state) {
    fixture *f = *state;
    lm_tensor *x = input(f->graph, 4, 6);
    assert_status(LOAM_INVALID, lm_graph_backward(f->graph, x, &err));
    lm_tensor *grad = lm_graph_state(f->graph, "p.grad", LM_F32, 2, (int64_t[]){1, 1}, NULL, NULL);
    lm_tensor *p = lm_graph_state(f->graph, "p", LM_F32, 2, (int64_t[]){1, 1}, NULL, grad);
    lm_tensor *index =
        lm_graph_input(f->graph, "index", LM_I32, LM_EXTENT_FIXED, 1, (int64_t[]){1});
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
        cmocka_unit_test_setup_teardown(test_contributions_start_from_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bf16_gradients, setup, teardown),
        cmocka_unit_test_setup_teardown(test_backward_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gradient_of_other_shape, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
