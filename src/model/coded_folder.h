/* Quantized checkpoints of Hugging Face folders: what config.json says of how they are written, and which tensors of the file
 * make a matrix together. A scheme is a row of coded_schemes.def.
 *
 *     model.layers.0.mlp.up_proj.qweight, .qzeros, .scales, .g_idx  -->  model.layers.0.mlp.up_proj.weight  (coded_tensor.h)
 *
 * Whoever opens a folder sees matrices under the names and of the shapes that they have in a folder that is not quantized; nothing
 * is computed before their rows are asked for. Activations are not quantized as some schemes' own runtimes do, but for
 * BitNet's: their scales are left aside. Immutable after open, any thread; borrows from the stored tensors.
 */
#ifndef LM_MODEL_CODED_FOLDER_H
#define LM_MODEL_CODED_FOLDER_H

#include <jansson.h>

#include "model/coded_tensor.h"
#include "model/stored_tensor.h"

typedef struct lm_coded_folder lm_coded_folder;

/* config: of config.json, `path` for messages. *out = NULL: the folder is not quantized. LOAM_UNSUPPORTED for a scheme that is
 * not known (named with what is near) or cannot be run, LOAM_NOT_FOUND for a tensor that lacks its scales, LOAM_INVALID for
 * those that do not fit together. */
loam_status lm_coded_folder_open(const json_t *config, const char *path,
                                 const lm_stored_tensors *stored, lm_coded_folder **out,
                                 loam_error *err) LM_MUST_USE;
void lm_coded_folder_close(lm_coded_folder *folder); /* NULL is fine */

/* Those of the file that are no part of a coded one, and the coded ones: data NULL, `coded` set, type and size as it becomes. */
const lm_stored_tensors *lm_coded_folder_tensors(const lm_coded_folder *folder);

/* Whether its matrices read rows of 8 bits (ops/round_rows.c). */
bool lm_coded_folder_rounds(const lm_coded_folder *folder);

const char *lm_coded_folder_method(const lm_coded_folder *folder); /* quant_method: "gptq" */

#endif
