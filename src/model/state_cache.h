/* The states of recurrent layers: for each sequence and layer a slot of fixed size, beside the pages of keys and values that other
 * layers have (kv_cache.h).
 *
 * A slot is the sequence's number. What it holds is the sum of all tokens of its sequence, so it cannot go back by some of them,
 * nor be shared: a fork copies it. A sequence that begins anew finds zeros by its first row's position (compute/ops/sequence_state.h),
 * and nothing is cleared. This file owns the memory; graphs read and write it. One thread at a time. Nothing is allocated
 * after birth.
 */
#ifndef LM_MODEL_STATE_CACHE_H
#define LM_MODEL_STATE_CACHE_H

#include "compute/device.h"
#include "model/arch.h"

typedef struct lm_state_cache lm_state_cache;

/* Bytes of one sequence in all layers; 0: the model has no recurrent ones. */
size_t lm_state_seq_bytes(const lm_hparams *hparams);

/* *out NULL: the model has no states, which all functions take for a cache of none. */
loam_status lm_state_cache_new(lm_device *device, const lm_hparams *hparams, int64_t max_seqs,
                               lm_state_cache **out, loam_error *err) LM_MUST_USE;
void lm_state_cache_free(lm_state_cache *cache);

/* A part of one recurrent layer, for all slots, and its shape, whose number of dimensions is returned; 0 where there is none. */
int lm_state_cache_part(const lm_state_cache *cache, int64_t layer, lm_state_part part,
                        int64_t out_shape[4], void **out);

loam_status lm_state_cache_copy(lm_state_cache *cache, int32_t from, int32_t to,
                                loam_error *err) LM_MUST_USE;

size_t lm_state_cache_bytes(const lm_state_cache *cache);

#endif
