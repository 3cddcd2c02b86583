/* loam pull: fetches a model from a hub into the user's store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/store_arg.h"
#include "hub/pull.h"

enum { MAX_HUBS = LM_OPT_LIST_MAX, TOKEN_MAX_BYTES = 4096, RETRY_DELAY_MS = 250 };

typedef struct pull_settings {
    lm_option_list hubs;
    const char *hubs_text;   /* LOAM_HUBS */
    const char *hf_endpoint; /* HF_ENDPOINT */
    const char *ms_endpoint; /* MODELSCOPE_ENDPOINT */
    const char *hf_token, *ms_token;
    const char *revision;
    const char *offline_text; /* HF_HUB_OFFLINE */
    int64_t connections, retries;
    double stall_s;
    bool offline, check, quiet;
} pull_settings;

typedef struct output {
    lm_progress progress;
    bool quiet, begun;
} output;

/* Hubs in order, and the texts behind them. */
typedef struct hub_list {
    lm_hub hubs[MAX_HUBS];
    size_t n;
    char *text;     /* LOAM_HUBS, cut at its commas */
    char *hf_token; /* from the token file */
} hub_list;

/* --- Which hubs. */

static bool is_same_place(const char *a, const char *b) {
    size_t len_a = strlen(a), len_b = strlen(b);
    while (len_a && a[len_a - 1] == '/') len_a--;
    while (len_b && b[len_b - 1] == '/') len_b--;
    return len_a == len_b && strncasecmp(a, b, len_a) == 0;
}

/* The token of a hub goes to that hub's own endpoint, not to mirrors of it. */
static const char *token_for(const pull_settings *s, const hub_list *list, const lm_hub *hub) {
    bool is_default = hub->kind == lm_hub_kind_default();
    const char *own = is_default ? s->hf_endpoint : s->ms_endpoint;
    if (!is_same_place(hub->endpoint, own ? own : hub->kind->endpoint)) return NULL;
    if (!is_default) return s->ms_token;
    return s->hf_token ? s->hf_token : list->hf_token;
}

/* "huggingface", "modelscope", "https://mirror", "modelscope+https://mirror". */
static loam_status add_hub(const pull_settings *s, hub_list *list, const char *text,
                           loam_error *err) {
    const char *plus = strchr(text, '+'), *colon = strstr(text, "://");
    lm_hub hub = {.kind = lm_hub_kind_find(lm_str_of(text))};
    if (hub.kind) {
        const char *own = hub.kind == lm_hub_kind_default() ? s->hf_endpoint : s->ms_endpoint;
        hub.endpoint = own ? own : hub.kind->endpoint;
    } else if (colon && plus && plus < colon) {
        hub.kind = lm_hub_kind_find((lm_str){text, (size_t)(plus - text)});
        hub.endpoint = plus + 1;
    } else if (colon) {
        hub.kind = lm_hub_kind_default();
        hub.endpoint = text;
    }
    if (!hub.kind) {
        lm_error_set(err, LOAM_INVALID, "'%s' is no hub", text);
        return lm_error_hint(
            err, LOAM_INVALID,
            "one is huggingface, modelscope, or an address, with modelscope+ before it "
            "if that speaks ModelScope's protocol");
    }
    if (list->n == MAX_HUBS) return lm_error_set(err, LOAM_INVALID, "more than %d hubs", MAX_HUBS);
    hub.token = token_for(s, list, &hub);
    list->hubs[list->n++] = hub;
    return LOAM_OK;
}

/* What `hf auth login` leaves: $HF_TOKEN_PATH or $HF_HOME/token. */
static void read_token_file(hub_list *list) {
    const char *path = getenv("HF_TOKEN_PATH");
    char *home = lm_cli_hf_home(), *own = home ? lm_path_join(home, "token") : NULL;
    size_t len = 0;
    if (!path || !*path) path = own;
    if (path && lm_file_read(path, TOKEN_MAX_BYTES, &list->hf_token, &len, NULL) != LOAM_OK)
        list->hf_token = NULL;
    while (len && strchr("\r\n ", list->hf_token[len - 1])) list->hf_token[--len] = '\0';
    lm_free(own);
    lm_free(home);
}

static loam_status find_hubs(const pull_settings *s, hub_list *list, loam_error *err) {
    read_token_file(list);
    for (int i = 0; i < s->hubs.len; i++) LM_TRY(add_hub(s, list, s->hubs.items[i], err));
    if (list->n > 0) return LOAM_OK;
    if (s->hubs_text && *s->hubs_text) {
        list->text = lm_strdup(s->hubs_text);
        if (!list->text) return lm_error_no_memory(err, 1);
        char *rest = list->text;
        for (char *item; (item = strtok_r(rest, ", ", &rest));) LM_TRY(add_hub(s, list, item, err));
        if (list->n > 0) return LOAM_OK;
    }
    return add_hub(s, list, s->ms_endpoint && !s->hf_endpoint ? "modelscope" : "huggingface", err);
}

/* --- What is printed. */

static const char *size_text(int64_t n_bytes, char out[32]) {
    if (n_bytes < 1000 * 1000)
        snprintf(out, 32, "%.1f kB", (double)n_bytes / 1e3);
    else if (n_bytes < 1000 * 1000 * 1000)
        snprintf(out, 32, "%.1f MB", (double)n_bytes / 1e6);
    else
        snprintf(out, 32, "%.2f GB", (double)n_bytes / 1e9);
    return out;
}

static void on_event(void *ctx, const lm_pull_event *event) {
    output *out = ctx;
    char size[32];
    lm_progress_clear(&out->progress);
    if (event->kind == LM_PULL_FAILED) fprintf(stderr, "loam: %s; trying on\n", event->text);
    if (event->kind == LM_PULL_WAITS)
        fprintf(stderr, "waiting for another process that fetches %s\n", event->text);
    if (out->quiet) return;
    switch (event->kind) {
    case LM_PULL_CHOSEN:
        if (*event->others)
            printf("taking %s; there are also %s\n", *event->text ? event->text : "the only GGUF",
                   event->others);
        break;
    case LM_PULL_PRESENT:
        printf("%s  %s  present\n", event->text, size_text(event->n_bytes, size));
        break;
    case LM_PULL_RESUMES:
        printf("%s  goes on at %s\n", event->text, size_text(event->n_bytes, size));
        break;
    case LM_PULL_DONE:
        printf("%s  %s  %s\n", event->text, size_text(event->n_bytes, size),
               event->is_verified ? "done" : "done, without a digest to check by");
        break;
    default: break;
    }
    fflush(stdout);
}

static bool on_progress(void *ctx, int64_t n_bytes, int64_t n_total) {
    output *out = ctx;
    char there[32], total[32];
    if (out->quiet) return !lm_cli_interrupted();
    if (!out->begun) lm_progress_init(&out->progress, "pulling", n_bytes, n_total);
    out->begun = true;
    out->progress.total = n_total;
    lm_progress_update(&out->progress, n_bytes, "%s of %s", size_text(n_bytes, there),
                       size_text(n_total, total));
    return !lm_cli_interrupted();
}

/* --- The command. */

static bool is_true(const char *text) {
    return text && (strcmp(text, "1") == 0 || strcasecmp(text, "true") == 0 ||
                    strcasecmp(text, "yes") == 0 || strcasecmp(text, "on") == 0);
}

static loam_status pull(const pull_settings *s, const lm_hub_name *name, const hub_list *hubs,
                        const lm_store *store, loam_error *err) {
    output out = {.quiet = s->quiet};
    lm_pull_options options = {.store = store,
                               .hubs = hubs->hubs,
                               .n_hubs = hubs->n,
                               .revision = s->revision,
                               .offline = s->offline || is_true(s->offline_text),
                               .check = s->check,
                               .n_connections = (int)s->connections,
                               .n_retries = (int)s->retries,
                               .stall_ms = (int64_t)(s->stall_s * 1000),
                               .retry_delay_ms = RETRY_DELAY_MS,
                               .on_event = on_event,
                               .on_progress = on_progress,
                               .ctx = &out};
    loam_status status = lm_pull(name, &options, err);
    lm_progress_clear(&out.progress);
    return status;
}

/* The path to open is the command's last line of output. */
static loam_status print_path(const lm_store *store, const lm_hub_name *name, loam_error *err) {
    lm_store_model model;
    LM_TRY(lm_store_find(store, name, &model, err));
    printf("%s\n", model.path);
    lm_store_model_deinit(&model);
    return LOAM_OK;
}

static int run_pull(const void *settings, int n_args, char **args) {
    const pull_settings *s = settings;
    loam_error err = {0};
    lm_hub_name name;
    hub_list hubs = {0};
    lm_store store = {0};
    lm_cli_watch_interrupt();
    loam_status status = lm_hub_name_parse(args[0], &name, &err);
    if (status == LOAM_OK) status = find_hubs(s, &hubs, &err);
    if (status == LOAM_OK) status = lm_cli_store_init(&store, &err);
    if (status == LOAM_OK) status = pull(s, &name, &hubs, &store, &err);
    if (status == LOAM_OK) status = print_path(&store, &name, &err);
    lm_cli_store_deinit(&store);
    lm_free(hubs.text);
    lm_free(hubs.hf_token);
    if (status == LOAM_OK) return LM_EXIT_OK;
    if (status == LOAM_CANCELLED)
        lm_error_hint(&err, status, "run it again, and it goes on from there");
    lm_cli_fail(&err);
    return status == LOAM_CANCELLED ? LM_EXIT_INTERRUPTED : LM_EXIT_FAILED;
}

static const pull_settings defaults = {.connections = 8, .retries = 5, .stall_s = 30};

#define AT(field) LM_OPTION_AT(pull_settings, field)
static const lm_option options[] = {
    {.name = "hub",
     .type = LM_OPT_LIST,
     .arg = "HUB",
     .offset = AT(hubs),
     .help = "huggingface, modelscope or the address of a mirror (modelscope+https://... if it "
             "speaks that "
             "protocol); given several times, each is tried after the one before"},
    {.name = "hubs",
     .type = LM_OPT_STRING,
     .arg = "LIST",
     .env = "LOAM_HUBS",
     .offset = AT(hubs_text),
     .help = "the same as a list with commas (default: huggingface)"},
    {.name = "hf-endpoint",
     .type = LM_OPT_STRING,
     .arg = "URL",
     .env = "HF_ENDPOINT",
     .offset = AT(hf_endpoint),
     .help = "where huggingface is (default https://huggingface.co)"},
    {.name = "modelscope-endpoint",
     .type = LM_OPT_STRING,
     .arg = "URL",
     .env = "MODELSCOPE_ENDPOINT",
     .offset = AT(ms_endpoint),
     .help = "where modelscope is (default https://www.modelscope.cn)"},
    {.name = "hf-token",
     .type = LM_OPT_STRING,
     .arg = "TOKEN",
     .env = "HF_TOKEN",
     .offset = AT(hf_token),
     .help = "for gated and private models of huggingface (default: what 'hf auth login' keeps)"},
    {.name = "modelscope-token",
     .type = LM_OPT_STRING,
     .arg = "TOKEN",
     .env = "MODELSCOPE_API_TOKEN",
     .offset = AT(ms_token),
     .help = "the same for modelscope"},
    {.name = "revision",
     .type = LM_OPT_STRING,
     .arg = "NAME",
     .offset = AT(revision),
     .help = "branch, tag or commit (default: the hub's main branch)"},
    {.name = "connections",
     .short_name = 'j',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(connections),
     .min = 1,
     .max = 64,
     .help = "ranges fetched at once (default 8)"},
    {.name = "retries",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(retries),
     .max = 1000,
     .help = "tries in a row that may bring nothing, before the next hub is asked (default 5)"},
    {.name = "stall",
     .type = LM_OPT_FLOAT,
     .arg = "SECONDS",
     .offset = AT(stall_s),
     .min = 1,
     .max = 3600,
     .help = "a connection without a byte for so long counts as broken (default 30)"},
    {.name = "check",
     .type = LM_OPT_FLAG,
     .offset = AT(check),
     .help = "also read what is here already and compare its digests"},
    {.name = "offline",
     .type = LM_OPT_FLAG,
     .offset = AT(offline),
     .env = "LOAM_OFFLINE",
     .help = "fetch nothing, and fail unless the model is here"},
    {.name = "hf-offline",
     .type = LM_OPT_STRING,
     .arg = "YES",
     .env = "HF_HUB_OFFLINE",
     .offset = AT(offline_text),
     .help = "the same, as huggingface_hub spells it: 1, yes, on or true"},
    {.name = "quiet",
     .short_name = 'q',
     .type = LM_OPT_FLAG,
     .offset = AT(quiet),
     .help = "print only the path"},
    LM_OPTIONS_END,
};

const lm_command lm_cmd_pull = {
    .name = "pull",
    .summary = "fetch a model from a hub",
    .usage = "<org/name>[:file or quant]",
    .description =
        "Fetches a model from a hub that speaks Hugging Face's or ModelScope's protocol, and "
        "prints the path "
        "that it has now. Other commands know it by its name. Of a repository with GGUF files one "
        "quant is taken: the one named behind the colon, else Q4_K_M or what comes nearest. Of "
        "others the "
        "configuration, the tokenizer, the template and the safetensors. Sizes and digests are "
        "checked. What breaks off goes on where it was, when the command is run again, from "
        "another hub too. Models are kept in $LOAM_MODELS, or $XDG_DATA_HOME/loam/models; those in "
        "the Hugging Face cache are used where they are.",
    .examples = "loam pull Qwen/Qwen3-0.6B-GGUF:Q8_0\n"
                "    one file of a repository of many\n"
                "loam pull Qwen/Qwen3-0.6B --hub huggingface --hub modelscope\n"
                "    from the first of two hubs that has it\n"
                "HF_ENDPOINT=https://hub.example.org loam pull team/model\n"
                "    from a hub of one's own\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .settings_bytes = sizeof(pull_settings),
    .defaults = &defaults,
    .run = run_pull,
};
