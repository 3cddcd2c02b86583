#include "hub/hub_pick.h"
#include "testing.h"

/* What is chosen, as "a.gguf b.gguf (QUANT)" or "folder: ...", or the status. */
static char *picked(const char *pick, const char *const *names, size_t n) {
    lm_hub_choice choice;
    loam_error err = {0};
    loam_status status = lm_hub_pick("org/x", pick, names, n, &choice, &err);
    if (status != LOAM_OK)
        return lm_asprintf("%s: %s: %s", loam_status_name(status), err.message, err.hint);
    lm_buf out;
    lm_buf_init(&out, 4096);
    for (size_t i = 0; i < choice.files.len; i++)
        lm_buf_printf(&out, "%s ", names[choice.files.ptr[i]]);
    lm_buf_printf(&out, "(%s)", choice.is_folder ? "folder" : choice.quant);
    lm_hub_choice_deinit(&choice);
    return lm_buf_take(&out);
}

static void check(const char *pick, const char *const *names, size_t n, const char *want) {
    char *is = picked(pick, names, n);
    if (strcmp(is, want) != 0) fail_msg("'%s' picks %s, wanted %s", pick, is, want);
    lm_free(is);
}

static void check_says(const char *pick, const char *const *names, size_t n, const char *words) {
    char *is = picked(pick, names, n);
    if (!strstr(is, words)) fail_msg("'%s' gives %s, wanted %s in it", pick, is, words);
    lm_free(is);
}

static void test_quants_in_names(void **state) {
    static const char *const rows[][2] = {
        {"Qwen3-0.6B-Q4_K_M.gguf", "Q4_K_M"},
        {"llama-2-7b.Q5_0.gguf", "Q5_0"},
        {"qwen2.5-0.5b-instruct-q4_k_m.gguf", "q4_k_m"},
        {"Q8_0/Llama-3.1-405B-Q8_0-00001-of-00009.gguf", "Q8_0"},
        {"Qwen3-8B-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"},
        {"m-IQ4_XS.gguf", "IQ4_XS"},
        {"gpt-oss-20b-mxfp4.gguf", "mxfp4"},
        {"model-bf16.gguf", "bf16"},
        {"Phi-3-mini-4k-instruct-fp16.gguf", "fp16"},
        {"m.F32.gguf", "F32"},
        {"Qwen3-0.6B.gguf", ""},
        {"quantized.gguf", ""},
        {"m-q.gguf", ""},
        {"m-00001-of-00002.gguf", ""},
        {"model.safetensors", ""},
    };
    for (size_t i = 0; i < LM_COUNT_OF(rows); i++) {
        lm_str quant = lm_hub_quant_of(rows[i][0]);
        if (!lm_str_is(quant, rows[i][1]))
            fail_msg("%s gives '%.*s'", rows[i][0], (int)quant.len, quant.ptr);
    }
}

static void test_gguf(void **state) {
    static const char *const names[] = {"README.md",
                                        "UD/m-UD-Q4_K_XL.gguf",
                                        "m-Q2_K.gguf",
                                        "m-Q4_0-00001-of-00002.gguf",
                                        "m-Q4_0-00002-of-00002.gguf",
                                        "m-Q6_K-00001-of-00002.gguf",
                                        "m-Q8_0.gguf",
                                        "m.imatrix.gguf",
                                        "mmproj-Q8_0.gguf"};
    size_t n = LM_COUNT_OF(names);
    check("", names, n, "m-Q4_0-00001-of-00002.gguf m-Q4_0-00002-of-00002.gguf (Q4_0)");
    check("q8_0", names, n, "m-Q8_0.gguf (Q8_0)");
    check("Q4_K_XL", names, n, "UD/m-UD-Q4_K_XL.gguf (UD-Q4_K_XL)");
    check("UD-Q4_K_XL", names, n, "UD/m-UD-Q4_K_XL.gguf (UD-Q4_K_XL)");
    check("m-UD-Q4_K_XL.gguf", names, n, "UD/m-UD-Q4_K_XL.gguf (UD-Q4_K_XL)");
    check("m-Q4_0-00001-of-00002.gguf", names, n,
          "m-Q4_0-00001-of-00002.gguf m-Q4_0-00002-of-00002.gguf (Q4_0)");
    check("README.md", names, n, "README.md ()");
    check_says("Q6_K", names, n, "1 of the 2 parts of 'm-Q6_K'");
    check_says("Q5_K_M", names, n, "it has UD-Q4_K_XL, Q2_K, Q4_0, Q6_K, Q8_0");
    check_says("_0", names, n, "nothing that fits");
}

static void test_alike(void **state) {
    static const char *const names[] = {"a-Q8_0.gguf", "b-Q8_0.gguf", "only.gguf"};
    check_says("Q8_0", names, 3, "several files fit");
    check("a-Q8_0.gguf", names, 3, "a-Q8_0.gguf (Q8_0)");
    check("", names + 2, 1, "only.gguf ()");
}

static void test_folders(void **state) {
    static const char *const names[] = {
        "1_Pooling/config.json", "config.json",      "m-Q8_0.gguf",    "model.fp16.safetensors",
        "model.safetensors",     "onnx/config.json", "tokenizer.json", "x.py"};
    check("", names, 8,
          "1_Pooling/config.json config.json model.safetensors tokenizer.json (folder)");
    check("safetensors", names, 8,
          "1_Pooling/config.json config.json model.safetensors tokenizer.json (folder)");
    check("Q8_0", names, 8, "m-Q8_0.gguf (Q8_0)");
    static const char *const odd[] = {"adapter.safetensors", "config.json"};
    check("", odd, 2, "adapter.safetensors config.json (folder)");
    static const char *const pickles[] = {"config.json", "pytorch_model.bin"};
    check_says("", pickles, 2, "pickles");
    check_says("", pickles, 0, "no weights that loam reads");
}

static int n_variants;

static void count_variant(void *ctx, const lm_hub_choice *choice) {
    n_variants++;
    *(int *)ctx += choice->is_partial;
}

static void test_variants(void **state) {
    static const char *const names[] = {"a-Q4_0-00002-of-00002.gguf", "a-Q8_0.gguf", "config.json",
                                        "model.safetensors"};
    int n_partial = 0;
    n_variants = 0;
    assert_ok(lm_hub_each_variant(names, 4, count_variant, &n_partial, &err));
    assert_int_equal(n_variants, 3);
    assert_int_equal(n_partial, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quants_in_names), cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_alike),           cmocka_unit_test(test_folders),
        cmocka_unit_test(test_variants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
