/* What sessions promise of models whose layers keep states, of every kind: the same bits however the work is cut, slots that begin anew, forks
 * that go on as if alone, memory that was told, and no allocation in a step. */
#include "golden/golden.h"
#include "model/footprint.h"
#include "model/hf_folder.h"

static const char *const families[] = {
    "lfm2",        "qwen3_next", "qwen3_5",        "granite4-h",   "nemotron_h", "nemotron_h-moe",
    "falcon_h1",   "mamba2",     "mamba",          "falcon_mamba", "jamba",      "olmo_hybrid",
    "kimi_linear", "lfm3",       "bailing_hybrid", "minimax",      "deepseek_v4",
    "kimi_k3"};

static const lm_session_options roomy = {.max_rows = 64, .max_outs = 64, .max_seqs = 4};

/* Logits after each token of the golden prompt. */
typedef struct trace {
    float logits[GOLDEN_TOKENS][48];
} trace;

enum { ROW_BYTES = sizeof(float) * 48 };

static golden_model open_family(const char *name, int n_threads) {
    char *path = lm_path_join(LM_FAMILIES_DIR, name);
    golden_model g = golden_open(path, n_threads);
    lm_free(path);
    return g;
}

/* Appends golden tokens [begin, end) in one step, a row of another sequence, if any, in front of each. */
static void append(lm_session *session, int32_t seq, int begin, int end, int32_t other,
                   trace *out) {
    lm_step_row rows[2 * GOLDEN_TOKENS] = {0};
    int n = 0;
    for (int i = begin; i < end; i++) {
        if (other >= 0) rows[n++] = (lm_step_row){.token = (i * 5 + begin) % 48, .seq = other};
        rows[n++] = (lm_step_row){.token = golden_token(i), .seq = seq, .want_logits = true};
    }
    assert_ok(lm_session_step(session, rows, n, &err));
    for (int i = begin; out && i < end; i++)
        memcpy(out->logits[i], lm_session_logits(session, i - begin), ROW_BYTES);
}

static void run(const char *family, int n_threads, int chunk, bool company, trace *out) {
    golden_model g = open_family(family, n_threads);
    lm_session *session =
        golden_session(&g, (lm_session_options){.max_rows = 96, .max_outs = 64, .max_seqs = 4});
    int32_t other = golden_new_seq(session), seq = golden_new_seq(session);
    for (int i = 0; i < GOLDEN_TOKENS; i += chunk) {
        int end = i + chunk < GOLDEN_TOKENS ? i + chunk : GOLDEN_TOKENS;
        append(session, seq, i, end, company ? other : -1, out);
    }
    lm_session_free(session);
    golden_close(&g);
}

static void test_same_bits_however_cut(void **state) {
    static trace whole, cut;
    for (size_t f = 0; f < LM_COUNT_OF(families); f++) {
        run(families[f], 1, GOLDEN_TOKENS, false, &whole);
        for (int chunk = 1; chunk <= GOLDEN_TOKENS; chunk = chunk * 3 + 1) {
            run(families[f], 1 + chunk % 3, chunk, chunk % 2 == 0, &cut);
            assert_memory_equal(&whole, &cut, sizeof cut);
        }
        run(families[f], 2, GOLDEN_TOKENS, true, &cut);
        assert_memory_equal(&whole, &cut, sizeof cut);
    }
}

static void check_slots(const char *family) {
    static trace first, again, forked;
    golden_model g = open_family(family, 2);
    lm_session *session = golden_session(&g, roomy);
    int32_t a = golden_new_seq(session), b;
    append(session, a, 0, 30, -1, &first);
    assert_int_equal(lm_session_seq_keeps(session, a, 30), 30);
    assert_int_equal(lm_session_seq_keeps(session, a, 21), 0);
    assert_ok(lm_session_seq_fork(session, a, 30, &b, &err));
    append(session, a, 30, 44, b, &first); /* the fork goes another way */
    lm_session_seq_free(session, b);
    lm_session_seq_truncate(session, a, 0);
    append(session, a, 0, 30, -1, &again);
    assert_ok(lm_session_seq_fork(session, a, 30, &b, &err));
    append(session, b, 30, 44, a, &forked);
    assert_memory_equal(first.logits, again.logits, 30 * ROW_BYTES);
    assert_memory_equal(first.logits[30], forked.logits[30], 14 * ROW_BYTES);
    lm_session_seq_free(session, a);
    a = golden_new_seq(session);
    append(session, a, 0, 30, b, &again);
    assert_memory_equal(first.logits, again.logits, 30 * ROW_BYTES);
    lm_session_free(session);
    golden_close(&g);
}

static void test_slots_begin_anew_and_are_copied(void **state) {
    for (size_t f = 0; f < LM_COUNT_OF(families); f++) check_slots(families[f]);
}

static void test_steps_allocate_nothing(void **state) {
    golden_model g = open_family(families[0], 2);
    lm_session *session = golden_session(&g, roomy);
    uint64_t before = lm_mem_n_allocs();
    int32_t a = golden_new_seq(session), b;
    append(session, a, 0, 20, -1, NULL);
    assert_ok(lm_session_seq_fork(session, a, 20, &b, &err));
    append(session, b, 20, 22, a, NULL);
    lm_session_seq_free(session, a);
    assert_int_equal(lm_mem_n_allocs(), before);
    lm_session_free(session);
    golden_close(&g);
}

/* Slots are told, and layers that keep states have no keys and values. */
static void test_memory(void **state) {
    enum { SEQS = 3, TAPS = 3, DIM = 32, LAYERS = 4, ATTEND = 1, KV_DIM = 16, CONTEXT = 64 };
    char *path = lm_path_join(LM_FAMILIES_DIR, "lfm2");
    golden_model g = golden_open(path, 1);
    lm_session_options options = {.max_seqs = SEQS, .max_context = CONTEXT};
    lm_session *session = golden_session(&g, options);
    lm_footprint footprint;
    assert_ok(lm_footprint_measure(path, g.device, &options, &footprint, &err));
    assert_int_equal(footprint.state_bytes,
                     sizeof(float) * SEQS * (LAYERS - ATTEND) * (TAPS - 1) * DIM);
    assert_int_equal(footprint.cache_bytes, sizeof(float) * SEQS * ATTEND * CONTEXT * 2 * KV_DIM);
    assert_true(footprint.cache_bytes + footprint.state_bytes + footprint.step_bytes >=
                lm_session_memory_bytes(session));
    lm_session_free(session);
    golden_close(&g);
    lm_free(path);
}

/* Where no layer attends a token takes no memory, and a sequence ends where its context does all the same. */
static void test_no_keys_and_values(void **state) {
    enum { SEQS = 2, CONTEXT = 70, BLOCKS = 2 };
    char *path = lm_path_join(LM_FAMILIES_DIR, "mamba2");
    golden_model g = golden_open(path, 1);
    lm_session_options options = {
        .max_outs = GOLDEN_TOKENS, .max_seqs = SEQS, .max_context = CONTEXT, .kv_dtype = LM_I16};
    lm_session *session = golden_session(&g, options);
    lm_footprint footprint;
    assert_ok(lm_footprint_measure(path, g.device, &options, &footprint, &err));
    assert_int_equal(footprint.cache_bytes, 0);
    assert_int_equal(footprint.token_cache_bytes, 0);
    assert_int_equal(footprint.state_bytes,
                     lm_state_seq_bytes(&lm_model_config(g.model)->hparams) * SEQS);
    assert_int_equal(lm_session_n_blocks(session), SEQS * BLOCKS);
    int32_t seq = golden_new_seq(session);
    append(session, seq, 0, GOLDEN_TOKENS, -1, NULL);
    assert_ok(lm_session_seq_reserve(session, seq, CONTEXT - GOLDEN_TOKENS, &err));
    assert_status(LOAM_LIMIT,
                  lm_session_seq_reserve(session, seq, CONTEXT - GOLDEN_TOKENS + 1, &err));
    lm_session_free(session);
    golden_close(&g);
    lm_free(path);
}

static void test_training_is_refused(void **state) {
    for (size_t f = 0; f < LM_COUNT_OF(families); f++) {
        golden_model g = open_family(families[f], 1);
        lm_graph *graph;
        assert_ok(lm_graph_new(&graph, &err));
        assert_null(lm_arch_loss(graph, lm_model_config(g.model), &(lm_forward_inputs){0}, NULL));
        assert_status(LOAM_UNSUPPORTED, lm_graph_status(graph, &err));
        lm_graph_free(graph);
        golden_close(&g);
    }
}

/* Bounds of what has none, as Python writes them. */
static void test_infinity_in_a_config(void **state) {
    static const char TEXT[] = "{\"time_step_limit\": [0.0, Infinity], \"low\": -Infinity,"
                               " \"Infinity\": \"an \\\"Infinity\\\" of\"}";
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "config.json");
    json_t *config = NULL;
    assert_ok(lm_file_write_atomic(path, TEXT, sizeof TEXT - 1, &err));
    assert_ok(lm_hf_folder_read_json(dir, "config.json", &config, &err));
    assert_true(json_is_null(json_array_get(json_object_get(config, "time_step_limit"), 1)));
    assert_true(json_is_null(json_object_get(config, "low")));
    assert_string_equal(json_string_value(json_object_get(config, "Infinity")),
                        "an \"Infinity\" of");
    json_decref(config);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_however_cut),
        cmocka_unit_test(test_slots_begin_anew_and_are_copied),
        cmocka_unit_test(test_steps_allocate_nothing),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_no_keys_and_values),
        cmocka_unit_test(test_training_is_refused),
        cmocka_unit_test(test_infinity_in_a_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
