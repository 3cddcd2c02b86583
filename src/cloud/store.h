/* The store: one thread that owns the database connection, and a bounded queue of jobs for it.
 *
 *     loop threads, workers --submit--> queue --> store thread: begin | job | job | job | commit --> done, done, done
 *
 * The thread takes all jobs that wait (at most LM_STORE_GROUP_MAX), runs each inside a savepoint of one transaction, commits
 * once, then tells each how it went. So every writer is durable before it is acknowledged (FULL), and many share one
 * fsync: a single job costs a commit, a crowd costs little more. A job that fails undoes only itself; a commit that fails
 * (full disk) fails all of its group, and nobody was told otherwise before.
 *
 * Nothing else may touch the connection. Event loops never wait: they submit and get their answer by lm_loop_post from
 * `done`. Jobs are short: no network, no large files; whoever has long work does it on a thread of its own and calls
 * lm_store_call for each step.
 */
#ifndef LM_CLOUD_STORE_H
#define LM_CLOUD_STORE_H

#include "cloud/db.h"

enum { LM_STORE_QUEUE_MAX = 16384, LM_STORE_GROUP_MAX = 256 };

typedef struct lm_store lm_store;
typedef struct lm_store_job lm_store_job;

/* The caller's storage, embedded in whatever it needs; must live until `done` has been called. */
struct lm_store_job {
    /* On the store's thread, inside the transaction. Effects outside the database belong into `done`. */
    loam_status (*run)(lm_store_job *job, lm_db *db, loam_error *err);
    /* On the store's thread, once, after the commit (LOAM_OK) or the failure. May free the job. Must not block. */
    void (*done)(lm_store_job *job, loam_status status, const loam_error *err);
    loam_status status; /* the store's own */
    loam_error error;
};

/* Opens the database, brings its tables up to date (cloud/migrations/) and starts the thread. */
loam_status lm_store_new(const char *url, lm_store **out, loam_error *err) LM_MUST_USE;
void lm_store_free(lm_store *store); /* finishes the jobs that wait */
const char *lm_store_kind(const lm_store *store);

/* Any thread; never waits. LOAM_UNAVAILABLE when the queue is full or the store closes; `done` is not called then. */
loam_status lm_store_submit(lm_store *store, lm_store_job *job, loam_error *err) LM_MUST_USE;

/* Runs fn in a transaction and waits until it is committed. Any thread but the store's and an event loop's. */
typedef loam_status lm_store_fn(lm_db *db, void *arg, loam_error *err);
loam_status lm_store_call(lm_store *store, lm_store_fn *fn, void *arg, loam_error *err) LM_MUST_USE;

/* The connection, for code that runs on the store's thread outside of a job: callbacks after a commit. */
lm_db *lm_store_db(lm_store *store);

/* Waiting jobs, for metrics. */
size_t lm_store_queue_len(const lm_store *store);

#endif
