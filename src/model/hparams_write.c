#include "model/hparams_write.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "model/rope_table.h"

enum { KEY_BYTES = 160, MAX_ROPE_PAIRS = 8192 };

/* Architectures of which everything that makes the model is written below. */
static const char *const written[] = {
    "llama", "mistral", "internlm3", "qwen2",    "qwen3", "minicpm",       "granite",
    "olmo2", "smollm3", "ernie4_5",  "seed_oss", "arcee", "PanguEmbedded", "starcoder2"};

static LM_MUST_USE loam_status check_arch(const lm_arch_config *config, loam_error *err) {
    const lm_arch *arch = config->arch;
    if (config->hparams.rope_scaling.kind == LM_ROPE_SCALING_LONGROPE)
        return lm_error_set(err, LOAM_UNSUPPORTED, "models with longrope are read, not written");
    if (config->hparams.window > 0 && arch->window_period != 1)
        return lm_error_set(err, LOAM_UNSUPPORTED,
                            "models with windows in some of their layers are read, not written");
    for (size_t i = 0; i < LM_COUNT_OF(written); i++)
        if (strcmp(arch->hf_type, written[i]) == 0) return LOAM_OK;
    lm_error_set(err, LOAM_UNSUPPORTED, "models of architecture '%s' are read, not written",
                 arch->hf_type);
    return lm_error_hint(err, LOAM_UNSUPPORTED, "docs/models.md lists those that loam writes");
}

/* --- Rope. */

bool lm_hparams_freq_factors(const lm_hparams *hparams, float *out) {
    float scaled[MAX_ROPE_PAIRS], scale;
    lm_hparams plain = *hparams;
    bool needed =
        hparams->rope_freq_factors || hparams->rope_scaling.kind == LM_ROPE_SCALING_LLAMA3;
    if (!needed || hparams->rope_dim / 2 > MAX_ROPE_PAIRS) return false;
    plain.rope_scaling = (lm_rope_scaling){.factor = 1};
    plain.rope_freq_factors = NULL;
    lm_rope_table(hparams, hparams->context_len, scaled, &scale);
    lm_rope_table(&plain, hparams->context_len, out, &scale);
    for (int64_t i = 0; i < hparams->rope_dim / 2; i++) out[i] = out[i] / scaled[i];
    return true;
}

/* The llama3 scaling that gives these factors: published models differ in the factor and the original context only. False:
 * none of those does. */
static bool find_llama3(const lm_hparams *hp, lm_rope_scaling *out) {
    float factors[MAX_ROPE_PAIRS];
    int64_t n = hp->rope_dim / 2;
    lm_hparams tried = *hp;
    if (n < 1 || n > MAX_ROPE_PAIRS) return false;
    tried.rope_freq_factors = NULL;
    for (int64_t original = 8; original <= (1 << 20); original *= 2) {
        tried.rope_scaling = (lm_rope_scaling){.kind = LM_ROPE_SCALING_LLAMA3,
                                               .factor = round(hp->rope_freq_factors[n - 1]),
                                               .original_context_len = original,
                                               .low_freq_factor = 1,
                                               .high_freq_factor = 4};
        double worst = 0;
        lm_hparams_freq_factors(&tried, factors);
        for (int64_t i = 0; i < n; i++)
            worst = fmax(worst, fabs(factors[i] / hp->rope_freq_factors[i] - 1));
        if (worst > 1e-5) continue;
        *out = tried.rope_scaling;
        return true;
    }
    return false;
}

loam_status lm_hparams_check_gguf(const lm_arch_config *config, loam_error *err) {
    return check_arch(config, err);
}

loam_status lm_hparams_check_config(const lm_arch_config *config, loam_error *err) {
    lm_rope_scaling found;
    LM_TRY(check_arch(config, err));
    if (!config->hparams.rope_freq_factors || find_llama3(&config->hparams, &found)) return LOAM_OK;
    return lm_error_set(
        err, LOAM_UNSUPPORTED,
        "the frequency factors of its rope are those of no rope scaling that config.json can name");
}

/* --- GGUF. */

typedef struct gguf_out {
    lm_gguf_writer *writer;
    const char *arch;
} gguf_out;

static const char *full_key(const gguf_out *out, const char *name, char key[KEY_BYTES]) {
    snprintf(key, KEY_BYTES, "%s.%s", out->arch, name);
    return key;
}

static void add_u32(const gguf_out *out, const char *name, int64_t value) {
    char key[KEY_BYTES];
    lm_gguf_writer_add_u32(out->writer, full_key(out, name, key), (uint32_t)value);
}

static void add_f32(const gguf_out *out, const char *name, double value) {
    char key[KEY_BYTES];
    lm_gguf_writer_add_f32(out->writer, full_key(out, name, key), (float)value);
}

/* llama3 comes as a tensor of factors instead (lm_hparams_freq_factors). */
static void add_scaling(const gguf_out *out, const lm_rope_scaling *s) {
    char key[KEY_BYTES];
    if (s->kind == LM_ROPE_SCALING_NONE || s->kind == LM_ROPE_SCALING_LLAMA3) return;
    lm_gguf_writer_add_str(out->writer, full_key(out, "rope.scaling.type", key),
                           lm_str_of(lm_rope_scaling_name(s->kind)));
    add_f32(out, "rope.scaling.factor", s->factor);
    if (s->original_context_len)
        add_u32(out, "rope.scaling.original_context_length", s->original_context_len);
    if (s->kind != LM_ROPE_SCALING_YARN) return;
    add_f32(out, "rope.scaling.yarn_beta_fast", s->beta_fast);
    add_f32(out, "rope.scaling.yarn_beta_slow", s->beta_slow);
    if (s->attention_factor > 0) add_f32(out, "rope.scaling.attn_factor", s->attention_factor);
}

/* Those that are 0 are not there. */
static void add_factors(const gguf_out *out, const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    double logit_scale = hp->logit_scale;
    if (config->arch->logit_divisor && logit_scale > 0) logit_scale = 1 / logit_scale;
    const struct {
        const char *key;
        double value;
    } factors[] = {{"attention.scale", hp->attention_scale},
                   {"attn_logit_softcapping", hp->attention_soft_cap},
                   {"final_logit_softcapping", hp->logit_soft_cap},
                   {"embedding_scale", hp->embedding_scale},
                   {"residual_scale", hp->residual_scale},
                   {"logit_scale", logit_scale}};
    for (size_t i = 0; i < LM_COUNT_OF(factors); i++)
        if (factors[i].value > 0) add_f32(out, factors[i].key, factors[i].value);
}

void lm_hparams_write_gguf(const lm_arch_config *config, lm_gguf_writer *writer) {
    const lm_hparams *hp = &config->hparams;
    gguf_out out = {writer, config->arch->name};
    lm_gguf_writer_add_str(writer, "general.architecture", lm_str_of(out.arch));
    add_u32(&out, "context_length", hp->context_len);
    add_u32(&out, "embedding_length", hp->dim);
    add_u32(&out, "block_count", hp->n_layers);
    add_u32(&out, "feed_forward_length", hp->ffn_dim);
    add_u32(&out, "attention.head_count", hp->n_heads);
    add_u32(&out, "attention.head_count_kv", hp->n_kv_heads);
    if (hp->head_dim * hp->n_heads != hp->dim) {
        add_u32(&out, "attention.key_length", hp->head_dim);
        add_u32(&out, "attention.value_length", hp->head_dim);
    }
    if (hp->window > 0) add_u32(&out, "attention.sliding_window", hp->window);
    bool layer_norm = lm_arch_has(config, LM_FEATURE_LAYER_NORM);
    add_f32(&out, layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon",
            hp->rms_norm_eps);
    add_factors(&out, config);
    add_u32(&out, "rope.dimension_count", hp->rope_dim);
    add_f32(&out, "rope.freq_base", hp->rope_theta);
    add_scaling(&out, &hp->rope_scaling);
    if (hp->window > 0) add_u32(&out, "attention.sliding_window", hp->window);
    add_u32(&out, "vocab_size", hp->vocab_size);
}

/* --- config.json. */

/* NULL without scaling. */
static json_t *scaling_json(const lm_hparams *hp) {
    lm_rope_scaling s = hp->rope_scaling;
    if (hp->rope_freq_factors && !find_llama3(hp, &s)) return NULL;
    if (s.kind == LM_ROPE_SCALING_NONE) return NULL;
    json_t *scaling =
        json_pack("{s:s, s:f}", "rope_type", lm_rope_scaling_name(s.kind), "factor", s.factor);
    if (s.original_context_len)
        json_object_set_new(scaling, "original_max_position_embeddings",
                            json_integer((json_int_t)s.original_context_len));
    if (s.kind == LM_ROPE_SCALING_LLAMA3) {
        json_object_set_new(scaling, "low_freq_factor", json_real(s.low_freq_factor));
        json_object_set_new(scaling, "high_freq_factor", json_real(s.high_freq_factor));
    }
    if (s.kind == LM_ROPE_SCALING_YARN) {
        json_object_set_new(scaling, "beta_fast", json_real(s.beta_fast));
        json_object_set_new(scaling, "beta_slow", json_real(s.beta_slow));
        if (s.attention_factor > 0)
            json_object_set_new(scaling, "attention_factor", json_real(s.attention_factor));
    }
    return scaling;
}

/* f32 numbers that came through a GGUF as people would have written them: 1e-05, not 9.999999747378752e-06. */
static double shortest(double value) {
    char text[40];
    double number;
    snprintf(text, sizeof text, "%.7g", value);
    return lm_str_to_f64(lm_str_of(text), &number) && (float)number == (float)value ? number
                                                                                    : value;
}

static void set_f64(json_t *config, const char *key, double value) {
    if (value > 0) json_object_set_new(config, key, json_real(shortest(value)));
}

/* What some families have besides, in the words of each. */
static void set_more(json_t *json, const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    bool minicpm = strcmp(config->arch->hf_type, "minicpm") == 0;
    double divisor = hp->logit_scale > 0 ? 1 / hp->logit_scale : 0;
    set_f64(json, minicpm ? "scale_emb" : "embedding_multiplier", hp->embedding_scale);
    if (minicpm) {
        set_f64(json, "scale_depth", hp->residual_scale * sqrt((double)hp->n_layers));
        set_f64(json, "dim_model_base", hp->logit_scale * (double)hp->dim);
    } else {
        set_f64(json, "attention_multiplier", hp->attention_scale);
        set_f64(json, "residual_multiplier", hp->residual_scale);
        set_f64(json, "logits_scaling", divisor);
    }
    if (hp->rope_dim != hp->head_dim)
        set_f64(json, "partial_rotary_factor", (double)hp->rope_dim / (double)hp->head_dim);
    if (lm_arch_has(config, LM_FEATURE_LAYER_NORM)) set_f64(json, "norm_epsilon", hp->rms_norm_eps);
    bool qkv = lm_arch_has(config, LM_FEATURE_QKV_BIAS),
         out = lm_arch_has(config, LM_FEATURE_OUT_BIAS);
    /* one switch for all biases, or one for those of attention's output */
    const char *type = config->arch->hf_type;
    bool is_pangu = strcmp(type, "PanguEmbedded") == 0;
    if (is_pangu || strcmp(type, "internlm3") == 0)
        json_object_set_new(json, "bias", json_boolean(out));
    if (strcmp(type, "internlm3") == 0) json_object_set_new(json, "qkv_bias", json_boolean(qkv));
    if (strcmp(type, "seed_oss") == 0)
        json_object_set_new(json, "attention_out_bias", json_boolean(out));
    if (strcmp(type, "starcoder2") == 0 || strcmp(type, "ernie4_5") == 0)
        json_object_set_new(json, "use_bias", json_boolean(qkv));
}

json_t *lm_hparams_config_json(const lm_arch_config *config, lm_dtype dtype) {
    static const struct {
        lm_dtype dtype;
        const char *name;
    } torch_names[] = {{LM_F16, "float16"}, {LM_BF16, "bfloat16"}};
    const lm_hparams *hp = &config->hparams;
    const char *torch_dtype = "float32";
    for (size_t i = 0; i < LM_COUNT_OF(torch_names); i++)
        if (torch_names[i].dtype == dtype) torch_dtype = torch_names[i].name;
    bool has_bias = config->features & LM_FEATURE_QKV_BIAS,
         mlp_bias = config->features & LM_FEATURE_MLP_BIAS;
    json_t *json = json_pack(
        "{s:[s], s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o*, s:o*, s:b, "
        "s:b, s:b}",
        "architectures", config->arch->hf_class, "model_type", config->arch->hf_type, "torch_dtype",
        torch_dtype, "hidden_act", hp->hidden_act, "vocab_size", (json_int_t)hp->vocab_size,
        "hidden_size", (json_int_t)hp->dim, "intermediate_size", (json_int_t)hp->ffn_dim,
        "num_hidden_layers", (json_int_t)hp->n_layers, "num_attention_heads",
        (json_int_t)hp->n_heads, "num_key_value_heads", (json_int_t)hp->n_kv_heads, "head_dim",
        (json_int_t)hp->head_dim, "max_position_embeddings", (json_int_t)hp->context_len,
        "rms_norm_eps", shortest(hp->rms_norm_eps), "rope_theta", shortest(hp->rope_theta),
        "rope_scaling", scaling_json(hp), "sliding_window",
        hp->window > 0 ? json_integer((json_int_t)hp->window) : NULL, "tie_word_embeddings",
        !(config->features & LM_FEATURE_UNTIED_HEAD), "attention_bias",
        has_bias && !(config->arch->features & LM_FEATURE_QKV_BIAS), "mlp_bias", mlp_bias);
    if (json) set_more(json, config);
    return json;
}
