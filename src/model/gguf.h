/* GGUF version 2 and 3, little-endian: the reader. Source: the GGUF specification in the ggml repository,
 * docs/gguf.md.
 *
 * The file is mapped, its header is checked whole when it is opened (lengths, counts, offsets, alignment, overlaps),
 * and arrays stay where they are until somebody walks them. Immutable after open: any thread. Everything handed out is
 * borrowed and lives until close.
 */
#ifndef LM_MODEL_GGUF_H
#define LM_MODEL_GGUF_H

#include "base/file.h"
#include "model/stored_tensor.h"

typedef enum lm_gguf_type {
    LM_GGUF_U8 = 0,
    LM_GGUF_I8,
    LM_GGUF_U16,
    LM_GGUF_I16,
    LM_GGUF_U32,
    LM_GGUF_I32,
    LM_GGUF_F32,
    LM_GGUF_BOOL,
    LM_GGUF_STRING,
    LM_GGUF_ARRAY,
    LM_GGUF_U64,
    LM_GGUF_I64,
    LM_GGUF_F64,
    LM_GGUF_TYPE_COUNT,
} lm_gguf_type;

typedef struct lm_gguf_array {
    lm_gguf_type type; /* of the elements */
    size_t n;
    const uint8_t *bytes; /* as in the file, unaligned; walk it with the functions below */
    size_t size_bytes;
} lm_gguf_array;

typedef struct lm_gguf_value {
    lm_str key;
    lm_gguf_type type;
    union {
        uint64_t u64; /* U8 U16 U32 U64 BOOL */
        int64_t i64;  /* I8 I16 I32 I64 */
        double f64;   /* F32 F64 */
        lm_str str;
        lm_gguf_array array;
    };
} lm_gguf_value;

typedef struct lm_gguf lm_gguf;

/* Of a model that is split into files, the first (split.no 0): the tensors of all are there, the metadata are the first's.
 * LOAM_NOT_FOUND, LOAM_CORRUPT, LOAM_UNSUPPORTED (version 1, big-endian), LOAM_INVALID (another part), LOAM_IO. */
loam_status lm_gguf_open(const char *path, lm_gguf **out, loam_error *err) LM_MUST_USE;

/* The same for bytes in memory, aligned to 8, which must outlive the result; `name` stands in messages for the path. Of a
 * split model LOAM_UNSUPPORTED. */
loam_status lm_gguf_open_bytes(const char *name, const void *bytes, size_t size_bytes,
                               lm_gguf **out, loam_error *err) LM_MUST_USE;
void lm_gguf_close(lm_gguf *gguf); /* NULL is fine */

void lm_gguf_forget(const lm_gguf *gguf); /* as lm_file_map_forget, of the file's map */

const char *lm_gguf_path(const lm_gguf *gguf);
size_t lm_gguf_n_files(const lm_gguf *gguf); /* the parts of a split model, else 1 */
const char *lm_gguf_file_at(const lm_gguf *gguf, size_t index); /* path; 0 is lm_gguf_path */
const lm_stored_tensors *lm_gguf_tensors(const lm_gguf *gguf);

/* Adds a tensor F32 [1] for each of n elements of the array under `key` (or of one number for all), named by `pattern` with its
 * "%d": for parameters that the format has there. Nothing where the key is absent; LOAM_INVALID for too few. */
loam_status lm_gguf_add_listed(lm_gguf *gguf, const char *key, const char *pattern, int64_t n,
                               loam_error *err) LM_MUST_USE;

size_t lm_gguf_n_values(const lm_gguf *gguf);
const lm_gguf_value *lm_gguf_value_at(const lm_gguf *gguf, size_t index);
const lm_gguf_value *lm_gguf_find(const lm_gguf *gguf, const char *key); /* NULL when absent */

/* Typed reading: any integer type serves for i64, any number for f64. Absent gives LOAM_INVALID without fallback, a
 * wrong type always. */
loam_status lm_gguf_i64(const lm_gguf *gguf, const char *key, int64_t *out,
                        loam_error *err) LM_MUST_USE;
loam_status lm_gguf_str(const lm_gguf *gguf, const char *key, lm_str *out,
                        loam_error *err) LM_MUST_USE;
loam_status lm_gguf_i64_or(const lm_gguf *gguf, const char *key, int64_t fallback, int64_t *out,
                           loam_error *err) LM_MUST_USE;
loam_status lm_gguf_f64_or(const lm_gguf *gguf, const char *key, double fallback, double *out,
                           loam_error *err) LM_MUST_USE;
loam_status lm_gguf_bool_or(const lm_gguf *gguf, const char *key, bool fallback, bool *out,
                            loam_error *err) LM_MUST_USE;
loam_status lm_gguf_str_or(const lm_gguf *gguf, const char *key, lm_str fallback, lm_str *out,
                           loam_error *err) LM_MUST_USE;

/* The array under `key`, its elements of `type`. Absent: *out is empty (n = 0) and LOAM_OK. */
loam_status lm_gguf_array_or_empty(const lm_gguf *gguf, const char *key, lm_gguf_type type,
                                   lm_gguf_array *out, loam_error *err) LM_MUST_USE;

/* Element of an array of 32-bit numbers. */
float lm_gguf_array_f32(const lm_gguf_array *array, size_t index);
int32_t lm_gguf_array_i32(const lm_gguf_array *array, size_t index);
bool lm_gguf_array_bool(const lm_gguf_array *array, size_t index); /* of an array of bools */

/* Walks an array of strings: start with *cursor = 0, until it returns false. */
bool lm_gguf_array_next_str(const lm_gguf_array *array, size_t *cursor, lm_str *out);

/* "u32", "array", ... for messages and listings. */
const char *lm_gguf_type_name(lm_gguf_type type);

/* Bytes of a scalar of this type in the file; 0 for strings and arrays. */
size_t lm_gguf_type_bytes(lm_gguf_type type);

/* The file's number for a dtype of ours (GGML_TYPE_*), and the format's row for it. */
uint32_t lm_gguf_type_of_dtype(lm_dtype dtype);
const lm_stored_type *
lm_gguf_stored_type(uint32_t ggml_type); /* NULL: unknown or removed from the format */

#endif
