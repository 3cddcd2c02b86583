/* One running cloud: what `loam up` assembles and what its services share.
 *
 * A service (gateway, scheduler, replica manager) is one row in services.def: it starts after the store, the keyring and
 * the loops exist but before requests are taken, adds its routes and metrics, and stops in reverse order. Its state hangs in
 * a typed field below, which it alone writes.
 */
#ifndef LM_CLOUD_CLOUD_H
#define LM_CLOUD_CLOUD_H

#include <stdatomic.h>

#include "base/vec.h"
#include "cloud/api.h"
#include "cloud/id.h"
#include "cloud/keyring.h"
#include "cloud/ledger.h"
#include "cloud/store.h"
#include "net/http_server.h"

typedef struct lm_cloud_config {
    const char *home;     /* folder of everything the cloud keeps */
    const char *database; /* postgresql:// or a file; NULL: home/loam.db */
    const char *host;
    int port;              /* 0: any free one */
    int n_loops;           /* threads that serve HTTP; at least 1 */
    const char *program;   /* path of the loam binary, for workers and trainers */
    int64_t peak_flops;    /* of this machine, for the local pool; 0: measure */
    const char *port_file; /* written once requests are taken; NULL: none */
} lm_cloud_config;

enum { LM_CLOUD_LOOPS_MAX = 16 };

typedef LM_VEC(lm_http_route) lm_route_vec;

struct lm_cloud {
    lm_cloud_config config;
    lm_store *store;
    lm_id_gen ids;
    lm_keyring *keyring;
    lm_ledger *ledger;
    struct lm_api_server *api;
    lm_arena arena; /* for what lives as long as the cloud */
    lm_loop *loops
        [LM_CLOUD_LOOPS_MAX]; /* loops[0] is the main thread's: timers of services live there */
    lm_http_server *servers[LM_CLOUD_LOOPS_MAX];
    lm_route_vec routes;
    int64_t started_ms;
    atomic_bool stopping;
    /* Of the services: */
    struct lm_registry *registry;
    struct lm_executor *executor;
    struct lm_router *router;
    struct lm_reservations *reservations;
    struct lm_scheduler *scheduler;
    struct lm_replicas *replicas;
    struct lm_gateway *gateway;
    /* Answers what the HTTP server itself refuses under /v1/, in OpenAI's shape; NULL: in ours. */
    void (*reply_openai_error)(lm_http_request *request, int http_status, const char *message);
};

typedef struct lm_cloud_service {
    const char *name;
    /* On the main thread, loops not yet running. Adds routes with lm_vec_push(&cloud->routes, ...). */
    loam_status (*start)(lm_cloud *cloud, loam_error *err);
    void (*stop)(
        lm_cloud
            *cloud); /* on the main thread, loops stopped; accepts a service that never started */
    void (*drain)(
        lm_cloud *
            cloud); /* on the main loop when the cloud is asked to stop: begin to wind down; may be NULL */
    bool (*idle)(lm_cloud *cloud);                 /* winding down is complete; NULL: always */
    void (*metrics)(lm_cloud *cloud, lm_buf *out); /* Prometheus text; any loop; may be NULL */
} lm_cloud_service;

/* What `loam up` tells its user. */
typedef struct lm_cloud_hooks {
    void (*on_first_key)(const char *secret, void *arg);
    void (*on_ready)(int port, void *arg);
    void *arg;
} lm_cloud_hooks;

/* Runs the cloud until SIGTERM or SIGINT: opens the store, makes the first project and its admin key (its secret goes to
 * on_first_key, once in the cloud's life), serves, drains, closes. LOAM_CONFLICT when another one runs on this home. */
loam_status lm_cloud_run(const lm_cloud_config *config, const lm_cloud_hooks *hooks,
                         loam_error *err) LM_MUST_USE;

#endif
