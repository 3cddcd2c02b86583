/* Prometheus text exposition (format 0.0.4): families with help and type, then their samples.
 *
 *     lm_metric_family(out, "loam_requests_total", "counter", "Requests answered.");
 *     lm_metric_sample(out, "loam_requests_total", "code=\"200\"", 17);
 */
#ifndef LM_NET_METRICS_H
#define LM_NET_METRICS_H

#include "base/str.h"

#define LM_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

void lm_metric_family(lm_buf *out, const char *name, const char *type, const char *help);

/* labels: the text between the braces, its values already escaped; NULL for none. */
void lm_metric_sample(lm_buf *out, const char *name, const char *labels, double value);

/* A family with one sample without labels. */
void lm_metric(lm_buf *out, const char *name, const char *type, const char *help, double value);

/* Resident memory, CPU time and start time of this process, under the names that every exporter uses. */
void lm_metrics_process(lm_buf *out, int64_t started_ms);

#endif
