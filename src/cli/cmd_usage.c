/* loam usage: what was used. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/rest_client.h"
#include "cli/time_arg.h"

typedef struct usage_settings {
    lm_rest rest;
    const char *group_by, *from, *to, *model;
    double pflops;
    int64_t limit;
} usage_settings;

static const lm_print_column sum_columns[] = {
    {"group", "group", LM_CELL_TEXT},
    {"requests", "requests", LM_CELL_COUNT},
    {"input tokens", "input_tokens", LM_CELL_COUNT},
    {"output tokens", "output_tokens", LM_CELL_COUNT},
    {"device ms", "device_ms", LM_CELL_COUNT},
    {"P·h leased", "ph_leased", LM_CELL_NUMBER},
    {"P·h delivered", "ph_delivered", LM_CELL_NUMBER},
    {"amount", "amount_micros", LM_CELL_MICROS},
    {"currency", "currency", LM_CELL_TEXT},
    {NULL},
};
static const lm_print_column record_columns[] = {
    {"id", "id", LM_CELL_TEXT},
    {"kind", "kind", LM_CELL_TEXT},
    {"model", "model", LM_CELL_TEXT},
    {"start", "start_ms", LM_CELL_TIME},
    {"end", "end_ms", LM_CELL_TIME},
    {"input tokens", "prompt_tokens", LM_CELL_COUNT},
    {"output tokens", "completion_tokens", LM_CELL_COUNT},
    {"FLOPs", "flops", LM_CELL_COUNT},
    {"amount", "amount_micros", LM_CELL_MICROS},
    {NULL},
};

/* "&name=<epoch ms>" when the option was given. */
static loam_status put_time(lm_buf *path, const char *option, const char *name, const char *text,
                            loam_error *err) {
    int64_t epoch_ms;
    if (!text) return LOAM_OK;
    LM_TRY(lm_time_arg_parse(option, text, &epoch_ms, err));
    lm_buf_printf(path, "&%s=%lld", name, (long long)epoch_ms);
    return LOAM_OK;
}

static int run_sum(const void *settings_, int n_args, char **args) {
    const usage_settings *settings = settings_;
    loam_error err = {0};
    lm_buf path;
    lm_buf_init(&path, 1024);
    lm_buf_puts(&path, "/usage?group_by=");
    lm_buf_put_percent(&path, settings->group_by, "");
    loam_status status = put_time(&path, "from", "from_ms", settings->from, &err);
    if (status == LOAM_OK) status = put_time(&path, "to", "to_ms", settings->to, &err);
    int code = status == LOAM_OK
                   ? lm_rest_print_list(&settings->rest, lm_buf_cstr(&path), 0, sum_columns)
                   : lm_cli_fail(&err);
    lm_buf_deinit(&path);
    return code;
}

static int run_records(const void *settings_, int n_args, char **args) {
    const usage_settings *settings = settings_;
    return lm_rest_print_list(&settings->rest, "/usage/records?order=desc", settings->limit,
                              record_columns);
}

static loam_status read_lease(const usage_settings *settings, const char *reference, json_t **out,
                              loam_error *err) {
    int64_t from_ms, to_ms;
    if (!settings->from || !settings->to || settings->pflops <= 0)
        return lm_error_set(err, LOAM_INVALID, "a lease needs --pflops, --from and --to");
    LM_TRY(lm_time_arg_parse("from", settings->from, &from_ms, err));
    LM_TRY(lm_time_arg_parse("to", settings->to, &to_ms, err));
    *out = json_pack("{s:s, s:I, s:I, s:I, s:s*}", "reference", reference, "start_ms",
                     (json_int_t)from_ms, "end_ms", (json_int_t)to_ms, "peak_flops",
                     (json_int_t)(settings->pflops * 1e15 + 0.5), "model", settings->model);
    return *out ? LOAM_OK : lm_error_no_memory(err, 0);
}

static int run_lease(const void *settings_, int n_args, char **args) {
    const usage_settings *settings = settings_;
    loam_error err = {0};
    json_t *body = NULL;
    if (read_lease(settings, args[0], &body, &err) != LOAM_OK) return lm_cli_fail(&err);
    int code =
        lm_rest_print_object(&settings->rest, "POST", "/usage/records", body, record_columns);
    json_decref(body);
    return code;
}

#define AT(field) LM_OPTION_AT(usage_settings, field)
static const lm_option sum_options[] = {
    {.name = "by",
     .type = LM_OPT_STRING,
     .arg = "GROUP",
     .offset = AT(group_by),
     .help = "day, model or key (default day)"},
    {.name = "from",
     .type = LM_OPT_STRING,
     .arg = "TIME",
     .offset = AT(from),
     .help = "first moment, 2026-11-01 (default: start of this month, UTC)"},
    {.name = "to",
     .type = LM_OPT_STRING,
     .arg = "TIME",
     .offset = AT(to),
     .help = "moment behind the last (default: open)"},
    LM_REST_OPTIONS(usage_settings),
    LM_OPTIONS_END,
};
static const lm_option record_options[] = {
    {.name = "limit",
     .short_name = 'n',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(limit),
     .min = 1,
     .max = 1e6,
     .help = "records at most, the newest first (default 50)"},
    LM_REST_OPTIONS(usage_settings),
    LM_OPTIONS_END,
};
static const lm_option lease_options[] = {
    {.name = "pflops",
     .type = LM_OPT_FLOAT,
     .arg = "X",
     .offset = AT(pflops),
     .max = 1000,
     .help = "peak of what is leased"},
    {.name = "from",
     .type = LM_OPT_STRING,
     .arg = "TIME",
     .offset = AT(from),
     .help = "start of the lease (UTC)"},
    {.name = "to",
     .type = LM_OPT_STRING,
     .arg = "TIME",
     .offset = AT(to),
     .help = "end of the lease (UTC)"},
    {.name = "model",
     .type = LM_OPT_STRING,
     .arg = "NAME",
     .offset = AT(model),
     .help = "model whose own price applies (default: the general price)"},
    LM_REST_OPTIONS(usage_settings),
    LM_OPTIONS_END,
};
static const usage_settings defaults = {.rest = LM_REST_DEFAULTS, .group_by = "day", .limit = 50};

LM_REST_COMMAND(sum_command, usage_settings, "sum", "sum up usage by day, model or key", NULL,
                sum_options, 0, run_sum);
LM_REST_COMMAND(records_command, usage_settings, "records",
                "list the ledger's records, the newest first", NULL, record_options, 0,
                run_records);
LM_REST_COMMAND(lease_command, usage_settings, "lease",
                "book compute leased elsewhere; a reference is booked once", "<reference>",
                lease_options, 1, run_lease);

static const lm_command *const subcommands[] = {&sum_command, &records_command, &lease_command,
                                                NULL};

const lm_command lm_cmd_usage = {
    .name = "usage",
    .summary = "what was used: tokens, FLOPs, leased compute",
    .usage = "<subcommand>",
    .subcommands = subcommands,
};
