/* loam project: projects and their members. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/rest_client.h"

typedef struct project_settings {
    lm_rest rest;
    const char *name, *role;
    bool archive, restore;
} project_settings;

static const lm_print_column project_columns[] = {
    {"id", "id", LM_CELL_TEXT},
    {"name", "name", LM_CELL_TEXT},
    {"operator", "is_operator", LM_CELL_TEXT},
    {"archived", "archived", LM_CELL_TEXT},
    {"created", "created_ms", LM_CELL_TIME},
    {NULL},
};
static const lm_print_column member_columns[] = {
    {"id", "id", LM_CELL_TEXT},
    {"name", "name", LM_CELL_TEXT},
    {"role", "role", LM_CELL_TEXT},
    {"created", "created_ms", LM_CELL_TIME},
    {NULL},
};

static int run_list(const void *settings, int n_args, char **args) {
    return lm_rest_print_list(&((const project_settings *)settings)->rest, "/projects", 0,
                              project_columns);
}

static int run_create(const void *settings, int n_args, char **args) {
    const lm_rest *rest = &((const project_settings *)settings)->rest;
    loam_error err = {0};
    json_t *body = json_pack("{s:s}", "name", args[0]), *answer = NULL;
    loam_status status = lm_rest_call(rest, "POST", "/projects", body, &answer, &err);
    json_decref(body);
    if (status != LOAM_OK) return lm_cli_fail(&err);
    lm_rest_print(rest, rest->json ? answer : json_object_get(answer, "project"), project_columns);
    if (!rest->json)
        printf("\nits first admin key, shown this once:\n\n    %s\n",
               json_string_value(json_object_get(answer, "secret")));
    json_decref(answer);
    return LM_EXIT_OK;
}

/* One request about the project that the first argument names. */
static int on_project(const lm_rest *rest, const char *method, const char *project,
                      const char *tail, json_t *body, const lm_print_column *columns) {
    loam_error err = {0};
    char path[LM_REST_PATH_BYTES];
    int code = lm_rest_path(rest, "/projects", "prj", project, tail, path, &err) == LOAM_OK
                   ? lm_rest_print_object(rest, method, path, body, columns)
                   : lm_cli_fail(&err);
    json_decref(body);
    return code;
}

static int run_show(const void *settings, int n_args, char **args) {
    return on_project(&((const project_settings *)settings)->rest, "GET", args[0], "", NULL,
                      project_columns);
}

static int run_change(const void *settings_, int n_args, char **args) {
    const project_settings *settings = settings_;
    json_t *body = json_object();
    if (settings->name) json_object_set_new(body, "name", json_string(settings->name));
    if (settings->archive || settings->restore)
        json_object_set_new(body, "archived", json_boolean(settings->archive));
    return on_project(&settings->rest, "PATCH", args[0], "", body, project_columns);
}

static int run_members(const void *settings, int n_args, char **args) {
    const lm_rest *rest = &((const project_settings *)settings)->rest;
    loam_error err = {0};
    char path[LM_REST_PATH_BYTES];
    if (lm_rest_path(rest, "/projects", "prj", args[0], "/members", path, &err) != LOAM_OK)
        return lm_cli_fail(&err);
    return lm_rest_print_list(rest, path, 0, member_columns);
}

static int run_add_member(const void *settings_, int n_args, char **args) {
    const project_settings *settings = settings_;
    return on_project(&settings->rest, "POST", args[0], "/members",
                      json_pack("{s:s, s:s}", "name", args[1], "role", settings->role),
                      member_columns);
}

/* One request about a member, given by id or name. */
static int on_member(const lm_rest *rest, const char *method, char **args, json_t *body) {
    loam_error err = {0};
    char members[LM_REST_PATH_BYTES], path[LM_REST_PATH_BYTES];
    loam_status status = lm_rest_path(rest, "/projects", "prj", args[0], "/members", members, &err);
    if (status == LOAM_OK) status = lm_rest_path(rest, members, "mem", args[1], "", path, &err);
    int code = status == LOAM_OK ? lm_rest_print_object(rest, method, path, body, member_columns)
                                 : lm_cli_fail(&err);
    json_decref(body);
    return code;
}

static int run_change_member(const void *settings_, int n_args, char **args) {
    const project_settings *settings = settings_;
    return on_member(&settings->rest, "PATCH", args, json_pack("{s:s}", "role", settings->role));
}

static int run_remove_member(const void *settings, int n_args, char **args) {
    return on_member(&((const project_settings *)settings)->rest, "DELETE", args, NULL);
}

#define AT(field) LM_OPTION_AT(project_settings, field)
static const lm_option plain_options[] = {LM_REST_OPTIONS(project_settings), LM_OPTIONS_END};
static const lm_option change_options[] = {
    {.name = "name",
     .type = LM_OPT_STRING,
     .arg = "NAME",
     .offset = AT(name),
     .help = "the new name"},
    {.name = "archive",
     .type = LM_OPT_FLAG,
     .offset = AT(archive),
     .help = "refuse its keys from now on"},
    {.name = "restore", .type = LM_OPT_FLAG, .offset = AT(restore), .help = "take its keys again"},
    LM_REST_OPTIONS(project_settings),
    LM_OPTIONS_END,
};
static const lm_option role_options[] = {
    {.name = "role",
     .short_name = 'r',
     .type = LM_OPT_STRING,
     .arg = "ROLE",
     .offset = AT(role),
     .help = "admin, developer or viewer (default developer)"},
    LM_REST_OPTIONS(project_settings),
    LM_OPTIONS_END,
};
static const project_settings defaults = {.rest = LM_REST_DEFAULTS, .role = "developer"};

LM_REST_COMMAND(list_command, project_settings, "list", "list projects", NULL, plain_options, 0,
                run_list);
LM_REST_COMMAND(create_command, project_settings, "create",
                "make a project and its first admin key", "<name>", plain_options, 1, run_create);
LM_REST_COMMAND(show_command, project_settings, "show", "show a project", "<project>",
                plain_options, 1, run_show);
LM_REST_COMMAND(change_command, project_settings, "change", "rename, archive or restore a project",
                "<project>", change_options, 1, run_change);
LM_REST_COMMAND(members_command, project_settings, "members", "list a project's members",
                "<project>", plain_options, 1, run_members);
LM_REST_COMMAND(add_command, project_settings, "add-member", "add a member", "<project> <name>",
                role_options, 2, run_add_member);
LM_REST_COMMAND(role_command, project_settings, "change-member", "change a member's role",
                "<project> <member>", role_options, 2, run_change_member);
LM_REST_COMMAND(remove_command, project_settings, "remove-member",
                "remove a member and revoke their keys", "<project> <member>", plain_options, 2,
                run_remove_member);

static const lm_command *const subcommands[] = {&list_command,   &create_command,  &show_command,
                                                &change_command, &members_command, &add_command,
                                                &role_command,   &remove_command,  NULL};

const lm_command lm_cmd_project = {
    .name = "project",
    .summary = "projects and their members",
    .usage = "<subcommand>",
    .subcommands = subcommands,
};
