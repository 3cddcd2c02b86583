#include "cli/bench.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "base/str.h"

loam_status bench_list_parse(const char *text, const char *option, int64_t min, int64_t max,
                             bench_list *out, loam_error *err) {
    *out = (bench_list){0};
    lm_str rest = lm_str_of(text);
    while (rest.len > 0) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        lm_str word = {rest.ptr, comma ? (size_t)(comma - rest.ptr) : rest.len};
        rest =
            (lm_str){word.ptr + word.len + (comma != NULL), rest.len - word.len - (comma != NULL)};
        int64_t value;
        if (out->len == BENCH_LIST_MAX || !lm_str_to_i64(word, &value) || value < min ||
            value > max)
            return lm_error_set(err, LOAM_INVALID,
                                "--%s: '%s' is not a list of at most %d numbers from %lld to %lld",
                                option, text, BENCH_LIST_MAX, (long long)min, (long long)max);
        out->values[out->len++] = value;
    }
    return LOAM_OK;
}

loam_status bench_report_open(const bench_settings *settings, bench_report **out, loam_error *err) {
    bench_report_options options = {
        .format = settings->json  ? BENCH_JSON
                  : settings->csv ? BENCH_CSV
                                  : BENCH_TABLE,
        .save = settings->save,
        .baseline = settings->baseline,
        .max_slowdown = settings->max_slowdown,
    };
    return bench_report_new(&options, out, err);
}

static loam_status each_device(const bench_settings *settings, bench_device_fn *fn, void *arg,
                               bench_report *report, loam_error *err) {
    bench_list threads = {.values = {0}, .len = 1}; /* all there are */
    if (settings->threads)
        LM_TRY(
            bench_list_parse(settings->threads, "threads", 1, LM_POOL_MAX_THREADS, &threads, err));
    for (int i = 0; i < threads.len; i++) {
        lm_device *device;
        lm_device_options options = {.n_threads = (int)threads.values[i], .isa = settings->isa};
        LM_TRY(lm_backend_cpu.open(&options, &device, err));
        loam_status status = fn(arg, device, report, err);
        lm_device_close(device);
        LM_TRY(status);
    }
    return LOAM_OK;
}

int bench_on_devices(const bench_settings *settings, bench_device_fn *fn, void *arg) {
    loam_error err = {0};
    bench_report *report;
    if (bench_report_open(settings, &report, &err) != LOAM_OK) return lm_cli_fail(&err);
    if (each_device(settings, fn, arg, report, &err) != LOAM_OK) {
        bench_report_free(report);
        return lm_cli_fail(&err);
    }
    return bench_report_end(report, &err) == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

/* ---- Limits ---- */

enum { LIMIT_MEASUREMENTS = 4 };

static void keep_best(bench_limit *limit, double per_s) {
    limit->per_s = fmax(limit->per_s, per_s);
    limit->n_measured++;
}

static loam_status bandwidth_for(bench_limits *limits, double working_set, double *out,
                                 loam_error *err) {
    enum { MIN_BITS = 15, MAX_BITS = 30 };
    int bits = MIN_BITS;
    while (bits < MAX_BITS && (double)((int64_t)1 << bits) < working_set) bits++;
    bench_limit *limit = &limits->bytes[bits];
    if (limit->n_measured < LIMIT_MEASUREMENTS) {
        double per_s;
        LM_TRY(lm_cpu_bandwidth(limits->device, LM_CPU_READ, (size_t)1 << bits, &per_s, err));
        keep_best(limit, per_s);
    }
    *out = limit->per_s;
    return LOAM_OK;
}

loam_status bench_limits_seconds(bench_limits *limits, lm_cpu_arith arith, double flops,
                                 double bytes, double working_set, double *out, bool *out_memory,
                                 loam_error *err) {
    double bytes_per_s;
    bench_limit *ops = &limits->ops[arith];
    LM_TRY(bandwidth_for(limits, working_set, &bytes_per_s, err));
    if (ops->n_measured < LIMIT_MEASUREMENTS)
        keep_best(ops, lm_cpu_best_ops(limits->device, arith));
    double for_flops = flops / ops->per_s, for_bytes = bytes / bytes_per_s;
    *out = fmax(for_flops, for_bytes);
    if (out_memory) *out_memory = for_bytes > for_flops;
    return LOAM_OK;
}

lm_cpu_arith bench_arith_of(lm_dtype weights) {
    if (lm_dtype_is_quantized(weights)) return LM_CPU_ARITH_INT8;
    return weights == LM_BF16 ? LM_CPU_ARITH_BF16 : LM_CPU_ARITH_F32;
}
