#include "cloud/store.h"

#include <pthread.h>

#include "base/mem.h"
#include "base/queue.h"
#include "cloud/table/migrate.h"

struct lm_store {
    lm_db *db; /* the thread's alone once it runs */
    lm_queue *queue;
    pthread_t thread;
    bool running;
};

/* The jobs of one transaction. */
typedef struct group {
    lm_store_job *jobs[LM_STORE_GROUP_MAX];
    size_t len;
    size_t n_told; /* jobs already answered because the transaction under them was lost */
} group;

/* Answers the jobs that wait for an outcome; a failure of the group is everybody's. */
static void tell(group *g, size_t end, loam_status status, const loam_error *err) {
    for (; g->n_told < end; g->n_told++) {
        lm_store_job *job = g->jobs[g->n_told];
        if (status != LOAM_OK && job->status == LOAM_OK) {
            job->status = status;
            job->error = *err;
        }
        loam_error error = job->error; /* done may free the job */
        job->done(job, job->status, &error);
    }
}

/* A job alone in its transaction needs no savepoint: its failure undoes all there is. */
static void run_job(lm_db *db, lm_store_job *job, bool alone) {
    job->error = (loam_error){0};
    job->status = alone ? LOAM_OK : lm_db_savepoint(db, &job->error);
    if (job->status != LOAM_OK) return;
    job->status = job->run(job, db, &job->error);
    if (job->status == LOAM_OK && !alone) job->status = lm_db_release(db, &job->error);
    if (job->status == LOAM_OK) return;
    if (alone) {
        lm_db_rollback(db);
    } else {
        lm_db_rollback_to(db);
    }
}

/* Runs jobs from `next` on in one transaction; returns the index behind the last one that had its chance. */
static size_t run_transaction(lm_db *db, group *g, size_t next) {
    loam_error err = {0};
    loam_status status = lm_db_begin(db, &err);
    if (status != LOAM_OK) {
        for (size_t i = next; i < g->len; i++) g->jobs[i]->status = LOAM_OK;
        tell(g, g->len, status, &err);
        return g->len;
    }
    bool alone = next + 1 == g->len;
    while (next < g->len) {
        lm_store_job *job = g->jobs[next++];
        run_job(db, job, alone);
        if (lm_db_in_transaction(db)) continue;
        loam_error lost = job->error; /* the transaction is over: what ran in it is undone */
        loam_status lost_status = job->status == LOAM_OK ? LOAM_IO : job->status;
        if (job->status == LOAM_OK)
            lm_error_set(&lost, LOAM_IO, "the database gave up the transaction");
        tell(g, next, lost_status, &lost);
        return next;
    }
    status = lm_db_commit(db, &err);
    tell(g, next, status, &err);
    return next;
}

static void collect(lm_store *store, group *g, void *first) {
    *g = (group){.jobs = {first}, .len = 1};
    void *item;
    while (g->len < LM_STORE_GROUP_MAX && lm_queue_try_pop(store->queue, &item))
        g->jobs[g->len++] = item;
}

static void *store_main(void *arg) {
    lm_store *store = arg;
    void *first;
    group g;
    while (lm_queue_pop(store->queue, &first)) {
        collect(store, &g, first);
        for (size_t next = 0; next < g.len;) next = run_transaction(store->db, &g, next);
    }
    return NULL;
}

loam_status lm_store_new(const char *url, lm_store **out, loam_error *err) {
    lm_store *store = lm_calloc(1, sizeof *store);
    if (!store) return lm_error_no_memory(err, sizeof *store);
    loam_status status = lm_db_open(url, &store->db, err);
    if (status == LOAM_OK) status = lm_db_claim(store->db, err);
    if (status == LOAM_OK) status = lm_migrate(store->db, err);
    if (status == LOAM_OK) status = lm_queue_new(LM_STORE_QUEUE_MAX, &store->queue, err);
    if (status == LOAM_OK) {
        store->running = pthread_create(&store->thread, NULL, store_main, store) == 0;
        if (!store->running)
            status = lm_error_set(err, LOAM_NO_MEMORY, "cannot start the store's thread");
    }
    if (status != LOAM_OK) {
        lm_store_free(store);
        return status;
    }
    *out = store;
    return LOAM_OK;
}

void lm_store_free(lm_store *store) {
    if (!store) return;
    if (store->running) {
        lm_queue_close(store->queue);
        pthread_join(store->thread, NULL);
    }
    lm_queue_free(store->queue);
    lm_db_close(store->db);
    lm_free(store);
}

const char *lm_store_kind(const lm_store *store) {
    return lm_db_kind(store->db);
}

lm_db *lm_store_db(lm_store *store) {
    return store->db;
}

size_t lm_store_queue_len(const lm_store *store) {
    return lm_queue_len(store->queue);
}

loam_status lm_store_submit(lm_store *store, lm_store_job *job, loam_error *err) {
    if (lm_queue_try_push(store->queue, job)) return LOAM_OK;
    lm_error_set(err, LOAM_UNAVAILABLE, "the store is busy or closing");
    return lm_error_hint(err, LOAM_UNAVAILABLE, "try again in a moment");
}

typedef struct waiting_call {
    lm_store_job job;
    lm_store_fn *fn;
    void *arg;
    pthread_mutex_t lock; /* guards finished, status, error */
    pthread_cond_t changed;
    bool finished;
    loam_status status;
    loam_error error;
} waiting_call;

static loam_status call_run(lm_store_job *job, lm_db *db, loam_error *err) {
    waiting_call *call = (waiting_call *)job;
    return call->fn(db, call->arg, err);
}

static void call_done(lm_store_job *job, loam_status status, const loam_error *err) {
    waiting_call *call = (waiting_call *)job;
    pthread_mutex_lock(&call->lock);
    call->finished = true;
    call->status = status;
    call->error = *err;
    pthread_cond_signal(&call->changed);
    pthread_mutex_unlock(&call->lock);
}

loam_status lm_store_call(lm_store *store, lm_store_fn *fn, void *arg, loam_error *err) {
    waiting_call call = {.job = {.run = call_run, .done = call_done},
                         .fn = fn,
                         .arg = arg,
                         .lock = PTHREAD_MUTEX_INITIALIZER,
                         .changed = PTHREAD_COND_INITIALIZER};
    LM_TRY(lm_store_submit(store, &call.job, err));
    pthread_mutex_lock(&call.lock);
    while (!call.finished) pthread_cond_wait(&call.changed, &call.lock);
    pthread_mutex_unlock(&call.lock);
    if (call.status != LOAM_OK && err) *err = call.error;
    pthread_cond_destroy(&call.changed);
    pthread_mutex_destroy(&call.lock);
    return call.status;
}
