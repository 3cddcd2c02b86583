/* What the files of `loam bench` share. */
#ifndef LM_CLI_BENCH_H
#define LM_CLI_BENCH_H

#include "cli/bench_report.h"
#include "compute/backend.h"

typedef struct bench_settings {
    int64_t threads; /* 0: all usable */
    const char *isa; /* NULL: the best */
    bool json, csv;
    int64_t prompt_tokens, answer_tokens; /* of `model` */
} bench_settings;

bench_format bench_format_of(const bench_settings *settings);
loam_status bench_open(const bench_settings *settings, lm_device **out,
                       loam_error *err) LM_MUST_USE;

/* The subcommands' run functions. */
int bench_ops(const void *settings, int n_args, char **args);
int bench_model(const void *settings, int n_args, char **args);

#endif
