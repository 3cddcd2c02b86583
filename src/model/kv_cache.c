#include "model/kv_cache.h"

#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "compute/ops/paged_cache.h"

typedef struct sequence {
    bool alive;
    int64_t len;      /* tokens appended */
    int64_t n_blocks; /* in its table; at least what len needs, more when reserved */
} sequence;

struct lm_kv_cache {
    lm_device *device;
    lm_kv_options options;
    uint8_t *memory;      /* [n_layers][part][n_blocks][part_bytes of both] */
    int64_t table_blocks; /* blocks in a full sequence */
    int32_t *tables;      /* [max_seqs][table_blocks] */
    sequence *seqs;       /* [max_seqs] */
    int32_t *n_owners;    /* [n_blocks]; 0: in the free list */
    int32_t *free_blocks; /* [n_free], taken from the end */
    int64_t n_free;
};

static int64_t blocks_for(int64_t n_tokens) {
    return (n_tokens + LM_KV_BLOCK_TOKENS - 1) / LM_KV_BLOCK_TOKENS;
}

lm_kv_options lm_kv_options_of(const lm_hparams *hp, lm_dtype dtype, int64_t max_context) {
    lm_kv_options o = {.n_layers = lm_cached_layers(hp),
                       .n_kv_heads = hp->n_kv_heads,
                       .head_dim = hp->head_dim,
                       .local_kv_heads = hp->local_kv_heads,
                       .local_head_dim = hp->local_head_dim,
                       .value_dim = hp->kv_latent_dim > 0 ? 0 : hp->value_dim,
                       .keys_only = lm_keys_alone(hp),
                       .max_context = max_context > 0 ? max_context : hp->context_len,
                       .dtype = dtype};
    if (lm_hparams_choose(hp, o.max_context)) o.index_dim = hp->index_dim;
    for (int64_t i = 0; i < hp->n_layers; i++) {
        if (!lm_layer_keeps(hp, i) || !lm_layer_attends(hp, i)) continue;
        if (lm_layer_indexes(hp, i)) lm_layer_add(&o.indexed, lm_cached_layer(hp, i));
        if (lm_layer_is_local(hp, i)) lm_layer_add(&o.local, lm_cached_layer(hp, i));
        if (i >= LM_MAX_VARIED_LAYERS) continue;
        o.kv_head_counts[lm_cached_layer(hp, i)] = hp->kv_head_counts[i];
        o.pool_ratios[lm_cached_layer(hp, i)] = hp->pool_ratios[i];
    }
    return o;
}

lm_dtype lm_kv_index_dtype(lm_dtype dtype) {
    return lm_paged_coded(dtype) ? LM_F16 : dtype;
}

loam_status lm_kv_dtype_check(lm_dtype dtype, loam_error *err) {
    bool floats = dtype == LM_F32 || dtype == LM_F16 || dtype == LM_BF16;
    if (floats || lm_paged_coded(dtype)) return LOAM_OK;
    return lm_error_set(err, LOAM_UNSUPPORTED,
                        "the KV cache can be i16, f16, bf16, f32 or i8, not %s",
                        lm_dtype_get(dtype)->name);
}

static int64_t ratio_of(const lm_kv_options *o, int64_t layer) {
    return layer < LM_MAX_VARIED_LAYERS ? o->pool_ratios[layer] : 0;
}

static size_t index_bytes(const lm_kv_options *o, int64_t layer) {
    int64_t ratio = ratio_of(o, layer),
            n = ratio > 0 ? lm_pooled_in_block(ratio) : LM_KV_BLOCK_TOKENS;
    if (o->index_dim == 0 || !lm_layer_in(&o->indexed, layer)) return 0;
    return lm_dtype_bytes(lm_kv_index_dtype(o->dtype), n * o->index_dim);
}

/* Bytes of one block in one layer's part; 0 where there is no such part. */
static size_t part_bytes(const lm_kv_options *o, int64_t layer, lm_kv_part part) {
    if (part == LM_KV_INDEX_KEYS) return index_bytes(o, layer);
    bool local = lm_layer_in(&o->local, layer);
    int64_t n_heads = local ? o->local_kv_heads : o->n_kv_heads;
    if (layer < LM_MAX_VARIED_LAYERS && o->kv_head_counts[layer] > 0)
        n_heads = o->kv_head_counts[layer];
    int64_t ratio = ratio_of(o, layer),
            n = ratio > 0 ? lm_pooled_tokens(ratio) : LM_KV_BLOCK_TOKENS;
    size_t n_vectors = (size_t)(n * n_heads);
    if (o->keys_only && (part == LM_KV_VALUES || part == LM_KV_VALUE_SCALES)) return 0;
    int64_t width = local ? o->local_head_dim : o->head_dim;
    if (part == LM_KV_VALUES && o->value_dim > 0) width = o->value_dim;
    if (part == LM_KV_KEYS || part == LM_KV_VALUES)
        return n_vectors * lm_dtype_bytes(o->dtype, width);
    return lm_paged_coded(o->dtype) ? n_vectors * sizeof(float) : 0;
}

/* Of the first layers. */
static size_t block_bytes(const lm_kv_options *o, int64_t n_layers) {
    size_t bytes = 0;
    for (int64_t layer = 0; layer < n_layers; layer++)
        for (int part = 0; part < LM_KV_N_PARTS; part++)
            bytes += part_bytes(o, layer, (lm_kv_part)part);
    return bytes;
}

size_t lm_kv_block_bytes(const lm_kv_options *options) {
    return block_bytes(options, options->n_layers);
}

size_t lm_kv_block_index_bytes(const lm_kv_options *options) {
    size_t bytes = 0;
    for (int64_t layer = 0; layer < options->n_layers; layer++)
        bytes += index_bytes(options, layer);
    return bytes;
}

/* All sizes; false when they overflow. */
static bool plan_sizes(lm_kv_cache *cache, size_t *out_total) {
    const lm_kv_options *o = &cache->options;
    cache->table_blocks = blocks_for(o->max_context);
    return lm_checked_mul_size(lm_kv_block_bytes(o), o->n_blocks, out_total);
}

static loam_status allocate(lm_kv_cache *cache, size_t total, loam_error *err) {
    const lm_kv_options *o = &cache->options;
    LM_TRY(lm_device_alloc(cache->device, total, (void **)&cache->memory, err));
    cache->tables = lm_calloc((size_t)o->max_seqs * cache->table_blocks, sizeof *cache->tables);
    cache->seqs = lm_calloc(o->max_seqs, sizeof *cache->seqs);
    cache->n_owners = lm_calloc(o->n_blocks, sizeof *cache->n_owners);
    cache->free_blocks = lm_calloc(o->n_blocks, sizeof *cache->free_blocks);
    if (!cache->tables || !cache->seqs || !cache->n_owners || !cache->free_blocks)
        return lm_error_no_memory(err, (size_t)o->n_blocks * sizeof *cache->free_blocks);
    return LOAM_OK;
}

/* Integers go in pairs. */
static loam_status check_pairs(const lm_kv_options *o, loam_error *err) {
    if (!lm_paged_coded(o->dtype) || (o->head_dim % 2 == 0 && o->local_head_dim % 2 == 0))
        return LOAM_OK;
    lm_error_set(err, LOAM_UNSUPPORTED, "a KV cache of %s wants an even head dimension, not %lld",
                 lm_dtype_get(o->dtype)->name, (long long)o->head_dim);
    return lm_error_hint(err, LOAM_UNSUPPORTED, "choose f16, bf16 or f32");
}

loam_status lm_kv_cache_new(lm_device *device, const lm_kv_options *options, lm_kv_cache **out,
                            loam_error *err) {
    LM_ASSERT(options->n_layers == 0 || (options->n_kv_heads > 0 && options->head_dim > 0));
    LM_TRY(lm_kv_dtype_check(options->dtype, err));
    LM_TRY(check_pairs(options, err));
    if (options->n_blocks < 1 || options->n_blocks > INT32_MAX / LM_KV_BLOCK_TOKENS)
        return lm_error_set(err, LOAM_INVALID,
                            "%lld blocks of the KV cache are too few or too many",
                            (long long)options->n_blocks);
    lm_kv_cache *cache = lm_calloc(1, sizeof *cache);
    if (!cache) return lm_error_no_memory(err, sizeof *cache);
    cache->device = device;
    cache->options = *options;
    size_t total;
    loam_status status;
    if (plan_sizes(cache, &total)) {
        status = allocate(cache, total, err);
    } else {
        status =
            lm_error_set(err, LOAM_LIMIT, "a KV cache of %lld blocks is larger than any memory",
                         (long long)options->n_blocks);
    }
    if (status != LOAM_OK) {
        lm_kv_cache_free(cache);
        return status;
    }
    memset(cache->tables, 0xff,
           (size_t)options->max_seqs * cache->table_blocks * sizeof *cache->tables);
    cache->n_free = options->n_blocks;
    for (int64_t i = 0; i < cache->n_free; i++) cache->free_blocks[i] = cache->n_free - 1 - i;
    *out = cache;
    return LOAM_OK;
}

void lm_kv_cache_free(lm_kv_cache *cache) {
    if (!cache) return;
    lm_device_free(cache->device, cache->memory);
    lm_free(cache->tables);
    lm_free(cache->seqs);
    lm_free(cache->n_owners);
    lm_free(cache->free_blocks);
    lm_free(cache);
}

void *lm_kv_cache_part(lm_kv_cache *cache, int64_t layer, lm_kv_part part) {
    const lm_kv_options *o = &cache->options;
    if (part_bytes(o, layer, part) == 0) return NULL;
    uint8_t *at = cache->memory + (size_t)o->n_blocks * block_bytes(o, layer);
    for (int before = 0; before < (int)part; before++)
        at += (size_t)o->n_blocks * part_bytes(o, layer, (lm_kv_part)before);
    return at;
}

int64_t lm_kv_cache_table_blocks(const lm_kv_cache *cache) {
    return cache->table_blocks;
}

static int32_t *table_of(const lm_kv_cache *cache, int32_t seq) {
    return cache->tables + seq * cache->table_blocks;
}

const int32_t *lm_kv_cache_table(const lm_kv_cache *cache, int32_t seq) {
    return table_of(cache, seq);
}

/* --- Blocks. */

static int32_t take_block(lm_kv_cache *cache) {
    LM_ASSERT(cache->n_free > 0);
    int32_t block = cache->free_blocks[--cache->n_free];
    cache->n_owners[block] = 1;
    return block;
}

static void drop_block(lm_kv_cache *cache, int32_t block) {
    LM_ASSERT(cache->n_owners[block] > 0);
    if (--cache->n_owners[block] == 0) cache->free_blocks[cache->n_free++] = block;
}

static loam_status copy_block(lm_kv_cache *cache, int32_t from, int32_t to, loam_error *err) {
    for (int64_t layer = 0; layer < cache->options.n_layers; layer++) {
        for (int part = 0; part < LM_KV_N_PARTS; part++) {
            uint8_t *blocks = lm_kv_cache_part(cache, layer, (lm_kv_part)part);
            size_t bytes = part_bytes(&cache->options, layer, (lm_kv_part)part);
            if (!blocks) continue;
            LM_TRY(lm_device_copy(cache->device, blocks + to * bytes, blocks + from * bytes, bytes,
                                  err));
        }
    }
    return LOAM_OK;
}

/* --- Sequences. */

static sequence *get(const lm_kv_cache *cache, int32_t seq) {
    LM_ASSERT(lm_kv_cache_seq_alive(cache, seq));
    return &cache->seqs[seq];
}

bool lm_kv_cache_seq_alive(const lm_kv_cache *cache, int32_t seq) {
    return seq >= 0 && seq < cache->options.max_seqs && cache->seqs[seq].alive;
}

loam_status lm_kv_cache_seq_new(lm_kv_cache *cache, int32_t *out_seq, loam_error *err) {
    for (int32_t i = 0; i < cache->options.max_seqs; i++) {
        if (cache->seqs[i].alive) continue;
        cache->seqs[i] = (sequence){.alive = true};
        *out_seq = i;
        return LOAM_OK;
    }
    return lm_error_set(err, LOAM_LIMIT, "all %lld sequences are in use",
                        (long long)cache->options.max_seqs);
}

loam_status lm_kv_cache_seq_fork(lm_kv_cache *cache, int32_t from, int64_t len, int32_t *out_seq,
                                 loam_error *err) {
    LM_ASSERT(len >= 0 && len <= get(cache, from)->len);
    int32_t seq = -1;
    LM_TRY(lm_kv_cache_seq_new(cache, &seq, err));
    sequence *s = &cache->seqs[seq];
    s->len = len;
    s->n_blocks = blocks_for(len);
    for (int64_t i = 0; i < s->n_blocks; i++) {
        int32_t block = table_of(cache, from)[i];
        cache->n_owners[block]++;
        table_of(cache, seq)[i] = block;
    }
    *out_seq = seq;
    return LOAM_OK;
}

void lm_kv_cache_seq_free(lm_kv_cache *cache, int32_t seq) {
    lm_kv_cache_seq_truncate(cache, seq, 0);
    cache->seqs[seq].alive = false;
}

int64_t lm_kv_cache_seq_len(const lm_kv_cache *cache, int32_t seq) {
    return get(cache, seq)->len;
}

void lm_kv_cache_seq_truncate(lm_kv_cache *cache, int32_t seq, int64_t len) {
    sequence *s = get(cache, seq);
    LM_ASSERT(len >= 0 && len <= s->len);
    s->len = len;
    for (int64_t keep = blocks_for(len); s->n_blocks > keep; s->n_blocks--) {
        int32_t *entry = &table_of(cache, seq)[s->n_blocks - 1];
        drop_block(cache, *entry);
        *entry = -1;
    }
}

/* Whether the next token would go into a block that others read too. */
static bool must_copy(const lm_kv_cache *cache, int32_t seq) {
    const sequence *s = get(cache, seq);
    int64_t index = s->len / LM_KV_BLOCK_TOKENS;
    return index < s->n_blocks && cache->n_owners[table_of(cache, seq)[index]] > 1;
}

int64_t lm_kv_cache_needed(const lm_kv_cache *cache, int32_t seq, int64_t n_tokens) {
    const sequence *s = get(cache, seq);
    int64_t n_new = blocks_for(s->len + n_tokens) - s->n_blocks;
    return (n_new > 0 ? n_new : 0) + (n_tokens > 0 && must_copy(cache, seq));
}

loam_status lm_kv_cache_check(const lm_kv_cache *cache, int32_t seq, int64_t n_tokens,
                              int64_t n_promised, loam_error *err) {
    int64_t len = get(cache, seq)->len, context = cache->options.max_context;
    if (n_tokens > context - len)
        return lm_error_set(err, LOAM_LIMIT,
                            "sequence %d has %lld tokens, %lld more exceed the context of %lld",
                            seq, (long long)len, (long long)n_tokens, (long long)context);
    int64_t needed = lm_kv_cache_needed(cache, seq, n_tokens), n_free = cache->n_free - n_promised;
    if (needed > n_free)
        return lm_error_set(err, LOAM_LIMIT,
                            "sequence %d needs %lld more blocks of the KV cache, %lld are free",
                            seq, (long long)needed, (long long)n_free);
    return LOAM_OK;
}

loam_status lm_kv_cache_reserve(lm_kv_cache *cache, int32_t seq, int64_t n_tokens,
                                loam_error *err) {
    LM_ASSERT(n_tokens >= 0);
    LM_TRY(lm_kv_cache_check(cache, seq, n_tokens, 0, err));
    sequence *s = get(cache, seq);
    int32_t *table = table_of(cache, seq);
    if (n_tokens > 0 && must_copy(cache, seq)) {
        int32_t *entry = &table[s->len / LM_KV_BLOCK_TOKENS];
        int32_t own = take_block(cache);
        loam_status status = copy_block(cache, *entry, own, err);
        drop_block(cache, status == LOAM_OK ? *entry : own);
        if (status != LOAM_OK) return status;
        *entry = own;
    }
    while (s->n_blocks < blocks_for(s->len + n_tokens)) table[s->n_blocks++] = take_block(cache);
    return LOAM_OK;
}

void lm_kv_cache_append(lm_kv_cache *cache, int32_t seq, int64_t n_tokens) {
    sequence *s = get(cache, seq);
    LM_ASSERT(blocks_for(s->len + n_tokens) <= s->n_blocks);
    s->len += n_tokens;
}

int64_t lm_kv_cache_n_blocks(const lm_kv_cache *cache) {
    return cache->options.n_blocks;
}

int64_t lm_kv_cache_n_free(const lm_kv_cache *cache) {
    return cache->n_free;
}

size_t lm_kv_cache_bytes(const lm_kv_cache *cache) {
    return (size_t)cache->options.n_blocks * lm_kv_block_bytes(&cache->options);
}
