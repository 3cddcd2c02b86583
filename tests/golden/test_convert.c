/* Every golden model from folder to GGUF and back: the same logits, and in the end the same tensors bit by bit. */
#include <dirent.h>

#include "golden/golden.h"
#include "model/coded_tensor.h"
#include "model/convert.h"
#include "model/model_file.h"

enum { MAX_FAMILIES = 256 };

static const double tolerance = 1e-4; /* f32; rotary pairs in another order sum in another */

typedef struct convert_case {
    const char *name, *weights;
} convert_case;

static const convert_case cases[] = {
    {"plain", "plain"},   {"biased", "biased"},  {"linear", "plain"}, {"llama3", "plain"},
    {"yarn", "plain"},    {"mistral", "plain"},  {"qwen2", "qwen2"},  {"qwen3", "qwen3"},
    {"dynamic", "plain"}, {"longrope", "plain"},
};

static void convert(const char *from, const char *to, lm_convert_options options) {
    golden_model g;
    lm_convert_result result;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &g.device, &err));
    const lm_model_options on_demand = {.no_pack = true, .on_demand = true};
    assert_ok(lm_model_open(from, g.device, &on_demand, &g.model, &err));
    assert_ok(lm_convert(g.model, to, &options, &result, &err));
    assert_true(result.n_tensors > 0 && result.n_elems > 0);
    golden_close(&g);
}

/* [GOLDEN_TOKENS, GOLDEN_VOCAB], for lm_free. */
static float *logits_of_coded(const char *path, lm_coded_weights coded) {
    golden_model g = golden_open_with(path, 1, &(lm_model_options){.coded_weights = coded});
    lm_session *session = golden_session(&g, (lm_session_options){.max_rows = GOLDEN_TOKENS,
                                                                  .max_outs = GOLDEN_TOKENS,
                                                                  .max_context = GOLDEN_TOKENS});
    int32_t seq;
    lm_step_row rows[GOLDEN_TOKENS];
    float *out = lm_alloc(GOLDEN_TOKENS * GOLDEN_VOCAB * sizeof *out);
    assert_ok(lm_session_seq_new(session, &seq, &err));
    for (int i = 0; i < GOLDEN_TOKENS; i++)
        rows[i] = (lm_step_row){.token = golden_token(i), .seq = seq, .want_logits = true};
    assert_ok(lm_session_step(session, rows, GOLDEN_TOKENS, &err));
    for (int i = 0; i < GOLDEN_TOKENS; i++)
        memcpy(out + i * GOLDEN_VOCAB, lm_session_logits(session, i), GOLDEN_VOCAB * sizeof *out);
    lm_session_free(session);
    golden_close(&g);
    return out;
}

static float *logits_of(const char *path) {
    return logits_of_coded(path, LM_CODED_AUTO);
}

static void check_logits(const float *expected, const char *path, double atol) {
    float *logits = logits_of(path);
    for (int i = 0; i < GOLDEN_TOKENS * GOLDEN_VOCAB; i++)
        assert_close(logits[i], expected[i], atol, 0);
    lm_free(logits);
}

static void check_tensors(const char *a_path, const char *b_path) {
    lm_model_file *a, *b;
    assert_ok(lm_model_file_open(a_path, &a, &err));
    assert_ok(lm_model_file_open(b_path, &b, &err));
    for (size_t i = 0; i < lm_model_file_n_tensors(b); i++) {
        const lm_stored_tensor *is = lm_model_file_tensor_at(b, i),
                               *was = lm_model_file_find(a, is->name);
        assert_non_null(was);
        assert_string_equal(is->type->name, was->type->name);
        assert_int_equal(is->size_bytes, was->size_bytes);
        assert_memory_equal(is->data, was->data, is->size_bytes);
    }
    lm_model_file_close(a);
    lm_model_file_close(b);
}

static void test_there_and_back(void **state) {
    const convert_case *c = *state;
    char *folder = golden_folder(c->name, c->weights), *dir = test_temp_dir();
    char *gguf = lm_path_join(dir, "m.gguf"), *back = lm_path_join(dir, "back");
    float *expected = logits_of(folder);
    convert(folder, gguf, (lm_convert_options){0});
    check_logits(expected, gguf, tolerance);
    convert(gguf, back, (lm_convert_options){.to_folder = true});
    check_logits(expected, back, tolerance);
    check_tensors(folder, back);
    lm_free(expected);
    assert_ok(lm_file_remove_tree(folder, &err));
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(folder);
    lm_free(dir);
    lm_free(gguf);
    lm_free(back);
}

/* Names that a folder may have for one thing: transformers 5 calls it anew. */
static const char *const aliases[][2] = {{"embed_out.weight", "lm_head.weight"}};

static bool has_tensor(const lm_model_file *file, const char *name) {
    for (size_t i = 0; i < LM_COUNT_OF(aliases); i++)
        if (strcmp(name, aliases[i][0]) == 0 && lm_model_file_find(file, aliases[i][1]))
            return true;
    return lm_model_file_find(file, name) != NULL;
}

/* What another has that none needs: heads for masked words, poolers. */
static bool is_unused(const char *name) {
    return strncmp(name, "pooler.", 7) == 0;
}

static void check_names(const char *a_path, const char *b_path) {
    lm_model_file *a, *b;
    size_t n_unused = 0;
    assert_ok(lm_model_file_open(a_path, &a, &err));
    assert_ok(lm_model_file_open(b_path, &b, &err));
    for (size_t i = 0; i < lm_model_file_n_tensors(a); i++)
        n_unused += is_unused(lm_model_file_tensor_at(a, i)->name);
    assert_int_equal(lm_model_file_n_tensors(a) - n_unused, lm_model_file_n_tensors(b));
    for (size_t i = 0; i < lm_model_file_n_tensors(b); i++) {
        const char *name = lm_model_file_tensor_at(b, i)->name;
        if (!has_tensor(a, name)) fail_msg("%s has no tensor '%s'", a_path, name);
    }
    lm_model_file_close(a);
    lm_model_file_close(b);
}

/* Of state spaces that no layer has; what the converter takes for the length of those without rope, or for the width of values that nobody reads; lengths beyond those that Qwen was trained on; what Hunyuan's converter makes of its stretched theta, which is a longer context. */
static bool is_beside(const char *key) {
    static const char *const beside[] = {"granite.ssm.",
                                         "granitehybrid.context_length",
                                         "kimi-linear.attention.value_length",
                                         "bailingmoe3.attention.value_length",
                                         "nemotron_h.context_length",
                                         "nemotron_h_moe.context_length",
                                         "qwen.context_length",
                                         "granite.expert_",
                                         "granite.rope.scaling.finetuned",
                                         "hunyuan-dense.context_length",
                                         "hunyuan-dense.rope.scaling.",
                                         "general.",
                                         "tokenizer."};
    for (size_t i = 0; i < LM_COUNT_OF(beside); i++)
        if (strncmp(key, beside[i], strlen(beside[i])) == 0) return true;
    return false;
}

/* b may be an array of one for each layer. */
static bool same_value(const lm_gguf_value *a, const lm_gguf_value *b) {
    if (b->type == LM_GGUF_ARRAY && a->type == LM_GGUF_U32)
        return lm_gguf_array_i32(&b->array, 0) == (int32_t)a->u64;
    if (a->type != b->type) return false;
    if (a->type == LM_GGUF_ARRAY)
        return a->array.n == b->array.n && a->array.size_bytes == b->array.size_bytes &&
               memcmp(a->array.bytes, b->array.bytes, a->array.size_bytes) == 0;
    if (a->type == LM_GGUF_STRING) return lm_str_equal(a->str, b->str);
    if (a->type == LM_GGUF_F32) return fabs(a->f64 - b->f64) <= 1e-6 * fabs(b->f64);
    return a->u64 == b->u64;
}

/* Everything that llama.cpp's converter says of the model is said here, in the same words. */
static void check_keys(const char *theirs_path, const char *ours_path) {
    lm_model_file *theirs, *ours;
    assert_ok(lm_model_file_open(theirs_path, &theirs, &err));
    assert_ok(lm_model_file_open(ours_path, &ours, &err));
    const lm_gguf *a = lm_model_file_gguf(theirs), *b = lm_model_file_gguf(ours);
    for (size_t i = 0; i < lm_gguf_n_values(a); i++) {
        const lm_gguf_value *wanted = lm_gguf_value_at(a, i);
        char *key = lm_strndup(wanted->key.ptr, wanted->key.len);
        if (!is_beside(key)) {
            const lm_gguf_value *is = lm_gguf_find(b, key);
            if (!is) fail_msg("'%s' is not said", key);
            if (!same_value(is, wanted)) fail_msg("'%s' has another value", key);
        }
        lm_free(key);
    }
    lm_model_file_close(theirs);
    lm_model_file_close(ours);
}

/* Whether the format of the other side has rotary pairs or heads of states in another order, whose sums are then in another. */
static bool turns_otherwise(const char *path) {
    lm_model_file *file;
    assert_ok(lm_model_file_open(path, &file, &err));
    const lm_arch *arch = lm_arch_find(lm_model_file_hparams(file)->architecture);
    lm_model_file_close(file);
    return arch->gguf_interleaved != arch->hf_interleaved || arch->gguf_tiled;
}

static bool is_interleaved(const char *path) {
    lm_model_file *file;
    assert_ok(lm_model_file_open(path, &file, &err));
    bool is = lm_model_file_hparams(file)->rope_layout == LM_ROPE_INTERLEAVED;
    lm_model_file_close(file);
    return is;
}

/* Whether products have factors, which GGUF files have in matrices of f16, whose smallest numbers lose digits by it. */
static bool is_scaled(const char *path) {
    lm_model_file *file;
    assert_ok(lm_model_file_open(path, &file, &err));
    double factor = lm_model_file_hparams(file)->factors.down;
    lm_model_file_close(file);
    return factor > 0 && factor != 1;
}

/* Folders of another family may have another order. */
static bool turns_alike(const char *a, const char *b) {
    return is_interleaved(a) == is_interleaved(b);
}

/* Files as they are no longer written. */
static bool is_old(const char *family) {
    return lm_str_ends(lm_str_of(family), LM_STR("-first"));
}

/* Text parts of models that see, which are written alone. */
static bool is_part(const char *family) {
    static const char *const parts[] = {
        "gemma3-vision", "gemma4-vision", "gemma4_unified", "mistral3",     "muse_glimmer",
        "qwen2_vl",      "qwen2_5_vl",    "qwen3_vl",       "qwen3_vl_moe", "qwen3_5",
        "glm4v",         "glm4v_moe",     "smolvlm"};
    for (size_t i = 0; i < LM_COUNT_OF(parts); i++)
        if (strcmp(family, parts[i]) == 0) return true;
    return false;
}

/* Files whose GGUF is another family's, as whose they come back, a text part that comes back alone, and folders with experts in one tensor that come back with one for each. */
static bool is_kept(const char *family) {
    static const char *const others[] = {"granite4", "ministral3", "chatglm", "qwen3_5_moe",
                                         "kimi_k3"};
    for (size_t i = 0; i < LM_COUNT_OF(others); i++)
        if (strcmp(family, others[i]) == 0) return false;
    return !is_part(family);
}

/* Names and keys, too, are those of llama.cpp's converter and of the folder. A NULL path is of a file that is not there. */
static void check_both_ways(const char *family, const char *folder, const char *theirs) {
    char *dir = test_temp_dir(), *gguf = lm_path_join(dir, "m.gguf"),
         *back = lm_path_join(dir, "back");
    const char *source = folder ? folder : theirs;
    double atol = turns_otherwise(source) || is_scaled(source) ? tolerance : 0;
    float *expected = logits_of(source);
    if (!folder) {
        convert(theirs, back, (lm_convert_options){.to_folder = true, .no_tokenizer = true});
        check_logits(expected, back, atol);
    }
    convert(folder ? folder : back, gguf, (lm_convert_options){.no_tokenizer = true});
    check_logits(expected, gguf, folder ? atol : 0);
    if (theirs && !is_old(family)) check_names(theirs, gguf);
    if (theirs && !is_old(family) && !is_part(family)) check_keys(theirs, gguf);
    if (folder) {
        convert(gguf, back, (lm_convert_options){.to_folder = true, .no_tokenizer = true});
        bool exact = turns_alike(folder, back) && !is_scaled(folder);
        check_logits(expected, back, exact ? 0 : tolerance);
        if (theirs && is_kept(family)) check_names(folder, back);
    }
    assert_ok(lm_file_remove_tree(dir, &err));
    char *const texts[] = {dir, gguf, back};
    for (size_t i = 0; i < LM_COUNT_OF(texts); i++) lm_free(texts[i]);
    lm_free(expected);
}

/* Folders of these have norms in a tensor for each head, which are not written. */
static bool has_no_folder(const char *family) {
    return strcmp(family, "stablelm-parallel") == 0;
}

static void check_gguf_alone(const char *theirs) {
    char *dir = test_temp_dir(), *gguf = lm_path_join(dir, "m.gguf");
    lm_convert_result result;
    float *expected = logits_of(theirs);
    golden_model g = golden_open_with(theirs, 1, &(lm_model_options){.no_pack = true});
    assert_status(
        LOAM_UNSUPPORTED,
        lm_convert(g.model, dir, &(lm_convert_options){.to_folder = true}, &result, &err));
    golden_close(&g);
    convert(theirs, gguf, (lm_convert_options){.no_tokenizer = true});
    check_logits(expected, gguf, 0);
    check_names(theirs, gguf);
    check_keys(theirs, gguf);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(dir);
    lm_free(gguf);
    lm_free(expected);
}

static void check_refused(const char *path) {
    golden_model g = golden_open_with(path, 1, &(lm_model_options){.no_pack = true});
    lm_convert_result result;
    assert_status(LOAM_UNSUPPORTED,
                  lm_convert(g.model, "/nowhere/x.gguf", &(lm_convert_options){0}, &result, &err));
    golden_close(&g);
}

static void test_family(void **state) {
    char *folder = lm_asprintf("%s/%s", LM_FAMILIES_DIR, (const char *)*state),
         *theirs = lm_path_join(folder, "model.gguf"),
         *weights = lm_path_join(folder, "model.safetensors");
    bool has_folder = lm_file_exists(weights), has_gguf = lm_file_exists(theirs);
    if (has_no_folder(*state))
        check_gguf_alone(theirs);
    else if (golden_is_read_only(has_folder ? folder : theirs))
        check_refused(has_folder ? folder : theirs);
    else
        check_both_ways(*state, has_folder ? folder : NULL, has_gguf ? theirs : NULL);
    lm_free(folder);
    lm_free(theirs);
    lm_free(weights);
}

static float *first_values(const char *path, const char *name, int64_t n, lm_dtype want) {
    lm_model_file *file;
    float *x = lm_alloc((size_t)n * sizeof *x);
    assert_ok(lm_model_file_open(path, &file, &err));
    const lm_stored_tensor *tensor = lm_model_file_find(file, name);
    assert_non_null(tensor);
    assert_string_equal(lm_dtype_get(tensor->type->dtype)->name, lm_dtype_get(want)->name);
    if (tensor->coded)
        lm_coded_tensor_rows(tensor->coded, want, 0, 1, x);
    else
        memcpy(x, tensor->data, lm_dtype_bytes(want, n));
    lm_model_file_close(file);
    return x;
}

/* A folder of codes in small types becomes a GGUF file of those. */
static void test_coded_folder(void **state) {
    enum { N = 64 };
    char *folder = lm_asprintf("%s/gptq-4bit", LM_FAMILIES_DIR), *dir = test_temp_dir(),
         *gguf = lm_path_join(dir, "m.gguf"), *refused = lm_path_join(dir, "folder");
    golden_model g;
    lm_convert_result result;
    const lm_model_options small = {.no_pack = true, .coded_weights = LM_CODED_SMALL};
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &g.device, &err));
    assert_ok(lm_model_open(folder, g.device, &small, &g.model, &err));
    assert_ok(lm_convert(g.model, gguf, &(lm_convert_options){0}, &result, &err));
    assert_status(
        LOAM_UNSUPPORTED,
        lm_convert(g.model, refused, &(lm_convert_options){.to_folder = true}, &result, &err));
    golden_close(&g);
    float *a = first_values(folder, "model.layers.0.mlp.up_proj.weight", N, LM_Q4_0),
          *b = first_values(gguf, "blk.0.ffn_up.weight", N, LM_Q4_0);
    assert_memory_equal(a, b, lm_dtype_bytes(LM_Q4_0, N));
    assert_ok(lm_file_remove_tree(dir, &err));
    char *const texts[] = {folder, dir, gguf, refused};
    for (size_t i = 0; i < LM_COUNT_OF(texts); i++) lm_free(texts[i]);
    lm_free(a);
    lm_free(b);
}

/* gpt-oss's experts, which lie by turns in MXFP4, stay what they are, in tensors of their own. */
static void test_mxfp4(void **state) {
    char *folder = lm_path_join(LM_FAMILIES_DIR, "gpt_oss-mxfp4"), *dir = test_temp_dir(),
         *gguf = lm_path_join(dir, "m.gguf");
    const lm_model_options small = {
        .no_pack = true, .on_demand = true, .coded_weights = LM_CODED_SMALL};
    lm_convert_result result;
    lm_model_file *file;
    golden_model g = golden_open_with(folder, 1, &small);
    assert_ok(lm_convert(g.model, gguf, &(lm_convert_options){0}, &result, &err));
    golden_close(&g);
    assert_ok(lm_model_file_open(gguf, &file, &err));
    assert_string_equal(lm_model_file_find(file, "blk.1.ffn_gate_exps.weight")->type->name,
                        "MXFP4");
    lm_model_file_close(file);
    float *expected = logits_of_coded(folder, LM_CODED_SMALL);
    check_logits(expected, gguf, 0);
    lm_free(expected);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(folder);
    lm_free(dir);
    lm_free(gguf);
}

/* Experts with a tensor each are together while they are written only. */
static void test_on_demand(void **state) {
    char *folder = lm_path_join(LM_FAMILIES_DIR, "mixtral"), *dir = test_temp_dir(),
         *gguf = lm_path_join(dir, "m.gguf");
    lm_convert_result result;
    golden_model g =
        golden_open_with(folder, 1, &(lm_model_options){.no_pack = true, .on_demand = true});
    assert_null(lm_model_param(g.model, LM_PARAM_UP_EXPS, 1)->data);
    assert_ok(lm_model_make_param(g.model, LM_PARAM_UP_EXPS, 1, &err));
    assert_non_null(lm_model_param(g.model, LM_PARAM_UP_EXPS, 1)->data);
    lm_model_drop_param(g.model, LM_PARAM_UP_EXPS, 1);
    assert_ok(lm_convert(g.model, gguf, &(lm_convert_options){0}, &result, &err));
    assert_null(lm_model_param(g.model, LM_PARAM_UP_EXPS, 1)->data);
    golden_close(&g);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(folder);
    lm_free(dir);
    lm_free(gguf);
}

/* bf16 there and back is the bf16 that it was, norms among it, which GGUF has as f32. */
static void test_types(void **state) {
    char *folder = golden_folder("qwen3", "qwen3"), *dir = test_temp_dir();
    char *bf16 = lm_path_join(dir, "bf16"), *gguf = lm_path_join(dir, "m.gguf"),
         *back = lm_path_join(dir, "back"), *f16 = lm_path_join(dir, "f16.gguf");
    convert(folder, bf16,
            (lm_convert_options){.to_folder = true, .fixed_dtype = true, .dtype = LM_BF16});
    convert(bf16, gguf, (lm_convert_options){0});
    convert(gguf, back, (lm_convert_options){.to_folder = true});
    check_tensors(bf16, back);
    float *expected = logits_of(bf16);
    check_logits(expected, gguf, 0);
    convert(folder, f16, (lm_convert_options){.fixed_dtype = true, .dtype = LM_F16});
    lm_model_file *file;
    assert_ok(lm_model_file_open(f16, &file, &err));
    assert_string_equal(lm_model_file_find(file, "blk.0.attn_q.weight")->type->name, "F16");
    assert_string_equal(lm_model_file_find(file, "blk.0.attn_norm.weight")->type->name, "F32");
    lm_model_file_close(file);
    lm_free(expected);
    assert_ok(lm_file_remove_tree(folder, &err));
    assert_ok(lm_file_remove_tree(dir, &err));
    char *const paths[] = {folder, dir, bf16, gguf, back, f16};
    for (size_t i = 0; i < LM_COUNT_OF(paths); i++) lm_free(paths[i]);
}

static void test_refusals(void **state) {
    golden_model g;
    lm_convert_result result;
    char *folder = golden_folder("plain", "plain"), *config = lm_path_join(folder, "config.json");
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &g.device, &err));
    assert_ok(
        lm_model_open(folder, g.device, &(lm_model_options){.no_pack = true}, &g.model, &err));
    assert_status(LOAM_INVALID,
                  lm_convert(g.model, folder, &(lm_convert_options){0}, &result, &err));
    assert_status(
        LOAM_INVALID,
        lm_convert(g.model, config, &(lm_convert_options){.to_folder = true}, &result, &err));
    assert_status(LOAM_NOT_FOUND,
                  lm_convert(g.model, "/nowhere/x.gguf", &(lm_convert_options){0}, &result, &err));
    golden_close(&g);
    assert_ok(lm_file_remove_tree(folder, &err));
    lm_free(folder);
    lm_free(config);
}

static const char *families[MAX_FAMILIES];

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t list_families(void) {
    DIR *dir = opendir(LM_FAMILIES_DIR);
    size_t n = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && n < MAX_FAMILIES) families[n++] = lm_strdup(entry->d_name);
    if (dir) closedir(dir);
    qsort(families, n, sizeof *families, by_name);
    return n;
}

int main(void) {
    static struct CMUnitTest tests[LM_COUNT_OF(cases) + MAX_FAMILIES + 5];
    size_t n = 0, n_families = list_families();
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++)
        tests[n++] = (struct CMUnitTest){.name = cases[i].name,
                                         .test_func = test_there_and_back,
                                         .initial_state = (void *)&cases[i]};
    for (size_t i = 0; i < n_families; i++)
        tests[n++] = (struct CMUnitTest){
            .name = families[i], .test_func = test_family, .initial_state = (void *)families[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_types);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_refusals);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_on_demand);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_mxfp4);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_coded_folder);
    int status = _cmocka_run_group_tests("convert", tests, n, NULL, NULL);
    for (size_t i = 0; i < n_families; i++) lm_free((void *)families[i]);
    return n_families > 0 ? status : 1; /* a test that finds nothing fails */
}
