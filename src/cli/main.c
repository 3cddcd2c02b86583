/* Entry of the loam program: finds the subcommand and hands over. */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/command.h"

#define LM_COMMAND(name) extern const lm_command lm_cmd_##name;
#include "cli/commands.def"
#undef LM_COMMAND

const lm_command *const lm_commands[] = {
#define LM_COMMAND(name) &lm_cmd_##name,
#include "cli/commands.def"
#undef LM_COMMAND
    NULL,
};

static int unknown_command(const char *name) {
    const char *names[64];
    size_t n = 0;
    for (size_t i = 0; lm_commands[i]; i++) {
        if (!lm_commands[i]->hidden) names[n++] = lm_commands[i]->name;
    }
    const char *nearest = lm_str_nearest(name, names, n);
    fprintf(stderr, "loam: unknown command '%s'", name);
    if (nearest) fprintf(stderr, "; did you mean '%s'?", nearest);
    fprintf(stderr, "\n'loam help' lists the commands\n");
    return LM_EXIT_USAGE;
}

/* The exit code, given the command's: output that was lost (a full disk) fails, a reader who has seen enough does not. */
static int check_output(int code) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    bool reader_left = poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
    if (reader_left || code != LM_EXIT_OK) return code;
    fprintf(stderr, "loam: standard output could not be written whole\n      is the disk full?\n");
    return LM_EXIT_FAILED;
}

int main(int argc, char **argv) {
    signal(
        SIGPIPE,
        SIG_IGN); /* a closed pipe or socket is an error of that write, not the end of the program */
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        lm_help_print_all();
        return argc < 2 ? LM_EXIT_USAGE : check_output(LM_EXIT_OK);
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    for (size_t i = 0; lm_commands[i]; i++) {
        if (strcmp(lm_commands[i]->name, name) == 0)
            return check_output(
                lm_command_main(lm_commands[i], lm_commands[i]->name, argc - 2, argv + 2));
    }
    return unknown_command(name);
}
