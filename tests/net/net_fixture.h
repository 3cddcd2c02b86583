/* A loop on a thread of its own with an HTTP server on it, and a blocking raw client to be rude to it. */
#ifndef LM_TESTS_NET_FIXTURE_H
#define LM_TESTS_NET_FIXTURE_H

#include "testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "net/http_server.h"

typedef struct net_fixture {
    lm_loop *loop;
    lm_http_server *server;
    pthread_t thread;
    int port;
} net_fixture;

static void *net_fixture_thread(void *arg) {
    net_fixture *fixture = arg;
    if (lm_loop_run(fixture->loop, NULL) != LOAM_OK) abort();
    lm_http_server_free(fixture->server);
    return NULL;
}

static inline LM_UNUSED void net_fixture_start(net_fixture *fixture,
                                               const lm_http_server_options *options) {
    assert_ok(lm_loop_new(&fixture->loop, &err));
    assert_ok(lm_http_server_new(fixture->loop, options, &fixture->server, &err));
    fixture->port = lm_http_server_port(fixture->server);
    assert_int_equal(pthread_create(&fixture->thread, NULL, net_fixture_thread, fixture), 0);
}

static inline LM_UNUSED void net_fixture_stop(net_fixture *fixture) {
    lm_loop_stop(fixture->loop);
    pthread_join(fixture->thread, NULL);
    lm_loop_free(fixture->loop);
}

static inline LM_UNUSED int raw_connect(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* False: the server hung up first. */
static inline LM_UNUSED bool raw_send_all(int fd, const char *text) {
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0) return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

static inline LM_UNUSED void raw_send(int fd, const char *text) {
    (void)raw_send_all(fd, text);
}

/* Reads until `until` appears (NULL: the end of the stream) or 5 s pass; the text is valid until the next call. */
static inline LM_UNUSED const char *raw_receive(int fd, const char *until) {
    static char text[1 << 20];
    size_t len = 0;
    text[0] = '\0';
    while (len < sizeof text - 1 && !(until && strstr(text, until))) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, 5000) <= 0) break;
        ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);
        if (n <= 0) break;
        len += (size_t)n;
        text[len] = '\0';
    }
    return text;
}

/* Waits up to 5 s for a counter that the server's thread moves. */
static inline LM_UNUSED void wait_for_count(atomic_int *counter, int wanted) {
    for (int i = 0; i < 500 && atomic_load(counter) != wanted; i++) lm_clock_sleep_ms(10);
    assert_int_equal(atomic_load(counter), wanted);
}

#endif
