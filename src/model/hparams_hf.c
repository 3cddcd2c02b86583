/* Hyperparameters out of a Hugging Face config.json. */
#include "base/json.h"
#include "model/hparams.h"

static LM_MUST_USE loam_status copy_text(const json_t *config, const char *path, const char *key,
                                         lm_str fallback, char *out, size_t out_bytes,
                                         loam_error *err) {
    lm_str text;
    LM_TRY(lm_json_str_or(config, path, key, fallback, &text, err));
    if (text.len == 0 || text.len >= out_bytes)
        return lm_error_set(err, LOAM_INVALID, "%s: '%s' is missing or too long", path, key);
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_sizes(const json_t *config, const char *path, lm_hparams *h,
                                          loam_error *err) {
    LM_TRY(lm_json_i64(config, path, "num_hidden_layers", &h->n_layers, err));
    LM_TRY(lm_json_i64(config, path, "hidden_size", &h->dim, err));
    LM_TRY(lm_json_i64(config, path, "num_attention_heads", &h->n_heads, err));
    LM_TRY(lm_json_i64_or(config, path, "num_key_value_heads", h->n_heads, &h->n_kv_heads, err));
    int64_t head_dim = h->n_heads > 0 ? h->dim / h->n_heads : 0;
    LM_TRY(lm_json_i64_or(config, path, "head_dim", head_dim, &h->head_dim, err));
    LM_TRY(lm_json_i64(config, path, "intermediate_size", &h->ffn_dim, err));
    LM_TRY(lm_json_i64(config, path, "vocab_size", &h->vocab_size, err));
    LM_TRY(lm_json_i64(config, path, "max_position_embeddings", &h->context_len, err));
    return lm_json_f64_or(config, path, "rms_norm_eps", 1e-6, &h->rms_norm_eps, err);
}

/* Models with a sliding window (Mistral) attend as all others do within its length; loam runs them no further. */
static LM_MUST_USE loam_status limit_to_window(const json_t *config, const char *path,
                                               lm_hparams *h, loam_error *err) {
    int64_t window;
    bool use_window;
    LM_TRY(lm_json_i64_or(config, path, "sliding_window", h->context_len, &window, err));
    LM_TRY(lm_json_bool_or(config, path, "use_sliding_window", true, &use_window, err));
    if (use_window && window < h->context_len) h->context_len = window;
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_scaling(const json_t *scaling, const char *path,
                                            lm_rope_scaling *out, loam_error *err) {
    lm_str kind;
    if (scaling && !json_is_object(scaling))
        return lm_error_set(err, LOAM_INVALID, "%s: the rope scaling must be an object", path);
    LM_TRY(lm_json_str_or(scaling, path, "type", LM_STR("none"), &kind, err));
    LM_TRY(lm_json_str_or(scaling, path, "rope_type", kind, &kind, err));
    LM_TRY(lm_rope_scaling_parse(kind, path, &out->kind, err));
    LM_TRY(lm_json_f64_or(scaling, path, "factor", 1, &out->factor, err));
    LM_TRY(lm_json_i64_or(scaling, path, "original_max_position_embeddings", 0,
                          &out->original_context_len, err));
    LM_TRY(lm_json_f64_or(scaling, path, "low_freq_factor", 1, &out->low_freq_factor, err));
    LM_TRY(lm_json_f64_or(scaling, path, "high_freq_factor", 4, &out->high_freq_factor, err));
    LM_TRY(lm_json_f64_or(scaling, path, "beta_fast", 32, &out->beta_fast, err));
    LM_TRY(lm_json_f64_or(scaling, path, "beta_slow", 1, &out->beta_slow, err));
    return lm_json_f64_or(scaling, path, "attention_factor", 0, &out->attention_factor, err);
}

static LM_MUST_USE loam_status check_llama3(const lm_rope_scaling *scaling, const char *path,
                                            loam_error *err) {
    if (scaling->kind != LM_ROPE_SCALING_LLAMA3) return LOAM_OK;
    if (scaling->original_context_len > 0 && scaling->low_freq_factor > 0 &&
        scaling->high_freq_factor > scaling->low_freq_factor)
        return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID,
                        "%s: llama3 rope scaling wants original_max_position_embeddings and 0 < "
                        "low_freq_factor (%g) < "
                        "high_freq_factor (%g)",
                        path, scaling->low_freq_factor, scaling->high_freq_factor);
}

/* Either rope_theta beside rope_scaling, or both in rope_parameters (since transformers 5). */
static LM_MUST_USE loam_status read_rope(const json_t *config, const char *path, lm_hparams *h,
                                         loam_error *err) {
    const json_t *together = json_object_get(config, "rope_parameters");
    const json_t *scaling =
        json_is_object(together) ? together : json_object_get(config, "rope_scaling");
    double rotary_share;
    LM_TRY(lm_json_f64_or(config, path, "rope_theta", 10000, &h->rope_theta, err));
    LM_TRY(lm_json_f64_or(together, path, "rope_theta", h->rope_theta, &h->rope_theta, err));
    LM_TRY(lm_json_f64_or(config, path, "partial_rotary_factor", 1, &rotary_share, err));
    if (!(rotary_share > 0 && rotary_share <= 1))
        return lm_error_set(err, LOAM_INVALID,
                            "%s: 'partial_rotary_factor' %g is not above 0 and at most 1", path,
                            rotary_share);
    double rope_dim = (double)h->head_dim * rotary_share;
    h->rope_dim = rope_dim >= 0 && rope_dim <= INT32_MAX ? (int64_t)rope_dim
                                                         : 0; /* head_dim itself is checked later */
    LM_TRY(read_scaling(json_is_null(scaling) ? NULL : scaling, path, &h->rope_scaling, err));
    return check_llama3(&h->rope_scaling, path, err);
}

loam_status lm_hparams_from_config(const json_t *config, const char *path, lm_hparams *out,
                                   loam_error *err) {
    lm_hparams h = {.rope_layout = LM_ROPE_HALF_SPLIT};
    if (!json_is_object(config))
        return lm_error_set(err, LOAM_INVALID, "%s: not a JSON object", path);
    LM_TRY(copy_text(config, path, "model_type", LM_STR(""), h.architecture, sizeof h.architecture,
                     err));
    LM_TRY(copy_text(config, path, "hidden_act", LM_STR("silu"), h.hidden_act, sizeof h.hidden_act,
                     err));
    LM_TRY(read_sizes(config, path, &h, err));
    LM_TRY(limit_to_window(config, path, &h, err));
    LM_TRY(read_rope(config, path, &h, err));
    LM_TRY(lm_json_bool_or(config, path, "tie_word_embeddings", false, &h.tied_embeddings, err));
    LM_TRY(lm_json_bool_or(config, path, "attention_bias", false, &h.attention_bias, err));
    LM_TRY(lm_json_bool_or(config, path, "mlp_bias", false, &h.mlp_bias, err));
    LM_TRY(lm_hparams_check(&h, path, err));
    *out = h;
    return LOAM_OK;
}
