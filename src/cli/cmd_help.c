/* loam help: the list of commands, one command's help, its man page, or a shell completion. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

typedef struct help_settings {
    bool man;
    const char *completion;
} help_settings;

static int run_help(const void *settings_, int n_args, char **args) {
    const help_settings *settings = settings_;
    if (settings->completion) {
        if (lm_help_print_completion(settings->completion)) return LM_EXIT_OK;
        fprintf(stderr, "loam help: no completion for '%s'; there are bash, zsh and fish\n", settings->completion);
        return LM_EXIT_USAGE;
    }
    if (n_args == 0) {
        if (settings->man) {
            lm_help_print_man_all();
        } else {
            lm_help_print_all();
        }
        return LM_EXIT_OK;
    }
    for (size_t i = 0; lm_commands[i]; i++) {
        const lm_command *command = lm_commands[i];
        if (strcmp(command->name, args[0]) != 0) continue;
        if (settings->man) {
            lm_help_print_man(command, command->name);
        } else {
            lm_help_print(command, command->name);
        }
        return LM_EXIT_OK;
    }
    fprintf(stderr, "loam help: no command '%s'\n", args[0]);
    return LM_EXIT_USAGE;
}

const lm_command lm_cmd_help = {
    .name = "help",
    .summary = "explain loam or one command",
    .usage = "[command]",
    .options =
        (const lm_option[]){
            {.name = "man", .type = LM_OPT_FLAG, .help = "print the manual page's source instead",
             .offset = LM_OPTION_AT(help_settings, man)},
            {.name = "completion", .type = LM_OPT_STRING, .arg = "SHELL", .help = "print the completion for bash, zsh or fish",
             .offset = LM_OPTION_AT(help_settings, completion)},
            LM_OPTIONS_END,
        },
    .max_args = 1,
    .settings_bytes = sizeof(help_settings),
    .run = run_help,
};
