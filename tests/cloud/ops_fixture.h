/* A home folder with a store, a project and a local pool, and the services over it, around the fake loam program. */
#ifndef LM_TESTS_CLOUD_OPS_FIXTURE_H
#define LM_TESTS_CLOUD_OPS_FIXTURE_H

#include "databases.h"

#include "base/clock.h"
#include "base/file.h"
#include "cloud/pools.h"
#include "cloud/replicas.h"
#include "cloud/scheduler.h"
#include "cloud/table/dataset.h"
#include "cloud/table/endpoint.h"
#include "cloud/table/job.h"
#include "cloud/table/model.h"
#include "cloud/table/project.h"
#include "cloud/table/replica.h"
#include "cloud/table/run.h"
#include "cloud/table/usage.h"
#include "cloud/table/version.h"

typedef struct ops_fixture {
    char *home;
    const char *database; /* URL */
    const char *program;  /* the fake */
    lm_store *store;
    lm_id_gen ids;
    lm_ledger *ledger;
    lm_keyring *keyring;
    lm_reservations *reservations;
    lm_registry *registry;
    lm_executor *executor;
    lm_router *router;
    lm_scheduler *scheduler;
    lm_replicas *replicas;
    lm_arena arena; /* of the test */
    char project_id[LM_ID_BYTES];
} ops_fixture;

/* Opens the store at f->database and, the first time, makes home folder, project and pool. */
void ops_open(ops_fixture *f, const char *program);

/* A fixture on a fresh database for a test's beginning; skips the test when the database is not installed. Only one at a time;
 * ops_end, as the test's teardown, closes and removes it. */
ops_fixture *ops_begin(void **state, const char *program);
int ops_end(void **state);
void ops_start_scheduler(ops_fixture *f);
void ops_start_replicas(ops_fixture *f);
/* Closes all services as a crash would: children go on. Home folder and database stay. */
void ops_close(ops_fixture *f);

/* Runs fn(db, arg) and fails the test when it fails. */
void ops_call(ops_fixture *f, lm_store_fn *fn, void *arg);

/* Rows, committed. Ids are written to out. */
void ops_add_job(ops_fixture *f, const char *project_id, const char *name, const char *recipe,
                 int64_t priority, int64_t max_retries, char out[LM_ID_BYTES]);
lm_job ops_job(ops_fixture *f, const char *id);
lm_job ops_wait_job(ops_fixture *f, const char *id, const char *state);

/* A version imported from a folder of the given files (name, text pairs, NULL-terminated). */
void ops_add_version(ops_fixture *f, const char *model_name, const char *const *files,
                     char out[LM_ID_BYTES]);
lm_version ops_wait_version(ops_fixture *f, const char *id, const char *state);

/* Number a query gives. SQL only counts here, in tests. */
int64_t ops_number(ops_fixture *f, const char *sql);

#endif
