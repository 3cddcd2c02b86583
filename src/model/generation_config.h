/* The sampling that a model's authors recommend, from generation_config.json beside the weights. */
#ifndef LM_MODEL_GENERATION_CONFIG_H
#define LM_MODEL_GENERATION_CONFIG_H

#include "model/sampler.h"

/* model_path: what lm_model_open got. Without the file, or unless it says do_sample, *out becomes
 * LM_SAMPLER_DEFAULTS. */
loam_status lm_generation_config_read(const char *model_path, lm_sampler_options *out,
                                      loam_error *err) LM_MUST_USE;

#endif
