/* The cloud as a process: what `loam up` runs, from the first lock to the last join.
 *
 *     claim home -> store -> keys and prices -> loops -> services -> HTTP servers -> serve ... SIGTERM
 *     -> stop accepting -> open requests and services come to their end (at most DRAIN_MAX_MS) -> close in reverse
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cloud/api_server.h"
#include "cloud/bootstrap.h"
#include "cloud/pages.h"
#include "cloud/services.h"

enum { DRAIN_PERIOD_MS = 20, DRAIN_MAX_MS = 30000 };

/* One loop and the thread that runs it; the first one's is the main thread. */
typedef struct loop_thread {
    lm_cloud *cloud;
    int index;
    pthread_t thread;
    bool running; /* has a thread to join */
    lm_timer *drain_timer;
    int64_t drain_until_ns;
} loop_thread;

typedef struct server {
    lm_cloud cloud;
    const lm_cloud_hooks *hooks;
    int lock_fd;
    loop_thread threads[LM_CLOUD_LOOPS_MAX];
} server;

/* A cloud that was killed while it started a program leaves its lock with the new process until that one has become the
 * program: for a moment, longer on a busy machine, nobody owns a lock that is still held. */
static bool lock_soon(int fd) {
    enum { STEPS = 60, STEP_MS = 50 };
    for (int i = 0; i < STEPS; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
        if (errno != EWOULDBLOCK) return false;
        lm_clock_sleep_ms(STEP_MS);
    }
    errno = EWOULDBLOCK;
    return false;
}

/* A lock on the home folder: two clouds on one home would each believe to be alone. */
static loam_status claim_home(server *s, loam_error *err) {
    const char *home = s->cloud.config.home;
    LM_TRY(lm_file_make_dirs(home, err));
    char *path = lm_path_join(home, "lock");
    if (!path) return lm_error_no_memory(err, 0);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    loam_status status = s->lock_fd < 0 ? lm_error_errno(err, "%s", path) : LOAM_OK;
    lm_free(path);
    if (status != LOAM_OK) return status;
    if (lock_soon(s->lock_fd)) return LOAM_OK;
    if (errno != EWOULDBLOCK) return lm_error_errno(err, "%s: cannot be locked", home);
    lm_error_set(err, LOAM_CONFLICT, "another 'loam up' runs on %s", home);
    return lm_error_hint(err, LOAM_CONFLICT, "stop it, or choose another folder with --home");
}

static loam_status open_store(lm_cloud *cloud, loam_error *err) {
    if (cloud->config.database) return lm_store_new(cloud->config.database, &cloud->store, err);
    char *path = lm_path_join(cloud->config.home, "loam.db");
    if (!path) return lm_error_no_memory(err, 0);
    loam_status status = lm_store_new(path, &cloud->store, err);
    lm_free(path);
    return status;
}

static loam_status open_books(server *s, loam_error *err) {
    lm_cloud *cloud = &s->cloud;
    char secret[LM_SECRET_BYTES];
    LM_TRY(open_store(cloud, err));
    LM_TRY(lm_keyring_new(&cloud->keyring, err));
    LM_TRY(lm_ledger_new(&cloud->ids, &cloud->ledger, err));
    LM_TRY(lm_bootstrap(cloud, secret, err));
    if (secret[0] && s->hooks->on_first_key) s->hooks->on_first_key(secret, s->hooks->arg);
    return LOAM_OK;
}

/* Errors of the HTTP server itself, in the shape of the API they belong to. */
static void on_server_error(lm_http_request *request, int http_status, const char *message,
                            void *arg) {
    const lm_cloud *cloud = arg;
    bool is_openai = lm_str_starts(lm_str_of(lm_http_request_path(request)), LM_STR("/v1/"));
    if (is_openai && cloud->reply_openai_error) {
        cloud->reply_openai_error(request, http_status, message);
    } else {
        lm_api_reply_error(request, http_status, NULL, message, NULL);
    }
}

static loam_status listen_on(lm_cloud *cloud, int index, loam_error *err) {
    lm_http_server_options options = {
        .host = cloud->config.host,
        .port = index == 0 ? cloud->config.port : lm_http_server_port(cloud->servers[0]),
        .reuse_port = cloud->config.n_loops > 1,
        .joins_port = index > 0,
        .routes = cloud->routes.ptr,
        .n_routes = cloud->routes.len,
        .on_error = on_server_error,
        .on_error_arg = cloud,
    };
    return lm_http_server_new(cloud->loops[index], &options, &cloud->servers[index], err);
}

static loam_status assemble(server *s, loam_error *err) {
    lm_cloud *cloud = &s->cloud;
    for (int i = 0; i < cloud->config.n_loops; i++) LM_TRY(lm_loop_new(&cloud->loops[i], err));
    LM_TRY(lm_api_server_new(cloud, &cloud->api, err));
    LM_TRY(lm_pages_add_routes(cloud, err));
    LM_TRY(lm_services_start(cloud, err));
    for (int i = 0; i < cloud->config.n_loops; i++) LM_TRY(listen_on(cloud, i, err));
    return LOAM_OK;
}

/* Each loop ends when its own requests have; the main one waits for the services too. */
static void check_drained(void *arg) {
    loop_thread *t = arg;
    bool done = lm_http_server_n_open(t->cloud->servers[t->index]) == 0 &&
                (t->index > 0 || lm_services_idle(t->cloud));
    if (done || lm_clock_mono_ns() >= t->drain_until_ns) lm_loop_stop(t->cloud->loops[t->index]);
}

static void begin_drain(void *arg) {
    loop_thread *t = arg;
    enum { NS_PER_MS = 1000000 };
    lm_http_server_stop_accepting(t->cloud->servers[t->index]);
    t->drain_until_ns = lm_clock_mono_ns() + (int64_t)DRAIN_MAX_MS * NS_PER_MS;
    loam_error err = {0};
    if (lm_timer_new(t->cloud->loops[t->index], DRAIN_PERIOD_MS, DRAIN_PERIOD_MS, check_drained, t,
                     &t->drain_timer, &err) != LOAM_OK)
        lm_loop_stop(t->cloud->loops[t->index]);
}

/* SIGTERM or SIGINT; the second one does not wait. */
static void on_signal(void *arg) {
    server *s = arg;
    bool again = atomic_exchange(&s->cloud.stopping, true);
    if (!again) {
        lm_log(LM_LOG_INFO, "up",
               "stopping: open requests come to their end; a second signal cuts them off");
        lm_services_drain(&s->cloud);
    }
    for (int i = 0; i < s->cloud.config.n_loops; i++) {
        if (again) {
            lm_loop_stop(s->cloud.loops[i]);
        } else if (lm_loop_post(s->cloud.loops[i], begin_drain, &s->threads[i], NULL) != LOAM_OK) {
            lm_loop_stop(s->cloud.loops[i]);
        }
    }
}

static void run_loop(loop_thread *t) {
    loam_error err = {0};
    if (lm_loop_run(t->cloud->loops[t->index], &err) != LOAM_OK)
        lm_log_error(LM_LOG_ERROR, "up", &err);
}

static void *thread_main(void *arg) {
    run_loop(arg);
    return NULL;
}

static loam_status start_threads(server *s, loam_error *err) {
    for (int i = 0; i < s->cloud.config.n_loops; i++)
        s->threads[i] = (loop_thread){.cloud = &s->cloud, .index = i};
    for (int i = 1; i < s->cloud.config.n_loops; i++) {
        s->threads[i].running =
            pthread_create(&s->threads[i].thread, NULL, thread_main, &s->threads[i]) == 0;
        if (!s->threads[i].running)
            return lm_error_set(err, LOAM_NO_MEMORY, "cannot start a thread for requests");
    }
    return LOAM_OK;
}

static loam_status tell_ready(server *s, loam_error *err) {
    int port = lm_http_server_port(s->cloud.servers[0]);
    if (s->hooks->on_ready) s->hooks->on_ready(port, s->hooks->arg);
    if (!s->cloud.config.port_file) return LOAM_OK;
    char text[16];
    int len = snprintf(text, sizeof text, "%d\n", port);
    return lm_file_write_atomic(s->cloud.config.port_file, text, (size_t)len, err);
}

static loam_status serve(server *s, loam_error *err) {
    LM_TRY(lm_loop_on_signal(s->cloud.loops[0], SIGTERM, on_signal, s, err));
    LM_TRY(lm_loop_on_signal(s->cloud.loops[0], SIGINT, on_signal, s, err));
    LM_TRY(start_threads(s, err));
    LM_TRY(tell_ready(s, err));
    run_loop(&s->threads[0]);
    return LOAM_OK;
}

static void join_threads(server *s) {
    for (int i = 1; i < s->cloud.config.n_loops; i++) {
        if (!s->threads[i].running) continue;
        lm_loop_stop(s->cloud.loops[i]);
        pthread_join(s->threads[i].thread, NULL);
    }
}

/* Also of a half-built server. */
static void close_server(server *s) {
    lm_cloud *cloud = &s->cloud;
    join_threads(s);
    for (int i = 0; i < cloud->config.n_loops; i++) {
        lm_timer_free(s->threads[i].drain_timer);
        lm_http_server_free(cloud->servers[i]);
    }
    lm_services_stop(cloud);
    lm_store_free(cloud->store); /* jobs that still wait end here, before their loops go */
    lm_api_server_free(cloud->api);
    for (int i = 0; i < cloud->config.n_loops; i++) lm_loop_free(cloud->loops[i]);
    lm_ledger_free(cloud->ledger);
    lm_keyring_free(cloud->keyring);
    lm_vec_deinit(&cloud->routes);
    lm_arena_deinit(&cloud->arena);
    lm_id_gen_deinit(&cloud->ids);
    if (s->lock_fd >= 0) close(s->lock_fd);
    lm_free(s);
}

loam_status lm_cloud_run(const lm_cloud_config *config, const lm_cloud_hooks *hooks,
                         loam_error *err) {
    LM_ASSERT(config->n_loops >= 1 && config->n_loops <= LM_CLOUD_LOOPS_MAX);
    server *s = lm_calloc(1, sizeof *s);
    if (!s) return lm_error_no_memory(err, sizeof *s);
    s->cloud.config = *config;
    s->cloud.started_ms = lm_clock_epoch_ms();
    s->hooks = hooks;
    s->lock_fd = -1;
    lm_id_gen_init(&s->cloud.ids);
    lm_arena_init(&s->cloud.arena, 0, 0);
    loam_status status = claim_home(s, err);
    if (status == LOAM_OK) status = open_books(s, err);
    if (status == LOAM_OK) status = assemble(s, err);
    if (status == LOAM_OK) status = serve(s, err);
    close_server(s);
    return status;
}
