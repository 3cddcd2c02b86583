/* loam show: what a model's files say about it, without loading it. */
#include <stdio.h>

#include "backend/cpu/cpu.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/model_arg.h"
#include "cli/show_cloud.h"
#include "cli/show_memory.h"
#include "cli/text_io.h"
#include "model/kv_cache.h"
#include "model/model.h"
#include "model/model_file.h"
#include "model/model_weights.h"
#include "model/tokenizer.h"

typedef struct show_settings {
    bool tensors, json, check;
    int64_t context, batch, threads;
    const char *kv_dtype, *memory, *url, *key;
    bool offline;
} show_settings;

/* Everything the two ways of printing look at. */
typedef struct model_facts {
    const lm_model_file *file;
    const lm_hparams *hparams;
    lm_pooling pooling;
    const lm_tokenizer *tokenizer; /* NULL: none, and why is in tokenizer_error */
    const char *tokenizer_error;
    lm_model_size size;
    json_t *types;              /* {"F32": number of tensors} */
    int64_t kv_bytes_per_token; /* with a cache of 16-bit elements */
    const json_t
        *memory; /* of lm_show_memory; NULL: it cannot be told, and why is in memory_error */
    const char *memory_error;
    const json_t *cloud; /* of lm_show_cloud; NULL: none was asked */
} model_facts;

/* ------------------------------------------------------------------------------------------------- as JSON */

static json_t *shape_json(const lm_stored_tensor *tensor) {
    json_t *shape = json_array();
    for (int i = 0; i < tensor->n_dims; i++)
        json_array_append_new(shape, json_integer(tensor->shape[i]));
    return shape;
}

static json_t *tensors_json(const lm_model_file *file) {
    json_t *tensors = json_array();
    for (size_t i = 0; i < lm_model_file_n_tensors(file); i++) {
        const lm_stored_tensor *tensor = lm_model_file_tensor_at(file, i);
        json_array_append_new(tensors, json_pack("{s:o, s:s, s:o, s:I}", "name",
                                                 lm_cli_json_text(lm_str_of(tensor->name)), "type",
                                                 tensor->type->name, "shape", shape_json(tensor),
                                                 "size_bytes", (json_int_t)tensor->size_bytes));
    }
    return tensors;
}

static json_t *hparams_json(const lm_hparams *h) {
    json_t *rope = json_pack(
        "{s:f, s:I, s:s, s:s, s:f}", "theta", h->rope_theta, "dim", (json_int_t)h->rope_dim,
        "layout", h->rope_layout == LM_ROPE_INTERLEAVED ? "interleaved" : "half-split", "scaling",
        lm_rope_scaling_name(h->rope_scaling.kind), "scaling_factor", h->rope_scaling.factor);
    json_t *latent = h->kv_latent_dim > 0
                         ? json_pack("{s:I, s:I, s:I, s:I}", "kv_dim", (json_int_t)h->kv_latent_dim,
                                     "q_dim", (json_int_t)h->q_latent_dim, "nope_dim",
                                     (json_int_t)h->nope_dim, "value_dim", (json_int_t)h->value_dim)
                         : NULL;
    json_t *index =
        h->index_topk > 0
            ? json_pack("{s:I, s:I, s:I}", "n_chosen", (json_int_t)h->index_topk, "n_heads",
                        (json_int_t)h->index_heads, "head_dim", (json_int_t)h->index_dim)
            : NULL;
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:b, s:b, s:b, s:o, s:o*, s:o*}", "n_layers",
        (json_int_t)h->n_layers, "dim", (json_int_t)h->dim, "n_heads", (json_int_t)h->n_heads,
        "n_kv_heads", (json_int_t)h->n_kv_heads, "head_dim", (json_int_t)h->head_dim, "ffn_dim",
        (json_int_t)h->ffn_dim, "vocab_size", (json_int_t)h->vocab_size, "context_len",
        (json_int_t)h->context_len, "rms_norm_eps", h->rms_norm_eps, "tied_embeddings",
        h->tied_embeddings, "attention_bias", h->attention_bias, "mlp_bias", h->mlp_bias, "rope",
        rope, "latent_attention", latent, "indexer", index);
}

static json_t *tokenizer_json(const model_facts *facts) {
    const lm_tokenizer *tokenizer = facts->tokenizer;
    if (!tokenizer) return json_pack("{s:s}", "error", facts->tokenizer_error);
    json_t *eos = json_array();
    for (size_t i = 0; i < lm_tokenizer_n_eos(tokenizer); i++)
        json_array_append_new(eos, json_integer(lm_tokenizer_eos_at(tokenizer, i)));
    return json_pack("{s:s, s:i, s:i, s:o, s:b, s:b}", "kind", lm_tokenizer_kind(tokenizer),
                     "vocab_size", lm_tokenizer_vocab_size(tokenizer), "bos",
                     lm_tokenizer_bos(tokenizer), "eos", eos, "adds_bos",
                     lm_tokenizer_adds_bos(tokenizer), "has_chat_template",
                     lm_tokenizer_chat_template(tokenizer).len > 0);
}

static void print_json(const model_facts *facts, bool with_tensors) {
    const lm_model_file *file = facts->file;
    json_t *tensors = with_tensors ? tensors_json(file) : NULL;
    json_t *object = json_pack(
        "{s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:O, s:o, s:s, s:b, s:o, s:O*, s:O*, s:o*}", "path",
        lm_cli_json_text(lm_str_of(lm_model_file_path(file))), "format",
        lm_model_file_format(file) == LM_FORMAT_GGUF ? "gguf" : "huggingface", "architecture",
        lm_cli_json_text(lm_str_of(facts->hparams->architecture)), "n_params",
        (json_int_t)facts->size.n_params, "size_bytes", (json_int_t)facts->size.size_bytes,
        "kv_bytes_per_token", (json_int_t)facts->kv_bytes_per_token, "n_tensors",
        (json_int_t)lm_model_file_n_tensors(file), "types", facts->types, "hparams",
        hparams_json(facts->hparams), "pooling", lm_pooling_name(facts->pooling.kind), "reranks",
        facts->pooling.ranks, "tokenizer", tokenizer_json(facts), "memory", facts->memory, "cloud",
        facts->cloud, "tensors", tensors);
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(7));
    putchar('\n');
    json_decref(object);
}

/* ------------------------------------------------------------------------------------------------- as text */

static void print_types(const json_t *types) {
    const char *name, *separator = "";
    json_t *n;
    printf("types         ");
    json_object_foreach((json_t *)types, name, n) {
        printf("%s%s in %lld tensors", separator, name, (long long)json_integer_value(n));
        separator = ", ";
    }
    putchar('\n');
}

static void print_attention(const lm_hparams *h) {
    if (lm_cached_layers(h) == 0)
        printf("attention     none\n");
    else if (h->kv_latent_dim > 0)
        printf("attention     %lld heads of %lld, keys and values of all in %lld numbers\n",
               (long long)h->n_heads, (long long)(h->nope_dim + h->rope_dim),
               (long long)h->head_dim);
    else
        printf("attention     %lld heads of %lld, %lld for keys and values%s%s\n",
               (long long)h->n_heads, (long long)h->head_dim, (long long)h->n_kv_heads,
               lm_hparams_heads_vary(h) ? ", others in some layers" : "",
               h->attention_bias ? ", with bias" : "");
}

static void print_index(const lm_hparams *h) {
    if (h->index_topk == 0) return;
    printf("indexer       %lld heads of %lld choose %lld positions, in %lld of %lld layers\n",
           (long long)h->index_heads, (long long)h->index_dim, (long long)h->index_topk,
           (long long)(h->n_layers - lm_layers_before(&h->index_shared, h->n_layers)),
           (long long)h->n_layers);
}

static void print_rope(const lm_hparams *h) {
    if (lm_layers_before(&h->no_rope, h->n_layers) == h->n_layers) return;
    printf("rope          theta %g, scaling %s", h->rope_theta,
           lm_rope_scaling_name(h->rope_scaling.kind));
    if (h->rope_scaling.kind != LM_ROPE_SCALING_NONE) printf(" by %g", h->rope_scaling.factor);
    printf("%s\n", h->rope_freq_factors ? ", with factors by frequency" : "");
}

static void print_hparams(const lm_hparams *h) {
    printf("layers        %lld", (long long)lm_stored_layers(h));
    if (h->n_loops > 1) printf(" that run %lld times", (long long)h->n_loops);
    printf(", width %lld", (long long)h->dim);
    if (h->ffn_dim > 0) printf(", feed-forward %lld (%s)", (long long)h->ffn_dim, h->hidden_act);
    putchar('\n');
    print_attention(h);
    print_index(h);
    printf("context       %lld tokens\n", (long long)h->context_len);
    print_rope(h);
    printf("embeddings    %lld tokens, %s the output\n", (long long)h->vocab_size,
           h->tied_embeddings ? "shared with" : "apart from");
}

/* What becomes of a text; nothing of a model that writes. */
static void print_pooling(const lm_pooling *pooling) {
    if (pooling->kind == LM_POOLING_NONE) return;
    if (pooling->ranks)
        printf("gives         scores of texts for a query\n");
    else
        printf("gives         embeddings: %s%s\n", lm_pooling_name(pooling->kind),
               pooling->normalize ? ", of length 1" : "");
}

static void print_tokenizer(const model_facts *facts) {
    const lm_tokenizer *tokenizer = facts->tokenizer;
    if (!tokenizer) {
        printf("tokenizer     none: %s\n", facts->tokenizer_error);
        return;
    }
    printf("tokenizer     %s, %d tokens, bos %d%s, eos", lm_tokenizer_kind(tokenizer),
           lm_tokenizer_vocab_size(tokenizer), lm_tokenizer_bos(tokenizer),
           lm_tokenizer_adds_bos(tokenizer) ? " (added)" : "");
    for (size_t i = 0; i < lm_tokenizer_n_eos(tokenizer); i++)
        printf(" %d", lm_tokenizer_eos_at(tokenizer, i));
    printf("%s\n", lm_tokenizer_chat_template(tokenizer).len ? ", with a chat template" : "");
}

static void print_tensors(const lm_model_file *file) {
    putchar('\n');
    for (size_t i = 0; i < lm_model_file_n_tensors(file); i++) {
        const lm_stored_tensor *tensor = lm_model_file_tensor_at(file, i);
        char shape[LM_SHAPE_TEXT_BYTES], size[32];
        printf("%-40s %-6s %-20s %s\n", tensor->name, tensor->type->name,
               lm_stored_shape_text(tensor->n_dims, tensor->shape, shape),
               lm_size_text((double)tensor->size_bytes, size));
    }
}

static void print_text(const model_facts *facts, bool with_tensors) {
    const lm_hparams *h = facts->hparams;
    char weights[32], per_token[32];
    printf("model         %s\n", lm_model_file_path(facts->file));
    const char *quantization = lm_model_file_quantization(facts->file);
    printf("format        %s%s%s\n",
           lm_model_file_format(facts->file) == LM_FORMAT_GGUF ? "GGUF" : "Hugging Face folder",
           quantization ? ", quantized by " : "", quantization ? quantization : "");
    printf("architecture  %s\n", h->architecture);
    printf("parameters    %lld\n", (long long)facts->size.n_params);
    print_types(facts->types);
    print_hparams(h);
    print_pooling(&facts->pooling);
    print_tokenizer(facts);
    printf("weights       %s, %s of f16 cache a token\n",
           lm_size_text((double)facts->size.size_bytes, weights),
           lm_size_text((double)facts->kv_bytes_per_token, per_token));
    if (facts->memory)
        lm_show_memory_print(facts->memory);
    else
        printf("memory        unknown: %s\n", facts->memory_error);
    if (facts->cloud) lm_show_cloud_print(facts->cloud);
    if (with_tensors) print_tensors(facts->file);
}

/* ------------------------------------------------------------------------------------------------- command */

static json_t *count_types(const lm_model_file *file) {
    json_t *types = json_object();
    for (size_t i = 0; i < lm_model_file_n_tensors(file); i++) {
        const char *name = lm_model_file_tensor_at(file, i)->type->name;
        json_object_set_new(types, name,
                            json_integer(json_integer_value(json_object_get(types, name)) + 1));
    }
    return types;
}

/* None where the file does not say enough: what is wrong then shows when the model is opened. */
static lm_pooling pooling_of(const lm_model_file *file) {
    const lm_arch *arch = lm_arch_find(lm_model_file_hparams(file)->architecture);
    const char *path = lm_model_file_path(file);
    lm_arch_config config;
    lm_pooling pooling = {0};
    if (!arch) return pooling;
    lm_model_weights_describe(file, arch, &config);
    if (lm_pooling_read(path, path, file, &config, &pooling, NULL) != LOAM_OK)
        return (lm_pooling){0};
    return pooling;
}

/* NULL: there is none to ask, or nothing to ask about. */
static json_t *cloud_of(const show_settings *settings, const json_t *memory) {
    bool asked = settings->url && settings->url[0] && !settings->offline && memory;
    return asked ? lm_show_cloud(settings->url, settings->key, memory) : NULL;
}

static void show(const show_settings *settings, const lm_model_file *file, const json_t *memory,
                 const loam_error *memory_error) {
    loam_error no_tokenizer = {0};
    lm_tokenizer *tokenizer = NULL;
    const lm_gguf *gguf = lm_model_file_gguf(file);
    loam_status status =
        gguf ? lm_tokenizer_open_gguf(gguf, &tokenizer, &no_tokenizer)
             : lm_tokenizer_open(lm_model_file_path(file), &tokenizer, &no_tokenizer);
    const lm_hparams *h = lm_model_file_hparams(file);
    lm_kv_options kv = lm_kv_options_of(h, LM_F16, 0);
    model_facts facts = {
        .file = file,
        .hparams = h,
        .pooling = pooling_of(file),
        .tokenizer = status == LOAM_OK ? tokenizer : NULL,
        .tokenizer_error = no_tokenizer.message,
        .size = lm_model_file_size(file),
        .types = count_types(file),
        .kv_bytes_per_token = (int64_t)(lm_kv_block_bytes(&kv) / LM_KV_BLOCK_TOKENS),
        .memory = memory,
        .memory_error = memory_error->message,
        .cloud = cloud_of(settings, memory),
    };
    if (settings->json) {
        print_json(&facts, settings->tensors);
    } else {
        print_text(&facts, settings->tensors);
    }
    json_decref(facts.types);
    json_decref((json_t *)facts.cloud);
    lm_tokenizer_free(tokenizer);
}

/* Opens the model as running it would, and reads every weight. */
static loam_status check(const char *path, loam_error *err) {
    lm_device *device;
    lm_model *model = NULL;
    LM_TRY(lm_backend_cpu.open(&(lm_device_options){0}, &device, err));
    loam_status status = lm_model_open(
        path, device, &(lm_model_options){.no_pack = true, .check_weights = true}, &model, err);
    lm_model_free(model);
    lm_device_close(device);
    return status;
}

static int run_show(const void *settings_, int n_args, char **args) {
    const show_settings *settings = settings_;
    loam_error err = {0}, memory_error = {0};
    lm_model_file *file = NULL;
    json_t *memory = NULL;
    lm_show_memory_options options = {.context = settings->context,
                                      .batch = settings->batch,
                                      .threads = settings->threads,
                                      .kv_dtype = settings->kv_dtype,
                                      .memory = settings->memory};
    if (lm_show_memory_check(&options, &err) != LOAM_OK) return lm_cli_fail(&err);
    if (lm_show_memory(args[0], &options, &memory, &memory_error) != LOAM_OK) memory = NULL;
    loam_status status = lm_model_file_open(args[0], &file, &err);
    if (status == LOAM_OK) show(settings, file, memory, &memory_error);
    lm_model_file_close(file);
    json_decref(memory);
    if (status != LOAM_OK) return lm_cli_fail(&err);
    if (!settings->check) return LM_EXIT_OK;
    if (check(args[0], &err) != LOAM_OK) return lm_cli_fail(&err);
    if (!settings->json)
        printf("checked       every tensor has its place and shape, and all weights are finite\n");
    return LM_EXIT_OK;
}

static const show_settings defaults = {.batch = 1, .kv_dtype = LM_CLI_KV_DTYPE};

static const lm_option option_table[] = {
    {.name = "tensors",
     .type = LM_OPT_FLAG,
     .help = "list every tensor with its type, shape and size",
     .offset = LM_OPTION_AT(show_settings, tensors)},
    {.name = "check",
     .type = LM_OPT_FLAG,
     .help = "also read all weights: exit with 1 on NaN, infinity or a wrong shape",
     .offset = LM_OPTION_AT(show_settings, check)},
    {.name = "context",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = LM_OPTION_AT(show_settings, context),
     .max = 1e9,
     .help = "tokens of a sequence to tell the memory for (default 4096, or the model's)"},
    {.name = "batch",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = LM_OPTION_AT(show_settings, batch),
     .min = 1,
     .max = 1e6,
     .help = "sequences at once to tell the memory for (default 1)"},
    {.name = "memory",
     .type = LM_OPT_STRING,
     .arg = "SIZE",
     .offset = LM_OPTION_AT(show_settings, memory),
     .help = "of a machine on which it might run, such as 24GiB (default: what is free here)"},
    {.name = "url",
     .type = LM_OPT_STRING,
     .arg = "URL",
     .env = "LOAM_URL",
     .offset = LM_OPTION_AT(show_settings, url),
     .help = "address of a cloud, whose nodes are told as well (default: none is asked)"},
    {.name = "key",
     .type = LM_OPT_STRING,
     .arg = "KEY",
     .env = "LOAM_API_KEY",
     .offset = LM_OPTION_AT(show_settings, key),
     .help = "API key for it"},
    {.name = "offline",
     .type = LM_OPT_FLAG,
     .offset = LM_OPTION_AT(show_settings, offline),
     .help = "ask nobody, whatever LOAM_URL says"},
    LM_CLI_KV_DTYPE_OPTION(show_settings),
    LM_CLI_THREADS_OPTION(show_settings),
    {.name = "json",
     .type = LM_OPT_FLAG,
     .help = "print a JSON object",
     .offset = LM_OPTION_AT(show_settings, json)},
    LM_OPTIONS_END,
};

const lm_command lm_cmd_show = {
    .name = "show",
    .summary = "show a model's architecture, sizes, types, tokenizer and memory",
    .usage = "<model>",
    .description = "The model is a GGUF file or a Hugging Face folder. Its files are checked "
                   "whole, but without "
                   "--check no weights are read. The memory is what loam serve takes with its "
                   "weights packed and "
                   "all sequences at full length, every part from the code that will take it.",
    .examples = "loam show model.gguf --tensors\n"
                "    what is in a file, tensor by tensor\n"
                "loam show Qwen/Qwen3-8B --context 8192 --batch 16 --memory 24GiB\n"
                "    whether it would fit another machine\n"
                "loam show model.gguf --url http://cloud:8080\n"
                "    and on which nodes of a cloud\n",
    .options = option_table,
    .min_args = 1,
    .max_args = 1,
    .model_arg = 1,
    .settings_bytes = sizeof(show_settings),
    .defaults = &defaults,
    .run = run_show,
};
