/* loam key: API keys. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/rest_client.h"
#include "cli/time_arg.h"
#include "cloud/money.h"

typedef struct key_settings {
    lm_rest rest;
    const char *role, *member, *expires, *money_budget;
    lm_option_list scopes;
    int64_t token_budget, requests_per_minute;
} key_settings;

static const lm_print_column list_columns[] = {
    {"id", "id", LM_CELL_TEXT},
    {"name", "name", LM_CELL_TEXT},
    {"role", "role", LM_CELL_TEXT},
    {"scopes", "scopes", LM_CELL_TEXT},
    {"expires", "expires_ms", LM_CELL_TIME},
    {"revoked", "revoked_ms", LM_CELL_TIME},
    {"tokens used", "tokens_used", LM_CELL_COUNT},
    {"of", "token_budget", LM_CELL_COUNT},
    {"money used", "money_used_micros", LM_CELL_MONEY},
    {"of", "money_budget_micros", LM_CELL_MONEY},
    {NULL},
};
static const lm_print_column columns[] = {
    {"id", "id", LM_CELL_TEXT},
    {"name", "name", LM_CELL_TEXT},
    {"project", "project_id", LM_CELL_TEXT},
    {"member", "member_id", LM_CELL_TEXT},
    {"role", "role", LM_CELL_TEXT},
    {"scopes", "scopes", LM_CELL_TEXT},
    {"created", "created_ms", LM_CELL_TIME},
    {"expires", "expires_ms", LM_CELL_TIME},
    {"revoked", "revoked_ms", LM_CELL_TIME},
    {"tokens used", "tokens_used", LM_CELL_COUNT},
    {"token budget", "token_budget", LM_CELL_COUNT},
    {"money used", "money_used_micros", LM_CELL_MONEY},
    {"money budget", "money_budget_micros", LM_CELL_MONEY},
    {"requests a minute", "requests_per_minute", LM_CELL_COUNT},
    {NULL},
};

static int run_list(const void *settings, int n_args, char **args) {
    return lm_rest_print_list(&((const key_settings *)settings)->rest, "/keys", 0, list_columns);
}

/* Limits that were given; those that were not stay absent. */
static loam_status put_limits(const key_settings *settings, json_t *body, loam_error *err) {
    int64_t expires_ms, micros;
    if (settings->expires) {
        LM_TRY(lm_time_arg_parse("expires", settings->expires, &expires_ms, err));
        json_object_set_new(body, "expires_ms", json_integer(expires_ms));
    }
    if (settings->money_budget) {
        LM_TRY(lm_money_parse(settings->money_budget, &micros, err));
        json_object_set_new(body, "money_budget_micros", json_integer(micros));
    }
    if (settings->token_budget)
        json_object_set_new(body, "token_budget", json_integer(settings->token_budget));
    if (settings->requests_per_minute)
        json_object_set_new(body, "requests_per_minute",
                            json_integer(settings->requests_per_minute));
    return LOAM_OK;
}

static loam_status make_key(const key_settings *settings, const char *name, json_t **out,
                            loam_error *err) {
    json_t *body = json_pack("{s:s, s:s, s:s*}", "name", name, "role", settings->role, "member_id",
                             settings->member);
    json_t *scopes = json_array();
    for (int i = 0; i < settings->scopes.len; i++)
        json_array_append_new(scopes, json_string(settings->scopes.items[i]));
    if (settings->scopes.len) json_object_set(body, "scopes", scopes);
    json_decref(scopes);
    loam_status status = put_limits(settings, body, err);
    if (status == LOAM_OK) status = lm_rest_call(&settings->rest, "POST", "/keys", body, out, err);
    json_decref(body);
    return status;
}

static int run_create(const void *settings_, int n_args, char **args) {
    const key_settings *settings = settings_;
    loam_error err = {0};
    json_t *answer = NULL;
    if (make_key(settings, args[0], &answer, &err) != LOAM_OK) return lm_cli_fail(&err);
    lm_rest_print(&settings->rest, answer, columns);
    if (!settings->rest.json)
        printf("\nits secret, shown this once:\n\n    %s\n",
               json_string_value(json_object_get(answer, "secret")));
    json_decref(answer);
    return LM_EXIT_OK;
}

static int on_key(const lm_rest *rest, const char *method, const char *key) {
    loam_error err = {0};
    char path[LM_REST_PATH_BYTES];
    if (lm_rest_path(rest, "/keys", "key", key, "", path, &err) != LOAM_OK)
        return lm_cli_fail(&err);
    return lm_rest_print_object(rest, method, path, NULL, columns);
}

static int run_show(const void *settings, int n_args, char **args) {
    return on_key(&((const key_settings *)settings)->rest, "GET", args[0]);
}

static int run_revoke(const void *settings, int n_args, char **args) {
    return on_key(&((const key_settings *)settings)->rest, "DELETE", args[0]);
}

#define AT(field) LM_OPTION_AT(key_settings, field)
static const lm_option plain_options[] = {LM_REST_OPTIONS(key_settings), LM_OPTIONS_END};
static const lm_option create_options[] = {
    {.name = "role",
     .short_name = 'r',
     .type = LM_OPT_STRING,
     .arg = "ROLE",
     .offset = AT(role),
     .help = "admin, developer or viewer (default developer)"},
    {.name = "scope",
     .short_name = 's',
     .type = LM_OPT_LIST,
     .arg = "SCOPE",
     .offset = AT(scopes),
     .help = "inference, read, write, billing, admin or operator; may be repeated (default: all "
             "the role allows)"},
    {.name = "member",
     .type = LM_OPT_STRING,
     .arg = "ID",
     .offset = AT(member),
     .help = "whose key this is"},
    {.name = "expires",
     .type = LM_OPT_STRING,
     .arg = "TIME",
     .offset = AT(expires),
     .help = "when it ends: 2026-12-31, or +30d from now (default never)"},
    {.name = "token-budget",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(token_budget),
     .min = 1,
     .max = 9e15,
     .help = "tokens it may use in all (default no limit)"},
    {.name = "money-budget",
     .type = LM_OPT_STRING,
     .arg = "AMOUNT",
     .offset = AT(money_budget),
     .help = "money it may spend in all (default no limit)"},
    {.name = "requests-per-minute",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(requests_per_minute),
     .min = 1,
     .max = 1e6,
     .help = "requests it may make a minute (default no limit)"},
    LM_REST_OPTIONS(key_settings),
    LM_OPTIONS_END,
};
static const key_settings defaults = {.rest = LM_REST_DEFAULTS, .role = "developer"};

LM_REST_COMMAND(list_command, key_settings, "list", "list the project's keys", NULL, plain_options,
                0, run_list);
LM_REST_COMMAND(create_command, key_settings, "create", "make a key; its secret is shown this once",
                "<name>", create_options, 1, run_create);
LM_REST_COMMAND(show_command, key_settings, "show", "show a key", "<key>", plain_options, 1,
                run_show);
LM_REST_COMMAND(revoke_command, key_settings, "revoke", "revoke a key at once and for good",
                "<key>", plain_options, 1, run_revoke);

static const lm_command *const subcommands[] = {&list_command, &create_command, &show_command,
                                                &revoke_command, NULL};

const lm_command lm_cmd_key = {
    .name = "key",
    .summary = "API keys: who may do what, how much, how long",
    .usage = "<subcommand>",
    .subcommands = subcommands,
};
