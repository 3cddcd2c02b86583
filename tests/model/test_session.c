/* What sessions promise: the same bits however the work is cut, books that add up, and no allocation in a step. */
#include "golden/golden.h"

static const lm_session_options roomy = {.max_rows = 64, .max_outs = 64, .max_seqs = 4};

/* Logits after each token of the golden prompt, computed in chunks; [GOLDEN_TOKENS][GOLDEN_VOCAB]. */
typedef struct trace {
    float logits[GOLDEN_TOKENS][GOLDEN_VOCAB];
} trace;

static int32_t new_seq(lm_session *session) {
    int32_t seq = -1;
    assert_ok(lm_session_seq_new(session, &seq, &err));
    return seq;
}

/* Appends golden tokens [begin, end) to a sequence in one step, beside `others` rows of another sequence. */
static void append(lm_session *session, int32_t seq, int begin, int end, int32_t other,
                   int n_others, trace *out) {
    lm_step_row rows[128];
    int n = 0;
    for (int i = 0; i < n_others; i++)
        rows[n++] = (lm_step_row){.token = (i * 5 + begin) % GOLDEN_VOCAB, .seq = other};
    for (int i = begin; i < end; i++)
        rows[n++] = (lm_step_row){.token = golden_token(i), .seq = seq, .want_logits = true};
    assert_ok(lm_session_step(session, rows, n, &err));
    for (int i = begin; out && i < end; i++)
        memcpy(out->logits[i], lm_session_logits(session, i - begin), sizeof out->logits[i]);
}

static trace run_in_chunks(int n_threads, int chunk, int n_others, lm_dtype kv_dtype) {
    golden_model g = golden_open_gguf("plain", n_threads);
    lm_session_options options = roomy;
    options.kv_dtype = kv_dtype;
    lm_session *session = golden_session(&g, options);
    int32_t other = new_seq(session), seq = new_seq(session);
    trace t;
    for (int i = 0; i < GOLDEN_TOKENS; i += chunk) {
        int end = i + chunk < GOLDEN_TOKENS ? i + chunk : GOLDEN_TOKENS;
        append(session, seq, i, end, other, i == 0 ? n_others : n_others / 8, &t);
    }
    lm_session_free(session);
    golden_close(&g);
    return t;
}

static void test_same_bits_however_cut(void **state) {
    const lm_dtype dtypes[] = {LM_F32, LM_F16, LM_BF16};
    for (size_t d = 0; d < LM_COUNT_OF(dtypes); d++) {
        trace whole = run_in_chunks(1, GOLDEN_TOKENS, 0, dtypes[d]);
        const struct {
            int n_threads, chunk, n_others;
        } ways[] = {{1, 1, 0}, {1, 3, 0},  {2, 16, 0},  {3, 64, 0},
                    {2, 1, 8}, {3, 3, 11}, {1, 16, 16}, {2, 48, 7}};
        for (size_t i = 0; i < LM_COUNT_OF(ways); i++) {
            trace t = run_in_chunks(ways[i].n_threads, ways[i].chunk, ways[i].n_others, dtypes[d]);
            assert_memory_equal(&whole, &t, sizeof t);
        }
    }
}

static void test_fork_and_truncate_go_on_as_if_alone(void **state) {
    golden_model g = golden_open_gguf("biased", 2);
    lm_session *session = golden_session(&g, roomy);
    int32_t a = new_seq(session), b;
    trace whole, forked;
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
    int32_t a = new_seq(session), b;
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
                .max_rows = 32, .max_outs = 2, .max_seqs = 3, .max_context = 40, .n_blocks = 3});
    int32_t a = new_seq(session), b = new_seq(session);
    lm_step_row rows[40];
    for (int i = 0; i < 40; i++) rows[i] = (lm_step_row){.token = 1, .seq = i < 17 ? a : b};
    assert_ok(lm_session_step(session, rows, 16, &err));
    assert_status(LOAM_INVALID, lm_session_step(session, rows, 33, &err));
    assert_status(LOAM_INVALID, lm_session_step(session, rows, 0, &err));
    rows[1].token = GOLDEN_VOCAB;
    assert_status(LOAM_INVALID, lm_session_step(session, rows, 2, &err));
    rows[1].token = -1;
    assert_status(LOAM_INVALID, lm_session_step(session, rows, 2, &err));
    rows[1] = (lm_step_row){.token = 1, .seq = 2};
    assert_status(LOAM_INVALID, lm_session_step(session, rows, 2, &err));
    rows[1].seq = a;
    for (int i = 0; i < 3; i++) rows[i].want_logits = true;
    assert_status(LOAM_INVALID, lm_session_step(session, rows, 3, &err));
    for (int i = 0; i < 3; i++) rows[i].want_logits = false;

    for (int i = 0; i < 32; i++)
        rows[i].seq = i < 1 ? a : b; /* a needs 1 block, b 2, and 2 are free */
    assert_status(LOAM_LIMIT, lm_session_step(session, rows, 32, &err));
    for (int i = 0; i < 25; i++) rows[i].seq = a;
    assert_status(LOAM_LIMIT,
                  lm_session_step(session, rows, 25, &err)); /* 16 + 25 exceed the context */
    assert_int_equal(lm_session_seq_len(session, a), 16);
    assert_int_equal(lm_session_seq_len(session, b), 0);
    assert_int_equal(lm_session_n_free_blocks(session), 2);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_however_cut),
        cmocka_unit_test(test_fork_and_truncate_go_on_as_if_alone),
        cmocka_unit_test(test_steps_allocate_nothing),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_row_flops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
