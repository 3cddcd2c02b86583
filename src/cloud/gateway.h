/* The OpenAI gateway: /v1/models, /v1/completions, /v1/chat/completions, /v1/embeddings, /v1/rerank for all endpoints of the cloud.
 *
 *     client --> admit (key, limits, budget) --> route by model name --> replica's HTTP server --> client
 *                                                     | none awake: wake it, hold the request
 *
 * A request goes to the least loaded replica; as long as its client has received no byte it is tried on another when a replica
 * fails or is full. Streams pass through as they come: a slow client slows its replica, a client that vanishes cancels the
 * request there. Every attempt has an id of its own (`X-Loam-Request`), under which the replica meters it.
 *
 * A request belongs to the loop it came in on. lm_gateway_replicas_changed and lm_gateway_stats_now: any thread; new and
 * free: while no loop runs.
 */
#ifndef LM_CLOUD_GATEWAY_H
#define LM_CLOUD_GATEWAY_H

#include "base/usage_journal.h"
#include "cloud/router.h"
#include "net/http_server.h"
#include "net/loop.h"

typedef struct lm_gateway lm_gateway;

/* What is asked for. */
typedef struct lm_gateway_ask {
    const char *model;
    int64_t body_bytes;
    int64_t max_new_tokens; /* times n; 0: the request does not say */
    bool prompt_only;       /* it asks for embeddings or scores, not for text */
    const char *wrong; /* name of the field that the request is refused for, static text, or NULL */
} lm_gateway_ask;

/* A request let in. */
typedef struct lm_gateway_grant {
    char request_id[LM_USAGE_ID_BYTES - 4]; /* attempts append ".2" */
    char tag[LM_USAGE_TAG_BYTES];           /* who pays, for the replica's journal */
    char project_id[LM_ROUTER_ID_BYTES];
    char key_id[LM_ROUTER_ID_BYTES];
    int64_t reserved_tokens, reserved_micros; /* of the one who granted */
} lm_gateway_grant;

/* What the rest of the cloud decides. Called on the request's loop; must not block. */
typedef struct lm_gateway_hooks {
    /* Whose key this is; fills project_id. LOAM_DENIED: nobody's (401), or, with project_id filled, that of somebody who may
     * not use models (403). */
    loam_status (*identify)(void *arg, const char *bearer, lm_gateway_grant *out, loam_error *err);
    /* Lets the request in, fills the rest. LOAM_LIMIT: too many requests or budget spent (429). */
    loam_status (*admit)(void *arg, const lm_gateway_ask *ask, lm_gateway_grant *grant,
                         int64_t *out_retry_after_s, loam_error *err);
    /* The request has ended, however; its usage is in the replica's journal if it got that far. Once per admission. */
    void (*ended)(void *arg, lm_gateway_grant *grant, bool reached_replica);
    /* Somebody waits for a replica of this endpoint. */
    void (*wake)(void *arg, const char *endpoint_id);
    void *arg;
} lm_gateway_hooks;

enum { LM_GATEWAY_LOOPS_MAX = 16 };

typedef struct lm_gateway_options {
    lm_loop *const *loops; /* that serve HTTP; each request stays on its own */
    int n_loops;
    lm_router *router;
    lm_gateway_hooks hooks;
    int64_t wake_timeout_ms; /* how long a request waits for a replica; 0: 60 s */
    int max_waiting;         /* requests held at once on a loop; 0: 256 */
} lm_gateway_options;

typedef struct lm_gateway_stats {
    int64_t n_requests, n_failed; /* ended; of those with an error of ours (5xx) */
    int64_t n_open, n_waiting;
    int64_t n_retries, n_vanished; /* attempts on another replica; clients gone before the end */
} lm_gateway_stats;

loam_status lm_gateway_new(const lm_gateway_options *options, lm_gateway **out,
                           loam_error *err) LM_MUST_USE;
void lm_gateway_free(lm_gateway *gateway); /* after its HTTP server */

/* Routes for the HTTP servers; they live as long as the gateway. */
const lm_http_route *lm_gateway_routes(const lm_gateway *gateway, size_t *out_n);

/* OpenAI's error shape, also for what the HTTP server itself refuses under /v1/. `type` as OpenAI names it; `param`: the
 * wrong field, or NULL. */
void lm_gateway_reply_error(lm_http_request *request, int http_status, const char *type,
                            const char *param, const char *code, const char *message);

/* Tells that the router has other replicas now: held requests go on. Any thread. */
void lm_gateway_replicas_changed(lm_gateway *gateway);

lm_gateway_stats lm_gateway_stats_now(const lm_gateway *gateway);

#endif
