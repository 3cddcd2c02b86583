/* Hyperparameters out of a Hugging Face config.json. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "model/arch.h"
#include "model/hparams_hf.h"
#include "model/text_part.h"

/* --- Sizes. */

/* Falcon's first models share one key among all heads and say so apart. */
static LM_MUST_USE loam_status read_kv_heads(const lm_config_reader *r, lm_hparams *h) {
    bool multi_query, new_decoder;
    LM_TRY(lm_config_bool(r, "multi_query", false, &multi_query));
    LM_TRY(lm_config_bool(r, "new_decoder_architecture", false, &new_decoder));
    if (json_is_false(json_object_get(r->config, "multi_query")) &&
        strcmp(h->architecture, "gpt_bigcode") == 0) /* its q, k and v then lie in another order */
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'multi_query' is false", r->path);
    if (multi_query && !new_decoder) {
        h->n_kv_heads = 1;
        return LOAM_OK;
    }
    LM_TRY(lm_config_bool(r, "multi_query_attention", false, &multi_query)); /* ChatGLM's */
    return lm_config_i64(
        r,
        multi_query
            ? "multi_query_group_num"
            : "num_key_value_heads|num_kv_heads|kv_n_heads|num_query_groups|num_attention_groups",
        h->n_heads, &h->n_kv_heads);
}

/* Qwen's first models turn and scale longer sequences otherwise. */
static LM_MUST_USE loam_status read_trained_context(const lm_config_reader *r, lm_hparams *h) {
    bool otherwise;
    int64_t trained;
    LM_TRY(lm_config_bool(r, "use_dynamic_ntk", false, &otherwise));
    LM_TRY(lm_config_i64(r, "seq_length", h->context_len, &trained));
    if (otherwise && trained < h->context_len) h->context_len = trained;
    return LOAM_OK;
}

/* MiniMax-M3's indexer chooses among blocks; of as many as it may choose it takes all. */
static LM_MUST_USE loam_status read_blocks_chosen(const lm_config_reader *r, lm_hparams *h) {
    const json_t *own = json_object_get(r->config, "sparse_attention_config");
    const lm_config_reader inner = {json_is_object(own) ? own : NULL, r->path, r->arch, r->err};
    int64_t n_blocks, block;
    if (!r->arch || !r->arch->blocks_chosen) return LOAM_OK;
    LM_TRY(lm_config_i64(r, "index_topk_blocks", 16, &n_blocks));
    LM_TRY(lm_config_i64(&inner, "sparse_topk_blocks", n_blocks, &n_blocks));
    LM_TRY(lm_config_i64(r, "index_block_size", 128, &block));
    LM_TRY(lm_config_i64(&inner, "sparse_block_size", block, &block));
    int64_t chosen = lm_config_times(n_blocks, block);
    if (chosen < h->context_len) h->context_len = chosen;
    return LOAM_OK;
}

/* LFM2's configs say how wide an MLP without a gate would be. */
static LM_MUST_USE loam_status adjust_ffn(const lm_config_reader *r, lm_hparams *h) {
    bool adjusts;
    double factor;
    int64_t multiple;
    LM_TRY(lm_config_bool(r, "block_auto_adjust_ff_dim", false, &adjusts));
    LM_TRY(lm_config_f64(r, "block_ffn_dim_multiplier", 1, &factor));
    LM_TRY(lm_config_i64(r, "block_multiple_of", 256, &multiple));
    if (!adjusts || h->ffn_dim < 1 || h->ffn_dim > 1 << 24) return LOAM_OK;
    if (multiple < 1 || multiple > 1 << 20 || !(factor > 0 && factor < 1024))
        return lm_error_set(r->err, LOAM_INVALID, "%s: 'block_multiple_of' is %lld", r->path,
                            (long long)multiple);
    int64_t wanted = (int64_t)(factor * (double)(2 * h->ffn_dim / 3));
    h->ffn_dim = (wanted + multiple - 1) / multiple * multiple;
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_embed_dim(const lm_config_reader *r, lm_hparams *h) {
    bool may_differ = r->arch && (r->arch->optional & LM_FEATURE_EMBED_MAP);
    const char *keys = "embedding_size|input_embedding_size|word_embed_proj_dim";
    return may_differ ? lm_config_i64(r, keys, h->dim, &h->embed_dim) : LOAM_OK;
}

/* GPT-2 and Falcon do not say what is usual. */
static bool leaves_out_sizes(const lm_config_reader *r) {
    return r->arch && ((r->arch->features & LM_FEATURE_LAYER_NORM) || r->arch->leaves_out_sizes);
}

/* A matrix in place of a block of a layer of block_configs. */
static bool is_matrix(const json_t *block) {
    return json_is_true(json_object_get(block, "replace_with_linear"));
}

/* Llama-Nemotron's layers are said one by one: how many heads share a key, and a multiple of the width as of an MLP without a gate. */
static LM_MUST_USE loam_status read_blocks(const lm_config_reader *r, const json_t *blocks,
                                           lm_hparams *h) {
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
        if (is_matrix(ffn))
            return lm_error_set(r->err, LOAM_UNSUPPORTED,
                                "%s: layer %lld has a matrix in place of an MLP", r->path,
                                (long long)i);
        int64_t per_key = json_integer_value(n), wanted = 0;
        int64_t n_kv_heads = per_key > 0 ? h->n_heads / per_key : 0;
        if (n_kv_heads > 0)
            LM_TRY(lm_hparams_set_heads(h, i, h->n_heads, n_kv_heads, r->path, r->err));
        else
            lm_layer_add(is_matrix(attention) ? &h->by_matrix : &h->mlp_only, i);
        double factor = json_number_value(multiple);
        if (factor > 0 && factor < 1024 && h->dim > 0 && h->dim < 1 << 20)
            wanted = ((int64_t)(2 * factor * (double)h->dim / 3) + 255) / 256 * 256;
        LM_TRY(lm_hparams_set_ffn(h, i, wanted, r->path, r->err));
    }
    return LOAM_OK;
}

/* OpenELM's, of a multiple of the model's width, each rounded to a multiple of a divisor but no more than a tenth down. */
static LM_MUST_USE loam_status read_multiples(const lm_config_reader *r, lm_hparams *h) {
    const json_t *multiples = json_object_get(r->config, "ffn_multipliers");
    int64_t divisor;
    LM_TRY(lm_config_i64(r, "ffn_dim_divisor", 256, &divisor));
    if (divisor < 1 || divisor > 1 << 20 || h->dim < 1 || h->dim > 1 << 20)
        return lm_error_set(r->err, LOAM_INVALID, "%s: 'ffn_dim_divisor' is %lld", r->path,
                            (long long)divisor);
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        double multiple = json_number_value(json_array_get(multiples, (size_t)i)),
               wanted = multiple * (double)h->dim;
        if (!(multiple > 0 && multiple < 1024))
            return lm_error_set(r->err, LOAM_INVALID, "%s: 'ffn_multipliers' has %g for layer %lld",
                                r->path, multiple, (long long)i);
        int64_t width = (int64_t)(wanted + (double)divisor / 2) / divisor * divisor;
        if (width < divisor) width = divisor;
        if ((double)width < 0.9 * wanted) width += divisor;
        LM_TRY(lm_hparams_set_ffn(h, i, width, r->path, r->err));
    }
    return LOAM_OK;
}

static const json_t *heads_list(const lm_config_reader *r) {
    const json_t *list = json_object_get(r->config, "num_attention_heads_per_layer");
    return list ? list : json_object_get(r->config, "num_query_heads");
}

/* Heads of each layer, and of keys: lists of both or of either, beside what all have. */
static LM_MUST_USE loam_status read_listed_heads(const lm_config_reader *r, lm_hparams *h) {
    const json_t *heads = heads_list(r),
                 *keys = json_object_get(r->config, "num_key_value_heads_per_layer");
    if (!keys) keys = json_object_get(r->config, "num_kv_heads");
    int64_t of_all = h->n_heads, keys_of_all = h->n_kv_heads;
    if (!r->arch || !r->arch->heads_listed || (!json_is_array(heads) && !json_is_array(keys)))
        return LOAM_OK;
    h->n_heads = h->n_kv_heads = 0;
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        const json_t *n = json_array_get(heads, (size_t)i),
                     *n_keys = json_array_get(keys, (size_t)i);
        LM_TRY(lm_hparams_set_heads(h, i, n ? json_integer_value(n) : of_all,
                                    n_keys ? json_integer_value(n_keys) : keys_of_all, r->path,
                                    r->err));
    }
    return LOAM_OK;
}

/* Of all layers, where they are not listed. */
static LM_MUST_USE loam_status read_heads(const lm_config_reader *r, lm_hparams *h) {
    if (json_is_array(json_object_get(r->config, "num_query_heads"))) return LOAM_OK;
    LM_TRY(lm_config_need_i64(r, "num_attention_heads|n_head|n_heads|num_heads|attention_heads",
                              &h->n_heads));
    return json_is_array(json_object_get(r->config, "block_configs")) ? LOAM_OK
                                                                      : read_kv_heads(r, h);
}

/* Of attention and MLPs. */
static LM_MUST_USE loam_status read_widths(const lm_config_reader *r, lm_hparams *h) {
    if (r->arch && r->arch->no_attention) return LOAM_OK;
    LM_TRY(read_heads(r, h));
    const json_t *blocks = json_object_get(r->config, "block_configs");
    bool varied = r->arch && r->arch->varied && json_is_array(blocks);
    LM_TRY(varied ? read_blocks(r, blocks, h) : read_listed_heads(r, h));
    int64_t head_dim = h->n_heads > 0 ? h->dim / h->n_heads : 0;
    LM_TRY(lm_config_i64(r, "head_dim|kv_channels|d_kv", head_dim, &h->head_dim));
    if (varied) return LOAM_OK;
    if (json_is_array(json_object_get(r->config, "ffn_multipliers"))) return read_multiples(r, h);
    LM_TRY(lm_config_i64(r, "v_head_dim", 0, &h->value_dim)); /* see read_latent, too */
    int64_t multiple;
    LM_TRY(lm_config_i64(r, "intermediate_multiple_size", 4, &multiple));
    if (leaves_out_sizes(r))
        LM_TRY(lm_config_i64(
            r, "intermediate_size|n_inner|ffn_hidden_size|hidden_dim|ffn_dim|dff|d_ff",
            lm_config_times(multiple, h->dim), &h->ffn_dim));
    else
        LM_TRY(lm_config_need_alike(
            r,
            "intermediate_size_mlp|dense_intermediate_size|block_ff_dim|prefix_dense_intermediate_"
            "size|intermediate_size|ffn_hidden_size|moe_intermediate_size|moe_ffn_hidden_size",
            &h->ffn_dim));
    if (r->arch && r->arch->ffn_halved) h->ffn_dim /= 2;
    return adjust_ffn(r, h);
}

/* What Nanbeige's configs may say of experiments, of which no published model has any, and when Ouro stops before its last time. */
static LM_MUST_USE loam_status check_loops(const lm_config_reader *r) {
    static const char *const flags[] = {"enable_hyper_connection", "enable_depth_attention",
                                        "enable_double_loop_split", "loop_share_kv",
                                        "qk_layernorm"};
    const char *wrong = NULL;
    double threshold;
    for (size_t i = 0; i < LM_COUNT_OF(flags); i++)
        if (json_is_true(json_object_get(r->config, flags[i]))) wrong = flags[i];
    if (json_is_integer(json_object_get(r->config, "emb_neighbor_num"))) wrong = "emb_neighbor_num";
    if (json_array_size(json_object_get(r->config, "loop_loss_weights")) > 0)
        wrong = "loop_loss_weights";
    if (json_is_integer(json_object_get(r->config, "early_exit_step"))) wrong = "early_exit_step";
    LM_TRY(lm_config_f64(r, "early_exit_threshold", 1, &threshold));
    if (threshold < 1) wrong = "early_exit_threshold";
    if (!wrong) return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: '%s' is not known to loam", r->path, wrong);
}

/* How often layers run, and that ALBERT has one. */
static LM_MUST_USE loam_status read_loops(const lm_config_reader *r, lm_hparams *h) {
    int64_t n_groups, n_inner;
    if (r->arch && r->arch->one_layer) {
        LM_TRY(lm_config_i64(r, "num_hidden_groups", 1, &n_groups));
        LM_TRY(lm_config_i64(r, "inner_group_num", 1, &n_inner));
        if (n_groups != 1 || n_inner != 1)
            return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: %lld groups of %lld layers", r->path,
                                (long long)n_groups, (long long)n_inner);
        h->n_loops = h->n_layers;
        h->loops_unnormed = true;
    }
    if (!r->arch || !r->arch->looped) return LOAM_OK;
    LM_TRY(check_loops(r));
    LM_TRY(lm_config_i64(r, "num_loops|total_ut_steps", 1, &h->n_loops));
    LM_TRY(lm_config_bool(r, "skip_loop_final_norm", false, &h->loops_unnormed));
    h->n_layers = lm_config_times(h->n_loops, h->n_layers);
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_sizes(const lm_config_reader *r, lm_hparams *h) {
    const json_t *listed = json_object_get(r->config, "layers_block_type");
    bool has_default = leaves_out_sizes(r);
    h->n_layers = (int64_t)json_array_size(listed);
    if (r->arch && r->arch->late_mixture) {
        LM_TRY(lm_config_need_i64(r, "num_layers", &h->n_layers));
        h->n_layers = lm_config_times(2, h->n_layers);
    } else if (!json_is_array(listed))
        LM_TRY(lm_config_need_i64(
            r, "num_hidden_layers|n_layer|num_layers|n_layers|num_transformer_layers",
            &h->n_layers));
    LM_TRY(read_loops(r, h));
    LM_TRY(lm_config_need_i64(r, "hidden_size|n_embd|n_embed|d_model|dim|model_dim", &h->dim));
    LM_TRY(read_widths(r, h));
    LM_TRY(lm_config_need_i64(r, "vocab_size|padded_vocab_size", &h->vocab_size));
    LM_TRY(lm_config_i64(r, "output_vocab_size", 0, &h->head_vocab_size));
    LM_TRY(read_embed_dim(r, h));
    if (has_default)
        LM_TRY(lm_config_i64(
            r, "model_max_length|max_position_embeddings|n_positions|n_ctx|seq_length|max_seq_len",
            2048, &h->context_len));
    else
        LM_TRY(lm_config_need_i64(
            r,
            r->arch && r->arch->dialect == LM_DIALECT_NEO_BERT
                ? "max_length"
                : "max_position_embeddings|seq_length|model_max_length|max_context_length",
            &h->context_len));
    LM_TRY(read_trained_context(r, h));
    LM_TRY(read_blocks_chosen(r, h));
    const json_t *rms = json_object_get(r->config, "rms_norm_eps");
    h->layer_norms = r->arch && (r->arch->optional & LM_FEATURE_LAYER_NORM) && !json_is_number(rms);
    double eps = r->arch && r->arch->norm_eps > 0 ? r->arch->norm_eps : has_default ? 1e-5 : 1e-6;
    LM_TRY(lm_config_f64(
        r, "rms_norm_eps|layer_norm_eps|layer_norm_epsilon|layernorm_epsilon|norm_epsilon|norm_eps",
        eps, &h->rms_norm_eps));
    if (r->arch && r->arch->fixed_norm_eps) h->rms_norm_eps = eps;
    return LOAM_OK;
}

/* Gemma 4's layers without a window, of which the last is one, are said apart: by global_*, or layer by layer. */
static LM_MUST_USE loam_status read_local_heads(const lm_config_reader *r, lm_hparams *h) {
    if (!r->arch || !r->arch->local_heads) return LOAM_OK;
    char last[LM_CONFIG_KEY_BYTES];
    snprintf(last, sizeof last, "%lld", (long long)h->n_layers - 1);
    const json_t *by_layer = json_object_get(r->config, "per_layer_config");
    const lm_config_reader full = {json_object_get(by_layer, last), r->path, r->arch, r->err};
    h->local_kv_heads = h->n_kv_heads;
    h->local_head_dim = h->head_dim;
    bool keys_are_values;
    LM_TRY(lm_config_bool(r, "attention_k_eq_v", false, &keys_are_values));
    LM_TRY(lm_config_i64(r, "global_head_dim", h->head_dim, &h->head_dim));
    LM_TRY(lm_config_i64(&full, "head_dim", h->head_dim, &h->head_dim));
    if (keys_are_values)
        LM_TRY(lm_config_i64(r, "num_global_key_value_heads", h->n_kv_heads, &h->n_kv_heads));
    return lm_config_i64(&full, "num_key_value_heads", h->n_kv_heads, &h->n_kv_heads);
}

/* Of layers that turn otherwise. */
static void settle_local_ropes(const lm_config_reader *r, lm_hparams *h) {
    if (!r->arch || !r->arch->local_ropes) return;
    h->local_kv_heads = h->n_kv_heads;
    h->local_head_dim = h->head_dim;
}

/* Step's heads of windowed layers, once it is known which those are. */
static LM_MUST_USE loam_status read_windowed_heads(const lm_config_reader *r, lm_hparams *h) {
    const json_t *own = json_object_get(r->config, "attention_other_setting");
    const lm_config_reader inner = {json_is_object(own) ? own : NULL, r->path, r->arch, r->err};
    int64_t n_heads = h->n_heads, n_kv_heads = h->n_kv_heads, local = n_heads,
            local_kv = n_kv_heads;
    LM_TRY(lm_config_i64(&inner, "num_attention_heads", local, &local));
    LM_TRY(lm_config_i64(&inner, "num_attention_groups", local_kv, &local_kv));
    LM_TRY(lm_config_i64(r, "num_sliding_attention_heads", local, &local));
    if (local == n_heads && local_kv == n_kv_heads) return LOAM_OK;
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        bool windowed = lm_layer_in(&h->windowed, i);
        LM_TRY(lm_hparams_set_heads(h, i, windowed ? local : n_heads,
                                    windowed ? local_kv : n_kv_heads, r->path, r->err));
    }
    return LOAM_OK;
}

/* MiMo-V2's key heads of windowed layers. */
static LM_MUST_USE loam_status read_local_kv_heads(const lm_config_reader *r, lm_hparams *h) {
    int64_t width, value_dim, n_heads;
    bool local_sinks, other_sinks;
    if (!r->arch || r->arch->local_kv_factor == 0) return LOAM_OK;
    h->local_head_dim = h->head_dim;
    LM_TRY(lm_config_i64(r, "swa_num_key_value_heads",
                         lm_config_times(r->arch->local_kv_factor, h->n_kv_heads),
                         &h->local_kv_heads));
    LM_TRY(lm_config_i64(r, "swa_head_dim", h->head_dim, &width));
    LM_TRY(lm_config_i64(r, "swa_v_head_dim", h->value_dim, &value_dim));
    LM_TRY(lm_config_i64(r, "swa_num_attention_heads", h->n_heads, &n_heads));
    LM_TRY(lm_config_bool(r, "add_swa_attention_sink_bias", true, &local_sinks));
    LM_TRY(lm_config_bool(r, "add_full_attention_sink_bias", false, &other_sinks));
    if (width == h->head_dim && value_dim == h->value_dim && n_heads == h->n_heads && local_sinks &&
        !other_sinks)
        return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED,
                        "%s: layers with a window differ in more than key heads", r->path);
}

static LM_MUST_USE loam_status read_keys_as_values(const lm_config_reader *r, lm_hparams *h) {
    bool keys_are_values;
    LM_TRY(lm_config_bool(r, "attention_k_eq_v", false, &keys_are_values));
    for (int64_t i = 0; keys_are_values && i < h->n_layers && i < LM_MAX_LAYERS; i++)
        if (!lm_layer_in(&h->windowed, i)) lm_layer_add(&h->keys_are_values, i);
    return LOAM_OK;
}

/* What Gemma's smaller members have besides. */
static LM_MUST_USE loam_status read_shared_kv(const lm_config_reader *r, lm_hparams *h) {
    bool wide;
    LM_TRY(lm_config_i64(r, "num_kv_shared_layers", 0, &h->n_shared_kv_layers));
    LM_TRY(lm_config_bool(r, "use_double_wide_mlp", false, &wide));
    h->shared_kv_ffn_dim = lm_config_times(wide ? 2 : 1, h->ffn_dim);
    LM_TRY(lm_config_i64(r, "hidden_size_per_layer_input", 0, &h->layer_input_dim));
    return lm_config_i64(r, "vocab_size_per_layer_input", h->vocab_size, &h->layer_vocab_size);
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
static LM_MUST_USE loam_status read_cut_gates(const lm_config_reader *r, lm_hparams *h) {
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
static LM_MUST_USE loam_status read_streams(const lm_config_reader *r, lm_hparams *h) {
    int64_t active;
    bool scaled;
    if (!r->arch || !(r->arch->features & LM_FEATURE_ALTUP)) return LOAM_OK;
    LM_TRY(lm_config_i64(r, "altup_num_inputs", 4, &h->n_streams));
    LM_TRY(lm_config_i64(r, "altup_active_idx", 0, &active));
    LM_TRY(lm_config_bool(r, "altup_correct_scale", true, &scaled));
    if (h->n_streams < 2 || active != 0 || !scaled)
        return lm_error_set(r->err, LOAM_UNSUPPORTED,
                            "%s: 'altup_num_inputs' is %lld, 'altup_active_idx' %lld, "
                            "'altup_correct_scale' %s",
                            r->path, (long long)h->n_streams, (long long)active,
                            scaled ? "true" : "false");
    return read_cut_gates(r, h);
}

/* LongCat's latent vectors are made as long as the stream is. */
static LM_MUST_USE loam_status read_latent_scales(const lm_config_reader *r, lm_hparams *h) {
    static const char *const flags[] = {"mla_scale_q_lora", "mla_scale_kv_lora"};
    for (size_t i = 0; i < LM_COUNT_OF(flags); i++) {
        bool scaled;
        LM_TRY(lm_config_bool(r, flags[i], true, &scaled));
        if (!scaled)
            return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: '%s' is false", r->path, flags[i]);
    }
    if (h->q_latent_dim > 0) h->q_latent_scale = sqrt((double)h->dim / (double)h->q_latent_dim);
    h->latent_scale = sqrt((double)h->dim / (double)h->kv_latent_dim);
    return LOAM_OK;
}

/* Hyper-connections. */
static LM_MUST_USE loam_status read_hyper(const lm_config_reader *r, lm_hparams *h) {
    if (!r->arch || !(r->arch->features & LM_FEATURE_HYPER)) return LOAM_OK;
    LM_TRY(lm_config_need_i64(r, "hc_mult", &h->n_streams));
    LM_TRY(lm_config_i64(r, "hc_sinkhorn_iters", 0, &h->stream_rounds));
    LM_TRY(lm_config_f64(r, "hc_eps", 1e-6, &h->hyper_eps));
    return lm_config_f64(r, "hc_magnitude", 2, &h->hyper_scale);
}

/* What pooled keys of a layer stand for, and whether an indexer chooses among them: by the layer's kind, else by a number of each, where those of
 * 4 positions are chosen. */
static LM_MUST_USE loam_status pool_of(const lm_config_reader *r, int64_t layer, int64_t *ratio,
                                       bool *chooses) {
    const json_t *listed = json_object_get(r->config, "compress_ratios"),
                 *rates = json_object_get(r->config, "compress_rates");
    const char *kind =
        json_string_value(json_array_get(json_object_get(r->config, "layer_types"), (size_t)layer));
    const json_t *number = json_array_get(listed, (size_t)layer);
    bool sparse = kind && strcmp(kind, "compressed_sparse_attention") == 0,
         heavy = kind && strcmp(kind, "heavily_compressed_attention") == 0;
    *ratio = 0;
    *chooses = sparse;
    if (kind && strcmp(kind, "sliding_attention") == 0) return LOAM_OK;
    if (sparse || heavy) {
        number = json_object_get(rates, kind);
        *ratio = json_is_integer(number) ? json_integer_value(number) : sparse ? 4 : 128;
    } else if (json_is_integer(number)) {
        *ratio = json_integer_value(number);
        *chooses = *ratio == 4;
    } else {
        return lm_error_set(r->err, LOAM_INVALID, "%s: 'compress_ratios' lacks layer %lld", r->path,
                            (long long)layer);
    }
    if (*ratio >= 0 && *ratio <= 1 << 20) return LOAM_OK;
    return lm_error_set(r->err, LOAM_INVALID, "%s: keys of layer %lld stand for %lld positions",
                        r->path, (long long)layer, (long long)*ratio);
}

/* DeepSeek-V4's attention. Windows alone turn by the usual frequencies. */
static LM_MUST_USE loam_status read_pooled(const lm_config_reader *r, lm_hparams *h) {
    if (!r->arch || !(r->arch->features & LM_FEATURE_POOLED)) return LOAM_OK;
    LM_TRY(lm_config_i64(r, "q_lora_rank", 0, &h->q_latent_dim));
    LM_TRY(lm_config_need_i64(r, "o_groups", &h->out_groups));
    LM_TRY(lm_config_need_i64(r, "o_lora_rank", &h->out_latent_dim));
    LM_TRY(lm_config_i64(r, "qk_rope_head_dim", h->rope_dim, &h->rope_dim));
    LM_TRY(lm_config_i64(r, "index_topk", 0, &h->index_topk));
    LM_TRY(lm_config_i64(r, "index_n_heads", 0, &h->index_heads));
    LM_TRY(lm_config_i64(r, "index_head_dim", 0, &h->index_dim));
    h->local_rope_theta = h->rope_theta;
    LM_TRY(lm_config_f64(r, "compress_rope_theta", h->rope_theta, &h->rope_theta));
    h->rope_scaling.attention_factor = 1; /* whatever the scaling's own would be */
    if (h->n_layers < 1 || h->n_layers > LM_MAX_VARIED_LAYERS)
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: %lld layers of pooled keys", r->path,
                            (long long)h->n_layers);
    for (int64_t i = 0; i < h->n_layers; i++) {
        int64_t ratio;
        bool chooses;
        LM_TRY(pool_of(r, i, &ratio, &chooses));
        lm_hparams_set_pool(h, i, ratio, chooses);
    }
    return LOAM_OK;
}

/* Layers whose experts are chosen by a row's token. */
static LM_MUST_USE loam_status read_token_routed(const lm_config_reader *r, lm_hparams *h) {
    int64_t n;
    const json_t *kinds = json_object_get(r->config, "mlp_layer_types");
    if (!r->arch || !(r->arch->features & LM_FEATURE_POOLED)) return LOAM_OK;
    LM_TRY(lm_config_i64(r, "num_hash_layers", 0, &n));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        const char *kind = json_string_value(json_array_get(kinds, (size_t)i));
        if (kind ? strcmp(kind, "hash_moe") == 0 : i < n) lm_layer_add(&h->token_routed, i);
    }
    return LOAM_OK;
}

/* Multi-head latent attention: DeepSeek-V2 and those after it. */
static LM_MUST_USE loam_status read_latent(const lm_config_reader *r, lm_hparams *h) {
    LM_TRY(lm_config_i64(r, "kv_lora_rank", 0, &h->kv_latent_dim));
    if (h->kv_latent_dim == 0) return LOAM_OK;
    bool interleaved;
    LM_TRY(lm_config_i64(r, "q_lora_rank", 0, &h->q_latent_dim));
    LM_TRY(lm_config_need_i64(r, "qk_nope_head_dim", &h->nope_dim));
    LM_TRY(lm_config_need_i64(r, "qk_rope_head_dim", &h->rope_dim));
    LM_TRY(lm_config_need_i64(r, "v_head_dim", &h->value_dim));
    LM_TRY(
        lm_config_bool(r, "rope_interleave", h->rope_layout == LM_ROPE_INTERLEAVED, &interleaved));
    h->rope_layout = interleaved ? LM_ROPE_INTERLEAVED : LM_ROPE_HALF_SPLIT;
    LM_TRY(lm_hparams_fill_latent(h, r->path, r->err));
    return r->arch && r->arch->late_mixture ? read_latent_scales(r, h) : LOAM_OK;
}

/* Whether a layer has an indexer of its own: by a list of words or a text of letters, else all, or each how many-th of those from
 * `offset` on. */
static bool has_index(const json_t *types, int64_t period, int64_t offset, int64_t layer) {
    if (json_is_string(types))
        return (size_t)layer >= json_string_length(types) || json_string_value(types)[layer] != 'S';
    const char *type = json_string_value(json_array_get(types, (size_t)layer));
    if (type) return strcmp(type, "shared") != 0;
    return period <= 1 || layer < offset || (layer - offset + 1) % period == 0;
}

/* How an indexer's heads turn is by family; configs may say it as well. */
static LM_MUST_USE loam_status check_index_rope(const lm_config_reader *r) {
    bool usual = r->arch && !r->arch->index_half_split, interleaved;
    LM_TRY(lm_config_bool(r, "indexer_rope_interleave", usual, &interleaved));
    if (interleaved == usual) return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'indexer_rope_interleave' is %s", r->path,
                        interleaved ? "true" : "false");
}

/* The indexer of DeepSeek's sparse attention; GLM's layers may share what one chose. */
static LM_MUST_USE loam_status read_index(const lm_config_reader *r, lm_hparams *h) {
    char key[LM_CONFIG_KEY_BYTES];
    int64_t period, offset;
    if (h->out_groups > 0) return LOAM_OK; /* see read_pooled */
    LM_TRY(lm_config_i64(r, "index_topk", 0, &h->index_topk));
    LM_TRY(check_index_rope(r));
    if (h->index_topk == 0) return LOAM_OK;
    LM_TRY(lm_config_i64(r, "index_n_heads", 0, &h->index_heads));
    LM_TRY(lm_config_i64(r, "index_head_dim", 0, &h->index_dim));
    LM_TRY(lm_config_i64(r, "index_topk_freq", 1, &period));
    LM_TRY(lm_config_i64(r, "index_skip_topk_offset", 2, &offset));
    const json_t *types =
        json_object_get(r->config, lm_config_key(r, "indexer_types|index_topk_pattern", key));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++)
        if (!has_index(types, period, offset, i)) lm_layer_add(&h->index_shared, i);
    return LOAM_OK;
}

/* --- Encoders. */

/* Scores that grow with a text's length, and norms of another kind, of no published one. */
static LM_MUST_USE loam_status check_gte(const lm_config_reader *r) {
    bool grows;
    lm_str norm;
    LM_TRY(lm_config_bool(r, "logn_attention_scale", false, &grows));
    LM_TRY(
        lm_json_str_or(r->config, r->path, "layer_norm_type", LM_STR("layer_norm"), &norm, r->err));
    if (!grows && lm_str_is(norm, "layer_norm")) return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: '%s' is not known to loam", r->path,
                        grows ? "logn_attention_scale" : "layer_norm_type");
}

/* Words of NVIDIA's for what is made of rows, of Spark's for what weights heads. */
static LM_MUST_USE loam_status check_words(const lm_config_reader *r) {
    static const struct {
        const char *type, *key, *only;
    } words[] = {{"llama_bidirec", "pooling", "avg"},
                 {"spark2_5", "gate_attn_act_mode", "sigmoid"}};
    for (size_t i = 0; i < LM_COUNT_OF(words); i++) {
        lm_str said;
        if (!r->arch || strcmp(r->arch->hf_type, words[i].type) != 0) continue;
        LM_TRY(lm_json_str_or(r->config, r->path, words[i].key, lm_str_of(words[i].only), &said,
                              r->err));
        if (!lm_str_is(said, words[i].only))
            return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: '%s' is '%.*s'", r->path,
                                words[i].key, (int)said.len, said.ptr);
    }
    return LOAM_OK;
}

/* RoBERTa counts positions from the one behind its padding token's number, and config.json counts those before it too;
 * Nomic says how long it could be made to be, and how long it was trained to be. */
static LM_MUST_USE loam_status read_positions(const lm_config_reader *r, lm_hparams *h) {
    int64_t pad, trained;
    bool turned; /* RoFormer's values, of no published one */
    lm_str kind;
    LM_TRY(lm_json_str_or(r->config, r->path, "position_embedding_type", LM_STR("absolute"), &kind,
                          r->err));
    /* Decoders have words of their own for what their rows say. */
    bool encodes = r->arch && r->arch->bidirectional;
    if (encodes && !lm_str_is(kind, "absolute") && !lm_str_is(kind, "rope") &&
        !lm_str_is(kind, "alibi") && !lm_str_is(kind, "rotary"))
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'position_embedding_type' is '%.*s'",
                            r->path, (int)kind.len, kind.ptr);
    LM_TRY(lm_config_bool(r, "rotary_value", false, &turned));
    if (turned)
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'rotary_value' is true", r->path);
    LM_TRY(check_gte(r));
    LM_TRY(check_words(r));
    h->bidirectional = r->arch && r->arch->bidirectional;
    h->position_offset = r->arch ? r->arch->position_shift : 0;
    LM_TRY(lm_config_i64(r, "max_trained_positions", h->context_len, &trained));
    if (trained < h->context_len) h->context_len = trained;
    if (!r->arch || !r->arch->position_offset) return LOAM_OK;
    LM_TRY(lm_config_i64(r, "pad_token_id", 1, &pad));
    if (pad < 0 || pad >= h->context_len)
        return lm_error_set(r->err, LOAM_INVALID, "%s: 'pad_token_id' %lld is no position", r->path,
                            (long long)pad);
    h->position_offset = pad + 1;
    h->context_len -= h->position_offset;
    return LOAM_OK;
}

/* What T5's MLPs do, in a word of its own, and spans of distances as all published models have them. */
static LM_MUST_USE loam_status read_t5(const lm_config_reader *r, lm_hparams *h) {
    static const char gated[] = "gated-";
    int64_t n_spans, farthest;
    if (!r->arch || r->arch->dialect != LM_DIALECT_T5) return LOAM_OK;
    LM_TRY(lm_config_i64(r, "relative_attention_num_buckets", LM_DISTANCE_SPANS, &n_spans));
    LM_TRY(lm_config_i64(r, "relative_attention_max_distance", 128, &farthest));
    if (n_spans != LM_DISTANCE_SPANS || farthest != 128)
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: %lld spans of distances up to %lld",
                            r->path, (long long)n_spans, (long long)farthest);
    char words[LM_HIDDEN_ACT_BYTES];
    LM_TRY(lm_config_text(r, "feed_forward_proj", LM_STR("relu"), words, sizeof words));
    bool has_gate = strncmp(words, gated, strlen(gated)) == 0;
    const char *act = has_gate ? words + strlen(gated) : words;
    if (has_gate && strcmp(act, "gelu") == 0) act = "gelu_new"; /* as it was meant */
    snprintf(h->hidden_act, sizeof h->hidden_act, "%s", act);
    return LOAM_OK;
}

/* ModernBERT's heads that score. */
static LM_MUST_USE loam_status read_pooler(const lm_config_reader *r, lm_hparams *h) {
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

static LM_MUST_USE loam_status read_factors_of_minicpm(const lm_config_reader *r, lm_hparams *h) {
    double depth, base;
    LM_TRY(lm_config_f64(r, "scale_depth", 0, &depth));
    LM_TRY(lm_config_f64(r, "dim_model_base", 0, &base));
    if (depth > 0) h->residual_scale = depth / sqrt((double)h->n_layers);
    if (base > 0) h->logit_scale = base / (double)h->dim;
    return LOAM_OK;
}

/* A gate that is bounded is gpt-oss's. */
static LM_MUST_USE loam_status check_clamp(const lm_config_reader *r, const lm_hparams *h) {
    double alpha, limit;
    if (strcmp(h->hidden_act, "swiglu_clamped") != 0) return LOAM_OK;
    LM_TRY(lm_config_f64(r, "swiglu_alpha", 1.702, &alpha));
    LM_TRY(lm_config_f64(r, "swiglu_limit", 7, &limit));
    if (alpha == 1.702 && limit == 7) return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'swiglu_alpha' is %g, 'swiglu_limit' %g",
                        r->path, alpha, limit);
}

/* Jais', as mup_* in its later members. */
static LM_MUST_USE loam_status read_scores_by_width(const lm_config_reader *r, lm_hparams *h) {
    bool by_width;
    double of_width;
    if (!r->arch || !r->arch->scaled_by_width || h->head_dim < 1) return LOAM_OK;
    LM_TRY(lm_config_bool(r, "scale_qk_dot_by_d", false, &by_width));
    LM_TRY(lm_config_bool(r, "mup_scale_qk_dot_by_d", by_width, &by_width));
    if (by_width) h->attention_scale = 1 / (double)h->head_dim;
    LM_TRY(lm_config_f64(r, "mup_width_scale", 1, &of_width));
    LM_TRY(lm_config_f64(r, "mup_output_alpha|width_scale", 1, &h->logit_scale));
    h->logit_scale *= of_width;
    return LOAM_OK;
}

/* MiniMax' factors of the stream and of what blocks say: of all blocks one, and none. */
static LM_MUST_USE loam_status read_stream_scale(const lm_config_reader *r, lm_hparams *h) {
    static const char *const keys[][2] = {
        {"layernorm_linear_attention_alpha|linear_attn_alpha_factor",
         "layernorm_linear_attention_beta|linear_attn_beta_factor"},
        {"layernorm_full_attention_alpha|full_attn_alpha_factor",
         "layernorm_full_attention_beta|full_attn_beta_factor"},
        {"layernorm_mlp_alpha|mlp_alpha_factor", "layernorm_mlp_beta|mlp_beta_factor"}};
    bool behind;
    if (!r->arch || !r->arch->norms_stream) return LOAM_OK;
    LM_TRY(lm_config_bool(r, "postnorm", true, &behind));
    if (!behind) return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'postnorm' is false", r->path);
    for (size_t i = 0; i < LM_COUNT_OF(keys); i++) {
        double alpha, beta;
        LM_TRY(lm_config_f64(r, keys[i][0], 1, &alpha));
        LM_TRY(lm_config_f64(r, keys[i][1], 1, &beta));
        if (i == 0) h->stream_scale = alpha;
        if (beta != 1 || alpha != h->stream_scale || !(alpha > 0))
            return lm_error_set(r->err, LOAM_UNSUPPORTED,
                                "%s: factors of the stream are %g and %g, of a block %g", r->path,
                                h->stream_scale, alpha, beta);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_numbers(const lm_config_reader *r, lm_hparams *h) {
    double query_scalar, divisor;
    LM_TRY(check_clamp(r, h));
    LM_TRY(read_stream_scale(r, h));
    LM_TRY(lm_config_f64(r, "attention_value_scale", 0, &h->value_scale));
    LM_TRY(lm_config_f64(r, "attention_multiplier|attn_output_multiplier",
                         r->arch ? r->arch->attention_scale : 0, &h->attention_scale));
    LM_TRY(lm_config_f64(r, "query_pre_attn_scalar", 0, &query_scalar));
    LM_TRY(read_scores_by_width(r, h));
    /* Gemma 3n's configs have the number, and it counts for nothing. */
    bool by_row = r->arch && r->arch->attention_scale > 0;
    if (query_scalar > 0 && !by_row) h->attention_scale = 1 / sqrt(query_scalar);
    LM_TRY(lm_config_f64(r, "attn_logit_softcapping|max_attn_value", 0, &h->attention_soft_cap));
    LM_TRY(lm_config_f64(r, "final_logit_softcapping", 0, &h->logit_soft_cap));
    LM_TRY(lm_config_f64(r, "clip_qkv", 0, &h->qkv_clip));
    bool scaled; /* AFMoE says it */
    LM_TRY(lm_config_bool(r, "mup_enabled", r->arch && r->arch->embed_scale_sqrt_dim, &scaled));
    LM_TRY(lm_config_bool(r, "scale_embedding", scaled, &scaled)); /* XGLM, too */
    double embedding = scaled ? sqrt((double)h->dim) : 0;
    LM_TRY(lm_config_f64(r,
                         "embedding_multiplier|scale_emb|embedding_multiplier_scale|mup_embeddings_"
                         "scale|embeddings_scale",
                         embedding, &h->embedding_scale));
    LM_TRY(lm_config_f64(r, "residual_multiplier", 0, &h->residual_scale));
    LM_TRY(lm_config_f64(r, "logits_scaling", 0, &divisor));
    LM_TRY(lm_config_f64(r,
                         "output_multiplier_scale|logit_scale|lm_head_multiplier|output_multiplier",
                         h->logit_scale, &h->logit_scale));
    LM_TRY(
        lm_config_f64(r, "post_norm_eps", r->arch ? r->arch->post_norm_eps : 0, &h->post_norm_eps));
    if (r->arch && r->arch->hf_norms_said)
        LM_TRY(lm_config_f64(r, "qk_scale_factor", 1, &h->query_norm));
    if (divisor > 0) h->logit_scale = r->arch && r->arch->hf_logit_factor ? divisor : 1 / divisor;
    return read_factors_of_minicpm(r, h);
}

/* --- Experts. */

/* Whether a text of numbers with commas between them has this one. */
static bool text_lists(const char *text, int64_t number) {
    for (char *end; text && *text; text = *end ? end + 1 : end)
        if (strtoll(text, &end, 10) == number && end != text) return true;
    return false;
}

/* Bounds of gates of each layer, experts' or others'. */
static LM_MUST_USE loam_status read_limits(const lm_config_reader *r, const lm_hparams *h,
                                           const char *key, float *out) {
    const double least = 0.3; /* SiLU is nowhere as far below 0 */
    const json_t *limits = json_object_get(r->config, key);
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        double limit = json_number_value(json_array_get(limits, (size_t)i));
        if (limit == 0) continue;
        if (!(limit >= least) || i >= LM_MAX_VARIED_LAYERS || strcmp(h->hidden_act, "silu") != 0)
            return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: '%s' of layer %lld is %g", r->path,
                                key, (long long)i, limit);
        out[i] = (float)limit;
    }
    return LOAM_OK;
}

/* Layers of a mixture without experts: the first ones, those that a list has, or all but each n-th of the others. */
static LM_MUST_USE loam_status read_dense_layers(const lm_config_reader *r, lm_hparams *h) {
    const json_t *kinds = json_object_get(r->config, "mlp_layer_types"),
                 *without = json_object_get(r->config, "mlp_only_layers"),
                 *mixed = json_object_get(r->config, "moe_layer_freq"),     /* MiMo-V2's */
                     *with = json_object_get(r->config, "moe_layers_enum"); /* Step's */
    int64_t leading, period, offset;
    LM_TRY(lm_config_i64(r, "first_k_dense_replace|moe_layer_start_index|num_dense_layers", 0,
                         &leading));
    LM_TRY(lm_config_i64(
        r,
        "decoder_sparse_step|moe_layer_interval|interleave_moe_layer_step|expert_layer_period|moe_"
        "every_n_layers",
        1, &period));
    LM_TRY(lm_config_i64(r, "expert_layer_offset", period - 1, &offset));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        const char *kind = json_string_value(json_array_get(kinds, (size_t)i));
        bool dense =
            i < leading || lm_config_lists(without, i) || (period > 1 && i % period != offset);
        const json_t *listed = json_array_get(mixed, (size_t)i);
        if (with) dense = !text_lists(json_string_value(with), i) && !lm_config_lists(with, i);
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
static LM_MUST_USE loam_status check_latent_experts(const lm_config_reader *r) {
    if (!json_is_integer(json_object_get(r->config, "moe_latent_size"))) return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'moe_latent_size' is not known to loam",
                        r->path);
}

/* Laguna's may be bounded, SmallThinker's come of what the MLP reads, and experts have experts, all of no published one. */
static LM_MUST_USE loam_status check_expert_logits(const lm_config_reader *r) {
    double cap;
    bool weighs_input, early, within;
    LM_TRY(lm_config_bool(r, "moe_enable_early_router", true, &early));
    LM_TRY(lm_config_bool(r, "moe_enable_secondary_experts", false, &within));
    if (!early || within)
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: '%s' is %s", r->path,
                            within ? "moe_enable_secondary_experts" : "moe_enable_early_router",
                            within ? "true" : "false");
    LM_TRY(lm_config_f64(r, "moe_router_logit_softcapping", 0, &cap));
    LM_TRY(lm_config_bool(r, "moe_apply_router_weight_on_input", false, &weighs_input));
    if (cap == 0 && !weighs_input) return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: '%s' is not known to loam", r->path,
                        cap != 0 ? "moe_router_logit_softcapping"
                                 : "moe_apply_router_weight_on_input");
}

/* Cohere 2's experts: they are chosen by their logits, weighed among each other, and averaged with the shared ones. */
static LM_MUST_USE loam_status read_averaged(const lm_config_reader *r, lm_hparams *h) {
    lm_str score, together;
    int64_t prefix_period;
    if (!r->arch || !r->arch->shared_averaged) return LOAM_OK;
    LM_TRY(lm_json_str_or(r->config, r->path, "expert_selection_fn", LM_STR("softmax"), &score,
                          r->err));
    LM_TRY(lm_json_str_or(r->config, r->path, "shared_expert_combination_strategy",
                          LM_STR("average"), &together, r->err));
    LM_TRY(lm_config_i64(r, "prefix_dense_sliding_window_pattern", 1, &prefix_period));
    if (prefix_period != 1 && lm_hparams_leading_dense(h) > 0)
        return lm_error_set(r->err, LOAM_UNSUPPORTED,
                            "%s: 'prefix_dense_sliding_window_pattern' is %lld", r->path,
                            (long long)prefix_period);
    h->expert_sigmoid = lm_str_is(score, "sigmoid");
    h->expert_normalize |= !h->expert_sigmoid;
    if (lm_str_is(together, "average") && h->shared_ffn_dim > 0) h->mixture_scale = 0.5;
    return LOAM_OK;
}

/* Arctic's experts are in every layer, beside an MLP as wide as the model. */
static LM_MUST_USE loam_status read_arctic(const lm_config_reader *r, lm_hparams *h) {
    int64_t period;
    bool beside;
    if (!r->arch || !(r->arch->features & LM_FEATURE_ENTRY_EXPERTS)) return LOAM_OK;
    LM_TRY(lm_config_i64(r, "moe_layer_frequency", 2, &period));
    LM_TRY(lm_config_bool(r, "parallel_attn_mlp_res", false, &beside));
    if (period != 1 || !beside)
        return lm_error_set(r->err, LOAM_UNSUPPORTED,
                            "%s: 'moe_layer_frequency' is %lld, 'parallel_attn_mlp_res' %s",
                            r->path, (long long)period, beside ? "true" : "false");
    h->shared_ffn_dim = h->dim;
    return LOAM_OK;
}

/* LongCat's that compute nothing. */
static LM_MUST_USE loam_status read_idle_experts(const lm_config_reader *r, lm_hparams *h) {
    lm_str kind;
    bool biased;
    LM_TRY(lm_config_i64(r, "zero_expert_num", 0, &h->n_idle_experts));
    LM_TRY(
        lm_json_str_or(r->config, r->path, "zero_expert_type", LM_STR("identity"), &kind, r->err));
    LM_TRY(lm_config_bool(r, "router_bias", false, &biased));
    if (h->n_idle_experts > 0 && !lm_str_is(kind, "identity"))
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'zero_expert_type' is '%.*s'", r->path,
                            (int)kind.len, kind.ptr);
    if (h->n_idle_experts > 0 && biased)
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'router_bias' is true", r->path);
    return LOAM_OK;
}

/* Which function makes scores of experts: by a publisher's word, where transformers' class of the family knows but one; others' word
 * only adds to the row's. */
static LM_MUST_USE loam_status read_score(const lm_config_reader *r, lm_hparams *h) {
    lm_str score;
    char key[LM_CONFIG_KEY_BYTES];
    bool softmax; /* SmallThinker's */
    LM_TRY(lm_config_bool(r, "moe_primary_router_apply_softmax", false, &softmax));
    LM_TRY(lm_json_str_or(r->config, r->path, "scoring_func", LM_STR("softmax"), &score, r->err));
    h->expert_softplus = lm_str_is(score, "sqrtsoftplus");
    bool known = h->expert_softplus || lm_str_is(score, "sigmoid") || lm_str_is(score, "softmax");
    if (!known && r->arch && (r->arch->features & LM_FEATURE_POOLED))
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'scoring_func' is '%.*s'", r->path,
                            (int)score.len, score.ptr);
    h->expert_sigmoid =
        !softmax && (lm_str_is(score, "sigmoid") || (r->arch && r->arch->expert_sigmoid));
    if (h->expert_softplus) return LOAM_OK;
    lm_config_key(r, "score_function|moe_router_activation_func|moe_router_activation", key);
    lm_str row = h->expert_sigmoid ? LM_STR("sigmoid") : LM_STR("softmax");
    LM_TRY(lm_json_str_or(r->config, r->path, key, row, &score, r->err));
    h->expert_sigmoid = lm_str_is(score, "sigmoid");
    if (h->expert_sigmoid || lm_str_is(score, "softmax")) return LOAM_OK;
    return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: '%s' is '%.*s'", r->path, key,
                        (int)score.len, score.ptr);
}

static LM_MUST_USE loam_status read_experts(const lm_config_reader *r, lm_hparams *h) {
    int64_t n_shared;
    lm_str method;
    bool normalize = r->arch && r->arch->expert_normalize;
    LM_TRY(lm_config_i64(
        r, "num_local_experts|num_experts|n_routed_experts|moe_num_experts|moe_num_primary_experts",
        0, &h->n_experts));
    if (h->n_experts == 1 && r->arch && r->arch->one_expert_is_none) h->n_experts = 0;
    bool beside = r->arch && (r->arch->features & LM_FEATURE_EXPERTS_BESIDE), mixes;
    LM_TRY(lm_config_bool(r, "enable_moe_block", !beside, &mixes));
    if (has_dense_mlps_alone(h) || !mixes) h->n_experts = 0;
    if (h->n_experts == 0) return LOAM_OK;
    LM_TRY(check_latent_experts(r));
    LM_TRY(lm_config_i64(r, "routed_expert_hidden_size", 0, &h->expert_latent_dim));
    LM_TRY(check_expert_logits(r));
    LM_TRY(lm_config_alike(r,
                           "num_experts_per_tok|moe_k|moe_topk|moe_top_k|top_k_experts|num_experts_"
                           "per_token|moe_num_active_primary_experts",
                           0, &h->n_experts_used));
    LM_TRY(read_idle_experts(r, h));
    LM_TRY(lm_config_alike(r,
                           "expert_ffn_hidden_size|moe_intermediate_size|moe_ffn_hidden_size|"
                           "intermediate_size",
                           h->ffn_dim, &h->expert_ffn_dim));
    LM_TRY(lm_config_alike(
        r, "n_shared_experts|moe_num_shared_experts|num_shared_experts|num_shared_expert",
        r->arch ? r->arch->n_shared_experts : 0, &n_shared));
    if (n_shared > 0 && n_shared < 1024) h->shared_ffn_dim = n_shared * h->expert_ffn_dim;
    if (beside || (r->arch && r->arch->late_mixture)) h->shared_ffn_dim = h->ffn_dim;
    LM_TRY(read_arctic(r, h));
    LM_TRY(lm_config_i64(r,
                         "shared_intermediate_size|shared_expert_intermediate_size|moe_shared_"
                         "expert_intermediate_size|share_expert_dim|share_expert_dims",
                         h->shared_ffn_dim, &h->shared_ffn_dim));
    LM_TRY(read_dense_layers(r, h));
    if (r->arch && r->arch->expert_jitter > 0)
        LM_TRY(lm_config_f64(r, "router_jitter_noise", r->arch->expert_jitter, &h->expert_jitter));
    LM_TRY(lm_config_i64(r, "n_group|num_expert_group", 0, &h->n_expert_groups));
    LM_TRY(lm_config_i64(r, "topk_group", 0, &h->n_expert_groups_used));
    LM_TRY(lm_json_str_or(r->config, r->path, "topk_method", LM_STR(""), &method, r->err));
    if (lm_str_is(method, "greedy")) h->n_expert_groups = h->n_expert_groups_used = 0;
    LM_TRY(lm_config_f64(r,
                         "routed_scaling_factor|route_scale|router_scaling_factor|moe_routed_"
                         "scaling_factor|moe_router_scaling_factor",
                         0, &h->expert_weight_scale));
    LM_TRY(lm_config_bool(r, "moe_renormalize", normalize, &normalize));    /* Kimi Linear's */
    LM_TRY(lm_config_bool(r, "norm_expert_weight", normalize, &normalize)); /* Step's */
    LM_TRY(lm_config_bool(r, "norm_topk_prob", normalize, &h->expert_normalize));
    LM_TRY(read_score(r, h));
    return read_averaged(r, h);
}

/* One bound of all layers' gates; not above 0: none. */
static LM_MUST_USE loam_status read_limit(const lm_config_reader *r, lm_hparams *h) {
    const double least = 0.5; /* whose SiLU is as far above 0 as any is below it */
    double limit;
    LM_TRY(lm_config_f64(r, "swiglu_limit", 0, &limit));
    if (!(limit > 0)) return LOAM_OK;
    if (limit < least || h->n_layers > LM_MAX_VARIED_LAYERS || strcmp(h->hidden_act, "silu") != 0)
        return lm_error_set(r->err, LOAM_UNSUPPORTED, "%s: 'swiglu_limit' is %g of %lld layers",
                            r->path, limit, (long long)h->n_layers);
    for (int64_t i = 0; i < h->n_layers; i++) {
        h->expert_limits[i] = (float)limit;
        if (r->arch->caps_others) h->mlp_limits[i] = (float)limit;
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_all_limits(const lm_config_reader *r, lm_hparams *h) {
    if (r->arch && r->arch->caps_gates) return read_limit(r, h);
    for (int64_t i = 0; r->arch && i < h->n_layers && i < LM_MAX_VARIED_LAYERS; i++)
        h->expert_limits[i] = (float)r->arch->expert_limit;
    LM_TRY(read_limits(r, h, "swiglu_limits", h->expert_limits)); /* Step's */
    LM_TRY(read_limits(r, h, "swiglu_limits_shared", h->mlp_limits));
    LM_TRY(read_limits(r, h, "expert_swiglu_limit_list", h->expert_limits)); /* Ling 3's */
    return read_limits(r, h, "share_expert_swiglu_limit_list", h->mlp_limits);
}

/* Kimi K3's. */
static LM_MUST_USE loam_status read_recalling(const lm_config_reader *r, lm_hparams *h) {
    if (!r->arch || !r->arch->whole_state_gates) return LOAM_OK;
    LM_TRY(lm_config_need_i64(r, "attn_res_block_size", &h->recall_period));
    if (strcmp(h->hidden_act, "situ") != 0) return LOAM_OK;
    LM_TRY(lm_config_f64(r, "activation_situ_beta", 0, &h->gate_bound));
    return lm_config_f64(r, "activation_situ_linear_beta", 0, &h->up_bound);
}

static LM_MUST_USE loam_status read_flags(const lm_config_reader *r, lm_hparams *h) {
    bool parallel, parallel_attn;
    bool tied = r->arch && r->arch->tied;
    LM_TRY(lm_config_bool(r, "tie_embedding", tied, &tied));             /* LFM2's first */
    LM_TRY(lm_config_bool(r, "share_input_output_layers", tied, &tied)); /* OpenELM's */
    LM_TRY(lm_config_bool(r, "tie_word_embeddings", tied, &h->tied_embeddings));
    LM_TRY(lm_config_bool(r, "attention_bias", false, &h->attention_bias));
    LM_TRY(lm_config_bool(r, "mlp_bias", false, &h->mlp_bias));
    LM_TRY(lm_config_i64(r, "num_nextn_predict_layers", 0, &h->n_guess_layers));
    LM_TRY(lm_config_bool(r, "use_parallel_residual", true, &parallel));
    LM_TRY(lm_config_bool(r, "parallel_attn", true, &parallel_attn));
    h->serial_residual = !parallel || !parallel_attn;
    h->unit_head = r->arch && r->arch->dialect == LM_DIALECT_BAICHUAN &&
                   json_object_get(r->config, "z_loss_weight"); /* Baichuan 2, not 1 */
    return LOAM_OK;
}

/* MPT says what is its attention's apart. */
static LM_MUST_USE loam_status read_alibi(const lm_config_reader *r, lm_hparams *h) {
    const json_t *attention = json_object_get(r->config, "attn_config");
    const lm_config_reader inner = {json_is_object(attention) ? attention : NULL, r->path, r->arch,
                                    r->err};
    bool alibi;
    double most;
    LM_TRY(lm_config_bool(r, "alibi", r->arch && r->arch->alibi, &alibi));
    LM_TRY(lm_config_bool(&inner, "alibi", alibi, &alibi));
    LM_TRY(lm_config_f64(&inner, "alibi_bias_max", 8, &most));
    LM_TRY(lm_config_f64(&inner, "clip_qkv", h->qkv_clip, &h->qkv_clip));
    LM_TRY(lm_config_i64(&inner, "kv_n_heads", h->n_kv_heads, &h->n_kv_heads));
    h->alibi_max = alibi ? most : 0;
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_config(json_t *config, const char *path, lm_hparams *out,
                                           loam_error *err) {
    lm_config_reader r = {config, path, NULL, err};
    lm_hparams h = {0};
    LM_TRY(lm_config_text(&r, "model_type", LM_STR(""), h.architecture, sizeof h.architecture));
    LM_TRY(lm_config_choose_arch(&r, &h));
    LM_TRY(lm_config_add_defaults(r.arch, config, err));
    LM_TRY(lm_config_part_ropes(config, path, err));
    LM_TRY(lm_config_join_ropes(config, path, err));
    const char *act = r.arch && r.arch->act ? r.arch->act : "silu";
    LM_TRY(lm_config_text(&r,
                          "hidden_activation|hidden_act|activation_function|activation|mlp_hidden_"
                          "act|activation_fn_name",
                          lm_str_of(act), h.hidden_act, sizeof h.hidden_act));
    if (r.arch && r.arch->fixed_act) snprintf(h.hidden_act, sizeof h.hidden_act, "%s", act);
    h.rope_layout = r.arch && r.arch->hf_interleaved ? LM_ROPE_INTERLEAVED : LM_ROPE_HALF_SPLIT;
    LM_TRY(read_sizes(&r, &h));
    LM_TRY(read_local_heads(&r, &h));
    LM_TRY(read_local_kv_heads(&r, &h));
    settle_local_ropes(&r, &h);
    LM_TRY(read_shared_kv(&r, &h));
    LM_TRY(read_streams(&r, &h));
    LM_TRY(read_hyper(&r, &h));
    LM_TRY(read_positions(&r, &h));
    LM_TRY(read_pooler(&r, &h));
    LM_TRY(read_t5(&r, &h));
    LM_TRY(lm_config_read_rope(&r, &h));
    LM_TRY(lm_config_read_window(&r, &h));
    LM_TRY(read_windowed_heads(&r, &h));
    LM_TRY(read_keys_as_values(&r, &h));
    LM_TRY(read_pooled(&r, &h));
    LM_TRY(lm_config_read_no_rope(&r, &h));
    LM_TRY(lm_config_read_temperature(&r, &h));
    LM_TRY(lm_config_read_recurrent(&r, &h));
    LM_TRY(read_numbers(&r, &h));
    LM_TRY(read_alibi(&r, &h));
    LM_TRY(read_flags(&r, &h));
    LM_TRY(read_experts(&r, &h));
    LM_TRY(read_token_routed(&r, &h));
    LM_TRY(read_all_limits(&r, &h));
    LM_TRY(read_recalling(&r, &h));
    if (r.arch) lm_arch_settle_layers(r.arch, &h);
    LM_TRY(read_latent(&r, &h));
    LM_TRY(read_index(&r, &h));
    if (r.arch && (r.arch->features & LM_FEATURE_NORM_GATE))
        LM_TRY(lm_config_i64(&r, "gated_norm_rank", 16, &h.norm_gate_rank));
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
