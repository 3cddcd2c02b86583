/* Errors in OpenAI's shape: {"error": {"message", "type", "param", "code"}}. `param` names the field of the body that is
 * wrong, `code` is for programs.
 */
#ifndef LM_SERVE_API_ERROR_H
#define LM_SERVE_API_ERROR_H

#include "net/http_server.h"

typedef struct lm_api_error {
    int http_status;
    const char *code; /* static; NULL: null */
    char param[96];   /* "": null */
    char message[512];
} lm_api_error;

/* 400 about one field ("" for the whole body); returns LOAM_INVALID. */
loam_status lm_api_invalid(lm_api_error *error, const char *param, const char *fmt, ...)
    LM_PRINTF(3, 4);

/* Any other; returns LOAM_INVALID too, so that callers can hand it on. */
loam_status lm_api_fail(lm_api_error *error, int http_status, const char *code, const char *fmt,
                        ...) LM_PRINTF(4, 5);

/* What a failed call of ours means to a client: LIMIT is 429, INVALID 400, UNAVAILABLE and IO 503, the rest 500. */
void lm_api_error_from(lm_api_error *error, const loam_error *err);

/* Answers the request; 429 and 503 carry Retry-After. */
void lm_api_error_reply(lm_http_request *request, const lm_api_error *error);

/* The error object as JSON text, for a stream that has begun. */
void lm_api_error_write(const lm_api_error *error, lm_buf *out);

/* lm_http_server_options.on_error. */
void lm_api_on_http_error(lm_http_request *request, int http_status, const char *message,
                          void *arg);

#endif
