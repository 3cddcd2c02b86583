#include "cloud/model_check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "cloud/job_files.h"

enum { PATIENCE_MS = 30000, LOOK_MS = 5 };

/* Nothing to read, nobody who listens to what it prints, its errors to `errors`. */
static loam_status spawn(const char *const *argv, int errors, pid_t *out, loam_error *err) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    errno = posix_spawn(out, argv[0], &actions, &attributes, (char *const *)argv, environ);
    loam_status status = errno ? lm_error_errno(err, "cannot start %s", argv[0]) : LOAM_OK;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

/* Its wait status; -1 when it had to be ended. */
static int wait_for(pid_t child) {
    int status;
    for (int waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += LOOK_MS) {
        if (waitpid(child, &status, WNOHANG) == child) return status;
        lm_clock_sleep_ms(LOOK_MS);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return -1;
}

static loam_status judge(int status, int errors, const char *path, loam_error *err) {
    if (status < 0)
        return lm_error_set(err, LOAM_UNAVAILABLE, "%s: looking at it took too long", path);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return LOAM_OK;
    char place[32], line[256];
    snprintf(place, sizeof place, "/proc/self/fd/%d", errors);
    lm_last_message(place, line, sizeof line);
    if (!line[0]) return lm_error_set(err, LOAM_CORRUPT, "%s: not a model", path);
    lm_str said = lm_str_of(line), own_name = LM_STR("loam: ");
    if (lm_str_starts(said, own_name)) said.ptr += own_name.len;
    return lm_error_set(err, LOAM_CORRUPT, "%s", said.ptr);
}

loam_status lm_model_check(const char *program, const char *path, loam_error *err) {
    int errors = memfd_create("errors", MFD_CLOEXEC);
    if (errors < 0) return lm_error_errno(err, "cannot hold the messages of a child");
    const char *argv[] = {program, "show", path, NULL};
    pid_t child;
    loam_status status = spawn(argv, errors, &child, err);
    if (status == LOAM_OK) status = judge(wait_for(child), errors, path, err);
    close(errors);
    return status;
}
