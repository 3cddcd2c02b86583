#include "net/metrics.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

void lm_metric_family(lm_buf *out, const char *name, const char *type, const char *help) {
    lm_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void lm_metric_sample(lm_buf *out, const char *name, const char *labels, double value) {
    lm_buf_puts(out, name);
    if (labels) lm_buf_printf(out, "{%s}", labels);
    lm_buf_printf(out, " %.17g\n", value);
}

void lm_metric(lm_buf *out, const char *name, const char *type, const char *help, double value) {
    lm_metric_family(out, name, type, help);
    lm_metric_sample(out, name, NULL, value);
}

static double resident_bytes(void) {
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return 0;
    if (fscanf(file, "%ld %ld", &size, &resident) != 2) resident = 0;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void lm_metrics_process(lm_buf *out, int64_t started_ms) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    lm_metric(out, "process_cpu_seconds_total", "counter", "CPU time used, user and system.",
              seconds(usage.ru_utime) + seconds(usage.ru_stime));
    lm_metric(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
    lm_metric(out, "process_start_time_seconds", "gauge", "Start of the process since the epoch.",
              (double)started_ms / 1e3);
}
