/* A model on disk, read-only and memory-mapped: a GGUF file, or a Hugging Face folder (config.json, one or many
 * safetensors files). What differs between the two stops here, but for the tensors' names and the rotary layout, which
 * the architecture's descriptor knows.
 *
 * Every length, offset and shape has been checked against the file when open returns. Immutable afterwards: any
 * thread. Tensors, names and hparams live until close.
 */
#ifndef LM_MODEL_MODEL_FILE_H
#define LM_MODEL_MODEL_FILE_H

#include "compute/tensor.h"
#include "model/gguf.h"
#include "model/hparams.h"
#include "model/stored_tensor.h"

typedef enum lm_model_format { LM_FORMAT_GGUF, LM_FORMAT_HF } lm_model_format;

typedef struct lm_model_file lm_model_file;

/* path: a .gguf file, or a folder with config.json. LOAM_NOT_FOUND, LOAM_CORRUPT (broken file), LOAM_INVALID (config
 * makes no sense), LOAM_UNSUPPORTED (e.g. a GGUF without hyperparameters of a language model). */
loam_status lm_model_file_open(const char *path, lm_model_file **out, loam_error *err) LM_MUST_USE;
void lm_model_file_close(lm_model_file *file); /* NULL is fine */

lm_model_format lm_model_file_format(const lm_model_file *file);
const char *lm_model_file_path(const lm_model_file *file);
const lm_hparams *lm_model_file_hparams(const lm_model_file *file);
const lm_gguf *lm_model_file_gguf(const lm_model_file *file); /* NULL for a folder */

/* All tensors, in no promised order, loadable or not; of a quantized folder as model/coded_folder.h has them. */
size_t lm_model_file_n_tensors(const lm_model_file *file);
const lm_stored_tensor *lm_model_file_tensor_at(const lm_model_file *file, size_t index);

/* The same as the file itself has them. */
const lm_stored_tensors *lm_model_file_stored(const lm_model_file *file);
const char *lm_model_file_quantization(const lm_model_file *file); /* "gptq"; NULL: a folder of numbers, or a GGUF file */

/* Elements, and bytes in the file, of all tensors together. */
typedef struct lm_model_size {
    int64_t n_params;
    size_t size_bytes;
} lm_model_size;
lm_model_size lm_model_file_size(const lm_model_file *file);

/* Gives the memory behind the files' maps back; what is read again comes from the files. A hint. */
void lm_model_file_forget(const lm_model_file *file);

/* NULL when there is none of that name. */
const lm_stored_tensor *lm_model_file_find(const lm_model_file *file, const char *name);

/* The tensor as a weight (LM_LAYOUT_ROWS, data borrowed from the map, NULL of a coded one), of exactly this shape, outermost first.
 * LOAM_NOT_FOUND, LOAM_INVALID for another shape, LOAM_UNSUPPORTED for an element type compute does not have. */
loam_status lm_model_file_weight(const lm_model_file *file, const char *name, int n_dims,
                                 const int64_t *shape, lm_weight *out, loam_error *err) LM_MUST_USE;

#endif
