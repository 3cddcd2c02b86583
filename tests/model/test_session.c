/* What sessions promise: the same bits however the work is cut, books that add up, and no allocation in a step. */
#include <math.h>

#include "golden/golden.h"

enum { LONG = 3 * LM_KV_BLOCK_TOKENS - 10 }; /* tokens in three blocks */

static const lm_session_options roomy = {.max_rows = 64, .max_outs = 64, .max_seqs = 4};
static const lm_session_options long_roomy = {
    .max_rows = LONG + 16, .max_outs = LONG, .max_seqs = 4, .max_context = LONG};

/* Logits after each token of the golden prompt, computed in chunks. */
typedef struct trace {
    float logits[LONG][GOLDEN_VOCAB];
} trace;

/* Appends golden tokens [begin, end) to a sequence in one step, beside `others` rows of another sequence. */
static void append(lm_session *session, int32_t seq, int begin, int end, int32_t other,
                   int n_others, trace *out) {
    lm_step_row rows[LONG + 16];
    int n = 0;
    for (int i = 0; i < n_others; i++)
        rows[n++] = (lm_step_row){.token = (i * 5 + begin) % GOLDEN_VOCAB, .seq = other};
    for (int i = begin; i < end; i++)
        rows[n++] = (lm_step_row){.token = golden_token(i), .seq = seq, .want_logits = true};
    assert_ok(lm_session_step(session, rows, n, &err));
    for (int i = begin; out && i < end; i++)
        memcpy(out->logits[i], lm_session_logits(session, i - begin), sizeof out->logits[i]);
}

typedef struct way {
    int n_threads, chunk, n_others;
} way;

/* A model that stretches to any context. */
static golden_model open_stretching(int n_threads) {
    char *dir = golden_folder("dynamic", "plain");
    golden_model g = golden_open(dir, n_threads);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(dir);
    return g;
}

static void run_in_chunks(int n_tokens, lm_session_options options, way w, trace *out) {
    golden_model g =
        options.max_context ? open_stretching(w.n_threads) : golden_open_gguf("plain", w.n_threads);
    lm_session *session = golden_session(&g, options);
    int32_t other = golden_new_seq(session), seq = golden_new_seq(session);
    memset(out, 0, sizeof *out);
    for (int i = 0; i < n_tokens; i += w.chunk) {
        int end = i + w.chunk < n_tokens ? i + w.chunk : n_tokens;
        append(session, seq, i, end, other, i == 0 ? w.n_others : w.n_others / 8, out);
    }
    lm_session_free(session);
    golden_close(&g);
}

static void check_ways(int n_tokens, lm_session_options options, const way *ways, size_t n_ways) {
    const lm_dtype dtypes[] = {LM_F32, LM_F16, LM_BF16, LM_I8, LM_I16};
    static trace whole, cut;
    for (size_t d = 0; d < LM_COUNT_OF(dtypes); d++) {
        options.kv_dtype = dtypes[d];
        run_in_chunks(n_tokens, options, (way){1, n_tokens, 0}, &whole);
        for (size_t i = 0; i < n_ways; i++) {
            run_in_chunks(n_tokens, options, ways[i], &cut);
            assert_memory_equal(&whole, &cut, sizeof cut);
        }
    }
}

static void test_same_bits_however_cut(void **state) {
    const way ways[] = {{1, 1, 0}, {1, 3, 0},  {2, 16, 0},  {3, 64, 0},
                        {2, 1, 8}, {3, 3, 11}, {1, 16, 16}, {2, 48, 7}};
    check_ways(GOLDEN_TOKENS, roomy, ways, LM_COUNT_OF(ways));
}

/* The same where a sequence has several blocks; this model stretches to a longer context. */
static void test_same_bits_over_blocks(void **state) {
    const way ways[] = {{1, 1, 0}, {2, 7, 3}, {3, LM_KV_BLOCK_TOKENS, 5}, {2, 100, 0}};
    check_ways(LONG, long_roomy, ways, LM_COUNT_OF(ways));
}

/* The largest magnitude among the differences; `from` NULL: among the logits. */
static float largest_of(const trace *t, const trace *from) {
    float largest = 0.0f;
    for (int i = 0; i < LONG; i++)
        for (int j = 0; j < GOLDEN_VOCAB; j++)
            largest = fmaxf(largest, fabsf(t->logits[i][j] - (from ? from->logits[i][j] : 0.0f)));
    return largest;
}

/* How far the logits lie from those over an f32 cache, against the largest of them. The types keep 11, 8 and 7 bits of a key
 * or value, i16 as many as f16 or more; two layers of them add up to some steps of that size. */
static void test_cache_types_stay_near(void **state) {
    const struct {
        lm_dtype dtype;
        float bound;
    } types[] = {{LM_F16, 3e-3f}, {LM_I16, 3e-3f}, {LM_BF16, 2.5e-2f}, {LM_I8, 5e-2f}};
    static trace exact, rounded;
    lm_session_options options = long_roomy;
    run_in_chunks(LONG, options, (way){1, LONG, 0}, &exact);
    float largest = largest_of(&exact, NULL);
    for (size_t t = 0; t < LM_COUNT_OF(types); t++) {
        options.kv_dtype = types[t].dtype;
        run_in_chunks(LONG, options, (way){1, LONG, 0}, &rounded);
        float apart = largest_of(&rounded, &exact);
        if (!(apart > 0.0f && apart <= types[t].bound * largest))
            fail_msg("%s: %g apart, the largest is %g", lm_dtype_get(types[t].dtype)->name,
                     (double)apart, (double)largest);
    }
}

static void test_fork_and_truncate_go_on_as_if_alone(void **state) {
    golden_model g = golden_open_gguf("biased", 2);
    lm_session *session = golden_session(&g, roomy);
    int32_t a = golden_new_seq(session), b;
    static trace whole, forked;
    append(session, a, 0, GOLDEN_TOKENS, a, 0, &whole);

    assert_ok(lm_session_seq_fork(session, a, 21, &b, &err));
    append(session, b, 21, 30, b, 0, &forked);
    assert_memory_equal(whole.logits[21], forked.logits[21], sizeof(float) * GOLDEN_VOCAB * 9);

    lm_session_seq_truncate(session, a, 10);
    append(session, a, 10, GOLDEN_TOKENS, b, 3, &forked); /* 3 other rows go to b */
    assert_memory_equal(whole.logits[10], forked.logits[10],
                        sizeof(float) * GOLDEN_VOCAB * (GOLDEN_TOKENS - 10));
    lm_session_seq_free(session, a);
    lm_session_seq_free(session, b);
    assert_int_equal(lm_session_n_free_blocks(session), lm_session_n_blocks(session));
    lm_session_free(session);
    golden_close(&g);
}

static void test_steps_allocate_nothing(void **state) {
    golden_model g = golden_open_gguf("plain", 2);
    lm_session *session = golden_session(&g, roomy);
    uint64_t before = lm_mem_n_allocs();
    int32_t a = golden_new_seq(session), b;
    append(session, a, 0, 20, a, 0, NULL);
    assert_ok(lm_session_seq_fork(session, a, 18, &b, &err));
    append(session, b, 18, 19, a, 4, NULL);
    lm_session_seq_free(session, a);
    assert_int_equal(lm_mem_n_allocs(), before);
    lm_session_free(session);
    golden_close(&g);
}

/* A step that fails changes no sequence. */
static void test_refusals(void **state) {
    golden_model g = golden_open_gguf("plain", 1);
    lm_session *session = golden_session(
        &g, (lm_session_options){
                .max_rows = 32, .max_outs = 2, .max_seqs = 3, .max_context = 40, .n_blocks = 2});
    int32_t a = golden_new_seq(session), b = golden_new_seq(session), c = golden_new_seq(session);
    lm_step_row rows[40];
    for (int i = 0; i < 40; i++) rows[i] = (lm_step_row){.token = 1, .seq = i < 17 ? a : b};
    assert_ok(lm_session_step(session, rows, 16, &err));
    assert_status(LOAM_INVALID, lm_session_step(session, rows, 33, &err));
    assert_status(LOAM_INVALID, lm_session_step(session, rows, 0, &err));
    rows[1].token = GOLDEN_VOCAB;
    assert_status(LOAM_INVALID, lm_session_step(session, rows, 2, &err));
    rows[1].token = -1;
    assert_status(LOAM_INVALID, lm_session_step(session, rows, 2, &err));
    rows[1] = (lm_step_row){.token = 1, .seq = 3};
    assert_status(LOAM_INVALID, lm_session_step(session, rows, 2, &err));
    rows[1].seq = a;
    for (int i = 0; i < 3; i++) rows[i].want_logits = true;
    assert_status(LOAM_INVALID, lm_session_step(session, rows, 3, &err));
    for (int i = 0; i < 3; i++) rows[i].want_logits = false;

    for (int i = 0; i < 32; i++)
        rows[i].seq = i < 1 ? a : i < 9 ? b : c; /* b and c need a block each, and 1 is free */
    assert_status(LOAM_LIMIT, lm_session_step(session, rows, 32, &err));
    for (int i = 0; i < 25; i++) rows[i].seq = a;
    assert_status(LOAM_LIMIT,
                  lm_session_step(session, rows, 25, &err)); /* 16 + 25 exceed the context */
    assert_int_equal(lm_session_seq_len(session, a), 16);
    assert_int_equal(lm_session_seq_len(session, b), 0);
    assert_int_equal(lm_session_seq_len(session, c), 0);
    assert_int_equal(lm_session_n_free_blocks(session), 1);
    lm_session_free(session);

    lm_session_options too_long = {.max_context = 65};
    assert_status(LOAM_INVALID, lm_session_new(g.model, &too_long, &session, &err));
    lm_session_options no_cache = {.kv_dtype = LM_Q8_0};
    assert_status(LOAM_UNSUPPORTED, lm_session_new(g.model, &no_cache, &session, &err));
    golden_close(&g);
}

/* FLOPs of a row: the matrix products at 2 a multiply-add, attention by position, the head only where logits are. */
static void test_row_flops(void **state) {
    golden_model g = golden_open_gguf("plain", 1);
    lm_session *session = golden_session(&g, roomy);
    const lm_hparams *hp = &lm_model_config(g.model)->hparams;
    int64_t head = 2 * hp->dim * hp->vocab_size, products = 0;
    for (int id = LM_PARAM_Q; id <= LM_PARAM_DOWN; id++) {
        const lm_weight *w = lm_model_param(g.model, id, 0);
        if (w && w->n_dims == 2) products += 2 * w->shape[0] * w->shape[1] * hp->n_layers;
    }
    int64_t at_0 = lm_session_row_flops(session, 0, false);
    assert_in_range(at_0, products, products * 5 / 4);
    assert_in_range(lm_session_row_flops(session, 0, true) - at_0, head, head * 5 / 4);
    int64_t context = lm_session_row_flops(session, 9, false) - at_0;
    assert_in_range(context, 9 * hp->n_layers * 4 * hp->n_heads * hp->head_dim,
                    9 * hp->n_layers * 5 * hp->n_heads * hp->head_dim);
    lm_session_free(session);
    golden_close(&g);
}

/* Where layers see a window, a position counts no more than that; a step's FLOPs are its rows' sum. */
static void test_windows_are_counted(void **state) {
    enum { WINDOW = 20, LAST = 40, AT_ONCE = 3 };
    golden_model g = golden_open_windowed(WINDOW);
    lm_session *session = golden_session(&g, roomy);
    assert_true(lm_session_row_flops(session, WINDOW - 2, true) <
                lm_session_row_flops(session, WINDOW - 1, true));
    assert_int_equal(lm_session_row_flops(session, WINDOW, true),
                     lm_session_row_flops(session, WINDOW - 1, true));
    int32_t seq = golden_new_seq(session);
    append(session, seq, 0, LAST - AT_ONCE, seq, 0, NULL);
    append(session, seq, LAST - AT_ONCE, LAST, seq, 0, NULL);
    const int64_t *extents = lm_session_extents(session);
    assert_int_equal(lm_plan_cost(lm_session_plan(session), extents).flops,
                     AT_ONCE * lm_session_row_flops(session, LAST, true));
    assert_int_equal(extents[LM_EXTENT_CACHED], LAST);
    assert_int_equal(extents[LM_EXTENT_WINDOW_CACHED], WINDOW + AT_ONCE - 1);
    assert_int_equal(extents[LM_EXTENT_WINDOW_CONTEXT], AT_ONCE * WINDOW);
    lm_session_free(session);
    golden_close(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_however_cut),
        cmocka_unit_test(test_same_bits_over_blocks),
        cmocka_unit_test(test_cache_types_stay_near),
        cmocka_unit_test(test_fork_and_truncate_go_on_as_if_alone),
        cmocka_unit_test(test_steps_allocate_nothing),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_row_flops),
        cmocka_unit_test(test_windows_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
