/* loam invoice: what a project owes, month by month. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "cli/rest_client.h"
#include "cloud/money.h"

typedef struct invoice_settings {
    lm_rest rest;
    const char *format;
} invoice_settings;

enum { TEXT_MAX_BYTES = 64 << 20, PATH_BYTES = 256 };

static const lm_print_column list_columns[] = {
    {"month", "month", LM_CELL_TEXT},
    {"state", "state", LM_CELL_TEXT},
    {"P·h leased", "ph_leased", LM_CELL_NUMBER},
    {"P·h delivered", "ph_delivered", LM_CELL_NUMBER},
    {"total", "total_micros", LM_CELL_MONEY},
    {"currency", "currency", LM_CELL_TEXT},
    {NULL},
};
static const lm_print_column line_columns[] = {
    {"what", "description", LM_CELL_TEXT},
    {"from", "from_ms", LM_CELL_TIME},
    {"to", "to_ms", LM_CELL_TIME},
    {"quantity", "quantity", LM_CELL_TEXT},
    {"price", "unit_price_micros", LM_CELL_PRICE},
    {"per", "unit", LM_CELL_TEXT},
    {"amount", "amount_micros", LM_CELL_MICROS},
    {NULL},
};

static int run_list(const void *settings, int n_args, char **args) {
    return lm_rest_print_list(&((const invoice_settings *)settings)->rest, "/invoices", 0,
                              list_columns);
}

static void print_invoice(const json_t *invoice) {
    char total[LM_MONEY_TEXT_BYTES];
    lm_money_format(json_integer_value(json_object_get(invoice, "total_micros")),
                    json_string_value(json_object_get(invoice, "currency")), total);
    printf("invoice %s of project %s (%s)\n\n",
           json_string_value(json_object_get(invoice, "month")),
           json_string_value(json_object_get(invoice, "project_name")),
           json_string_value(json_object_get(invoice, "state")));
    lm_print_table(line_columns, json_object_get(invoice, "lines"));
    printf("\ntotal %s; P·h leased %.6g, delivered %.6g\n", total,
           json_number_value(json_object_get(invoice, "ph_leased")),
           json_number_value(json_object_get(invoice, "ph_delivered")));
}

static int show_text(const invoice_settings *settings, const char *path) {
    loam_error err = {0};
    lm_buf text;
    lm_buf_init(&text, TEXT_MAX_BYTES);
    loam_status status = lm_rest_text(&settings->rest, path, &text, &err);
    if (status == LOAM_OK) fwrite(lm_buf_cstr(&text), 1, text.len, stdout);
    lm_buf_deinit(&text);
    return status == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

static int run_show(const void *settings_, int n_args, char **args) {
    const invoice_settings *settings = settings_;
    char month[32], path[PATH_BYTES];
    time_t now = time(NULL);
    struct tm parts;
    strftime(month, sizeof month, "%Y-%m", gmtime_r(&now, &parts));
    snprintf(path, sizeof path, "/invoices/%.32s%s%.16s", n_args ? args[0] : month,
             settings->format ? "?format=" : "", settings->format ? settings->format : "");
    if (settings->format && strcmp(settings->format, "json") != 0) return show_text(settings, path);
    loam_error err = {0};
    json_t *invoice = NULL;
    if (lm_rest_call(&settings->rest, "GET", path, NULL, &invoice, &err) != LOAM_OK)
        return lm_cli_fail(&err);
    if (settings->rest.json || settings->format) {
        json_dumpf(invoice, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_invoice(invoice);
    }
    json_decref(invoice);
    return LM_EXIT_OK;
}

static const invoice_settings defaults = {.rest = LM_REST_DEFAULTS};

static const lm_command list_command = {
    .name = "list",
    .summary = "list the project's invoices, the newest first",
    .options = (const lm_option[]){LM_REST_OPTIONS(invoice_settings), LM_OPTIONS_END},
    .settings_bytes = sizeof(invoice_settings),
    .defaults = &defaults,
    .run = run_list,
};

static const lm_command show_command = {
    .name = "show",
    .summary = "show an invoice line by line (default: this month's)",
    .usage = "[month]",
    .examples = "loam invoice show 2026-11 --format html > invoice.html\n    a page to print\n",
    .options =
        (const lm_option[]){
            {.name = "format",
             .short_name = 'f',
             .type = LM_OPT_STRING,
             .arg = "FORMAT",
             .offset = LM_OPTION_AT(invoice_settings, format),
             .help = "json, csv or html (default: a table)"},
            LM_REST_OPTIONS(invoice_settings),
            LM_OPTIONS_END,
        },
    .max_args = 1,
    .settings_bytes = sizeof(invoice_settings),
    .defaults = &defaults,
    .run = run_show,
};

const lm_command lm_cmd_invoice = {
    .name = "invoice",
    .summary = "what the project owes, month by month",
    .usage = "<subcommand>",
    .subcommands = (const lm_command *const[]){&list_command, &show_command, NULL},
};
