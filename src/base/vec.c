#include "base/vec.h"

#include "base/checked.h"
#include "base/mem.h"

bool lm_vec_grow(void **ptr, size_t *capacity, size_t len, size_t n_more, size_t elem_bytes) {
    size_t need, bytes;
    if (!lm_checked_add_size(len, n_more, &need)) return false;
    if (need <= *capacity) return true;
    size_t fresh = *capacity ? *capacity : 8;
    while (fresh < need) {
        if (!lm_checked_mul_size(fresh, 2, &fresh)) return false;
    }
    if (!lm_checked_mul_size(fresh, elem_bytes, &bytes)) return false;
    void *grown = lm_realloc(*ptr, bytes);
    if (!grown) return false;
    *ptr = grown;
    *capacity = fresh;
    return true;
}

void lm_vec_release(void *ptr) {
    lm_free(ptr);
}
