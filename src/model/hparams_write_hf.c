/* Hyperparameters as config.json, and which model_type has them. */
#include "model/hparams_write.h"

#include <math.h>
#include <stdio.h>

#include "base/str.h"
#include "model/rope_table.h"

loam_status lm_hparams_check_written(const lm_arch_config *config, loam_error *err) {
    if (config->hparams.rounded_reads) {
        lm_error_set(err, LOAM_UNSUPPORTED,
                     "models whose matrices read rows of 8 bits are not written");
        return lm_error_hint(err, LOAM_UNSUPPORTED, "what is written says nothing of that");
    }
    if (!config->arch->read_only) return LOAM_OK;
    lm_error_set(err, LOAM_UNSUPPORTED, "models of architecture '%s' are read, not written",
                 config->arch->hf_type);
    return lm_error_hint(err, LOAM_UNSUPPORTED, "docs/models.md says which those are");
}

/* --- Which family's folder. */

static bool has_experts(const lm_hparams *hp) {
    return hp->n_experts > 0;
}

static bool has_shared_expert(const lm_hparams *hp) {
    return hp->shared_ffn_dim > 0;
}

static bool has_no_experts(const lm_hparams *hp) {
    return hp->n_experts == 0;
}

static bool has_some_windows(const lm_hparams *hp) {
    bool all = true;
    for (int64_t i = 0; i < hp->n_layers; i++) all &= lm_layer_in(&hp->windowed, i);
    return hp->window > 0 && !all;
}

static bool has_plain_queries(const lm_hparams *hp) {
    return hp->query_growth == 0;
}

static bool has_window(const lm_hparams *hp) {
    return hp->window > 0;
}

static bool has_sigmoid_experts(const lm_hparams *hp) {
    return hp->expert_sigmoid;
}

static bool has_unweighted_norms(const lm_hparams *hp) {
    return hp->scan_norm_eps > 0;
}

static bool has_rope(const lm_hparams *hp) {
    return !lm_layer_in(&hp->no_rope, 0);
}

static bool is_distilbert(const lm_hparams *hp) {
    return hp->n_token_types == 0 && hp->n_labels == 0 && hp->rms_norm_eps == 1e-12f;
}

/* Layers that differ in heads at most. */
static bool has_whole_layers(const lm_hparams *hp) {
    for (int64_t i = 0; i < hp->n_layers; i++)
        if (!lm_layer_attends(hp, i) || !lm_layer_has_mlp(hp, i) ||
            lm_ffn_dim_at(hp, i) != hp->ffn_dim)
            return false;
    return true;
}

/* Families that GGUF has one name for: those but the first that bears it. */
static const struct {
    const char *name;
    bool (*is)(const lm_hparams *hp);
    const char *hf_type;
} kin[] = {
    {"llama", has_experts, "mixtral"},      {"llama", has_some_windows, "ministral"},
    {"llama", has_window, "mistral"},       {"mistral3", has_plain_queries, "mistral"},
    {"olmo2", has_window, "olmo3"},         {"granitemoe", has_shared_expert, "granitemoeshared"},
    {"deepseek2", has_no_experts, "youtu"}, {"deepseek2", has_sigmoid_experts, "deepseek_v3"},
    {"bert", is_distilbert, "distilbert"},  {"mamba", has_unweighted_norms, "falcon_mamba"},
    {"granitehybrid", has_rope, "bamba"}, {"granite_swa", has_experts, "granitemoe_swa"},
    {"deci", has_whole_layers, "deci"},
};

const lm_arch *lm_arch_for_folder(const lm_arch_config *config) {
    const lm_arch *first = lm_arch_find(config->arch->name);
    for (size_t i = 0; config->arch == first && i < LM_COUNT_OF(kin); i++)
        if (strcmp(kin[i].name, first->name) == 0 && kin[i].is(&config->hparams))
            return lm_arch_of_folder(kin[i].hf_type);
    return config->arch;
}

/* --- Rope. */

/* The llama3 scaling that gives these factors, of those with this high_freq_factor. */
static bool find_llama3_of(const lm_hparams *hp, double high, lm_rope_scaling *out) {
    float factors[LM_MAX_ROPE_PAIRS];
    int64_t n = hp->rope_dim / 2;
    lm_hparams tried = *hp;
    if (n < 1 || n > LM_MAX_ROPE_PAIRS) return false;
    tried.rope_freq_factors = NULL;
    for (int64_t original = 8; original <= (1 << 20); original *= 2) {
        tried.rope_scaling = (lm_rope_scaling){.kind = LM_ROPE_SCALING_LLAMA3,
                                               .factor = round(hp->rope_freq_factors[n - 1]),
                                               .original_context_len = original,
                                               .low_freq_factor = 1,
                                               .high_freq_factor = high};
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

/* Published models differ in the factor and the original context, and Llama 4 has no ramp. False: none of those does. */
static bool find_llama3(const lm_hparams *hp, lm_rope_scaling *out) {
    return find_llama3_of(hp, 4, out) || find_llama3_of(hp, 1, out);
}

/* --- Layers that lie in an order. */

static bool has_experts_at(const lm_hparams *hp, int64_t layer) {
    return hp->n_experts > 0 && !lm_layer_in(&hp->dense_layers, layer);
}

static int64_t first_of(const lm_hparams *hp, bool (*is)(const lm_hparams *, int64_t)) {
    int64_t i = 0;
    while (i < hp->n_layers && !is(hp, i)) i++;
    return i;
}

/* Each how manieth layer is, counted from the first that is, which is the only one where it is beyond the last; 0: there is no such order. */
static int64_t period_of(const lm_hparams *hp, bool (*is)(const lm_hparams *, int64_t)) {
    int64_t first = first_of(hp, is);
    for (int64_t period = first + 1; period <= hp->n_layers + 1; period++) {
        int64_t i = first;
        while (i < hp->n_layers && is(hp, i) == (i % period == first)) i++;
        if (i == hp->n_layers) return period;
    }
    return 0;
}

/* Jamba's layers are said by periods. */
static LM_MUST_USE loam_status check_periods(const lm_arch_config *config, loam_error *err) {
    const lm_hparams *hp = &config->hparams;
    if (strcmp(config->arch->hf_type, "jamba") != 0 ||
        (period_of(hp, lm_layer_attends) > 0 && period_of(hp, has_experts_at) > 0))
        return LOAM_OK;
    return lm_error_set(err, LOAM_UNSUPPORTED,
                        "config.json cannot say which layers attend or have experts");
}

/* Gemma 4's config.json says one thing of all layers of a kind. */
static LM_MUST_USE loam_status check_layers(const lm_arch_config *config, loam_error *err) {
    const lm_hparams *hp = &config->hparams;
    int64_t n_own = hp->n_layers - hp->n_shared_kv_layers,
            n_same = lm_layers_before(&hp->keys_are_values, n_own),
            n_full = n_own - lm_layers_before(&hp->windowed, n_own);
    bool kv_said = config->arch->local_kv_factor > 0  ? true
                   : n_same > 0 ? n_same == n_full
                                : hp->local_kv_heads == hp->n_kv_heads,
         ffn_said = hp->n_shared_kv_layers == 0 || hp->shared_kv_ffn_dim == hp->ffn_dim ||
                    hp->shared_kv_ffn_dim == 2 * hp->ffn_dim;
    if ((hp->local_head_dim == 0 || kv_said) && ffn_said) return LOAM_OK;
    return lm_error_set(err, LOAM_UNSUPPORTED,
                        "config.json cannot say what heads and MLPs its layers have");
}

loam_status lm_hparams_check_config(const lm_arch_config *config, loam_error *err) {
    lm_rope_scaling found;
    LM_TRY(lm_hparams_check_written(config, err));
    LM_TRY(check_periods(config, err));
    if (strcmp(config->arch->hf_type, "stablelm") == 0 && lm_arch_has(config, LM_FEATURE_QK_NORM))
        return lm_error_set(err, LOAM_UNSUPPORTED,
                            "norms of q and k in a tensor for each head are not written");
    LM_TRY(check_layers(config, err));
    if (config->arch->hf_norms_said && !(config->hparams.query_norm > 0))
        return lm_error_set(err, LOAM_UNSUPPORTED,
                            "config.json cannot say what norms of queries have for weights");
    if (!config->hparams.rope_freq_factors || find_llama3(&config->hparams, &found)) return LOAM_OK;
    return lm_error_set(
        err, LOAM_UNSUPPORTED,
        "the frequency factors of its rope are those of no rope scaling that config.json can name");
}

/* --- Values. */

/* f32 numbers that came through a GGUF as people would have written them: 1e-05, not 9.999999747378752e-06. */
static double shortest(double value) {
    char text[40];
    double number;
    snprintf(text, sizeof text, "%.7g", value);
    return lm_str_to_f64(lm_str_of(text), &number) && (float)number == (float)value ? number
                                                                                    : value;
}

static json_t *number_or_null(double value) {
    return value > 0 ? json_real(shortest(value)) : json_null();
}

/* A number that is whole in all models there are. */
static json_t *whole(double value) {
    double number = shortest(value);
    return number == floor(number) ? json_integer((json_int_t)number) : json_real(number);
}

static json_t *integer_or_null(int64_t value) {
    return value > 0 ? json_integer((json_int_t)value) : json_null();
}

static json_t *numbers_json(const float *numbers, int64_t n) {
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(list, json_real(shortest(numbers[i])));
    return list;
}

/* Phi-3's readers want no other keys, and the original length beside it. */
static json_t *longrope_json(const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    const lm_rope_scaling *s = &hp->rope_scaling;
    json_t *scaling = json_pack("{s:s, s:o, s:o}", "type", "longrope", "short_factor",
                                numbers_json(s->short_factors, hp->rope_dim / 2), "long_factor",
                                numbers_json(s->long_factors, hp->rope_dim / 2));
    for (int i = 0; i < 2 && strcmp(config->arch->hf_type, "phimoe") == 0; i++)
        json_object_set_new(scaling, i == 0 ? "long_mscale" : "short_mscale",
                            json_real(shortest(lm_longrope_factor(hp))));
    if (strcmp(config->arch->hf_type, "phi3") != 0)
        json_object_set_new(scaling, "original_max_position_embeddings",
                            json_integer((json_int_t)s->original_context_len));
    return scaling;
}

static void set_yarn(json_t *scaling, const lm_rope_scaling *s) {
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"beta_fast", s->beta_fast},
                   {"beta_slow", s->beta_slow},
                   {"attention_factor", s->attention_factor},
                   {"mscale", s->mscale},
                   {"mscale_all_dim", s->mscale_all_dim}};
    for (size_t i = 0; i < LM_COUNT_OF(numbers); i++)
        if (numbers[i].value > 0)
            json_object_set_new(scaling, numbers[i].key, json_real(shortest(numbers[i].value)));
    if (s->exact_bounds) json_object_set_new(scaling, "truncate", json_false());
}

/* NULL without scaling. */
static json_t *scaling_json(const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    lm_rope_scaling s = hp->rope_scaling;
    if (hp->rope_freq_factors && !find_llama3(hp, &s)) return NULL;
    if (s.kind == LM_ROPE_SCALING_NONE) return NULL;
    if (s.kind == LM_ROPE_SCALING_LONGROPE) return longrope_json(config);
    const char *name = lm_rope_scaling_name(s.kind);
    json_t *scaling =
        json_pack("{s:s, s:s, s:f}", "type", name, "rope_type", name, "factor", shortest(s.factor));
    if (s.original_context_len)
        json_object_set_new(scaling, "original_max_position_embeddings",
                            json_integer((json_int_t)s.original_context_len));
    if (s.kind == LM_ROPE_SCALING_LLAMA3) {
        json_object_set_new(scaling, "low_freq_factor", json_real(s.low_freq_factor));
        json_object_set_new(scaling, "high_freq_factor", json_real(s.high_freq_factor));
    }
    if (s.kind == LM_ROPE_SCALING_YARN) set_yarn(scaling, &s);
    if (hp->query_growth > 0)
        json_object_set_new(scaling, "llama_4_scaling_beta", json_real(shortest(hp->query_growth)));
    return scaling;
}

/* Qwen 3.5's, which says how pairs turn where there are images. */
static json_t *sections_json(const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    json_t *all = scaling_json(config),
           *rope = all ? all : json_pack("{s:s}", "rope_type", "default"), *sections = json_array();
    for (size_t i = 0; i < 3; i++)
        json_array_append_new(sections, json_integer(hp->rope_sections[i]));
    json_object_set_new(rope, "rope_theta", json_real(shortest(hp->rope_theta)));
    json_object_set_new(rope, "partial_rotary_factor",
                        json_real((double)hp->rope_dim / (double)hp->head_dim));
    json_object_set_new(rope, "mrope_section", sections);
    json_object_set_new(rope, "mrope_interleaved", json_true());
    return rope;
}

/* Of layers without a window and of those with one, whose rope is not scaled. */
static json_t *ropes_json(const lm_arch_config *config) {
    double theta = shortest(config->hparams.rope_theta),
           local = config->hparams.local_rope_theta > 0 ? shortest(config->hparams.local_rope_theta)
                                                        : theta;
    json_t *all = scaling_json(config),
           *full = all ? all : json_pack("{s:s}", "rope_type", "default");
    json_object_set_new(full, "rope_theta", json_real(theta));
    if (config->hparams.turning_pairs > 0) { /* of a whole head */
        double share = 2.0 * (double)config->hparams.turning_pairs;
        json_object_set_new(full, "rope_type", json_string("proportional"));
        json_object_set_new(full, "partial_rotary_factor",
                            json_real(share / (double)config->hparams.head_dim));
    }
    json_t *windowed = json_pack("{s:s, s:f}", "rope_type", "default", "rope_theta", local);
    const lm_hparams *hp = &config->hparams;
    bool apart = config->arch->rope_fraction > 0 || config->arch->local_ropes;
    if (apart && hp->local_head_dim > 0) {
        json_object_set_new(full, "partial_rotary_factor",
                            json_real((double)hp->rope_dim / (double)hp->head_dim));
        json_object_set_new(
            windowed, "partial_rotary_factor",
            json_real((double)lm_local_rope_dim(hp) / (double)hp->local_head_dim));
    }
    return json_pack("{s:o, s:o}", "full_attention", full, "sliding_attention", windowed);
}

static json_t *no_rope_json(const lm_hparams *hp) {
    json_t *list = json_array(); /* 1: with rope */
    for (int64_t i = 0; i < hp->n_layers; i++)
        json_array_append_new(list, json_integer(!lm_layer_in(&hp->no_rope, i)));
    return list;
}

/* Granite's, 0 of layers without rope. */
static json_t *thetas_json(const lm_hparams *hp) {
    json_t *list = json_array();
    for (int64_t i = 0; i < hp->n_layers; i++)
        json_array_append_new(
            list, json_real(lm_layer_in(&hp->no_rope, i) ? 0 : shortest(hp->rope_theta)));
    return list;
}

/* Whether layers have an indexer of their own: GLM's words. */
static json_t *indexers_json(const lm_hparams *hp) {
    json_t *list = json_array();
    for (int64_t i = 0; i < hp->n_layers; i++)
        json_array_append_new(list, json_string(lm_layer_indexes(hp, i) ? "full" : "shared"));
    return list;
}

/* MPT's. */
static json_t *attn_config_json(const lm_hparams *hp) {
    return json_pack("{s:b, s:o, s:o}", "alibi", hp->alibi_max > 0, "alibi_bias_max",
                     whole(hp->alibi_max > 0 ? hp->alibi_max : 8), "clip_qkv",
                     number_or_null(hp->qkv_clip));
}

/* DBRX's, of attention and of experts. */
static json_t *dbrx_attn_json(const lm_hparams *hp) {
    return json_pack("{s:I, s:f, s:o}", "kv_n_heads", (json_int_t)hp->n_kv_heads, "rope_theta",
                     shortest(hp->rope_theta), "clip_qkv", number_or_null(hp->qkv_clip));
}

static json_t *dbrx_ffn_json(const lm_hparams *hp) {
    return json_pack("{s:I, s:I, s:I}", "ffn_hidden_size", (json_int_t)hp->expert_ffn_dim,
                     "moe_num_experts", (json_int_t)hp->n_experts, "moe_top_k",
                     (json_int_t)hp->n_experts_used);
}

static int64_t first_windowed(const lm_hparams *hp) {
    int64_t i = 0;
    while (i < hp->n_layers && !lm_layer_in(&hp->windowed, i)) i++;
    return i;
}

static json_t *layer_types_json(const lm_arch_config *config, const char *usual) {
    const lm_hparams *hp = &config->hparams;
    json_t *list = json_array();
    for (int64_t i = 0; i < hp->n_layers; i++) {
        const char *type = lm_layer_in(&hp->windowed, i) ? "sliding_attention" : usual;
        if (!lm_layer_attends(hp, i)) type = lm_arch_recurrent_type(config->arch);
        json_array_append_new(list, json_string(type));
    }
    return list;
}

/* "M-M*-": what each layer is, of those that are one block. */
static json_t *block_letters(const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    char text[LM_MAX_LAYERS + 1];
    for (int64_t i = 0; i < hp->n_layers; i++)
        text[i] = lm_layer_in(&hp->recurrent, i)         ? 'M'
                  : lm_layer_attends(hp, i)              ? '*'
                  : lm_arch_layer_has_experts(config, i) ? 'E'
                                                         : '-';
    return json_stringn(text, (size_t)hp->n_layers);
}

static double factor(double value) {
    return value > 0 ? shortest(value) : 1;
}

/* Falcon-H1's. */
static json_t *mlp_multipliers_json(const lm_product_factors *f) {
    return json_pack("[f, f]", factor(f->gate), factor(f->down));
}

static json_t *state_multipliers_json(const lm_product_factors *f) {
    return json_pack("[f, f, f, f, f]", factor(f->state_gate), factor(f->state_v),
                     factor(f->state_k), factor(f->state_q), factor(f->state_step));
}

/* Kimi Linear's, whose layers are counted from 1 on. */
static json_t *linear_attn_json(const lm_hparams *hp) {
    json_t *recurrent = json_array(), *attending = json_array();
    for (int64_t i = 0; i < hp->n_layers; i++)
        json_array_append_new(lm_layer_attends(hp, i) ? attending : recurrent, json_integer(i + 1));
    json_t *json = json_pack("{s:I, s:I, s:I, s:o, s:o}", "head_dim", (json_int_t)hp->state_key_dim,
                             "num_heads", (json_int_t)hp->state_heads, "short_conv_kernel_size",
                             (json_int_t)hp->conv_taps, "kda_layers", recurrent, "full_attn_layers",
                             attending);
    if (hp->step_bound > 0)
        json_object_set_new(json, "gate_lower_bound", json_real(-hp->step_bound));
    return json;
}

/* Bounds of gates by layer, 0 of none. */
static json_t *limits_json(const lm_hparams *hp, const float *limits) {
    json_t *list = json_array();
    for (int64_t i = 0; i < hp->n_layers; i++)
        json_array_append_new(
            list, json_real(i < LM_MAX_VARIED_LAYERS ? shortest((double)limits[i]) : 0));
    return list;
}

static json_t *attending_json(const lm_hparams *hp) {
    json_t *list = json_array();
    for (int64_t i = 0; i < hp->n_layers; i++)
        if (lm_layer_attends(hp, i)) json_array_append_new(list, json_integer(i));
    return list;
}

static json_t *mlp_types_json(const lm_hparams *hp) {
    json_t *list = json_array();
    for (int64_t i = 0; i < hp->n_layers; i++)
        json_array_append_new(
            list, json_string(lm_layer_in(&hp->dense_layers, i) ? "dense" : "sparse"));
    return list;
}

static json_t *dense_layers_json(const lm_hparams *hp) {
    json_t *list = json_array();
    for (int64_t i = 0; i < hp->n_layers; i++)
        if (lm_layer_in(&hp->dense_layers, i)) json_array_append_new(list, json_integer(i));
    return list;
}

static json_t *counts_json(const lm_hparams *hp, int64_t (*count)(const lm_hparams *, int64_t)) {
    json_t *list = json_array();
    for (int64_t i = 0; i < hp->n_layers; i++)
        json_array_append_new(list, json_integer((json_int_t)count(hp, i)));
    return list;
}

static int64_t turns_at(const lm_hparams *hp, int64_t layer) {
    return !lm_layer_in(&hp->no_rope, layer);
}

static int64_t windowed_at(const lm_hparams *hp, int64_t layer) {
    return hp->window > 0 && lm_layer_in(&hp->windowed, layer);
}

/* OpenELM's: widths as multiples of the model's, and what all are multiples of. */
static json_t *multipliers_json(const lm_hparams *hp) {
    json_t *list = json_array();
    for (int64_t i = 0; i < hp->n_layers; i++)
        json_array_append_new(list, json_real((double)lm_ffn_dim_at(hp, i) / (double)hp->dim));
    return list;
}

static int64_t ffn_divisor(const lm_hparams *hp) {
    int64_t divisor = 256;
    for (int64_t i = 0; i < hp->n_layers; i++)
        while (lm_ffn_dim_at(hp, i) % divisor != 0) divisor /= 2;
    return divisor;
}

/* Llama-Nemotron's. */
static json_t *blocks_json(const lm_hparams *hp) {
    json_t *list = json_array();
    for (int64_t i = 0; i < hp->n_layers; i++) {
        bool attends = lm_layer_attends(hp, i), has_mlp = lm_layer_has_mlp(hp, i),
             matrix = lm_layer_in(&hp->by_matrix, i);
        double multiple = 3.0 * (double)lm_ffn_dim_at(hp, i) / (2.0 * (double)hp->dim);
        json_array_append_new(
            list,
            json_pack("{s:{s:b, s:b, s:o}, s:{s:b, s:b, s:o}}", "attention", "no_op",
                      !attends && !matrix, "replace_with_linear", matrix, "n_heads_in_group",
                      integer_or_null(attends ? lm_heads_at(hp, i) / lm_kv_heads_at(hp, i) : 0),
                      "ffn", "no_op", !has_mlp, "replace_with_linear", 0, "ffn_mult",
                      number_or_null(has_mlp ? multiple : 0)));
    }
    return list;
}

static json_t *labels_json(const lm_hparams *hp) {
    json_t *labels = json_object();
    for (int64_t i = 0; i < hp->n_labels; i++) {
        char key[24], name[32];
        snprintf(key, sizeof key, "%lld", (long long)i);
        snprintf(name, sizeof name, "LABEL_%lld", (long long)i);
        json_object_set_new(labels, key, json_string(name));
    }
    return labels;
}

/* --- Keys. */

enum { KEY_BYTES = 48 };

/* What a family calls it, by config_keys.def's list; false: it does not say it. */
static bool key_of(const char *keys, const char *hf_type, char out[KEY_BYTES]) {
    size_t family_len = strlen(hf_type);
    const char *found = keys;
    for (const char *at = keys; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        if (n > family_len && at[family_len] == ':' && strncmp(at, hf_type, family_len) == 0)
            found = at + family_len + 1;
        at += n;
    }
    snprintf(out, KEY_BYTES, "%.*s", (int)strcspn(found, " "), found);
    return strcmp(out, "-") != 0;
}

static json_t *json_INT(int64_t value) {
    return json_integer((json_int_t)value);
}

static json_t *json_REAL(double value) {
    return json_real(shortest(value));
}

static json_t *json_FLAG(bool value) {
    return json_boolean(value);
}

static json_t *json_TEXT(const char *value) {
    return json_string(value);
}

static json_t *json_JSON(json_t *value) {
    return value;
}

/* "Qwen3ForCausalLM", or "Qwen3ForSequenceClassification" of a model that scores. */
static json_t *class_json(const lm_arch_config *config) {
    const char *name = config->arch->hf_class, *model = strstr(name, "Model"),
               *end = strstr(name, "For");
    if (!lm_arch_has(config, LM_FEATURE_CLASSIFIER)) return json_pack("[s]", name);
    if (!end) end = model ? model : name + strlen(name);
    char text[96];
    snprintf(text, sizeof text, "%.*sForSequenceClassification", (int)(end - name), name);
    return json_pack("[s]", text);
}

static const char *torch_name(lm_dtype dtype) {
    return dtype == LM_F16 ? "float16" : dtype == LM_BF16 ? "bfloat16" : "float32";
}

json_t *lm_hparams_config_json(const lm_arch_config *config, lm_dtype dtype) {
    const lm_hparams *hp = &config->hparams;
    const lm_arch *arch = config->arch;
    bool latent = hp->kv_latent_dim > 0, moe = hp->n_experts > 0,
         qkv_bias = lm_arch_has(config, LM_FEATURE_QKV_BIAS),
         mlp_bias = lm_arch_has(config, LM_FEATURE_MLP_BIAS);
    int64_t window = lm_hparams_said_window(config);
    bool recurrent = lm_layers_before(&hp->recurrent, hp->n_layers) > 0,
         attends = lm_cached_layers(hp) > 0, local = arch->local_heads,
         same_kv = lm_layers_before(&hp->keys_are_values, hp->n_layers) > 0;
    char key[KEY_BYTES];
    json_t *json = json_pack("{s:o, s:s, s:s}", "architectures", class_json(config), "model_type",
                             arch->hf_type, "torch_dtype", torch_name(dtype));
#define IN_GROUPS(key)                                                                            \
    "glm4_moe:" key " glm4_moe_lite:" key " deepseek_v2:" key " deepseek_v3:" key " kimi_k2:" key \
    " dots1:" key " deepseek:" key " solar_open:" key " mistral4:" key " mimo_v2_flash:" key \
    " deepseek_v32:" key " glm_moe_dsa:" key
#define DELTA_RULES(key) "qwen3_next:" key " qwen3_5_text:" key " qwen3_5_moe_text:" key
#define MAMBAS(key) "mamba:" key " falcon_mamba:" key " mamba2:" key
#define OF_MAMBA(key) "granitemoehybrid:" key " bamba:" key " falcon_h1:" key " jamba:" key
#define LM_CONFIG_KEY(type, when, value, keys)      \
    if ((when) && key_of(keys, arch->hf_type, key)) \
        json_object_set_new(json, key, json_##type(value));
#include "model/config_keys.def"
#undef LM_CONFIG_KEY
#undef OF_MAMBA
#undef MAMBAS
#undef DELTA_RULES
#undef IN_GROUPS
    return json;
}
