/* The CPU as a device: what it opens with, its memory, its choice of kernels, its clock. */
#include "testing.h"

#include "backend/cpu/cpu.h"
#include "compute/plan.h"

static lm_device *open_device(int n_threads, const char *isa) {
    lm_device *device;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = n_threads, .isa = isa}, &device,
                                  &err));
    return device;
}

static void test_options(void **state) {
    lm_device *device;
    assert_status(LOAM_INVALID,
                  lm_backend_cpu.open(&(lm_device_options){.isa = "avx3"}, &device, &err));
    assert_status(LOAM_INVALID,
                  lm_backend_cpu.open(&(lm_device_options){.n_threads = -1}, &device, &err));
    device = open_device(3, "scalar");
    assert_int_equal(device->n_threads, 3);
    assert_int_equal(lm_cpu_of(device)->isa, LM_CPU_SCALAR);
    assert_false(lm_cpu_of(device)->vnni || lm_cpu_of(device)->bf16);
    lm_device_close(device);
    lm_device_close(NULL);
}

static void test_memory(void **state) {
    static const size_t sizes[] = {1, 64, 100, 1 << 20, 9 << 20};
    lm_device *device = open_device(1, NULL);
    for (size_t i = 0; i < LM_COUNT_OF(sizes); i++) {
        unsigned char *buffer;
        assert_ok(lm_backend_cpu.alloc(device, sizes[i], (void **)&buffer, &err));
        assert_int_equal((uintptr_t)buffer % 64, 0);
        for (size_t at = 0; at < sizes[i]; at++) assert_int_equal(buffer[at], 0);
        memset(buffer, 1, sizes[i]);
        lm_backend_cpu.free(device, buffer);
    }
    void *buffer;
    assert_status(LOAM_NO_MEMORY, lm_backend_cpu.alloc(device, SIZE_MAX - 8, &buffer, &err));
    lm_backend_cpu.free(device, NULL);
    lm_device_close(device);
}

static void count_thread(void *arg, int thread, int n_threads) {
    ((int *)arg)[thread] += n_threads;
}

static void test_parallel(void **state) {
    int counts[4] = {0};
    lm_device *device = open_device(3, NULL);
    device->backend->parallel(device, count_thread, counts);
    lm_device_close(device);
    assert_int_equal(counts[0] + 10 * counts[1] + 100 * counts[2] + 1000 * counts[3], 333);
}

/* Every plan ends in references, and each node's time is taken. */
static void test_reference_and_profile(void **state) {
    lm_device *device = open_device(2, "scalar");
    lm_graph *graph;
    lm_plan *plan;
    assert_ok(lm_graph_new(&graph, &err));
    lm_tensor *x = lm_graph_input(graph, "x", LM_F32, LM_EXTENT_ROWS, 2, (int64_t[]){512, 512});
    lm_tensor *y = lm_graph_op(graph, LM_OP_SWIGLU, &(lm_op_args){.in = {x, x}});
    lm_graph_output(graph, lm_graph_op(graph, LM_OP_ADD, &(lm_op_args){.in = {y, x}}));
    assert_ok(lm_plan_new(graph, device, &plan, &err));
    assert_string_equal(lm_plan_kernel_name(plan, 0), "swiglu/reference");
    assert_ok(lm_plan_profile_start(plan, &err));
    for (int i = 0; i < 3; i++)
        assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = 512}, &err));
    assert_true(lm_plan_profile_ns(plan)[0] > 0 && lm_plan_profile_ns(plan)[1] > 0);
    lm_plan_free(plan);
    lm_graph_free(graph);
    lm_device_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_parallel),
        cmocka_unit_test(test_reference_and_profile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
