/* Hyperparameters out of a Hugging Face config.json. */
#include <math.h>
#include <stdio.h>

#include "base/checked.h"
#include "base/json.h"
#include "model/arch.h"
#include "model/text_part.h"

/* The object that is read, and what a family has where it does not say. */
typedef struct reader {
    const json_t *config;
    const char *path;
    const lm_arch *arch;
    loam_error *err;
} reader;

enum { KEY_BYTES = 64 };

/* The first of the keys in "a|b|c" that is there, else a: families call the same thing by different names. */
static const char *key_of(const reader *r, const char *keys, char out[KEY_BYTES]) {
    for (const char *at = keys, *end; at; at = *end ? end + 1 : NULL) {
        end = at + strcspn(at, "|");
        snprintf(out, KEY_BYTES, "%.*s", (int)(end - at), at);
        const json_t *value = json_object_get(r->config, out);
        if (value && !json_is_null(value)) return out;
    }
    snprintf(out, KEY_BYTES, "%.*s", (int)strcspn(keys, "|"), keys);
    return out;
}

static LM_MUST_USE loam_status need_i64(const reader *r, const char *keys, int64_t *out) {
    char key[KEY_BYTES];
    return lm_json_i64(r->config, r->path, key_of(r, keys, key), out, r->err);
}

static LM_MUST_USE loam_status read_i64(const reader *r, const char *keys, int64_t fallback,
                                        int64_t *out) {
    char key[KEY_BYTES];
    return lm_json_i64_or(r->config, r->path, key_of(r, keys, key), fallback, out, r->err);
}

/* A number, or a list of one for each layer, which must be alike. */
static LM_MUST_USE loam_status read_alike(const reader *r, const char *keys, int64_t fallback,
                                          int64_t *out) {
    char key[KEY_BYTES];
    const json_t *list = json_object_get(r->config, key_of(r, keys, key));
    if (!json_is_array(list)) return read_i64(r, keys, fallback, out);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_integer(json_array_get(list, i)) ||
            !json_equal(json_array_get(list, i), json_array_get(list, 0)))
            return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: '%s' is not the same in all layers",
                                r->path, key);
    *out = json_array_size(list) ? json_integer_value(json_array_get(list, 0)) : fallback;
    return LOAM_OK;
}

static LM_MUST_USE loam_status need_alike(const reader *r, const char *keys, int64_t *out) {
    char key[KEY_BYTES];
    bool listed = json_is_array(json_object_get(r->config, key_of(r, keys, key)));
    return listed ? read_alike(r, keys, 0, out) : need_i64(r, keys, out);
}

static LM_MUST_USE loam_status read_f64(const reader *r, const char *keys, double fallback,
                                        double *out) {
    char key[KEY_BYTES];
    return lm_json_f64_or(r->config, r->path, key_of(r, keys, key), fallback, out, r->err);
}

static LM_MUST_USE loam_status read_bool(const reader *r, const char *key, bool fallback,
                                         bool *out) {
    return lm_json_bool_or(r->config, r->path, key, fallback, out, r->err);
}

static LM_MUST_USE loam_status copy_text(const reader *r, const char *keys, lm_str fallback,
                                         char *out, size_t out_bytes) {
    char key[KEY_BYTES];
    lm_str text;
    LM_TRY(lm_json_str_or(r->config, r->path, key_of(r, keys, key), fallback, &text, r->err));
    if (text.len == 0 || text.len >= out_bytes)
        return lm_error_set(r->err, LOAM_INVALID, "%s: '%s' is missing or too long", r->path, key);
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return LOAM_OK;
}

/* --- Sizes. */

/* Falcon's first models share one key among all heads and say so apart. */
static LM_MUST_USE loam_status read_kv_heads(const reader *r, lm_hparams *h) {
    bool multi_query, new_decoder;
    LM_TRY(read_bool(r, "multi_query", false, &multi_query));
    LM_TRY(read_bool(r, "new_decoder_architecture", false, &new_decoder));
    if (json_is_false(json_object_get(r->config, "multi_query")) &&
        strcmp(h->architecture, "gpt_bigcode") == 0) /* its q, k and v then lie in another order */
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'multi_query' is false", r->path);
    if (multi_query && !new_decoder) {
        h->n_kv_heads = 1;
        return LOAM_OK;
    }
    LM_TRY(read_bool(r, "multi_query_attention", false, &multi_query)); /* ChatGLM's */
    return read_i64(r,
                    multi_query ? "multi_query_group_num"
                                : "num_key_value_heads|num_kv_heads|kv_n_heads|num_query_groups",
                    h->n_heads, &h->n_kv_heads);
}

/* Qwen's first models turn and scale longer sequences otherwise. */
static LM_MUST_USE loam_status read_trained_context(const reader *r, lm_hparams *h) {
    bool otherwise;
    int64_t trained;
    LM_TRY(read_bool(r, "use_dynamic_ntk", false, &otherwise));
    LM_TRY(read_i64(r, "seq_length", h->context_len, &trained));
    if (otherwise && trained < h->context_len) h->context_len = trained;
    return LOAM_OK;
}

/* Where as many positions as there are may be chosen, all are: the indexer of DeepSeek's sparse attention is not there. */
static LM_MUST_USE loam_status read_index(const reader *r, lm_hparams *h) {
    LM_TRY(read_i64(r, "index_topk", 0, &h->index_topk));
    if (h->index_topk > 0 && h->index_topk < h->context_len) h->context_len = h->index_topk;
    return LOAM_OK;
}

/* LFM2's configs say how wide an MLP without a gate would be. */
static LM_MUST_USE loam_status adjust_ffn(const reader *r, lm_hparams *h) {
    bool adjusts;
    double factor;
    int64_t multiple;
    LM_TRY(read_bool(r, "block_auto_adjust_ff_dim", false, &adjusts));
    LM_TRY(read_f64(r, "block_ffn_dim_multiplier", 1, &factor));
    LM_TRY(read_i64(r, "block_multiple_of", 256, &multiple));
    if (!adjusts || h->ffn_dim < 1 || h->ffn_dim > 1 << 24) return LOAM_OK;
    if (multiple < 1 || multiple > 1 << 20 || !(factor > 0 && factor < 1024))
        return lm_error_set(r->err, LOAM_INVALID, "%s: 'block_multiple_of' is %lld", r->path,
                            (long long)multiple);
    int64_t wanted = (int64_t)(factor * (double)(2 * h->ffn_dim / 3));
    h->ffn_dim = (wanted + multiple - 1) / multiple * multiple;
    return LOAM_OK;
}

/* n times a width, which nobody has looked at yet; 0, which is refused later, where that is no number. */
static int64_t widths(int64_t n, int64_t width) {
    int64_t all;
    return lm_checked_mul_i64(n, width, &all) ? all : 0;
}

static LM_MUST_USE loam_status read_embed_dim(const reader *r, lm_hparams *h) {
    bool may_differ = r->arch && (r->arch->optional & LM_FEATURE_EMBED_MAP);
    const char *keys = "embedding_size|input_embedding_size|word_embed_proj_dim";
    return may_differ ? read_i64(r, keys, h->dim, &h->embed_dim) : LOAM_OK;
}

/* GPT-2 and Falcon do not say what is usual. */
static bool leaves_out_sizes(const reader *r) {
    return r->arch && ((r->arch->features & LM_FEATURE_LAYER_NORM) || r->arch->leaves_out_sizes);
}

/* Nothing, or a matrix, in place of a block of a layer of block_configs. */
static LM_MUST_USE loam_status check_no_matrix(const reader *r, const json_t *block,
                                               int64_t layer) {
    if (!json_is_true(json_object_get(block, "replace_with_linear"))) return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: layer %lld has a matrix in place of a block",
                        r->path, (long long)layer);
}

/* Llama-Nemotron's layers are said one by one: how many heads share a key, and a multiple of the width as of an MLP without a gate. */
static LM_MUST_USE loam_status read_blocks(const reader *r, const json_t *blocks, lm_hparams *h) {
    int64_t n_layers = (int64_t)json_array_size(blocks);
    if (n_layers != h->n_layers)
        return lm_error_set(r->err, LOAM_INVALID, "%s: 'block_configs' has %lld of %lld layers",
                            r->path, (long long)n_layers, (long long)h->n_layers);
    for (int64_t i = 0; i < n_layers; i++) {
        const json_t *block = json_array_get(blocks, (size_t)i),
                     *attention = json_object_get(block, "attention"),
                     *ffn = json_object_get(block, "ffn");
        const json_t *n = json_object_get(attention, "n_heads_in_group"),
                     *multiple = json_object_get(ffn, "ffn_mult");
        LM_TRY(check_no_matrix(r, attention, i));
        LM_TRY(check_no_matrix(r, ffn, i));
        int64_t per_key = json_integer_value(n), wanted = 0;
        int64_t n_kv_heads = per_key > 0 ? h->n_heads / per_key : 0;
        if (n_kv_heads == 0) lm_layer_add(&h->mlp_only, i);
        if (n_kv_heads > 0 && h->n_kv_heads > 0 && h->n_kv_heads != n_kv_heads)
            return lm_error_set(r->err, LOAM_UNSUPPORTED,
                                "%s: 'n_heads_in_group' is not the same in all layers", r->path);
        if (n_kv_heads > 0) h->n_kv_heads = n_kv_heads;
        double factor = json_number_value(multiple);
        if (factor > 0 && factor < 1024 && h->dim > 0 && h->dim < 1 << 20)
            wanted = ((int64_t)(2 * factor * (double)h->dim / 3) + 255) / 256 * 256;
        LM_TRY(lm_hparams_set_ffn(h, i, wanted, r->path, r->err));
    }
    return LOAM_OK;
}

/* Of attention and MLPs. */
static LM_MUST_USE loam_status read_widths(const reader *r, lm_hparams *h) {
    if (r->arch && r->arch->no_attention) return LOAM_OK;
    LM_TRY(need_i64(r, "num_attention_heads|n_head|n_heads|num_heads|attention_heads", &h->n_heads));
    const json_t *blocks = json_object_get(r->config, "block_configs");
    bool varied = r->arch && r->arch->varied && json_is_array(blocks);
    LM_TRY(varied ? read_blocks(r, blocks, h) : read_kv_heads(r, h));
    int64_t head_dim = h->n_heads > 0 ? h->dim / h->n_heads : 0;
    LM_TRY(read_i64(r, "head_dim|kv_channels", head_dim, &h->head_dim));
    if (varied) return LOAM_OK;
    LM_TRY(read_i64(r, "v_head_dim", 0, &h->value_dim)); /* see read_latent, too */
    int64_t multiple;
    LM_TRY(read_i64(r, "intermediate_multiple_size", 4, &multiple));
    if (leaves_out_sizes(r))
        LM_TRY(read_i64(r, "intermediate_size|n_inner|ffn_hidden_size|hidden_dim|ffn_dim|dff",
                        widths(multiple, h->dim), &h->ffn_dim));
    else
        LM_TRY(need_alike(r, "intermediate_size_mlp|block_ff_dim|prefix_dense_intermediate_size|intermediate_size|ffn_hidden_size|moe_intermediate_size", &h->ffn_dim));
    if (r->arch && r->arch->ffn_halved) h->ffn_dim /= 2;
    return adjust_ffn(r, h);
}

static LM_MUST_USE loam_status read_sizes(const reader *r, lm_hparams *h) {
    const json_t *listed = json_object_get(r->config, "layers_block_type");
    bool has_default = leaves_out_sizes(r);
    h->n_layers = (int64_t)json_array_size(listed);
    if (!json_is_array(listed))
        LM_TRY(need_i64(r, "num_hidden_layers|n_layer|num_layers|n_layers", &h->n_layers));
    LM_TRY(need_i64(r, "hidden_size|n_embd|n_embed|d_model|dim", &h->dim));
    LM_TRY(read_widths(r, h));
    LM_TRY(need_i64(r, "vocab_size|padded_vocab_size", &h->vocab_size));
    LM_TRY(read_embed_dim(r, h));
    if (has_default)
        LM_TRY(read_i64(r, "model_max_length|max_position_embeddings|n_positions|n_ctx|seq_length|max_seq_len", 2048, &h->context_len));
    else
        LM_TRY(need_i64(r, "max_position_embeddings|seq_length|model_max_length", &h->context_len));
    LM_TRY(read_trained_context(r, h));
    LM_TRY(read_index(r, h));
    const json_t *rms = json_object_get(r->config, "rms_norm_eps");
    h->layer_norms = r->arch && (r->arch->optional & LM_FEATURE_LAYER_NORM) && !json_is_number(rms);
    double eps = r->arch && r->arch->norm_eps > 0 ? r->arch->norm_eps : has_default ? 1e-5 : 1e-6;
    return read_f64(r, "rms_norm_eps|layer_norm_eps|layer_norm_epsilon|layernorm_epsilon|norm_epsilon|norm_eps", eps,
                    &h->rms_norm_eps);
}

/* Gemma 4's layers without a window, of which the last is one, are said apart: by global_*, or layer by layer. */
static LM_MUST_USE loam_status read_local_heads(const reader *r, lm_hparams *h) {
    if (!r->arch || !r->arch->local_heads) return LOAM_OK;
    char last[KEY_BYTES];
    snprintf(last, sizeof last, "%lld", (long long)h->n_layers - 1);
    const json_t *by_layer = json_object_get(r->config, "per_layer_config");
    const reader full = {json_object_get(by_layer, last), r->path, r->arch, r->err};
    h->local_kv_heads = h->n_kv_heads;
    h->local_head_dim = h->head_dim;
    bool keys_are_values;
    LM_TRY(read_bool(r, "attention_k_eq_v", false, &keys_are_values));
    LM_TRY(read_i64(r, "global_head_dim", h->head_dim, &h->head_dim));
    LM_TRY(read_i64(&full, "head_dim", h->head_dim, &h->head_dim));
    if (keys_are_values)
        LM_TRY(read_i64(r, "num_global_key_value_heads", h->n_kv_heads, &h->n_kv_heads));
    return read_i64(&full, "num_key_value_heads", h->n_kv_heads, &h->n_kv_heads);
}

/* MiMo-V2's key heads of windowed layers. */
static LM_MUST_USE loam_status read_local_kv_heads(const reader *r, lm_hparams *h) {
    int64_t width, value_dim, n_heads;
    bool local_sinks, other_sinks;
    if (!r->arch || r->arch->local_kv_factor == 0) return LOAM_OK;
    h->local_head_dim = h->head_dim;
    LM_TRY(read_i64(r, "swa_num_key_value_heads", widths(r->arch->local_kv_factor, h->n_kv_heads),
                    &h->local_kv_heads));
    LM_TRY(read_i64(r, "swa_head_dim", h->head_dim, &width));
    LM_TRY(read_i64(r, "swa_v_head_dim", h->value_dim, &value_dim));
    LM_TRY(read_i64(r, "swa_num_attention_heads", h->n_heads, &n_heads));
    LM_TRY(read_bool(r, "add_swa_attention_sink_bias", true, &local_sinks));
    LM_TRY(read_bool(r, "add_full_attention_sink_bias", false, &other_sinks));
    if (width == h->head_dim && value_dim == h->value_dim && n_heads == h->n_heads &&
        local_sinks && !other_sinks)
        return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED,
                        "%s: layers with a window differ in more than key heads", r->path);
}

static LM_MUST_USE loam_status read_keys_as_values(const reader *r, lm_hparams *h) {
    bool keys_are_values;
    LM_TRY(read_bool(r, "attention_k_eq_v", false, &keys_are_values));
    for (int64_t i = 0; keys_are_values && i < h->n_layers && i < LM_MAX_LAYERS; i++)
        if (!lm_layer_in(&h->windowed, i)) lm_layer_add(&h->keys_are_values, i);
    return LOAM_OK;
}

/* What Gemma's smaller members have besides. */
static LM_MUST_USE loam_status read_shared_kv(const reader *r, lm_hparams *h) {
    bool wide;
    LM_TRY(read_i64(r, "num_kv_shared_layers", 0, &h->n_shared_kv_layers));
    LM_TRY(read_bool(r, "use_double_wide_mlp", false, &wide));
    h->shared_kv_ffn_dim = widths(wide ? 2 : 1, h->ffn_dim);
    LM_TRY(read_i64(r, "hidden_size_per_layer_input", 0, &h->layer_input_dim));
    return read_i64(r, "vocab_size_per_layer_input", h->vocab_size, &h->layer_vocab_size);
}

/* So many standard deviations from the mean are at the end of this share of a normal distribution. */
static double normal_quantile(double share) {
    double low = -40, high = 40;
    for (int i = 0; i < 100; i++) {
        double z = (low + high) / 2;
        *(erfc(-z * M_SQRT1_2) / 2 < share ? &low : &high) = z;
    }
    return (low + high) / 2;
}

/* The share of each layer's gates that are 0. */
static LM_MUST_USE loam_status read_cut_gates(const reader *r, lm_hparams *h) {
    enum { N_USUAL = 10 }; /* of first layers */
    const json_t *list = json_object_get(r->config, "activation_sparsity_pattern");
    double usual = h->n_layers > N_USUAL ? 0.95 : 0, all = 0;
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        double share = json_is_array(list) ? json_number_value(json_array_get(list, (size_t)i))
                       : i < N_USUAL       ? usual
                                           : 0;
        if (share == 0) continue;
        if (!(share > 0 && share < 1) || (all != 0 && share != all))
            return lm_error_set(r->err, LOAM_UNSUPPORTED,
                                "%s: 'activation_sparsity_pattern' has %g, not one share of all",
                                r->path, share);
        all = share;
        lm_layer_add(&h->cut_gates, i);
    }
    h->gate_cutoff = all > 0 ? normal_quantile(all) : 0;
    return LOAM_OK;
}

/* Gemma 3n's. */
static LM_MUST_USE loam_status read_streams(const reader *r, lm_hparams *h) {
    int64_t active;
    bool scaled;
    if (!r->arch || !(r->arch->features & LM_FEATURE_ALTUP)) return LOAM_OK;
    LM_TRY(read_i64(r, "altup_num_inputs", 4, &h->n_streams));
    LM_TRY(read_i64(r, "altup_active_idx", 0, &active));
    LM_TRY(read_bool(r, "altup_correct_scale", true, &scaled));
    if (h->n_streams < 2 || active != 0 || !scaled)
        return lm_error_set(r->err, LOAM_UNSUPPORTED,
                            "%s: 'altup_num_inputs' is %lld, 'altup_active_idx' %lld, "
                            "'altup_correct_scale' %s",
                            r->path, (long long)h->n_streams, (long long)active,
                            scaled ? "true" : "false");
    return read_cut_gates(r, h);
}

/* Multi-head latent attention: DeepSeek-V2 and those after it. */
static LM_MUST_USE loam_status read_latent(const reader *r, lm_hparams *h) {
    LM_TRY(read_i64(r, "kv_lora_rank", 0, &h->kv_latent_dim));
    if (h->kv_latent_dim == 0) return LOAM_OK;
    bool interleaved;
    LM_TRY(read_i64(r, "q_lora_rank", 0, &h->q_latent_dim));
    LM_TRY(need_i64(r, "qk_nope_head_dim", &h->nope_dim));
    LM_TRY(need_i64(r, "qk_rope_head_dim", &h->rope_dim));
    LM_TRY(need_i64(r, "v_head_dim", &h->value_dim));
    LM_TRY(read_bool(r, "rope_interleave", h->rope_layout == LM_ROPE_INTERLEAVED, &interleaved));
    h->rope_layout = interleaved ? LM_ROPE_INTERLEAVED : LM_ROPE_HALF_SPLIT;
    return lm_hparams_fill_latent(h, r->path, r->err);
}

/* --- Windows and layers without rope. */

/* The family's recurrent layers, as layer_types calls them; NULL: it has none. */
static const char *recurrent_type(const reader *r) {
    return r->arch ? lm_arch_recurrent_type(r->arch) : NULL;
}

/* transformers calls all that keep a matrix by one name. */
static bool is_recurrent_type(const reader *r, const char *type) {
    const char *recurrent = recurrent_type(r);
    return recurrent && type &&
           (strcmp(type, recurrent) == 0 || strcmp(type, "linear_attention") == 0);
}

/* Layers that do other things than these: state spaces, attention by chunks. */
static LM_MUST_USE loam_status check_layer_types(const reader *r) {
    const json_t *types = json_object_get(r->config, "layer_types");
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (type && strcmp(type, "attention") != 0 && strcmp(type, "full_attention") != 0 &&
            strcmp(type, "sliding_attention") != 0 && !is_recurrent_type(r, type) &&
            strcmp(type, "indexed_attention") != 0 &&
            !(r->arch && r->arch->chunk && strcmp(type, "chunked_attention") == 0))
            return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: layer %zu is of type '%s'", r->path,
                                i, type);
    }
    return LOAM_OK;
}

static bool lists_layer(const json_t *list, int64_t layer) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_integer_value(json_array_get(list, i)) == layer) return true;
    return false;
}

static bool is_one_of(const char *word, const char *const words[4]) {
    for (int i = 0; i < 4; i++)
        if (strcmp(word, words[i]) == 0) return true;
    return false;
}

/* layer_types, or which layers attend in full, or each how many-th. */
static LM_MUST_USE loam_status read_recurrent_layers(const reader *r, lm_hparams *h) {
    const json_t *types = json_object_get(r->config, "layer_types"),
                 *attend = json_object_get(r->config, "full_attn_idxs");
    if (!attend) attend = json_object_get(r->config, "attn_layer_indices"); /* Bamba's */
    const json_t *counted = json_object_get(json_object_get(r->config, "linear_attn_config"),
                                            "full_attn_layers"); /* Kimi's, from 1 on */
    if (!attend) attend = counted;
    h->side_by_side = r->arch && r->arch->side_by_side;
    const char *recurrent = recurrent_type(r);
    bool all = h->side_by_side || (r->arch && r->arch->no_attention);
    int64_t period, first;
    LM_TRY(read_i64(r, "full_attention_interval|attn_layer_period", 0, &period));
    LM_TRY(read_i64(r, "attn_layer_offset", period - 1, &first));
    for (int64_t i = 0; recurrent && i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        const char *type = json_string_value(json_array_get(types, (size_t)i));
        bool attends = json_is_array(attend) ? lists_layer(attend, i + (attend == counted))
                                             : period < 1 || i % period == first;
        if (all || (type ? is_recurrent_type(r, type) : !attends)) lm_layer_add(&h->recurrent, i);
    }
    return LOAM_OK;
}

/* Of families whose layers are one block each: a list of words, or a text of letters. */
static LM_MUST_USE loam_status read_lone_blocks(const reader *r, lm_hparams *h) {
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
static LM_MUST_USE loam_status check_steps(const reader *r) {
    const json_t *limits = json_object_get(r->config, "time_step_limit");
    bool low = json_number_value(json_array_get(limits, 0)) > 0,
         high = json_is_number(json_array_get(limits, 1));
    if (!low && !high) return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'time_step_limit' bounds steps", r->path);
}

static double factor_at(const reader *r, const char *key, size_t index) {
    const json_t *factor = json_array_get(json_object_get(r->config, key), index);
    return factor ? json_number_value(factor) : 1;
}

/* Falcon-H1's, everywhere. */
static LM_MUST_USE loam_status read_product_factors(const reader *r, lm_product_factors *f) {
    double key, in;
    double *const of_states[] = {&f->state_gate, &f->state_v, &f->state_k, &f->state_q,
                                 &f->state_step};
    LM_TRY(read_f64(r, "attention_in_multiplier", 1, &f->q));
    LM_TRY(read_f64(r, "key_multiplier", 1, &key));
    LM_TRY(read_f64(r, "attention_out_multiplier", 1, &f->out));
    LM_TRY(read_f64(r, "ssm_in_multiplier", 1, &in));
    LM_TRY(read_f64(r, "ssm_out_multiplier", 1, &f->state_out));
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
static LM_MUST_USE loam_status read_side_by_side(const reader *r, lm_hparams *h) {
    bool normed, norm_first;
    LM_TRY(read_bool(r, "mamba_rms_norm", false, &normed));
    LM_TRY(read_bool(r, "mamba_norm_before_gate", true, &norm_first));
    if (normed && norm_first)
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'mamba_norm_before_gate' is true",
                            r->path);
    h->states_unnormed = !normed;
    return read_product_factors(r, &h->factors);
}

/* Where no layer attends, heads are those of states. */
static LM_MUST_USE loam_status read_state_sizes(const reader *r, lm_hparams *h) {
    bool alone = r->arch && r->arch->no_attention;
    int64_t expand, n_values;
    LM_TRY(read_i64(r, alone ? "num_heads" : "linear_num_value_heads|mamba_n_heads|mamba_num_heads",
                    0, &h->state_heads));
    LM_TRY(read_i64(r, "linear_num_key_heads|mamba_n_groups|n_groups", 0, &h->state_key_heads));
    LM_TRY(read_i64(r, "mamba_expand|expand", 0, &expand));
    LM_TRY(read_i64(r, "mamba_d_ssm", widths(expand, h->dim), &n_values));
    if (h->state_heads > 0) h->state_value_dim = n_values / h->state_heads;
    LM_TRY(read_i64(r, alone ? "head_dim" : "linear_value_head_dim|mamba_head_dim",
                    h->state_value_dim, &h->state_value_dim));
    return read_i64(r, "linear_key_head_dim|mamba_d_state|ssm_state_size|state_size", 0,
                    &h->state_key_dim);
}

/* Mamba 1's. Configs may leave how many numbers steps are made from to the rule, or say so: "auto". */
static LM_MUST_USE loam_status read_selective(const reader *r, lm_hparams *h) {
    char key[KEY_BYTES];
    int64_t expand;
    LM_TRY(read_i64(r, "mamba_expand|expand", 2, &expand));
    bool alone = r->arch->no_attention;
    LM_TRY(read_i64(r, alone ? "intermediate_size|d_inner" : "mamba_d_inner",
                    widths(expand, h->dim), &h->state_heads));
    h->channel_states = true;
    h->state_key_heads = h->state_value_dim = 1;
    LM_TRY(read_i64(r, "mamba_d_state|state_size", 16, &h->state_key_dim));
    h->step_latent_dim = (h->dim + 15) / 16;
    const json_t *said = json_object_get(r->config, key_of(r, "mamba_dt_rank|time_step_rank", key));
    if (!json_is_string(said)) LM_TRY(read_i64(r, key, h->step_latent_dim, &h->step_latent_dim));
    double eps = r->arch->features & LM_FEATURE_SCAN_NORM ? h->rms_norm_eps : 0;
    return read_f64(r, "mixer_rms_eps", eps, &h->scan_norm_eps);
}

/* Kimi Linear's: as published in an object of their own, or as transformers writes them. */
static LM_MUST_USE loam_status read_key_steps(const reader *r, lm_hparams *h) {
    const json_t *own = json_object_get(r->config, "linear_attn_config");
    const reader inner = {json_is_object(own) ? own : NULL, r->path, r->arch, r->err};
    LM_TRY(read_i64(&inner, "short_conv_kernel_size", h->conv_taps, &h->conv_taps));
    LM_TRY(read_i64(&inner, "num_heads", 0, &h->state_heads));
    LM_TRY(read_i64(r, "linear_num_heads", h->state_heads, &h->state_heads));
    LM_TRY(read_i64(&inner, "head_dim", 0, &h->state_key_dim));
    LM_TRY(read_i64(r, "linear_head_dim", h->state_key_dim, &h->state_key_dim));
    h->state_key_heads = h->state_heads;
    h->state_value_dim = h->step_latent_dim = h->state_key_dim;
    return LOAM_OK;
}

/* What a layer of the family keeps of a sequence. */
static LM_MUST_USE loam_status read_states(const reader *r, lm_hparams *h) {
    uint64_t features = r->arch ? r->arch->features : 0;
    if (features & LM_FEATURE_SCAN) return read_selective(r, h);
    return features & LM_FEATURE_KEY_STEPS ? read_key_steps(r, h) : read_state_sizes(r, h);
}

static LM_MUST_USE loam_status read_recurrent(const reader *r, lm_hparams *h) {
    bool bias;
    h->lone_blocks = r->arch && r->arch->lone_blocks;
    bool listed = h->lone_blocks && !r->arch->no_attention;
    LM_TRY(listed ? read_lone_blocks(r, h) : read_recurrent_layers(r, h));
    LM_TRY(check_steps(r));
    if (h->side_by_side) LM_TRY(read_side_by_side(r, h));
    LM_TRY(read_i64(r, "conv_L_cache|linear_conv_kernel_dim|mamba_d_conv|conv_kernel", 0,
                    &h->conv_taps));
    LM_TRY(read_states(r, h));
    if (r->arch && (r->arch->features & LM_FEATURE_STATES) && h->state_heads < 1)
        return lm_error_set(r->err, LOAM_INVALID, "%s: no number of heads of states", r->path);
    bool doubled;
    LM_TRY(read_bool(r, "linear_allow_neg_eigval", false, &doubled));
    h->state_beta_scale = doubled ? 2 : 0;
    LM_TRY(read_bool(r, "conv_bias", false, &bias));
    if (bias && recurrent_type(r))
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'conv_bias' is true", r->path);
    return LOAM_OK;
}

static const json_t *layer_types(const reader *r) {
    const json_t *types = json_object_get(r->config, "layer_types");
    if (!types) types = json_object_get(r->config, "attention_layers"); /* GPT-Neo's */
    return types ? types : json_object_get(r->config, "hybrid_layer_pattern"); /* MiMo-V2's, 1: windowed */
}

/* layer_types, or the family's period; Qwen 2 has windows from some layer on. */
static LM_MUST_USE loam_status read_windowed(const reader *r, lm_hparams *h) {
    const json_t *types = layer_types(r);
    int64_t period, first;
    const char *letters =
        json_string_value(json_object_get(r->config, "sliding_window_pattern")); /* EXAONE's "LLLG" */
    period = r->arch ? r->arch->window_period : 0;
    if (!letters)
        LM_TRY(read_i64(r, "sliding_window_pattern|_sliding_window_pattern|global_attn_every_n_layers", period, &period));
    LM_TRY(read_i64(r, "max_window_layers", h->n_layers, &first));
    bool from_first = json_object_get(r->config, "max_window_layers") != NULL;
    if (!types && period == 0 && r->arch && (r->arch->rope_in_windows || r->arch->local_kv_factor))
        return lm_error_set(r->err, LOAM_INVALID, "%s: 'layer_types' is missing", r->path);
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        const json_t *listed = json_array_get(types, (size_t)i);
        const char *type = json_string_value(listed);
        bool windowed =
            json_is_integer(listed) ? json_integer_value(listed) == 1
            : type      ? strstr(type, "sliding") || strstr(type, "chunked") || strstr(type, "local")
            : letters ? *letters && letters[(size_t)i % strlen(letters)] == 'L'
            : from_first ? i >= first
                         : r->arch && lm_arch_windows(r->arch, period, i);
        if (windowed) lm_layer_add(&h->windowed, i);
    }
    if (r->arch && r->arch->local_heads && h->n_layers >= 1 && h->n_layers <= LM_MAX_LAYERS)
        lm_layer_drop(&h->windowed, h->n_layers - 1); /* whatever is said of it */
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_window(const reader *r, lm_hparams *h) {
    bool use_window;
    h->chunked_windows = r->arch && r->arch->chunk > 0;
    bool unsaid = h->chunked_windows && !json_object_get(r->config, "attention_chunk_size");
    LM_TRY(read_i64(r, "sliding_window|local_attention|attention_chunk_size|window_size",
                    unsaid ? r->arch->chunk : 0, &h->window));
    char key[KEY_BYTES]; /* ModernBERT's is of both sides, of its decoders too */
    bool both = strcmp(key_of(r, "sliding_window|local_attention", key), "local_attention") == 0;
    if (both && !(r->arch && r->arch->bidirectional)) h->window /= 2;
    int64_t before; /* MiMo-V2's, of positions without the row's own */
    LM_TRY(read_i64(r, "sliding_window_size", -1, &before));
    if (before >= 0 && r->arch && r->arch->local_kv_factor > 0)
        h->window = before < h->context_len ? before + 1 : h->context_len;
    LM_TRY(read_bool(r, "use_sliding_window", true, &use_window));
    if (!use_window) h->window = 0;
    LM_TRY(check_layer_types(r));
    return h->window != 0 ? read_windowed(r, h) : LOAM_OK;
}

/* Llama 4's, of layers without rope; its first files have a number for whether there is any. */
static LM_MUST_USE loam_status read_temperature(const reader *r, lm_hparams *h) {
    const json_t *tuned = json_object_get(r->config, "attn_temperature_tuning");
    if (r->arch && r->arch->unit_heads) LM_TRY(read_bool(r, "use_qk_norm", true, &h->unit_heads));
    if (!h->chunked_windows) return LOAM_OK;
    if (json_is_false(tuned) || (json_is_integer(tuned) && json_integer_value(tuned) == 0))
        return LOAM_OK;
    h->growth_unturned = true;
    LM_TRY(read_i64(r, "floor_scale", r->arch->chunk, &h->query_stretch));
    return read_f64(r, "attn_scale", 0.1, &h->query_growth);
}

/* Granite's list of each layer's theta, 0 without rope. */
static LM_MUST_USE loam_status read_layer_thetas(const reader *r, lm_hparams *h) {
    const json_t *thetas = json_object_get(r->config, "layer_rope_theta");
    double theta = 0;
    for (int64_t i = 0; json_is_array(thetas) && i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        double of_layer = json_number_value(json_array_get(thetas, (size_t)i));
        if (of_layer == 0) lm_layer_add(&h->no_rope, i);
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
static bool lacks_rope(const reader *r) {
    const json_t *parameters = json_object_get(r->config, "rope_parameters");
    const char *positions =
        json_string_value(json_object_get(r->config, "position_embedding_type"));
    if (json_is_null(json_object_get(parameters, "rope_theta"))) return true;
    if (!r->arch || !r->arch->rope_if_said) return r->arch && r->arch->no_rope;
    return !positions || strcmp(positions, "rope") != 0;
}

static LM_MUST_USE loam_status read_no_rope(const reader *r, lm_hparams *h) {
    LM_TRY(read_layer_thetas(r, h));
    const json_t *layers = json_object_get(r->config, "no_rope_layers"); /* 1: with rope */
    bool none = lacks_rope(r);
    int64_t period;
    LM_TRY(read_i64(r, "no_rope_layer_interval", r->arch ? r->arch->no_rope_period : 0, &period));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        const json_t *listed = json_array_get(layers, (size_t)i);
        bool without = listed ? json_integer_value(listed) == 0
                              : period > 0 && (i + 1) % period == 0;
        if (without || none) lm_layer_add(&h->no_rope, i);
    }
    return LOAM_OK;
}

/* --- Rope. */

static LM_MUST_USE loam_status read_factors(const reader *scaling, const char *key, float *out) {
    const json_t *list = json_object_get(scaling->config, key);
    size_t n = json_array_size(list);
    if (n > LM_MAX_ROPE_PAIRS)
        return lm_error_set(scaling->err, LOAM_INVALID, "%s: '%s' has %zu numbers, at most %d are",
                            scaling->path, key, n, LM_MAX_ROPE_PAIRS);
    for (size_t i = 0; i < n; i++) out[i] = (float)json_number_value(json_array_get(list, i));
    return LOAM_OK;
}

/* Phi-3.5-MoE has one for either table of longrope. */
static LM_MUST_USE loam_status read_attention_factor(const reader *scaling, lm_rope_scaling *out) {
    double of_short;
    LM_TRY(read_f64(scaling, "attention_factor|long_mscale", 0, &out->attention_factor));
    LM_TRY(read_f64(scaling, "short_mscale", out->attention_factor, &of_short));
    if (of_short == out->attention_factor) return LOAM_OK;
    return lm_error_set(scaling->err, LOAM_UNSUPPORTED,
                        "%s: 'short_mscale' is %g and 'long_mscale' %g: only one for both is known",
                        scaling->path, of_short, out->attention_factor);
}

static LM_MUST_USE loam_status read_scaling(const reader *model, const json_t *object,
                                            lm_rope_scaling *out, double *out_growth) {
    const reader r = {object, model->path, model->arch, model->err};
    lm_str kind;
    bool truncate;
    int64_t original;
    if (object && !json_is_object(object))
        return lm_error_set(r.err, LOAM_INVALID, "%s: the rope scaling must be an object", r.path);
    LM_TRY(lm_json_str_or(object, r.path, "type", LM_STR("none"), &kind, r.err));
    LM_TRY(lm_json_str_or(object, r.path, "rope_type", kind, &kind, r.err));
    LM_TRY(lm_rope_scaling_parse(kind, r.path, &out->kind, r.err));
    LM_TRY(read_f64(&r, "factor", 1, &out->factor));
    LM_TRY(read_i64(model, "original_max_position_embeddings", 0, &original));
    LM_TRY(read_i64(&r, "original_max_position_embeddings", original, &out->original_context_len));
    LM_TRY(read_f64(&r, "llama_4_scaling_beta", 0, out_growth));
    LM_TRY(read_f64(&r, "low_freq_factor", 1, &out->low_freq_factor));
    LM_TRY(read_f64(&r, "high_freq_factor", 4, &out->high_freq_factor));
    LM_TRY(read_f64(&r, "beta_fast", 32, &out->beta_fast));
    LM_TRY(read_f64(&r, "beta_slow", 1, &out->beta_slow));
    LM_TRY(read_f64(&r, "mscale", 0, &out->mscale));
    LM_TRY(read_f64(&r, "mscale_all_dim", 0, &out->mscale_all_dim));
    LM_TRY(read_bool(&r, "truncate", true, &truncate));
    out->exact_bounds = !truncate;
    LM_TRY(read_factors(&r, "short_factor", out->short_factors));
    LM_TRY(read_factors(&r, "long_factor", out->long_factors));
    return read_attention_factor(&r, out);
}

static LM_MUST_USE loam_status check_llama3(const reader *r, const lm_rope_scaling *scaling) {
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
static const json_t *rope_object(const reader *r, const char *layers) {
    const json_t *all = json_object_get(r->config, "rope_parameters"),
                 *one = json_object_get(all, layers);
    return one ? one : all;
}

/* Hunyuan's files call it dynamic when theta is stretched once for all, by a number of their own. */
static LM_MUST_USE loam_status read_alpha(const reader *model, const json_t *scaling,
                                          lm_hparams *h) {
    const reader r = {scaling, model->path, model->arch, model->err};
    double alpha;
    if (h->rope_scaling.kind != LM_ROPE_SCALING_DYNAMIC || h->head_dim < 4) return LOAM_OK;
    LM_TRY(read_f64(&r, "alpha", 0, &alpha));
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

static LM_MUST_USE loam_status check_fraction(const reader *r, double fraction) {
    if (fraction > 0 && fraction <= 1) return LOAM_OK;
    return lm_error_set(r->err, LOAM_INVALID,
                        "%s: 'partial_rotary_factor' is %g, must be above 0 and at most 1", r->path,
                        fraction);
}

/* Either rope_theta beside rope_scaling, or both in rope_parameters (since transformers 5). */
static LM_MUST_USE loam_status read_rope(const reader *r, lm_hparams *h) {
    const json_t *parameters = rope_object(r, "full_attention");
    const json_t *scaling = parameters ? parameters : json_object_get(r->config, "rope_scaling");
    const reader inner = {json_is_object(parameters) ? parameters : NULL, r->path, r->arch, r->err};
    double ratio, fraction = r->arch && r->arch->rope_fraction > 0 ? r->arch->rope_fraction : 1;
    LM_TRY(read_f64(r, "rope_theta|rotary_emb_base|global_rope_theta", 10000, &h->rope_theta));
    LM_TRY(read_f64(&inner, "rope_theta", h->rope_theta, &h->rope_theta));
    LM_TRY(read_f64(r, "rope_ratio", 1, &ratio)); /* ChatGLM's */
    h->rope_theta *= ratio;
    LM_TRY(read_f64(r, "partial_rotary_factor|rotary_pct", fraction, &fraction));
    LM_TRY(read_f64(&inner, "partial_rotary_factor", fraction, &fraction));
    LM_TRY(check_fraction(r, fraction));
    h->rope_dim = (int64_t)((double)h->head_dim * fraction);
    LM_TRY(read_i64(r, "rotary_dim|attn_rotary_emb", h->rope_dim, &h->rope_dim));
    LM_TRY(read_scaling(r, json_is_null(scaling) ? NULL : scaling, &h->rope_scaling, &h->query_growth));
    LM_TRY(read_alpha(&inner, scaling, h));
    settle_proportional(scaling, h);
    const json_t *sections = json_object_get(scaling, "mrope_section");
    for (size_t i = 0; i < json_array_size(sections) && i < LM_COUNT_OF(h->rope_sections); i++)
        h->rope_sections[i] = (int32_t)json_integer_value(json_array_get(sections, i));
    if (r->arch && r->arch->local_rope_theta > 0) {
        const json_t *local = rope_object(r, "sliding_attention");
        const reader windowed = {local != parameters ? local : NULL, r->path, r->arch, r->err};
        LM_TRY(read_f64(r, "rope_local_base_freq|local_rope_theta|swa_rope_theta", r->arch->local_rope_theta, &h->local_rope_theta));
        LM_TRY(read_f64(&windowed, "rope_theta", h->local_rope_theta, &h->local_rope_theta));
        if (r->arch->local_heads) fraction = 1;
        LM_TRY(read_f64(&windowed, "partial_rotary_factor", fraction, &fraction));
        LM_TRY(check_fraction(r, fraction));
        h->local_rope_dim = (int64_t)((double)h->local_head_dim * fraction);
    }
    return check_llama3(r, &h->rope_scaling);
}

/* --- Encoders. */

/* RoBERTa counts positions from the one behind its padding token's number, and config.json counts those before it too;
 * Nomic says how long it could be made to be, and how long it was trained to be. */
static LM_MUST_USE loam_status read_positions(const reader *r, lm_hparams *h) {
    int64_t pad, trained;
    bool turned; /* RoFormer's values, of no published one */
    lm_str kind;
    LM_TRY(lm_json_str_or(r->config, r->path, "position_embedding_type", LM_STR("absolute"), &kind,
                          r->err));
    if (!lm_str_is(kind, "absolute") && !lm_str_is(kind, "rope") && !lm_str_is(kind, "alibi"))
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'position_embedding_type' is '%.*s'",
                            r->path, (int)kind.len, kind.ptr);
    LM_TRY(read_bool(r, "rotary_value", false, &turned));
    if (turned)
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'rotary_value' is true", r->path);
    h->bidirectional = r->arch && r->arch->bidirectional;
    h->position_offset = r->arch ? r->arch->position_shift : 0;
    LM_TRY(read_i64(r, "max_trained_positions", h->context_len, &trained));
    if (trained < h->context_len) h->context_len = trained;
    if (!r->arch || !r->arch->position_offset) return LOAM_OK;
    LM_TRY(read_i64(r, "pad_token_id", 1, &pad));
    if (pad < 0 || pad >= h->context_len)
        return lm_error_set(r->err, LOAM_INVALID, "%s: 'pad_token_id' %lld is no position", r->path,
                            (long long)pad);
    h->position_offset = pad + 1;
    h->context_len -= h->position_offset;
    return LOAM_OK;
}

/* ModernBERT's heads that score. */
static LM_MUST_USE loam_status read_pooler(const reader *r, lm_hparams *h) {
    lm_str act, rows;
    if (!r->arch || !r->arch->pooler_normed) return LOAM_OK;
    const char *usual = lm_arch_pooler_act(r->arch);
    LM_TRY(lm_json_str_or(r->config, r->path, "classifier_activation", lm_str_of(usual), &act,
                          r->err));
    LM_TRY(lm_json_str_or(r->config, r->path, "classifier_pooling", LM_STR("cls"), &rows, r->err));
    h->scores_mean = lm_str_is(rows, "mean");
    if (lm_str_is(act, usual)) return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'classifier_activation' is '%.*s'", r->path,
                        (int)act.len, act.ptr);
}

/* --- Factors and caps. */

static LM_MUST_USE loam_status read_factors_of_minicpm(const reader *r, lm_hparams *h) {
    double depth, base;
    LM_TRY(read_f64(r, "scale_depth", 0, &depth));
    LM_TRY(read_f64(r, "dim_model_base", 0, &base));
    if (depth > 0) h->residual_scale = depth / sqrt((double)h->n_layers);
    if (base > 0) h->logit_scale = base / (double)h->dim;
    return LOAM_OK;
}

/* Jais', as mup_* in its later members. */
static LM_MUST_USE loam_status read_scores_by_width(const reader *r, lm_hparams *h) {
    bool by_width;
    double of_width;
    if (!r->arch || !r->arch->scaled_by_width || h->head_dim < 1) return LOAM_OK;
    LM_TRY(read_bool(r, "scale_qk_dot_by_d", false, &by_width));
    LM_TRY(read_bool(r, "mup_scale_qk_dot_by_d", by_width, &by_width));
    if (by_width) h->attention_scale = 1 / (double)h->head_dim;
    LM_TRY(read_f64(r, "mup_width_scale", 1, &of_width));
    LM_TRY(read_f64(r, "mup_output_alpha|width_scale", 1, &h->logit_scale));
    h->logit_scale *= of_width;
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_numbers(const reader *r, lm_hparams *h) {
    double query_scalar, divisor;
    LM_TRY(read_f64(r, "attention_value_scale", 0, &h->value_scale));
    LM_TRY(read_f64(r, "attention_multiplier|attn_output_multiplier",
                    r->arch ? r->arch->attention_scale : 0, &h->attention_scale));
    LM_TRY(read_f64(r, "query_pre_attn_scalar", 0, &query_scalar));
    LM_TRY(read_scores_by_width(r, h));
    if (query_scalar > 0) h->attention_scale = 1 / sqrt(query_scalar);
    LM_TRY(read_f64(r, "attn_logit_softcapping|max_attn_value", 0, &h->attention_soft_cap));
    LM_TRY(read_f64(r, "final_logit_softcapping", 0, &h->logit_soft_cap));
    LM_TRY(read_f64(r, "clip_qkv", 0, &h->qkv_clip));
    bool scaled; /* AFMoE says it */
    LM_TRY(read_bool(r, "mup_enabled", r->arch && r->arch->embed_scale_sqrt_dim, &scaled));
    LM_TRY(read_bool(r, "scale_embedding", scaled, &scaled)); /* XGLM, too */
    double embedding = scaled ? sqrt((double)h->dim) : 0;
    LM_TRY(read_f64(r,
                    "embedding_multiplier|scale_emb|embedding_multiplier_scale|mup_embeddings_"
                    "scale|embeddings_scale",
                    embedding, &h->embedding_scale));
    LM_TRY(read_f64(r, "residual_multiplier", 0, &h->residual_scale));
    LM_TRY(read_f64(r, "logits_scaling", 0, &divisor));
    LM_TRY(read_f64(r, "output_multiplier_scale|logit_scale|lm_head_multiplier", h->logit_scale,
                    &h->logit_scale));
    if (divisor > 0) h->logit_scale = r->arch && r->arch->hf_logit_factor ? divisor : 1 / divisor;
    return read_factors_of_minicpm(r, h);
}

/* --- Experts. */

/* Layers of a mixture without experts: the first ones, those that a list has, or all but each n-th of the others. */
static LM_MUST_USE loam_status read_dense_layers(const reader *r, lm_hparams *h) {
    const json_t *kinds = json_object_get(r->config, "mlp_layer_types"),
                 *without = json_object_get(r->config, "mlp_only_layers"),
                 *mixed = json_object_get(r->config, "moe_layer_freq"); /* MiMo-V2's */
    int64_t leading, period, offset;
    LM_TRY(read_i64(r, "first_k_dense_replace|moe_layer_start_index|num_dense_layers", 0,
                    &leading));
    LM_TRY(read_i64(
        r, "decoder_sparse_step|moe_layer_interval|interleave_moe_layer_step|expert_layer_period",
        1, &period));
    LM_TRY(read_i64(r, "expert_layer_offset", period - 1, &offset));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        const char *kind = json_string_value(json_array_get(kinds, (size_t)i));
        bool dense = i < leading || lists_layer(without, i) || (period > 1 && i % period != offset);
        const json_t *listed = json_array_get(mixed, (size_t)i);
        if (listed) dense = json_integer_value(listed) == 0;
        if (kind ? strcmp(kind, "dense") == 0 : dense) lm_layer_add(&h->dense_layers, i);
    }
    return LOAM_OK;
}

/* Nemotron-H's say a number of experts even then. */
static bool has_dense_mlps_alone(const lm_hparams *h) {
    int64_t n = h->lone_blocks && h->n_layers <= LM_MAX_LAYERS ? h->n_layers : 0;
    return n > 0 && lm_layers_before(&h->mlp_only, n) == lm_layers_before(&h->dense_layers, n);
}

/* Experts of a width of their own, between two matrices. */
static LM_MUST_USE loam_status check_latent_experts(const reader *r) {
    if (!json_is_integer(json_object_get(r->config, "moe_latent_size"))) return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'moe_latent_size' is not known to loam",
                        r->path);
}

/* Cohere 2's experts: they are chosen by their logits, weighed among each other, and averaged with the shared ones. */
static LM_MUST_USE loam_status read_averaged(const reader *r, lm_hparams *h) {
    lm_str score, together;
    int64_t prefix_period;
    if (!r->arch || !r->arch->shared_averaged) return LOAM_OK;
    LM_TRY(lm_json_str_or(r->config, r->path, "expert_selection_fn", LM_STR("softmax"), &score,
                          r->err));
    LM_TRY(lm_json_str_or(r->config, r->path, "shared_expert_combination_strategy",
                          LM_STR("average"), &together, r->err));
    LM_TRY(read_i64(r, "prefix_dense_sliding_window_pattern", 1, &prefix_period));
    if (prefix_period != 1 && lm_hparams_leading_dense(h) > 0)
        return lm_error_set(r->err, LOAM_UNSUPPORTED,
                            "%s: 'prefix_dense_sliding_window_pattern' is %lld", r->path,
                            (long long)prefix_period);
    h->expert_sigmoid = lm_str_is(score, "sigmoid");
    h->expert_normalize |= !h->expert_sigmoid;
    if (lm_str_is(together, "average") && h->shared_ffn_dim > 0) h->mixture_scale = 0.5;
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_experts(const reader *r, lm_hparams *h) {
    int64_t n_shared;
    lm_str score, method;
    bool normalize = r->arch && r->arch->expert_normalize;
    LM_TRY(read_i64(r, "num_local_experts|num_experts|n_routed_experts|moe_num_experts", 0,
                    &h->n_experts));
    if (h->n_experts == 1 && r->arch && r->arch->one_expert_is_none) h->n_experts = 0;
    bool beside = r->arch && (r->arch->features & LM_FEATURE_EXPERTS_BESIDE), mixes;
    LM_TRY(read_bool(r, "enable_moe_block", !beside, &mixes));
    if (has_dense_mlps_alone(h) || !mixes) h->n_experts = 0;
    if (h->n_experts == 0) return LOAM_OK;
    LM_TRY(check_latent_experts(r));
    LM_TRY(read_alike(
        r, "num_experts_per_tok|moe_k|moe_topk|moe_top_k|top_k_experts|num_experts_per_token", 0,
        &h->n_experts_used));
    LM_TRY(read_alike(r, "moe_intermediate_size|intermediate_size", h->ffn_dim, &h->expert_ffn_dim));
    LM_TRY(read_alike(r, "n_shared_experts|moe_num_shared_experts|num_shared_experts|num_shared_expert",
                      r->arch ? r->arch->n_shared_experts : 0, &n_shared));
    if (n_shared > 0 && n_shared < 1024) h->shared_ffn_dim = n_shared * h->expert_ffn_dim;
    if (beside) h->shared_ffn_dim = h->ffn_dim;
    LM_TRY(read_i64(r, "shared_intermediate_size|shared_expert_intermediate_size|moe_shared_expert_intermediate_size", h->shared_ffn_dim, &h->shared_ffn_dim));
    LM_TRY(read_dense_layers(r, h));
    if (r->arch && r->arch->expert_jitter > 0)
        LM_TRY(read_f64(r, "router_jitter_noise", r->arch->expert_jitter, &h->expert_jitter));
    LM_TRY(read_i64(r, "n_group|num_expert_group", 0, &h->n_expert_groups));
    LM_TRY(read_i64(r, "topk_group", 0, &h->n_expert_groups_used));
    LM_TRY(lm_json_str_or(r->config, r->path, "topk_method", LM_STR(""), &method, r->err));
    if (lm_str_is(method, "greedy")) h->n_expert_groups = h->n_expert_groups_used = 0;
    LM_TRY(read_f64(r, "routed_scaling_factor|route_scale|router_scaling_factor", 0,
                    &h->expert_weight_scale));
    LM_TRY(read_bool(r, "moe_renormalize", normalize, &normalize)); /* Kimi Linear's */
    LM_TRY(read_bool(r, "norm_topk_prob", normalize, &h->expert_normalize));
    LM_TRY(lm_json_str_or(r->config, r->path, "scoring_func", LM_STR("softmax"), &score, r->err));
    LM_TRY(lm_json_str_or(r->config, r->path, "score_function", score, &score, r->err));
    h->expert_sigmoid =
        lm_str_is(score, "sigmoid") || (r->arch && r->arch->expert_sigmoid);
    return read_averaged(r, h);
}

static LM_MUST_USE loam_status read_flags(const reader *r, lm_hparams *h) {
    bool parallel, parallel_attn;
    bool tied = r->arch && r->arch->tied;
    LM_TRY(read_bool(r, "tie_embedding", tied, &tied)); /* LFM2's first */
    LM_TRY(read_bool(r, "tie_word_embeddings", tied, &h->tied_embeddings));
    LM_TRY(read_bool(r, "attention_bias", false, &h->attention_bias));
    LM_TRY(read_bool(r, "mlp_bias", false, &h->mlp_bias));
    LM_TRY(read_i64(r, "num_nextn_predict_layers", 0, &h->n_guess_layers));
    LM_TRY(read_bool(r, "use_parallel_residual", true, &parallel));
    LM_TRY(read_bool(r, "parallel_attn", true, &parallel_attn));
    h->serial_residual = !parallel || !parallel_attn;
    h->unit_head = json_object_get(r->config, "z_loss_weight") != NULL; /* Baichuan 2, not 1 */
    return LOAM_OK;
}

/* MPT says what is its attention's apart. */
static LM_MUST_USE loam_status read_alibi(const reader *r, lm_hparams *h) {
    const json_t *attention = json_object_get(r->config, "attn_config");
    const reader inner = {json_is_object(attention) ? attention : NULL, r->path, r->arch, r->err};
    bool alibi;
    double most;
    LM_TRY(read_bool(r, "alibi", r->arch && r->arch->alibi, &alibi));
    LM_TRY(read_bool(&inner, "alibi", alibi, &alibi));
    LM_TRY(read_f64(&inner, "alibi_bias_max", 8, &most));
    LM_TRY(read_f64(&inner, "clip_qkv", h->qkv_clip, &h->qkv_clip));
    LM_TRY(read_i64(&inner, "kv_n_heads", h->n_kv_heads, &h->n_kv_heads));
    h->alibi_max = alibi ? most : 0;
    return LOAM_OK;
}

/* What config.json's of the family leave out where it is as in the first of them. */
static LM_MUST_USE loam_status add_defaults(const lm_arch *arch, json_t *config, loam_error *err) {
    json_t *defaults;
    if (!arch || !arch->hf_defaults) return LOAM_OK;
    LM_TRY(lm_json_parse(lm_str_of(arch->hf_defaults), arch->hf_type, &defaults, err));
    int failed = json_object_update_missing(config, defaults);
    json_decref(defaults);
    return failed ? lm_error_no_memory(err, strlen(arch->hf_defaults)) : LOAM_OK;
}

/* Of two that differ in it the one with recurrent layers, where there is any. */
static void prefer_hybrid(reader *r) {
    const lm_arch *hybrid = lm_arch_having(r->arch, LM_FEATURE_RECURRENT);
    const json_t *types = json_object_get(r->config, "layer_types");
    if (!hybrid || hybrid == r->arch) return;
    const reader as_hybrid = {r->config, r->path, hybrid, r->err};
    for (size_t i = 0; i < json_array_size(types); i++)
        if (is_recurrent_type(&as_hybrid, json_string_value(json_array_get(types, i))))
            r->arch = hybrid;
}

/* OPT 350M norms the stream behind. */
static LM_MUST_USE loam_status prefer_norms_behind(reader *r) {
    const lm_arch *other = lm_arch_having(r->arch, LM_FEATURE_RESIDUAL_NORM);
    bool before;
    LM_TRY(read_bool(r, "do_layer_norm_before", true, &before));
    if (other && !before) r->arch = other;
    return LOAM_OK;
}

/* Of two architectures that some names stand for the one whose rows see both sides, or that has ALiBi, where the config says so. */
static LM_MUST_USE loam_status choose_arch(reader *r, lm_hparams *h) {
    bool both = false;
    lm_str positions;
    const char *sides =
        json_string_value(json_object_get(r->config, "use_bidirectional_attention"));
    if (!sides || strcmp(sides, "vision") != 0) /* which text is none of */
        LM_TRY(read_bool(r, "use_bidirectional_attention", false, &both));
    LM_TRY(lm_json_str_or(r->config, r->path, "position_embedding_type", LM_STR(""), &positions,
                          r->err));
    r->arch = lm_arch_of_folder(h->architecture);
    if (!r->arch) return LOAM_OK;
    bool alibi = r->arch->alibi || lm_str_is(positions, "alibi");
    both |= r->arch->bidirectional;
    if (both != r->arch->bidirectional || alibi != r->arch->alibi)
        r->arch = lm_arch_kin(r->arch, both, alibi);
    if (!r->arch)
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: no '%s' with '%s' is known", r->path,
                            h->architecture,
                            alibi ? "position_embedding_type" : "use_bidirectional_attention");
    prefer_hybrid(r);
    LM_TRY(prefer_norms_behind(r));
    if (r->arch != lm_arch_find(h->architecture))
        snprintf(h->architecture, sizeof h->architecture, "%s", r->arch->name);
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_config(json_t *config, const char *path, lm_hparams *out,
                                           loam_error *err) {
    reader r = {config, path, NULL, err};
    lm_hparams h = {0};
    LM_TRY(copy_text(&r, "model_type", LM_STR(""), h.architecture, sizeof h.architecture));
    LM_TRY(choose_arch(&r, &h));
    LM_TRY(add_defaults(r.arch, config, err));
    const char *act = r.arch && r.arch->act ? r.arch->act : "silu";
    LM_TRY(copy_text(&r,
                     "hidden_activation|hidden_act|activation_function|activation|mlp_hidden_act",
                     lm_str_of(act), h.hidden_act, sizeof h.hidden_act));
    if (r.arch && r.arch->fixed_act) snprintf(h.hidden_act, sizeof h.hidden_act, "%s", act);
    h.rope_layout = r.arch && r.arch->hf_interleaved ? LM_ROPE_INTERLEAVED : LM_ROPE_HALF_SPLIT;
    LM_TRY(read_sizes(&r, &h));
    LM_TRY(read_local_heads(&r, &h));
    LM_TRY(read_local_kv_heads(&r, &h));
    LM_TRY(read_shared_kv(&r, &h));
    LM_TRY(read_streams(&r, &h));
    LM_TRY(read_positions(&r, &h));
    LM_TRY(read_pooler(&r, &h));
    LM_TRY(read_rope(&r, &h));
    LM_TRY(read_window(&r, &h));
    LM_TRY(read_keys_as_values(&r, &h));
    LM_TRY(read_no_rope(&r, &h));
    LM_TRY(read_temperature(&r, &h));
    LM_TRY(read_recurrent(&r, &h));
    LM_TRY(read_numbers(&r, &h));
    LM_TRY(read_alibi(&r, &h));
    LM_TRY(read_flags(&r, &h));
    LM_TRY(read_experts(&r, &h));
    if (r.arch) lm_arch_settle_layers(r.arch, &h);
    LM_TRY(read_latent(&r, &h));
    LM_TRY(lm_hparams_check(&h, path, err));
    *out = h;
    return LOAM_OK;
}

loam_status lm_hparams_from_config(const json_t *config, const char *path, lm_hparams *out,
                                   loam_error *err) {
    if (!json_is_object(config))
        return lm_error_set(err, LOAM_INVALID, "%s: not a JSON object", path);
    json_t *text;
    bool is_part;
    LM_TRY(lm_text_part(config, path, &text, &is_part, err));
    loam_status status = read_config(text, path, out, err);
    json_decref(text);
    if (status == LOAM_OK) out->is_part = is_part;
    return status;
}
