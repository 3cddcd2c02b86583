/* The subcommand `gateway` of `loam bench`. */
#ifndef LM_CLI_BENCH_GATEWAY_H
#define LM_CLI_BENCH_GATEWAY_H

#include "cli/command.h"

extern const lm_command lm_bench_gateway_command;

#endif
