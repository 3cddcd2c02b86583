/* loam embed: texts to vectors, or how well documents answer a query. */
#include <stdio.h>

#include "backend/cpu/cpu.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/model_arg.h"
#include "cli/text_io.h"
#include "model/embedder.h"

typedef struct embed_settings {
    const char *query;
    int64_t dimensions, context, threads;
    bool json;
    lm_cli_pack pack;
} embed_settings;

enum { MAX_INPUT_BYTES = 1 << 30, WINDOW = 64 /* texts that are computed together */ };

typedef struct embedding {
    const embed_settings *settings;
    lm_embedder *embedder;
    int64_t n_numbers; /* of a text, to be printed */
    size_t n_printed;
    /* the window */
    lm_vec_i32 tokens[WINDOW];
    lm_embed_text texts[WINDOW];
    float *vectors; /* [WINDOW, width] */
} embedding;

static void print_number(float value, const char *before) {
    printf("%s%.9g", before, (double)value);
}

static void print_one(const embedding *e, const lm_embed_text *text) {
    bool json = e->settings->json, ranks = e->settings->query != NULL;
    if (json)
        printf("{\"index\": %zu, \"n_tokens\": %lld, \"%s\": %s", e->n_printed,
               (long long)text->n_tokens, ranks ? "relevance_score" : "embedding",
               ranks ? "" : "[");
    for (int64_t i = 0; i < e->n_numbers; i++)
        print_number(text->out[i], i == 0 ? "" : json ? ", " : " ");
    puts(json ? ranks ? "}" : "]}" : "");
}

static loam_status encode(embedding *e, size_t i, lm_str line, loam_error *err) {
    const lm_model *model = lm_embedder_model(e->embedder);
    const char *query = e->settings->query;
    int64_t second_begin = INT64_MAX, max = lm_embedder_max_tokens(e->embedder);
    e->tokens[i].len = 0;
    if (query)
        LM_TRY(
            lm_embed_encode_pair(model, lm_str_of(query), line, &e->tokens[i], &second_begin, err));
    else
        LM_TRY(lm_embed_encode(model, line, &e->tokens[i], err));
    int64_t n = (int64_t)e->tokens[i].len;
    if (n == 0 || n > max)
        return lm_error_set(err, LOAM_INVALID,
                            "text %zu has %lld tokens; the model takes 1 to %lld", e->n_printed + i,
                            (long long)n, (long long)max);
    e->texts[i] = (lm_embed_text){.tokens = e->tokens[i].ptr,
                                  .n_tokens = n,
                                  .second_begin = second_begin,
                                  .out = e->vectors + i * lm_embedder_width(e->embedder)};
    return LOAM_OK;
}

static loam_status embed_window(embedding *e, const lm_str *lines, size_t n, loam_error *err) {
    lm_embed_text *list[WINDOW];
    const lm_pooling *pooling = lm_model_pooling(lm_embedder_model(e->embedder));
    for (size_t i = 0; i < n; i++) {
        LM_TRY(encode(e, i, lines[i], err));
        list[i] = &e->texts[i];
    }
    LM_TRY(lm_embedder_run(e->embedder, list, n, err));
    for (size_t i = 0; i < n; i++, e->n_printed++) {
        lm_pooling_finish(pooling, list[i]->out, e->n_numbers);
        print_one(e, list[i]);
    }
    return LOAM_OK;
}

/* Every argument is a text; without one, every line of standard input that is not empty. */
static loam_status embed_texts(embedding *e, int n_args, char **args, loam_error *err) {
    lm_buf input;
    lm_str rest, window[WINDOW];
    size_t n = 0;
    loam_status status = LOAM_OK;
    lm_buf_init(&input, MAX_INPUT_BYTES);
    for (int i = 0; i < n_args && status == LOAM_OK; i++) {
        window[n++] = lm_str_of(args[i]);
        if (n < WINDOW && i + 1 < n_args) continue;
        status = embed_window(e, window, n, err);
        n = 0;
    }
    if (n_args == 0) status = lm_cli_text("-", &input, &rest, err);
    while (n_args == 0 && status == LOAM_OK && rest.len > 0) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.ptr) : rest.len, step = len + (end != NULL);
        if (len > 0) window[n++] = (lm_str){rest.ptr, len};
        rest = (lm_str){rest.ptr + step, rest.len - step};
        if (n == 0 || (n < WINDOW && rest.len > 0)) continue;
        status = embed_window(e, window, n, err);
        n = 0;
    }
    lm_buf_deinit(&input);
    return status;
}

static loam_status check(const embedding *e, loam_error *err) {
    const lm_model *model = lm_embedder_model(e->embedder);
    bool ranks = lm_model_pooling(model)->ranks;
    int64_t width = lm_embedder_width(e->embedder);
    if (!lm_model_tokenizer(model))
        return lm_error_set(err, LOAM_UNSUPPORTED, "the model came without a tokenizer");
    if (ranks && !e->settings->query) {
        lm_error_set(err, LOAM_INVALID, "this model gives no vectors, it scores texts");
        return lm_error_hint(err, LOAM_INVALID, "say for what: --query TEXT");
    }
    if (!ranks && e->settings->query)
        return lm_error_set(err, LOAM_INVALID, "this model gives vectors and scores nothing");
    if (e->settings->dimensions <= width) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID, "--dimensions is %lld; the model's vectors have %lld",
                        (long long)e->settings->dimensions, (long long)width);
}

static loam_status embed(const embed_settings *s, const lm_model *model, int n_args, char **args,
                         loam_error *err) {
    lm_session_options options = {.max_context = s->context, .max_seqs = WINDOW};
    embedding *e = lm_calloc(1, sizeof *e);
    if (!e) return lm_error_no_memory(err, sizeof *e);
    e->settings = s;
    loam_status status = lm_embedder_new(model, &options, &e->embedder, err);
    if (status == LOAM_OK) status = check(e, err);
    if (status == LOAM_OK) {
        int64_t width = lm_embedder_width(e->embedder);
        e->n_numbers = s->dimensions > 0 ? s->dimensions : width;
        e->vectors = lm_calloc((size_t)(WINDOW * width), sizeof *e->vectors);
        status = e->vectors ? embed_texts(e, n_args, args, err) : lm_error_no_memory(err, WINDOW);
    }
    lm_embedder_free(e->embedder);
    for (int i = 0; i < WINDOW; i++) lm_vec_deinit(&e->tokens[i]);
    lm_free(e->vectors);
    lm_free(e);
    return status;
}

static int run_embed(const void *settings_, int n_args, char **args) {
    const embed_settings *settings = settings_;
    loam_error err = {0};
    lm_device *device = NULL;
    lm_model *model = NULL;
    lm_device_options options = {.n_threads = (int)settings->threads};
    loam_status status = lm_backend_cpu.open(&options, &device, &err);
    if (status == LOAM_OK)
        status = lm_cli_model_open(args[0], device, &settings->pack, &model, &err);
    if (status == LOAM_OK) status = embed(settings, model, n_args - 1, args + 1, &err);
    lm_model_free(model);
    lm_device_close(device);
    return status == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

#define AT(field) LM_OPTION_AT(embed_settings, field)
static const lm_option options[] = {
    {.name = "query",
     .short_name = 'q',
     .type = LM_OPT_STRING,
     .arg = "TEXT",
     .offset = AT(query),
     .help = "score how well each text answers this one, with a model that reranks"},
    {.name = "dimensions",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(dimensions),
     .min = 1,
     .max = 1 << 20,
     .help = "only the first N numbers of each vector (default: all)"},
    {.name = "context",
     .type = LM_OPT_INT,
     .arg = "N",
     .offset = AT(context),
     .max = 1e9,
     .help = "tokens that a text may have (default: the model's)"},
    LM_CLI_THREADS_OPTION(embed_settings),
    {.name = "json",
     .type = LM_OPT_FLAG,
     .offset = AT(json),
     .help = "print a JSON object for each text"},
    LM_CLI_PACK_OPTIONS(embed_settings, pack),
    LM_OPTIONS_END,
};

const lm_command lm_cmd_embed = {
    .name = "embed",
    .summary = "turn texts into vectors, or score them for a query",
    .usage = "<model> [text...]",
    .description =
        "The model is one made for embeddings or for reranking, a GGUF file or a Hugging "
        "Face folder. Each argument is a text; without one, each line of standard input. "
        "A line of numbers is printed for each. What a text gives does not depend on the "
        "others.",
    .examples = "loam embed bge-small 'a text' 'another'\n"
                "    print two vectors\n"
                "loam embed qwen3-embedding --dimensions 256 --json < texts.txt\n"
                "    print a JSON object for each line, of shorter vectors\n"
                "loam embed bge-reranker --query 'What is loam?' < documents.txt\n"
                "    print a score from 0 to 1 for each line\n",
    .options = options,
    .min_args = 1,
    .max_args = -1,
    .model_arg = 1,
    .settings_bytes = sizeof(embed_settings),
    .defaults = &(embed_settings){.pack = LM_CLI_PACK_DEFAULTS},
    .run = run_embed,
};
