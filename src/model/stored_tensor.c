#include "model/stored_tensor.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/mem.h"

loam_status lm_stored_tensors_init(lm_stored_tensors *set, loam_error *err) {
    *set = (lm_stored_tensors){0};
    lm_arena_init(&set->names, 0, 0);
    set->by_name = lm_map_new();
    return set->by_name ? LOAM_OK : lm_error_no_memory(err, sizeof(void *));
}

void lm_stored_tensors_deinit(lm_stored_tensors *set) {
    lm_vec_deinit(&set->items);
    lm_map_free(set->by_name);
    lm_arena_deinit(&set->names);
    set->by_name = NULL;
}

loam_status lm_stored_tensors_add(lm_stored_tensors *set, lm_str name,
                                  const lm_stored_tensor *tensor, loam_error *err) {
    if (name.len == 0 || memchr(name.ptr, '\0', name.len))
        return lm_error_set(err, LOAM_CORRUPT, "tensor %zu has an empty or broken name",
                            set->items.len);
    uint64_t there;
    if (lm_map_get(set->by_name, name, &there))
        return lm_error_set(err, LOAM_CORRUPT, "tensor '%.*s' is there twice", (int)name.len,
                            name.ptr);
    lm_stored_tensor copy = *tensor;
    copy.name = lm_arena_strndup(&set->names, name.ptr, name.len);
    if (!copy.name || !lm_map_set(set->by_name, name, set->items.len) ||
        !lm_vec_push(&set->items, copy))
        return lm_error_no_memory(err, name.len + sizeof copy);
    return LOAM_OK;
}

loam_status lm_stored_tensors_add_alike(lm_stored_tensors *set, lm_str name,
                                        const lm_stored_type *type, int64_t n, float value,
                                        loam_error *err) {
    size_t size = (size_t)n * sizeof value;
    float *values = lm_arena_alloc(&set->names, size);
    if (!values) return lm_error_no_memory(err, size);
    for (int64_t i = 0; i < n; i++) values[i] = value;
    const lm_stored_tensor tensor = {
        .type = type, .n_dims = 1, .shape = {n}, .data = values, .size_bytes = size};
    return lm_stored_tensors_add(set, name, &tensor, err);
}

const lm_stored_tensor *lm_stored_tensors_find(const lm_stored_tensors *set, const char *name) {
    uint64_t index;
    return lm_map_get(set->by_name, lm_str_of(name), &index) ? &set->items.ptr[index] : NULL;
}

static int by_address(const void *a, const void *b) {
    const lm_stored_tensor *x = *(const lm_stored_tensor *const *)a,
                           *y = *(const lm_stored_tensor *const *)b;
    uintptr_t px = (uintptr_t)x->data, py = (uintptr_t)y->data;
    if (px != py) return px < py ? -1 : 1;
    return (x->size_bytes > y->size_bytes) -
           (x->size_bytes < y->size_bytes); /* empty tensors first */
}

static loam_status check_sorted(const lm_stored_tensor *const *sorted, size_t n,
                                const uint8_t *start, const uint8_t *end, bool no_gaps,
                                loam_error *err) {
    const uint8_t *at = start;
    const char *previous = "";
    for (size_t i = 0; i < n; i++) {
        const lm_stored_tensor *tensor = sorted[i];
        const uint8_t *data = tensor->data;
        if (data < at && tensor->size_bytes > 0)
            return lm_error_set(err, LOAM_CORRUPT, "tensors '%s' and '%s' overlap by %zu bytes",
                                previous, tensor->name, (size_t)(at - data));
        if (no_gaps && data > at)
            return lm_error_set(err, LOAM_CORRUPT,
                                "%zu bytes before tensor '%s' belong to no tensor",
                                (size_t)(data - at), tensor->name);
        if (tensor->size_bytes == 0) continue;
        at = data + tensor->size_bytes;
        previous = tensor->name;
    }
    if (no_gaps && at != end)
        return lm_error_set(err, LOAM_CORRUPT, "%zu bytes at the end belong to no tensor",
                            (size_t)(end - at));
    return LOAM_OK;
}

loam_status lm_stored_tensors_check_layout(const lm_stored_tensors *set, const void *start,
                                           const void *end, bool no_gaps, loam_error *err) {
    size_t n = set->items.len;
    const lm_stored_tensor **sorted = lm_calloc(n, sizeof *sorted);
    if (!sorted) return lm_error_no_memory(err, n * sizeof *sorted);
    for (size_t i = 0; i < n; i++) sorted[i] = &set->items.ptr[i];
    qsort(sorted, n, sizeof *sorted, by_address);
    loam_status status = check_sorted(sorted, n, start, end, no_gaps, err);
    lm_free(sorted);
    return status;
}

int64_t lm_stored_tensor_n_elems(const lm_stored_tensor *tensor) {
    int64_t n = 1;
    for (int i = 0; i < tensor->n_dims; i++) n *= tensor->shape[i];
    return n;
}

loam_status lm_stored_size(const lm_stored_type *type, int n_dims, const int64_t *shape,
                           size_t *out_bytes, loam_error *err) {
    char text[LM_SHAPE_TEXT_BYTES];
    int64_t n = 1, innermost = n_dims ? shape[n_dims - 1] : 1;
    for (int i = 0; i < n_dims; i++) {
        if (shape[i] < 0 || !lm_checked_mul_i64(n, shape[i], &n))
            return lm_error_set(err, LOAM_CORRUPT, "shape %s is too large",
                                lm_stored_shape_text(n_dims, shape, text));
    }
    if (innermost % type->block_elems != 0)
        return lm_error_set(err, LOAM_CORRUPT,
                            "rows of %lld elements are no multiple of %s's block of %lld",
                            (long long)innermost, type->name, (long long)type->block_elems);
    if (!lm_checked_mul_size((size_t)(n / type->block_elems), type->block_bytes, out_bytes))
        return lm_error_set(err, LOAM_CORRUPT, "shape %s of %s is too large",
                            lm_stored_shape_text(n_dims, shape, text), type->name);
    return LOAM_OK;
}

const char *lm_stored_shape_text(int n_dims, const int64_t *shape, char out[LM_SHAPE_TEXT_BYTES]) {
    size_t used = (size_t)snprintf(out, LM_SHAPE_TEXT_BYTES, "[");
    for (int i = 0; i < n_dims && used < LM_SHAPE_TEXT_BYTES; i++)
        used += (size_t)snprintf(out + used, LM_SHAPE_TEXT_BYTES - used, "%s%lld", i ? ", " : "",
                                 (long long)shape[i]);
    if (used < LM_SHAPE_TEXT_BYTES) snprintf(out + used, LM_SHAPE_TEXT_BYTES - used, "]");
    return out;
}
