#include "model/footprint.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "compute/measure.h"
#include "model/embedder.h"

/* --- Weights. */

static size_t stored_bytes(const lm_weight *weight) {
    int64_t n = 1;
    for (int i = 0; i < weight->n_dims; i++) n *= weight->shape[i];
    return lm_dtype_bytes(weight->dtype, n);
}

/* Of a matrix of which n_rows rows are looked up, all over it: each brings what the system maps around it. */
static size_t scattered_bytes(size_t size_bytes, int64_t n_rows) {
    double n_places = (double)size_bytes / LM_FILE_MAP_AROUND_BYTES;
    if (n_places < 1) return size_bytes;
    double share = 1 - pow(1 - 1 / n_places, (double)n_rows);
    return (size_t)(share * (double)size_bytes);
}

/* The head of a tied model that was not packed is the embedding itself. */
static bool is_second_time(const lm_model *model, lm_param_id id, const lm_weight *weight) {
    return id == LM_PARAM_OUTPUT_HEAD &&
           weight->data == lm_model_param(model, LM_PARAM_TOKEN_EMBED, 0)->data;
}

static int64_t layers_of(const lm_model *model, lm_param_id id) {
    return lm_param_has_layer(id) ? lm_stored_layers(&lm_model_config(model)->hparams) : 1;
}

/* Tokens whose rows of the embedding are at hand at once: what a tied model looked up it lets go of after steps (lm_model_weights_trim). */
static int64_t tokens_at_hand(const lm_model *model, const lm_session_options *limits,
                              int64_t n_tokens) {
    const lm_weight *head = lm_model_param(model, LM_PARAM_OUTPUT_HEAD, 0),
                    *embed = lm_model_param(model, LM_PARAM_TOKEN_EMBED, 0);
    bool trimmed = head && head->layout != LM_LAYOUT_ROWS && strcmp(head->name, embed->name) == 0;
    int64_t max_rows = limits->max_rows > 0 ? limits->max_rows : 256;
    return trimmed && max_rows < n_tokens ? max_rows : n_tokens;
}

/* Of weights that lie in the file's order, when n_tokens have been looked up. */
static size_t unpacked_bytes(const lm_model *model, int64_t n_tokens) {
    size_t n = 0;
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        for (int64_t layer = 0; layer < layers_of(model, id); layer++) {
            const lm_weight *weight = lm_model_param(model, id, layer);
            if (!weight || weight->layout != LM_LAYOUT_ROWS || is_second_time(model, id, weight))
                continue;
            size_t all = stored_bytes(weight);
            n += lm_param_is_by_token(id) ? scattered_bytes(all, n_tokens) : all;
        }
    }
    return n;
}

/* --- The process. */

/* "12345 678 ...": the second field of /proc/self/statm is what is resident, in pages. */
static size_t resident_bytes(void) {
    unsigned long long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    if (fscanf(file, "%llu %llu", &total, &resident) != 2) resident = 0;
    fclose(file);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* --- Both, and what a session adds. */

static loam_status measure_session(const lm_model *model, const lm_measure *measure,
                                   const lm_session_options *options, lm_footprint *out,
                                   loam_error *err) {
    lm_session *session;
    size_t before = measure->n_bytes;
    bool embeds = lm_model_pooling(model)->kind != LM_POOLING_NONE;
    lm_session_options wanted = embeds ? lm_embedder_session_options(model, options) : *options;
    LM_TRY(lm_session_new(model, &wanted, &session, err));
    const lm_session_options *limits = lm_session_limits(session);
    const lm_hparams *hp = &lm_model_config(model)->hparams;
    lm_kv_options kv = lm_kv_options_of(hp, limits->kv_dtype, limits->max_context);
    size_t block_bytes = lm_kv_block_bytes(&kv);
    out->cache_bytes = block_bytes * (size_t)limits->n_blocks;
    out->token_cache_bytes = block_bytes / LM_KV_BLOCK_TOKENS;
    out->index_cache_bytes = lm_kv_block_index_bytes(&kv) * (size_t)limits->n_blocks;
    out->n_tokens = limits->n_blocks * LM_KV_BLOCK_TOKENS;
    out->state_bytes = lm_state_seq_bytes(hp) * (size_t)limits->max_seqs;
    out->step_bytes = measure->n_bytes - before - out->cache_bytes - out->state_bytes;
    out->process_bytes = resident_bytes();
    lm_session_free(session);
    return LOAM_OK;
}

loam_status lm_footprint_measure(const char *path, lm_device *device,
                                 const lm_session_options *options, lm_footprint *out,
                                 loam_error *err) {
    lm_measure measure;
    lm_footprint found = {0};
    lm_model *model = NULL;
    lm_measure_begin(&measure, device);
    loam_status status = lm_model_open(path, device, &(lm_model_options){.measured = true}, &model, err);
    if (status == LOAM_OK) {
        found.packed_bytes = measure.n_bytes;
        status = measure_session(model, &measure, options, &found, err);
    }
    if (status == LOAM_OK) {
        found.n_tokens = tokens_at_hand(model, options, found.n_tokens);
        found.stored_bytes = unpacked_bytes(model, found.n_tokens);
    }
    lm_model_free(model);
    lm_measure_end(&measure, device);
    if (status == LOAM_OK) *out = found;
    return status;
}

size_t lm_footprint_total(const lm_footprint *f) {
    return f->packed_bytes + f->stored_bytes + f->cache_bytes + f->state_bytes + f->step_bytes +
           f->process_bytes;
}

/* --- In other types. */

static lm_mix_model describe(const lm_arch_config *config) {
    const lm_hparams *hp = &config->hparams;
    return (lm_mix_model){.n_layers = lm_stored_layers(hp),
                          .heads_per_kv = hp->n_kv_heads > 0 ? hp->n_heads / hp->n_kv_heads : 1,
                          .tied_head = !lm_param_in(config, LM_PARAM_OUTPUT_HEAD)};
}

static lm_dtype dtype_in(const lm_mix *mix, const lm_mix_model *mm, lm_param_id id, int64_t layer,
                         const lm_weight *weight) {
    char name[LM_PARAM_NAME_BYTES];
    if (id == LM_PARAM_OUTPUT_HEAD && mm->tied_head) id = LM_PARAM_TOKEN_EMBED;
    lm_param_name(id, layer, LM_NAMING_GGUF, name);
    bool changes = weight->n_dims > 1 && lm_mix_quantizes(name, weight->n_dims);
    return changes ? lm_mix_dtype(mix, mm, name, weight->shape[weight->n_dims - 1]) : weight->dtype;
}

static void add_weight(lm_device *device, const lm_weight *weight, bool by_row, lm_footprint *out) {
    size_t packed = by_row || weight->n_dims < 2 ? 0 : lm_device_packed_bytes(device, weight);
    out->packed_bytes += packed;
    if (packed > 0) return;
    size_t all = stored_bytes(weight);
    out->stored_bytes += by_row ? scattered_bytes(all, out->n_tokens) : all;
}

loam_status lm_footprint_as_mix(const char *path, lm_device *device, const lm_mix *mix,
                                const lm_footprint *now, lm_footprint *out, loam_error *err) {
    lm_model *model;
    LM_TRY(lm_model_open(path, device, &(lm_model_options){.no_pack = true, .measured = true}, &model, err));
    lm_mix_model mm = describe(lm_model_config(model));
    lm_footprint found = *now;
    found.packed_bytes = found.stored_bytes = 0;
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        for (int64_t layer = 0; layer < layers_of(model, id); layer++) {
            const lm_weight *is = lm_model_param(model, id, layer);
            if (!is) continue;
            lm_weight weight = *is;
            weight.dtype = dtype_in(mix, &mm, id, layer, is);
            add_weight(device, &weight, lm_param_is_by_token(id), &found);
        }
    }
    lm_model_free(model);
    *out = found;
    return LOAM_OK;
}
