/* loam bench: what the machine can do, and how near the kernels and models come to it. */
#include <stdio.h>
#include <unistd.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/machine.h"
#include "cli/bench.h"
#include "cli/bench_gateway.h"
#include "cli/command.h"

bench_format bench_format_of(const bench_settings *settings) {
    return settings->json ? BENCH_JSON : settings->csv ? BENCH_CSV : BENCH_TABLE;
}

loam_status bench_open(const bench_settings *settings, lm_device **out, loam_error *err) {
    lm_device_options options = {.n_threads = (int)settings->threads, .isa = settings->isa};
    return lm_backend_cpu.open(&options, out, err);
}

/* ---- machine ---- */

enum { MEMORY_BYTES = 1 << 30 };

static size_t cache_bytes(int name, size_t fallback) {
    long bytes = sysconf(name);
    return bytes > 0 ? (size_t)bytes : fallback;
}

static loam_status report_bandwidths(lm_device *device, bench_format format, loam_error *err) {
    size_t n = (size_t)device->n_threads, l2 = cache_bytes(_SC_LEVEL2_CACHE_SIZE, 1 << 20);
    const struct {
        const char *name;
        size_t bytes;
    } levels[] = {
        {"read bandwidth, first-level cache",
         cache_bytes(_SC_LEVEL1_DCACHE_SIZE, 32 << 10) / 2 * n},
        {"read bandwidth, second-level cache", l2 / 2 * n},
        {"read bandwidth, four times the second level", 4 * l2 * n},
        {"read bandwidth, memory", MEMORY_BYTES},
    };
    for (size_t i = 0; i < LM_COUNT_OF(levels); i++) {
        double bytes_per_s;
        LM_TRY(lm_cpu_read_bandwidth(device, levels[i].bytes, &bytes_per_s, err));
        bench_field fields[] = {{.key = "what", .text = levels[i].name},
                                {.key = "unit", .text = "GB/s"},
                                {.key = "value", .number = bytes_per_s * 1e-9}};
        bench_report_row(format, false, fields, LM_COUNT_OF(fields));
    }
    return LOAM_OK;
}

/* The peak of every instruction set up to the chosen one. */
static loam_status report_peaks(const bench_settings *settings, lm_cpu_isa best, loam_error *err) {
    static const char *const names[] = {"f32 peak, scalar", "f32 peak, avx2", "f32 peak, avx512"};
    static const char *const isas[] = {"scalar", "avx2", "avx512"};
    for (int i = 0; i <= (int)best; i++) {
        lm_device *device;
        LM_TRY(lm_backend_cpu.open(
            &(lm_device_options){.n_threads = (int)settings->threads, .isa = isas[i]}, &device,
            err));
        bench_field fields[] = {{.key = "what", .text = names[i]},
                                {.key = "unit", .text = "GFLOP/s"},
                                {.key = "value", .number = lm_cpu_peak_flops(device) * 1e-9}};
        bench_report_row(bench_format_of(settings), i == 0, fields, LM_COUNT_OF(fields));
        lm_device_close(device);
    }
    return LOAM_OK;
}

static int run_machine(const void *settings, int n_args, char **args) {
    loam_error err = {0};
    lm_device *device;
    loam_status status = bench_open(settings, &device, &err);
    if (status != LOAM_OK) return lm_cli_fail(&err);
    status = report_peaks(settings, lm_cpu_of(device)->isa, &err);
    if (status == LOAM_OK) status = report_bandwidths(device, bench_format_of(settings), &err);
    lm_device_close(device);
    return status == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

/* ---- The commands ---- */

static const bench_settings defaults = {.prompt_tokens = 512, .answer_tokens = 128};

#define BENCH_OPTIONS                                                                 \
    {"threads",                                                                       \
     't',                                                                             \
     LM_OPT_INT,                                                                      \
     "N",                                                                             \
     "threads to use (default: all usable CPUs)",                                     \
     LM_OPTION_AT(bench_settings, threads),                                           \
     1,                                                                               \
     LM_POOL_MAX_THREADS,                                                             \
     "LOAM_THREADS"},                                                                 \
        {"isa",                                                                       \
         0,                                                                           \
         LM_OPT_STRING,                                                               \
         "NAME",                                                                      \
         "no better instruction set than scalar, avx2 or avx512 (default: the best)", \
         LM_OPTION_AT(bench_settings, isa),                                           \
         0,                                                                           \
         0,                                                                           \
         NULL},                                                                       \
        {"json",                                                                      \
         0,                                                                           \
         LM_OPT_FLAG,                                                                 \
         NULL,                                                                        \
         "print one JSON object a line",                                              \
         LM_OPTION_AT(bench_settings, json),                                          \
         0,                                                                           \
         0,                                                                           \
         NULL},                                                                       \
    {                                                                                 \
        "csv", 0, LM_OPT_FLAG, NULL, "print comma-separated values",                  \
            LM_OPTION_AT(bench_settings, csv), 0, 0, NULL                             \
    }

static const lm_option options[] = {BENCH_OPTIONS, LM_OPTIONS_END};

static const lm_command machine_command = {
    .name = "machine",
    .summary = "measure arithmetic and memory",
    .description = "Prints the most f32 operations a second that each instruction set reaches, and "
                   "how fast the caches and the "
                   "memory are read.",
    .options = options,
    .settings_bytes = sizeof(bench_settings),
    .defaults = &defaults,
    .run = run_machine,
};

static const lm_command ops_command = {
    .name = "ops",
    .summary = "time the kernels",
    .usage = "[filter]",
    .description = "Times every op at sizes that training and inference have, and holds it against "
                   "the nearer of the machine's "
                   "arithmetic and memory limits. The filter is a part of a row's name.",
    .examples = "loam bench ops linear --threads 1\n    matrix products on one thread\n",
    .options = options,
    .max_args = 1,
    .settings_bytes = sizeof(bench_settings),
    .defaults = &defaults,
    .run = bench_ops,
};

static const lm_option model_options[] = {
    {"prompt-tokens", 'p', LM_OPT_INT, "N", "tokens of the prompt (default 512)",
     LM_OPTION_AT(bench_settings, prompt_tokens), 1, 1 << 20, NULL},
    {"answer-tokens", 'n', LM_OPT_INT, "N", "tokens of each answer (default 128)",
     LM_OPTION_AT(bench_settings, answer_tokens), 1, 1 << 20, NULL},
    BENCH_OPTIONS,
    LM_OPTIONS_END,
};

static const lm_command model_command = {
    .name = "model",
    .summary = "time prompts and answers of a model",
    .usage = "<model>",
    .description = "Times one prompt, then 1, 4 and 16 answers to it at once, and holds them "
                   "against the nearer of the machine's "
                   "limits: its arithmetic, or reading all weights once a step.",
    .options = model_options,
    .min_args = 1,
    .max_args = 1,
    .settings_bytes = sizeof(bench_settings),
    .defaults = &defaults,
    .run = bench_model,
};

static const lm_command *const subcommands[] = {&machine_command, &ops_command, &model_command,
                                                &lm_bench_gateway_command, NULL};

const lm_command lm_cmd_bench = {
    .name = "bench",
    .summary = "measure the machine, the kernels, models and the gateway",
    .usage = "<command>",
    .subcommands = subcommands,
};
