#include "net_fixture.h"

#include "net/http_client.h"

/* The client runs on the test's own loop and thread, against a fixture server on another. */
typedef struct outcome {
    int http_status, n_pieces, n_done;
    loam_status status;
    char text[4096];
    char header[64];
    bool cancel_at_head, cancel_at_body;
} outcome;

static lm_loop *g_loop;
static lm_http_client *g_client;
static net_fixture g_fixture;
static int g_pending;
static atomic_int g_closed;

static void reply_hello(lm_http_request *request, void *arg) {
    lm_str body = lm_http_request_body(request);
    lm_http_reply_header(request, "X-Answer", "42");
    if (body.len)
        lm_http_reply(request, 201, "text/plain", body);
    else
        lm_http_reply(request, 200, "text/plain", LM_STR("hello"));
}

static void reply_host(lm_http_request *request, void *arg) {
    lm_http_reply(request, 200, "text/plain", lm_str_of(lm_http_request_header(request, "Host")));
}

static void reply_and_close(lm_http_request *request, void *arg) {
    lm_http_reply_header(request, "Connection", "close");
    lm_http_reply(request, 200, "text/plain", LM_STR("bye"));
}

static void end_stream(void *arg) {
    lm_http_stream_send(arg, LM_STR("second"));
    lm_http_stream_end(arg);
}

static lm_timer *g_timer;

static void reply_stream(lm_http_request *request, void *arg) {
    lm_http_stream_begin(request, 200, "text/plain");
    lm_http_stream_send(request, LM_STR("first "));
    lm_timer_free(g_timer);
    assert_ok(
        lm_timer_new(lm_http_request_loop(request), 30, 0, end_stream, request, &g_timer, &err));
}

static void count_close(lm_http_request *request, void *arg) {
    atomic_fetch_add(&g_closed, 1);
}

static void hold(lm_http_request *request, void *arg) {
    lm_http_request_on_close(request, count_close, NULL);
}

static void hold_stream(lm_http_request *request, void *arg) {
    lm_http_request_on_close(request, count_close, NULL);
    lm_http_stream_begin(request, 200, "text/plain");
    lm_http_stream_send(request, LM_STR("first "));
}

static const lm_http_route ROUTES[] = {
    {"*", "/hello", reply_hello, NULL},     {"GET", "/host", reply_host, NULL},
    {"GET", "/bye", reply_and_close, NULL}, {"GET", "/stream", reply_stream, NULL},
    {"GET", "/hold", hold, NULL},           {"GET", "/hold-stream", hold_stream, NULL}};

static int setup(void **state) {
    lm_http_server_options options = {
        .host = "127.0.0.1", .routes = ROUTES, .n_routes = LM_COUNT_OF(ROUTES)};
    atomic_store(&g_closed, 0);
    net_fixture_start(&g_fixture, &options);
    assert_ok(lm_loop_new(&g_loop, &err));
    assert_ok(lm_http_client_new(g_loop, &g_client, &err));
    return 0;
}

static int teardown(void **state) {
    lm_http_client_free(g_client);
    lm_loop_free(g_loop);
    net_fixture_stop(&g_fixture);
    lm_timer_free(g_timer);
    g_timer = NULL;
    return 0;
}

static void stop(void *arg) {
    lm_loop_stop(g_loop);
}

static void stop_soon(void) {
    static lm_timer *timer;
    lm_timer_free(timer);
    timer = NULL;
    assert_ok(lm_timer_new(g_loop, 50, 0, stop, NULL, &timer, &err));
    assert_ok(lm_loop_run(g_loop, &err));
    lm_timer_free(timer);
    timer = NULL;
}

static void on_head(lm_http_call *call, int http_status, void *arg) {
    outcome *result = arg;
    const char *header = lm_http_call_header(call, "X-Answer");
    result->http_status = http_status;
    if (header) snprintf(result->header, sizeof result->header, "%s", header);
    if (result->cancel_at_head) lm_http_call_cancel(call);
}

static void on_body(lm_http_call *call, lm_str bytes, void *arg) {
    outcome *result = arg;
    size_t have = strlen(result->text);
    snprintf(result->text + have, sizeof result->text - have, "%.*s", (int)bytes.len, bytes.ptr);
    result->n_pieces++;
    if (result->cancel_at_body) lm_http_call_cancel(call);
}

static void on_done(lm_http_call *call, loam_status status, const char *message, void *arg) {
    outcome *result = arg;
    result->n_done++;
    result->status = status;
    if (--g_pending == 0) lm_loop_stop(g_loop);
}

static lm_http_call_options call_options(const char *url, outcome *result) {
    *result = (outcome){.status = LOAM_INTERNAL,
                        .cancel_at_head = result->cancel_at_head,
                        .cancel_at_body = result->cancel_at_body};
    return (lm_http_call_options){.method = "GET",
                                  .url = url,
                                  .on_head = on_head,
                                  .on_body = on_body,
                                  .on_done = on_done,
                                  .arg = result};
}

static char *url_of(const char *path) {
    static char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", g_fixture.port, path);
    return url;
}

/* Runs one call to its end. */
static outcome run_call(lm_http_call_options *options) {
    outcome *result = options->arg;
    g_pending = 1;
    assert_ok(lm_http_client_start(g_client, options, NULL, &err));
    assert_int_equal(result->n_done, 0); /* never before start returns */
    assert_ok(lm_loop_run(g_loop, &err));
    assert_int_equal(result->n_done, 1);
    return *result;
}

static outcome get(const char *path) {
    outcome result = {0};
    lm_http_call_options options = call_options(url_of(path), &result);
    return run_call(&options);
}

static void test_get_and_post(void **state) {
    outcome result = get("/hello");
    assert_int_equal(result.status, LOAM_OK);
    assert_int_equal(result.http_status, 200);
    assert_string_equal(result.text, "hello");
    assert_string_equal(result.header, "42");
    lm_http_call_options options = call_options(url_of("/hello"), &result);
    options.method = "POST";
    options.body = LM_STR("ping");
    result = run_call(&options);
    assert_int_equal(result.http_status, 201);
    assert_string_equal(result.text, "ping");
    char host[32];
    snprintf(host, sizeof host, "127.0.0.1:%d", g_fixture.port);
    assert_string_equal(get("/host").text, host);
    assert_int_equal(get("/none").http_status, 404);
}

static void test_pieces_come_as_they_are_sent(void **state) {
    outcome result = get("/stream");
    assert_int_equal(result.status, LOAM_OK);
    assert_string_equal(result.text, "first second");
    assert_int_equal(result.n_pieces, 2);
}

static void test_reuse_after_keep_alive_and_after_close(void **state) {
    for (int i = 0; i < 50; i++) assert_string_equal(get("/hello").text, "hello");
    for (int i = 0; i < 5; i++) {
        assert_string_equal(get("/bye").text, "bye");
        assert_string_equal(get("/hello").text, "hello");
    }
}

static void test_many_at_once(void **state) {
    enum { N = 100 };
    static outcome results[N];
    g_pending = N;
    for (int i = 0; i < N; i++) {
        results[i] = (outcome){0};
        lm_http_call_options options = call_options(url_of("/hello"), &results[i]);
        assert_ok(lm_http_client_start(g_client, &options, NULL, &err));
    }
    assert_ok(lm_loop_run(g_loop, &err));
    for (int i = 0; i < N; i++) assert_string_equal(results[i].text, "hello");
}

static void test_failures(void **state) {
    outcome result = {0};
    lm_http_call_options options = call_options("http://127.0.0.1:1/", &result);
    assert_int_equal(run_call(&options).status, LOAM_UNAVAILABLE);
    assert_status(LOAM_INVALID,
                  lm_http_client_start(g_client,
                                       &(lm_http_call_options){.method = "GET", .url = "ftp://x/"},
                                       NULL, &err));
    assert_status(LOAM_INVALID,
                  lm_http_client_start(g_client,
                                       &(lm_http_call_options){.method = "GET", .url = "nonsense"},
                                       NULL, &err));
    options = call_options(url_of("/hold"), &result);
    options.timeout_ms = 50;
    assert_int_equal(run_call(&options).status, LOAM_UNAVAILABLE);
    options = call_options(url_of("/hold-stream"), &result);
    options.timeout_ms = 50;
    assert_int_equal(run_call(&options).status, LOAM_IO);
}

/* A peer that accepts and says nothing (its backlog does), then one that speaks no TLS. */
static void test_no_connection(void **state) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", ntohs(address.sin_port));
    outcome result = {0};
    lm_http_call_options options = call_options(url, &result);
    options.connect_timeout_ms = 50;
    assert_int_equal(run_call(&options).status, LOAM_UNAVAILABLE);
    close(fd);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", g_fixture.port);
    options = call_options(url, &result);
    assert_int_equal(run_call(&options).status, LOAM_UNAVAILABLE);
}

static void test_cancel_is_silent_and_closes(void **state) {
    outcome results[3] = {{0}, {.cancel_at_head = true}, {.cancel_at_body = true}};
    const char *paths[3] = {"/hold", "/hold-stream", "/hold-stream"};
    lm_http_call *calls[3];
    for (int i = 0; i < 3; i++) {
        lm_http_call_options options = call_options(url_of(paths[i]), &results[i]);
        assert_ok(lm_http_client_start(g_client, &options, &calls[i], &err));
    }
    stop_soon();
    lm_http_call_cancel(calls[0]);
    stop_soon();
    for (int i = 0; i < 3; i++) assert_int_equal(results[i].n_done, 0);
    assert_int_equal(results[1].n_pieces, 0);
    assert_int_equal(results[2].n_pieces, 1);
    wait_for_count(&g_closed, 3);
}

static void test_free_with_calls_under_way(void **state) {
    outcome result = {0};
    lm_http_call_options options = call_options(url_of("/hold"), &result);
    assert_ok(lm_http_client_start(g_client, &options, NULL, &err));
    stop_soon();
    lm_http_client_free(g_client);
    g_client = NULL;
    assert_int_equal(result.n_done, 0);
    wait_for_count(&g_closed, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_get_and_post),
                                       TEST(test_pieces_come_as_they_are_sent),
                                       TEST(test_reuse_after_keep_alive_and_after_close),
                                       TEST(test_many_at_once),
                                       TEST(test_failures),
                                       TEST(test_no_connection),
                                       TEST(test_cancel_is_silent_and_closes),
                                       TEST(test_free_with_calls_under_way)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
