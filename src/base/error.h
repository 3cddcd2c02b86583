/* Filling a loam_error. Owns nothing; any thread. See loam/status.h for what messages look like. */
#ifndef LM_BASE_ERROR_H
#define LM_BASE_ERROR_H

#include <stddef.h>

#include "base/compiler.h"
#include "loam/status.h"

/* Sets status and message, clears the hint, returns `status` so that callers can `return lm_error_set(...)`.
 * err may be NULL. Messages longer than the buffer are cut. */
loam_status lm_error_set(loam_error *err, loam_status status, const char *fmt, ...) LM_PRINTF(3, 4);

/* Sets the message to text plus ": " and strerror(errno); status LOAM_NO_MEMORY for ENOMEM, LOAM_NOT_FOUND for
 * ENOENT, LOAM_IO otherwise. Full disks get a hint. */
loam_status lm_error_errno(loam_error *err, const char *fmt, ...) LM_PRINTF(2, 3);

/* Adds the hint (what the user can do) to an error already set; returns err's status, or `status` if err is NULL. */
loam_status lm_error_hint(loam_error *err, loam_status status, const char *fmt, ...)
    LM_PRINTF(3, 4);

/* Puts "prefix: " before the message: how a caller adds the file or field it was working on. */
loam_status lm_error_prefix(loam_error *err, loam_status status, const char *fmt, ...)
    LM_PRINTF(3, 4);

/* LOAM_NO_MEMORY with the size that was asked for. */
LM_COLD loam_status lm_error_no_memory(loam_error *err, size_t size_bytes);

#endif
