#include "base/pool.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/usable.h"

enum { POOL_SPINS = 2000 }; /* some 20 to 50 microseconds before a waiting thread sleeps */

typedef struct pool_worker {
    lm_pool *pool;
    pthread_t handle;
    int thread;
} pool_worker;

struct lm_pool {
    int n_threads;
    bool
        spin; /* false when there are more threads than CPUs: spinning would keep the others from their work */
    lm_pool_fn *fn;
    void *arg;
    bool stop;
    LM_ALIGNED(64) _Atomic uint32_t generation; /* a run begins when it grows */
    LM_ALIGNED(64) _Atomic uint32_t n_done;     /* workers finished with this run */
    LM_ALIGNED(64) _Atomic uint32_t n_arrived;  /* threads at the barrier */
    LM_ALIGNED(64) _Atomic uint32_t phase;      /* a barrier opens when it grows */
    LM_ALIGNED(64) _Atomic uint32_t n_sleeping; /* threads in a futex or on the way into one */
    pool_worker *workers;                       /* [n_threads - 1] */
};

static void futex_wait(_Atomic uint32_t *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static inline void cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Waits until *word differs from `old`; returns the new value. Nobody sleeps unseen: a sleeper counts itself and then reads
 * the word, a waker changes the word and then reads the count, all in one order. */
static uint32_t wait_change(lm_pool *pool, _Atomic uint32_t *word, uint32_t old) {
    for (int i = 0; pool->spin && i < POOL_SPINS; i++) {
        uint32_t now = atomic_load_explicit(word, memory_order_acquire);
        if (now != old) return now;
        cpu_relax();
    }
    atomic_fetch_add(&pool->n_sleeping, 1);
    uint32_t now;
    while ((now = atomic_load(word)) == old) futex_wait(word, old);
    atomic_fetch_sub(&pool->n_sleeping, 1);
    return now;
}

/* After *word was changed: a system call only where somebody sleeps. */
static void wake_sleepers(lm_pool *pool, _Atomic uint32_t *word) {
    if (atomic_load(&pool->n_sleeping) > 0) futex_wake_all(word);
}

static void *worker_main(void *arg) {
    pool_worker *worker = arg;
    lm_pool *pool = worker->pool;
    uint32_t generation = 0;
    for (;;) {
        generation = wait_change(pool, &pool->generation, generation);
        if (pool->stop) return NULL;
        pool->fn(pool->arg, worker->thread, pool->n_threads);
        uint32_t done = atomic_fetch_add(&pool->n_done, 1) + 1;
        if (done == (uint32_t)pool->n_threads - 1) wake_sleepers(pool, &pool->n_done);
    }
}

static void stop_workers(lm_pool *pool, int n_started) {
    pool->stop = true;
    atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
    futex_wake_all(&pool->generation);
    for (int i = 0; i < n_started; i++) pthread_join(pool->workers[i].handle, NULL);
}

loam_status lm_pool_new(int n_threads, lm_pool **out, loam_error *err) {
    if (n_threads == 0) n_threads = lm_cpu_n_usable();
    if (n_threads < 1 || n_threads > LM_POOL_MAX_THREADS)
        return lm_error_set(err, LOAM_INVALID, "threads must be 1 to %d, not %d",
                            LM_POOL_MAX_THREADS, n_threads);
    lm_pool *pool = lm_alloc_aligned(64, sizeof *pool);
    if (!pool) return lm_error_no_memory(err, sizeof *pool);
    *pool = (lm_pool){.n_threads = n_threads, .spin = n_threads <= lm_cpu_n_usable()};
    pool->workers = lm_calloc((size_t)n_threads, sizeof *pool->workers);
    if (!pool->workers) {
        lm_free(pool);
        return lm_error_no_memory(err, sizeof *pool->workers * (size_t)n_threads);
    }
    for (int i = 0; i < n_threads - 1; i++) {
        pool->workers[i] = (pool_worker){.pool = pool, .thread = i + 1};
        int code = pthread_create(&pool->workers[i].handle, NULL, worker_main, &pool->workers[i]);
        if (code == 0) continue;
        stop_workers(pool, i);
        lm_free(pool->workers);
        lm_free(pool);
        errno = code;
        return lm_error_errno(err, "cannot start thread %d of %d", i + 2, n_threads);
    }
    *out = pool;
    return LOAM_OK;
}

void lm_pool_free(lm_pool *pool) {
    if (!pool) return;
    stop_workers(pool, pool->n_threads - 1);
    lm_free(pool->workers);
    lm_free(pool);
}

int lm_pool_n_threads(const lm_pool *pool) {
    return pool->n_threads;
}

void lm_pool_run(lm_pool *pool, lm_pool_fn *fn, void *arg) {
    uint32_t n_workers = (uint32_t)pool->n_threads - 1;
    if (n_workers == 0) {
        fn(arg, 0, 1);
        return;
    }
    pool->fn = fn;
    pool->arg = arg;
    atomic_store_explicit(&pool->n_done, 0, memory_order_relaxed);
    atomic_fetch_add(&pool->generation, 1);
    wake_sleepers(pool, &pool->generation);
    fn(arg, 0, pool->n_threads);
    for (uint32_t done = atomic_load_explicit(&pool->n_done, memory_order_acquire);
         done != n_workers;)
        done = wait_change(pool, &pool->n_done, done);
}

void lm_pool_barrier(lm_pool *pool) {
    lm_pool_meet(pool, NULL, NULL);
}

void lm_pool_meet(lm_pool *pool, lm_pool_meet_fn *alone, void *arg) {
    if (pool->n_threads == 1) {
        if (alone) alone(arg);
        return;
    }
    uint32_t phase = atomic_load_explicit(&pool->phase, memory_order_relaxed);
    uint32_t arrived = atomic_fetch_add_explicit(&pool->n_arrived, 1, memory_order_acq_rel) + 1;
    if (arrived < (uint32_t)pool->n_threads) {
        wait_change(pool, &pool->phase, phase);
        return;
    }
    if (alone) alone(arg);
    atomic_store_explicit(&pool->n_arrived, 0, memory_order_relaxed);
    atomic_store(&pool->phase, phase + 1);
    wake_sleepers(pool, &pool->phase);
}
