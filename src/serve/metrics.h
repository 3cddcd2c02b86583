/* Counters and histograms of one server, and their Prometheus text (exposition format 0.0.4). Loop's thread only. */
#ifndef LM_SERVE_METRICS_H
#define LM_SERVE_METRICS_H

#include "serve/engine.h"

enum { LM_METRICS_MAX_BUCKETS = 16, LM_METRICS_MAX_STATUSES = 12 };

typedef enum lm_endpoint {
    LM_ENDPOINT_COMPLETIONS,
    LM_ENDPOINT_CHAT,
    LM_ENDPOINT_EMBEDDINGS,
    LM_ENDPOINT_RERANK,
    LM_N_ENDPOINTS
} lm_endpoint;

typedef struct lm_histogram {
    const double *bounds; /* upper, rising; static */
    int n_bounds;
    int64_t counts[LM_METRICS_MAX_BUCKETS + 1]; /* the last: above all bounds */
    double sum;
} lm_histogram;

typedef struct lm_metrics {
    struct {
        int http_status;
        int64_t count;
    } requests[LM_N_ENDPOINTS][LM_METRICS_MAX_STATUSES];
    int64_t prompt_tokens, completion_tokens;
    lm_histogram first_token, inter_token, duration; /* seconds */
} lm_metrics;

void lm_metrics_init(lm_metrics *metrics);
void lm_histogram_observe(lm_histogram *histogram, double value);

/* 499 counts clients that left before their answer was complete. */
void lm_metrics_count_request(lm_metrics *metrics, lm_endpoint endpoint, int http_status);

void lm_metrics_write(const lm_metrics *metrics, const lm_engine_stats *stats, lm_buf *out);

#endif
