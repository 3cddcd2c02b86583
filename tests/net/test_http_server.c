#include "net_fixture.h"

enum { MAX_BODY_BYTES = 1000, TIMEOUT_MS = 400 };

static atomic_int g_closed, g_waiting, g_open_at_reply;
static lm_timer *g_stream_timer;
static int g_stream_count;

static void reply_echo(lm_http_request *request, void *arg) {
    const char *header = lm_http_request_header(request, "X-Test"),
               *query = lm_http_request_query(request, "q");
    lm_str body = lm_http_request_body(request);
    const char *id = lm_http_request_param(request, "id");
    char text[2048];
    int len =
        snprintf(text, sizeof text, "%s %s id=%s q=%s x=%s body=%.*s",
                 lm_http_request_method(request), lm_http_request_path(request), id ? id : "-",
                 query ? query : "-", header ? header : "-", (int)body.len, body.ptr);
    lm_http_reply(request, 200, "text/plain", (lm_str){text, (size_t)len});
}

static void count_close(lm_http_request *request, void *arg) {
    atomic_fetch_add(&g_closed, 1);
}

static void never_reply(lm_http_request *request, void *arg) {
    lm_http_request_on_close(request, count_close, NULL);
    atomic_fetch_add(&g_waiting, 1);
}

static void stream_tick(void *arg) {
    lm_http_request *request = arg;
    char text[32];
    int len = snprintf(text, sizeof text, "{\"i\":%d}", g_stream_count);
    lm_http_stream_send_event(request, (lm_str){text, (size_t)len});
    if (++g_stream_count < 5) return;
    lm_timer_free(g_stream_timer);
    g_stream_timer = NULL;
    lm_http_stream_end(request);
}

/* Five events, each later than the connection's timeout allows a silent reader, so that it must not apply here. */
static void begin_stream(lm_http_request *request, void *arg) {
    g_stream_count = 0;
    lm_http_stream_begin(request, 200, "text/event-stream");
    assert_ok(lm_timer_new(lm_http_request_loop(request), TIMEOUT_MS / 3, TIMEOUT_MS / 3,
                           stream_tick, request, &g_stream_timer, &err));
}

static void endless_closed(lm_http_request *request, void *arg) {
    lm_timer_free(g_stream_timer);
    g_stream_timer = NULL;
    atomic_fetch_add(&g_closed, 1);
}

static void endless_tick(void *arg) {
    lm_http_stream_send_event(arg, LM_STR("more"));
}

static void begin_endless(lm_http_request *request, void *arg) {
    lm_http_request_on_close(request, endless_closed, NULL);
    lm_http_stream_begin(request, 200, "text/event-stream");
    assert_ok(lm_timer_new(lm_http_request_loop(request), 1, 2, endless_tick, request,
                           &g_stream_timer, &err));
}

static void flood_tick(void *arg) {
    static const char zeros[64 << 10];
    lm_http_stream_send(arg, (lm_str){zeros, sizeof zeros});
}

static void begin_flood(lm_http_request *request, void *arg) {
    lm_http_request_on_close(request, endless_closed, NULL);
    lm_http_stream_begin(request, 200, "text/plain");
    assert_ok(lm_timer_new(lm_http_request_loop(request), 1, 1, flood_tick, request,
                           &g_stream_timer, &err));
}

static const lm_http_route ROUTES[] = {
    {"GET", "/echo", reply_echo, NULL},       {"POST", "/echo", reply_echo, NULL},
    {"GET", "/items/{id}", reply_echo, NULL}, {"GET", "/wait", never_reply, NULL},
    {"GET", "/stream", begin_stream, NULL},   {"GET", "/endless", begin_endless, NULL},
    {"GET", "/flood", begin_flood, NULL},
};

static net_fixture g_fixture;

static int setup(void **state) {
    atomic_store(&g_closed, 0);
    atomic_store(&g_waiting, 0);
    lm_http_server_options options = {.host = "127.0.0.1",
                                      .max_body_bytes = MAX_BODY_BYTES,
                                      .timeout_ms = TIMEOUT_MS,
                                      .routes = ROUTES,
                                      .n_routes = LM_COUNT_OF(ROUTES)};
    net_fixture_start(&g_fixture, &options);
    return 0;
}

static int teardown(void **state) {
    net_fixture_stop(&g_fixture);
    return 0;
}

static void expect(const char *request, const char *until, const char *status, const char *text) {
    int fd = raw_connect(g_fixture.port);
    raw_send(fd, request);
    const char *answer = raw_receive(fd, until);
    if (!strstr(answer, status) || !strstr(answer, text))
        fail_msg("'%s' answered '%s'", request, answer);
    close(fd);
}

static void test_request_parts(void **state) {
    expect("GET /echo?a=1&q=x%20y HTTP/1.1\r\nHost: h\r\nX-Test: yes\r\n\r\n",
           "body=", "HTTP/1.1 200 OK", "GET /echo id=- q=x y x=yes body=");
    expect("GET /items/a%2Fb HTTP/1.1\r\nHost: h\r\n\r\n", "body=", " 200 ",
           "GET /items/a/b id=a/b");
    expect("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "hello", " 200 ",
           "body=hello");
    expect("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
           "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
           "abcde", " 200 ", "body=abcde");
    expect("HEAD /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", NULL, " 200 ",
           "\r\n\r\n");
}

static void test_refusals(void **state) {
    expect("GET /none HTTP/1.1\r\nHost: h\r\n\r\n", "}}", " 404 ", "no such path");
    expect("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "}}", " 405 ",
           "Allow: GET, POST");
    expect("BREW /echo HTTP/1.1\r\nHost: h\r\n\r\n", "}}", " 405 ", "Allow: GET, POST");
    expect("GET /items/a%00b HTTP/1.1\r\nHost: h\r\n\r\n", "}}", " 400 ", "encoded");
    expect("GET\r\n\r\n", NULL, " 400 ", "");
    expect("\x16\x03\x01 nonsense \xff\xfe\r\n\r\n", NULL, " 400 ", "");
    expect("GET /echo HTTP/1.1\r\nno colon here\r\n\r\n", NULL, " 400 ", "");
    expect("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n", NULL, " 400 ", "");
}

static void test_size_limits(void **state) {
    static char request[200000];
    int len = snprintf(request, sizeof request,
                       "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n",
                       MAX_BODY_BYTES + 1);
    memset(request + len, 'x', MAX_BODY_BYTES + 1);
    expect(request, "}}", " 413 ", "too large");
    len = snprintf(request, sizeof request, "GET /echo HTTP/1.1\r\nX-Long: ");
    memset(request + len, 'y', sizeof request - (size_t)len - 1);
    expect(request, NULL, " 400 ", "");
}

/* However large, a body that is sent to its end gets its answer: the server does not hang up on who is still sending. */
static void test_far_too_large_body_is_answered(void **state) {
    enum { BODY_BYTES = 4 << 20 };
    char *request = malloc(BODY_BYTES + 256);
    assert_non_null(request);
    int len = sprintf(request, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n",
                      BODY_BYTES);
    memset(request + len, 'x', BODY_BYTES);
    request[len + BODY_BYTES] = '\0';
    assert_true(BODY_BYTES > 2 * MAX_BODY_BYTES);
    int fd = raw_connect(g_fixture.port);
    assert_true(raw_send_all(fd, request));
    assert_non_null(strstr(raw_receive(fd, NULL), " 413 "));
    close(fd);
    free(request);
}

static void test_keep_alive_and_pipelining(void **state) {
    int fd = raw_connect(g_fixture.port);
    for (int i = 0; i < 3; i++) {
        raw_send(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok");
        assert_non_null(strstr(raw_receive(fd, "body=ok"), "body=ok"));
    }
    raw_send(fd,
             "GET /items/1 HTTP/1.1\r\nHost: h\r\n\r\nGET /items/2 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_non_null(strstr(raw_receive(fd, "id=2"), "id=1"));
    close(fd);
}

/* The body of a DELETE is not read; taken for the next request it would spoil the connection. */
static void test_an_unread_body_ends_the_connection(void **state) {
    expect("DELETE /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}", NULL, " 405 ",
           "Connection: close");
    expect("BREW /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}", NULL, " 405 ",
           "Connection: close");
}

static void test_stream_outlives_the_timeout(void **state) {
    int fd = raw_connect(g_fixture.port);
    raw_send(fd, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    const char *answer = raw_receive(fd, "\r\n0\r\n\r\n");
    assert_non_null(strstr(answer, "Content-Type: text/event-stream"));
    assert_non_null(strstr(answer, "data: {\"i\":0}\n\n"));
    assert_non_null(strstr(answer, "data: {\"i\":4}\n\n"));
    raw_send(fd, "GET /items/9 HTTP/1.1\r\nHost: h\r\n\r\n"); /* the connection goes on */
    assert_non_null(strstr(raw_receive(fd, "id=9"), " 200 "));
    close(fd);
}

/* Also with bytes behind the request, which must not reach evhttp's reader meanwhile. */
static void test_client_leaves_before_the_reply(void **state) {
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = raw_connect(g_fixture.port);
        raw_send(fds[i], "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    wait_for_count(&g_waiting, 3);
    raw_send(fds[0], "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
    lm_clock_sleep_ms(20);
    assert_int_equal(atomic_load(&g_closed), 0);
    for (int i = 0; i < 3; i++) close(fds[i]);
    wait_for_count(&g_closed, 3);
}

static void test_client_leaves_mid_stream(void **state) {
    int fd = raw_connect(g_fixture.port);
    raw_send(fd, "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_non_null(strstr(raw_receive(fd, "more"), "more"));
    close(fd);
    wait_for_count(&g_closed, 1);
}

static void test_silent_clients_are_dropped(void **state) {
    int idle = raw_connect(g_fixture.port), half = raw_connect(g_fixture.port);
    raw_send(half, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf a bo");
    int64_t start = lm_clock_mono_ns();
    assert_string_equal(raw_receive(idle, NULL), "");
    assert_string_equal(raw_receive(half, NULL), "");
    assert_true(lm_clock_mono_ns() - start < 3000000000);
    close(idle);
    close(half);
}

/* One byte at a time, each well within the idle timeout: dropped all the same. Slow but decent clients are not. */
static void test_dripping_clients_are_dropped(void **state) {
    int fd = raw_connect(g_fixture.port);
    int64_t start = lm_clock_mono_ns();
    raw_send(fd, "GET /echo HTTP/1.1\r\nX-Slow: ");
    char byte;
    while (recv(fd, &byte, 1, MSG_DONTWAIT) != 0 && lm_clock_mono_ns() - start < 5000000000) {
        raw_send(fd, "y");
        lm_clock_sleep_ms(TIMEOUT_MS / 8);
    }
    int64_t took_ms = (lm_clock_mono_ns() - start) / 1000000;
    assert_true(took_ms >= 2 * TIMEOUT_MS && took_ms < 4000);
    close(fd);
    fd = raw_connect(g_fixture.port);
    for (int i = 0; i < 10; i++) {
        raw_send(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-");
        lm_clock_sleep_ms(TIMEOUT_MS / 4);
        raw_send(fd, "Length: 2\r\n\r\nok");
        assert_non_null(strstr(raw_receive(fd, "body=ok"), "body=ok"));
    }
    close(fd);
}

/* A client that does not read is dropped, however busy we are writing to it. */
static void test_clients_that_do_not_read_are_dropped(void **state) {
    int fd = raw_connect(g_fixture.port);
    raw_send(fd, "GET /flood HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_count(&g_closed, 1);
    close(fd);
}

static void test_waiting_requests_are_not_dropped(void **state) {
    int fd = raw_connect(g_fixture.port);
    raw_send(fd, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_count(&g_waiting, 1);
    lm_clock_sleep_ms(2 * TIMEOUT_MS);
    assert_int_equal(atomic_load(&g_closed), 0);
    close(fd);
    wait_for_count(&g_closed, 1);
}

static void test_many_connections(void **state) {
    enum { N = 300 };
    int fds[N];
    for (int i = 0; i < N; i++) fds[i] = raw_connect(g_fixture.port);
    for (int i = 0; i < N; i++) raw_send(fds[i], "GET /items/5 HTTP/1.1\r\nHost: h\r\n\r\n");
    for (int i = 0; i < N; i++) {
        assert_non_null(strstr(raw_receive(fds[i], "id=5"), " 200 "));
        close(fds[i]);
    }
}

static void stop_accepting(void *arg) {
    lm_http_server_stop_accepting(g_fixture.server);
    atomic_store(&g_open_at_reply, lm_http_server_n_open(g_fixture.server));
}

static void test_draining(void **state) {
    int waiting = raw_connect(g_fixture.port), fd = raw_connect(g_fixture.port);
    raw_send(waiting, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_count(&g_waiting, 1);
    atomic_store(&g_open_at_reply, -1);
    assert_ok(lm_loop_post(g_fixture.loop, stop_accepting, NULL, &err));
    wait_for_count(&g_open_at_reply, 1);
    raw_send(fd, "GET /items/1 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_non_null(strstr(raw_receive(fd, NULL), "Connection: close"));
    close(fd);
    close(waiting);
    wait_for_count(&g_closed, 1);
}

static void test_port_in_use(void **state) {
    lm_loop *loop;
    lm_http_server *server;
    lm_http_server_options options = {.host = "127.0.0.1", .port = g_fixture.port};
    assert_ok(lm_loop_new(&loop, &err));
    loam_error in_use = {0};
    assert_int_equal(lm_http_server_new(loop, &options, &server, &in_use), LOAM_IO);
    assert_non_null(strstr(in_use.hint, "another port"));
    options.host = "no such host";
    assert_status(LOAM_INVALID, lm_http_server_new(loop, &options, &server, &err));
    lm_loop_free(loop);
}

/* Loops of one program share a port; a second program is refused it although the kernel would let it in. */
static void test_shared_port_in_use(void **state) {
    lm_loop *loop;
    lm_http_server *first, *joined, *stranger;
    lm_http_server_options options = {.host = "127.0.0.1", .reuse_port = true};
    assert_ok(lm_loop_new(&loop, &err));
    assert_ok(lm_http_server_new(loop, &options, &first, &err));
    options.port = lm_http_server_port(first);
    assert_status(LOAM_IO, lm_http_server_new(loop, &options, &stranger, &err));
    options.joins_port = true;
    assert_ok(lm_http_server_new(loop, &options, &joined, &err));
    lm_http_server_free(joined);
    lm_http_server_free(first);
    lm_loop_free(loop);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_request_parts),
                                       TEST(test_refusals),
                                       TEST(test_size_limits),
                                       TEST(test_far_too_large_body_is_answered),
                                       TEST(test_keep_alive_and_pipelining),
                                       TEST(test_an_unread_body_ends_the_connection),
                                       TEST(test_stream_outlives_the_timeout),
                                       TEST(test_client_leaves_before_the_reply),
                                       TEST(test_client_leaves_mid_stream),
                                       TEST(test_silent_clients_are_dropped),
                                       TEST(test_dripping_clients_are_dropped),
                                       TEST(test_clients_that_do_not_read_are_dropped),
                                       TEST(test_waiting_requests_are_not_dropped),
                                       TEST(test_many_connections),
                                       TEST(test_draining),
                                       TEST(test_port_in_use),
                                       TEST(test_shared_port_in_use)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
