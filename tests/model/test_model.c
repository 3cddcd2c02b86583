/* Opening models: what is refused and how it is said, and that running out of memory is survived. */
#include "golden/golden.h"

#include <sys/stat.h>

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
        {"\"model_type\": \"llama\"", "\"model_type\": \"rwkv\"", LOAM_UNSUPPORTED, {"rwkv"}},
        {"\"hidden_act\": \"silu\"", "\"hidden_act\": \"mish\"", LOAM_UNSUPPORTED, {"mish"}},
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

static void test_sliding_window_is_of_all_layers(void **state) {
    golden_model g = golden_open_windowed(32);
    const lm_hparams *hp = &lm_model_config(g.model)->hparams;
    assert_int_equal(hp->context_len, 64);
    assert_int_equal(hp->window, 32);
    assert_true(lm_layer_in(&hp->windowed, 0) && lm_layer_in(&hp->windowed, 1));
    golden_close(&g);
}

static void test_unknown_architecture_hints_at_known_ones(void **state) {
    loam_error error = open_changed("\"model_type\": \"llama\"", "\"model_type\": \"lama2\"", NULL);
    assert_non_null(strstr(error.hint, "llama"));
}

/* A word that the weights have no row for shows another model's tokenizer; a special token beyond them does not. */
static void test_vocabulary_beyond_the_weights(void **state) {
    static const char PLAIN[] = "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":31%s},"
                                "\"unk_token\":\"a\"},\"added_tokens\":[{\"id\":%d,\"content\":"
                                "\"<image>\",\"special\":true}]}";
    char *dir = golden_folder("plain", "plain"), *path = lm_path_join(dir, "tokenizer.json");
    lm_device *device = open_device();
    for (int bad = 0; bad < 2; bad++) {
        char *text = lm_asprintf(PLAIN, bad ? ",\"stranger\":32" : "", bad ? 33 : 32);
        assert_ok(lm_file_write_atomic(path, text, strlen(text), &err));
        lm_model *model = NULL;
        loam_error error = {0};
        assert_int_equal(lm_model_open(dir, device, NULL, &model, &error),
                         bad ? LOAM_CORRUPT : LOAM_OK);
        if (bad) assert_non_null(strstr(error.message, "'stranger' at 32, but vocab_size is 32"));
        lm_model_free(model);
        lm_free(text);
    }
    lm_device_close(device);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
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
                           "0.95, \"min_p\": null, \"length_penalty\": Infinity}"}; /* as Python writes it */
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

/* A device that gives out so many bytes in all. */
static size_t bytes_left;

static loam_status alloc_within(lm_device *device, size_t size_bytes, void **out,
                                loam_error *error) {
    if (size_bytes > bytes_left)
        return lm_error_set(error, LOAM_NO_MEMORY, "no %zu bytes", size_bytes);
    bytes_left -= size_bytes;
    return lm_backend_cpu.alloc(device, size_bytes, out, error);
}

static void expect_out_of_memory(const char *path, lm_device *device, size_t limit,
                                 const char *what, const char *hint) {
    lm_model *model = NULL;
    lm_session *session = NULL;
    loam_error error = {0};
    bytes_left = limit;
    loam_status status = lm_model_open(path, device, NULL, &model, &error);
    if (status == LOAM_OK)
        status = lm_session_new(model, &(lm_session_options){.max_seqs = 2}, &session, &error);
    assert_int_equal(status, LOAM_NO_MEMORY);
    if (!strstr(error.message, what) || !strstr(error.hint, hint))
        fail_msg("'%s' (%s)", error.message, error.hint);
    lm_model_free(model);
}

/* Device memory that ends while packing, for the cache, or for the values of a step: the error says which, and what to do. */
static void test_device_memory_ends(void **state) {
    char *path = golden_path("plain", ".gguf");
    lm_device *device = open_device();
    lm_backend tight = lm_backend_cpu;
    tight.alloc = alloc_within;
    device->backend = &tight;
    lm_model *model;
    bytes_left = SIZE_MAX;
    assert_ok(lm_model_open(path, device, NULL, &model, &err));
    size_t packed_bytes = SIZE_MAX - bytes_left;
    lm_session *session;
    assert_ok(lm_session_new(model, &(lm_session_options){.max_seqs = 2}, &session, &err));
    size_t all_bytes = SIZE_MAX - bytes_left;
    lm_session_free(session);
    lm_model_free(model);
    if (packed_bytes > 0)
        expect_out_of_memory(path, device, packed_bytes - 1, "packing tensor", "MiB");
    expect_out_of_memory(path, device, packed_bytes, "cache of keys", "less context");
    expect_out_of_memory(path, device, all_bytes - 1, "values of a step", "fewer rows");
    device->backend = &lm_backend_cpu;
    lm_device_close(device);
    lm_free(path);
}

/* Memory that runs out while a packed file is made or opened: packed in memory instead, or an error. */
static void test_out_of_memory_with_packed_file(void **state) {
    enum { MORE_THAN_ALL = 600 };
    char *path = golden_path("plain", ".gguf"), *dir = test_temp_dir();
    lm_device *device = open_device();
    lm_model_options options = {.pack_places = {.dir = dir, .min_bytes = 1}};
    for (uint64_t n = 1; n < MORE_THAN_ALL; n++) {
        lm_model *model = NULL;
        loam_error error = {0};
        lm_mem_fail_after(n);
        loam_status status = lm_model_open(path, device, &options, &model, &error);
        lm_mem_fail_after(0);
        if (status != LOAM_OK && status != LOAM_NO_MEMORY)
            fail_msg("allocation %d: %s", (int)n, error.message);
        lm_model_free(model);
        if (n % 2) { /* made anew every second time */
            assert_ok(lm_file_remove_tree(dir, &err));
            assert_int_equal(mkdir(dir, 0700), 0);
        }
    }
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_device_close(device);
    lm_free(dir);
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
        cmocka_unit_test(test_sliding_window_is_of_all_layers),
        cmocka_unit_test(test_vocabulary_beyond_the_weights),
        cmocka_unit_test(test_check_finds_nan),
        cmocka_unit_test(test_recommended_sampling),
        cmocka_unit_test(test_packing_changes_no_bit),
        cmocka_unit_test(test_device_memory_ends),
        cmocka_unit_test(test_out_of_memory_with_packed_file),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
