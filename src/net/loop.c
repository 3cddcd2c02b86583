/* The event base has no lock of its own (EVENT_BASE_FLAG_NOLOCK): the only doors for other threads are the list of posted
 * functions, under its mutex, and the eventfd that wakes the loop to look at it.
 */
#include "net/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/thread.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "net/loop_internal.h"

enum { POSTED_MAX = 1 << 20 };

typedef struct posted_fn {
    lm_loop_fn *fn;
    void *arg;
} posted_fn;

typedef LM_VEC(posted_fn) posted_list;

typedef struct signal_handler {
    struct event *event;
    lm_loop_fn *fn;
    void *arg;
    struct signal_handler *next;
} signal_handler;

struct lm_loop {
    struct event_base *base;
    struct event *wake_event;
    int wake_fd;
    signal_handler *signals;
    pthread_mutex_t lock; /* guards posted and stopping */
    posted_list posted;
    bool stopping;
    posted_list running; /* swapped with posted; the loop's thread only */
};

struct lm_timer {
    struct event *event;
    int64_t period_ms;
    lm_loop_fn *fn;
    void *arg;
};

static void log_from_libevent(int severity, const char *message) {
    if (severity == EVENT_LOG_DEBUG) return;
    lm_log(severity == EVENT_LOG_ERR ? LM_LOG_ERROR : LM_LOG_WARN, "net", "%s", message);
}

static void prepare_libevent(void) {
    evthread_use_pthreads(); /* for what libevent shares between bases: random numbers, resolver set-up */
    event_set_log_callback(log_from_libevent);
    signal(SIGPIPE, SIG_IGN); /* a vanished peer is an error code */
}

static void wake(lm_loop *loop) {
    uint64_t one = 1;
    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR) continue;
}

/* Runs what has been posted so far; what it posts itself comes with the next wake. */
static void on_wake(evutil_socket_t fd, short what, void *arg) {
    lm_loop *loop = arg;
    uint64_t count;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR) continue;
    pthread_mutex_lock(&loop->lock);
    posted_list batch = loop->posted;
    loop->posted = loop->running;
    loop->running = batch;
    bool stopping = loop->stopping;
    pthread_mutex_unlock(&loop->lock);
    for (size_t i = 0; i < batch.len; i++) batch.ptr[i].fn(batch.ptr[i].arg);
    loop->running.len = 0;
    if (stopping) event_base_loopbreak(loop->base);
}

static loam_status loop_init(lm_loop *loop, loam_error *err) {
    struct event_config *config = event_config_new();
    if (!config) return lm_error_no_memory(err, 1);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    if (!loop->base) return lm_error_set(err, LOAM_IO, "cannot make an event loop");
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake_fd < 0) return lm_error_errno(err, "cannot make an event loop");
    loop->wake_event = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
    if (!loop->wake_event || event_add(loop->wake_event, NULL) != 0)
        return lm_error_no_memory(err, 1);
    return LOAM_OK;
}

loam_status lm_loop_new(lm_loop **out, loam_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare_libevent);
    lm_loop *loop = lm_calloc(1, sizeof *loop);
    if (!loop) return lm_error_no_memory(err, sizeof *loop);
    loop->wake_fd = -1;
    pthread_mutex_init(&loop->lock, NULL);
    loam_status status = loop_init(loop, err);
    if (status != LOAM_OK) {
        lm_loop_free(loop);
        return status;
    }
    *out = loop;
    return LOAM_OK;
}

void lm_loop_free(lm_loop *loop) {
    if (!loop) return;
    while (loop->signals) {
        signal_handler *handler = loop->signals;
        loop->signals = handler->next;
        if (handler->event) event_free(handler->event);
        lm_free(handler);
    }
    if (loop->wake_event) event_free(loop->wake_event);
    if (loop->base) event_base_free(loop->base);
    if (loop->wake_fd >= 0) close(loop->wake_fd);
    lm_vec_deinit(&loop->posted);
    lm_vec_deinit(&loop->running);
    pthread_mutex_destroy(&loop->lock);
    lm_free(loop);
}

loam_status lm_loop_run(lm_loop *loop, loam_error *err) {
    if (event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
        return lm_error_errno(err, "the event loop broke");
    pthread_mutex_lock(&loop->lock);
    loop->stopping = false; /* it may run again */
    pthread_mutex_unlock(&loop->lock);
    return LOAM_OK;
}

void lm_loop_stop(lm_loop *loop) {
    pthread_mutex_lock(&loop->lock);
    loop->stopping = true;
    wake(loop); /* under the lock: once we let go, the loop may be freed */
    pthread_mutex_unlock(&loop->lock);
}

loam_status lm_loop_post(lm_loop *loop, lm_loop_fn *fn, void *arg, loam_error *err) {
    loam_status status = LOAM_OK;
    pthread_mutex_lock(&loop->lock);
    bool first = loop->posted.len == 0;
    if (loop->posted.len >= POSTED_MAX)
        status =
            lm_error_set(err, LOAM_LIMIT, "the event loop has %d functions waiting", POSTED_MAX);
    else if (!lm_vec_push(&loop->posted, ((posted_fn){fn, arg})))
        status = lm_error_no_memory(err, sizeof(posted_fn));
    if (status == LOAM_OK && first) wake(loop);
    pthread_mutex_unlock(&loop->lock);
    return status;
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    lm_timer *timer = arg;
    if (timer->period_ms > 0) {
        struct timeval period = lm_timeval_of_ms(timer->period_ms);
        event_add(timer->event, &period);
    }
    timer->fn(timer->arg); /* may free the timer */
}

loam_status lm_timer_new(lm_loop *loop, int64_t delay_ms, int64_t period_ms, lm_loop_fn *fn,
                         void *arg, lm_timer **out, loam_error *err) {
    lm_timer *timer = lm_calloc(1, sizeof *timer);
    if (!timer) return lm_error_no_memory(err, sizeof *timer);
    *timer = (lm_timer){.period_ms = period_ms, .fn = fn, .arg = arg};
    timer->event = evtimer_new(loop->base, on_timer, timer);
    struct timeval delay = lm_timeval_of_ms(delay_ms);
    if (!timer->event || event_add(timer->event, &delay) != 0) {
        lm_timer_free(timer);
        return lm_error_no_memory(err, 1);
    }
    *out = timer;
    return LOAM_OK;
}

void lm_timer_free(lm_timer *timer) {
    if (!timer) return;
    if (timer->event) event_free(timer->event);
    lm_free(timer);
}

static void on_signal(evutil_socket_t signal_number, short what, void *arg) {
    signal_handler *handler = arg;
    handler->fn(handler->arg);
}

loam_status lm_loop_on_signal(lm_loop *loop, int signal_number, lm_loop_fn *fn, void *arg,
                              loam_error *err) {
    signal_handler *handler = lm_calloc(1, sizeof *handler);
    if (!handler) return lm_error_no_memory(err, sizeof *handler);
    *handler = (signal_handler){.fn = fn, .arg = arg, .next = loop->signals};
    loop->signals = handler;
    handler->event = evsignal_new(loop->base, signal_number, on_signal, handler);
    if (!handler->event || event_add(handler->event, NULL) != 0)
        return lm_error_set(err, LOAM_IO, "cannot wait for signal %d", signal_number);
    return LOAM_OK;
}

struct event_base *lm_loop_base(lm_loop *loop) {
    return loop->base;
}
