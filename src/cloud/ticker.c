#include "cloud/ticker.h"

#include <pthread.h>
#include <time.h>

#include "base/mem.h"

struct lm_ticker {
    int64_t period_ms;
    lm_ticker_fn *tick;
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock; /* guards woken and stopping */
    pthread_cond_t changed;
    bool woken, stopping;
};

static struct timespec after_ms(int64_t ms) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

static void *ticker_main(void *arg) {
    lm_ticker *ticker = arg;
    pthread_mutex_lock(&ticker->lock);
    while (!ticker->stopping) {
        struct timespec deadline = after_ms(ticker->period_ms);
        int late = 0;
        while (!ticker->woken && !ticker->stopping && late == 0)
            late = pthread_cond_timedwait(&ticker->changed, &ticker->lock, &deadline);
        if (ticker->stopping) break;
        bool woken = ticker->woken;
        ticker->woken = false;
        pthread_mutex_unlock(&ticker->lock);
        ticker->tick(ticker->arg, woken);
        pthread_mutex_lock(&ticker->lock);
    }
    pthread_mutex_unlock(&ticker->lock);
    return NULL;
}

loam_status lm_ticker_new(int64_t period_ms, lm_ticker_fn *tick, void *arg, lm_ticker **out,
                          loam_error *err) {
    lm_ticker *ticker = lm_calloc(1, sizeof *ticker);
    if (!ticker) return lm_error_no_memory(err, sizeof *ticker);
    *ticker = (lm_ticker){.period_ms = period_ms, .tick = tick, .arg = arg, .woken = true};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&ticker->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&ticker->lock, NULL);
    *out = ticker; /* the first tick may come before this function returns */
    if (pthread_create(&ticker->thread, NULL, ticker_main, ticker) == 0) return LOAM_OK;
    *out = NULL;
    pthread_cond_destroy(&ticker->changed);
    pthread_mutex_destroy(&ticker->lock);
    lm_free(ticker);
    return lm_error_set(err, LOAM_NO_MEMORY, "cannot start a thread");
}

void lm_ticker_wake(lm_ticker *ticker) {
    if (!ticker) return;
    pthread_mutex_lock(&ticker->lock);
    ticker->woken = true;
    pthread_cond_signal(&ticker->changed);
    pthread_mutex_unlock(&ticker->lock);
}

void lm_ticker_free(lm_ticker *ticker) {
    if (!ticker) return;
    pthread_mutex_lock(&ticker->lock);
    ticker->stopping = true;
    pthread_cond_signal(&ticker->changed);
    pthread_mutex_unlock(&ticker->lock);
    pthread_join(ticker->thread, NULL);
    pthread_cond_destroy(&ticker->changed);
    pthread_mutex_destroy(&ticker->lock);
    lm_free(ticker);
}
