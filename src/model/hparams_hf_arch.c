/* Of which architecture a config.json is, and what its family has where it leaves a key out. */
#include "model/hparams_hf.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

/* What families have where their config.json's leave it out, as JSON. */
static const struct {
    const char *type, *object;
} family_defaults[] = {
#define LM_CONFIG_DEFAULTS(type, ...) {type, #__VA_ARGS__},
#include "model/config_defaults.def"
#undef LM_CONFIG_DEFAULTS
};

static const char *defaults_of(const lm_arch *arch) {
    for (size_t i = 0; arch && i < LM_COUNT_OF(family_defaults); i++)
        if (strcmp(family_defaults[i].type, arch->hf_type) == 0) return family_defaults[i].object;
    return NULL;
}

loam_status lm_config_add_defaults(const lm_arch *arch, json_t *config, loam_error *err) {
    const char *object = defaults_of(arch);
    json_t *defaults;
    if (!object) return LOAM_OK;
    LM_TRY(lm_json_parse(lm_str_of(object), arch->hf_type, &defaults, err));
    int failed = json_object_update_missing(config, defaults);
    json_decref(defaults);
    return failed ? lm_error_no_memory(err, strlen(object)) : LOAM_OK;
}

/* Of two that differ in it the one with recurrent layers, where there is any. */
static void prefer_hybrid(lm_config_reader *r) {
    const lm_arch *hybrid = lm_arch_having(r->arch, LM_FEATURE_RECURRENT);
    const json_t *types = json_object_get(r->config, "layer_types");
    if (!hybrid || hybrid == r->arch) return;
    const lm_config_reader as_hybrid = {r->config, r->path, hybrid, r->err};
    for (size_t i = 0; i < json_array_size(types); i++)
        if (lm_config_is_recurrent(&as_hybrid, json_string_value(json_array_get(types, i))))
            r->arch = hybrid;
}

/* Of two that differ in it the one that has a feature, where a number of the config is above 0. */
static LM_MUST_USE loam_status prefer(lm_config_reader *r, uint64_t feature, const char *key) {
    const lm_arch *other = lm_arch_having(r->arch, feature);
    int64_t period;
    LM_TRY(lm_config_i64(r, key, 0, &period));
    if (other && period > 0) r->arch = other;
    return LOAM_OK;
}

/* OPT 350M norms the stream behind. */
static LM_MUST_USE loam_status prefer_norms_behind(lm_config_reader *r) {
    const lm_arch *other = lm_arch_having(r->arch, LM_FEATURE_RESIDUAL_NORM);
    bool before;
    LM_TRY(lm_config_bool(r, "do_layer_norm_before", true, &before));
    if (other && !before) r->arch = other;
    return LOAM_OK;
}

loam_status lm_config_choose_arch(lm_config_reader *r, lm_hparams *h) {
    bool both = false;
    lm_str positions;
    const char *sides =
        json_string_value(json_object_get(r->config, "use_bidirectional_attention"));
    if (!sides || strcmp(sides, "vision") != 0) /* which text is none of */
        LM_TRY(lm_config_bool(r, "use_bidirectional_attention", false, &both));
    LM_TRY(lm_json_str_or(r->config, r->path, "position_embedding_type", LM_STR(""), &positions,
                          r->err));
    r->arch = lm_arch_of_folder(h->architecture);
    if (!r->arch) return LOAM_OK;
    bool alibi = r->arch->alibi || lm_str_is(positions, "alibi"),
         no_rope = r->arch->no_rope && !lm_str_is(positions, "rotary");
    bool by_positions = alibi != r->arch->alibi || no_rope != r->arch->no_rope;
    both |= r->arch->bidirectional;
    if (both != r->arch->bidirectional || by_positions)
        r->arch = lm_arch_kin(r->arch, both, alibi, no_rope);
    if (!r->arch)
        return lm_error_set(
            r->err, LOAM_UNSUPPORTED, "%s: no '%s' with '%s' is known", r->path, h->architecture,
            by_positions ? "position_embedding_type" : "use_bidirectional_attention");
    prefer_hybrid(r);
    LM_TRY(prefer(r, LM_FEATURE_MOE, "moe_every_n_layers")); /* Nomic */
    LM_TRY(prefer_norms_behind(r));
    LM_TRY(prefer(r, LM_FEATURE_ATTN_GATE, "attn_res_block_size")); /* Kimi K3 */
    if (r->arch != lm_arch_find(h->architecture))
        snprintf(h->architecture, sizeof h->architecture, "%s", r->arch->name);
    return LOAM_OK;
}
