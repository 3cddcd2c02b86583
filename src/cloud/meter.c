#include "cloud/meter.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/usage_journal.h"
#include "cloud/ledger.h"

enum { BATCH = 256, DISCARD_SLOTS = 8192 /* booked ones that are worth giving back */ };

struct lm_meter {
    char *journal;
    lm_store *store;
    lm_ledger *ledger;
    lm_reservations *reservations;
    char replica_id[LM_ID_BYTES], project_id[LM_ID_BYTES], endpoint_id[LM_ID_BYTES];
    char *model;
    int64_t slot;        /* everything before is booked and committed */
    int64_t discarded;   /* slots before it have been given back */
    LM_VEC(bool) booked; /* of the slots from `slot` on */
    int64_t booked_tokens, open_tokens;
};

/* Records to book together. */
typedef struct batch {
    lm_meter *meter;
    bool worker_is_dead;
    int64_t first; /* slot of records[0] */
    int64_t n;
    bool torn; /* slots in between were lost in a power cut: which slot a record has is not known */
    lm_usage_record records[BATCH];
    bool chosen[BATCH];
    lm_booking bookings[BATCH];
    int64_t next_slot; /* the row's new mark */
} batch;

loam_status lm_meter_new(const lm_meter_options *options, lm_meter **out, loam_error *err) {
    lm_meter *meter = lm_calloc(1, sizeof *meter);
    if (!meter) return lm_error_no_memory(err, sizeof *meter);
    meter->journal = lm_strdup(options->journal);
    meter->model = lm_strdup(options->replica->model);
    meter->store = options->store;
    meter->ledger = options->ledger;
    meter->reservations = options->reservations;
    meter->slot = options->replica->journal_slot;
    memcpy(meter->replica_id, options->replica->id, LM_ID_BYTES);
    memcpy(meter->project_id, options->replica->project_id, LM_ID_BYTES);
    memcpy(meter->endpoint_id, options->replica->endpoint_id, LM_ID_BYTES);
    if (meter->journal && meter->model) {
        *out = meter;
        return LOAM_OK;
    }
    lm_meter_free(meter);
    return lm_error_no_memory(err, 1);
}

void lm_meter_free(lm_meter *meter) {
    if (!meter) return;
    lm_vec_deinit(&meter->booked);
    lm_free(meter->journal);
    lm_free(meter->model);
    lm_free(meter);
}

/* ---- one batch ---- */

static bool is_booked(const lm_meter *meter, int64_t slot) {
    size_t i = (size_t)(slot - meter->slot);
    return i < meter->booked.len && meter->booked.ptr[i];
}

/* Where the mark will stand once the chosen records are booked too. */
static int64_t mark_after(const batch *b) {
    int64_t slot = b->meter->slot;
    for (;; slot++) {
        bool chosen = slot >= b->first && slot < b->first + b->n && b->chosen[slot - b->first];
        if (!chosen && !is_booked(b->meter, slot)) return slot;
    }
}

static loam_status book_record(lm_db *db, batch *b, int64_t i, loam_error *err) {
    const lm_meter *meter = b->meter;
    const lm_usage_record *record = &b->records[i];
    int64_t end_ms = record->end_ms > record->start_ms ? record->end_ms : record->start_ms;
    lm_usage usage = {.reference = record->request_id,
                      .kind = LM_USAGE_REQUEST,
                      .project_id = meter->project_id,
                      .key_id = record->tag[0] ? record->tag : NULL,
                      .model = meter->model,
                      .endpoint_id = meter->endpoint_id,
                      .start_ms = record->start_ms,
                      .end_ms = end_ms,
                      .prompt_tokens = record->prompt_tokens,
                      .completion_tokens = record->completion_tokens,
                      .flops = record->flops,
                      .device_us = record->device_us};
    loam_status status = lm_ledger_book(meter->ledger, db, &usage, &b->bookings[i], err);
    if (status != LOAM_INVALID) return status;
    lm_log(LM_LOG_ERROR, "meter", "record '%s' of %s cannot be booked: %s", record->request_id,
           meter->replica_id, err ? err->message : "");
    b->bookings[i] = (lm_booking){0}; /* it never will be: go past it */
    return LOAM_OK;
}

static loam_status book_in_store(lm_db *db, void *arg, loam_error *err) {
    batch *b = arg;
    loam_error failure = {0};
    for (int64_t i = 0; i < b->n; i++) {
        if (!b->chosen[i]) continue;
        loam_status status = book_record(db, b, i, &failure);
        if (status == LOAM_OK) continue;
        if (err) *err = failure;
        return status;
    }
    return lm_replica_mark_journal(db, b->meter->replica_id, b->next_slot, err);
}

/* After the commit: the budgets learn what was really used. */
static void tell_budgets(const batch *b) {
    for (int64_t i = 0; i < b->n; i++) {
        const lm_usage_record *record = &b->records[i];
        if (!b->chosen[i] || !b->bookings[i].is_new || !record->tag[0] || !b->meter->reservations)
            continue;
        lm_reservations_booked(b->meter->reservations, record->request_id, record->tag,
                               record->prompt_tokens + record->completion_tokens,
                               b->bookings[i].amount_micros);
    }
}

/* After the commit: what is booked need not be looked at again. */
static loam_status remember(batch *b, loam_error *err) {
    lm_meter *meter = b->meter;
    if (b->torn) return LOAM_OK; /* the next pass books them again, which changes nothing */
    size_t wanted = (size_t)(b->first + b->n - meter->slot);
    if (wanted > meter->booked.len) {
        if (!lm_vec_reserve(&meter->booked, wanted - meter->booked.len))
            return lm_error_no_memory(err, wanted);
        memset(meter->booked.ptr + meter->booked.len, 0, wanted - meter->booked.len);
        meter->booked.len = wanted;
    }
    for (int64_t i = 0; i < b->n; i++) {
        const lm_usage_record *record = &b->records[i];
        if (!b->chosen[i]) continue;
        meter->booked.ptr[b->first + i - meter->slot] = true;
        meter->booked_tokens += record->completion_tokens;
    }
    size_t n_done = (size_t)(b->next_slot - meter->slot);
    memmove(meter->booked.ptr, meter->booked.ptr + n_done, meter->booked.len - n_done);
    meter->booked.len -= n_done;
    meter->slot = b->next_slot;
    return LOAM_OK;
}

static loam_status ingest_batch(batch *b, loam_error *err) {
    bool any = false;
    for (int64_t i = 0; i < b->n; i++) {
        const lm_usage_record *record = &b->records[i];
        if (!b->torn && is_booked(b->meter, b->first + i)) {
            b->chosen[i] = false;
            continue;
        }
        b->chosen[i] = record->finished || b->worker_is_dead;
        if (!b->chosen[i]) b->meter->open_tokens += record->completion_tokens;
        any = any || b->chosen[i];
    }
    if (!any) return LOAM_OK;
    b->next_slot = b->torn ? b->meter->slot : mark_after(b);
    LM_TRY(lm_store_call(b->meter->store, book_in_store, b, err));
    tell_budgets(b);
    return remember(b, err);
}

loam_status lm_meter_ingest(lm_meter *meter, bool worker_is_dead, loam_error *err) {
    if (!lm_file_exists(meter->journal))
        return LOAM_OK; /* a worker that died before its first breath */
    batch *b = lm_calloc(1, sizeof *b);
    if (!b) return lm_error_no_memory(err, sizeof *b);
    b->meter = meter;
    b->worker_is_dead = worker_is_dead;
    int64_t cursor = meter->slot;
    loam_status status = LOAM_OK;
    meter->open_tokens = 0;
    do {
        b->first = cursor;
        status = lm_usage_journal_read(meter->journal, &cursor, b->records, BATCH, &b->n, err);
        b->torn = cursor - b->first != b->n;
        if (status == LOAM_OK) status = ingest_batch(b, err);
    } while (status == LOAM_OK && b->n > 0);
    lm_free(b);
    if (meter->slot - meter->discarded >= DISCARD_SLOTS) {
        lm_usage_journal_discard(meter->journal, meter->slot);
        meter->discarded = meter->slot;
    }
    return status;
}

int64_t lm_meter_completion_tokens(const lm_meter *meter) {
    return meter->booked_tokens + meter->open_tokens;
}
