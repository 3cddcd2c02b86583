/* loam imatrix: which columns of a model's matrices matter for a text. */
#include <stdio.h>

#include <jansson.h>

#include "backend/cpu/cpu.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/model_arg.h"
#include "model/imatrix_gather.h"

typedef struct imatrix_settings {
    const char *file, *output;
    int64_t ctx, chunks, threads;
    bool json;
} imatrix_settings;

static void show_progress(void *ctx, int64_t n_done) {
    lm_progress_update(ctx, n_done, "chunks of text");
}

static void print_result(const imatrix_settings *s, const lm_imatrix *imatrix,
                         const lm_text_chunks *chunks) {
    size_t n = lm_imatrix_n_entries(imatrix);
    if (!s->json) {
        printf("%s: %zu matrices over %lld chunks of %lld tokens\n", s->output, n,
               (long long)chunks->n_chunks, (long long)chunks->n_ctx);
        return;
    }
    json_t *object = json_pack("{s:s, s:s, s:I, s:I, s:I}", "imatrix", s->output, "file", s->file,
                               "n_matrices", (json_int_t)n, "n_chunks",
                               (json_int_t)chunks->n_chunks, "n_ctx", (json_int_t)chunks->n_ctx);
    json_dumpf(object, stdout, 0);
    putchar('\n');
    json_decref(object);
}

static loam_status gather_tokens(const imatrix_settings *s, const lm_model *model,
                                 const lm_vec_i32 *tokens, lm_imatrix *imatrix, loam_error *err) {
    lm_text_chunks chunks;
    lm_progress progress;
    LM_TRY(lm_text_chunks_init(&chunks, model, tokens->ptr, (int64_t)tokens->len, s->ctx, s->chunks,
                               lm_cli_chunk_bos(model), err));
    lm_progress_init(&progress, lm_model_name(model), 0, chunks.n_chunks);
    loam_status status = lm_imatrix_gather(imatrix, model, &chunks, show_progress, &progress, err);
    lm_progress_clear(&progress);
    LM_TRY(status);
    LM_TRY(lm_imatrix_write(imatrix, s->output, s->file, chunks.n_chunks, chunks.n_ctx, err));
    print_result(s, imatrix, &chunks);
    return LOAM_OK;
}

static loam_status gather(const imatrix_settings *s, const lm_model *model, loam_error *err) {
    lm_imatrix *imatrix = lm_imatrix_new();
    if (!imatrix) return lm_error_no_memory(err, 0);
    lm_vec_i32 tokens = {0};
    loam_status status = lm_cli_text_tokens(model, s->file, &tokens, err);
    if (status == LOAM_OK) status = gather_tokens(s, model, &tokens, imatrix, err);
    lm_vec_deinit(&tokens);
    lm_imatrix_free(imatrix);
    return status;
}

static int run_imatrix(const void *settings_, int n_args, char **args) {
    const imatrix_settings *settings = settings_;
    loam_error err = {0};
    lm_device *device = NULL;
    lm_model *model = NULL;
    lm_device_options options = {.n_threads = (int)settings->threads};
    loam_status status = lm_backend_cpu.open(&options, &device, &err);
    if (status == LOAM_OK) status = lm_model_open(args[0], device, NULL, &model, &err);
    if (status == LOAM_OK) status = gather(settings, model, &err);
    lm_model_free(model);
    lm_device_close(device);
    return status == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

#define AT(field) LM_OPTION_AT(imatrix_settings, field)
static const lm_option options[] = {
    {.name = "file",
     .short_name = 'f',
     .type = LM_OPT_STRING,
     .arg = "FILE",
     .offset = AT(file),
     .required = true,
     .help = "the text: some hundred kilobytes of what the model is for"},
    {.name = "output",
     .short_name = 'o',
     .type = LM_OPT_STRING,
     .arg = "FILE",
     .offset = AT(output),
     .help = "where to write (default imatrix.gguf)"},
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
    LM_CLI_THREADS_OPTION(imatrix_settings),
    {.name = "json", .type = LM_OPT_FLAG, .offset = AT(json), .help = "print a JSON object"},
    LM_OPTIONS_END,
};

const lm_command lm_cmd_imatrix = {
    .name = "imatrix",
    .summary = "measure which columns of a model's matrices matter",
    .usage = "<model>",
    .description = "Runs the model over a text and writes the mean square of everything that "
                   "enters a matrix, column "
                   "by column: the importance matrix that loam quantize weighs its errors with. "
                   "The file is GGUF as "
                   "llama-imatrix writes it, and each side reads the other's.",
    .examples = "loam imatrix model-f16.gguf --file text.txt -o imatrix.gguf\n"
                "    and then: loam quantize model-f16.gguf model-q3_k_m.gguf q3_k_m --imatrix "
                "imatrix.gguf\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .model_arg = 1,
    .settings_bytes = sizeof(imatrix_settings),
    .defaults = &(imatrix_settings){.ctx = 512, .output = "imatrix.gguf"},
    .run = run_imatrix,
};
