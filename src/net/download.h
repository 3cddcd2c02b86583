/* Blocking download of files whose sizes are known, over libcurl: several connections fetch ranges of them at once, what
 * breaks off goes on where it was, and pieces that are there already are not asked for.
 *
 *     lm_download_file files[] = {{.url = url, .size_bytes = size, .fd = fd, .piece_bytes = 4 << 20, .done = marks}};
 *     lm_download(files, 1, &(lm_download_options){.n_connections = 8, .on_pieces = on_pieces, .ctx = ctx}, &err);
 *
 * Bytes go to their place in the file at once; a piece is reported when all of it is written. Nothing is verified here but
 * sizes and ranges: servers that answer with other bytes are found by digests. One thread; callbacks come on it.
 */
#ifndef LM_NET_DOWNLOAD_H
#define LM_NET_DOWNLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef struct lm_download_file {
    const char *url;
    const char *bearer; /* for Authorization, sent to the URL's own host only; NULL: none */
    int64_t size_bytes;
    int64_t piece_bytes;
    int fd;        /* open for writing */
    uint8_t *done; /* [ceil(size / piece)] nonzero: there already; set as pieces come */
} lm_download_file;

typedef struct lm_download_options {
    int n_connections;      /* at once, over all files; 1 to LM_DOWNLOAD_MAX_CONNECTIONS */
    int n_retries;          /* in a row that brought nothing, before a file is given up */
    int64_t stall_ms;       /* without a byte, and a connection counts as broken */
    int64_t retry_delay_ms; /* before the first of such retries; doubles */
    /* Pieces first .. first + n of files[file] are there. Not OK ends everything with that error. */
    loam_status (*on_pieces)(void *ctx, size_t file, size_t first, size_t n, loam_error *err);
    /* Several times a second; bytes of all files that are there. False breaks off: LOAM_CANCELLED. NULL: none. */
    bool (*on_progress)(void *ctx, int64_t n_bytes);
    void *ctx;
} lm_download_options;

enum { LM_DOWNLOAD_MAX_CONNECTIONS = 64 };

/* The first file that fails ends everything; what was fetched stays. LOAM_DENIED, LOAM_NOT_FOUND, LOAM_CORRUPT (another
 * size than promised), LOAM_UNAVAILABLE (nothing came for n_retries times), LOAM_IO (of the local disk). */
loam_status lm_download(lm_download_file *files, size_t n, const lm_download_options *options,
                        loam_error *err) LM_MUST_USE;

#endif
