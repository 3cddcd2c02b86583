/* loam model: the registry of models and their versions. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/rest_wait.h"

typedef struct model_settings {
    lm_rest rest;
    bool no_wait;
} model_settings;

static const lm_print_column list_columns[] = {
    {"id", "id", LM_CELL_TEXT},
    {"name", "name", LM_CELL_TEXT},
    {"version", "latest_version", LM_CELL_TEXT},
    {"created", "created_ms", LM_CELL_TIME},
    {NULL},
};
static const lm_print_column version_columns[] = {
    {"id", "id", LM_CELL_TEXT},
    {"version", "version", LM_CELL_TEXT},
    {"state", "state", LM_CELL_TEXT},
    {"size", "size_bytes", LM_CELL_BYTES},
    {"digest", "digest", LM_CELL_TEXT},
    {"job", "lineage.job_id", LM_CELL_TEXT},
    {"dataset", "lineage.dataset_id", LM_CELL_TEXT},
    {"recipe", "lineage.recipe_digest", LM_CELL_TEXT},
    {"created", "created_ms", LM_CELL_TIME},
    {"error", "error", LM_CELL_TEXT},
    {NULL},
};

static int run_list(const void *settings, int n_args, char **args) {
    return lm_rest_print_list(&((const model_settings *)settings)->rest, "/models", 0,
                              list_columns);
}

/* Its versions, the newest last, with what each was made from. */
static loam_status show(const lm_rest *rest, const char *name, loam_error *err) {
    char path[LM_REST_PATH_BYTES];
    json_t *versions;
    LM_TRY(lm_rest_path(rest, "/models", "mod", name, "/versions", path, err));
    LM_TRY(lm_rest_list(rest, path, 0, &versions, err));
    if (rest->json || json_array_size(versions) != 1)
        lm_rest_print(rest, versions, version_columns);
    else
        lm_rest_print(rest, json_array_get(versions, 0), version_columns);
    json_decref(versions);
    return LOAM_OK;
}

static int run_show(const void *settings, int n_args, char **args) {
    loam_error err = {0};
    return show(&((const model_settings *)settings)->rest, args[0], &err) == LOAM_OK
               ? LM_EXIT_OK
               : lm_cli_fail(&err);
}

static loam_status create(const model_settings *settings, const char *name, const char *source,
                          loam_error *err) {
    char version_path[LM_REST_PATH_BYTES];
    json_t *model = NULL, *version = NULL;
    LM_TRY(lm_rest_import(&settings->rest, "/models", name, source, &model, err));
    const char *id = json_string_value(json_object_get(json_object_get(model, "version"), "id"));
    snprintf(version_path, sizeof version_path, "/versions/%s", id ? id : "");
    loam_status status =
        settings->no_wait ? lm_rest_call(&settings->rest, "GET", version_path, NULL, &version, err)
                          : lm_rest_wait_import(&settings->rest, version_path, &version, err);
    if (status == LOAM_OK) lm_rest_print(&settings->rest, version, version_columns);
    json_decref(version);
    json_decref(model);
    return status;
}

static int run_create(const void *settings, int n_args, char **args) {
    loam_error err = {0};
    return create(settings, args[0], args[1], &err) == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

static int run_delete(const void *settings_, int n_args, char **args) {
    const lm_rest *rest = &((const model_settings *)settings_)->rest;
    loam_error err = {0};
    char path[LM_REST_PATH_BYTES];
    if (lm_rest_path(rest, "/models", "mod", args[0], "", path, &err) != LOAM_OK)
        return lm_cli_fail(&err);
    return lm_rest_print_object(rest, "DELETE", path, NULL, list_columns);
}

static const lm_option plain_options[] = {LM_REST_OPTIONS(model_settings), LM_OPTIONS_END};
static const lm_option create_options[] = {
    {.name = "no-wait",
     .type = LM_OPT_FLAG,
     .offset = LM_OPTION_AT(model_settings, no_wait),
     .help = "do not wait until it is imported"},
    LM_REST_OPTIONS(model_settings),
    LM_OPTIONS_END,
};
static const model_settings defaults = {.rest = LM_REST_DEFAULTS};

LM_REST_COMMAND(list_command, model_settings, "list", "list the project's models", NULL,
                plain_options, 0, run_list);
LM_REST_COMMAND(show_command, model_settings, "show",
                "show a model's versions and where they come from", "<model>", plain_options, 1,
                run_show);
LM_REST_COMMAND(create_command, model_settings, "create",
                "import a file or folder as a model, or as its next version", "<name> <path>",
                create_options, 2, run_create);
LM_REST_COMMAND(delete_command, model_settings, "delete", "delete a model with its versions",
                "<model>", plain_options, 1, run_delete);

static const lm_command *const subcommands[] = {&list_command, &show_command, &create_command,
                                                &delete_command, NULL};

const lm_command lm_cmd_model = {
    .name = "model",
    .summary = "models of the cloud and their versions",
    .usage = "<subcommand>",
    .subcommands = subcommands,
};
