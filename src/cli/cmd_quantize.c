/* loam quantize: a model's file in smaller types. */
#include <stdio.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/convert.h"
#include "cli/interrupt.h"
#include "model/quantize.h"

typedef struct quantize_settings {
    const char *imatrix, *keep_output;
    int64_t threads;
    bool pure, requantize, json;
} quantize_settings;

static bool show_progress(void *ctx, const lm_quantize_progress *p) {
    lm_progress *progress = ctx;
    progress->total = p->n_elems;
    lm_progress_update(progress, p->n_done, "%s %s", p->tensor, lm_dtype_get(p->dtype)->name);
    return !lm_cli_interrupted();
}

static void print_json(const quantize_settings *s, char **args, const lm_quantize_options *o,
                       const lm_quantize_result *r, double seconds) {
    json_t *types = json_object();
    for (int i = 0; i < LM_DTYPE_COUNT; i++)
        if (r->n_tensors[i])
            json_object_set_new(types, lm_dtype_get((lm_dtype)i)->name,
                                json_integer(r->n_tensors[i]));
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s?, s:I, s:I, s:I, s:f, s:o, s:i, s:i, s:f}", "in", args[0],
                  "out", args[1], "type", o->mix->name, "imatrix", s->imatrix, "n_params",
                  (json_int_t)r->n_elems, "bytes_in", (json_int_t)r->bytes_in, "bytes_out",
                  (json_int_t)r->bytes_out, "bits_per_weight",
                  8.0 * (double)r->bytes_out / (double)r->n_elems, "types", types, "n_fallbacks",
                  r->n_fallbacks, "n_without_imatrix", r->n_without_imatrix, "seconds", seconds);
    json_dumpf(object, stdout, JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(object);
}

static void print_text(char **args, const lm_quantize_options *o, const lm_quantize_result *r,
                       double seconds) {
    printf("%s: %s, %.1f MB of %.1f, %.2f bits a weight, %.1f s\n", args[1], o->mix->name,
           (double)r->bytes_out / 1e6, (double)r->bytes_in / 1e6,
           8.0 * (double)r->bytes_out / (double)r->n_elems, seconds);
    printf("tensors:");
    for (int i = 0; i < LM_DTYPE_COUNT; i++)
        if (r->n_tensors[i]) printf(" %d %s", r->n_tensors[i], lm_dtype_get((lm_dtype)i)->name);
    putchar('\n');
    if (r->n_fallbacks)
        printf("%d have rows that are no whole blocks of their type and got another\n",
               r->n_fallbacks);
    if (r->n_without_imatrix) printf("%d are not in the importance matrix\n", r->n_without_imatrix);
}

static loam_status unknown_type(const char *name, loam_error *err) {
    char known[256] = "";
    lm_error_set(err, LOAM_INVALID, "unknown type '%s'", name);
    for (size_t i = 0, at = 0; i < lm_mix_count() && at < sizeof known; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "",
                               lm_mix_at(i)->name);
    return lm_error_hint(err, LOAM_INVALID, "one of %s", known);
}

/* Quantizes a file, or a folder by way of a GGUF file of it beside the output. */
static loam_status quantize_from(const char *in, const char *out_path, const lm_quantize_options *o,
                                 lm_quantize_result *result, loam_error *err) {
    if (!lm_file_is_dir(in)) return lm_quantize_file(in, out_path, o, result, err);
    char *whole = lm_asprintf("%s.tmp-%ld.gguf", out_path, (long)getpid());
    if (!whole) return lm_error_no_memory(err, strlen(out_path));
    lm_convert_result converted;
    loam_status status = lm_cli_convert(in, whole, &(lm_convert_options){0}, &converted, err);
    if (status == LOAM_OK) status = lm_quantize_file(whole, out_path, o, result, err);
    unlink(whole);
    lm_free(whole);
    return status;
}

static loam_status quantize(const quantize_settings *s, char **args, lm_imatrix **imatrix,
                            loam_error *err) {
    lm_progress progress;
    lm_quantize_options o = {.mix = lm_mix_find(args[2]),
                             .pure = s->pure,
                             .fixed_head = s->keep_output != NULL,
                             .requantize = s->requantize,
                             .imatrix_path = s->imatrix,
                             .n_threads = (int)s->threads,
                             .on_progress = show_progress,
                             .ctx = &progress};
    if (!o.mix) return unknown_type(args[2], err);
    if (s->keep_output &&
        (!lm_dtype_parse(s->keep_output, &o.head_dtype) || o.head_dtype == LM_I32))
        return lm_error_set(err, LOAM_INVALID, "unknown element type '%s'", s->keep_output);
    if (s->imatrix) LM_TRY(lm_imatrix_read(s->imatrix, imatrix, err));
    o.imatrix = *imatrix;
    lm_quantize_result result;
    int64_t start = lm_clock_mono_ns();
    lm_progress_init(&progress, "quantizing", 0, 0);
    loam_status status = quantize_from(args[0], args[1], &o, &result, err);
    lm_progress_clear(&progress);
    double seconds = (double)(lm_clock_mono_ns() - start) / 1e9;
    if (status != LOAM_OK) return status;
    if (s->json)
        print_json(s, args, &o, &result, seconds);
    else
        print_text(args, &o, &result, seconds);
    return LOAM_OK;
}

static int run_quantize(const void *settings, int n_args, char **args) {
    loam_error err = {0};
    lm_imatrix *imatrix = NULL;
    lm_cli_watch_interrupt();
    loam_status status = quantize(settings, args, &imatrix, &err);
    lm_imatrix_free(imatrix);
    if (status == LOAM_OK) return LM_EXIT_OK;
    lm_cli_fail(&err);
    return status == LOAM_CANCELLED ? LM_EXIT_INTERRUPTED : LM_EXIT_FAILED;
}

#define AT(field) LM_OPTION_AT(quantize_settings, field)
static const lm_option options[] = {
    {.name = "imatrix",
     .type = LM_OPT_STRING,
     .arg = "FILE",
     .offset = AT(imatrix),
     .help = "weigh errors by the importance in an imatrix file, GGUF or the older form (default: "
             "all alike)"},
    {.name = "keep-output",
     .type = LM_OPT_STRING,
     .arg = "TYPE",
     .offset = AT(keep_output),
     .help =
         "element type of the output matrix, such as f16 or q8_0 (default: what the type says)"},
    {.name = "pure",
     .type = LM_OPT_FLAG,
     .offset = AT(pure),
     .help = "one element type for every matrix, without the exceptions of the type"},
    {.name = "requantize",
     .type = LM_OPT_FLAG,
     .offset = AT(requantize),
     .help = "also quantize what is quantized already, which costs quality"},
    {.name = "threads",
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

const lm_command lm_cmd_quantize = {
    .name = "quantize",
    .summary = "store a model in smaller types",
    .usage = "<model> <out.gguf> <type>",
    .description =
        "The model is a GGUF file or a Hugging Face folder, which is converted on the way (loam "
        "convert) and takes as much room again beside the output for that time. Types, from large "
        "to small: Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_1, Q5_0, Q4_K_M, Q4_K_S, Q4_1, "
        "Q4_0, IQ4_NL, IQ4_XS, MXFP4, Q3_K_L, Q3_K_M, Q3_K_S, Q2_K; F32, BF16 and F16 convert. The "
        "usual choice is Q4_K_M, a mix: some matrices get more bits than others. Scales are "
        "searched for "
        "the least squared error (Q8_0 is rounded); with an importance matrix, for the least error "
        "in what the model "
        "computes. Memory holds a few rows at a time, and the file appears when it is whole.",
    .examples =
        "loam quantize model-f16.gguf model-q4_k_m.gguf q4_k_m\n"
        "    the usual choice\n"
        "loam quantize ./model model-q8_0.gguf q8_0\n"
        "    from a folder as hubs have it\n"
        "loam quantize model-f16.gguf model-q3_k_m.gguf q3_k_m --imatrix model.imatrix.gguf\n"
        "    spend the bits where loam imatrix says that they matter\n",
    .options = options,
    .min_args = 3,
    .max_args = 3,
    .model_arg = 1,
    .settings_bytes = sizeof(quantize_settings),
    .run = run_quantize,
};
