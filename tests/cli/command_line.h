/* Running the program as a shell does. */
#ifndef LM_TESTS_CLI_COMMAND_LINE_H
#define LM_TESTS_CLI_COMMAND_LINE_H

#include "testing.h"

/* What a command printed to standard output, cut when too long, and its exit code; -1: it was killed. */
typedef struct cli_result {
    char text[32768];
    int code;
} cli_result;

/* Runs a line of shell. */
static inline cli_result cli_shell(const char *line) {
    cli_result r = {0};
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    r.text[fread(r.text, 1, sizeof r.text - 1, pipe)] = '\0';
    int status = pclose(pipe);
    r.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return r;
}

/* Runs `loam ARGS` without its messages; fmt gives the arguments. */
static inline LM_PRINTF(1, 2) cli_result cli_loam(const char *fmt, ...) {
    char args[4096];
    va_list list;
    va_start(list, fmt);
    vsnprintf(args, sizeof args, fmt, list);
    va_end(list);
    char *line = lm_asprintf("%s %s 2>/dev/null", LM_LOAM, args);
    assert_non_null(line);
    cli_result r = cli_shell(line);
    lm_free(line);
    return r;
}

#endif
