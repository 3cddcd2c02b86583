/* A connection carries one call at a time. When the call's answer is complete and the server keeps the connection, it
 * waits in the idle list of its client for the next call to the same place; evhttp watches it meanwhile and drops it
 * when the server closes or IDLE_TIMEOUT_MS pass.
 *
 * evhttp must not be asked to free a connection from within its own callbacks, and a caller must not hear on_done before
 * lm_http_client_start has returned. Both are put off to the client's `reap` event, which runs next on the loop.
 *
 *     start --> under way --answer complete--> on_done, connection idle or dead
 *                  |  \------ failed --------> on_done, connection dead
 *                  \-- cancel --> silent, connection dead          dead connections and ended calls: freed by reap
 */
#include "net/http_client.h"

#include <stdio.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/dns.h>
#include <event2/http.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "net/loop_internal.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    ANSWER_TIMEOUT_MS = 300000,
    IDLE_TIMEOUT_MS = 15000, /* below the idle time of any server worth the name, ours has 60 s */
    IDLE_MAX = 256,
    HEADER_MAX_BYTES = 64 << 10,
    PLACE_BYTES = 300, /* "https://" + host name + ":port" */
};

typedef struct client_connection client_connection;

struct client_connection {
    lm_http_client *client;
    struct evhttp_connection *raw;
    char place[PLACE_BYTES]; /* scheme, host and port */
    client_connection *next; /* in idle or dead */
    bool idle;
};

struct lm_http_call {
    lm_http_client *client;
    client_connection *connection; /* NULL when it has been handed on */
    struct evhttp_request *raw;    /* NULL once evhttp is done with it */
    struct event *connect_timer;   /* NULL on a reused connection */
    lm_http_call *previous, *next; /* all calls of the client */
    lm_http_call *next_due;        /* those that reap has to see */
    bool due;
    bool complete; /* raw is a whole answer, ours to free */
    enum evhttp_request_error error;
    bool failed;    /* error says how */
    bool timed_out; /* while connecting */
    bool head_seen;
    bool ended; /* status is known, on_done is due */
    bool cancelled;
    loam_status status;
    const char *message;
    void (*on_head)(lm_http_call *call, int http_status, void *arg);
    void (*on_body)(lm_http_call *call, lm_str bytes, void *arg);
    void (*on_done)(lm_http_call *call, loam_status status, const char *message, void *arg);
    void *arg;
};

struct lm_http_client {
    lm_loop *loop;
    struct event_base *base;
    struct evdns_base *dns;
    SSL_CTX *tls; /* made with the first https call */
    struct event *reap;
    client_connection *idle, *dead;
    int n_idle;
    lm_http_call *calls;
    lm_http_call *due;
};

typedef struct parsed_url {
    struct evhttp_uri *uri;
    const char *host;
    int port;
    bool https;
    char place[PLACE_BYTES];
    char host_header[PLACE_BYTES];
    char *target; /* path and query; lm_free */
} parsed_url;

static void connection_free(client_connection *connection) {
    evhttp_connection_set_closecb(connection->raw, NULL, NULL);
    evhttp_connection_free(connection->raw);
    lm_free(connection);
}

/* Out of the idle list, if it is in it. */
static void leave_idle(client_connection *connection) {
    lm_http_client *client = connection->client;
    if (!connection->idle) return;
    for (client_connection **at = &client->idle; *at; at = &(*at)->next) {
        if (*at != connection) continue;
        *at = connection->next;
        break;
    }
    connection->idle = false;
    client->n_idle--;
}

static void bury(client_connection *connection) {
    lm_http_client *client = connection->client;
    leave_idle(connection);
    connection->next = client->dead;
    client->dead = connection;
    event_active(client->reap, 0, 0);
}

/* evhttp has closed the socket: an idle connection is of no more use. One with a call learns of it by the call. */
static void on_connection_closed(struct evhttp_connection *raw, void *arg) {
    client_connection *connection = arg;
    if (connection->idle) bury(connection);
}

/* Keeps a connection whose answer is complete, unless its server closed it. */
static void release_connection(client_connection *connection) {
    lm_http_client *client = connection->client;
    bool open = bufferevent_getfd(evhttp_connection_get_bufferevent(connection->raw)) >= 0;
    if (!open || client->n_idle >= IDLE_MAX) {
        bury(connection);
        return;
    }
    struct timeval timeout = lm_timeval_of_ms(IDLE_TIMEOUT_MS);
    evhttp_connection_set_timeout_tv(connection->raw, &timeout);
    connection->idle = true;
    connection->next = client->idle;
    client->idle = connection;
    client->n_idle++;
}

static void call_free(lm_http_call *call) {
    if (call->previous)
        call->previous->next = call->next;
    else
        call->client->calls = call->next;
    if (call->next) call->next->previous = call->previous;
    if (call->connect_timer) event_free(call->connect_timer);
    if (call->complete) evhttp_request_free(call->raw);
    lm_free(call);
}

static void make_due(lm_http_call *call) {
    lm_http_client *client = call->client;
    if (call->due) return;
    call->due = true;
    call->next_due = client->due;
    client->due = call;
    event_active(client->reap, 0, 0);
}

/* The call has its outcome; the caller hears of it from reap. */
static void call_end(lm_http_call *call, loam_status status, const char *message) {
    call->ended = true;
    call->status = status;
    call->message = message;
    make_due(call);
}

/* Ends a call that nobody shall hear of any more. */
static void drop_call(lm_http_call *call) {
    if (call->raw && !call->complete) evhttp_cancel_request(call->raw);
    if (call->connection) bury(call->connection);
    call_free(call);
}

static void on_reap(evutil_socket_t fd, short what, void *arg) {
    lm_http_client *client = arg;
    while (client->due) {
        lm_http_call *call = client->due;
        client->due = call->next_due;
        if (!call->cancelled) call->on_done(call, call->status, call->message, call->arg);
        drop_call(call);
    }
    while (client->dead) {
        client_connection *connection = client->dead;
        client->dead = connection->next;
        connection_free(connection);
    }
}

static const char *error_text(const lm_http_call *call) {
    if (call->timed_out) return "no connection in time";
    if (!call->failed) return "cannot connect";
    switch (call->error) {
    case EVREQ_HTTP_TIMEOUT: return "no answer in time";
    case EVREQ_HTTP_EOF: return "the server closed the connection";
    case EVREQ_HTTP_INVALID_HEADER: return "the answer is not HTTP";
    case EVREQ_HTTP_DATA_TOO_LONG: return "the answer is too large";
    default: return "the connection broke";
    }
}

static void on_request_error(enum evhttp_request_error error, void *arg) {
    lm_http_call *call = arg;
    call->failed = true;
    call->error = error;
}

/* evhttp is done with the request: raw is NULL or without an answer when it failed. */
static void on_request_done(struct evhttp_request *raw, void *arg) {
    lm_http_call *call = arg;
    bool complete = raw && evhttp_request_get_response_code(raw) != 0 && !call->failed;
    if (complete) {
        evhttp_request_own(raw); /* its headers stay readable in on_done */
        call->complete = true;
        release_connection(call->connection);
        call_end(call, LOAM_OK, "");
    } else {
        call->raw = NULL;
        bury(call->connection);
        call_end(call, call->head_seen ? LOAM_IO : LOAM_UNAVAILABLE, error_text(call));
    }
    call->connection = NULL;
}

static int on_request_head(struct evhttp_request *raw, void *arg) {
    lm_http_call *call = arg;
    int http_status = evhttp_request_get_response_code(raw);
    if (call->cancelled || http_status == 100) return 0;
    call->head_seen = true;
    if (call->on_head) call->on_head(call, http_status, call->arg);
    return 0;
}

static void on_request_chunk(struct evhttp_request *raw, void *arg) {
    lm_http_call *call = arg;
    struct evbuffer *input = evhttp_request_get_input_buffer(raw);
    size_t len = evbuffer_get_length(input);
    const char *bytes = (const char *)evbuffer_pullup(input, -1);
    if (!call->cancelled && call->on_body && bytes && len)
        call->on_body(call, (lm_str){bytes, len}, call->arg);
}

/* Connected, its TLS handshake included. */
static bool is_connected(const client_connection *connection) {
    struct bufferevent *bev = evhttp_connection_get_bufferevent(connection->raw);
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    if (ssl && !SSL_is_init_finished(ssl)) return false;
    return getpeername(bufferevent_getfd(bev), (struct sockaddr *)&peer, &len) == 0;
}

static void on_connect_timer(evutil_socket_t fd, short what, void *arg) {
    lm_http_call *call = arg;
    if (call->ended || call->cancelled || is_connected(call->connection)) return;
    call->timed_out = true;
    evhttp_cancel_request(call->raw);
    on_request_done(NULL, call);
}

static loam_status url_parse(const char *text, parsed_url *out, loam_error *err) {
    *out = (parsed_url){.uri = evhttp_uri_parse(text)};
    const char *scheme = out->uri ? evhttp_uri_get_scheme(out->uri) : NULL;
    out->host = out->uri ? evhttp_uri_get_host(out->uri) : NULL;
    out->https = scheme && strcasecmp(scheme, "https") == 0;
    if (!scheme || !out->host || !out->host[0] || (!out->https && strcasecmp(scheme, "http") != 0))
        return lm_error_set(err, LOAM_INVALID, "'%s' is not an http or https address", text);
    int port = evhttp_uri_get_port(out->uri);
    out->port = port > 0 ? port : out->https ? 443 : 80;
    if (strlen(out->host) > 255 || out->port > 65535)
        return lm_error_set(err, LOAM_INVALID, "'%s' names no possible host and port", text);
    snprintf(out->place, sizeof out->place, "%s://%s:%d", out->https ? "https" : "http", out->host,
             out->port);
    if (port > 0)
        snprintf(out->host_header, sizeof out->host_header, "%s:%d", out->host, port);
    else
        snprintf(out->host_header, sizeof out->host_header, "%s", out->host);
    const char *path = evhttp_uri_get_path(out->uri), *query = evhttp_uri_get_query(out->uri);
    out->target =
        lm_asprintf("%s%s%s", path && path[0] ? path : "/", query ? "?" : "", query ? query : "");
    return out->target ? LOAM_OK : lm_error_no_memory(err, 1);
}

static void url_deinit(parsed_url *url) {
    if (url->uri) evhttp_uri_free(url->uri);
    lm_free(url->target);
}

static loam_status tls_context(lm_http_client *client, loam_error *err) {
    if (client->tls) return LOAM_OK;
    client->tls = SSL_CTX_new(TLS_client_method());
    if (!client->tls) return lm_error_no_memory(err, 1);
    SSL_CTX_set_verify(client->tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_min_proto_version(client->tls, TLS1_2_VERSION);
    if (SSL_CTX_set_default_verify_paths(client->tls) != 1)
        return lm_error_set(err, LOAM_IO, "the system's certificates cannot be read");
    return LOAM_OK;
}

/* A TLS bufferevent that accepts only a certificate of the host's name (or address). */
static loam_status tls_bufferevent(lm_http_client *client, const char *host,
                                   struct bufferevent **out, loam_error *err) {
    LM_TRY(tls_context(client, err));
    SSL *ssl = SSL_new(client->tls);
    if (!ssl) return lm_error_no_memory(err, 1);
    X509_VERIFY_PARAM *verify = SSL_get0_param(ssl);
    bool is_address = X509_VERIFY_PARAM_set1_ip_asc(verify, host) == 1;
    if (!is_address &&
        (SSL_set1_host(ssl, host) != 1 || SSL_set_tlsext_host_name(ssl, host) != 1)) {
        SSL_free(ssl);
        return lm_error_set(err, LOAM_INVALID, "'%s' is no host name that a certificate could bear",
                            host);
    }
    *out = bufferevent_openssl_socket_new(client->base, -1, ssl, BUFFEREVENT_SSL_CONNECTING,
                                          BEV_OPT_CLOSE_ON_FREE);
    if (!*out) {
        SSL_free(ssl);
        return lm_error_no_memory(err, 1);
    }
    bufferevent_openssl_set_allow_dirty_shutdown(
        *out, 1); /* many servers close without the TLS goodbye */
    return LOAM_OK;
}

static loam_status connection_new(lm_http_client *client, const parsed_url *url,
                                  client_connection **out, loam_error *err) {
    struct bufferevent *bev = NULL;
    if (url->https) LM_TRY(tls_bufferevent(client, url->host, &bev, err));
    client_connection *connection = lm_calloc(1, sizeof *connection);
    if (connection)
        connection->raw = evhttp_connection_base_bufferevent_new(client->base, client->dns, bev,
                                                                 url->host, (ev_uint16_t)url->port);
    if (!connection || !connection->raw) {
        if (bev && !connection) bufferevent_free(bev);
        lm_free(connection);
        return lm_error_no_memory(err, sizeof *connection);
    }
    connection->client = client;
    snprintf(connection->place, sizeof connection->place, "%s", url->place);
    evhttp_connection_set_max_headers_size(connection->raw, HEADER_MAX_BYTES);
    evhttp_connection_set_closecb(connection->raw, on_connection_closed, connection);
    *out = connection;
    return LOAM_OK;
}

static client_connection *take_idle(lm_http_client *client, const char *place) {
    for (client_connection *at = client->idle; at; at = at->next) {
        if (strcmp(at->place, place) != 0) continue;
        leave_idle(at);
        return at;
    }
    return NULL;
}

static bool method_of(const char *name, enum evhttp_cmd_type *out) {
    static const struct {
        const char *name;
        enum evhttp_cmd_type type;
    } methods[] = {{"GET", EVHTTP_REQ_GET},     {"POST", EVHTTP_REQ_POST},
                   {"PUT", EVHTTP_REQ_PUT},     {"DELETE", EVHTTP_REQ_DELETE},
                   {"PATCH", EVHTTP_REQ_PATCH}, {"HEAD", EVHTTP_REQ_HEAD}};
    for (size_t i = 0; i < LM_COUNT_OF(methods); i++) {
        if (strcmp(methods[i].name, name) != 0) continue;
        *out = methods[i].type;
        return true;
    }
    return false;
}

static loam_status request_fill(struct evhttp_request *raw, const lm_http_call_options *options,
                                const parsed_url *url, loam_error *err) {
    struct evkeyvalq *headers = evhttp_request_get_output_headers(raw);
    char length[32];
    snprintf(length, sizeof length, "%zu", options->body.len);
    bool ok = evhttp_add_header(headers, "Host", url->host_header) == 0;
    if (options->body.len || strcmp(options->method, "GET") != 0)
        ok = ok && evhttp_add_header(headers, "Content-Length", length) == 0;
    for (size_t i = 0; i < options->n_headers; i++) {
        if (evhttp_add_header(headers, options->headers[i].name, options->headers[i].value) != 0)
            return lm_error_set(err, LOAM_INVALID, "header '%s' has a line break in it",
                                options->headers[i].name);
    }
    ok = ok && evbuffer_add(evhttp_request_get_output_buffer(raw), options->body.ptr,
                            options->body.len) == 0;
    return ok ? LOAM_OK : lm_error_no_memory(err, options->body.len);
}

static struct evhttp_request *request_new(lm_http_call *call) {
    struct evhttp_request *raw = evhttp_request_new(on_request_done, call);
    if (!raw) return NULL;
    evhttp_request_set_error_cb(raw, on_request_error);
    evhttp_request_set_header_cb(raw, on_request_head);
    evhttp_request_set_chunked_cb(raw, on_request_chunk);
    return raw;
}

static lm_http_call *call_new(lm_http_client *client, const lm_http_call_options *options) {
    lm_http_call *call = lm_calloc(1, sizeof *call);
    if (!call) return NULL;
    *call = (lm_http_call){.client = client,
                           .on_head = options->on_head,
                           .on_body = options->on_body,
                           .on_done = options->on_done,
                           .arg = options->arg,
                           .next = client->calls};
    if (client->calls) client->calls->previous = call;
    client->calls = call;
    return call;
}

/* Gets the call a connection, idle or new, with its timeouts. */
static loam_status call_connect(lm_http_call *call, const lm_http_call_options *options,
                                const parsed_url *url, loam_error *err) {
    lm_http_client *client = call->client;
    struct timeval timeout =
        lm_timeval_of_ms(options->timeout_ms ? options->timeout_ms : ANSWER_TIMEOUT_MS);
    call->connection = take_idle(client, url->place);
    if (!call->connection) {
        struct timeval limit = lm_timeval_of_ms(
            options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS);
        LM_TRY(connection_new(client, url, &call->connection, err));
        call->connect_timer = evtimer_new(client->base, on_connect_timer, call);
        if (!call->connect_timer || event_add(call->connect_timer, &limit) != 0)
            return lm_error_no_memory(err, 1);
    }
    evhttp_connection_set_timeout_tv(call->connection->raw, &timeout);
    return LOAM_OK;
}

static loam_status call_send(lm_http_call *call, const lm_http_call_options *options,
                             const parsed_url *url, loam_error *err) {
    enum evhttp_cmd_type type;
    if (!method_of(options->method, &type))
        return lm_error_set(err, LOAM_INVALID, "'%s' is not a known HTTP method", options->method);
    call->raw = request_new(call);
    if (!call->raw) return lm_error_no_memory(err, 1);
    loam_status status = request_fill(call->raw, options, url, err);
    if (status == LOAM_OK) status = call_connect(call, options, url, err);
    if (status != LOAM_OK) {
        evhttp_request_free(call->raw);
        call->raw = NULL;
        return status;
    }
    struct evhttp_request *raw = call->raw;
    if (evhttp_make_request(call->connection->raw, raw, type, url->target) != 0 && !call->ended) {
        call->raw = NULL; /* evhttp has freed it, or keeps it in no queue */
        return lm_error_set(err, LOAM_UNAVAILABLE, "cannot start a request to %s", url->place);
    }
    return LOAM_OK;
}

loam_status lm_http_client_start(lm_http_client *client, const lm_http_call_options *options,
                                 lm_http_call **out, loam_error *err) {
    parsed_url url;
    lm_http_call *call = NULL;
    loam_status status = url_parse(options->url, &url, err);
    if (status != LOAM_OK) goto done;
    call = call_new(client, options);
    status = call ? call_send(call, options, &url, err) : lm_error_no_memory(err, sizeof *call);
    if (status != LOAM_OK && call) drop_call(call);
    if (status == LOAM_OK && out) *out = call;
done:
    url_deinit(&url);
    return status;
}

void lm_http_call_cancel(lm_http_call *call) {
    call->cancelled = true;
    make_due(call);
}

static struct bufferevent *call_bufferevent(const lm_http_call *call) {
    return call->connection ? evhttp_connection_get_bufferevent(call->connection->raw) : NULL;
}

void lm_http_call_pause(lm_http_call *call) {
    if (call_bufferevent(call)) bufferevent_disable(call_bufferevent(call), EV_READ);
}

void lm_http_call_resume(lm_http_call *call) {
    if (call_bufferevent(call)) bufferevent_enable(call_bufferevent(call), EV_READ);
}

const char *lm_http_call_header(const lm_http_call *call, const char *name) {
    return call->raw ? evhttp_find_header(evhttp_request_get_input_headers(call->raw), name) : NULL;
}

loam_status lm_http_client_new(lm_loop *loop, lm_http_client **out, loam_error *err) {
    lm_http_client *client = lm_calloc(1, sizeof *client);
    if (!client) return lm_error_no_memory(err, sizeof *client);
    client->loop = loop;
    client->base = lm_loop_base(loop);
    client->reap = event_new(client->base, -1, 0, on_reap, client);
    if (!client->reap) {
        lm_free(client);
        return lm_error_no_memory(err, 1);
    }
    /* Without a resolver configuration names are looked up by the C library, which blocks; addresses never are. */
    client->dns = evdns_base_new(client->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
                                                   EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    *out = client;
    return LOAM_OK;
}

void lm_http_client_free(lm_http_client *client) {
    if (!client) return;
    client->due = NULL;
    while (client->calls) drop_call(client->calls);
    while (client->idle) bury(client->idle);
    on_reap(-1, 0, client);
    event_free(client->reap);
    if (client->dns) evdns_base_free(client->dns, 0);
    SSL_CTX_free(client->tls);
    lm_free(client);
}
