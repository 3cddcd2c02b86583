#include "model/model_weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "model/arrange.h"
#include "model/coded_tensor.h"

/* --- What the file has. */

/* Features that models of one architecture may have or not. */
enum {
    OPTIONAL_FEATURES = LM_FEATURE_QKV_BIAS | LM_FEATURE_OUT_BIAS | LM_FEATURE_MLP_BIAS | LM_FEATURE_DOWN_BIAS |
                        LM_FEATURE_GATE_BIAS | LM_FEATURE_QK_NORM | LM_FEATURE_QK_NORM_BIAS |
                        LM_FEATURE_SINKS | LM_FEATURE_HEAD_BIAS | LM_FEATURE_SHARED_ROUTER |
                        LM_FEATURE_ROUTER_BIAS | LM_FEATURE_CHOICE_BIAS | LM_FEATURE_EXPERTS_BIAS |
                        LM_FEATURE_TYPE_EMBED | LM_FEATURE_CLASSIFIER |
                        LM_FEATURE_CLASSIFIER_BIAS | LM_FEATURE_POOLER
};

/* Falcon's first models, and its last, have one norm for both. */
static bool shares_norm(const lm_model_file *file, const lm_arch_config *config) {
    lm_param_source attention, mlp;
    return lm_arch_has(config, LM_FEATURE_PARALLEL) && !config->hparams.serial_residual &&
           lm_param_source_find(file, config, LM_PARAM_ATTN_NORM, 0, &attention) &&
           lm_param_source_find(file, config, LM_PARAM_MLP_NORM, 0, &mlp) &&
           attention.tensor == mlp.tensor;
}

static bool may_have(const lm_hparams *hp, lm_param_id id, int64_t layer) {
    if (lm_param_is_attention(id)) return lm_layer_attends(hp, layer);
    return !lm_param_is_mlp(id) || lm_layer_has_mlp(hp, layer);
}

/* The last layer that may have a parameter: leading ones may be dense, and the last one be recurrent. */
static int64_t last_layer_of(const lm_hparams *hp, lm_param_id id) {
    int64_t layer = hp->n_layers - 1;
    while (layer > 0 && !may_have(hp, id, layer)) layer--;
    return layer;
}

/* Rows of a matrix that the file's numbers do not tell: 0 where the model has none. */
static int64_t rows_in_file(const lm_model_file *file, const lm_arch_config *config,
                            lm_param_id id) {
    lm_param_source source;
    if (!lm_arch_has(config, lm_param_feature(id)) ||
        !lm_param_source_find(file, config, id, last_layer_of(&config->hparams, id), &source))
        return 0;
    return source.tensor->shape[0];
}

/* Whether the last layer has it, or the last one of the other kind where some have experts and some do not. */
static bool is_there(const lm_model_file *file, const lm_arch_config *config, lm_param_id id) {
    lm_param_source source;
    const lm_layer_set *dense = &config->hparams.dense_layers;
    int64_t last = last_layer_of(&config->hparams, id), other = last;
    while (other > 0 && lm_layer_in(dense, other) == lm_layer_in(dense, last)) other--;
    return lm_param_source_find(file, config, id, last, &source) ||
           (other != last && lm_param_source_find(file, config, id, other, &source));
}

/* The configs of a whole model and of its part say different things of whether the head is the embedding; what is there decides. */
static bool has_head(const lm_model_file *file, const lm_arch_config *config) {
    lm_param_source source;
    return lm_param_source_find(file, config, LM_PARAM_OUTPUT_HEAD, 0, &source);
}

void lm_model_weights_describe(const lm_model_file *file, const lm_arch *arch,
                               lm_arch_config *out) {
    const lm_hparams *hp = lm_model_file_hparams(file);
    uint64_t features = arch->features;
    lm_arch_config config = {.arch = arch, .hparams = *hp};
    if (hp->is_part) config.hparams.tied_embeddings = !has_head(file, &config);
    if (!config.hparams.tied_embeddings && !(features & LM_FEATURE_NO_HEAD))
        features |= LM_FEATURE_UNTIED_HEAD;
    if (hp->n_experts > 0) features |= LM_FEATURE_MOE;
    if (hp->shared_ffn_dim > 0) features |= LM_FEATURE_SHARED_EXPERT;
    if (hp->layer_norms) features |= LM_FEATURE_LAYER_NORM;
    if (hp->kv_latent_dim > 0) features |= LM_FEATURE_LATENT;
    if (hp->q_latent_dim > 0) features |= LM_FEATURE_Q_LATENT;
    if (hp->index_topk > 0) features |= LM_FEATURE_INDEX;
    if (hp->layer_input_dim > 0) features |= LM_FEATURE_LAYER_INPUT;
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        if ((lm_param_feature(id) & (OPTIONAL_FEATURES | arch->optional)) &&
            is_there(file, &config, id))
            features |= lm_param_feature(id);
    }
    if (!(features & LM_FEATURE_CLASSIFIER))
        features &= ~(uint64_t)LM_FEATURE_POOLER | arch->features;
    config.features = features;
    if (arch->optional & LM_FEATURE_MLP_NORM) /* an MLP without a norm of its own is beside attention */
        config.hparams.serial_residual = (features & LM_FEATURE_MLP_NORM) != 0;
    config.hparams.shared_norm = shares_norm(file, &config);
    config.hparams.map_unbiased = rows_in_file(file, &config, LM_PARAM_EMBED_IN_BIAS) == 0;
    config.hparams.pooler_unbiased = rows_in_file(file, &config, LM_PARAM_POOLER_BIAS) == 0;
    int64_t gate_rows = rows_in_file(file, &config, LM_PARAM_Q_GATE);
    config.hparams.gate_by_head =
        gate_rows > 0 && gate_rows == lm_heads_at(hp, last_layer_of(hp, LM_PARAM_Q_GATE));
    config.hparams.experts_unnormed = rows_in_file(file, &config, LM_PARAM_EXPERTS_OUT_NORM) == 0;
    config.hparams.laurel_rank = rows_in_file(file, &config, LM_PARAM_LAUREL_DOWN);
    config.hparams.n_token_types = rows_in_file(file, &config, LM_PARAM_TYPE_EMBED);
    config.hparams.n_tasks = rows_in_file(file, &config, LM_PARAM_TASK_EMBED);
    config.hparams.n_labels = rows_in_file(file, &config, LM_PARAM_CLASSIFIER);
    *out = config;
}

/* Read as f32, whatever the file has, of several dimensions too. */
static bool is_wide(lm_param_id id) {
    return lm_param_is_bias(id) || lm_param_is_kernel(id) || id == LM_PARAM_POOL_BIAS ||
           id == LM_PARAM_INDEX_POOL_BIAS;
}

/* Heads of a model that is used without: for masked words, for the next sentence, for what became of a text's first token. */
static bool is_unused_head(const char *name, const lm_arch *arch) {
    static const char *const begins[] = {"cls.predictions.",
                                         "cls.seq_relationship.",
                                         "lm_head.",
                                         "pooler.",
                                         "mpnet.pooler.",
                                         "bert.pooler.",
                                         "vocab_",
                                         "head.",
                                         "decoder.",
                                         "predictions.",
                                         "sop_classifier.",
                                         "generator_predictions.",
                                         "generator_lm_head",
                                         "discriminator_predictions."};
    size_t n_prefix = arch->hf_prefix ? strlen(arch->hf_prefix) : 0;
    if (n_prefix > 0 && strncmp(name, arch->hf_prefix, n_prefix) == 0) name += n_prefix;
    for (size_t i = 0; i < LM_COUNT_OF(begins); i++)
        if (strncmp(name, begins[i], strlen(begins[i])) == 0) return true;
    return false;
}

/* Of a layer behind the last that guesses further tokens. */
static bool is_guessing(const char *name, const lm_hparams *hp) {
    static const char *const begins[] = {"model.layers.", "blk.", "layers."};
    for (size_t i = 0; i < LM_COUNT_OF(begins); i++) {
        size_t n = strlen(begins[i]);
        if (strncmp(name, begins[i], n) != 0) continue;
        long long layer = strtoll(name + n, NULL, 10);
        return layer >= hp->n_layers && layer < hp->n_layers + hp->n_guess_layers;
    }
    return false;
}

/* What latent attention has in one matrix and, in some files, apart as well. */
static bool is_up_again(lm_str name) {
    return lm_str_ends(name, LM_STR(".attn_k_b.weight")) ||
           lm_str_ends(name, LM_STR(".attn_v_b.weight"));
}

/* Matrices of experts that compute nothing, which transformers makes and does not read. */
static bool is_idle_expert(const char *name, const lm_hparams *hp) {
    const char *mark = strstr(name, ".mlp.experts.");
    if (!mark) return false;
    long long expert = strtoll(mark + strlen(".mlp.experts."), NULL, 10);
    return expert >= hp->n_experts && expert < lm_expert_choices(hp);
}

/* Tensors that files carry and graphs do not read: what can be computed, masks, and the parts of a model that sees. */
static bool is_ignorable(const char *name, const lm_arch_config *config) {
    static const char *const ends[] = {".rotary_emb.inv_freq",
                                       ".attn.bias",
                                       ".attn.masked_bias",
                                       ".attention.bias",
                                       ".masked_bias",
                                       ".position_ids",
                                       ".causal_mask",
                                       "relative_pe.slopes",
                                       "encoder.embed_positions.weight",
                                       "encoder.embed_tokens.weight",
                                       ".query_decay",
                                       ".key_decay",
                                       ".diagonal_decay",
                                       ".slope_rate"};
    bool has_tasks = config->arch->dialect == LM_DIALECT_JINA_V3; /* whose adapters are not read */
    if (has_tasks && strstr(name, ".parametrizations.weight.0.lora_")) return true;
    bool adapted =
        config->arch->dialect == LM_DIALECT_PHI4MM; /* where something is seen or heard */
    if (adapted && (strstr(name, ".lora_A.") || strstr(name, ".lora_B."))) return true;
    static const char *const heads[] = {"embed_out.weight", "lm_head.weight", "output.weight",
                                        "output_projection.weight", "decoder.weight"};
    static const char *const begins[] = {"rope_freqs.",
                                         "rope_factors_",
                                         "model.early_exit_gate.",
                                         "vision_",
                                         "dense_2.",
                                         "dense_3.",
                                         "model.mtp_layers.",
                                         "mtp.",
                                         "model.vision_",
                                         "multi_modal_",
                                         "model.multi_modal_",
                                         "vision_model.",
                                         "model.connector.",
                                         "visual.",
                                         "model.visual.",
                                         "model.embed_tokens_extend.",
        "model.mtp."};
    lm_str text = lm_str_of(name);
    if (is_guessing(name, &config->hparams)) return true;
    bool tied = !(config->features & LM_FEATURE_UNTIED_HEAD);
    if (lm_arch_has(config, LM_FEATURE_LATENT) && is_up_again(text)) return true;
    bool experts_normed = lm_arch_has(config, LM_FEATURE_MIXTURE_NORM); /* dense layers have one that is not used */
    if (config->hparams.n_idle_experts > 0 && is_idle_expert(name, &config->hparams)) return true;
    if (experts_normed && lm_str_ends(text, LM_STR(".post_mlp_layernorm.weight"))) return true;
    if (config->arch->blocks_chosen && (strstr(name, ".indexer.") || strstr(name, ".index_")))
        return true;
    bool shares = lm_layers_before(&config->hparams.index_shared, config->hparams.n_layers) > 0;
    if (shares && strstr(name, ".indexer.")) return true; /* that of a layer that uses another's */
    bool by_token = lm_layers_before(&config->hparams.token_routed, config->hparams.n_layers) > 0;
    if (by_token && lm_str_ends(text, LM_STR(".ffn.gate.bias")))
        return true; /* which is not read there */
    for (size_t i = 0; i < LM_COUNT_OF(ends); i++)
        if (lm_str_ends(text, lm_str_of(ends[i]))) return true;
    for (size_t i = 0; tied && i < LM_COUNT_OF(heads); i++)
        if (lm_str_ends(text, lm_str_of(heads[i]))) return true;
    for (size_t i = 0; i < LM_COUNT_OF(begins); i++)
        if (strncmp(name, begins[i], strlen(begins[i])) == 0) return true;
    return lm_arch_has(config, LM_FEATURE_NO_HEAD) && is_unused_head(name, config->arch);
}

/* What loading goes by. */
typedef struct loader {
    lm_model_weights *w;
    const lm_model_file *file;
    const lm_arch_config *config;
    const lm_model_weights_options *options;
    lm_map *known; /* names of the tensors that have been found a place */
    bool exact;    /* coded matrices become f32 */
} loader;

static bool is_exact(const lm_model_file *file, lm_coded_weights choice) {
    size_t n_bytes = 0;
    for (size_t i = 0; i < lm_model_file_n_tensors(file); i++) {
        const lm_stored_tensor *tensor = lm_model_file_tensor_at(file, i);
        if (tensor->coded)
            n_bytes += lm_dtype_bytes(LM_F32, lm_stored_tensor_n_elems(tensor));
    }
    return choice == LM_CODED_AUTO ? n_bytes <= LM_CODED_EXACT_BYTES : choice == LM_CODED_EXACT;
}

/* How much of a name says that a tensor is of the text part of a larger model: what the embedding's has before its own. */
static size_t part_prefix(const loader *l, const char **out) {
    lm_param_source embed;
    *out = "";
    if (!l->config->hparams.is_part ||
        !lm_param_source_find(l->file, l->config, LM_PARAM_TOKEN_EMBED, 0, &embed))
        return 0;
    *out = embed.tensor->name;
    size_t n = strlen(*out);
    for (int dots = 0; n > 0; n--) {
        dots += (*out)[n - 1] == '.';
        if (dots == 2) break;
    }
    return n;
}

static loam_status refuse_strangers(const loader *l, loam_error *err) {
    const char *prefix;
    size_t n_prefix = part_prefix(l, &prefix);
    for (size_t i = 0; i < lm_model_file_n_tensors(l->file); i++) {
        const char *name = lm_model_file_tensor_at(l->file, i)->name;
        uint64_t unused;
        if (lm_map_get(l->known, lm_str_of(name), &unused) || is_ignorable(name, l->config) ||
            strncmp(name, prefix, n_prefix) != 0 ||
            is_guessing(name + n_prefix, &l->config->hparams))
            continue;
        return lm_error_set(err, LOAM_UNSUPPORTED,
                            "%s: tensor '%s' has no place in architecture '%s' of %lld layers",
                            lm_model_file_path(l->file), name, l->config->hparams.architecture,
                            (long long)l->w->n_layers);
    }
    return LOAM_OK;
}

/* --- Loading. */

static lm_weight *slot(const lm_model_weights *w, lm_param_id id, int64_t layer) {
    return &w->weights[id * w->n_layers + layer];
}

static int64_t n_elems_of(const lm_weight *weight) {
    int64_t n = 1;
    for (int i = 0; i < weight->n_dims; i++) n *= weight->shape[i];
    return n;
}

static size_t bytes_of(const lm_weight *weight) {
    return lm_dtype_bytes(weight->dtype, n_elems_of(weight));
}

/* The rows that are the parameter: where they lie in the tensor, or an arrangement by which they are made. */
static loam_status place_rows(const loader *l, const lm_arrangement *wanted, lm_weight *weight,
                              loam_error *err) {
    const lm_param_source *source = &wanted->source;
    size_t row_bytes =
        lm_dtype_bytes(weight->dtype, weight->n_dims > 1 ? weight->shape[weight->n_dims - 1] : 1);
    bool turned = wanted->turned || wanted->turned_experts;
    if (turned && (source->tensor->coded || lm_dtype_is_quantized(weight->dtype)))
        return lm_error_set(err, LOAM_UNSUPPORTED, "tensor '%s' is transposed and quantized",
                            weight->name);
    if (lm_arrangement_is_needless(wanted)) {
        weight->data = (const char *)source->tensor->data + (size_t)source->first_row * row_bytes;
        return LOAM_OK;
    }
    lm_arrangement *arrangement = lm_arena_alloc(&l->w->arena, sizeof *arrangement);
    if (!arrangement) return lm_error_no_memory(err, sizeof *arrangement);
    *arrangement = *wanted;
    l->w->arrangements[weight - l->w->weights] = arrangement;
    weight->data = NULL;
    return LOAM_OK;
}

/* Makes what is to be made for a weight, if anything. */
static loam_status arrange(lm_model_weights *w, lm_weight *weight, loam_error *err) {
    const lm_arrangement *arrangement = w->arrangements[weight - w->weights];
    lm_file_map *copy = &w->copies[weight - w->weights];
    if (!arrangement || weight->data) return LOAM_OK;
    LM_TRY(lm_file_map_anonymous(bytes_of(weight), copy, err));
    if (!w->reserve_only) lm_arrange(arrangement, w->device, weight, (char *)copy->ptr);
    weight->data = copy->ptr;
    return LOAM_OK;
}

/* The weight need not be at hand any more, or its pages: what is asked for again is made again. */
static void let_go(lm_model_weights *w, lm_weight *weight, const void *data) {
    lm_file_map *copy = &w->copies[weight - w->weights];
    if (!w->arrangements[weight - w->weights]) {
        lm_file_map_forget(data, bytes_of(weight));
    } else {
        lm_file_map_close(copy);
        if (weight->data == data) weight->data = NULL;
    }
}

/* Parts of one tensor get names of their own: those of weights are told apart by them. */
static loam_status name_part(lm_model_weights *w, const lm_param_source *source, lm_weight *weight,
                             loam_error *err) {
    if (source->order == LM_PART_WHOLE) return LOAM_OK;
    size_t size = strlen(weight->name) + sizeof "[0]";
    char *name = lm_arena_alloc(&w->arena, size);
    if (!name) return lm_error_no_memory(err, size);
    snprintf(name, size, "%s[%d]", weight->name, source->part);
    weight->name = name;
    return LOAM_OK;
}

/* lm_model_file_weight in the type it is wanted in: coded ones can be had as they are meant, too. */
static loam_status weight_of(const loader *l, const char *name, int n_dims, const int64_t *shape,
                             lm_weight *out, loam_error *err) {
    LM_TRY(lm_model_file_weight(l->file, name, n_dims, shape, out, err));
    if (l->exact && lm_model_file_find(l->file, name)->coded) out->dtype = LM_F32;
    return LOAM_OK;
}

/* Of what type experts with a tensor each are together: coded ones may become several. */
static loam_status join_dtype(const loader *l, const lm_weight *one, const lm_stored_tensor *tensor,
                              lm_weight *all, loam_error *err) {
    if (one->dtype == all->dtype) return LOAM_OK;
    if (!tensor->coded)
        return lm_error_set(err, LOAM_UNSUPPORTED,
                            "%s: '%s' is of another type than the experts before it",
                            lm_model_file_path(l->file), one->name);
    all->dtype = LM_F32;
    return LOAM_OK;
}

/* Experts that have a tensor each, one behind the other. */
static loam_status join_experts(const loader *l, lm_param_id id, int64_t layer,
                                const lm_param_source *source, lm_weight *weight,
                                loam_error *err) {
    int64_t n = weight->shape[0];
    const lm_stored_tensor **experts = lm_arena_calloc(&l->w->arena, (size_t)n, sizeof *experts);
    if (!experts) return lm_error_no_memory(err, (size_t)n * sizeof *experts);
    for (int64_t e = 0; e < n; e++) {
        const lm_stored_tensor *tensor = lm_param_source_expert(l->file, l->config, id, layer, e);
        if (!tensor)
            return lm_error_set(err, LOAM_NOT_FOUND, "%s: expert %lld of '%s' is missing",
                                lm_model_file_path(l->file), (long long)e, weight->name);
        lm_weight one;
        LM_TRY(weight_of(l, tensor->name, 2, weight->shape + 1, &one, err));
        if (e == 0) weight->dtype = one.dtype;
        LM_TRY(join_dtype(l, &one, tensor, weight, err));
        if (!lm_map_set(l->known, lm_str_of(one.name), 1)) return lm_error_no_memory(err, 0);
        experts[e] = tensor;
    }
    return place_rows(l, &(lm_arrangement){.source = *source, .experts = experts}, weight, err);
}

/* Matrices of heads: one tensor of three dimensions, or of two with one matrix under the other, or rows of one. */
static loam_status find_heads(const loader *l, lm_param_id id, int64_t layer, loam_error *err) {
    char name[LM_PARAM_NAME_BYTES];
    int64_t flat[2], n = lm_param_n_matrices(l->config, id);
    lm_arrangement wanted = {0};
    const lm_param_source *source = &wanted.source;
    lm_weight *weight = slot(l->w, id, layer);
    lm_param_shape(l->config, id, layer, flat);
    lm_param_name(id, layer, lm_naming_of(l->file), name);
    bool found = lm_param_source_find(l->file, l->config, id, layer, &wanted.source),
         part = source->order == LM_PART_HEADS, is_flat = found && source->tensor->n_dims == 2;
    wanted.turned_runs = part && id == LM_PARAM_K_UP;
    const int64_t apart[] = {n, flat[0] / n, flat[1]};
    const int64_t under[] = {part ? source->total_rows : flat[0],
                             wanted.turned_runs ? apart[1] : flat[1]};
    LM_TRY(weight_of(l, found ? source->tensor->name : name, is_flat ? 2 : 3,
                     is_flat ? under : apart, weight, err));
    if (!lm_map_set(l->known, lm_str_of(weight->name), 1)) return lm_error_no_memory(err, 0);
    if (wanted.turned_runs && lm_dtype_is_quantized(weight->dtype)) weight->dtype = LM_F32;
    weight->n_dims = 3;
    memcpy(weight->shape, apart, sizeof apart);
    l->w->stored_bytes += bytes_of(weight);
    LM_TRY(name_part(l->w, source, weight, err));
    return place_rows(l, &wanted, weight, err);
}

/* Matrices of experts and the like: one tensor of three dimensions, part of one, or a tensor for each. */
static loam_status find_experts(const loader *l, lm_param_id id, int64_t layer, loam_error *err) {
    char name[LM_PARAM_NAME_BYTES];
    int64_t flat[2], n = lm_param_n_matrices(l->config, id);
    lm_param_source source;
    lm_weight *weight = slot(l->w, id, layer);
    lm_param_shape(l->config, id, layer, flat);
    lm_param_name(id, layer, lm_naming_of(l->file), name);
    const lm_weight wanted = {.name = name, .n_dims = 3, .shape = {n, flat[0] / n, flat[1]}};
    bool found = lm_param_source_find(l->file, l->config, id, layer, &source);
    if (found && source.order == LM_PART_APART) {
        *weight = wanted;
        weight->name = source.tensor->name;
        LM_TRY(join_experts(l, id, layer, &source, weight, err));
        l->w->stored_bytes += bytes_of(weight);
        return LOAM_OK;
    }
    int64_t rows = found && source.order != LM_PART_WHOLE ? source.total_rows / n : wanted.shape[1];
    bool folder = lm_naming_of(l->file) == LM_NAMING_HF,
         is_flat = folder && l->config->arch->hf_flat_experts;
    bool turned = found && source.turned;
    const int64_t stored[] = {n, turned ? flat[1] : rows, turned ? rows : flat[1]};
    const int64_t under[] = {n * stored[1], stored[2]};
    LM_TRY(weight_of(l, found ? source.tensor->name : name, is_flat ? 2 : 3,
                     is_flat ? under : stored, weight, err));
    if (!lm_map_set(l->known, lm_str_of(weight->name), 1)) return lm_error_no_memory(err, 0);
    weight->n_dims = 3;
    memcpy(weight->shape, wanted.shape, sizeof weight->shape);
    l->w->stored_bytes += bytes_of(weight);
    LM_TRY(name_part(l->w, &source, weight, err));
    return place_rows(l, &(lm_arrangement){.source = source, .turned_experts = turned}, weight,
                      err);
}

/* A vector as a matrix, of one row or of one for each head, or a matrix of one row as a vector, or of a convolution of channels alone,
 * [channels, 1, taps], or with dimensions of 1 around: the same numbers. */
static bool is_other_shape(const lm_stored_tensor *tensor, int n_dims, int64_t n_elems) {
    int n_wide = 0;
    for (int i = 0; i < tensor->n_dims; i++) n_wide += tensor->shape[i] != 1;
    bool flat = tensor->n_dims <= 2 || n_wide <= n_dims;
    return tensor->n_dims != n_dims && flat && lm_stored_tensor_n_elems(tensor) == n_elems;
}

/* A norm with a tensor for each head, one behind the other. */
static loam_status join_norms(const loader *l, lm_param_id id, int64_t layer, int64_t n_elems,
                              lm_weight *weight, loam_error *err) {
    const int64_t width = l->config->hparams.head_dim;
    float *all = lm_arena_alloc(&l->w->arena, (size_t)n_elems * sizeof *all);
    if (!all) return lm_error_no_memory(err, (size_t)n_elems * sizeof *all);
    for (int64_t head = 0; head < n_elems / width; head++) {
        const lm_stored_tensor *tensor =
            lm_param_source_expert(l->file, l->config, id, layer, head);
        if (!tensor)
            return lm_error_set(err, LOAM_NOT_FOUND, "%s: norm %lld of those of '%s' is missing",
                                lm_model_file_path(l->file), (long long)head, weight->name);
        LM_TRY(weight_of(l, tensor->name, 1, &width, weight, err));
        if (!lm_map_set(l->known, lm_str_of(weight->name), 1)) return lm_error_no_memory(err, 0);
        lm_dtype_get(weight->dtype)->unpack(weight->data, all + head * width, width);
    }
    l->w->stored_bytes += (size_t)n_elems * sizeof *all;
    weight->dtype = LM_F32;
    weight->shape[0] = n_elems;
    weight->data = all;
    return LOAM_OK;
}

static bool has_norms_apart(const loader *l, lm_param_id id) {
    return l->config->arch->dialect == LM_DIALECT_STABLELM &&
           lm_naming_of(l->file) == LM_NAMING_HF &&
           (id == LM_PARAM_Q_NORM || id == LM_PARAM_K_NORM);
}

/* Where matrices read rows of 8 bits those of layers do, all of them, and no others. */
static loam_status check_rounded(const loader *l, lm_param_id id, int n_dims,
                                 const lm_stored_tensor *tensor, loam_error *err) {
    bool layers = lm_param_has_layer(id);
    if (!l->config->hparams.rounded_reads || n_dims != 2 || (tensor->coded != NULL) == layers)
        return LOAM_OK;
    return lm_error_set(err, LOAM_UNSUPPORTED, "%s: tensor '%s' is %s of three values",
                        lm_model_file_path(l->file), tensor->name, layers ? "none" : "one");
}

static loam_status find_weight(const loader *l, lm_param_id id, int64_t layer, loam_error *err) {
    if (lm_param_is_apart(id)) return find_experts(l, id, layer, err);
    if (lm_param_n_matrices(l->config, id) > 0) return find_heads(l, id, layer, err);
    char name[LM_PARAM_NAME_BYTES];
    int64_t shape[2], stored[LM_STORED_MAX_DIMS];
    lm_arrangement wanted = {0};
    lm_param_source *source = &wanted.source;
    lm_weight *weight = slot(l->w, id, layer);
    int n_dims = lm_param_shape(l->config, id, layer, shape);
    bool found = lm_param_source_find(l->file, l->config, id, layer, source);
    if (found && has_norms_apart(l, id)) {
        weight->name = source->tensor->name;
        return join_norms(l, id, layer, shape[0], weight, err);
    }
    if (found) LM_TRY(check_rounded(l, id, n_dims, source->tensor, err));
    lm_param_name(id, layer, lm_naming_of(l->file), name);
    wanted.turned = lm_param_is_kernel(id) ||
                    (n_dims == 2 && lm_param_has_layer(id) && l->config->arch->hf_transposed &&
                     lm_naming_of(l->file) == LM_NAMING_HF);
    wanted.unit_rows = id == LM_PARAM_OUTPUT_HEAD && l->config->hparams.unit_head;
    bool kernel = lm_param_is_kernel(id);
    int64_t rows = found && source->order != LM_PART_WHOLE ? source->total_rows : shape[kernel];
    stored[0] = wanted.turned && !kernel ? shape[1] : rows;
    stored[1] = kernel ? shape[0] : wanted.turned ? rows : shape[1];
    wanted.by_element = found && source->order == LM_PART_TURNS; /* experts' biases */
    if (wanted.by_element) {
        stored[0] = shape[0];
        stored[1] = source->total_rows / shape[0];
    }
    int n_stored = found && is_other_shape(source->tensor, n_dims, rows * shape[!kernel])
                       ? source->tensor->n_dims
                       : n_dims;
    if (n_stored != n_dims) memcpy(stored, source->tensor->shape, sizeof stored);
    LM_TRY(weight_of(l, found ? source->tensor->name : name, n_stored, stored, weight, err));
    if (!lm_map_set(l->known, lm_str_of(weight->name), 1))
        return lm_error_no_memory(err, strlen(weight->name));
    weight->n_dims = n_dims;
    memcpy(weight->shape, shape, sizeof shape);
    l->w->stored_bytes += bytes_of(weight);
    LM_TRY(name_part(l->w, source, weight, err));
    if (kernel) { /* which has its channels as rows there */
        source->first_row *= shape[0];
        source->order = LM_PART_WHOLE;
    }
    return place_rows(l, &wanted, weight, err);
}

/* Ops read vectors as f32. They are copied in any case: a few bytes of each would keep pages of the file mapped, and huge
 * ones where the system has those, all over it. */
static loam_status copy_vector(lm_model_weights *w, lm_weight *weight, loam_error *err) {
    int64_t n = n_elems_of(weight);
    float *wide = lm_arena_alloc(&w->arena, (size_t)n * sizeof *wide);
    if (!wide) return lm_error_no_memory(err, (size_t)n * sizeof *wide);
    lm_dtype_get(weight->dtype)->unpack(weight->data, wide, n);
    weight->data = wide;
    weight->dtype = LM_F32;
    return LOAM_OK;
}

/* Folders of some families have the weights of norms less one. */
static loam_status add_one(lm_model_weights *w, lm_weight *weight, loam_error *err) {
    float *sum = lm_arena_alloc(&w->arena, weight->shape[0] * sizeof *sum);
    if (!sum) return lm_error_no_memory(err, weight->shape[0] * sizeof *sum);
    for (int64_t i = 0; i < weight->shape[0]; i++) sum[i] = ((const float *)weight->data)[i] + 1.0f;
    weight->data = sum;
    return LOAM_OK;
}

/* Folders have the logarithms of what states decay by. */
static loam_status make_rates(lm_model_weights *w, lm_weight *weight, loam_error *err) {
    int64_t n = n_elems_of(weight);
    float *rates = lm_arena_alloc(&w->arena, (size_t)n * sizeof *rates);
    if (!rates) return lm_error_no_memory(err, (size_t)n * sizeof *rates);
    for (int64_t i = 0; i < n; i++) rates[i] = lm_rate_of_log(((const float *)weight->data)[i]);
    weight->data = rates;
    return LOAM_OK;
}

/* Files of a few families have them above 0. */
static loam_status negate_rates(lm_model_weights *w, lm_weight *weight, loam_error *err) {
    int64_t n = n_elems_of(weight);
    float *rates = lm_arena_alloc(&w->arena, (size_t)n * sizeof *rates);
    if (!rates) return lm_error_no_memory(err, (size_t)n * sizeof *rates);
    for (int64_t i = 0; i < n; i++) rates[i] = -((const float *)weight->data)[i];
    weight->data = rates;
    return LOAM_OK;
}

/* Which task a text is for is not told here: the first one's vector goes into those of segments, and is 0 then. */
static loam_status fold_task(lm_model_weights *w, lm_weight *tasks, loam_error *err) {
    lm_weight *types = slot(w, LM_PARAM_TYPE_EMBED, 0);
    int64_t n_types = types->name ? types->shape[0] : 0, dim = tasks->shape[1];
    if (n_types == 0 || !types->data || !tasks->data)
        return lm_error_set(err, LOAM_UNSUPPORTED, "tensor '%s' is there without plain segments",
                            tasks->name);
    float *sums = lm_arena_alloc(&w->arena, (size_t)((n_types + 1) * dim) * sizeof *sums),
          *zeros = lm_arena_calloc(&w->arena, (size_t)n_elems_of(tasks), sizeof *zeros);
    if (!sums || !zeros) return lm_error_no_memory(err, (size_t)(n_types * dim) * sizeof *sums);
    const float *task = sums + n_types * dim;
    lm_dtype_get(types->dtype)->unpack(types->data, sums, n_types * dim);
    lm_dtype_get(tasks->dtype)->unpack(tasks->data, sums + n_types * dim, dim);
    for (int64_t i = 0; i < n_types * dim; i++) sums[i] += task[i % dim];
    types->data = sums;
    tasks->data = zeros;
    types->dtype = tasks->dtype = LM_F32;
    return LOAM_OK;
}

/* Brings a weight to a device that cannot read it where it is. */
static loam_status place(lm_model_weights *w, lm_weight *weight, loam_error *err) {
    if (lm_device_shares_host_memory(w->device)) return LOAM_OK;
    void *buffer;
    LM_TRY(lm_device_alloc(w->device, bytes_of(weight), &buffer, err));
    const lm_weight stored = *weight;
    weight->data = buffer;
    w->owned[weight - w->weights] = true;
    return lm_device_upload(w->device, buffer, stored.data, bytes_of(&stored), err);
}

/* Folders have what scores of streams come of as a norm's weight and a row that its result is multiplied with. */
static loam_status fold_norm(const loader *l, lm_weight *row, loam_error *err) {
    char name[LM_PARAM_NAME_BYTES];
    lm_weight norm;
    const char *at = strstr(row->name, "_proj.weight");
    int64_t n = row->shape[0];
    snprintf(name, sizeof name, "%.*s_norm.weight", (int)(at - row->name), row->name);
    LM_TRY(weight_of(l, name, 1, &n, &norm, err));
    if (!lm_map_set(l->known, lm_str_of(norm.name), 1))
        return lm_error_no_memory(err, strlen(name));
    LM_TRY(copy_vector(l->w, &norm, err));
    float *products = lm_arena_alloc(&l->w->arena, (size_t)n * sizeof *products);
    if (!products) return lm_error_no_memory(err, (size_t)n * sizeof *products);
    for (int64_t i = 0; i < n; i++)
        products[i] = ((const float *)norm.data)[i] * ((const float *)row->data)[i];
    row->data = products;
    return LOAM_OK;
}

/* What remains of the way from a file's numbers to those that ops read. Matrices that are looked up row by row are made now. */
static loam_status finish_weight(const loader *l, lm_param_id id, lm_weight *weight,
                                 loam_error *err) {
    bool is_vector = weight->n_dims == 1 || is_wide(id);
    bool by_row = id == LM_PARAM_TOKEN_EMBED || id == LM_PARAM_POSITION_EMBED;
    if (is_vector || by_row || l->options->check_finite) LM_TRY(arrange(l->w, weight, err));
    loam_status status = l->options->check_finite ? lm_weight_check_finite(weight, err) : LOAM_OK;
    if (status != LOAM_OK) return lm_error_prefix(err, status, "%s", lm_model_file_path(l->file));
    if (is_vector) LM_TRY(copy_vector(l->w, weight, err));
    bool folder = lm_naming_of(l->file) == LM_NAMING_HF;
    if (folder && lm_param_less_one(l->config->arch, id)) return add_one(l->w, weight, err);
    if (folder && lm_param_is_recall(id)) return fold_norm(l, weight, err);
    if (folder && id == LM_PARAM_TASK_EMBED) return fold_task(l->w, weight, err);
    if (folder && lm_param_is_rate(id)) return make_rates(l->w, weight, err);
    if (lm_param_is_rate(id) && l->config->arch->gguf_positive_rates)
        return negate_rates(l->w, weight, err);
    if (l->options->check_finite && !is_vector && !by_row) let_go(l->w, weight, weight->data);
    return LOAM_OK;
}

/* Folders may have keys and values of layers that attend to others', and nobody reads them. */
static loam_status pass_over_unused(const loader *l, loam_error *err) {
    lm_param_source source;
    for (int64_t layer = 0; layer < l->w->n_layers; layer++)
        for (int id = 0; id < LM_PARAM_COUNT; id++)
            if (!lm_layer_keeps(&l->config->hparams, layer) && lm_param_is_cached(id) &&
                lm_param_source_find(l->file, l->config, id, layer, &source) &&
                !lm_map_set(l->known, lm_str_of(source.tensor->name), 1))
                return lm_error_no_memory(err, 0);
    return LOAM_OK;
}

/* Tokens' experts, which are whole numbers there: as f32, which all of them are. */
static loam_status find_token_experts(const loader *l, int64_t layer, loam_error *err) {
    const lm_param_id id = LM_PARAM_TOKEN_EXPERTS;
    lm_weight *weight = slot(l->w, id, layer);
    lm_param_source source;
    char name[LM_PARAM_NAME_BYTES];
    lm_param_name(id, layer, lm_naming_of(l->file), name);
    if (!lm_param_source_find(l->file, l->config, id, layer, &source))
        return lm_error_set(err, LOAM_NOT_FOUND, "%s: tensor '%s' is missing",
                            lm_model_file_path(l->file), name);
    const lm_stored_tensor *tensor = source.tensor;
    lm_param_shape(l->config, id, layer, weight->shape);
    int64_t n = weight->shape[0] * weight->shape[1];
    bool is_wide = strcmp(tensor->type->name, "I64") == 0;
    if (tensor->n_dims != 2 || memcmp(tensor->shape, weight->shape, 2 * sizeof n) != 0 ||
        !tensor->data || (!is_wide && strcmp(tensor->type->name, "I32") != 0))
        return lm_error_set(err, LOAM_INVALID, "%s: tensor '%s' is not I32 or I64 [%lld, %lld]",
                            lm_model_file_path(l->file), tensor->name, (long long)weight->shape[0],
                            (long long)weight->shape[1]);
    float *ids = lm_arena_alloc(&l->w->arena, (size_t)n * sizeof *ids);
    if (!ids) return lm_error_no_memory(err, (size_t)n * sizeof *ids);
    for (int64_t i = 0; i < n; i++) {
        int64_t expert =
            is_wide ? ((const int64_t *)tensor->data)[i] : ((const int32_t *)tensor->data)[i];
        if (expert < 0 || expert >= l->config->hparams.n_experts)
            return lm_error_set(err, LOAM_INVALID, "%s: tensor '%s' names expert %lld of %lld",
                                lm_model_file_path(l->file), tensor->name, (long long)expert,
                                (long long)l->config->hparams.n_experts);
        ids[i] = (float)expert;
    }
    weight->name = tensor->name;
    weight->n_dims = 2;
    weight->dtype = LM_F32;
    weight->data = ids;
    l->w->stored_bytes += tensor->size_bytes;
    return lm_map_set(l->known, lm_str_of(tensor->name), 1) ? place(l->w, weight, err)
                                                            : lm_error_no_memory(err, 0);
}

static loam_status find_params(const loader *l, loam_error *err) {
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        if (!lm_param_in(l->config, id)) continue;
        int64_t n = lm_param_has_layer(id) ? l->w->n_layers : 1;
        for (int64_t layer = 0; layer < n; layer++) {
            if (!lm_param_at(l->config, id, layer)) continue;
            if (id == LM_PARAM_TOKEN_EXPERTS) {
                LM_TRY(find_token_experts(l, layer, err));
                continue;
            }
            LM_TRY(find_weight(l, id, layer, err));
            LM_TRY(finish_weight(l, id, slot(l->w, id, layer), err));
        }
    }
    LM_TRY(pass_over_unused(l, err));
    return refuse_strangers(l, err);
}

static loam_status find_all(lm_model_weights *w, const lm_model_file *file,
                            const lm_arch_config *config, const lm_model_weights_options *options,
                            loam_error *err) {
    size_t n = LM_PARAM_COUNT * (size_t)w->n_layers;
    w->weights = lm_arena_calloc(&w->arena, n, sizeof *w->weights);
    w->owned = lm_arena_calloc(&w->arena, n, sizeof *w->owned);
    w->copies = lm_arena_calloc(&w->arena, n, sizeof *w->copies);
    w->arrangements = lm_arena_calloc(&w->arena, n, sizeof *w->arrangements);
    loader l = {w, file, config, options, lm_map_new(), is_exact(file, options->coded)};
    loam_status status = w->weights && w->owned && w->copies && w->arrangements && l.known
                             ? find_params(&l, err)
                             : lm_error_no_memory(err, n * sizeof *w->weights);
    lm_map_free(l.known);
    return status;
}

/* The weights that the device wants in its own order: [*out_n], room for all. */
static void list_packable(const lm_model_weights *w, lm_weight **list, size_t *out_n) {
    size_t n = 0;
    for (int64_t i = 0; i < LM_PARAM_COUNT * w->n_layers; i++) {
        lm_weight *weight = &w->weights[i];
        lm_param_id id = (lm_param_id)(i / w->n_layers);
        if (weight->name && weight->n_dims > 1 && !lm_param_is_table(id) && !is_wide(id) &&
            lm_device_packed_bytes(w->device, weight) > 0)
            list[n++] = weight;
    }
    *out_n = n;
}

static loam_status pack_in_memory(lm_model_weights *w, lm_weight *weight, loam_error *err) {
    lm_weight packed;
    const void *data = weight->data;
    loam_status status = lm_device_pack(w->device, weight, &packed, err);
    if (status == LOAM_NO_MEMORY) {
        lm_error_prefix(err, status, "packing tensor '%s'", weight->name);
        lm_error_hint(err, status,
                      "the weights take %zu MiB; packed into a file they are mapped instead, and a "
                      "model quantized to fewer bits takes less",
                      w->stored_bytes >> 20);
    }
    if (status != LOAM_OK) return status;
    *weight = packed;
    let_go(w, weight, data);
    w->owned[weight - w->weights] = true;
    return LOAM_OK;
}

static size_t packed_bytes_in_lines(const lm_model_weights *w, const lm_weight *weight) {
    size_t bytes = lm_device_packed_bytes(w->device, weight);
    return (bytes + LM_PACK_ALIGNMENT - 1) / LM_PACK_ALIGNMENT * LM_PACK_ALIGNMENT;
}

/* One piece of memory for all, so that small weights have a part in its huge pages; NULL where it cannot be had. */
static char *alloc_together(lm_model_weights *w, const lm_pack_plan *plan) {
    size_t n_bytes = 0;
    for (size_t i = 0; i < plan->n; i++) n_bytes += packed_bytes_in_lines(w, plan->weights[i]);
    if (!lm_device_shares_host_memory(w->device) || plan->n == 0) return NULL;
    return lm_device_alloc(w->device, n_bytes, &w->packed_memory, NULL) == LOAM_OK
               ? w->packed_memory
               : NULL;
}

static void pack_at(lm_model_weights *w, lm_weight *weight, void *to) {
    lm_weight packed;
    const void *data = weight->data;
    w->device->backend->pack(w->device, weight, to, &packed);
    *weight = packed;
    let_go(w, weight, data);
}

static loam_status pack_each(lm_model_weights *w, const lm_pack_plan *plan, loam_error *err) {
    size_t n_bytes = lm_pack_plan_bytes(plan), n_done = 0;
    char *to = alloc_together(w, plan);
    for (size_t i = 0; i < plan->n; i++) {
        lm_weight *weight = plan->weights[i];
        size_t size_bytes = packed_bytes_in_lines(w, weight);
        if (plan->on_progress) plan->on_progress(plan->progress_ctx, n_done, n_bytes);
        n_done += lm_device_packed_bytes(w->device, weight);
        LM_TRY(arrange(w, weight, err));
        if (to) {
            pack_at(w, weight, to);
            to += size_bytes;
        } else {
            LM_TRY(pack_in_memory(w, weight, err));
        }
    }
    return LOAM_OK;
}

static loam_status prepare(void *ctx, lm_weight *weight, loam_error *err) {
    return arrange(ctx, weight, err);
}

static void done(void *ctx, lm_weight *weight) {
    let_go(ctx, weight, weight->data);
}

static loam_status pack_all(lm_model_weights *w, const lm_model_file *file,
                            const lm_pack_places *places, loam_error *err) {
    size_t n_max = LM_PARAM_COUNT * (size_t)w->n_layers;
    lm_pack_plan plan = {.device = w->device,
                         .on_progress = places->on_progress,
                         .progress_ctx = places->progress_ctx,
                         .prepare = prepare,
                         .done = done,
                         .weights_ctx = w,
                         .weights = lm_arena_calloc(&w->arena, n_max, sizeof *plan.weights)};
    if (!plan.weights) return lm_error_no_memory(err, n_max * sizeof *plan.weights);
    list_packable(w, plan.weights, &plan.n);
    if (lm_device_shares_host_memory(w->device) &&
        lm_pack_store_open(places, file, &plan, &w->packed_file))
        return LOAM_OK;
    return pack_each(w, &plan, err);
}

/* What was not packed has to be where the device can read it. The head of a tied model, unless packed, is the embedding. */
static loam_status place_all(lm_model_weights *w, bool tied, loam_error *err) {
    lm_weight *head = slot(w, LM_PARAM_OUTPUT_HEAD, 0);
    for (int64_t i = 0; i < LM_PARAM_COUNT * w->n_layers; i++) {
        lm_weight *weight = &w->weights[i];
        if (!weight->name || weight->layout != LM_LAYOUT_ROWS || (tied && weight == head)) continue;
        if (w->on_demand && !weight->data) continue;
        LM_TRY(arrange(w, weight, err));
        LM_TRY(place(w, weight, err));
    }
    if (tied && head->layout == LM_LAYOUT_ROWS) *head = *slot(w, LM_PARAM_TOKEN_EMBED, 0);
    return LOAM_OK;
}

/* Copies that nothing points into any more. */
static void drop_copies(lm_model_weights *w) {
    for (int64_t i = 0; i < LM_PARAM_COUNT * w->n_layers; i++)
        if (w->weights[i].data != w->copies[i].ptr) lm_file_map_close(&w->copies[i]);
}

/* The embedding is looked up row by row, in the file's order; as the head of a tied model it is multiplied with as well. */
static loam_status load_all(lm_model_weights *w, const lm_model_file *file,
                            const lm_arch_config *config, const lm_model_weights_options *options,
                            loam_error *err) {
    LM_TRY(find_all(w, file, config, options, err));
    bool tied = !(config->features & LM_FEATURE_UNTIED_HEAD) &&
                !lm_arch_has(config, LM_FEATURE_NO_HEAD);
    if (tied) *slot(w, LM_PARAM_OUTPUT_HEAD, 0) = *slot(w, LM_PARAM_TOKEN_EMBED, 0);
    if (!options->no_pack) LM_TRY(pack_all(w, file, &options->pack_places, err));
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        const lm_weight *table = slot(w, (lm_param_id)id, 0);
        if (lm_param_is_by_token((lm_param_id)id) && table->data)
            lm_file_map_expect_scattered(table->data, bytes_of(table));
    }
    LM_TRY(place_all(w, tied, err));
    if (!options->no_pack) lm_model_file_forget(file);
    drop_copies(w);
    return LOAM_OK;
}

loam_status lm_model_weights_load(lm_model_weights *w, const lm_model_file *file,
                                  const lm_arch_config *config, lm_device *device,
                                  const lm_model_weights_options *options, loam_error *err) {
    *w = (lm_model_weights){.device = device,
                            .n_layers = lm_stored_layers(&config->hparams),
                            .reserve_only = options->reserve_only,
                            .on_demand = options->on_demand};
    lm_arena_init(&w->arena, 0, 0);
    loam_status status = load_all(w, file, config, options, err);
    if (status != LOAM_OK) lm_model_weights_free(w);
    return status;
}

void lm_model_weights_free(lm_model_weights *w) {
    for (int64_t i = 0; w->owned && i < LM_PARAM_COUNT * w->n_layers; i++) {
        if (w->owned[i]) lm_device_free(w->device, (void *)w->weights[i].data);
    }
    if (w->packed_memory) lm_device_free(w->device, w->packed_memory);
    for (int64_t i = 0; w->copies && i < LM_PARAM_COUNT * w->n_layers; i++)
        lm_file_map_close(&w->copies[i]);
    lm_file_map_close(&w->packed_file);
    lm_arena_deinit(&w->arena);
    *w = (lm_model_weights){0};
}

const lm_weight *lm_model_weights_get(const lm_model_weights *w, lm_param_id id, int64_t layer) {
    LM_ASSERT(layer >= 0);
    const lm_weight *weight = slot(w, id, lm_param_has_layer(id) ? layer % w->n_layers : 0);
    return weight->name ? weight : NULL;
}

loam_status lm_model_weights_make(lm_model_weights *w, lm_param_id id, int64_t layer,
                                  loam_error *err) {
    return arrange(w, slot(w, id, lm_param_has_layer(id) ? layer : 0), err);
}

/* Vectors are copies that stay. */
bool lm_model_weights_drop(lm_model_weights *w, lm_param_id id, int64_t layer) {
    lm_weight *weight = slot(w, id, lm_param_has_layer(id) ? layer : 0);
    bool stays = weight->n_dims == 1 || is_wide(id) || lm_param_is_table(id);
    if (!w->on_demand || !weight->data || stays) return false;
    let_go(w, weight, weight->data);
    return weight->data == NULL;
}

void lm_model_weights_trim(const lm_model_weights *w) {
    const lm_weight *embed = slot(w, LM_PARAM_TOKEN_EMBED, 0),
                    *head = slot(w, LM_PARAM_OUTPUT_HEAD, 0);
    bool mapped = !w->owned[embed - w->weights];
    bool tied = head->name && strcmp(head->name, embed->name) == 0;
    if (mapped && tied && head->layout != LM_LAYOUT_ROWS)
        lm_file_map_forget(embed->data, bytes_of(embed));
}

loam_status lm_weight_check_finite(const lm_weight *weight, loam_error *err) {
    enum { CHUNK = 1024 }; /* a multiple of every format's block */
    const lm_dtype_info *type = lm_dtype_get(weight->dtype);
    int64_t n = n_elems_of(weight);
    float values[CHUNK];
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t count = n - at < CHUNK ? n - at : CHUNK;
        type->unpack((const char *)weight->data + lm_dtype_bytes(weight->dtype, at), values, count);
        for (int64_t i = 0; i < count; i++) {
            if (isfinite(values[i])) continue;
            return lm_error_set(err, LOAM_CORRUPT, "tensor '%s': element %lld is %g", weight->name,
                                (long long)(at + i), values[i]);
        }
    }
    return LOAM_OK;
}
