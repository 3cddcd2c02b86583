/* What requests under way have set aside of their keys' budgets, until their usage is in the ledger.
 *
 * A reservation is made when the gateway lets a request in, and settled when its usage is booked: only then does the budget
 * know what it cost. Requests that never reached a replica, and those whose replica died before admitting them, leave no
 * usage; their reservations are given back when they end, or a while later. Any thread.
 */
#ifndef LM_CLOUD_RESERVATIONS_H
#define LM_CLOUD_RESERVATIONS_H

#include "cloud/keyring.h"

typedef struct lm_reservations lm_reservations;

loam_status lm_reservations_new(lm_keyring *keyring, lm_reservations **out,
                                loam_error *err) LM_MUST_USE;
void lm_reservations_free(lm_reservations *reservations);

/* Keeps a reservation under its request's id. */
loam_status lm_reservations_hold(lm_reservations *reservations, const char *request_id,
                                 const lm_reservation *reservation, loam_error *err) LM_MUST_USE;

/* The request is over. reached_replica: its usage will come, or not within a minute. */
void lm_reservations_ended(lm_reservations *reservations, const char *request_id,
                           bool reached_replica);

/* Usage was booked for the first time, under the request's id or a later attempt's ("req_....2"). */
void lm_reservations_booked(lm_reservations *reservations, const char *request_id,
                            const char *key_id, int64_t tokens, int64_t micros);

/* Gives back what ended more than a minute ago without usage. Now and then. */
void lm_reservations_expire(lm_reservations *reservations, int64_t now_ms);

/* How many are held now, for metrics. */
int64_t lm_reservations_held(lm_reservations *reservations);

#endif
