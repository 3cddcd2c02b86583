/* What every unit test includes: cmocka with its prerequisites, and checks for loam's statuses. */
#ifndef LM_TESTS_TESTING_H
#define LM_TESTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"

/* Fails with the error's text when the call is not ok. The call must use the variable `err`. */
#define assert_ok(call)                                                                \
    do {                                                                               \
        loam_error err = {0};                                                          \
        loam_status status_ = (call);                                                  \
        if (status_ != LOAM_OK) fail_msg("%s: %s (%s)", #call, err.message, err.hint); \
    } while (0)

/* Fails unless the call gives exactly this status. The call must use the variable `err`. */
#define assert_status(expected, call)                                                    \
    do {                                                                                 \
        loam_error err = {0};                                                            \
        loam_status status_ = (call);                                                    \
        if (status_ != (expected))                                                       \
            fail_msg("%s: got '%s' (%s), wanted '%s'", #call, loam_status_name(status_), \
                     err.message, loam_status_name(expected));                           \
    } while (0)

/* NaN fails. */
#define assert_close(a, b, atol, rtol)                                                       \
    do {                                                                                     \
        double a_ = (a), b_ = (b), d_ = a_ > b_ ? a_ - b_ : b_ - a_, m_ = b_ < 0 ? -b_ : b_; \
        if (!(a_ == b_ || d_ <= (atol) + (rtol)*m_))                                         \
            fail_msg("%.9g is not close to %.9g", a_, b_);                                   \
    } while (0)

/* A fresh folder under $TMPDIR for one test; remove it with lm_file_remove_tree. */
static inline LM_UNUSED char *test_temp_dir(void) {
    const char *base = getenv("TMPDIR");
    char *path = lm_asprintf("%s/loam-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(path);
    assert_non_null(mkdtemp(path));
    return path;
}

/* Folder of the shared data ("LOAM_TEST_DATA"), or NULL: a test that needs it must call skip() and says why. */
static inline LM_UNUSED const char *test_data_dir(void) {
    return getenv("LOAM_TEST_DATA");
}

#endif
