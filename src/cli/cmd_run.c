/* loam run: completes a text with a model, in the terminal. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "backend/cpu/cpu.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/command.h"
#include "cli/model_arg.h"
#include "cli/text_io.h"
#include "model/chat.h"
#include "model/complete.h"

enum {
    EXIT_INTERRUPTED = 130, /* as shells say: 128 + SIGINT */
    MAX_PROMPT_BYTES = 64 << 20,
};

typedef struct run_settings {
    double temperature, top_p, min_p; /* negative: what the model recommends */
    int64_t top_k;                    /* negative: likewise */
    double repetition_penalty, frequency_penalty, presence_penalty;
    int64_t seed; /* negative: random */
    int64_t max_tokens, context, threads;
    const char *kv_dtype, *system;
    bool json, echo, ignore_end, chat;
    lm_cli_pack pack;
} run_settings;

/* What the pieces of the answer go to. */
typedef struct output {
    bool json;
    lm_buf text; /* the whole answer, with json */
} output;

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number) {
    interrupted = 1;
}

static void watch_interrupt(void) {
    struct sigaction action = {.sa_handler = on_interrupt,
                               .sa_flags = (int)SA_RESETHAND}; /* a second one kills */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

static bool on_piece(void *ctx, lm_str text, const lm_sample *sample) {
    output *out = ctx;
    if (out->json) {
        lm_buf_append(&out->text, text.ptr, text.len);
        return !interrupted && out->text.status == LOAM_OK;
    }
    fwrite(text.ptr, 1, text.len, stdout);
    return fflush(stdout) == 0 && !interrupted;
}

static lm_sampler_options sampling_of(const run_settings *s, const lm_model *model) {
    lm_sampler_options o = lm_model_sampling(model);
    if (s->temperature >= 0) o.temperature = (float)s->temperature;
    if (s->top_k >= 0) o.top_k = s->top_k;
    if (s->top_p >= 0) o.top_p = (float)s->top_p;
    if (s->min_p >= 0) o.min_p = (float)s->min_p;
    if (s->repetition_penalty > 0) o.repetition_penalty = (float)s->repetition_penalty;
    o.frequency_penalty = (float)s->frequency_penalty;
    o.presence_penalty = (float)s->presence_penalty;
    o.seed = s->seed >= 0 ? (uint64_t)s->seed : lm_rng_os_seed();
    return o;
}

/* No longer than prompt and answer can be: a token has at least one byte; BOS and a space may come in front. */
static int64_t context_for(const run_settings *s, const lm_model *model, size_t n_prompt) {
    int64_t made_for = lm_model_config(model)->hparams.context_len;
    if (s->context > 0) return s->context;
    int64_t wanted = s->max_tokens > 0 ? (int64_t)n_prompt + 2 + s->max_tokens : made_for;
    return wanted < made_for ? wanted : made_for;
}

static loam_status new_session(const run_settings *s, const lm_model *model, size_t n_prompt,
                               lm_session **out, loam_error *err) {
    lm_session_options options = {.max_context = context_for(s, model, n_prompt)};
    if (!lm_dtype_parse(s->kv_dtype, &options.kv_dtype))
        return lm_error_set(err, LOAM_INVALID, "unknown element type '%s' for the cache",
                            s->kv_dtype);
    return lm_session_new(model, &options, out, err);
}

static double rate(int64_t n, int64_t ns) {
    return ns > 0 ? (double)n * 1e9 / (double)ns : 0;
}

static void print_stats(const lm_generate_stats *stats) {
    if (!isatty(STDERR_FILENO)) return;
    fprintf(stderr,
            "\nprompt %lld tokens, %.1f tok/s; answer %lld tokens, %.1f tok/s; %.2f GFLOP/s; ended "
            "by %s\n",
            (long long)stats->n_prompt, rate(stats->n_prompt, stats->prefill_ns),
            (long long)stats->n_generated, rate(stats->n_generated, stats->decode_ns),
            rate(stats->flops, stats->prefill_ns + stats->decode_ns) / 1e9,
            lm_stop_reason_name(stats->reason));
}

static void print_json(const output *out, const lm_model *model, const lm_generate_stats *stats) {
    json_t *object =
        json_pack("{s:s, s:o, s:I, s:I, s:s, s:f, s:f, s:I}", "model", lm_model_name(model), "text",
                  lm_cli_json_text(lm_buf_view(&out->text)), "prompt_tokens",
                  (json_int_t)stats->n_prompt, "completion_tokens", (json_int_t)stats->n_generated,
                  "finish_reason", lm_stop_reason_name(stats->reason), "prompt_tokens_per_s",
                  rate(stats->n_prompt, stats->prefill_ns), "completion_tokens_per_s",
                  rate(stats->n_generated, stats->decode_ns), "flops", (json_int_t)stats->flops);
    json_dumpf(object, stdout, JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(object);
}

/* A question as the model's chat template puts it, and what ends an answer. */
static loam_status ask(const run_settings *s, const lm_model *model, lm_str prompt, lm_vec_i32 *ids,
                       lm_generate_options *options, loam_error *err) {
    lm_chat *chat = NULL;
    json_t *messages = json_array();
    if (s->system)
        json_array_append_new(messages, json_pack("{s:s, s:o}", "role", "system", "content",
                                                  lm_cli_json_text(lm_str_of(s->system))));
    json_array_append_new(
        messages, json_pack("{s:s, s:o}", "role", "user", "content", lm_cli_json_text(prompt)));
    lm_chat_talk talk = {.messages = messages};
    loam_status status =
        lm_chat_open(lm_model_tokenizer(model), lm_model_config(model)->arch->hf_type, &chat, err);
    if (status == LOAM_OK) status = lm_chat_encode(chat, &talk, 0, ids, err);
    if (status == LOAM_OK) {
        options->turn_end = lm_chat_end(chat);
        options->has_turn_end = options->turn_end >= 0;
    }
    lm_chat_free(chat);
    json_decref(messages);
    return status;
}

static loam_status generate(const run_settings *s, const lm_model *model, lm_str prompt,
                            const lm_vec_i32 *ids, lm_complete_options *options, loam_error *err) {
    lm_session *session;
    LM_TRY(new_session(s, model, s->chat ? ids->len : prompt.len, &session, err));
    output out = {.json = s->json};
    lm_buf_init(&out.text, SIZE_MAX / 8);
    if (s->echo) on_piece(&out, prompt, NULL);
    lm_generate_stats stats;
    if (s->chat) options->ids = ids;
    loam_status status = lm_complete(session, prompt, options, on_piece, &out, &stats, err);
    if (status == LOAM_OK && s->json) print_json(&out, model, &stats);
    if (status == LOAM_OK && !s->json && isatty(STDOUT_FILENO)) putchar('\n');
    if (status == LOAM_OK) print_stats(&stats);
    lm_buf_deinit(&out.text);
    lm_session_free(session);
    return status;
}

static loam_status complete(const run_settings *s, const lm_model *model, lm_str prompt,
                            loam_error *err) {
    lm_vec_i32 ids = {0};
    lm_complete_options options = {.generate = {.sampling = sampling_of(s, model),
                                                .max_tokens = s->max_tokens,
                                                .ignore_end = s->ignore_end}};
    loam_status status = s->chat ? ask(s, model, prompt, &ids, &options.generate, err) : LOAM_OK;
    if (status == LOAM_OK) status = generate(s, model, prompt, &ids, &options, err);
    lm_vec_deinit(&ids);
    return status;
}

static loam_status run_model(const run_settings *s, const char *path, lm_str prompt,
                             loam_error *err) {
    lm_device *device;
    lm_model *model = NULL;
    LM_TRY(lm_backend_cpu.open(&(lm_device_options){.n_threads = (int)s->threads}, &device, err));
    loam_status status = lm_cli_model_open(path, device, &s->pack, &model, err);
    if (status == LOAM_OK) status = complete(s, model, prompt, err);
    lm_model_free(model);
    lm_device_close(device);
    return status;
}

static int run_run(const void *settings_, int n_args, char **args) {
    const run_settings *settings = settings_;
    loam_error err = {0};
    lm_buf input;
    lm_buf_init(&input, MAX_PROMPT_BYTES);
    lm_str prompt;
    loam_status status = lm_cli_text(n_args > 1 ? args[1] : "", &input, &prompt, &err);
    watch_interrupt();
    if (status == LOAM_OK) status = run_model(settings, args[0], prompt, &err);
    lm_buf_deinit(&input);
    if (status != LOAM_OK) return lm_cli_fail(&err);
    return interrupted ? EXIT_INTERRUPTED : LM_EXIT_OK;
}

static const run_settings defaults = {
    .pack = LM_CLI_PACK_DEFAULTS,
    .temperature = -1,
    .top_p = -1,
    .min_p = -1,
    .top_k = -1,
    .seed = -1,
    .max_tokens = 256,
    .kv_dtype = LM_CLI_KV_DTYPE,
};

#define AT(field) LM_OPTION_AT(run_settings, field)
static const lm_option options[] = {
    {.name = "temperature",
     .short_name = 't',
     .type = LM_OPT_FLOAT,
     .arg = "T",
     .offset = AT(temperature),
     .max = 100,
     .help = "0 always takes the likeliest token (default: what the model recommends, else 1)"},
    {.name = "top-k",
     .type = LM_OPT_INT,
     .arg = "K",
     .offset = AT(top_k),
     .max = 1e9,
     .help = "choose among the K likeliest tokens; 0: among all (default: the model's)"},
    {.name = "top-p",
     .type = LM_OPT_FLOAT,
     .arg = "P",
     .offset = AT(top_p),
     .max = 1,
     .help =
         "choose among the likeliest tokens that have this share; 1: all (default: the model's)"},
    {.name = "min-p",
     .type = LM_OPT_FLOAT,
     .arg = "P",
     .offset = AT(min_p),
     .max = 1,
     .help =
         "leave out tokens less likely than P times the likeliest; 0: none (default: the model's)"},
    {.name = "repetition-penalty",
     .type = LM_OPT_FLOAT,
     .arg = "R",
     .offset = AT(repetition_penalty),
     .min = 0.01,
     .max = 100,
     .help = "make tokens that were seen less likely; 1: off (default: the model's)"},
    {.name = "frequency-penalty",
     .type = LM_OPT_FLOAT,
     .arg = "F",
     .offset = AT(frequency_penalty),
     .min = -100,
     .max = 100,
     .help = "taken from a token's logit each time it was generated (default 0)"},
    {.name = "presence-penalty",
     .type = LM_OPT_FLOAT,
     .arg = "F",
     .offset = AT(presence_penalty),
     .min = -100,
     .max = 100,
     .help = "taken from a token's logit once it was generated (default 0)"},
    {.name = "seed",
     .short_name = 's',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(seed),
     .max = 9e15,
     .help = "seed of the random choice, so that it can be repeated (default: another each time)"},
    {.name = "max-tokens",
     .short_name = 'n',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(max_tokens),
     .max = 1e9,
     .help = "end after so many tokens; 0: when the context is full (default 256)"},
    {.name = "context",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(context),
     .max = 1e9,
     .help = "tokens to have room for (default: prompt and answer)"},
    LM_CLI_KV_DTYPE_OPTION(run_settings),
    LM_CLI_THREADS_OPTION(run_settings),
    {.name = "chat",
     .short_name = 'c',
     .type = LM_OPT_FLAG,
     .offset = AT(chat),
     .help = "the prompt is a question: put it as the model's chat template does, and print the "
             "answer"},
    {.name = "system",
     .type = LM_OPT_STRING,
     .arg = "TEXT",
     .offset = AT(system),
     .help = "with --chat: what the model is told first"},
    {.name = "ignore-end",
     .type = LM_OPT_FLAG,
     .offset = AT(ignore_end),
     .help = "go on where the model ends the text"},
    {.name = "echo",
     .type = LM_OPT_FLAG,
     .offset = AT(echo),
     .help = "print the prompt before the answer"},
    {.name = "json",
     .type = LM_OPT_FLAG,
     .offset = AT(json),
     .help = "print one JSON object with the text and counts"},
    LM_CLI_PACK_OPTIONS(run_settings, pack),
    LM_OPTIONS_END,
};

const lm_command lm_cmd_run = {
    .name = "run",
    .summary = "complete a text with a model",
    .usage = "<model> [prompt]",
    .description = "Completes the prompt and prints the completion, and nothing else, on standard "
                   "output, as it is generated. "
                   "The model is a GGUF file or a Hugging Face folder. Without a prompt the model "
                   "begins a text of its own; "
                   "a prompt of - is read from standard input. On a terminal, speeds are printed "
                   "on standard error at the end.",
    .examples =
        "loam run model.gguf \"Once upon a time\"\n    go on from here\n"
        "loam run model.gguf --chat \"What is a llama?\"\n    answer a question\n"
        "loam run ./model - --temperature 0 < prompt.txt\n    the likeliest completion of a file\n",
    .options = options,
    .min_args = 1,
    .max_args = 2,
    .model_arg = 1,
    .settings_bytes = sizeof(run_settings),
    .defaults = &defaults,
    .run = run_run,
};
