#include "cloud/invoice.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

enum { QUANTITY_PLACES = 12 };
#define FLOPS_MS_PER_PH ((lm_u128)1000000000000000 * 3600000)

const char *const lm_invoice_state_names[] = {"open", "closed", NULL};

/* What is sold, in words, by kind of price. */
static const char *const kind_words[] = {
    [LM_PRICE_INPUT_TOKENS] = "input tokens",
    [LM_PRICE_OUTPUT_TOKENS] = "output tokens",
    [LM_PRICE_PH_LEASED] = "compute leased",
};

static const char *describe(const lm_invoice_line *line, lm_arena *arena) {
    const char *words = line->price.kind;
    for (int kind = 0; lm_price_kind_names[kind]; kind++) {
        if (strcmp(lm_price_kind_names[kind], line->price.kind) == 0) words = kind_words[kind];
    }
    return lm_arena_printf(arena, "%s%s%s", words, *line->sum.model ? ", " : "", line->sum.model);
}

static bool is_compute(const lm_price *price) {
    return strcmp(price->kind, lm_price_kind_names[LM_PRICE_PH_LEASED]) == 0;
}

static loam_status make_line(lm_db *db, const lm_charge_sum *sum, lm_arena *arena,
                             lm_invoice_line *out, loam_error *err) {
    out->sum = *sum;
    LM_TRY(lm_price_find(db, sum->price_id, arena, &out->price, err));
    out->description = describe(out, arena);
    if (!out->description) return lm_error_no_memory(err, 0);
    if (is_compute(&out->price)) {
        lm_u128_format_scaled(sum->leased_flops_ms, FLOPS_MS_PER_PH, QUANTITY_PLACES,
                              out->quantity);
    } else {
        snprintf(out->quantity, sizeof out->quantity, "%" PRId64, sum->tokens);
    }
    return LOAM_OK;
}

static loam_status make_lines(lm_db *db, const lm_charge_sums *sums, lm_arena *arena,
                              lm_invoice *invoice, loam_error *err) {
    invoice->lines = lm_arena_calloc(arena, sums->len + 1, sizeof *invoice->lines);
    if (!invoice->lines) return lm_error_no_memory(err, sums->len * sizeof *invoice->lines);
    for (; invoice->n_lines < sums->len; invoice->n_lines++) {
        const lm_charge_sum *sum = &sums->ptr[invoice->n_lines];
        LM_TRY(make_line(db, sum, arena, &invoice->lines[invoice->n_lines], err));
        invoice->total_micros += sum->amount_micros;
        invoice->currency = sum->currency;
    }
    return LOAM_OK;
}

static loam_status read_usage(lm_db *db, const lm_usage_span *span, lm_arena *arena,
                              lm_usage_sum *out, loam_error *err) {
    lm_usage_sums sums = {0};
    loam_status status = lm_usage_sum_up(db, span, LM_USAGE_IN_ALL, arena, &sums, err);
    if (status == LOAM_OK) *out = sums.len ? sums.ptr[0] : (lm_usage_sum){.group = ""};
    lm_vec_deinit(&sums);
    return status;
}

loam_status lm_invoice_make(lm_db *db, const char *project_id, lm_month month, const char *currency,
                            lm_arena *arena, lm_invoice *out, loam_error *err) {
    lm_invoice invoice = {.month = month,
                          .from_ms = lm_month_start_ms(month),
                          .to_ms = lm_month_start_ms(lm_month_next(month)),
                          .currency = currency};
    invoice.complete = lm_clock_epoch_ms() >= invoice.to_ms;
    LM_TRY(lm_project_find(db, project_id, arena, &invoice.project, err));
    lm_usage_span span = {project_id, invoice.from_ms, invoice.to_ms};
    lm_charge_sums sums = {0};
    loam_status status = lm_charge_sum_up(db, &span, arena, &sums, err);
    if (status == LOAM_OK) status = make_lines(db, &sums, arena, &invoice, err);
    if (status == LOAM_OK) status = read_usage(db, &span, arena, &invoice.usage, err);
    lm_vec_deinit(&sums);
    if (status == LOAM_OK) *out = invoice;
    return status;
}

static json_t *line_json(const lm_invoice_line *line) {
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I}", "description",
                     line->description, "kind", line->price.kind, "model", line->sum.model,
                     "price_id", line->price.id, "unit", line->price.unit, "unit_price_micros",
                     (json_int_t)line->price.amount_micros, "quantity", line->quantity, "from_ms",
                     (json_int_t)line->sum.from_ms, "to_ms", (json_int_t)line->sum.to_ms,
                     "amount_micros", (json_int_t)line->sum.amount_micros);
}

json_t *lm_invoice_json(const lm_invoice *invoice) {
    char month[LM_MONTH_BYTES];
    lm_month_format(invoice->month, month);
    json_t *lines = json_array();
    for (size_t i = 0; i < invoice->n_lines; i++)
        json_array_append_new(lines, line_json(&invoice->lines[i]));
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:o}", "id", month,
        "month", month, "project_id", invoice->project.id, "project_name", invoice->project.name,
        "state", lm_invoice_state_names[invoice->complete], "from_ms", (json_int_t)invoice->from_ms,
        "to_ms", (json_int_t)invoice->to_ms, "currency", invoice->currency, "total_micros",
        (json_int_t)invoice->total_micros, "requests", (json_int_t)invoice->usage.n_requests,
        "input_tokens", (json_int_t)invoice->usage.prompt_tokens, "output_tokens",
        (json_int_t)invoice->usage.completion_tokens, "ph_leased",
        lm_usage_ph_leased(&invoice->usage), "ph_delivered", lm_usage_ph_delivered(&invoice->usage),
        "lines", lines);
}

/* A CSV field: in quotes, and never the beginning of a spreadsheet's formula. */
static void put_csv(lm_buf *out, const char *text) {
    lm_buf_putc(out, '"');
    if (*text && strchr("=+-@\t\r", *text)) lm_buf_putc(out, '\'');
    for (; *text; text++) {
        if (*text == '"') lm_buf_putc(out, '"');
        lm_buf_putc(out, *text);
    }
    lm_buf_putc(out, '"');
}

void lm_invoice_csv(const lm_invoice *invoice, lm_buf *out) {
    char month[LM_MONTH_BYTES], from[LM_TIME_TEXT_BYTES], to[LM_TIME_TEXT_BYTES],
        amount[LM_MONEY_TEXT_BYTES], price[LM_MONEY_TEXT_BYTES];
    lm_month_format(invoice->month, month);
    lm_buf_puts(out,
                "month,project,kind,model,from,to,quantity,unit,unit_price,amount,currency\r\n");
    for (size_t i = 0; i < invoice->n_lines; i++) {
        const lm_invoice_line *line = &invoice->lines[i];
        lm_clock_format(line->sum.from_ms, from);
        lm_clock_format(line->sum.to_ms, to);
        lm_money_format_exact(line->sum.amount_micros, amount);
        lm_money_format_exact(line->price.amount_micros, price);
        lm_buf_printf(out, "%s,", month);
        put_csv(out, invoice->project.name);
        lm_buf_printf(out, ",%s,", line->price.kind);
        put_csv(out, line->sum.model);
        lm_buf_printf(out, ",%s,%s,%s,%s,%s,%s,%s\r\n", from, to, line->quantity, line->price.unit,
                      price, amount, line->price.currency);
    }
}

static void put_html(lm_buf *out, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '<': lm_buf_puts(out, "&lt;"); break;
        case '>': lm_buf_puts(out, "&gt;"); break;
        case '&': lm_buf_puts(out, "&amp;"); break;
        case '"': lm_buf_puts(out, "&quot;"); break;
        default: lm_buf_putc(out, *text);
        }
    }
}

static const char html_head[] = "<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n"
                                "body{font:14px/1.5 sans-serif;max-width:50rem;margin:2rem "
                                "auto;padding:0 1rem;color:#111;background:#fff}\n"
                                "table{border-collapse:collapse;width:100%}th,td{padding:.35rem "
                                ".5rem;text-align:left;border-bottom:1px solid #ccc}\n"
                                ".n{text-align:right;font-variant-numeric:tabular-nums}tfoot "
                                "td{font-weight:bold;border-bottom:0}\n"
                                "@page{margin:2cm}\n</style>\n";

/* What a unit is called on paper. */
static const char *unit_words(const char *unit) {
    static const struct {
        const char *unit, *words;
    } all[] = {{"million_tokens", "per million tokens"},
               {"p_hour", "per P·hour"},
               {"p_year", "per P·year"}};
    for (size_t i = 0; i < LM_COUNT_OF(all); i++) {
        if (strcmp(all[i].unit, unit) == 0) return all[i].words;
    }
    return unit;
}

static void put_html_line(lm_buf *out, const lm_invoice_line *line) {
    char from[LM_TIME_TEXT_BYTES], to[LM_TIME_TEXT_BYTES], amount[LM_MONEY_TEXT_BYTES],
        price[LM_MONEY_TEXT_BYTES];
    enum { DAY_LEN = 10 };
    lm_clock_format(line->sum.from_ms, from);
    lm_clock_format(line->sum.to_ms, to);
    lm_money_format_full(line->sum.amount_micros, amount);
    lm_money_format_full(line->price.amount_micros, price);
    lm_buf_puts(out, "<tr><td>");
    put_html(out, line->description);
    lm_buf_printf(out,
                  "</td><td>%.*s – %.*s</td><td class=\"n\">%s%s</td><td "
                  "class=\"n\">%s<br><small>%s</small></td>"
                  "<td class=\"n\">%s</td></tr>\n",
                  DAY_LEN, from, DAY_LEN, to, line->quantity,
                  is_compute(&line->price) ? " P·h" : "", price, unit_words(line->price.unit),
                  amount);
}

static void put_html_usage(lm_buf *out, const lm_usage_sum *usage) {
    lm_buf_printf(out,
                  "<p>Leased %.6f P·h, delivered %.6f P·h; %" PRId64 " prompt tokens, %" PRId64
                  " completion tokens in %" PRId64 " records.</p>\n",
                  lm_usage_ph_leased(usage), lm_usage_ph_delivered(usage), usage->prompt_tokens,
                  usage->completion_tokens, usage->n_requests);
}

void lm_invoice_html(const lm_invoice *invoice, lm_buf *out) {
    char month[LM_MONTH_BYTES], total[LM_MONEY_TEXT_BYTES];
    lm_month_format(invoice->month, month);
    lm_money_format(invoice->total_micros, invoice->currency, total);
    lm_buf_printf(out,
                  "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Invoice "
                  "%s</title>\n%s",
                  month, html_head);
    lm_buf_printf(out, "<h1>Invoice %s</h1>\n<p>Project <strong>", month);
    put_html(out, invoice->project.name);
    lm_buf_printf(out, "</strong> (%s)%s</p>\n", invoice->project.id,
                  invoice->complete ? ""
                                    : ". The month is not over; this is what it holds so far.");
    lm_buf_puts(out,
                "<table>\n<thead><tr><th>What</th><th>When (UTC)</th><th class=\"n\">Quantity</th>"
                "<th class=\"n\">Price</th><th class=\"n\">Amount</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < invoice->n_lines; i++) put_html_line(out, &invoice->lines[i]);
    lm_buf_printf(out,
                  "</tbody>\n<tfoot><tr><td colspan=\"4\">Total</td><td "
                  "class=\"n\">%s</td></tr></tfoot>\n</table>\n",
                  total);
    put_html_usage(out, &invoice->usage);
    lm_buf_puts(out, "</html>\n");
}
