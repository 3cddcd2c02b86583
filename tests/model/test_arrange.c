/* Matrices that lie transposed in runs of a tensor's rows: plain, quantized, and whoever's share they are. */
#include "testing.h"

#include "backend/cpu/cpu.h"
#include "model/arrange.h"

enum {
    N_HEADS = 5,
    N_IN = 6,
    N_SKIPPED = 3,
    N_OUT = 64,
    STEP = N_SKIPPED + N_IN,
    N_ROWS = N_HEADS * STEP
};

static float number_at(int64_t row, int64_t column) {
    return (float)((row * 31 + column * 7) % 25) - 12.0f;
}

/* Runs of N_IN rows behind N_SKIPPED others, as type; out [N_HEADS, N_OUT, N_IN] of the type wanted, as f32. */
static void turn(lm_dtype type, lm_dtype wanted, int n_threads, float *expected, float *out) {
    enum { N = N_ROWS * N_OUT };
    static float x[N];
    static char stored[N * sizeof(float)], turned[N * sizeof(float)];
    const lm_stored_type row = {.is_loadable = true, .dtype = type};
    const lm_stored_tensor tensor = {
        .name = "t", .type = &row, .n_dims = 2, .shape = {N_ROWS, N_OUT}, .data = stored};
    lm_device *device;
    for (int64_t i = 0; i < N; i++) x[i] = number_at(i / N_OUT, i % N_OUT);
    lm_dtype_get(type)->pack(x, stored, N);
    lm_dtype_get(type)->unpack(stored, x, N);
    for (int64_t h = 0; h < N_HEADS; h++)
        for (int64_t o = 0; o < N_OUT; o++)
            for (int64_t i = 0; i < N_IN; i++)
                *expected++ = x[(h * STEP + N_SKIPPED + i) * N_OUT + o];
    const lm_weight weight = {.dtype = wanted, .n_dims = 3, .shape = {N_HEADS, N_OUT, N_IN}};
    const lm_arrangement a = {.source = {.tensor = &tensor,
                                         .order = LM_PART_HEADS,
                                         .first_row = N_SKIPPED,
                                         .n_groups = N_HEADS,
                                         .run_rows = N_IN,
                                         .run_step = STEP,
                                         .total_rows = N_ROWS},
                              .turned_runs = true};
    assert_false(lm_arrangement_is_needless(&a));
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = n_threads}, &device, &err));
    lm_arrange(&a, device, &weight, turned);
    lm_device_close(device);
    lm_dtype_get(wanted)->unpack(turned, out, N_HEADS * N_OUT * N_IN);
}

static void test_runs_are_turned(void **state) {
    static const struct {
        lm_dtype type, wanted;
    } rows[] = {{LM_F32, LM_F32},
                {LM_F16, LM_F16},
                {LM_BF16, LM_BF16},
                {LM_Q8_0, LM_F32},
                {LM_Q4_0, LM_F32}};
    float expected[N_HEADS * N_OUT * N_IN], out[N_HEADS * N_OUT * N_IN];
    for (size_t i = 0; i < LM_COUNT_OF(rows); i++) {
        for (int n_threads = 1; n_threads <= 3; n_threads += 2) {
            turn(rows[i].type, rows[i].wanted, n_threads, expected, out);
            assert_memory_equal(out, expected, sizeof out);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_runs_are_turned)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
