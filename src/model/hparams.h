/* The numbers that describe a model, in loam's words whatever file they came from. Filled by the readers of
 * lm_model_file; plain data.
 */
#ifndef LM_MODEL_HPARAMS_H
#define LM_MODEL_HPARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "compute/numerics.h"
#include "model/gguf.h"

enum {
    LM_ARCHITECTURE_BYTES = 64,
    LM_HIDDEN_ACT_BYTES = 32,
    LM_MAX_LAYERS = 4096,
    LM_MAX_VARIED_LAYERS = 512, /* whose MLPs differ in width, or attention in heads */
    LM_DISTANCE_SPANS = 32,     /* of LM_FEATURE_DISTANCE_BIAS: half before a row, half behind it */
    LM_MAX_ROPE_PAIRS = LM_MAX_HEAD_DIM / 2,
};

/* What gates of T5's MLPs do; its others have ReLUs. */
#define LM_T5_GATE_ACT "gelu_new"

/* What GGUF files divide the frequency of a pair by that does not turn. */
#define LM_NO_TURN 1e30f

/* A set of layers. */
typedef struct lm_layer_set {
    uint64_t bits[LM_MAX_LAYERS / 64];
} lm_layer_set;

static inline bool lm_layer_in(const lm_layer_set *set, int64_t layer) {
    return set->bits[layer / 64] >> (layer % 64) & 1;
}

static inline void lm_layer_add(lm_layer_set *set, int64_t layer) {
    set->bits[layer / 64] |= (uint64_t)1 << (layer % 64);
}

static inline void lm_layer_drop(lm_layer_set *set, int64_t layer) {
    set->bits[layer / 64] &= ~((uint64_t)1 << (layer % 64));
}

/* Layers of the set among the first n. */
static inline int64_t lm_layers_before(const lm_layer_set *set, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += lm_layer_in(set, i);
    return count;
}

typedef enum lm_rope_scaling_kind {
    LM_ROPE_SCALING_NONE,
    LM_ROPE_SCALING_LINEAR, /* positions divided by factor (arXiv:2306.15595) */
    LM_ROPE_SCALING_DYNAMIC, /* theta grows with the sequence once it is longer than original_context_len */
    LM_ROPE_SCALING_LLAMA3, /* frequencies scaled by wavelength bands (Llama 3.1) */
    LM_ROPE_SCALING_YARN,   /* arXiv:2309.00071 */
    LM_ROPE_SCALING_NTK, /* theta times the factor, and all by so much that the slowest pair is as many times slower */
    LM_ROPE_SCALING_LONGROPE, /* a divisor for each frequency, others past original_context_len: arXiv:2402.13753 */
} lm_rope_scaling_kind;

typedef struct lm_rope_scaling {
    lm_rope_scaling_kind kind;
    double factor;                /* 1 without scaling */
    int64_t original_context_len; /* context the model was trained with before scaling; 0 unknown */
    double low_freq_factor, high_freq_factor; /* llama3 */
    double beta_fast, beta_slow;              /* yarn; 32 and 1 when the file does not say */
    double attention_factor;                  /* yarn, longrope; 0: computed from factor */
    double mscale, mscale_all_dim;            /* yarn; 0: not said */
    bool exact_bounds;                        /* yarn: the ramp's ends are not rounded to whole pairs */
    float short_factors[LM_MAX_ROPE_PAIRS], long_factors[LM_MAX_ROPE_PAIRS]; /* longrope; [rope_dim / 2] */
} lm_rope_scaling;

/* Which elements of a head rotate together. */
typedef enum lm_rope_layout {
    LM_ROPE_HALF_SPLIT, /* (i, i + d/2): Hugging Face, and GGUF of most families */
    LM_ROPE_INTERLEAVED, /* (2i, 2i + 1): GGUF of the llama family, whose q and k rows were permuted */
} lm_rope_layout;

/* What products are multiplied by, or rather what they read; 0: 1. GGUF files have it in the matrices (Falcon-H1). */
typedef struct lm_product_factors {
    double q, k, v, out, gate, down;
    double state_gate, state_v, state_k, state_q, state_step, state_out; /* of state spaces */
} lm_product_factors;

typedef struct lm_hparams {
    char architecture
        [LM_ARCHITECTURE_BYTES]; /* "llama", "qwen2": general.architecture or model_type */
    int64_t n_layers;
    int64_t
        n_loops; /* so many times all layers that files have run one behind the other, each time with keys and values of its own, and are
                         counted in n_layers; 0: once */
    bool
        loops_unnormed; /* the norm behind the last layer is not behind those times that end before it */
    int64_t dim; /* width of the residual stream */
    int64_t n_heads;
    int64_t n_kv_heads; /* divides n_heads */
    int64_t head_dim;   /* of queries and keys, and of values where value_dim does not say otherwise */
    int64_t rope_dim;   /* leading elements of a head that rotate; even, at most head_dim */
    int64_t
        turning_pairs; /* of those the leading pairs that do, the others have frequency 0; 0: all */
    int64_t value_dim;     /* of a head's values; 0: as wide as keys */
    /* Latent attention (arXiv:2405.04434); kv_latent_dim 0: none. All heads then share one key of head_dim, which is what is
     * cached of a token: a vector of kv_latent_dim, from which keys and values of all heads follow, and rope_dim elements that
     * rotate. What a head itself has is nope_dim elements that do not rotate, rope_dim that do, and values of value_dim. */
    int64_t kv_latent_dim, nope_dim;
    double latent_scale, q_latent_scale; /* of that vector, and of that of queries, normed; 0: 1 */
    int64_t q_latent_dim; /* queries are made from a vector of so many; 0: from the residual */
    /* LM_FEATURE_POOLED: heads' values go to vectors of out_latent_dim, of as many heads each as make out_groups groups, and from there to the
     * stream. Layers see, beside their window, keys that stand for so many positions each; 0: none. */
    int64_t out_groups, out_latent_dim;
    int32_t pool_ratios[LM_MAX_VARIED_LAYERS];
    int64_t ffn_dim;
    char hidden_act[LM_HIDDEN_ACT_BYTES]; /* activation of the feed-forward part, "silu" */
    int64_t vocab_size;
    int64_t head_vocab_size; /* tokens from the first on that are written; others are read only; 0: all are written */
    int64_t embed_dim;   /* width of embeddings; 0: dim */
    bool map_unbiased;   /* the matrix that leads from there to the stream has no bias */
    int64_t context_len; /* longest sequence the model is made for */
    /* An indexer, which latent attention may have (arXiv:2512.02556): of more positions each row sees the index_topk that score best by
     * index_heads heads of index_dim, with one key for all of them. index_topk 0: there is none. */
    int64_t index_topk, index_heads, index_dim;
    int64_t index_ratio; /* what is chosen are pooled keys of so many positions; 0: positions */
    lm_layer_set index_shared; /* layers that see what the last one before them that is not of these chose */
    double rms_norm_eps;
    double post_norm_eps; /* of norms behind attention and MLP; 0: the same */
    double query_norm; /* what all weights of queries' norms are, where folders have them by a number; 0: not that alone */
    double rope_theta;
    int32_t rope_sections[4]; /* pairs that turn by time, height, width and nothing: of text all by its position. All 0: not said */
    lm_rope_layout rope_layout;
    lm_rope_scaling rope_scaling;
    const float *
        rope_freq_factors; /* [rope_dim / 2], each frequency is divided by it (GGUF's rope_freqs.weight, how
                                       llama3 scaling comes in a GGUF file); NULL: none. Lives as long as the file. */
    bool tied_embeddings; /* the output matrix is the embedding matrix */
    bool is_part; /* the text part of a model that sees or hears: a folder holds other parts' tensors, too */
    bool attention_bias;  /* q, k, v (and output) projections add a bias */
    bool mlp_bias;
    /* What most models do without. Zero is: not there. */
    double attention_scale; /* of scores; 0: 1 / sqrt(head_dim) */
    double attention_soft_cap, logit_soft_cap;
    double value_scale; /* of values; 0: 1 */
    bool rounded_reads; /* matrices of layers read rows of 8 bits (ops/round_rows.c): BitNet */
    double alibi_max;       /* ALiBi (arXiv:2108.12409): the first of 8 heads' slope is 2^-(this / 8) */
    double query_growth; /* queries of the k-th further stretch of positions are multiplied by 1 + this * ln(1 + k) */
    int64_t query_stretch; /* how many positions that is; 0: original_context_len */
    bool growth_unturned;  /* only in layers without rope, where the first position counts as 1 */
    bool unit_heads; /* turned queries and keys of each head are divided by their root mean square */
    double qkv_clip; /* bound of elements of queries, keys and values */
    double embedding_scale, residual_scale, logit_scale; /* factors; 0: 1 */
    double stream_scale; /* of the stream, normed, where what blocks say is added to it; 0: 1 */
    int64_t window;          /* positions that a windowed layer's rows see, their own among them; of encoders half as many on each side */
    lm_layer_set windowed;   /* layers with that window */
    bool chunked_windows;    /* which is the run of so many positions that the row is in */
    lm_layer_set no_rope;    /* layers whose queries and keys are not turned */
    double local_rope_theta; /* of windowed layers, which then have no scaling; 0: rope_theta and all */
    int64_t local_kv_heads, local_head_dim; /* of windowed layers; 0: n_kv_heads, head_dim and rope_dim */
    int64_t local_rope_dim; /* of those that have these; 0: whole heads turn */
    lm_layer_set
        keys_are_values; /* layers without a matrix of values: they are keys before norm and rope */
    int64_t n_shared_kv_layers; /* so many last layers attend to keys and values of the last one before them of their kind, with a
                                    window or without; 0: all have their own */
    int64_t shared_kv_ffn_dim;  /* width of those layers' MLPs */
    int64_t layer_input_dim; /* of what each layer takes in of a row's token besides the stream; 0: nothing */
    int64_t layer_vocab_size; /* tokens that there is such an input of; those beyond have the first one's */
    int64_t
        n_streams; /* of which layers compute the first, and guess and correct all: AltUp, arXiv:2301.13310; or blocks read and add to all,
                          LM_FEATURE_HYPER; 0: there is one */
    int64_t
        stream_rounds; /* in which what becomes of streams is balanced before blocks add to them; 0: they stay as they are */
    double hyper_eps, hyper_scale; /* see ops/hyper.c */
    int64_t
        recall_period; /* before each so-manieth layer, the first on, the stream is kept and begins anew; blocks read of it and of all that was kept
                              (ops/recall.c); 0: it does not */
    int64_t laurel_rank; /* of what is added to attention: LAuReL, arXiv:2411.07501 */
    lm_layer_set cut_gates; /* layers whose MLP's gates are 0 up to gate_cutoff standard deviations above their mean */
    double gate_cutoff;
    double gate_bound,
        up_bound; /* of the activation "situ", sigmoid(gate) * cap(gate) * cap(up), where cap(x) = bound * tanh(x / bound); the second 0: up
                                    is not capped */
    int64_t norm_gate_rank;  /* width of what weights norms: LM_FEATURE_NORM_GATE */
    bool gate_by_head;       /* what a head attended to is weighted by one number */
    bool shared_norm;        /* attention and MLP, side by side, read the same normed rows */
    bool serial_residual;    /* a member of a family of parallel residuals that is not parallel */
    /* Bounds of a layer's gates, behind SiLU, and of what they weight: of experts, and of other MLPs; 0: there are none. */
    float expert_limits[LM_MAX_VARIED_LAYERS], mlp_limits[LM_MAX_VARIED_LAYERS];
    /* Mixtures of experts; n_experts 0: the MLP of every layer is dense. */
    int64_t n_experts, n_experts_used;
    int64_t n_idle_experts;                 /* that may be chosen, too, and say what they read */
    int64_t expert_ffn_dim, shared_ffn_dim; /* of one expert; of all shared ones together, 0: none */
    lm_layer_set dense_layers;              /* whose MLP is dense all the same */
    int64_t n_expert_groups, n_expert_groups_used; /* experts are chosen from the best groups; 0: from all */
    lm_layer_set token_routed; /* layers whose experts are chosen by a row's token alone */
    bool expert_softplus;      /* see ops/route.c */
    int64_t n_guess_layers; /* behind the last: they guess further tokens, and are not used */
    double expert_weight_scale;                    /* 0: 1 */
    int64_t
        expert_latent_dim; /* chosen experts read and say vectors of so many, between two matrices; 0: of the stream's width */
    bool experts_unnormed; /* what they say is not normed before the second */
    double mixture_scale; /* of what chosen and shared experts say together; 0: 1 */
    bool layer_norms;     /* of a family with members of either kind those whose norms are layer norms */
    bool expert_sigmoid, expert_normalize;         /* see ops/route.c */
    double expert_jitter;                          /* likewise; 0: none */
    /* Layers that keep a state of their sequence instead of its keys and values: LM_FEATURE_RECURRENT says of which kind. Convolutions
     * read a row and the conv_taps - 1 before it; behind them, but of a short convolution, each of state_heads heads has a matrix
     * of state_key_dim rows and state_value_dim columns (ops/recur.c), and state_key_heads of keys and queries serve them. */
    lm_layer_set recurrent;
    /* conv_taps 0: there are no convolutions. */
    int64_t conv_taps, state_heads, state_key_heads, state_key_dim, state_value_dim;
    /* Mamba 1: each channel is a head, with state_key_dim numbers that have rates of their own (ops/scan.c), and what keys, queries and
     * steps are made from; else these come from the residual. */
    bool channel_states;
    int64_t step_latent_dim; /* steps are made from so many numbers; 0: by one product */
    double step_bound; /* steps decay a state at most by e to minus this, and are not above 0: sigmoids; 0: they are not bounded */
    double scan_norm_eps; /* of norms of its keys, queries and those numbers; 0: there are none */
    double state_beta_scale; /* of how much of a row delta rules take up; 0: 1 */
    bool side_by_side;    /* recurrent layers attend as well, both of the same rows */
    bool states_unnormed; /* what states answer is not normed */
    lm_product_factors factors;
    bool state_tiled; /* head h has the key of head h mod state_key_heads */
    bool lone_blocks; /* a layer is one block: recurrent, attention, or MLP (Nemotron-H) */
    lm_layer_set mlp_only; /* such layers that are an MLP, or any without attention */
    lm_layer_set no_mlp;   /* layers without an MLP */
    lm_layer_set by_matrix; /* layers with a matrix in place of attention */
    int32_t ffn_dims
        [LM_MAX_VARIED_LAYERS]; /* of layers where it is not ffn_dim, which is the largest; 0: that */
    /* The same of n_heads, and of n_kv_heads and local_kv_heads. */
    int32_t head_counts[LM_MAX_VARIED_LAYERS], kv_head_counts[LM_MAX_VARIED_LAYERS];
    /* Encoders and heads that score. */
    bool bidirectional;      /* a row sees the whole sequence, not only what is before it */
    int64_t position_offset; /* of learned positions: the first one's row in their table */
    int64_t n_token_types;   /* kinds of segments that have a vector; 0: none */
    int64_t n_tasks;         /* that have a vector; 0: none */
    int64_t n_labels;        /* scores that the classifier gives; 0: there is none */
    bool scores_mean;        /* which reads the mean of all rows, not the first or last one */
    bool pooler_unbiased;    /* the matrix in front of it has no bias */
    bool unit_head;          /* rows of the head are divided by their lengths (Baichuan 2) */
} lm_hparams;

/* Positions that a layer's pooled keys stand for; 0: there are none. */
static inline int64_t lm_pool_ratio(const lm_hparams *hparams, int64_t layer) {
    return layer < LM_MAX_VARIED_LAYERS ? hparams->pool_ratios[layer] : 0;
}

/* Whether a layer keeps a state of its sequence. */
static inline bool lm_layer_has_state(const lm_hparams *hparams, int64_t layer) {
    return lm_layer_in(&hparams->recurrent, layer) || lm_pool_ratio(hparams, layer) > 0;
}

/* Whether values are a part of keys. */
static inline bool lm_keys_alone(const lm_hparams *hparams) {
    return hparams->kv_latent_dim > 0 || hparams->out_groups > 0;
}

static inline int64_t lm_embed_dim(const lm_hparams *hparams) {
    return hparams->embed_dim != 0 ? hparams->embed_dim : hparams->dim;
}

/* Layers that files have: a layer of several times has the weights of layer modulo so many. */
static inline int64_t lm_stored_layers(const lm_hparams *hparams) {
    return hparams->n_loops > 1 ? hparams->n_layers / hparams->n_loops : hparams->n_layers;
}

static inline int64_t lm_stored_layer(const lm_hparams *hparams, int64_t layer) {
    return hparams->n_loops > 1 ? layer % lm_stored_layers(hparams) : layer;
}

static inline int64_t lm_head_vocab(const lm_hparams *hparams) {
    return hparams->head_vocab_size > 0 ? hparams->head_vocab_size : hparams->vocab_size;
}

static inline int64_t lm_expert_dim(const lm_hparams *hparams) {
    return hparams->expert_latent_dim > 0 ? hparams->expert_latent_dim : hparams->dim;
}

/* Among how many experts rows choose. */
static inline int64_t lm_expert_choices(const lm_hparams *hparams) {
    return hparams->n_experts + hparams->n_idle_experts;
}

/* Whether a layer's rows take something from those before them, or a matrix stands where that would be; and whether by attention. */
static inline bool lm_layer_mixes(const lm_hparams *hparams, int64_t layer) {
    return !lm_layer_in(&hparams->mlp_only, layer);
}

static inline bool lm_layer_attends(const lm_hparams *hparams, int64_t layer) {
    bool recurs = lm_layer_in(&hparams->recurrent, layer) && !hparams->side_by_side;
    return lm_layer_mixes(hparams, layer) && !recurs && !lm_layer_in(&hparams->by_matrix, layer);
}

static inline bool lm_layer_has_mlp(const lm_hparams *hparams, int64_t layer) {
    if (lm_layer_in(&hparams->no_mlp, layer)) return false;
    return !hparams->lone_blocks || !lm_layer_mixes(hparams, layer);
}

/* Whether a layer that attends has keys and values of its own. */
static inline bool lm_layer_keeps(const lm_hparams *hparams, int64_t layer) {
    return layer < hparams->n_layers - hparams->n_shared_kv_layers;
}

static inline int64_t lm_ffn_dim_at(const lm_hparams *hparams, int64_t layer) {
    if (layer < LM_MAX_VARIED_LAYERS && hparams->ffn_dims[layer] > 0)
        return hparams->ffn_dims[layer];
    return lm_layer_keeps(hparams, layer) ? hparams->ffn_dim : hparams->shared_kv_ffn_dim;
}

/* What the heads of a layer are like. */
static inline bool lm_layer_is_local(const lm_hparams *hparams, int64_t layer) {
    return hparams->local_head_dim > 0 && lm_layer_in(&hparams->windowed, layer);
}

static inline int64_t lm_heads_at(const lm_hparams *hparams, int64_t layer) {
    bool varied = layer < LM_MAX_VARIED_LAYERS && hparams->head_counts[layer] > 0;
    return varied ? hparams->head_counts[layer] : hparams->n_heads;
}

static inline int64_t lm_kv_heads_at(const lm_hparams *hparams, int64_t layer) {
    if (layer < LM_MAX_VARIED_LAYERS && hparams->kv_head_counts[layer] > 0)
        return hparams->kv_head_counts[layer];
    return lm_layer_is_local(hparams, layer) ? hparams->local_kv_heads : hparams->n_kv_heads;
}

static inline int64_t lm_head_dim_at(const lm_hparams *hparams, int64_t layer) {
    return lm_layer_is_local(hparams, layer) ? hparams->local_head_dim : hparams->head_dim;
}

/* Not of latent attention. */
static inline int64_t lm_value_dim_at(const lm_hparams *hparams, int64_t layer) {
    return hparams->value_dim > 0 ? hparams->value_dim : lm_head_dim_at(hparams, layer);
}

static inline int64_t lm_local_rope_dim(const lm_hparams *hparams) {
    if (hparams->local_head_dim == 0) return hparams->rope_dim;
    return hparams->local_rope_dim > 0 ? hparams->local_rope_dim : hparams->local_head_dim;
}

/* Which of the cached layers a layer that attends, and has keys of its own, is: an encoder needs the keys and values of one layer at a
 * time, so they take turns. */
static inline int64_t lm_cached_layer(const lm_hparams *hparams, int64_t layer) {
    if (hparams->bidirectional) return 0;
    if (hparams->side_by_side) return layer;
    return layer - lm_layers_before(&hparams->recurrent, layer) -
           lm_layers_before(&hparams->mlp_only, layer) -
           lm_layers_before(&hparams->by_matrix, layer);
}

/* Layers whose keys and values are kept. */
static inline int64_t lm_cached_layers(const lm_hparams *hparams) {
    int64_t n = hparams->n_layers - hparams->n_shared_kv_layers;
    return hparams->bidirectional ? 1 : lm_cached_layer(hparams, n);
}

/* Whether a layer has an indexer; and whether one is of use to sequences of at most max_context tokens. */
static inline bool lm_layer_indexes(const lm_hparams *hparams, int64_t layer) {
    return hparams->index_topk > 0 && !lm_layer_in(&hparams->index_shared, layer);
}

static inline bool lm_hparams_choose(const lm_hparams *hparams, int64_t max_context) {
    int64_t ratio = hparams->index_ratio > 0 ? hparams->index_ratio : 1;
    return hparams->index_topk > 0 && max_context / ratio > hparams->index_topk;
}

/* Widths of a recurrent layer's keys, as of its queries, and of its values; of a short convolution these are its channels. */
static inline int64_t lm_state_keys(const lm_hparams *hparams) {
    return hparams->state_key_heads * hparams->state_key_dim;
}

static inline int64_t lm_state_values(const lm_hparams *hparams) {
    return hparams->state_heads > 0 ? hparams->state_heads * hparams->state_value_dim
                                    : hparams->dim;
}

/* For readers of models whose layers are varied: a layer's MLP, 0: it has none. LOAM_UNSUPPORTED beyond LM_MAX_VARIED_LAYERS. */
loam_status lm_hparams_set_ffn(lm_hparams *hparams, int64_t layer, int64_t width, const char *path,
                               loam_error *err) LM_MUST_USE;

/* A layer's heads, and those of keys, that attends. LOAM_UNSUPPORTED beyond LM_MAX_VARIED_LAYERS, LOAM_INVALID for numbers out of reason. */
loam_status lm_hparams_set_heads(lm_hparams *hparams, int64_t layer, int64_t n_heads,
                                 int64_t n_kv_heads, const char *path, loam_error *err) LM_MUST_USE;

/* For readers of a layer's pooled keys: 0, it has none; else of how many positions, and whether an indexer chooses among them. */
void lm_hparams_set_pool(lm_hparams *hparams, int64_t layer, int64_t ratio, bool chooses);

/* Whether layers that attend differ in heads, or in those of keys. */
bool lm_hparams_heads_vary(const lm_hparams *hparams);

/* How many layers there are before the first that has experts. */
int64_t lm_hparams_leading_dense(const lm_hparams *hparams);

/* Each how manieth layer has them, counted from the first of all, or of those behind the leading ones; 0: they lie in no such
 * order. */
int64_t lm_hparams_expert_period(const lm_hparams *hparams);

const char *lm_rope_scaling_name(lm_rope_scaling_kind kind); /* "none", "llama3", ... */

/* From a GGUF file's metadata, and its rope_freqs tensor, which is borrowed; from the text of config.json, `path` for
 * messages. LOAM_INVALID for a field that is missing, of a wrong type or out of reason, LOAM_UNSUPPORTED for a rope
 * scaling loam does not know. */
loam_status lm_hparams_from_gguf(const lm_gguf *gguf, lm_hparams *out, loam_error *err) LM_MUST_USE;
loam_status lm_hparams_from_config(const json_t *config, const char *path, lm_hparams *out,
                                   loam_error *err) LM_MUST_USE;

/* For readers of latent attention, once everything else is read: fills n_kv_heads, head_dim and the scale of scores.
 * LOAM_INVALID for widths out of reason. */
loam_status lm_hparams_fill_latent(lm_hparams *hparams, const char *path,
                                   loam_error *err) LM_MUST_USE;

/* What both readers check at the end: positive, within reason, heads that divide. */
loam_status lm_hparams_check(const lm_hparams *hparams, const char *path,
                             loam_error *err) LM_MUST_USE;

/* What scores are scaled by of a GGUF file of this architecture that does not say it; 0: 1 / sqrt(head_dim). */
double lm_hparams_gguf_scale(const char *architecture, const lm_hparams *hparams);

/* Finds a kind by name among the spellings of both formats ("default" is none). */
loam_status lm_rope_scaling_parse(lm_str name, const char *path, lm_rope_scaling_kind *out,
                                  loam_error *err) LM_MUST_USE;

#endif
