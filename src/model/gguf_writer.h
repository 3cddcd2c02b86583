/* GGUF version 3: the writer. First metadata and tensors are declared, then begin writes the header, then the tensors'
 * bytes follow in the order of declaration, then commit makes the file appear. See gguf.h for the source.
 *
 *     lm_gguf_writer *writer = lm_gguf_writer_new();
 *     lm_gguf_writer_add_str(writer, "general.architecture", LM_STR("llama"));
 *     lm_gguf_writer_add_tensor(writer, "token_embd.weight", LM_F32, 2, shape, err);
 *     lm_gguf_writer_begin(writer, path, err);
 *     lm_gguf_writer_write(writer, data, size, err);
 *     lm_gguf_writer_commit(writer, err);
 *     lm_gguf_writer_free(writer);
 *
 * One thread. Failures of the add functions without status show at begin.
 */
#ifndef LM_MODEL_GGUF_WRITER_H
#define LM_MODEL_GGUF_WRITER_H

#include "model/gguf.h"

typedef struct lm_gguf_writer lm_gguf_writer;

LM_MUST_USE lm_gguf_writer *lm_gguf_writer_new(void); /* NULL when out of memory */
void lm_gguf_writer_free(
    lm_gguf_writer *writer); /* drops a file that was not committed; NULL is fine */

/* Keys are the caller's to keep apart: no key twice. */
void lm_gguf_writer_add_u32(lm_gguf_writer *writer, const char *key, uint32_t value);
void lm_gguf_writer_add_f32(lm_gguf_writer *writer, const char *key, float value);
void lm_gguf_writer_add_bool(lm_gguf_writer *writer, const char *key, bool value);
void lm_gguf_writer_add_str(lm_gguf_writer *writer, const char *key, lm_str value);

/* As another file has it; borrowed only for the call. */
void lm_gguf_writer_add_value(lm_gguf_writer *writer, const lm_gguf_value *value);

/* Opens an array of n elements; exactly n elements of its type must be pushed before anything else is added. */
void lm_gguf_writer_open_array(lm_gguf_writer *writer, const char *key, lm_gguf_type type,
                               size_t n);
void lm_gguf_writer_push_str(lm_gguf_writer *writer, lm_str value);
void lm_gguf_writer_push_i32(lm_gguf_writer *writer, int32_t value);
void lm_gguf_writer_push_bool(lm_gguf_writer *writer, bool value);
void lm_gguf_writer_push_f32(lm_gguf_writer *writer, float value);

/* Shape outermost first, at most 4 dimensions. LOAM_INVALID for a name that is there already or a row that is no
 * multiple of the dtype's block. */
loam_status lm_gguf_writer_add_tensor(lm_gguf_writer *writer, const char *name, lm_dtype dtype,
                                      int n_dims, const int64_t *shape,
                                      loam_error *err) LM_MUST_USE;

loam_status lm_gguf_writer_begin(lm_gguf_writer *writer, const char *path,
                                 loam_error *err) LM_MUST_USE;

/* The next bytes of the tensors; pieces of any size. */
loam_status lm_gguf_writer_write(lm_gguf_writer *writer, const void *bytes, size_t size_bytes,
                                 loam_error *err) LM_MUST_USE;
loam_status lm_gguf_writer_commit(lm_gguf_writer *writer, loam_error *err) LM_MUST_USE;

#endif
