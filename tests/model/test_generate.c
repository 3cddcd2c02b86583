#include "golden/golden.h"

#include "model/generate.h"

typedef struct collected {
    int32_t tokens[64];
    int n, stop_at;
} collected;

static bool collect(void *ctx, const lm_sample *sample) {
    collected *c = ctx;
    c->tokens[c->n++] = sample->token;
    return c->n != c->stop_at;
}

static const int32_t prompt[] = {3, 10, 17};

static lm_generate_options greedy(int64_t max_tokens) {
    lm_sampler_options sampling = LM_SAMPLER_DEFAULTS;
    sampling.temperature = 0;
    return (lm_generate_options){.sampling = sampling, .max_tokens = max_tokens};
}

static void test_counts_and_reasons(void **state) {
    golden_model g = golden_open_gguf("plain", 1);
    lm_session *session =
        golden_session(&g, (lm_session_options){.max_rows = 2, .max_context = 20});
    collected c = {0};
    lm_generate_stats stats;
    lm_generate_options options = greedy(5);
    assert_ok(lm_generate(session, prompt, 3, &options, collect, &c, &stats, &err));
    assert_int_equal(c.n, 5);
    assert_int_equal(stats.n_prompt, 3);
    assert_int_equal(stats.n_generated, 5);
    assert_int_equal(stats.reason, LM_STOP_LENGTH);
    int64_t flops = 0; /* the last token is not computed */
    for (int i = 0; i < 7; i++) flops += lm_session_row_flops(session, i, i >= 2);
    assert_int_equal(stats.flops, flops);

    collected until_full = {0};
    options.max_tokens = 0; /* 20 places: 3 of the prompt, 17 more, and one token that needs none */
    assert_ok(lm_generate(session, prompt, 3, &options, collect, &until_full, &stats, &err));
    assert_int_equal(until_full.n, 18);
    assert_memory_equal(until_full.tokens, c.tokens, 5 * sizeof *c.tokens);

    collected stopped = {.stop_at = 2};
    assert_ok(lm_generate(session, prompt, 3, &options, collect, &stopped, &stats, &err));
    assert_int_equal(stopped.n, 2);
    assert_int_equal(stats.reason, LM_STOP_CALLER);
    assert_int_equal(lm_session_n_free_blocks(session), lm_session_n_blocks(session));
    lm_session_free(session);
    golden_close(&g);
}

static void test_refusals(void **state) {
    golden_model g = golden_open_gguf("plain", 1);
    lm_session *session = golden_session(&g, (lm_session_options){.max_context = 2});
    collected c = {0};
    lm_generate_options options = greedy(5);
    loam_error error = {0};
    assert_int_equal(lm_generate(session, prompt, 3, &options, collect, &c, NULL, &error),
                     LOAM_LIMIT);
    assert_non_null(strstr(error.message, "3 tokens"));
    assert_non_null(strstr(error.message, "2"));
    assert_status(LOAM_INVALID, lm_generate(session, prompt, 0, &options, collect, &c, NULL, &err));
    assert_status(LOAM_INVALID,
                  lm_generate(session, (int32_t[]){-1}, 1, &options, collect, &c, NULL, &err));
    options.sampling.top_p = 2;
    assert_status(LOAM_INVALID, lm_generate(session, prompt, 1, &options, collect, &c, NULL, &err));
    assert_int_equal(c.n, 0);
    assert_int_equal(lm_session_n_free_blocks(session), lm_session_n_blocks(session));
    lm_session_free(session);
    golden_close(&g);
}

/* After the first token nothing is allocated: a token more costs none. */
static void test_tokens_allocate_nothing(void **state) {
    golden_model g = golden_open_gguf("plain", 2);
    lm_session *session = golden_session(&g, (lm_session_options){.max_context = 64});
    uint64_t n_allocs[2];
    for (int i = 0; i < 2; i++) {
        collected c = {0};
        lm_generate_options options = greedy(i ? 50 : 1);
        uint64_t before = lm_mem_n_allocs();
        assert_ok(lm_generate(session, prompt, 3, &options, collect, &c, NULL, &err));
        n_allocs[i] = lm_mem_n_allocs() - before;
    }
    assert_int_equal(n_allocs[0], n_allocs[1]);
    lm_session_free(session);
    golden_close(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_and_reasons),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_tokens_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
