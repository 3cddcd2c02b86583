/* loam bench machine: the roofline of this machine, which all other figures are held against. */
#include <stdio.h>

#include "base/usable.h"
#include "cli/bench.h"

typedef struct machine_settings {
    bench_settings bench;
} machine_settings;

typedef struct machine_row {
    const char *what, *where, *unit;
    int n_threads;
    double value;
} machine_row;

static void print_row(bench_report *report, machine_row row) {
    bench_field fields[] = {
        {.key = "what", .text = row.what, .role = BENCH_KEY, .width = 16},
        {.key = "where", .text = row.where, .role = BENCH_KEY, .width = 24},
        {.key = "threads", .number = row.n_threads, .role = BENCH_KEY},
        {.key = "unit", .text = row.unit, .role = BENCH_KEY, .width = 8},
        {.key = "value", .number = row.value, .role = BENCH_RATE},
    };
    bench_report_row(report, fields, LM_COUNT_OF(fields));
}

static void print_caches(lm_device *device, bench_report *report) {
    lm_cpu_level levels[LM_CPU_N_LEVELS];
    lm_cpu_levels(device->n_threads, levels);
    for (int i = 0; i < LM_CPU_N_LEVELS; i++) {
        if (levels[i].size_bytes == 0) continue;
        print_row(report, (machine_row){"cache size", levels[i].name, "KiB", device->n_threads,
                                        (double)levels[i].size_bytes / 1024});
    }
}

static void print_peaks(lm_device *device, bench_report *report) {
    for (int i = 0; i < lm_cpu_n_peaks(); i++) {
        lm_cpu_peak peak;
        char where[64];
        if (!lm_cpu_peak_get(device, i, &peak)) continue;
        snprintf(where, sizeof where, "%s %s", peak.isa, peak.instruction);
        print_row(report, (machine_row){lm_cpu_arith_name(peak.arith), where, "GOP/s",
                                        device->n_threads, lm_cpu_peak_ops(device, i) * 1e-9});
    }
}

static loam_status print_bandwidths(lm_device *device, bench_report *report, loam_error *err) {
    static const char *const names[] = {[LM_CPU_READ] = "read", [LM_CPU_COPY] = "copy"};
    lm_cpu_level levels[LM_CPU_N_LEVELS];
    lm_cpu_levels(device->n_threads, levels);
    for (int traffic = LM_CPU_READ; traffic <= LM_CPU_COPY; traffic++) {
        for (int i = 0; i < LM_CPU_N_LEVELS; i++) {
            double bytes_per_s;
            if (levels[i].probe_bytes == 0) continue;
            LM_TRY(lm_cpu_bandwidth(device, (lm_cpu_traffic)traffic,
                                    levels[i].probe_bytes * (size_t)device->n_threads, &bytes_per_s,
                                    err));
            print_row(report, (machine_row){names[traffic], levels[i].name, "GB/s",
                                            device->n_threads, bytes_per_s * 1e-9});
        }
    }
    return LOAM_OK;
}

static loam_status measure(void *arg, lm_device *device, bench_report *report, loam_error *err) {
    print_caches(device, report);
    print_peaks(device, report);
    return print_bandwidths(device, report, err);
}

static int run_machine(const void *settings_, int n_args, char **args) {
    machine_settings settings = *(const machine_settings *)settings_;
    char threads[32];
    snprintf(threads, sizeof threads, "1,%d", lm_cpu_n_usable());
    if (!settings.bench.threads) settings.bench.threads = lm_cpu_n_usable() > 1 ? threads : "1";
    return bench_on_devices(&settings.bench, measure, NULL);
}

static const lm_option options[] = {
    BENCH_DEVICE_OPTIONS(machine_settings),
    BENCH_REPORT_OPTIONS(machine_settings),
    LM_OPTIONS_END,
};

const lm_command lm_bench_machine_command = {
    .name = "machine",
    .summary = "measure arithmetic and memory: the roofline",
    .description =
        "Prints the sizes of the caches, the most operations a second that each instruction "
        "reaches "
        "(a multiply and an add are two), and how fast each level of the memory hierarchy is read "
        "and copied, on one thread and on all. Every figure is the best of many runs of a "
        "millisecond.",
    .examples = "loam bench machine --json --save machine.json\n"
                "    keep the machine's limits for drawing its roofline\n",
    .options = options,
    .settings_bytes = sizeof(machine_settings),
    .run = run_machine,
};
