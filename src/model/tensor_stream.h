/* Tensors on their way into a file, for the writers of GGUF and safetensors: first all are declared, then their bytes
 * come in the same order, in pieces of any size. The file appears whole at commit or not at all.
 */
#ifndef LM_MODEL_TENSOR_STREAM_H
#define LM_MODEL_TENSOR_STREAM_H

#include "base/file.h"
#include "model/stored_tensor.h"

typedef struct lm_tensor_stream {
    lm_stored_tensors declared; /* `data` is not used */
    LM_VEC(size_t) offsets;     /* of each, from the start of the data section */
    size_t end_bytes;           /* of the last one */
    size_t alignment; /* of offsets; zeros fill what lies between, behind the last one too */
    lm_file_writer file;
    size_t n_done;    /* tensors whose bytes are all there */
    size_t n_written; /* bytes of the one after those */
} lm_tensor_stream;

loam_status lm_tensor_stream_init(lm_tensor_stream *stream, size_t alignment,
                                  loam_error *err) LM_MUST_USE;
void lm_tensor_stream_deinit(lm_tensor_stream *stream); /* drops a file that was not committed */

/* LOAM_INVALID for a name that is there already. Shapes outermost first. */
loam_status lm_tensor_stream_declare(lm_tensor_stream *stream, const char *name,
                                     const lm_stored_type *type, int n_dims, const int64_t *shape,
                                     loam_error *err) LM_MUST_USE;

/* Opens the file and writes what precedes the data section. */
loam_status lm_tensor_stream_begin(lm_tensor_stream *stream, const char *path, lm_str header,
                                   loam_error *err) LM_MUST_USE;

/* The next bytes; they may go over the end of one tensor into the next. LOAM_INVALID past the last one. */
loam_status lm_tensor_stream_write(lm_tensor_stream *stream, const void *bytes, size_t size_bytes,
                                   loam_error *err) LM_MUST_USE;

/* LOAM_INVALID when bytes are missing; the file is dropped then. */
loam_status lm_tensor_stream_commit(lm_tensor_stream *stream, loam_error *err) LM_MUST_USE;

#endif
