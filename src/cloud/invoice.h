/* Invoices: what a project owes for a month, line by line, drawn from the ledger whenever it is asked for.
 *
 * A line is all charges of one price and model; its amount is their sum, so the lines of an invoice equal the month's ledger
 * exactly, to the micro-unit. A past hour's charges never change, so neither do their lines.
 */
#ifndef LM_CLOUD_INVOICE_H
#define LM_CLOUD_INVOICE_H

#include <jansson.h>

#include "cloud/month.h"
#include "cloud/table/price.h"
#include "cloud/table/project.h"
#include "cloud/table/usage.h"

typedef struct lm_invoice_line {
    lm_price price;
    lm_charge_sum sum;
    const char *description;            /* "output tokens, tiny-stories" */
    char quantity[LM_MONEY_TEXT_BYTES]; /* tokens, or P·h with twelve places */
} lm_invoice_line;

typedef struct lm_invoice {
    lm_project project;
    lm_month month;
    int64_t from_ms, to_ms; /* of the month */
    lm_invoice_line *lines; /* in the arena */
    size_t n_lines;
    lm_usage_sum usage; /* of the whole month */
    int64_t total_micros;
    const char *currency;
    bool complete; /* the month is over */
} lm_invoice;

extern const char *const lm_invoice_state_names[]; /* open, closed */

/* Everything lives in the arena. `currency` is named when there are no lines. */
loam_status lm_invoice_make(lm_db *db, const char *project_id, lm_month month, const char *currency,
                            lm_arena *arena, lm_invoice *out, loam_error *err) LM_MUST_USE;

/* The three forms. */
json_t *lm_invoice_json(const lm_invoice *invoice) LM_MUST_USE;
void lm_invoice_csv(const lm_invoice *invoice, lm_buf *out);
void lm_invoice_html(const lm_invoice *invoice, lm_buf *out); /* one page to print */

#endif
