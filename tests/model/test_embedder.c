/* Pooling by its rules, and an embedder's limits; its results are compared in tests/golden/test_encoders.c. */
#include "golden/golden.h"

#include "base/mem.h"
#include "model/embedder.h"

static char *encoder_path(const char *name) {
    return lm_asprintf("%s/%s", LM_ENCODERS_DIR, name);
}

static golden_model open_encoder(const char *name) {
    char *path = encoder_path(name);
    golden_model g = golden_open(path, 2);
    lm_free(path);
    return g;
}

/* Of three states of two numbers, in the order of positions. */
static void pool(const lm_pooling *pooling, float out[2]) {
    static const float states[3][2] = {{1, -2}, {4, 8}, {-2, 0}};
    for (int i = 0; i < 3; i++)
        if (lm_pooling_wants(pooling, i, 3)) lm_pooling_add(pooling, states[i], 2, i, 3, out);
}

static void test_poolings(void **state) {
    static const struct {
        lm_pooling_kind kind;
        float want[2];
    } rows[] = {{LM_POOLING_MEAN, {1, 2}},
                {LM_POOLING_CLS, {1, -2}},
                {LM_POOLING_LAST, {-2, 0}},
                {LM_POOLING_MAX, {4, 8}}};
    for (size_t i = 0; i < LM_COUNT_OF(rows); i++) {
        lm_pooling pooling = {.kind = rows[i].kind};
        float out[2];
        pool(&pooling, out);
        assert_memory_equal(out, rows[i].want, sizeof out);
        lm_pooling_finish(&pooling, out, 2);
        assert_memory_equal(out, rows[i].want, sizeof out);
    }
    assert_string_equal(lm_pooling_name(LM_POOLING_LAST), "lasttoken");
}

static void test_lengths_of_one(void **state) {
    const lm_pooling pooling = {.kind = LM_POOLING_MEAN, .normalize = true};
    float vector[3] = {3, 4, 100}, nothing[2] = {0, 0};
    lm_pooling_finish(&pooling, vector, 2);
    assert_true(vector[0] == 0.6f && vector[1] == 0.8f && vector[2] == 100);
    lm_pooling_finish(&pooling, nothing, 2);
    assert_true(nothing[0] == 0 && nothing[1] == 0);
}

static void test_encoders_write_no_text(void **state) {
    loam_error failure = {0};
    lm_session *session;
    lm_embedder *embedder;
    golden_model bert = open_encoder("bert"), llama = golden_open_gguf("biased", 1);
    assert_int_equal(lm_session_new(bert.model, &(lm_session_options){0}, &session, &failure),
                     LOAM_UNSUPPORTED);
    assert_non_null(strstr(failure.message, "writes no text"));
    assert_non_null(strstr(failure.hint, "/v1/embeddings"));
    assert_int_equal(lm_embedder_new(llama.model, &(lm_session_options){0}, &embedder, &failure),
                     LOAM_UNSUPPORTED);
    assert_non_null(strstr(failure.message, "writes text"));
    golden_close(&bert);
    golden_close(&llama);
}

static void test_sequences_of_encoders_are_whole(void **state) {
    loam_error failure = {0};
    golden_model bert = open_encoder("bert");
    lm_session *session = golden_session(
        &bert, (lm_session_options){.head = LM_HEAD_STATE, .max_rows = 8, .max_outs = 8});
    lm_step_row row = {.token = 1, .want_logits = true};
    assert_ok(lm_session_seq_new(session, &row.seq, &err));
    row.type = 2; /* there are two */
    assert_int_equal(lm_session_step(session, &row, 1, &failure), LOAM_INVALID);
    row.type = 1;
    assert_ok(lm_session_step(session, &row, 1, &err));
    assert_int_equal(lm_session_step(session, &row, 1, &failure), LOAM_INVALID);
    assert_non_null(strstr(failure.message, "cannot grow"));
    lm_session_free(session);
    golden_close(&bert);
}

/* More texts than a step takes; then again, which allocates nothing. */
static void test_steps_allocate_nothing(void **state) {
    enum { N_TEXTS = 9, N_TOKENS = 20, WIDTH = 32 };
    static float out[N_TEXTS][WIDTH];
    int32_t tokens[N_TOKENS];
    lm_embed_text texts[N_TEXTS], *list[N_TEXTS];
    golden_model bert = open_encoder("bge");
    lm_embedder *embedder;
    for (int i = 0; i < N_TOKENS; i++) tokens[i] = 2 * i + 3;
    assert_ok(lm_embedder_new(bert.model, &(lm_session_options){.max_context = 48, .max_seqs = 4},
                              &embedder, &err));
    assert_int_equal(lm_embedder_width(embedder), WIDTH);
    assert_int_equal(lm_embedder_max_tokens(embedder), 48);
    for (int run = 0; run < 2; run++) {
        uint64_t before = lm_mem_n_allocs();
        for (int i = 0; i < N_TEXTS; i++) {
            texts[i] = (lm_embed_text){
                .tokens = tokens, .n_tokens = N_TOKENS, .second_begin = N_TOKENS, .out = out[i]};
            list[i] = &texts[i];
        }
        for (size_t done = 0; done < N_TEXTS;) {
            int64_t n_rows;
            assert_ok(lm_embedder_step(embedder, list + done, N_TEXTS - done, &n_rows, &err));
            assert_int_equal(n_rows % N_TOKENS, 0);
            done += (size_t)(n_rows / N_TOKENS);
        }
        if (run > 0) assert_int_equal(lm_mem_n_allocs(), before);
    }
    for (int i = 1; i < N_TEXTS; i++) assert_memory_equal(out[i], out[0], sizeof out[0]);
    lm_embedder_free(embedder);
    golden_close(&bert);
}

/* A folder like bert's, with other modules; for lm_free. */
static char *modules_folder(const char *modules, const char *pooling) {
    char *dir = test_temp_dir(), *from = encoder_path("bert"), *inner = lm_path_join(dir, "pool");
    static const char *const names[] = {"config.json", "model.safetensors"};
    for (size_t i = 0; i < LM_COUNT_OF(names); i++) {
        char *path = lm_path_join(from, names[i]);
        golden_copy(path, dir, names[i]);
        lm_free(path);
    }
    char *list = lm_path_join(dir, "modules.json"), *config = lm_path_join(inner, "config.json");
    assert_ok(lm_file_make_dirs(inner, &err));
    assert_ok(lm_file_write_atomic(list, modules, strlen(modules), &err));
    assert_ok(lm_file_write_atomic(config, pooling, strlen(pooling), &err));
    char *const texts[] = {list, config, inner, from};
    for (size_t i = 0; i < LM_COUNT_OF(texts); i++) lm_free(texts[i]);
    return dir;
}

static void check_modules(const char *modules, const char *pooling, loam_status want,
                          const char *message) {
    char *dir = modules_folder(modules, pooling);
    lm_device *device;
    lm_model *model = NULL;
    loam_error failure = {0};
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &device, &err));
    assert_int_equal(lm_model_open(dir, device, NULL, &model, &failure), want);
    if (want == LOAM_OK)
        assert_string_equal(lm_pooling_name(lm_model_pooling(model)->kind), message);
    else
        assert_non_null(strstr(failure.message, message));
    lm_model_free(model);
    lm_device_close(device);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(dir);
}

#define POOLING "{\"type\":\"a.Transformer\"},{\"type\":\"a.Pooling\",\"path\":\"pool\"}"

static void test_modules(void **state) {
    check_modules("[" POOLING "]", "{\"pooling_mode\":\"max\"}", LOAM_OK, "max");
    check_modules("[" POOLING "]", "{\"pooling_mode_lasttoken\":true}", LOAM_OK, "lasttoken");
    check_modules("[" POOLING "]", "{\"pooling_mode_weightedmean_tokens\":true}", LOAM_UNSUPPORTED,
                  "kind of pooling");
    check_modules("[" POOLING ",{\"type\":\"a.Dense\"}]", "{\"pooling_mode\":\"cls\"}",
                  LOAM_UNSUPPORTED, "a.Dense");
    check_modules("[{\"type\":\"a.Pooling\",\"path\":\"../x\"}]", "{}", LOAM_UNSUPPORTED,
                  "without a folder");
    check_modules("[" POOLING ",{\"type\":\"a.Dense\",\"path\":\"pool\"}]",
                  "{\"pooling_mode\":\"cls\"}", LOAM_NOT_FOUND, "pool/model.safetensors");
    check_modules("[" POOLING ",{\"type\":\"a.Dense\",\"path\":\"pool\"}]",
                  "{\"pooling_mode\":\"cls\",\"activation_function\":\"torch.nn.ReLU\"}",
                  LOAM_UNSUPPORTED, "torch.nn.ReLU");
    check_modules("[" POOLING ",{\"type\":\"a.Dense\",\"path\":\"no\"}]",
                  "{\"pooling_mode\":\"cls\"}", LOAM_NOT_FOUND, "no/config.json");
    check_modules("[{\"type\":7}]", "{}", LOAM_INVALID, "modules.json");
    check_modules("[7]", "{}", LOAM_INVALID, "modules.json");
}

/* sentence-transformers says how long texts may be; 0: it is refused. */
static void test_max_seq_length(void **state) {
    for (int64_t want = 0; want < 20; want += 10) {
        char *dir = modules_folder("[" POOLING "]", "{\"pooling_mode\":\"cls\"}"),
             *path = lm_path_join(dir, "sentence_bert_config.json"),
             *text = lm_asprintf("{\"max_seq_length\": %d}", (int)want);
        lm_device *device;
        golden_model g = {0};
        loam_error failure = {0};
        assert_ok(lm_file_write_atomic(path, text, strlen(text), &err));
        assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &device, &err));
        loam_status status = lm_model_open(dir, device, NULL, &g.model, &failure);
        assert_int_equal(status, want > 0 ? LOAM_OK : LOAM_INVALID);
        if (want > 0) {
            lm_embedder *embedder;
            assert_ok(lm_embedder_new(g.model, &(lm_session_options){0}, &embedder, &err));
            assert_int_equal(lm_embedder_max_tokens(embedder), want);
            lm_embedder_free(embedder);
        }
        lm_model_free(g.model);
        lm_device_close(device);
        assert_ok(lm_file_remove_tree(dir, &err));
        char *const texts[] = {text, path, dir};
        for (size_t i = 0; i < LM_COUNT_OF(texts); i++) lm_free(texts[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_poolings),
                                       cmocka_unit_test(test_lengths_of_one),
                                       cmocka_unit_test(test_encoders_write_no_text),
                                       cmocka_unit_test(test_sequences_of_encoders_are_whole),
                                       cmocka_unit_test(test_steps_allocate_nothing),
                                       cmocka_unit_test(test_modules),
                                       cmocka_unit_test(test_max_seq_length)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
