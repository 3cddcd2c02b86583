/* loam perplexity: how unlikely a model finds a text. */
#include <stdio.h>

#include <jansson.h>

#include "backend/cpu/cpu.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/model_arg.h"
#include "model/perplexity.h"

typedef struct perplexity_settings {
    const char *file, *kv_dtype;
    int64_t ctx, chunks, threads;
    bool json;
} perplexity_settings;

static void show_progress(void *ctx, const lm_perplexity *p) {
    lm_progress_update(ctx, p->n_done, "perplexity %.4f", lm_perplexity_value(p));
}

static void print_result(const perplexity_settings *s, const lm_model *model,
                         const lm_perplexity *p) {
    double value = lm_perplexity_value(p), error = lm_perplexity_error(p);
    if (!s->json) {
        printf("perplexity %.4f +- %.4f, %lld tokens scored in %lld chunks of %lld\n", value, error,
               (long long)p->n_scored, (long long)p->n_chunks, (long long)s->ctx);
        return;
    }
    json_t *object =
        json_pack("{s:s, s:s, s:f, s:f, s:f, s:I, s:I, s:I}", "model", lm_model_name(model), "file",
                  s->file, "perplexity", value, "error", error, "mean_nll",
                  p->nll_sum / (double)p->n_scored, "n_scored", (json_int_t)p->n_scored, "n_chunks",
                  (json_int_t)p->n_chunks, "n_ctx", (json_int_t)s->ctx);
    json_dumpf(object, stdout, JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(object);
}

static loam_status score_tokens(const perplexity_settings *s, const lm_model *model,
                                const lm_vec_i32 *tokens, lm_dtype kv_dtype, loam_error *err) {
    lm_text_chunks chunks;
    lm_perplexity result;
    lm_progress progress;
    LM_TRY(lm_text_chunks_init(&chunks, model, tokens->ptr, (int64_t)tokens->len, s->ctx, s->chunks,
                               lm_cli_chunk_bos(model), err));
    lm_progress_init(&progress, lm_model_name(model), 0, chunks.n_chunks);
    loam_status status =
        lm_perplexity_run(model, &chunks, kv_dtype, show_progress, &progress, &result, err);
    lm_progress_clear(&progress);
    if (status == LOAM_OK) print_result(s, model, &result);
    return status;
}

static loam_status score(const perplexity_settings *s, const lm_model *model, loam_error *err) {
    lm_dtype kv_dtype;
    if (!lm_dtype_parse(s->kv_dtype, &kv_dtype))
        return lm_error_set(err, LOAM_INVALID, "unknown element type '%s' for the cache",
                            s->kv_dtype);
    lm_vec_i32 tokens = {0};
    loam_status status = lm_cli_text_tokens(model, s->file, &tokens, err);
    if (status == LOAM_OK) status = score_tokens(s, model, &tokens, kv_dtype, err);
    lm_vec_deinit(&tokens);
    return status;
}

static int run_perplexity(const void *settings_, int n_args, char **args) {
    const perplexity_settings *settings = settings_;
    loam_error err = {0};
    lm_device *device = NULL;
    lm_model *model = NULL;
    if (!settings->file) {
        fprintf(stderr, "loam perplexity: wants a text: --file FILE\n");
        return LM_EXIT_USAGE;
    }
    lm_device_options options = {.n_threads = (int)settings->threads};
    loam_status status = lm_backend_cpu.open(&options, &device, &err);
    if (status == LOAM_OK) status = lm_model_open(args[0], device, NULL, &model, &err);
    if (status == LOAM_OK) status = score(settings, model, &err);
    lm_model_free(model);
    lm_device_close(device);
    return status == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

#define AT(field) LM_OPTION_AT(perplexity_settings, field)
static const lm_option options[] = {
    {.name = "file",
     .short_name = 'f',
     .type = LM_OPT_STRING,
     .arg = "FILE",
     .offset = AT(file),
     .help = "the text"},
    {.name = "ctx",
     .short_name = 'c',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(ctx),
     .min = 4,
     .max = 1 << 24,
     .help = "tokens of a chunk (default 512)"},
    {.name = "chunks",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(chunks),
     .max = 1e9,
     .help = "only the first N chunks (default: all)"},
    LM_CLI_KV_DTYPE_OPTION(perplexity_settings),
    {.name = "threads",
     .short_name = 't',
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(threads),
     .min = 1,
     .max = LM_POOL_MAX_THREADS,
     .env = "LOAM_THREADS",
     .help = "threads to use (default: all usable CPUs)"},
    {.name = "json", .type = LM_OPT_FLAG, .offset = AT(json), .help = "print a JSON object"},
    LM_OPTIONS_END,
};

const lm_command lm_cmd_perplexity = {
    .name = "perplexity",
    .summary = "measure how well a model foretells a text",
    .usage = "<model>",
    .description =
        "Cuts the text in chunks that know nothing of each other and scores the second half of "
        "each: "
        "exp of the mean -ln p of a token, with its standard error. That is what llama-perplexity "
        "does, so that figures on the same file and text compare; a quantized file is as good as "
        "its "
        "perplexity is near to that of the file it was made from.",
    .examples = "loam perplexity model-q4_k_m.gguf --file wiki.test.raw\n"
                "    the whole text in chunks of 512 tokens\n"
                "loam perplexity model.gguf -f text.txt --ctx 2048 --chunks 20 --json\n"
                "    an estimate from the first 20 chunks\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .model_arg = 1,
    .settings_bytes = sizeof(perplexity_settings),
    .defaults = &(perplexity_settings){.ctx = 512, .kv_dtype = LM_CLI_KV_DTYPE},
    .run = run_perplexity,
};
