#include "model/gguf_writer.h"

#include "base/mem.h"
#include "model/tensor_stream.h"

enum { GGUF_VERSION = 3, GGUF_ALIGNMENT = 32 };

struct lm_gguf_writer {
    lm_buf values; /* the metadata as the file has it */
    uint64_t n_values;
    lm_tensor_stream tensors;
};

lm_gguf_writer *lm_gguf_writer_new(void) {
    lm_gguf_writer *writer = lm_calloc(1, sizeof *writer);
    if (!writer) return NULL;
    lm_buf_init(&writer->values, SIZE_MAX / 4);
    if (lm_tensor_stream_init(&writer->tensors, GGUF_ALIGNMENT, NULL) == LOAM_OK) return writer;
    lm_gguf_writer_free(writer);
    return NULL;
}

void lm_gguf_writer_free(lm_gguf_writer *writer) {
    if (!writer) return;
    lm_buf_deinit(&writer->values);
    lm_tensor_stream_deinit(&writer->tensors);
    lm_free(writer);
}

/* ------------------------------------------------------------------------------------------------- metadata */

static void put_u32(lm_buf *out, uint32_t value) {
    lm_buf_append(out, &value, sizeof value);
}

static void put_u64(lm_buf *out, uint64_t value) {
    lm_buf_append(out, &value, sizeof value);
}

static void put_str(lm_buf *out, lm_str text) {
    put_u64(out, text.len);
    lm_buf_append(out, text.ptr, text.len);
}

static void put_key_of(lm_gguf_writer *writer, lm_str key, lm_gguf_type type) {
    put_str(&writer->values, key);
    put_u32(&writer->values, (uint32_t)type);
    writer->n_values++;
}

static void put_key(lm_gguf_writer *writer, const char *key, lm_gguf_type type) {
    put_key_of(writer, lm_str_of(key), type);
}

void lm_gguf_writer_add_u32(lm_gguf_writer *writer, const char *key, uint32_t value) {
    put_key(writer, key, LM_GGUF_U32);
    put_u32(&writer->values, value);
}

void lm_gguf_writer_add_f32(lm_gguf_writer *writer, const char *key, float value) {
    put_key(writer, key, LM_GGUF_F32);
    lm_buf_append(&writer->values, &value, sizeof value);
}

void lm_gguf_writer_add_bool(lm_gguf_writer *writer, const char *key, bool value) {
    put_key(writer, key, LM_GGUF_BOOL);
    lm_buf_putc(&writer->values, value ? 1 : 0);
}

void lm_gguf_writer_add_str(lm_gguf_writer *writer, const char *key, lm_str value) {
    put_key(writer, key, LM_GGUF_STRING);
    put_str(&writer->values, value);
}

void lm_gguf_writer_add_value(lm_gguf_writer *writer, const lm_gguf_value *value) {
    lm_buf *out = &writer->values;
    put_key_of(writer, value->key, value->type);
    float f32 = (float)value->f64;
    switch (value->type) {
    case LM_GGUF_STRING: put_str(out, value->str); break;
    case LM_GGUF_ARRAY:
        put_u32(out, (uint32_t)value->array.type);
        put_u64(out, value->array.n);
        lm_buf_append(out, value->array.bytes, value->array.size_bytes);
        break;
    case LM_GGUF_F32: lm_buf_append(out, &f32, sizeof f32); break;
    default: lm_buf_append(out, &value->u64, lm_gguf_type_bytes(value->type)); /* little-endian */
    }
}

void lm_gguf_writer_open_array(lm_gguf_writer *writer, const char *key, lm_gguf_type type,
                               size_t n) {
    put_key(writer, key, LM_GGUF_ARRAY);
    put_u32(&writer->values, (uint32_t)type);
    put_u64(&writer->values, n);
}

void lm_gguf_writer_push_str(lm_gguf_writer *writer, lm_str value) {
    put_str(&writer->values, value);
}

void lm_gguf_writer_push_i32(lm_gguf_writer *writer, int32_t value) {
    lm_buf_append(&writer->values, &value, sizeof value);
}

void lm_gguf_writer_push_bool(lm_gguf_writer *writer, bool value) {
    lm_buf_putc(&writer->values, value ? 1 : 0);
}

void lm_gguf_writer_push_f32(lm_gguf_writer *writer, float value) {
    lm_buf_append(&writer->values, &value, sizeof value);
}

/* ------------------------------------------------------------------------------------------------- tensors */

loam_status lm_gguf_writer_add_tensor(lm_gguf_writer *writer, const char *name, lm_dtype dtype,
                                      int n_dims, const int64_t *shape, loam_error *err) {
    const lm_stored_type *type = lm_gguf_stored_type(lm_gguf_type_of_dtype(dtype));
    return lm_tensor_stream_declare(&writer->tensors, name, type, n_dims, shape, err);
}

static void put_tensor(const lm_stored_tensor *tensor, uint64_t offset, lm_buf *out) {
    put_str(out, lm_str_of(tensor->name));
    put_u32(out, (uint32_t)tensor->n_dims);
    for (int i = tensor->n_dims - 1; i >= 0; i--)
        put_u64(out, (uint64_t)tensor->shape[i]); /* innermost first */
    put_u32(out, lm_gguf_type_of_dtype(tensor->type->dtype));
    put_u64(out, offset);
}

static void put_header(const lm_gguf_writer *writer, lm_buf *out) {
    const lm_tensor_stream *tensors = &writer->tensors;
    lm_buf_puts(out, "GGUF");
    put_u32(out, GGUF_VERSION);
    put_u64(out, tensors->declared.items.len);
    put_u64(out, writer->n_values);
    lm_buf_append(out, lm_buf_cstr(&writer->values), writer->values.len);
    for (size_t i = 0; i < tensors->declared.items.len; i++)
        put_tensor(&tensors->declared.items.ptr[i], tensors->offsets.ptr[i], out);
    while (out->status == LOAM_OK && out->len % GGUF_ALIGNMENT != 0) lm_buf_putc(out, 0);
}

loam_status lm_gguf_writer_begin(lm_gguf_writer *writer, const char *path, loam_error *err) {
    lm_buf header;
    LM_TRY(lm_buf_status(&writer->values, err));
    lm_buf_init(&header, SIZE_MAX / 2);
    put_header(writer, &header);
    loam_status status = lm_buf_status(&header, err);
    if (status == LOAM_OK)
        status = lm_tensor_stream_begin(&writer->tensors, path, lm_buf_view(&header), err);
    lm_buf_deinit(&header);
    return status;
}

loam_status lm_gguf_writer_write(lm_gguf_writer *writer, const void *bytes, size_t size_bytes,
                                 loam_error *err) {
    return lm_tensor_stream_write(&writer->tensors, bytes, size_bytes, err);
}

loam_status lm_gguf_writer_commit(lm_gguf_writer *writer, loam_error *err) {
    return lm_tensor_stream_commit(&writer->tensors, err);
}
