/* Where the user keeps models, and the models that command lines name: a path, or `org/name[:file or quant]` of one that
 * was pulled or is in the Hugging Face cache. */
#ifndef LM_CLI_STORE_ARG_H
#define LM_CLI_STORE_ARG_H

#include "hub/store.h"

/* From the environment: LOAM_MODELS, else $XDG_DATA_HOME/loam/models; HF_HUB_CACHE, HF_HOME and their defaults
 * (huggingface_hub, constants.py). LOAM_INVALID when there is no home folder either. lm_cli_store_deinit it. */
loam_status lm_cli_store_init(lm_store *store, loam_error *err) LM_MUST_USE;
void lm_cli_store_deinit(lm_store *store);

/* $HF_HOME or its default; on the heap, NULL when there is no home folder. */
LM_MUST_USE char *lm_cli_hf_home(void);

/* The path of the model that the argument names: itself when such a file or folder is there or it is no name of a model.
 * On the heap (lm_free). A pulled model is locked against removal until the program ends. */
loam_status lm_cli_model_path(const char *argument, char **out_path, loam_error *err) LM_MUST_USE;

#endif
