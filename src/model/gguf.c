#include "model/gguf.h"

#include <stdio.h>

#include "base/checked.h"
#include "base/mem.h"

enum {
    GGUF_VERSION_MIN = 2,
    GGUF_VERSION_MAX = 3,
    GGUF_DEFAULT_ALIGNMENT = 32,
    GGUF_MAX_ALIGNMENT = 1 << 20,
    GGUF_MAX_DIMS = 4,
    GGUF_MAX_KEY_BYTES = 65535,
    GGUF_MAX_ARRAY_DEPTH = 4,
    GGUF_MIN_VALUE_BYTES = 8 + 4 + 1,      /* key length, type, smallest value */
    GGUF_MIN_TENSOR_BYTES = 8 + 4 + 4 + 8, /* name length, number of dimensions, type, offset */
};

struct lm_gguf {
    char *path;
    lm_file_map map; /* empty when the bytes are the caller's */
    LM_VEC(lm_gguf *)
    others; /* of a split model: the parts behind this one, whose tensors are among ours */
    LM_VEC(lm_gguf_value) values;
    lm_map *by_key; /* index into values */
    lm_stored_tensors tensors;
};

/* ------------------------------------------------------------------------------------------------- types */

static const struct {
    uint32_t number;
    lm_stored_type type;
} ggml_types[] = {
#define GGML_TYPE(number, name, elems, bytes) {number, {#name, elems, bytes, false, LM_F32}},
#define GGML_TYPE_LOADABLE(number, name, elems, bytes, dtype) \
    {number, {#name, elems, bytes, true, dtype}},
#include "model/gguf_types.def"
#undef GGML_TYPE
#undef GGML_TYPE_LOADABLE
};

const lm_stored_type *lm_gguf_stored_type(uint32_t ggml_type) {
    for (size_t i = 0; i < LM_COUNT_OF(ggml_types); i++) {
        if (ggml_types[i].number == ggml_type) return &ggml_types[i].type;
    }
    return NULL;
}

uint32_t lm_gguf_type_of_dtype(lm_dtype dtype) {
    size_t i = 0;
    while (!ggml_types[i].type.is_loadable || ggml_types[i].type.dtype != dtype) {
        i++;
        LM_ASSERT(i < LM_COUNT_OF(ggml_types)); /* every dtype of weights has a row */
    }
    return ggml_types[i].number;
}

static const struct {
    const char *name;
    size_t size_bytes;
} value_types[LM_GGUF_TYPE_COUNT] = {
    [LM_GGUF_U8] = {"u8", 1},       [LM_GGUF_I8] = {"i8", 1},     [LM_GGUF_U16] = {"u16", 2},
    [LM_GGUF_I16] = {"i16", 2},     [LM_GGUF_U32] = {"u32", 4},   [LM_GGUF_I32] = {"i32", 4},
    [LM_GGUF_F32] = {"f32", 4},     [LM_GGUF_BOOL] = {"bool", 1}, [LM_GGUF_STRING] = {"string", 0},
    [LM_GGUF_ARRAY] = {"array", 0}, [LM_GGUF_U64] = {"u64", 8},   [LM_GGUF_I64] = {"i64", 8},
    [LM_GGUF_F64] = {"f64", 8},
};

const char *lm_gguf_type_name(lm_gguf_type type) {
    return (unsigned)type < LM_GGUF_TYPE_COUNT ? value_types[type].name : "unknown";
}

size_t lm_gguf_type_bytes(lm_gguf_type type) {
    return (unsigned)type < LM_GGUF_TYPE_COUNT ? value_types[type].size_bytes : 0;
}

/* ------------------------------------------------------------------------------------------------- bytes */

/* What is left of the header. Every read checks, and says at which byte the file ends. */
typedef struct header {
    const uint8_t *start, *at, *end;
} header;

static size_t left(const header *in) {
    return (size_t)(in->end - in->at);
}

static LM_COLD loam_status truncated(const header *in, uint64_t want, const char *what,
                                     loam_error *err) {
    lm_error_set(err, LOAM_CORRUPT, "%s at byte %zu takes %llu bytes, the file has %zu", what,
                 (size_t)(in->at - in->start), (unsigned long long)want,
                 (size_t)(in->end - in->start));
    return lm_error_hint(err, LOAM_CORRUPT, "the file is incomplete or damaged; fetch it again");
}

static LM_MUST_USE loam_status take(header *in, uint64_t n, const char *what, const uint8_t **out,
                                    loam_error *err) {
    if (n > left(in)) return truncated(in, n, what, err);
    *out = in->at;
    in->at += n;
    return LOAM_OK;
}

static LM_MUST_USE loam_status take_u32(header *in, const char *what, uint32_t *out,
                                        loam_error *err) {
    const uint8_t *bytes = NULL;
    LM_TRY(take(in, sizeof *out, what, &bytes, err));
    memcpy(out, bytes, sizeof *out);
    return LOAM_OK;
}

static LM_MUST_USE loam_status take_u64(header *in, const char *what, uint64_t *out,
                                        loam_error *err) {
    const uint8_t *bytes = NULL;
    LM_TRY(take(in, sizeof *out, what, &bytes, err));
    memcpy(out, bytes, sizeof *out);
    return LOAM_OK;
}

static LM_MUST_USE loam_status take_str(header *in, const char *what, lm_str *out,
                                        loam_error *err) {
    uint64_t len = 0;
    const uint8_t *bytes = NULL;
    LM_TRY(take_u64(in, what, &len, err));
    LM_TRY(take(in, len, what, &bytes, err));
    *out = (lm_str){(const char *)bytes, (size_t)len};
    return LOAM_OK;
}

/* ------------------------------------------------------------------------------------------------- values */

static LM_MUST_USE loam_status take_type(header *in, lm_gguf_type *out, loam_error *err) {
    uint32_t type = 0;
    LM_TRY(take_u32(in, "a value type", &type, err));
    if (type >= LM_GGUF_TYPE_COUNT)
        return lm_error_set(err, LOAM_CORRUPT, "unknown value type %u", type);
    *out = (lm_gguf_type)type;
    return LOAM_OK;
}

/* Steps over an array, checking every length on the way. */
static LM_MUST_USE loam_status take_array(header *in, int depth, lm_gguf_array *out,
                                          loam_error *err) {
    uint64_t n = 0;
    LM_TRY(take_type(in, &out->type, err));
    LM_TRY(take_u64(in, "an array length", &n, err));
    if (depth > GGUF_MAX_ARRAY_DEPTH)
        return lm_error_set(err, LOAM_CORRUPT, "arrays are nested deeper than %d",
                            GGUF_MAX_ARRAY_DEPTH);
    size_t elem_bytes = lm_gguf_type_bytes(out->type), fixed_bytes;
    if (n > left(in) || !lm_checked_mul_size((size_t)n, elem_bytes, &fixed_bytes))
        return truncated(in, n, "an array", err);
    const uint8_t *start = in->at, *skipped = NULL;
    LM_TRY(take(in, fixed_bytes, "an array", &skipped, err));
    for (uint64_t i = 0; i < n && elem_bytes == 0; i++) {
        lm_str text;
        lm_gguf_array inner;
        if (out->type == LM_GGUF_STRING) {
            LM_TRY(take_str(in, "a string", &text, err));
        } else {
            LM_TRY(take_array(in, depth + 1, &inner, err));
        }
    }
    out->n = (size_t)n;
    out->bytes = start;
    out->size_bytes = (size_t)(in->at - start);
    return LOAM_OK;
}

/* A scalar's bytes as the widest type of its family. */
static void widen(lm_gguf_value *value, const uint8_t *bytes, size_t n) {
    float f32;
    switch (value->type) {
    case LM_GGUF_F32: memcpy(&f32, bytes, n), value->f64 = f32; break;
    case LM_GGUF_F64: memcpy(&value->f64, bytes, n); break;
    case LM_GGUF_I8: value->i64 = (int8_t)bytes[0]; break;
    case LM_GGUF_I16: value->i64 = (int16_t)(bytes[0] | bytes[1] << 8); break;
    case LM_GGUF_I32: {
        int32_t i32;
        memcpy(&i32, bytes, n);
        value->i64 = i32;
        break;
    }
    case LM_GGUF_I64: memcpy(&value->i64, bytes, n); break;
    default:
        value->u64 = 0;
        memcpy(&value->u64, bytes, n); /* little-endian: the low bytes come first */
    }
}

static LM_MUST_USE loam_status take_value(header *in, lm_gguf_value *out, loam_error *err) {
    const uint8_t *bytes = NULL;
    LM_TRY(take_type(in, &out->type, err));
    if (out->type == LM_GGUF_STRING) return take_str(in, "a string", &out->str, err);
    if (out->type == LM_GGUF_ARRAY) return take_array(in, 1, &out->array, err);
    size_t n = lm_gguf_type_bytes(out->type);
    LM_TRY(take(in, n, "a value", &bytes, err));
    widen(out, bytes, n);
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_values(lm_gguf *gguf, header *in, uint64_t n, loam_error *err) {
    if (n > left(in) / GGUF_MIN_VALUE_BYTES) return truncated(in, n, "the list of metadata", err);
    if (!lm_vec_reserve(&gguf->values, (size_t)n))
        return lm_error_no_memory(err, (size_t)n * sizeof(lm_gguf_value));
    for (uint64_t i = 0; i < n; i++) {
        lm_gguf_value value = {0};
        uint64_t there;
        LM_TRY(take_str(in, "a key", &value.key, err));
        if (value.key.len > GGUF_MAX_KEY_BYTES)
            return lm_error_set(err, LOAM_CORRUPT, "key %llu has %zu bytes, more than %d",
                                (unsigned long long)i, value.key.len, GGUF_MAX_KEY_BYTES);
        loam_status status = take_value(in, &value, err);
        if (status != LOAM_OK)
            return lm_error_prefix(err, status, "key '%.*s'", (int)value.key.len, value.key.ptr);
        if (lm_map_get(gguf->by_key, value.key, &there))
            return lm_error_set(err, LOAM_CORRUPT, "key '%.*s' is there twice", (int)value.key.len,
                                value.key.ptr);
        if (!lm_map_set(gguf->by_key, value.key, i) || !lm_vec_push(&gguf->values, value))
            return lm_error_no_memory(err, value.key.len);
    }
    return LOAM_OK;
}

/* ------------------------------------------------------------------------------------------------- tensors */

static LM_MUST_USE loam_status read_alignment(const lm_gguf *gguf, size_t *out, loam_error *err) {
    int64_t alignment = 0;
    LM_TRY(lm_gguf_i64_or(gguf, "general.alignment", GGUF_DEFAULT_ALIGNMENT, &alignment, err));
    if (alignment < 8 || alignment > GGUF_MAX_ALIGNMENT || (alignment & (alignment - 1)) != 0)
        return lm_error_set(err, LOAM_CORRUPT,
                            "general.alignment %lld is no power of two from 8 to %d",
                            (long long)alignment, GGUF_MAX_ALIGNMENT);
    *out = (size_t)alignment;
    return LOAM_OK;
}

/* Dimensions stand in the file innermost first. */
static LM_MUST_USE loam_status take_shape(header *in, lm_stored_tensor *out, loam_error *err) {
    uint32_t n_dims = 0;
    LM_TRY(take_u32(in, "the number of dimensions", &n_dims, err));
    if (n_dims > GGUF_MAX_DIMS)
        return lm_error_set(err, LOAM_CORRUPT, "%u dimensions, at most %d are allowed", n_dims,
                            GGUF_MAX_DIMS);
    out->n_dims = (int)n_dims;
    for (int i = out->n_dims - 1; i >= 0; i--) {
        uint64_t dim = 0;
        LM_TRY(take_u64(in, "a dimension", &dim, err));
        if (dim > INT64_MAX)
            return lm_error_set(err, LOAM_CORRUPT, "a dimension of %llu", (unsigned long long)dim);
        out->shape[i] = (int64_t)dim;
    }
    return LOAM_OK;
}

/* Everything behind the name. `data` stays NULL; the offset comes back apart, since the data section starts only
 * behind the last of these entries. */
static LM_MUST_USE loam_status take_tensor(header *in, size_t alignment, lm_stored_tensor *out,
                                           uint64_t *out_offset, loam_error *err) {
    uint32_t type = 0;
    LM_TRY(take_shape(in, out, err));
    LM_TRY(take_u32(in, "a tensor type", &type, err));
    LM_TRY(take_u64(in, "a tensor offset", out_offset, err));
    out->type = lm_gguf_stored_type(type);
    if (!out->type) return lm_error_set(err, LOAM_UNSUPPORTED, "unknown element type %u", type);
    if (*out_offset % alignment != 0)
        return lm_error_set(err, LOAM_CORRUPT, "offset %llu is no multiple of the alignment %zu",
                            (unsigned long long)*out_offset, alignment);
    return lm_stored_size(out->type, out->n_dims, out->shape, &out->size_bytes, err);
}

/* Turns offsets, kept in `offsets` in the order of the tensors, into pointers. */
static LM_MUST_USE loam_status place_tensors(lm_gguf *gguf, const header *in, size_t alignment,
                                             const uint64_t *offsets, loam_error *err) {
    size_t header_bytes = (size_t)(in->at - in->start), file = (size_t)(in->end - in->start);
    size_t padding = (alignment - header_bytes % alignment) % alignment;
    size_t data_bytes = padding < left(in) ? left(in) - padding : 0;
    const uint8_t *data = in->at + (data_bytes ? padding : left(in));
    for (size_t i = 0; i < gguf->tensors.items.len; i++) {
        lm_stored_tensor *tensor = &gguf->tensors.items.ptr[i];
        if (offsets[i] > data_bytes || tensor->size_bytes > data_bytes - offsets[i]) {
            lm_error_set(err, LOAM_CORRUPT,
                         "tensor '%s' of %zu bytes starts at byte %llu, the file has %zu",
                         tensor->name, tensor->size_bytes,
                         (unsigned long long)offsets[i] + header_bytes + padding, file);
            return lm_error_hint(err, LOAM_CORRUPT,
                                 "the file is incomplete or damaged; fetch it again");
        }
        tensor->data = data + offsets[i];
    }
    return lm_stored_tensors_check_layout(&gguf->tensors, data, in->end, false, err);
}

static LM_MUST_USE loam_status read_tensors(lm_gguf *gguf, header *in, uint64_t n,
                                            loam_error *err) {
    size_t alignment = 0;
    LM_TRY(read_alignment(gguf, &alignment, err));
    if (n > left(in) / GGUF_MIN_TENSOR_BYTES) return truncated(in, n, "the list of tensors", err);
    uint64_t *offsets = lm_calloc((size_t)n, sizeof *offsets);
    if (!offsets) return lm_error_no_memory(err, (size_t)n * sizeof *offsets);
    loam_status status = LOAM_OK;
    for (uint64_t i = 0; i < n && status == LOAM_OK; i++) {
        lm_stored_tensor tensor = {0};
        lm_str name;
        status = take_str(in, "a tensor name", &name, err);
        if (status != LOAM_OK) break;
        status = take_tensor(in, alignment, &tensor, &offsets[i], err);
        if (status != LOAM_OK) {
            status = lm_error_prefix(err, status, "tensor '%.*s'",
                                     (int)(name.len < 128 ? name.len : 128), name.ptr);
        } else {
            status = lm_stored_tensors_add(&gguf->tensors, name, &tensor, err);
        }
    }
    if (status == LOAM_OK) status = place_tensors(gguf, in, alignment, offsets, err);
    lm_free(offsets);
    return status;
}

/* ------------------------------------------------------------------------------------------------- open, close */

static LM_MUST_USE loam_status check_version(uint32_t version, loam_error *err) {
    if (version >= GGUF_VERSION_MIN && version <= GGUF_VERSION_MAX) return LOAM_OK;
    if (__builtin_bswap32(version) <= GGUF_VERSION_MAX)
        return lm_error_set(err, LOAM_UNSUPPORTED,
                            "a big-endian GGUF file; loam reads little-endian ones");
    return lm_error_set(err, LOAM_UNSUPPORTED, "GGUF version %u; loam reads versions %d and %d",
                        version, GGUF_VERSION_MIN, GGUF_VERSION_MAX);
}

static LM_MUST_USE loam_status read_header(lm_gguf *gguf, const uint8_t *bytes, size_t size,
                                           loam_error *err) {
    header in = {bytes, bytes, bytes + size};
    const uint8_t *magic = NULL;
    uint32_t version = 0;
    uint64_t n_tensors = 0, n_values = 0;
    LM_TRY(take(&in, 4, "the magic number", &magic, err));
    if (memcmp(magic, "GGUF", 4) != 0) return lm_error_set(err, LOAM_CORRUPT, "not a GGUF file");
    LM_TRY(take_u32(&in, "the version", &version, err));
    LM_TRY(check_version(version, err));
    LM_TRY(take_u64(&in, "the number of tensors", &n_tensors, err));
    LM_TRY(take_u64(&in, "the number of metadata values", &n_values, err));
    LM_TRY(read_values(gguf, &in, n_values, err));
    return read_tensors(gguf, &in, n_tensors, err);
}

static LM_MUST_USE loam_status open_one(const char *name, const void *bytes, size_t size_bytes,
                                        lm_gguf **out, loam_error *err) {
    static const uint8_t nothing[1];
    lm_gguf *gguf = lm_calloc(1, sizeof *gguf);
    if (!gguf) return lm_error_no_memory(err, sizeof *gguf);
    gguf->path = lm_strdup(name);
    gguf->by_key = lm_map_new();
    loam_status status = lm_stored_tensors_init(&gguf->tensors, err);
    if (!gguf->path || !gguf->by_key) status = lm_error_no_memory(err, strlen(name));
    if (status == LOAM_OK) {
        status = read_header(gguf, bytes ? bytes : nothing, size_bytes, err);
        if (status != LOAM_OK) lm_error_prefix(err, status, "%s", name);
    }
    if (status != LOAM_OK) {
        lm_gguf_close(gguf);
        return status;
    }
    *out = gguf;
    return LOAM_OK;
}

static LM_MUST_USE loam_status open_part(const char *path, lm_gguf **out, loam_error *err) {
    lm_file_map map;
    LM_TRY(lm_file_map_open(path, &map, err));
    loam_status status = open_one(path, map.ptr, map.size_bytes, out, err);
    if (status == LOAM_OK)
        (*out)->map = map;
    else
        lm_file_map_close(&map);
    return status;
}

/* ------------------------------------------------------------------------------------------------- split models */

/* Parts are named "x-00001-of-00003.gguf" (llama.cpp, llama_split_path), and say which they are: split.no from 0, split.count. */
enum { SPLIT_MAX_PARTS = 9999 };

static LM_MUST_USE loam_status read_split(const lm_gguf *gguf, int64_t *out_no, int64_t *out_count,
                                          loam_error *err) {
    LM_TRY(lm_gguf_i64_or(gguf, "split.count", 1, out_count, err));
    LM_TRY(lm_gguf_i64_or(gguf, "split.no", 0, out_no, err));
    if (*out_count <= 1) return LOAM_OK;
    if (*out_count <= SPLIT_MAX_PARTS && *out_no >= 0 && *out_no < *out_count) return LOAM_OK;
    return lm_error_set(err, LOAM_CORRUPT, "%s: part %lld of %lld", gguf->path, (long long)*out_no,
                        (long long)*out_count);
}

/* The path of another part, on the heap; NULL: this one's name is not such a name, or out of memory. */
static char *part_path(const char *path, int64_t no, int64_t count) {
    char tail[40];
    int len = snprintf(tail, sizeof tail, "-00001-of-%05lld.gguf", (long long)count);
    lm_str text = lm_str_of(path);
    if (!lm_str_ends(text, (lm_str){tail, (size_t)len})) return NULL;
    return lm_asprintf("%.*s-%05lld-of-%05lld.gguf", (int)(text.len - (size_t)len), path,
                       (long long)no + 1, (long long)count);
}

static LM_MUST_USE loam_status add_part(lm_gguf *gguf, int64_t no, int64_t count, loam_error *err) {
    char *path = part_path(gguf->path, no, count);
    lm_gguf *part = NULL;
    int64_t is_no, is_count;
    if (!path)
        return lm_error_set(err, LOAM_INVALID,
                            "%s: the first of %lld parts is not named -00001-of-%05lld.gguf",
                            gguf->path, (long long)count, (long long)count);
    loam_status status = open_part(path, &part, err);
    if (status == LOAM_NOT_FOUND)
        lm_error_hint(err, status, "all %lld parts must be in one folder", (long long)count);
    lm_free(path);
    if (status != LOAM_OK) return status;
    if (!lm_vec_push(&gguf->others, part)) {
        lm_gguf_close(part);
        return lm_error_no_memory(err, sizeof part);
    }
    LM_TRY(read_split(part, &is_no, &is_count, err));
    if (is_no != no || is_count != count)
        return lm_error_set(err, LOAM_CORRUPT,
                            "%s: is part %lld of %lld, by its name part %lld of %lld", part->path,
                            (long long)is_no + 1, (long long)is_count, (long long)no + 1,
                            (long long)count);
    for (size_t i = 0; i < part->tensors.items.len; i++) {
        const lm_stored_tensor *tensor = &part->tensors.items.ptr[i];
        status = lm_stored_tensors_add(&gguf->tensors, lm_str_of(tensor->name), tensor, err);
        if (status != LOAM_OK) return lm_error_prefix(err, status, "%s", part->path);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status add_parts(lm_gguf *gguf, loam_error *err) {
    int64_t no, count, n_tensors;
    LM_TRY(read_split(gguf, &no, &count, err));
    if (count <= 1) return LOAM_OK;
    if (no != 0) {
        lm_error_set(err, LOAM_INVALID, "%s: part %lld of %lld of a split model", gguf->path,
                     (long long)no + 1, (long long)count);
        return lm_error_hint(err, LOAM_INVALID, "open the first part; it leads to the others");
    }
    for (int64_t i = 1; i < count; i++) LM_TRY(add_part(gguf, i, count, err));
    LM_TRY(lm_gguf_i64_or(gguf, "split.tensors.count", (int64_t)gguf->tensors.items.len, &n_tensors,
                          err));
    if (n_tensors == (int64_t)gguf->tensors.items.len) return LOAM_OK;
    return lm_error_set(err, LOAM_CORRUPT, "%s: the %lld parts hold %zu tensors, not %lld",
                        gguf->path, (long long)count, gguf->tensors.items.len,
                        (long long)n_tensors);
}

loam_status lm_gguf_open_bytes(const char *name, const void *bytes, size_t size_bytes,
                               lm_gguf **out, loam_error *err) {
    lm_gguf *gguf = NULL;
    int64_t no, count;
    LM_TRY(open_one(name, bytes, size_bytes, &gguf, err));
    loam_status status = read_split(gguf, &no, &count, err);
    if (status == LOAM_OK && count > 1)
        status = lm_error_set(err, LOAM_UNSUPPORTED, "%s: one of %lld parts of a split model", name,
                              (long long)count);
    if (status == LOAM_OK)
        *out = gguf;
    else
        lm_gguf_close(gguf);
    return status;
}

loam_status lm_gguf_open(const char *path, lm_gguf **out, loam_error *err) {
    lm_gguf *gguf = NULL;
    LM_TRY(open_part(path, &gguf, err));
    loam_status status = add_parts(gguf, err);
    if (status == LOAM_OK)
        *out = gguf;
    else
        lm_gguf_close(gguf);
    return status;
}

void lm_gguf_close(lm_gguf *gguf) {
    if (!gguf) return;
    for (size_t i = 0; i < gguf->others.len; i++) lm_gguf_close(gguf->others.ptr[i]);
    lm_vec_deinit(&gguf->others);
    lm_stored_tensors_deinit(&gguf->tensors);
    lm_vec_deinit(&gguf->values);
    lm_map_free(gguf->by_key);
    lm_file_map_close(&gguf->map);
    lm_free(gguf->path);
    lm_free(gguf);
}

/* ------------------------------------------------------------------------------------------------- looking up */

void lm_gguf_forget(const lm_gguf *gguf) {
    if (gguf->map.ptr) lm_file_map_forget(gguf->map.ptr, gguf->map.size_bytes);
    for (size_t i = 0; i < gguf->others.len; i++) lm_gguf_forget(gguf->others.ptr[i]);
}

const char *lm_gguf_path(const lm_gguf *gguf) {
    return gguf->path;
}

size_t lm_gguf_n_files(const lm_gguf *gguf) {
    return 1 + gguf->others.len;
}

const char *lm_gguf_file_at(const lm_gguf *gguf, size_t index) {
    LM_ASSERT(index <= gguf->others.len);
    return index == 0 ? gguf->path : gguf->others.ptr[index - 1]->path;
}

const lm_stored_tensors *lm_gguf_tensors(const lm_gguf *gguf) {
    return &gguf->tensors;
}

static LM_MUST_USE loam_status add_number(lm_gguf *gguf, const char *pattern, int64_t index,
                                          float value, loam_error *err) {
    char *name = lm_asprintf("%.*s%lld%s", (int)strcspn(pattern, "%"), pattern, (long long)index,
                             pattern + strcspn(pattern, "%") + 2);
    if (!name) return lm_error_no_memory(err, strlen(pattern));
    const lm_stored_type *type = lm_gguf_stored_type(lm_gguf_type_of_dtype(LM_F32));
    loam_status status = lm_stored_tensors_add_alike(&gguf->tensors, lm_str_of(name), type, 1,
                                                     value, err);
    lm_free(name);
    return status;
}

loam_status lm_gguf_add_listed(lm_gguf *gguf, const char *key, const char *pattern, int64_t n,
                               loam_error *err) {
    const lm_gguf_value *value = lm_gguf_find(gguf, key);
    lm_gguf_array list = {0};
    double of_all = 0;
    if (!value) return LOAM_OK;
    if (value->type == LM_GGUF_ARRAY)
        LM_TRY(lm_gguf_array_or_empty(gguf, key, LM_GGUF_F32, &list, err));
    else
        LM_TRY(lm_gguf_f64_or(gguf, key, 0, &of_all, err));
    if (value->type == LM_GGUF_ARRAY && list.n < (uint64_t)n)
        return lm_error_set(err, LOAM_INVALID, "%s: '%s' has %llu numbers for %lld layers",
                            gguf->path, key, (unsigned long long)list.n, (long long)n);
    for (int64_t i = 0; i < n; i++) {
        float number = value->type == LM_GGUF_ARRAY ? lm_gguf_array_f32(&list, (size_t)i)
                                                    : (float)of_all;
        LM_TRY(add_number(gguf, pattern, i, number, err));
    }
    return LOAM_OK;
}

size_t lm_gguf_n_values(const lm_gguf *gguf) {
    return gguf->values.len;
}

const lm_gguf_value *lm_gguf_value_at(const lm_gguf *gguf, size_t index) {
    return &gguf->values.ptr[index];
}

const lm_gguf_value *lm_gguf_find(const lm_gguf *gguf, const char *key) {
    uint64_t index;
    return lm_map_get(gguf->by_key, lm_str_of(key), &index) ? &gguf->values.ptr[index] : NULL;
}

static LM_COLD loam_status wrong_type(const lm_gguf *gguf, const char *key, const char *want,
                                      lm_gguf_type type, loam_error *err) {
    return lm_error_set(err, LOAM_INVALID, "%s: '%s' must be %s, not %s", gguf->path, key, want,
                        lm_gguf_type_name(type));
}

static LM_COLD loam_status missing(const lm_gguf *gguf, const char *key, loam_error *err) {
    return lm_error_set(err, LOAM_INVALID, "%s: '%s' is missing", gguf->path, key);
}

/* The number as an integer, whatever its width; false for other types and for what int64_t cannot hold. */
static bool value_as_i64(const lm_gguf_value *value, int64_t *out) {
    switch (value->type) {
    case LM_GGUF_I8:
    case LM_GGUF_I16:
    case LM_GGUF_I32:
    case LM_GGUF_I64: *out = value->i64; return true;
    case LM_GGUF_U8:
    case LM_GGUF_U16:
    case LM_GGUF_U32:
    case LM_GGUF_U64:
        if (value->u64 > INT64_MAX) return false;
        *out = (int64_t)value->u64;
        return true;
    default: return false;
    }
}

loam_status lm_gguf_i64_or(const lm_gguf *gguf, const char *key, int64_t fallback, int64_t *out,
                           loam_error *err) {
    const lm_gguf_value *value = lm_gguf_find(gguf, key);
    int64_t number = fallback;
    if (value && !value_as_i64(value, &number))
        return wrong_type(gguf, key, "an integer", value->type, err);
    *out = number;
    return LOAM_OK;
}

loam_status lm_gguf_i64(const lm_gguf *gguf, const char *key, int64_t *out, loam_error *err) {
    if (!lm_gguf_find(gguf, key)) return missing(gguf, key, err);
    return lm_gguf_i64_or(gguf, key, 0, out, err);
}

loam_status lm_gguf_f64_or(const lm_gguf *gguf, const char *key, double fallback, double *out,
                           loam_error *err) {
    const lm_gguf_value *value = lm_gguf_find(gguf, key);
    int64_t integer;
    if (!value) {
        *out = fallback;
    } else if (value->type == LM_GGUF_F32 || value->type == LM_GGUF_F64) {
        *out = value->f64;
    } else if (value_as_i64(value, &integer)) {
        *out = (double)integer;
    } else {
        return wrong_type(gguf, key, "a number", value->type, err);
    }
    return LOAM_OK;
}

loam_status lm_gguf_bool_or(const lm_gguf *gguf, const char *key, bool fallback, bool *out,
                            loam_error *err) {
    const lm_gguf_value *value = lm_gguf_find(gguf, key);
    if (value && value->type != LM_GGUF_BOOL)
        return wrong_type(gguf, key, "a bool", value->type, err);
    *out = value ? value->u64 != 0 : fallback;
    return LOAM_OK;
}

loam_status lm_gguf_str_or(const lm_gguf *gguf, const char *key, lm_str fallback, lm_str *out,
                           loam_error *err) {
    const lm_gguf_value *value = lm_gguf_find(gguf, key);
    if (value && value->type != LM_GGUF_STRING)
        return wrong_type(gguf, key, "a string", value->type, err);
    *out = value ? value->str : fallback;
    return LOAM_OK;
}

loam_status lm_gguf_str(const lm_gguf *gguf, const char *key, lm_str *out, loam_error *err) {
    if (!lm_gguf_find(gguf, key)) return missing(gguf, key, err);
    return lm_gguf_str_or(gguf, key, LM_STR(""), out, err);
}

loam_status lm_gguf_array_or_empty(const lm_gguf *gguf, const char *key, lm_gguf_type type,
                                   lm_gguf_array *out, loam_error *err) {
    const lm_gguf_value *value = lm_gguf_find(gguf, key);
    if (value && value->type != LM_GGUF_ARRAY)
        return wrong_type(gguf, key, "an array", value->type, err);
    if (value && value->array.type != type)
        return lm_error_set(err, LOAM_INVALID, "%s: '%s' must hold %s, not %s", gguf->path, key,
                            lm_gguf_type_name(type), lm_gguf_type_name(value->array.type));
    *out = value ? value->array : (lm_gguf_array){.type = type};
    return LOAM_OK;
}

float lm_gguf_array_f32(const lm_gguf_array *array, size_t index) {
    LM_ASSERT(array->type == LM_GGUF_F32 && index < array->n);
    float number;
    memcpy(&number, array->bytes + index * sizeof number, sizeof number);
    return number;
}

bool lm_gguf_array_bool(const lm_gguf_array *array, size_t index) {
    LM_ASSERT(index < array->n && array->type == LM_GGUF_BOOL);
    return array->bytes[index] != 0;
}

int32_t lm_gguf_array_i32(const lm_gguf_array *array, size_t index) {
    LM_ASSERT((array->type == LM_GGUF_I32 || array->type == LM_GGUF_U32) && index < array->n);
    int32_t number;
    memcpy(&number, array->bytes + index * sizeof number, sizeof number);
    return number;
}

bool lm_gguf_array_next_str(const lm_gguf_array *array, size_t *cursor, lm_str *out) {
    LM_ASSERT(array->type == LM_GGUF_STRING);
    if (*cursor >= array->size_bytes) return false;
    uint64_t len; /* checked against the file when it was opened */
    memcpy(&len, array->bytes + *cursor, sizeof len);
    *out = (lm_str){(const char *)array->bytes + *cursor + sizeof len, (size_t)len};
    *cursor += sizeof len + (size_t)len;
    return true;
}
