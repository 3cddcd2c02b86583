/* Parsing of command lines by option tables. Long options `--name value`, `--name=value`, `--no-flag`; short `-n value`.
 * `--` ends the options; a single `-` is a positional argument. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/store_arg.h"

typedef struct parser {
    const lm_command *command;
    const char *full_name;
    char *settings;
    int argc, next;
    char **argv;
    int n_args; /* positionals, moved to the front of argv */
} parser;

static int usage_error(const parser *p, const char *fmt, const char *what) {
    fprintf(stderr, "loam %s: ", p->full_name);
    fprintf(stderr, fmt, what);
    fprintf(stderr, "\n'loam %s --help' tells more\n", p->full_name);
    return LM_EXIT_USAGE;
}

static int bad_value(const parser *p, const lm_option *option, const char *value) {
    fprintf(stderr, "loam %s: --%s: '%s' is not ", p->full_name, option->name, value);
    fprintf(stderr, option->type == LM_OPT_INT ? "a whole number" : "a number");
    if (option->min != 0 || option->max != 0)
        fprintf(stderr, " from %g to %g", option->min, option->max);
    fprintf(stderr, "\n");
    return LM_EXIT_USAGE;
}

static bool in_range(const lm_option *option, double value) {
    return (option->min == 0 && option->max == 0) || (value >= option->min && value <= option->max);
}

static int store(const parser *p, const lm_option *option, const char *value) {
    void *field = p->settings + option->offset;
    switch (option->type) {
    case LM_OPT_FLAG: *(bool *)field = strcmp(value, "0") != 0; return LM_EXIT_OK;
    case LM_OPT_STRING: *(const char **)field = value; return LM_EXIT_OK;
    case LM_OPT_INT: {
        int64_t number;
        if (!lm_str_to_i64(lm_str_of(value), &number) || !in_range(option, (double)number))
            return bad_value(p, option, value);
        *(int64_t *)field = number;
        return LM_EXIT_OK;
    }
    case LM_OPT_FLOAT: {
        double number;
        if (!lm_str_to_f64(lm_str_of(value), &number) || !in_range(option, number))
            return bad_value(p, option, value);
        *(double *)field = number;
        return LM_EXIT_OK;
    }
    case LM_OPT_LIST: {
        lm_option_list *list = field;
        if (list->len == LM_OPT_LIST_MAX)
            return usage_error(p, "--%s is given too often", option->name);
        list->items[list->len++] = value;
        return LM_EXIT_OK;
    }
    }
    return LM_EXIT_USAGE;
}

static const lm_option *find_long(const lm_command *command, lm_str name) {
    for (const lm_option *option = command->options; option && option->name; option++) {
        if (lm_str_is(name, option->name)) return option;
    }
    return NULL;
}

static const lm_option *find_short(const lm_command *command, char name) {
    for (const lm_option *option = command->options; option && option->name; option++) {
        if (option->short_name == name) return option;
    }
    return NULL;
}

static int unknown_option(const parser *p, const char *text) {
    const char *names[128];
    size_t n = 0;
    for (const lm_option *option = p->command->options; option && option->name && n < 128; option++)
        names[n++] = option->name;
    const char *nearest = lm_str_nearest(text, names, n);
    if (!nearest) return usage_error(p, "unknown option '--%s'", text);
    fprintf(stderr, "loam %s: unknown option '--%s'; did you mean '--%s'?\n", p->full_name, text,
            nearest);
    return LM_EXIT_USAGE;
}

static int parse_long(parser *p, const char *text) {
    const char *equals = strchr(text, '=');
    lm_str name = {text, equals ? (size_t)(equals - text) : strlen(text)};
    const lm_option *option = find_long(p->command, name);
    if (!option && lm_str_starts(name, LM_STR("no-"))) {
        option = find_long(p->command, (lm_str){name.ptr + 3, name.len - 3});
        if (option && option->type == LM_OPT_FLAG && !equals) return store(p, option, "0");
        option = NULL;
    }
    if (!option) return unknown_option(p, text);
    if (option->type == LM_OPT_FLAG) {
        if (equals) return usage_error(p, "--%s takes no value", option->name);
        return store(p, option, "1");
    }
    if (equals) return store(p, option, equals + 1);
    if (p->next == p->argc) return usage_error(p, "--%s needs a value", option->name);
    return store(p, option, p->argv[p->next++]);
}

static int parse_short(parser *p, const char *text) {
    const lm_option *option = find_short(p->command, text[0]);
    if (!option) return usage_error(p, "unknown option '-%s'", text);
    if (option->type == LM_OPT_FLAG) {
        if (text[1] != '\0') return usage_error(p, "write the short options apart: '-%s'", text);
        return store(p, option, "1");
    }
    if (text[1] != '\0') return store(p, option, text + 1);
    if (p->next == p->argc) return usage_error(p, "--%s needs a value", option->name);
    return store(p, option, p->argv[p->next++]);
}

static int parse_environment(parser *p) {
    for (const lm_option *option = p->command->options; option && option->name; option++) {
        const char *value = option->env ? getenv(option->env) : NULL;
        if (!value || !*value) continue;
        int code = store(p, option, value);
        if (code != LM_EXIT_OK) return code;
    }
    return LM_EXIT_OK;
}

static int check_required(const parser *p) {
    for (const lm_option *option = p->command->options; option && option->name; option++) {
        if (!option->required || *(const char **)(p->settings + option->offset)) continue;
        return usage_error(p, "--%s is missing", option->name);
    }
    return LM_EXIT_OK;
}

static int parse(parser *p) {
    int code = parse_environment(p);
    bool options_end = false;
    while (code == LM_EXIT_OK && p->next < p->argc) {
        char *text = p->argv[p->next++];
        if (options_end || text[0] != '-' || text[1] == '\0') {
            p->argv[p->n_args++] = text;
        } else if (strcmp(text, "--") == 0) {
            options_end = true;
        } else if (text[1] == '-') {
            code = parse_long(p, text + 2);
        } else {
            code = parse_short(p, text + 1);
        }
    }
    if (code != LM_EXIT_OK) return code;
    if (p->n_args < p->command->min_args) return usage_error(p, "wants %s", p->command->usage);
    if (p->command->max_args >= 0 && p->n_args > p->command->max_args)
        return usage_error(p, "unexpected argument '%s'", p->argv[p->command->max_args]);
    return check_required(p);
}

/* Puts the path of the model in the place of its name. */
static int resolve_model(parser *p, char **out_path) {
    loam_error err = {0};
    int at = p->command->model_arg - 1;
    if (at < 0 || at >= p->n_args) return LM_EXIT_OK;
    if (lm_cli_model_path(p->argv[at], out_path, &err) != LOAM_OK) return lm_cli_fail(&err);
    p->argv[at] = *out_path;
    return LM_EXIT_OK;
}

static bool asks_help(int argc, char **argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    }
    return false;
}

static int run_subcommand(const lm_command *command, const char *full_name, int argc, char **argv) {
    if (argc == 0 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
        lm_help_print(command, full_name);
        return argc == 0 ? LM_EXIT_USAGE : LM_EXIT_OK;
    }
    for (size_t i = 0; command->subcommands[i]; i++) {
        if (strcmp(command->subcommands[i]->name, argv[0]) != 0) continue;
        char name[128];
        snprintf(name, sizeof name, "%s %s", full_name, argv[0]);
        return lm_command_main(command->subcommands[i], name, argc - 1, argv + 1);
    }
    fprintf(stderr, "loam %s: unknown subcommand '%s'\n'loam %s --help' lists them\n", full_name,
            argv[0], full_name);
    return LM_EXIT_USAGE;
}

int lm_command_main(const lm_command *command, const char *full_name, int argc, char **argv) {
    if (command->subcommands) return run_subcommand(command, full_name, argc, argv);
    if (asks_help(argc, argv)) {
        lm_help_print(command, full_name);
        return LM_EXIT_OK;
    }
    parser p = {.command = command, .full_name = full_name, .argc = argc, .argv = argv};
    p.settings = lm_calloc(1, command->settings_bytes + 1);
    if (!p.settings) return lm_cli_fail(&(loam_error){.message = "out of memory"});
    if (command->defaults) memcpy(p.settings, command->defaults, command->settings_bytes);
    char *model_path = NULL;
    int code = parse(&p);
    if (code == LM_EXIT_OK) code = resolve_model(&p, &model_path);
    if (code == LM_EXIT_OK) code = command->run(p.settings, p.n_args, argv);
    lm_free(model_path);
    lm_free(p.settings);
    return code;
}

int lm_cli_fail(const loam_error *err) {
    fprintf(stderr, "loam: %s\n", err->message);
    if (err->hint[0]) fprintf(stderr, "      %s\n", err->hint);
    return LM_EXIT_FAILED;
}
