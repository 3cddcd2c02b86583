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
#include "cloud/table/price.h"
#include "cloud/table/usage.h"

/* What booking did. */
typedef struct lm_booking {
    bool is_new;           /* false: the reference was already booked; the rest is 0 */
    int64_t amount_micros; /* sum of the charges */
} lm_booking;

typedef struct lm_ledger lm_ledger;

/* `ids` is borrowed. Prices are kept in memory: load reads them at start and after each commit that adds one. */
loam_status lm_ledger_new(lm_id_gen *ids, lm_ledger **out, loam_error *err) LM_MUST_USE;
void lm_ledger_free(lm_ledger *ledger);
loam_status lm_ledger_load(lm_ledger *ledger, lm_db *db, loam_error *err) LM_MUST_USE;

/* Books inside the caller's transaction, on the store's thread. LOAM_INVALID for a record that makes no sense. */
loam_status lm_ledger_book(lm_ledger *ledger, lm_db *db, const lm_usage *usage, lm_booking *out,
                           loam_error *err) LM_MUST_USE;

enum { LM_CURRENCY_BYTES = 9 };
#define LM_CURRENCY_DEFAULT "CNY"

/* The currency this cloud counts in, that of its prices; false, and the default, as long as there are none. Any thread. */
bool lm_ledger_currency(lm_ledger *ledger, char out[LM_CURRENCY_BYTES]);

/* Worst-case cost of a request of this many tokens at present prices, for reservations. Any thread; no database. */
int64_t lm_ledger_estimate(lm_ledger *ledger, const char *model, int64_t prompt_tokens,
                           int64_t completion_tokens);

#endif
