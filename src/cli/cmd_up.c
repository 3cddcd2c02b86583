/* loam up: the cloud itself, in one process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/usable.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/str.h"
#include "cli/command.h"
#include "cloud/cloud.h"

typedef struct up_settings {
    const char *listen, *home, *database, *port_file, *log_level, *program;
    int64_t threads;
    double peak_tflops;
    bool log_json;
} up_settings;

enum { HOST_BYTES = 256, DEFAULT_LOOPS_MAX = 4, DEFAULT_PORT = 8080 };

/* Where things are kept if nobody says: the user's data folder. Free with lm_free. */
static char *home_folder(const up_settings *settings) {
    const char *data = getenv("XDG_DATA_HOME"), *user = getenv("HOME");
    if (settings->home) return lm_strdup(settings->home);
    if (data && *data) return lm_asprintf("%s/loam", data);
    return lm_asprintf("%s/.local/share/loam", user ? user : ".");
}

/* "127.0.0.1:8080", "[::1]:8080" or "8080". */
static loam_status parse_listen(const char *text, char host[HOST_BYTES], int *out_port,
                                loam_error *err) {
    const char *colon = strrchr(text, ':');
    const char *port_text = colon ? colon + 1 : text;
    lm_str host_text = colon ? (lm_str){text, (size_t)(colon - text)} : LM_STR("127.0.0.1");
    if (host_text.len >= 2 && host_text.ptr[0] == '[' && host_text.ptr[host_text.len - 1] == ']')
        host_text = (lm_str){host_text.ptr + 1, host_text.len - 2};
    int64_t port;
    if (!lm_str_to_i64(lm_str_of(port_text), &port) || port < 0 || port > 65535 ||
        host_text.len == 0 || host_text.len >= HOST_BYTES)
        return lm_error_set(err, LOAM_INVALID,
                            "--listen '%s' is not an address like 127.0.0.1:8080", text);
    snprintf(host, HOST_BYTES, "%.*s", (int)host_text.len, host_text.ptr);
    *out_port = (int)port;
    return LOAM_OK;
}

static void on_first_key(const char *secret, void *arg) {
    printf("This is a new cloud. Its admin key, shown this once:\n\n    %s\n\n"
           "Keep it, and let the other commands find it:\n\n    export LOAM_API_KEY=%s\n\n",
           secret, secret);
    fflush(stdout);
}

static void on_ready(int port, void *arg) {
    const char *host = arg;
    const char *open = strchr(host, ':') ? "[" : "", *close = *open ? "]" : "";
    printf("loam is up: console http://%s%s%s:%d/  OpenAI API http://%s%s%s:%d/v1\n", open, host,
           close, port, open, host, close, port);
    if (port != DEFAULT_PORT)
        printf("Let the other commands find it: export LOAM_URL=http://%s%s%s:%d\n", open, host,
               close, port);
    fflush(stdout);
}

static loam_status run(const up_settings *settings, const char *home, loam_error *err) {
    char host[HOST_BYTES], program[4096];
    int cpus = lm_cpu_n_usable();
    lm_cloud_config config = {
        .home = home,
        .database = settings->database,
        .host = host,
        .n_loops = settings->threads          ? (int)settings->threads
                   : cpus < DEFAULT_LOOPS_MAX ? cpus
                                              : DEFAULT_LOOPS_MAX,
        .program = program,
        .peak_flops = (int64_t)(settings->peak_tflops * 1e12),
        .port_file = settings->port_file,
    };
    LM_TRY(parse_listen(settings->listen, host, &config.port, err));
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    if (len < 0) return lm_error_errno(err, "/proc/self/exe");
    program[len] = '\0';
    if (settings->program) snprintf(program, sizeof program, "%s", settings->program);
    lm_cloud_hooks hooks = {.on_first_key = on_first_key, .on_ready = on_ready, .arg = host};
    return lm_cloud_run(&config, &hooks, err);
}

static int run_up(const void *settings_, int n_args, char **args) {
    const up_settings *settings = settings_;
    loam_error err = {0};
    lm_log_level level;
    if (!lm_log_level_parse(settings->log_level, &level)) {
        lm_error_set(&err, LOAM_INVALID, "--log '%s' is not one of debug, info, warn, error, off",
                     settings->log_level);
        lm_cli_fail(&err);
        return LM_EXIT_USAGE;
    }
    lm_log_init(level, settings->log_json);
    char *home = home_folder(settings);
    if (!home) return lm_cli_fail(&(loam_error){.message = "out of memory"});
    loam_status status = run(settings, home, &err);
    lm_free(home);
    return status == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

#define AT(field) LM_OPTION_AT(up_settings, field)
static const lm_option options[] = {
    {.name = "listen",
     .short_name = 'l',
     .type = LM_OPT_STRING,
     .arg = "ADDRESS:PORT",
     .offset = AT(listen),
     .env = "LOAM_LISTEN",
     .help = "where to take requests; port 0: any free one (default 127.0.0.1:8080)"},
    {.name = "home",
     .type = LM_OPT_STRING,
     .arg = "DIR",
     .offset = AT(home),
     .env = "LOAM_HOME",
     .help = "folder of all that the cloud keeps (default $XDG_DATA_HOME/loam, or "
             "~/.local/share/loam)"},
    {.name = "database",
     .type = LM_OPT_STRING,
     .arg = "URL",
     .offset = AT(database),
     .env = "LOAM_DATABASE",
     .help = "postgresql://user@host/name, or a SQLite file (default loam.db in the home folder)"},
    {.name = "threads",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(threads),
     .max = LM_CLOUD_LOOPS_MAX,
     .help = "threads that take requests (default: one per CPU, at most 4)"},
    {.name = "peak-tflops",
     .type = LM_OPT_FLOAT,
     .arg = "X",
     .offset = AT(peak_tflops),
     .max = 9e6,
     .help =
         "peak of this machine, in TFLOPS, by which leased compute is counted (default: measured)"},
    {.name = "program",
     .type = LM_OPT_STRING,
     .arg = "FILE",
     .offset = AT(program),
     .help = "program started to train, serve and supervise (default: this one)"},
    {.name = "port-file",
     .type = LM_OPT_STRING,
     .arg = "FILE",
     .offset = AT(port_file),
     .help = "write the port to this file once requests are taken"},
    {.name = "log",
     .type = LM_OPT_STRING,
     .arg = "LEVEL",
     .offset = AT(log_level),
     .env = "LOAM_LOG",
     .help = "debug, info, warn, error or off (default info)"},
    {.name = "log-json",
     .type = LM_OPT_FLAG,
     .offset = AT(log_json),
     .help = "log one JSON object a line"},
    LM_OPTIONS_END,
};

const lm_command lm_cmd_up = {
    .name = "up",
    .summary = "run the cloud: control plane, OpenAI gateway and web console",
    .description = "Serves the REST API under /api/v1, the OpenAI API of all endpoints under /v1, "
                   "and the console under /, in one "
                   "process. The first start makes a project and prints its admin key, once. "
                   "SIGTERM lets open requests come to "
                   "their end; a second one cuts them off.",
    .examples = "loam up\n    run on this machine, everything under ~/.local/share/loam\n"
                "loam up --listen 127.0.0.1:9000 --database postgresql://loam@db/loam\n"
                "    keep the books in PostgreSQL\n",
    .options = options,
    .settings_bytes = sizeof(up_settings),
    .defaults = &(up_settings){.listen = "127.0.0.1:8080", .log_level = "info"},
    .run = run_up,
};
