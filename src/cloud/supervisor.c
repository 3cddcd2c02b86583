#include "cloud/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

enum { EXIT_CANNOT_RUN = 127 };

/* Sanitizers reserve terabytes of address space that count as data. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAN_LIMIT_MEMORY 0
#else
#define CAN_LIMIT_MEMORY 1
#endif

int64_t lm_process_start_ticks(int64_t pid) {
    enum { FIELD_START = 22, STAT_BYTES = 4096 };
    char path[64], *text = NULL;
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    if (lm_file_read(path, STAT_BYTES, &text, NULL, NULL) != LOAM_OK) return 0;
    /* the name in parentheses may hold spaces and parentheses: count fields behind its end */
    char *field = strrchr(text, ')');
    for (int i = 2; field && i < FIELD_START; i++) field = strchr(field + 1, ' ');
    int64_t ticks = field ? strtoll(field, NULL, 10) : 0;
    lm_free(text);
    return ticks;
}

static loam_status write_json(const char *dir, const char *name, json_t *object, loam_error *err) {
    char *path = lm_path_join(dir, name);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    loam_status status = path && text ? lm_file_write_atomic(path, text, strlen(text), err)
                                      : lm_error_no_memory(err, 256);
    free(text);
    lm_free(path);
    json_decref(object);
    return status;
}

/* In the child, between fork and exec. */
static void run_child(const lm_supervise_options *options) {
    setpgid(0, 0);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    if (CAN_LIMIT_MEMORY && options->memory_limit_bytes > 0) {
        struct rlimit limit = {(rlim_t)options->memory_limit_bytes,
                               (rlim_t)options->memory_limit_bytes};
        setrlimit(RLIMIT_DATA, &limit);
    }
    execv(options->argv[0], options->argv);
    dprintf(STDERR_FILENO, "loam supervise: %s: %s\n", options->argv[0], strerror(errno));
    _exit(EXIT_CANNOT_RUN);
}

static loam_status record_start(const lm_supervise_options *options, pid_t pid, loam_error *err) {
    return write_json(options->state_dir, LM_SUPERVISE_PROCESS,
                      json_pack("{sIsIsI}", "pid", (json_int_t)pid, "start",
                                (json_int_t)lm_process_start_ticks(pid), "supervisor",
                                (json_int_t)getpid()),
                      err);
}

static loam_status record_end(const lm_supervise_options *options, int wait_status,
                              const struct rusage *usage, loam_error *err) {
    int term_signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    int exit_code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 0;
    json_t *object = json_pack("{sisisIsI}", "exit_code", exit_code, "signal", term_signal,
                               "ended_ms", (json_int_t)lm_clock_epoch_ms(), "max_rss_bytes",
                               (json_int_t)usage->ru_maxrss * 1024);
    return write_json(options->state_dir, LM_SUPERVISE_EXIT, object, err);
}

loam_status lm_supervise(const lm_supervise_options *options, loam_error *err) {
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    pid_t pid = fork();
    if (pid < 0) return lm_error_errno(err, "cannot start %s", options->argv[0]);
    if (pid == 0) run_child(options);
    setpgid(pid, pid); /* both sides do it, so that neither can be late */
    loam_status status = record_start(options, pid, err);
    if (status != LOAM_OK)
        kill(-pid, SIGKILL); /* nobody could find it: better not to have started it */
    int wait_status = 0;
    struct rusage usage = {0};
    while (wait4(pid, &wait_status, 0, &usage) < 0 && errno == EINTR) {
    }
    if (status != LOAM_OK) return status;
    kill(-pid, SIGKILL); /* what it started ends with it */
    return record_end(options, wait_status, &usage, err);
}
