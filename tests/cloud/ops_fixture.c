#include "ops_fixture.h"

enum { WAIT_STEP_MS = 10, WAIT_STEPS = 1500 };

void ops_call(ops_fixture *f, lm_store_fn *fn, void *arg) {
    assert_ok(lm_store_call(f->store, fn, arg, &err));
}

static loam_status make_project(lm_db *db, void *arg, loam_error *err) {
    ops_fixture *f = arg;
    lm_list projects;
    const char *next;
    LM_TRY(lm_project_page(db, &(lm_page){.limit = 1}, &f->arena, &projects, &next, err));
    if (projects.len > 0) {
        memcpy(f->project_id, ((const lm_project *)lm_list_at(&projects, 0))->id, LM_ID_BYTES);
    } else {
        lm_project project = {.name = "p", .created_ms = lm_clock_epoch_ms()};
        lm_id_new(&f->ids, "prj", project.id);
        memcpy(f->project_id, project.id, LM_ID_BYTES);
        LM_TRY(lm_table_insert(db, &lm_project_table, &project, err));
    }
    LM_TRY(lm_ledger_load(f->ledger, db, err));
    return lm_pools_ensure_local(db, &f->ids, 1000000000000, err);
}

void ops_open(ops_fixture *f, const char *program) {
    if (!f->home) f->home = test_temp_dir();
    f->program = program;
    lm_arena_init(&f->arena, 0, 0);
    lm_id_gen_init(&f->ids);
    assert_ok(lm_store_new(f->database, &f->store, &err));
    assert_ok(lm_ledger_new(&f->ids, &f->ledger, &err));
    assert_ok(lm_keyring_new(&f->keyring, &err));
    assert_ok(lm_reservations_new(f->keyring, &f->reservations, &err));
    assert_ok(lm_router_new(&f->router, &err));
    assert_ok(lm_executor_local_new(program, &f->executor, &err));
    ops_call(f, make_project, f);
    assert_ok(lm_registry_new(f->home, program, f->store, &f->registry, &err));
}

static ops_fixture g_fixture; /* of the test under way; home is NULL when there is none */

ops_fixture *ops_begin(void **state, const char *program) {
    g_fixture = (ops_fixture){.database = test_database_new(*state)};
    ops_open(&g_fixture, program);
    return &g_fixture;
}

static loam_status end_endpoints(lm_db *db, void *arg, loam_error *err) {
    return lm_db_exec(db, "UPDATE endpoint SET deleted = 1", LM_NO_VALUES, NULL, err);
}

/* Nothing that was started stays. */
static void stop_children(ops_fixture *f) {
    ops_call(f, end_endpoints, NULL);
    if (f->replicas) lm_replicas_drain(f->replicas);
    if (f->scheduler) lm_scheduler_drain(f->scheduler);
    for (int i = 0; i < WAIT_STEPS; i++) {
        bool done = (!f->replicas || lm_replicas_drained(f->replicas)) &&
                    (!f->scheduler || lm_scheduler_drained(f->scheduler));
        if (done) return;
        lm_clock_sleep_ms(WAIT_STEP_MS);
    }
    fail_msg("children do not stop");
}

int ops_end(void **state) {
    ops_fixture *f = &g_fixture;
    if (!f->home) return 0; /* skipped */
    stop_children(f);
    ops_close(f);
    assert_ok(lm_file_remove_tree(f->home, &err));
    lm_free(f->home);
    f->home = NULL;
    return 0;
}

void ops_start_scheduler(ops_fixture *f) {
    lm_scheduler_options options = {.home = f->home,
                                    .program = f->program,
                                    .store = f->store,
                                    .ids = &f->ids,
                                    .ledger = f->ledger,
                                    .registry = f->registry,
                                    .executor = f->executor,
                                    .period_ms = 20,
                                    .retry_pause_ms = 20,
                                    .segment_ms = 100};
    assert_ok(lm_scheduler_new(&options, &f->scheduler, &err));
}

void ops_start_replicas(ops_fixture *f) {
    lm_replicas_options options = {.home = f->home,
                                   .program = f->program,
                                   .store = f->store,
                                   .ids = &f->ids,
                                   .ledger = f->ledger,
                                   .registry = f->registry,
                                   .executor = f->executor,
                                   .router = f->router,
                                   .reservations = f->reservations,
                                   .period_ms = 20};
    assert_ok(lm_replicas_new(&options, &f->replicas, &err));
}

void ops_close(ops_fixture *f) {
    lm_scheduler_free(f->scheduler);
    lm_replicas_free(f->replicas);
    lm_registry_free(f->registry);
    lm_executor_free(f->executor);
    lm_router_free(f->router);
    lm_reservations_free(f->reservations);
    lm_keyring_free(f->keyring);
    lm_store_free(f->store);
    lm_ledger_free(f->ledger);
    lm_id_gen_deinit(&f->ids);
    lm_arena_deinit(&f->arena);
    *f = (ops_fixture){.home = f->home, .database = f->database};
}

/* ---- jobs ---- */

static loam_status insert_job(lm_db *db, void *arg, loam_error *err) {
    return lm_table_insert(db, &lm_job_table, arg, err);
}

void ops_add_job(ops_fixture *f, const char *project_id, const char *name, const char *recipe,
                 int64_t priority, int64_t max_retries, char out[LM_ID_BYTES]) {
    lm_job job = {.name = name,
                  .state = "queued",
                  .recipe = recipe,
                  .recipe_digest = "digest",
                  .model_name = name,
                  .priority = priority,
                  .max_retries = max_retries,
                  .created_ms = lm_clock_epoch_ms()};
    lm_id_new(&f->ids, "job", job.id);
    memcpy(job.project_id, project_id, LM_ID_BYTES);
    ops_call(f, insert_job, &job);
    memcpy(out, job.id, LM_ID_BYTES);
    if (f->scheduler) lm_scheduler_wake(f->scheduler);
}

typedef struct query {
    ops_fixture *f;
    const char *id, *sql;
    lm_job job;
    lm_version version;
    int64_t number;
} query;

static loam_status find_job(lm_db *db, void *arg, loam_error *err) {
    query *q = arg;
    return lm_job_by_id(db, q->id, &q->f->arena, &q->job, err);
}

lm_job ops_job(ops_fixture *f, const char *id) {
    query q = {.f = f, .id = id};
    ops_call(f, find_job, &q);
    return q.job;
}

lm_job ops_wait_job(ops_fixture *f, const char *id, const char *state) {
    lm_job job = ops_job(f, id);
    for (int i = 0; i < WAIT_STEPS && strcmp(job.state, state) != 0; i++) {
        lm_clock_sleep_ms(WAIT_STEP_MS);
        job = ops_job(f, id);
    }
    if (strcmp(job.state, state) != 0)
        fail_msg("job is %s (%s), not %s", job.state, job.error ? job.error : "", state);
    return job;
}

/* ---- versions ---- */

static loam_status insert_version(lm_db *db, void *arg, loam_error *err) {
    return lm_table_insert(db, &lm_version_table, arg, err);
}

static loam_status insert_model(lm_db *db, void *arg, loam_error *err) {
    return lm_table_insert(db, &lm_model_table, arg, err);
}

void ops_add_version(ops_fixture *f, const char *model_name, const char *const *files,
                     char out[LM_ID_BYTES]) {
    char *dir = lm_path_join(f->home, model_name);
    assert_ok(lm_file_make_dirs(dir, &err));
    for (; *files; files += 2) {
        char *path = lm_path_join(dir, files[0]);
        assert_ok(lm_file_write_atomic(path, files[1], strlen(files[1]), &err));
        lm_free(path);
    }
    lm_model model = {.name = model_name, .latest_version = 1, .created_ms = lm_clock_epoch_ms()};
    lm_version version = {
        .version = 1, .state = "importing", .source = dir, .created_ms = lm_clock_epoch_ms()};
    lm_id_new(&f->ids, "mod", model.id);
    lm_id_new(&f->ids, "ver", version.id);
    memcpy(model.project_id, f->project_id, LM_ID_BYTES);
    memcpy(version.project_id, f->project_id, LM_ID_BYTES);
    memcpy(version.model_id, model.id, LM_ID_BYTES);
    ops_call(f, insert_model, &model);
    ops_call(f, insert_version, &version);
    lm_registry_wake(f->registry);
    memcpy(out, version.id, LM_ID_BYTES);
    lm_free(dir);
}

static loam_status find_version(lm_db *db, void *arg, loam_error *err) {
    query *q = arg;
    return lm_version_get(db, q->f->project_id, q->id, &q->f->arena, &q->version, err);
}

lm_version ops_wait_version(ops_fixture *f, const char *id, const char *state) {
    query q = {.f = f, .id = id};
    ops_call(f, find_version, &q);
    for (int i = 0; i < WAIT_STEPS && strcmp(q.version.state, state) != 0; i++) {
        lm_clock_sleep_ms(WAIT_STEP_MS);
        ops_call(f, find_version, &q);
    }
    assert_string_equal(q.version.state, state);
    return q.version;
}

static loam_status ask_number(lm_db *db, void *arg, loam_error *err) {
    query *q = arg;
    return lm_db_number(db, q->sql, LM_NO_VALUES, &q->number, err);
}

int64_t ops_number(ops_fixture *f, const char *sql) {
    query q = {.sql = sql};
    ops_call(f, ask_number, &q);
    return q.number;
}
