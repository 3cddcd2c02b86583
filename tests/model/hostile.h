/* Broken copies of a valid file, for the tests of readers: each lies in a block of exactly its size, so that the
 * sanitizer sees a read of one byte too many.
 */
#ifndef LM_TESTS_MODEL_HOSTILE_H
#define LM_TESTS_MODEL_HOSTILE_H

#include "testing.h"

#include "base/str.h"

/* Opens the bytes and closes what it opened. */
typedef loam_status (*hostile_open)(const void *bytes, size_t size, loam_error *err);

static inline LM_UNUSED loam_status open_exactly(hostile_open open, const lm_buf *bytes, size_t size, loam_error *err) {
    char *copy = lm_alloc(size);
    assert_non_null(copy);
    memcpy(copy, bytes->ptr, size);
    loam_status status = open(copy, size, err);
    lm_free(copy);
    return status;
}

/* Whole it opens; cut anywhere it is refused with one of two statuses (the same twice, if there is but one). */
static inline LM_UNUSED void check_every_cut(hostile_open open, const lm_buf *bytes, loam_status one,
                                             loam_status other) {
    loam_error err = {0};
    assert_int_equal(open_exactly(open, bytes, bytes->len, &err), LOAM_OK);
    for (size_t n = 0; n < bytes->len; n++) {
        loam_status status = open_exactly(open, bytes, n, &err);
        if (status != one && status != other) fail_msg("cut at %zu: %s", n, loam_status_name(status));
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

#endif
