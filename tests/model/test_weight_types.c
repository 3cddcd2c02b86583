/* Every element type that files may store weights in: a model gives the same bits packed for the device or not, and those of
 * one whose weights are the same numbers as f32, or numbers close to them where types are quantized. */
#include "small_model.h"

#include <math.h>

enum { N_ROWS = 9 };

/* Logits after each of a few tokens: all at once, then the last ones again by themselves. */
static void compute(const char *path, const char *isa, bool no_pack, float out[N_ROWS][40]) {
    golden_model g;
    assert_ok(
        lm_backend_cpu.open(&(lm_device_options){.n_threads = 2, .isa = isa}, &g.device, &err));
    assert_ok(
        lm_model_open(path, g.device, &(lm_model_options){.no_pack = no_pack}, &g.model, &err));
    lm_session *session = golden_session(&g, (lm_session_options){.max_outs = N_ROWS});
    int32_t seq;
    assert_ok(lm_session_seq_new(session, &seq, &err));
    lm_step_row rows[N_ROWS];
    for (int i = 0; i < N_ROWS; i++)
        rows[i] = (lm_step_row){.token = i * 4 + 1, .seq = seq, .want_logits = true};
    assert_ok(lm_session_step(session, rows, N_ROWS, &err));
    for (int i = 0; i < N_ROWS; i++) memcpy(out[i], lm_session_logits(session, i), sizeof out[i]);
    lm_session_seq_truncate(session, seq, N_ROWS - 1);
    assert_ok(lm_session_step(session, rows + N_ROWS - 1, 1, &err));
    assert_memory_equal(out[N_ROWS - 1], lm_session_logits(session, 0), sizeof out[0]);
    lm_session_free(session);
    golden_close(&g);
}

/* Root of the mean squared difference, in units of b's root mean square. */
static double distance(float a[N_ROWS][40], float b[N_ROWS][40]) {
    double difference = 0.0, size = 0.0;
    for (int i = 0; i < N_ROWS; i++) {
        for (int j = 0; j < 40; j++) {
            difference += (a[i][j] - b[i][j]) * (a[i][j] - b[i][j]);
            size += b[i][j] * b[i][j];
        }
    }
    return sqrt(difference / size);
}

/* Packed or not, and with whatever instructions the machine has, a type gives the same bits. Against the same values in f32: f16 gives the same bits too. bf16 weights are
 * multiplied with rows rounded to bf16, which errs by 2^-9 at most and 0.17 % on average; quantized ones with rows rounded
 * to 8 bits. That rounding is even within half a step of amax / 127, and 128 normal
 * numbers have an amax of some 2.7 deviations, so each product errs by 0.61 % of its size. The five products in a row that
 * make the logits add up to sqrt(5) times that, 0.4 % and 1.4 %. */
static double apart_at_most(lm_dtype dtype) {
    return lm_dtype_is_quantized(dtype) ? 0.02 : dtype == LM_BF16 ? 0.006 : 0.0;
}

static void test_types(void **state) {
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "model.gguf");
    for (int i = 0; i < LM_DTYPE_COUNT; i++) {
        lm_dtype dtype = (lm_dtype)i;
        const lm_dtype_info *info = lm_dtype_get(dtype);
        if (!small_can_store(dtype)) continue;
        float wide[N_ROWS][40], stored[N_ROWS][40], unpacked[N_ROWS][40];
        small_write(path, &(small_recipe){.through = dtype, .stored = LM_F32});
        compute(path, NULL, false, wide);
        small_write(path, &(small_recipe){.through = dtype, .stored = dtype});
        compute(path, NULL, false, stored);
        compute(path, NULL, true, unpacked);
        if (memcmp(stored, unpacked, sizeof stored) != 0)
            fail_msg("%s: packed has other bits", info->name);
        for (int isa = 0; isa < LM_CPU_N_ISAS; isa++) {
            float there[N_ROWS][40];
            compute(path, lm_cpu_isa_name((lm_cpu_isa)isa), false, there);
            if (memcmp(stored, there, sizeof stored) != 0)
                fail_msg("%s: other bits on %s", info->name, lm_cpu_isa_name((lm_cpu_isa)isa));
        }
        double apart = distance(stored, wide);
        if (!(apart <= apart_at_most(dtype))) fail_msg("%s: %g apart from f32", info->name, apart);
    }
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_types)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
