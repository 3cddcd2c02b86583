/* LINEAR, LINEAR_DX, LINEAR_DW: every instruction set, type, layout and number of threads gives the reference's bits. */
#include "testing.h"

#include <math.h>

#include "backend/cpu/cpu.h"
#include "base/rng.h"
#include "compute/device.h"
#include "compute/plan.h"

typedef struct product {
    lm_op_id op;
    int64_t rows, n_out, n_in;
    lm_dtype w_dtype, x_dtype;
    bool bias, panels;
    bool
        any_bytes; /* the weight's blocks hold arbitrary bits, NaN and infinite scales among them */
    bool hard_x;   /* rows of zeros, of tiny and huge numbers, of NaN and infinity */
} product;

/* Random elements; of a quantized type a number of blocks that is no round one, again and again, as finding a block's best
 * scales takes long. */
static void *filled(lm_rng *rng, lm_dtype dtype, int64_t n) {
    enum { N_BLOCKS = 17 };
    const lm_dtype_info *type = lm_dtype_get(dtype);
    int64_t n_new = n;
    if (lm_dtype_is_quantized(dtype) && n > N_BLOCKS * type->block_elems)
        n_new = N_BLOCKS * type->block_elems;
    float *values = lm_alloc((size_t)n_new * sizeof *values);
    uint8_t *out = lm_alloc(lm_dtype_bytes(dtype, n));
    assert_non_null(values);
    assert_non_null(out);
    for (int64_t i = 0; i < n_new; i++) values[i] = (float)lm_rng_normal(rng);
    type->pack(values, out, n_new);
    size_t n_bytes = lm_dtype_bytes(dtype, n), period = lm_dtype_bytes(dtype, n_new);
    for (size_t i = period; i < n_bytes; i++) out[i] = out[i - period];
    lm_free(values);
    return out;
}

static void *any_bytes(lm_rng *rng, lm_dtype dtype, int64_t n) {
    size_t size_bytes = lm_dtype_bytes(dtype, n);
    uint8_t *out = lm_alloc(size_bytes);
    assert_non_null(out);
    for (size_t i = 0; i < size_bytes; i++) out[i] = (uint8_t)lm_rng_below(rng, 256);
    return out;
}

/* Row 4i + 1 is tiny, + 2 huge, + 3 zero; each eighth has something that is no number. */
static void make_hard(float *x, int64_t n_rows, int64_t n) {
    static const float scales[] = {1.0f, 1e-31f, 1e37f, 0.0f};
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t i = 0; i < n; i++) x[r * n + i] *= scales[r % 4];
        if (r % 8 == 4) x[r * n + n / 2] = r % 16 == 4 ? NAN : -INFINITY;
    }
}

/* The inputs of one product, the same for every device. */
typedef struct operands {
    void *x, *w, *dy;
    float *bias, *dw;
} operands;

static operands make_operands(const product *p) {
    lm_rng rng;
    lm_rng_init(&rng, 7);
    operands o = {
        .x = filled(&rng, p->x_dtype, p->rows * p->n_in),
        .w = (p->any_bytes ? any_bytes : filled)(&rng, p->w_dtype, p->n_out * p->n_in),
        .dy = filled(&rng, p->x_dtype, p->rows * p->n_out),
        .bias = filled(&rng, LM_F32, p->n_out),
        .dw = filled(&rng, LM_F32, p->n_out * p->n_in),
    };
    if (p->hard_x) make_hard(o.x, p->rows, p->n_in);
    return o;
}

static void free_operands(operands *o) {
    lm_free(o->x);
    lm_free(o->w);
    lm_free(o->dy);
    lm_free(o->bias);
    lm_free(o->dw);
}

static lm_weight weight_of(lm_device *device, const product *p, const operands *o,
                           bool *out_packed) {
    lm_weight weight = {
        .name = "w", .dtype = p->w_dtype, .n_dims = 2, .shape = {p->n_out, p->n_in}, .data = o->w};
    lm_weight packed;
    *out_packed = p->panels && lm_device_pack(device, &weight, &packed, NULL) == LOAM_OK;
    return *out_packed ? packed : weight;
}

static lm_tensor *build(lm_graph *graph, const product *p, const lm_weight *weight,
                        const operands *o, float *dw) {
    int64_t x_shape[] = {p->rows, p->n_in}, dy_shape[] = {p->rows, p->n_out},
            w_shape[] = {p->n_out, p->n_in};
    lm_tensor *x = lm_graph_input(graph, "x", p->x_dtype, LM_EXTENT_ROWS, 2, x_shape);
    lm_tensor *dy = lm_graph_input(graph, "dy", p->x_dtype, LM_EXTENT_ROWS, 2, dy_shape);
    lm_tensor *bias = lm_graph_state(graph, "bias", LM_F32, 1, &p->n_out, o->bias, NULL);
    lm_tensor *y;
    if (p->op == LM_OP_LINEAR)
        y = lm_graph_op(
            graph, p->op,
            &(lm_op_args){.in = {x, lm_graph_weight(graph, weight), p->bias ? bias : NULL}});
    else if (p->op == LM_OP_LINEAR_DX)
        y = lm_graph_op(graph, p->op, &(lm_op_args){.in = {dy, lm_graph_weight(graph, weight)}});
    else
        y = lm_graph_op(
            graph, p->op,
            &(lm_op_args){
                .in = {dy, x, lm_graph_state(graph, "dw", LM_F32, 2, w_shape, dw, NULL)}});
    lm_graph_output(graph, y);
    return y;
}

static void set_input(const lm_graph *graph, const char *name, const void *data, int64_t n) {
    for (int i = 0; i < lm_graph_n_tensors(graph); i++) {
        lm_tensor *tensor = lm_graph_tensor(graph, i);
        if (tensor->role == LM_ROLE_INPUT && strcmp(tensor->name, name) == 0)
            memcpy(tensor->data, data, lm_dtype_bytes(tensor->dtype, n));
    }
}

/* The test is worth nothing if the reference is compared with itself. An extension may have nothing of its own: "neon" for
 * "neon-dotprod". */
static void check_kernel(const lm_plan *plan, lm_cpu_isa isa, const product *p, bool packed) {
    const char *name = lm_plan_kernel_name(plan, 0), *set = strchr(name, '/') + 1;
    bool is_quantized = p->op != LM_OP_LINEAR_DW && lm_dtype_is_quantized(p->w_dtype);
    bool is_fast = isa != LM_CPU_SCALAR && !(is_quantized && !packed);
    const char *wanted = lm_cpu_isa_name(isa);
    if (is_fast ? strncmp(wanted, set, strlen(set)) : strcmp(set, "reference"))
        fail_msg("%s runs %s", wanted, name);
}

/* Runs `p` on a device; returns the output, [n]. */
static float *run_on(lm_cpu_isa isa, int n_threads, const product *p, const operands *o,
                     int64_t n) {
    lm_device *device;
    lm_device_options options = {.n_threads = n_threads, .isa = lm_cpu_isa_name(isa)};
    assert_ok(lm_backend_cpu.open(&options, &device, &err));
    float *dw = lm_alloc((size_t)(p->n_out * p->n_in) * sizeof *dw),
          *out = lm_alloc((size_t)n * sizeof *out);
    memcpy(dw, o->dw, (size_t)(p->n_out * p->n_in) * sizeof *dw);
    bool packed;
    lm_weight weight = weight_of(device, p, o, &packed);
    lm_graph *graph;
    assert_ok(lm_graph_new(&graph, &err));
    lm_tensor *y = build(graph, p, &weight, o, dw);
    assert_ok(lm_graph_status(graph, &err));
    lm_plan *plan;
    assert_ok(lm_plan_new(graph, device, &plan, &err));
    check_kernel(plan, lm_cpu_of(device)->isa, p, packed);
    set_input(graph, "x", o->x, p->rows * p->n_in);
    set_input(graph, "dy", o->dy, p->rows * p->n_out);
    assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = p->rows}, &err));
    memcpy(out, y->data, (size_t)n * sizeof *out);
    lm_plan_free(plan);
    lm_graph_free(graph);
    if (packed) device->backend->free(device, (void *)weight.data);
    lm_device_close(device);
    lm_free(dw);
    return out;
}

/* The same bits; which NaN it is, is nobody's promise. */
static bool is_same(float a, float b) {
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void check_product(const product *p) {
    operands o = make_operands(p);
    int64_t n = p->op == LM_OP_LINEAR      ? p->rows * p->n_out
                : p->op == LM_OP_LINEAR_DX ? p->rows * p->n_in
                                           : p->n_out * p->n_in;
    float *expected = run_on(LM_CPU_SCALAR, 1, p, &o, n);
    for (int isa = LM_CPU_SCALAR + 1; isa < LM_CPU_N_ISAS; isa++) {
        for (int n_threads = 1; n_threads <= 3; n_threads++) {
            float *got = run_on((lm_cpu_isa)isa, n_threads, p, &o, n);
            for (int64_t i = 0; i < n; i++)
                if (!is_same(got[i], expected[i]))
                    fail_msg("op %d %s, %d threads, rows %lld, n_out %lld, n_in %lld, w %s, x %s: "
                             "element %lld is %.9g, not %.9g",
                             p->op, lm_cpu_isa_name((lm_cpu_isa)isa), n_threads, (long long)p->rows,
                             (long long)p->n_out, (long long)p->n_in,
                             lm_dtype_get(p->w_dtype)->name, lm_dtype_get(p->x_dtype)->name,
                             (long long)i, got[i], expected[i]);
            lm_free(got);
        }
    }
    lm_free(expected);
    free_operands(&o);
}

static const int64_t row_counts[] = {1, 2, 3, 6, 7, 14, 15, 33, 64, 65};

static void test_linear_of_every_type_and_layout(void **state) {
    const lm_dtype dtypes[] = {LM_F32, LM_BF16, LM_F16};
    for (size_t t = 0; t < LM_COUNT_OF(dtypes); t++)
        for (size_t r = 0; r < LM_COUNT_OF(row_counts); r++)
            for (int panels = 0; panels < 2; panels++)
                check_product(&(product){.op = LM_OP_LINEAR,
                                         .rows = row_counts[r],
                                         .n_out = 83,
                                         .n_in = 288 + (int64_t)r % 3 % 2,
                                         .w_dtype = dtypes[t],
                                         .bias = r % 2 == 0,
                                         .panels = panels});
}

/* Every quantized type there is, with `p` as the rest of the product; n_in counts blocks of 32 where the type has them, and
 * of 256 else. */
static void check_quantized_types(product p) {
    int64_t n_blocks = p.n_in;
    for (int t = 0; t < LM_DTYPE_COUNT; t++) {
        if (!lm_dtype_is_quantized((lm_dtype)t)) continue;
        p.w_dtype = (lm_dtype)t;
        p.n_in = n_blocks * lm_dtype_get(p.w_dtype)->block_elems;
        check_product(&p);
    }
}

static void test_quantized_weights_at_any_number_of_rows(void **state) {
    for (int64_t rows = 1; rows <= 40; rows += rows < 17 ? 1 : 5)
        check_quantized_types((product){.op = LM_OP_LINEAR,
                                        .rows = rows,
                                        .n_out = 45,
                                        .n_in = 1 + rows % 3,
                                        .x_dtype = rows % 4 == 3 ? LM_BF16 : LM_F32,
                                        .bias = rows % 2 == 0,
                                        .panels = true});
}

static void test_quantized_weights_of_odd_sizes(void **state) {
    const int64_t sizes[][2] = {{1, 1}, {31, 1}, {33, 19}, {130, 2}};
    for (size_t s = 0; s < LM_COUNT_OF(sizes); s++)
        check_quantized_types((product){.op = LM_OP_LINEAR,
                                        .rows = 9,
                                        .n_out = sizes[s][0],
                                        .n_in = sizes[s][1],
                                        .panels = s != 0});
}

/* More rows than fit a block of them. */
static void test_quantized_weights_over_many_rows(void **state) {
    check_product(&(product){.op = LM_OP_LINEAR,
                             .rows = 1100,
                             .n_out = 40,
                             .n_in = 544,
                             .w_dtype = LM_Q8_0,
                             .panels = true});
}

static void test_quantized_weights_of_arbitrary_bits(void **state) {
    check_quantized_types((product){.op = LM_OP_LINEAR,
                                    .rows = 18,
                                    .n_out = 320,
                                    .n_in = 1,
                                    .panels = true,
                                    .any_bytes = true});
}

static void test_quantized_weights_with_rows_of_any_magnitude(void **state) {
    check_quantized_types((product){
        .op = LM_OP_LINEAR, .rows = 33, .n_out = 40, .n_in = 2, .panels = true, .hard_x = true});
}

static void test_odd_sizes(void **state) {
    const int64_t sizes[][2] = {{1, 1}, {15, 7}, {17, 31}, {65, 257}, {1040, 19}};
    const lm_op_id ops[] = {LM_OP_LINEAR, LM_OP_LINEAR_DX, LM_OP_LINEAR_DW};
    for (size_t s = 0; s < LM_COUNT_OF(sizes); s++)
        for (size_t i = 0; i < LM_COUNT_OF(ops); i++)
            for (int panels = 0; panels < 2; panels++)
                check_product(&(product){.op = ops[i],
                                         .rows = 19,
                                         .n_out = sizes[s][0],
                                         .n_in = sizes[s][1],
                                         .panels = panels && ops[i] == LM_OP_LINEAR});
}

/* Odd numbers of products leave one without a partner; 1030 are more than a block of any kernel. */
static void test_bf16_products_in_pairs(void **state) {
    const lm_op_id ops[] = {LM_OP_LINEAR, LM_OP_LINEAR_DX, LM_OP_LINEAR_DW};
    const int64_t sizes[][3] = {
        {37, 50, 70}, {1, 35, 67}, {5, 1, 1}, {15, 1031, 33}, {1029, 17, 1030}};
    const lm_dtype x_dtypes[] = {LM_BF16, LM_F32};
    for (size_t i = 0; i < LM_COUNT_OF(ops); i++)
        for (size_t s = 0; s < LM_COUNT_OF(sizes); s++)
            for (size_t t = 0; t < LM_COUNT_OF(x_dtypes); t++)
                check_product(&(product){.op = ops[i],
                                         .rows = sizes[s][0],
                                         .n_out = sizes[s][1],
                                         .n_in = sizes[s][2],
                                         .w_dtype = LM_BF16,
                                         .x_dtype = x_dtypes[t],
                                         .panels = ops[i] == LM_OP_LINEAR && t == 1});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_of_every_type_and_layout),
        cmocka_unit_test(test_quantized_weights_at_any_number_of_rows),
        cmocka_unit_test(test_quantized_weights_of_odd_sizes),
        cmocka_unit_test(test_quantized_weights_over_many_rows),
        cmocka_unit_test(test_quantized_weights_of_arbitrary_bits),
        cmocka_unit_test(test_quantized_weights_with_rows_of_any_magnitude),
        cmocka_unit_test(test_odd_sizes),
        cmocka_unit_test(test_bf16_products_in_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
