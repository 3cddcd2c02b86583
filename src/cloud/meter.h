/* From a replica's usage journal into the ledger, exactly once.
 *
 * The journal says what every request has used; a finished record is booked under its request id, and so is an unfinished one
 * once the worker is dead. `journal_slot` of the replica's row, moved in the same transaction, says from where on a later
 * control plane must read; everything before it is booked. What lies behind it and is booked already is remembered here,
 * and booking it again (after a restart) changes nothing.
 */
#ifndef LM_CLOUD_METER_H
#define LM_CLOUD_METER_H

#include "cloud/ledger.h"
#include "cloud/reservations.h"
#include "cloud/store.h"
#include "cloud/table/replica.h"

typedef struct lm_meter lm_meter; /* of one replica; one thread */

typedef struct lm_meter_options {
    const char *journal;       /* path; need not exist yet */
    const lm_replica *replica; /* its row now; read during the call only */
    lm_store *store;
    lm_ledger *ledger;
    lm_reservations *reservations; /* NULL: none are kept */
} lm_meter_options;

loam_status lm_meter_new(const lm_meter_options *options, lm_meter **out,
                         loam_error *err) LM_MUST_USE;
void lm_meter_free(lm_meter *meter);

/* Books what is finished; of a dead worker everything. On failure nothing is forgotten: call again. */
loam_status lm_meter_ingest(lm_meter *meter, bool worker_is_dead, loam_error *err) LM_MUST_USE;

/* Tokens generated so far, those of requests under way included, as of the last ingest. */
int64_t lm_meter_completion_tokens(const lm_meter *meter);

#endif
