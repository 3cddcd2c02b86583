/* Planning, on a device that only records: no value is overwritten while it is needed, kernels
 * and workspace are asked for as promised, and running allocates nothing. */
#include "testing.h"

#include "backend/cpu/cpu.h"
#include "base/rng.h"
#include "compute/plan.h"

/* A device whose kernels compute nothing: for every 4 bytes of the arena it remembers which
 * tensor's content they hold, and a step fails the test when what it reads holds something else. */
typedef struct tag_device {
    lm_device base;
    bool lacks_swiglu;
    int n_allocs;
    size_t alloc_bytes[4]; /* of the allocations in order */
    char *arena;
    int *tags; /* [arena bytes / 4]: id of the tensor, -1 for nothing */
    int n_runs, n_steps;
} tag_device;

static loam_status tag_alloc(lm_device *device, size_t size_bytes, void **out, loam_error *err) {
    tag_device *d = (tag_device *)device;
    *out = lm_calloc(1, size_bytes);
    assert_non_null(*out);
    assert_true(d->n_allocs < 4);
    d->alloc_bytes[d->n_allocs++] = size_bytes;
    if (d->n_allocs > 1) return LOAM_OK;
    d->arena = *out;
    d->tags = lm_alloc(size_bytes);
    assert_non_null(d->tags);
    memset(d->tags, 0xff, size_bytes);
    return LOAM_OK;
}

static void tag_free(lm_device *device, void *buffer) {
    lm_free(buffer);
}

static size_t tag_workspace(const lm_device *device, const lm_node *node) {
    return (size_t)(node->op == LM_OP_SWIGLU ? 4096 : 64);
}

static const lm_kernel *tag_select(const lm_device *device, const lm_node *node) {
    static const lm_kernel kernel = {.name = "tag", .workspace_bytes = tag_workspace};
    return node->op == LM_OP_SWIGLU && ((const tag_device *)device)->lacks_swiglu ? NULL : &kernel;
}

/* Tags of the tensor's elements; NULL for those that are not in the arena. */
static int *tags_of(const tag_device *d, const lm_tensor *tensor) {
    if (tensor->role == LM_ROLE_WEIGHT || tensor->role == LM_ROLE_STATE) return NULL;
    return d->tags + ((char *)tensor->data - d->arena) / 4;
}

static void write_tags(tag_device *d, lm_tensor *tensor) {
    int *tags = tags_of(d, tensor);
    for (int64_t i = 0; tags && i < lm_tensor_n_elems(tensor); i++)
        tags[i] = lm_tensor_base(tensor)->id;
}

static void check_tags(const tag_device *d, lm_tensor *tensor) {
    const int *tags = tags_of(d, tensor);
    for (int64_t i = 0; tags && i < lm_tensor_n_elems(tensor); i++)
        assert_int_equal(tags[i], lm_tensor_base(tensor)->id);
}

/* An output may lie on an input of its own step only where the op says so, and then exactly. */
static void check_apart(const lm_node *node) {
    for (int o = 0; o < node->n_outputs; o++) {
        for (int i = 0; i < node->n_inputs; i++) {
            const lm_tensor *out = node->out[o], *in = node->in[i];
            if (!in || (char *)out->data + lm_tensor_bytes(out) <= (char *)in->data ||
                (char *)in->data + lm_tensor_bytes(in) <= (char *)out->data)
                continue;
            assert_true(o == 0 && (lm_op_get(node->op)->in_place >> i & 1u) &&
                        out->data == in->data);
        }
    }
}

static loam_status tag_run(lm_device *device, const lm_step *steps, int n_steps,
                           const int64_t *extents, void *workspace, int64_t *profile_ns,
                           loam_error *err) {
    tag_device *d = (tag_device *)device;
    d->n_runs++;
    d->n_steps = n_steps;
    for (int s = 0; s < n_steps; s++) {
        const lm_node *node = steps[s].node;
        assert_int_equal(node->id, s);
        for (int i = 0; i < node->n_inputs; i++)
            if (node->in[i]) check_tags(d, node->in[i]);
        check_apart(node);
        for (int i = 0; i < node->n_outputs; i++) write_tags(d, node->out[i]);
        if (profile_ns) profile_ns[s] += s + 1;
    }
    return LOAM_OK;
}

static const lm_backend tag_backend = {
    .name = "tag",
    .alloc = tag_alloc,
    .free = tag_free,
    .select = tag_select,
    .run = tag_run,
};

static tag_device new_device(void) {
    return (tag_device){.base = {.backend = &tag_backend, .n_threads = 1}};
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

static void check_random_graph(lm_rng *rng, const lm_weight *w, const lm_weight *scale, size_t *sum,
                               size_t *arena) {
    lm_graph *graph = random_graph(rng, w, scale);
    tag_device device = new_device();
    lm_plan *plan;
    assert_ok(lm_plan_new(graph, &device.base, &plan, &err));
    int n = lm_graph_n_tensors(graph);
    for (int i = 0; i < n; i++) {
        lm_tensor *tensor = lm_graph_tensor(graph, i);
        if (tensor->role == LM_ROLE_INPUT && !tensor->view_of) write_tags(&device, tensor);
        if (tensor->role == LM_ROLE_VALUE && !tensor->view_of) *sum += lm_tensor_bytes(tensor);
    }
    *arena += lm_plan_arena_bytes(plan);
    for (int run = 0; run < 2; run++) {
        assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = 4}, &err));
        for (int i = 0; i < n; i++) {
            lm_tensor *tensor = lm_graph_tensor(graph, i);
            bool kept = tensor->is_output || tensor->role == LM_ROLE_INPUT;
            if (kept) check_tags(&device, tensor);
        }
    }
    lm_plan_free(plan);
    lm_graph_free(graph);
    lm_free(device.tags);
}

static void test_needed_values_keep(void **state) {
    static const float data[WIDTH * WIDTH];
    lm_weight w = {
        .name = "w", .dtype = LM_F32, .n_dims = 2, .shape = {WIDTH, WIDTH}, .data = data};
    lm_weight scale = {
        .name = "scale", .dtype = LM_F32, .n_dims = 1, .shape = {WIDTH}, .data = data};
    lm_rng rng;
    lm_rng_init(&rng, 3);
    size_t sum = 0, arena = 0;
    for (int i = 0; i < 300; i++) check_random_graph(&rng, &w, &scale, &sum, &arena);
    assert_true(arena <
                sum * 2 /
                    3); /* sharing does happen, though a fifth of the values are kept to the end */
}

/* A chain of elementwise ops works in one place. */
static void test_chain_in_place(void **state) {
    lm_graph *graph;
    assert_ok(lm_graph_new(&graph, &err));
    lm_tensor *x = lm_graph_input(graph, "x", LM_F32, LM_EXTENT_FIXED, 1, (int64_t[]){1024}),
              *y = x;
    for (int i = 0; i < 10; i++) y = lm_graph_op(graph, LM_OP_ADD, &(lm_op_args){.in = {y, x}});
    lm_graph_output(graph, y);
    tag_device device = new_device();
    lm_plan *plan;
    assert_ok(lm_plan_new(graph, &device.base, &plan, &err));
    assert_int_equal(lm_plan_arena_bytes(plan), 2 * 4096);
    lm_plan_free(plan);
    lm_graph_free(graph);
    lm_free(device.tags);
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
    tag_device device = new_device();
    lm_plan *plan;
    assert_ok(lm_plan_new(graph, &device.base, &plan, &err));
    assert_int_equal(device.n_allocs, 2);
    assert_int_equal(device.alloc_bytes[0], lm_plan_arena_bytes(plan));
    assert_int_equal(device.alloc_bytes[1], 4096); /* the largest that a kernel asks for */
    assert_null(lm_plan_profile_ns(plan));
    assert_ok(lm_plan_profile_start(plan, &err));
    write_tags(&device, lm_graph_tensor(graph, 0));
    for (int i = 0; i < 3; i++)
        assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = 2}, &err));
    assert_int_equal(device.n_runs, 3);
    assert_int_equal(lm_plan_profile_ns(plan)[0], 3);
    assert_int_equal(lm_plan_profile_ns(plan)[1], 6);
    lm_cost two = lm_plan_cost(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = 2});
    lm_cost four = lm_plan_cost(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = 4});
    assert_int_equal(two.flops, 2 * WIDTH * (1 + 6));
    assert_int_equal(two.bytes, 2 * WIDTH * 4 * (3 + 3));
    assert_int_equal(four.flops, 2 * two.flops);
    assert_string_equal(lm_plan_kernel_name(plan, 1), "tag");
    lm_plan_free(plan);
    lm_graph_free(graph);
    lm_free(device.tags);
}

static void test_backend_lacks_op(void **state) {
    lm_graph *graph = gated_graph();
    tag_device device = new_device();
    device.lacks_swiglu = true;
    loam_error refusal = {0};
    lm_plan *plan = NULL;
    assert_int_equal(lm_plan_new(graph, &device.base, &plan, &refusal), LOAM_UNSUPPORTED);
    assert_string_equal(refusal.message, "the tag backend has no kernel for swiglu");
    assert_null(plan);
    lm_graph_free(graph);
    lm_free(device.tags);
}

static void test_values_too_large_together(void **state) {
    lm_graph *graph;
    assert_ok(lm_graph_new(&graph, &err));
    for (int i = 0; i < 4; i++) {
        lm_tensor *x =
            lm_graph_input(graph, "x", LM_F32, LM_EXTENT_FIXED, 1, (int64_t[]){INT64_MAX / 4});
        lm_graph_output(graph, lm_graph_op(graph, LM_OP_ADD, &(lm_op_args){.in = {x, x}}));
    }
    tag_device device = new_device();
    lm_plan *plan;
    assert_status(LOAM_LIMIT, lm_plan_new(graph, &device.base, &plan, &err));
    lm_graph_free(graph);
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
        cmocka_unit_test(test_backend_lacks_op),
        cmocka_unit_test(test_values_too_large_together),
        cmocka_unit_test(test_run_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
