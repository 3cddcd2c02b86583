/* Every element type that files may store weights in: a model gives the same bits packed for the device or not, and those of
 * one whose weights are the same numbers as f32, or numbers close to them where types are quantized. */
#include "golden/golden.h"

#include <math.h>

#include "base/rng.h"
#include "model/gguf_writer.h"

static const lm_arch_config config = {
    .hparams = {.architecture = "llama",
                .n_layers = 1,
                .dim = 256,
                .n_heads = 8,
                .n_kv_heads = 2,
                .head_dim = 32,
                .rope_dim = 32,
                .ffn_dim = 256,
                .hidden_act = "silu",
                .vocab_size = 40,
                .context_len = 64,
                .rms_norm_eps = 1e-5,
                .rope_theta = 10000},
    .features = LM_FEATURE_UNTIED_HEAD,
};

static void add_metadata(lm_gguf_writer *w) {
    const lm_hparams *hp = &config.hparams;
    lm_gguf_writer_add_str(w, "general.architecture", LM_STR("llama"));
    lm_gguf_writer_add_u32(w, "llama.block_count", hp->n_layers);
    lm_gguf_writer_add_u32(w, "llama.embedding_length", hp->dim);
    lm_gguf_writer_add_u32(w, "llama.attention.head_count", hp->n_heads);
    lm_gguf_writer_add_u32(w, "llama.attention.head_count_kv", hp->n_kv_heads);
    lm_gguf_writer_add_u32(w, "llama.attention.key_length", hp->head_dim);
    lm_gguf_writer_add_u32(w, "llama.feed_forward_length", hp->ffn_dim);
    lm_gguf_writer_add_u32(w, "llama.context_length", hp->context_len);
    lm_gguf_writer_add_u32(w, "llama.vocab_size", hp->vocab_size);
}

/* Calls fn for every parameter of every layer, in the order of the file. */
typedef void param_fn(void *ctx, lm_gguf_writer *w, lm_param_id id, int64_t layer);

static void each_param(param_fn *fn, void *ctx, lm_gguf_writer *w) {
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        if (!lm_param_in(&config, id)) continue;
        for (int64_t layer = 0; layer < (lm_param_has_layer(id) ? config.hparams.n_layers : 1);
             layer++)
            fn(ctx, w, id, layer);
    }
}

/* What a file is made of: matrices are rounded to `through`, and stored as `stored`. */
typedef struct recipe {
    lm_dtype through, stored;
    lm_rng rng;
} recipe;

static lm_dtype stored_dtype(const recipe *r, int n_dims) {
    return n_dims == 2 ? r->stored : LM_F32;
}

static void declare(void *ctx, lm_gguf_writer *w, lm_param_id id, int64_t layer) {
    char name[LM_PARAM_NAME_BYTES];
    int64_t shape[2];
    int n_dims = lm_param_shape(&config, id, shape);
    lm_param_name(id, layer, LM_NAMING_GGUF, name);
    assert_ok(lm_gguf_writer_add_tensor(w, name, stored_dtype(ctx, n_dims), n_dims, shape, &err));
}

static void write_param(void *ctx, lm_gguf_writer *w, lm_param_id id, int64_t layer) {
    recipe *r = ctx;
    static float values[256 * 256];
    static char packed[sizeof values];
    int64_t shape[2];
    int n_dims = lm_param_shape(&config, id, shape);
    int64_t n = shape[0] * shape[1];
    assert_true(n <= (int64_t)LM_COUNT_OF(values));
    for (int64_t i = 0; i < n; i++)
        values[i] = lm_rng_normal(&r->rng) * (n_dims == 2 ? 0.06f : 0.1f) + (n_dims == 1);
    if (n_dims == 2) {
        lm_dtype_get(r->through)->pack(values, packed, n);
        lm_dtype_get(r->through)->unpack(packed, values, n);
    }
    lm_dtype dtype = stored_dtype(r, n_dims);
    bool is_packed = n_dims == 2 && dtype == r->through; /* again might be other blocks */
    if (!is_packed) lm_dtype_get(dtype)->pack(values, packed, n);
    assert_ok(lm_gguf_writer_write(w, packed, lm_dtype_bytes(dtype, n), &err));
}

static void write_model(const char *path, lm_dtype through, lm_dtype stored) {
    recipe r = {.through = through, .stored = stored};
    lm_rng_init(&r.rng, 5);
    lm_gguf_writer *w = lm_gguf_writer_new();
    add_metadata(w);
    each_param(declare, &r, w);
    assert_ok(lm_gguf_writer_begin(w, path, &err));
    each_param(write_param, &r, w);
    assert_ok(lm_gguf_writer_commit(w, &err));
    lm_gguf_writer_free(w);
}

enum { N_ROWS = 9 };

/* Logits after each of a few tokens: all at once, then the last ones again by themselves. */
static void compute(const char *path, bool no_pack, float out[N_ROWS][40]) {
    golden_model g;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 2}, &g.device, &err));
    assert_ok(
        lm_model_open(path, g.device, &(lm_model_options){.no_pack = no_pack}, &g.model, &err));
    lm_session *session = golden_session(&g, (lm_session_options){.max_outs = N_ROWS});
    int32_t seq;
    assert_ok(lm_session_seq_new(session, &seq, &err));
    lm_step_row rows[N_ROWS];
    for (int i = 0; i < N_ROWS; i++)
        rows[i] = (lm_step_row){.token = i * 4 + 1, .seq = seq, .want_logits = true};
    assert_ok(lm_session_step(session, rows, N_ROWS, &err));
    for (int i = 0; i < N_ROWS; i++) memcpy(out[i], lm_session_logits(session, i), sizeof out[i]);
    lm_session_seq_truncate(session, seq, N_ROWS - 1);
    assert_ok(lm_session_step(session, rows + N_ROWS - 1, 1, &err));
    assert_memory_equal(out[N_ROWS - 1], lm_session_logits(session, 0), sizeof out[0]);
    lm_session_free(session);
    golden_close(&g);
}

/* Root of the mean squared difference, in units of b's root mean square. */
static double distance(float a[N_ROWS][40], float b[N_ROWS][40]) {
    double difference = 0.0, size = 0.0;
    for (int i = 0; i < N_ROWS; i++) {
        for (int j = 0; j < 40; j++) {
            difference += (a[i][j] - b[i][j]) * (a[i][j] - b[i][j]);
            size += b[i][j] * b[i][j];
        }
    }
    return sqrt(difference / size);
}

/* Packed or not, a type gives the same bits. Against the same values in f32: plain types give the same bits too; quantized ones
 * are multiplied with rows rounded to 8 bits. That rounding is even within half a step of amax / 127, and 32 normal
 * numbers have an amax of some 2.4 deviations, so each product errs by 0.56 % of its size; the five products in a row that
 * make the logits add up to sqrt(5) times that, 1.3 %. */
static void test_types(void **state) {
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "model.gguf");
    for (int i = 0; i < LM_DTYPE_COUNT; i++) {
        lm_dtype dtype = (lm_dtype)i;
        const lm_dtype_info *info = lm_dtype_get(dtype);
        if (dtype == LM_I32) continue;
        float wide[N_ROWS][40], stored[N_ROWS][40], unpacked[N_ROWS][40];
        write_model(path, dtype, LM_F32);
        compute(path, false, wide);
        write_model(path, dtype, dtype);
        compute(path, false, stored);
        compute(path, true, unpacked);
        if (memcmp(stored, unpacked, sizeof stored) != 0)
            fail_msg("%s: packed has other bits", info->name);
        double apart = distance(stored, wide);
        if (!(apart <= (lm_dtype_is_quantized(dtype) ? 0.02 : 0.0)))
            fail_msg("%s: %g apart from f32", info->name, apart);
    }
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_types)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
