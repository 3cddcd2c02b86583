/* loam endpoint: models of the cloud, deployed under a name. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/rest_wait.h"

enum { UNSET = -1 };

typedef struct endpoint_settings {
    lm_rest rest;
    const char *model;
    int64_t min_replicas, max_replicas, timeout_s;
    double idle_timeout_s;
} endpoint_settings;

static const lm_print_column list_columns[] = {
    {"id", "id", LM_CELL_TEXT},
    {"name", "name", LM_CELL_TEXT},
    {"state", "state", LM_CELL_TEXT},
    {"model", "model", LM_CELL_TEXT},
    {"ready", "ready_replicas", LM_CELL_COUNT},
    {"min", "min_replicas", LM_CELL_COUNT},
    {"max", "max_replicas", LM_CELL_COUNT},
    {"last error", "last_error", LM_CELL_TEXT},
    {NULL},
};
static const lm_print_column columns[] = {
    {"id", "id", LM_CELL_TEXT},
    {"name", "name", LM_CELL_TEXT},
    {"state", "state", LM_CELL_TEXT},
    {"model", "model", LM_CELL_TEXT},
    {"version", "version_id", LM_CELL_TEXT},
    {"ready replicas", "ready_replicas", LM_CELL_COUNT},
    {"min replicas", "min_replicas", LM_CELL_COUNT},
    {"max replicas", "max_replicas", LM_CELL_COUNT},
    {"idle timeout, ms", "idle_timeout_ms", LM_CELL_COUNT},
    {"created", "created_ms", LM_CELL_TIME},
    {"last error", "last_error", LM_CELL_TEXT},
    {NULL},
};
static const lm_print_column replica_columns[] = {
    {"id", "id", LM_CELL_TEXT},
    {"state", "state", LM_CELL_TEXT},
    {"process", "pid", LM_CELL_TEXT},
    {"port", "port", LM_CELL_TEXT},
    {"requests", "n_active", LM_CELL_COUNT},
    {"tokens/s", "tokens_per_s", LM_CELL_NUMBER},
    {"p50, ms", "latency_p50_ms", LM_CELL_NUMBER},
    {"ready", "ready_ms", LM_CELL_TIME},
    {"error", "error", LM_CELL_TEXT},
    {NULL},
};
static const lm_print_column stats_columns[] = {
    {"requests at replicas", "n_active", LM_CELL_COUNT},
    {"requests waiting", "n_waiting", LM_CELL_COUNT},
    {"requests ended", "n_requests", LM_CELL_COUNT},
    {"p50, ms", "latency_p50_ms", LM_CELL_NUMBER},
    {"tokens/s", "tokens_per_s", LM_CELL_NUMBER},
    {"last used", "last_used_ms", LM_CELL_TIME},
    {NULL},
};

static const lm_rest *rest_of(const void *settings) {
    return &((const endpoint_settings *)settings)->rest;
}

static int on_endpoint(const void *settings, const char *method, const char *endpoint,
                       const char *tail, const lm_print_column *shown) {
    loam_error err = {0};
    char path[LM_REST_PATH_BYTES];
    if (lm_rest_path(rest_of(settings), "/endpoints", "ep", endpoint, tail, path, &err) != LOAM_OK)
        return lm_cli_fail(&err);
    return lm_rest_print_object(rest_of(settings), method, path, NULL, shown);
}

static int run_list(const void *settings, int n_args, char **args) {
    return lm_rest_print_list(rest_of(settings), "/endpoints", 0, list_columns);
}

static int run_show(const void *settings, int n_args, char **args) {
    return on_endpoint(settings, "GET", args[0], "", columns);
}

static int run_delete(const void *settings, int n_args, char **args) {
    return on_endpoint(settings, "DELETE", args[0], "", columns);
}

static int run_stats(const void *settings, int n_args, char **args) {
    return on_endpoint(settings, "GET", args[0], "/stats", stats_columns);
}

static int run_replicas(const void *settings, int n_args, char **args) {
    loam_error err = {0};
    char path[LM_REST_PATH_BYTES];
    if (lm_rest_path(rest_of(settings), "/endpoints", "ep", args[0], "/replicas", path, &err) !=
        LOAM_OK)
        return lm_cli_fail(&err);
    return lm_rest_print_list(rest_of(settings), path, 0, replica_columns);
}

/* What was given; the rest stays absent. */
static void put_changes(const endpoint_settings *settings, json_t *body) {
    if (settings->model) json_object_set_new(body, "model", json_string(settings->model));
    if (settings->min_replicas != UNSET)
        json_object_set_new(body, "min_replicas", json_integer(settings->min_replicas));
    if (settings->max_replicas != UNSET)
        json_object_set_new(body, "max_replicas", json_integer(settings->max_replicas));
    if (settings->idle_timeout_s != UNSET)
        json_object_set_new(body, "idle_timeout_ms",
                            json_integer((json_int_t)(settings->idle_timeout_s * 1000)));
}

static int run_create(const void *settings_, int n_args, char **args) {
    const endpoint_settings *settings = settings_;
    json_t *body = json_pack("{s:s, s:s}", "name", args[0], "model",
                             args[0]); /* a model of its own name, if none is given */
    put_changes(settings, body);
    int code = lm_rest_print_object(&settings->rest, "POST", "/endpoints", body, columns);
    json_decref(body);
    return code;
}

static int run_change(const void *settings_, int n_args, char **args) {
    const endpoint_settings *settings = settings_;
    loam_error err = {0};
    char path[LM_REST_PATH_BYTES];
    if (lm_rest_path(&settings->rest, "/endpoints", "ep", args[0], "", path, &err) != LOAM_OK)
        return lm_cli_fail(&err);
    json_t *body = json_object();
    put_changes(settings, body);
    int code = lm_rest_print_object(&settings->rest, "PATCH", path, body, columns);
    json_decref(body);
    return code;
}

static loam_status wait_ready(const endpoint_settings *settings, const char *endpoint,
                              loam_error *err) {
    static const char *const ready[] = {"ready", NULL};
    char path[LM_REST_PATH_BYTES];
    json_t *answer;
    LM_TRY(lm_rest_path(&settings->rest, "/endpoints", "ep", endpoint, "", path, err));
    lm_rest_wait wait = {.path = path, .states = ready, .timeout_ms = settings->timeout_s * 1000};
    LM_TRY(lm_rest_wait_for(&settings->rest, &wait, &answer, err));
    lm_rest_print(&settings->rest, answer, columns);
    json_decref(answer);
    return LOAM_OK;
}

static int run_wait(const void *settings, int n_args, char **args) {
    loam_error err = {0};
    return wait_ready(settings, args[0], &err) == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

#define AT(field) LM_OPTION_AT(endpoint_settings, field)
static const lm_option plain_options[] = {LM_REST_OPTIONS(endpoint_settings), LM_OPTIONS_END};
static const lm_option wait_options[] = {
    {.name = "timeout",
     .type = LM_OPT_INT,
     .arg = "SECONDS",
     .offset = AT(timeout_s),
     .min = 1,
     .max = 86400,
     .help = "how long to wait (default 300)"},
    LM_REST_OPTIONS(endpoint_settings),
    LM_OPTIONS_END,
};
static const lm_option change_options[] = {
    {.name = "model",
     .short_name = 'm',
     .type = LM_OPT_STRING,
     .arg = "MODEL",
     .offset = AT(model),
     .help = "model by name (its newest version), or a version's id (default for create: the "
             "endpoint's name)"},
    {.name = "min-replicas",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(min_replicas),
     .min = 0,
     .max = 64,
     .help = "replicas that are always there; 0: sleeps when idle (default for create: 0)"},
    {.name = "max-replicas",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(max_replicas),
     .min = 1,
     .max = 64,
     .help = "replicas at most (default for create: 1)"},
    {.name = "idle-timeout",
     .type = LM_OPT_FLOAT,
     .arg = "SECONDS",
     .offset = AT(idle_timeout_s),
     .min = 1,
     .max = 31536000,
     .help = "how long unused replicas stay (default for create: 300)"},
    LM_REST_OPTIONS(endpoint_settings),
    LM_OPTIONS_END,
};
static const endpoint_settings defaults = {.rest = LM_REST_DEFAULTS,
                                           .min_replicas = UNSET,
                                           .max_replicas = UNSET,
                                           .idle_timeout_s = UNSET,
                                           .timeout_s = 300};

LM_REST_COMMAND(list_command, endpoint_settings, "list", "list the project's endpoints", NULL,
                plain_options, 0, run_list);
LM_REST_COMMAND(show_command, endpoint_settings, "show", "show an endpoint", "<endpoint>",
                plain_options, 1, run_show);
LM_REST_COMMAND(create_command, endpoint_settings, "create", "deploy a model under a name",
                "<name>", change_options, 1, run_create);
LM_REST_COMMAND(change_command, endpoint_settings, "change", "change an endpoint's model or limits",
                "<endpoint>", change_options, 1, run_change);
LM_REST_COMMAND(wait_command, endpoint_settings, "wait",
                "wait until an endpoint has a replica that answers", "<endpoint>", wait_options, 1,
                run_wait);
LM_REST_COMMAND(delete_command, endpoint_settings, "delete",
                "delete an endpoint; its replicas finish what they have", "<endpoint>",
                plain_options, 1, run_delete);
LM_REST_COMMAND(replicas_command, endpoint_settings, "replicas", "list an endpoint's replicas",
                "<endpoint>", plain_options, 1, run_replicas);
LM_REST_COMMAND(stats_command, endpoint_settings, "stats", "show how an endpoint is used now",
                "<endpoint>", plain_options, 1, run_stats);

static const lm_command *const subcommands[] = {&list_command,     &show_command,  &create_command,
                                                &change_command,   &wait_command,  &delete_command,
                                                &replicas_command, &stats_command, NULL};

const lm_command lm_cmd_endpoint = {
    .name = "endpoint",
    .summary = "models of the cloud, deployed under a name",
    .usage = "<subcommand>",
    .subcommands = subcommands,
};
