/* Blocking HTTP for command-line clients, over libcurl: one request, the whole answer or its pieces as they come. */
#ifndef LM_NET_HTTP_FETCH_H
#define LM_NET_HTTP_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef struct lm_http_fetch_options {
    const char *method; /* NULL: GET */
    const char *url;
    const char *bearer;       /* API key for Authorization, or NULL */
    const char *content_type; /* of the body; NULL: application/json */
    lm_str body;
    int64_t timeout_ms;      /* for the whole answer; 0: none (streams) */
    bool follow;             /* redirects; the API key goes to the first host only */
    size_t max_answer_bytes; /* 0: 64 MiB */
    /* Takes the answer piece by piece instead of collecting it; false breaks off (LOAM_CANCELLED). Only for answers with
     * status 2xx; others are collected in `answer`. */
    bool (*on_body)(lm_str bytes, void *arg);
    void *arg;
} lm_http_fetch_options;

/* LOAM_OK whenever an answer came, whatever its HTTP status. answer is initialized here; lm_buf_deinit it. */
loam_status lm_http_fetch(const lm_http_fetch_options *options, int *out_http_status,
                          lm_buf *answer, loam_error *err) LM_MUST_USE;

#endif
