/* Logits against transformers': every architecture of families.py, as folder and as GGUF file, in prefill and in decode, past
 * windows and past what a rope scaling was trained with. `test_families --table` prints the largest differences for
 * docs/models.md. */
#include "golden/golden.h"

#include <dirent.h>
#include <stdio.h>

/* f32 against torch's f32: sums in another order. */
static const double tolerance = 1e-4;

enum { N_PROMPTS = 2, N_TOKENS = 96, STEP = 4, N_VOCAB = 48, N_KEPT = N_TOKENS / STEP, MAX_CASES = 128 };

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
        g, (lm_session_options){
               .max_rows = N_TOKENS, .max_outs = N_TOKENS, .max_context = N_TOKENS});
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

static const char *names[MAX_CASES];
static struct CMUnitTest tests[MAX_CASES];

/* Negative: there is no such file. */
static void deltas_of(const char *name, double *folder, double *gguf) {
    char *dir = lm_asprintf("%s/%s", LM_FAMILIES_DIR, name), *logits = lm_path_join(dir, "logits"),
         *file = lm_path_join(dir, "model.gguf"), *weights = lm_path_join(dir, "model.safetensors");
    *folder = lm_file_exists(weights) ? check(dir, logits) : -1;
    *gguf = lm_file_exists(file) ? check(file, logits) : -1;
    lm_free(weights);
    lm_free(file);
    lm_free(logits);
    lm_free(dir);
}

static void test_family(void **state) {
    const char *name = *state;
    double folder, gguf;
    deltas_of(name, &folder, &gguf);
    assert_true(folder >= 0 || gguf >= 0);
    if (!(folder <= tolerance)) fail_msg("%s: the folder's logits differ by %g", name, folder);
    if (!(gguf <= tolerance)) fail_msg("%s: the GGUF file's logits differ by %g", name, gguf);
}

static void print_row(const char *name) {
    double folder, gguf;
    deltas_of(name, &folder, &gguf);
    printf("| %s |", name);
    printf(folder < 0 ? " – |" : " %.1e |", folder);
    printf(gguf < 0 ? " – |\n" : " %.1e |\n", gguf);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int list_cases(void) {
    DIR *dir = opendir(LM_FAMILIES_DIR);
    int n = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && n < MAX_CASES) names[n++] = lm_strdup(entry->d_name);
    if (dir) closedir(dir);
    qsort(names, (size_t)n, sizeof *names, by_name);
    return n;
}

int main(int argc, char **argv) {
    int n = list_cases(), status = n == 0; /* a test that finds nothing fails */
    bool table = argc > 1 && strcmp(argv[1], "--table") == 0;
    for (int i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){
            .name = names[i], .test_func = test_family, .initial_state = (void *)names[i]};
    if (table)
        for (int i = 0; i < n; i++) print_row(names[i]);
    else if (n > 0)
        status = _cmocka_run_group_tests("families", tests, (size_t)n, NULL, NULL);
    for (int i = 0; i < n; i++) lm_free((void *)names[i]);
    return status;
}
