/* The replica manager: keeps for every endpoint as many workers alive as it should have, tells the router which ones answer,
 * and brings what they used into the ledger.
 *
 *     row made --> starting --port file--> ready --stop--> stopping --exit--> ended --journal booked--> gone
 *                      '---------- died -----------------------------------> ended
 *
 *     home/replicas/<replica>/   state folder of its process (see supervisor.h), and: model/ (view of the version), port,
 *                                journal (its usage); removed once the replica is gone
 *
 * As with the scheduler the rows and the state folders are the only memory: after a restart workers that live are found
 * again and serve on, the journals of dead ones are booked to their last record. The manager's thread does all of it; the
 * functions below are for any thread.
 */
#ifndef LM_CLOUD_REPLICAS_H
#define LM_CLOUD_REPLICAS_H

#include "cloud/executor.h"
#include "cloud/ledger.h"
#include "cloud/registry.h"
#include "cloud/reservations.h"
#include "cloud/router.h"
#include "cloud/store.h"

typedef struct lm_replicas lm_replicas;

typedef struct lm_replicas_options {
    const char *home;
    const char *program; /* offers `serve` */
    lm_store *store;
    lm_id_gen *ids;
    lm_ledger *ledger;
    lm_registry *registry;
    lm_executor *executor;
    lm_router *router;
    lm_reservations *reservations;
    void (*on_change)(void *arg); /* other replicas answer now; from the manager's thread */
    void *on_change_arg;
    int64_t memory_limit_bytes; /* of a worker; 0: none */
    int64_t period_ms;          /* 0: 100 */
} lm_replicas_options;

/* Looks once before it returns, so that the router knows what there is. */
loam_status lm_replicas_new(const lm_replicas_options *options, lm_replicas **out,
                            loam_error *err) LM_MUST_USE;

/* Workers that still run go on; the next manager finds them. */
void lm_replicas_free(lm_replicas *replicas);

/* An endpoint was made or changed, or somebody waits for one. */
void lm_replicas_wake(lm_replicas *replicas);

/* The cloud stops: all workers are asked to finish what they have and end; none is started. Drained when none is left. */
void lm_replicas_drain(lm_replicas *replicas);
bool lm_replicas_drained(const lm_replicas *replicas);

/* Tokens a second lately; of one replica, or of all for NULL. */
double lm_replicas_rate(lm_replicas *replicas, const char *replica_id);

#endif
