#include "cloud/price_book.h"

#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/vec.h"

typedef LM_VEC(lm_price_entry) entry_vec;

struct lm_price_book {
    pthread_mutex_t lock; /* guards entries */
    entry_vec entries;    /* by effective_ms, then id */
};

typedef struct price_unit {
    const char *name;
    bool is_compute;
    lm_u128 divisor;
} price_unit;

#define FLOPS_PER_P ((lm_u128)1000000000000000) /* 10^15 */
enum { MS_PER_HOUR = 3600000 };

static const price_unit units[] = {
    {"million_tokens", false, 1000000},
    {"p_hour", true, FLOPS_PER_P *MS_PER_HOUR},
    {"p_year", true, FLOPS_PER_P *MS_PER_HOUR * 24 * 365},
};

static const price_unit *find_unit(const char *name) {
    for (size_t i = 0; i < LM_COUNT_OF(units); i++) {
        if (strcmp(units[i].name, name) == 0) return &units[i];
    }
    return NULL;
}

bool lm_price_unit_fits(const char *kind, const char *unit) {
    const price_unit *found = find_unit(unit);
    return found &&
           found->is_compute == (strcmp(kind, lm_price_kind_names[LM_PRICE_PH_LEASED]) == 0);
}

loam_status lm_price_book_new(lm_price_book **out, loam_error *err) {
    lm_price_book *book = lm_calloc(1, sizeof *book);
    if (!book) return lm_error_no_memory(err, sizeof *book);
    pthread_mutex_init(&book->lock, NULL);
    *out = book;
    return LOAM_OK;
}

void lm_price_book_free(lm_price_book *book) {
    if (!book) return;
    lm_vec_deinit(&book->entries);
    pthread_mutex_destroy(&book->lock);
    lm_free(book);
}

static bool read_entry(const lm_price *price, lm_price_entry *out) {
    const price_unit *unit = find_unit(price->unit);
    if (!unit) return false;
    *out = (lm_price_entry){.amount_micros = price->amount_micros,
                            .effective_ms = price->effective_ms,
                            .divisor = unit->divisor};
    while (strcmp(lm_price_kind_names[out->kind], price->kind) != 0) {
        if (++out->kind == LM_PRICE_N_KINDS) return false;
    }
    memcpy(out->id, price->id, sizeof out->id);
    snprintf(out->model, sizeof out->model, "%s", price->model);
    snprintf(out->currency, sizeof out->currency, "%s", price->currency);
    return true;
}

static loam_status read_entries(const lm_list *prices, entry_vec *out, loam_error *err) {
    for (size_t i = 0; i < prices->len; i++) {
        lm_price_entry entry;
        const lm_price *price = lm_list_at(prices, i);
        if (!read_entry(price, &entry))
            return lm_error_set(err, LOAM_CORRUPT, "price %s has an unknown kind or unit",
                                price->id);
        if (!lm_vec_push(out, entry)) return lm_error_no_memory(err, sizeof entry);
    }
    return LOAM_OK;
}

loam_status lm_price_book_load(lm_price_book *book, lm_db *db, loam_error *err) {
    lm_arena arena;
    lm_arena_init(&arena, 0, 0);
    lm_list prices;
    entry_vec entries = {0};
    loam_status status = lm_price_all(db, &arena, &prices, err);
    if (status == LOAM_OK) status = read_entries(&prices, &entries, err);
    lm_arena_deinit(&arena);
    if (status == LOAM_OK) {
        pthread_mutex_lock(&book->lock);
        entry_vec old = book->entries;
        book->entries = entries;
        entries = old;
        pthread_mutex_unlock(&book->lock);
    }
    lm_vec_deinit(&entries);
    return status;
}

/* Entries are in order of time, so the last fitting one wins, and one of the very model over one for all. */
static const lm_price_entry *find_at(const entry_vec *entries, lm_price_kind kind,
                                     const char *model, int64_t at_ms, int64_t *out_until_ms) {
    const lm_price_entry *own = NULL, *general = NULL;
    *out_until_ms = INT64_MAX;
    for (size_t i = 0; i < entries->len; i++) {
        const lm_price_entry *entry = &entries->ptr[i];
        bool is_own = strcmp(entry->model, model) == 0;
        if (entry->kind != kind || (!is_own && strcmp(entry->model, "*") != 0)) continue;
        if (entry->effective_ms > at_ms) {
            *out_until_ms = entry->effective_ms;
            break;
        }
        if (is_own) {
            own = entry;
        } else {
            general = entry;
        }
    }
    return own ? own : general;
}

bool lm_price_book_at(lm_price_book *book, lm_price_kind kind, const char *model, int64_t at_ms,
                      lm_price_entry *out, int64_t *out_until_ms) {
    pthread_mutex_lock(&book->lock);
    const lm_price_entry *found = find_at(&book->entries, kind, model, at_ms, out_until_ms);
    if (found) *out = *found;
    pthread_mutex_unlock(&book->lock);
    return found != NULL;
}

bool lm_price_book_currency(lm_price_book *book, char out[9]) {
    pthread_mutex_lock(&book->lock);
    bool known = book->entries.len > 0;
    if (known) memcpy(out, book->entries.ptr[0].currency, sizeof book->entries.ptr[0].currency);
    pthread_mutex_unlock(&book->lock);
    return known;
}

loam_status lm_price_charge(const lm_price_entry *price, lm_u128 quantity, int64_t *out_micros,
                            loam_error *err) {
    return lm_money_charge(quantity, price->amount_micros, price->divisor, out_micros, err);
}
