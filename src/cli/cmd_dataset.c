/* loam dataset: texts that jobs of the cloud train on. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/rest_wait.h"

typedef struct dataset_settings {
    lm_rest rest;
    bool no_wait;
} dataset_settings;

static const lm_print_column columns[] = {
    {"id", "id", LM_CELL_TEXT},         {"name", "name", LM_CELL_TEXT},
    {"state", "state", LM_CELL_TEXT},   {"size", "size_bytes", LM_CELL_BYTES},
    {"digest", "digest", LM_CELL_TEXT}, {"created", "created_ms", LM_CELL_TIME},
    {"error", "error", LM_CELL_TEXT},   {NULL},
};

static int run_list(const void *settings, int n_args, char **args) {
    return lm_rest_print_list(&((const dataset_settings *)settings)->rest, "/datasets", 0, columns);
}

static int on_dataset(const void *settings_, const char *method, const char *name) {
    const lm_rest *rest = &((const dataset_settings *)settings_)->rest;
    loam_error err = {0};
    char path[LM_REST_PATH_BYTES];
    if (lm_rest_path(rest, "/datasets", "ds", name, "", path, &err) != LOAM_OK)
        return lm_cli_fail(&err);
    return lm_rest_print_object(rest, method, path, NULL, columns);
}

static int run_show(const void *settings, int n_args, char **args) {
    return on_dataset(settings, "GET", args[0]);
}

static int run_delete(const void *settings, int n_args, char **args) {
    return on_dataset(settings, "DELETE", args[0]);
}

static loam_status create(const dataset_settings *settings, const char *name, const char *source,
                          loam_error *err) {
    char path[LM_REST_PATH_BYTES];
    json_t *made = NULL, *ready = NULL;
    loam_status status = LOAM_OK;
    LM_TRY(lm_rest_import(&settings->rest, "/datasets", name, source, &made, err));
    const char *id = json_string_value(json_object_get(made, "id"));
    snprintf(path, sizeof path, "/datasets/%s", id ? id : "");
    if (!settings->no_wait) status = lm_rest_wait_import(&settings->rest, path, &ready, err);
    if (status == LOAM_OK) lm_rest_print(&settings->rest, ready ? ready : made, columns);
    json_decref(ready);
    json_decref(made);
    return status;
}

static int run_create(const void *settings, int n_args, char **args) {
    loam_error err = {0};
    return create(settings, args[0], args[1], &err) == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

static const lm_option plain_options[] = {LM_REST_OPTIONS(dataset_settings), LM_OPTIONS_END};
static const lm_option create_options[] = {
    {.name = "no-wait",
     .type = LM_OPT_FLAG,
     .offset = LM_OPTION_AT(dataset_settings, no_wait),
     .help = "do not wait until it is imported"},
    LM_REST_OPTIONS(dataset_settings),
    LM_OPTIONS_END,
};
static const dataset_settings defaults = {.rest = LM_REST_DEFAULTS};

LM_REST_COMMAND(list_command, dataset_settings, "list", "list the project's datasets", NULL,
                plain_options, 0, run_list);
LM_REST_COMMAND(show_command, dataset_settings, "show", "show a dataset", "<dataset>",
                plain_options, 1, run_show);
LM_REST_COMMAND(create_command, dataset_settings, "create", "import a file or folder as a dataset",
                "<name> <path>", create_options, 2, run_create);
LM_REST_COMMAND(delete_command, dataset_settings, "delete", "delete a dataset", "<dataset>",
                plain_options, 1, run_delete);

static const lm_command *const subcommands[] = {&list_command, &show_command, &create_command,
                                                &delete_command, NULL};

const lm_command lm_cmd_dataset = {
    .name = "dataset",
    .summary = "texts of the cloud to train on",
    .usage = "<subcommand>",
    .subcommands = subcommands,
};
