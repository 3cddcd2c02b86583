/* loam gc: removes from the content store what no model and no dataset refers to. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/rest_client.h"

enum { LOOK_PAUSE_MS = 50 };

typedef struct gc_settings {
    lm_rest rest;
    double grace_s;
} gc_settings;

static const lm_print_column columns[] = {
    {"kept", "n_kept", LM_CELL_COUNT},
    {"kept, bytes", "kept_bytes", LM_CELL_BYTES},
    {"removed", "n_removed", LM_CELL_COUNT},
    {"removed, bytes", "removed_bytes", LM_CELL_BYTES},
    {NULL},
};

static loam_status collect(const gc_settings *settings, loam_error *err) {
    json_t *body = json_pack("{s:I}", "grace_ms", (json_int_t)(settings->grace_s * 1000)),
           *report = NULL;
    loam_status status = lm_rest_call(&settings->rest, "POST", "/gc", body, &report, err);
    json_decref(body);
    while (status == LOAM_OK && json_is_null(json_object_get(report, "ended_ms"))) {
        json_decref(report);
        report = NULL;
        lm_clock_sleep_ms(LOOK_PAUSE_MS);
        status = lm_rest_call(&settings->rest, "GET", "/gc", NULL, &report, err);
    }
    const char *error = json_string_value(json_object_get(report, "error"));
    if (status == LOAM_OK && error) status = lm_error_set(err, LOAM_IO, "%s", error);
    if (status == LOAM_OK) lm_rest_print(&settings->rest, report, columns);
    json_decref(report);
    return status;
}

static int run_gc(const void *settings, int n_args, char **args) {
    loam_error err = {0};
    return collect(settings, &err) == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

const lm_command lm_cmd_gc = {
    .name = "gc",
    .summary = "remove files of the content store that nothing refers to",
    .description = "Models and datasets share a store in which every file is kept once. Deleting "
                   "one leaves its files there "
                   "until they are collected.",
    .options =
        (const lm_option[]){
            {.name = "grace",
             .type = LM_OPT_FLOAT,
             .arg = "SECONDS",
             .offset = LM_OPTION_AT(gc_settings, grace_s),
             .max = 31536000,
             .help = "keep what was imported or used since (default 3600)"},
            LM_REST_OPTIONS(gc_settings),
            LM_OPTIONS_END,
        },
    .settings_bytes = sizeof(gc_settings),
    .defaults = &(gc_settings){.rest = LM_REST_DEFAULTS, .grace_s = 3600},
    .run = run_gc,
};
