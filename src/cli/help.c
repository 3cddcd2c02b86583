/* Help texts, man pages and shell completions, all from the command tables. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

static void option_synopsis(const lm_option *option, char *out, size_t size) {
    if (option->short_name) {
        snprintf(out, size, "-%c, --%s%s%s", option->short_name, option->name,
                 option->arg ? " " : "", option->arg ? option->arg : "");
    } else {
        snprintf(out, size, "    --%s%s%s", option->name, option->arg ? " " : "",
                 option->arg ? option->arg : "");
    }
}

void lm_help_print_all(void) {
    printf("loam: an AI cloud of one's own\n\nusage: loam <command> [options]\n\ncommands:\n");
    for (size_t i = 0; lm_commands[i]; i++) {
        if (!lm_commands[i]->hidden)
            printf("  %-12s %s\n", lm_commands[i]->name, lm_commands[i]->summary);
    }
    printf("\n'loam help <command>' or 'loam <command> --help' tells more\n");
}

static void print_subcommands(const lm_command *command, const char *full_name) {
    printf("usage: loam %s <subcommand> [options]\n\nsubcommands:\n", full_name);
    for (size_t i = 0; command->subcommands[i]; i++)
        printf("  %-14s %s\n", command->subcommands[i]->name, command->subcommands[i]->summary);
    printf("\n'loam help %s <subcommand>' or 'loam %s <subcommand> --help' tells more\n", full_name,
           full_name);
}

/* The lines of command->examples, all moved right by two. */
static void print_examples(const char *examples) {
    printf("\nexamples:\n");
    while (*examples) {
        int len = (int)strcspn(examples, "\n");
        printf("  %.*s\n", len, examples);
        examples += len + (examples[len] == '\n');
    }
}

void lm_help_print(const lm_command *command, const char *full_name) {
    printf("loam %s: %s\n\n", full_name, command->summary);
    if (command->subcommands) {
        print_subcommands(command, full_name);
        return;
    }
    printf("usage: loam %s%s%s%s\n", full_name, command->options ? " [options]" : "",
           command->usage ? " " : "", command->usage ? command->usage : "");
    if (command->description) printf("\n%s\n", command->description);
    printf("\noptions:\n");
    for (const lm_option *option = command->options; option && option->name; option++) {
        char synopsis[96];
        option_synopsis(option, synopsis, sizeof synopsis);
        printf("  %-28s %s", synopsis, option->help);
        if (option->env) printf(" [env: %s]", option->env);
        printf("\n");
    }
    printf("  %-28s %s\n", "-h, --help", "show this help");
    if (command->examples) print_examples(command->examples);
}

/* Text with the characters that roff would take for itself escaped. */
static void print_roff(const char *text) {
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\'')) fputs("\\&", stdout);
        if (*text == '\\' || *text == '-') putchar('\\');
        putchar(*text == '\\' ? 'e' : *text);
        line_start = *text == '\n';
    }
}

static void print_man_options(const lm_option *option) {
    for (; option && option->name; option++) {
        char synopsis[96];
        option_synopsis(option, synopsis, sizeof synopsis);
        printf(".TP\n.B ");
        print_roff(synopsis + strspn(synopsis, " "));
        printf("\n");
        print_roff(option->help);
        if (option->env) printf(" (environment: %s)", option->env);
        printf("\n");
    }
}

static void print_man_subcommands(const lm_command *command) {
    printf(".SH SUBCOMMANDS\n");
    for (size_t i = 0; command->subcommands[i]; i++) {
        const lm_command *sub = command->subcommands[i];
        printf(".SS %s %s\n", sub->name, sub->usage ? sub->usage : "");
        print_roff(sub->summary);
        printf("\n");
        print_man_options(sub->options);
    }
}

void lm_help_print_man_all(void) {
    printf(".TH LOAM 1 \"\" \"loam %s\" \"loam manual\"\n", LOAM_VERSION);
    printf(
        ".SH NAME\nloam \\- an AI cloud of one's own\n.SH SYNOPSIS\n.B loam\n<command> [options]\n"
        ".SH DESCRIPTION\nloam trains, serves, meters and bills large language models on the "
        "compute at hand.\n"
        "Each command has a page of its own.\n.SH COMMANDS\n");
    for (size_t i = 0; lm_commands[i]; i++) {
        if (lm_commands[i]->hidden) continue;
        printf(".TP\n.BR loam\\-%s (1)\n", lm_commands[i]->name);
        print_roff(lm_commands[i]->summary);
        printf("\n");
    }
    printf(".SH EXIT STATUS\n0 on success, 1 when the work failed, 2 on a wrong command line or "
           "recipe, 75 when stopped on request\n"
           "after saving, so that running again goes on.\n");
}

void lm_help_print_man(const lm_command *command, const char *full_name) {
    printf(".TH LOAM\\-%s 1 \"\" \"loam %s\" \"loam manual\"\n", full_name, LOAM_VERSION);
    printf(".SH NAME\nloam\\-%s \\- ", full_name);
    print_roff(command->summary);
    printf("\n.SH SYNOPSIS\n.B loam %s\n", full_name);
    print_roff(command->subcommands ? "<subcommand> [options]"
               : command->usage     ? command->usage
                                    : "[options]");
    printf("\n");
    if (command->description) {
        printf(".SH DESCRIPTION\n");
        print_roff(command->description);
        printf("\n");
    }
    if (command->subcommands) print_man_subcommands(command);
    if (command->options && command->options->name) printf(".SH OPTIONS\n");
    print_man_options(command->options);
    if (command->examples) {
        printf(".SH EXAMPLES\n.nf\n");
        print_roff(command->examples);
        printf(".fi\n");
    }
    printf(".SH SEE ALSO\n.BR loam (1)\n");
}

static void print_option_words(const lm_command *command, const char *separator) {
    for (const lm_option *option = command->options; option && option->name; option++)
        printf("--%s%s", option->name, separator);
}

static void complete_bash(void) {
    printf("_loam() {\n    local cur=${COMP_WORDS[COMP_CWORD]} words=\n    if [ \"$COMP_CWORD\" "
           "-eq 1 ]; then\n"
           "        words='");
    for (size_t i = 0; lm_commands[i]; i++) {
        if (!lm_commands[i]->hidden) printf("%s ", lm_commands[i]->name);
    }
    printf("'\n    else\n        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; lm_commands[i]; i++) {
        const lm_command *command = lm_commands[i];
        if (command->hidden) continue;
        printf("        %s) words='", command->name);
        print_option_words(command, " ");
        for (size_t j = 0; command->subcommands && command->subcommands[j]; j++) {
            printf("%s ", command->subcommands[j]->name);
            print_option_words(command->subcommands[j], " ");
        }
        printf("--help' ;;\n");
    }
    printf("        esac\n    fi\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "    case $cur in -*) ;; *) [ \"$COMP_CWORD\" -gt 1 ] && COMPREPLY+=($(compgen -f -- "
           "\"$cur\")) ;; esac\n"
           "}\ncomplete -o filenames -F _loam loam\n");
}

static void complete_zsh(void) {
    printf("#compdef loam\nautoload -U +X bashcompinit && bashcompinit\n");
    complete_bash();
}

static void complete_fish_options(const lm_command *command, const char *under) {
    for (const lm_option *option = command->options; option && option->name; option++) {
        printf("complete -c loam -n '__fish_seen_subcommand_from %s' -l %s%s -d '", under,
               option->name, option->type == LM_OPT_FLAG ? "" : " -r");
        for (const char *c = option->help; *c; c++) {
            if (*c == '\'') putchar('\\');
            putchar(*c);
        }
        printf("'\n");
    }
}

static void complete_fish(void) {
    for (size_t i = 0; lm_commands[i]; i++) {
        const lm_command *command = lm_commands[i];
        if (command->hidden) continue;
        printf("complete -c loam -n __fish_use_subcommand -a %s -d '%s'\n", command->name,
               command->summary);
        complete_fish_options(command, command->name);
        for (size_t j = 0; command->subcommands && command->subcommands[j]; j++) {
            const lm_command *sub = command->subcommands[j];
            printf("complete -c loam -n '__fish_seen_subcommand_from %s' -a %s -d '%s'\n",
                   command->name, sub->name, sub->summary);
            complete_fish_options(sub, sub->name);
        }
    }
}

int lm_help_print_completion(const char *shell) {
    if (strcmp(shell, "bash") == 0) {
        complete_bash();
    } else if (strcmp(shell, "zsh") == 0) {
        complete_zsh();
    } else if (strcmp(shell, "fish") == 0) {
        complete_fish();
    } else {
        return 0;
    }
    return 1;
}
