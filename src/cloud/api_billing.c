/* Prices, usage, and the invoices that follow from both. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "cloud/cloud.h"
#include "cloud/invoice.h"
#include "cloud/price_book.h"

#define COUNT_MAX INT64_C(9007199254740991)
#define PEAK_MAX INT64_C(1000000000000000000) /* 1 EFLOPS */

static const lm_field price_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "prc"},
    {.name = "kind", .type = LM_FIELD_STRING, .required = true, .choices = lm_price_kind_names},
    {.name = "model", .type = LM_FIELD_STRING, .required = true, .min = 1, .max = 128},
    {.name = "unit", .type = LM_FIELD_STRING, .required = true, .choices = lm_price_unit_names},
    {.name = "amount_micros", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "currency", .type = LM_FIELD_STRING, .required = true},
    {.name = "effective_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "created_ms", .type = LM_FIELD_INTEGER, .required = true},
};
static const lm_schema price_schema = LM_SCHEMA("Price", price_fields);

static const lm_field new_price_fields[] = {
    {.name = "kind", .type = LM_FIELD_STRING, .required = true, .choices = lm_price_kind_names},
    {.name = "model",
     .type = LM_FIELD_STRING,
     .min = 1,
     .max = 128,
     .help = "a model's name, or * for all without an own price"},
    {.name = "unit",
     .type = LM_FIELD_STRING,
     .choices = lm_price_unit_names,
     .help = "million_tokens for tokens; p_hour (if not given) or p_year of 365 days for compute"},
    {.name = "amount_micros",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .max = COUNT_MAX,
     .help = "per unit"},
    {.name = "currency",
     .type = LM_FIELD_STRING,
     .pattern = "^[A-Z]{3,8}$",
     .help = "CNY if not given; one for the whole cloud"},
    {.name = "effective_ms",
     .type = LM_FIELD_INTEGER,
     .max = COUNT_MAX,
     .help = "from when on; now if not given"},
};
static const lm_schema new_price_schema = LM_SCHEMA("NewPrice", new_price_fields);

static loam_status list_prices(lm_api_ctx *ctx, loam_error *err) {
    lm_page page = lm_api_page(ctx);
    lm_list list;
    const char *next;
    LM_TRY(lm_price_page(ctx->db, &page, ctx->arena, &list, &next, err));
    return lm_api_reply_list(ctx, lm_list_json(&list), next, err);
}

static void reload_prices(lm_cloud *cloud, void *arg) {
    loam_error err = {0};
    if (lm_ledger_load(cloud->ledger, lm_store_db(cloud->store), &err) != LOAM_OK)
        lm_log_error(LM_LOG_ERROR, "api", &err);
}

static loam_status check_price(lm_api_ctx *ctx, const lm_price *price, loam_error *err) {
    if (!lm_price_unit_fits(price->kind, price->unit))
        return lm_error_set(err, LOAM_INVALID, "body.unit: %s is not priced per %s", price->kind,
                            price->unit);
    char present[LM_CURRENCY_BYTES];
    if (lm_ledger_currency(ctx->cloud->ledger, present) && strcmp(present, price->currency) != 0)
        return lm_error_set(err, LOAM_CONFLICT, "this cloud counts in %s, not in %s", present,
                            price->currency);
    return LOAM_OK;
}

static loam_status create_price(lm_api_ctx *ctx, loam_error *err) {
    lm_price price = {
        .kind = lm_api_str(ctx->body, "kind", ""),
        .model = lm_api_str(ctx->body, "model", "*"),
        .amount_micros = lm_api_i64(ctx->body, "amount_micros", 0),
        .currency = lm_api_str(ctx->body, "currency", LM_CURRENCY_DEFAULT),
        .created_ms = lm_clock_epoch_ms(),
    };
    bool is_compute = strcmp(price.kind, lm_price_kind_names[LM_PRICE_PH_LEASED]) == 0;
    price.unit = lm_api_str(ctx->body, "unit", is_compute ? "p_hour" : "million_tokens");
    price.effective_ms = lm_api_i64(ctx->body, "effective_ms", price.created_ms);
    LM_TRY(check_price(ctx, &price, err));
    lm_api_new_id(ctx, "prc", price.id);
    LM_TRY(lm_table_insert(ctx->db, &lm_price_table, &price, err));
    LM_TRY(lm_api_reply_row(ctx, &lm_price_table, &price, err));
    LM_TRY(lm_api_event(ctx, "price.create", price.id, NULL, ctx->reply, err));
    lm_api_after_commit(ctx, reload_prices, NULL);
    return LOAM_OK;
}

static const lm_field usage_sum_fields[] = {
    {.name = "group", .type = LM_FIELD_STRING, .required = true, .help = "day (UTC), model or key"},
    {.name = "requests",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .help = "requests to endpoints"},
    {.name = "input_tokens", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "output_tokens", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "device_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "flops", .type = LM_FIELD_NUMBER, .required = true, .help = "delivered"},
    {.name = "ph_leased", .type = LM_FIELD_NUMBER, .required = true},
    {.name = "ph_delivered", .type = LM_FIELD_NUMBER, .required = true},
    {.name = "amount_micros", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "currency", .type = LM_FIELD_STRING, .required = true},
};
static const lm_schema usage_sum_schema = LM_SCHEMA("UsageSum", usage_sum_fields);

static const lm_field usage_query_fields[] = {
    {.name = "from_ms",
     .type = LM_FIELD_INTEGER,
     .help = "first moment; the start of this month if not given"},
    {.name = "to_ms",
     .type = LM_FIELD_INTEGER,
     .help = "moment behind the last; open if not given"},
    {.name = "group_by",
     .type = LM_FIELD_STRING,
     .choices = lm_usage_group_names,
     .help = "day if not given"},
};
static const lm_schema usage_query_schema = LM_SCHEMA("UsageQuery", usage_query_fields);

static json_t *usage_sum_json(const lm_usage_sum *sum, const char *currency) {
    enum { US_PER_MS = 1000 };
    return json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:I, s:s}", "group", sum->group, "requests",
        (json_int_t)sum->n_requests, "input_tokens", (json_int_t)sum->prompt_tokens,
        "output_tokens", (json_int_t)sum->completion_tokens, "device_ms",
        (json_int_t)(sum->device_us / US_PER_MS), "flops", (double)sum->flops, "ph_leased",
        lm_usage_ph_leased(sum), "ph_delivered", lm_usage_ph_delivered(sum), "amount_micros",
        (json_int_t)sum->amount_micros, "currency", currency);
}

static lm_usage_group group_asked(const lm_api_ctx *ctx) {
    const char *name = lm_api_str(ctx->query, "group_by", "day");
    for (int i = 0; lm_usage_group_names[i]; i++) {
        if (strcmp(lm_usage_group_names[i], name) == 0) return (lm_usage_group)i;
    }
    return LM_USAGE_BY_DAY;
}

static loam_status sum_usage(lm_api_ctx *ctx, loam_error *err) {
    int64_t month_ms = lm_month_start_ms(lm_month_of(lm_clock_epoch_ms()));
    lm_usage_span span = {ctx->caller.project_id, lm_api_i64(ctx->query, "from_ms", month_ms),
                          lm_api_i64(ctx->query, "to_ms", INT64_MAX)};
    char currency[LM_CURRENCY_BYTES];
    lm_ledger_currency(ctx->cloud->ledger, currency);
    lm_usage_sums sums = {0};
    loam_status status = lm_usage_sum_up(ctx->db, &span, group_asked(ctx), ctx->arena, &sums, err);
    json_t *data = json_array();
    for (size_t i = 0; i < sums.len; i++)
        json_array_append_new(data, usage_sum_json(&sums.ptr[i], currency));
    lm_vec_deinit(&sums);
    if (status != LOAM_OK) {
        json_decref(data);
        return status;
    }
    return lm_api_reply_list(ctx, data, NULL, err);
}

static const lm_field record_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "use"},
    {.name = "reference",
     .type = LM_FIELD_STRING,
     .required = true,
     .help = "names what is billed; unique"},
    {.name = "kind", .type = LM_FIELD_STRING, .required = true, .choices = lm_usage_kind_names},
    {.name = "project_id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "prj"},
    {.name = "key_id", .type = LM_FIELD_STRING, .required = true, .nullable = true},
    {.name = "model", .type = LM_FIELD_STRING, .required = true},
    {.name = "endpoint_id", .type = LM_FIELD_STRING, .required = true, .nullable = true},
    {.name = "job_id", .type = LM_FIELD_STRING, .required = true, .nullable = true},
    {.name = "start_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "end_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "prompt_tokens", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "completion_tokens", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "flops",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .max = INT64_MAX,
     .help = "delivered"},
    {.name = "device_us", .type = LM_FIELD_INTEGER, .required = true, .max = INT64_MAX},
    {.name = "peak_flops",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .max = INT64_MAX,
     .help = "leased from start to end"},
    {.name = "amount_micros", .type = LM_FIELD_INTEGER, .required = true, .max = INT64_MAX},
};
static const lm_schema record_schema = LM_SCHEMA("UsageRecord", record_fields);

static const lm_field new_lease_fields[] = {
    {.name = "reference",
     .type = LM_FIELD_STRING,
     .required = true,
     .min = 1,
     .max = 64,
     .help = "names the lease; the same one is booked once"},
    {.name = "model",
     .type = LM_FIELD_STRING,
     .max = 128,
     .help = "for which model's price, if it has one of its own"},
    {.name = "start_ms",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .min = 1,
     .max = INT64_C(4102444800000)},
    {.name = "end_ms",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .min = 1,
     .max = INT64_C(4102444800000)},
    {.name = "peak_flops", .type = LM_FIELD_INTEGER, .required = true, .min = 1, .max = PEAK_MAX},
};
static const lm_schema new_lease_schema = LM_SCHEMA("NewLease", new_lease_fields);

static loam_status list_records(lm_api_ctx *ctx, loam_error *err) {
    lm_page page = lm_api_page(ctx);
    lm_list list;
    const char *next;
    LM_TRY(lm_usage_page(ctx->db, ctx->caller.project_id, &page, ctx->arena, &list, &next, err));
    return lm_api_reply_list(ctx, lm_list_json(&list), next, err);
}

/* Capacity that the operator leases elsewhere and passes on. */
static loam_status book_lease(lm_api_ctx *ctx, loam_error *err) {
    const char *reference = lm_arena_printf(ctx->arena, "lease/%s/%s", ctx->caller.project_id,
                                            lm_api_str(ctx->body, "reference", ""));
    if (!reference) return lm_error_no_memory(err, 0);
    if (strlen(reference) > LM_USAGE_REFERENCE_MAX)
        return lm_error_set(err, LOAM_INVALID, "body.reference has more than 64 bytes");
    lm_usage usage = {
        .reference = reference,
        .kind = LM_USAGE_LEASE,
        .project_id = ctx->caller.project_id,
        .model = lm_api_str(ctx->body, "model", ""),
        .start_ms = lm_api_i64(ctx->body, "start_ms", 0),
        .end_ms = lm_api_i64(ctx->body, "end_ms", 0),
        .peak_flops = lm_api_i64(ctx->body, "peak_flops", 0),
    };
    lm_booking booking;
    LM_TRY(lm_ledger_book(ctx->cloud->ledger, ctx->db, &usage, &booking, err));
    lm_usage record;
    LM_TRY(lm_usage_find(ctx->db, usage.reference, ctx->arena, &record, err));
    LM_TRY(lm_api_reply_row(ctx, &lm_usage_table, &record, err));
    return booking.is_new ? lm_api_event(ctx, "usage.lease", record.id, NULL, ctx->reply, err)
                          : LOAM_OK;
}

static const lm_field line_fields[] = {
    {.name = "description", .type = LM_FIELD_STRING, .required = true},
    {.name = "kind", .type = LM_FIELD_STRING, .required = true, .choices = lm_price_kind_names},
    {.name = "model", .type = LM_FIELD_STRING, .required = true},
    {.name = "price_id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "prc"},
    {.name = "unit", .type = LM_FIELD_STRING, .required = true, .choices = lm_price_unit_names},
    {.name = "unit_price_micros", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "quantity",
     .type = LM_FIELD_STRING,
     .required = true,
     .help = "tokens, or P·h with six places"},
    {.name = "from_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "to_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "amount_micros", .type = LM_FIELD_INTEGER, .required = true, .max = INT64_MAX},
};
static const lm_schema line_schema = LM_SCHEMA("InvoiceLine", line_fields);

static const lm_field invoice_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .help = "the month"},
    {.name = "month", .type = LM_FIELD_STRING, .required = true},
    {.name = "project_id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "prj"},
    {.name = "project_name", .type = LM_FIELD_STRING, .required = true},
    {.name = "state",
     .type = LM_FIELD_STRING,
     .required = true,
     .choices = lm_invoice_state_names,
     .help = "open until the month is over"},
    {.name = "from_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "to_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "currency", .type = LM_FIELD_STRING, .required = true},
    {.name = "total_micros", .type = LM_FIELD_INTEGER, .required = true, .max = INT64_MAX},
    {.name = "requests", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "input_tokens", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "output_tokens", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "ph_leased", .type = LM_FIELD_NUMBER, .required = true},
    {.name = "ph_delivered", .type = LM_FIELD_NUMBER, .required = true},
    {.name = "lines",
     .type = LM_FIELD_ARRAY,
     .required = true,
     .max = 1000000,
     .items = LM_FIELD_OBJECT,
     .schema = &line_schema},
};
static const lm_schema invoice_schema = LM_SCHEMA("Invoice", invoice_fields);

static const lm_field month_query_fields[] = {
    {.name = "month",
     .type = LM_FIELD_STRING,
     .pattern = "^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])$",
     .help = "only this month: 2026-11"},
};
static const lm_schema month_query_schema = LM_SCHEMA("InvoiceQuery", month_query_fields);

static const char *const format_names[] = {"json", "csv", "html", NULL};
static const lm_field format_query_fields[] = {
    {.name = "format",
     .type = LM_FIELD_STRING,
     .choices = format_names,
     .help = "json if not given; html is a page to print"},
};
static const lm_schema format_query_schema = LM_SCHEMA("InvoiceFormatQuery", format_query_fields);

static loam_status make_invoice(lm_api_ctx *ctx, lm_month month, lm_invoice *out, loam_error *err) {
    char currency[LM_CURRENCY_BYTES];
    lm_ledger_currency(ctx->cloud->ledger, currency);
    const char *copy = lm_arena_strndup(ctx->arena, currency, strlen(currency));
    if (!copy) return lm_error_no_memory(err, sizeof currency);
    return lm_invoice_make(ctx->db, ctx->caller.project_id, month, copy, ctx->arena, out, err);
}

/* Months from the first usage on, the newest first; or the one asked for. */
static loam_status list_invoices(lm_api_ctx *ctx, loam_error *err) {
    enum { MONTHS_MAX = 24 };
    lm_month month = lm_month_of(lm_clock_epoch_ms());
    int64_t first_ms;
    LM_TRY(lm_usage_first_ms(ctx->db, ctx->caller.project_id, &first_ms, err));
    const char *asked = lm_api_str(ctx->query, "month", NULL);
    if (asked && !lm_month_parse(asked, &month))
        return lm_error_set(err, LOAM_INVALID, "'%s' is not a month", asked);
    json_t *data = json_array();
    loam_status status = LOAM_OK;
    for (int i = 0; status == LOAM_OK && i < (asked ? 1 : MONTHS_MAX);
         i++, month = lm_month_before(month)) {
        lm_invoice invoice;
        if (!asked && (first_ms == 0 || lm_month_start_ms(lm_month_next(month)) <= first_ms)) break;
        status = make_invoice(ctx, month, &invoice, err);
        if (status == LOAM_OK) json_array_append_new(data, lm_invoice_json(&invoice));
    }
    if (status != LOAM_OK) {
        json_decref(data);
        return status;
    }
    return lm_api_reply_list(ctx, data, NULL, err);
}

static loam_status get_invoice(lm_api_ctx *ctx, loam_error *err) {
    lm_month month;
    lm_invoice invoice;
    if (!lm_month_parse(ctx->params[0], &month))
        return lm_error_set(err, LOAM_NOT_FOUND,
                            "no invoice '%.32s'; invoices are named by month: 2026-11",
                            ctx->params[0]);
    LM_TRY(make_invoice(ctx, month, &invoice, err));
    const char *format = lm_api_str(ctx->query, "format", "json");
    if (strcmp(format, "csv") == 0) {
        ctx->content_type = "text/csv; charset=utf-8";
        lm_invoice_csv(&invoice, &ctx->text);
        return LOAM_OK;
    }
    if (strcmp(format, "html") == 0) {
        ctx->content_type = "text/html; charset=utf-8";
        lm_invoice_html(&invoice, &ctx->text);
        return LOAM_OK;
    }
    return lm_api_reply(ctx, lm_invoice_json(&invoice), err);
}

static const lm_api_endpoint rows[] = {
    {.method = "GET",
     .path = "/prices",
     .scope = LM_SCOPE_BILLING,
     .reply = &price_schema,
     .shape = LM_API_LIST,
     .summary = "List prices, the old ones too",
     .handler = list_prices},
    {.method = "POST",
     .path = "/prices",
     .scope = LM_SCOPE_OPERATOR,
     .request = &new_price_schema,
     .reply = &price_schema,
     .http_status = 201,
     .summary = "Set a price from a time on",
     .handler = create_price},
    {.method = "GET",
     .path = "/usage",
     .scope = LM_SCOPE_BILLING,
     .reply = &usage_sum_schema,
     .query = &usage_query_schema,
     .shape = LM_API_LIST,
     .summary = "Sum up usage by day, model or key",
     .handler = sum_usage},
    {.method = "GET",
     .path = "/usage/records",
     .scope = LM_SCOPE_BILLING,
     .reply = &record_schema,
     .shape = LM_API_LIST,
     .summary = "List the ledger's usage records",
     .handler = list_records},
    {.method = "POST",
     .path = "/usage/records",
     .scope = LM_SCOPE_OPERATOR,
     .request = &new_lease_schema,
     .reply = &record_schema,
     .http_status = 201,
     .summary = "Book compute leased elsewhere",
     .handler = book_lease},
    {.method = "GET",
     .path = "/invoices",
     .scope = LM_SCOPE_BILLING,
     .reply = &invoice_schema,
     .query = &month_query_schema,
     .shape = LM_API_LIST,
     .summary = "List the project's invoices, the newest first",
     .handler = list_invoices},
    {.method = "GET",
     .path = "/invoices/{id}",
     .scope = LM_SCOPE_BILLING,
     .reply = &invoice_schema,
     .query = &format_query_schema,
     .has_texts = true,
     .summary = "Show the invoice of a month, as JSON, CSV or a page to print",
     .handler = get_invoice},
};
const lm_api_table lm_api_billing = LM_API_TABLE(rows);
