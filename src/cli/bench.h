/* What the files of `loam bench` share: the options that every one of its commands has, devices, and the machine's limits.
 *
 * A command's settings struct begins with a bench_settings, and its option table ends with BENCH_OPTIONS.
 */
#ifndef LM_CLI_BENCH_H
#define LM_CLI_BENCH_H

#include "backend/cpu/machine.h"
#include "cli/bench_report.h"
#include "cli/command.h"

typedef struct bench_settings {
    bool json, csv;
    const char *save, *baseline;
    double max_slowdown;
    const char *threads; /* list of numbers; NULL: all usable CPUs */
    const char *isa;     /* NULL: the best */
} bench_settings;

#define BENCH_REPORT_OPTIONS(struct_type)                                                         \
    {.name = "json",                                                                              \
     .type = LM_OPT_FLAG,                                                                         \
     .offset = LM_OPTION_AT(struct_type, bench.json),                                             \
     .help = "print one JSON object a line"},                                                     \
        {.name = "csv",                                                                           \
         .type = LM_OPT_FLAG,                                                                     \
         .offset = LM_OPTION_AT(struct_type, bench.csv),                                          \
         .help = "print comma-separated values"},                                                 \
        {.name = "save",                                                                          \
         .type = LM_OPT_STRING,                                                                   \
         .arg = "FILE",                                                                           \
         .offset = LM_OPTION_AT(struct_type, bench.save),                                         \
         .help = "write the rows to FILE as well, as JSON lines"},                                \
        {.name = "baseline",                                                                      \
         .type = LM_OPT_STRING,                                                                   \
         .arg = "FILE",                                                                           \
         .offset = LM_OPTION_AT(struct_type, bench.baseline),                                     \
         .help = "a file that --save wrote: print how many times as fast each row is now"},       \
    {                                                                                             \
        .name = "max-slowdown", .type = LM_OPT_FLOAT, .arg = "X",                                 \
        .offset = LM_OPTION_AT(struct_type, bench.max_slowdown), .min = 1, .max = 1000,           \
        .help = "with --baseline: exit with 1 when a row is slower than X times (default: never)" \
    }

#define BENCH_DEVICE_OPTIONS(struct_type)                                              \
    {.name = "threads",                                                                \
     .short_name = 't',                                                                \
     .type = LM_OPT_STRING,                                                            \
     .arg = "LIST",                                                                    \
     .offset = LM_OPTION_AT(struct_type, bench.threads),                               \
     .env = "LOAM_THREADS",                                                            \
     .help = "numbers of threads, as in 1,2 (default: all usable CPUs)"},              \
    {                                                                                  \
        .name = "isa", .type = LM_OPT_STRING, .arg = "NAME",                           \
        .offset = LM_OPTION_AT(struct_type, bench.isa),                                \
        .help = "no better instruction set than this one, as avx2 (default: the best)" \
    }

/* A list of numbers given as "1,4,16". */
enum { BENCH_LIST_MAX = 32 };
typedef struct bench_list {
    int64_t values[BENCH_LIST_MAX];
    int len;
} bench_list;

/* LOAM_INVALID, naming the option, unless all are numbers from min to max. */
loam_status bench_list_parse(const char *text, const char *option, int64_t min, int64_t max,
                             bench_list *out, loam_error *err) LM_MUST_USE;

/* Opens a report as the settings want it. */
loam_status bench_report_open(const bench_settings *settings, bench_report **out,
                              loam_error *err) LM_MUST_USE;

/* A command's run function: opens the report, calls fn with a device of each number of threads that is asked for until one
 * fails, ends the report, prints an error. */
typedef loam_status bench_device_fn(void *arg, lm_device *device, bench_report *report,
                                    loam_error *err);
int bench_on_devices(const bench_settings *settings, bench_device_fn *fn, void *arg);

/* A limit that is measured again by each of the first askers, and whose best figure counts: neighbours only ever slow us. */
typedef struct bench_limit {
    double per_s;
    int n_measured;
} bench_limit;

/* The machine's limits with a device's threads. */
typedef struct bench_limits {
    lm_device *device;
    bench_limit ops[LM_CPU_N_ARITHS];
    bench_limit bytes[64]; /* of a working set of up to 2^i bytes */
} bench_limits;

/* Seconds that the work takes at least: all arithmetic at the peak of its kind, or all bytes at the bandwidth of a working
 * set of that size, whichever is longer (*out_memory then says which, may be NULL). */
loam_status bench_limits_seconds(bench_limits *limits, lm_cpu_arith arith, double flops,
                                 double bytes, double working_set, double *out, bool *out_memory,
                                 loam_error *err) LM_MUST_USE;

/* What products with weights of this type are made of: f16 ones would be summed up in f16 too, and are done in f32. */
lm_cpu_arith bench_arith_of(lm_dtype weights);

/* The commands, in cmd_bench.c's order. */
extern const lm_command lm_bench_machine_command, lm_bench_ops_command, lm_bench_gemm_command,
    lm_bench_model_command, lm_bench_train_command, lm_bench_serve_command, lm_bench_gateway_command;

#endif
