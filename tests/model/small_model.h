/* A small model written as a GGUF file with weights of any type. */
#ifndef LM_TESTS_MODEL_SMALL_MODEL_H
#define LM_TESTS_MODEL_SMALL_MODEL_H

#include "golden/golden.h"

#include "base/rng.h"
#include "model/gguf_writer.h"

static const lm_arch_config small_config = {
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
    .features = LM_FEATURES_LLAMA | LM_FEATURE_UNTIED_HEAD,
};

static inline void small_metadata(lm_gguf_writer *w) {
    const lm_hparams *hp = &small_config.hparams;
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
typedef void small_param_fn(void *ctx, lm_gguf_writer *w, lm_param_id id, int64_t layer);

static inline void small_each(small_param_fn *fn, void *ctx, lm_gguf_writer *w) {
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        if (!lm_param_in(&small_config, id)) continue;
        for (int64_t layer = 0;
             layer < (lm_param_has_layer(id) ? small_config.hparams.n_layers : 1); layer++)
            fn(ctx, w, id, layer);
    }
}

/* Weights are no integers. */
static inline bool small_can_store(lm_dtype dtype) {
    return dtype != LM_I32 && dtype != LM_I8 && dtype != LM_I16;
}

/* What a file is made of: matrices are rounded to `through`, and stored as `stored`. */
typedef struct small_recipe {
    lm_dtype through, stored;
    lm_rng rng;
} small_recipe;

static inline lm_dtype small_stored_dtype(const small_recipe *r, int n_dims) {
    return n_dims == 2 ? r->stored : LM_F32;
}

static inline void small_declare(void *ctx, lm_gguf_writer *w, lm_param_id id, int64_t layer) {
    char name[LM_PARAM_NAME_BYTES];
    int64_t shape[2];
    int n_dims = lm_param_shape(&small_config, id, layer, shape);
    lm_param_name(id, layer, LM_NAMING_GGUF, name);
    assert_ok(
        lm_gguf_writer_add_tensor(w, name, small_stored_dtype(ctx, n_dims), n_dims, shape, &err));
}

static inline void small_write_param(void *ctx, lm_gguf_writer *w, lm_param_id id, int64_t layer) {
    small_recipe *r = ctx;
    static float values[256 * 256];
    static char packed[sizeof values];
    int64_t shape[2];
    int n_dims = lm_param_shape(&small_config, id, layer, shape);
    int64_t n = shape[0] * shape[1];
    assert_true(n <= (int64_t)LM_COUNT_OF(values));
    for (int64_t i = 0; i < n; i++)
        values[i] = lm_rng_normal(&r->rng) * (n_dims == 2 ? 0.06f : 0.1f) + (n_dims == 1);
    if (n_dims == 2) {
        lm_dtype_get(r->through)->pack(values, packed, n);
        lm_dtype_get(r->through)->unpack(packed, values, n);
    }
    lm_dtype dtype = small_stored_dtype(r, n_dims);
    bool is_packed = n_dims == 2 && dtype == r->through; /* again might be other blocks */
    if (!is_packed) lm_dtype_get(dtype)->pack(values, packed, n);
    assert_ok(lm_gguf_writer_write(w, packed, lm_dtype_bytes(dtype, n), &err));
}

static inline void small_write(const char *path, const small_recipe *recipe) {
    small_recipe r = *recipe;
    lm_rng_init(&r.rng, 5);
    lm_gguf_writer *w = lm_gguf_writer_new();
    small_metadata(w);
    small_each(small_declare, &r, w);
    assert_ok(lm_gguf_writer_begin(w, path, &err));
    small_each(small_write_param, &r, w);
    assert_ok(lm_gguf_writer_commit(w, &err));
    lm_gguf_writer_free(w);
}

#endif
