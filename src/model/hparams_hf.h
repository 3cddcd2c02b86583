/* Parts of lm_hparams_from_config that have files of their own: each reads some keys into h, which has what parts before it read. */
#ifndef LM_MODEL_HPARAMS_HF_H
#define LM_MODEL_HPARAMS_HF_H

#include "model/config_reader.h"

/* hparams_hf_arch.c, from h->architecture on: the row, of two that some names stand for the one that fits what the config says (whose rows see both
 * sides, that has ALiBi, recurrent layers, experts ...). NULL: none is known by that name. LOAM_UNSUPPORTED. */
LM_MUST_USE loam_status lm_config_choose_arch(lm_config_reader *r, lm_hparams *h);
/* Adds to the config what it leaves out of its family's (config_defaults.def). */
LM_MUST_USE loam_status lm_config_add_defaults(const lm_arch *arch, json_t *config,
                                               loam_error *err);

/* hparams_hf_rope.c, from sizes of heads on. */
/* Ropes of two kinds, "main" and "compress", as DeepSeek-V4's first config.json's say them, become those of all layers. */
LM_MUST_USE loam_status lm_config_part_ropes(json_t *config, const char *path, loam_error *err);
/* Lists of each layer's theta and of the part of its heads that turns become an object for each kind of layers, as rope_parameters. */
LM_MUST_USE loam_status lm_config_join_ropes(json_t *config, const char *path, loam_error *err);
LM_MUST_USE loam_status lm_config_read_rope(const lm_config_reader *r, lm_hparams *h);

/* hparams_hf_layers.c, from the number of layers on: windows and which layers have them, layers without rope, queries that grow
 * there, and recurrent layers with what they keep. */
LM_MUST_USE loam_status lm_config_read_window(const lm_config_reader *r, lm_hparams *h);
LM_MUST_USE loam_status lm_config_read_no_rope(const lm_config_reader *r, lm_hparams *h);
LM_MUST_USE loam_status lm_config_read_temperature(const lm_config_reader *r, lm_hparams *h);
LM_MUST_USE loam_status lm_config_read_recurrent(const lm_config_reader *r, lm_hparams *h);

/* Whether this is what layer_types calls the family's recurrent layers; transformers calls all that keep a matrix by one name. */
bool lm_config_is_recurrent(const lm_config_reader *r, const char *type);

#endif
