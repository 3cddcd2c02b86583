/* Opening models: what is refused and how it is said, and that running out of memory is survived. */
#include "golden/golden.h"

#include "model/model_weights.h"

static lm_device *open_device(void) {
    lm_device *device;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &device, &err));
    return device;
}

/* The `plain` folder with one text in config.json replaced; what opening it says. */
static loam_error open_changed(const char *from, const char *to, const lm_model_options *options) {
    char *dir = golden_folder("plain", "plain"), *path = lm_path_join(dir, "config.json"), *text;
    size_t size;
    assert_ok(lm_file_read(path, 1 << 16, &text, &size, &err));
    char *at = strstr(text, from);
    assert_non_null(at);
    char *changed = lm_asprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_ok(lm_file_write_atomic(path, changed, strlen(changed), &err));

    lm_device *device = open_device();
    lm_model *model = NULL;
    loam_error error = {0};
    error.status = lm_model_open(dir, device, options, &model, &error);
    lm_model_free(model);
    lm_device_close(device);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(changed);
    lm_free(text);
    lm_free(path);
    lm_free(dir);
    return error;
}

static void test_refusals_say_why(void **state) {
    const struct {
        const char *from, *to;
        loam_status status;
        const char *words[3];
    } cases[] = {
        {"\"intermediate_size\": 16",
         "\"intermediate_size\": 20",
         LOAM_INVALID,
         {"mlp.gate_proj.weight", "[16, 16]", "[20, 16]"}},
        {"\"num_hidden_layers\": 2",
         "\"num_hidden_layers\": 3",
         LOAM_NOT_FOUND,
         {"model.layers.2."}},
        {"\"num_hidden_layers\": 2",
         "\"num_hidden_layers\": 1",
         LOAM_UNSUPPORTED,
         {"model.layers.1.", "no place"}},
        {"\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true", LOAM_OK, {""}},
        {"\"model_type\": \"llama\"", "\"model_type\": \"mistral\"", LOAM_OK, {""}},
        {"\"model_type\": \"llama\"", "\"model_type\": \"mamba\"", LOAM_UNSUPPORTED, {"mamba"}},
        {"\"hidden_act\": \"silu\"", "\"hidden_act\": \"gelu\"", LOAM_UNSUPPORTED, {"gelu"}},
        {"\"rope_theta\": 10000.0", "\"rope_theta\": 0.5", LOAM_INVALID, {"rope_theta"}},
        {"\"num_attention_heads\": 4", "\"num_attention_heads\": 3", LOAM_INVALID, {"3"}},
        {"\"head_dim\": 8", "\"head_dim\": 1024", LOAM_UNSUPPORTED, {"1024"}},
    };
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++) {
        loam_error error = open_changed(cases[i].from, cases[i].to, NULL);
        if (error.status != cases[i].status)
            fail_msg("%s: %s: %s", cases[i].to, loam_status_name(error.status), error.message);
        for (int w = 0; w < 3 && cases[i].words[w]; w++) {
            if (!strstr(error.message, cases[i].words[w]))
                fail_msg("'%s' is not in '%s'", cases[i].words[w], error.message);
        }
    }
}

/* Within its window a sliding-window model is like any other: that is how far it is run. */
static void test_sliding_window_limits_the_context(void **state) {
    char *dir = golden_folder("plain", "plain"), *path = lm_path_join(dir, "config.json"), *text;
    size_t size;
    assert_ok(lm_file_read(path, 1 << 16, &text, &size, &err));
    char *windowed = lm_asprintf("{\"sliding_window\": 32,%s", text + 1);
    assert_ok(lm_file_write_atomic(path, windowed, strlen(windowed), &err));
    golden_model g = golden_open(dir, 1);
    assert_int_equal(lm_model_config(g.model)->hparams.context_len, 32);
    golden_close(&g);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(windowed);
    lm_free(text);
    lm_free(path);
    lm_free(dir);
}

static void test_unknown_architecture_hints_at_known_ones(void **state) {
    loam_error error = open_changed("\"model_type\": \"llama\"", "\"model_type\": \"mamba\"", NULL);
    assert_non_null(strstr(error.hint, "llama"));
}

/* A NaN is found when asked for; it sits in the last tensor of the file. */
static void test_check_finds_nan(void **state) {
    char *source = golden_path("plain", ".gguf"), *bytes, *dir = test_temp_dir(),
         *path = lm_path_join(dir, "nan.gguf");
    size_t size;
    assert_ok(lm_file_read(source, 1 << 20, &bytes, &size, &err));
    memset(bytes + size - 8, 0xff, 4);
    assert_ok(lm_file_write_atomic(path, bytes, size, &err));
    lm_device *device = open_device();
    lm_model *model = NULL;
    assert_ok(lm_model_open(path, device, NULL, &model, &err));
    lm_model_free(model);
    model = NULL;
    loam_error error = {0};
    assert_int_equal(
        lm_model_open(path, device, &(lm_model_options){.check_weights = true}, &model, &error),
        LOAM_CORRUPT);
    assert_non_null(strstr(error.message, "nan"));
    assert_null(model);
    lm_device_close(device);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
    lm_free(bytes);
    lm_free(source);
}

static void test_recommended_sampling(void **state) {
    char *dir = golden_folder("biased", "biased"),
         *path = lm_path_join(dir, "generation_config.json");
    const char *texts[] = {"{\"temperature\": 0.6, \"top_k\": 20}",
                           "{\"do_sample\": true, \"temperature\": 0.6, \"top_k\": 20, \"top_p\": "
                           "0.95, \"min_p\": null}"};
    for (int i = 0; i < 2; i++) {
        assert_ok(lm_file_write_atomic(path, texts[i], strlen(texts[i]), &err));
        golden_model g = golden_open(dir, 1);
        lm_sampler_options o = lm_model_sampling(g.model);
        assert_true(o.temperature == (i ? 0.6f : 1.0f));
        assert_int_equal(o.top_k, i ? 20 : 0);
        assert_true(o.top_p == (i ? 0.95f : 1.0f) && o.min_p == 0 && o.repetition_penalty == 1);
        golden_close(&g);
    }
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

/* Packed or as the file has them, the weights give the same logits. */
static void test_packing_changes_no_bit(void **state) {
    char *path = golden_path("biased", ".gguf");
    lm_device *device = open_device();
    float logits[2][GOLDEN_VOCAB];
    for (int i = 0; i < 2; i++) {
        golden_model g = {.device = device};
        assert_ok(
            lm_model_open(path, device, &(lm_model_options){.no_pack = i == 0}, &g.model, &err));
        lm_session *session = golden_session(&g, (lm_session_options){0});
        int32_t seq;
        assert_ok(lm_session_seq_new(session, &seq, &err));
        lm_step_row rows[3] = {{.token = 3, .seq = seq},
                               {.token = 4, .seq = seq},
                               {.token = 5, .seq = seq, .want_logits = true}};
        assert_ok(lm_session_step(session, rows, 3, &err));
        memcpy(logits[i], lm_session_logits(session, 0), sizeof logits[i]);
        lm_session_free(session);
        lm_model_free(g.model);
    }
    assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
    lm_device_close(device);
    lm_free(path);
}

/* Every allocation of opening a model and a session fails once; each time the error is said and nothing is left behind. */
static void test_out_of_memory(void **state) {
    char *path = golden_path("plain", ".gguf");
    lm_device *device = open_device();
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        lm_model *model = NULL;
        lm_session *session = NULL;
        loam_error error = {0};
        lm_mem_fail_after(n);
        loam_status status = lm_model_open(path, device, NULL, &model, &error);
        if (status == LOAM_OK)
            status = lm_session_new(model, &(lm_session_options){.max_seqs = 2}, &session, &error);
        lm_mem_fail_after(0);
        done = status == LOAM_OK;
        if (!done && status != LOAM_NO_MEMORY) fail_msg("allocation %d: %s", (int)n, error.message);
        lm_session_free(session);
        lm_model_free(model);
        assert_true(n < 5000);
    }
    lm_device_close(device);
    lm_free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals_say_why),
        cmocka_unit_test(test_unknown_architecture_hints_at_known_ones),
        cmocka_unit_test(test_sliding_window_limits_the_context),
        cmocka_unit_test(test_check_finds_nan),
        cmocka_unit_test(test_recommended_sampling),
        cmocka_unit_test(test_packing_changes_no_bit),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
