/* The paged KV cache: a pool of blocks of tokens, a block table for every sequence, and reference counts for sharing.
 *
 *     sequence 0  [ 4 | 0 | 7 ]          block 4 (two owners)   k, v of tokens 0..63 of both, in every layer
 *     sequence 1  [ 4 | 2 ]              free list  1 3 5 6
 *
 * A block number means the same tokens in every layer and in each of its parts (keys, values, and their scales where they are
 * integers), whose order in memory is the ops' (compute/ops/paged_cache.h). Blocks are given out when tokens are appended and come
 * back when their last owner lets go. A shared block is immutable: its owner gets a copy before appending to it. This
 * file keeps the books and owns the memory; graphs read and write it (kv_write, attention_paged). Where no layer attends there
 * are the books alone: how long sequences are, and blocks that take no memory. One thread at a time. Nothing is allocated after birth.
 */
#ifndef LM_MODEL_KV_CACHE_H
#define LM_MODEL_KV_CACHE_H

#include "compute/device.h"
#include "compute/numerics.h"
#include "model/hparams.h"

enum { LM_KV_BLOCK_TOKENS = LM_PAGED_BLOCK };

typedef enum lm_kv_part {
    LM_KV_KEYS,   /* [n_blocks, n_kv_heads, head_dim, LM_KV_BLOCK_TOKENS] */
    LM_KV_VALUES, /* [n_blocks, n_kv_heads, LM_KV_BLOCK_TOKENS, value_dim]; not of latent attention */
    LM_KV_KEY_SCALES,   /* [n_blocks, n_kv_heads, LM_KV_BLOCK_TOKENS] f32, i8 and i16 only */
    LM_KV_VALUE_SCALES, /* the same, where there are values */
    LM_KV_INDEX_KEYS, /* [n_blocks, 1, index_dim, LM_KV_BLOCK_TOKENS]: what an indexer scores, of layers that have one */
    LM_KV_N_PARTS,
} lm_kv_part; /* of layers with pooled keys there are lm_pooled_tokens or, of indexers, lm_pooled_in_block in the place of LM_KV_BLOCK_TOKENS */

typedef struct lm_kv_cache lm_kv_cache;

typedef struct lm_kv_options {
    int64_t n_layers;
    int64_t n_kv_heads, head_dim;
    lm_layer_set local; /* layers that have these instead: */
    int64_t local_kv_heads, local_head_dim;
    int32_t kv_head_counts[LM_MAX_VARIED_LAYERS]; /* of layers where it is another number; 0: that */
    int64_t value_dim; /* 0: as wide as keys */
    bool keys_only; /* values are parts of keys: latent attention */
    int32_t pool_ratios
        [LM_MAX_VARIED_LAYERS]; /* of layers with pooled keys beside others; 0: there are none */
    int64_t index_dim; /* of indexers' keys; 0: there are none */
    lm_layer_set indexed; /* layers that have one */
    int64_t n_blocks;
    int64_t max_seqs;
    int64_t max_context; /* tokens in one sequence */
    lm_dtype dtype;      /* see lm_kv_dtype_check */
} lm_kv_options;

/* What a model's cache is like for sequences of at most max_context tokens, 0: of as many as it is made for; for how many is left to be
 * filled in. */
lm_kv_options lm_kv_options_of(const lm_hparams *hparams, lm_dtype dtype, int64_t max_context);

/* The type of an indexer's keys: the cache's, or f16 where that is of integers. */
lm_dtype lm_kv_index_dtype(lm_dtype dtype);

/* f32, f16, bf16, and i16 and i8 with a scale for each token and head. LOAM_UNSUPPORTED: any other. */
loam_status lm_kv_dtype_check(lm_dtype dtype, loam_error *err) LM_MUST_USE;

/* Bytes of one block in all layers, and of what indexers have of that. n_blocks, max_seqs and max_context are not read. */
size_t lm_kv_block_bytes(const lm_kv_options *options);
size_t lm_kv_block_index_bytes(const lm_kv_options *options);

loam_status lm_kv_cache_new(lm_device *device, const lm_kv_options *options, lm_kv_cache **out,
                            loam_error *err) LM_MUST_USE;
void lm_kv_cache_free(lm_kv_cache *cache);

/* A part of one layer, for all blocks; NULL where there is no such part. */
void *lm_kv_cache_part(lm_kv_cache *cache, int64_t layer, lm_kv_part part);

/* Blocks in a sequence's table, and the table: [table_blocks] block numbers, -1 where there is none. */
int64_t lm_kv_cache_table_blocks(const lm_kv_cache *cache);
const int32_t *lm_kv_cache_table(const lm_kv_cache *cache, int32_t seq);

/* The contracts of these stand in model/session.h, whose functions of like name hand through. */
loam_status lm_kv_cache_seq_new(lm_kv_cache *cache, int32_t *out_seq, loam_error *err) LM_MUST_USE;
loam_status lm_kv_cache_seq_fork(lm_kv_cache *cache, int32_t from, int64_t len, int32_t *out_seq,
                                 loam_error *err) LM_MUST_USE;
void lm_kv_cache_seq_free(lm_kv_cache *cache, int32_t seq);
bool lm_kv_cache_seq_alive(const lm_kv_cache *cache, int32_t seq);
int64_t lm_kv_cache_seq_len(const lm_kv_cache *cache, int32_t seq);
void lm_kv_cache_seq_truncate(lm_kv_cache *cache, int32_t seq, int64_t len);

/* Blocks that reserving n_tokens more would take from the free list. */
int64_t lm_kv_cache_needed(const lm_kv_cache *cache, int32_t seq, int64_t n_tokens);

/* Whether reserving n_tokens more can succeed when n_promised free blocks are meant for others. LOAM_LIMIT. */
loam_status lm_kv_cache_check(const lm_kv_cache *cache, int32_t seq, int64_t n_tokens,
                              int64_t n_promised, loam_error *err) LM_MUST_USE;

/* Makes sure that the next n_tokens have blocks of their own, copying the last block when it is shared. LOAM_LIMIT,
 * LOAM_UNAVAILABLE when the device is lost: nothing was taken. */
loam_status lm_kv_cache_reserve(lm_kv_cache *cache, int32_t seq, int64_t n_tokens,
                                loam_error *err) LM_MUST_USE;

/* Counts n_tokens as appended; they must have been reserved. */
void lm_kv_cache_append(lm_kv_cache *cache, int32_t seq, int64_t n_tokens);

int64_t lm_kv_cache_n_blocks(const lm_kv_cache *cache);
int64_t lm_kv_cache_n_free(const lm_kv_cache *cache);
size_t lm_kv_cache_bytes(const lm_kv_cache *cache);

#endif
