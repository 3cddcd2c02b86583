/* A Hugging Face model folder: config.json, and the tensors of model.safetensors or of the shards that
 * model.safetensors.index.json lists. Immutable after open: any thread; everything handed out lives until close.
 */
#ifndef LM_MODEL_HF_FOLDER_H
#define LM_MODEL_HF_FOLDER_H

#include <jansson.h>

#include "model/safetensors.h"

typedef struct lm_hf_folder lm_hf_folder;

/* LOAM_NOT_FOUND when a file is missing, else what the readers of its parts say. */
loam_status lm_hf_folder_open(const char *dir, lm_hf_folder **out, loam_error *err) LM_MUST_USE;
void lm_hf_folder_close(lm_hf_folder *folder); /* NULL is fine */

void lm_hf_folder_forget(const lm_hf_folder *folder); /* as lm_file_map_forget, of all shards */

const char *lm_hf_folder_config_path(const lm_hf_folder *folder);
const json_t *lm_hf_folder_config(const lm_hf_folder *folder);
const lm_stored_tensors *lm_hf_folder_tensors(const lm_hf_folder *folder); /* of all shards */

/* Before anybody else knows of the folder: a vector of numbers that are alike, which no file has, where there is none of that name. */
loam_status lm_hf_folder_add_alike(lm_hf_folder *folder, const char *name, int64_t n, float value,
                                   loam_error *err) LM_MUST_USE;

/* A JSON file of the folder, or *out = NULL when there is none of that name. *out is a new reference. */
loam_status lm_hf_folder_read_json(const char *dir, const char *name, json_t **out,
                                   loam_error *err) LM_MUST_USE;

#endif
