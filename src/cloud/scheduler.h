/* The scheduler: starts jobs where there is room, follows their runs, and books what they use.
 *
 * The database is the only memory that counts. A run is committed before its process is started, with an epoch that is then
 * written to the job's fence file; every decision about a run is made from its row and from what the executor finds in
 * its state folder, so that a scheduler that was killed goes on wherever it was: a run without a process is started, one with
 * a process is followed, one whose process has ended is judged. No step does harm when it is done twice.
 *
 * Order of starting: priority, then the project that has used the least compute in the last day, then age.
 * A trainer that is cut (killed, machine gone) goes on from its last checkpoint at once; one that keeps failing without
 * reaching a checkpoint uses up the job's retries, with growing pauses.
 */
#ifndef LM_CLOUD_SCHEDULER_H
#define LM_CLOUD_SCHEDULER_H

#include "cloud/executor.h"
#include "cloud/ledger.h"
#include "cloud/registry.h"
#include "cloud/store.h"

typedef struct lm_scheduler lm_scheduler;

typedef struct lm_scheduler_options {
    const char *home;
    const char *program; /* offers `train` */
    lm_store *store;
    lm_id_gen *ids;
    lm_ledger *ledger;
    lm_registry *registry;
    lm_executor *executor;
    int64_t memory_limit_bytes; /* of a trainer; 0: none */
    int64_t period_ms;          /* of looking after runs; 0: 250 */
    int64_t retry_pause_ms;     /* first pause after a failure, doubled each time; 0: 1000 */
    int64_t segment_ms; /* length of the pieces in which a run's lease is booked; 0: 60000 */
} lm_scheduler_options;

loam_status lm_scheduler_new(const lm_scheduler_options *options, lm_scheduler **out,
                             loam_error *err) LM_MUST_USE;

/* Trainers that still run go on; the next scheduler finds them. */
void lm_scheduler_free(lm_scheduler *scheduler);

/* The cloud stops: trainers are asked to stop at a checkpoint, their jobs wait in the queue; none is started. Drained when no
 * trainer is left. Any thread. */
void lm_scheduler_drain(lm_scheduler *scheduler);
bool lm_scheduler_drained(const lm_scheduler *scheduler);

/* A job was submitted or changed. Any thread. */
void lm_scheduler_wake(lm_scheduler *scheduler);

#endif
