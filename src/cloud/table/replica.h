/* Replicas: worker processes of an endpoint, and how far their usage journal is in the ledger.
 * States: starting, ready, stopping, ended (journal may still hold unbooked usage), gone (all is booked). */
#ifndef LM_CLOUD_TABLE_REPLICA_H
#define LM_CLOUD_TABLE_REPLICA_H

#include "cloud/table/table.h"

typedef struct lm_replica {
    char id[LM_ID_BYTES];
    char endpoint_id[LM_ID_BYTES];
    char project_id[LM_ID_BYTES];
    char version_id[LM_ID_BYTES];
    char pool_id[LM_ID_BYTES];
    const char *model; /* name requests use; for prices */
    const char *state;
    int64_t pid;
    int64_t port;
    const char *error;    /* how it ended, if badly */
    int64_t journal_slot; /* records before it are in the ledger */
    int64_t created_ms;
    int64_t ready_ms;
    int64_t ended_ms;
} lm_replica;

extern const lm_table lm_replica_table;

/* Those not gone. */
loam_status lm_replica_of_endpoint(lm_db *db, const char *endpoint_id, const lm_page *page,
                                   lm_arena *arena, lm_list *out, const char **out_next,
                                   loam_error *err) LM_MUST_USE;

/* The newest replica of an endpoint that ended badly. LOAM_NOT_FOUND when none did. */
loam_status lm_replica_last_failed(lm_db *db, const char *endpoint_id, lm_arena *arena,
                                   lm_replica *out, loam_error *err) LM_MUST_USE;

loam_status lm_replica_by_id(lm_db *db, const char *id, lm_arena *arena, lm_replica *out,
                             loam_error *err) LM_MUST_USE;

/* Moves journal_slot. LOAM_OK also when the replica is not there any more. */
loam_status lm_replica_mark_journal(lm_db *db, const char *id, int64_t journal_slot,
                                    loam_error *err) LM_MUST_USE;

/* Of all endpoints, those not yet gone. */
loam_status lm_replica_live(lm_db *db, lm_arena *arena, lm_list *out, loam_error *err) LM_MUST_USE;

#endif
