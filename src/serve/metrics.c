#include "serve/metrics.h"

#include <stdio.h>

#include "net/metrics.h"

static const double FIRST_TOKEN_BOUNDS[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                            1,     2.5,  5,     10,   30,  60};
static const double INTER_TOKEN_BOUNDS[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                            0.1,   0.25,   0.5,   1,    2.5};
static const double DURATION_BOUNDS[] = {0.01, 0.05, 0.1, 0.25, 0.5, 1,   2.5,
                                         5,    10,   30,  60,   120, 300, 600};

static const char *const ENDPOINT_NAMES[LM_N_ENDPOINTS] = {"completions", "chat_completions",
                                                           "embeddings", "rerank"};

void lm_metrics_init(lm_metrics *metrics) {
    *metrics = (lm_metrics){
        .first_token = {FIRST_TOKEN_BOUNDS, LM_COUNT_OF(FIRST_TOKEN_BOUNDS)},
        .inter_token = {INTER_TOKEN_BOUNDS, LM_COUNT_OF(INTER_TOKEN_BOUNDS)},
        .duration = {DURATION_BOUNDS, LM_COUNT_OF(DURATION_BOUNDS)},
    };
}

void lm_histogram_observe(lm_histogram *histogram, double value) {
    int i = 0;
    while (i < histogram->n_bounds && value > histogram->bounds[i]) i++;
    histogram->counts[i]++;
    histogram->sum += value;
}

void lm_metrics_count_request(lm_metrics *metrics, lm_endpoint endpoint, int http_status) {
    for (int i = 0; i < LM_METRICS_MAX_STATUSES; i++) {
        if (metrics->requests[endpoint][i].count == 0)
            metrics->requests[endpoint][i].http_status = http_status;
        if (metrics->requests[endpoint][i].http_status != http_status) continue;
        metrics->requests[endpoint][i].count++;
        return;
    }
}

static void write_histogram(lm_buf *out, const char *name, const char *help,
                            const lm_histogram *histogram) {
    int64_t n = 0;
    lm_metric_family(out, name, "histogram", help);
    for (int i = 0; i < histogram->n_bounds; i++) {
        n += histogram->counts[i];
        lm_buf_printf(out, "%s_bucket{le=\"%g\"} %lld\n", name, histogram->bounds[i], (long long)n);
    }
    n += histogram->counts[histogram->n_bounds];
    lm_buf_printf(out, "%s_bucket{le=\"+Inf\"} %lld\n%s_sum %.9g\n%s_count %lld\n", name,
                  (long long)n, name, histogram->sum, name, (long long)n);
}

static void write_requests(lm_buf *out, const lm_metrics *metrics) {
    const char *name = "loam_requests_total";
    lm_metric_family(out, name, "counter",
                     "Requests answered, by endpoint and HTTP status (499: client left).");
    for (int endpoint = 0; endpoint < LM_N_ENDPOINTS; endpoint++) {
        for (int i = 0; i < LM_METRICS_MAX_STATUSES && metrics->requests[endpoint][i].count > 0;
             i++) {
            char labels[64];
            snprintf(labels, sizeof labels, "endpoint=\"%s\",status=\"%d\"",
                     ENDPOINT_NAMES[endpoint], metrics->requests[endpoint][i].http_status);
            lm_metric_sample(out, name, labels, (double)metrics->requests[endpoint][i].count);
        }
    }
}

static void write_engine(lm_buf *out, const lm_engine_stats *stats) {
    lm_metric(out, "loam_sequences_running", "gauge", "Sequences in the batch.",
              (double)stats->n_active);
    lm_metric(out, "loam_sequences_waiting", "gauge", "Sequences waiting for a place in the batch.",
              (double)stats->n_waiting);
    lm_metric(out, "loam_kv_blocks", "gauge", "Blocks of the KV cache.", (double)stats->n_blocks);
    lm_metric(out, "loam_kv_blocks_used", "gauge", "Blocks of the KV cache in use.",
              (double)(stats->n_blocks - stats->n_free_blocks));
    lm_metric(out, "loam_preemptions_total", "counter",
              "Sequences that gave their blocks back and started again.",
              (double)stats->n_preempted);
    lm_metric(out, "loam_steps_total", "counter", "Steps of the model.", (double)stats->n_steps);
    lm_metric(out, "loam_rows_total", "counter", "Rows (tokens) computed in all steps.",
              (double)stats->n_rows);
    lm_metric(out, "loam_flops_total", "counter", "Floating-point operations of all steps.",
              (double)stats->flops);
    lm_metric(out, "loam_step_seconds_total", "counter", "Time spent in steps.",
              (double)stats->step_ns / 1e9);
}

void lm_metrics_write(const lm_metrics *metrics, const lm_engine_stats *stats, lm_buf *out) {
    write_requests(out, metrics);
    lm_metric(out, "loam_prompt_tokens_total", "counter", "Prompt tokens of finished requests.",
              (double)metrics->prompt_tokens);
    lm_metric(out, "loam_completion_tokens_total", "counter", "Tokens generated.",
              (double)metrics->completion_tokens);
    write_histogram(out, "loam_time_to_first_token_seconds",
                    "From the request's arrival to its first token.", &metrics->first_token);
    write_histogram(out, "loam_inter_token_latency_seconds", "Between two tokens of a sequence.",
                    &metrics->inter_token);
    write_histogram(out, "loam_request_duration_seconds",
                    "From the request's arrival to the end of its answer.", &metrics->duration);
    write_engine(out, stats);
}
