/* Logits against transformers': every case of llama.py, as folder and as GGUF file, in prefill and in decode. */
#include "golden/golden.h"

/* f32 against torch's f32: sums in another order. */
static const double tolerance = 1e-4;

typedef struct golden_case {
    const char *name, *weights;
    bool has_gguf;
} golden_case;

static const golden_case cases[] = {
    {"plain", "plain", true},     {"biased", "biased", true}, {"linear", "plain", false},
    {"dynamic", "plain", false},  {"llama3", "plain", true},  {"yarn", "plain", true},
    {"mistral", "plain", false},  {"qwen2", "qwen2", true},   {"qwen3", "qwen3", true},
    {"longrope", "plain", false},
};

static void check_row(const float *logits, const float *expected, const char *name, int position) {
    for (int i = 0; i < GOLDEN_VOCAB; i++) {
        double delta = logits[i] - expected[i];
        if (!(delta <= tolerance && delta >= -tolerance))
            fail_msg("%s: position %d, token %d: %.7g is not %.7g", name, position, i, logits[i],
                     expected[i]);
    }
}

/* The first n_prefill tokens at once, the others one by one. */
static void check_run(const golden_model *g, const float *expected, const char *name,
                      int n_prefill) {
    lm_session *session = golden_session(g, (lm_session_options){.max_rows = GOLDEN_TOKENS,
                                                                 .max_outs = GOLDEN_TOKENS,
                                                                 .max_context = GOLDEN_TOKENS});
    int32_t seq;
    assert_ok(lm_session_seq_new(session, &seq, &err));
    lm_step_row rows[GOLDEN_TOKENS];
    for (int i = 0; i < GOLDEN_TOKENS; i++)
        rows[i] = (lm_step_row){.token = golden_token(i), .seq = seq, .want_logits = true};
    assert_ok(lm_session_step(session, rows, n_prefill, &err));
    for (int i = 0; i < n_prefill; i++)
        check_row(lm_session_logits(session, i), expected + i * GOLDEN_VOCAB, name, i);
    for (int i = n_prefill; i < GOLDEN_TOKENS; i++) {
        assert_ok(lm_session_step(session, rows + i, 1, &err));
        check_row(lm_session_logits(session, 0), expected + i * GOLDEN_VOCAB, name, i);
    }
    lm_session_free(session);
}

static void check_model(const char *path, const float *expected, const char *name) {
    golden_model g = golden_open(path, 2);
    check_run(&g, expected, name, GOLDEN_TOKENS);
    check_run(&g, expected, name, 5);
    golden_close(&g);
}

static void test_logits(void **state) {
    const golden_case *c = *state;
    char *logits_path = golden_path(c->name, ".logits"), *expected;
    size_t size;
    assert_ok(lm_file_read(logits_path, 1 << 20, &expected, &size, &err));
    assert_int_equal(size, GOLDEN_TOKENS * GOLDEN_VOCAB * sizeof(float));

    char *folder = golden_folder(c->name, c->weights);
    check_model(folder, (const float *)expected, c->name);
    assert_ok(lm_file_remove_tree(folder, &err));
    if (c->has_gguf) {
        char *gguf = golden_path(c->name, ".gguf");
        check_model(gguf, (const float *)expected, c->name);
        lm_free(gguf);
    }
    lm_free(folder);
    lm_free(expected);
    lm_free(logits_path);
}

int main(void) {
    struct CMUnitTest tests[LM_COUNT_OF(cases)];
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++)
        tests[i] = (struct CMUnitTest){
            .name = cases[i].name, .test_func = test_logits, .initial_state = (void *)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
