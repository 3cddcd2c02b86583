#include "databases.h"

#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "cloud/db.h"

enum { URLS_MAX = 256 };

struct test_databases {
    bool is_postgres;
    char *dir;
    char *bin_dir; /* of PostgreSQL; NULL: not installed */
    pid_t server;
    char *urls[URLS_MAX];
    int n_urls;
};

static char *find_postgres(void) {
    glob_t found = {0};
    char *dir = NULL;
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) == 0)
        dir = lm_strdup(found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return dir;
}

/* PostgreSQL refuses to run as root: setpriv makes it Debian's user, and has it die with us. */
static pid_t spawn(const test_databases *databases, const char *program, const char *const *args) {
    const char *argv[24];
    int n = 0;
    char *path = lm_path_join(databases->bin_dir, program);
    bool is_root = geteuid() == 0;
    argv[n++] = "setpriv";
    argv[n++] = "--pdeathsig=SIGQUIT";
    if (is_root) {
        argv[n++] = "--reuid=postgres";
        argv[n++] = "--regid=postgres";
        argv[n++] = "--clear-groups";
    }
    argv[n++] = path;
    while (*args) argv[n++] = *args++;
    argv[n] = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        char *log = lm_path_join(databases->dir, "log");
        if (chdir("/") != 0 || !freopen(log, "a", stdout) ||
            dup2(fileno(stdout), STDERR_FILENO) < 0)
            _exit(126);
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    lm_free(path);
    return pid;
}

static bool make_cluster(test_databases *databases, const char *data_dir) {
    struct passwd *user = getpwnam("postgres");
    if (geteuid() == 0 && (!user || chown(databases->dir, user->pw_uid, user->pw_gid) != 0))
        return false;
    const char *args[] = {"-D", data_dir, "-U",         "postgres",  "-A", "trust",
                          "-E", "UTF8",   "--locale=C", "--no-sync", NULL};
    int status;
    pid_t pid = spawn(databases, "initdb", args);
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static char *url_of(const test_databases *databases, const char *name) {
    return lm_asprintf("postgresql:///%s?host=%s&user=postgres", name, databases->dir);
}

static lm_db *connect_within(const char *url, int64_t timeout_ms) {
    for (int64_t waited_ms = 0; waited_ms < timeout_ms; waited_ms += 20) {
        lm_db *db;
        if (lm_db_open(url, &db, NULL) == LOAM_OK) return db;
        lm_clock_sleep_ms(20);
    }
    return NULL;
}

static bool start_server(test_databases *databases) {
    char *data_dir = lm_path_join(databases->dir, "data");
    bool ok = make_cluster(databases, data_dir);
    if (ok) {
        const char *args[] = {"-D", data_dir,
                              "-k", databases->dir,
                              "-c", "listen_addresses=",
                              "-c", "shared_buffers=16MB",
                              NULL};
        databases->server = spawn(databases, "postgres", args);
        char *url = url_of(databases, "postgres");
        lm_db *db = connect_within(url, 20000);
        ok = db != NULL;
        lm_db_close(db);
        lm_free(url);
    }
    lm_free(data_dir);
    return ok;
}

static void stop_server(test_databases *databases) {
    if (databases->server <= 0) return;
    kill(databases->server, SIGINT);
    waitpid(databases->server, NULL, 0);
}

static int set_up(void **state, bool is_postgres) {
    test_databases *databases = calloc(1, sizeof *databases);
    databases->is_postgres = is_postgres;
    databases->dir = test_temp_dir();
    *state = databases;
    if (!is_postgres) return 0;
    databases->bin_dir = find_postgres();
    return databases->bin_dir && !start_server(databases) ? 1 : 0;
}

static int set_up_sqlite(void **state) {
    return set_up(state, false);
}

static int set_up_postgres(void **state) {
    return set_up(state, true);
}

static int tear_down(void **state) {
    test_databases *databases = *state;
    stop_server(databases);
    if (lm_file_remove_tree(databases->dir, NULL) != LOAM_OK) return 1;
    for (int i = 0; i < databases->n_urls; i++) lm_free(databases->urls[i]);
    lm_free(databases->dir);
    lm_free(databases->bin_dir);
    free(databases);
    return 0;
}

int test_on_databases_(const char *name, const struct CMUnitTest *tests, size_t n) {
    int n_failed = _cmocka_run_group_tests(name, tests, n, set_up_sqlite, tear_down);
    return n_failed + _cmocka_run_group_tests(name, tests, n, set_up_postgres, tear_down);
}

const char *test_database_new(void *state) {
    test_databases *databases = state;
    char name[32];
    assert_true(databases->n_urls < URLS_MAX);
    snprintf(name, sizeof name, "db%d", databases->n_urls);
    char *url = lm_path_join(databases->dir, name);
    if (databases->is_postgres) {
        if (!databases->bin_dir) {
            print_message("skipped: PostgreSQL is not installed\n");
            lm_free(url);
            skip();
        }
        lm_free(url);
        char *admin_url = url_of(databases, "postgres"), sql[64];
        lm_db *db;
        assert_ok(lm_db_open(admin_url, &db, &err));
        snprintf(sql, sizeof sql, "CREATE DATABASE %s", name);
        assert_ok(lm_db_exec_script(db, sql, &err));
        lm_db_close(db);
        lm_free(admin_url);
        url = url_of(databases, name);
    }
    databases->urls[databases->n_urls++] = url;
    return url;
}

bool test_database_is_postgres(void *state) {
    return ((test_databases *)state)->is_postgres;
}
