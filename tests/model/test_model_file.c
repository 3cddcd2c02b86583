#include "testing.h"

#include "base/file.h"
#include "model/model_file.h"

/* The two spellings of the one real model in the shared data. */
static char *stories(const char *name) {
    const char *data = test_data_dir();
    return data ? lm_asprintf("%s/models/stories260K%s%s", data, *name ? "/" : "", name) : NULL;
}

static void check_stories(const lm_model_file *file) {
    const lm_hparams *h = lm_model_file_hparams(file);
    assert_string_equal(h->architecture, "llama");
    assert_int_equal(h->n_layers, 5);
    assert_int_equal(h->dim, 64);
    assert_int_equal(h->n_heads, 8);
    assert_int_equal(h->n_kv_heads, 4);
    assert_int_equal(h->head_dim, 8);
    assert_int_equal(h->rope_dim, 8);
    assert_int_equal(h->ffn_dim, 172);
    assert_int_equal(h->vocab_size, 512);
    assert_int_equal(h->context_len, 512);
    assert_close(h->rms_norm_eps, 1e-5, 0, 1e-6);
    assert_close(h->rope_theta, 10000, 0, 0);
    assert_int_equal(h->rope_scaling.kind, LM_ROPE_SCALING_NONE);
    assert_null(h->rope_freq_factors);
    assert_true(h->tied_embeddings);
    assert_false(h->attention_bias);
    assert_false(h->mlp_bias);
    assert_int_equal(lm_model_file_n_tensors(file), 47);
}

static void test_both_formats_agree(void **state) {
    char *gguf_path = stories("stories260K-f32.gguf"), *folder_path = stories("");
    if (!gguf_path) skip();
    lm_model_file *gguf, *folder;
    lm_weight a, b;
    assert_ok(lm_model_file_open(gguf_path, &gguf, &err));
    assert_ok(lm_model_file_open(folder_path, &folder, &err));
    check_stories(gguf);
    check_stories(folder);
    assert_int_equal(lm_model_file_format(gguf), LM_FORMAT_GGUF);
    assert_int_equal(lm_model_file_format(folder), LM_FORMAT_HF);
    assert_int_equal(lm_model_file_hparams(gguf)->rope_layout, LM_ROPE_INTERLEAVED);
    assert_int_equal(lm_model_file_hparams(folder)->rope_layout, LM_ROPE_HALF_SPLIT);
    assert_ok(lm_model_file_weight(gguf, "blk.0.ffn_up.weight", 2, (int64_t[]){172, 64}, &a, &err));
    assert_ok(lm_model_file_weight(folder, "model.layers.0.mlp.up_proj.weight", 2,
                                   (int64_t[]){172, 64}, &b, &err));
    assert_int_equal(a.dtype, LM_F32);
    assert_memory_equal(a.data, b.data, 172 * 64 * 4);
    assert_status(LOAM_NOT_FOUND, lm_model_file_weight(gguf, "no", 1, (int64_t[]){1}, &a, &err));
    assert_status(LOAM_INVALID, lm_model_file_weight(gguf, "blk.0.ffn_up.weight", 2,
                                                     (int64_t[]){64, 172}, &a, &err));
    lm_model_file_close(gguf);
    lm_model_file_close(folder);
    lm_free(gguf_path);
    lm_free(folder_path);
}

static void test_not_a_model(void **state) {
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "x.gguf");
    lm_model_file *file = NULL;
    assert_status(LOAM_NOT_FOUND, lm_model_file_open(dir, &file, &err));
    assert_status(LOAM_NOT_FOUND, lm_model_file_open(path, &file, &err));
    assert_ok(lm_file_write_atomic(path, "<html>", 6, &err));
    assert_status(LOAM_CORRUPT, lm_model_file_open(path, &file, &err));
    assert_null(file);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_formats_agree),
        cmocka_unit_test(test_not_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
