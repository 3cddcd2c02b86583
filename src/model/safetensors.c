#include "model/safetensors.h"

#include "base/json.h"
#include "base/mem.h"

struct lm_safetensors {
    char *path;
    lm_file_map map;  /* empty when the bytes are the caller's */
    json_t *metadata; /* borrowed from header */
    json_t *header;
    lm_stored_tensors tensors;
    LM_VEC(void *) copies; /* of tensors whose elements the file does not align */
};

static const lm_stored_type stored_types[] = {
    {"F32", 1, 4, true, LM_F32},      {"BF16", 1, 2, true, LM_BF16},
    {"F16", 1, 2, true, LM_F16},      {"I32", 1, 4, true, LM_I32},
    {"F64", 1, 8, false, LM_F32},     {"I64", 1, 8, false, LM_F32},
    {"U64", 1, 8, false, LM_F32},     {"U32", 1, 4, false, LM_F32},
    {"I16", 1, 2, false, LM_F32},     {"U16", 1, 2, false, LM_F32},
    {"I8", 1, 1, false, LM_F32},      {"U8", 1, 1, false, LM_F32},
    {"BOOL", 1, 1, false, LM_F32},    {"F8_E4M3", 1, 1, false, LM_F32},
    {"F8_E5M2", 1, 1, false, LM_F32}, {"F8_E8M0", 1, 1, false, LM_F32},
};

const lm_stored_type *lm_safetensors_type_of_dtype(lm_dtype dtype) {
    for (size_t i = 0; i < LM_COUNT_OF(stored_types); i++) {
        if (stored_types[i].is_loadable && stored_types[i].dtype == dtype) return &stored_types[i];
    }
    return NULL;
}

static LM_MUST_USE loam_status read_type(const json_t *entry, const lm_stored_type **out,
                                         loam_error *err) {
    lm_str name;
    LM_TRY(lm_json_str(entry, "entry", "dtype", &name, err));
    for (size_t i = 0; i < LM_COUNT_OF(stored_types); i++) {
        if (!lm_str_is(name, stored_types[i].name)) continue;
        *out = &stored_types[i];
        return LOAM_OK;
    }
    return lm_error_set(err, LOAM_UNSUPPORTED, "unknown element type '%.*s'", (int)name.len,
                        name.ptr);
}

static LM_MUST_USE loam_status read_shape(const json_t *entry, lm_stored_tensor *out,
                                          loam_error *err) {
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape)) return lm_error_set(err, LOAM_CORRUPT, "'shape' must be an array");
    size_t n = json_array_size(shape);
    if (n > LM_STORED_MAX_DIMS)
        return lm_error_set(err, LOAM_UNSUPPORTED, "%zu dimensions, at most %d are allowed", n,
                            LM_STORED_MAX_DIMS);
    for (size_t i = 0; i < n; i++) {
        const json_t *dim = json_array_get(shape, i);
        if (!json_is_integer(dim))
            return lm_error_set(err, LOAM_CORRUPT, "'shape' must hold integers");
        out->shape[i] = json_integer_value(dim);
    }
    out->n_dims = (int)n;
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_offsets(const json_t *entry, size_t data_bytes,
                                            size_t *out_start, size_t *out_end, loam_error *err) {
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *start = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(start) || !json_is_integer(end))
        return lm_error_set(err, LOAM_CORRUPT, "'data_offsets' must be two integers");
    json_int_t from = json_integer_value(start), to = json_integer_value(end);
    if (from < 0 || to < from)
        return lm_error_set(err, LOAM_CORRUPT, "bytes %lld to %lld make no range", (long long)from,
                            (long long)to);
    if ((uint64_t)to > data_bytes) {
        lm_error_set(err, LOAM_CORRUPT, "ends at byte %lld of the data, the file has %zu",
                     (long long)to, data_bytes);
        return lm_error_hint(err, LOAM_CORRUPT,
                             "the file is incomplete or damaged; fetch it again");
    }
    *out_start = (size_t)from;
    *out_end = (size_t)to;
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_entry(const json_t *entry, const uint8_t *data,
                                          size_t data_bytes, lm_stored_tensor *out,
                                          loam_error *err) {
    size_t start = 0, end = 0;
    if (!json_is_object(entry)) return lm_error_set(err, LOAM_CORRUPT, "its entry is no object");
    LM_TRY(read_type(entry, &out->type, err));
    LM_TRY(read_shape(entry, out, err));
    LM_TRY(lm_stored_size(out->type, out->n_dims, out->shape, &out->size_bytes, err));
    LM_TRY(read_offsets(entry, data_bytes, &start, &end, err));
    if (end - start != out->size_bytes)
        return lm_error_set(err, LOAM_CORRUPT, "its shape takes %zu bytes, its range has %zu",
                            out->size_bytes, end - start);
    out->data = data + start;
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_entries(lm_safetensors *file, const uint8_t *data,
                                            size_t data_bytes, loam_error *err) {
    const char *name;
    size_t name_len;
    json_t *entry;
    json_object_keylen_foreach(file->header, name, name_len, entry) {
        if (entry == file->metadata) continue;
        lm_stored_tensor tensor = {0};
        loam_status status = read_entry(entry, data, data_bytes, &tensor, err);
        if (status != LOAM_OK) return lm_error_prefix(err, status, "tensor '%s'", name);
        LM_TRY(lm_stored_tensors_add(&file->tensors, (lm_str){name, name_len}, &tensor, err));
    }
    return lm_stored_tensors_check_layout(&file->tensors, data, data + data_bytes, true, err);
}

static LM_MUST_USE loam_status align_tensors(lm_safetensors *file, loam_error *err) {
    for (size_t i = 0; i < file->tensors.items.len; i++) {
        lm_stored_tensor *tensor = &file->tensors.items.ptr[i];
        if ((uintptr_t)tensor->data % tensor->type->block_bytes == 0) continue;
        void *copy = lm_alloc(tensor->size_bytes);
        if (!copy || !lm_vec_push(&file->copies, copy)) {
            lm_free(copy);
            return lm_error_no_memory(err, tensor->size_bytes);
        }
        memcpy(copy, tensor->data, tensor->size_bytes);
        tensor->data = copy;
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status parse_header(lm_safetensors *file, lm_str text, loam_error *err) {
    loam_status status = lm_json_parse(text, "header", &file->header, err);
    if (status == LOAM_INVALID)
        return lm_error_hint(err, LOAM_CORRUPT, "the file is damaged; fetch it again");
    LM_TRY(status);
    if (!json_is_object(file->header))
        return lm_error_set(err, LOAM_CORRUPT, "the header is no JSON object");
    file->metadata = json_object_get(file->header, "__metadata__");
    if (file->metadata && !json_is_object(file->metadata))
        return lm_error_set(err, LOAM_CORRUPT, "'__metadata__' is no object");
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_file(lm_safetensors *file, const uint8_t *bytes, size_t size,
                                         loam_error *err) {
    uint64_t header_bytes;
    if (size < sizeof header_bytes)
        return lm_error_set(err, LOAM_CORRUPT, "has %zu bytes, too few for a safetensors file",
                            size);
    memcpy(&header_bytes, bytes, sizeof header_bytes);
    size -= sizeof header_bytes;
    bytes += sizeof header_bytes;
    if (header_bytes > LM_SAFETENSORS_MAX_HEADER_BYTES || header_bytes > size)
        return lm_error_set(
            err, LOAM_CORRUPT, "the header claims %llu bytes, %zu follow and %d are allowed",
            (unsigned long long)header_bytes, size, LM_SAFETENSORS_MAX_HEADER_BYTES);
    LM_TRY(parse_header(file, (lm_str){(const char *)bytes, (size_t)header_bytes}, err));
    LM_TRY(read_entries(file, bytes + header_bytes, size - (size_t)header_bytes, err));
    return align_tensors(file, err);
}

loam_status lm_safetensors_open_bytes(const char *name, const void *bytes, size_t size_bytes,
                                      lm_safetensors **out, loam_error *err) {
    lm_safetensors *file = lm_calloc(1, sizeof *file);
    if (!file) return lm_error_no_memory(err, sizeof *file);
    file->path = lm_strdup(name);
    loam_status status = lm_stored_tensors_init(&file->tensors, err);
    if (!file->path) status = lm_error_no_memory(err, strlen(name));
    if (status == LOAM_OK) {
        status = read_file(file, bytes, size_bytes, err);
        if (status == LOAM_INVALID)
            status = LOAM_CORRUPT; /* a field's wrong type: here it breaks the format */
        if (status != LOAM_OK) lm_error_prefix(err, status, "%s", name);
    }
    if (status != LOAM_OK) {
        if (err) err->status = status;
        lm_safetensors_close(file);
        return status;
    }
    *out = file;
    return LOAM_OK;
}

loam_status lm_safetensors_open(const char *path, lm_safetensors **out, loam_error *err) {
    lm_file_map map;
    LM_TRY(lm_file_map_open(path, &map, err));
    loam_status status = lm_safetensors_open_bytes(path, map.ptr, map.size_bytes, out, err);
    if (status == LOAM_OK) {
        (*out)->map = map;
    } else {
        lm_file_map_close(&map);
    }
    return status;
}

void lm_safetensors_close(lm_safetensors *file) {
    if (!file) return;
    for (size_t i = 0; i < file->copies.len; i++) lm_free(file->copies.ptr[i]);
    lm_vec_deinit(&file->copies);
    lm_stored_tensors_deinit(&file->tensors);
    json_decref(file->header);
    lm_file_map_close(&file->map);
    lm_free(file->path);
    lm_free(file);
}

void lm_safetensors_forget(const lm_safetensors *file) {
    if (file->map.ptr) lm_file_map_forget(file->map.ptr, file->map.size_bytes);
}

const char *lm_safetensors_path(const lm_safetensors *file) {
    return file->path;
}

const lm_stored_tensors *lm_safetensors_tensors(const lm_safetensors *file) {
    return &file->tensors;
}

lm_str lm_safetensors_metadata(const lm_safetensors *file, const char *key) {
    return lm_str_of(json_string_value(json_object_get(file->metadata, key)));
}
