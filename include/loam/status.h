/* Status codes and error text shared by every loam function that can fail.
 *
 * A function that can fail returns `loam_status` (0 is ok) and takes `loam_error *err` (may be NULL) as its last
 * parameter. Outputs are written only on success. The message is one line, lower case, without a full stop, and
 * carries the offending value; the hint says what to do and may be empty.
 */
#ifndef LOAM_STATUS_H
#define LOAM_STATUS_H

/* What the shared library exports. */
#if defined(__GNUC__)
#define LOAM_API __attribute__((visibility("default")))
#else
#define LOAM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum loam_status {
    LOAM_OK = 0,
    LOAM_INVALID,     /* an argument, option or document is wrong */
    LOAM_NOT_FOUND,   /* a file, row or resource does not exist */
    LOAM_CORRUPT,     /* bytes from outside break their format */
    LOAM_UNSUPPORTED, /* well-formed, but loam cannot do it */
    LOAM_IO,          /* the operating system refused to read or write */
    LOAM_NO_MEMORY,
    LOAM_LIMIT,       /* a named limit was reached: queue full, context full, budget spent */
    LOAM_DENIED,      /* the key or role does not allow it */
    LOAM_CONFLICT,    /* the state does not allow it now */
    LOAM_CANCELLED,   /* stopped on request */
    LOAM_UNAVAILABLE, /* a server or device cannot be reached now */
    LOAM_INTERNAL,    /* a bug of ours */
} loam_status;

typedef struct loam_error {
    loam_status status;
    char message[512];
    char hint[256];
} loam_error;

/* Short lower-case name of a status, e.g. "corrupt". Never NULL. Static storage. Any thread. */
LOAM_API const char *loam_status_name(loam_status status);

#ifdef __cplusplus
}
#endif
#endif
