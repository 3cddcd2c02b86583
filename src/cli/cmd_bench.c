/* loam bench: what the machine can do, and how near the kernels, models and servers come to it. */
#include "cli/bench.h"

static const lm_command *const subcommands[] = {
    &lm_bench_machine_command, &lm_bench_ops_command, &lm_bench_gemm_command,
    &lm_bench_model_command, &lm_bench_train_command, &lm_bench_serve_command, &lm_bench_gateway_command, NULL};

const lm_command lm_cmd_bench = {
    .name = "bench",
    .summary = "measure the machine, the kernels, models and servers",
    .usage = "<command>",
    .subcommands = subcommands,
};
