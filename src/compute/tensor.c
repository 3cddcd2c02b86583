#include "compute/tensor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/checked.h"

/* Appends like snprintf at *at, never past the end. */
static LM_PRINTF(4, 5) void append(char *buf, size_t size, size_t *at, const char *fmt, ...) {
    if (*at >= size) return;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(buf + *at, size - *at, fmt, args);
    va_end(args);
    if (n > 0) *at += (size_t)n;
}

static const char *shape_text(const char *name, lm_dtype dtype, int n_dims, const int64_t *shape,
                              char buf[LM_TENSOR_TEXT_BYTES]) {
    size_t at = 0;
    append(buf, LM_TENSOR_TEXT_BYTES, &at, "%s%s%s [", name, *name ? " " : "",
           lm_dtype_get(dtype)->name);
    for (int i = 0; i < n_dims && i < LM_MAX_DIMS; i++)
        append(buf, LM_TENSOR_TEXT_BYTES, &at, "%s%" PRId64, i ? ", " : "", shape[i]);
    append(buf, LM_TENSOR_TEXT_BYTES, &at, "]");
    return buf;
}

const char *lm_tensor_text(const lm_tensor *tensor, char buf[LM_TENSOR_TEXT_BYTES]) {
    return shape_text(tensor->name, tensor->dtype, tensor->n_dims, tensor->shape, buf);
}

loam_status lm_shape_check(const char *name, lm_dtype dtype, int n_dims, const int64_t *shape,
                           loam_error *err) {
    char text[LM_TENSOR_TEXT_BYTES];
    if (n_dims < 1 || n_dims > LM_MAX_DIMS)
        return lm_error_set(err, LOAM_INVALID, "tensor '%s' has %d dimensions, not 1 to %d", name,
                            n_dims, LM_MAX_DIMS);
    const lm_dtype_info *info = lm_dtype_get(dtype);
    /* Every type takes at most 4 bytes an element, so this bound keeps the bytes in range too. */
    int64_t n_elems = 4;
    for (int i = 0; i < n_dims; i++) {
        if (shape[i] < 1 || !lm_checked_mul_i64(n_elems, shape[i], &n_elems))
            return lm_error_set(err, LOAM_INVALID, "tensor '%s' has an impossible shape: %s", name,
                                shape_text("", dtype, n_dims, shape, text));
    }
    if (shape[n_dims - 1] % info->block_elems != 0)
        return lm_error_set(err, LOAM_INVALID,
                            "tensor '%s' has rows of %" PRId64
                            " elements, %s wants multiples of %" PRId64,
                            name, shape[n_dims - 1], info->name, info->block_elems);
    return LOAM_OK;
}

int64_t lm_tensor_row_elems(const lm_tensor *tensor) {
    int64_t n = 1;
    for (int i = 1; i < tensor->n_dims; i++) n *= tensor->shape[i];
    return n;
}

int64_t lm_tensor_n_elems(const lm_tensor *tensor) {
    return tensor->shape[0] * lm_tensor_row_elems(tensor);
}

size_t lm_tensor_bytes(const lm_tensor *tensor) {
    return lm_dtype_bytes(tensor->dtype, lm_tensor_n_elems(tensor));
}

bool lm_tensor_same_shape(const lm_tensor *a, const lm_tensor *b) {
    if (a->n_dims != b->n_dims || a->extent != b->extent) return false;
    for (int i = 0; i < a->n_dims; i++)
        if (a->shape[i] != b->shape[i]) return false;
    return true;
}
