/* The local executor: children of this machine under `loam supervise`. See supervisor.h for the state folder. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/vec.h"
#include "cloud/executor.h"
#include "cloud/supervisor.h"

enum { STATE_FILE_BYTES = 4096, LOCK_FD = 3, MAX_ARGS = 256 };

typedef struct local_executor {
    lm_executor base;
    char *supervisor;
} local_executor;

static loam_status open_lock(const char *state_dir, int *out_fd, loam_error *err) {
    char *path = lm_path_join(state_dir, LM_SUPERVISE_LOCK);
    if (!path) return lm_error_no_memory(err, strlen(state_dir));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    loam_status status = fd < 0 ? lm_error_errno(err, "%s", path) : LOAM_OK;
    lm_free(path);
    if (status == LOAM_OK) *out_fd = fd;
    return status;
}

/* ---- start ---- */

static loam_status add_output(posix_spawn_file_actions_t *actions, const char *state_dir,
                              const char *name, int fd, loam_error *err) {
    char *path = lm_path_join(state_dir, name);
    int failed = path ? posix_spawn_file_actions_addopen(actions, fd, path,
                                                         O_WRONLY | O_CREAT | O_APPEND, 0600)
                      : ENOMEM;
    lm_free(path);
    return failed ? lm_error_no_memory(err, strlen(state_dir)) : LOAM_OK;
}

/* The supervisor's view of the world: own session, signals as a fresh program has them, no input, the lock as 3. */
static loam_status spawn(const char *program, char *const *argv, const char *state_dir, int lock,
                         loam_error *err) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    loam_status status = add_output(&actions, state_dir, "stdout", STDOUT_FILENO, err);
    if (status == LOAM_OK) status = add_output(&actions, state_dir, "stderr", STDERR_FILENO, err);
    if (status == LOAM_OK) {
        pid_t pid;
        posix_spawn_file_actions_adddup2(
            &actions, lock, LOCK_FD); /* also when they are equal: drops close-on-exec */
        errno = posix_spawn(&pid, program, &actions, &attributes, argv, environ);
        if (errno) status = lm_error_errno(err, "cannot start %s", program);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

static loam_status spawn_supervised(const local_executor *executor, const lm_process_spec *spec,
                                    int lock, loam_error *err) {
    char limit[32];
    const char *argv[MAX_ARGS + 8] = {executor->supervisor, "supervise", "--state", spec->state_dir,
                                      "--memory-limit",     limit,       "--"};
    size_t n = 7;
    snprintf(limit, sizeof limit, "%lld", (long long)spec->memory_limit_bytes);
    for (size_t i = 0; spec->argv[i]; i++) {
        if (i == MAX_ARGS) return lm_error_set(err, LOAM_LIMIT, "more than %d arguments", MAX_ARGS);
        argv[n++] = spec->argv[i];
    }
    return spawn(executor->supervisor, (char *const *)argv, spec->state_dir, lock, err);
}

static bool was_used(const char *state_dir) {
    char *process = lm_path_join(state_dir, LM_SUPERVISE_PROCESS),
         *output = lm_path_join(state_dir, "stdout");
    bool used = !process || !output || lm_file_exists(process) || lm_file_exists(output);
    lm_free(process);
    lm_free(output);
    return used;
}

static loam_status local_start(lm_executor *base, const lm_process_spec *spec, loam_error *err) {
    int lock;
    LM_TRY(lm_file_make_dirs(spec->state_dir, err));
    LM_TRY(open_lock(spec->state_dir, &lock, err));
    loam_status status = LOAM_OK;
    if (flock(lock, LOCK_EX | LOCK_NB) != 0 || was_used(spec->state_dir)) {
        status = lm_error_set(err, LOAM_CONFLICT, "%s: a process was started here before",
                              spec->state_dir);
    } else {
        status = spawn_supervised((local_executor *)base, spec, lock, err);
    }
    close(lock); /* the supervisor holds it now */
    return status;
}

/* ---- poll ---- */

/* A small JSON file of the folder as a new reference; NULL when it is not there (yet). */
static json_t *read_state(const char *state_dir, const char *name) {
    char *path = lm_path_join(state_dir, name), *text = NULL;
    size_t size = 0;
    json_t *object = NULL;
    if (path && lm_file_read(path, STATE_FILE_BYTES, &text, &size, NULL) == LOAM_OK &&
        lm_json_parse((lm_str){text, size}, path, &object, NULL) != LOAM_OK)
        object = NULL;
    lm_free(text);
    lm_free(path);
    return object;
}

static int64_t integer_of(const json_t *object, const char *key) {
    return (int64_t)json_integer_value(json_object_get(object, key));
}

/* Is the lock free, that is: is nothing of the process alive? */
static loam_status is_gone(const char *state_dir, bool *out, loam_error *err) {
    int lock;
    if (!lm_file_is_dir(state_dir)) {
        *out = true;
        return LOAM_OK;
    }
    LM_TRY(open_lock(state_dir, &lock, err));
    *out = flock(lock, LOCK_EX | LOCK_NB) == 0;
    close(lock);
    return LOAM_OK;
}

static loam_status local_poll(lm_executor *base, const char *state_dir, lm_process_info *out,
                              loam_error *err) {
    bool gone;
    LM_TRY(is_gone(state_dir, &gone, err)); /* first: what it wrote before it went is read after */
    json_t *process = read_state(state_dir, LM_SUPERVISE_PROCESS),
           *end = read_state(state_dir, LM_SUPERVISE_EXIT);
    lm_process_info info = {.pid = integer_of(process, "pid")};
    if (!gone) {
        info.state = LM_PROCESS_RUNNING;
    } else if (end) {
        info.state = LM_PROCESS_EXITED;
        info.exit_code = (int)integer_of(end, "exit_code");
        info.term_signal = (int)integer_of(end, "signal");
        info.ended_ms = integer_of(end, "ended_ms");
        info.max_rss_bytes = integer_of(end, "max_rss_bytes");
    } else {
        info.state = process ? LM_PROCESS_LOST : LM_PROCESS_NONE;
    }
    pid_t supervisor = (pid_t)integer_of(process, "supervisor");
    if (gone && supervisor > 1)
        waitpid(supervisor, NULL, WNOHANG); /* ours to reap if this process started it */
    json_decref(process);
    json_decref(end);
    *out = info;
    return LOAM_OK;
}

/* ---- signal ---- */

static loam_status local_signal(lm_executor *base, const char *state_dir, int signal_number,
                                loam_error *err) {
    bool gone;
    LM_TRY(is_gone(state_dir, &gone, err));
    if (gone) return LOAM_OK;
    json_t *process = read_state(state_dir, LM_SUPERVISE_PROCESS);
    if (!process) return lm_error_set(err, LOAM_CONFLICT, "%s: just being started", state_dir);
    pid_t pid = (pid_t)integer_of(process, "pid");
    int64_t start = integer_of(process, "start");
    json_decref(process);
    /* The leader gone and its number free: members of its group keep the group's number from being used again. */
    int64_t now = lm_process_start_ticks(pid);
    if (pid > 1 && (now == 0 || now == start)) kill(-pid, signal_number);
    return LOAM_OK;
}

static void local_free(lm_executor *base) {
    local_executor *executor = (local_executor *)base;
    lm_free(executor->supervisor);
    lm_free(executor);
}

loam_status lm_executor_local_new(const char *supervisor, lm_executor **out, loam_error *err) {
    static const lm_executor_ops ops = {.name = "local",
                                        .start = local_start,
                                        .poll = local_poll,
                                        .signal = local_signal,
                                        .free = local_free};
    local_executor *executor = lm_calloc(1, sizeof *executor);
    char *program = lm_strdup(supervisor);
    if (!executor || !program) {
        lm_free(executor);
        lm_free(program);
        return lm_error_no_memory(err, sizeof *executor);
    }
    executor->base.ops = &ops;
    executor->supervisor = program;
    *out = &executor->base;
    return LOAM_OK;
}
