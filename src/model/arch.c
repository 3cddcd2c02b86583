#include "model/arch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compute/numerics.h"
#include "model/rope_table.h"

static const lm_arch archs[] = {
#define LM_ARCH(...) {__VA_ARGS__},
#include "model/archs.def"
#undef LM_ARCH
};

/* What a dimension of a parameter is the size of. */
typedef enum param_dim {
    DIM_NONE,
    DIM_ONE,
    DIM_VOCAB,
    DIM_HEAD_VOCAB, /* of tokens that are written */
    DIM_CONTEXT,
    DIM_DIM,
    DIM_EMBED, /* the width of the embeddings of tokens, */
    DIM_ADDED, /* and of what is added to them */
    DIM_Q,
    DIM_Q_GATE,
    DIM_GATE_SOURCE, /* what gates of heads are made from */
    DIM_NORM_GATE,
    DIM_KV,
    DIM_VALUES,
    DIM_HEADS,
    DIM_SPANS, /* of distances */
    DIM_Q_NORM,
    DIM_K_NORM,
    DIM_FFN,
    DIM_EXPERTS,     /* how many there are */
    DIM_CHOICES,     /* and those that say what they read */
    DIM_EXPERT_FFN,  /* the width of one */
    DIM_EXPERTS_FFN, /* of all together */
    DIM_EXPERT,      /* what one reads and says */
    DIM_EXPERTS_DIM,
    DIM_SHARED_FFN,
    DIM_TYPES,
    DIM_TASKS,
    DIM_LABELS,
    DIM_ATTENDED, /* what attention's output matrix reads */
    DIM_Q_LATENT,
    DIM_Q_SOURCE, /* what queries of latent attention are made from */
    DIM_HEADS_NOPE,
    DIM_HEADS_ROPE,
    DIM_HEADS_LATENT,
    DIM_HEADS_VALUE,
    DIM_KV_LATENT,
    DIM_NOPE,
    DIM_ROPE,
    DIM_OUT_LATENTS, /* of all groups of heads, */
    DIM_OUT_GROUP,   /* and what one is made from */
    DIM_POOL,
    DIM_POOL_RATIO,
    DIM_INDEX_POOL,
    DIM_EXPERTS_USED,
    DIM_INDEX_Q,
    DIM_INDEX_KEY,
    DIM_INDEX_HEADS,
    DIM_TAPS, /* of a convolution */
    DIM_STATE_KEYS,
    DIM_STATE_VALUES, /* or what a short convolution has */
    DIM_STATE_NORM,   /* one head's values, or all */
    DIM_STATE_HEADS,
    DIM_STATE_SOURCE, /* what keys, queries and steps are made from */
    DIM_STATE_STEPS,
    DIM_STEPS_UP,
    DIM_STATE_GATE, /* what gates are made from */
    DIM_STEP_LATENT,
    DIM_SCAN, /* numbers of a channel */
    DIM_LAYER_INPUT,
    DIM_LAYER_INPUTS, /* of all layers */
    DIM_LAYER_VOCAB,
    DIM_STREAMS,
    DIM_STREAM_PAIRS,
    DIM_STREAM_KINDS,   /* of weights of hyper-connections, */
    DIM_STREAM_WEIGHTS, /* and how many they are */
    DIM_ALL_STREAMS,    /* one behind the other */
    DIM_OTHER_STREAMS,  /* all but the first, one behind the other */
    DIM_LAUREL,
} param_dim;

typedef struct param_row {
    const char *name[2]; /* by lm_naming */
    param_dim n_out, n_in;
    lm_feature feature;
} param_row;

static const param_row params[LM_PARAM_COUNT] = {
#define LM_PARAM(id, gguf, hf, n_out, n_in, feature) \
    [LM_PARAM_##id] = {{gguf, hf}, DIM_##n_out, DIM_##n_in, LM_FEATURE_##feature},
#include "model/params.def"
#undef LM_PARAM
};

const lm_arch *lm_arch_find(const char *name) {
    for (size_t i = 0; i < LM_COUNT_OF(archs); i++) {
        if (strcmp(archs[i].name, name) == 0) return &archs[i];
    }
    for (size_t i = 0; i < LM_COUNT_OF(archs); i++) {
        if (strcmp(archs[i].hf_type, name) == 0) return &archs[i];
    }
    size_t n = strlen(name) - (lm_str_ends(lm_str_of(name), LM_STR("_text")) ? 5 : 0);
    for (size_t i = 0; name[n] && i < LM_COUNT_OF(archs); i++) {
        if (strncmp(archs[i].hf_type, name, n) == 0 && !archs[i].hf_type[n]) return &archs[i];
    }
    return NULL;
}

const lm_arch *lm_arch_of_folder(const char *model_type) {
    for (size_t i = 0; i < LM_COUNT_OF(archs); i++)
        if (strcmp(archs[i].hf_type, model_type) == 0) return &archs[i];
    return lm_arch_find(model_type);
}

const lm_arch *lm_arch_kin(const lm_arch *arch, bool bidirectional, bool alibi, bool no_rope) {
    for (size_t i = 0; i < LM_COUNT_OF(archs); i++)
        if (archs[i].bidirectional == bidirectional && archs[i].alibi == alibi &&
            archs[i].no_rope == no_rope && strcmp(archs[i].hf_type, arch->hf_type) == 0)
            return &archs[i];
    return NULL;
}

const lm_arch *lm_arch_having(const lm_arch *arch, uint64_t features) {
    for (size_t i = 0; i < LM_COUNT_OF(archs); i++)
        if ((archs[i].features & features) && strcmp(archs[i].hf_type, arch->hf_type) == 0)
            return &archs[i];
    return NULL;
}

const char *lm_arch_recurrent_type(const lm_arch *arch) {
    if (arch->features & (LM_FEATURE_DELTA | LM_FEATURE_DECAY)) return "linear_attention";
    if (arch->features & LM_FEATURE_SPACES) return "mamba";
    return arch->features & LM_FEATURE_SHORT_CONV ? "conv" : NULL;
}

bool lm_arch_windows(const lm_arch *arch, int64_t period, int64_t layer) {
    return period == 1 || (period > 1 && (layer + !arch->window_from_first) % period != 0);
}

bool lm_arch_drops_rope(const lm_arch *arch, const lm_hparams *h, int64_t layer) {
    if (!arch->rope_in_windows || lm_layer_in(&h->windowed, layer)) return false;
    return !(arch->rope_in_dense && lm_layer_in(&h->dense_layers, layer));
}

/* A window from which nothing falls out is none, but the layers are those that they are. */
void lm_arch_settle_layers(const lm_arch *arch, lm_hparams *h) {
    int64_t n_layers = h->n_layers < LM_MAX_LAYERS ? h->n_layers : LM_MAX_LAYERS; /* unchecked as yet */
    for (int64_t i = 0; h->window > 0 && i < n_layers; i++)
        if (lm_arch_drops_rope(arch, h, i)) lm_layer_add(&h->no_rope, i);
    if (arch->scaled_outside && h->window > 0) h->local_rope_theta = h->rope_theta;
    if (arch->alibi_from_layers && h->n_layers >= arch->alibi_from_layers) h->alibi_max = 8;
    for (int64_t i = 0; h->alibi_max > 0 && i < n_layers; i++)
        lm_layer_add(&h->no_rope, i);
    if ((h->bidirectional ? h->window / 2 : h->window) >= h->context_len) h->window = 0;
}

size_t lm_arch_count(void) {
    return LM_COUNT_OF(archs);
}

const lm_arch *lm_arch_at(size_t index) {
    LM_ASSERT(index < LM_COUNT_OF(archs));
    return &archs[index];
}

loam_status lm_arch_config_check(const lm_arch_config *config, loam_error *err) {
    const lm_hparams *hp = &config->hparams;
    LM_TRY(lm_hparams_check(hp, config->arch->name, err));
    int64_t widest = hp->local_head_dim > hp->head_dim ? hp->local_head_dim : hp->head_dim;
    if (widest > LM_MAX_HEAD_DIM)
        return lm_error_set(err, LOAM_UNSUPPORTED, "heads are %lld wide, at most %d is supported",
                            (long long)widest, LM_MAX_HEAD_DIM);
    lm_function act;
    if (!lm_act_find(hp->hidden_act, &act) ||
        (act == LM_N_FUNCTIONS && !lm_arch_has(config, LM_FEATURE_XIELU)))
        return lm_error_set(err, LOAM_UNSUPPORTED, "activation '%s' is not supported",
                            hp->hidden_act);
    if (strcmp(hp->hidden_act, "situ") == 0 && !(hp->gate_bound > 0))
        return lm_error_set(err, LOAM_INVALID, "activation 'situ' without a bound of gates");
    if (hp->tied_embeddings && lm_head_vocab(hp) != hp->vocab_size)
        return lm_error_set(err, LOAM_INVALID, "the head is the embedding and has %lld of %lld rows",
                            (long long)lm_head_vocab(hp), (long long)hp->vocab_size);
    if (config->arch->weighs_input && hp->n_experts > 0 && hp->n_experts_used != 1)
        return lm_error_set(err, LOAM_UNSUPPORTED, "%lld experts that weigh what they read",
                            (long long)hp->n_experts_used);
    if (lm_arch_has(config, LM_FEATURE_SCAN) && hp->step_latent_dim < 1)
        return lm_error_set(err, LOAM_INVALID, "steps of states are made from %lld numbers",
                            (long long)hp->step_latent_dim);
    if (hp->rounded_reads && (hp->n_experts > 0 || hp->kv_latent_dim > 0 || hp->n_streams > 0 ||
                              hp->layer_input_dim > 0 || lm_arch_has(config, LM_FEATURE_RECURRENT)))
        return lm_error_set(err, LOAM_UNSUPPORTED,
                            "matrices that read rows of 8 bits in other blocks than attention and "
                            "MLPs");
    if (hp->context_len > INT32_MAX)
        return lm_error_set(err, LOAM_UNSUPPORTED, "a context of %lld tokens is not supported",
                            (long long)hp->context_len);
    return lm_rope_check(hp, err);
}

bool lm_param_has_layer(lm_param_id id) {
    return strstr(params[id].name[LM_NAMING_GGUF], "%d") != NULL;
}

lm_feature lm_param_feature(lm_param_id id) {
    return params[id].feature;
}

bool lm_param_is_bias(lm_param_id id) {
    return strstr(params[id].name[LM_NAMING_GGUF], ".bias") != NULL;
}

bool lm_param_is_listed(lm_param_id id) {
    return id >= LM_PARAM_XIELU_ALPHA_P && id <= LM_PARAM_XIELU_EPS;
}

const char *lm_param_list_key(lm_param_id id) {
    static const char *const keys[] = {"xielu.alpha_p", "xielu.alpha_n", "xielu.beta", "xielu.eps"};
    LM_ASSERT(lm_param_is_listed(id));
    return keys[id - LM_PARAM_XIELU_ALPHA_P];
}

float lm_rate_of_log(float log) {
    return (float)-exp((double)log);
}

/* Not every rate is one of a logarithm, but those that are come back. */
float lm_log_of_rate(float rate) {
    enum { NEIGHBOURS = 8 };
    float nearest = (float)log((double)-rate), up = nearest, down = nearest;
    for (int i = 0; i < NEIGHBOURS; i++) {
        if (lm_rate_of_log(up) == rate) return up;
        if (lm_rate_of_log(down) == rate) return down;
        up = nextafterf(up, INFINITY);
        down = nextafterf(down, -INFINITY);
    }
    return nearest;
}

bool lm_param_is_by_state_head(lm_param_id id) {
    switch (id) {
    case LM_PARAM_CONV_V:
    case LM_PARAM_STATE_V:
    case LM_PARAM_STATE_GATE:
    case LM_PARAM_STATE_BETA:
    case LM_PARAM_STATE_STEP:
    case LM_PARAM_STATE_STEP_BIAS:
    case LM_PARAM_STATE_RATE:
    case LM_PARAM_STATE_OUT: return true; /* by its columns */
    default: return false;
    }
}

bool lm_param_less_one(const lm_arch *arch, lm_param_id id) {
    if (id == LM_PARAM_OUTPUT_NORM && arch->hf_output_norm_whole) return false;
    return arch->hf_norm_minus_one && lm_param_is_norm(id) && id != LM_PARAM_STATE_NORM &&
           !lm_param_is_said(arch, id);
}

bool lm_param_is_said(const lm_arch *arch, lm_param_id id) {
    return arch->hf_norms_said && (id == LM_PARAM_Q_NORM || id == LM_PARAM_K_NORM);
}

bool lm_param_is_kernel(lm_param_id id) {
    return (id >= LM_PARAM_CONV && id <= LM_PARAM_CONV_V) || id == LM_PARAM_SCAN_RATE;
}

bool lm_param_is_rate(lm_param_id id) {
    return id == LM_PARAM_STATE_RATE || id == LM_PARAM_SCAN_RATE;
}

bool lm_param_is_norm(lm_param_id id) {
    return strstr(params[id].name[LM_NAMING_GGUF], "norm.weight") != NULL;
}

bool lm_arch_has(const lm_arch_config *config, lm_feature feature) {
    return ((config->features | (config->arch ? config->arch->features : 0)) & feature) != 0;
}

bool lm_param_is_experts(lm_param_id id) {
    return id == LM_PARAM_GATE_EXPS || id == LM_PARAM_UP_EXPS || id == LM_PARAM_DOWN_EXPS;
}

bool lm_param_is_recall(lm_param_id id) {
    return id >= LM_PARAM_ATTN_RECALL && id <= LM_PARAM_OUTPUT_RECALL;
}

bool lm_param_is_cached(lm_param_id id) {
    switch (id) {
    case LM_PARAM_K:
    case LM_PARAM_V:
    case LM_PARAM_K_BIAS:
    case LM_PARAM_V_BIAS:
    case LM_PARAM_K_NORM:
    case LM_PARAM_K_NORM_BIAS: return true;
    default: return false;
    }
}

bool lm_param_is_table(lm_param_id id) {
    return lm_param_is_by_token(id) || id == LM_PARAM_TOKEN_EXPERTS ||
           id == LM_PARAM_POSITION_EMBED || id == LM_PARAM_TYPE_EMBED ||
           id == LM_PARAM_DISTANCE_BIAS;
}

bool lm_param_is_by_token(lm_param_id id) {
    return id == LM_PARAM_TOKEN_EMBED || id == LM_PARAM_LAYER_EMBED;
}

bool lm_arch_turns_experts(const lm_arch *arch, lm_param_id id) {
    return arch->hf_transposed_experts || (arch->hf_flat_experts && id == LM_PARAM_DOWN_EXPS);
}

static bool is_of_streams(lm_param_id id) {
    return id == LM_PARAM_ALTUP_IN || id == LM_PARAM_ALTUP_OUT;
}

bool lm_param_is_apart(lm_param_id id) {
    return lm_param_is_experts(id) || is_of_streams(id);
}

int64_t lm_param_n_matrices(const lm_arch_config *config, lm_param_id id) {
    if (lm_param_is_experts(id)) return config->hparams.n_experts;
    if (is_of_streams(id)) return config->hparams.n_streams - 1;
    if (id == LM_PARAM_OUT_DOWN) return config->hparams.out_groups;
    return id == LM_PARAM_K_UP || id == LM_PARAM_V_UP ? config->hparams.n_heads : 0;
}

/* Queries, keys and values as latent attention does not have them. */
static bool is_plain_attention(lm_param_id id) {
    return id >= LM_PARAM_Q && id <= LM_PARAM_V;
}

bool lm_param_is_attention(lm_param_id id) {
    return id >= LM_PARAM_Q && id <= LM_PARAM_INDEX_WEIGHTS;
}

static bool is_of_index(lm_param_id id) {
    return id >= LM_PARAM_INDEX_Q && id <= LM_PARAM_INDEX_WEIGHTS;
}

/* Keys of positions, where they are not pooled. */
static bool is_index_key(lm_param_id id) {
    return id >= LM_PARAM_INDEX_K && id <= LM_PARAM_INDEX_K_NORM_BIAS;
}

static bool is_of_pool(lm_param_id id) {
    return id >= LM_PARAM_POOL && id <= LM_PARAM_POOL_NORM;
}

/* Of layers that do not. */
static bool is_recurrent(lm_param_id id) {
    return (params[id].feature & LM_FEATURE_RECURRENT) != 0;
}

/* Of a layer's MLP where it is dense. */
static bool is_dense_mlp(lm_param_id id) {
    return id >= LM_PARAM_GATE && id <= LM_PARAM_DOWN_BIAS;
}

static bool is_mixture(lm_param_id id) {
    return id >= LM_PARAM_ROUTER && id <= LM_PARAM_SHARED_DOWN;
}

static bool is_gate_of_experts(lm_param_id id) {
    return id == LM_PARAM_GATE_EXPS || id == LM_PARAM_SHARED_GATE;
}

bool lm_param_is_mlp(lm_param_id id) {
    return is_dense_mlp(id) || is_mixture(id) || id == LM_PARAM_MLP_NORM ||
           id == LM_PARAM_MLP_NORM_BIAS;
}

/* A norm that is there and has no parameters. */
static bool is_plain_norm(const lm_arch_config *config, lm_param_id id) {
    if (id == LM_PARAM_EMBED_NORM && config->arch && config->arch->embed_norm_plain) return true;
    return (params[id].feature & (LM_FEATURES_PRE_NORM | LM_FEATURE_EMBED_NORM)) &&
           lm_arch_has(config, LM_FEATURE_PLAIN_NORM);
}

bool lm_arch_layer_has_experts(const lm_arch_config *config, int64_t layer) {
    return config->hparams.n_experts > 0 && !lm_layer_in(&config->hparams.dense_layers, layer);
}

static bool has_dense_layer(const lm_hparams *hp) {
    for (size_t i = 0; hp->n_experts > 0 && i < LM_COUNT_OF(hp->dense_layers.bits); i++)
        if (hp->dense_layers.bits[i]) return true;
    return hp->n_experts == 0;
}

bool lm_param_in(const lm_arch_config *config, lm_param_id id) {
    lm_feature feature = params[id].feature;
    if (feature != LM_FEATURE_ALWAYS && !lm_arch_has(config, feature)) return false;
    if (is_plain_norm(config, id)) return false;
    if (id == LM_PARAM_MLP_NORM_BIAS && !lm_arch_has(config, LM_FEATURE_MLP_NORM)) return false;
    bool mlp_norm = id == LM_PARAM_MLP_NORM || id == LM_PARAM_MLP_NORM_BIAS;
    if (mlp_norm && config->hparams.shared_norm) return false;
    if (id == LM_PARAM_STATE_NORM && config->hparams.states_unnormed) return false;
    if (id == LM_PARAM_POOLER_NORM && !(config->arch && config->arch->pooler_normed)) return false;
    if (id == LM_PARAM_POOLER_BIAS && config->hparams.pooler_unbiased) return false;
    if (id == LM_PARAM_EMBED_IN_BIAS && config->hparams.map_unbiased) return false;
    if (lm_param_is_recall(id)) return config->hparams.recall_period > 0;
    bool between =
        id == LM_PARAM_EXPERTS_IN || id == LM_PARAM_EXPERTS_OUT || id == LM_PARAM_EXPERTS_OUT_NORM;
    if (between && config->hparams.expert_latent_dim == 0) return false;
    if (id == LM_PARAM_EXPERTS_OUT_NORM && config->hparams.experts_unnormed) return false;
    if (id == LM_PARAM_STATE_GATE_DOWN && config->arch && config->arch->whole_state_gates)
        return false;
    if (id == LM_PARAM_EMBED_OUT && lm_arch_has(config, LM_FEATURE_NO_HEAD)) return false;
    bool of_few = id == LM_PARAM_STEP_UP || id == LM_PARAM_STATE_GATE_DOWN;
    if (of_few && config->hparams.step_latent_dim == 0) return false;
    if (id == LM_PARAM_ATTN_MATRIX)
        return lm_layers_before(&config->hparams.by_matrix, config->hparams.n_layers) > 0;
    if (is_plain_attention(id) && lm_arch_has(config, LM_FEATURE_LATENT)) return false;
    bool pooled = lm_arch_has(config, LM_FEATURE_POOLED);
    if (pooled && (is_plain_attention(id) || id == LM_PARAM_OUT || is_index_key(id))) return false;
    if (is_recurrent(id))
        return lm_layers_before(&config->hparams.recurrent, config->hparams.n_layers) > 0;
    if (is_gate_of_experts(id) && !lm_arch_has(config, LM_FEATURE_GATE)) return false;
    if (is_mixture(id)) return config->hparams.n_experts > 0;
    return !is_dense_mlp(id) || has_dense_layer(&config->hparams);
}

bool lm_arch_lacks_norm(const lm_arch_config *config, lm_param_id id, int64_t layer) {
    if (!config->arch) return false;
    if (id == LM_PARAM_ATTN_NORM && layer == 0 && config->arch->first_unnormed) return true;
    bool before = id == LM_PARAM_ATTN_NORM || id == LM_PARAM_MLP_NORM,
         behind = id == LM_PARAM_POST_ATTN_NORM || id == LM_PARAM_POST_MLP_NORM;
    if (!config->arch->norms_by_kind) return false;
    return lm_layer_in(&config->hparams.recurrent, layer) ? behind : before;
}

bool lm_param_at(const lm_arch_config *config, lm_param_id id, int64_t layer) {
    if (!lm_param_in(config, id) || lm_arch_lacks_norm(config, id, layer)) return false;
    if (id == LM_PARAM_ATTN_MATRIX) return lm_layer_in(&config->hparams.by_matrix, layer);
    if (lm_param_is_attention(id) && !lm_layer_attends(&config->hparams, layer)) return false;
    if (id == LM_PARAM_OUT_BIAS && config->arch && config->arch->last_biased &&
        layer != config->hparams.n_layers - 1)
        return false;
    if (id == LM_PARAM_SINKS && config->arch && config->arch->sinks_in_windows &&
        !lm_layer_in(&config->hparams.windowed, layer))
        return false;
    if (id == LM_PARAM_V && lm_layer_in(&config->hparams.keys_are_values, layer)) return false;
    if (is_of_index(id) && !lm_layer_indexes(&config->hparams, layer)) return false;
    if (is_of_pool(id) && lm_pool_ratio(&config->hparams, layer) == 0) return false;
    bool by_token = lm_layer_in(&config->hparams.token_routed, layer);
    if (by_token ? id == LM_PARAM_CHOICE_BIAS : id == LM_PARAM_TOKEN_EXPERTS) return false;
    if (lm_param_is_cached(id) && !lm_layer_keeps(&config->hparams, layer)) return false;
    if (is_recurrent(id)) return lm_layer_in(&config->hparams.recurrent, layer);
    if (id == LM_PARAM_ATTN_NORM && !lm_layer_mixes(&config->hparams, layer)) return false;
    if (lm_param_is_mlp(id) && !lm_layer_has_mlp(&config->hparams, layer)) return false;
    bool experts = lm_arch_layer_has_experts(config, layer);
    if (id == LM_PARAM_MLP_NORM_GATE_DOWN || id == LM_PARAM_MLP_NORM_GATE_UP) return experts;
    return is_mixture(id) ? experts : !is_dense_mlp(id) || !experts;
}

double lm_product_factor(const lm_hparams *hp, lm_param_id weight) {
    const lm_product_factors *f = &hp->factors;
    switch (weight) {
    case LM_PARAM_Q: return f->q;
    case LM_PARAM_K: return f->k;
    case LM_PARAM_V: return f->v;
    case LM_PARAM_OUT: return f->out;
    case LM_PARAM_GATE: return f->gate;
    case LM_PARAM_DOWN: return f->down;
    case LM_PARAM_STATE_GATE: return f->state_gate;
    case LM_PARAM_STATE_V: return f->state_v;
    case LM_PARAM_STATE_K: return f->state_k;
    case LM_PARAM_STATE_Q: return f->state_q;
    case LM_PARAM_STATE_STEP: return f->state_step;
    case LM_PARAM_STATE_OUT: return f->state_out;
    default: return 0;
    }
}

bool lm_act_find(const char *name, lm_function *out) {
    static const struct {
        const char *name;
        lm_function function;
    } acts[] = {
        {"silu", LM_FN_SILU},
        {"swish", LM_FN_SILU},
        {"gelu", LM_FN_GELU},
        {"gelu_new", LM_FN_GELU_TANH},
        {"gelu_fast", LM_FN_GELU_TANH},
        {"gelu_pytorch_tanh", LM_FN_GELU_TANH},
        {"relu", LM_FN_RELU},
        {"relu2", LM_FN_RELU_SQUARED},
        {"swiglu_clamped", LM_FN_SWIGLU_CLAMPED},
        {"tanh", LM_FN_TANH},
        {"situ", LM_FN_SIGMOID},   /* of gates that are bounded: lm_hparams.gate_bound */
        {"xielu", LM_N_FUNCTIONS}, /* an op of its own: LM_FEATURE_XIELU */
    };
    for (size_t i = 0; i < LM_COUNT_OF(acts); i++) {
        if (strcmp(acts[i].name, name) != 0) continue;
        *out = acts[i].function;
        return true;
    }
    return false;
}

const char *lm_arch_pooler_act(const lm_arch *arch) {
    return arch->pooler_act ? arch->pooler_act : "tanh";
}

/* As the attribute has it: 0 where a value is as wide as a key. */
static int64_t attended_dim(const lm_hparams *hp, int64_t layer) {
    if (hp->kv_latent_dim > 0) return hp->kv_latent_dim;
    if (hp->out_groups > 0) return hp->head_dim;
    int64_t value_dim = lm_value_dim_at(hp, layer);
    return value_dim == lm_head_dim_at(hp, layer) ? 0 : value_dim;
}

lm_attrs lm_arch_attention(const lm_arch_config *config, int64_t layer) {
    const lm_hparams *hp = &config->hparams;
    double scale =
        hp->attention_scale > 0 ? hp->attention_scale : 1 / sqrt((double)lm_head_dim_at(hp, layer));
    int64_t ratio = lm_pool_ratio(hp, layer), most = hp->window > 0 ? hp->window : hp->context_len;
    return (lm_attrs){.n_heads = lm_heads_at(hp, layer),
                      .n_kv_heads = lm_kv_heads_at(hp, layer),
                      .head_dim = lm_head_dim_at(hp, layer),
                      .value_dim = attended_dim(hp, layer),
                      .scale = (float)scale,
                      .window = ratio > 0                           ? most
                                : lm_layer_in(&hp->windowed, layer) ? hp->window
                                                                    : 0,
                      .ratio = ratio,
                      .chunked = hp->chunked_windows,
                      .soft_cap = (float)hp->attention_soft_cap};
}

lm_attrs lm_arch_choice(const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    return (lm_attrs){.n_heads = hp->index_heads,
                      .head_dim = hp->index_dim,
                      .n_used = hp->index_topk,
                      .ratio = hp->index_ratio,
                      .scale = (float)(1 / sqrt((double)(hp->index_dim * hp->index_heads)))};
}

static int64_t dim_size(const lm_arch_config *config, param_dim dim, int64_t layer) {
    const lm_hparams *hp = &config->hparams;
    int64_t n_heads = lm_heads_at(hp, layer), n_kv_heads = lm_kv_heads_at(hp, layer),
            head_dim = lm_head_dim_at(hp, layer);
    bool whole = lm_arch_has(config, LM_FEATURE_QK_NORM_WHOLE);
    switch (dim) {
    case DIM_NONE:
    case DIM_ONE: return 1;
    case DIM_VOCAB: return hp->vocab_size;
    case DIM_HEAD_VOCAB: return lm_head_vocab(hp);
    case DIM_CONTEXT: return hp->context_len + hp->position_offset;
    case DIM_DIM: return hp->dim;
    case DIM_EMBED: return lm_embed_dim(hp);
    case DIM_ADDED: return config->arch->maps_tokens ? hp->dim : lm_embed_dim(hp);
    case DIM_Q: return n_heads * head_dim;
    case DIM_Q_GATE: return n_heads * (hp->gate_by_head ? 1 : lm_value_dim_at(hp, layer));
    case DIM_KV: return n_kv_heads * head_dim;
    case DIM_VALUES: return n_kv_heads * lm_value_dim_at(hp, layer);
    case DIM_HEADS: return n_heads;
    case DIM_SPANS: return LM_DISTANCE_SPANS;
    case DIM_EXPERTS: return hp->n_experts;
    case DIM_CHOICES: return lm_expert_choices(hp);
    case DIM_EXPERT_FFN: return hp->expert_ffn_dim;
    case DIM_EXPERTS_FFN: return hp->n_experts * hp->expert_ffn_dim;
    case DIM_EXPERT: return lm_expert_dim(hp);
    case DIM_EXPERTS_DIM: return hp->n_experts * lm_expert_dim(hp);
    case DIM_SHARED_FFN: return hp->shared_ffn_dim;
    case DIM_Q_NORM: return head_dim * (whole ? n_heads : 1);
    case DIM_K_NORM: return head_dim * (whole ? n_kv_heads : 1);
    case DIM_LAYER_INPUT: return hp->layer_input_dim;
    case DIM_LAYER_INPUTS: return hp->n_layers * hp->layer_input_dim;
    case DIM_LAYER_VOCAB: return hp->layer_vocab_size;
    case DIM_STREAMS: return hp->n_streams;
    case DIM_STREAM_PAIRS: return hp->n_streams * hp->n_streams;
    case DIM_STREAM_KINDS: return hp->stream_rounds > 0 ? 3 : 2;
    case DIM_STREAM_WEIGHTS: return hp->n_streams * (hp->stream_rounds > 0 ? hp->n_streams + 2 : 2);
    case DIM_ALL_STREAMS: return hp->n_streams * hp->dim;
    case DIM_OTHER_STREAMS: return (hp->n_streams - 1) * hp->dim;
    case DIM_LAUREL: return hp->laurel_rank;
    case DIM_FFN: return lm_ffn_dim_at(hp, layer);
    case DIM_TYPES: return hp->n_token_types;
    case DIM_TASKS: return hp->n_tasks;
    case DIM_LABELS: return hp->n_labels;
    case DIM_ATTENDED: return n_heads * lm_value_dim_at(hp, layer);
    case DIM_Q_LATENT: return hp->q_latent_dim;
    case DIM_GATE_SOURCE:
        return config->arch && config->arch->latent_gates ? 2 * hp->q_latent_dim : hp->dim;
    case DIM_NORM_GATE: return hp->norm_gate_rank;
    case DIM_Q_SOURCE:
        if (config->arch && config->arch->latent_gates) return 2 * hp->q_latent_dim;
        return hp->q_latent_dim ? hp->q_latent_dim : hp->dim;
    case DIM_HEADS_NOPE: return hp->n_heads * hp->nope_dim;
    case DIM_HEADS_ROPE: return hp->n_heads * hp->rope_dim;
    case DIM_HEADS_LATENT: return hp->n_heads * hp->kv_latent_dim;
    case DIM_HEADS_VALUE: return hp->n_heads * hp->value_dim;
    case DIM_KV_LATENT: return hp->kv_latent_dim;
    case DIM_NOPE: return hp->nope_dim;
    case DIM_ROPE: return hp->rope_dim;
    case DIM_OUT_LATENTS: return hp->out_groups * hp->out_latent_dim;
    case DIM_OUT_GROUP: return hp->out_groups > 0 ? n_heads * head_dim / hp->out_groups : 0;
    case DIM_POOL: return head_dim * (lm_layer_indexes(hp, layer) ? 2 : 1);
    case DIM_POOL_RATIO: return lm_pool_ratio(hp, layer);
    case DIM_INDEX_POOL: return 2 * hp->index_dim;
    case DIM_EXPERTS_USED: return hp->n_experts_used;
    case DIM_INDEX_Q: return hp->index_heads * hp->index_dim;
    case DIM_INDEX_KEY: return hp->index_dim;
    case DIM_INDEX_HEADS: return hp->index_heads;
    case DIM_TAPS: return hp->conv_taps;
    case DIM_STATE_KEYS: return lm_state_keys(hp);
    case DIM_STATE_VALUES: return lm_state_values(hp);
    case DIM_STATE_NORM:
        return lm_arch_has(config, LM_FEATURE_DELTA) ? hp->state_value_dim : lm_state_values(hp);
    case DIM_STATE_HEADS: return hp->state_heads;
    case DIM_STATE_SOURCE: return hp->channel_states ? lm_state_values(hp) : hp->dim;
    case DIM_STEPS_UP:
        return lm_arch_has(config, LM_FEATURE_KEY_STEPS) ? lm_state_keys(hp) : hp->state_heads;
    case DIM_STATE_GATE:
        return lm_param_in(config, LM_PARAM_STATE_GATE_DOWN) ? hp->step_latent_dim : hp->dim;
    case DIM_STEP_LATENT: return hp->step_latent_dim;
    case DIM_STATE_STEPS:
        return hp->step_latent_dim ? hp->step_latent_dim : dim_size(config, DIM_STEPS_UP, layer);
    case DIM_SCAN: return hp->state_key_dim;
    }
    return 0;
}

int64_t lm_arch_head_width(const lm_arch_config *config, lm_head head) {
    const lm_hparams *hp = &config->hparams;
    switch (head) {
    case LM_HEAD_LOGITS: return hp->vocab_size;
    case LM_HEAD_STATE: return hp->dim;
    case LM_HEAD_SCORES: return hp->n_labels;
    }
    return 0;
}

int lm_param_shape(const lm_arch_config *config, lm_param_id id, int64_t layer,
                   int64_t out_shape[2]) {
    out_shape[0] = dim_size(config, params[id].n_out, layer);
    out_shape[1] = dim_size(config, params[id].n_in, layer);
    return params[id].n_in == DIM_NONE ? 1 : 2;
}

const char *lm_param_pattern(lm_param_id id, lm_naming naming) {
    return params[id].name[naming];
}

void lm_param_name(lm_param_id id, int64_t layer, lm_naming naming, char out[LM_PARAM_NAME_BYTES]) {
    lm_param_name_fill(params[id].name[naming], layer, out);
}

void lm_param_name_fill(const char *pattern, int64_t layer, char out[LM_PARAM_NAME_BYTES]) {
    size_t n = 0;
    for (const char *p = pattern; *p && n + 1 < LM_PARAM_NAME_BYTES; p++) {
        char mark = p[0] == '%' ? p[1] : '\0';
        if (mark != 'd' && mark != 'p' && mark != 'q') {
            out[n++] = *p;
            continue;
        }
        int64_t number = mark == 'd' ? layer : mark == 'p' ? layer / 2 : layer % 2;
        n += (size_t)snprintf(out + n, LM_PARAM_NAME_BYTES - n, "%lld", (long long)number);
        p++;
    }
    out[n < LM_PARAM_NAME_BYTES ? n : LM_PARAM_NAME_BYTES - 1] = '\0';
}

int64_t lm_arch_n_params(const lm_arch_config *config) {
    int64_t total = 0;
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        int64_t shape[2],
            n_layers = lm_param_has_layer(id) ? lm_stored_layers(&config->hparams) : 1;
        for (int64_t layer = 0; layer < n_layers; layer++) {
            if (!lm_param_at(config, id, layer)) continue;
            lm_param_shape(config, id, layer, shape);
            total += shape[0] * shape[1];
        }
    }
    return total;
}
