#include "cloud/router.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

enum { LATENCIES = 128, SUSPECT_NS = 1000000000 };

/* The last latencies, for the median. */
typedef struct latencies {
    float ms[LATENCIES];
    int64_t n; /* recorded ever; the oldest is overwritten */
} latencies;

typedef struct replica {
    lm_router_replica known;
    int64_t n_active;
    int64_t suspect_until_ns; /* failed to answer: others first until then */
    latencies latency;
} replica;

typedef struct endpoint {
    lm_router_endpoint known; /* its `replicas` is not used */
    replica *replicas;
    size_t n_replicas;
    lm_router_activity activity;
    latencies latency;
} endpoint;

struct lm_router {
    pthread_mutex_t lock; /* guards all below */
    endpoint *endpoints;
    size_t n_endpoints;
};

static void latencies_add(latencies *l, double ms) {
    l->ms[l->n++ % LATENCIES] = (float)ms;
}

static int compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double latencies_median(const latencies *l) {
    float sorted[LATENCIES];
    size_t n = l->n < LATENCIES ? (size_t)l->n : LATENCIES;
    if (n == 0) return 0;
    memcpy(sorted, l->ms, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_floats);
    return sorted[n / 2];
}

loam_status lm_router_new(lm_router **out, loam_error *err) {
    lm_router *router = lm_calloc(1, sizeof *router);
    if (!router) return lm_error_no_memory(err, sizeof *router);
    pthread_mutex_init(&router->lock, NULL);
    *out = router;
    return LOAM_OK;
}

static void free_endpoints(endpoint *endpoints, size_t n) {
    for (size_t i = 0; i < n; i++) lm_free(endpoints[i].replicas);
    lm_free(endpoints);
}

void lm_router_free(lm_router *router) {
    if (!router) return;
    free_endpoints(router->endpoints, router->n_endpoints);
    pthread_mutex_destroy(&router->lock);
    lm_free(router);
}

static endpoint *endpoint_by_id(lm_router *router, const char *id) {
    for (size_t i = 0; i < router->n_endpoints; i++) {
        if (strcmp(router->endpoints[i].known.id, id) == 0) return &router->endpoints[i];
    }
    return NULL;
}

static replica *replica_of(const endpoint *e, const char *id) {
    for (size_t i = 0; e && i < e->n_replicas; i++) {
        if (strcmp(e->replicas[i].known.id, id) == 0) return &e->replicas[i];
    }
    return NULL;
}

static replica *replica_by_id(lm_router *router, const char *id) {
    replica *found = NULL;
    for (size_t i = 0; i < router->n_endpoints && !found; i++)
        found = replica_of(&router->endpoints[i], id);
    return found;
}

/* ---- publishing ---- */

static loam_status build_endpoint(const lm_router_endpoint *known, const endpoint *old,
                                  endpoint *out, loam_error *err) {
    if (old) *out = *old; /* counts */
    out->known = *known;
    out->known.replicas = NULL;
    out->n_replicas = known->n_replicas;
    out->replicas = lm_calloc(known->n_replicas, sizeof *out->replicas);
    if (!out->replicas) return lm_error_no_memory(err, known->n_replicas * sizeof *out->replicas);
    for (size_t i = 0; i < known->n_replicas; i++) {
        const replica *before = replica_of(old, known->replicas[i].id);
        if (before) out->replicas[i] = *before;
        out->replicas[i].known = known->replicas[i];
    }
    return LOAM_OK;
}

loam_status lm_router_publish(lm_router *router, const lm_router_endpoint *endpoints,
                              size_t n_endpoints, loam_error *err) {
    endpoint *built = lm_calloc(n_endpoints, sizeof *built);
    if (!built) return lm_error_no_memory(err, n_endpoints * sizeof *built);
    loam_status status = LOAM_OK;
    pthread_mutex_lock(&router->lock);
    size_t n = 0;
    for (; n < n_endpoints && status == LOAM_OK; n++)
        status =
            build_endpoint(&endpoints[n], endpoint_by_id(router, endpoints[n].id), &built[n], err);
    if (status == LOAM_OK) {
        endpoint *old = router->endpoints;
        size_t n_old = router->n_endpoints;
        router->endpoints = built;
        router->n_endpoints = n_endpoints;
        built = old;
        n = n_old;
    }
    pthread_mutex_unlock(&router->lock);
    free_endpoints(built, n);
    return status;
}

/* ---- requests ---- */

bool lm_router_find(lm_router *router, const char *project_id, const char *name,
                    char out_id[LM_ROUTER_ID_BYTES]) {
    bool found = false;
    pthread_mutex_lock(&router->lock);
    for (size_t i = 0; i < router->n_endpoints && !found; i++) {
        const lm_router_endpoint *known = &router->endpoints[i].known;
        found = strcmp(known->name, name) == 0 && strcmp(known->project_id, project_id) == 0;
        if (found) memcpy(out_id, known->id, LM_ROUTER_ID_BYTES);
    }
    pthread_mutex_unlock(&router->lock);
    return found;
}

static bool was_tried(const lm_router_tries *tries, const char *id) {
    for (int i = 0; i < tries->n; i++) {
        if (strcmp(tries->ids[i], id) == 0) return true;
    }
    return false;
}

static replica *least_loaded(const endpoint *e, const lm_router_tries *tries) {
    replica *best = NULL;
    bool best_suspect = false;
    int64_t now = lm_clock_mono_ns();
    for (size_t i = 0; i < e->n_replicas; i++) {
        replica *candidate = &e->replicas[i];
        if (was_tried(tries, candidate->known.id)) continue;
        bool suspect = candidate->suspect_until_ns > now;
        bool better = !best || (suspect != best_suspect ? best_suspect
                                                        : candidate->n_active < best->n_active);
        if (better) best = candidate, best_suspect = suspect;
    }
    return best;
}

loam_status lm_router_pick(lm_router *router, const char *endpoint_id, lm_router_tries *tries,
                           lm_router_replica *out, loam_error *err) {
    loam_status status = LOAM_OK;
    pthread_mutex_lock(&router->lock);
    endpoint *e = endpoint_by_id(router, endpoint_id);
    replica *r = e && tries->n < LM_ROUTER_MAX_TRIES ? least_loaded(e, tries) : NULL;
    if (e) e->activity.last_used_ms = lm_clock_epoch_ms();
    if (r) {
        r->n_active++;
        e->activity.n_active++;
        *out = r->known;
        memcpy(tries->ids[tries->n++], r->known.id, LM_ROUTER_ID_BYTES);
    } else if (e && e->n_replicas == 0 && e->known.trouble[0]) {
        status = lm_error_set(err, LOAM_CONFLICT, "the workers of model '%s' end at once: %s",
                              e->known.name, e->known.trouble);
    } else if (e) {
        status = lm_error_set(err, LOAM_UNAVAILABLE,
                              "endpoint '%s' has no replica that answers now", e->known.name);
    } else {
        status = lm_error_set(err, LOAM_NOT_FOUND, "the endpoint is gone");
    }
    pthread_mutex_unlock(&router->lock);
    return status;
}

void lm_router_release(lm_router *router, const char *endpoint_id, const char *replica_id,
                       bool failed, double latency_ms) {
    pthread_mutex_lock(&router->lock);
    endpoint *e = endpoint_by_id(router, endpoint_id);
    replica *r = replica_of(e, replica_id);
    if (e) {
        e->activity.n_active--;
        e->activity.last_used_ms = lm_clock_epoch_ms();
        if (!failed) e->activity.n_requests++;
        if (latency_ms >= 0) latencies_add(&e->latency, latency_ms);
    }
    if (r) {
        r->n_active--;
        if (failed) r->suspect_until_ns = lm_clock_mono_ns() + SUSPECT_NS;
        if (latency_ms >= 0) latencies_add(&r->latency, latency_ms);
    }
    pthread_mutex_unlock(&router->lock);
}

void lm_router_wait(lm_router *router, const char *endpoint_id, int change) {
    pthread_mutex_lock(&router->lock);
    endpoint *e = endpoint_by_id(router, endpoint_id);
    if (e) {
        e->activity.n_waiting += change;
        e->activity.last_used_ms = lm_clock_epoch_ms();
    }
    pthread_mutex_unlock(&router->lock);
}

/* ---- watching ---- */

bool lm_router_activity_of(lm_router *router, const char *endpoint_id, lm_router_activity *out) {
    pthread_mutex_lock(&router->lock);
    const endpoint *e = endpoint_by_id(router, endpoint_id);
    if (e) {
        *out = e->activity;
        out->latency_p50_ms = latencies_median(&e->latency);
    }
    pthread_mutex_unlock(&router->lock);
    return e != NULL;
}

int64_t lm_router_replica_active(lm_router *router, const char *replica_id) {
    pthread_mutex_lock(&router->lock);
    const replica *r = replica_by_id(router, replica_id);
    int64_t n = r ? r->n_active : 0;
    pthread_mutex_unlock(&router->lock);
    return n;
}

double lm_router_replica_p50_ms(lm_router *router, const char *replica_id) {
    pthread_mutex_lock(&router->lock);
    const replica *r = replica_by_id(router, replica_id);
    double ms = r ? latencies_median(&r->latency) : 0;
    pthread_mutex_unlock(&router->lock);
    return ms;
}

void lm_router_each(lm_router *router, const char *project_id,
                    void (*fn)(const char *name, int64_t created_ms, void *arg), void *arg) {
    pthread_mutex_lock(&router->lock);
    for (size_t i = 0; i < router->n_endpoints; i++) {
        const lm_router_endpoint *known = &router->endpoints[i].known;
        if (strcmp(known->project_id, project_id) == 0) fn(known->name, known->created_ms, arg);
    }
    pthread_mutex_unlock(&router->lock);
}
