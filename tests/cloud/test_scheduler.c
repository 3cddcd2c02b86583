/* Jobs from queue to model, with trainers that fail, are killed and outlive the scheduler. The fake program is argv[1],
 * the real one argv[2]. */
#include "ops_fixture.h"

#include <signal.h>

#include "cloud/job_files.h"

static const char *g_program, *g_loam;

static ops_fixture *begin(void **state) {
    ops_fixture *f = ops_begin(state, g_program);
    ops_start_scheduler(f);
    return f;
}

/* What the fake trainer's model must be after so many steps. */
static unsigned long long model_after(long steps) {
    unsigned long long model = 0;
    for (long step = 1; step <= steps; step++)
        model = (model ^ (unsigned long long)step) * 0x100000001b3ULL + 1;
    return model;
}

static void assert_trained(ops_fixture *f, const lm_job *job, long steps) {
    char expected[64], *view = lm_path_join(f->home, "view"), *path = lm_path_join(view, "weights"),
                       *text;
    char *violation = lm_job_path(f->home, job->id, "out/violation");
    lm_version version = ops_wait_version(f, job->version_id, "ready");
    assert_string_equal(version.job_id, job->id);
    assert_ok(lm_registry_materialize(f->registry, version.files, view, NULL, &err));
    assert_ok(lm_file_read(path, 100, &text, NULL, &err));
    snprintf(expected, sizeof expected, "%llu", model_after(steps));
    assert_string_equal(text, expected);
    assert_false(lm_file_exists(violation));
    assert_int_equal(job->flops, steps * 1000);
    assert_ok(lm_file_remove_tree(view, &err));
    lm_free(violation);
    lm_free(text);
    lm_free(path);
    lm_free(view);
}

static void test_job_becomes_a_version(void **state) {
    ops_fixture *f = begin(state);
    char id[LM_ID_BYTES], cursor[LM_JOB_CURSOR_BYTES];
    ops_add_job(f, f->project_id, "j", "steps: 20\n", 0, 0, id);
    lm_job job = ops_wait_job(f, id, "succeeded");
    assert_trained(f, &job, 20);
    assert_int_equal(ops_number(f, "SELECT COUNT(*) FROM run"), 1);
    assert_int_equal(ops_number(f, "SELECT SUM(flops) FROM usage_record"), 20000);
    assert_int_equal(ops_number(f, "SELECT COUNT(*) FROM run r WHERE r.ended_ms - r.started_ms <> "
                                   "(SELECT SUM(u.end_ms - u.start_ms) "
                                   "FROM usage_record u WHERE u.job_id = r.job_id)"),
                     0);
    json_t *rows = json_array();
    assert_ok(lm_job_read(f->home, id, 1, LM_JOB_METRICS, NULL, 5, rows, cursor, &err));
    assert_int_equal(json_array_size(rows), 5);
    assert_ok(lm_job_read(f->home, id, 1, LM_JOB_METRICS, cursor, 1000, rows, cursor, &err));
    assert_int_equal(json_array_size(rows), 26); /* start, 20 steps, 4 checkpoints, done */
    assert_status(LOAM_INVALID,
                  lm_job_read(f->home, id, 1, LM_JOB_METRICS, "x", 5, rows, cursor, &err));
    json_decref(rows);
}

static void test_failures(void **state) {
    ops_fixture *f = begin(state);
    char usage[LM_ID_BYTES], failing[LM_ID_BYTES];
    ops_add_job(f, f->project_id, "u", "exit: 2\n", 0, 5, usage);
    ops_add_job(f, f->project_id, "f", "exit: 1\n", 0, 2, failing);
    lm_job job = ops_wait_job(f, usage, "failed");
    assert_int_equal(job.epoch, 1); /* a wrong recipe is not tried again */
    assert_string_equal(
        job.error, "the trainer ended with code 2: loam: asked to fail; and told how to go on");
    job = ops_wait_job(f, failing, "failed");
    assert_int_equal(job.epoch, 3);
    assert_int_equal(ops_number(f, "SELECT COUNT(*) FROM model_version"), 0);
}

static void test_wrong_recipe(void **state) {
    ops_fixture *f = ops_begin(state, g_loam);
    char id[LM_ID_BYTES];
    ops_start_scheduler(f);
    ops_add_job(f, f->project_id, "j", "train:\n  stepps: 3\n", 0, 5, id);
    lm_job job = ops_wait_job(f, id, "failed");
    assert_int_equal(ops_number(f, "SELECT COUNT(*) FROM run"), 1);
    assert_int_equal(ops_number(f, "SELECT exit_code FROM run"), 2);
    assert_non_null(strstr(job.error, "unknown key 'stepps'"));
    assert_non_null(strstr(job.error, "did you mean 'steps'?"));
}

/* Kills the trainer of the job's present run; false when it has none now. */
static bool kill_trainer(ops_fixture *f, const lm_job *job) {
    lm_process_info info;
    char *dir = lm_job_run_dir(f->home, job->id, job->epoch);
    bool killed = lm_executor_poll(f->executor, dir, &info, NULL) == LOAM_OK && info.pid &&
                  info.state == LM_PROCESS_RUNNING;
    if (killed) kill((pid_t)info.pid, SIGKILL);
    lm_free(dir);
    return killed;
}

static void test_killed_trainers_resume(void **state) {
    ops_fixture *f = begin(state);
    char id[LM_ID_BYTES];
    ops_add_job(f, f->project_id, "j", "steps: 200\nstep_ms: 3\ncheckpoint_every: 10\n", 0, 20, id);
    for (int kills = 0; kills < 5;) {
        lm_clock_sleep_ms(70);
        lm_job job = ops_job(f, id);
        if (strcmp(job.state, "succeeded") == 0) break;
        kills += kill_trainer(f, &job);
    }
    lm_job job = ops_wait_job(f, id, "succeeded");
    assert_trained(f, &job, 200);
    assert_true(job.epoch > 1);
    assert_int_equal(ops_number(f, "SELECT SUM(flops) FROM usage_record"),
                     200000); /* repeated steps count once */
}

static void test_scheduler_restarts(void **state) {
    ops_fixture *f = begin(state);
    char id[LM_ID_BYTES];
    ops_add_job(f, f->project_id, "j", "steps: 300\nstep_ms: 3\n", 0, 0, id);
    for (int i = 0; i < 4; i++) {
        lm_clock_sleep_ms(100);
        ops_close(f);
        ops_open(f, g_program);
        ops_start_scheduler(f);
    }
    lm_job job = ops_wait_job(f, id, "succeeded");
    assert_trained(f, &job, 300);
    assert_int_equal(job.epoch, 1); /* the same trainer all the time */
}

static loam_status request_cancel(lm_db *db, void *arg, loam_error *err) {
    lm_job *job = arg;
    job->cancel_requested = true;
    return lm_table_update(db, &lm_job_table, job, err);
}

static void test_cancel(void **state) {
    ops_fixture *f = begin(state);
    char id[LM_ID_BYTES];
    ops_add_job(f, f->project_id, "j", "steps: 100000\nstep_ms: 5\n", 0, 0, id);
    lm_job job = ops_wait_job(f, id, "running");
    lm_clock_sleep_ms(100);
    job = ops_job(f, id);
    ops_call(f, request_cancel, &job);
    lm_scheduler_wake(f->scheduler);
    ops_wait_job(f, id, "cancelled");
    assert_int_equal(ops_number(f, "SELECT COUNT(*) FROM run WHERE state = 'cancelled'"), 1);
}

static loam_status insert_project(lm_db *db, void *arg, loam_error *err) {
    return lm_table_insert(db, &lm_project_table, arg, err);
}

static void test_priority_and_fair_share(void **state) {
    ops_fixture *f = begin(state);
    lm_project other = {.name = "other"};
    char ids[4][LM_ID_BYTES];
    lm_id_new(&f->ids, "prj", other.id);
    ops_call(f, insert_project, &other);
    /* the first keeps the pool busy while the others queue up; its project has then used compute, the other none */
    ops_add_job(f, f->project_id, "first", "steps: 40\nstep_ms: 5\n", 0, 0, ids[0]);
    ops_wait_job(f, ids[0], "running");
    ops_add_job(f, f->project_id, "same", "steps: 3\n", 0, 0, ids[1]);
    ops_add_job(f, other.id, "fair", "steps: 3\n", 0, 0, ids[2]);
    ops_add_job(f, f->project_id, "urgent", "steps: 3\n", 5, 0, ids[3]);
    int64_t started[4];
    for (int i = 0; i < 4; i++) started[i] = ops_wait_job(f, ids[i], "succeeded").started_ms;
    assert_true(started[3] < started[2]); /* priority before share */
    assert_true(started[2] < started[1]); /* share before age */
}

int main(int argc, char **argv) {
    if (argc < 3) return 1;
    g_program = argv[1];
    g_loam = argv[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_job_becomes_a_version, ops_end),
        cmocka_unit_test_teardown(test_failures, ops_end),
        cmocka_unit_test_teardown(test_wrong_recipe, ops_end),
        cmocka_unit_test_teardown(test_killed_trainers_resume, ops_end),
        cmocka_unit_test_teardown(test_scheduler_restarts, ops_end),
        cmocka_unit_test_teardown(test_cancel, ops_end),
        cmocka_unit_test_teardown(test_priority_and_fair_share, ops_end),
    };
    return test_on_databases(tests);
}
