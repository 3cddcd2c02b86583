/* The gateway between blocking clients and stub replicas, all in one process. */
#include "testing.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "cloud/gateway.h"
#include "net/http_fetch.h"

enum { EVENTS = 5, FLOOD_CHUNK = 16 << 10 };

static atomic_int g_wakes, g_ended, g_unreached, g_closed, g_prompt_only;
static atomic_llong g_flooded, g_asked_bytes;

typedef struct fixture {
    lm_loop *loop;
    lm_router *router;
    lm_gateway *gateway;
    lm_http_server *front, *good, *full; /* good answers, full says 503 */
    pthread_t thread;
    char url[64];
} fixture;

/* ---- stub replicas ---- */

static void good_reply(lm_http_request *request, void *arg) {
    const char *id = lm_http_request_header(request, "X-Loam-Request"),
               *tag = lm_http_request_header(request, "X-Loam-Tag");
    char text[256];
    int len =
        snprintf(text, sizeof text, "{\"id\":\"%s\",\"tag\":\"%s\"}", id ? id : "", tag ? tag : "");
    lm_http_reply(request, 200, "application/json", (lm_str){text, (size_t)len});
}

static void count_close(lm_http_request *request, void *arg) {
    lm_timer_free(arg);
    atomic_fetch_add(&g_closed, 1);
}

typedef struct flood {
    lm_http_request *request;
    lm_timer *timer;
} flood;
static flood g_flood;

static void flood_close(lm_http_request *request, void *arg) {
    lm_timer_free(g_flood.timer);
    atomic_fetch_add(&g_closed, 1);
}

/* As much as the other side takes. */
static void flood_tick(void *arg) {
    static const char bytes[FLOOD_CHUNK];
    while (lm_http_stream_queued_bytes(g_flood.request) < FLOOD_CHUNK) {
        lm_http_stream_send(g_flood.request, (lm_str){bytes, sizeof bytes});
        atomic_fetch_add(&g_flooded, FLOOD_CHUNK);
    }
}

static void good_stream(lm_http_request *request, void *arg) {
    lm_str body = lm_http_request_body(request);
    lm_http_stream_begin(request, 200, "text/event-stream");
    if (memmem(body.ptr, body.len, "flood", 5)) {
        g_flood.request = request;
        lm_http_request_on_close(request, flood_close, NULL);
        assert_ok(lm_timer_new(lm_http_request_loop(request), 1, 1, flood_tick, NULL,
                               &g_flood.timer, &err));
        return;
    }
    for (int i = 0; i < EVENTS; i++) lm_http_stream_send_event(request, LM_STR("{\"x\":1}"));
    if (memmem(body.ptr, body.len, "hang", 4)) {
        lm_http_request_on_close(request, count_close, NULL);
        return;
    }
    lm_http_stream_send_event(request, LM_STR("[DONE]"));
    lm_http_stream_end(request);
}

static void good_route(lm_http_request *request, void *arg) {
    lm_str body = lm_http_request_body(request);
    if (memmem(body.ptr, body.len, "\"stream\":true", 13))
        good_stream(request, arg);
    else
        good_reply(request, arg);
}

static void full_reply(lm_http_request *request, void *arg) {
    lm_http_reply(request, 503, "application/json", LM_STR("{}"));
}

/* ---- hooks ---- */

static loam_status identify(void *arg, const char *bearer, lm_gateway_grant *out, loam_error *err) {
    if (!bearer || strncmp(bearer, "key-", 4) != 0)
        return lm_error_set(err, LOAM_DENIED, "no such key");
    snprintf(out->project_id, sizeof out->project_id, "prj_%s", bearer + 4);
    return strcmp(bearer, "key-viewer") == 0
               ? lm_error_set(err, LOAM_DENIED, "no inference for this key")
               : LOAM_OK;
}

static loam_status admit(void *arg, const lm_gateway_ask *ask, lm_gateway_grant *grant,
                         int64_t *out_retry_after_s, loam_error *err) {
    if (ask->max_new_tokens > 1000) {
        *out_retry_after_s = 7;
        return lm_error_set(err, LOAM_LIMIT, "too many tokens");
    }
    atomic_store(&g_prompt_only, ask->prompt_only);
    atomic_store(&g_asked_bytes, ask->body_bytes);
    strcpy(grant->request_id, "req_1");
    strcpy(grant->tag, "payer");
    return LOAM_OK;
}

static void ended(void *arg, lm_gateway_grant *grant, bool reached_replica) {
    atomic_fetch_add(&g_ended, 1);
    if (!reached_replica) atomic_fetch_add(&g_unreached, 1);
}

static void wake(void *arg, const char *endpoint_id) {
    atomic_fetch_add(&g_wakes, 1);
}

/* ---- the set-up ---- */

static lm_http_server *serve(lm_loop *loop, const lm_http_route *routes, size_t n) {
    lm_http_server_options options = {.host = "127.0.0.1", .routes = routes, .n_routes = n};
    lm_http_server *server = NULL;
    assert_ok(lm_http_server_new(loop, &options, &server, &err));
    return server;
}

static void *loop_main(void *arg) {
    assert_ok(lm_loop_run(arg, &err));
    return NULL;
}

static int setup(void **state) {
    static const lm_http_route good[] = {{"POST", "/v1/{rest...}", good_route, NULL}};
    static const lm_http_route full[] = {{"POST", "/v1/{rest...}", full_reply, NULL}};
    fixture *f = calloc(1, sizeof *f);
    g_wakes = g_ended = g_unreached = g_closed = 0;
    g_flooded = 0;
    assert_ok(lm_loop_new(&f->loop, &err));
    assert_ok(lm_router_new(&f->router, &err));
    lm_gateway_options options = {
        .loops = &f->loop,
        .n_loops = 1,
        .router = f->router,
        .wake_timeout_ms = 600,
        .hooks = {.identify = identify, .admit = admit, .ended = ended, .wake = wake}};
    assert_ok(lm_gateway_new(&options, &f->gateway, &err));
    size_t n;
    const lm_http_route *routes = lm_gateway_routes(f->gateway, &n);
    f->front = serve(f->loop, routes, n);
    f->good = serve(f->loop, good, 1);
    f->full = serve(f->loop, full, 1);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d", lm_http_server_port(f->front));
    pthread_create(&f->thread, NULL, loop_main, f->loop);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    lm_loop_stop(f->loop);
    pthread_join(f->thread, NULL);
    lm_http_server_free(f->front);
    lm_http_server_free(f->good);
    lm_http_server_free(f->full);
    lm_gateway_free(f->gateway);
    lm_router_free(f->router);
    lm_loop_free(f->loop);
    free(f);
    return 0;
}

/* One endpoint "m" of project prj_a with replicas at these ports. */
static const char *g_trouble = ""; /* of an endpoint without replicas */

static void publish(fixture *f, const int *ports, size_t n) {
    lm_router_replica replicas[4] = {0};
    for (size_t i = 0; i < n; i++) {
        snprintf(replicas[i].id, sizeof replicas[i].id, "rep_%d", ports[i]);
        snprintf(replicas[i].url, sizeof replicas[i].url, "http://127.0.0.1:%d", ports[i]);
    }
    lm_router_endpoint endpoint = {
        .id = "ep_1", .project_id = "prj_a", .name = "m", .replicas = replicas, .n_replicas = n};
    snprintf(endpoint.trouble, sizeof endpoint.trouble, "%s", n ? "" : g_trouble);
    assert_ok(lm_router_publish(f->router, &endpoint, 1, &err));
    lm_gateway_replicas_changed(f->gateway);
}

typedef struct answer {
    int status;
    char text[4096];
} answer;

static answer ask(const fixture *f, const char *bearer, const char *path, const char *body) {
    answer result = {0};
    char url[128];
    lm_buf text;
    snprintf(url, sizeof url, "%s%s", f->url, path);
    lm_http_fetch_options options = {.method = body ? "POST" : "GET",
                                     .url = url,
                                     .bearer = bearer,
                                     .body = lm_str_of(body ? body : ""),
                                     .timeout_ms = 5000};
    assert_ok(lm_http_fetch(&options, &result.status, &text, &err));
    snprintf(result.text, sizeof result.text, "%s", lm_buf_cstr(&text));
    lm_buf_deinit(&text);
    return result;
}

static void wait_for(atomic_int *counter, int value) {
    for (int i = 0; i < 300 && atomic_load(counter) < value; i++) lm_clock_sleep_ms(10);
    assert_int_equal(atomic_load(counter), value);
}

/* ---- tests ---- */

static void test_passes_requests(void **state) {
    fixture *f = *state;
    publish(f, (int[]){lm_http_server_port(f->good)}, 1);
    answer a = ask(f, "key-a", "/v1/chat/completions", "{\"model\":\"m\"}");
    assert_int_equal(a.status, 200);
    assert_string_equal(a.text, "{\"id\":\"req_1\",\"tag\":\"payer\"}");
    a = ask(f, "key-a", "/v1/completions", "{\"model\":\"m\",\"stream\":true}");
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.text, "data: [DONE]\n\n"));
    a = ask(f, "key-a", "/v1/models", NULL);
    assert_non_null(strstr(a.text, "\"id\":\"m\""));
    wait_for(&g_ended, 2);
}

/* They cost their prompts alone, and reranking its query with every document. */
static void test_passes_embeddings(void **state) {
    fixture *f = *state;
    const char *body = "{\"model\":\"m\",\"query\":\"12345\",\"documents\":[\"a\",\"b\",\"c\"]}";
    publish(f, (int[]){lm_http_server_port(f->good)}, 1);
    assert_int_equal(ask(f, "key-a", "/v1/completions", "{\"model\":\"m\"}").status, 200);
    assert_int_equal(atomic_load(&g_prompt_only), 0);
    answer a = ask(f, "key-a", "/v1/embeddings", "{\"model\":\"m\",\"input\":\"x\"}");
    assert_int_equal(a.status, 200);
    assert_string_equal(a.text, "{\"id\":\"req_1\",\"tag\":\"payer\"}");
    assert_int_equal(atomic_load(&g_prompt_only), 1);
    assert_int_equal(ask(f, "key-a", "/v1/rerank", body).status, 200);
    assert_int_equal(atomic_load(&g_prompt_only), 1);
    assert_int_equal(atomic_load(&g_asked_bytes), strlen(body) + 2 * 5);
    assert_int_equal(ask(f, NULL, "/v1/embeddings", body).status, 401);
    wait_for(&g_ended, 3);
}

static void test_refusals(void **state) {
    fixture *f = *state;
    publish(f, (int[]){lm_http_server_port(f->good)}, 1);
    assert_int_equal(ask(f, NULL, "/v1/completions", "{\"model\":\"m\"}").status, 401);
    assert_int_equal(ask(f, "wrong", "/v1/models", NULL).status, 401);
    assert_int_equal(ask(f, "key-viewer", "/v1/models", NULL).status, 403);
    answer lacking = ask(f, "key-viewer", "/v1/chat/completions", "{\"model\":\"m\"}");
    assert_int_equal(lacking.status, 403);
    assert_string_equal(lacking.text,
                        "{\"error\":{\"message\":\"no inference for this key\",\"type\":"
                        "\"invalid_request_error\",\"param\":null,\"code\":\"missing_scope\"}}");
    assert_int_equal(ask(f, "key-a", "/v1/completions", "{\"model\":\"other\"}").status, 404);
    assert_int_equal(ask(f, "key-b", "/v1/completions", "{\"model\":\"m\"}").status,
                     404); /* another project's */
    assert_int_equal(ask(f, "key-a", "/v1/completions", "{\"model\":").status, 400);
    assert_int_equal(ask(f, "key-a", "/v1/completions", "[]").status, 400);
    assert_int_equal(
        ask(f, "key-a", "/v1/completions", "{\"model\":\"m\",\"max_tokens\":-1}").status, 400);
    const char *const wrong[][2] = {
        {"{}", "\"param\":\"model\""},
        {"{\"model\":\"other\"}", "\"param\":\"model\""},
        {"{\"model\":\"m\",\"max_tokens\":\"x\"}", "\"param\":\"max_tokens\""},
        {"{\"model\":\"m\",\"n\":0}", "\"param\":\"n\""}};
    for (size_t i = 0; i < LM_COUNT_OF(wrong); i++)
        assert_non_null(strstr(ask(f, "key-a", "/v1/completions", wrong[i][0]).text, wrong[i][1]));
    answer a = ask(f, "key-a", "/v1/completions", "{\"model\":\"m\",\"max_tokens\":600,\"n\":2}");
    assert_int_equal(a.status, 429);
    assert_non_null(strstr(a.text, "\"type\":\"rate_limit_error\""));
    assert_null(strstr(ask(f, "key-b", "/v1/models", NULL).text, "\"id\""));
    assert_int_equal(g_ended, 0);
}

static void test_retries_before_the_first_byte(void **state) {
    fixture *f = *state;
    int dead = lm_http_server_port(f->full) == 1 ? 2 : 1; /* nobody listens on port 1 */
    publish(f, (int[]){lm_http_server_port(f->full), dead, lm_http_server_port(f->good)}, 3);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask(f, "key-a", "/v1/completions", "{\"model\":\"m\"}").status, 200);
    assert_true(lm_gateway_stats_now(f->gateway).n_retries > 0);
    publish(f, (int[]){lm_http_server_port(f->full)}, 1);
    assert_int_equal(ask(f, "key-a", "/v1/completions", "{\"model\":\"m\"}").status,
                     503); /* nobody else to try */
    wait_for(&g_ended, 6);
}

static void *publish_later(void *arg) {
    fixture *f = arg;
    wait_for(&g_wakes, 1);
    lm_clock_sleep_ms(100);
    publish(f, (int[]){lm_http_server_port(f->good)}, 1);
    return NULL;
}

static void test_wakes_and_holds(void **state) {
    fixture *f = *state;
    pthread_t thread;
    publish(f, NULL, 0);
    pthread_create(&thread, NULL, publish_later, f);
    assert_int_equal(ask(f, "key-a", "/v1/completions", "{\"model\":\"m\"}").status, 200);
    pthread_join(thread, NULL);
    publish(f, NULL, 0);
    answer a = ask(f, "key-a", "/v1/completions", "{\"model\":\"m\"}"); /* nobody starts it */
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.text, "did not start in time"));
    assert_int_equal(g_unreached, 1);
}

static void *trouble_later(void *arg) {
    fixture *f = arg;
    wait_for(&g_wakes, 1);
    g_trouble = "no such tensor";
    publish(f, NULL, 0);
    return NULL;
}

/* Requests do not wait for workers that end as soon as they are started. */
static void test_trouble_is_told_at_once(void **state) {
    fixture *f = *state;
    pthread_t thread;
    publish(f, NULL, 0);
    pthread_create(&thread, NULL, trouble_later, f);
    for (int i = 0; i < 2; i++) { /* one that waits already, and one that comes later */
        answer a = ask(f, "key-a", "/v1/completions", "{\"model\":\"m\"}");
        assert_int_equal(a.status, 503);
        assert_non_null(strstr(a.text, "end at once: no such tensor"));
    }
    pthread_join(thread, NULL);
    publish(f, (int[]){lm_http_server_port(f->good)}, 1);
    assert_int_equal(ask(f, "key-a", "/v1/completions", "{\"model\":\"m\"}").status, 200);
    g_trouble = "";
}

/* A client that talks to the gateway by hand; returns its socket. */
static int raw_client(const fixture *f, const char *body, int receive_buffer) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (receive_buffer)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)lm_http_server_port(f->front)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    dprintf(fd,
            "POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
            "key-a\r\nContent-Length: %zu\r\n\r\n%s",
            strlen(body), body);
    return fd;
}

static void test_vanished_client_cancels(void **state) {
    fixture *f = *state;
    publish(f, (int[]){lm_http_server_port(f->good)}, 1);
    int fd = raw_client(f, "{\"model\":\"m\",\"stream\":true,\"x\":\"hang\"}", 0);
    char bytes[4096];
    assert_true(read(fd, bytes, sizeof bytes) > 0);
    close(fd);
    wait_for(&g_closed, 1); /* the stub replica saw its client go */
    wait_for(&g_ended, 1);
    lm_router_activity activity;
    assert_true(lm_router_activity_of(f->router, "ep_1", &activity));
    assert_int_equal(activity.n_active, 0);
}

static void test_slow_client_slows_the_replica(void **state) {
    fixture *f = *state;
    publish(f, (int[]){lm_http_server_port(f->good)}, 1);
    int fd = raw_client(f, "{\"model\":\"m\",\"stream\":true,\"x\":\"flood\"}", 4096);
    long long before = -1;
    for (int i = 0; i < 100 && atomic_load(&g_flooded) != before;
         i++) { /* until nothing moves any more */
        before = atomic_load(&g_flooded);
        lm_clock_sleep_ms(100);
    }
    assert_int_equal(atomic_load(&g_flooded), before);
    assert_true(before <
                32 << 20); /* what sockets and the gateway hold, not what the replica could make */
    char *bytes = malloc(1 << 20);
    int64_t deadline_ns = lm_clock_mono_ns() + INT64_C(20000000000);
    while (atomic_load(&g_flooded) == before &&
           lm_clock_mono_ns() < deadline_ns) { /* a small window takes many reads */
        if (recv(fd, bytes, 1 << 20, MSG_DONTWAIT) <= 0) lm_clock_sleep_ms(1);
    }
    assert_true(atomic_load(&g_flooded) > before); /* it goes on once the client reads */
    free(bytes);
    close(fd);
    wait_for(&g_closed, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_passes_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_passes_embeddings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retries_before_the_first_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wakes_and_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trouble_is_told_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vanished_client_cancels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_client_slows_the_replica, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
