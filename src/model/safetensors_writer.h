/* safetensors: the writer. Tensors are declared first, then begin writes the header, then their bytes follow in the
 * order of declaration, then commit makes the file appear; as gguf_writer.h. One thread.
 */
#ifndef LM_MODEL_SAFETENSORS_WRITER_H
#define LM_MODEL_SAFETENSORS_WRITER_H

#include "model/safetensors.h"

typedef struct lm_safetensors_writer lm_safetensors_writer;

LM_MUST_USE lm_safetensors_writer *lm_safetensors_writer_new(void); /* NULL when out of memory */
void lm_safetensors_writer_free(
    lm_safetensors_writer *writer); /* drops a file that was not committed */

/* Shape outermost first. The format packs tensors without gaps, so wider types come first: LOAM_INVALID for a tensor
 * that would not be aligned, or a name that is there already; LOAM_UNSUPPORTED for quantized types. */
loam_status lm_safetensors_writer_add_tensor(lm_safetensors_writer *writer, const char *name,
                                             lm_dtype dtype, int n_dims, const int64_t *shape,
                                             loam_error *err) LM_MUST_USE;

/* The header says {"format": "pt"}, without which transformers refuses the file. */
loam_status lm_safetensors_writer_begin(lm_safetensors_writer *writer, const char *path,
                                        loam_error *err) LM_MUST_USE;
loam_status lm_safetensors_writer_write(lm_safetensors_writer *writer, const void *bytes,
                                        size_t size_bytes, loam_error *err) LM_MUST_USE;
loam_status lm_safetensors_writer_commit(lm_safetensors_writer *writer,
                                         loam_error *err) LM_MUST_USE;

#endif
