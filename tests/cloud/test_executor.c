/* The local executor against real children; the program's path (which offers `supervise`) is the first argument. */
#include "testing.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "cloud/executor.h"

static const char *g_loam;

typedef struct fixture {
    char *dir, *state_dir;
    lm_executor *executor;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->dir = test_temp_dir();
    f->state_dir = lm_path_join(f->dir, "run");
    assert_ok(lm_executor_local_new(g_loam, &f->executor, &err));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    lm_executor_free(f->executor);
    assert_ok(lm_file_remove_tree(f->dir, &err));
    lm_free(f->state_dir);
    lm_free(f->dir);
    free(f);
    return 0;
}

static void start(fixture *f, const char *script, int64_t limit) {
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    lm_process_spec spec = {.state_dir = f->state_dir, .argv = argv, .memory_limit_bytes = limit};
    assert_ok(lm_executor_start(f->executor, &spec, &err));
}

static lm_process_info wait_end(fixture *f) {
    lm_process_info info = {0};
    for (int i = 0; i < 500; i++) {
        assert_ok(lm_executor_poll(f->executor, f->state_dir, &info, &err));
        if (info.state != LM_PROCESS_RUNNING) return info;
        lm_clock_sleep_ms(10);
    }
    fail_msg("the process does not end");
    return info;
}

static lm_process_info wait_pid(fixture *f) {
    lm_process_info info = {0};
    for (int i = 0; i < 500 && info.pid == 0; i++) {
        assert_ok(lm_executor_poll(f->executor, f->state_dir, &info, &err));
        lm_clock_sleep_ms(10);
    }
    assert_true(info.pid > 0);
    return info;
}

static void test_exit_code_and_output(void **state) {
    fixture *f = *state;
    lm_process_info info;
    assert_ok(lm_executor_poll(f->executor, f->state_dir, &info, &err));
    assert_int_equal(info.state, LM_PROCESS_NONE);
    start(f, "echo out; echo err >&2; exit 75", 0);
    info = wait_end(f);
    assert_int_equal(info.state, LM_PROCESS_EXITED);
    assert_int_equal(info.exit_code, 75);
    assert_int_equal(info.term_signal, 0);
    char *path = lm_path_join(f->state_dir, "stdout"), *text;
    assert_ok(lm_file_read(path, 100, &text, NULL, &err));
    assert_string_equal(text, "out\n");
    lm_free(text);
    lm_free(path);
    const char *argv[] = {"/bin/true", NULL};
    lm_process_spec spec = {.state_dir = f->state_dir, .argv = argv};
    assert_status(LOAM_CONFLICT, lm_executor_start(f->executor, &spec, &err));
}

static void test_signals(void **state) {
    fixture *f = *state;
    start(f, "trap 'exit 7' TERM; while :; do sleep 0.01; done", 0);
    wait_pid(f);
    lm_clock_sleep_ms(50);
    assert_ok(lm_executor_signal(f->executor, f->state_dir, SIGTERM, &err));
    assert_int_equal(wait_end(f).exit_code, 7);
    assert_ok(lm_executor_signal(f->executor, f->state_dir, SIGKILL, &err));
}

static void test_kill_takes_all_it_started(void **state) {
    fixture *f = *state;
    start(f, "sleep 1000 & sleep 1000", 0);
    wait_pid(f);
    assert_ok(lm_executor_signal(f->executor, f->state_dir, SIGKILL, &err));
    lm_process_info info =
        wait_end(f); /* the lock is free only when the background sleep is gone too */
    assert_int_equal(info.state, LM_PROCESS_EXITED);
    assert_int_equal(info.term_signal, SIGKILL);
}

static void test_program_that_cannot_run(void **state) {
    fixture *f = *state;
    const char *argv[] = {"/nonexistent/program", NULL};
    lm_process_spec spec = {.state_dir = f->state_dir, .argv = argv};
    assert_ok(lm_executor_start(f->executor, &spec, &err));
    assert_int_equal(wait_end(f).exit_code, 127);
}

static void test_memory_limit(void **state) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* no limit under sanitizers */
#endif
    fixture *f = *state;
    start(f, "ulimit -d", 512 << 20);
    assert_int_equal(wait_end(f).exit_code, 0);
    char *path = lm_path_join(f->state_dir, "stdout"), *text;
    assert_ok(lm_file_read(path, 100, &text, NULL, &err));
    assert_string_equal(text, "524288\n"); /* KiB */
    lm_free(text);
    lm_free(path);
}

/* The process that started the child is killed; another one finds the child, and how it ended. */
static void test_survives_its_starter(void **state) {
    fixture *f = *state;
    pid_t starter = fork();
    if (starter == 0) {
        start(f, "sleep 0.3; exit 9", 0);
        for (;;) pause();
    }
    wait_pid(f);
    kill(starter, SIGKILL);
    waitpid(starter, NULL, 0);
    lm_process_info info;
    assert_ok(lm_executor_poll(f->executor, f->state_dir, &info, &err));
    assert_int_equal(info.state, LM_PROCESS_RUNNING);
    info = wait_end(f);
    assert_int_equal(info.state, LM_PROCESS_EXITED);
    assert_int_equal(info.exit_code, 9);
}

/* The supervisor itself is killed: the child counts as running as long as it lives, then as lost. */
static void test_supervisor_killed(void **state) {
    fixture *f = *state;
    start(f, "echo $PPID; sleep 0.3", 0);
    wait_pid(f);
    lm_clock_sleep_ms(50);
    char *path = lm_path_join(f->state_dir, "stdout"), *text;
    assert_ok(lm_file_read(path, 100, &text, NULL, &err));
    assert_true(atoi(text) > 1);
    kill(atoi(text), SIGKILL);
    lm_process_info info;
    assert_ok(lm_executor_poll(f->executor, f->state_dir, &info, &err));
    assert_int_equal(info.state, LM_PROCESS_RUNNING);
    assert_int_equal(wait_end(f).state, LM_PROCESS_LOST);
    lm_free(text);
    lm_free(path);
}

int main(int argc, char **argv) {
    if (argc < 2) return 1;
    g_loam = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exit_code_and_output, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill_takes_all_it_started, setup, teardown),
        cmocka_unit_test_setup_teardown(test_program_that_cannot_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_survives_its_starter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_supervisor_killed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
