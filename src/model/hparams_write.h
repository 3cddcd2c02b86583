/* Hyperparameters as files say them: GGUF metadata and config.json, the inverse of hparams_gguf.c and hparams_hf.c. */
#ifndef LM_MODEL_HPARAMS_WRITE_H
#define LM_MODEL_HPARAMS_WRITE_H

#include <jansson.h>

#include "model/arch.h"
#include "model/gguf_writer.h"

/* LOAM_UNSUPPORTED when files of the other format could not say all that makes this model: an architecture with numbers
 * that are not written here, or frequency factors that no rope scaling of config.json gives. Not for what both can say. */
loam_status lm_hparams_check_gguf(const lm_arch_config *config, loam_error *err) LM_MUST_USE;
loam_status lm_hparams_check_config(const lm_arch_config *config, loam_error *err) LM_MUST_USE;

/* Adds general.architecture and the architecture's own keys. config has passed lm_hparams_check_gguf. */
void lm_hparams_write_gguf(const lm_arch_config *config, lm_gguf_writer *writer);

/* Divisors of the rotary frequencies for a tensor "rope_freqs.weight", out [rope_dim / 2]; false: none are needed. */
bool lm_hparams_freq_factors(const lm_hparams *hparams, float *out);

/* config.json but for the ids of special tokens; NULL when out of memory. dtype: of most weights. config has passed
 * lm_hparams_check_config. */
LM_MUST_USE json_t *lm_hparams_config_json(const lm_arch_config *config, lm_dtype dtype);

#endif
