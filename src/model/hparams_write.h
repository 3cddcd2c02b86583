/* Hyperparameters as files say them: GGUF metadata and config.json, the inverse of hparams_gguf.c and hparams_hf.c. The keys are
 * gguf_keys.def's and config_keys.def's: what a family calls otherwise is a word in a line there. */
#ifndef LM_MODEL_HPARAMS_WRITE_H
#define LM_MODEL_HPARAMS_WRITE_H

#include <jansson.h>

#include "model/arch.h"
#include "model/gguf_writer.h"

/* The architecture as whose folder a model is written: of GGUF's "llama" those with experts are Mixtral's, and so on. */
const lm_arch *lm_arch_for_folder(const lm_arch_config *config);

/* LOAM_UNSUPPORTED for models that no format is written of. */
loam_status lm_hparams_check_written(const lm_arch_config *config, loam_error *err) LM_MUST_USE;

/* LOAM_UNSUPPORTED when files of the other format could not say all that makes this model: an activation that a
 * family's GGUF files do not have, say, or frequency factors that no rope scaling of config.json gives. */
loam_status lm_hparams_check_gguf(const lm_arch_config *config, loam_error *err) LM_MUST_USE;
loam_status lm_hparams_check_config(const lm_arch_config *config, loam_error *err) LM_MUST_USE;

/* The window as files say it; 0: none. One from which nothing falls out, which readers take for none, is said where layers are told
 * apart by it (lm_arch_settle_layers). */
int64_t lm_hparams_said_window(const lm_arch_config *config);

/* Adds general.architecture and the architecture's own keys. config has passed lm_hparams_check_gguf. */
void lm_hparams_write_gguf(const lm_arch_config *config, lm_gguf_writer *writer);

/* Divisors of the rotary frequencies for a tensor "rope_freqs.weight", out [rope_dim / 2]; false: none are needed. */
bool lm_hparams_freq_factors(const lm_hparams *hparams, float *out);

/* What longrope multiplies queries and keys by. */
double lm_longrope_factor(const lm_hparams *hparams);

/* config.json but for the ids of special tokens; NULL when out of memory. dtype: of most weights. config has passed
 * lm_hparams_check_config. */
LM_MUST_USE json_t *lm_hparams_config_json(const lm_arch_config *config, lm_dtype dtype);

#endif
