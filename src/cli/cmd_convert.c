/* loam convert: a model from a Hugging Face folder to GGUF, and back. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "backend/cpu/cpu.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/convert.h"
#include "cli/interrupt.h"

typedef struct convert_settings {
    const char *type;
    bool tokenizer, json;
} convert_settings;

static bool on_progress(void *ctx, int64_t n_done, int64_t n_elems) {
    lm_progress *progress = ctx;
    progress->total = n_elems;
    lm_progress_update(progress, n_done, "%.2f of %.2f billion parameters", (double)n_done / 1e9,
                       (double)n_elems / 1e9);
    return !lm_cli_interrupted();
}

static loam_status read_type(const char *type, lm_convert_options *options, loam_error *err) {
    options->fixed_dtype = type != NULL;
    if (!type) return LOAM_OK;
    bool known = lm_dtype_parse(type, &options->dtype);
    if (known &&
        (options->dtype == LM_F32 || options->dtype == LM_F16 || options->dtype == LM_BF16))
        return LOAM_OK;
    lm_error_set(err, LOAM_INVALID, "'%s' is no type to convert to", type);
    return lm_error_hint(err, LOAM_INVALID,
                         "one of f32, bf16, f16; loam quantize makes smaller ones");
}

static loam_status convert_open(lm_model *model, const char *out_path,
                                const lm_convert_options *options, lm_convert_result *result,
                                loam_error *err) {
    lm_progress progress;
    lm_convert_options o = *options;
    lm_progress_init(&progress, "converting", 0, 0);
    o.on_progress = on_progress;
    o.ctx = &progress;
    loam_status status = lm_convert(model, out_path, &o, result, err);
    lm_progress_clear(&progress);
    return status;
}

loam_status lm_cli_convert(const char *in, const char *out_path, const lm_convert_options *options,
                           lm_convert_result *result, loam_error *err) {
    lm_device *device;
    lm_model *model = NULL;
    LM_TRY(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &device, err));
    loam_status status = lm_model_open(
        in, device, &(lm_model_options){.no_pack = true, .on_demand = true}, &model, err);
    if (status == LOAM_OK) status = convert_open(model, out_path, options, result, err);
    lm_model_free(model);
    lm_device_close(device);
    return status;
}

static loam_status convert(const convert_settings *s, char **args, lm_convert_result *result,
                           loam_error *err) {
    lm_convert_options options = {.to_folder = !lm_str_ends(lm_str_of(args[1]), LM_STR(".gguf")),
                                  .no_tokenizer = !s->tokenizer};
    LM_TRY(read_type(s->type, &options, err));
    return lm_cli_convert(args[0], args[1], &options, result, err);
}

static void print_json(char **args, const lm_convert_result *r, double seconds) {
    json_t *object =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:f}", "in", args[0], "out", args[1], "n_tensors",
                  (json_int_t)r->n_tensors, "n_params", (json_int_t)r->n_elems, "size_bytes",
                  (json_int_t)r->size_bytes, "seconds", seconds);
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(object);
}

static int run_convert(const void *settings, int n_args, char **args) {
    const convert_settings *s = settings;
    loam_error err = {0};
    lm_convert_result result;
    int64_t start = lm_clock_mono_ns();
    lm_cli_watch_interrupt();
    loam_status status = convert(s, args, &result, &err);
    double seconds = (double)(lm_clock_mono_ns() - start) / 1e9;
    if (status == LOAM_OK && s->json)
        print_json(args, &result, seconds);
    else if (status == LOAM_OK)
        printf("%s: %lld tensors, %.2f GB, in %.1f s\n", args[1], (long long)result.n_tensors,
               (double)result.size_bytes / 1e9, seconds);
    if (status == LOAM_OK) return LM_EXIT_OK;
    lm_cli_fail(&err);
    return status == LOAM_CANCELLED ? LM_EXIT_INTERRUPTED : LM_EXIT_FAILED;
}

static const convert_settings defaults = {.tokenizer = true};

#define AT(field) LM_OPTION_AT(convert_settings, field)
static const lm_option options[] = {
    {.name = "type",
     .type = LM_OPT_STRING,
     .arg = "TYPE",
     .offset = AT(type),
     .help = "element type of the matrices: f32, bf16 or f16 (default: as they are)"},
    {.name = "tokenizer",
     .type = LM_OPT_FLAG,
     .offset = AT(tokenizer),
     .help =
         "also the tokenizer and the chat template (the default; --no-tokenizer leaves them out)"},
    {.name = "json", .type = LM_OPT_FLAG, .offset = AT(json), .help = "print a JSON object"},
    LM_OPTIONS_END,
};

const lm_command lm_cmd_convert = {
    .name = "convert",
    .summary = "write a model as GGUF or as a Hugging Face folder",
    .usage = "<model> <out.gguf or folder>",
    .description =
        "What is written follows from the second name: one that ends with .gguf is a GGUF file, "
        "any other a "
        "folder with config.json, safetensors, generation_config.json and the tokenizer. Tensors "
        "are the same, bit by bit, "
        "unless --type says otherwise; rows of q and k are put in the order that the format wants. "
        "Memory holds a few rows at a time, and of experts that have a tensor each those of a "
        "layer.",
    .examples = "loam convert ./model model.gguf\n"
                "    for llama.cpp and others\n"
                "loam convert model-q4_k_m.gguf ./model --type bf16\n"
                "    for transformers\n",
    .options = options,
    .min_args = 2,
    .max_args = 2,
    .model_arg = 1,
    .settings_bytes = sizeof(convert_settings),
    .defaults = &defaults,
    .run = run_convert,
};
