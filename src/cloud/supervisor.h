/* The small process between the control plane and a child, so that the child's end is known even when nobody who
 * started it is left: `loam supervise` starts the program, waits, and writes how it ended.
 *
 * State folder:
 *     lock          flock held from before the supervisor exists until it and all it started are gone: who can take it
 *                   knows that nothing of this process is alive, whatever became of process numbers
 *     process.json  {"pid","start","supervisor"}: the child, its start time in clock ticks since boot (a reused number
 *                   differs), and the supervisor's number
 *     exit.json     {"exit_code","signal","ended_ms","max_rss_bytes"}: written once, after the end
 *     stdout, stderr
 */
#ifndef LM_CLOUD_SUPERVISOR_H
#define LM_CLOUD_SUPERVISOR_H

#include <stdint.h>

#include "base/error.h"

#define LM_SUPERVISE_LOCK "lock"
#define LM_SUPERVISE_PROCESS "process.json"
#define LM_SUPERVISE_EXIT "exit.json"

typedef struct lm_supervise_options {
    const char *state_dir;
    int64_t memory_limit_bytes; /* RLIMIT_DATA of the child; 0: none */
    char *const *argv;          /* NULL-terminated */
} lm_supervise_options;

/* Runs the program to its end. The lock's descriptor is inherited from the executor and passed on. Ignores the
 * signals that ask to stop: they are for the child. LOAM_OK when exit.json was written. */
loam_status lm_supervise(const lm_supervise_options *options, loam_error *err) LM_MUST_USE;

/* Start time of a process from /proc in clock ticks since boot; 0 when there is none. */
int64_t lm_process_start_ticks(int64_t pid);

#endif
