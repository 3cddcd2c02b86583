/* A stand-in for the loam program in tests of the cloud: `supervise` is the real one; `train` and `serve` speak the same
 * process protocols as the real ones but compute nothing, so that hundreds of them can live and die in seconds.
 *
 *     train RECIPE --out DIR --fence FILE --epoch N [--resume] [--data PATH]
 *         recipe lines: steps: N, step_ms: N, checkpoint_every: N, exit: CODE (at once), hang: 1 (ignore SIGTERM)
 *         The "model" is a number that every step changes: it comes out right only if no step was lost or done twice.
 *         DIR/lock is held all the time; a second trainer in the same folder writes DIR/violation.
 *     show MODEL
 *         fails for a folder without config.json
 *     serve MODEL --port-file F --name NAME --usage-journal J
 *         /v1/completions: max_tokens tokens, "x_ms" apart, streamed or not; usage goes to the journal as it is made. The
 *         journal is hard-linked into the folder `truth` beside `replicas`, if there is one, for the test to read later.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/usage_journal.h"
#include "cloud/supervisor.h"
#include "net/http_server.h"

static volatile sig_atomic_t g_stop;

static void on_term(int signal_number) {
    g_stop = 1;
}

static const char *option(char **argv, const char *name) {
    for (; *argv; argv++) {
        if (strcmp(*argv, name) == 0) return argv[1];
    }
    return NULL;
}

static void die(const char *text) {
    fprintf(stderr, "%s\n", text);
    exit(1);
}

static char *text_of(const char *path) {
    char *text = NULL;
    return lm_file_read(path, 1 << 20, &text, NULL, NULL) == LOAM_OK ? text : NULL;
}

static void put(const char *path, const char *text) {
    loam_error err = {0};
    if (lm_file_write_atomic(path, text, strlen(text), &err) != LOAM_OK) die(err.message);
}

/* ---- train ---- */

typedef struct training {
    const char *out, *fence, *epoch;
    char checkpoint[600];
    long step, steps, step_ms, every;
    unsigned long long model;
} training;

static long recipe_number(const char *recipe, const char *key, long fallback) {
    size_t len = strlen(key);
    for (const char *line = recipe; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, key, len) == 0 && line[len] == ':')
            return strtol(line + len + 1, NULL, 10);
    }
    return fallback;
}

static void save_checkpoint(const training *t) {
    char text[64], *fence = text_of(t->fence);
    if (!fence || strcmp(fence, t->epoch) != 0) die("conflict: another run owns this job");
    snprintf(text, sizeof text, "%ld %llu", t->step, t->model);
    put(t->checkpoint, text);
    printf("{\"event\":\"checkpoint\",\"step\":%ld,\"flops\":%ld}\n", t->step, t->step * 1000);
    lm_free(fence);
}

static void export_model(const training *t) {
    char dir[512], path[600], text[64];
    snprintf(dir, sizeof dir, "%s/model", t->out);
    if (lm_file_make_dirs(dir, NULL) != LOAM_OK) die("cannot export");
    snprintf(path, sizeof path, "%s/weights", dir);
    snprintf(text, sizeof text, "%llu", t->model);
    put(path, text);
    snprintf(path, sizeof path, "%s/config.json", dir);
    put(path, "{}");
}

static void guard_against_twins(const char *out) {
    char path[512];
    snprintf(path, sizeof path, "%s/lock", out);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return;
    snprintf(path, sizeof path, "%s/violation", out);
    put(path, "two trainers at once");
    die("two trainers at once");
}

static int train(char **argv) {
    training t = {.out = option(argv, "--out"),
                  .fence = option(argv, "--fence"),
                  .epoch = option(argv, "--epoch")};
    char *recipe = text_of(argv[0]), dir[512];
    if (!recipe || !t.out || !t.fence || !t.epoch) die("usage");
    signal(SIGTERM, recipe_number(recipe, "hang", 0) ? SIG_IGN : on_term);
    setvbuf(stdout, NULL, _IOLBF, 0);
    guard_against_twins(t.out);
    t.steps = recipe_number(recipe, "steps", 10);
    t.step_ms = recipe_number(recipe, "step_ms", 1);
    t.every = recipe_number(recipe, "checkpoint_every", 5);
    if (recipe_number(recipe, "exit", 0)) {
        fprintf(stderr, "loam: asked to fail\n      and told how to go on\n");
        return (int)recipe_number(recipe, "exit", 0);
    }
    snprintf(dir, sizeof dir, "%s/checkpoints", t.out);
    if (lm_file_make_dirs(dir, NULL) != LOAM_OK) die("cannot make checkpoints");
    snprintf(t.checkpoint, sizeof t.checkpoint, "%s/last", dir);
    char *saved = text_of(t.checkpoint);
    if (saved) sscanf(saved, "%ld %llu", &t.step, &t.model);
    const char *data = option(argv, "--data");
    printf("{\"event\":\"start\",\"steps\":%ld,\"resumed_from\":%ld,\"data\":\"%s\"}\n", t.steps,
           t.step, data ? data : "");
    while (t.step < t.steps) {
        lm_clock_sleep_ms(t.step_ms);
        t.step++;
        t.model = (t.model ^ (unsigned long long)t.step) * 0x100000001b3ULL + 1;
        printf("{\"event\":\"step\",\"step\":%ld,\"loss\":%.3f,\"flops\":%ld}\n", t.step,
               5.0 / (double)t.step, t.step * 1000);
        if (g_stop || t.step % t.every == 0) save_checkpoint(&t);
        if (g_stop) return 75;
    }
    export_model(&t);
    printf("{\"event\":\"done\",\"step\":%ld,\"flops\":%ld}\n", t.step, t.step * 1000);
    return 0;
}

/* ---- serve ---- */

static lm_usage_journal *g_journal;
static lm_loop *g_loop;
static lm_http_server *g_server;

typedef struct answer {
    lm_http_request *request;
    lm_timer *timer;
    lm_usage_record record;
    int64_t slot;
    int64_t n_tokens;
    bool stream;
} answer;

static void finish_record(answer *a) {
    a->record.end_ms = lm_clock_epoch_ms();
    a->record.finished = 1;
    lm_usage_journal_update(g_journal, a->slot, &a->record);
    lm_timer_free(a->timer);
    lm_free(a);
}

static void on_gone(lm_http_request *request, void *arg) {
    finish_record(arg);
}

static void end_answer(answer *a) {
    char text[256];
    if (a->stream) {
        lm_http_stream_send_event(a->request, LM_STR("[DONE]"));
        lm_http_stream_end(a->request);
    } else {
        int len = snprintf(
            text, sizeof text,
            "{\"id\":\"%s\",\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%lld}}",
            a->record.request_id, (long long)a->record.prompt_tokens,
            (long long)a->record.completion_tokens);
        lm_http_reply(a->request, 200, "application/json", (lm_str){text, (size_t)len});
    }
    finish_record(a);
}

static void next_token(void *arg) {
    answer *a = arg;
    a->record.completion_tokens++;
    a->record.flops += 1000;
    lm_usage_journal_update(g_journal, a->slot, &a->record);
    if (a->stream)
        lm_http_stream_send_event(a->request, LM_STR("{\"choices\":[{\"text\":\"x\"}]}"));
    if (a->record.completion_tokens >= a->n_tokens) end_answer(a);
}

static void complete(lm_http_request *request, void *arg) {
    lm_str body_text = lm_http_request_body(request);
    json_t *body = json_loadb(body_text.ptr, body_text.len, 0, NULL);
    const char *id = lm_http_request_header(request, "X-Loam-Request"),
               *tag = lm_http_request_header(request, "X-Loam-Tag");
    answer *a = lm_calloc(1, sizeof *a);
    if (!body || !a) die("bad request");
    snprintf(a->record.request_id, sizeof a->record.request_id, "%s", id ? id : "none");
    snprintf(a->record.tag, sizeof a->record.tag, "%s", tag ? tag : "");
    a->request = request;
    a->record.start_ms = lm_clock_epoch_ms();
    a->record.prompt_tokens = 7;
    a->n_tokens = json_integer_value(json_object_get(body, "max_tokens"));
    a->stream = json_is_true(json_object_get(body, "stream"));
    if (a->n_tokens < 1) a->n_tokens = 1;
    int64_t pause_ms = json_integer_value(json_object_get(body, "x_ms"));
    json_decref(body);
    if (lm_usage_journal_append(g_journal, &a->record, &a->slot, NULL) != LOAM_OK)
        die("cannot write the journal");
    lm_http_request_on_close(request, on_gone, a);
    if (a->stream) lm_http_stream_begin(request, 200, "text/event-stream");
    if (lm_timer_new(g_loop, pause_ms > 0 ? pause_ms : 1, pause_ms > 0 ? pause_ms : 1, next_token,
                     a, &a->timer, NULL) != LOAM_OK)
        die("no timer");
}

static void health(lm_http_request *request, void *arg) {
    lm_http_reply(request, 200, "application/json", LM_STR("{}"));
}

static void drain(void *arg) {
    lm_http_server_stop_accepting(g_server);
    if (lm_http_server_n_open(g_server) == 0) lm_loop_stop(g_loop);
    lm_timer *timer;
    if (lm_timer_new(g_loop, 20, 0, drain, NULL, &timer, NULL) != LOAM_OK) die("no timer");
}

static void keep_truth(const char *journal) {
    char path[1024], id[128];
    const char *end = strrchr(journal, '/'), *begin = end;
    while (begin > journal && begin[-1] != '/') begin--;
    snprintf(id, sizeof id, "%.*s", (int)(end - begin), begin);
    snprintf(path, sizeof path, "%.*s../truth/%s", (int)(begin - journal), journal, id);
    if (link(journal, path) != 0 && errno != ENOENT && errno != EEXIST)
        die("cannot keep the truth");
}

static int serve(char **argv) {
    static const lm_http_route routes[] = {{"POST", "/v1/completions", complete, NULL},
                                           {"POST", "/v1/chat/completions", complete, NULL},
                                           {"GET", "/health", health, NULL}};
    lm_http_server_options options = {
        .host = "127.0.0.1", .routes = routes, .n_routes = LM_COUNT_OF(routes)};
    const char *journal = option(argv, "--usage-journal"), *port_file = option(argv, "--port-file");
    loam_error err = {0};
    char port[32], failing[512];
    if (!journal || !port_file) die("usage");
    snprintf(failing, sizeof failing, "%s/fail", argv[0]);
    if (lm_file_exists(failing)) die("this model cannot be served");
    if (lm_usage_journal_open(journal, &g_journal, &err) != LOAM_OK) die(err.message);
    keep_truth(journal);
    if (lm_loop_new(&g_loop, &err) != LOAM_OK ||
        lm_http_server_new(g_loop, &options, &g_server, &err) != LOAM_OK)
        die(err.message);
    if (lm_loop_on_signal(g_loop, SIGTERM, drain, NULL, &err) != LOAM_OK) die(err.message);
    snprintf(port, sizeof port, "%d\n", lm_http_server_port(g_server));
    put(port_file, port);
    return lm_loop_run(g_loop, &err) == LOAM_OK ? 0 : 1;
}

/* ---- supervise ---- */

static int supervise(char **argv) {
    lm_supervise_options options = {.state_dir = option(argv, "--state")};
    while (*argv && strcmp(*argv, "--") != 0) argv++;
    if (!*argv || !options.state_dir) die("usage");
    options.argv = argv + 1;
    loam_error err = {0};
    if (lm_supervise(&options, &err) != LOAM_OK) die(err.message);
    return 0;
}

/* The stand-in leaves by exit wherever it is told to; what it still holds then is no leak worth a report. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
    return 1;
}

/* Whether a folder is what is taken for a model here. */
static int show(char **argv) {
    char *config = lm_path_join(argv[0], "config.json");
    bool found = config && lm_file_exists(config);
    lm_free(config);
    if (found) return 0;
    fprintf(stderr, "loam: %s: no config.json\n      name a folder with one\n", argv[0]);
    return 1;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc > 2 && strcmp(argv[1], "train") == 0) return train(argv + 2);
    if (argc > 2 && strcmp(argv[1], "serve") == 0) return serve(argv + 2);
    if (argc > 2 && strcmp(argv[1], "show") == 0) return show(argv + 2);
    if (argc > 2 && strcmp(argv[1], "supervise") == 0) return supervise(argv + 2);
    die("usage: fake_loam supervise|train|serve|show");
}
