/* Hyperparameters as GGUF metadata. */
#include "model/hparams_write.h"

#include <math.h>
#include <stdio.h>

#include "model/rope_table.h"

enum { KEY_BYTES = 160 };

/* --- What the format does not say. */

static LM_MUST_USE loam_status unsaid(const char *what, loam_error *err) {
    return lm_error_set(err, LOAM_UNSUPPORTED,
                        "GGUF cannot say what this model has: %s that its family's others do not",
                        what);
}

int64_t lm_hparams_said_window(const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    bool any = false;
    for (int64_t i = 0; i < hp->n_layers; i++) any |= lm_layer_in(&hp->windowed, i);
    bool unsaid = config->arch->rope_in_windows || config->arch->scaled_outside;
    return hp->window == 0 && any && unsaid ? hp->context_len : hp->window;
}

/* Layers without rope are those that a reader takes for them. */
static bool has_usual_rope(const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    const lm_arch *arch = config->arch;
    if (arch->rope_if_said && lm_arch_recurrent_type(arch)) return true; /* says it */
    if (arch->gguf_ropes_listed) return true;
    bool windows = lm_hparams_said_window(config) > 0;
    bool alibi = arch->alibi_from_layers && hp->n_layers >= arch->alibi_from_layers;
    for (int64_t i = 0; i < hp->n_layers; i++) {
        bool nth = arch->no_rope_period > 0 && (i + 1) % arch->no_rope_period == 0;
        bool without = arch->no_rope || alibi || nth || (windows && lm_arch_drops_rope(arch, hp, i));
        if (lm_layer_in(&hp->no_rope, i) != without) return false;
    }
    return true;
}

static LM_MUST_USE loam_status check_rope(const lm_arch_config *config, loam_error *err) {
    const lm_hparams *hp = &config->hparams;
    const lm_rope_scaling *s = &hp->rope_scaling;
    bool yarn = s->kind == LM_ROPE_SCALING_YARN;
    if (yarn && s->exact_bounds != config->arch->yarn_exact)
        return unsaid("ends of YaRN's ramp", err);
    if (yarn && s->attention_factor == 0 && s->mscale != s->mscale_all_dim)
        return unsaid("YaRN's mscale and mscale_all_dim", err);
    if (!has_usual_rope(config)) return unsaid("layers without rope", err);
    return LOAM_OK;
}

loam_status lm_hparams_check_gguf(const lm_arch_config *config, loam_error *err) {
    const lm_arch *read_as = lm_arch_find(config->arch->name);
    lm_function act, usual;
    LM_TRY(lm_hparams_check_written(config, err));
    bool t5_gate = read_as->dialect == LM_DIALECT_T5 && lm_arch_has(config, LM_FEATURE_GATE);
    const char *read_act = t5_gate ? LM_T5_GATE_ACT : read_as->act ? read_as->act : "silu";
    bool known = lm_act_find(config->hparams.hidden_act, &act) && lm_act_find(read_act, &usual);
    if (!known || act != usual) return unsaid("an activation", err);
    if ((float)config->hparams.expert_jitter != (float)config->arch->expert_jitter)
        return unsaid("a jitter of experts", err);
    bool added = config->hparams.shared_ffn_dim > 0 && config->hparams.mixture_scale == 0;
    if (config->arch->shared_averaged && added) return unsaid("shared experts", err);
    if (lm_arch_has(config, LM_FEATURE_CLASSIFIER) &&
        strcmp(lm_arch_pooler_act(config->arch), lm_arch_pooler_act(read_as)) != 0)
        return unsaid("an activation in front of scores", err);
    if (lm_arch_has(config, LM_FEATURE_TASK_EMBED)) return unsaid("tasks", err);
    if (lm_arch_has(config, LM_FEATURE_EMBED_MAP)) return unsaid("embeddings of a width", err);
    if (config->hparams.layer_input_dim > 0 &&
        config->hparams.layer_vocab_size != config->hparams.vocab_size)
        return unsaid("inputs of layers of fewer tokens", err);
    if (config->arch->unit_heads && config->hparams.unit_heads == (config->hparams.n_experts == 128))
        return unsaid("whether queries and keys are normed", err);
    if (config->arch->gguf_scaled && config->hparams.tied_embeddings &&
        config->hparams.embedding_scale != config->hparams.logit_scale)
        return unsaid("one matrix with two factors", err);
    if (config->hparams.n_experts > 0 && lm_hparams_expert_period(&config->hparams) == 0)
        return unsaid("an order of layers with and without experts", err);
    return check_rope(config, err);
}

/* --- Rope. */

bool lm_hparams_freq_factors(const lm_hparams *hparams, float *out) {
    float scaled[LM_MAX_ROPE_PAIRS], scale;
    lm_hparams plain = *hparams;
    bool needed = hparams->rope_freq_factors || hparams->turning_pairs > 0 ||
                  hparams->rope_scaling.kind == LM_ROPE_SCALING_LLAMA3;
    if (!needed || hparams->rope_dim / 2 > LM_MAX_ROPE_PAIRS) return false;
    plain.rope_scaling = (lm_rope_scaling){.factor = 1};
    plain.rope_freq_factors = NULL;
    plain.turning_pairs = 0;
    lm_rope_table(hparams, hparams->context_len, scaled, &scale);
    lm_rope_table(&plain, hparams->context_len, out, &scale);
    for (int64_t i = 0; i < hparams->rope_dim / 2; i++)
        out[i] = scaled[i] > 0 ? out[i] / scaled[i] : LM_NO_TURN;
    return true;
}

double lm_longrope_factor(const lm_hparams *hp) {
    float frequencies[LM_MAX_ROPE_PAIRS], scale;
    lm_rope_table(hp, hp->context_len, frequencies, &scale);
    return scale;
}

/* --- Keys. */

typedef struct gguf_out {
    lm_gguf_writer *writer;
    const char *arch;
} gguf_out;

static const char *full_key(const gguf_out *out, const char *name, char key[KEY_BYTES]) {
    snprintf(key, KEY_BYTES, "%s.%s", out->arch, name);
    return key;
}

static void add_U32(const gguf_out *out, const char *name, int64_t value) {
    char key[KEY_BYTES];
    lm_gguf_writer_add_u32(out->writer, full_key(out, name, key), (uint32_t)value);
}

static void add_F32(const gguf_out *out, const char *name, double value) {
    char key[KEY_BYTES];
    lm_gguf_writer_add_f32(out->writer, full_key(out, name, key), (float)value);
}

static void add_BOOL(const gguf_out *out, const char *name, bool value) {
    char key[KEY_BYTES];
    lm_gguf_writer_add_bool(out->writer, full_key(out, name, key), value);
}

static void add_STR(const gguf_out *out, const char *name, const char *value) {
    char key[KEY_BYTES];
    lm_gguf_writer_add_str(out->writer, full_key(out, name, key), lm_str_of(value));
}

/* Whether it is one of the words. */
static bool is_named(const lm_arch *arch, const char *names) {
    size_t n = strlen(arch->name);
    for (const char *at = names; *at; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");
        if (word == n && strncmp(at, arch->name, n) == 0) return true;
        at += word;
    }
    return false;
}

static int64_t at_least_1(int64_t n) {
    return n > 1 ? n : 1;
}

/* Of families whose files leave it out, only another one than theirs. */
static bool says_scale(const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    double scale = hp->attention_scale, usual = lm_hparams_gguf_scale(config->arch->name, hp);
    if (usual == 0) usual = 1 / sqrt((double)hp->head_dim);
    if (is_named(config->arch, "t5encoder")) return false;
    return scale > 0 && !(config->arch->embed_scale_sqrt_dim && fabs(scale / usual - 1) < 1e-6);
}

/* Whether windowed layers are those that files of the family leave unsaid. */
static bool usual_windows(const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    const lm_arch *arch = lm_arch_find(config->arch->name);
    for (int64_t i = 0; i < hp->n_layers; i++)
        if (lm_layer_in(&hp->windowed, i) != lm_arch_windows(arch, arch->window_period, i))
            return false;
    return true;
}

/* Another chunk than the family's, where something falls out of either. */
static bool says_chunk(const lm_hparams *hp, const lm_arch *arch) {
    return hp->window != arch->chunk && (hp->window > 0 || arch->chunk < hp->context_len);
}

static bool usual_growth(const lm_hparams *hp, const lm_arch *arch) {
    return hp->growth_unturned && (float)hp->query_growth == 0.1f && hp->query_stretch == arch->chunk;
}

static void add_windowed(const gguf_out *out, const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    char key[KEY_BYTES];
    bool listed = /* in any case */
        is_named(config->arch, "exaone4 exaone-moe olmo2 mellum maple gemma4 granite_swa mimo2 "
                               "cohere2moe muse-glimmer step35 spark2_5");
    if (lm_hparams_said_window(config) == 0 || (usual_windows(config) && !listed)) return;
    bool numbers = is_named(config->arch, "mimo2");
    lm_gguf_writer_open_array(out->writer, full_key(out, "attention.sliding_window_pattern", key),
                              numbers ? LM_GGUF_I32 : LM_GGUF_BOOL, (size_t)hp->n_layers);
    for (int64_t i = 0; i < hp->n_layers; i++) {
        bool windowed = lm_layer_in(&hp->windowed, i);
        if (numbers)
            lm_gguf_writer_push_i32(out->writer, windowed);
        else
            lm_gguf_writer_push_bool(out->writer, windowed);
    }
}

/* Layers with rope, where some are without. */
static void add_ropes(const gguf_out *out, const lm_hparams *hp) {
    char key[KEY_BYTES];
    if (lm_layers_before(&hp->no_rope, hp->n_layers) == 0) return;
    lm_gguf_writer_open_array(out->writer, full_key(out, "attention.rope_pattern", key),
                              LM_GGUF_BOOL, (size_t)hp->n_layers);
    for (int64_t i = 0; i < hp->n_layers; i++)
        lm_gguf_writer_push_bool(out->writer, !lm_layer_in(&hp->no_rope, i));
}

/* Layers that do not attend have none. */
static void add_kv_heads(const gguf_out *out, const lm_hparams *hp) {
    char key[KEY_BYTES];
    lm_gguf_writer_open_array(out->writer, full_key(out, "attention.head_count_kv", key),
                              LM_GGUF_I32, (size_t)hp->n_layers);
    for (int64_t i = 0; i < hp->n_layers; i++)
        lm_gguf_writer_push_i32(out->writer,
                                lm_layer_attends(hp, i) ? (int32_t)lm_kv_heads_at(hp, i) : 0);
}

/* The widths of MLPs where they differ, or each is a layer, also of experts; other layers have none. */
static void add_mlps(const gguf_out *out, const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    char key[KEY_BYTES];
    lm_gguf_writer_open_array(out->writer, full_key(out, "feed_forward_length", key), LM_GGUF_I32,
                              (size_t)hp->n_layers);
    for (int64_t i = 0; i < hp->n_layers; i++) {
        bool experts = hp->lone_blocks && lm_arch_layer_has_experts(config, i);
        int64_t width = experts ? hp->expert_ffn_dim : lm_ffn_dim_at(hp, i);
        lm_gguf_writer_push_i32(out->writer, lm_layer_has_mlp(hp, i) ? (int32_t)width : 0);
    }
}

static int64_t heads_said(const lm_hparams *hp, int64_t layer) {
    bool none = !lm_layer_attends(hp, layer) && !lm_layer_in(&hp->by_matrix, layer);
    return none ? 0 : lm_heads_at(hp, layer);
}

static int64_t kv_heads_said(const lm_hparams *hp, int64_t layer) {
    return lm_layer_attends(hp, layer) ? lm_kv_heads_at(hp, layer) : 0;
}

static int64_t width_said(const lm_hparams *hp, int64_t layer) {
    return lm_layer_has_mlp(hp, layer) ? lm_ffn_dim_at(hp, layer) : 0;
}

/* What each layer has, or one number where all have it. */
static void add_counts(const gguf_out *out, const char *name, const lm_hparams *hp, bool listed,
                       int64_t (*count)(const lm_hparams *, int64_t)) {
    char key[KEY_BYTES];
    for (int64_t i = 1; i < hp->n_layers; i++) listed |= count(hp, i) != count(hp, 0);
    if (!listed) {
        add_U32(out, name, count(hp, 0));
        return;
    }
    lm_gguf_writer_open_array(out->writer, full_key(out, name, key), LM_GGUF_I32,
                              (size_t)hp->n_layers);
    for (int64_t i = 0; i < hp->n_layers; i++)
        lm_gguf_writer_push_i32(out->writer, (int32_t)count(hp, i));
}

/* Of layers that may differ in them. */
static void add_heads(const gguf_out *out, const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    bool step = is_named(config->arch, "step35"),
         listed = step || is_named(config->arch, "laguna"); /* in any case */
    add_counts(out, "attention.head_count", hp, listed, heads_said);
    add_counts(out, "attention.head_count_kv", hp, step, kv_heads_said);
    if (config->arch->varied) add_counts(out, "feed_forward_length", hp, false, width_said);
}

/* Each how many-th layer attends, as files say it beside the list of them: 4 where none is. */
static int64_t attention_interval(const lm_hparams *hp) {
    for (int64_t i = 0; i < hp->n_layers; i++)
        if (lm_layer_attends(hp, i) && i > 0) return i + 1;
    return 4;
}

static void add_recurrent(const gguf_out *out, const lm_hparams *hp) {
    char key[KEY_BYTES];
    lm_gguf_writer_open_array(out->writer, full_key(out, "attention.recurrent_layers", key),
                              LM_GGUF_BOOL, (size_t)hp->n_layers);
    for (int64_t i = 0; i < hp->n_layers; i++)
        lm_gguf_writer_push_bool(out->writer, !lm_layer_attends(hp, i));
}

/* Which layers have an indexer of their own. */
static void add_indexers(const gguf_out *out, const lm_hparams *hp) {
    char key[KEY_BYTES];
    lm_gguf_writer_open_array(out->writer, full_key(out, "attention.indexer.types", key),
                              LM_GGUF_BOOL, (size_t)hp->n_layers);
    for (int64_t i = 0; i < hp->n_layers; i++)
        lm_gguf_writer_push_bool(out->writer, lm_layer_indexes(hp, i));
}

/* What layers' pooled keys stand for. */
static void add_ratios(const gguf_out *out, const lm_hparams *hp) {
    char key[KEY_BYTES];
    lm_gguf_writer_open_array(out->writer, full_key(out, "attention.compress_ratios", key),
                              LM_GGUF_I32, (size_t)hp->n_layers);
    for (int64_t i = 0; i < hp->n_layers; i++)
        lm_gguf_writer_push_i32(out->writer, (int32_t)lm_pool_ratio(hp, i));
}

/* Readers want them, of text too. */
static void add_sections(const gguf_out *out, const lm_hparams *hp) {
    static const int32_t usual[LM_COUNT_OF(hp->rope_sections)] = {11, 11, 10, 0};
    const int32_t *sections = hp->rope_sections[0] ? hp->rope_sections : usual;
    char key[KEY_BYTES];
    lm_gguf_writer_open_array(out->writer, full_key(out, "rope.dimension_sections", key),
                              LM_GGUF_I32, LM_COUNT_OF(usual));
    for (size_t i = 0; i < LM_COUNT_OF(usual); i++)
        lm_gguf_writer_push_i32(out->writer, sections[i]);
}

/* Where a layer has one. */
static void add_limits(const gguf_out *out, const char *name, const lm_hparams *hp,
                       const float *limits) {
    char key[KEY_BYTES];
    bool any = false;
    for (int64_t i = 0; i < hp->n_layers && i < LM_MAX_VARIED_LAYERS; i++) any |= limits[i] > 0;
    if (!any) return;
    lm_gguf_writer_open_array(out->writer, full_key(out, name, key), LM_GGUF_F32,
                              (size_t)hp->n_layers);
    for (int64_t i = 0; i < hp->n_layers; i++)
        lm_gguf_writer_push_f32(out->writer, i < LM_MAX_VARIED_LAYERS ? limits[i] : 0);
}

void lm_hparams_write_gguf(const lm_arch_config *config, lm_gguf_writer *writer) {
    const lm_hparams *hp = &config->hparams;
    const lm_arch *arch = config->arch;
    const lm_rope_scaling *scaling = &hp->rope_scaling;
    bool layer_norm = lm_arch_has(config, LM_FEATURE_LAYER_NORM), latent = hp->kv_latent_dim > 0,
         moe = hp->n_experts > 0;
    bool short_conv = lm_arch_has(config, LM_FEATURE_SHORT_CONV),
         states = lm_arch_has(config, LM_FEATURE_STATES), attends = lm_cached_layers(hp) > 0,
         local = hp->local_head_dim > 0 && hp->local_kv_heads != hp->n_kv_heads,
         spaces = lm_arch_has(config, LM_FEATURE_SPACES) && !hp->side_by_side,
         key_steps = lm_arch_has(config, LM_FEATURE_KEY_STEPS),
         kv_listed = attends && (short_conv || spaces || local || key_steps),
         wide = hp->n_shared_kv_layers > 0 && hp->shared_kv_ffn_dim != hp->ffn_dim,
         mlps_listed = attends && (hp->lone_blocks || wide),
         says_shared = hp->shared_ffn_dim > 0 && !arch->n_shared_experts &&
                       !lm_arch_has(config, LM_FEATURE_EXPERTS_BESIDE | LM_FEATURE_ENTRY_EXPERTS);
    bool apart = latent && is_named(arch, "minicpm3 plm"), /* said as of heads with a key each */
        no_experts = is_named(arch, "deepseek2") && !moe;
    bool yarn = scaling->kind == LM_ROPE_SCALING_YARN,
         longrope = scaling->kind == LM_ROPE_SCALING_LONGROPE;
    /* llama3's comes as a tensor of factors instead (lm_hparams_freq_factors), as longrope's do */
    bool scaled = scaling->kind != LM_ROPE_SCALING_NONE && scaling->kind != LM_ROPE_SCALING_LLAMA3;
    bool hyper = lm_arch_has(config, LM_FEATURE_HYPER);
    int64_t window = lm_hparams_said_window(config);
    gguf_out out = {writer, arch->gguf_name ? arch->gguf_name : arch->name};
    lm_gguf_writer_add_str(writer, "general.architecture", lm_str_of(out.arch));
#define LM_GGUF_KEY(type, key, when, value) \
    if (when) add_##type(&out, key, value);
#include "model/gguf_keys.def"
#undef LM_GGUF_KEY
    if (hp->n_token_types > 0)
        lm_gguf_writer_add_u32(writer, "tokenizer.ggml.token_type_count",
                               (uint32_t)hp->n_token_types);
    add_windowed(&out, config);
    if (arch->gguf_ropes_listed) add_ropes(&out, hp);
    if (kv_listed) add_kv_heads(&out, hp);
    if (mlps_listed) add_mlps(&out, config);
    if (arch->varied || arch->heads_listed) add_heads(&out, config);
    add_limits(&out, "swiglu_clamp_exp", hp, hp->expert_limits);
    add_limits(&out, "swiglu_clamp_shexp", hp, hp->mlp_limits);
    bool listed = lm_arch_has(config, LM_FEATURE_DELTA) || lm_arch_has(config, LM_FEATURE_DECAY);
    if (listed && !key_steps) add_recurrent(&out, hp);
    if (is_named(arch, "qwen35 qwen35moe")) add_sections(&out, hp);
    if (is_named(arch, "glm-dsa") && hp->index_topk > 0) add_indexers(&out, hp);
    if (hp->out_groups > 0) add_ratios(&out, hp);
}
