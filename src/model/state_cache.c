#include "model/state_cache.h"

#include "base/checked.h"
#include "base/mem.h"

struct lm_state_cache {
    lm_device *device;
    lm_hparams hparams;
    int64_t max_seqs;
    size_t layer_bytes; /* all parts of one layer, all slots */
    size_t n_bytes;
    uint8_t *memory; /* [recurrent layers][part][max_seqs] */
};

/* Of one slot; the number of dimensions, 0: there is no such part. */
static int shape_of(const lm_hparams *hp, lm_state_part part, int64_t shape[3]) {
    if (part == LM_STATE_POOL || part == LM_STATE_INDEX_POOL) {
        shape[0] = 2;
        shape[1] = 3;
        shape[2] = part == LM_STATE_POOL ? hp->head_dim : hp->index_dim;
        return hp->out_groups > 0 && shape[2] > 0 ? 3 : 0;
    }
    if (hp->out_groups > 0) return 0;
    if (part != LM_STATE_ROWS && hp->state_heads == 0) return 0;
    if (part != LM_STATE_MATRIX && hp->conv_taps == 0) return 0;
    if (part != LM_STATE_ROWS && hp->channel_states) {
        shape[0] = hp->state_key_dim;
        shape[1] = lm_state_values(hp);
        return part == LM_STATE_MATRIX ? 2 : 0;
    }
    shape[0] = part == LM_STATE_MATRIX ? hp->state_heads : hp->conv_taps - 1;
    shape[1] = part == LM_STATE_MATRIX ? hp->state_key_dim
               : part == LM_STATE_ROWS ? lm_state_values(hp)
                                       : lm_state_keys(hp);
    shape[2] = hp->state_value_dim;
    return part == LM_STATE_MATRIX ? 3 : 2;
}

static size_t slot_bytes(const lm_hparams *hp, lm_state_part part) {
    int64_t shape[3];
    int n_dims = shape_of(hp, part, shape);
    size_t bytes = n_dims > 0 ? sizeof(float) : 0;
    for (int i = 0; i < n_dims; i++) bytes *= (size_t)shape[i];
    return bytes;
}

/* Of all parts in front of `end`. */
static size_t slot_bytes_before(const lm_hparams *hp, int end) {
    size_t bytes = 0;
    for (int part = 0; part < end; part++) bytes += slot_bytes(hp, (lm_state_part)part);
    return bytes;
}

static size_t layer_slot_bytes(const lm_hparams *hp) {
    return slot_bytes_before(hp, LM_STATE_N_PARTS);
}

/* Layers with states among the first n. */
static int64_t layers_before(const lm_hparams *hp, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += lm_layer_has_state(hp, i);
    return count;
}

size_t lm_state_seq_bytes(const lm_hparams *hp) {
    return (size_t)layers_before(hp, hp->n_layers) * layer_slot_bytes(hp);
}

loam_status lm_state_cache_new(lm_device *device, const lm_hparams *hp, int64_t max_seqs,
                               lm_state_cache **out, loam_error *err) {
    size_t total;
    *out = NULL;
    if (lm_state_seq_bytes(hp) == 0) return LOAM_OK;
    if (!lm_checked_mul_size(lm_state_seq_bytes(hp), max_seqs, &total))
        return lm_error_set(err, LOAM_LIMIT, "states of %lld sequences are larger than any memory",
                            (long long)max_seqs);
    lm_state_cache *cache = lm_calloc(1, sizeof *cache);
    if (!cache) return lm_error_no_memory(err, sizeof *cache);
    cache->device = device;
    cache->hparams = *hp;
    cache->max_seqs = max_seqs;
    cache->layer_bytes = layer_slot_bytes(hp) * (size_t)max_seqs;
    cache->n_bytes = total;
    loam_status status = lm_device_alloc(device, total, (void **)&cache->memory, err);
    if (status != LOAM_OK) {
        lm_state_cache_free(cache);
        return status;
    }
    *out = cache;
    return LOAM_OK;
}

void lm_state_cache_free(lm_state_cache *cache) {
    if (!cache) return;
    lm_device_free(cache->device, cache->memory);
    lm_free(cache);
}

static uint8_t *part_at(const lm_state_cache *cache, int64_t layer, lm_state_part part) {
    const lm_hparams *hp = &cache->hparams;
    LM_ASSERT(lm_layer_has_state(hp, layer));
    uint8_t *at = cache->memory + (size_t)layers_before(hp, layer) * cache->layer_bytes;
    return at + slot_bytes_before(hp, part) * (size_t)cache->max_seqs;
}

int lm_state_cache_part(const lm_state_cache *cache, int64_t layer, lm_state_part part,
                        int64_t out_shape[4], void **out) {
    int n_dims = shape_of(&cache->hparams, part, out_shape + 1);
    out_shape[0] = cache->max_seqs;
    *out = part_at(cache, layer, part);
    return n_dims > 0 ? n_dims + 1 : 0;
}

static loam_status copy_part(lm_state_cache *cache, int64_t layer, lm_state_part part, int32_t from,
                             int32_t to, loam_error *err) {
    size_t bytes = slot_bytes(&cache->hparams, part);
    uint8_t *slots = part_at(cache, layer, part);
    if (bytes == 0) return LOAM_OK;
    return lm_device_copy(cache->device, slots + (size_t)to * bytes, slots + (size_t)from * bytes,
                          bytes, err);
}

loam_status lm_state_cache_copy(lm_state_cache *cache, int32_t from, int32_t to, loam_error *err) {
    for (int64_t layer = 0; cache && layer < cache->hparams.n_layers; layer++) {
        if (!lm_layer_has_state(&cache->hparams, layer)) continue;
        for (int part = 0; part < LM_STATE_N_PARTS; part++)
            LM_TRY(copy_part(cache, layer, (lm_state_part)part, from, to, err));
    }
    return LOAM_OK;
}

size_t lm_state_cache_bytes(const lm_state_cache *cache) {
    return cache ? cache->n_bytes : 0;
}
