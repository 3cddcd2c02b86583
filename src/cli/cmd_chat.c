/* loam chat: talks to a model of the cloud, or of any OpenAI-compatible server, in the terminal. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/chat_stream.h"
#include "cli/command.h"
#include "cli/text_io.h"
#include "net/http_fetch.h"

enum {
    UNSET = -1,
    PROMPT_MAX_BYTES = 4 << 20,
    ANSWER_MAX_BYTES = 64 << 20,
    URL_BYTES = 1024,
    LISTED_MAX = 8,
    EXIT_INTERRUPTED = 130 /* as shells say: 128 + SIGINT */
};

typedef struct chat_settings {
    const char *url, *key, *system;
    double temperature, top_p;
    int64_t max_tokens, seed;
    bool complete, json;
} chat_settings;

static volatile sig_atomic_t g_interrupted;

static void on_interrupt(int signal_number) {
    if (g_interrupted) _exit(EXIT_INTERRUPTED); /* the answer does not stop: the server is stuck */
    g_interrupted = 1;
}

/* ---- which model ---- */

static loam_status only_model(const json_t *list, json_t **out, loam_error *err) {
    const json_t *data = json_object_get(list, "data");
    size_t n = json_array_size(data);
    if (n == 1) {
        *out = json_incref(json_object_get(json_array_get(data, 0), "id"));
        return LOAM_OK;
    }
    if (n == 0) {
        lm_error_set(err, LOAM_NOT_FOUND, "no model is deployed");
        return lm_error_hint(err, LOAM_NOT_FOUND,
                             "deploy one: loam endpoint create <name> --model <model>");
    }
    char names[256] = "";
    for (size_t i = 0; i < n && i < LISTED_MAX; i++) {
        size_t used = strlen(names);
        const char *id = json_string_value(json_object_get(json_array_get(data, i), "id"));
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", id ? id : "");
    }
    return lm_error_set(err, LOAM_INVALID, "say which model: %s", names);
}

/* The server's only model, as a JSON string. */
static loam_status choose_model(const chat_settings *settings, json_t **out, loam_error *err) {
    char url[URL_BYTES];
    int http_status = 0;
    lm_buf answer;
    json_t *list = NULL;
    snprintf(url, sizeof url, "%s/v1/models", settings->url);
    lm_http_fetch_options options = {.url = url, .bearer = settings->key};
    loam_status status = lm_http_fetch(&options, &http_status, &answer, err);
    if (status == LOAM_OK) status = lm_json_parse(lm_buf_view(&answer), "answer", &list, err);
    if (status == LOAM_OK && http_status != 200)
        status = lm_error_set(
            err, LOAM_DENIED, "%s",
            json_string_value(json_object_get(json_object_get(list, "error"), "message"))
                ?: "refused");
    if (status == LOAM_OK) status = only_model(list, out, err);
    json_decref(list);
    lm_buf_deinit(&answer);
    return status;
}

/* ---- one answer ---- */

/* The text so far; `lead` stands before it on the terminal: the prompt that it goes on with. */
typedef struct printing {
    lm_buf whole;
    lm_str lead;
} printing;

static bool print_text(lm_str text, void *arg) {
    printing *p = arg;
    if (p->whole.len == 0) fwrite(p->lead.ptr, 1, p->lead.len, stdout);
    lm_buf_append(&p->whole, text.ptr, text.len);
    fwrite(text.ptr, 1, text.len, stdout);
    fflush(stdout);
    return !g_interrupted;
}

static bool collect_text(lm_str text, void *arg) {
    lm_buf_append(&((printing *)arg)->whole, text.ptr, text.len);
    return !g_interrupted;
}

static bool go_on(void *arg) {
    return !g_interrupted;
}

static void put_sampling(const chat_settings *settings, json_t *body) {
    if (settings->temperature != UNSET)
        json_object_set_new(body, "temperature", json_real(settings->temperature));
    if (settings->top_p != UNSET) json_object_set_new(body, "top_p", json_real(settings->top_p));
    if (settings->max_tokens != UNSET)
        json_object_set_new(body, "max_tokens", json_integer(settings->max_tokens));
    if (settings->seed != UNSET) json_object_set_new(body, "seed", json_integer(settings->seed));
}

/* Streams the answer to `prompt` (complete) or to the conversation so far, and keeps its text. */
static loam_status answer_to(const chat_settings *settings, json_t *model, json_t *messages,
                             lm_str prompt, printing *answer, loam_error *err) {
    json_t *body = json_pack("{s:O, s:b}", "model", model, "stream", 1);
    if (settings->complete)
        json_object_set_new(body, "prompt", lm_cli_json_text(prompt));
    else
        json_object_set(body, "messages", messages);
    put_sampling(settings, body);
    lm_chat_stream stream = {.url = settings->url,
                             .key = settings->key,
                             .body = body,
                             .path =
                                 settings->complete ? "/v1/completions" : "/v1/chat/completions",
                             .on_text = settings->json ? collect_text : print_text,
                             .go_on = go_on,
                             .arg = answer};
    g_interrupted = 0;
    loam_status status = lm_chat_stream_run(&stream, err);
    if (status == LOAM_CANCELLED && g_interrupted)
        status = LOAM_OK; /* what there is, is the answer */
    json_decref(body);
    return status;
}

static void add_message(json_t *messages, const char *role, lm_str text) {
    json_array_append_new(messages,
                          json_pack("{s:s, s:o}", "role", role, "content", lm_cli_json_text(text)));
}

static loam_status say(const chat_settings *settings, json_t *model, json_t *messages, lm_str text,
                       loam_error *err) {
    printing answer = {.lead = settings->complete ? text : LM_STR("")};
    lm_buf_init(&answer.whole, ANSWER_MAX_BYTES);
    add_message(messages, "user", text);
    loam_status status = answer_to(settings, model, messages, text, &answer, err);
    if (status == LOAM_OK) {
        add_message(messages, "assistant", lm_buf_view(&answer.whole));
    } else {
        json_array_remove(messages, json_array_size(messages) - 1);
    }
    if (status == LOAM_OK && settings->json) {
        json_t *object = json_pack("{s:O, s:o}", "model", model, "text",
                                   lm_cli_json_text(lm_buf_view(&answer.whole)));
        json_dumpf(object, stdout, JSON_COMPACT);
        json_decref(object);
    }
    if (status == LOAM_OK) printf("\n");
    fflush(stdout);
    lm_buf_deinit(&answer.whole);
    return status;
}

/* ---- talking ---- */

/* Reads lines and answers each, until the end of input. Ctrl-C stops an answer; at the prompt it ends the program. */
static void converse(const chat_settings *settings, json_t *model, json_t *messages) {
    bool terminal = isatty(STDIN_FILENO);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    if (terminal) printf("%s: Ctrl-C stops an answer, Ctrl-D ends.\n", json_string_value(model));
    for (;;) {
        if (terminal) printf("> ");
        fflush(stdout);
        g_interrupted = 0;
        len = getline(&line, &capacity, stdin);
        if (len < 0) break;
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r')) len--;
        if (len == 0) continue;
        loam_error err = {0};
        if (say(settings, model, messages, (lm_str){line, (size_t)len}, &err) != LOAM_OK)
            lm_cli_fail(&err);
    }
    if (terminal) printf("\n");
    free(line);
}

static loam_status chat(const chat_settings *settings, int n_args, char **args, loam_error *err) {
    json_t *model = NULL, *messages = json_array();
    loam_status status = LOAM_OK;
    if (n_args > 0)
        model = json_string(args[0]);
    else
        status = choose_model(settings, &model, err);
    if (status == LOAM_OK && settings->system)
        add_message(messages, "system", lm_str_of(settings->system));
    if (status == LOAM_OK && n_args > 1) {
        lm_buf storage;
        lm_str prompt;
        lm_buf_init(&storage, PROMPT_MAX_BYTES);
        status = lm_cli_text(args[1], &storage, &prompt, err);
        if (status == LOAM_OK) status = say(settings, model, messages, prompt, err);
        lm_buf_deinit(&storage);
    } else if (status == LOAM_OK) {
        converse(settings, model, messages);
    }
    json_decref(model);
    json_decref(messages);
    return status;
}

static int run_chat(const void *settings, int n_args, char **args) {
    loam_error err = {0};
    struct sigaction action = {
        .sa_handler = on_interrupt}; /* no SA_RESTART: at the prompt it ends the reading */
    sigaction(SIGINT, &action, NULL);
    return chat(settings, n_args, args, &err) == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

#define AT(field) LM_OPTION_AT(chat_settings, field)
static const lm_option options[] = {
    {.name = "complete",
     .short_name = 'c',
     .type = LM_OPT_FLAG,
     .offset = AT(complete),
     .help = "continue the text instead of answering it, for models that were not taught to chat"},
    {.name = "system",
     .type = LM_OPT_STRING,
     .arg = "TEXT",
     .offset = AT(system),
     .help = "what the model is told first"},
    {.name = "temperature",
     .type = LM_OPT_FLOAT,
     .arg = "X",
     .offset = AT(temperature),
     .max = 2,
     .help = "0: always the likeliest token (default: the server's)"},
    {.name = "top-p",
     .type = LM_OPT_FLOAT,
     .arg = "X",
     .offset = AT(top_p),
     .max = 1,
     .help = "choose among tokens of this total probability (default: the server's)"},
    {.name = "max-tokens",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(max_tokens),
     .min = 1,
     .max = 1e6,
     .help = "tokens of an answer at most (default: the server's)"},
    {.name = "seed",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(seed),
     .max = 9e15,
     .help = "the same seed gives the same answer (default: any)"},
    {.name = "url",
     .type = LM_OPT_STRING,
     .arg = "URL",
     .env = "LOAM_URL",
     .offset = AT(url),
     .help = "address of the server (default http://127.0.0.1:8080)"},
    {.name = "key",
     .type = LM_OPT_STRING,
     .arg = "KEY",
     .env = "LOAM_API_KEY",
     .offset = AT(key),
     .help = "API key"},
    {.name = "json",
     .type = LM_OPT_FLAG,
     .offset = AT(json),
     .help = "print each answer as one JSON object"},
    LM_OPTIONS_END,
};

const lm_command lm_cmd_chat = {
    .name = "chat",
    .summary = "talk to a deployed model",
    .usage = "[model] [prompt]",
    .description = "With a prompt: prints the answer as it comes, and ends. Without: answers line "
                   "after line, remembering "
                   "what was said. Ctrl-C stops an answer. A prompt of - reads standard input. "
                   "Without a model the only "
                   "one there is answers.",
    .examples =
        "loam chat\n    talk to the only model deployed\n"
        "loam chat stories --complete \"Once upon a time\"\n    let a model go on with a text\n",
    .options = options,
    .max_args = 2,
    .settings_bytes = sizeof(chat_settings),
    .defaults = &(chat_settings){.url = "http://127.0.0.1:8080",
                                 .temperature = UNSET,
                                 .top_p = UNSET,
                                 .max_tokens = UNSET,
                                 .seed = UNSET},
    .run = run_chat,
};
