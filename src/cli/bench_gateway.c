/* loam bench gateway: what the cloud's gateway adds to a request, and how many it carries. */
#include <stdio.h>

#include "cli/bench.h"
#include "cloud/gateway_bench.h"

typedef struct gateway_settings {
    bench_settings bench;
    int64_t requests, clients, streams;
} gateway_settings;

static void print_result(const lm_gateway_bench_result *r, bench_report *report) {
    const struct {
        const char *what, *unit;
        double value;
        bench_role role;
    } rows[] = {
        {"one request, straight to the replica, median", "ms", r->direct_p50_ms, BENCH_TIME},
        {"one request, through the gateway, median", "ms", r->gateway_p50_ms, BENCH_TIME},
        {"added by the gateway", "ms", r->gateway_p50_ms - r->direct_p50_ms},
        {"small requests, by processor time of the gateway", "req/s a core", r->requests_per_core_s,
         BENCH_RATE},
        {"small requests, clients and replica on the same machine", "req/s", r->requests_per_s,
         BENCH_RATE},
        {"idle streams held", "", (double)r->n_streams_held},
        {"one request beside them, median", "ms", r->streams_p50_ms, BENCH_TIME},
        {"failed requests", "", (double)r->n_failed},
        {"resident before the small requests, whole process", "MB", r->rss_before_mb},
        {"resident after the small requests, whole process", "MB", r->rss_after_mb},
        {"resident with the idle streams, whole process", "MB", r->rss_streams_mb},
    };
    for (size_t i = 0; i < LM_COUNT_OF(rows); i++) {
        bench_field fields[] = {
            {.key = "what", .text = rows[i].what, .role = BENCH_KEY, .width = 56},
            {.key = "unit", .text = rows[i].unit, .role = BENCH_KEY, .width = 12},
            {.key = "value", .number = rows[i].value, .role = rows[i].role},
        };
        bench_report_row(report, fields, LM_COUNT_OF(fields));
    }
}

static int run_gateway(const void *settings_, int n_args, char **args) {
    const gateway_settings *settings = settings_;
    lm_gateway_bench_options options = {.n_requests = settings->requests,
                                        .n_clients = settings->clients,
                                        .n_streams = settings->streams};
    lm_gateway_bench_result r;
    bench_report *report;
    loam_error err = {0};
    if (bench_report_open(&settings->bench, &report, &err) != LOAM_OK) return lm_cli_fail(&err);
    if (lm_gateway_bench(&options, &r, &err) != LOAM_OK) {
        bench_report_free(report);
        return lm_cli_fail(&err);
    }
    print_result(&r, report);
    if (bench_report_end(report, &err) != LOAM_OK) return lm_cli_fail(&err);
    return r.n_failed == 0 ? LM_EXIT_OK : LM_EXIT_FAILED;
}

#define AT(field) LM_OPTION_AT(gateway_settings, field)
static const lm_option options[] = {
    {.name = "requests",
     .short_name = 'n',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(requests),
     .min = 1,
     .max = 1e8,
     .help = "small requests to carry (default 50000)"},
    {.name = "clients",
     .short_name = 'c',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(clients),
     .min = 1,
     .max = 1000,
     .help = "clients at once (default 64)"},
    {.name = "streams",
     .short_name = 's',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(streams),
     .min = 0,
     .max = 10000,
     .help = "idle streams to hold (default 1000)"},
    BENCH_REPORT_OPTIONS(gateway_settings),
    LM_OPTIONS_END,
};

const lm_command lm_bench_gateway_command = {
    .name = "gateway",
    .summary = "measure the cloud's gateway",
    .description = "Puts the gateway, with its keys and budgets, between clients and a stub "
                   "replica that answers at once, all in "
                   "this process. Needs no cloud and leaves nothing behind.",
    .options = options,
    .settings_bytes = sizeof(gateway_settings),
    .defaults = &(gateway_settings){.requests = 50000, .clients = 64, .streams = 1000},
    .run = run_gateway,
};
