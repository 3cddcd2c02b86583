#include "model/hparams.h"

#include <math.h>
#include <stdio.h>

#include "compute/ops/paged_cache.h"

static const char *const scaling_names[] = {
    [LM_ROPE_SCALING_NONE] = "none",       [LM_ROPE_SCALING_LINEAR] = "linear",
    [LM_ROPE_SCALING_DYNAMIC] = "dynamic", [LM_ROPE_SCALING_LLAMA3] = "llama3",
    [LM_ROPE_SCALING_YARN] = "yarn",       [LM_ROPE_SCALING_LONGROPE] = "longrope",
    [LM_ROPE_SCALING_NTK] = "ntk",
};

const char *lm_rope_scaling_name(lm_rope_scaling_kind kind) {
    return (unsigned)kind < LM_COUNT_OF(scaling_names) ? scaling_names[kind] : "unknown";
}

loam_status lm_rope_scaling_parse(lm_str name, const char *path, lm_rope_scaling_kind *out,
                                  loam_error *err) {
    if (lm_str_is(name, "default")) name = LM_STR("none");
    if (lm_str_is(name, "mrope")) name = LM_STR("none"); /* positions of text are the same in all its parts */
    if (lm_str_is(name, "deepseek_yarn")) name = LM_STR("yarn"); /* Sarvam's */
    if (lm_str_is(name, "proportional")) name = LM_STR("linear"); /* turning_pairs says the rest */
    if (lm_str_is(name, "su")) name = LM_STR("longrope"); /* as its first models had it */
    for (size_t i = 0; i < LM_COUNT_OF(scaling_names); i++) {
        if (!lm_str_is(name, scaling_names[i])) continue;
        *out = (lm_rope_scaling_kind)i;
        return LOAM_OK;
    }
    lm_error_set(err, LOAM_UNSUPPORTED, "%s: rope scaling '%.*s'", path, (int)name.len, name.ptr);
    return lm_error_hint(
        err, LOAM_UNSUPPORTED,
        "loam knows none, linear, dynamic, llama3, yarn, longrope and, of some encoders, ntk");
}

static LM_MUST_USE loam_status check_range(const char *path, const char *what, int64_t value,
                                           int64_t max, loam_error *err) {
    if (value >= 1 && value <= max) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID, "%s: %s %lld is not from 1 to %lld", path, what,
                        (long long)value, (long long)max);
}

static LM_MUST_USE loam_status check_positive(const char *path, const char *what, double value,
                                              loam_error *err) {
    if (value > 0 && isfinite(value)) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID, "%s: %s %g is not positive", path, what, value);
}

/* Numbers that stand for "none" when they are 0. */
static LM_MUST_USE loam_status check_options(const lm_hparams *h, const char *path,
                                             loam_error *err) {
    const struct {
        const char *what;
        double value;
    } options[] = {
        {"attention scale", h->attention_scale},
        {"attention soft cap", h->attention_soft_cap},
        {"scale of values", h->value_scale},
        {"logit soft cap", h->logit_soft_cap},
        {"largest ALiBi bias", h->alibi_max},
        {"growth of queries", h->query_growth},
        {"bound of states' steps", h->step_bound},
        {"bound of queries, keys and values", h->qkv_clip},
        {"embedding scale", h->embedding_scale},
        {"residual scale", h->residual_scale},
        {"logit scale", h->logit_scale},
        {"sliding window", (double)h->window},
        {"jitter of experts", h->expert_jitter},
        {"stretch of queries", (double)h->query_stretch},
        {"local rope theta", h->local_rope_theta},
        {"bound of gates", h->gate_bound},
        {"bound of what gates weight", h->up_bound},
        {"epsilon of a state space's norms", h->scan_norm_eps},
        {"scale of latent vectors", h->latent_scale},
        {"scale of queries' latent vectors", h->q_latent_scale},
        {"scale of what experts say", h->mixture_scale},
        {"scale of experts' weights", h->expert_weight_scale},
    };
    for (size_t i = 0; i < LM_COUNT_OF(options); i++)
        if (options[i].value != 0)
            LM_TRY(check_positive(path, options[i].what, options[i].value, err));
    return LOAM_OK;
}

static LM_MUST_USE loam_status check_experts(const lm_hparams *h, const char *path,
                                             loam_error *err) {
    if (h->n_experts == 0) return LOAM_OK;
    LM_TRY(check_range(path, "number of experts", h->n_experts, 1024, err));
    LM_TRY(check_range(path, "number of experts that compute nothing and 1", h->n_idle_experts + 1,
                       1024, err));
    LM_TRY(check_range(path, "number of all experts", lm_expert_choices(h), 1024, err));
    LM_TRY(
        check_range(path, "number of experts used", h->n_experts_used, lm_expert_choices(h), err));
    LM_TRY(check_range(path, "width of an expert", h->expert_ffn_dim, 1 << 24, err));
    LM_TRY(
        check_range(path, "width between experts and 1", h->expert_latent_dim + 1, 1 << 24, err));
    LM_TRY(check_range(path, "width of shared experts and 1", h->shared_ffn_dim + 1, 1 << 24, err));
    return check_range(path, "number of expert groups and 1", h->n_expert_groups + 1, 1024, err);
}

loam_status lm_hparams_set_ffn(lm_hparams *h, int64_t layer, int64_t width, const char *path,
                               loam_error *err) {
    if (layer >= LM_MAX_VARIED_LAYERS)
        return lm_error_set(err, LOAM_UNSUPPORTED, "%s: layer %lld has a width of its own", path,
                            (long long)layer);
    if (width == 0) {
        lm_layer_add(&h->no_mlp, layer);
        return LOAM_OK;
    }
    LM_TRY(check_range(path, "feed-forward width", width, 1 << 24, err));
    h->ffn_dims[layer] = (int32_t)width;
    if (width > h->ffn_dim) h->ffn_dim = width;
    return LOAM_OK;
}

loam_status lm_hparams_set_heads(lm_hparams *h, int64_t layer, int64_t n_heads, int64_t n_kv_heads,
                                 const char *path, loam_error *err) {
    if (layer >= LM_MAX_VARIED_LAYERS)
        return lm_error_set(err, LOAM_UNSUPPORTED, "%s: layer %lld has heads of its own", path,
                            (long long)layer);
    LM_TRY(check_range(path, "number of heads", n_heads, 4096, err));
    LM_TRY(check_range(path, "number of key-value heads", n_kv_heads, n_heads, err));
    h->head_counts[layer] = (int32_t)n_heads;
    h->kv_head_counts[layer] = (int32_t)n_kv_heads;
    if (n_heads > h->n_heads) h->n_heads = n_heads;
    if (n_kv_heads > h->n_kv_heads) h->n_kv_heads = n_kv_heads;
    return LOAM_OK;
}

bool lm_hparams_heads_vary(const lm_hparams *h) {
    int64_t n_heads = 0, n_kv_heads = 0;
    for (int64_t i = 0; i < h->n_layers; i++) {
        if (!lm_layer_attends(h, i)) continue;
        if (n_heads != 0 && n_heads != lm_heads_at(h, i)) return true;
        if (n_kv_heads != 0 && n_kv_heads != lm_kv_heads_at(h, i)) return true;
        n_heads = lm_heads_at(h, i);
        n_kv_heads = lm_kv_heads_at(h, i);
    }
    return false;
}

int64_t lm_hparams_leading_dense(const lm_hparams *h) {
    int64_t n = 0;
    while (n < h->n_layers && n < LM_MAX_LAYERS && lm_layer_in(&h->dense_layers, n)) n++;
    return n;
}

static int64_t expert_period_from(const lm_hparams *h, int64_t first) {
    for (int64_t period = 1; period <= h->n_layers; period++) {
        int64_t i = first;
        while (i < h->n_layers && lm_layer_in(&h->dense_layers, i) == ((i + 1) % period != 0)) i++;
        if (i == h->n_layers) return period;
    }
    return 0;
}

int64_t lm_hparams_expert_period(const lm_hparams *h) {
    int64_t of_all = expert_period_from(h, 0);
    return of_all ? of_all : expert_period_from(h, lm_hparams_leading_dense(h));
}

static LM_MUST_USE loam_status check_recurrent(const lm_hparams *h, const char *path,
                                               loam_error *err) {
    if (lm_layers_before(&h->recurrent, h->n_layers) == 0) {
        if (lm_cached_layers(h) > 0) return LOAM_OK;
        return lm_error_set(err, LOAM_UNSUPPORTED, "%s: no layer attends or keeps a state", path);
    }
    bool convolves = h->conv_taps != 0 || h->state_heads == 0;
    if (convolves)
        LM_TRY(check_range(path, "number of a convolution's taps less 1", h->conv_taps - 1,
                           LM_MAX_CONV_TAPS - 1, err));
    if (h->state_heads == 0) return LOAM_OK;
    LM_TRY(check_range(path, "number of states' heads", h->state_heads, 1 << 16, err));
    LM_TRY(check_range(path, "number of states' key heads", h->state_key_heads, h->state_heads, err));
    LM_TRY(check_range(path, "width of states' keys", h->state_key_dim, LM_MAX_HEAD_DIM, err));
    LM_TRY(check_range(path, "width of states' values", h->state_value_dim, 1 << 14, err));
    LM_TRY(check_range(path, "number of what steps are made from and 1", h->step_latent_dim + 1,
                       1 << 16, err));
    if (h->state_heads % h->state_key_heads != 0)
        return lm_error_set(err, LOAM_INVALID, "%s: %lld heads of states cannot share %lld keys",
                            path, (long long)h->state_heads, (long long)h->state_key_heads);
    return LOAM_OK;
}

/* YaRN's factor on scores (arXiv:2309.00071, section 3.4) is there only where the file says mscale_all_dim. */
loam_status lm_hparams_fill_latent(lm_hparams *h, const char *path, loam_error *err) {
    const lm_rope_scaling *s = &h->rope_scaling;
    bool scaled = s->kind != LM_ROPE_SCALING_NONE && s->mscale_all_dim > 0 && s->factor > 1;
    double mscale = scaled ? 0.1 * s->mscale_all_dim * log(s->factor) + 1 : 1;
    LM_TRY(check_range(path, "latent width of keys and values", h->kv_latent_dim, 1 << 14, err));
    if (h->q_latent_dim != 0)
        LM_TRY(check_range(path, "latent width of queries", h->q_latent_dim, 1 << 20, err));
    LM_TRY(check_range(path, "width of a head's part without rope", h->nope_dim, 1 << 14, err));
    LM_TRY(check_range(path, "rotary width", h->rope_dim, 1 << 14, err));
    LM_TRY(check_range(path, "width of a head's values", h->value_dim, 1 << 14, err));
    h->n_kv_heads = 1;
    h->head_dim = h->kv_latent_dim + h->rope_dim;
    h->attention_scale = mscale * mscale / sqrt((double)(h->nope_dim + h->rope_dim));
    return LOAM_OK;
}

static LM_MUST_USE loam_status check_values(const lm_hparams *h, const char *path, loam_error *err) {
    if (h->value_dim == 0 || h->kv_latent_dim > 0) return LOAM_OK;
    return check_range(path, "width of a head's values", h->value_dim, LM_MAX_HEAD_DIM, err);
}

static LM_MUST_USE loam_status check_local_heads(const lm_hparams *h, const char *path,
                                                 loam_error *err) {
    if (h->local_head_dim == 0) return LOAM_OK;
    LM_TRY(check_range(path, "width of windowed layers' heads", h->local_head_dim, LM_MAX_HEAD_DIM,
                       err));
    LM_TRY(check_range(path, "number of windowed layers' key-value heads", h->local_kv_heads,
                       h->n_heads, err));
    LM_TRY(check_positive(path, "local rope theta", h->local_rope_theta, err));
    LM_TRY(check_range(path, "rotary width of windowed layers", lm_local_rope_dim(h),
                       h->local_head_dim, err));
    if (lm_local_rope_dim(h) % 2 == 0) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID, "%s: rotary width %lld of windowed layers is odd", path,
                        (long long)lm_local_rope_dim(h));
}

/* Of layers that attend. */
static LM_MUST_USE loam_status check_shared_keys(const lm_hparams *h, const char *path,
                                                 loam_error *err) {
    for (int64_t i = 0; i < h->n_layers; i++) {
        int64_t n_heads = lm_heads_at(h, i), n_kv_heads = lm_kv_heads_at(h, i);
        if (!lm_layer_attends(h, i) || n_heads % n_kv_heads == 0) continue;
        return lm_error_set(err, LOAM_INVALID, "%s: %lld heads cannot share %lld key-value heads",
                            path, (long long)n_heads, (long long)n_kv_heads);
    }
    return LOAM_OK;
}

/* Of models that have any. */
static LM_MUST_USE loam_status check_heads(const lm_hparams *h, const char *path, loam_error *err) {
    if (lm_cached_layers(h) == 0) return LOAM_OK;
    LM_TRY(check_range(path, "number of heads", h->n_heads, 4096, err));
    LM_TRY(check_range(path, "number of key-value heads", h->n_kv_heads, h->n_heads, err));
    LM_TRY(check_range(path, "head width", h->head_dim, 1 << 14, err));
    LM_TRY(check_range(path, "rotary width", h->rope_dim, h->head_dim, err));
    LM_TRY(check_values(h, path, err));
    if (h->rope_dim % 2 != 0)
        return lm_error_set(err, LOAM_INVALID, "%s: rotary width %lld is odd", path,
                            (long long)h->rope_dim);
    LM_TRY(check_local_heads(h, path, err));
    return check_shared_keys(h, path, err);
}

static bool has_mlps(const lm_hparams *h) {
    return !h->lone_blocks || lm_layers_before(&h->mlp_only, h->n_layers) > 0;
}

static bool has_layer_like(const lm_hparams *h, int64_t layer, int64_t n_first) {
    for (int64_t i = 0; i < n_first; i++)
        if (lm_layer_in(&h->windowed, i) == lm_layer_in(&h->windowed, layer)) return true;
    return false;
}

static LM_MUST_USE loam_status check_shared_kv(const lm_hparams *h, const char *path,
                                               loam_error *err) {
    if (h->n_shared_kv_layers == 0) return LOAM_OK;
    LM_TRY(check_range(path, "number of layers with others' keys", h->n_shared_kv_layers,
                       h->n_layers - 1, err));
    LM_TRY(check_range(path, "feed-forward width of layers with others' keys",
                       h->shared_kv_ffn_dim, 1 << 24, err));
    int64_t n_own = h->n_layers - h->n_shared_kv_layers;
    for (int64_t i = n_own; i < h->n_layers; i++)
        if (!has_layer_like(h, i, n_own))
            return lm_error_set(err, LOAM_INVALID,
                                "%s: no layer of its kind has keys for layer %lld", path,
                                (long long)i);
    return LOAM_OK;
}

static LM_MUST_USE loam_status check_layer_inputs(const lm_hparams *h, const char *path,
                                                  loam_error *err) {
    if (h->layer_input_dim == 0) return LOAM_OK;
    LM_TRY(check_range(path, "width of layers' inputs", h->layer_input_dim, 1 << 14, err));
    return check_range(path, "number of tokens with inputs of layers", h->layer_vocab_size, 1 << 24,
                       err);
}

static LM_MUST_USE loam_status check_streams(const lm_hparams *h, const char *path,
                                             loam_error *err) {
    if (!isfinite(h->gate_cutoff))
        return lm_error_set(err, LOAM_INVALID, "%s: gates are cut off at %g", path, h->gate_cutoff);
    if (h->n_streams == 0 && h->hyper_scale == 0) return LOAM_OK;
    LM_TRY(check_range(path, "number of streams less 1", h->n_streams - 1, 15, err));
    if (h->hyper_scale == 0) /* AltUp, which goes with these */
        return check_range(path, "width of layers' inputs", h->layer_input_dim, 1 << 14, err);
    LM_TRY(check_positive(path, "factor of what is added to streams", h->hyper_scale, err));
    LM_TRY(check_positive(path, "epsilon of streams' weights", h->hyper_eps, err));
    return check_range(path, "number of rounds that balance streams and 1", h->stream_rounds + 1,
                       1 << 10, err);
}

void lm_hparams_set_pool(lm_hparams *h, int64_t layer, int64_t ratio, bool chooses) {
    h->pool_ratios[layer] = (int32_t)ratio;
    if (ratio == 0)
        lm_layer_add(&h->windowed, layer);
    else
        lm_layer_drop(&h->windowed, layer);
    if (ratio == 0 || !chooses)
        lm_layer_add(&h->index_shared, layer);
    else if (h->index_ratio == 0)
        h->index_ratio = ratio;
}

static LM_MUST_USE loam_status check_pooled(const lm_hparams *h, const char *path,
                                            loam_error *err) {
    if (h->out_groups == 0) return LOAM_OK;
    LM_TRY(check_range(path, "number of groups of heads", h->out_groups, h->n_heads, err));
    LM_TRY(
        check_range(path, "width of what groups of heads become", h->out_latent_dim, 1 << 20, err));
    LM_TRY(check_range(path, "latent width of queries", h->q_latent_dim, 1 << 20, err));
    if (h->n_kv_heads != 1 || h->n_heads % h->out_groups != 0)
        return lm_error_set(
            err, LOAM_UNSUPPORTED, "%s: %lld key heads, and %lld heads in %lld groups", path,
            (long long)h->n_kv_heads, (long long)h->n_heads, (long long)h->out_groups);
    for (int64_t i = 0; i < h->n_layers; i++) {
        int64_t ratio = lm_pool_ratio(h, i);
        if (ratio > 0 && !lm_pooled_ratio_ok(ratio))
            return lm_error_set(err, LOAM_UNSUPPORTED,
                                "%s: keys of layer %lld stand for %lld positions", path,
                                (long long)i, (long long)ratio);
        if (lm_layer_indexes(h, i) && ratio != h->index_ratio)
            return lm_error_set(err, LOAM_UNSUPPORTED,
                                "%s: indexers choose keys of %lld and of %lld positions", path,
                                (long long)h->index_ratio, (long long)ratio);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status check_index(const lm_hparams *h, const char *path, loam_error *err) {
    if (h->index_topk == 0) return LOAM_OK;
    LM_TRY(check_range(path, "number of positions that are chosen", h->index_topk, 1 << 24, err));
    if (h->q_latent_dim == 0 || !lm_keys_alone(h))
        return lm_error_set(err, LOAM_UNSUPPORTED,
                            "%s: an indexer, but no latent vectors of queries and keys", path);
    LM_TRY(check_range(path, "number of an indexer's heads", h->index_heads, LM_MAX_HEADS, err));
    LM_TRY(check_range(path, "width of an indexer's heads", h->index_dim, LM_MAX_HEAD_DIM, err));
    if (h->index_dim < h->rope_dim)
        return lm_error_set(err, LOAM_INVALID,
                            "%s: of an indexer's heads, %lld wide, %lld elements rotate", path,
                            (long long)h->index_dim, (long long)h->rope_dim);
    if (h->index_ratio == 0 && lm_layer_in(&h->index_shared, 0))
        return lm_error_set(err, LOAM_INVALID, "%s: the first layer has no indexer", path);
    return LOAM_OK;
}

loam_status lm_hparams_check(const lm_hparams *h, const char *path, loam_error *err) {
    LM_TRY(check_range(path, "number of layers", h->n_layers, LM_MAX_LAYERS, err));
    if (h->n_loops != 0)
        LM_TRY(check_range(path, "number of times that layers run", h->n_loops, h->n_layers, err));
    LM_TRY(check_shared_kv(h, path, err));
    LM_TRY(check_range(path, "width", h->dim, 1 << 20, err));
    LM_TRY(check_range(path, "width of embeddings", lm_embed_dim(h), 1 << 20, err));
    LM_TRY(check_heads(h, path, err));
    if (has_mlps(h)) LM_TRY(check_range(path, "feed-forward width", h->ffn_dim, 1 << 24, err));
    LM_TRY(check_range(path, "vocabulary size", h->vocab_size, 1 << 24, err));
    LM_TRY(check_range(path, "number of tokens that are written", lm_head_vocab(h), h->vocab_size, err));
    LM_TRY(check_range(path, "context length", h->context_len, (int64_t)1 << 32, err));
    LM_TRY(check_positive(path, "rms norm epsilon", h->rms_norm_eps, err));
    LM_TRY(check_positive(path, "rope theta", h->rope_theta, err));
    LM_TRY(check_positive(path, "rope scaling factor", h->rope_scaling.factor, err));
    LM_TRY(check_options(h, path, err));
    LM_TRY(check_experts(h, path, err));
    LM_TRY(check_pooled(h, path, err));
    LM_TRY(check_range(path, "width of what weights norms and 1", h->norm_gate_rank + 1, 1 << 14,
                       err));
    LM_TRY(check_index(h, path, err));
    if (h->n_guess_layers != 0)
        LM_TRY(check_range(path, "number of guessing layers", h->n_guess_layers, 64, err));
    LM_TRY(check_range(path, "layers between those that keep the stream and 1",
                       h->recall_period + 1, LM_MAX_LAYERS + 1, err));
    LM_TRY(check_layer_inputs(h, path, err));
    LM_TRY(check_streams(h, path, err));
    return check_recurrent(h, path, err);
}
