/* Prices with effective dates. A price is never changed; a new one of the same kind and model takes over at its time. */
#ifndef LM_CLOUD_TABLE_PRICE_H
#define LM_CLOUD_TABLE_PRICE_H

#include "cloud/table/table.h"

typedef enum lm_price_kind {
    LM_PRICE_INPUT_TOKENS,
    LM_PRICE_OUTPUT_TOKENS,
    LM_PRICE_PH_LEASED,
    LM_PRICE_N_KINDS
} lm_price_kind;

/* Names for schemas, NULL-terminated, in the order of the enum. */
extern const char *const lm_price_kind_names[];
extern const char *const lm_price_unit_names[]; /* million_tokens, p_hour, p_year (of 365 days) */

typedef struct lm_price {
    char id[LM_ID_BYTES]; /* prc_ */
    const char *kind;
    const char *model; /* "*": every model without a price of its own */
    const char *unit;
    int64_t amount_micros; /* per unit */
    const char *currency;
    int64_t effective_ms;
    int64_t created_ms;
} lm_price;

extern const lm_table lm_price_table;

loam_status lm_price_find(lm_db *db, const char *id, lm_arena *arena, lm_price *out,
                          loam_error *err) LM_MUST_USE;
loam_status lm_price_page(lm_db *db, const lm_page *page, lm_arena *arena, lm_list *out,
                          const char **out_next, loam_error *err) LM_MUST_USE;
loam_status lm_price_all(lm_db *db, lm_arena *arena, lm_list *out, loam_error *err) LM_MUST_USE;

#endif
