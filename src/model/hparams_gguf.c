/* Hyperparameters out of GGUF metadata, whose keys are prefixed with the architecture's name. */
#include <stdio.h>

#include "base/mem.h"
#include "model/hparams.h"

enum { KEY_BYTES = 160 };

/* "llama.rope.freq_base" */
static const char *full_key(const lm_hparams *h, const char *name, char out[KEY_BYTES]) {
    snprintf(out, KEY_BYTES, "%s.%s", h->architecture, name);
    return out;
}

static LM_MUST_USE loam_status read_i64(const lm_gguf *gguf, const lm_hparams *h, const char *name,
                                        int64_t *out, loam_error *err) {
    char key[KEY_BYTES];
    return lm_gguf_i64(gguf, full_key(h, name, key), out, err);
}

static LM_MUST_USE loam_status read_i64_or(const lm_gguf *gguf, const lm_hparams *h,
                                           const char *name, int64_t fallback, int64_t *out,
                                           loam_error *err) {
    char key[KEY_BYTES];
    return lm_gguf_i64_or(gguf, full_key(h, name, key), fallback, out, err);
}

static LM_MUST_USE loam_status read_f64_or(const lm_gguf *gguf, const lm_hparams *h,
                                           const char *name, double fallback, double *out,
                                           loam_error *err) {
    char key[KEY_BYTES];
    return lm_gguf_f64_or(gguf, full_key(h, name, key), fallback, out, err);
}

static LM_MUST_USE loam_status read_architecture(const lm_gguf *gguf, lm_hparams *h,
                                                 loam_error *err) {
    lm_str name;
    LM_TRY(lm_gguf_str(gguf, "general.architecture", &name, err));
    if (name.len == 0 || name.len >= sizeof h->architecture || memchr(name.ptr, '\0', name.len))
        return lm_error_set(err, LOAM_INVALID, "%s: 'general.architecture' is empty or too long",
                            lm_gguf_path(gguf));
    memcpy(h->architecture, name.ptr, name.len);
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_sizes(const lm_gguf *gguf, lm_hparams *h, loam_error *err) {
    lm_gguf_array tokens;
    LM_TRY(read_i64(gguf, h, "block_count", &h->n_layers, err));
    LM_TRY(read_i64(gguf, h, "embedding_length", &h->dim, err));
    LM_TRY(read_i64(gguf, h, "attention.head_count", &h->n_heads, err));
    LM_TRY(read_i64_or(gguf, h, "attention.head_count_kv", h->n_heads, &h->n_kv_heads, err));
    LM_TRY(read_i64_or(gguf, h, "attention.key_length", h->n_heads > 0 ? h->dim / h->n_heads : 0,
                       &h->head_dim, err));
    LM_TRY(read_i64_or(gguf, h, "rope.dimension_count", h->head_dim, &h->rope_dim, err));
    LM_TRY(read_i64(gguf, h, "feed_forward_length", &h->ffn_dim, err));
    LM_TRY(read_i64(gguf, h, "context_length", &h->context_len, err));
    LM_TRY(lm_gguf_array_or_empty(gguf, "tokenizer.ggml.tokens", LM_GGUF_STRING, &tokens, err));
    LM_TRY(read_i64_or(gguf, h, "vocab_size", (int64_t)tokens.n, &h->vocab_size, err));
    return read_f64_or(gguf, h, "attention.layer_norm_rms_epsilon", 1e-6, &h->rms_norm_eps, err);
}

static LM_MUST_USE loam_status read_scaling(const lm_gguf *gguf, lm_hparams *h, loam_error *err) {
    lm_rope_scaling *scaling = &h->rope_scaling;
    char key[KEY_BYTES];
    lm_str kind;
    double old_linear; /* how the factor was written before scaling had kinds */
    LM_TRY(read_f64_or(gguf, h, "rope.scale_linear", 1, &old_linear, err));
    LM_TRY(lm_gguf_str_or(gguf, full_key(h, "rope.scaling.type", key),
                          old_linear == 1 ? LM_STR("none") : LM_STR("linear"), &kind, err));
    LM_TRY(lm_rope_scaling_parse(kind, lm_gguf_path(gguf), &scaling->kind, err));
    LM_TRY(read_f64_or(gguf, h, "rope.scaling.factor", old_linear, &scaling->factor, err));
    LM_TRY(read_i64_or(gguf, h, "rope.scaling.original_context_length", 0,
                       &scaling->original_context_len, err));
    LM_TRY(read_f64_or(gguf, h, "rope.scaling.yarn_beta_fast", 32, &scaling->beta_fast, err));
    LM_TRY(read_f64_or(gguf, h, "rope.scaling.yarn_beta_slow", 1, &scaling->beta_slow, err));
    return read_f64_or(gguf, h, "rope.scaling.attn_factor", 0, &scaling->attention_factor, err);
}

static LM_MUST_USE loam_status read_freq_factors(const lm_gguf *gguf, lm_hparams *h,
                                                 loam_error *err) {
    const lm_stored_tensor *freqs =
        lm_stored_tensors_find(lm_gguf_tensors(gguf), "rope_freqs.weight");
    if (!freqs) return LOAM_OK;
    if (!freqs->type->is_loadable || freqs->type->dtype != LM_F32 || freqs->n_dims != 1 ||
        freqs->shape[0] != h->rope_dim / 2)
        return lm_error_set(err, LOAM_INVALID, "%s: tensor 'rope_freqs.weight' must be F32 [%lld]",
                            lm_gguf_path(gguf), (long long)h->rope_dim / 2);
    h->rope_freq_factors = freqs->data;
    return LOAM_OK;
}

loam_status lm_hparams_from_gguf(const lm_gguf *gguf, lm_hparams *out, loam_error *err) {
    const lm_stored_tensors *tensors = lm_gguf_tensors(gguf);
    lm_hparams h = {.hidden_act = "silu"}; /* the format does not say: a family's convention */
    LM_TRY(read_architecture(gguf, &h, err));
    LM_TRY(read_sizes(gguf, &h, err));
    LM_TRY(read_f64_or(gguf, &h, "rope.freq_base", 10000, &h.rope_theta, err));
    LM_TRY(read_scaling(gguf, &h, err));
    LM_TRY(lm_hparams_check(&h, lm_gguf_path(gguf), err));
    LM_TRY(read_freq_factors(gguf, &h, err));
    bool is_llama = lm_str_is(lm_str_of(h.architecture), "llama");
    h.rope_layout = is_llama ? LM_ROPE_INTERLEAVED : LM_ROPE_HALF_SPLIT;
    h.tied_embeddings = !lm_stored_tensors_find(tensors, "output.weight");
    h.attention_bias = lm_stored_tensors_find(tensors, "blk.0.attn_q.bias") != NULL;
    h.mlp_bias = lm_stored_tensors_find(tensors, "blk.0.ffn_down.bias") != NULL;
    *out = h;
    return LOAM_OK;
}
