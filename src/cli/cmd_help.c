/* loam help: the list of commands, one command's help, its man page, or a shell completion. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

typedef struct help_settings {
    bool man;
    const char *completion;
} help_settings;

static const lm_command *find_command(const lm_command *const *commands, const char *name) {
    for (; commands && *commands; commands++) {
        if (strcmp((*commands)->name, name) == 0) return *commands;
    }
    return NULL;
}

static int run_help(const void *settings_, int n_args, char **args) {
    const help_settings *settings = settings_;
    if (settings->completion) {
        if (lm_help_print_completion(settings->completion)) return LM_EXIT_OK;
        fprintf(stderr, "loam help: no completion for '%s'; there are bash, zsh and fish\n",
                settings->completion);
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
    const lm_command *group = find_command(lm_commands, args[0]);
    const lm_command *sub = group && n_args == 2 ? find_command(group->subcommands, args[1]) : NULL;
    if (!group || (n_args == 2 && !sub)) {
        fprintf(stderr, "loam help: no command '%s%s%s'\n'loam help%s%s' lists the commands\n",
                args[0], n_args == 2 ? " " : "", n_args == 2 ? args[1] : "", group ? " " : "",
                group ? args[0] : "");
        return LM_EXIT_USAGE;
    }
    char full_name[64];
    snprintf(full_name, sizeof full_name, "%s%s%s", group->name, sub ? " " : "",
             sub ? sub->name : "");
    if (settings->man) {
        lm_help_print_man(group, group->name); /* a group's page explains its subcommands */
    } else {
        lm_help_print(sub ? sub : group, full_name);
    }
    return LM_EXIT_OK;
}

const lm_command lm_cmd_help = {
    .name = "help",
    .summary = "explain loam or one command",
    .usage = "[command [subcommand]]",
    .options =
        (const lm_option[]){
            {.name = "man",
             .type = LM_OPT_FLAG,
             .help = "print the manual page's source instead",
             .offset = LM_OPTION_AT(help_settings, man)},
            {.name = "completion",
             .type = LM_OPT_STRING,
             .arg = "SHELL",
             .help = "print the completion for bash, zsh or fish",
             .offset = LM_OPTION_AT(help_settings, completion)},
            LM_OPTIONS_END,
        },
    .max_args = 2,
    .settings_bytes = sizeof(help_settings),
    .run = run_help,
};
