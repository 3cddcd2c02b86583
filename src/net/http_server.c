/* One lm_http_request stands beside each evhttp_request that a handler has been given.
 *
 * evhttp stops reading while a request is being answered, and its own read callback aborts the process if data comes
 * then. To notice a client that leaves before we have written anything, reading is switched on with no read callback (as
 * evhttp does itself while it writes): an end of file then arrives as an error, everything else stays in the buffer, whose
 * high-water mark bounds it. The read timeout is off meanwhile: only a client that owes us bytes can be late.
 *
 *     handle_request --handler--> reply / stream ... end --flushed--> on_complete   (request_free)
 *                \------- client gone: connection_closed, on_close ---------------> (request_free)
 */
#include "net/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/loop_internal.h"
#include "net/read_watch.h"
#include "net/route.h"

enum {
    HEADER_MAX_BYTES = 64 << 10,
    DEFAULT_MAX_BODY_BYTES = 8 << 20,
    DEFAULT_TIMEOUT_MS = 60000,
    REQUEST_TIMEOUTS = 2, /* so many of them may pass from a request's first byte to its last */
    LISTEN_BACKLOG = 1024,
    ACCEPT_PAUSE_MS = 100, /* after accept failed for want of descriptors */
};

struct lm_http_server {
    lm_loop *loop;
    lm_http_server_options options;
    struct evhttp *http;
    struct evhttp_bound_socket *bound; /* NULL once it stopped accepting */
    struct evconnlistener *listener;   /* belongs to bound */
    lm_timer *accept_pause;            /* runs while accepting is paused */
    struct evbuffer *chunk;            /* empty between two calls of send_pieces */
    lm_read_watch *read_watch;
    int port;
    int n_open;
    bool draining;
};

struct lm_http_request {
    lm_http_server *server;
    struct evhttp_request *raw;
    char *path;                        /* decoded */
    char *params[LM_ROUTE_MAX_PARAMS]; /* decoded values */
    lm_route_params route;
    struct evkeyvalq query; /* parsed on first use */
    bool query_parsed;
    bool answered;       /* the handler has sent all it will */
    size_t n_queued;     /* bytes not taken by the client after the last send of a stream */
    int64_t progress_ns; /* when the client was last seen taking some */
    void (*on_close)(lm_http_request *request, void *arg);
    void *on_close_arg;
};

static void request_free(lm_http_request *request) {
    if (request->query_parsed) evhttp_clear_headers(&request->query);
    for (int i = 0; i < LM_ROUTE_MAX_PARAMS; i++) lm_free(request->params[i]);
    lm_free(request->path);
    request->server->n_open--;
    lm_free(request);
}

static struct bufferevent *request_bufferevent(const lm_http_request *request) {
    return evhttp_connection_get_bufferevent(evhttp_request_get_connection(request->raw));
}

/* The reply has been written out; the connection goes on to its next request. */
static void on_complete(struct evhttp_request *raw, void *arg) {
    lm_http_request *request = arg;
    struct timeval timeout = lm_timeval_of_ms(request->server->options.timeout_ms);
    evhttp_connection_set_closecb(evhttp_request_get_connection(raw), NULL, NULL);
    bufferevent_set_timeouts(request_bufferevent(request), &timeout, &timeout);
    lm_read_watch_resume(request->server->read_watch, request_bufferevent(request));
    request_free(request);
}

static void connection_closed(struct evhttp_connection *connection, void *arg) {
    lm_http_request *request = arg;
    evhttp_connection_set_closecb(connection, NULL, NULL);
    if (!request->answered && request->on_close) request->on_close(request, request->on_close_arg);
    /* evhttp lets go of an unanswered request when its connection breaks, and then it is ours to free */
    if (!evhttp_request_get_connection(request->raw)) evhttp_request_free(request->raw);
    request_free(request);
}

/* Notices the end of the connection while nothing is being written; see the top. */
static void watch_for_close(lm_http_request *request) {
    struct bufferevent *bev = request_bufferevent(request);
    struct timeval timeout = lm_timeval_of_ms(request->server->options.timeout_ms);
    bufferevent_event_cb on_event;
    void *arg;
    bufferevent_getcb(bev, NULL, NULL, &on_event, &arg);
    bufferevent_setcb(bev, NULL, NULL, on_event, arg);
    bufferevent_set_timeouts(bev, NULL, &timeout);
    bufferevent_enable(bev, EV_READ);
}

static const char *phrase_of(int http_status) {
    switch (http_status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "Status";
    }
}

static void reply_error(lm_http_request *request, int http_status, const char *message) {
    lm_http_server_options *options = &request->server->options;
    if (options->on_error) {
        options->on_error(request, http_status, message, options->on_error_arg);
        return;
    }
    lm_http_reply_json(request, http_status, json_pack("{s:{s:s}}", "error", "message", message));
}

/* Percent-decoded copy; NULL when the text decodes to something with a NUL in it, or out of memory. */
static char *decode(lm_str encoded) {
    char *copy = lm_strndup(encoded.ptr, encoded.len);
    if (!copy) return NULL;
    size_t len = 0;
    char *decoded = evhttp_uridecode(copy, 0, &len);
    lm_free(copy);
    char *result = decoded && strlen(decoded) == len ? lm_strdup(decoded) : NULL;
    free(decoded);
    return result;
}

static const char *method_name(enum evhttp_cmd_type type) {
    switch (type) {
    case EVHTTP_REQ_GET: return "GET";
    case EVHTTP_REQ_POST: return "POST";
    case EVHTTP_REQ_HEAD: return "HEAD";
    case EVHTTP_REQ_PUT: return "PUT";
    case EVHTTP_REQ_DELETE: return "DELETE";
    case EVHTTP_REQ_OPTIONS: return "OPTIONS";
    case EVHTTP_REQ_TRACE: return "TRACE";
    case EVHTTP_REQ_CONNECT: return "CONNECT";
    case EVHTTP_REQ_PATCH: return "PATCH";
    default: return "";
    }
}

static bool method_fits(const char *wanted, const char *method) {
    return strcmp(wanted, "*") == 0 || strcmp(wanted, method) == 0 ||
           (strcmp(wanted, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* The route for a path and method, or NULL: then `allow` has the methods that the path knows. */
static const lm_http_route *find_route(lm_http_request *request, const char *path, lm_buf *allow) {
    const lm_http_server_options *options = &request->server->options;
    const char *method = lm_http_request_method(request);
    for (size_t i = 0; i < options->n_routes; i++) {
        const lm_http_route *route = &options->routes[i];
        if (!lm_route_match(route->path, path, &request->route)) continue;
        if (method_fits(route->method, method)) return route;
        lm_buf_printf(allow, "%s%s", allow->len ? ", " : "", route->method);
    }
    return NULL;
}

static bool decode_params(lm_http_request *request, const char *path) {
    request->path = decode(lm_str_of(path));
    bool ok = request->path != NULL;
    for (int i = 0; i < request->route.len; i++) {
        request->params[i] = decode(request->route.items[i].value);
        ok = ok && request->params[i];
    }
    return ok;
}

static void dispatch(lm_http_request *request) {
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request->raw);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    if (!path || path[0] != '/') {
        reply_error(request, 400, "the request's path is not one");
        return;
    }
    if (evbuffer_get_length(evhttp_request_get_input_buffer(request->raw)) >
        request->server->options.max_body_bytes) {
        reply_error(request, 413, "the request's body is too large");
        return;
    }
    lm_buf allow;
    lm_buf_init(&allow, 256);
    const lm_http_route *route = find_route(request, path, &allow);
    if (route && !decode_params(request, path)) {
        reply_error(request, 400, "the request's path is not well encoded");
    } else if (route) {
        route->handler(request, route->arg);
    } else if (allow.len > 0) {
        lm_http_reply_header(request, "Allow", lm_buf_cstr(&allow));
        reply_error(request, 405, "this path does not know the method");
    } else {
        reply_error(request, 404, "no such path");
    }
    lm_buf_deinit(&allow);
}

/* evhttp reads bodies of POST, PUT and PATCH only. Any other's would be taken for the next request of the connection, so
 * that ends with this answer. */
static void mind_unread_body(lm_http_request *request) {
    enum evhttp_cmd_type type = evhttp_request_get_command(request->raw);
    if (type == EVHTTP_REQ_POST || type == EVHTTP_REQ_PUT || type == EVHTTP_REQ_PATCH) return;
    const char *length = lm_http_request_header(request, "Content-Length");
    if ((length && strcmp(length, "0") != 0) ||
        lm_http_request_header(request, "Transfer-Encoding"))
        lm_http_reply_header(request, "Connection", "close");
}

static void handle_request(struct evhttp_request *raw, void *arg) {
    lm_http_server *server = arg;
    lm_http_request *request = lm_calloc(1, sizeof *request);
    if (!request) {
        evhttp_send_error(raw, HTTP_SERVUNAVAIL, NULL);
        return;
    }
    request->server = server;
    request->raw = raw;
    server->n_open++;
    evhttp_request_set_on_complete_cb(raw, on_complete, request);
    evhttp_connection_set_closecb(evhttp_request_get_connection(raw), connection_closed, request);
    lm_read_watch_pause(server->read_watch, request_bufferevent(request));
    watch_for_close(request);
    mind_unread_body(request);
    dispatch(request);
}

static struct bufferevent *new_connection(struct event_base *base, void *arg) {
    lm_http_server *server = arg;
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    if (!bev) return NULL;
    /* without this mark a client could fill our memory while its request is being answered */
    bufferevent_setwatermark(bev, EV_READ, 0,
                             2 * server->options.max_body_bytes + 2 * HEADER_MAX_BYTES);
    if (lm_read_watch_add(server->read_watch, bev)) return bev;
    bufferevent_free(bev);
    return NULL;
}

static void resume_accepting(void *arg) {
    lm_http_server *server = arg;
    lm_timer_free(server->accept_pause);
    server->accept_pause = NULL;
    if (server->bound) evconnlistener_enable(server->listener);
}

static void on_accept_error(struct evconnlistener *listener, void *arg) {
    lm_http_server *server = arg;
    lm_log(LM_LOG_WARN, "net", "cannot accept a connection: %s", strerror(errno));
    if (server->accept_pause) return;
    if (lm_timer_new(server->loop, ACCEPT_PAUSE_MS, 0, resume_accepting, server,
                     &server->accept_pause, NULL) == LOAM_OK)
        evconnlistener_disable(listener);
}

/* Connections inherit TCP_NODELAY: a streamed token must not wait for the acknowledgement of the one before. */
static void prepare_listener(lm_http_server *server, evutil_socket_t fd) {
    int one = 1;
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) return;
    server->port =
        ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                            : ((struct sockaddr_in *)&address)->sin_port);
}

/* SO_REUSEPORT lets a second program of the same user listen where one listens already, and the kernel would deal the
 * connections out to both. So the first of the loops that share a port binds it once without. Returns an errno, or 0. */
static int port_in_use(const struct addrinfo *address) {
    int one = 1, result = 0;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0) result = errno;
    close(fd);
    return result;
}

static loam_status listen_failed(const lm_http_server_options *options, int code, loam_error *err) {
    errno = code;
    loam_status status =
        lm_error_errno(err, "cannot listen on %s port %d", options->host, options->port);
    if (code != EADDRINUSE) return status;
    return lm_error_hint(err, status,
                         "stop what listens there, or choose another port; port 0 is any free one");
}

static loam_status listen_on(lm_http_server *server, loam_error *err) {
    const lm_http_server_options *options = &server->options;
    char port[16];
    snprintf(port, sizeof port, "%d", options->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    int code = getaddrinfo(options->host, port, &hints, &found);
    if (code != 0)
        return lm_error_set(err, LOAM_INVALID, "cannot listen on %s port %d: %s", options->host,
                            options->port, gai_strerror(code));
    unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE |
                     (options->reuse_port ? LEV_OPT_REUSEABLE_PORT : 0);
    int failure = options->reuse_port && !options->joins_port ? port_in_use(found) : 0;
    if (failure == 0) {
        server->listener =
            evconnlistener_new_bind(lm_loop_base(server->loop), NULL, NULL, flags, LISTEN_BACKLOG,
                                    found->ai_addr, (int)found->ai_addrlen);
        if (!server->listener) failure = errno;
    }
    freeaddrinfo(found);
    if (failure != 0) return listen_failed(options, failure, err);
    server->bound = evhttp_bind_listener(server->http, server->listener);
    if (!server->bound) {
        evconnlistener_free(server->listener);
        return lm_error_no_memory(err, 1);
    }
    evconnlistener_set_error_cb(server->listener, on_accept_error);
    prepare_listener(server, evconnlistener_get_fd(server->listener));
    return LOAM_OK;
}

loam_status lm_http_server_new(lm_loop *loop, const lm_http_server_options *options,
                               lm_http_server **out, loam_error *err) {
    lm_http_server *server = lm_calloc(1, sizeof *server);
    if (!server) return lm_error_no_memory(err, sizeof *server);
    server->loop = loop;
    server->options = *options;
    if (!server->options.max_body_bytes) server->options.max_body_bytes = DEFAULT_MAX_BODY_BYTES;
    if (!server->options.timeout_ms) server->options.timeout_ms = DEFAULT_TIMEOUT_MS;
    server->http = evhttp_new(lm_loop_base(loop));
    server->chunk = evbuffer_new();
    if (!server->http || !server->chunk) {
        lm_http_server_free(server);
        return lm_error_no_memory(err, 1);
    }
    loam_status status =
        lm_read_watch_new(REQUEST_TIMEOUTS * server->options.timeout_ms, &server->read_watch, err);
    struct timeval timeout = lm_timeval_of_ms(server->options.timeout_ms);
    evhttp_set_timeout_tv(server->http, &timeout);
    evhttp_set_max_headers_size(server->http, HEADER_MAX_BYTES);
    evhttp_set_max_body_size(server->http, (ev_ssize_t)(2 * server->options.max_body_bytes));
    (void)evhttp_set_flags(server->http, EVHTTP_SERVER_LINGERING_CLOSE);
    evhttp_set_allowed_methods(server->http, UINT16_MAX); /* routes decide */
    evhttp_set_default_content_type(server->http, NULL);
    evhttp_set_bevcb(server->http, new_connection, server);
    evhttp_set_gencb(server->http, handle_request, server);
    if (status == LOAM_OK) status = listen_on(server, err);
    if (status != LOAM_OK) {
        lm_http_server_free(server);
        return status;
    }
    *out = server;
    return LOAM_OK;
}

void lm_http_server_free(lm_http_server *server) {
    if (!server) return;
    lm_timer_free(server->accept_pause);
    if (server->http) evhttp_free(server->http);
    if (server->chunk) evbuffer_free(server->chunk);
    lm_read_watch_free(server->read_watch);
    lm_free(server);
}

int lm_http_server_port(const lm_http_server *server) {
    return server->port;
}

void lm_http_server_stop_accepting(lm_http_server *server) {
    server->draining = true;
    if (server->bound) evhttp_del_accept_socket(server->http, server->bound);
    server->bound = NULL;
}

int lm_http_server_n_open(const lm_http_server *server) {
    return server->n_open;
}

lm_loop *lm_http_request_loop(const lm_http_request *request) {
    return request->server->loop;
}

const char *lm_http_request_method(const lm_http_request *request) {
    return method_name(evhttp_request_get_command(request->raw));
}

const char *lm_http_request_path(const lm_http_request *request) {
    return request->path ? request->path : lm_http_request_target(request);
}

const char *lm_http_request_target(const lm_http_request *request) {
    return evhttp_request_get_uri(request->raw);
}

const char *lm_http_request_param(const lm_http_request *request, const char *name) {
    for (int i = 0; i < request->route.len; i++)
        if (lm_str_is(request->route.items[i].name, name)) return request->params[i];
    return NULL;
}

const char *lm_http_request_query(const lm_http_request *request, const char *name) {
    lm_http_request *mutable_request =
        (lm_http_request *)request; /* parsing on first use is not a visible change */
    if (!request->query_parsed) {
        const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request->raw);
        const char *query = uri ? evhttp_uri_get_query(uri) : NULL;
        if (evhttp_parse_query_str(query ? query : "", &mutable_request->query) != 0) return NULL;
        mutable_request->query_parsed = true;
    }
    return evhttp_find_header(&request->query, name);
}

const char *lm_http_request_header(const lm_http_request *request, const char *name) {
    return evhttp_find_header(evhttp_request_get_input_headers(request->raw), name);
}

const char *lm_http_request_peer(const lm_http_request *request) {
    char *address = NULL;
    ev_uint16_t port;
    evhttp_connection_get_peer(evhttp_request_get_connection(request->raw), &address, &port);
    return address ? address : "";
}

lm_str lm_http_request_body(const lm_http_request *request) {
    struct evbuffer *input = evhttp_request_get_input_buffer(request->raw);
    size_t len = evbuffer_get_length(input);
    const char *bytes = len ? (const char *)evbuffer_pullup(input, -1) : "";
    return bytes ? (lm_str){bytes, len} : LM_STR("");
}

void lm_http_request_on_close(lm_http_request *request,
                              void (*on_close)(lm_http_request *request, void *arg), void *arg) {
    request->on_close = on_close;
    request->on_close_arg = arg;
}

void lm_http_reply_header(lm_http_request *request, const char *name, const char *value) {
    evhttp_add_header(evhttp_request_get_output_headers(request->raw), name, value);
}

/* Headers that every answer has. A draining server keeps no connection. */
static void add_common_headers(lm_http_request *request, const char *content_type) {
    if (content_type) lm_http_reply_header(request, "Content-Type", content_type);
    if (request->server->draining) lm_http_reply_header(request, "Connection", "close");
}

void lm_http_reply(lm_http_request *request, int http_status, const char *content_type,
                   lm_str body) {
    LM_ASSERT(!request->answered);
    request->answered = true;
    add_common_headers(request, content_type);
    if (body.len) evbuffer_add(evhttp_request_get_output_buffer(request->raw), body.ptr, body.len);
    evhttp_send_reply(request->raw, http_status, phrase_of(http_status), NULL);
}

void lm_http_reply_json(lm_http_request *request, int http_status, json_t *body) {
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (text)
        lm_http_reply(request, http_status, "application/json", lm_str_of(text));
    else
        lm_http_reply(request, 500, "application/json",
                      LM_STR("{\"error\":{\"message\":\"out of memory\"}}"));
    free(text);
}

void lm_http_stream_begin(lm_http_request *request, int http_status, const char *content_type) {
    LM_ASSERT(!request->answered);
    add_common_headers(request, content_type);
    evhttp_send_reply_start(request->raw, http_status, phrase_of(http_status));
}

/* The library's write timeout begins anew with every send, so a client that takes nothing of a busy stream is found here:
 * its connection is shut down, and on_close follows. */
static void drop_if_stalled(lm_http_request *request) {
    size_t n_queued = lm_http_stream_queued_bytes(request);
    int64_t now_ns = lm_clock_mono_ns();
    if (n_queued == 0 || n_queued < request->n_queued || request->progress_ns == 0)
        request->progress_ns = now_ns;
    if (now_ns - request->progress_ns > request->server->options.timeout_ms * 1000000)
        shutdown(bufferevent_getfd(request_bufferevent(request)), SHUT_RDWR);
}

static void send_pieces(lm_http_request *request, const lm_str *pieces, int n) {
    LM_ASSERT(!request->answered);
    struct evbuffer *chunk = request->server->chunk;
    drop_if_stalled(request);
    for (int i = 0; i < n; i++) evbuffer_add(chunk, pieces[i].ptr, pieces[i].len);
    evhttp_send_reply_chunk(request->raw, chunk);
    request->n_queued = lm_http_stream_queued_bytes(request);
}

void lm_http_stream_send(lm_http_request *request, lm_str bytes) {
    send_pieces(request, &bytes, 1);
}

size_t lm_http_stream_queued_bytes(const lm_http_request *request) {
    return evbuffer_get_length(bufferevent_get_output(request_bufferevent(request)));
}

void lm_http_stream_end(lm_http_request *request) {
    LM_ASSERT(!request->answered);
    request->answered = true;
    evhttp_send_reply_end(request->raw);
}

void lm_http_stream_send_event(lm_http_request *request, lm_str data) {
    lm_str pieces[] = {LM_STR("data: "), data, LM_STR("\n\n")};
    send_pieces(request, pieces, 3);
}
