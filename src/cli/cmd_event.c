/* loam event: who changed what. */
#include "cli/command.h"
#include "cli/rest_client.h"

typedef struct event_settings {
    lm_rest rest;
    const char *kind;
    int64_t limit;
} event_settings;

static const lm_print_column columns[] = {
    {"time", "at_ms", LM_CELL_TIME},
    {"kind", "kind", LM_CELL_TEXT},
    {"subject", "subject", LM_CELL_TEXT},
    {"actor", "actor", LM_CELL_TEXT},
    {NULL},
};

static int run_list(const void *settings_, int n_args, char **args) {
    const event_settings *settings = settings_;
    lm_buf path;
    lm_buf_init(&path, 1024);
    lm_buf_puts(&path, "/events?order=desc");
    if (settings->kind) {
        lm_buf_puts(&path, "&kind=");
        lm_buf_put_percent(&path, settings->kind, "");
    }
    int code = lm_rest_print_list(&settings->rest, lm_buf_cstr(&path), settings->limit, columns);
    lm_buf_deinit(&path);
    return code;
}

static const lm_command list_command = {
    .name = "list",
    .summary = "list audit events, the newest first; --json has the states before and after",
    .options =
        (const lm_option[]){
            {.name = "kind",
             .type = LM_OPT_STRING,
             .arg = "KIND",
             .offset = LM_OPTION_AT(event_settings, kind),
             .help = "only events of this kind, such as key.create"},
            {.name = "limit",
             .short_name = 'n',
             .type = LM_OPT_INT,
             .arg = "N",
             .offset = LM_OPTION_AT(event_settings, limit),
             .min = 1,
             .max = 1e6,
             .help = "events at most (default 50)"},
            LM_REST_OPTIONS(event_settings),
            LM_OPTIONS_END,
        },
    .settings_bytes = sizeof(event_settings),
    .defaults = &(event_settings){.rest = LM_REST_DEFAULTS, .limit = 50},
    .run = run_list,
};

const lm_command lm_cmd_event = {
    .name = "event",
    .summary = "audit events: who changed what",
    .usage = "<subcommand>",
    .subcommands = (const lm_command *const[]){&list_command, NULL},
};
