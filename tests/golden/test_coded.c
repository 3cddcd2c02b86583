/* Quantized folders in small types: the numbers are those that the codes stand for, bit by bit where a type says them.
 * (test_families compares f32's logits with transformers'.) */
#include "golden/golden.h"

#include <sys/stat.h>

#include "base/json.h"
#include "model/hparams_write.h"

static const struct {
    const char *name;
    lm_dtype dtype;  /* of the matrices down */
    double rounding; /* of a number, relative */
} cases[] = {
    {"gptq-4bit", LM_Q4_0, 0},
    {"gptq-4bit-act-order", LM_F16, 0x1p-11}, /* 32 columns are of several groups */
    {"gptq-8bit-v2", LM_Q8_0, 0},
    {"awq", LM_Q5_0, 0},
    {"fp8-blocks", LM_BF16, 0x1p-8},
    {"fp8-tensor", LM_BF16, 0x1p-8},
    {"fp8-experts", LM_BF16, 0x1p-8},
    {"compressed-fp8", LM_BF16, 0x1p-8},
    {"compressed-int4", LM_Q4_0, 0}, /* scales are bf16 that are f16 as well */
    {"compressed-int4-zeros", LM_Q5_0, 0},
    {"compressed-int4-act-order", LM_BF16, 0x1p-8},
    {"compressed-int8", LM_Q8_0, 0},
    {"gpt_oss-mxfp4", LM_MXFP4, 0},
    {"bitnet-packed", LM_Q2_K, 0},
    {"bitnet-divided", LM_BF16, 0x1p-8},
};

static const lm_model_options as_small = {.coded_weights = LM_CODED_SMALL};

enum { N_TOKENS = 40, N_VOCAB = 48 };

static char *folder_of(const char *name) {
    return lm_asprintf("%s/%s", LM_FAMILIES_DIR, name);
}

static int64_t n_elems_of(const lm_weight *w) {
    int64_t n = 1;
    for (int i = 0; i < w->n_dims; i++) n *= w->shape[i];
    return n;
}

static float *unpacked(const lm_weight *w) {
    int64_t n = n_elems_of(w);
    float *x = lm_alloc((size_t)n * sizeof *x);
    assert_non_null(x);
    lm_dtype_get(w->dtype)->unpack(w->data, x, n);
    return x;
}

static void check_param(const golden_model *small, const golden_model *exact, lm_param_id id,
                        double rounding) {
    const lm_weight *a = lm_model_param(small->model, id, 0),
                    *b = lm_model_param(exact->model, id, 0);
    if (!a) return;
    assert_int_equal(n_elems_of(a), n_elems_of(b));
    float *x = unpacked(a), *y = unpacked(b);
    for (int64_t i = 0; i < n_elems_of(a); i++)
        if (!(fabs((double)x[i] - (double)y[i]) <= rounding * fabs((double)y[i])))
            fail_msg("%s: element %lld is %.9g as %s, %.9g in f32", a->name, (long long)i, x[i],
                     lm_dtype_get(a->dtype)->name, y[i]);
    lm_free(x);
    lm_free(y);
}

static void test_same_numbers(void **state) {
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++) {
        char *path = folder_of(cases[i].name);
        golden_model small = golden_open_with(
            path, 2, &(lm_model_options){.no_pack = true, .coded_weights = LM_CODED_SMALL});
        golden_model exact = golden_open_with(path, 1, &(lm_model_options){.no_pack = true});
        bool experts = lm_model_config(small.model)->hparams.n_experts > 0;
        lm_param_id down = experts ? LM_PARAM_DOWN_EXPS : LM_PARAM_DOWN;
        assert_string_equal(lm_dtype_get(lm_model_param(small.model, down, 0)->dtype)->name,
                            lm_dtype_get(cases[i].dtype)->name);
        assert_int_equal(lm_model_param(exact.model, down, 0)->dtype, LM_F32);
        for (int id = 0; id < LM_PARAM_COUNT; id++)
            check_param(&small, &exact, (lm_param_id)id, cases[i].rounding);
        golden_close(&small);
        golden_close(&exact);
        lm_free(path);
    }
}

/* [N_TOKENS, N_VOCAB] */
static void logits_of(const char *path, const lm_model_options *options, float *out) {
    golden_model g = golden_open_with(path, 2, options);
    lm_session *session =
        golden_session(&g, (lm_session_options){.max_rows = N_TOKENS, .max_outs = N_TOKENS});
    lm_step_row rows[N_TOKENS];
    int32_t seq;
    assert_ok(lm_session_seq_new(session, &seq, &err));
    for (int i = 0; i < N_TOKENS; i++)
        rows[i] = (lm_step_row){.token = (7 * i + 3) % N_VOCAB, .seq = seq, .want_logits = true};
    assert_ok(lm_session_step(session, rows, N_TOKENS, &err));
    for (int i = 0; i < N_TOKENS; i++)
        memcpy(out + i * N_VOCAB, lm_session_logits(session, i), N_VOCAB * sizeof *out);
    lm_session_free(session);
    golden_close(&g);
}

/* Products with small types round what they multiply to 8 bits, as for a GGUF file of that type, or to bf16, which in a model as
 * narrow as these shows. */
static void test_logits(void **state) {
    static float small[N_TOKENS * N_VOCAB], exact[N_TOKENS * N_VOCAB];
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++) {
        char *path = folder_of(cases[i].name);
        double worst = 0;
        logits_of(path, &as_small, small);
        logits_of(path, NULL, exact);
        for (int k = 0; k < N_TOKENS * N_VOCAB; k++)
            worst = fmax(worst, fabs((double)small[k] - (double)exact[k]));
        if (!(worst > 0 && worst <= 0.8)) fail_msg("%s: logits differ by %g", cases[i].name, worst);
        lm_free(path);
    }
}

/* Made once, then only mapped: what the codes stand for is not computed again. */
static void test_packed_file(void **state) {
    static float want[N_TOKENS * N_VOCAB], got[N_TOKENS * N_VOCAB];
    char *dir = test_temp_dir();
    lm_model_options options = as_small;
    options.pack_places = (lm_pack_places){.dir = dir, .min_bytes = 1};
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++) {
        char *path = folder_of(cases[i].name);
        logits_of(path, &as_small, want);
        for (int k = 0; k < 2; k++) {
            logits_of(path, &options, got);
            assert_memory_equal(got, want, sizeof want);
        }
        lm_free(path);
    }
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(dir);
}

static void copy_of(const char *folder, const char *dir, const char *name) {
    char *from = lm_path_join(folder, name);
    golden_copy(from, dir, name);
    lm_free(from);
}

/* BitNet's rows of 8 bits: no file that is written would say them, and all matrices of layers read them or none. */
static void test_rounded_rows(void **state) {
    char *path = folder_of("bitnet-divided"), *plain = folder_of("yi"), *dir = test_temp_dir(),
         *text, *config_path = lm_path_join(dir, "config.json");
    golden_model g = golden_open_with(path, 1, NULL);
    loam_error why = {0};
    assert_true(lm_model_config(g.model)->hparams.rounded_reads);
    assert_int_equal(lm_hparams_check_written(lm_model_config(g.model), &why), LOAM_UNSUPPORTED);
    copy_of(plain, dir, "config.json");
    copy_of(plain, dir, "model.safetensors");
    size_t size;
    json_t *config;
    assert_ok(lm_file_read(config_path, 1 << 20, &text, &size, &err));
    assert_ok(lm_json_parse(lm_str_of(text), config_path, &config, &err));
    json_object_set_new(config, "quantization_config",
                        json_pack("{s:s}", "quant_method", "bitnet"));
    assert_int_equal(json_dump_file(config, config_path, 0), 0);
    lm_model *model;
    assert_int_equal(lm_model_open(dir, g.device, NULL, &model, &why), LOAM_UNSUPPORTED);
    assert_non_null(strstr(why.message, "is none of three values"));
    json_decref(config);
    lm_free(text);
    golden_close(&g);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(config_path);
    lm_free(dir);
    lm_free(plain);
    lm_free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounded_rows),
        cmocka_unit_test(test_same_numbers),
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_packed_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
