/* Executors run a process on a pool and can find it again after the control plane itself was killed.
 *
 * A process is known by its state folder alone: everything an executor needs to find, signal and judge it is kept there,
 * so that any later control plane goes on where the killed one stopped. Standard output and standard error go to the files
 * `stdout` and `stderr` in that folder. A folder serves one process: to run again, take a new one.
 *
 * An executor is an interface of functions; `local` (executor_local.c) starts child processes. Any thread; calls for
 * one folder not side by side.
 */
#ifndef LM_CLOUD_EXECUTOR_H
#define LM_CLOUD_EXECUTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef struct lm_executor lm_executor;

typedef struct lm_process_spec {
    const char *state_dir;   /* made when absent */
    const char *const *argv; /* NULL-terminated; argv[0] is a path */
    int64_t
        memory_limit_bytes; /* of private writable memory (mapped model files do not count); 0: none */
} lm_process_spec;

typedef enum lm_process_state {
    LM_PROCESS_NONE,    /* never started, or the start was cut off before anything ran */
    LM_PROCESS_RUNNING, /* it, or something it started, is alive */
    LM_PROCESS_EXITED,  /* ended; exit_code or term_signal say how */
    LM_PROCESS_LOST,    /* gone without a word (its supervisor was killed, the machine went down) */
} lm_process_state;

typedef struct lm_process_info {
    lm_process_state state;
    int exit_code;    /* when EXITED and not by a signal */
    int term_signal;  /* 0, or the signal that ended it */
    int64_t pid;      /* 0 when not known */
    int64_t ended_ms; /* epoch; when EXITED */
    int64_t max_rss_bytes;
} lm_process_info;

typedef struct lm_executor_ops {
    const char *name;
    /* Starts it; returns when it can be found by the other functions. LOAM_CONFLICT when the folder was used before. */
    loam_status (*start)(lm_executor *executor, const lm_process_spec *spec, loam_error *err);
    /* Looks; also how a restarted control plane reattaches. */
    loam_status (*poll)(lm_executor *executor, const char *state_dir, lm_process_info *out,
                        loam_error *err);
    /* Sends a signal to the process and all it started; nothing when it has ended. SIGKILL ends it for certain. */
    loam_status (*signal)(lm_executor *executor, const char *state_dir, int signal_number,
                          loam_error *err);
    void (*free)(lm_executor *executor);
} lm_executor_ops;

struct lm_executor {
    const lm_executor_ops *ops;
};

static inline LM_MUST_USE loam_status lm_executor_start(lm_executor *executor,
                                                        const lm_process_spec *spec,
                                                        loam_error *err) {
    return executor->ops->start(executor, spec, err);
}

static inline LM_MUST_USE loam_status lm_executor_poll(lm_executor *executor, const char *state_dir,
                                                       lm_process_info *out, loam_error *err) {
    return executor->ops->poll(executor, state_dir, out, err);
}

static inline LM_MUST_USE loam_status lm_executor_signal(lm_executor *executor,
                                                         const char *state_dir, int signal_number,
                                                         loam_error *err) {
    return executor->ops->signal(executor, state_dir, signal_number, err);
}

static inline void lm_executor_free(lm_executor *executor) {
    if (executor) executor->ops->free(executor);
}

/* Child processes of this machine. `supervisor` is the program that offers `supervise` (see supervisor.h): loam itself. */
loam_status lm_executor_local_new(const char *supervisor, lm_executor **out,
                                  loam_error *err) LM_MUST_USE;

#endif
