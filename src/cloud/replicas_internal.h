/* Shared by replicas.c (who should live), worker.c (one replica's process) and rates.c (how fast they are). */
#ifndef LM_CLOUD_REPLICAS_INTERNAL_H
#define LM_CLOUD_REPLICAS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/vec.h"
#include "cloud/meter.h"
#include "cloud/replicas.h"
#include "cloud/table/endpoint.h"
#include "cloud/table/pool.h"
#include "cloud/table/replica.h"
#include "cloud/ticker.h"

/* What the manager knows of a replica beyond its row; found again after a restart. */
typedef struct lm_worker {
    char replica_id[LM_ID_BYTES];
    lm_meter *meter;
    bool ended;            /* nothing of its process is alive */
    bool seen;             /* in this look */
    int64_t stop_asked_ns; /* when SIGTERM was sent; 0: not */
    int64_t tokens_before; /* for the rate */
    int64_t tokens_at_ns;
    double tokens_per_s;
} lm_worker;

/* Failures in a row of an endpoint's replicas of one version, and its last moment of use. */
typedef struct lm_endpoint_memory {
    char endpoint_id[LM_ID_BYTES];
    char version_id[LM_ID_BYTES];
    int64_t n_failures;
    char failure[LM_ROUTER_TROUBLE_BYTES]; /* how the last of them ended */
    int64_t next_start_ms;
    int64_t started_ms; /* when the last replica was made */
    int64_t last_used_ms;
} lm_endpoint_memory;

struct lm_replicas {
    lm_replicas_options options;
    lm_ticker *ticker;
    lm_arena arena; /* of one look */
    LM_VEC(lm_worker) workers;
    LM_VEC(lm_endpoint_memory) memories;
    int64_t started_ms;
    bool busy;          /* there are endpoints or replicas: look every period */
    uint64_t published; /* hash of what the router was told */
    atomic_bool draining, drained;
    pthread_mutex_t rate_lock; /* guards the workers' rates and ids as others read them */
};

/* Everything about the replicas at one moment. Borrowed from the look's arena. */
typedef struct lm_replicas_look {
    lm_replicas *replicas;
    lm_list endpoints;
    lm_list live; /* replicas not gone */
    lm_pool_row pool;
} lm_replicas_look;

/* Follows one replica: starts it when its process does not exist yet, sees it become ready or end, books its journal. The
 * row is changed accordingly, here and in the database. *out_failed: it ended without having been asked to. */
loam_status lm_worker_look(lm_replicas *replicas, lm_replica *row, lm_worker *worker,
                           bool *out_failed, loam_error *err) LM_MUST_USE;

/* Asks a replica to stop: it takes no requests from now on, and ends when it has finished those it has. */
loam_status lm_worker_stop(lm_replicas *replicas, lm_replica *row, loam_error *err) LM_MUST_USE;

void lm_worker_deinit(lm_worker *worker);

/* Folder of a replica (lm_free). */
LM_MUST_USE char *lm_worker_dir(const lm_replicas *replicas, const char *replica_id);

/* Brings the rates up to date with what the meters have seen. */
void lm_rates_update(lm_replicas *replicas);

#endif
