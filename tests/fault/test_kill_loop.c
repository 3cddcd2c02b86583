/* The kill loop: a cloud with jobs running and clients streaming, whose workers, trainers and control plane are killed with
 * SIGKILL at random moments, at least a hundred times. In the end every job must have come out right, and the ledger must
 * say exactly what the workers' journals say: nothing lost, nothing twice.
 *
 *     test_kill_loop LOAM PROGRAM [--real MODEL TEXT] [--kills N] [--seed S]
 *
 * LOAM is the cloud; PROGRAM trains and serves: the stand-in of tests/cloud (hundreds of lives in seconds), or with --real the
 * real one, on a model folder and a text. The truth is kept by hard links to every journal, made as soon as it appears.
 */
#include "testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/usage_journal.h"
#include "cloud/db.h"
#include "cloud/supervisor.h"
#include "net/http_fetch.h"

enum {
    CLIENTS = 4,
    STEPS = 200,
    READY_STEPS = 1500,
    SETTLE_STEPS = 6000,
    REAL_PAUSE_MS = 900,
    PAUSE_MS = 110
};

typedef struct loop {
    const char *loam, *program, *model, *text; /* model, text: NULL with the stand-in */
    char *home;
    char key[160], endpoint_id[64];
    pid_t cloud;
    atomic_int port; /* 0: no cloud now */
    atomic_bool clients_stop, watcher_stop;
    atomic_llong n_answers, n_vanished, n_refused;
    int n_jobs;
    int64_t n_kills[3]; /* cloud, workers, trainers */
    lm_rng rng;
    pthread_mutex_t lock; /* guards acknowledged */
    json_t *
        acknowledged; /* request id -> completion tokens of answers that arrived whole (stand-in only) */
} loop;

/* ---- the cloud ---- */

static char *in_home(const loop *l, const char *name) {
    char *path = lm_path_join(l->home, name);
    assert_non_null(path);
    return path;
}

static void exec_cloud(const loop *l, const char *log, const char *port_file) {
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execl(l->loam, l->loam, "up", "--listen", "127.0.0.1:0", "--home", l->home, "--port-file",
          port_file, "--program", l->program, (char *)NULL);
    _exit(127);
}

static void start_cloud(loop *l) {
    char *log = in_home(l, "log"), *port_file = in_home(l, "port"), *text = NULL;
    unlink(port_file);
    l->cloud = fork();
    if (l->cloud == 0) exec_cloud(l, log, port_file);
    for (int i = 0; i < READY_STEPS && !lm_file_exists(port_file); i++) lm_clock_sleep_ms(10);
    assert_ok(lm_file_read(port_file, 32, &text, NULL, &err));
    atomic_store(&l->port, atoi(text));
    lm_free(text);
    if (!l->key[0]) {
        assert_ok(lm_file_read(log, 1 << 16, &text, NULL, &err));
        const char *key = strstr(text, "loam-sk-");
        assert_non_null(key);
        snprintf(l->key, sizeof l->key, "%.*s", (int)strcspn(key, " \n"), key);
        lm_free(text);
    }
    lm_free(log);
    lm_free(port_file);
}

static void end_cloud(loop *l, int signal_number) {
    atomic_store(&l->port, 0);
    kill(l->cloud, signal_number);
    waitpid(l->cloud, NULL, 0);
}

/* One REST request; NULL when it did not succeed. */
static json_t *rest(loop *l, const char *method, const char *path, const char *body) {
    char url[256];
    int status = 0;
    lm_buf text;
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", atomic_load(&l->port), path);
    lm_http_fetch_options options = {.method = method,
                                     .url = url,
                                     .bearer = l->key,
                                     .body = lm_str_of(body ? body : ""),
                                     .timeout_ms = 10000};
    json_t *answer = NULL;
    if (lm_http_fetch(&options, &status, &text, NULL) == LOAM_OK && status < 300)
        answer = text.len ? json_loadb(text.ptr, text.len, 0, NULL) : json_object();
    else if (status >= 300)
        fprintf(stderr, "%s %s: %d %s\n", method, path, status, lm_buf_cstr(&text));
    lm_buf_deinit(&text);
    return answer;
}

/* ---- clients ---- */

typedef struct reading {
    int64_t bytes, vanish_after; /* 0: stays to the end */
} reading;

static bool take_piece(lm_str bytes, void *arg) {
    reading *r = arg;
    r->bytes += (int64_t)bytes.len;
    return r->vanish_after == 0 || r->bytes < r->vanish_after;
}

/* The stand-in names its request in whole answers: what a client was given must be in the books as it was given. */
static void acknowledge(loop *l, lm_str text) {
    json_t *answer = json_loadb(text.ptr, text.len, 0, NULL);
    const char *id = json_string_value(json_object_get(answer, "id"));
    json_t *tokens = json_object_get(json_object_get(answer, "usage"), "completion_tokens");
    pthread_mutex_lock(&l->lock);
    if (!l->model && id && tokens) json_object_set(l->acknowledged, id, tokens);
    pthread_mutex_unlock(&l->lock);
    json_decref(answer);
}

static void ask_once(loop *l, lm_rng *rng) {
    char url[128], body[256];
    int status = 0, tokens = 5 + (int)lm_rng_below(rng, 40);
    bool stream = lm_rng_below(rng, 3) > 0;
    reading r = {.vanish_after =
                     stream && lm_rng_below(rng, 3) == 0 ? 1 + (int64_t)lm_rng_below(rng, 600) : 0};
    lm_buf text;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/completions", atomic_load(&l->port));
    int len = snprintf(body, sizeof body,
                       "{\"model\":\"m\",\"prompt\":\"Once\",\"max_tokens\":%d,\"stream\":%s%s}",
                       tokens, stream ? "true" : "false", l->model ? "" : ",\"x_ms\":3");
    lm_http_fetch_options options = {.method = "POST",
                                     .url = url,
                                     .bearer = l->key,
                                     .body = {body, (size_t)len},
                                     .timeout_ms = 20000,
                                     .on_body = stream ? take_piece : NULL,
                                     .arg = &r};
    loam_status result = lm_http_fetch(&options, &status, &text, NULL);
    if (result == LOAM_CANCELLED)
        atomic_fetch_add(&l->n_vanished, 1);
    else if (result == LOAM_OK && status == 200)
        atomic_fetch_add(&l->n_answers, 1);
    else
        atomic_fetch_add(&l->n_refused, 1);
    if (result == LOAM_OK && status == 200 && !stream) acknowledge(l, lm_buf_view(&text));
    lm_buf_deinit(&text);
}

static void *client_main(void *arg) {
    loop *l = arg;
    lm_rng rng;
    lm_rng_init_stream(&rng, 1, (uint64_t)(uintptr_t)&rng);
    while (!atomic_load(&l->clients_stop)) {
        if (atomic_load(&l->port))
            ask_once(l, &rng);
        else
            lm_clock_sleep_ms(5);
    }
    return NULL;
}

/* ---- the truth ---- */

static void link_journals(loop *l) {
    char *replicas = in_home(l, "replicas");
    DIR *dir = opendir(replicas);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char *from = lm_asprintf("%s/%s/journal", replicas, entry->d_name);
        char *to = lm_asprintf("%s/truth/%s", l->home, entry->d_name);
        (void)!link(from, to); /* not there yet, or linked before */
        lm_free(from);
        lm_free(to);
    }
    if (dir) closedir(dir);
    lm_free(replicas);
}

static void *watcher_main(void *arg) {
    loop *l = arg;
    while (!atomic_load(&l->watcher_stop)) {
        link_journals(l);
        lm_clock_sleep_ms(2);
    }
    return NULL;
}

/* ---- killing ---- */

/* The child a state folder tells of, if it is alive; 0 otherwise. */
static pid_t child_of(const char *state_dir) {
    char *path = lm_path_join(state_dir, LM_SUPERVISE_PROCESS), *text = NULL;
    json_t *object = NULL;
    if (lm_file_exists(path) && lm_file_read(path, 4096, &text, NULL, NULL) == LOAM_OK)
        object = json_loads(text, 0, NULL);
    pid_t pid = (pid_t)json_integer_value(json_object_get(object, "pid"));
    bool alive = pid > 0 && lm_process_start_ticks(pid) ==
                                json_integer_value(json_object_get(object, "start"));
    json_decref(object);
    lm_free(text);
    lm_free(path);
    return alive ? pid : 0;
}

/* Kills living children under home/<kind>/ whose folders are `depth` levels down: at most `most`. */
static int kill_children(loop *l, const char *dir_path, int depth, int most) {
    DIR *dir = opendir(dir_path);
    struct dirent *entry;
    int n = 0;
    while (dir && n < most && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.') continue;
        char *path = lm_path_join(dir_path, entry->d_name);
        pid_t pid;
        if (depth > 1)
            n += kill_children(l, path, depth - 1, most - n);
        else if ((pid = child_of(path)) > 0)
            n += kill(pid, SIGKILL) == 0;
        lm_free(path);
    }
    if (dir) closedir(dir);
    return n;
}

static int kill_something(loop *l) {
    char *replicas = in_home(l, "replicas"), *jobs = in_home(l, "jobs");
    int what = (int)lm_rng_below(&l->rng, 3), n = 1;
    if (what == 0) {
        end_cloud(l, SIGKILL);
        lm_clock_sleep_ms((int64_t)lm_rng_below(&l->rng, 60));
        start_cloud(l);
    } else {
        n = what == 1 ? kill_children(l, replicas, 1, 1) : kill_children(l, jobs, 2, 1);
    }
    l->n_kills[what] += n;
    lm_free(replicas);
    lm_free(jobs);
    return n;
}

/* ---- jobs ---- */

static void submit_job(loop *l) {
    char name[32];
    snprintf(name, sizeof name, "job%d", l->n_jobs);
    const char *fake = "steps: 200\nstep_ms: 2\ncheckpoint_every: 20\n";
    char *real = lm_asprintf(
        "data:\n  path: %s\ntokenizer:\n  kind: bytes\nmodel:\n  n_layers: 1\n  dim: 32\n  "
        "n_heads: 2\n"
        "  context: 32\ntrain:\n  steps: 200\n  batch_size: 4\ncheckpoint:\n  every: 20\n",
        l->text ? l->text : "");
    json_t *job = json_pack("{s:s, s:s, s:i}", "name", name, "recipe", l->model ? real : fake,
                            "max_retries", 1000);
    char *body = json_dumps(job, 0);
    json_t *answer = rest(l, "POST", "/api/v1/jobs", body);
    l->n_jobs += answer != NULL; /* else the cloud was not there: next time */
    json_decref(answer);
    json_decref(job);
    free(body);
    lm_free(real);
}

/* Jobs of this state; -1 when the cloud does not say. */
static int count_jobs(loop *l, const char *state) {
    json_t *list = rest(l, "GET", "/api/v1/jobs?limit=500", NULL);
    int n = list ? 0 : -1;
    size_t i;
    json_t *job;
    json_array_foreach(json_object_get(list, "data"), i, job) {
        n += strcmp(json_string_value(json_object_get(job, "state")), state) == 0;
    }
    json_decref(list);
    return n;
}

static void set_up(loop *l) {
    char *truth = in_home(l, "truth"), *model = in_home(l, "model"),
         *config = lm_path_join(model, "config.json"), body[1200];
    assert_ok(lm_file_make_dirs(truth, &err));
    assert_ok(lm_file_make_dirs(model, &err));
    assert_ok(lm_file_write_atomic(config, "{}", 2, &err));
    start_cloud(l);
    snprintf(body, sizeof body, "{\"name\":\"model\",\"path\":\"%s\"}",
             l->model ? l->model : model);
    json_decref(rest(l, "POST", "/api/v1/models", body));
    json_t *answer = NULL;
    for (int i = 0; i < 500 && !answer; i++) {
        lm_clock_sleep_ms(20);
        answer = rest(l, "POST", "/api/v1/endpoints",
                      "{\"name\":\"m\",\"model\":\"model\",\"min_replicas\":1,\"max_replicas\":2}");
    }
    assert_non_null(answer);
    snprintf(l->endpoint_id, sizeof l->endpoint_id, "%s",
             json_string_value(json_object_get(answer, "id")));
    json_decref(answer);
    lm_free(truth);
    lm_free(model);
    lm_free(config);
}

/* ---- the verdict ---- */

/* Every record of one journal must be in the ledger as it is. */
static int64_t check_journal(lm_db *db, const char *path) {
    enum { BATCH = 64 };
    lm_usage_record records[BATCH];
    int64_t cursor = 0, n, total = 0;
    do {
        assert_ok(lm_usage_journal_read(path, &cursor, records, BATCH, &n, &err));
        for (int64_t i = 0; i < n; i++) {
            lm_rows rows;
            assert_ok(lm_db_query(db,
                                  "SELECT prompt_tokens, completion_tokens, key_id FROM "
                                  "usage_record WHERE reference = ?",
                                  LM_VALUES(lm_text(records[i].request_id)), &rows, &err));
            if (!lm_rows_next(&rows)) fail_msg("%s is lost", records[i].request_id);
            assert_int_equal(lm_row_i64(&rows, 0), records[i].prompt_tokens);
            assert_int_equal(lm_row_i64(&rows, 1), records[i].completion_tokens);
            assert_true(lm_str_is(lm_row_text(&rows, 2), records[i].tag));
            assert_ok(lm_rows_end(&rows, &err));
        }
        total += n;
    } while (n > 0);
    return total;
}

static int64_t number(lm_db *db, const char *sql) {
    lm_rows rows;
    assert_ok(lm_db_query(db, sql, LM_NO_VALUES, &rows, &err));
    assert_true(lm_rows_next(&rows));
    int64_t n = lm_row_i64(&rows, 0);
    assert_ok(lm_rows_end(&rows, &err));
    return n;
}

static void check_requests(loop *l, lm_db *db) {
    char *truth = in_home(l, "truth");
    int64_t total = 0;
    DIR *dir = opendir(truth);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        char *path = lm_path_join(truth, entry->d_name);
        if (entry->d_name[0] != '.') total += check_journal(db, path);
        lm_free(path);
    }
    closedir(dir);
    assert_int_equal(number(db, "SELECT COUNT(*) FROM usage_record WHERE kind = 'request'"),
                     total); /* and nothing else */
    assert_true(total > 0);
    const char *id;
    json_t *tokens;
    json_object_foreach(l->acknowledged, id, tokens) {
        lm_rows rows;
        assert_ok(lm_db_query(db, "SELECT completion_tokens FROM usage_record WHERE reference = ?",
                              LM_VALUES(lm_text(id)), &rows, &err));
        assert_true(lm_rows_next(&rows));
        assert_int_equal(lm_row_i64(&rows, 0), json_integer_value(tokens));
        assert_ok(lm_rows_end(&rows, &err));
    }
    printf("%lld requests in the journals, all booked as they are\n", (long long)total);
    lm_free(truth);
}

static void check_jobs(loop *l, lm_db *db) {
    assert_int_equal(number(db, "SELECT COUNT(*) FROM job WHERE state = 'succeeded'"), l->n_jobs);
    assert_int_equal(
        number(db,
               "SELECT COUNT(*) FROM model_version WHERE state = 'ready' AND job_id IS NOT NULL"),
        l->n_jobs);
    /* all that came out of the same recipe is the same, to the byte: no step was lost or done twice */
    assert_int_equal(
        number(db, "SELECT COUNT(DISTINCT digest) FROM model_version WHERE job_id IS NOT NULL"), 1);
    assert_int_equal(number(db, "SELECT COUNT(*) FROM run WHERE state = 'running'"), 0);
    /* leases: every run's segments add up to its life; delivered work: that of every job is booked once */
    assert_int_equal(number(db, "SELECT COUNT(*) FROM job j WHERE (SELECT SUM(r.ended_ms - "
                                "r.started_ms) FROM run r WHERE r.job_id = "
                                "j.id) <> (SELECT SUM(u.end_ms - u.start_ms) FROM usage_record u "
                                "WHERE u.job_id = j.id)"),
                     0);
    assert_int_equal(number(db, "SELECT COUNT(*) FROM job j WHERE j.flops <> (SELECT SUM(u.flops) "
                                "FROM usage_record u WHERE "
                                "u.job_id = j.id)"),
                     0);
    assert_int_equal(number(db, "SELECT COUNT(DISTINCT flops) FROM job"), 1);
    if (!l->model) assert_int_equal(number(db, "SELECT MAX(flops) FROM job"), STEPS * 1000);
    printf("%d jobs came out right, in %lld runs\n", l->n_jobs,
           (long long)number(db, "SELECT COUNT(*) FROM run"));
}

static bool all_settled(loop *l) {
    char path[128];
    snprintf(path, sizeof path, "/api/v1/endpoints/%s/replicas", l->endpoint_id);
    json_t *replicas = rest(l, "GET", "/api/v1/endpoints", NULL);
    bool settled = count_jobs(l, "succeeded") == l->n_jobs &&
                   json_array_size(json_object_get(replicas, "data")) == 0;
    json_decref(replicas);
    return settled;
}

/* A run has an exit code, or the signal that killed it. */
static void check_runs(loop *l) {
    json_t *jobs = rest(l, "GET", "/api/v1/jobs?limit=500", NULL), *job, *run;
    size_t i, j, n_killed = 0;
    json_array_foreach(json_object_get(jobs, "data"), i, job) {
        char path[128];
        snprintf(path, sizeof path, "/api/v1/jobs/%s/runs?limit=500",
                 json_string_value(json_object_get(job, "id")));
        json_t *runs = rest(l, "GET", path, NULL);
        json_array_foreach(json_object_get(runs, "data"), j, run) {
            bool killed = json_is_integer(json_object_get(run, "term_signal"));
            assert_int_equal(json_is_null(json_object_get(run, "exit_code")), killed);
            n_killed += killed;
        }
        json_decref(runs);
    }
    json_decref(jobs);
    assert_true(n_killed > 0 || l->n_kills[2] == 0);
}

static void settle(loop *l) {
    char path[128];
    snprintf(path, sizeof path, "/api/v1/endpoints/%s", l->endpoint_id);
    json_decref(rest(l, "DELETE", path, NULL));
    for (int i = 0; i < SETTLE_STEPS && !all_settled(l); i++) lm_clock_sleep_ms(20);
    assert_int_equal(count_jobs(l, "succeeded"), l->n_jobs);
    check_runs(l);
    end_cloud(l, SIGTERM);
}

static loop g_loop;
static int64_t g_kills = 100, g_seed = 1;

static void test_kill_loop(void **state) {
    loop *l = &g_loop;
    pthread_t clients[CLIENTS], watcher;
    l->home = test_temp_dir();
    l->acknowledged = json_object();
    pthread_mutex_init(&l->lock, NULL);
    lm_rng_init(&l->rng, (uint64_t)g_seed);
    set_up(l);
    pthread_create(&watcher, NULL, watcher_main, l);
    for (int i = 0; i < CLIENTS; i++) pthread_create(&clients[i], NULL, client_main, l);
    for (int64_t kills = 0; kills < g_kills;) {
        int active = count_jobs(l, "running") + count_jobs(l, "queued");
        if (active >= 0 && active < 2) submit_job(l);
        lm_clock_sleep_ms(10 + (int64_t)lm_rng_below(&l->rng, l->model ? REAL_PAUSE_MS : PAUSE_MS));
        kills += kill_something(l);
    }
    atomic_store(&l->clients_stop, true);
    for (int i = 0; i < CLIENTS; i++) pthread_join(clients[i], NULL);
    atomic_store(&l->watcher_stop,
                 true); /* only now: the last answers may come from replicas started meanwhile */
    pthread_join(watcher, NULL);
    settle(l);
    printf("killed %lld clouds, %lld workers, %lld trainers; %lld answers, %lld vanished clients, "
           "%lld refused or cut\n",
           (long long)l->n_kills[0], (long long)l->n_kills[1], (long long)l->n_kills[2],
           (long long)l->n_answers, (long long)l->n_vanished, (long long)l->n_refused);
    lm_db *db;
    char *database = in_home(l, "loam.db");
    assert_ok(lm_db_open(database, &db, &err));
    check_requests(l, db);
    check_jobs(l, db);
    lm_db_close(db);
    lm_free(database);
}

/* Nothing that was started outlives the test, also when it failed. */
static int clean_up(void **state) {
    loop *l = &g_loop;
    char *replicas = in_home(l, "replicas"), *jobs = in_home(l, "jobs");
    if (atomic_load(&l->port)) end_cloud(l, SIGKILL);
    kill_children(l, replicas, 1, 1000);
    kill_children(l, jobs, 2, 1000);
    lm_free(replicas);
    lm_free(jobs);
    json_decref(l->acknowledged);
    if (getenv("LOAM_TEST_KEEP"))
        printf("kept %s\n", l->home);
    else
        assert_ok(lm_file_remove_tree(l->home, &err));
    lm_free(l->home);
    return 0;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc < 3) return 1;
    g_loop.loam = argv[1];
    g_loop.program = argv[2];
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--kills") == 0 && i + 1 < argc)
            g_kills = atoll(argv[++i]);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            g_seed = atoll(argv[++i]);
        else if (strcmp(argv[i], "--real") == 0 && i + 2 < argc)
            g_loop.model = argv[++i], g_loop.text = argv[++i];
        else
            return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_kill_loop, clean_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
