#include "cloud/ledger.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"
#include "cloud/month.h"
#include "cloud/price_book.h"

struct lm_ledger {
    lm_id_gen *ids;
    lm_price_book *prices;
};

loam_status lm_ledger_new(lm_id_gen *ids, lm_ledger **out, loam_error *err) {
    lm_ledger *ledger = lm_calloc(1, sizeof *ledger);
    if (!ledger) return lm_error_no_memory(err, sizeof *ledger);
    ledger->ids = ids;
    loam_status status = lm_price_book_new(&ledger->prices, err);
    if (status != LOAM_OK) {
        lm_free(ledger);
        return status;
    }
    *out = ledger;
    return LOAM_OK;
}

void lm_ledger_free(lm_ledger *ledger) {
    if (!ledger) return;
    lm_price_book_free(ledger->prices);
    lm_free(ledger);
}

loam_status lm_ledger_load(lm_ledger *ledger, lm_db *db, loam_error *err) {
    return lm_price_book_load(ledger->prices, db, err);
}

static loam_status check(const lm_usage *usage, loam_error *err) {
    if (!usage->reference || !*usage->reference ||
        strlen(usage->reference) > LM_USAGE_REFERENCE_MAX)
        return lm_error_set(err, LOAM_INVALID, "a usage record needs a reference of 1 to %d bytes",
                            LM_USAGE_REFERENCE_MAX);
    if (usage->start_ms <= 0 || usage->end_ms < usage->start_ms)
        return lm_error_set(err, LOAM_INVALID,
                            "usage '%s' ends at %" PRId64 ", before it starts at %" PRId64,
                            usage->reference, usage->end_ms, usage->start_ms);
    if (usage->prompt_tokens < 0 || usage->completion_tokens < 0 || usage->flops < 0 ||
        usage->device_us < 0 || usage->peak_flops < 0)
        return lm_error_set(err, LOAM_INVALID, "usage '%s' has a negative quantity",
                            usage->reference);
    return LOAM_OK;
}

/* A charge worked out but not yet written: the record it belongs to must be there first. */
typedef struct pending_charge {
    lm_charge charge;
    lm_price_entry price;
} pending_charge;

/* One record on its way into the book. */
typedef struct booking {
    lm_ledger *ledger;
    lm_usage *usage;
    LM_VEC(pending_charge) charges;
} booking;

static loam_status add_charge(booking *b, const lm_price_entry *price, lm_charge charge,
                              lm_u128 quantity, loam_error *err) {
    LM_TRY(lm_price_charge(price, quantity, &charge.amount_micros, err));
    if (__builtin_add_overflow(b->usage->amount_micros, charge.amount_micros,
                               &b->usage->amount_micros))
        return lm_error_set(err, LOAM_LIMIT, "the amount is too large to be booked");
    if (!lm_vec_push(&b->charges, ((pending_charge){charge, *price})))
        return lm_error_no_memory(err, 0);
    return LOAM_OK;
}

/* Tokens cost what they cost when the request started. */
static loam_status charge_tokens(booking *b, lm_price_kind kind, int64_t tokens, loam_error *err) {
    lm_price_entry price;
    int64_t until_ms;
    if (tokens == 0 || !lm_price_book_at(b->ledger->prices, kind, b->usage->model,
                                         b->usage->start_ms, &price, &until_ms))
        return LOAM_OK;
    lm_charge charge = {.from_ms = b->usage->start_ms, .to_ms = b->usage->end_ms, .tokens = tokens};
    return add_charge(b, &price, charge, (lm_u128)tokens, err);
}

static int64_t min_i64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Leased compute, piece by piece: a new price or a new month begins a new piece. */
static loam_status charge_lease(booking *b, loam_error *err) {
    const lm_usage *usage = b->usage;
    for (int64_t from_ms = usage->start_ms; usage->peak_flops && from_ms < usage->end_ms;) {
        lm_price_entry price;
        int64_t change_ms;
        bool is_priced = lm_price_book_at(b->ledger->prices, LM_PRICE_PH_LEASED, usage->model,
                                          from_ms, &price, &change_ms);
        int64_t month_end_ms = lm_month_start_ms(lm_month_next(lm_month_of(from_ms)));
        lm_charge charge = {.from_ms = from_ms,
                            .to_ms = min_i64(usage->end_ms, min_i64(change_ms, month_end_ms)),
                            .peak_flops = usage->peak_flops};
        lm_u128 quantity = (lm_u128)usage->peak_flops * (lm_u128)(charge.to_ms - from_ms);
        if (is_priced) LM_TRY(add_charge(b, &price, charge, quantity, err));
        from_ms = charge.to_ms;
    }
    return LOAM_OK;
}

static loam_status work_out_charges(booking *b, loam_error *err) {
    LM_TRY(charge_tokens(b, LM_PRICE_INPUT_TOKENS, b->usage->prompt_tokens, err));
    LM_TRY(charge_tokens(b, LM_PRICE_OUTPUT_TOKENS, b->usage->completion_tokens, err));
    return charge_lease(b, err);
}

static loam_status write(booking *b, lm_db *db, loam_error *err) {
    lm_id_new(b->ledger->ids, "use", b->usage->id);
    LM_TRY(lm_table_insert(db, &lm_usage_table, b->usage, err));
    for (size_t i = 0; i < b->charges.len; i++) {
        lm_charge *charge = &b->charges.ptr[i].charge;
        lm_id_new(b->ledger->ids, "chg", charge->id);
        charge->usage_id = b->usage->id;
        charge->project_id = b->usage->project_id;
        charge->model = b->usage->model;
        charge->price_id = b->charges.ptr[i].price.id;
        charge->currency = b->charges.ptr[i].price.currency;
        LM_TRY(lm_table_insert(db, &lm_charge_table, charge, err));
    }
    return LOAM_OK;
}

loam_status lm_ledger_book(lm_ledger *ledger, lm_db *db, const lm_usage *usage, lm_booking *out,
                           loam_error *err) {
    LM_TRY(check(usage, err));
    bool exists;
    LM_TRY(lm_usage_exists(db, usage->reference, &exists, err));
    if (exists) {
        *out = (lm_booking){0};
        return LOAM_OK;
    }
    lm_usage record = *usage;
    record.amount_micros = 0;
    booking b = {.ledger = ledger, .usage = &record};
    loam_status status = work_out_charges(&b, err);
    if (status == LOAM_OK) status = write(&b, db, err);
    lm_vec_deinit(&b.charges);
    if (status == LOAM_OK)
        *out = (lm_booking){.is_new = true, .amount_micros = record.amount_micros};
    return status;
}

bool lm_ledger_currency(lm_ledger *ledger, char out[LM_CURRENCY_BYTES]) {
    bool known = lm_price_book_currency(ledger->prices, out);
    if (!known) snprintf(out, LM_CURRENCY_BYTES, "%s", LM_CURRENCY_DEFAULT);
    return known;
}

static int64_t estimate_tokens(lm_ledger *ledger, lm_price_kind kind, const char *model,
                               int64_t tokens) {
    lm_price_entry price;
    int64_t until_ms, micros = 0;
    if (!lm_price_book_at(ledger->prices, kind, model, lm_clock_epoch_ms(), &price, &until_ms))
        return 0;
    if (lm_price_charge(&price, (lm_u128)tokens, &micros, NULL) != LOAM_OK) return INT64_MAX / 4;
    return micros;
}

int64_t lm_ledger_estimate(lm_ledger *ledger, const char *model, int64_t prompt_tokens,
                           int64_t completion_tokens) {
    return estimate_tokens(ledger, LM_PRICE_INPUT_TOKENS, model, prompt_tokens) +
           estimate_tokens(ledger, LM_PRICE_OUTPUT_TOKENS, model, completion_tokens);
}
