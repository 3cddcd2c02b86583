/* All keys in memory: authentication, rate limits and budgets without touching the database.
 *
 * Loaded at start, changed after each commit that changes a key. What keys have spent is the ledger's sum at start plus
 * what was settled since. Any thread; one lock guards all.
 *
 *     reserve the worst case -> serve the request -> book its usage in the ledger -> settle with what it really cost
 *
 * so that requests running side by side cannot together overshoot a budget by more than one reservation.
 */
#ifndef LM_CLOUD_KEYRING_H
#define LM_CLOUD_KEYRING_H

#include "cloud/auth.h"
#include "cloud/db.h"
#include "cloud/table/key.h"

typedef struct lm_keyring lm_keyring;

loam_status lm_keyring_new(lm_keyring **out, loam_error *err) LM_MUST_USE;
void lm_keyring_free(lm_keyring *keyring);

/* Reads all keys, their roles and what each has spent. On the store's thread. */
loam_status lm_keyring_load(lm_keyring *keyring, lm_db *db, loam_error *err) LM_MUST_USE;

/* Takes over what keys may do now: new keys, and changes of known ones, whose counts and reservations stay. */
loam_status lm_keyring_put(lm_keyring *keyring, const lm_key_standings *standings,
                           loam_error *err) LM_MUST_USE;

/* Whose secret this is ("loam-sk-..."). LOAM_DENIED for none, wrong, revoked and expired ones; the message says which. */
loam_status lm_keyring_authenticate(lm_keyring *keyring, const char *secret, int64_t now_ms,
                                    lm_caller *out, loam_error *err) LM_MUST_USE;

/* Takes one request from the key's per-minute allowance. LOAM_LIMIT and *out_retry_after_s when it is used up. */
loam_status lm_keyring_admit(lm_keyring *keyring, const char *key_id, int64_t now_ms,
                             int64_t *out_retry_after_s, loam_error *err) LM_MUST_USE;

/* Sets aside what a request may cost at most. LOAM_LIMIT when the budget has nothing left (spent + reserved >= budget). */
typedef struct lm_reservation {
    char key_id[LM_ID_BYTES];
    int64_t tokens, micros;
} lm_reservation;
loam_status lm_keyring_reserve(lm_keyring *keyring, const char *key_id, int64_t tokens,
                               int64_t micros, lm_reservation *out, loam_error *err) LM_MUST_USE;

/* Gives the reservation back and counts what was really used (0, 0 when nothing was). Once per reservation. */
void lm_keyring_settle(lm_keyring *keyring, lm_reservation *reservation, int64_t tokens,
                       int64_t micros);

/* What a key has used so far, booked and settled; false when it is not known. */
bool lm_keyring_spent(lm_keyring *keyring, const char *key_id, int64_t *out_tokens,
                      int64_t *out_micros);

#endif
