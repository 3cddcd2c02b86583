/* loam bench serve: what many streaming clients get out of a server, ours on loopback or any by its address. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/bench.h"
#include "model/model_file.h"
#include "net/http_fetch.h"
#include "serve/load.h"

extern char **environ;

typedef struct serve_settings {
    bench_settings bench;
    const char *clients, *key, *name;
    int64_t requests, prompt_tokens, max_prompt_tokens, answer_tokens, vocab, threads;
} serve_settings;

enum {
    DEFAULT_VOCAB = 500, /* of a server that is not ours: every model has as many tokens */
    START_TIMEOUT_MS = 600 * 1000,
    POLL_MS = 20,
    NAME_BYTES = 256,
    URL_BYTES = 256,
};

/* ---- A server of our own ---- */

typedef struct own_server {
    pid_t pid; /* 0: none */
    char *dir; /* of its port file */
} own_server;

static loam_status spawn_server(own_server *server, const char *model, const char *port_file,
                                int64_t threads, int64_t max_seqs, loam_error *err) {
    char n_threads[24], n_seqs[24];
    snprintf(n_threads, sizeof n_threads, "%lld", (long long)threads);
    snprintf(n_seqs, sizeof n_seqs, "%lld", (long long)max_seqs);
    char *argv[] = {"loam",
                    "serve",
                    (char *)model,
                    "--port",
                    "0",
                    "--port-file",
                    (char *)port_file,
                    "--max-seqs",
                    n_seqs,
                    threads ? "--threads" : NULL,
                    n_threads,
                    NULL};
    int code = posix_spawn(&server->pid, "/proc/self/exe", NULL, NULL, argv, environ);
    if (code == 0) return LOAM_OK;
    server->pid = 0;
    errno = code;
    return lm_error_errno(err, "cannot start loam serve");
}

static loam_status wait_for_port(own_server *server, const char *port_file, char url[URL_BYTES],
                                 loam_error *err) {
    for (int64_t waited_ms = 0; waited_ms < START_TIMEOUT_MS; waited_ms += POLL_MS) {
        if (lm_file_exists(port_file)) {
            char *text;
            size_t size;
            LM_TRY(lm_file_read(port_file, 64, &text, &size, err));
            snprintf(url, URL_BYTES, "http://127.0.0.1:%d", atoi(text));
            lm_free(text);
            return LOAM_OK;
        }
        if (waitpid(server->pid, NULL, WNOHANG) != 0) {
            server->pid = 0;
            return lm_error_set(err, LOAM_UNAVAILABLE, "loam serve ended before it answered");
        }
        lm_clock_sleep_ms(POLL_MS);
    }
    return lm_error_set(err, LOAM_UNAVAILABLE, "loam serve does not answer");
}

static loam_status start_server(own_server *server, const char *model, int64_t threads,
                                int64_t max_seqs, char url[URL_BYTES], loam_error *err) {
    const char *tmp = getenv("TMPDIR");
    server->dir = lm_asprintf("%s/loam-bench-XXXXXX", tmp ? tmp : "/tmp");
    if (!server->dir) return lm_error_no_memory(err, 1);
    if (!mkdtemp(server->dir)) return lm_error_errno(err, "%s", server->dir);
    char *port_file = lm_path_join(server->dir, "port");
    if (!port_file) return lm_error_no_memory(err, 1);
    loam_status status = spawn_server(server, model, port_file, threads, max_seqs, err);
    if (status == LOAM_OK) status = wait_for_port(server, port_file, url, err);
    lm_free(port_file);
    return status;
}

static void stop_server(own_server *server) {
    if (server->pid > 0) {
        kill(server->pid, SIGTERM);
        waitpid(server->pid, NULL, 0);
    }
    if (server->dir) (void)!lm_file_remove_tree(server->dir, NULL);
    lm_free(server->dir);
}

/* ---- The load ---- */

typedef struct serve_bench {
    const serve_settings *settings;
    bench_list clients;
    bench_report *report;
    char url[URL_BYTES], name[NAME_BYTES];
    int64_t vocab_size;
    int64_t n_failed;
} serve_bench;

/* What the server calls its model: the first of its list. */
static loam_status ask_name(serve_bench *b, loam_error *err) {
    char url[URL_BYTES + 16];
    int http_status;
    lm_buf answer;
    json_t *models = NULL;
    snprintf(url, sizeof url, "%s/v1/models", b->url);
    lm_http_fetch_options options = {.url = url, .bearer = b->settings->key, .timeout_ms = 30000};
    loam_status status = lm_http_fetch(&options, &http_status, &answer, err);
    if (status == LOAM_OK) status = lm_json_parse(lm_buf_view(&answer), url, &models, err);
    if (status == LOAM_OK) {
        const char *id = json_string_value(
            json_object_get(json_array_get(json_object_get(models, "data"), 0), "id"));
        if (id)
            snprintf(b->name, sizeof b->name, "%s", id);
        else
            status = lm_error_set(err, LOAM_UNAVAILABLE, "%s lists no model (HTTP status %d)", url,
                                  http_status);
    }
    json_decref(models);
    lm_buf_deinit(&answer);
    return status;
}

static void report_load(serve_bench *b, int64_t n_clients, const lm_load_result *r) {
    double n_tokens = (double)r->answer_tokens, seconds = r->seconds > 0 ? r->seconds : 1;
    bench_field fields[] = {
        {.key = "model", .text = b->name, .role = BENCH_KEY, .width = 20},
        {.key = "clients", .number = (double)n_clients, .role = BENCH_KEY},
        {.key = "prompt", .number = (double)b->settings->prompt_tokens, .role = BENCH_KEY},
        {.key = "answer", .number = (double)b->settings->answer_tokens, .role = BENCH_KEY},
        {.key = "requests", .number = (double)(r->n_done + r->n_failed), .role = BENCH_KEY},
        {.key = "failed", .number = (double)r->n_failed},
        {.key = "tok_per_s", .number = n_tokens / seconds, .role = BENCH_RATE},
        {.key = "prompt_tok_per_s", .number = (double)r->prompt_tokens / seconds},
        {.key = "ttft_p50_ms", .number = r->ttft.p50_ms},
        {.key = "ttft_p99_ms", .number = r->ttft.p99_ms},
        {.key = "itl_p50_ms", .number = r->itl.p50_ms},
        {.key = "itl_p99_ms", .number = r->itl.p99_ms},
        {.key = "request_p50_ms", .number = r->request.p50_ms},
    };
    bench_report_row(b->report, fields, LM_COUNT_OF(fields));
    b->n_failed += r->n_failed;
    if (r->n_failed > 0) fprintf(stderr, "loam bench serve: %s\n", r->failure);
}

/* One request to warm up, then the load. */
static loam_status load_with(serve_bench *b, int64_t n_clients, loam_error *err) {
    const serve_settings *s = b->settings;
    int64_t longest = s->max_prompt_tokens ? s->max_prompt_tokens : s->prompt_tokens;
    lm_load_options options = {
        .url = b->url,
        .model = b->name,
        .bearer = s->key,
        .n_clients = 1,
        .n_requests = 1,
        .min_prompt_tokens = s->prompt_tokens,
        .max_prompt_tokens = longest,
        .answer_tokens = 2,
        .vocab_size = b->vocab_size,
        .seed = (uint64_t)n_clients,
    };
    lm_load_result result;
    LM_TRY(lm_load_run(&options, &result, err));
    options.n_clients = n_clients;
    options.n_requests = s->requests ? s->requests : 3 * n_clients;
    options.answer_tokens = s->answer_tokens;
    options.seed++;
    LM_TRY(lm_load_run(&options, &result, err));
    report_load(b, n_clients, &result);
    return LOAM_OK;
}

static loam_status run_loads(serve_bench *b, loam_error *err) {
    if (b->settings->name)
        snprintf(b->name, sizeof b->name, "%s", b->settings->name);
    else
        LM_TRY(ask_name(b, err));
    LM_TRY(bench_report_open(&b->settings->bench, &b->report, err));
    for (int i = 0; i < b->clients.len; i++) {
        loam_status status = load_with(b, b->clients.values[i], err);
        if (status != LOAM_OK) {
            bench_report_free(b->report);
            return status;
        }
    }
    return bench_report_end(b->report, err);
}

static loam_status read_vocab_size(const char *path, int64_t *out, loam_error *err) {
    lm_model_file *file;
    LM_TRY(lm_model_file_open(path, &file, err));
    *out = lm_model_file_hparams(file)->vocab_size;
    lm_model_file_close(file);
    return LOAM_OK;
}

/* Against our own server, which lives as long. */
static loam_status bench_own(serve_bench *b, const char *model, loam_error *err) {
    own_server server = {0};
    int64_t max_clients = 1;
    for (int i = 0; i < b->clients.len; i++)
        if (b->clients.values[i] > max_clients) max_clients = b->clients.values[i];
    LM_TRY(read_vocab_size(model, &b->vocab_size, err));
    loam_status status =
        start_server(&server, model, b->settings->threads, max_clients, b->url, err);
    if (status == LOAM_OK) status = run_loads(b, err);
    stop_server(&server);
    return status;
}

static int run_serve_bench(const void *settings, int n_args, char **args) {
    serve_bench b = {.settings = settings, .vocab_size = DEFAULT_VOCAB};
    loam_error err = {0};
    loam_status status =
        bench_list_parse(b.settings->clients, "clients", 1, 4096, &b.clients, &err);
    if (b.settings->vocab) b.vocab_size = b.settings->vocab;
    lm_str where = lm_str_of(args[0]);
    bool is_url =
        lm_str_starts(where, LM_STR("http://")) || lm_str_starts(where, LM_STR("https://"));
    if (is_url) snprintf(b.url, sizeof b.url, "%s", args[0]);
    if (status == LOAM_OK) status = is_url ? run_loads(&b, &err) : bench_own(&b, args[0], &err);
    if (status != LOAM_OK) return lm_cli_fail(&err);
    return b.n_failed == 0 ? LM_EXIT_OK : LM_EXIT_FAILED;
}

#define AT(field) LM_OPTION_AT(serve_settings, field)
static const lm_option options[] = {
    {.name = "clients",
     .short_name = 'c',
     .type = LM_OPT_STRING,
     .arg = "LIST",
     .offset = AT(clients),
     .help = "clients at once (default 1,8,16)"},
    {.name = "requests",
     .short_name = 'n',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(requests),
     .max = 1 << 20,
     .help = "requests of all clients together (default: three a client)"},
    {.name = "prompt-tokens",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(prompt_tokens),
     .min = 1,
     .max = 1 << 20,
     .help = "tokens of a prompt (default 128)"},
    {.name = "max-prompt-tokens",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(max_prompt_tokens),
     .max = 1 << 20,
     .help = "draw each prompt's length evenly up to this (default: all as --prompt-tokens)"},
    {.name = "answer-tokens",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(answer_tokens),
     .min = 1,
     .max = 1 << 20,
     .help = "tokens of an answer (default 128)"},
    {.name = "vocab",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(vocab),
     .max = 1 << 24,
     .help = "prompts are of token ids below N (default: the model's; 500 for an address)"},
    {.name = "model",
     .type = LM_OPT_STRING,
     .arg = "NAME",
     .offset = AT(name),
     .help = "what the server calls the model (default: the first that it lists)"},
    {.name = "key",
     .type = LM_OPT_STRING,
     .arg = "KEY",
     .offset = AT(key),
     .env = "LOAM_API_KEY",
     .help = "API key to send"},
    {.name = "threads",
     .short_name = 't',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(threads),
     .max = LM_POOL_MAX_THREADS,
     .help = "threads of a server of our own (default: all usable CPUs)"},
    BENCH_REPORT_OPTIONS(serve_settings),
    LM_OPTIONS_END,
};

const lm_command lm_bench_serve_command = {
    .name = "serve",
    .summary = "load a server with streaming clients",
    .usage = "<model or URL>",
    .description =
        "Sends prompts of random tokens to /v1/completions from as many clients at once, each of "
        "which "
        "reads its answer as it comes and then sends the next. Prints output tokens a second, the "
        "time to the first token (ttft) and between tokens (itl). A model is served by a loam "
        "serve of "
        "its own on loopback; an address may be of any server with OpenAI's API that takes token "
        "ids.",
    .examples = "loam bench serve model.gguf --clients 1,8,16\n"
                "    our own server\n"
                "loam bench serve http://127.0.0.1:8080 --clients 16 --prompt-tokens 512\n"
                "    a server that runs already\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .model_arg = 1,
    .settings_bytes = sizeof(serve_settings),
    .defaults = &(serve_settings){.clients = "1,8,16", .prompt_tokens = 128, .answer_tokens = 128},
    .run = run_serve_bench,
};
