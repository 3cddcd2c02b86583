/* Growing arrays of one element type, as a macro over three fields so that elements keep their type.
 *
 *     typedef LM_VEC(int32_t) lm_vec_i32;
 *     lm_vec_i32 ids = {0};
 *     if (!lm_vec_push(&ids, 7)) return lm_error_no_memory(err, 0);
 *     for (size_t i = 0; i < ids.len; i++) use(ids.ptr[i]);
 *     lm_vec_deinit(&ids);
 *
 * A push invalidates pointers to elements. One thread at a time. Zero-initialized is empty.
 */
#ifndef LM_BASE_VEC_H
#define LM_BASE_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define LM_VEC(type)     \
    struct {             \
        type *ptr;       \
        size_t len;      \
        size_t capacity; \
    }

/* Makes room for n more elements; false when out of memory (the vector is unchanged). */
#define lm_vec_reserve(vec, n) \
    lm_vec_grow((void **)&(vec)->ptr, &(vec)->capacity, (vec)->len, (n), sizeof *(vec)->ptr)

#define lm_vec_push(vec, value) \
    (lm_vec_reserve((vec), 1) ? ((vec)->ptr[(vec)->len++] = (value), true) : false)

#define lm_vec_deinit(vec)                \
    do {                                  \
        lm_vec_release((vec)->ptr);       \
        (vec)->ptr = NULL;                \
        (vec)->len = (vec)->capacity = 0; \
    } while (0)

LM_MUST_USE bool lm_vec_grow(void **ptr, size_t *capacity, size_t len, size_t n_more,
                             size_t elem_bytes);
void lm_vec_release(void *ptr);

typedef LM_VEC(int32_t) lm_vec_i32;

#endif
