/* Files whose weights are NaN or infinite, of every type that can hold such a number: checking
 * names the tensor, and without the check generation ends with an error that says why, on every
 * instruction set, instead of going on with nonsense. And files whose tensors have other shapes
 * than their sizes ask for. */
#include "small_model.h"

#include <math.h>

#include "model/generate.h"
#include "model/model_file.h"
#include "model/perplexity.h"

static bool is_broken(lm_dtype dtype, const char *block, bool infinite) {
    float values[256];
    const lm_dtype_info *info = lm_dtype_get(dtype);
    info->unpack(block, values, info->block_elems);
    for (int64_t i = 0; i < info->block_elems; i++)
        if (infinite ? isinf(values[i]) : isnan(values[i])) return true;
    return false;
}

/* Tries the bytes of NaN or infinity, in the number types that formats use, at every place of the
 * block until it unpacks to such a number. False: the type has no such number. */
static bool break_block(char *block, lm_dtype dtype, bool infinite) {
    const uint32_t patterns[2][3] = {{0x7fc00000, 0x7fc0, 0x7e00}, {0x7f800000, 0x7f80, 0x7c00}};
    const lm_dtype_info *info = lm_dtype_get(dtype);
    int p = dtype == LM_F32 ? 0 : dtype == LM_BF16 ? 1 : 2;
    size_t width = p == 0 ? 4 : 2;
    for (size_t at = 0; at + width <= info->block_bytes; at += width) {
        char whole[4];
        memcpy(whole, block + at, width);
        memcpy(block + at, &patterns[infinite][p], width);
        if (is_broken(dtype, block, infinite)) return true;
        memcpy(block + at, whole, width);
    }
    return false;
}

/* A copy of the model at `from` with the parameter's first block broken; false when it cannot be. */
static bool write_broken(const char *from, const char *to, lm_param_id id, bool infinite) {
    char name[LM_PARAM_NAME_BYTES], *bytes;
    size_t size;
    lm_model_file *file;
    lm_param_name(id, 0, LM_NAMING_GGUF, name);
    assert_ok(lm_model_file_open(from, &file, &err));
    assert_ok(lm_file_read(from, 1 << 24, &bytes, &size, &err));
    const lm_stored_tensor *tensor = lm_model_file_find(file, name);
    char *block = memmem(bytes, size, tensor->data, tensor->size_bytes);
    assert_non_null(block);
    bool broken = break_block(block, tensor->type->dtype, infinite);
    if (broken) assert_ok(lm_file_write_atomic(to, bytes, size, &err));
    lm_model_file_close(file);
    lm_free(bytes);
    return broken;
}

static bool keep_going(void *ctx, const lm_sample *sample) {
    return true;
}

/* Two tokens after token 0, whose row of the embedding has the broken block. */
static void check_generation(const char *path, const char *what, const char *isa,
                             float temperature) {
    golden_model g;
    assert_ok(
        lm_backend_cpu.open(&(lm_device_options){.n_threads = 1, .isa = isa}, &g.device, &err));
    assert_ok(lm_model_open(path, g.device, NULL, &g.model, &err));
    lm_session *session = golden_session(&g, (lm_session_options){.max_context = 16});
    lm_generate_options options = {.sampling = LM_SAMPLER_DEFAULTS, .max_tokens = 2};
    options.sampling.temperature = temperature;
    loam_error why = {0};
    loam_status status =
        lm_generate(session, (int32_t[]){0, 0}, 2, &options, keep_going, NULL, NULL, &why);
    if (status != LOAM_CORRUPT) fail_msg("%s: %s: '%s'", what, isa, loam_status_name(status));
    assert_non_null(strstr(why.message, "not finite"));
    lm_session_free(session);
    golden_close(&g);
}

/* A text's perplexity is an error then, not a NaN. */
static void check_perplexity(const char *path, const char *what) {
    golden_model g = {0};
    lm_text_chunks chunks;
    lm_perplexity p;
    const int32_t text[8] = {0};
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &g.device, &err));
    assert_ok(lm_model_open(path, g.device, NULL, &g.model, &err));
    assert_ok(lm_text_chunks_init(&chunks, g.model, text, 8, 8, 0, -1, &err));
    loam_status status = lm_perplexity_run(g.model, &chunks, LM_F32, NULL, NULL, &p, NULL);
    if (status != LOAM_CORRUPT) fail_msg("%s: perplexity: '%s'", what, loam_status_name(status));
    golden_close(&g);
}

static void check_refused(const char *path, lm_param_id id) {
    char name[LM_PARAM_NAME_BYTES];
    lm_param_name(id, 0, LM_NAMING_GGUF, name);
    lm_device *device;
    lm_model *model = NULL;
    loam_error why = {0};
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &device, &err));
    assert_int_equal(
        lm_model_open(path, device, &(lm_model_options){.check_weights = true}, &model, &why),
        LOAM_CORRUPT);
    assert_non_null(strstr(why.message, name));
    assert_null(model);
    lm_device_close(device);
}

static void test_broken_weights_end_generation(void **state) {
    static const lm_param_id ids[] = {LM_PARAM_TOKEN_EMBED, LM_PARAM_ATTN_NORM,
                                      LM_PARAM_Q,           LM_PARAM_V,
                                      LM_PARAM_DOWN,        LM_PARAM_OUTPUT_HEAD};
    char *dir = test_temp_dir(), *whole = lm_path_join(dir, "whole.gguf"),
         *path = lm_path_join(dir, "broken.gguf");
    size_t n_broken = 0;
    for (int d = 0; d < LM_DTYPE_COUNT; d++) {
        if (!small_can_store((lm_dtype)d)) continue;
        small_write(whole, &(small_recipe){.through = (lm_dtype)d, .stored = (lm_dtype)d});
        for (size_t i = 0; i < 2 * LM_COUNT_OF(ids); i++) {
            bool infinite = i % 2;
            if (!write_broken(whole, path, ids[i / 2], infinite)) continue;
            n_broken++;
            check_refused(path, ids[i / 2]);
            char what[128], name[LM_PARAM_NAME_BYTES];
            lm_param_name(ids[i / 2], 0, LM_NAMING_GGUF, name);
            snprintf(what, sizeof what, "%s in %s of %s", infinite ? "infinity" : "NaN",
                     lm_dtype_get((lm_dtype)d)->name, name);
            check_generation(path, what, lm_cpu_isa_name((lm_cpu_isa)(n_broken % LM_CPU_N_ISAS)),
                             (float)(n_broken / LM_CPU_N_ISAS % 2));
            check_perplexity(path, what);
        }
    }
    assert_true(n_broken > 2 * LM_COUNT_OF(ids) * 5); /* five types at the least can be broken */
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(whole);
    lm_free(path);
    lm_free(dir);
}

/* Each size of the metadata in turn says something else than the tensors do. */
static void test_shapes_that_disagree(void **state) {
    static const struct {
        const char *key;
        uint32_t value;
        loam_status status;
        const char *words[2];
    } cases[] = {
        {"llama.embedding_length", 512, LOAM_INVALID, {"token_embd.weight", "[40, 512]"}},
        {"llama.attention.head_count", 16, LOAM_INVALID, {"attn_q.weight", "[512, 256]"}},
        {"llama.attention.head_count_kv", 4, LOAM_INVALID, {"attn_k.weight", "[128, 256]"}},
        {"llama.attention.head_count_kv", 3, LOAM_INVALID, {"8 heads", "3"}},
        {"llama.attention.key_length", 64, LOAM_INVALID, {"attn_q.weight", "[512, 256]"}},
        {"llama.feed_forward_length", 255, LOAM_INVALID, {"ffn_gate.weight", "[255, 256]"}},
        {"llama.vocab_size", 41, LOAM_INVALID, {"token_embd.weight", "[41, 256]"}},
        {"llama.block_count", 2, LOAM_NOT_FOUND, {"blk.1.", "missing"}},
        {"llama.block_count", 0, LOAM_INVALID, {"layers", "0"}},
    };
    enum { TYPE_BYTES = 4 };
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "model.gguf"), *bytes;
    size_t size;
    small_write(path, &(small_recipe){.through = LM_F16, .stored = LM_F16});
    assert_ok(lm_file_read(path, 1 << 24, &bytes, &size, &err));
    lm_device *device;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &device, &err));
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++) {
        size_t key_len = strlen(cases[i].key);
        char *value = memmem(bytes, size, cases[i].key, key_len);
        assert_non_null(value);
        value += key_len + TYPE_BYTES;
        uint32_t before;
        memcpy(&before, value, sizeof before);
        memcpy(value, &cases[i].value, sizeof cases[i].value);
        assert_ok(lm_file_write_atomic(path, bytes, size, &err));
        memcpy(value, &before, sizeof before);
        lm_model *model = NULL;
        loam_error why = {0};
        loam_status status = lm_model_open(path, device, NULL, &model, &why);
        if (status != cases[i].status || !strstr(why.message, cases[i].words[0]) ||
            !strstr(why.message, cases[i].words[1]))
            fail_msg("%s = %u: %s: %s", cases[i].key, cases[i].value, loam_status_name(status),
                     why.message);
    }
    lm_device_close(device);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(bytes);
    lm_free(path);
    lm_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_broken_weights_end_generation),
                                       cmocka_unit_test(test_shapes_that_disagree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
