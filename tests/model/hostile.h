/* Broken copies of a valid file, for the tests of readers: each lies in a block of exactly its size, so that the
 * sanitizer sees a read of one byte too many.
 */
#ifndef LM_TESTS_MODEL_HOSTILE_H
#define LM_TESTS_MODEL_HOSTILE_H

#include "testing.h"

#include "base/str.h"

/* Opens the bytes and closes what it opened. */
typedef loam_status (*hostile_open)(const void *bytes, size_t size, loam_error *err);

static inline LM_UNUSED loam_status open_exactly(hostile_open open, const lm_buf *bytes,
                                                 size_t size, loam_error *err) {
    char *copy = lm_alloc(size);
    assert_non_null(copy);
    memcpy(copy, bytes->ptr, size);
    loam_status status = open(copy, size, err);
    lm_free(copy);
    return status;
}

/* Whole it opens; cut anywhere it is refused with one of two statuses (the same twice, if there is but one). */
static inline LM_UNUSED void check_every_cut(hostile_open open, const lm_buf *bytes,
                                             loam_status one, loam_status other) {
    loam_error err = {0};
    assert_int_equal(open_exactly(open, bytes, bytes->len, &err), LOAM_OK);
    for (size_t n = 0; n < bytes->len; n++) {
        loam_status status = open_exactly(open, bytes, n, &err);
        if (status != one && status != other)
            fail_msg("cut at %zu: %s", n, loam_status_name(status));
    }
}

/* Whatever one flipped bit makes of it: opened, or refused with words. */
static inline LM_UNUSED void check_every_flip(hostile_open open, lm_buf *bytes) {
    for (size_t i = 0; i < 8 * bytes->len; i++) {
        loam_error err = {0};
        bytes->ptr[i / 8] ^= (char)(1 << i % 8);
        loam_status status = open_exactly(open, bytes, bytes->len, &err);
        assert_true(status == LOAM_OK || err.message[0]);
        bytes->ptr[i / 8] ^= (char)(1 << i % 8);
    }
}

/* With the n-th allocation failing, for every n until it opens: refused for want of memory, nothing leaked. */
static inline LM_UNUSED void check_every_missing_allocation(hostile_open open,
                                                            const lm_buf *bytes) {
    uint64_t n = 1;
    for (loam_status status = LOAM_NO_MEMORY; status != LOAM_OK; n++) {
        loam_error err = {0};
        lm_mem_fail_after(n);
        status = open(bytes->ptr, bytes->len, &err);
        lm_mem_fail_after(0);
        if (status != LOAM_OK && status != LOAM_NO_MEMORY)
            fail_msg("allocation %d: %s", (int)n, err.message);
    }
    assert_true(n > 4);
}

#endif
