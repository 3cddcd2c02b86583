/* Tensors as a file holds them: names, types as the format spells them, shapes, and where the bytes lie.
 *
 * A set is filled once by a reader (gguf, safetensors) and then only looked at; afterwards any thread may read it. It
 * owns the names; the bytes belong to the file map. Shapes are outermost dimension first, row-major, whatever order
 * the format uses.
 */
#ifndef LM_MODEL_STORED_TENSOR_H
#define LM_MODEL_STORED_TENSOR_H

#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "compute/dtype.h"

enum { LM_STORED_MAX_DIMS = 8 };

/* One row of a format's table of element types. */
typedef struct lm_stored_type {
    const char *name;    /* as the format spells it: "F32", "Q4_K" */
    int64_t block_elems; /* elements that share one block along the innermost dimension */
    size_t block_bytes;
    bool is_loadable; /* whether the compute layer has a dtype for it */
    lm_dtype dtype;   /* if is_loadable */
} lm_stored_type;

typedef struct lm_stored_tensor {
    const char *name; /* NUL-terminated, never empty */
    const lm_stored_type *type;
    int n_dims; /* 0 is a scalar */
    int64_t shape[LM_STORED_MAX_DIMS];
    const void *data; /* aligned to the element; to 8 bytes in GGUF files */
    size_t size_bytes;
    const struct lm_coded_tensor *coded; /* not NULL: data is NULL, and rows come from this (coded_tensor.h) */
} lm_stored_tensor;

typedef struct lm_stored_tensors {
    LM_VEC(lm_stored_tensor) items; /* in the order of the file */
    lm_map *by_name;                /* index into items */
    lm_arena names;
} lm_stored_tensors;

loam_status lm_stored_tensors_init(lm_stored_tensors *set, loam_error *err) LM_MUST_USE;
void lm_stored_tensors_deinit(lm_stored_tensors *set);

/* Copies the name. LOAM_CORRUPT for an empty name, one with a NUL byte inside, or one that is there already. */
loam_status lm_stored_tensors_add(lm_stored_tensors *set, lm_str name,
                                  const lm_stored_tensor *tensor, loam_error *err) LM_MUST_USE;

/* The same for a vector [n] of numbers that are alike, which the set owns; type: F32 as the format spells it. */
loam_status lm_stored_tensors_add_alike(lm_stored_tensors *set, lm_str name,
                                        const lm_stored_type *type, int64_t n, float value,
                                        loam_error *err) LM_MUST_USE;

/* NULL when there is none. */
const lm_stored_tensor *lm_stored_tensors_find(const lm_stored_tensors *set, const char *name);

/* LOAM_CORRUPT when two tensors share a byte; with `no_gaps`, also when bytes between `start` and `end` belong to none.
 */
loam_status lm_stored_tensors_check_layout(const lm_stored_tensors *set, const void *start,
                                           const void *end, bool no_gaps,
                                           loam_error *err) LM_MUST_USE;

/* Number of elements (1 for a scalar); the shape has been checked against overflow by the reader. */
int64_t lm_stored_tensor_n_elems(const lm_stored_tensor *tensor);

/* Bytes that n_dims dimensions of `type` take. LOAM_CORRUPT on negative dimensions, overflow, or an innermost dimension
 * that is no multiple of the block. The message does not name the tensor: the caller prefixes it. */
loam_status lm_stored_size(const lm_stored_type *type, int n_dims, const int64_t *shape,
                           size_t *out_bytes, loam_error *err) LM_MUST_USE;

/* "[512, 64]"; cut when it does not fit. Returns `out`. */
enum { LM_SHAPE_TEXT_BYTES = 128 };
const char *lm_stored_shape_text(int n_dims, const int64_t *shape, char out[LM_SHAPE_TEXT_BYTES]);

#endif
