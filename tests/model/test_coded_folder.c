/* What config.json and tensors say of a quantized folder: read where it fits together, refused by name where it does not. */
#include "testing.h"

#include "base/json.h"
#include "model/coded_folder.h"

static const lm_stored_type types[] = {
    {"I32", 1, 4, true, LM_I32},  {"F16", 1, 2, true, LM_F16},      {"F32", 1, 4, true, LM_F32},
    {"I8", 1, 1, false, LM_F32},  {"F8_E4M3", 1, 1, false, LM_F32}, {"U8", 1, 1, false, LM_F32},
    {"I64", 1, 8, false, LM_F32},
};

/* Zeros for all tensors but those that have data of their own. */
static const int64_t nothing[1024];

typedef struct made {
    const char *name, *type;
    int n_dims;
    int64_t shape[4];
    const void *data;
} made;

static lm_stored_tensors set_of(const made *list) {
    lm_stored_tensors set;
    assert_ok(lm_stored_tensors_init(&set, &err));
    for (; list->name; list++) {
        lm_stored_tensor t = {.n_dims = list->n_dims, .data = list->data ? list->data : nothing};
        for (size_t i = 0; i < LM_COUNT_OF(types); i++)
            if (strcmp(types[i].name, list->type) == 0) t.type = &types[i];
        memcpy(t.shape, list->shape, sizeof list->shape);
        assert_ok(lm_stored_size(t.type, t.n_dims, t.shape, &t.size_bytes, &err));
        assert_ok(lm_stored_tensors_add(&set, lm_str_of(list->name), &t, &err));
    }
    return set;
}

static loam_status open_set(const char *quantization, const lm_stored_tensors *set,
                            lm_coded_folder **out, loam_error *why) {
    char *text = lm_asprintf("{\"quantization_config\": %s}", quantization);
    json_t *config;
    assert_ok(lm_json_parse(lm_str_of(text), "config.json", &config, &err));
    loam_status status = lm_coded_folder_open(config, "config.json", set, out, why);
    json_decref(config);
    lm_free(text);
    return status;
}

static void check_refused(const char *quantization, const made *list, loam_status want,
                          const char *words) {
    lm_stored_tensors set = set_of(list);
    lm_coded_folder *folder;
    loam_error why = {0};
    loam_status status = open_set(quantization, &set, &folder, &why);
    if (status != want || (!strstr(why.message, words) && !strstr(why.hint, words)))
        fail_msg("%s: status %s, '%s' / '%s'", quantization, loam_status_name(status), why.message,
                 why.hint);
    lm_stored_tensors_deinit(&set);
}

#define GPTQ "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 32}"
#define CODES {"a.qweight", "I32", 2, {8, 16}}
#define ZEROS {"a.qzeros", "I32", 2, {2, 2}}
#define SCALES {"a.scales", "F16", 2, {2, 16}}
#define GROUPS(data) {"a.g_idx", "I32", 1, {64}, data}
#define LIST(...) ((const made[]){__VA_ARGS__, {0}})

static void test_gptq(void **state) {
    static int32_t groups[64];
    lm_stored_tensors set =
        set_of(LIST(CODES, ZEROS, SCALES, {"a.bias", "F16", 1, {16}}, {"norm", "F16", 1, {16}}));
    lm_coded_folder *folder;
    assert_ok(open_set(GPTQ, &set, &folder, &err));
    const lm_stored_tensors *tensors = lm_coded_folder_tensors(folder);
    assert_int_equal(tensors->items.len, 3);
    const lm_stored_tensor *a = lm_stored_tensors_find(tensors, "a.weight");
    assert_non_null(a);
    assert_non_null(lm_stored_tensors_find(tensors, "a.bias"));
    assert_true(a->coded && !a->data && a->shape[0] == 16 && a->shape[1] == 64);
    assert_string_equal(a->type->name, "Q5_0"); /* zeros are 1 */
    lm_coded_folder_close(folder);
    lm_stored_tensors_deinit(&set);

    check_refused(GPTQ, LIST(CODES, ZEROS), LOAM_NOT_FOUND, "'a.qweight' has no '.scales'");
    check_refused(GPTQ, LIST(CODES, SCALES), LOAM_NOT_FOUND, "has no '.qzeros'");
    check_refused(GPTQ, LIST(CODES, ZEROS, {"a.scales", "F16", 2, {2, 8}}), LOAM_INVALID,
                  "'a.scales' is F16 [2, 8]");
    check_refused(GPTQ, LIST(CODES, ZEROS, {"a.scales", "I32", 2, {2, 16}}), LOAM_INVALID,
                  "want F32|F16|BF16 [2, 16]");
    check_refused(GPTQ, LIST(CODES, SCALES, {"a.qzeros", "I32", 2, {1, 2}}), LOAM_INVALID,
                  "'a.qzeros'");
    check_refused(GPTQ, LIST(ZEROS, SCALES, {"a.qweight", "F16", 2, {8, 16}}), LOAM_INVALID,
                  "no matrix of I32");
    check_refused(GPTQ, LIST(ZEROS, SCALES, {"a.qweight", "I32", 2, {0, 16}}), LOAM_INVALID,
                  "no matrix");
    check_refused("{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 64}",
                  LIST(CODES, ZEROS, SCALES), LOAM_INVALID, "64 columns are not so many of 64");
    groups[40] = 2;
    check_refused(GPTQ, LIST(CODES, ZEROS, SCALES, GROUPS(groups)), LOAM_INVALID,
                  "column 40 is of group 2, there are 2");
    groups[40] = -1;
    check_refused(GPTQ, LIST(CODES, ZEROS, SCALES, GROUPS(groups)), LOAM_INVALID, "of group -1");
    check_refused(GPTQ, LIST(CODES, ZEROS, SCALES, {"a.g_idx", "I32", 1, {60}}), LOAM_INVALID,
                  "'a.g_idx'");
}

static void test_configs(void **state) {
    const made *list = LIST(CODES, ZEROS, SCALES);
    check_refused("{\"quant_method\": \"gptq\", \"bits\": 3}", list, LOAM_UNSUPPORTED,
                  "gptq of 3 bits");
    check_refused("{\"quant_method\": \"gptq\", \"checkpoint_format\": \"marlin\"}", list,
                  LOAM_UNSUPPORTED, "'marlin' of gptq");
    check_refused("{\"quant_method\": \"gbtq\"}", list, LOAM_UNSUPPORTED, "near are gptq");
    check_refused("{\"quant_method\": \"awq\", \"version\": \"gemv\"}", list, LOAM_UNSUPPORTED,
                  "'gemv' of awq");
    check_refused("{\"quant_method\": \"awq\", \"bits\": 8}", list, LOAM_UNSUPPORTED, "reads 4");
    check_refused("{\"bits\": 4}", list, LOAM_INVALID, "quant_method");
    check_refused("{\"quant_method\": \"gptq\", \"bits\": \"4\"}", list, LOAM_INVALID, "bits");
    check_refused(
        "{\"quant_method\": \"compressed-tensors\", \"format\": \"nvfp4-pack-quantized\"}", list,
        LOAM_UNSUPPORTED, "nvfp4-pack-quantized");
    check_refused("{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\", "
                  "\"sparsity_config\": {\"format\": \"sparse-24-bitmask\"}}",
                  list, LOAM_UNSUPPORTED, "sparse-24-bitmask");
    check_refused("{\"quant_method\": \"bitnet\", \"quantization_mode\": \"online\"}", list,
                  LOAM_UNSUPPORTED, "quantization_mode");
    check_refused("{\"quant_method\": \"bitnet\", \"use_rms_norm\": true}", list, LOAM_UNSUPPORTED,
                  "use_rms_norm");
    check_refused("{\"quant_method\": \"fp8\", \"weight_block_size\": [-1, 2]}", list, LOAM_INVALID,
                  "blocks of -1");
}

static void test_other_layouts(void **state) {
    static const int64_t shape[] = {16, 64}, huge[] = {16, (int64_t)1 << 40};
    const char *awq = "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 32}",
               *fp8 = "{\"quant_method\": \"fp8\", \"weight_block_size\": [16, 16]}",
               *pack = "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\"}",
               *mxfp4 = "{\"quant_method\": \"mxfp4\"}";
    check_refused(awq,
                  LIST({"a.qweight", "I32", 2, {64, 2}}, ZEROS, {"a.scales", "F16", 2, {2, 8}}),
                  LOAM_INVALID, "want F32|F16|BF16 [2, 16]");
    check_refused(fp8, LIST({"a.weight", "F8_E4M3", 2, {40, 64}}), LOAM_NOT_FOUND,
                  "no '.weight_scale_inv|.weight_scale|.scale'");
    check_refused(
        fp8, LIST({"a.weight", "F8_E4M3", 2, {40, 64}}, {"a.weight_scale_inv", "F32", 2, {2, 4}}),
        LOAM_INVALID, "'a.weight_scale_inv' is F32 [2, 4]");
    check_refused(pack,
                  LIST({"a.weight_packed", "I32", 2, {16, 8}},
                       {"a.weight_scale", "F16", 2, {16, 2}},
                       {"a.weight_shape", "I64", 1, {2}, huge}),
                  LOAM_INVALID, "'a.weight_shape' gives a size");
    check_refused(pack,
                  LIST({"a.weight_packed", "I32", 2, {16, 9}},
                       {"a.weight_scale", "F16", 2, {16, 2}},
                       {"a.weight_shape", "I64", 1, {2}, shape}),
                  LOAM_INVALID, "'a.weight_packed' is I32 [16, 9]");
    check_refused(
        pack, LIST({"a.weight_packed", "I32", 2, {16, 8}}, {"a.weight_scale", "F16", 2, {16, 3}}),
        LOAM_INVALID, "'a.weight_scale'");
    check_refused(mxfp4,
                  LIST({"a_blocks", "U8", 4, {2, 4, 3, 16}}, {"a_scales", "U8", 3, {2, 4, 2}}),
                  LOAM_INVALID, "'a_scales'");
    check_refused(mxfp4,
                  LIST({"a_blocks", "U8", 4, {2, 4, 3, 8}}, {"a_scales", "U8", 3, {2, 4, 3}}),
                  LOAM_INVALID, "'a_blocks'");
    check_refused("{\"quant_method\": \"bitnet\"}",
                  LIST({"a.weight", "U8", 2, {3, 16}}, {"a.weight_scale", "F32", 1, {2}}),
                  LOAM_INVALID, "'a.weight_scale'");
    check_refused(mxfp4, LIST({"a_blocks", "U8", 2, {3, 16}}, {"a_scales", "U8", 1, {3}}),
                  LOAM_INVALID, "'a_blocks'");
}

/* Every code of E4M3 as the specification has it. */
static void test_e4m3(void **state) {
    uint8_t codes[256];
    static const float scale = 1.0f;
    float x[256];
    for (int i = 0; i < 256; i++) codes[i] = (uint8_t)i;
    lm_stored_tensors set = set_of(LIST({"a.weight", "F8_E4M3", 2, {8, 32}, codes},
                                        {"a.weight_scale", "F32", 0, {0}, &scale}));
    lm_coded_folder *folder;
    assert_ok(open_set("{\"quant_method\": \"fp8\"}", &set, &folder, &err));
    const lm_stored_tensor *a = lm_stored_tensors_find(lm_coded_folder_tensors(folder), "a.weight");
    lm_coded_tensor_rows(a->coded, LM_F32, 0, 8, x);
    assert_true(x[0] == 0 && x[1] == 0x1p-9f && x[7] == 7 * 0x1p-9f && x[8] == 0x1p-6f);
    assert_true(x[0x38] == 1 && x[0x7e] == 448 && x[0xb8] == -1 && x[0xfe] == -448);
    assert_true(x[0x7f] != x[0x7f] && x[0xff] != x[0xff]);
    for (int i = 1; i < 0x7f; i++) assert_true(x[i] > x[i - 1] && x[0x80 + i] == -x[i]);
    lm_coded_folder_close(folder);
    lm_stored_tensors_deinit(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gptq),
        cmocka_unit_test(test_configs),
        cmocka_unit_test(test_other_layouts),
        cmocka_unit_test(test_e4m3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
