/* loam serve: one model behind an OpenAI-compatible server. */
#include "backend/cpu/cpu.h"
#include "cli/command.h"
#include "cli/model_arg.h"
#include "serve/server.h"

typedef struct serve_settings {
    const char *host, *port_file, *name, *journal, *kv_dtype;
    int64_t port, threads, context, max_seqs, kv_blocks, queue, step_rows, prefill_ms;
    lm_cli_pack pack;
} serve_settings;

static loam_status serve_options_of(const serve_settings *s, lm_serve_options *out,
                                    loam_error *err) {
    *out = (lm_serve_options){
        .host = s->host,
        .port = (int)s->port,
        .port_file = s->port_file,
        .name = s->name,
        .journal = s->journal,
        .max_context = s->context,
        .max_seqs = s->max_seqs,
        .n_blocks = s->kv_blocks,
        .max_waiting = s->queue,
        .max_rows = s->step_rows,
        .prefill_ms = s->prefill_ms,
    };
    if (!lm_dtype_parse(s->kv_dtype, &out->kv_dtype))
        return lm_error_set(err, LOAM_INVALID, "unknown element type '%s' for the cache",
                            s->kv_dtype);
    return LOAM_OK;
}

static loam_status serve_model(const serve_settings *s, const char *path, loam_error *err) {
    lm_serve_options options;
    lm_device *device;
    lm_model *model = NULL;
    LM_TRY(serve_options_of(s, &options, err));
    LM_TRY(lm_backend_cpu.open(&(lm_device_options){.n_threads = (int)s->threads}, &device, err));
    loam_status status = lm_cli_model_open(path, device, &s->pack, &model, err);
    if (status == LOAM_OK) status = lm_serve(model, &options, err);
    lm_model_free(model);
    lm_device_close(device);
    return status;
}

static int run_serve(const void *settings, int n_args, char **args) {
    loam_error err = {0};
    return serve_model(settings, args[0], &err) == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

static const serve_settings defaults = {
    .pack = LM_CLI_PACK_DEFAULTS,
    .host = "127.0.0.1",
    .port = 8000,
    .kv_dtype = LM_CLI_KV_DTYPE,
    .max_seqs = 64,
    .queue = 256,
    .step_rows = 256,
    .prefill_ms = 50,
};

#define AT(field) LM_OPTION_AT(serve_settings, field)
static const lm_option options[] = {
    {.name = "host",
     .type = LM_OPT_STRING,
     .arg = "ADDRESS",
     .offset = AT(host),
     .help = "address to listen on (default 127.0.0.1: this machine only)"},
    {.name = "port",
     .short_name = 'p',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(port),
     .max = 65535,
     .help = "port to listen on; 0: any free one (default 8000)"},
    {.name = "port-file",
     .type = LM_OPT_STRING,
     .arg = "FILE",
     .offset = AT(port_file),
     .help = "write the port to this file when requests are answered"},
    {.name = "name",
     .type = LM_OPT_STRING,
     .arg = "NAME",
     .offset = AT(name),
     .help = "what requests call the model (default: its file's name)"},
    {.name = "context",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(context),
     .max = 1e9,
     .help = "tokens that prompt and answer may have together (default: the model's)"},
    {.name = "ctx",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(context),
     .max = 1e9,
     .help = "the same as --context"},
    {.name = "max-seqs",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(max_seqs),
     .min = 1,
     .max = 4096,
     .help = "sequences computed at once (default 64)"},
    {.name = "kv-blocks",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(kv_blocks),
     .max = 1e9,
     .help = "blocks of 64 tokens in the cache of keys and values (default: for all sequences, "
             "within a quarter of memory)"},
    LM_CLI_KV_DTYPE_OPTION(serve_settings),
    {.name = "queue",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(queue),
     .min = 1,
     .max = 1e6,
     .help = "sequences that may wait; more are refused with status 429 (default 256)"},
    {.name = "step-rows",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(step_rows),
     .min = 1,
     .max = 65536,
     .help = "tokens computed in one step at most (default 256)"},
    {.name = "prefill-ms",
     .type = LM_OPT_INT,
     .arg = "MS",
     .offset = AT(prefill_ms),
     .min = 1,
     .max = 60000,
     .help = "time that prompts may add to a step while others stream, and up to three times as "
             "much while more wait than stream (default 50)"},
    {.name = "usage-journal",
     .type = LM_OPT_STRING,
     .arg = "FILE",
     .offset = AT(journal),
     .help = "write what every request used to this file"},
    LM_CLI_THREADS_OPTION(serve_settings),
    LM_CLI_PACK_OPTIONS(serve_settings, pack),
    LM_OPTIONS_END,
};

const lm_command lm_cmd_serve = {
    .name = "serve",
    .summary = "serve a model over an OpenAI-compatible API",
    .usage = "<model>",
    .description =
        "Loads the model, a GGUF file or a Hugging Face folder, and answers /v1/completions and "
        "/v1/chat/completions, streaming or not, for many clients at once; with a model made for "
        "it "
        "/v1/embeddings or /v1/rerank instead; also /v1/models, "
        "/tokenize, "
        "/detokenize, /health and /metrics (Prometheus). A first SIGTERM or SIGINT lets running "
        "requests finish, "
        "a second one stops at once.",
    .examples = "loam serve model.gguf --port 8000\n    serve a model on this machine\n"
                "curl http://127.0.0.1:8000/v1/completions -H 'Content-Type: application/json' -d "
                "'{\"model\": \"model\", "
                "\"prompt\": \"Once\"}'\n    ask it\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .model_arg = 1,
    .settings_bytes = sizeof(serve_settings),
    .defaults = &defaults,
    .run = run_serve,
};
