/* All prices in memory, and the arithmetic of what a quantity costs under them. Any thread; one lock guards the list.
 *
 * In force at a moment is, of the prices of a kind, the latest that has taken effect for this very model; without one, the
 * latest for "*".
 */
#ifndef LM_CLOUD_PRICE_BOOK_H
#define LM_CLOUD_PRICE_BOOK_H

#include "cloud/money.h"
#include "cloud/table/price.h"

typedef struct lm_price_book lm_price_book;

/* A price as the book keeps it. */
typedef struct lm_price_entry {
    char id[LM_ID_BYTES];
    lm_price_kind kind;
    char model[129];
    char currency[9];
    int64_t amount_micros;
    int64_t effective_ms;
    lm_u128 divisor; /* amount is for so many tokens, or so many FLOP/s * ms */
} lm_price_entry;

loam_status lm_price_book_new(lm_price_book **out, loam_error *err) LM_MUST_USE;
void lm_price_book_free(lm_price_book *book);

/* Reads the table again; the old prices stay on failure. */
loam_status lm_price_book_load(lm_price_book *book, lm_db *db, loam_error *err) LM_MUST_USE;

/* The price in force at a moment, copied; false when there is none. *out_until_ms: the next moment at which the answer may
 * change, INT64_MAX when never. */
bool lm_price_book_at(lm_price_book *book, lm_price_kind kind, const char *model, int64_t at_ms,
                      lm_price_entry *out, int64_t *out_until_ms);

/* The prices' currency; false when there are no prices. */
bool lm_price_book_currency(lm_price_book *book, char out[9]);

/* What a quantity costs: tokens, or FLOP/s * ms leased. LOAM_LIMIT when too large. */
loam_status lm_price_charge(const lm_price_entry *price, lm_u128 quantity, int64_t *out_micros,
                            loam_error *err) LM_MUST_USE;

/* Is this unit one that prices of this kind are given in? */
bool lm_price_unit_fits(const char *kind, const char *unit);

#endif
