/* Logits against transformers': every architecture of families.py, as folder and as GGUF file, in prefill and in decode, past
 * windows and past what a rope scaling was trained with. `test_families --table` prints the largest differences for
 * docs/models.md. */
#include "golden/golden.h"

#include "golden/cases.h"

enum { N_PROMPTS = 2, N_TOKENS = 96, STEP = 4, N_VOCAB = 48, N_KEPT = N_TOKENS / STEP };

static int32_t token_of(int prompt, int i) {
    return prompt == 0 ? (7 * i + 3) % N_VOCAB : (5 * i * i + i + 11) % N_VOCAB;
}

/* Keeps the logits of a step's rows, positions [first, first + n), that are compared. */
static void keep(lm_session *session, int first, int n, float *kept) {
    for (int i = first; i < first + n; i++)
        if ((i + 1) % STEP == 0)
            memcpy(kept + (i / STEP) * N_VOCAB, lm_session_logits(session, i - first),
                   N_VOCAB * sizeof *kept);
}

/* The first n_prefill tokens at once, the others one by one. kept: [N_KEPT, N_VOCAB] */
static void run(const golden_model *g, int prompt, int n_prefill, float *kept) {
    lm_session *session = golden_session(
        g,
        (lm_session_options){.max_rows = N_TOKENS, .max_outs = N_TOKENS, .max_context = N_TOKENS});
    int32_t seq;
    lm_step_row rows[N_TOKENS];
    assert_ok(lm_session_seq_new(session, &seq, &err));
    for (int i = 0; i < N_TOKENS; i++)
        rows[i] = (lm_step_row){.token = token_of(prompt, i), .seq = seq, .want_logits = true};
    assert_ok(lm_session_step(session, rows, n_prefill, &err));
    keep(session, 0, n_prefill, kept);
    for (int i = n_prefill; i < N_TOKENS; i++) {
        assert_ok(lm_session_step(session, rows + i, 1, &err));
        keep(session, i, 1, kept);
    }
    lm_session_free(session);
}

/* The largest difference from what transformers says; prefill and decode, on one thread and on two, must give equal bits. */
static double check(const char *path, const char *logits_path) {
    static float whole[N_KEPT * N_VOCAB], stepped[N_KEPT * N_VOCAB];
    char *bytes;
    size_t size;
    double worst = 0;
    assert_ok(lm_file_read(logits_path, 1 << 20, &bytes, &size, &err));
    assert_int_equal(size, N_PROMPTS * sizeof whole);
    const float *expected = (const float *)bytes;
    golden_model one = golden_open(path, 1), two = golden_open(path, 2);
    for (int p = 0; p < N_PROMPTS; p++, expected += N_KEPT * N_VOCAB) {
        run(&two, p, N_TOKENS, whole);
        run(&one, p, 5, stepped);
        assert_memory_equal(whole, stepped, sizeof whole);
        for (int i = 0; i < N_KEPT * N_VOCAB; i++) {
            double delta = fabs((double)whole[i] - (double)expected[i]);
            if (!(delta <= worst)) worst = delta; /* NaN too, which then fails */
        }
    }
    golden_close(&one);
    golden_close(&two);
    lm_free(bytes);
    return worst;
}

int main(int argc, char **argv) {
    const golden_cases cases = {"families", LM_FAMILIES_DIR, "logits", check};
    return golden_cases_run(&cases, argc, argv);
}
