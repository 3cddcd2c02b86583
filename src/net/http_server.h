/* HTTP/1.1 server over evhttp: a table of routes, whole requests in, whole replies or streams out.
 *
 * A handler gets the complete request (body bounded by max_body_bytes) on the loop's thread and must, now or later, send
 * exactly one reply or one stream. Requests that take long are answered later from a callback or a posted function:
 * the request object lives until lm_http_reply or lm_http_stream_end is called, or its client is gone. A client that
 * disconnects before that fires the on_close callback, once; after it the object must not be touched any more. A client
 * that closes its sending side counts as gone.
 *
 * Limits: header block 64 KiB, body max_body_bytes (413), timeout_ms without progress (also of a client that does not take
 * its stream), and twice that for a request to arrive whole. A path that no route knows gets 404, a known
 * path with another method 405 with Allow, both through the `on_error` hook so that each API keeps its own error shape.
 * What is not HTTP at all (400), and bodies of more than twice the limit (413), the HTTP library refuses by itself with a
 * short page; the latter when the client has sent all of it, unseen, since one that is still sending would not read the
 * answer. HEAD goes to the handlers of GET.
 */
#ifndef LM_NET_HTTP_SERVER_H
#define LM_NET_HTTP_SERVER_H

#include <stdbool.h>

#include <jansson.h>

#include "base/str.h"
#include "net/loop.h"

typedef struct lm_http_server lm_http_server;
typedef struct lm_http_request lm_http_request;
typedef void lm_http_handler(lm_http_request *request, void *arg);

/* Path segments in braces match one segment: "/v1/models/{model}"; a last "{rest...}" matches all that is left. */
typedef struct lm_http_route {
    const char *method; /* "GET"; "*" any */
    const char *path;
    lm_http_handler *handler;
    void *arg; /* passed to the handler */
} lm_http_route;

typedef struct lm_http_server_options {
    const char *host;      /* "127.0.0.1"; a bare name or address */
    int port;              /* 0: any free one, see lm_http_server_port */
    size_t max_body_bytes; /* 0: 8 MiB */
    int64_t timeout_ms;    /* 0: 60 s without progress on a connection that is reading or writing */
    bool reuse_port;       /* several loops share the port (SO_REUSEPORT) */
    bool
        joins_port; /* with reuse_port: not the first of these loops; the first is refused a port that is in use */
    const lm_http_route *routes; /* borrowed for the server's life; the first match wins */
    size_t n_routes;
    /* Answers an error the server itself found (400, 404, 405, 413); NULL: a short JSON text. */
    void (*on_error)(lm_http_request *request, int http_status, const char *message, void *arg);
    void *on_error_arg;
} lm_http_server_options;

loam_status lm_http_server_new(lm_loop *loop, const lm_http_server_options *options,
                               lm_http_server **out, loam_error *err) LM_MUST_USE;
/* Stops listening and closes all connections (on_close fires for unanswered requests). */
void lm_http_server_free(lm_http_server *server);
int lm_http_server_port(const lm_http_server *server);
void lm_http_server_stop_accepting(lm_http_server *server); /* for draining: open requests go on */
int lm_http_server_n_open(const lm_http_server *server);    /* requests not yet answered in full */

/* What came in. Borrowed until the reply ends. Texts are NUL-terminated; absent ones are NULL. */
lm_loop *lm_http_request_loop(const lm_http_request *request);
const char *lm_http_request_method(const lm_http_request *request);
const char *lm_http_request_path(const lm_http_request *request);   /* decoded, without the query */
const char *lm_http_request_target(const lm_http_request *request); /* as sent: path and query */
const char *lm_http_request_param(const lm_http_request *request,
                                  const char *name); /* from {name}, decoded */
const char *lm_http_request_query(const lm_http_request *request, const char *name); /* decoded */
const char *lm_http_request_header(const lm_http_request *request, const char *name);
const char *lm_http_request_peer(const lm_http_request *request); /* client's address */
lm_str lm_http_request_body(const lm_http_request *request);

/* Free slot for the handler's own state, and the disconnect callback (see the top). */
void lm_http_request_on_close(lm_http_request *request,
                              void (*on_close)(lm_http_request *request, void *arg), void *arg);

/* Extra header for the reply or stream to come. */
void lm_http_reply_header(lm_http_request *request, const char *name, const char *value);
void lm_http_reply(lm_http_request *request, int http_status, const char *content_type,
                   lm_str body);
void lm_http_reply_json(lm_http_request *request, int http_status,
                        json_t *body); /* steals the reference */

/* A chunked reply in pieces. send copies; `queued` says how much the client has not taken yet, for back-pressure. */
void lm_http_stream_begin(lm_http_request *request, int http_status, const char *content_type);
void lm_http_stream_send(lm_http_request *request, lm_str bytes);
size_t lm_http_stream_queued_bytes(const lm_http_request *request);
void lm_http_stream_end(lm_http_request *request);

/* One server-sent event: "data: " + text + two newlines, on a stream of type text/event-stream. */
void lm_http_stream_send_event(lm_http_request *request, lm_str data);

#endif
