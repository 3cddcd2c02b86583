#include "serve/api_error.h"

#include <stdarg.h>
#include <stdio.h>

#include "serve/json_text.h"

enum { ERROR_MAX_BYTES = 8192 };

loam_status lm_api_invalid(lm_api_error *error, const char *param, const char *fmt, ...) {
    *error = (lm_api_error){.http_status = 400};
    snprintf(error->param, sizeof error->param, "%s", param);
    va_list args;
    va_start(args, fmt);
    vsnprintf(error->message, sizeof error->message, fmt, args);
    va_end(args);
    return LOAM_INVALID;
}

loam_status lm_api_fail(lm_api_error *error, int http_status, const char *code, const char *fmt,
                        ...) {
    *error = (lm_api_error){.http_status = http_status, .code = code};
    va_list args;
    va_start(args, fmt);
    vsnprintf(error->message, sizeof error->message, fmt, args);
    va_end(args);
    return LOAM_INVALID;
}

void lm_api_error_from(lm_api_error *error, const loam_error *err) {
    switch (err->status) {
    case LOAM_INVALID: lm_api_fail(error, 400, NULL, "%s", err->message); break;
    case LOAM_LIMIT: lm_api_fail(error, 429, "queue_full", "%s", err->message); break;
    case LOAM_IO:
    case LOAM_UNAVAILABLE: lm_api_fail(error, 503, "unavailable", "%s", err->message); break;
    default: lm_api_fail(error, 500, "internal_error", "%s", err->message); break;
    }
}

static const char *type_of(int http_status) {
    if (http_status == 429) return "rate_limit_error";
    return http_status >= 500 ? "server_error" : "invalid_request_error";
}

void lm_api_error_write(const lm_api_error *error, lm_buf *out) {
    lm_buf_puts(out, "{\"error\":{\"message\":");
    lm_json_text_write(out, lm_str_of(error->message));
    lm_buf_printf(out, ",\"type\":\"%s\",\"param\":", type_of(error->http_status));
    if (error->param[0])
        lm_json_text_write(out, lm_str_of(error->param));
    else
        lm_buf_puts(out, "null");
    if (error->code)
        lm_buf_printf(out, ",\"code\":\"%s\"}}", error->code);
    else
        lm_buf_puts(out, ",\"code\":null}}");
}

void lm_api_error_reply(lm_http_request *request, const lm_api_error *error) {
    lm_buf text;
    lm_buf_init(&text, ERROR_MAX_BYTES);
    lm_api_error_write(error, &text);
    if (error->http_status == 429 || error->http_status == 503)
        lm_http_reply_header(request, "Retry-After", "1");
    lm_http_reply(request, error->http_status, "application/json", lm_buf_view(&text));
    lm_buf_deinit(&text);
}

void lm_api_on_http_error(lm_http_request *request, int http_status, const char *message,
                          void *arg) {
    lm_api_error error;
    lm_api_fail(&error, http_status, http_status == 404 ? "not_found" : NULL, "%s", message);
    lm_api_error_reply(request, &error);
}
