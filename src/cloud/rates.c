/* Tokens a second, from what the meters see go by. */
#include "base/clock.h"
#include "cloud/replicas_internal.h"

enum { RATE_PERIOD_NS = 1000000000 };

static void update_worker(lm_worker *worker, int64_t now_ns) {
    int64_t tokens = worker->meter ? lm_meter_completion_tokens(worker->meter) : 0;
    int64_t passed_ns = now_ns - worker->tokens_at_ns;
    if (worker->tokens_at_ns && passed_ns < RATE_PERIOD_NS) return;
    bool first = worker->tokens_at_ns == 0;
    worker->tokens_per_s =
        first ? 0 : (double)(tokens - worker->tokens_before) * 1e9 / (double)passed_ns;
    worker->tokens_before = tokens;
    worker->tokens_at_ns = now_ns;
}

static double total(const lm_replicas *replicas) {
    double sum = 0;
    for (size_t i = 0; i < replicas->workers.len; i++) sum += replicas->workers.ptr[i].tokens_per_s;
    return sum;
}

void lm_rates_update(lm_replicas *replicas) {
    int64_t now_ns = lm_clock_mono_ns();
    pthread_mutex_lock(&replicas->rate_lock);
    for (size_t i = 0; i < replicas->workers.len; i++)
        update_worker(&replicas->workers.ptr[i], now_ns);
    pthread_mutex_unlock(&replicas->rate_lock);
}

double lm_replicas_rate(lm_replicas *replicas, const char *replica_id) {
    double rate = 0;
    pthread_mutex_lock(&replicas->rate_lock);
    if (!replica_id) rate = total(replicas);
    for (size_t i = 0; replica_id && i < replicas->workers.len; i++) {
        if (strcmp(replicas->workers.ptr[i].replica_id, replica_id) == 0)
            rate = replicas->workers.ptr[i].tokens_per_s;
    }
    pthread_mutex_unlock(&replicas->rate_lock);
    return rate;
}
