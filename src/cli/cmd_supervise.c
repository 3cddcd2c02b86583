/* loam supervise: runs one program for the control plane and writes down how it ended. Not for people. */
#include "cli/command.h"
#include "cloud/supervisor.h"

typedef struct supervise_settings {
    const char *state;
    int64_t memory_limit;
} supervise_settings;

static int run_supervise(const void *settings_, int n_args, char **args) {
    const supervise_settings *settings = settings_;
    lm_supervise_options options = {.state_dir = settings->state ? settings->state : ".",
                                    .memory_limit_bytes = settings->memory_limit};
    loam_error err = {0};
    args[n_args] =
        NULL; /* the framework moved the arguments forward in argv, which has room for the end */
    options.argv = args;
    return lm_supervise(&options, &err) == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

const lm_command lm_cmd_supervise = {
    .name = "supervise",
    .summary = "run a program for the control plane and record how it ends",
    .usage = "-- <program> [arguments]",
    .description = "Started by 'loam up' for every worker and trainer, so that their end is known "
                   "even when the control "
                   "plane was killed meanwhile.",
    .options =
        (const lm_option[]){
            {.name = "state",
             .type = LM_OPT_STRING,
             .arg = "DIR",
             .help = "folder for the state files (default: here)",
             .offset = LM_OPTION_AT(supervise_settings, state)},
            {.name = "memory-limit",
             .type = LM_OPT_INT,
             .arg = "BYTES",
             .help = "private memory allowed (default: 0, any)",
             .offset = LM_OPTION_AT(supervise_settings, memory_limit)},
            LM_OPTIONS_END,
        },
    .min_args = 1,
    .max_args = -1,
    .settings_bytes = sizeof(supervise_settings),
    .run = run_supervise,
    .hidden = true,
};
