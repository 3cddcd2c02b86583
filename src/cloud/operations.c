/* The services that run things, as `loam up` assembles them: pools and registry, gateway, replicas, scheduler. Each starts
 * with what those before it have made. */
#include "base/clock.h"
#include "base/usable.h"
#include "cloud/cloud.h"
#include "cloud/executor.h"
#include "cloud/gateway.h"
#include "cloud/pools.h"
#include "cloud/registry.h"
#include "cloud/replicas.h"
#include "cloud/scheduler.h"
#include "net/metrics.h"

enum { DEFAULT_COMPLETION_TOKENS = 1024, BYTES_PER_TOKEN = 3, MEMORY_SHARE_PERCENT = 90 };

/* What one child may take: a runaway then fails by itself, before the kernel has to choose whom to kill. */
static int64_t memory_limit(void) {
    return (int64_t)lm_machine_memory_read().total_bytes / 100 * MEMORY_SHARE_PERCENT;
}

/* ---- registry: the content store, the local pool, the executor ---- */

static loam_status ensure_pool(lm_db *db, void *arg, loam_error *err) {
    lm_cloud *cloud = arg;
    return lm_pools_ensure_local(db, &cloud->ids, cloud->config.peak_flops, err);
}

static loam_status start_registry(lm_cloud *cloud, loam_error *err) {
    LM_TRY(lm_store_call(cloud->store, ensure_pool, cloud, err));
    LM_TRY(lm_executor_local_new(cloud->config.program, &cloud->executor, err));
    return lm_registry_new(cloud->config.home, cloud->config.program, cloud->store,
                           &cloud->registry, err);
}

static void stop_registry(lm_cloud *cloud) {
    lm_registry_free(cloud->registry);
    lm_executor_free(cloud->executor);
}

const lm_cloud_service lm_service_registry = {
    .name = "registry", .start = start_registry, .stop = stop_registry};

/* ---- gateway ---- */

static loam_status identify(void *arg, const char *bearer, lm_gateway_grant *out, loam_error *err) {
    lm_cloud *cloud = arg;
    lm_caller caller;
    if (!bearer)
        return lm_error_set(err, LOAM_DENIED,
                            "no API key was given; send it as Authorization: Bearer");
    LM_TRY(lm_keyring_authenticate(cloud->keyring, bearer, lm_clock_epoch_ms(), &caller, err));
    snprintf(out->project_id, sizeof out->project_id, "%s", caller.project_id);
    snprintf(out->key_id, sizeof out->key_id, "%s", caller.key_id);
    if (caller.scopes & LM_SCOPE_INFERENCE) return LOAM_OK;
    return lm_error_set(err, LOAM_DENIED, "this API key lacks the scope 'inference'");
}

static loam_status admit(void *arg, const lm_gateway_ask *ask, lm_gateway_grant *grant,
                         int64_t *out_retry_after_s, loam_error *err) {
    lm_cloud *cloud = arg;
    lm_reservation reservation;
    int64_t prompt = ask->body_bytes / BYTES_PER_TOKEN + 1;
    int64_t completion = ask->max_new_tokens > 0 ? ask->max_new_tokens
                         : ask->prompt_only      ? 0
                                                 : DEFAULT_COMPLETION_TOKENS;
    LM_TRY(lm_keyring_admit(cloud->keyring, grant->key_id, lm_clock_epoch_ms(), out_retry_after_s,
                            err));
    int64_t micros = lm_ledger_estimate(cloud->ledger, ask->model, prompt, completion);
    LM_TRY(lm_keyring_reserve(cloud->keyring, grant->key_id, prompt + completion, micros,
                              &reservation, err));
    char id[LM_ID_BYTES];
    lm_id_new(&cloud->ids, "req", id);
    snprintf(grant->request_id, sizeof grant->request_id, "%s", id);
    snprintf(grant->tag, sizeof grant->tag, "%s", grant->key_id);
    loam_status status =
        lm_reservations_hold(cloud->reservations, grant->request_id, &reservation, err);
    if (status != LOAM_OK) lm_keyring_settle(cloud->keyring, &reservation, 0, 0);
    return status;
}

static void ended(void *arg, lm_gateway_grant *grant, bool reached_replica) {
    lm_cloud *cloud = arg;
    lm_reservations_ended(cloud->reservations, grant->request_id, reached_replica);
}

static void wake(void *arg, const char *endpoint_id) {
    lm_cloud *cloud = arg;
    lm_replicas_wake(cloud->replicas);
}

static loam_status add_routes(lm_cloud *cloud, loam_error *err) {
    size_t n;
    const lm_http_route *routes = lm_gateway_routes(cloud->gateway, &n);
    for (size_t i = 0; i < n; i++) {
        if (!lm_vec_push(&cloud->routes, routes[i]))
            return lm_error_no_memory(err, sizeof routes[i]);
    }
    return LOAM_OK;
}

/* What the HTTP server itself refuses under /v1/. */
static void reply_refusal(lm_http_request *request, int http_status, const char *message) {
    lm_gateway_reply_error(request, http_status, "invalid_request_error", NULL, NULL, message);
}

static loam_status start_gateway(lm_cloud *cloud, loam_error *err) {
    cloud->reply_openai_error = reply_refusal;
    LM_TRY(lm_router_new(&cloud->router, err));
    LM_TRY(lm_reservations_new(cloud->keyring, &cloud->reservations, err));
    lm_gateway_options options = {
        .loops = cloud->loops,
        .n_loops = cloud->config.n_loops,
        .router = cloud->router,
        .hooks = {
            .identify = identify, .admit = admit, .ended = ended, .wake = wake, .arg = cloud}};
    LM_TRY(lm_gateway_new(&options, &cloud->gateway, err));
    return add_routes(cloud, err);
}

static void stop_gateway(lm_cloud *cloud) {
    lm_gateway_free(cloud->gateway);
    lm_reservations_free(cloud->reservations);
    lm_router_free(cloud->router);
}

static void gateway_metrics(lm_cloud *cloud, lm_buf *out) {
    lm_gateway_stats stats = lm_gateway_stats_now(cloud->gateway);
    const struct {
        const char *name, *type, *help;
        int64_t value;
    } rows[] = {
        {"loam_gateway_requests_total", "counter", "requests that have ended", stats.n_requests},
        {"loam_gateway_failures_total", "counter", "requests that failed on the cloud's side",
         stats.n_failed},
        {"loam_gateway_retries_total", "counter", "attempts at another replica", stats.n_retries},
        {"loam_gateway_vanished_total", "counter", "clients gone before the end of their answer",
         stats.n_vanished},
        {"loam_gateway_open_requests", "gauge", "requests under way", stats.n_open},
        {"loam_gateway_waiting_requests", "gauge", "requests held until a replica is there",
         stats.n_waiting},
        {"loam_gateway_reservations", "gauge", "requests whose usage is not booked yet",
         lm_reservations_held(cloud->reservations)},
    };
    for (size_t i = 0; i < LM_COUNT_OF(rows); i++)
        lm_metric(out, rows[i].name, rows[i].type, rows[i].help, (double)rows[i].value);
}

const lm_cloud_service lm_service_gateway = {
    .name = "gateway", .start = start_gateway, .stop = stop_gateway, .metrics = gateway_metrics};

/* ---- replicas ---- */

static void on_replicas_change(void *arg) {
    lm_cloud *cloud = arg;
    lm_gateway_replicas_changed(cloud->gateway);
}

static loam_status start_replicas(lm_cloud *cloud, loam_error *err) {
    lm_replicas_options options = {.home = cloud->config.home,
                                   .program = cloud->config.program,
                                   .store = cloud->store,
                                   .ids = &cloud->ids,
                                   .ledger = cloud->ledger,
                                   .registry = cloud->registry,
                                   .executor = cloud->executor,
                                   .router = cloud->router,
                                   .reservations = cloud->reservations,
                                   .on_change = on_replicas_change,
                                   .on_change_arg = cloud,
                                   .memory_limit_bytes = memory_limit()};
    return lm_replicas_new(&options, &cloud->replicas, err);
}

static void stop_replicas(lm_cloud *cloud) {
    lm_replicas_free(cloud->replicas);
}

static void drain_replicas(lm_cloud *cloud) {
    lm_replicas_drain(cloud->replicas);
}

static bool replicas_idle(lm_cloud *cloud) {
    return lm_replicas_drained(cloud->replicas);
}

static void replicas_metrics(lm_cloud *cloud, lm_buf *out) {
    lm_metric(out, "loam_tokens_per_second", "gauge",
              "tokens generated in the last second, all replicas",
              lm_replicas_rate(cloud->replicas, NULL));
}

const lm_cloud_service lm_service_replicas = {.name = "replicas",
                                              .start = start_replicas,
                                              .stop = stop_replicas,
                                              .drain = drain_replicas,
                                              .idle = replicas_idle,
                                              .metrics = replicas_metrics};

/* ---- scheduler ---- */

static loam_status start_scheduler(lm_cloud *cloud, loam_error *err) {
    lm_scheduler_options options = {.home = cloud->config.home,
                                    .program = cloud->config.program,
                                    .store = cloud->store,
                                    .ids = &cloud->ids,
                                    .ledger = cloud->ledger,
                                    .registry = cloud->registry,
                                    .executor = cloud->executor,
                                    .memory_limit_bytes = memory_limit()};
    return lm_scheduler_new(&options, &cloud->scheduler, err);
}

static void stop_scheduler(lm_cloud *cloud) {
    lm_scheduler_free(cloud->scheduler);
}

static void drain_scheduler(lm_cloud *cloud) {
    lm_scheduler_drain(cloud->scheduler);
}

static bool scheduler_idle(lm_cloud *cloud) {
    return lm_scheduler_drained(cloud->scheduler);
}

const lm_cloud_service lm_service_scheduler = {.name = "scheduler",
                                               .start = start_scheduler,
                                               .stop = stop_scheduler,
                                               .drain = drain_scheduler,
                                               .idle = scheduler_idle};
