/* safetensors: the reader of one file. Source: the format description in the safetensors repository (README).
 *
 * The file is mapped and its header checked whole when it is opened: header size, shapes, types, and data offsets that
 * cover the data section without gap or overlap. Immutable after open: any thread. Everything handed out is borrowed
 * and lives until close. Tensors whose elements the file does not align (an odd header, by writers that do not pad it)
 * are copied, so that all are aligned in memory.
 */
#ifndef LM_MODEL_SAFETENSORS_H
#define LM_MODEL_SAFETENSORS_H

#include "base/file.h"
#include "model/stored_tensor.h"

enum { LM_SAFETENSORS_MAX_HEADER_BYTES = 100 * 1000 * 1000 }; /* the format's own limit */

typedef struct lm_safetensors lm_safetensors;

/* LOAM_NOT_FOUND, LOAM_CORRUPT, LOAM_UNSUPPORTED (an element type newer than loam), LOAM_IO. */
loam_status lm_safetensors_open(const char *path, lm_safetensors **out,
                                loam_error *err) LM_MUST_USE;

/* The same for bytes in memory, aligned to 8, which must outlive the result; `name` stands in messages for the path. */
loam_status lm_safetensors_open_bytes(const char *name, const void *bytes, size_t size_bytes,
                                      lm_safetensors **out, loam_error *err) LM_MUST_USE;
void lm_safetensors_close(lm_safetensors *file); /* NULL is fine */

void lm_safetensors_forget(const lm_safetensors *file); /* as lm_file_map_forget, of its map */

const char *lm_safetensors_path(const lm_safetensors *file);
const lm_stored_tensors *lm_safetensors_tensors(const lm_safetensors *file);

/* A value of "__metadata__", e.g. "format" -> "pt"; empty when absent. */
lm_str lm_safetensors_metadata(const lm_safetensors *file, const char *key);

/* The format's row for a dtype; NULL when it has none (quantized types). */
const lm_stored_type *lm_safetensors_type_of_dtype(lm_dtype dtype);

#endif
