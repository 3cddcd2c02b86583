/* A server in this process, on a thread of its own, with a real small model. */
#ifndef LM_TESTS_LIVE_SERVER_H
#define LM_TESTS_LIVE_SERVER_H

#include "testing.h"

#include <pthread.h>
#include <signal.h>

#include "backend/cpu/cpu.h"
#include "base/clock.h"
#include "base/file.h"
#include "net/http_fetch.h"
#include "serve/server.h"

static struct {
    char *dir, *port_file, *journal;
    lm_device *device;
    lm_model *model;
    pthread_t thread;
    lm_serve_options options;
    loam_status status;
    int port;
} g_live;

static inline void live_open(const char *path) {
    g_live.dir = test_temp_dir();
    g_live.port_file = lm_path_join(g_live.dir, "port");
    g_live.journal = lm_path_join(g_live.dir, "journal");
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 2}, &g_live.device, &err));
    assert_ok(lm_model_open(path, g_live.device, NULL, &g_live.model, &err));
}

static inline void live_close(void) {
    lm_model_free(g_live.model);
    lm_device_close(g_live.device);
    assert_ok(lm_file_remove_tree(g_live.dir, &err));
    lm_free(g_live.port_file);
    lm_free(g_live.journal);
    lm_free(g_live.dir);
}

static inline void *live_main(void *arg) {
    g_live.status = lm_serve(g_live.model, &g_live.options, NULL);
    return NULL;
}

/* The server is up when this returns. */
static inline void live_start(lm_serve_options options, const char *name) {
    char *text;
    int64_t port;
    size_t size;
    g_live.options = options;
    g_live.options.port_file = g_live.port_file;
    g_live.options.name = name;
    unlink(g_live.port_file);
    assert_int_equal(pthread_create(&g_live.thread, NULL, live_main, NULL), 0);
    for (int i = 0; i < 500 && !lm_file_exists(g_live.port_file); i++) lm_clock_sleep_ms(10);
    assert_ok(lm_file_read(g_live.port_file, 100, &text, &size, &err));
    assert_true(lm_str_to_i64((lm_str){text, size}, &port));
    g_live.port = (int)port;
    lm_free(text);
}

static inline void live_stop(void) {
    kill(getpid(), SIGTERM);
    pthread_join(g_live.thread, NULL);
    assert_int_equal(g_live.status, LOAM_OK);
}

/* Posts (or gets, without a body); the answer's text is the caller's to free. */
static inline char *live_ask(const char *path, const char *body, int *out_http_status) {
    char url[128];
    lm_buf answer;
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", g_live.port, path);
    lm_http_fetch_options options = {
        .method = body ? "POST" : "GET", .url = url, .body = lm_str_of(body), .timeout_ms = 60000};
    assert_ok(lm_http_fetch(&options, out_http_status, &answer, &err));
    return lm_buf_take(&answer);
}

static inline void live_expect(const char *path, const char *body, int wanted, const char *text) {
    int http_status;
    char *answer = live_ask(path, body, &http_status);
    if (http_status != wanted || !strstr(answer, text))
        fail_msg("%s %s gave %d: %s", path, body ? body : "", http_status, answer);
    lm_free(answer);
}

/* A client on a thread of its own. */
typedef struct live_client {
    pthread_t thread;
    char body[512];
    char *answer;
    int http_status;
} live_client;

static inline void *live_client_main(void *arg) {
    live_client *c = arg;
    c->answer = live_ask("/v1/completions", c->body, &c->http_status);
    return NULL;
}

/* The part of an answer that may not depend on time: from the choices on. */
static inline const char *live_choices(const char *answer) {
    const char *choices = strstr(answer, "\"choices\":");
    return choices ? choices : answer;
}

/* Everybody asks at once and gets what the client of the same number got alone. Frees the answers of both. */
static inline void live_check_company(live_client *together, live_client *alone, int n) {
    for (int i = 0; i < n; i++)
        assert_int_equal(pthread_create(&together[i].thread, NULL, live_client_main, &together[i]),
                         0);
    for (int i = 0; i < n; i++) {
        pthread_join(together[i].thread, NULL);
        assert_string_equal(live_choices(together[i].answer), live_choices(alone[i].answer));
        lm_free(together[i].answer);
        lm_free(alone[i].answer);
    }
}

#endif
