#include "cloud/replicas.h"

#include <dirent.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "cloud/replicas_internal.h"
#include "cloud/scale.h"

enum {
    PERIOD_MS = 100,
    ARENA_BYTES = 64 << 10,
    TROUBLE_FAILURES = 3, /* so many in a row: requests need not wait for the next */
};

/* ---- memory ---- */

static lm_worker *worker_of(lm_replicas *replicas, const char *replica_id) {
    for (size_t i = 0; i < replicas->workers.len; i++) {
        if (strcmp(replicas->workers.ptr[i].replica_id, replica_id) == 0)
            return &replicas->workers.ptr[i];
    }
    lm_worker fresh = {0};
    memcpy(fresh.replica_id, replica_id, LM_ID_BYTES);
    pthread_mutex_lock(&replicas->rate_lock);
    bool ok = lm_vec_push(&replicas->workers, fresh);
    pthread_mutex_unlock(&replicas->rate_lock);
    return ok ? &replicas->workers.ptr[replicas->workers.len - 1] : NULL;
}

static lm_endpoint_memory *memory_of(lm_replicas *replicas, const char *endpoint_id) {
    for (size_t i = 0; i < replicas->memories.len; i++) {
        if (strcmp(replicas->memories.ptr[i].endpoint_id, endpoint_id) == 0)
            return &replicas->memories.ptr[i];
    }
    lm_endpoint_memory fresh = {.last_used_ms = replicas->started_ms};
    memcpy(fresh.endpoint_id, endpoint_id, LM_ID_BYTES);
    return lm_vec_push(&replicas->memories, fresh)
               ? &replicas->memories.ptr[replicas->memories.len - 1]
               : NULL;
}

/* Workers of replicas that are gone. */
static void forget_gone(lm_replicas *replicas) {
    pthread_mutex_lock(&replicas->rate_lock);
    for (size_t i = 0; i < replicas->workers.len;) {
        lm_worker *worker = &replicas->workers.ptr[i];
        if (worker->seen) {
            worker->seen = false;
            i++;
            continue;
        }
        lm_worker_deinit(worker);
        *worker = replicas->workers.ptr[--replicas->workers.len];
    }
    pthread_mutex_unlock(&replicas->rate_lock);
}

/* ---- looking ---- */

static loam_status load_look(lm_db *db, void *arg, loam_error *err) {
    lm_replicas_look *look = arg;
    lm_arena *arena = &look->replicas->arena;
    LM_TRY(lm_pool_local(db, arena, &look->pool, err));
    LM_TRY(lm_endpoint_all(db, arena, &look->endpoints, err));
    return lm_replica_live(db, arena, &look->live, err);
}

static bool state_is(const lm_replica *row, const char *state) {
    return strcmp(row->state, state) == 0;
}

static void note_outcome(lm_replicas *replicas, const lm_replica *row, bool failed) {
    lm_endpoint_memory *memory = memory_of(replicas, row->endpoint_id);
    if (!memory || strcmp(memory->version_id, row->version_id) != 0) return;
    if (failed) {
        memory->next_start_ms =
            lm_clock_epoch_ms() + lm_scale_backoff_ms(row->ready_ms ? 0 : memory->n_failures + 1);
        memory->n_failures = row->ready_ms ? 0 : memory->n_failures + 1;
        snprintf(memory->failure, sizeof memory->failure, "%s", row->error ? row->error : "ended");
        lm_log(LM_LOG_WARN, "replicas", "%s: %s", row->id, row->error ? row->error : "ended");
    } else if (state_is(row, "ready")) {
        memory->n_failures = 0;
    }
}

static loam_status look_after_workers(lm_replicas_look *look, loam_error *err) {
    for (size_t i = 0; i < look->live.len; i++) {
        lm_replica *row = lm_list_at(&look->live, i);
        lm_worker *worker = worker_of(look->replicas, row->id);
        loam_error failure = {0};
        bool failed = false;
        if (!worker) return lm_error_no_memory(err, sizeof *worker);
        worker->seen = true;
        /* one replica's trouble is not the others' */
        if (lm_worker_look(look->replicas, row, worker, &failed, &failure) != LOAM_OK)
            lm_log_error(LM_LOG_WARN, "replicas", &failure);
        note_outcome(look->replicas, row, failed);
    }
    return LOAM_OK;
}

/* Another version is not to blame for what the one before did. */
static loam_status remember_versions(const lm_replicas_look *look, loam_error *err) {
    for (size_t i = 0; i < look->endpoints.len; i++) {
        const lm_endpoint *endpoint = lm_list_at(&look->endpoints, i);
        lm_endpoint_memory *memory = memory_of(look->replicas, endpoint->id);
        if (!memory) return lm_error_no_memory(err, sizeof *memory);
        if (strcmp(memory->version_id, endpoint->version_id) == 0) continue;
        memcpy(memory->version_id, endpoint->version_id, LM_ID_BYTES);
        memory->n_failures = memory->next_start_ms = 0;
    }
    return LOAM_OK;
}

static bool in_trouble(const lm_endpoint_memory *memory) {
    return memory->n_failures >= TROUBLE_FAILURES;
}

/* ---- telling the router ---- */

static loam_status fill_endpoint(const lm_replicas_look *look, const lm_endpoint *row,
                                 lm_router_endpoint *out, loam_error *err) {
    lm_router_replica *ready =
        lm_arena_calloc(&look->replicas->arena, look->live.len + 1, sizeof *ready);
    if (!ready) return lm_error_no_memory(err, look->live.len * sizeof *ready);
    *out = (lm_router_endpoint){.created_ms = row->created_ms, .replicas = ready};
    snprintf(out->id, sizeof out->id, "%s", row->id);
    snprintf(out->project_id, sizeof out->project_id, "%s", row->project_id);
    snprintf(out->name, sizeof out->name, "%s", row->name);
    for (size_t i = 0; i < look->live.len; i++) {
        const lm_replica *replica = lm_list_at(&look->live, i);
        if (!state_is(replica, "ready") || strcmp(replica->endpoint_id, row->id) != 0) continue;
        lm_router_replica *to = &ready[out->n_replicas++];
        snprintf(to->id, sizeof to->id, "%s", replica->id);
        snprintf(to->url, sizeof to->url, "http://127.0.0.1:%d", (int)replica->port);
    }
    const lm_endpoint_memory *memory = memory_of(look->replicas, row->id);
    if (memory && in_trouble(memory))
        snprintf(out->trouble, sizeof out->trouble, "%s", memory->failure);
    return LOAM_OK;
}

static uint64_t hash_of(const lm_router_endpoint *endpoints, size_t n) {
    uint64_t hash = n;
    for (size_t i = 0; i < n; i++) {
        hash = lm_hash64(endpoints[i].id, sizeof endpoints[i].id, hash);
        hash = lm_hash64(endpoints[i].trouble, sizeof endpoints[i].trouble, hash);
        hash = lm_hash64(endpoints[i].replicas,
                         endpoints[i].n_replicas * sizeof *endpoints[i].replicas, hash);
    }
    return hash ? hash : 1;
}

static loam_status publish(lm_replicas_look *look, loam_error *err) {
    lm_replicas *replicas = look->replicas;
    lm_router_endpoint *known =
        lm_arena_calloc(&replicas->arena, look->endpoints.len + 1, sizeof *known);
    if (!known) return lm_error_no_memory(err, look->endpoints.len * sizeof *known);
    size_t n = 0;
    for (size_t i = 0; i < look->endpoints.len; i++) {
        const lm_endpoint *row = lm_list_at(&look->endpoints, i);
        if (!row->deleted) LM_TRY(fill_endpoint(look, row, &known[n++], err));
    }
    uint64_t hash = hash_of(known, n);
    if (hash == replicas->published) return LOAM_OK;
    LM_TRY(lm_router_publish(replicas->options.router, known, n, err));
    replicas->published = hash;
    if (replicas->options.on_change) replicas->options.on_change(replicas->options.on_change_arg);
    return LOAM_OK;
}

/* ---- starting and stopping ---- */

typedef struct census {
    int64_t n_live;       /* starting or ready, of the present version */
    int64_t n_ready;      /* of these */
    int64_t n_outdated;   /* starting or ready, of another version */
    int64_t n_any;        /* in whatever state */
    lm_replica *spare;    /* a ready or starting one with the fewest requests */
    lm_replica *outdated; /* one of these */
} census;

static census count(const lm_replicas_look *look, const lm_endpoint *endpoint) {
    census c = {0};
    int64_t least = 0;
    for (size_t i = 0; i < look->live.len; i++) {
        lm_replica *row = lm_list_at(&look->live, i);
        if (strcmp(row->endpoint_id, endpoint->id) != 0) continue;
        c.n_any += !state_is(row, "gone");
        if (!state_is(row, "starting") && !state_is(row, "ready")) continue;
        if (strcmp(row->version_id, endpoint->version_id) != 0) {
            c.n_outdated++;
            c.outdated = row;
            continue;
        }
        int64_t active = lm_router_replica_active(look->replicas->options.router, row->id);
        c.n_live++;
        c.n_ready += state_is(row, "ready");
        if (!c.spare || active < least) c.spare = row, least = active;
    }
    return c;
}

static loam_status insert_replica(lm_db *db, void *arg, loam_error *err) {
    return lm_table_insert(db, &lm_replica_table, arg, err);
}

/* Commits a new replica; its process is started by the next look. */
static loam_status add_replica(const lm_replicas_look *look, const lm_endpoint *endpoint,
                               loam_error *err) {
    lm_replica row = {
        .model = endpoint->name, .state = "starting", .created_ms = lm_clock_epoch_ms()};
    lm_id_new(look->replicas->options.ids, "rep", row.id);
    memcpy(row.endpoint_id, endpoint->id, LM_ID_BYTES);
    memcpy(row.project_id, endpoint->project_id, LM_ID_BYTES);
    memcpy(row.version_id, endpoint->version_id, LM_ID_BYTES);
    memcpy(row.pool_id, look->pool.id, LM_ID_BYTES);
    return lm_store_call(look->replicas->options.store, insert_replica, &row, err);
}

static loam_status delete_endpoint(lm_db *db, void *arg, loam_error *err) {
    return lm_table_delete(db, &lm_endpoint_table, ((const lm_endpoint *)arg)->id, err);
}

static int64_t wanted_of(const lm_replicas_look *look, const lm_endpoint *endpoint, const census *c,
                         lm_endpoint_memory *memory) {
    lm_router_activity activity = {0};
    (void)lm_router_activity_of(look->replicas->options.router, endpoint->id, &activity);
    if (activity.last_used_ms > memory->last_used_ms) memory->last_used_ms = activity.last_used_ms;
    if (endpoint->created_ms > memory->last_used_ms) memory->last_used_ms = endpoint->created_ms;
    /* Requests do not wait for an endpoint in trouble, but one of them is reason enough to try again. */
    if (in_trouble(memory) && activity.last_used_ms > memory->started_ms) activity.n_waiting++;
    lm_scale_input input = {.min_replicas = endpoint->min_replicas,
                            .max_replicas = endpoint->max_replicas,
                            .idle_timeout_ms = endpoint->idle_timeout_ms,
                            .deleted = endpoint->deleted || atomic_load(&look->replicas->draining),
                            .n_live = c->n_live,
                            .n_active = activity.n_active,
                            .n_waiting = activity.n_waiting,
                            .last_used_ms = memory->last_used_ms,
                            .now_ms = lm_clock_epoch_ms()};
    if (c->n_outdated > 0 && !input.deleted && input.min_replicas == 0)
        input.min_replicas = 1; /* its successor first */
    return lm_scale_wanted(&input);
}

/* Starts or stops at most one replica of an endpoint. */
static loam_status adjust(lm_replicas_look *look, lm_endpoint *endpoint, bool *out_again,
                          loam_error *err) {
    lm_replicas *replicas = look->replicas;
    census c = count(look, endpoint);
    lm_endpoint_memory *memory = memory_of(replicas, endpoint->id);
    if (!memory) return lm_error_no_memory(err, sizeof *memory);
    int64_t wanted = wanted_of(look, endpoint, &c, memory);
    if (endpoint->deleted && c.n_any == 0)
        return lm_store_call(replicas->options.store, delete_endpoint, endpoint, err);
    if (c.n_live < wanted && lm_clock_epoch_ms() >= memory->next_start_ms) {
        *out_again = true;
        memory->started_ms = lm_clock_epoch_ms();
        return add_replica(look, endpoint, err);
    }
    if (c.n_outdated > 0 && (c.n_ready > 0 || wanted == 0))
        return lm_worker_stop(replicas, c.outdated, err);
    if (c.n_live > wanted) return lm_worker_stop(replicas, c.spare, err);
    return LOAM_OK;
}

/* ---- the service ---- */

static loam_status look_once(lm_replicas *replicas, bool *out_again, loam_error *err) {
    lm_replicas_look look = {.replicas = replicas};
    *out_again = false;
    lm_arena_reset(&replicas->arena);
    LM_TRY(lm_store_call(replicas->options.store, load_look, &look, err));
    LM_TRY(remember_versions(&look, err));
    LM_TRY(look_after_workers(&look, err));
    for (size_t i = 0; i < look.endpoints.len; i++)
        LM_TRY(adjust(&look, lm_list_at(&look.endpoints, i), out_again, err));
    LM_TRY(publish(&look,
                   err)); /* after stopping: nobody is sent to a replica that is about to stop */
    forget_gone(replicas);
    lm_rates_update(replicas);
    if (replicas->options.reservations)
        lm_reservations_expire(replicas->options.reservations, lm_clock_epoch_ms());
    replicas->busy = look.endpoints.len + look.live.len > 0;
    if (atomic_load(&replicas->draining)) atomic_store(&replicas->drained, look.live.len == 0);
    return LOAM_OK;
}

static void tick(void *arg, bool woken) {
    lm_replicas *replicas = arg;
    bool again = woken || replicas->busy;
    while (again) {
        loam_error err = {0};
        if (look_once(replicas, &again, &err) == LOAM_OK) continue;
        lm_log_error(LM_LOG_WARN, "replicas", &err);
        replicas->busy = true;
        break;
    }
}

/* Folders of replicas that are gone, which a crash kept from being removed. */
typedef struct sweep {
    lm_replicas *replicas;
    const char *replica_id;
    bool gone;
} sweep;

static loam_status is_gone(lm_db *db, void *arg, loam_error *err) {
    sweep *s = arg;
    lm_replica row;
    loam_status status = lm_replica_by_id(db, s->replica_id, &s->replicas->arena, &row, err);
    s->gone = status == LOAM_OK && state_is(&row, "gone");
    return status == LOAM_NOT_FOUND ? LOAM_OK : status;
}

static loam_status sweep_folders(lm_replicas *replicas, loam_error *err) {
    char *root = lm_path_join(replicas->options.home, "replicas");
    DIR *dir = root ? opendir(root) : NULL;
    loam_status status = LOAM_OK;
    struct dirent *entry;
    while (dir && status == LOAM_OK && (entry = readdir(dir))) {
        sweep s = {.replicas = replicas, .replica_id = entry->d_name};
        if (!lm_id_is("rep", entry->d_name)) continue;
        status = lm_store_call(replicas->options.store, is_gone, &s, err);
        char *path = lm_path_join(root, entry->d_name);
        if (status == LOAM_OK && s.gone && path) status = lm_file_remove_tree(path, err);
        lm_free(path);
    }
    if (dir) closedir(dir);
    lm_free(root);
    return status;
}

void lm_replicas_wake(lm_replicas *replicas) {
    lm_ticker_wake(replicas->ticker);
}

void lm_replicas_drain(lm_replicas *replicas) {
    atomic_store(&replicas->draining, true);
    lm_replicas_wake(replicas);
}

bool lm_replicas_drained(const lm_replicas *replicas) {
    return atomic_load(&replicas->drained);
}

loam_status lm_replicas_new(const lm_replicas_options *options, lm_replicas **out,
                            loam_error *err) {
    lm_replicas *replicas = lm_calloc(1, sizeof *replicas);
    if (!replicas) return lm_error_no_memory(err, sizeof *replicas);
    replicas->options = *options;
    replicas->started_ms = lm_clock_epoch_ms();
    pthread_mutex_init(&replicas->rate_lock, NULL);
    lm_arena_init(&replicas->arena, ARENA_BYTES, SIZE_MAX);
    bool again;
    int64_t period_ms = options->period_ms ? options->period_ms : PERIOD_MS;
    loam_status status = sweep_folders(replicas, err);
    if (status == LOAM_OK) status = look_once(replicas, &again, err);
    if (status == LOAM_OK)
        status = lm_ticker_new(period_ms, tick, replicas, &replicas->ticker, err);
    if (status != LOAM_OK)
        lm_replicas_free(replicas);
    else
        *out = replicas;
    return status;
}

void lm_replicas_free(lm_replicas *replicas) {
    if (!replicas) return;
    lm_ticker_free(replicas->ticker);
    for (size_t i = 0; i < replicas->workers.len; i++) lm_worker_deinit(&replicas->workers.ptr[i]);
    lm_vec_deinit(&replicas->workers);
    lm_vec_deinit(&replicas->memories);
    lm_arena_deinit(&replicas->arena);
    pthread_mutex_destroy(&replicas->rate_lock);
    lm_free(replicas);
}
