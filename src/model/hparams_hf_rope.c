/* What config.json says of rope. */
#include <math.h>

#include "base/json.h"
#include "model/hparams_hf.h"

static LM_MUST_USE loam_status read_factors(const lm_config_reader *scaling, const char *key,
                                            float *out) {
    const json_t *list = json_object_get(scaling->config, key);
    size_t n = json_array_size(list);
    if (n > LM_MAX_ROPE_PAIRS)
        return lm_error_set(scaling->err, LOAM_INVALID, "%s: '%s' has %zu numbers, at most %d are",
                            scaling->path, key, n, LM_MAX_ROPE_PAIRS);
    for (size_t i = 0; i < n; i++) out[i] = (float)json_number_value(json_array_get(list, i));
    return LOAM_OK;
}

/* Phi-3.5-MoE has one for either table of longrope. */
static LM_MUST_USE loam_status read_attention_factor(const lm_config_reader *scaling,
                                                     lm_rope_scaling *out) {
    double of_short;
    LM_TRY(lm_config_f64(scaling, "attention_factor|long_mscale", 0, &out->attention_factor));
    LM_TRY(lm_config_f64(scaling, "short_mscale", out->attention_factor, &of_short));
    if (of_short == out->attention_factor) return LOAM_OK;
    return lm_error_set(scaling->err, LOAM_UNSUPPORTED,
                        "%s: 'short_mscale' is %g and 'long_mscale' %g: only one for both is known",
                        scaling->path, of_short, out->attention_factor);
}

/* Theta stretched once for all is known of Alibaba's encoders, and there by one rule. */
static LM_MUST_USE loam_status check_ntk(const lm_config_reader *scaling,
                                         lm_rope_scaling_kind kind) {
    bool known = scaling->arch && scaling->arch->dialect == LM_DIALECT_GTE,
         mixed = json_is_number(json_object_get(scaling->config, "mixed_b"));
    if (kind != LM_ROPE_SCALING_NTK || (known && !mixed)) return LOAM_OK;
    return lm_error_set(scaling->err, LOAM_UNSUPPORTED, "%s: rope scaling 'ntk'%s", scaling->path,
                        mixed ? " with 'mixed_b'" : "");
}

static LM_MUST_USE loam_status read_scaling(const lm_config_reader *model, const json_t *object,
                                            lm_rope_scaling *out, double *out_growth) {
    const lm_config_reader r = {object, model->path, model->arch, model->err};
    lm_str kind;
    bool truncate;
    int64_t original;
    if (object && !json_is_object(object))
        return lm_error_set(r.err, LOAM_INVALID, "%s: the rope scaling must be an object", r.path);
    LM_TRY(lm_json_str_or(object, r.path, "type", LM_STR("none"), &kind, r.err));
    LM_TRY(lm_json_str_or(object, r.path, "rope_type", kind, &kind, r.err));
    LM_TRY(lm_rope_scaling_parse(kind, r.path, &out->kind, r.err));
    LM_TRY(check_ntk(&r, out->kind));
    LM_TRY(lm_config_f64(&r, "factor", 1, &out->factor));
    LM_TRY(lm_config_i64(model, "original_max_position_embeddings", 0, &original));
    LM_TRY(lm_config_i64(&r, "original_max_position_embeddings", original,
                         &out->original_context_len));
    LM_TRY(lm_config_f64(&r, "llama_4_scaling_beta", 0, out_growth));
    LM_TRY(lm_config_f64(&r, "low_freq_factor", 1, &out->low_freq_factor));
    LM_TRY(lm_config_f64(&r, "high_freq_factor", 4, &out->high_freq_factor));
    LM_TRY(lm_config_f64(&r, "beta_fast", 32, &out->beta_fast));
    LM_TRY(lm_config_f64(&r, "beta_slow", 1, &out->beta_slow));
    LM_TRY(lm_config_f64(&r, "mscale", 0, &out->mscale));
    LM_TRY(lm_config_f64(&r, "mscale_all_dim", 0, &out->mscale_all_dim));
    LM_TRY(lm_config_bool(&r, "truncate", true, &truncate));
    out->exact_bounds = !truncate;
    LM_TRY(read_factors(&r, "short_factor", out->short_factors));
    LM_TRY(read_factors(&r, "long_factor", out->long_factors));
    return read_attention_factor(&r, out);
}

static LM_MUST_USE loam_status check_llama3(const lm_config_reader *r,
                                            const lm_rope_scaling *scaling) {
    if (scaling->kind != LM_ROPE_SCALING_LLAMA3) return LOAM_OK;
    if (scaling->original_context_len > 0 && scaling->low_freq_factor > 0 &&
        scaling->high_freq_factor >= scaling->low_freq_factor)
        return LOAM_OK;
    return lm_error_set(r->err, LOAM_INVALID,
                        "%s: llama3 rope scaling wants original_max_position_embeddings and 0 < "
                        "low_freq_factor (%g) <= "
                        "high_freq_factor (%g)",
                        r->path, scaling->low_freq_factor, scaling->high_freq_factor);
}

/* The object of rope_parameters that is this kind of layers'; since transformers 5 there may be one for each. */
static const json_t *rope_object(const lm_config_reader *r, const char *layers) {
    const json_t *all = json_object_get(r->config, "rope_parameters"),
                 *one = json_object_get(all, layers);
    return one ? one : all;
}

/* Hunyuan's files call it dynamic when theta is stretched once for all, by a number of their own. */
static LM_MUST_USE loam_status read_alpha(const lm_config_reader *model, const json_t *scaling,
                                          lm_hparams *h) {
    const lm_config_reader r = {scaling, model->path, model->arch, model->err};
    double alpha;
    if (h->rope_scaling.kind != LM_ROPE_SCALING_DYNAMIC || h->head_dim < 4) return LOAM_OK;
    LM_TRY(lm_config_f64(&r, "alpha", 0, &alpha));
    if (!(alpha > 0)) return LOAM_OK;
    h->rope_theta *= pow(alpha, (double)h->head_dim / (double)(h->head_dim - 2));
    h->rope_scaling.kind = LM_ROPE_SCALING_NONE;
    return LOAM_OK;
}

/* Whole heads turn, most of their pairs by nothing. */
static void settle_proportional(const json_t *scaling, lm_hparams *h) {
    const char *kind = json_string_value(json_object_get(scaling, "rope_type"));
    if (!kind || strcmp(kind, "proportional") != 0) return;
    h->turning_pairs = h->rope_dim / 2;
    h->rope_dim = h->head_dim;
    if (h->rope_scaling.factor == 1) h->rope_scaling.kind = LM_ROPE_SCALING_NONE;
}

static LM_MUST_USE loam_status check_fraction(const lm_config_reader *r, double fraction) {
    if (fraction > 0 && fraction <= 1) return LOAM_OK;
    return lm_error_set(r->err, LOAM_INVALID,
                        "%s: 'partial_rotary_factor' is %g, must be above 0 and at most 1", r->path,
                        fraction);
}

/* Of the layers of one kind, which must be alike; NULL: there is none, or no memory. */
static json_t *rope_of_kind(const json_t *config, const char *kind, bool *out_alike) {
    const json_t *types = json_object_get(config, "layer_types"),
                 *thetas = json_object_get(config, "rope_theta"),
                 *fractions = json_object_get(config, "partial_rotary_factors"), *theta = NULL,
                 *fraction = NULL;
    for (size_t i = 0; i < json_array_size(thetas); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        const json_t *own_theta = json_array_get(thetas, i),
                     *own_fraction = json_array_get(fractions, i);
        if (!type || strcmp(type, kind) != 0) continue;
        if (theta && (json_number_value(theta) != json_number_value(own_theta) ||
                      json_number_value(fraction) != json_number_value(own_fraction)))
            *out_alike = false;
        theta = own_theta;
        fraction = own_fraction;
    }
    if (!theta) return NULL;
    json_t *rope =
        json_pack("{s:s, s:f}", "rope_type", "default", "rope_theta", json_number_value(theta));
    if (fraction)
        json_object_set_new(rope, "partial_rotary_factor", json_real(json_number_value(fraction)));
    return rope;
}

loam_status lm_config_part_ropes(json_t *config, const char *path, loam_error *err) {
    json_t *ropes = json_object_get(config, "rope_parameters"),
           *usual = json_object_get(ropes, "main"), *pooled = json_object_get(ropes, "compress");
    if (!json_is_object(usual) || !json_is_object(pooled)) return LOAM_OK;
    const char *kind = json_string_value(json_object_get(usual, "rope_type"));
    if (kind && strcmp(kind, "default") != 0)
        return lm_error_set(err, LOAM_UNSUPPORTED, "%s: 'rope_type' of 'main' is '%s'", path, kind);
    int failed =
        json_object_set(config, "rope_theta", json_object_get(usual, "rope_theta")) ||
        json_object_set(config, "compress_rope_theta", json_object_get(pooled, "rope_theta")) ||
        json_object_set(config, "partial_rotary_factor",
                        json_object_get(usual, "partial_rotary_factor")) ||
        json_object_set(config, "rope_scaling", pooled) ||
        json_object_del(config, "rope_parameters");
    return failed ? lm_error_set(err, LOAM_INVALID, "%s: 'rope_parameters' says no rope", path)
                  : LOAM_OK;
}

loam_status lm_config_join_ropes(json_t *config, const char *path, loam_error *err) {
    bool alike = true;
    if (!json_is_array(json_object_get(config, "rope_theta"))) return LOAM_OK;
    const json_t *scaling = json_object_get(config, "rope_scaling");
    json_t *full = rope_of_kind(config, "full_attention", &alike),
           *windowed = rope_of_kind(config, "sliding_attention", &alike), *both = json_object();
    if (full && json_is_object(scaling)) json_object_update(full, (json_t *)scaling);
    if (full) json_object_set_new(both, "full_attention", full);
    if (windowed) json_object_set_new(both, "sliding_attention", windowed);
    json_object_del(config, "rope_theta");
    if (!both || json_object_set_new(config, "rope_parameters", both))
        return lm_error_no_memory(err, 0);
    if (alike) return LOAM_OK;
    return lm_error_set(err, LOAM_UNSUPPORTED,
                        "%s: 'rope_theta' or 'partial_rotary_factors' differ in layers of one kind",
                        path);
}

/* Either rope_theta beside rope_scaling, or both in rope_parameters (since transformers 5). */
loam_status lm_config_read_rope(const lm_config_reader *r, lm_hparams *h) {
    const json_t *parameters = rope_object(r, "full_attention");
    const json_t *scaling = parameters ? parameters : json_object_get(r->config, "rope_scaling");
    const lm_config_reader inner = {json_is_object(parameters) ? parameters : NULL, r->path,
                                    r->arch, r->err};
    double ratio, fraction = r->arch && r->arch->rope_fraction > 0 ? r->arch->rope_fraction : 1;
    LM_TRY(lm_config_f64(r, "rope_theta|rotary_emb_base|global_rope_theta|rope_freq_constant",
                         10000, &h->rope_theta));
    LM_TRY(lm_config_f64(&inner, "rope_theta", h->rope_theta, &h->rope_theta));
    LM_TRY(lm_config_f64(r, "rope_ratio", 1, &ratio)); /* ChatGLM's */
    h->rope_theta *= ratio;
    LM_TRY(lm_config_f64(r, "partial_rotary_factor|rotary_pct", fraction, &fraction));
    LM_TRY(lm_config_f64(&inner, "partial_rotary_factor", fraction, &fraction));
    LM_TRY(check_fraction(r, fraction));
    h->rope_dim = (int64_t)((double)h->head_dim * fraction);
    LM_TRY(lm_config_i64(r, "rotary_dim|attn_rotary_emb", h->rope_dim, &h->rope_dim));
    LM_TRY(read_scaling(r, json_is_null(scaling) ? NULL : scaling, &h->rope_scaling,
                        &h->query_growth));
    LM_TRY(read_alpha(&inner, scaling, h));
    settle_proportional(scaling, h);
    const json_t *sections = json_object_get(scaling, "mrope_section");
    for (size_t i = 0; i < json_array_size(sections) && i < LM_COUNT_OF(h->rope_sections); i++)
        h->rope_sections[i] = (int32_t)json_integer_value(json_array_get(sections, i));
    if (r->arch && r->arch->local_rope_theta > 0) {
        const json_t *local = rope_object(r, "sliding_attention");
        const lm_config_reader windowed = {local != parameters ? local : NULL, r->path, r->arch,
                                           r->err};
        LM_TRY(lm_config_f64(r, "rope_local_base_freq|local_rope_theta|swa_rope_theta",
                             r->arch->local_rope_theta, &h->local_rope_theta));
        LM_TRY(lm_config_f64(&windowed, "rope_theta", h->local_rope_theta, &h->local_rope_theta));
        if (r->arch->local_heads || r->arch->local_ropes) fraction = 1;
        LM_TRY(lm_config_f64(&windowed, "partial_rotary_factor", fraction, &fraction));
        LM_TRY(check_fraction(r, fraction));
        h->local_rope_dim = (int64_t)((double)h->local_head_dim * fraction);
    }
    return check_llama3(r, &h->rope_scaling);
}
