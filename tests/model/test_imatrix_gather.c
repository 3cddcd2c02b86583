/* A gathered importance matrix against what enters the first layer, computed plainly; and that every matrix but the output's is there. */
#include "golden/golden.h"

#include <math.h>

#include "model/imatrix_gather.h"

enum { CTX = 16, N_CHUNKS = GOLDEN_TOKENS / CTX };

/* Mean squares of RMS norm(embedding) over all tokens. */
static void plain_means(const lm_model *model, const int32_t *tokens, int64_t dim, double *out) {
    const float *embed = lm_model_param(model, LM_PARAM_TOKEN_EMBED, 0)->data,
                *norm = lm_model_param(model, LM_PARAM_ATTN_NORM, 0)->data;
    for (int64_t i = 0; i < dim; i++) out[i] = 0;
    for (int t = 0; t < GOLDEN_TOKENS; t++) {
        const float *x = embed + tokens[t] * dim;
        double sum = 0;
        for (int64_t i = 0; i < dim; i++) sum += (double)x[i] * x[i];
        double mean = sum / (double)dim + lm_model_config(model)->hparams.rms_norm_eps;
        for (int64_t i = 0; i < dim; i++) {
            double y = x[i] * norm[i];
            out[i] += y * y / mean / GOLDEN_TOKENS;
        }
    }
}

static void count_calls(void *ctx, int64_t n_done) {
    assert_int_equal(n_done, ++*(int *)ctx);
}

static lm_imatrix *write_and_read(const lm_imatrix *gathered) {
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "imatrix.gguf");
    lm_imatrix *read;
    assert_ok(lm_imatrix_write(gathered, path, "a text", N_CHUNKS, CTX, &err));
    assert_ok(lm_imatrix_read(path, &read, &err));
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
    return read;
}

static void check(const golden_model *g) {
    int32_t tokens[GOLDEN_TOKENS];
    int n_calls = 0;
    lm_text_chunks chunks;
    for (int i = 0; i < GOLDEN_TOKENS; i++) tokens[i] = golden_token(i);
    assert_ok(lm_text_chunks_init(&chunks, g->model, tokens, GOLDEN_TOKENS, CTX, 0, -1, &err));
    lm_imatrix *gathered = lm_imatrix_new();
    assert_ok(lm_imatrix_gather(gathered, g->model, &chunks, count_calls, &n_calls, &err));
    assert_int_equal(n_calls, N_CHUNKS);
    lm_imatrix *read = write_and_read(gathered);

    const lm_hparams *hp = &lm_model_config(g->model)->hparams;
    assert_int_equal(lm_imatrix_n_entries(read), 7 * hp->n_layers);
    double plain[LM_MAX_HEAD_DIM];
    size_t n;
    plain_means(g->model, tokens, hp->dim, plain);
    const float *means = lm_imatrix_find(read, "blk.0.attn_k.weight", &n);
    assert_int_equal(n, hp->dim);
    for (size_t i = 0; i < n; i++) assert_close(means[i], plain[i], 0, 1e-5);
    assert_non_null(lm_imatrix_find(read, "blk.1.ffn_down.weight", &n));
    assert_int_equal(n, hp->ffn_dim);
    lm_imatrix_free(read);
    lm_imatrix_free(gathered);
}

/* From a GGUF file and from a folder, whose names are others. */
static void test_gather(void **state) {
    golden_model g = golden_open_gguf("plain", 2);
    check(&g);
    golden_close(&g);
    char *folder = golden_folder("plain", "plain");
    g = golden_open(folder, 1);
    check(&g);
    golden_close(&g);
    assert_ok(lm_file_remove_tree(folder, &err));
    lm_free(folder);
}

static const float *floats(const lm_gguf *gguf, const char *name, int64_t n_cols, int64_t n_mats) {
    const lm_stored_tensor *tensor = lm_stored_tensors_find(lm_gguf_tensors(gguf), name);
    assert_non_null(tensor);
    assert_int_equal(lm_stored_tensor_n_elems(tensor), n_cols * n_mats);
    return tensor->data;
}

/* Every token enters n_experts_used experts: all experts' sums are so many times those of the router, which reads the same. */
static void check_experts(const lm_gguf *gguf, const lm_hparams *hp) {
    int64_t n = hp->n_experts, used = hp->n_experts_used;
    const float *router = floats(gguf, "blk.1.ffn_gate_inp.weight.in_sum2", hp->dim, 1),
                *gate = floats(gguf, "blk.1.ffn_gate_exps.weight.in_sum2", hp->dim, n),
                *gate_counts = floats(gguf, "blk.1.ffn_gate_exps.weight.counts", 1, n),
                *down = floats(gguf, "blk.1.ffn_down_exps.weight.in_sum2", hp->expert_ffn_dim, n),
                *down_counts = floats(gguf, "blk.1.ffn_down_exps.weight.counts", 1, n);
    double n_rows = 0;
    for (int64_t e = 0; e < n; e++) {
        n_rows += gate_counts[e];
        assert_true(gate_counts[e] == down_counts[e]);
        for (int64_t i = 0; i < hp->expert_ffn_dim; i++)
            assert_true(down_counts[e] > 0 || down[e * hp->expert_ffn_dim + i] == 0);
    }
    assert_true(n_rows == (double)(used * N_CHUNKS * CTX));
    for (int64_t i = 0; i < hp->dim; i++) {
        double sum = 0;
        for (int64_t e = 0; e < n; e++) sum += gate[e * hp->dim + i];
        assert_close(sum, (double)used * router[i], 1e-6, 1e-5);
    }
}

static void test_experts_have_sums_of_their_own(void **state) {
    char *source = golden_path("../families/mixtral/model", ".gguf"), *dir = test_temp_dir(),
         *path = lm_path_join(dir, "imatrix.gguf");
    golden_model g = golden_open(source, 2);
    int32_t tokens[N_CHUNKS * CTX];
    lm_text_chunks chunks;
    lm_gguf *gguf;
    for (int i = 0; i < N_CHUNKS * CTX; i++) tokens[i] = golden_token(i);
    assert_ok(lm_text_chunks_init(&chunks, g.model, tokens, N_CHUNKS * CTX, CTX, 0, -1, &err));
    lm_imatrix *gathered = lm_imatrix_new();
    assert_ok(lm_imatrix_gather(gathered, g.model, &chunks, NULL, NULL, &err));
    assert_ok(lm_imatrix_write(gathered, path, "a text", N_CHUNKS, CTX, &err));
    assert_ok(lm_gguf_open(path, &gguf, &err));
    check_experts(gguf, &lm_model_config(g.model)->hparams);
    lm_gguf_close(gguf);
    lm_imatrix_free(gathered);
    golden_close(&g);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
    lm_free(source);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gather),
                                       cmocka_unit_test(test_experts_have_sums_of_their_own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
