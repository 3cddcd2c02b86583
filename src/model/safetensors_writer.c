#include "model/safetensors_writer.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/tensor_stream.h"

enum { HEADER_ALIGNMENT = 8 };

struct lm_safetensors_writer {
    lm_tensor_stream tensors;
};

lm_safetensors_writer *lm_safetensors_writer_new(void) {
    lm_safetensors_writer *writer = lm_calloc(1, sizeof *writer);
    if (!writer) return NULL;
    if (lm_tensor_stream_init(&writer->tensors, 1, NULL) == LOAM_OK) return writer;
    lm_safetensors_writer_free(writer);
    return NULL;
}

void lm_safetensors_writer_free(lm_safetensors_writer *writer) {
    if (!writer) return;
    lm_tensor_stream_deinit(&writer->tensors);
    lm_free(writer);
}

loam_status lm_safetensors_writer_add_tensor(lm_safetensors_writer *writer, const char *name,
                                             lm_dtype dtype, int n_dims, const int64_t *shape,
                                             loam_error *err) {
    const lm_stored_type *type = lm_safetensors_type_of_dtype(dtype);
    if (!type)
        return lm_error_set(err, LOAM_UNSUPPORTED,
                            "tensor '%s': safetensors has no such element type", name);
    if (writer->tensors.end_bytes % type->block_bytes != 0)
        return lm_error_set(err, LOAM_INVALID,
                            "tensor '%s' of %s would start at byte %zu; add wider types first",
                            name, type->name, writer->tensors.end_bytes);
    return lm_tensor_stream_declare(&writer->tensors, name, type, n_dims, shape, err);
}

/* {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]} */
static json_t *entry_of(const lm_stored_tensor *tensor, size_t offset) {
    json_t *shape = json_array();
    for (int i = 0; i < tensor->n_dims; i++)
        json_array_append_new(shape, json_integer(tensor->shape[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor->type->name, "shape", shape,
                     "data_offsets", (json_int_t)offset, (json_int_t)(offset + tensor->size_bytes));
}

/* The header's JSON (free), NULL when out of memory. */
static char *header_text(const lm_tensor_stream *tensors) {
    json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    bool failed = !header;
    for (size_t i = 0; i < tensors->declared.items.len && !failed; i++) {
        const lm_stored_tensor *tensor = &tensors->declared.items.ptr[i];
        failed = json_object_set_new(header, tensor->name,
                                     entry_of(tensor, tensors->offsets.ptr[i])) != 0;
    }
    char *text = failed ? NULL : json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

loam_status lm_safetensors_writer_begin(lm_safetensors_writer *writer, const char *path,
                                        loam_error *err) {
    char *text = header_text(&writer->tensors);
    if (!text) return lm_error_no_memory(err, 1);
    uint64_t len = strlen(text),
             padded = (len + HEADER_ALIGNMENT - 1) / HEADER_ALIGNMENT * HEADER_ALIGNMENT;
    lm_buf header;
    lm_buf_init(&header, sizeof padded + padded);
    lm_buf_append(&header, &padded, sizeof padded);
    lm_buf_append(&header, text, len);
    for (uint64_t i = len; i < padded; i++) lm_buf_putc(&header, ' ');
    free(text); /* jansson's own allocation */
    loam_status status = lm_buf_status(&header, err);
    if (status == LOAM_OK)
        status = lm_tensor_stream_begin(&writer->tensors, path, lm_buf_view(&header), err);
    lm_buf_deinit(&header);
    return status;
}

loam_status lm_safetensors_writer_write(lm_safetensors_writer *writer, const void *bytes,
                                        size_t size_bytes, loam_error *err) {
    return lm_tensor_stream_write(&writer->tensors, bytes, size_bytes, err);
}

loam_status lm_safetensors_writer_commit(lm_safetensors_writer *writer, loam_error *err) {
    return lm_tensor_stream_commit(&writer->tensors, err);
}
