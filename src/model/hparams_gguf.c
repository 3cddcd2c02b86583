/* Hyperparameters out of GGUF metadata, whose keys are prefixed with the architecture's name. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "model/arch.h"

enum { KEY_BYTES = 160 };

/* "llama.rope.freq_base" */
static const char *full_key(const lm_hparams *h, const char *name, char out[KEY_BYTES]) {
    snprintf(out, KEY_BYTES, "%s.%s", h->architecture, name);
    return out;
}

static LM_MUST_USE loam_status read_i64(const lm_gguf *gguf, const lm_hparams *h, const char *name,
                                        int64_t *out, loam_error *err) {
    char key[KEY_BYTES];
    return lm_gguf_i64(gguf, full_key(h, name, key), out, err);
}

static LM_MUST_USE loam_status read_i64_or(const lm_gguf *gguf, const lm_hparams *h,
                                           const char *name, int64_t fallback, int64_t *out,
                                           loam_error *err) {
    char key[KEY_BYTES];
    return lm_gguf_i64_or(gguf, full_key(h, name, key), fallback, out, err);
}

/* An array of numbers, signed or not; of none where the file has one number for all layers, or says nothing. */
static LM_MUST_USE loam_status read_list(const lm_gguf *gguf, const lm_hparams *h, const char *name,
                                         lm_gguf_array *out, loam_error *err) {
    char key[KEY_BYTES];
    const lm_gguf_value *value = lm_gguf_find(gguf, full_key(h, name, key));
    *out = (lm_gguf_array){0};
    if (!value || value->type != LM_GGUF_ARRAY) return LOAM_OK;
    bool is_signed = value->array.type == LM_GGUF_I32;
    return lm_gguf_array_or_empty(gguf, key, is_signed ? LM_GGUF_I32 : LM_GGUF_U32, out, err);
}

static LM_MUST_USE loam_status not_alike(const lm_gguf *gguf, const lm_hparams *h, const char *name,
                                         const char *where, loam_error *err) {
    char key[KEY_BYTES];
    return lm_error_set(err, LOAM_UNSUPPORTED, "%s: '%s' is not the same in all %s",
                        lm_gguf_path(gguf), full_key(h, name, key), where);
}

/* A number, or an array of one for each layer, which must be alike. */
static LM_MUST_USE loam_status read_alike_or(const lm_gguf *gguf, const lm_hparams *h,
                                             const char *name, int64_t fallback, int64_t *out,
                                             loam_error *err) {
    lm_gguf_array list;
    LM_TRY(read_list(gguf, h, name, &list, err));
    if (list.n == 0) return read_i64_or(gguf, h, name, fallback, out, err);
    for (size_t i = 0; i < list.n; i++)
        if (lm_gguf_array_i32(&list, i) != lm_gguf_array_i32(&list, 0))
            return not_alike(gguf, h, name, "layers", err);
    *out = lm_gguf_array_i32(&list, 0);
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_f64_or(const lm_gguf *gguf, const lm_hparams *h,
                                           const char *name, double fallback, double *out,
                                           loam_error *err) {
    char key[KEY_BYTES];
    return lm_gguf_f64_or(gguf, full_key(h, name, key), fallback, out, err);
}

static LM_MUST_USE loam_status read_architecture(const lm_gguf *gguf, lm_hparams *h,
                                                 loam_error *err) {
    lm_str name;
    LM_TRY(lm_gguf_str(gguf, "general.architecture", &name, err));
    if (name.len == 0 || name.len >= sizeof h->architecture || memchr(name.ptr, '\0', name.len))
        return lm_error_set(err, LOAM_INVALID, "%s: 'general.architecture' is empty or too long",
                            lm_gguf_path(gguf));
    memcpy(h->architecture, name.ptr, name.len);
    return LOAM_OK;
}

/* Heads of keys; layers that are said to have none are the family's recurrent ones. */
static LM_MUST_USE loam_status read_kv_heads(const lm_gguf *gguf, lm_hparams *h, loam_error *err) {
    const char *name = "attention.head_count_kv";
    const lm_arch *arch = lm_arch_find(h->architecture);
    lm_gguf_array list;
    if (arch && (arch->local_heads || arch->local_kv_factor)) return LOAM_OK; /* see read_heads_of_kinds */
    LM_TRY(read_list(gguf, h, name, &list, err));
    if (list.n == 0 || !arch || !lm_arch_recurrent_type(arch))
        return read_alike_or(gguf, h, name, h->n_heads, &h->n_kv_heads, err);
    for (int64_t i = 0; i < (int64_t)list.n && i < LM_MAX_LAYERS; i++) {
        int32_t n = lm_gguf_array_i32(&list, (size_t)i);
        if (n == 0) lm_layer_add(&h->recurrent, i);
        if (n != 0 && h->n_kv_heads != 0 && h->n_kv_heads != n)
            return not_alike(gguf, h, name, "layers that attend", err);
        if (n != 0) h->n_kv_heads = n;
    }
    return LOAM_OK;
}

/* Of layers that are one block those that have a width are the MLPs. */
static LM_MUST_USE loam_status read_lone_mlps(const lm_gguf *gguf, lm_hparams *h, loam_error *err) {
    const char *name = "feed_forward_length";
    lm_gguf_array list;
    LM_TRY(read_list(gguf, h, name, &list, err));
    for (int64_t i = 0; i < (int64_t)list.n && i < LM_MAX_LAYERS; i++) {
        int32_t n = lm_gguf_array_i32(&list, (size_t)i);
        if (n == 0) continue;
        if (h->ffn_dim != 0 && h->ffn_dim != n)
            return not_alike(gguf, h, name, "MLPs", err);
        h->ffn_dim = n;
        lm_layer_add(&h->mlp_only, i);
        lm_layer_drop(&h->recurrent, i);
    }
    return LOAM_OK;
}

/* Layers with keys of their own; 0 where the numbers make no sense, which is told later. */
static int64_t own_layers(const lm_hparams *h) {
    bool sane = h->n_shared_kv_layers >= 0 && h->n_layers > 0 && h->n_layers <= LM_MAX_LAYERS;
    return sane ? h->n_layers - h->n_shared_kv_layers : 0;
}

/* A width for all layers, or one for each, of which those that have others' keys may have their own. */
static LM_MUST_USE loam_status read_ffn(const lm_gguf *gguf, lm_hparams *h, loam_error *err) {
    const char *name = "feed_forward_length";
    lm_gguf_array list;
    LM_TRY(read_i64_or(gguf, h, "attention.shared_kv_layers", 0, &h->n_shared_kv_layers, err));
    LM_TRY(read_list(gguf, h, name, &list, err));
    if (h->n_shared_kv_layers == 0 || list.n == 0) {
        LM_TRY(read_alike_or(gguf, h, name, 0, &h->ffn_dim, err));
        h->shared_kv_ffn_dim = h->ffn_dim;
        return LOAM_OK;
    }
    for (size_t i = 0; i < list.n; i++) {
        int64_t *of_kind = (int64_t)i < own_layers(h) ? &h->ffn_dim : &h->shared_kv_ffn_dim;
        int32_t n = lm_gguf_array_i32(&list, i);
        if (*of_kind != 0 && *of_kind != n) return not_alike(gguf, h, name, "such layers", err);
        *of_kind = n;
    }
    return LOAM_OK;
}

/* A list of one for each layer, or nothing. */
static LM_MUST_USE loam_status read_varied_list(const lm_gguf *gguf, const lm_hparams *h,
                                                const char *name, lm_gguf_array *out,
                                                loam_error *err) {
    LM_TRY(read_list(gguf, h, name, out, err));
    if (out->n == 0 || ((int64_t)out->n >= h->n_layers && h->n_layers <= LM_MAX_VARIED_LAYERS))
        return LOAM_OK;
    return lm_error_set(err, LOAM_UNSUPPORTED,
                        "%s: '%s' lists %zu of %lld layers, at most %d are supported",
                        lm_gguf_path(gguf), name, out->n, (long long)h->n_layers,
                        LM_MAX_VARIED_LAYERS);
}

/* Heads and widths of MLPs layer by layer, 0 where there are none. */
typedef struct varied_lists {
    lm_gguf_array heads, kv_heads, widths; /* of none: all layers have the numbers here */
    int64_t n_heads, n_kv_heads;
} varied_lists;

static LM_MUST_USE loam_status read_varied_layer(const lm_gguf *gguf, lm_hparams *h,
                                                 const varied_lists *lists, int64_t layer,
                                                 loam_error *err) {
    const char *path = lm_gguf_path(gguf);
    size_t i = (size_t)layer;
    int64_t n_heads = lists->heads.n > 0 ? lm_gguf_array_i32(&lists->heads, i) : lists->n_heads,
            n_kv_heads = lists->kv_heads.n > 0 ? lm_gguf_array_i32(&lists->kv_heads, i)
                                               : lists->n_kv_heads;
    if (n_heads == 0 || n_kv_heads == 0)
        lm_layer_add(n_heads == 0 ? &h->mlp_only : &h->by_matrix, layer);
    else
        LM_TRY(lm_hparams_set_heads(h, layer, n_heads, n_kv_heads, path, err));
    if (lists->widths.n == 0) return LOAM_OK;
    return lm_hparams_set_ffn(h, layer, lm_gguf_array_i32(&lists->widths, i), path, err);
}

/* Of families whose layers are varied, or differ in heads. */
static LM_MUST_USE loam_status read_varied(const lm_gguf *gguf, lm_hparams *h, loam_error *err) {
    varied_lists lists = {0};
    LM_TRY(read_varied_list(gguf, h, "attention.head_count", &lists.heads, err));
    LM_TRY(read_varied_list(gguf, h, "attention.head_count_kv", &lists.kv_heads, err));
    LM_TRY(read_varied_list(gguf, h, "feed_forward_length", &lists.widths, err));
    if (lists.heads.n == 0)
        LM_TRY(read_i64(gguf, h, "attention.head_count", &lists.n_heads, err));
    if (lists.kv_heads.n == 0)
        LM_TRY(read_i64_or(gguf, h, "attention.head_count_kv", lists.n_heads, &lists.n_kv_heads,
                           err));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++)
        LM_TRY(read_varied_layer(gguf, h, &lists, i, err));
    return lists.widths.n > 0 ? LOAM_OK : read_alike_or(gguf, h, "feed_forward_length", 0, &h->ffn_dim, err);
}

/* MiniMax-M3's indexer chooses among blocks, and is passed over; of as many as it may choose it takes all. */
static LM_MUST_USE loam_status read_blocks_chosen(const lm_gguf *gguf, const lm_arch *arch,
                                                  lm_hparams *h, loam_error *err) {
    int64_t n, block;
    if (!arch || !arch->blocks_chosen) return LOAM_OK;
    LM_TRY(read_i64_or(gguf, h, "attention.indexer.top_k", 0, &n, err));
    LM_TRY(read_i64_or(gguf, h, "attention.indexer.block_size", 1, &block, err));
    if (block < 1 || n < 0 || n > INT32_MAX / block)
        return lm_error_set(err, LOAM_INVALID, "%s: an indexer chooses %lld blocks of %lld",
                            lm_gguf_path(gguf), (long long)n, (long long)block);
    if (n > 0 && n * block < h->context_len) h->context_len = n * block;
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_loops(const lm_gguf *gguf, lm_hparams *h, loam_error *err) {
    char key[KEY_BYTES];
    LM_TRY(read_i64_or(gguf, h, "num_loops", 1, &h->n_loops, err));
    LM_TRY(lm_gguf_bool_or(gguf, full_key(h, "skip_loop_final_norm", key), false,
                           &h->loops_unnormed, err));
    if (h->n_loops < 1 || h->n_loops > LM_MAX_LAYERS || h->n_layers > LM_MAX_LAYERS)
        return lm_error_set(err, LOAM_INVALID, "%s: %lld layers run %lld times", lm_gguf_path(gguf),
                            (long long)h->n_layers, (long long)h->n_loops);
    h->n_layers *= h->n_loops;
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_sizes(const lm_gguf *gguf, lm_hparams *h, loam_error *err) {
    lm_gguf_array tokens;
    LM_TRY(read_i64(gguf, h, "block_count", &h->n_layers, err));
    LM_TRY(read_i64_or(gguf, h, "nextn_predict_layers", 0, &h->n_guess_layers, err));
    if (h->n_guess_layers > 0 && h->n_guess_layers < h->n_layers) h->n_layers -= h->n_guess_layers;
    LM_TRY(read_i64(gguf, h, "embedding_length", &h->dim, err));
    const lm_arch *arch = lm_arch_find(h->architecture);
    if (arch && arch->looped) LM_TRY(read_loops(gguf, h, err));
    lm_gguf_array heads, kv_heads;
    LM_TRY(read_list(gguf, h, "attention.head_count", &heads, err));
    LM_TRY(read_list(gguf, h, "attention.head_count_kv", &kv_heads, err));
    bool varied = arch && (arch->varied || arch->heads_listed) && heads.n + kv_heads.n > 0;
    if (varied) {
        LM_TRY(read_varied(gguf, h, err));
    } else {
        LM_TRY(read_i64(gguf, h, "attention.head_count", &h->n_heads, err));
        LM_TRY(read_kv_heads(gguf, h, err));
    }
    LM_TRY(read_i64_or(gguf, h, "attention.key_length", h->n_heads > 0 ? h->dim / h->n_heads : 0,
                       &h->head_dim, err));
    LM_TRY(read_i64_or(gguf, h, "attention.value_length", h->head_dim, &h->value_dim, err));
    if (h->value_dim == h->head_dim) h->value_dim = 0;
    LM_TRY(read_i64_or(gguf, h, "rope.dimension_count", h->head_dim, &h->rope_dim, err));
    if (arch && arch->gguf_local_rope)
        h->rope_dim = (int64_t)((double)h->rope_dim * arch->rope_fraction);
    h->lone_blocks = arch && arch->lone_blocks;
    if (h->lone_blocks && !arch->no_attention)
        LM_TRY(read_lone_mlps(gguf, h, err));
    else if (!varied)
        LM_TRY(read_ffn(gguf, h, err));
    if (arch && arch->ffn_halved) h->ffn_dim /= 2;
    LM_TRY(read_i64(gguf, h, "context_length", &h->context_len, err));
    LM_TRY(read_blocks_chosen(gguf, arch, h, err));
    LM_TRY(lm_gguf_array_or_empty(gguf, "tokenizer.ggml.tokens", LM_GGUF_STRING, &tokens, err));
    LM_TRY(read_i64_or(gguf, h, "vocab_size", (int64_t)tokens.n, &h->vocab_size, err));
    LM_TRY(read_i64_or(gguf, h, "embedding_length_per_layer_input", 0, &h->layer_input_dim, err));
    h->layer_vocab_size = h->vocab_size;
    LM_TRY(read_f64_or(gguf, h, "attention.layer_norm_epsilon", 1e-6, &h->rms_norm_eps, err));
    char key[KEY_BYTES];
    h->layer_norms = arch && (arch->optional & LM_FEATURE_LAYER_NORM) &&
                     !lm_gguf_find(gguf, full_key(h, "attention.layer_norm_rms_epsilon", key));
    return read_f64_or(gguf, h, "attention.layer_norm_rms_epsilon", h->rms_norm_eps,
                       &h->rms_norm_eps, err);
}

/* A list of layers: an array of bools, or of numbers, or a period; by the family's period where the file has none. */
static LM_MUST_USE loam_status read_windowed(const lm_gguf *gguf, const lm_arch *arch,
                                             lm_hparams *h, loam_error *err) {
    char key[KEY_BYTES];
    int64_t period = arch->window_period;
    full_key(h, "attention.sliding_window_pattern", key);
    const lm_gguf_value *value = lm_gguf_find(gguf, key);
    lm_gguf_array listed = {0};
    bool numbers = value && value->type == LM_GGUF_ARRAY && value->array.type != LM_GGUF_BOOL;
    if (numbers)
        LM_TRY(read_list(gguf, h, "attention.sliding_window_pattern", &listed, err));
    else if (value && value->type == LM_GGUF_ARRAY)
        LM_TRY(lm_gguf_array_or_empty(gguf, key, LM_GGUF_BOOL, &listed, err));
    else
        LM_TRY(lm_gguf_i64_or(gguf, key, period, &period, err));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        bool windowed = (size_t)i >= listed.n ? lm_arch_windows(arch, period, i)
                        : numbers             ? lm_gguf_array_i32(&listed, (size_t)i) != 0
                                              : lm_gguf_array_bool(&listed, (size_t)i);
        if (windowed) lm_layer_add(&h->windowed, i);
    }
    return LOAM_OK;
}

/* A list of layers, or each how many-th attends; short convolutions are where there are no heads of keys (read_kv_heads). */
static LM_MUST_USE loam_status read_recurrent_layers(const lm_gguf *gguf, lm_hparams *h,
                                                     int64_t usual, loam_error *err) {
    char key[KEY_BYTES];
    lm_gguf_array listed;
    int64_t period;
    full_key(h, "attention.recurrent_layers", key);
    LM_TRY(lm_gguf_array_or_empty(gguf, key, LM_GGUF_BOOL, &listed, err));
    LM_TRY(read_i64_or(gguf, h, "full_attention_interval", usual, &period, err));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        bool recurrent = (size_t)i < listed.n ? lm_gguf_array_bool(&listed, (size_t)i)
                                              : period > 0 && (i + 1) % period != 0;
        if (recurrent) lm_layer_add(&h->recurrent, i);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_sections(const lm_gguf *gguf, lm_hparams *h, loam_error *err) {
    char key[KEY_BYTES];
    lm_gguf_array listed;
    full_key(h, "rope.dimension_sections", key);
    LM_TRY(lm_gguf_array_or_empty(gguf, key, LM_GGUF_I32, &listed, err));
    for (size_t i = 0; i < listed.n && i < LM_COUNT_OF(h->rope_sections); i++)
        h->rope_sections[i] = lm_gguf_array_i32(&listed, i);
    return LOAM_OK;
}

/* Mamba 1's. Of Falcon Mamba's norms without weights files say that there are some, and not that their epsilon is another. */
static LM_MUST_USE loam_status read_selective(const lm_gguf *gguf, const lm_arch *arch,
                                              lm_hparams *h, loam_error *err) {
    char key[KEY_BYTES];
    bool normed;
    LM_TRY(read_i64(gguf, h, "ssm.time_step_rank", &h->step_latent_dim, err));
    LM_TRY(read_i64(gguf, h, "ssm.inner_size", &h->state_heads, err));
    LM_TRY(lm_gguf_bool_or(gguf, full_key(h, "ssm.dt_b_c_rms", key), false, &normed, err));
    h->channel_states = true;
    h->state_key_heads = h->state_value_dim = 1;
    bool weighted = arch->features & LM_FEATURE_SCAN_NORM;
    h->scan_norm_eps = weighted ? h->rms_norm_eps : normed ? 1e-6 : 0;
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_state_sizes(const lm_gguf *gguf, lm_hparams *h,
                                                loam_error *err) {
    int64_t n_values;
    LM_TRY(read_i64(gguf, h, "ssm.group_count", &h->state_key_heads, err));
    LM_TRY(read_i64(gguf, h, "ssm.time_step_rank", &h->state_heads, err));
    LM_TRY(read_i64(gguf, h, "ssm.inner_size", &n_values, err));
    if (h->state_heads < 1 || n_values % h->state_heads != 0)
        return lm_error_set(err, LOAM_INVALID, "%s: %lld heads of states have %lld values",
                            lm_gguf_path(gguf), (long long)h->state_heads, (long long)n_values);
    h->state_value_dim = n_values / h->state_heads;
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_key_steps(const lm_gguf *gguf, lm_hparams *h, loam_error *err) {
    LM_TRY(read_i64(gguf, h, "kda.head_dim", &h->state_key_dim, err));
    double low; /* Ling's, whose steps come of one product */
    bool bounded;
    char key[KEY_BYTES];
    LM_TRY(read_f64_or(gguf, h, "kda.gate_lower_bound", 0, &low, err));
    LM_TRY(lm_gguf_bool_or(gguf, full_key(h, "kda.safe_gate", key), low < 0, &bounded, err));
    h->state_heads = h->state_key_heads = h->n_heads;
    h->state_value_dim = h->state_key_dim;
    const lm_arch *arch = lm_arch_find(h->architecture);
    h->step_latent_dim = low < 0 && !arch->whole_state_gates ? 0 : h->state_key_dim;
    h->step_bound = bounded && low < 0 ? -low : 0;
    return LOAM_OK;
}

/* Kimi's recurrent layers are those without heads of keys (read_kv_heads). */
static LM_MUST_USE loam_status read_states(const lm_gguf *gguf, const lm_arch *arch, lm_hparams *h,
                                           loam_error *err) {
    if (arch->features & LM_FEATURE_KEY_STEPS) return read_key_steps(gguf, h, err);
    if (arch->features & LM_FEATURE_DELTA) LM_TRY(read_recurrent_layers(gguf, h, 4, err));
    LM_TRY(read_i64(gguf, h, "ssm.state_size", &h->state_key_dim, err));
    bool selective = arch->features & LM_FEATURE_SCAN;
    return selective ? read_selective(gguf, arch, h, err) : read_state_sizes(gguf, h, err);
}

static LM_MUST_USE loam_status read_recurrent(const lm_gguf *gguf, const lm_arch *arch,
                                              lm_hparams *h, loam_error *err) {
    LM_TRY(read_i64_or(gguf, h, "shortconv.l_cache", 0, &h->conv_taps, err));
    if (arch->features & LM_FEATURE_DECAY) {
        h->state_heads = h->state_key_heads = h->n_heads;
        h->state_key_dim = h->state_value_dim = h->head_dim;
        return read_recurrent_layers(gguf, h, 8, err);
    }
    if (!(arch->features & LM_FEATURE_STATES)) return LOAM_OK;
    LM_TRY(read_i64(gguf, h, "ssm.conv_kernel", &h->conv_taps, err));
    LM_TRY(read_states(gguf, arch, h, err));
    h->side_by_side = arch->side_by_side;
    bool all = arch->side_by_side || arch->no_attention;
    for (int64_t i = 0; all && i < h->n_layers && i < LM_MAX_LAYERS; i++)
        lm_layer_add(&h->recurrent, i);
    h->states_unnormed =
        h->side_by_side && !lm_stored_tensors_find(lm_gguf_tensors(gguf), "blk.0.ssm_norm.weight");
    LM_TRY(read_sections(gguf, h, err));
    h->state_tiled = arch->gguf_tiled;
    return LOAM_OK;
}

static bool has_layer_tensor(const lm_gguf *gguf, lm_param_id id, int64_t layer) {
    char name[LM_PARAM_NAME_BYTES];
    lm_param_name(id, layer, LM_NAMING_GGUF, name);
    return lm_stored_tensors_find(lm_gguf_tensors(gguf), name) != NULL;
}

/* Heads of keys in one layer: a number, or one for each. */
static LM_MUST_USE loam_status read_kv_heads_at(const lm_gguf *gguf, const lm_hparams *h,
                                                int64_t layer, int64_t *out, loam_error *err) {
    lm_gguf_array list;
    LM_TRY(read_list(gguf, h, "attention.head_count_kv", &list, err));
    if (list.n == 0)
        return read_i64_or(gguf, h, "attention.head_count_kv", h->n_heads, out, err);
    *out = layer < (int64_t)list.n ? lm_gguf_array_i32(&list, (size_t)layer) : 0;
    return LOAM_OK;
}

/* Heads of keys of layers with a window and without. */
static LM_MUST_USE loam_status read_heads_of_kinds(const lm_gguf *gguf, lm_hparams *h,
                                                   loam_error *err) {
    int64_t n;
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        int64_t *of_kind = lm_layer_in(&h->windowed, i) ? &h->local_kv_heads : &h->n_kv_heads;
        LM_TRY(read_kv_heads_at(gguf, h, i, &n, err));
        if (*of_kind != 0 && *of_kind != n)
            return lm_error_set(err, LOAM_UNSUPPORTED,
                                "%s: layers of one kind have %lld and %lld key-value heads",
                                lm_gguf_path(gguf), (long long)*of_kind, (long long)n);
        *of_kind = n;
    }
    return LOAM_OK;
}

/* Gemma 4's of layers with a window and without. */
static LM_MUST_USE loam_status read_local_heads(const lm_gguf *gguf, const lm_arch *arch,
                                                lm_hparams *h, loam_error *err) {
    if (!arch->local_heads) return LOAM_OK;
    LM_TRY(read_i64(gguf, h, "attention.key_length_swa", &h->local_head_dim, err));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        if (i < own_layers(h) && !has_layer_tensor(gguf, LM_PARAM_V, i))
            lm_layer_add(&h->keys_are_values, i);
    }
    return read_heads_of_kinds(gguf, h, err);
}

/* Gemma 3n's; layers whose gates are not cut are said to cut them at minus infinity. */
static LM_MUST_USE loam_status read_streams(const lm_gguf *gguf, const lm_arch *arch,
                                            lm_hparams *h, loam_error *err) {
    char key[KEY_BYTES];
    lm_gguf_array list;
    int64_t active;
    if (arch->features & LM_FEATURE_HYPER) {
        LM_TRY(read_i64(gguf, h, "hyper_connection.count", &h->n_streams, err));
        LM_TRY(read_i64_or(gguf, h, "hyper_connection.sinkhorn_iterations", 0, &h->stream_rounds,
                           err));
        LM_TRY(read_f64_or(gguf, h, "hyper_connection.epsilon", 1e-6, &h->hyper_eps, err));
        return read_f64_or(gguf, h, "hyper_connection.magnitude", 2, &h->hyper_scale, err);
    }
    if (!(arch->features & LM_FEATURE_ALTUP)) return LOAM_OK;
    LM_TRY(read_i64(gguf, h, "altup.num_inputs", &h->n_streams, err));
    LM_TRY(read_i64_or(gguf, h, "altup.active_idx", 0, &active, err));
    if (h->n_streams < 2 || active != 0)
        return lm_error_set(err, LOAM_UNSUPPORTED, "%s: stream %lld of %lld is computed",
                            lm_gguf_path(gguf), (long long)active, (long long)h->n_streams);
    LM_TRY(lm_gguf_array_or_empty(gguf, full_key(h, "activation_sparsity_scale", key), LM_GGUF_F32,
                                  &list, err));
    for (size_t i = 0; i < list.n && i < LM_MAX_LAYERS; i++) {
        double cutoff = lm_gguf_array_f32(&list, i);
        if (cutoff == -INFINITY) continue;
        if (h->gate_cutoff != 0 && cutoff != h->gate_cutoff)
            return not_alike(gguf, h, "activation_sparsity_scale", "layers that cut gates", err);
        h->gate_cutoff = cutoff;
        lm_layer_add(&h->cut_gates, (int64_t)i);
    }
    return LOAM_OK;
}

/* Granite's list of layers with rope. */
static LM_MUST_USE loam_status read_listed_ropes(const lm_gguf *gguf, lm_hparams *h,
                                                 loam_error *err) {
    char key[KEY_BYTES];
    lm_gguf_array listed;
    full_key(h, "attention.rope_pattern", key);
    LM_TRY(lm_gguf_array_or_empty(gguf, key, LM_GGUF_BOOL, &listed, err));
    for (size_t i = 0; i < listed.n && i < LM_MAX_LAYERS; i++)
        if (!lm_gguf_array_bool(&listed, i)) lm_layer_add(&h->no_rope, (int64_t)i);
    return LOAM_OK;
}

/* Step's bounds of gates: one of all layers, or one of each. */
static LM_MUST_USE loam_status read_limits(const lm_gguf *gguf, const lm_hparams *h,
                                           const char *name, float *out, loam_error *err) {
    char key[KEY_BYTES];
    lm_gguf_array list = {0};
    double of_all = 0;
    const lm_gguf_value *value = lm_gguf_find(gguf, full_key(h, name, key));
    if (value && value->type == LM_GGUF_ARRAY)
        LM_TRY(lm_gguf_array_or_empty(gguf, key, LM_GGUF_F32, &list, err));
    else
        LM_TRY(read_f64_or(gguf, h, name, 0, &of_all, err));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_VARIED_LAYERS; i++) {
        out[i] = (size_t)i < list.n ? lm_gguf_array_f32(&list, (size_t)i) : (float)of_all;
        if (out[i] != 0 && !(out[i] >= 0.3f))
            return lm_error_set(err, LOAM_UNSUPPORTED, "%s: '%s' of layer %lld is %g",
                                lm_gguf_path(gguf), key, (long long)i, (double)out[i]);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_layers(const lm_gguf *gguf, const lm_arch *arch, lm_hparams *h,
                                           loam_error *err) {
    LM_TRY(read_i64_or(gguf, h, "attention.sliding_window", arch->chunk, &h->window, err));
    h->chunked_windows = arch->chunk > 0;
    if (h->window > 0) LM_TRY(read_windowed(gguf, arch, h, err));
    LM_TRY(read_local_heads(gguf, arch, h, err));
    if (arch->local_kv_factor > 0) LM_TRY(read_heads_of_kinds(gguf, h, err));
    if (arch->local_ropes) h->local_kv_heads = h->n_kv_heads;
    if (arch->local_kv_factor > 0 || arch->local_ropes) {
        h->local_head_dim = h->head_dim;
        h->local_rope_dim = h->rope_dim;
    }
    if (arch->local_ropes)
        LM_TRY(read_i64_or(gguf, h, "rope.dimension_count_swa", h->head_dim, &h->local_rope_dim, err));
    LM_TRY(read_limits(gguf, h, "swiglu_clamp_exp", h->expert_limits, err));
    LM_TRY(read_limits(gguf, h, "swiglu_clamp_shexp", h->mlp_limits, err));
    LM_TRY(read_streams(gguf, arch, h, err));
    LM_TRY(read_f64_or(gguf, h, "rope.freq_base_swa", arch->local_rope_theta, &h->local_rope_theta,
                       err));
    bool trained; /* with rope: those that some are without for say it so */
    char key[KEY_BYTES];
    LM_TRY(lm_gguf_bool_or(gguf, full_key(h, "rope.scaling.finetuned", key), true, &trained, err));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++)
        if (arch->no_rope || (arch->rope_if_said && !trained) ||
            (arch->no_rope_period > 0 && (i + 1) % arch->no_rope_period == 0))
            lm_layer_add(&h->no_rope, i);
    return arch->gguf_ropes_listed ? read_listed_ropes(gguf, h, err) : LOAM_OK;
}

/* The largest Gemmas of their generations scale scores by what heads would be as shares of the width. */
double lm_hparams_gguf_scale(const char *architecture, const lm_hparams *h) {
    lm_str name = lm_str_of(architecture);
    bool largest = (lm_str_is(name, "gemma2") && h->n_layers == 46) ||
                   (lm_str_is(name, "gemma3") && h->n_layers == 62);
    return largest ? 1 / sqrt((double)h->dim / (double)h->n_heads) : 0;
}

/* Jina's of code has gate and up the other way round than its family's others, which llama.cpp does not heed. */
static LM_MUST_USE loam_status check_jina(const lm_gguf *gguf, const lm_arch *arch,
                                          loam_error *err) {
    if (!(arch->optional & LM_FEATURE_RENORM) || !has_layer_tensor(gguf, LM_PARAM_RENORM, 0))
        return LOAM_OK;
    lm_error_set(err, LOAM_UNSUPPORTED, "%s: two norms behind attention", lm_gguf_path(gguf));
    return lm_error_hint(err, LOAM_UNSUPPORTED,
                         "such files do not say which half of ffn_up is the gate; use the folder");
}

/* What all weights of queries' norms are, where folders say it by a number; 0: they differ. */
static double said_norm(const lm_gguf *gguf, const lm_hparams *h) {
    char name[LM_PARAM_NAME_BYTES];
    float of_all = 0;
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        lm_param_name(LM_PARAM_Q_NORM, i, LM_NAMING_GGUF, name);
        const lm_stored_tensor *tensor = lm_stored_tensors_find(lm_gguf_tensors(gguf), name);
        if (!tensor || !tensor->type->is_loadable || tensor->type->dtype != LM_F32) return 0;
        for (int64_t e = 0; e < lm_stored_tensor_n_elems(tensor); e++) {
            float weight = ((const float *)tensor->data)[e];
            if (of_all == 0) of_all = weight;
            if (weight != of_all) return 0;
        }
    }
    return of_all;
}

static LM_MUST_USE loam_status read_numbers(const lm_gguf *gguf, const lm_arch *arch, lm_hparams *h,
                                            loam_error *err) {
    double embedding = arch->embed_scale_sqrt_dim ? sqrt((double)h->dim) : 0;
    double scale = lm_hparams_gguf_scale(h->architecture, h);
    if (!(scale > 0)) scale = arch->attention_scale;
    if (arch->scaled_by_width && h->head_dim > 0) scale = 1 / (double)h->head_dim;
    LM_TRY(read_f64_or(gguf, h, "attention.scale", scale, &h->attention_scale, err));
    LM_TRY(read_f64_or(gguf, h, "attention.output_scale", h->attention_scale, &h->attention_scale,
                       err)); /* Grok's, of scores as well */
    LM_TRY(read_f64_or(gguf, h, "attention.value_scale", 0, &h->value_scale, err));
    LM_TRY(read_f64_or(gguf, h, "attention.max_alibi_bias", arch->alibi ? 8 : 0, &h->alibi_max, err));
    h->growth_unturned = arch->chunk > 0;
    LM_TRY(read_f64_or(gguf, h, "attention.temperature_scale", h->growth_unturned ? 0.1 : 0,
                       &h->query_growth, err));
    LM_TRY(read_i64_or(gguf, h, "attention.temperature_length", arch->chunk, &h->query_stretch, err));
    LM_TRY(read_f64_or(gguf, h, "activation.situ_beta", 0, &h->gate_bound, err));
    LM_TRY(read_f64_or(gguf, h, "activation.situ_linear_beta", 0, &h->up_bound, err));
    if (h->up_bound < 0) h->up_bound = 0; /* as llama.cpp has it */
    LM_TRY(read_i64_or(gguf, h, "attn_res.block_size", 0, &h->recall_period, err));
    LM_TRY(read_f64_or(gguf, h, "attn_logit_softcapping", 0, &h->attention_soft_cap, err));
    LM_TRY(read_f64_or(gguf, h, "final_logit_softcapping", 0, &h->logit_soft_cap, err));
    LM_TRY(read_f64_or(gguf, h, "attention.clamp_kqv", 0, &h->qkv_clip, err));
    LM_TRY(read_f64_or(gguf, h, "embedding_scale", embedding, &h->embedding_scale, err));
    LM_TRY(read_f64_or(gguf, h, "residual_scale", 0,
                       arch->norms_stream ? &h->stream_scale : &h->residual_scale, err));
    LM_TRY(read_f64_or(gguf, h, "logit_scale", 0, &h->logit_scale, err));
    if (arch->logit_divisor && h->logit_scale > 0) h->logit_scale = 1 / h->logit_scale;
    if (arch->hf_norms_said) h->query_norm = said_norm(gguf, h);
    h->post_norm_eps = arch->post_norm_eps;
    if (arch->pooler_normed) { /* the first files of rerankers do not say it */
        int64_t pooling;
        LM_TRY(read_i64_or(gguf, h, "classifier.pooling_type", 1, &pooling, err));
        h->scores_mean = pooling == 1;
    }
    bool parallel;
    char key[KEY_BYTES];
    LM_TRY(lm_gguf_bool_or(gguf, full_key(h, "use_parallel_residual", key), true, &parallel, err));
    h->serial_residual = !parallel;
    bool causal;
    LM_TRY(lm_gguf_bool_or(gguf, full_key(h, "attention.causal", key), !arch->bidirectional,
                           &causal, err));
    h->bidirectional = !causal;
    return LOAM_OK;
}

/* Among the models that are deepseek2 in GGUF those whose experts have sigmoids, which some files do not say. */
static bool chooses_by_bias(const lm_gguf *gguf, const lm_arch *arch, const lm_hparams *h) {
    char name[LM_PARAM_NAME_BYTES];
    if (arch->dialect != LM_DIALECT_DEEPSEEK) return false;
    lm_param_name(LM_PARAM_CHOICE_BIAS, h->n_layers - 1, LM_NAMING_GGUF, name);
    return lm_stored_tensors_find(lm_gguf_tensors(gguf), name) != NULL;
}

/* Those that the file says, and those that have a dense MLP instead of a router, as HY 3's files leave it. */
static LM_MUST_USE loam_status read_dense_layers(const lm_gguf *gguf, lm_hparams *h,
                                                 loam_error *err) {
    int64_t leading, period;
    LM_TRY(read_i64_or(gguf, h, "leading_dense_block_count", 0, &leading, err));
    LM_TRY(read_i64_or(gguf, h, "interleave_moe_layer_step", 1, &period, err));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++)
        if (i < leading || (period > 1 && (i + 1) % period != 0) ||
            (has_layer_tensor(gguf, LM_PARAM_UP, i) && !has_layer_tensor(gguf, LM_PARAM_ROUTER, i)))
            lm_layer_add(&h->dense_layers, i);
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_experts(const lm_gguf *gguf, const lm_arch *arch, lm_hparams *h,
                                            loam_error *err) {
    enum { GATE_SOFTMAX = 1, GATE_SIGMOID = 2, GATE_ROOT_OF_SOFTPLUS = 4 };
    char key[KEY_BYTES];
    int64_t n_shared, gate;
    LM_TRY(read_i64_or(gguf, h, "expert_count", 0, &h->n_experts, err));
    if (h->n_experts == 1 && arch->one_expert_is_none) h->n_experts = 0;
    if (h->n_experts == 0) return LOAM_OK;
    LM_TRY(read_i64(gguf, h, "expert_used_count", &h->n_experts_used, err));
    LM_TRY(read_i64_or(gguf, h, "expert_latent_length", 0, &h->expert_latent_dim, err));
    LM_TRY(read_i64_or(gguf, h, "expert_feed_forward_length", h->ffn_dim, &h->expert_ffn_dim, err));
    if (h->ffn_dim == 0) h->ffn_dim = h->expert_ffn_dim; /* where no layer is dense */
    LM_TRY(read_i64_or(gguf, h, "expert_shared_count", arch->n_shared_experts, &n_shared, err));
    h->expert_jitter = arch->expert_jitter;
    h->unit_heads = arch->unit_heads && h->n_experts != 128; /* Llama 4 Maverick */
    if (n_shared > 0 && n_shared < 1024) h->shared_ffn_dim = n_shared * h->expert_ffn_dim;
    if (arch->features & LM_FEATURE_EXPERTS_BESIDE) h->shared_ffn_dim = h->ffn_dim;
    if (arch->features & LM_FEATURE_ENTRY_EXPERTS) h->shared_ffn_dim = h->dim;
    LM_TRY(read_i64_or(gguf, h, "expert_shared_feed_forward_length", h->shared_ffn_dim,
                       &h->shared_ffn_dim, err));
    LM_TRY(read_dense_layers(gguf, h, err));
    LM_TRY(read_i64_or(gguf, h, "expert_group_count", 0, &h->n_expert_groups, err));
    LM_TRY(read_i64_or(gguf, h, "expert_group_used_count", 0, &h->n_expert_groups_used, err));
    LM_TRY(read_f64_or(gguf, h, "expert_weights_scale", 0, &h->expert_weight_scale, err));
    LM_TRY(lm_gguf_bool_or(gguf, full_key(h, "expert_weights_norm", key), arch->expert_normalize,
                           &h->expert_normalize, err));
    bool sigmoid = arch->expert_sigmoid || chooses_by_bias(gguf, arch, h);
    LM_TRY(read_i64_or(gguf, h, "expert_gating_func", sigmoid ? GATE_SIGMOID : GATE_SOFTMAX, &gate,
                       err));
    h->expert_sigmoid = gate == GATE_SIGMOID;
    h->expert_softplus = gate == GATE_ROOT_OF_SOFTPLUS;
    if (arch->shared_averaged && h->shared_ffn_dim > 0) h->mixture_scale = 0.5;
    if (arch->shared_averaged) h->expert_normalize |= !h->expert_sigmoid;
    return LOAM_OK;
}

/* First files of MiniCPM and of Grok lack the numbers that all their models had then. */
static void fill_numbers(lm_hparams *h) {
    if (h->embedding_scale > 0) return;
    if (lm_str_is(lm_str_of(h->architecture), "minicpm") ||
        lm_str_is(lm_str_of(h->architecture), "minicpm3")) {
        h->embedding_scale = 12;
        h->residual_scale = 1.4 / sqrt((double)h->n_layers);
        h->logit_scale = 256 / (double)h->dim;
    } else if (lm_str_is(lm_str_of(h->architecture), "grok")) {
        h->embedding_scale = 78.38367176906169;
        h->logit_scale = 0.5773502691896257;
        h->attention_scale = 0.08838834764831845;
        h->attention_soft_cap = 30;
    }
}

static LM_MUST_USE loam_status read_scaling(const lm_gguf *gguf, lm_hparams *h, loam_error *err) {
    lm_rope_scaling *scaling = &h->rope_scaling;
    char key[KEY_BYTES];
    lm_str kind;
    double old_linear; /* how the factor was written before scaling had kinds */
    LM_TRY(read_f64_or(gguf, h, "rope.scale_linear", 1, &old_linear, err));
    LM_TRY(lm_gguf_str_or(gguf, full_key(h, "rope.scaling.type", key),
                          old_linear == 1 ? LM_STR("none") : LM_STR("linear"), &kind, err));
    LM_TRY(lm_rope_scaling_parse(kind, lm_gguf_path(gguf), &scaling->kind, err));
    LM_TRY(read_f64_or(gguf, h, "rope.scaling.factor", old_linear, &scaling->factor, err));
    LM_TRY(read_i64_or(gguf, h, "rope.scaling.original_context_length", 0,
                       &scaling->original_context_len, err));
    LM_TRY(read_f64_or(gguf, h, "rope.scaling.yarn_beta_fast", 32, &scaling->beta_fast, err));
    LM_TRY(read_f64_or(gguf, h, "rope.scaling.yarn_beta_slow", 1, &scaling->beta_slow, err));
    return read_f64_or(gguf, h, "rope.scaling.attn_factor", 0, &scaling->attention_factor, err);
}

/* Multi-head latent attention. Files say what a head has as key_length_mla and value_length_mla; the first ones, which have keys and
 * values of all heads in one matrix, as key_length and value_length. */
static LM_MUST_USE loam_status read_latent(const lm_gguf *gguf, lm_hparams *h, loam_error *err) {
    double weight; /* config.json's mscale_all_dim, of latent attention a tenth; in published ones mscale is the same */
    int64_t key;
    LM_TRY(read_f64_or(gguf, h, "rope.scaling.yarn_log_multiplier", 0, &weight, err));
    h->rope_scaling.mscale = h->rope_scaling.mscale_all_dim = weight;
    LM_TRY(read_i64_or(gguf, h, "attention.kv_lora_rank", 0, &h->kv_latent_dim, err));
    if (h->kv_latent_dim == 0) return LOAM_OK;
    LM_TRY(read_i64_or(gguf, h, "attention.q_lora_rank", 0, &h->q_latent_dim, err));
    LM_TRY(read_i64(gguf, h, "attention.key_length", &key, err));
    LM_TRY(read_i64_or(gguf, h, "attention.value_length", h->n_heads > 0 ? h->dim / h->n_heads : 0,
                       &h->value_dim, err));
    LM_TRY(read_i64_or(gguf, h, "attention.key_length_mla", key, &key, err));
    LM_TRY(read_i64_or(gguf, h, "attention.value_length_mla", h->value_dim, &h->value_dim, err));
    h->rope_scaling.mscale = h->rope_scaling.mscale_all_dim = 10 * weight;
    h->nope_dim = h->rope_dim > 0 && key > h->rope_dim ? key - h->rope_dim : 0;
    return lm_hparams_fill_latent(h, lm_gguf_path(gguf), err);
}

/* DeepSeek-V4's attention: see hparams_hf.c. */
static LM_MUST_USE loam_status read_pooled(const lm_gguf *gguf, const lm_arch *arch, lm_hparams *h,
                                           loam_error *err) {
    char key[KEY_BYTES];
    int64_t n_by_token;
    lm_gguf_array listed;
    if (!(arch->features & LM_FEATURE_POOLED)) return LOAM_OK;
    LM_TRY(read_i64(gguf, h, "attention.q_lora_rank", &h->q_latent_dim, err));
    LM_TRY(read_i64(gguf, h, "attention.output_group_count", &h->out_groups, err));
    LM_TRY(read_i64(gguf, h, "attention.output_lora_rank", &h->out_latent_dim, err));
    LM_TRY(read_i64(gguf, h, "attention.indexer.head_count", &h->index_heads, err));
    LM_TRY(read_i64(gguf, h, "attention.indexer.key_length", &h->index_dim, err));
    LM_TRY(read_i64(gguf, h, "attention.indexer.top_k", &h->index_topk, err));
    LM_TRY(read_i64_or(gguf, h, "hash_layer_count", 0, &n_by_token, err));
    h->local_rope_theta = h->rope_theta;
    LM_TRY(read_f64_or(gguf, h, "attention.compress_rope_freq_base", h->rope_theta, &h->rope_theta,
                       err));
    h->rope_scaling.attention_factor = 1;
    full_key(h, "attention.compress_ratios", key);
    LM_TRY(read_list(gguf, h, "attention.compress_ratios", &listed, err));
    if (h->n_layers < 1 || h->n_layers > LM_MAX_VARIED_LAYERS || (int64_t)listed.n < h->n_layers)
        return lm_error_set(err, LOAM_INVALID, "%s: '%s' has %zu numbers for %lld layers",
                            lm_gguf_path(gguf), key, listed.n, (long long)h->n_layers);
    for (int64_t i = 0; i < h->n_layers; i++) {
        int64_t ratio = lm_gguf_array_i32(&listed, (size_t)i);
        if (ratio < 0 || ratio > 1 << 20)
            return lm_error_set(err, LOAM_INVALID, "%s: '%s' has %lld", lm_gguf_path(gguf), key,
                                (long long)ratio);
        lm_hparams_set_pool(h, i, ratio, ratio == 4);
        if (i < n_by_token) lm_layer_add(&h->token_routed, i);
    }
    return LOAM_OK;
}

/* Files that do not say which layers have an indexer show it. */
static LM_MUST_USE loam_status read_index(const lm_gguf *gguf, const lm_arch *arch, lm_hparams *h,
                                          loam_error *err) {
    char key[KEY_BYTES];
    lm_gguf_array listed;
    if (arch->blocks_chosen) return LOAM_OK;
    LM_TRY(read_i64_or(gguf, h, "attention.indexer.top_k", 0, &h->index_topk, err));
    if (h->index_topk == 0) return LOAM_OK;
    LM_TRY(read_i64(gguf, h, "attention.indexer.head_count", &h->index_heads, err));
    LM_TRY(read_i64(gguf, h, "attention.indexer.key_length", &h->index_dim, err));
    full_key(h, "attention.indexer.types", key);
    LM_TRY(lm_gguf_array_or_empty(gguf, key, LM_GGUF_BOOL, &listed, err));
    for (int64_t i = 0; i < h->n_layers && i < LM_MAX_LAYERS; i++) {
        bool own = (size_t)i < listed.n ? lm_gguf_array_bool(&listed, (size_t)i)
                                        : i == 0 || has_layer_tensor(gguf, LM_PARAM_INDEX_K, i);
        if (!own) lm_layer_add(&h->index_shared, i);
    }
    return LOAM_OK;
}

/* A tensor of divisors of frequencies; NULL where there is none. */
static LM_MUST_USE loam_status find_factors(const lm_gguf *gguf, const lm_hparams *h,
                                            const char *name, const float **out, loam_error *err) {
    const lm_stored_tensor *freqs = lm_stored_tensors_find(lm_gguf_tensors(gguf), name);
    *out = NULL;
    if (!freqs) return LOAM_OK;
    const lm_arch *arch = lm_arch_find(h->architecture); /* some have them as of windowed layers, too */
    int64_t longest = arch && arch->gguf_local_rope ? h->local_rope_dim : 0;
    if (!freqs->type->is_loadable || freqs->type->dtype != LM_F32 || freqs->n_dims != 1 ||
        freqs->shape[0] != (longest > 0 ? longest : h->rope_dim) / 2 ||
        freqs->shape[0] > LM_MAX_ROPE_PAIRS)
        return lm_error_set(err, LOAM_INVALID, "%s: tensor '%s' must be F32 [%lld]",
                            lm_gguf_path(gguf), name, (long long)h->rope_dim / 2);
    *out = freqs->data;
    return LOAM_OK;
}

/* How many leading pairs turn as they are where the others do not at all; 0: these are other
 * factors. */
static int64_t turning_of(const float *factors, int64_t n_pairs) {
    int64_t n = 0;
    while (factors && n < n_pairs && factors[n] == 1) n++;
    for (int64_t i = n; i < n_pairs; i++)
        if (!factors || factors[i] < LM_NO_TURN) return 0;
    return n < n_pairs ? n : 0;
}

static LM_MUST_USE loam_status read_freq_factors(const lm_gguf *gguf, lm_hparams *h,
                                                 loam_error *err) {
    const float *longer, *shorter;
    size_t bytes = (size_t)h->rope_dim / 2 * sizeof(float);
    LM_TRY(find_factors(gguf, h, "rope_freqs.weight", &h->rope_freq_factors, err));
    h->turning_pairs = turning_of(h->rope_freq_factors, h->rope_dim / 2);
    if (h->turning_pairs > 0) h->rope_freq_factors = NULL;
    LM_TRY(find_factors(gguf, h, "rope_factors_long.weight", &longer, err));
    LM_TRY(find_factors(gguf, h, "rope_factors_short.weight", &shorter, err));
    if (!longer || !shorter) return LOAM_OK;
    h->rope_scaling.kind = LM_ROPE_SCALING_LONGROPE; /* files need not say it */
    memcpy(h->rope_scaling.long_factors, longer, bytes);
    memcpy(h->rope_scaling.short_factors, shorter, bytes);
    return LOAM_OK;
}

/* Files of the few families that differ in it say the activation; T5's with gates have another. */
static LM_MUST_USE loam_status read_act(const lm_gguf *gguf, const lm_arch *arch, lm_hparams *h,
                                        loam_error *err) {
    char key[KEY_BYTES];
    lm_str act;
    int64_t n_spans;
    LM_TRY(
        read_i64_or(gguf, h, "attention.relative_buckets_count", LM_DISTANCE_SPANS, &n_spans, err));
    if (n_spans != LM_DISTANCE_SPANS)
        return lm_error_set(err, LOAM_UNSUPPORTED, "%s: %lld spans of distances",
                            lm_gguf_path(gguf), (long long)n_spans);
    if (arch->dialect == LM_DIALECT_T5 &&
        lm_stored_tensors_find(lm_gguf_tensors(gguf), "enc.blk.0.ffn_gate.weight"))
        snprintf(h->hidden_act, sizeof h->hidden_act, "%s", LM_T5_GATE_ACT);
    LM_TRY(lm_gguf_str_or(gguf, full_key(h, "hidden_act", key), lm_str_of(h->hidden_act), &act, err));
    if (act.len >= sizeof h->hidden_act)
        return lm_error_set(err, LOAM_INVALID, "%s: '%s' is too long", lm_gguf_path(gguf), key);
    memmove(h->hidden_act, act.ptr, act.len);
    h->hidden_act[act.len] = '\0';
    return LOAM_OK;
}

loam_status lm_hparams_from_gguf(const lm_gguf *gguf, lm_hparams *out, loam_error *err) {
    const lm_stored_tensors *tensors = lm_gguf_tensors(gguf);
    static const lm_arch unknown = {0};
    lm_hparams h = {0};
    LM_TRY(read_architecture(gguf, &h, err));
    const lm_arch *arch = lm_arch_find(h.architecture);
    if (!arch) arch = &unknown;
    /* The format does not say: a family's convention. */
    snprintf(h.hidden_act, sizeof h.hidden_act, "%s", arch->act ? arch->act : "silu");
    LM_TRY(read_act(gguf, arch, &h, err));
    LM_TRY(read_sizes(gguf, &h, err));
    LM_TRY(read_layers(gguf, arch, &h, err));
    LM_TRY(read_recurrent(gguf, arch, &h, err));
    LM_TRY(read_numbers(gguf, arch, &h, err));
    LM_TRY(check_jina(gguf, arch, err));
    LM_TRY(read_experts(gguf, arch, &h, err));
    fill_numbers(&h);
    LM_TRY(read_f64_or(gguf, &h, "rope.freq_base", 10000, &h.rope_theta, err));
    LM_TRY(read_scaling(gguf, &h, err));
    lm_arch_settle_layers(arch, &h);
    LM_TRY(read_latent(gguf, &h, err));
    LM_TRY(read_pooled(gguf, arch, &h, err));
    if (h.out_groups == 0) LM_TRY(read_index(gguf, arch, &h, err));
    LM_TRY(lm_hparams_check(&h, lm_gguf_path(gguf), err));
    LM_TRY(read_freq_factors(gguf, &h, err));
    h.rope_scaling.exact_bounds = arch->yarn_exact;
    char sections[KEY_BYTES]; /* of GLM-4V, whose heads' pairs lie apart, GLM-4's by turns */
    bool in_sections =
        lm_gguf_find(gguf, full_key(&h, "rope.dimension_sections", sections)) != NULL;
    h.rope_layout =
        arch->gguf_interleaved && !in_sections ? LM_ROPE_INTERLEAVED : LM_ROPE_HALF_SPLIT;
    h.tied_embeddings = !lm_stored_tensors_find(tensors, "output.weight");
    h.attention_bias = lm_stored_tensors_find(tensors, "blk.0.attn_q.bias") != NULL;
    h.mlp_bias = lm_stored_tensors_find(tensors, "blk.0.ffn_down.bias") != NULL;
    *out = h;
    return LOAM_OK;
}
