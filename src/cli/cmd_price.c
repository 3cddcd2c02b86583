/* loam price: prices and their effective dates. */
#include "cli/command.h"
#include "cli/rest_client.h"
#include "cli/time_arg.h"
#include "cloud/money.h"

typedef struct price_settings {
    lm_rest rest;
    const char *model, *unit, *currency, *from;
} price_settings;

static const lm_print_column columns[] = {
    {"id", "id", LM_CELL_TEXT},
    {"kind", "kind", LM_CELL_TEXT},
    {"model", "model", LM_CELL_TEXT},
    {"amount", "amount_micros", LM_CELL_PRICE},
    {"currency", "currency", LM_CELL_TEXT},
    {"per", "unit", LM_CELL_TEXT},
    {"effective", "effective_ms", LM_CELL_TIME},
    {NULL},
};

static int run_list(const void *settings, int n_args, char **args) {
    return lm_rest_print_list(&((const price_settings *)settings)->rest, "/prices", 0, columns);
}

static loam_status read_price(const price_settings *settings, char **args, json_t **out,
                              loam_error *err) {
    int64_t micros, from_ms;
    LM_TRY(lm_money_parse(args[1], &micros, err));
    json_t *body = json_pack("{s:s, s:I, s:s*, s:s*, s:s*}", "kind", args[0], "amount_micros",
                             (json_int_t)micros, "model", settings->model, "unit", settings->unit,
                             "currency", settings->currency);
    loam_status status = LOAM_OK;
    if (settings->from) status = lm_time_arg_parse("from", settings->from, &from_ms, err);
    if (settings->from && status == LOAM_OK)
        json_object_set_new(body, "effective_ms", json_integer(from_ms));
    if (status == LOAM_OK) {
        *out = body;
    } else {
        json_decref(body);
    }
    return status;
}

static int run_set(const void *settings_, int n_args, char **args) {
    const price_settings *settings = settings_;
    loam_error err = {0};
    json_t *body = NULL;
    if (read_price(settings, args, &body, &err) != LOAM_OK) return lm_cli_fail(&err);
    int code = lm_rest_print_object(&settings->rest, "POST", "/prices", body, columns);
    json_decref(body);
    return code;
}

#define AT(field) LM_OPTION_AT(price_settings, field)
static const price_settings defaults = {.rest = LM_REST_DEFAULTS};

static const lm_command list_command = {
    .name = "list",
    .summary = "list prices, the old ones too",
    .options = (const lm_option[]){LM_REST_OPTIONS(price_settings), LM_OPTIONS_END},
    .settings_bytes = sizeof(price_settings),
    .defaults = &defaults,
    .run = run_list,
};

static const lm_command set_command = {
    .name = "set",
    .summary = "set a price from a time on; what was booked before keeps its own",
    .usage = "<input_tokens|output_tokens|ph_leased> <amount>",
    .examples = "loam price set output_tokens 8.50 --model tiny\n    8.50 per million tokens that "
                "'tiny' writes\n"
                "loam price set ph_leased 120000 --unit p_year --from 2026-11-01\n    per PFLOPS "
                "leased for a year\n",
    .options =
        (const lm_option[]){
            {.name = "model",
             .type = LM_OPT_STRING,
             .arg = "NAME",
             .offset = AT(model),
             .help = "only for this model (default *: all without a price of their own)"},
            {.name = "unit",
             .type = LM_OPT_STRING,
             .arg = "UNIT",
             .offset = AT(unit),
             .help = "million_tokens for tokens; p_hour (default) or p_year for ph_leased"},
            {.name = "currency",
             .type = LM_OPT_STRING,
             .arg = "CODE",
             .offset = AT(currency),
             .help = "one for the whole cloud (default CNY)"},
            {.name = "from",
             .type = LM_OPT_STRING,
             .arg = "TIME",
             .offset = AT(from),
             .help = "when it takes effect, UTC (default now)"},
            LM_REST_OPTIONS(price_settings),
            LM_OPTIONS_END,
        },
    .min_args = 2,
    .max_args = 2,
    .settings_bytes = sizeof(price_settings),
    .defaults = &defaults,
    .run = run_set,
};

const lm_command lm_cmd_price = {
    .name = "price",
    .summary = "prices of tokens and of leased compute",
    .usage = "<subcommand>",
    .subcommands = (const lm_command *const[]){&list_command, &set_command, NULL},
};
