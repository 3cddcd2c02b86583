/* Perplexity against the plain computation: whole chunks in one step, the softmax as it is written. */
#include "golden/golden.h"

#include <math.h>

#include "model/perplexity.h"

enum { CTX = 16, BOS = 1 };

/* -ln p of the next token from a row of logits. */
static double plain_nll(const float *logits, int32_t next) {
    double sum = 0;
    for (int i = 0; i < GOLDEN_VOCAB; i++) sum += exp((double)logits[i]);
    return -log(exp((double)logits[next]) / sum);
}

/* Appends the scores of one chunk; returns how many there are. */
static int plain_chunk(lm_session *session, const int32_t *tokens, int32_t bos, double *out) {
    lm_step_row rows[CTX];
    int32_t seq;
    int n = 0;
    assert_ok(lm_session_seq_new(session, &seq, &err));
    for (int i = 0; i < CTX; i++)
        rows[i] = (lm_step_row){.token = tokens[i], .seq = seq, .want_logits = true};
    if (bos >= 0) rows[0].token = bos;
    assert_ok(lm_session_step(session, rows, CTX, &err));
    for (int i = CTX / 2; i + 1 < CTX; i++)
        out[n++] = plain_nll(lm_session_logits(session, i), tokens[i + 1]);
    lm_session_seq_free(session, seq);
    return n;
}

static void fill_tokens(int32_t tokens[GOLDEN_TOKENS]) {
    for (int i = 0; i < GOLDEN_TOKENS; i++) tokens[i] = golden_token(i);
}

static void check_against_plain(const golden_model *g, int32_t bos) {
    int32_t tokens[GOLDEN_TOKENS];
    double nll[GOLDEN_TOKENS], mean = 0, variance = 0;
    int n = 0;
    fill_tokens(tokens);
    lm_session *session = golden_session(
        g, (lm_session_options){.max_rows = CTX, .max_outs = CTX, .max_context = CTX});
    for (int at = 0; at + CTX <= GOLDEN_TOKENS; at += CTX)
        n += plain_chunk(session, tokens + at, bos, nll + n);
    lm_session_free(session);
    for (int i = 0; i < n; i++) mean += nll[i] / n;
    for (int i = 0; i < n; i++) variance += (nll[i] - mean) * (nll[i] - mean) / n;

    lm_text_chunks chunks;
    lm_perplexity p;
    assert_ok(lm_text_chunks_init(&chunks, g->model, tokens, GOLDEN_TOKENS, CTX, 0, bos, &err));
    assert_ok(lm_perplexity_run(g->model, &chunks, LM_F32, NULL, NULL, &p, &err));
    assert_int_equal(p.n_chunks, GOLDEN_TOKENS / CTX);
    assert_int_equal(p.n_scored, n);
    assert_close(lm_perplexity_value(&p), exp(mean), 0, 1e-9);
    assert_close(lm_perplexity_error(&p), sqrt(variance / (n - 1)) * exp(mean), 0, 1e-6);
}

static void test_plain(void **state) {
    for (int n_threads = 1; n_threads <= 2; n_threads++) {
        golden_model g = golden_open_gguf("plain", n_threads);
        check_against_plain(&g, -1);
        check_against_plain(&g, BOS);
        golden_close(&g);
    }
}

static void count_calls(void *ctx, const lm_perplexity *so_far) {
    assert_int_equal(so_far->n_done, ++*(int *)ctx);
}

static void test_chunks(void **state) {
    golden_model g = golden_open_gguf("plain", 1);
    int32_t tokens[GOLDEN_TOKENS];
    int n_calls = 0;
    fill_tokens(tokens);
    lm_text_chunks chunks;
    lm_perplexity two, all_but_one;
    assert_ok(lm_text_chunks_init(&chunks, g.model, tokens, GOLDEN_TOKENS, CTX, 2, -1, &err));
    assert_ok(lm_perplexity_run(g.model, &chunks, LM_F32, count_calls, &n_calls, &two, &err));
    assert_int_equal(n_calls, 2);
    /* a chunk that is not whole is left out */
    assert_ok(lm_text_chunks_init(&chunks, g.model, tokens, GOLDEN_TOKENS - 1, CTX, 0, -1, &err));
    assert_ok(lm_perplexity_run(g.model, &chunks, LM_F32, NULL, NULL, &all_but_one, &err));
    assert_memory_equal(&two, &all_but_one, sizeof two);
    golden_close(&g);
}

static void test_refusals(void **state) {
    golden_model g = golden_open_gguf("plain", 1);
    int32_t tokens[GOLDEN_TOKENS];
    fill_tokens(tokens);
    lm_text_chunks c;
    assert_status(LOAM_INVALID, lm_text_chunks_init(&c, g.model, tokens, GOLDEN_TOKENS - 1,
                                                    GOLDEN_TOKENS, 0, -1, &err));
    assert_status(LOAM_INVALID,
                  lm_text_chunks_init(&c, g.model, tokens, GOLDEN_TOKENS, 3, 0, -1, &err));
    tokens[5] = GOLDEN_VOCAB;
    assert_status(LOAM_INVALID,
                  lm_text_chunks_init(&c, g.model, tokens, GOLDEN_TOKENS, CTX, 0, -1, &err));
    golden_close(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
