/* What sessions promise of models in which an indexer chooses the positions that rows see: the same bits however the work is cut and on
 * every instruction set, those of a model without an indexer as long as all are chosen, forks that go on as if alone, memory that was
 * told, and no allocation in a step. */
#include "golden/golden.h"
#include "model/footprint.h"

enum { TOKENS = 96, VOCAB = 48, LAYERS = 4, INDEXED = 3, INDEX_DIM = 10, KEY = 26 };

static const char *const families[] = {"deepseek_v32-sparse", "glm_moe_dsa-sparse"};

static const lm_session_options roomy = {.max_rows = 2 * TOKENS, .max_outs = TOKENS, .max_seqs = 4};

typedef struct trace {
    float logits[TOKENS][VOCAB];
} trace;

enum { ROW_BYTES = sizeof(float) * VOCAB };

static char *path_of(const char *family) {
    return lm_path_join(LM_FAMILIES_DIR, family);
}

static golden_model open_on(const char *path, int n_threads, const char *isa) {
    golden_model g;
    lm_device_options options = {.n_threads = n_threads, .isa = isa};
    assert_ok(lm_backend_cpu.open(&options, &g.device, &err));
    assert_ok(lm_model_open(path, g.device, NULL, &g.model, &err));
    return g;
}

/* A folder of the family whose rows see as many positions. */
static char *folder_of(const char *family, int n_chosen) {
    char *dir = test_temp_dir(), *from = path_of(family), *text,
         *tensors = lm_path_join(from, "model.safetensors"),
         *config = lm_path_join(from, "config.json"), *to = lm_path_join(dir, "config.json");
    size_t size;
    golden_copy(tensors, dir, "model.safetensors");
    assert_ok(lm_file_read(config, 1 << 16, &text, &size, &err));
    char *at = strstr(text, "\"index_topk\": 9");
    assert_non_null(at);
    char *edited = lm_asprintf("%.*s\"index_topk\": %d%s", (int)(at - text), text, n_chosen,
                               at + strlen("\"index_topk\": 9"));
    assert_ok(lm_file_write_atomic(to, edited, strlen(edited), &err));
    char *const texts[] = {from, text, tensors, config, to, edited};
    for (size_t i = 0; i < LM_COUNT_OF(texts); i++) lm_free(texts[i]);
    return dir;
}

/* Appends tokens [begin, end) in one step, a row of another sequence, if any, in front of each. */
static void append(lm_session *session, int32_t seq, int begin, int end, int32_t other,
                   trace *out) {
    lm_step_row rows[2 * TOKENS] = {0};
    int n = 0;
    for (int i = begin; i < end; i++) {
        if (other >= 0) rows[n++] = (lm_step_row){.token = (i * 5 + begin) % VOCAB, .seq = other};
        rows[n++] =
            (lm_step_row){.token = (7 * i + i * i + 3) % VOCAB, .seq = seq, .want_logits = true};
    }
    assert_ok(lm_session_step(session, rows, n, &err));
    for (int i = begin; out && i < end; i++)
        memcpy(out->logits[i], lm_session_logits(session, i - begin), ROW_BYTES);
}

static void run_on(const golden_model *g, lm_session_options options, int n_tokens, int chunk,
                   bool company, trace *out) {
    lm_session *session = golden_session(g, options);
    int32_t other = company ? golden_new_seq(session) : -1, seq = golden_new_seq(session);
    for (int i = 0; i < n_tokens; i += chunk)
        append(session, seq, i, i + chunk < n_tokens ? i + chunk : n_tokens, other, out);
    lm_session_free(session);
}

static void run(const char *family, int n_threads, const char *isa, int chunk, bool company,
                lm_dtype dtype, trace *out) {
    char *path = path_of(family);
    golden_model g = open_on(path, n_threads, isa);
    lm_session_options options = roomy;
    options.kv_dtype = dtype;
    run_on(&g, options, TOKENS, chunk, company, out);
    golden_close(&g);
    lm_free(path);
}

static void check_cuts(const char *family, lm_dtype dtype) {
    static trace whole, cut;
    run(family, 1, NULL, TOKENS, false, dtype, &whole);
    for (int chunk = 1; chunk <= TOKENS; chunk = chunk * 3 + 1) {
        run(family, 1 + chunk % 3, NULL, chunk, chunk % 2 == 0, dtype, &cut);
        assert_memory_equal(&whole, &cut, sizeof cut);
    }
    run(family, 3, NULL, TOKENS, true, dtype, &cut);
    assert_memory_equal(&whole, &cut, sizeof cut);
    run(family, 2, "scalar", 40, true, dtype, &cut);
    assert_memory_equal(&whole, &cut, sizeof cut);
}

static void test_same_bits_however_cut(void **state) {
    static const lm_dtype types[] = {LM_F32, LM_F16, LM_BF16, LM_I16, LM_I8};
    for (size_t t = 0; t < LM_COUNT_OF(types); t++) {
        check_cuts(families[0], types[t]);
        check_cuts("deepseek_v4", types[t]); /* among pooled keys */
    }
    check_cuts(families[1], LM_F32);
    check_cuts("hy_v4", LM_F32);
}

/* As long as all positions are chosen, and however many could be: as in a session that has no use for the indexer. */
static void test_same_bits_where_all_are_chosen(void **state) {
    enum { CHOSEN = 70 };
    static trace dense, chosen, few;
    for (size_t f = 0; f < LM_COUNT_OF(families); f++) {
        char *dir = folder_of(families[f], CHOSEN);
        golden_model g = open_on(dir, 2, NULL);
        lm_session_options options = roomy, short_ones = roomy;
        short_ones.max_context = CHOSEN;
        run_on(&g, short_ones, CHOSEN, CHOSEN, false, &dense);
        run_on(&g, options, TOKENS, 10, false, &chosen);
        assert_memory_equal(&dense, &chosen, CHOSEN * ROW_BYTES);
        run(families[f], 2, NULL, TOKENS, false, LM_F32, &few);
        assert_memory_equal(&dense, &few, 9 * ROW_BYTES);
        assert_memory_not_equal(dense.logits[9], few.logits[9], ROW_BYTES);
        golden_close(&g);
        assert_ok(lm_file_remove_tree(dir, &err));
        lm_free(dir);
    }
}

static void test_fork_and_truncate_go_on_as_if_alone(void **state) {
    static trace whole, forked;
    char *path = path_of(families[1]);
    golden_model g = open_on(path, 2, NULL);
    lm_session *session = golden_session(&g, roomy);
    int32_t a = golden_new_seq(session), b;
    append(session, a, 0, TOKENS, -1, &whole);
    assert_ok(lm_session_seq_fork(session, a, 70, &b, &err));
    append(session, b, 70, 90, -1, &forked);
    assert_memory_equal(whole.logits[70], forked.logits[70], 20 * ROW_BYTES);
    lm_session_seq_truncate(session, a, 21);
    append(session, a, 21, TOKENS, golden_new_seq(session), &forked);
    assert_memory_equal(whole.logits[21], forked.logits[21], (TOKENS - 21) * ROW_BYTES);
    lm_session_free(session);
    golden_close(&g);
    lm_free(path);
}

static void test_steps_allocate_nothing(void **state) {
    char *path = path_of(families[1]);
    golden_model g = open_on(path, 2, NULL);
    lm_session *session = golden_session(&g, roomy);
    uint64_t before = lm_mem_n_allocs();
    int32_t a = golden_new_seq(session), b;
    append(session, a, 0, 70, -1, NULL);
    assert_ok(lm_session_seq_fork(session, a, 70, &b, &err));
    append(session, b, 70, 72, a, NULL);
    lm_session_seq_free(session, a);
    assert_int_equal(lm_mem_n_allocs(), before);
    lm_session_free(session);
    golden_close(&g);
    lm_free(path);
}

/* The indexers' keys are told, of layers that have one, and are not there where no sequence is long enough to need them. */
static void test_memory(void **state) {
    enum { SEQS = 3, BLOCK = LM_KV_BLOCK_TOKENS };
    char *path = path_of(families[1]);
    golden_model g = open_on(path, 1, NULL);
    lm_session_options options = {.max_seqs = SEQS, .max_context = BLOCK, .kv_dtype = LM_F16};
    lm_session *session = golden_session(&g, options);
    lm_footprint footprint;
    assert_ok(lm_footprint_measure(path, g.device, &options, &footprint, &err));
    assert_int_equal(footprint.index_cache_bytes, 2 * SEQS * BLOCK * INDEXED * INDEX_DIM);
    assert_int_equal(footprint.cache_bytes,
                     2 * SEQS * BLOCK * (LAYERS * KEY + INDEXED * INDEX_DIM));
    assert_true(footprint.cache_bytes + footprint.step_bytes >= lm_session_memory_bytes(session));
    options.max_context = 9;
    assert_ok(lm_footprint_measure(path, g.device, &options, &footprint, &err));
    assert_int_equal(footprint.index_cache_bytes, 0);
    assert_int_equal(footprint.cache_bytes, 2 * SEQS * BLOCK * LAYERS * KEY);
    lm_session_free(session);
    golden_close(&g);
    lm_free(path);
}

/* A row's attention costs no more for further positions, but what the indexer does for each of them. */
static void test_row_flops(void **state) {
    enum { HEADS = 12, SCORE = HEADS * (2 * INDEX_DIM + 3) };
    char *path = path_of(families[1]);
    golden_model g = open_on(path, 1, NULL);
    lm_session *session = golden_session(&g, roomy);
    int64_t at_8 = lm_session_row_flops(session, 8, true),
            at_9 = lm_session_row_flops(session, 9, true);
    assert_int_equal(at_9 - at_8, INDEXED * SCORE);
    assert_true(at_8 - lm_session_row_flops(session, 7, true) > INDEXED * SCORE);
    lm_session_free(session);
    golden_close(&g);
    lm_free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_however_cut),
        cmocka_unit_test(test_same_bits_where_all_are_chosen),
        cmocka_unit_test(test_fork_and_truncate_go_on_as_if_alone),
        cmocka_unit_test(test_steps_allocate_nothing),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_row_flops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
