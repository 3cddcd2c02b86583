/* Writing trained weights for the world: a Hugging Face folder (LlamaForCausalLM) and a GGUF file, both in f32.
 *
 * Each file appears entirely or not at all. GGUF's llama wants rotary pairs next to each other, so rows of q and k are
 * reordered for it.
 */
#ifndef LM_TRAIN_EXPORT_H
#define LM_TRAIN_EXPORT_H

#include "model/tokenizer.h"
#include "train/params.h"

/* dir is made when absent: config.json, generation_config.json, model.safetensors, tokenizer files. */
loam_status lm_export_folder(const lm_train_params *params, const lm_tokenizer *tokenizer,
                             const char *dir, loam_error *err) LM_MUST_USE;

loam_status lm_export_gguf(const lm_train_params *params, const lm_tokenizer *tokenizer,
                           const char *name, const char *path, loam_error *err) LM_MUST_USE;

#endif
