#include "model/tensor_stream.h"

enum { MAX_ALIGNMENT = 64 };

loam_status lm_tensor_stream_init(lm_tensor_stream *stream, size_t alignment, loam_error *err) {
    LM_ASSERT(alignment >= 1 && alignment <= MAX_ALIGNMENT);
    *stream = (lm_tensor_stream){.alignment = alignment};
    return lm_stored_tensors_init(&stream->declared, err);
}

void lm_tensor_stream_deinit(lm_tensor_stream *stream) {
    lm_file_writer_abort(&stream->file);
    lm_stored_tensors_deinit(&stream->declared);
    lm_vec_deinit(&stream->offsets);
}

static size_t padding(const lm_tensor_stream *stream, size_t at) {
    return (stream->alignment - at % stream->alignment) % stream->alignment;
}

loam_status lm_tensor_stream_declare(lm_tensor_stream *stream, const char *name,
                                     const lm_stored_type *type, int n_dims, const int64_t *shape,
                                     loam_error *err) {
    LM_ASSERT(!stream->file.stream && n_dims <= LM_STORED_MAX_DIMS);
    lm_stored_tensor tensor = {.type = type, .n_dims = n_dims};
    memcpy(tensor.shape, shape, (size_t)n_dims * sizeof *shape);
    loam_status status = lm_stored_size(type, n_dims, shape, &tensor.size_bytes, err);
    if (status == LOAM_OK)
        status = lm_stored_tensors_add(&stream->declared, lm_str_of(name), &tensor, err);
    if (status == LOAM_CORRUPT) { /* it is our caller who is wrong, no file */
        if (err) err->status = LOAM_INVALID;
        return LOAM_INVALID;
    }
    LM_TRY(status);
    size_t offset = stream->end_bytes + padding(stream, stream->end_bytes);
    stream->end_bytes = offset + tensor.size_bytes;
    return lm_vec_push(&stream->offsets, offset) ? LOAM_OK : lm_error_no_memory(err, sizeof offset);
}

loam_status lm_tensor_stream_begin(lm_tensor_stream *stream, const char *path, lm_str header,
                                   loam_error *err) {
    LM_TRY(lm_file_writer_open(&stream->file, path, err));
    return lm_file_writer_write(&stream->file, header.ptr, header.len, err);
}

/* Steps over tensors that are complete (empty ones at once), padding behind each. */
static LM_MUST_USE loam_status finish_complete(lm_tensor_stream *stream, loam_error *err) {
    static const uint8_t zeros[MAX_ALIGNMENT];
    while (stream->n_done < stream->declared.items.len &&
           stream->n_written == stream->declared.items.ptr[stream->n_done].size_bytes) {
        size_t end = stream->offsets.ptr[stream->n_done] + stream->n_written;
        LM_TRY(lm_file_writer_write(&stream->file, zeros, padding(stream, end), err));
        stream->n_done++;
        stream->n_written = 0;
    }
    return LOAM_OK;
}

loam_status lm_tensor_stream_write(lm_tensor_stream *stream, const void *bytes, size_t size_bytes,
                                   loam_error *err) {
    const uint8_t *at = bytes;
    for (;;) {
        LM_TRY(finish_complete(stream, err));
        if (size_bytes == 0) return LOAM_OK;
        if (stream->n_done == stream->declared.items.len)
            return lm_error_set(err, LOAM_INVALID,
                                "%s: %zu bytes more than the declared tensors take",
                                stream->file.path, size_bytes);
        size_t missing = stream->declared.items.ptr[stream->n_done].size_bytes - stream->n_written;
        size_t n = size_bytes < missing ? size_bytes : missing;
        LM_TRY(lm_file_writer_write(&stream->file, at, n, err));
        stream->n_written += n;
        at += n;
        size_bytes -= n;
    }
}

loam_status lm_tensor_stream_commit(lm_tensor_stream *stream, loam_error *err) {
    LM_TRY(finish_complete(stream, err));
    if (stream->n_done == stream->declared.items.len)
        return lm_file_writer_commit(&stream->file, err);
    const lm_stored_tensor *tensor = &stream->declared.items.ptr[stream->n_done];
    lm_error_set(err, LOAM_INVALID, "%s: tensor '%s' has %zu of %zu bytes", stream->file.path,
                 tensor->name, stream->n_written, tensor->size_bytes);
    lm_file_writer_abort(&stream->file);
    return LOAM_INVALID;
}
