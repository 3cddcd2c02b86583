/* Shared by gateway.c (letting in, holding, ending) and gateway_relay.c (one attempt at a replica). */
#ifndef LM_CLOUD_GATEWAY_INTERNAL_H
#define LM_CLOUD_GATEWAY_INTERNAL_H

#include "base/str.h"
#include "cloud/gateway.h"
#include "net/http_client.h"

enum {
    LM_GATEWAY_ANSWER_MAX_BYTES = 64 << 20, /* of an answer that is not a stream */
    LM_GATEWAY_QUEUED_HIGH_BYTES =
        256 << 10, /* a slow client: stop reading from the replica above this */
    LM_GATEWAY_QUEUED_LOW_BYTES = 64 << 10, /* and go on below */
    LM_GATEWAY_N_ROUTES = 5,
    LM_GATEWAY_RETRY_AFTER_S = 5,
    LM_GATEWAY_MAX_ATTEMPTS = 5, /* of one request, all replicas together */
};

typedef struct lm_lane lm_lane;

/* One request of a client, from admission to its end. */
typedef struct lm_exchange {
    lm_lane *lane;
    lm_http_request *request;
    lm_gateway_grant grant;
    char endpoint_id[LM_ROUTER_ID_BYTES];
    lm_router_tries tries;
    lm_router_replica replica; /* of the attempt under way */
    int n_attempts;
    int64_t start_ns;
    int64_t deadline_ns; /* of waiting */
    lm_http_call *call;  /* NULL: no attempt under way */
    int upstream_status;
    char content_type[64];
    bool streaming;        /* the client has our head: no other attempt from here on */
    lm_timer *drain_timer; /* looks whether a slow client has caught up */
    lm_buf answer;         /* when not streaming */
    struct lm_exchange *previous, *next; /* in the list of those that wait */
    bool waiting;
} lm_exchange;

/* What the gateway has on one loop. */
struct lm_lane {
    lm_gateway *gateway;
    lm_loop *loop;
    lm_http_client *client;
    lm_timer *wait_timer;
    lm_exchange *first_waiting, *last_waiting; /* oldest first, so deadlines ascend */
    lm_gateway_stats stats;                    /* written here, read anywhere: lm_lane_count */
};

struct lm_gateway {
    lm_router *router;
    lm_gateway_hooks hooks;
    lm_http_route routes[LM_GATEWAY_N_ROUTES];
    int64_t wake_timeout_ms;
    int max_waiting;
    int n_lanes;
    lm_lane lanes[LM_GATEWAY_LOOPS_MAX];
};

static inline void lm_lane_count(int64_t *counter, int64_t change) {
    __atomic_fetch_add(counter, change, __ATOMIC_RELAXED);
}

/* The fields of a request's body that the gateway itself needs; the replica checks the rest. ask->model points to `model`. */
loam_status lm_gateway_ask_parse(lm_str text, char model[LM_ROUTER_NAME_BYTES], lm_gateway_ask *ask,
                                 loam_error *err) LM_MUST_USE;

/* Starts an attempt at a replica, or holds the request when there is none. Answers the client itself on failure. */
void lm_exchange_route(lm_exchange *x);

/* Sends the request to x->replica. On failure the attempt counts as failed and nothing was sent. */
loam_status lm_exchange_send(lm_exchange *x, loam_error *err) LM_MUST_USE;

/* Ends the attempt under way: the call is cancelled if it still runs, the replica gets its slot back. */
void lm_exchange_drop_attempt(lm_exchange *x, bool failed, double latency_ms);

/* An error for the client, then the end of x. Must not have begun a stream. */
void lm_exchange_fail(lm_exchange *x, int http_status, const char *type, const char *code,
                      const char *message);

/* Frees x; its reply is finished or its client gone. */
void lm_exchange_end(lm_exchange *x);

#endif
