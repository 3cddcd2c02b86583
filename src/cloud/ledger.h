/* The ledger: what was used, by whom, at which price. Append-only and exactly once.
 *
 * A usage record carries a reference derived from what it bills ("req_..." of a request, "run_.../3" for a run's third segment):
 * booking the same reference again changes nothing, so a retry cannot bill twice and a crash cannot lose. Booking prices the
 * record at once, by the prices in force at its time: tokens at the price when the request started; leased compute by time,
 * split where a price changes. Charges never change afterwards, so the bill of a past hour stays when the price does not.
 *
 * Leased compute is peak FLOPS held for a time, in P·hours (10^15 FLOPS for an hour); delivered compute is FLOPs done, in
 * the same unit. They stand side by side.
 */
#ifndef LM_CLOUD_LEDGER_H
#define LM_CLOUD_LEDGER_H

#include "cloud/db.h"
#include "cloud/id.h"
#include "cloud/store.h"

typedef struct lm_cloud lm_cloud;

/* Kinds of usage. */
#define LM_USAGE_REQUEST "request" /* tokens of one request to an endpoint */
#define LM_USAGE_RUN "run"         /* a segment of a training run: leased and delivered compute */
#define LM_USAGE_REPLICA "replica" /* a segment of a replica's life: leased compute */
#define LM_USAGE_LEASE "lease"     /* capacity leased elsewhere, entered by the operator */

typedef struct lm_usage {
    const char *reference; /* unique; at most 128 bytes */
    const char *kind;
    const char *project_id;
    const char *key_id;      /* or NULL */
    const char *model;       /* name for per-model prices; "" when none */
    const char *endpoint_id; /* or NULL */
    const char *job_id;      /* or NULL */
    int64_t start_ms, end_ms;
    int64_t prompt_tokens, completion_tokens;
    int64_t flops;      /* delivered */
    int64_t device_us;
    int64_t peak_flops; /* leased from start to end, FLOP/s; 0: nothing leased */
} lm_usage;

/* What booking did. */
typedef struct lm_booking {
    bool is_new;           /* false: the reference was already booked; the rest is 0 */
    int64_t amount_micros; /* sum of the charges */
} lm_booking;

/* Books inside the caller's transaction, on the store's thread. LOAM_INVALID for a record that makes no sense. */
loam_status lm_ledger_book(lm_db *db, lm_id_gen *ids, const lm_usage *usage, lm_booking *out, loam_error *err) LM_MUST_USE;

/* Worst-case cost of a request of this many tokens at present prices, for reservations. Any thread; no database. */
int64_t lm_ledger_estimate(lm_cloud *cloud, const char *model, int64_t prompt_tokens, int64_t completion_tokens);

#endif
