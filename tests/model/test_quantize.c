/* Quantizing files: which tensor gets which type, the same bytes for any number of threads, importance matrices there and
 * back, and that nothing is left behind when it fails. */
#include "testing.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/gguf_writer.h"
#include "model/quantize.h"

typedef struct fixture {
    char *dir, *in, *out, *imatrix;
} fixture;

static fixture new_fixture(void) {
    char *dir = test_temp_dir();
    return (fixture){dir, lm_path_join(dir, "in.gguf"), lm_path_join(dir, "out.gguf"),
                     lm_path_join(dir, "imatrix.gguf")};
}

static void end_fixture(fixture *f) {
    assert_ok(lm_file_remove_tree(f->dir, &err));
    lm_free(f->in);
    lm_free(f->out);
    lm_free(f->imatrix);
    lm_free(f->dir);
}

typedef struct row {
    const char *name;
    int64_t rows, cols; /* cols 0: a vector */
} row;

static const row tensors[] = {
    {"token_embd.weight", 40, 256},     {"blk.0.attn_norm.weight", 256, 0},
    {"blk.0.attn_q.weight", 256, 256},  {"blk.0.attn_v.weight", 64, 256},
    {"blk.0.ffn_down.weight", 256, 96}, {"blk.1.attn_v.weight", 64, 256},
    {"output.weight", 40, 256},
};

/* A model's file without a tokenizer, of tensors of f32 or f16; in one of them, `broken`, there may be a NaN. */
static void write_model(const char *path, lm_dtype dtype, const char *broken) {
    static float values[256 * 256];
    static char packed[sizeof values];
    lm_gguf_writer *w = lm_gguf_writer_new();
    lm_rng rng;
    lm_rng_init(&rng, 3);
    lm_gguf_writer_add_str(w, "general.architecture", LM_STR("llama"));
    lm_gguf_writer_add_u32(w, "llama.block_count", 2);
    lm_gguf_writer_add_u32(w, "general.file_type", 0);
    lm_gguf_writer_add_f32(w, "llama.rope.freq_base", 10000.0f);
    lm_gguf_writer_add_bool(w, "a.flag", true);
    lm_gguf_writer_open_array(w, "some.words", LM_GGUF_STRING, 2);
    lm_gguf_writer_push_str(w, LM_STR("one"));
    lm_gguf_writer_push_str(w, LM_STR("two"));
    for (size_t i = 0; i < LM_COUNT_OF(tensors); i++)
        assert_ok(lm_gguf_writer_add_tensor(w, tensors[i].name, tensors[i].cols ? dtype : LM_F32,
                                            tensors[i].cols ? 2 : 1, &tensors[i].rows, &err));
    assert_ok(lm_gguf_writer_begin(w, path, &err));
    for (size_t i = 0; i < LM_COUNT_OF(tensors); i++) {
        int64_t n = tensors[i].rows * (tensors[i].cols ? tensors[i].cols : 1);
        for (int64_t j = 0; j < n; j++) values[j] = lm_rng_normal(&rng);
        if (broken && strcmp(tensors[i].name, broken) == 0) values[n - 5] = NAN;
        lm_dtype to = tensors[i].cols ? dtype : LM_F32;
        lm_dtype_get(to)->pack(values, packed, n);
        assert_ok(lm_gguf_writer_write(w, packed, lm_dtype_bytes(to, n), &err));
    }
    assert_ok(lm_gguf_writer_commit(w, &err));
    lm_gguf_writer_free(w);
}

static loam_status quantize(const fixture *f, lm_quantize_options options) {
    lm_quantize_result result;
    return lm_quantize_file(f->in, f->out, &options, &result, NULL);
}

static void check_type(const lm_gguf *gguf, const char *name, lm_dtype dtype) {
    const lm_stored_tensor *tensor = lm_stored_tensors_find(lm_gguf_tensors(gguf), name);
    assert_non_null(tensor);
    assert_string_equal(tensor->type->name,
                        lm_gguf_stored_type(lm_gguf_type_of_dtype(dtype))->name);
}

static void test_file(void **state) {
    fixture f = new_fixture();
    lm_gguf *gguf;
    lm_quantize_result result;
    lm_quantize_options options = {.mix = lm_mix_find("q4_k_m"), .n_threads = 2};
    int64_t number;
    lm_gguf_array words;
    write_model(f.in, LM_F16, NULL);
    assert_ok(lm_quantize_file(f.in, f.out, &options, &result, &err));
    assert_int_equal(result.n_fallbacks, 1); /* 96 columns are no whole blocks of 256 */
    assert_int_equal(result.n_tensors[LM_Q6_K], 2);
    assert_ok(lm_gguf_open(f.out, &gguf, &err));
    check_type(gguf, "token_embd.weight", LM_Q4_K);
    check_type(gguf, "blk.0.attn_norm.weight", LM_F32);
    check_type(gguf, "blk.0.attn_q.weight", LM_Q4_K);
    check_type(gguf, "blk.0.attn_v.weight", LM_Q4_K);
    check_type(gguf, "blk.0.ffn_down.weight", LM_Q5_0);
    check_type(gguf, "blk.1.attn_v.weight", LM_Q6_K);
    check_type(gguf, "output.weight", LM_Q6_K);
    assert_ok(lm_gguf_i64(gguf, "general.file_type", &number, &err));
    assert_int_equal(number, 15);
    assert_ok(lm_gguf_i64(gguf, "general.quantization_version", &number, &err));
    assert_int_equal(number, 2);
    assert_ok(lm_gguf_array_or_empty(gguf, "some.words", LM_GGUF_STRING, &words, &err));
    assert_int_equal(words.n, 2);
    assert_true(lm_gguf_find(gguf, "llama.rope.freq_base")->f64 == 10000.0);
    assert_true(lm_gguf_find(gguf, "a.flag")->u64 == 1);
    lm_gguf_close(gguf);
    end_fixture(&f);
}

static void read_all(const char *path, char **bytes, size_t *size) {
    assert_ok(lm_file_read(path, 1 << 24, bytes, size, &err));
}

static void test_same_bytes(void **state) {
    fixture f = new_fixture();
    char *one, *other;
    size_t n_one, n_other;
    write_model(f.in, LM_F32, NULL);
    assert_ok(quantize(&f, (lm_quantize_options){.mix = lm_mix_find("Q3_K_M"), .n_threads = 1}));
    read_all(f.out, &one, &n_one);
    assert_ok(quantize(&f, (lm_quantize_options){.mix = lm_mix_find("Q3_K_M"), .n_threads = 3}));
    read_all(f.out, &other, &n_other);
    assert_int_equal(n_one, n_other);
    assert_memory_equal(one, other, n_one);
    lm_free(one);
    lm_free(other);
    end_fixture(&f);
}

static void test_choices(void **state) {
    fixture f = new_fixture();
    lm_gguf *gguf;
    write_model(f.in, LM_F32, NULL);
    assert_ok(quantize(&f, (lm_quantize_options){.mix = lm_mix_find("Q4_0"),
                                                 .fixed_head = true,
                                                 .head_dtype = LM_F16}));
    assert_ok(lm_gguf_open(f.out, &gguf, &err));
    check_type(gguf, "output.weight", LM_F16);
    check_type(gguf, "blk.0.attn_q.weight", LM_Q4_0);
    lm_gguf_close(gguf);
    assert_ok(quantize(&f, (lm_quantize_options){.mix = lm_mix_find("Q2_K"), .pure = true}));
    assert_ok(lm_gguf_open(f.out, &gguf, &err));
    check_type(gguf, "output.weight", LM_Q2_K);
    check_type(gguf, "blk.1.attn_v.weight", LM_Q2_K);
    check_type(gguf, "blk.0.ffn_down.weight", LM_Q4_0);
    lm_gguf_close(gguf);
    end_fixture(&f);
}

/* Only what was there before is in the folder. */
static void check_nothing_left(const fixture *f) {
    assert_false(lm_file_exists(f->out));
    char *temp = lm_asprintf("%s.tmp-%ld", f->out, (long)getpid());
    assert_false(lm_file_exists(temp));
    lm_free(temp);
}

static bool stop_at_once(void *ctx, const lm_quantize_progress *progress) {
    return false;
}

static void test_refusals(void **state) {
    fixture f = new_fixture();
    lm_quantize_options options = {.mix = lm_mix_find("Q8_0"), .n_threads = 2};
    assert_status(LOAM_NOT_FOUND, quantize(&f, options));
    const char *const broken[] = {"blk.0.attn_q.weight", "blk.0.attn_norm.weight"};
    for (size_t i = 0; i < LM_COUNT_OF(broken); i++) { /* what is only copied, too */
        lm_quantize_result result;
        loam_error why = {0};
        write_model(f.in, LM_F32, broken[i]);
        assert_int_equal(lm_quantize_file(f.in, f.out, &options, &result, &why), LOAM_CORRUPT);
        assert_non_null(strstr(why.message, broken[i]));
        assert_non_null(strstr(why.message, i == 0 ? "row 255" : "row 0"));
        check_nothing_left(&f);
    }
    write_model(f.in, LM_Q4_0, NULL);
    assert_status(LOAM_INVALID, quantize(&f, options));
    check_nothing_left(&f);
    options.requantize = true;
    assert_ok(quantize(&f, options));
    assert_ok(lm_file_remove_tree(f.out, &err));
    options.on_progress = stop_at_once;
    assert_status(LOAM_CANCELLED, quantize(&f, options));
    check_nothing_left(&f);
    end_fixture(&f);
}

static void test_rules(void **state) {
    const lm_mix_model model = {.n_layers = 16, .heads_per_kv = 4};
    static const struct {
        const char *mix, *tensor;
        int64_t n_cols;
        lm_dtype dtype;
    } cases[] = {
        {"Q4_K", "blk.0.attn_v.weight", 1024, LM_Q6_K},
        {"Q4_K_M", "blk.2.ffn_down.weight", 1024, LM_Q4_K},
        {"Q4_K_M", "blk.4.ffn_down.weight", 1024, LM_Q6_K},
        {"Q4_K_M", "blk.13.ffn_down.weight", 1024, LM_Q6_K},
        {"Q4_K_S", "blk.3.attn_v.weight", 1024, LM_Q5_K},
        {"Q4_K_S", "blk.4.attn_v.weight", 1024, LM_Q4_K},
        {"Q3_K_M", "blk.1.attn_v.weight", 1024, LM_Q5_K},
        {"Q3_K_M", "blk.2.attn_v.weight", 1024, LM_Q4_K},
        {"Q3_K_M", "blk.0.ffn_down.weight", 1024, LM_Q5_K},
        {"Q3_K_M", "blk.1.ffn_down.weight", 1024, LM_Q4_K},
        {"Q3_K_L", "blk.9.attn_output.weight", 1024, LM_Q5_K},
        {"Q2_K", "blk.9.attn_v.weight", 1024, LM_Q4_K},
        {"IQ4_XS", "blk.9.attn_v.weight", 1024, LM_Q5_K},
        {"IQ4_XS", "blk.9.attn_q.weight", 96, LM_IQ4_NL},
        {"Q6_K", "blk.9.attn_q.weight", 96, LM_Q8_0},
        {"Q5_K_S", "blk.9.attn_q.weight", 96, LM_Q5_1},
        {"Q5_K_S", "blk.9.attn_q.weight", 40, LM_F16},
        {"Q4_0", "output.weight", 1024, LM_Q6_K},
        {"Q8_0", "output.weight", 1024, LM_Q8_0},
        {"BF16", "output.weight", 1024, LM_BF16},
    };
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++) {
        lm_dtype dtype =
            lm_mix_dtype(lm_mix_find(cases[i].mix), &model, cases[i].tensor, cases[i].n_cols);
        if (dtype != cases[i].dtype)
            fail_msg("%s of %s is %s", cases[i].tensor, cases[i].mix, lm_dtype_get(dtype)->name);
    }
    assert_null(lm_mix_find("Q9_K"));
    assert_true(lm_mix_quantizes("blk.0.ffn_up.weight", 2));
    assert_false(lm_mix_quantizes("blk.0.ffn_up.bias", 2));
    assert_false(lm_mix_quantizes("blk.0.attn_q_norm.weight", 2));
    assert_false(lm_mix_quantizes("rope_freqs.weight", 1));
    assert_false(lm_mix_quantizes("blk.0.ssm_conv1d.weight", 2));
    assert_false(lm_mix_quantizes("blk.0.ssm_conv1d_q.weight", 4));
}

static void write_imatrix(const fixture *f, const char *tensor, int64_t n_cols) {
    lm_imatrix *m = lm_imatrix_new();
    float x[512];
    assert_non_null(m);
    for (int64_t i = 0; i < 2 * n_cols; i++) x[i] = i % n_cols < 8 ? 4.0f : 0.01f;
    assert_ok(lm_imatrix_add(m, tensor, x, 1, n_cols, &err));
    assert_ok(lm_imatrix_add(m, tensor, x, 2, n_cols, &err));
    assert_status(LOAM_INVALID, lm_imatrix_add(m, tensor, x, 1, n_cols - 1, &err));
    assert_ok(lm_imatrix_write(m, f->imatrix, "a text", 5, 512, &err));
    lm_imatrix_free(m);
}

static void test_imatrix(void **state) {
    fixture f = new_fixture();
    lm_imatrix *m;
    size_t n;
    write_imatrix(&f, "blk.0.attn_q.weight", 256);
    assert_ok(lm_imatrix_read(f.imatrix, &m, &err));
    assert_int_equal(lm_imatrix_n_entries(m), 1);
    assert_int_equal(lm_imatrix_n_chunks(m), 5);
    const float *means = lm_imatrix_find(m, "blk.0.attn_q.weight", &n);
    assert_int_equal(n, 256);
    assert_true(means[0] == 16.0f && fabsf(means[9] - 1e-4f) < 1e-8f);
    assert_null(lm_imatrix_find(m, "blk.0.attn_k.weight", &n));
    write_model(f.in, LM_F32, NULL);
    lm_quantize_options options = {
        .mix = lm_mix_find("Q4_0"), .imatrix = m, .imatrix_path = f.imatrix};
    lm_quantize_result result;
    assert_ok(lm_quantize_file(f.in, f.out, &options, &result, &err));
    assert_int_equal(result.n_without_imatrix, 5);
    lm_imatrix_free(m);
    write_imatrix(&f, "blk.0.attn_q.weight", 128); /* another model's */
    assert_ok(lm_imatrix_read(f.imatrix, &m, &err));
    options.imatrix = m;
    assert_status(LOAM_INVALID, lm_quantize_file(f.in, f.out, &options, &result, &err));
    lm_imatrix_free(m);
    assert_status(LOAM_INVALID, lm_imatrix_read(f.in, &m, &err)); /* a model */
    end_fixture(&f);
}

/* The older form, whole and cut off anywhere. */
static void test_old_imatrix(void **state) {
    struct {
        int32_t n_entries, len;
        char name[8];
        int32_t calls, n;
        float sums[2];
        int32_t n_chunks;
    } file = {1, 8, {'a', '.', 'w', 'e', 'i', 'g', 'h', 't'}, 4, 2, {8.0f, 2.0f}, 3};
    lm_imatrix *m;
    size_t n;
    assert_ok(lm_imatrix_read_bytes("old", &file, sizeof file, &m, &err));
    const float *means = lm_imatrix_find(m, "a.weight", &n);
    assert_true(n == 2 && means[0] == 2.0f && means[1] == 0.5f);
    assert_int_equal(lm_imatrix_n_chunks(m), 3);
    lm_imatrix_free(m);
    for (size_t size = 0; size < sizeof file - sizeof file.n_chunks; size++)
        assert_status(LOAM_CORRUPT, lm_imatrix_read_bytes("old", &file, size, &m, &err));
    file.sums[1] = NAN;
    assert_status(LOAM_CORRUPT, lm_imatrix_read_bytes("old", &file, sizeof file, &m, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_choices),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_rules),       cmocka_unit_test(test_imatrix),
        cmocka_unit_test(test_old_imatrix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
