/* What a footprint tells is what opening the model and a session takes. */
#include "model/footprint.h"

#include "base/usable.h"
#include "golden/golden.h"

static const lm_session_options limits = {
    .max_rows = 16, .max_seqs = 3, .max_context = 60, .kv_dtype = LM_F16};

static lm_footprint told(const char *path) {
    lm_device *device;
    lm_footprint footprint;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 2}, &device, &err));
    assert_ok(lm_footprint_measure(path, device, &limits, &footprint, &err));
    assert_ptr_equal(device->backend, &lm_backend_cpu);
    lm_device_close(device);
    return footprint;
}

static size_t packed_bytes(const golden_model *g) {
    size_t n = 0;
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        int64_t n_layers = lm_param_has_layer(id) ? lm_model_config(g->model)->hparams.n_layers : 1;
        for (int64_t layer = 0; layer < n_layers; layer++) {
            const lm_weight *weight = lm_model_param(g->model, id, layer);
            if (!weight || weight->layout == LM_LAYOUT_ROWS) continue;
            lm_weight plain = *weight;
            plain.layout = LM_LAYOUT_ROWS;
            n += lm_device_packed_bytes(g->device, &plain);
        }
    }
    return n;
}

static void test_parts(void **state) {
    char *path = golden_path("llama3", ".gguf");
    lm_footprint footprint = told(path);
    golden_model g = golden_open(path, 2);
    lm_session *session = golden_session(&g, limits);
    assert_int_equal(footprint.packed_bytes, packed_bytes(&g));
    assert_true(footprint.packed_bytes > 0 && footprint.stored_bytes > 0);
    size_t cache =
        footprint.token_cache_bytes * (size_t)lm_session_n_blocks(session) * LM_KV_BLOCK_TOKENS;
    assert_int_equal(footprint.cache_bytes, cache);
    assert_true(footprint.n_tokens > 0 &&
                footprint.n_tokens <= lm_session_n_blocks(session) * LM_KV_BLOCK_TOKENS);
    /* the workspace comes to what the session itself tells */
    assert_true(footprint.cache_bytes + footprint.step_bytes >= lm_session_memory_bytes(session));
    assert_true(footprint.process_bytes > 0);
    lm_session_free(session);
    golden_close(&g);
    lm_free(path);
}

static void test_mixes(void **state) {
    lm_device *device;
    lm_footprint now, smaller;
    char *path = golden_path("plain", ".gguf");
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &device, &err));
    assert_ok(lm_footprint_measure(path, device, &limits, &now, &err));
    assert_ok(lm_footprint_as_mix(path, device, lm_mix_find("F16"), &now, &smaller, &err));
    assert_true(smaller.packed_bytes < now.packed_bytes);
    assert_int_equal(smaller.cache_bytes, now.cache_bytes);
    assert_status(LOAM_NOT_FOUND, lm_footprint_measure("/nowhere", device, &limits, &now, &err));
    assert_ptr_equal(device->backend, &lm_backend_cpu);
    lm_device_close(device);
    lm_free(path);
}

static void test_machine(void **state) {
    lm_machine_memory memory = lm_machine_memory_read();
    assert_true(memory.total_bytes > 0);
    assert_true(memory.available_bytes > 0 && memory.available_bytes <= memory.total_bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_mixes),
        cmocka_unit_test(test_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
