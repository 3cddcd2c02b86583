#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void lm_assert_failed(const char *cond, const char *file, int line) {
    fprintf(stderr, "loam: internal error: %s (%s:%d)\n", cond, file, line);
    abort();
}

const char *loam_status_name(loam_status status) {
    static const char *const names[] = {
        [LOAM_OK] = "ok",
        [LOAM_INVALID] = "invalid",
        [LOAM_NOT_FOUND] = "not found",
        [LOAM_CORRUPT] = "corrupt",
        [LOAM_UNSUPPORTED] = "unsupported",
        [LOAM_IO] = "i/o error",
        [LOAM_NO_MEMORY] = "out of memory",
        [LOAM_LIMIT] = "limit reached",
        [LOAM_DENIED] = "denied",
        [LOAM_CONFLICT] = "conflict",
        [LOAM_CANCELLED] = "cancelled",
        [LOAM_UNAVAILABLE] = "unavailable",
        [LOAM_INTERNAL] = "internal error",
    };
    if ((size_t)status >= LM_COUNT_OF(names)) return "unknown";
    return names[status];
}

loam_status lm_error_set(loam_error *err, loam_status status, const char *fmt, ...) {
    if (!err) return status;
    va_list args;
    va_start(args, fmt);
    err->status = status;
    vsnprintf(err->message, sizeof err->message, fmt, args);
    err->hint[0] = '\0';
    va_end(args);
    return status;
}

static loam_status status_of_errno(int code) {
    switch (code) {
    case ENOMEM: return LOAM_NO_MEMORY;
    case ENOENT: return LOAM_NOT_FOUND;
    default: return LOAM_IO;
    }
}

loam_status lm_error_errno(loam_error *err, const char *fmt, ...) {
    int code = errno;
    loam_status status = status_of_errno(code);
    if (!err) return status;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, ": %s", strerror(code));
    err->status = status;
    err->hint[0] = '\0';
    if (code == ENOSPC || code == EDQUOT)
        snprintf(err->hint, sizeof err->hint, "free some disk space and try again");
    return status;
}

loam_status lm_error_hint(loam_error *err, loam_status status, const char *fmt, ...) {
    if (!err) return status;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->hint, sizeof err->hint, fmt, args);
    va_end(args);
    return status;
}

loam_status lm_error_prefix(loam_error *err, loam_status status, const char *fmt, ...) {
    if (!err) return status;
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, ": %s", old);
    return status;
}

loam_status lm_error_no_memory(loam_error *err, size_t size_bytes) {
    return lm_error_set(err, LOAM_NO_MEMORY, "out of memory asking for %zu bytes", size_bytes);
}
