/* What config.json says of kinds of layers: windows, layers without rope, recurrent ones. */
#include <math.h>

#include "base/json.h"
#include "model/hparams_hf.h"

/* The family's recurrent layers, as layer_types calls them; NULL: it has none. */
static const char *recurrent_type(const lm_config_reader *r) {
    return r->arch ? lm_arch_recurrent_type(r->arch) : NULL;
}

bool lm_config_is_recurrent(const lm_config_reader *r, const char *type) {
    const char *recurrent = recurrent_type(r);
    return recurrent && type &&
           (strcmp(type, recurrent) == 0 || strcmp(type, "linear_attention") == 0);
}

/* Layers that do other things than these: state spaces, attention by chunks. */
static LM_MUST_USE loam_status check_layer_types(const lm_config_reader *r) {
    const json_t *types = json_object_get(r->config, "layer_types");
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (type && strcmp(type, "attention") != 0 && strcmp(type, "full_attention") != 0 &&
            strcmp(type, "sliding_attention") != 0 && !lm_config_is_recurrent(r, type) &&
            strcmp(type, "indexed_attention") != 0 &&
            !(r->arch && (r->arch->features & LM_FEATURE_POOLED) && strstr(type, "compressed_")) &&
            !(r->arch && r->arch->blocks_chosen && strcmp(type, "minimax_m3_sparse") == 0) &&
            !(r->arch && r->arch->chunk && strcmp(type, "chunked_attention") == 0))
            return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: layer %zu is of type '%s'", r->path,
                                i, type);
    }
    return LOAM_OK;
}

static bool is_one_of(const char *word, const char *const words[4]) {
    for (int i = 0; i < 4; i++)
        if (strcmp(word, words[i]) == 0) return true;
    return false;
}

/* layer_types, or which layers attend in full, or each how many-th. */
static LM_MUST_USE loam_status read_recurrent_layers(const lm_config_reader *r, lm_hparams *h) {
    const json_t *types = json_object_get(r->config, "layer_types"),
                 *attend = json_object_get(r->config, "full_attn_idxs");
    if (!attend) attend = json_object_get(r->config, "attn_layer_indices"); /* Bamba's */
    const json_t *counted = json_object_get(json_object_get(r->config, "linear_attn_config"),
                                            "full_attn_layers"); /* Kimi's, from 1 on */
    if (!attend) attend = counted;
    const json_t *kinds = json_object_get(r->config, "attn_type_list"); /* MiniMax', 1: attends */
    h->side_by_side = r->arch && r->arch->side_by_side;
    const char *recurrent = recurrent_type(r);
    bool all = h->side_by_side || (r->arch && r->arch->no_attention);
    int64_t period, first;
    LM_TRY(
        lm_config_i64(r, "full_attention_interval|attn_layer_period|layer_group_size", 0, &period));
    LM_TRY(lm_config_i64(r, "attn_layer_offset", period - 1, &first));
    for (int64_t i = 0; recurrent && i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        const char *type = json_string_value(json_array_get(types, (size_t)i));
        const json_t *kind = json_array_get(kinds, (size_t)i);
        bool attends = kind                    ? json_integer_value(kind) == 1
                       : json_is_array(attend) ? lm_config_lists(attend, i + (attend == counted))
                                               : period < 1 || i % period == first;
        if (all || (type ? lm_config_is_recurrent(r, type) : !attends))
            lm_layer_add(&h->recurrent, i);
    }
    return LOAM_OK;
}

/* Of families whose layers are one block each: a list of words, or a text of letters. */
static LM_MUST_USE loam_status read_lone_blocks(const lm_config_reader *r, lm_hparams *h) {
    static const char *const words[][4] = {{"M", "mamba", "linear_attention", ""},
                                           {"*", "attention", "full_attention", ""},
                                           {"-", "mlp", "", ""},
                                           {"E", "moe", "", ""}};
    enum { RECURRENT, ATTENTION, MLP, MIXTURE, N_KINDS };
    const json_t *types = json_object_get(r->config, "layers_block_type");
    const char *letters = json_string_value(json_object_get(r->config, "hybrid_override_pattern"));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        char letter[] = {letters && (size_t)i < strlen(letters) ? letters[i] : '\0', '\0'};
        const char *type = types ? json_string_value(json_array_get(types, (size_t)i)) : letter;
        int kind = 0;
        while (kind < N_KINDS && !(type && *type && is_one_of(type, words[kind]))) kind++;
        if (kind == N_KINDS)
            return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: layer %lld is of type '%s'", r->path,
                                (long long)i, type ? type : "");
        if (kind == RECURRENT) lm_layer_add(&h->recurrent, i);
        if (kind == MLP || kind == MIXTURE) lm_layer_add(&h->mlp_only, i);
        if (kind == MLP) lm_layer_add(&h->dense_layers, i);
    }
    return LOAM_OK;
}

/* Steps of state spaces within bounds, which no published model of those that are known has. */
static LM_MUST_USE loam_status check_steps(const lm_config_reader *r) {
    const json_t *limits = json_object_get(r->config, "time_step_limit");
    bool low = json_number_value(json_array_get(limits, 0)) > 0,
         high = json_is_number(json_array_get(limits, 1));
    if (!low && !high) return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'time_step_limit' bounds steps", r->path);
}

/* What convolutions of state spaces go through, and their gates: Nemotron-H says it apart from what its MLPs have. */
static LM_MUST_USE loam_status check_space_act(const lm_config_reader *r, const lm_hparams *h) {
    lm_function act;
    bool apart = h->lone_blocks && !r->arch->no_attention;
    char name[LM_HIDDEN_ACT_BYTES];
    if (!r->arch || !(r->arch->features & LM_FEATURE_SPACES)) return LOAM_OK;
    LM_TRY(lm_config_text(r, "mamba_hidden_act", lm_str_of(apart ? "silu" : h->hidden_act), name,
                          sizeof name));
    if (lm_act_find(name, &act) && act == LM_FN_SILU) return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: state spaces go through '%s', not SiLU",
                        r->path, name);
}

static double factor_at(const lm_config_reader *r, const char *key, size_t index) {
    const json_t *factor = json_array_get(json_object_get(r->config, key), index);
    return factor ? json_number_value(factor) : 1;
}

/* Falcon-H1's, everywhere. */
static LM_MUST_USE loam_status read_product_factors(const lm_config_reader *r,
                                                    lm_product_factors *f) {
    double key, in;
    double *const of_states[] = {&f->state_gate, &f->state_v, &f->state_k, &f->state_q,
                                 &f->state_step};
    LM_TRY(lm_config_f64(r, "attention_in_multiplier", 1, &f->q));
    LM_TRY(lm_config_f64(r, "key_multiplier", 1, &key));
    LM_TRY(lm_config_f64(r, "attention_out_multiplier", 1, &f->out));
    LM_TRY(lm_config_f64(r, "ssm_in_multiplier", 1, &in));
    LM_TRY(lm_config_f64(r, "ssm_out_multiplier", 1, &f->state_out));
    f->v = f->q;
    f->k = f->q * key;
    f->gate = factor_at(r, "mlp_multipliers", 0);
    f->down = factor_at(r, "mlp_multipliers", 1);
    for (size_t i = 0; i < LM_COUNT_OF(of_states); i++)
        *of_states[i] = in * factor_at(r, "ssm_multipliers", i);
    const double all[] = {f->q,       f->k,          f->out,      f->gate,
                          f->down,    f->state_gate, f->state_v,  f->state_k,
                          f->state_q, f->state_step, f->state_out};
    for (size_t i = 0; i < LM_COUNT_OF(all); i++)
        if (!(all[i] > 0))
            return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: a multiplier is %g, not above 0",
                                r->path, all[i]);
    return LOAM_OK;
}

/* Falcon-H1 has a norm behind states or not. */
static LM_MUST_USE loam_status read_side_by_side(const lm_config_reader *r, lm_hparams *h) {
    bool normed, norm_first;
    LM_TRY(lm_config_bool(r, "mamba_rms_norm", false, &normed));
    LM_TRY(lm_config_bool(r, "mamba_norm_before_gate", true, &norm_first));
    if (normed && norm_first)
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'mamba_norm_before_gate' is true",
                            r->path);
    h->states_unnormed = !normed;
    return read_product_factors(r, &h->factors);
}

/* Where no layer attends, heads are those of states. */
static LM_MUST_USE loam_status read_state_sizes(const lm_config_reader *r, lm_hparams *h) {
    bool alone = r->arch && r->arch->no_attention;
    int64_t expand, n_values;
    LM_TRY(lm_config_i64(
        r, alone ? "num_heads" : "linear_num_value_heads|mamba_n_heads|mamba_num_heads", 0,
        &h->state_heads));
    LM_TRY(
        lm_config_i64(r, "linear_num_key_heads|mamba_n_groups|n_groups", 0, &h->state_key_heads));
    LM_TRY(lm_config_i64(r, "mamba_expand|expand", 0, &expand));
    LM_TRY(lm_config_i64(r, "mamba_d_ssm", lm_config_times(expand, h->dim), &n_values));
    if (h->state_heads > 0) h->state_value_dim = n_values / h->state_heads;
    LM_TRY(lm_config_i64(r, alone ? "head_dim" : "linear_value_head_dim|mamba_head_dim",
                         h->state_value_dim, &h->state_value_dim));
    return lm_config_i64(r, "linear_key_head_dim|mamba_d_state|ssm_state_size|state_size", 0,
                         &h->state_key_dim);
}

/* Mamba 1's. Configs may leave how many numbers steps are made from to the rule, or say so: "auto". */
static LM_MUST_USE loam_status read_selective(const lm_config_reader *r, lm_hparams *h) {
    char key[LM_CONFIG_KEY_BYTES];
    int64_t expand;
    LM_TRY(lm_config_i64(r, "mamba_expand|expand", 2, &expand));
    bool alone = r->arch->no_attention;
    LM_TRY(lm_config_i64(r, alone ? "intermediate_size|d_inner" : "mamba_d_inner",
                         lm_config_times(expand, h->dim), &h->state_heads));
    h->channel_states = true;
    h->state_key_heads = h->state_value_dim = 1;
    LM_TRY(lm_config_i64(r, "mamba_d_state|state_size", 16, &h->state_key_dim));
    h->step_latent_dim = (h->dim + 15) / 16;
    const json_t *said =
        json_object_get(r->config, lm_config_key(r, "mamba_dt_rank|time_step_rank", key));
    if (!json_is_string(said))
        LM_TRY(lm_config_i64(r, key, h->step_latent_dim, &h->step_latent_dim));
    double eps = r->arch->features & LM_FEATURE_SCAN_NORM ? h->rms_norm_eps : 0;
    return lm_config_f64(r, "mixer_rms_eps", eps, &h->scan_norm_eps);
}

/* Kimi Linear's: as published in an object of their own, or as transformers writes them. */
static LM_MUST_USE loam_status read_key_steps(const lm_config_reader *r, lm_hparams *h) {
    const json_t *own = json_object_get(r->config, "linear_attn_config");
    const lm_config_reader inner = {json_is_object(own) ? own : NULL, r->path, r->arch, r->err};
    LM_TRY(lm_config_i64(&inner, "short_conv_kernel_size", h->conv_taps, &h->conv_taps));
    LM_TRY(lm_config_i64(&inner, "num_heads", 0, &h->state_heads));
    LM_TRY(lm_config_i64(r, "linear_num_heads", h->state_heads, &h->state_heads));
    LM_TRY(lm_config_i64(&inner, "head_dim", 0, &h->state_key_dim));
    LM_TRY(lm_config_i64(r, "linear_head_dim", h->state_key_dim, &h->state_key_dim));
    h->state_key_heads = h->state_heads;
    h->state_value_dim = h->step_latent_dim = h->state_key_dim;
    double low;
    LM_TRY(lm_config_f64(&inner, "gate_lower_bound", 0, &low)); /* K3's */
    if (low != 0 && !(low < 0 && isfinite(low)))
        return lm_error_set(r->err, LOAM_INVALID, "%s: 'gate_lower_bound' is %g", r->path, low);
    h->step_bound = -low;
    return LOAM_OK;
}

/* MiniMax' are as many and as wide as attention's. */
static void read_decaying(lm_hparams *h) {
    h->state_heads = h->state_key_heads = h->n_heads;
    h->state_key_dim = h->state_value_dim = h->head_dim;
}

/* Ling 3's: as many heads as attention has, of which each makes steps by one product, and they may be bounded. */
static LM_MUST_USE loam_status read_bounded_steps(const lm_config_reader *r, lm_hparams *h) {
    bool bounded, plain, head_gates;
    double low;
    lm_str gates;
    LM_TRY(lm_config_bool(r, "no_kda_lora", true, &plain));
    LM_TRY(lm_json_str_or(r->config, r->path, "gated_attention_proj_granularity_type",
                          LM_STR("head_wise"), &gates, r->err));
    head_gates = lm_str_is(gates, "head_wise");
    if (!plain || !head_gates)
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: '%s' is not known to loam", r->path,
                            head_gates ? "no_kda_lora" : "gated_attention_proj_granularity_type");
    LM_TRY(lm_config_i64(r, "short_conv_kernel_size", 4, &h->conv_taps));
    LM_TRY(lm_config_bool(r, "kda_safe_gate", true, &bounded));
    LM_TRY(lm_config_f64(r, "kda_lower_bound", -5, &low));
    if (bounded && !(low < 0 && isfinite(low)))
        return lm_error_set(r->err, LOAM_INVALID, "%s: 'kda_lower_bound' is %g", r->path, low);
    h->step_bound = bounded ? -low : 0;
    LM_TRY(lm_config_i64(r, "linear_num_heads", h->n_heads, &h->state_heads));
    LM_TRY(lm_config_i64(r, "linear_head_dim", h->head_dim, &h->state_key_dim));
    h->state_key_heads = h->state_heads;
    h->state_value_dim = h->state_key_dim;
    return LOAM_OK;
}

/* What a layer of the family keeps of a sequence. */
static LM_MUST_USE loam_status read_states(const lm_config_reader *r, lm_hparams *h) {
    uint64_t features = r->arch ? r->arch->features : 0;
    if (features & LM_FEATURE_DECAY) {
        read_decaying(h);
        return LOAM_OK;
    }
    if (features & LM_FEATURE_SCAN) return read_selective(r, h);
    if (json_object_get(r->config, "kda_safe_gate")) return read_bounded_steps(r, h);
    return features & LM_FEATURE_KEY_STEPS ? read_key_steps(r, h) : read_state_sizes(r, h);
}

loam_status lm_config_read_recurrent(const lm_config_reader *r, lm_hparams *h) {
    bool bias;
    h->lone_blocks = r->arch && r->arch->lone_blocks;
    bool listed = h->lone_blocks && !r->arch->no_attention;
    LM_TRY(listed ? read_lone_blocks(r, h) : read_recurrent_layers(r, h));
    LM_TRY(check_steps(r));
    LM_TRY(check_space_act(r, h));
    if (h->side_by_side) LM_TRY(read_side_by_side(r, h));
    LM_TRY(lm_config_i64(r, "conv_L_cache|linear_conv_kernel_dim|mamba_d_conv|conv_kernel", 0,
                         &h->conv_taps));
    LM_TRY(read_states(r, h));
    if (r->arch && (r->arch->features & LM_FEATURE_ALL_STATES) && h->state_heads < 1)
        return lm_error_set(r->err, LOAM_INVALID, "%s: no number of heads of states", r->path);
    bool doubled;
    LM_TRY(lm_config_bool(r, "linear_allow_neg_eigval", false, &doubled));
    h->state_beta_scale = doubled ? 2 : 0;
    LM_TRY(lm_config_bool(r, "conv_bias", false, &bias));
    if (bias && recurrent_type(r))
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'conv_bias' is true", r->path);
    return LOAM_OK;
}

static const json_t *layer_types(const lm_config_reader *r) {
    const json_t *types = json_object_get(r->config, "layer_types");
    if (!types) types = json_object_get(r->config, "attention_layers");      /* GPT-Neo's */
    if (!types) types = json_object_get(r->config, "sliding_window_layout"); /* SmallThinker's, */
    return types ? types
                 : json_object_get(r->config, "hybrid_layer_pattern"); /* MiMo-V2's, 1: windowed */
}

/* layer_types, or the family's period; Qwen 2 has windows from some layer on. */
static LM_MUST_USE loam_status read_windowed(const lm_config_reader *r, lm_hparams *h) {
    const json_t *types = layer_types(r);
    int64_t period, first;
    const char *letters = json_string_value(
        json_object_get(r->config, "sliding_window_pattern")); /* EXAONE's "LLLG" */
    period = r->arch ? r->arch->window_period : 0;
    if (!letters)
        LM_TRY(lm_config_i64(
            r, "sliding_window_pattern|_sliding_window_pattern|global_attn_every_n_layers", period,
            &period));
    LM_TRY(lm_config_i64(r, "max_window_layers", h->n_layers, &first));
    bool from_first = json_object_get(r->config, "max_window_layers") != NULL;
    if (!types && period == 0 && r->arch && (r->arch->rope_in_windows || r->arch->local_kv_factor))
        return lm_error_set(r->err, LOAM_INVALID, "%s: 'layer_types' is missing", r->path);
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        const json_t *listed = json_array_get(types, (size_t)i);
        const char *type = json_string_value(listed);
        bool windowed =
            json_is_integer(listed) ? json_integer_value(listed) == 1
            : type    ? strstr(type, "sliding") || strstr(type, "chunked") || strstr(type, "local")
            : letters ? *letters && letters[(size_t)i % strlen(letters)] == 'L'
            : from_first ? i >= first
                         : r->arch && lm_arch_windows(r->arch, period, i);
        if (windowed) lm_layer_add(&h->windowed, i);
    }
    if (r->arch && r->arch->local_heads && h->n_layers >= 1 && h->n_layers <= LM_MAX_LAYERS)
        lm_layer_drop(&h->windowed, h->n_layers - 1); /* whatever is said of it */
    return LOAM_OK;
}

loam_status lm_config_read_window(const lm_config_reader *r, lm_hparams *h) {
    bool use_window;
    h->chunked_windows = r->arch && r->arch->chunk > 0;
    bool unsaid = h->chunked_windows && !json_object_get(r->config, "attention_chunk_size");
    LM_TRY(lm_config_i64(r, "sliding_window|local_attention|attention_chunk_size|window_size",
                         unsaid ? r->arch->chunk : 0, &h->window));
    char key[LM_CONFIG_KEY_BYTES]; /* ModernBERT's is of both sides, of its decoders too */
    bool both =
        strcmp(lm_config_key(r, "sliding_window|local_attention", key), "local_attention") == 0;
    if (both && !(r->arch && r->arch->bidirectional)) h->window /= 2;
    int64_t before; /* MiMo-V2's, of positions without the row's own */
    LM_TRY(lm_config_i64(r, "sliding_window_size", -1, &before));
    const json_t *layout = json_object_get(r->config, "sliding_window_layout");
    if (before > 0 && lm_config_lists(layout, 1)) h->window = before; /* SmallThinker's, with it */
    if (before >= 0 && r->arch && r->arch->local_kv_factor > 0)
        h->window = before < h->context_len ? before + 1 : h->context_len;
    LM_TRY(lm_config_bool(r, "use_sliding_window", true, &use_window));
    if (!use_window) h->window = 0;
    LM_TRY(check_layer_types(r));
    return h->window != 0 ? read_windowed(r, h) : LOAM_OK;
}

/* Llama 4's, of layers without rope; its first files have a number for whether there is any. */
loam_status lm_config_read_temperature(const lm_config_reader *r, lm_hparams *h) {
    const json_t *tuned = json_object_get(r->config, "attn_temperature_tuning");
    if (r->arch && r->arch->unit_heads)
        LM_TRY(lm_config_bool(r, "use_qk_norm", true, &h->unit_heads));
    if (!h->chunked_windows) return LOAM_OK;
    if (json_is_false(tuned) || (json_is_integer(tuned) && json_integer_value(tuned) == 0))
        return LOAM_OK;
    h->growth_unturned = true;
    LM_TRY(lm_config_i64(r, "floor_scale", r->arch->chunk, &h->query_stretch));
    return lm_config_f64(r, "attn_scale", 0.1, &h->query_growth);
}

/* Granite's list of each layer's theta, 0 without rope. */
static LM_MUST_USE loam_status read_layer_thetas(const lm_config_reader *r, lm_hparams *h) {
    const json_t *thetas = json_object_get(r->config, "layer_rope_theta");
    double theta = 0;
    for (int64_t i = 0; json_is_array(thetas) && i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        double of_layer = json_number_value(json_array_get(thetas, (size_t)i));
        if (of_layer == 0) lm_layer_add(&h->no_rope, i);
        if (of_layer != 0 && r->arch && lm_arch_drops_rope(r->arch, h, i))
            return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: layer %lld has rope and no window",
                                r->path, (long long)i);
        if (of_layer != 0 && theta != 0 && of_layer != theta)
            return lm_error_set(r->err, LOAM_UNSUPPORTED,
                                "%s: 'layer_rope_theta' has %g and %g: only one is known beside 0",
                                r->path, theta, of_layer);
        if (of_layer != 0) theta = of_layer;
    }
    if (theta != 0) h->rope_theta = theta;
    return LOAM_OK;
}

/* By the row, or the config: OLMo Hybrid's have a theta of null. */
static bool lacks_rope(const lm_config_reader *r) {
    const json_t *parameters = json_object_get(r->config, "rope_parameters");
    const char *positions =
        json_string_value(json_object_get(r->config, "position_embedding_type"));
    if (json_is_null(json_object_get(parameters, "rope_theta"))) return true;
    if (!r->arch || !r->arch->rope_if_said) return r->arch && r->arch->no_rope;
    return !positions || strcmp(positions, "rope") != 0;
}

loam_status lm_config_read_no_rope(const lm_config_reader *r, lm_hparams *h) {
    bool windows_only; /* Maple's, of which all say so */
    LM_TRY(lm_config_bool(r, "nope_on_global_attention", true, &windows_only));
    if (!windows_only)
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'nope_on_global_attention' is false",
                            r->path);
    LM_TRY(read_layer_thetas(r, h));
    const json_t *layers = json_object_get(r->config, "no_rope_layers"), /* 1: with rope */
        *layout = json_object_get(r->config, "rope_layout"), /* SmallThinker's, the same */
            *types = json_object_get(r->config, "layer_types"),
                 *ropes =
                     json_object_get(r->config, "rope_parameters"); /* null: of such layers none */
    bool none = lacks_rope(r);
    int64_t period;
    LM_TRY(
        lm_config_i64(r, "no_rope_layer_interval", r->arch ? r->arch->no_rope_period : 0, &period));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        const json_t *listed = json_array_get(layers ? layers : layout, (size_t)i);
        bool without =
            listed ? json_integer_value(listed) == 0 : period > 0 && (i + 1) % period == 0;
        const char *type = json_string_value(json_array_get(types, (size_t)i));
        if (type) without |= json_is_null(json_object_get(ropes, type));
        if (without || none) lm_layer_add(&h->no_rope, i);
    }
    return LOAM_OK;
}
