/* HTTP/1.1 client on a loop (evhttp, TLS through OpenSSL bufferevents), for the gateway's upstream requests and health
 * checks: answers arrive piece by piece, connections are kept and reused per host. Blocking calls of command-line
 * clients use net/http_fetch.h (libcurl) instead.
 */
#ifndef LM_NET_HTTP_CLIENT_H
#define LM_NET_HTTP_CLIENT_H

#include "base/str.h"
#include "net/loop.h"

typedef struct lm_http_client lm_http_client; /* pool of connections of one loop */
typedef struct lm_http_call lm_http_call;     /* one request under way */

typedef struct lm_http_header {
    const char *name, *value;
} lm_http_header;

/* All on the loop's thread. `on_head` comes once, then any number of `on_body`, then exactly one `on_done`, after which the
 * call is gone. on_done carries LOAM_OK when the answer was complete, LOAM_UNAVAILABLE when no connection came about or
 * it broke before the head, LOAM_IO when it broke later, LOAM_CANCELLED never (a cancelled call is silent). */
typedef struct lm_http_call_options {
    const char *method;
    const char *url;               /* http://host:port/path or https:// */
    const lm_http_header *headers; /* copied; Host and Content-Length are added */
    size_t n_headers;
    lm_str body;                /* copied */
    int64_t connect_timeout_ms; /* 0: 5 s */
    int64_t timeout_ms;         /* without any byte; 0: 300 s */
    void (*on_head)(lm_http_call *call, int http_status, void *arg);
    void (*on_body)(lm_http_call *call, lm_str bytes, void *arg);
    void (*on_done)(lm_http_call *call, loam_status status, const char *message, void *arg);
    void *arg;
} lm_http_call_options;

loam_status lm_http_client_new(lm_loop *loop, lm_http_client **out, loam_error *err) LM_MUST_USE;
void lm_http_client_free(lm_http_client *client);
loam_status lm_http_client_start(lm_http_client *client, const lm_http_call_options *options,
                                 lm_http_call **out, loam_error *err) LM_MUST_USE;
void lm_http_call_cancel(lm_http_call *call); /* closes the connection, no further callback */

/* Stops reading the answer, so that its server is slowed down in turn; and goes on. A paused call has no timeout. */
void lm_http_call_pause(lm_http_call *call);
void lm_http_call_resume(lm_http_call *call);
const char *lm_http_call_header(const lm_http_call *call,
                                const char *name); /* of the answer, from on_head on */

#endif
