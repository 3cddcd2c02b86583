#include "cloud/table/usage.h"

#include <stdio.h>

#include "base/clock.h"

const char *const lm_usage_kind_names[] = {LM_USAGE_REQUEST, LM_USAGE_RUN, LM_USAGE_REPLICA,
                                           LM_USAGE_LEASE, NULL};
const char *const lm_usage_group_names[] = {
    [LM_USAGE_BY_DAY] = "day", [LM_USAGE_BY_MODEL] = "model", [LM_USAGE_BY_KEY] = "key", NULL};

static const lm_column usage_columns[] = {
    LM_COLUMN(lm_usage, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_usage, reference, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_usage, kind, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_usage, project_id, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_usage, key_id, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_usage, model, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_usage, endpoint_id, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_usage, job_id, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_usage, start_ms, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_usage, end_ms, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_usage, prompt_tokens, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_usage, completion_tokens, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_usage, flops, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_usage, device_us, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_usage, peak_flops, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_usage, amount_micros, LM_COLUMN_I64, 0),
};
const lm_table lm_usage_table = LM_TABLE("usage_record", lm_usage, usage_columns);

static const lm_column charge_columns[] = {
    LM_COLUMN(lm_charge, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_charge, usage_id, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_charge, project_id, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_charge, price_id, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_charge, model, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_charge, from_ms, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_charge, to_ms, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_charge, tokens, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_charge, peak_flops, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_charge, amount_micros, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_charge, currency, LM_COLUMN_TEXT, 0),
};
const lm_table lm_charge_table = LM_TABLE("charge", lm_charge, charge_columns);

loam_status lm_usage_exists(lm_db *db, const char *reference, bool *out, loam_error *err) {
    int64_t n;
    LM_TRY(lm_db_number(db, "SELECT COUNT(*) FROM usage_record WHERE reference = ?",
                        LM_VALUES(lm_text(reference)), &n, err));
    *out = n > 0;
    return LOAM_OK;
}

loam_status lm_usage_find(lm_db *db, const char *reference, lm_arena *arena, lm_usage *out,
                          loam_error *err) {
    return lm_table_find(db, &lm_usage_table, "reference = ?", LM_VALUES(lm_text(reference)), arena,
                         out, err);
}

loam_status lm_usage_page(lm_db *db, const char *project_id, const lm_page *page, lm_arena *arena,
                          lm_list *out, const char **out_next, loam_error *err) {
    return lm_table_page(db, &lm_usage_table, "project_id = ?", LM_VALUES(lm_text(project_id)),
                         page, arena, out, out_next, err);
}

loam_status lm_usage_first_ms(lm_db *db, const char *project_id, int64_t *out, loam_error *err) {
    return lm_db_number(db, "SELECT MIN(start_ms) FROM usage_record WHERE project_id = ?",
                        LM_VALUES(lm_text(project_id)), out, err);
}

/* SUM must fit 64 bits: FLOPs are summed in two parts, leases by equal peaks, and put together here. */
#define FLOPS_PART "1000000000"
enum { FLOPS_PART_SIZE = 1000000000 };

#define SUMS_OF(group)                                                           \
    "SELECT " group ", peak_flops, SUM(CASE WHEN kind = '" LM_USAGE_REQUEST      \
    "' THEN 1 ELSE 0 END),"                                                      \
    " SUM(prompt_tokens), SUM(completion_tokens), SUM(device_us),"               \
    " SUM(amount_micros), SUM(flops / " FLOPS_PART "), SUM(flops % " FLOPS_PART  \
    "), SUM(end_ms - start_ms)"                                                  \
    " FROM usage_record WHERE project_id = ? AND start_ms >= ? AND start_ms < ?" \
    " GROUP BY 1, peak_flops ORDER BY 1, peak_flops"

static const char *const sums_sql[] = {
    [LM_USAGE_BY_DAY] = SUMS_OF("start_ms / 86400000"),
    [LM_USAGE_BY_MODEL] = SUMS_OF("model"),
    [LM_USAGE_BY_KEY] = SUMS_OF("COALESCE(key_id, '')"),
    [LM_USAGE_IN_ALL] = SUMS_OF("kind"),
};

static const char *group_text(const lm_rows *rows, lm_usage_group group, lm_arena *arena) {
    lm_str text = lm_row_text(rows, 0);
    char day[LM_TIME_TEXT_BYTES];
    switch (group) {
    case LM_USAGE_BY_DAY:
        lm_clock_format(lm_row_i64(rows, 0) * 86400000, day);
        return lm_arena_strndup(arena, day, strlen("2026-11-22"));
    case LM_USAGE_IN_ALL: return "";
    default: return lm_arena_strndup(arena, text.ptr, text.len);
    }
}

static void add_row(lm_usage_sum *sum, const lm_rows *rows) {
    sum->n_requests += lm_row_i64(rows, 2);
    sum->prompt_tokens += lm_row_i64(rows, 3);
    sum->completion_tokens += lm_row_i64(rows, 4);
    sum->device_us += lm_row_i64(rows, 5);
    sum->amount_micros += lm_row_i64(rows, 6);
    sum->flops += (lm_u128)lm_row_i64(rows, 7) * FLOPS_PART_SIZE + (lm_u128)lm_row_i64(rows, 8);
    sum->leased_flops_ms += (lm_u128)lm_row_i64(rows, 1) * (lm_u128)lm_row_i64(rows, 9);
}

loam_status lm_usage_sum_up(lm_db *db, const lm_usage_span *span, lm_usage_group group,
                            lm_arena *arena, lm_usage_sums *out, loam_error *err) {
    lm_rows rows;
    LM_TRY(lm_db_query(
        db, sums_sql[group],
        LM_VALUES(lm_text(span->project_id), lm_i64(span->from_ms), lm_i64(span->to_ms)), &rows,
        err));
    loam_status status = LOAM_OK;
    while (status == LOAM_OK && lm_rows_next(&rows)) {
        const char *name = group_text(&rows, group, arena);
        bool is_same = out->len && name && strcmp(out->ptr[out->len - 1].group, name) == 0;
        if (!name || (!is_same && !lm_vec_push(out, ((lm_usage_sum){.group = name})))) {
            status = lm_error_no_memory(err, 0);
        } else {
            add_row(&out->ptr[out->len - 1], &rows);
        }
    }
    loam_status ended = lm_rows_end(&rows, status == LOAM_OK ? err : NULL);
    return status == LOAM_OK ? ended : status;
}

double lm_usage_ph_delivered(const lm_usage_sum *sum) {
    return (double)sum->flops / 3.6e18;
}

double lm_usage_ph_leased(const lm_usage_sum *sum) {
    return (double)sum->leased_flops_ms / 3.6e21;
}

static loam_status add_charge_row(lm_charge_sums *sums, const lm_rows *rows, lm_arena *arena,
                                  loam_error *err) {
    lm_str price_id = lm_row_text(rows, 0), model = lm_row_text(rows, 1),
           currency = lm_row_text(rows, 9);
    lm_charge_sum *last = sums->len ? &sums->ptr[sums->len - 1] : NULL;
    if (!last || !lm_str_is(price_id, last->price_id) || !lm_str_is(model, last->model)) {
        lm_charge_sum sum = {.price_id = lm_arena_strndup(arena, price_id.ptr, price_id.len),
                             .model = lm_arena_strndup(arena, model.ptr, model.len),
                             .currency = lm_arena_strndup(arena, currency.ptr, currency.len),
                             .from_ms = lm_row_i64(rows, 3)};
        if (!sum.price_id || !sum.model || !sum.currency || !lm_vec_push(sums, sum))
            return lm_error_no_memory(err, 0);
        last = &sums->ptr[sums->len - 1];
    }
    if (lm_row_i64(rows, 3) < last->from_ms) last->from_ms = lm_row_i64(rows, 3);
    if (lm_row_i64(rows, 4) > last->to_ms) last->to_ms = lm_row_i64(rows, 4);
    last->n_charges += lm_row_i64(rows, 5);
    last->tokens += lm_row_i64(rows, 6);
    last->amount_micros += lm_row_i64(rows, 7);
    last->leased_flops_ms += (lm_u128)lm_row_i64(rows, 2) * (lm_u128)lm_row_i64(rows, 8);
    return LOAM_OK;
}

loam_status lm_charge_sum_up(lm_db *db, const lm_usage_span *span, lm_arena *arena,
                             lm_charge_sums *out, loam_error *err) {
    lm_rows rows;
    LM_TRY(lm_db_query(
        db,
        "SELECT price_id, model, peak_flops, MIN(from_ms), MAX(to_ms), COUNT(*), SUM(tokens),"
        " SUM(amount_micros), SUM(to_ms - from_ms), MIN(currency) FROM charge"
        " WHERE project_id = ? AND from_ms >= ? AND from_ms < ?"
        " GROUP BY price_id, model, peak_flops ORDER BY price_id, model, peak_flops",
        LM_VALUES(lm_text(span->project_id), lm_i64(span->from_ms), lm_i64(span->to_ms)), &rows,
        err));
    loam_status status = LOAM_OK;
    while (status == LOAM_OK && lm_rows_next(&rows))
        status = add_charge_row(out, &rows, arena, err);
    loam_status ended = lm_rows_end(&rows, status == LOAM_OK ? err : NULL);
    return status == LOAM_OK ? ended : status;
}
