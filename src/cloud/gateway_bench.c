#include "cloud/gateway_bench.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cloud/bootstrap.h"
#include "cloud/cloud.h"
#include "cloud/gateway.h"
#include "cloud/reservations.h"
#include "net/http_client.h"

enum {
    LATENCY_REQUESTS = 1000,
    WARM_UP_REQUESTS = 500,
    STREAM_WAIT_MS = 20000,
    FILES_PER_STREAM = 4,
    SPARE_FILES = 256
};

extern const lm_cloud_service lm_service_gateway; /* services.def */

/* A loop on a thread of its own. */
typedef struct lane {
    lm_loop *loop;
    pthread_t thread;
    bool running;
} lane;

typedef struct bench {
    lm_cloud cloud; /* just enough of one: store, keys, prices, gateway */
    lane stub, front, clients;
    lm_http_server *stub_server, *front_server;
    lm_http_client *client;
    char secret[LM_SECRET_BYTES], authorization[LM_SECRET_BYTES + 16];
} bench;

/* ---- the stub replica ---- */

static void answer_at_once(lm_http_request *request, void *arg) {
    lm_str body = lm_http_request_body(request);
    if (!memmem(body.ptr, body.len, "\"stream\":true", 13)) {
        lm_http_reply(request, 200, "application/json",
                      LM_STR("{\"id\":\"x\",\"choices\":[{\"index\":0,\"text\":\"hello\"}]}"));
        return;
    }
    lm_http_stream_begin(request, 200, "text/event-stream"); /* and stays open */
    lm_http_stream_send_event(request, LM_STR("{\"choices\":[{\"text\":\"x\"}]}"));
}

/* ---- the set-up ---- */

static void *lane_main(void *arg) {
    lane *l = arg;
    (void)!lm_loop_run(l->loop, NULL); /* a loop that ends early shows as requests that fail */
    return NULL;
}

static loam_status lane_start(lane *l, loam_error *err) {
    l->running = pthread_create(&l->thread, NULL, lane_main, l) == 0;
    return l->running ? LOAM_OK : lm_error_set(err, LOAM_NO_MEMORY, "cannot start a thread");
}

static void lane_stop(lane *l) {
    if (!l->running) return;
    lm_loop_stop(l->loop);
    pthread_join(l->thread, NULL);
    l->running = false;
}

static loam_status open_cloud(bench *b, loam_error *err) {
    lm_cloud *cloud = &b->cloud;
    lm_id_gen_init(&cloud->ids);
    LM_TRY(lm_store_new(":memory:", &cloud->store, err));
    LM_TRY(lm_keyring_new(&cloud->keyring, err));
    LM_TRY(lm_ledger_new(&cloud->ids, &cloud->ledger, err));
    LM_TRY(lm_bootstrap(cloud, b->secret, err));
    snprintf(b->authorization, sizeof b->authorization, "Bearer %s", b->secret);
    cloud->loops[0] = b->front.loop;
    cloud->config.n_loops = 1;
    return lm_service_gateway.start(cloud, err);
}

static loam_status publish_stub(bench *b, loam_error *err) {
    lm_caller caller;
    LM_TRY(lm_keyring_authenticate(b->cloud.keyring, b->secret, lm_clock_epoch_ms(), &caller, err));
    lm_router_replica replica = {.id = "stub"};
    lm_router_endpoint endpoint = {
        .id = "bench", .name = "bench", .replicas = &replica, .n_replicas = 1};
    snprintf(replica.url, sizeof replica.url, "http://127.0.0.1:%d",
             lm_http_server_port(b->stub_server));
    snprintf(endpoint.project_id, sizeof endpoint.project_id, "%s", caller.project_id);
    return lm_router_publish(b->cloud.router, &endpoint, 1, err);
}

static loam_status open_bench(bench *b, loam_error *err) {
    static const lm_http_route stub_routes[] = {{"POST", "/v1/completions", answer_at_once, NULL}};
    LM_TRY(lm_loop_new(&b->stub.loop, err));
    LM_TRY(lm_loop_new(&b->front.loop, err));
    LM_TRY(lm_loop_new(&b->clients.loop, err));
    LM_TRY(open_cloud(b, err));
    lm_http_server_options stub = {
        .host = "127.0.0.1", .routes = stub_routes, .n_routes = LM_COUNT_OF(stub_routes)};
    LM_TRY(lm_http_server_new(b->stub.loop, &stub, &b->stub_server, err));
    lm_http_server_options front = {
        .host = "127.0.0.1", .routes = b->cloud.routes.ptr, .n_routes = b->cloud.routes.len};
    LM_TRY(lm_http_server_new(b->front.loop, &front, &b->front_server, err));
    LM_TRY(publish_stub(b, err));
    LM_TRY(lm_http_client_new(b->clients.loop, &b->client, err));
    LM_TRY(lane_start(&b->stub, err));
    return lane_start(&b->front, err);
}

static void close_bench(bench *b) {
    lane_stop(&b->front);
    lane_stop(&b->stub);
    lm_http_client_free(b->client);
    lm_http_server_free(b->front_server);
    lm_http_server_free(b->stub_server);
    lm_service_gateway.stop(&b->cloud);
    lm_vec_deinit(&b->cloud.routes);
    lm_loop_free(b->clients.loop);
    lm_loop_free(b->front.loop);
    lm_loop_free(b->stub.loop);
    lm_store_free(b->cloud.store);
    lm_ledger_free(b->cloud.ledger);
    lm_keyring_free(b->cloud.keyring);
    lm_id_gen_deinit(&b->cloud.ids);
}

/* ---- a load of requests ---- */

typedef struct load load;

/* One client: sends its next request when the one before is answered. */
typedef struct load_client {
    load *load;
    int64_t sent_ns;
    char request_id[LM_USAGE_ID_BYTES]; /* as the gateway named it */
} load_client;

struct load {
    bench *bench;
    char url[96];
    int64_t n_left, n_open, n_done, n_failed;
    float *latencies_ms;
    load_client *clients;
};

static void send_next(load_client *c);

static void on_head(lm_http_call *call, int http_status, void *arg) {
    load_client *c = arg;
    const char *id = lm_http_call_header(call, "X-Loam-Request");
    snprintf(c->request_id, sizeof c->request_id, "%s", id ? id : "");
    if (http_status != 200) c->load->n_failed++;
}

static void on_done(lm_http_call *call, loam_status status, const char *message, void *arg) {
    load_client *c = arg;
    load *l = c->load;
    if (status != LOAM_OK) l->n_failed++;
    /* what the replica manager does once it finds the usage in the journal */
    if (c->request_id[0])
        lm_reservations_booked(l->bench->cloud.reservations, c->request_id, "", 2, 0);
    l->latencies_ms[l->n_done++] = (float)((double)(lm_clock_mono_ns() - c->sent_ns) / 1e6);
    l->n_open--;
    if (l->n_left > 0)
        send_next(c);
    else if (l->n_open == 0)
        lm_loop_stop(l->bench->clients.loop);
}

static loam_status start_call(load *l, const char *body, lm_http_call_options *options,
                              lm_http_call **out) {
    lm_http_header headers[] = {{"Authorization", l->bench->authorization},
                                {"Content-Type", "application/json"}};
    options->method = "POST";
    options->url = l->url;
    options->headers = headers;
    options->n_headers = LM_COUNT_OF(headers);
    options->body = lm_str_of(body);
    return lm_http_client_start(l->bench->client, options, out, NULL);
}

static void send_next(load_client *c) {
    lm_http_call_options options = {.on_head = on_head, .on_done = on_done, .arg = c};
    lm_http_call *call;
    load *l = c->load;
    c->sent_ns = lm_clock_mono_ns();
    c->request_id[0] = '\0';
    l->n_left--;
    l->n_open++;
    if (start_call(l, "{\"model\":\"bench\",\"prompt\":\"hello\",\"max_tokens\":1}", &options,
                   &call) == LOAM_OK)
        return;
    l->n_open--;
    l->n_failed++;
}

static int compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double median(float *values, int64_t n) {
    if (n == 0) return 0;
    qsort(values, (size_t)n, sizeof *values, compare_floats);
    return values[n / 2];
}

/* Sends n requests from n_clients at once to a port; the median of their latencies. */
static loam_status run_load(bench *b, int port, int64_t n, int64_t n_clients, double *out_p50_ms,
                            int64_t *out_failed, loam_error *err) {
    load l = {.bench = b,
              .n_left = n,
              .latencies_ms = lm_calloc((size_t)n, sizeof *l.latencies_ms),
              .clients = lm_calloc((size_t)n_clients, sizeof *l.clients)};
    loam_status status = l.latencies_ms && l.clients
                             ? LOAM_OK
                             : lm_error_no_memory(err, (size_t)n * sizeof *l.latencies_ms);
    if (status == LOAM_OK) {
        snprintf(l.url, sizeof l.url, "http://127.0.0.1:%d/v1/completions", port);
        for (int64_t i = 0; i < n_clients && l.n_left > 0; i++) {
            l.clients[i].load = &l;
            send_next(&l.clients[i]);
        }
        if (l.n_open > 0) status = lm_loop_run(b->clients.loop, err);
        *out_p50_ms = median(l.latencies_ms, l.n_done);
        *out_failed = l.n_failed;
    }
    lm_free(l.latencies_ms);
    lm_free(l.clients);
    return status;
}

/* ---- measurements ---- */

static double rss_mb(void) {
    FILE *stream = fopen("/proc/self/statm", "re");
    long long pages = 0;
    if (stream && fscanf(stream, "%*d %lld", &pages) != 1) pages = 0;
    if (stream) fclose(stream);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static double thread_cpu_s(pthread_t thread) {
    clockid_t clock;
    struct timespec time;
    if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static loam_status measure_latency(bench *b, lm_gateway_bench_result *r, loam_error *err) {
    int direct = lm_http_server_port(b->stub_server),
        through = lm_http_server_port(b->front_server);
    double warm;
    int64_t failed;
    LM_TRY(run_load(b, direct, WARM_UP_REQUESTS, 1, &warm, &failed, err));
    LM_TRY(run_load(b, through, WARM_UP_REQUESTS, 1, &warm, &failed, err));
    LM_TRY(run_load(b, direct, LATENCY_REQUESTS, 1, &r->direct_p50_ms, &failed, err));
    r->n_failed += failed;
    LM_TRY(run_load(b, through, LATENCY_REQUESTS, 1, &r->gateway_p50_ms, &failed, err));
    r->n_failed += failed;
    return LOAM_OK;
}

static loam_status measure_throughput(bench *b, const lm_gateway_bench_options *options,
                                      lm_gateway_bench_result *r, loam_error *err) {
    double p50, cpu_s = thread_cpu_s(b->front.thread);
    int64_t failed, start_ns = lm_clock_mono_ns();
    r->rss_before_mb = rss_mb();
    LM_TRY(run_load(b, lm_http_server_port(b->front_server), options->n_requests,
                    options->n_clients, &p50, &failed, err));
    r->rss_after_mb = rss_mb();
    r->n_failed += failed;
    r->requests_per_s = (double)options->n_requests * 1e9 / (double)(lm_clock_mono_ns() - start_ns);
    r->requests_per_core_s = (double)options->n_requests / (thread_cpu_s(b->front.thread) - cpu_s);
    return LOAM_OK;
}

/* Streams being opened. */
typedef struct opening {
    bench *bench;
    int64_t n_wanted, n_begun, n_ended;
} opening;

static void on_stream_body(lm_http_call *call, lm_str bytes, void *arg) {
    opening *o = arg;
    if (++o->n_begun + o->n_ended >= o->n_wanted) lm_loop_stop(o->bench->clients.loop);
}

static void on_stream_done(lm_http_call *call, loam_status status, const char *message, void *arg) {
    opening *o = arg;
    if (o->n_begun + ++o->n_ended >= o->n_wanted) lm_loop_stop(o->bench->clients.loop);
}

static void give_up(void *arg) {
    lm_loop_stop(arg);
}

static loam_status open_streams(opening *o, lm_http_call **calls, loam_error *err) {
    load l = {.bench = o->bench};
    lm_timer *timer;
    snprintf(l.url, sizeof l.url, "http://127.0.0.1:%d/v1/completions",
             lm_http_server_port(o->bench->front_server));
    for (int64_t i = 0; i < o->n_wanted; i++) {
        lm_http_call_options options = {
            .on_body = on_stream_body, .on_done = on_stream_done, .arg = o};
        if (start_call(&l,
                       "{\"model\":\"bench\",\"prompt\":\"x\",\"max_tokens\":1,\"stream\":true}",
                       &options, &calls[i]) != LOAM_OK)
            o->n_ended++;
    }
    LM_TRY(lm_timer_new(o->bench->clients.loop, STREAM_WAIT_MS, 0, give_up, o->bench->clients.loop,
                        &timer, err));
    loam_status status = lm_loop_run(o->bench->clients.loop, err);
    lm_timer_free(timer);
    return status;
}

static loam_status measure_streams(bench *b, int64_t n, lm_gateway_bench_result *r,
                                   loam_error *err) {
    opening o = {.bench = b, .n_wanted = n};
    int64_t failed = 0;
    lm_http_call **calls = lm_calloc((size_t)n + 1, sizeof *calls);
    if (!calls) return lm_error_no_memory(err, (size_t)n * sizeof *calls);
    loam_status status = n > 0 ? open_streams(&o, calls, err) : LOAM_OK;
    r->n_streams_held = o.n_begun - o.n_ended;
    if (status == LOAM_OK)
        status = run_load(b, lm_http_server_port(b->front_server), LATENCY_REQUESTS, 1,
                          &r->streams_p50_ms, &failed, err);
    r->rss_streams_mb = rss_mb();
    r->n_failed += failed;
    if (o.n_ended > 0)
        r->n_failed +=
            o.n_ended; /* those are gone, and with them which call is whose: closed with the client */
    for (int64_t i = 0; i < n && o.n_ended == 0; i++) lm_http_call_cancel(calls[i]);
    lm_free(calls);
    return status;
}

static void allow_files(int64_t n_streams) {
    struct rlimit limit;
    rlim_t wanted = (rlim_t)(n_streams * FILES_PER_STREAM + SPARE_FILES);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

loam_status lm_gateway_bench(const lm_gateway_bench_options *options, lm_gateway_bench_result *out,
                             loam_error *err) {
    bench *b = lm_calloc(1, sizeof *b);
    lm_gateway_bench_result result = {0};
    if (!b) return lm_error_no_memory(err, sizeof *b);
    allow_files(options->n_streams);
    loam_status status = open_bench(b, err);
    if (status == LOAM_OK) status = measure_latency(b, &result, err);
    if (status == LOAM_OK) status = measure_throughput(b, options, &result, err);
    if (status == LOAM_OK) status = measure_streams(b, options->n_streams, &result, err);
    close_bench(b);
    lm_free(b);
    if (status == LOAM_OK) *out = result;
    return status;
}
