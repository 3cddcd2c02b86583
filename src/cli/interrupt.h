/* Ctrl-C for long work that can stop in good order: the first SIGINT or SIGTERM sets a flag, another one of them ends the
 * program at once. */
#ifndef LM_CLI_INTERRUPT_H
#define LM_CLI_INTERRUPT_H

#include <stdbool.h>

enum { LM_EXIT_INTERRUPTED = 130 /* as shells say: 128 + SIGINT */ };

void lm_cli_watch_interrupt(void);
bool lm_cli_interrupted(void);

#endif
