/* Where requests can go: the endpoints that exist and their replicas that answer, with the load on each.
 *
 * The endpoint manager publishes what there is (lm_router_publish, whenever it changes); the gateway looks names up, picks
 * the replica with the fewest requests under way, and says how it went. What the manager must know to start and stop
 * replicas (waiting, active, last use) is kept here too. One mutex guards everything; any thread.
 */
#ifndef LM_CLOUD_ROUTER_H
#define LM_CLOUD_ROUTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum {
    LM_ROUTER_ID_BYTES = 48, /* of ids, terminator included */
    LM_ROUTER_NAME_BYTES = 128,
    LM_ROUTER_URL_BYTES = 96, /* of a replica's "http://127.0.0.1:4711" */
    LM_ROUTER_TROUBLE_BYTES = 256,
    LM_ROUTER_MAX_TRIES = 3, /* replicas one request may try */
};

typedef struct lm_router lm_router;

/* A replica that answers. */
typedef struct lm_router_replica {
    char id[LM_ROUTER_ID_BYTES];
    char url[LM_ROUTER_URL_BYTES];
} lm_router_replica;

typedef struct lm_router_endpoint {
    char id[LM_ROUTER_ID_BYTES];
    char project_id[LM_ROUTER_ID_BYTES];
    char name[LM_ROUTER_NAME_BYTES]; /* unique in its project; the "model" of requests */
    int64_t created_ms;
    const lm_router_replica *replicas; /* may be none: asleep */
    size_t n_replicas;
    /* Why waiting for a replica is no use: its workers end as soon as they are started; "": it is. */
    char trouble[LM_ROUTER_TROUBLE_BYTES];
} lm_router_endpoint;

/* How an endpoint is used now. */
typedef struct lm_router_activity {
    int64_t n_active;      /* requests at a replica */
    int64_t n_waiting;     /* requests held until a replica is there */
    int64_t last_used_ms;  /* epoch; 0: never since the start */
    int64_t n_requests;    /* ended, since the start */
    double latency_p50_ms; /* of the last requests, whole answers; 0: none yet */
} lm_router_activity;

loam_status lm_router_new(lm_router **out, loam_error *err) LM_MUST_USE;
void lm_router_free(lm_router *router);

/* Replaces what is known. Endpoints and replicas that stay (by id) keep their counts. All is copied. */
loam_status lm_router_publish(lm_router *router, const lm_router_endpoint *endpoints,
                              size_t n_endpoints, loam_error *err) LM_MUST_USE;

/* Id of a project's endpoint by name; false when it has none of this name. */
bool lm_router_find(lm_router *router, const char *project_id, const char *name,
                    char out_id[LM_ROUTER_ID_BYTES]);

/* Replicas a request has tried already. */
typedef struct lm_router_tries {
    char ids[LM_ROUTER_MAX_TRIES][LM_ROUTER_ID_BYTES];
    int n;
} lm_router_tries;

/* Takes the least loaded replica that was not tried, counts the request as active there, and adds it to `tries`.
 * Replicas that failed a moment ago come last. LOAM_UNAVAILABLE: none (left); LOAM_CONFLICT: none, and the endpoint is in
 * trouble, which the message tells; LOAM_NOT_FOUND: no such endpoint. */
loam_status lm_router_pick(lm_router *router, const char *endpoint_id, lm_router_tries *tries,
                           lm_router_replica *out, loam_error *err) LM_MUST_USE;

/* Ends what lm_router_pick began. failed: the replica did not answer. latency_ms < 0: not worth counting. */
void lm_router_release(lm_router *router, const char *endpoint_id, const char *replica_id,
                       bool failed, double latency_ms);

/* A request begins or ends waiting for a replica. */
void lm_router_wait(lm_router *router, const char *endpoint_id, int change);

bool lm_router_activity_of(lm_router *router, const char *endpoint_id, lm_router_activity *out);
int64_t lm_router_replica_active(lm_router *router,
                                 const char *replica_id); /* requests under way there */
double lm_router_replica_p50_ms(lm_router *router, const char *replica_id);

/* Calls fn for each endpoint of the project, under the lock: keep it short and do not come back here. */
void lm_router_each(lm_router *router, const char *project_id,
                    void (*fn)(const char *name, int64_t created_ms, void *arg), void *arg);

#endif
