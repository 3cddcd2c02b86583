/* Subcommands and their options as data: parsing, `--help`, the man pages and the shell completions all follow from it.
 *
 * A subcommand is one file `cmd_x.c` that defines `const lm_command lm_cmd_x`, and one line in commands.def. It parses
 * nothing itself: the framework fills its settings struct, then calls run, which only translates settings into a call
 * of its layer's entry point and prints.
 */
#ifndef LM_CLI_COMMAND_H
#define LM_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Exit codes of the program. */
enum {
    LM_EXIT_OK = 0,
    LM_EXIT_FAILED = 1,   /* the work failed; the error is on standard error */
    LM_EXIT_USAGE = 2,    /* the command line was wrong, or the recipe */
    LM_EXIT_STOPPED = 75, /* stopped on request after saving; run again to go on (EX_TEMPFAIL) */
};

typedef enum lm_option_type {
    LM_OPT_FLAG,   /* bool */
    LM_OPT_STRING, /* const char *; last one wins */
    LM_OPT_INT,    /* int64_t */
    LM_OPT_FLOAT,  /* double */
    LM_OPT_LIST,   /* lm_option_list: may be given several times, at most LM_OPT_LIST_MAX */
} lm_option_type;

enum { LM_OPT_LIST_MAX = 32 };

typedef struct lm_option_list {
    const char *items[LM_OPT_LIST_MAX];
    int len;
} lm_option_list;

typedef struct lm_option {
    const char *name; /* long name without dashes; NULL ends the table */
    char short_name;  /* 0: none */
    lm_option_type type;
    const char *arg;  /* what stands for the value in help: "N", "FILE"; NULL for flags */
    const char *help; /* one line, lower case, no full stop; say the default */
    size_t offset;    /* of the field in the settings struct: LM_OPTION_AT(settings, field) */
    double min, max;  /* for numbers; both 0: any */
    const char *env;  /* environment variable that gives the default, or NULL */
    bool required;    /* of strings: the command does not run without it */
} lm_option;

#define LM_OPTION_AT(type, field) offsetof(type, field)
#define LM_OPTIONS_END \
    { .name = NULL }

typedef struct lm_command lm_command;
struct lm_command {
    const char *name;    /* "run"; "job list" style groups use `subcommands` */
    const char *summary; /* one line for the list of commands */
    const char *usage;   /* what follows the name: "<model> [prompt]" */
    const char
        *description; /* paragraphs for --help and the man page, wrapped by the reader's width */
    const char *examples;     /* lines of "command\n    what it does\n" */
    const lm_option *options; /* ends with LM_OPTIONS_END; NULL: none */
    int min_args, max_args;   /* positional arguments; max_args -1: any number */
    int model_arg; /* 1: the first argument is a model, a path or the name of one that was pulled; run gets
                                 its path (cli/store_arg.h). 0: there is none */
    size_t settings_bytes; /* size of the settings struct; zeroed, then defaults, then options */
    const void *defaults;  /* settings_bytes of initial values, or NULL for zeros */
    int (*run)(const void *settings, int n_args, char **args); /* returns the exit code */
    const lm_command *const *subcommands;                      /* NULL-terminated, instead of run */
    bool hidden; /* for loam's own processes: not in the list of commands nor in completions */
};

/* All top-level commands, NULL-terminated, in the order of commands.def. */
extern const lm_command *const lm_commands[];

/* Parses the arguments behind the command's name and runs it; prints usage errors and --help itself. */
int lm_command_main(const lm_command *command, const char *full_name, int argc, char **argv);

/* Prints "loam: message" and the hint to standard error; returns LM_EXIT_FAILED. */
int lm_cli_fail(const loam_error *err);

/* Help, manual page (man(7) source) and completions, from the same tables. */
void lm_help_print(const lm_command *command, const char *full_name);
void lm_help_print_all(void);
void lm_help_print_man_all(void);
void lm_help_print_man(const lm_command *command, const char *full_name);
int lm_help_print_completion(const char *shell); /* bash, zsh or fish; 0 when unknown */

#endif
