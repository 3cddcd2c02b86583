#include "net_fixture.h"

#include "net/http_fetch.h"

static void reply_auth(lm_http_request *request, void *arg) {
    const char *bearer = lm_http_request_header(request, "Authorization");
    const char *type = lm_http_request_header(request, "Content-Type");
    lm_str body = lm_http_request_body(request);
    char text[512];
    int len = snprintf(text, sizeof text, "%s|%s|%s|%.*s", lm_http_request_method(request),
                       bearer ? bearer : "-", type ? type : "-", (int)body.len, body.ptr);
    lm_http_reply(request, 200, "text/plain", (lm_str){text, (size_t)len});
}

static void reply_large(lm_http_request *request, void *arg) {
    static const char zeros[100000];
    lm_http_reply(request, 200, "text/plain", (lm_str){zeros, sizeof zeros});
}

static void hold(lm_http_request *request, void *arg) {}

static const lm_http_route ROUTES[] = {{"*", "/auth", reply_auth, NULL},
                                       {"GET", "/large", reply_large, NULL},
                                       {"GET", "/hold", hold, NULL}};

static net_fixture g_fixture;

static int setup(void **state) {
    lm_http_server_options options = {
        .host = "127.0.0.1", .routes = ROUTES, .n_routes = LM_COUNT_OF(ROUTES)};
    net_fixture_start(&g_fixture, &options);
    return 0;
}

static int teardown(void **state) {
    net_fixture_stop(&g_fixture);
    return 0;
}

static char *url_of(const char *path) {
    static char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", g_fixture.port, path);
    return url;
}

static void test_whole_answers(void **state) {
    lm_buf answer;
    int http_status;
    lm_http_fetch_options options = {.url = url_of("/auth"), .bearer = "key"};
    assert_ok(lm_http_fetch(&options, &http_status, &answer, &err));
    assert_int_equal(http_status, 200);
    assert_string_equal(lm_buf_cstr(&answer), "GET|Bearer key|-|");
    lm_buf_deinit(&answer);
    options =
        (lm_http_fetch_options){.method = "PATCH", .url = url_of("/auth"), .body = LM_STR("{}")};
    assert_ok(lm_http_fetch(&options, &http_status, &answer, &err));
    assert_string_equal(lm_buf_cstr(&answer), "PATCH|-|application/json|{}");
    lm_buf_deinit(&answer);
}

static bool take_none(lm_str bytes, void *arg) {
    return false;
}

static bool take_all(lm_str bytes, void *arg) {
    *(size_t *)arg += bytes.len;
    return true;
}

static void test_pieces(void **state) {
    lm_buf answer;
    int http_status;
    size_t n_bytes = 0;
    lm_http_fetch_options options = {.url = url_of("/large"), .on_body = take_all, .arg = &n_bytes};
    assert_ok(lm_http_fetch(&options, &http_status, &answer, &err));
    assert_int_equal(n_bytes, 100000);
    assert_int_equal(answer.len, 0);
    lm_buf_deinit(&answer);
    options.on_body = take_none;
    assert_status(LOAM_CANCELLED, lm_http_fetch(&options, &http_status, &answer, &err));
    lm_buf_deinit(&answer);
    options.url = url_of("/none");
    assert_ok(lm_http_fetch(&options, &http_status, &answer, &err));
    assert_int_equal(http_status, 404);
    assert_non_null(strstr(lm_buf_cstr(&answer), "no such path"));
    lm_buf_deinit(&answer);
}

static void test_failures(void **state) {
    lm_buf answer;
    int http_status;
    lm_http_fetch_options options = {.url = "http://127.0.0.1:1/"};
    assert_status(LOAM_UNAVAILABLE, lm_http_fetch(&options, &http_status, &answer, &err));
    options.url = "file:///etc/hostname";
    assert_status(LOAM_INVALID, lm_http_fetch(&options, &http_status, &answer, &err));
    options = (lm_http_fetch_options){.url = url_of("/hold"), .timeout_ms = 50};
    assert_status(LOAM_UNAVAILABLE, lm_http_fetch(&options, &http_status, &answer, &err));
    options = (lm_http_fetch_options){.url = url_of("/large"), .max_answer_bytes = 1000};
    assert_status(LOAM_LIMIT, lm_http_fetch(&options, &http_status, &answer, &err));
    lm_buf_deinit(&answer);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole_answers),
                                       cmocka_unit_test(test_pieces),
                                       cmocka_unit_test(test_failures)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
