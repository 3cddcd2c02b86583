/* How much the gateway costs: the real gateway with its keys and limits, between clients and a stub replica that answers at
 * once, all in this process, on three threads that share nothing.
 *
 *     clients' loop --> gateway's loop --> stub's loop
 */
#ifndef LM_CLOUD_GATEWAY_BENCH_H
#define LM_CLOUD_GATEWAY_BENCH_H

#include <stdint.h>

#include "base/error.h"

typedef struct lm_gateway_bench_options {
    int64_t n_requests; /* of the throughput measurement */
    int64_t n_clients;  /* side by side */
    int64_t n_streams;  /* held open, idle */
} lm_gateway_bench_options;

typedef struct lm_gateway_bench_result {
    double direct_p50_ms,
        gateway_p50_ms;         /* one request at a time, stub alone and through the gateway */
    double requests_per_s;      /* by the clock, all three threads sharing the machine */
    double requests_per_core_s; /* by the processor time of the gateway's thread */
    int64_t n_failed;
    int64_t n_streams_held; /* that had their first event, all open at once */
    double streams_p50_ms;  /* requests through the gateway meanwhile */
    double rss_before_mb,
        rss_after_mb;      /* of the whole process, around the throughput measurement */
    double rss_streams_mb; /* with the streams open */
} lm_gateway_bench_result;

loam_status lm_gateway_bench(const lm_gateway_bench_options *options, lm_gateway_bench_result *out,
                             loam_error *err) LM_MUST_USE;

#endif
