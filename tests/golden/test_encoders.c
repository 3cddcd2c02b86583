/* Vectors and scores against transformers' and sentence-transformers': every model of encoders.py, as folder and as GGUF file.
 * A text must give the same bits alone, on one thread and in plain C, and beside others, on two threads and with the best
 * instructions there are. `test_encoders --table` prints the rows for
 * docs/models.md. */
#include "golden/golden.h"

#include "golden/cases.h"
#include "model/convert.h"
#include "model/embedder.h"

enum { N_TEXTS = 4, MAX_TOKENS = 96, N_VOCAB = 48, MAX_WIDTH = 64 };

static const int64_t lengths[N_TEXTS] = {1, 9, 70, 96};

typedef struct corpus {
    int32_t tokens[N_TEXTS][MAX_TOKENS];
    float out[N_TEXTS][MAX_WIDTH];
    lm_embed_text texts[N_TEXTS];
} corpus;

static void fill(corpus *c) {
    for (int t = 0; t < N_TEXTS; t++) {
        for (int i = 0; i < lengths[t]; i++)
            c->tokens[t][i] = (7 * i * (t + 1) + 3 * t + 5) % (N_VOCAB - 3) + 3;
        c->texts[t] = (lm_embed_text){.tokens = c->tokens[t],
                                      .n_tokens = lengths[t],
                                      .second_begin = lengths[t],
                                      .out = c->out[t]};
    }
}

/* ranks: texts are pairs, cut in the middle. */
static void run(lm_embedder *embedder, corpus *c, int first, int n, bool ranks) {
    lm_embed_text *list[N_TEXTS];
    for (int t = 0; t < n; t++) {
        list[t] = &c->texts[first + t];
        if (ranks) list[t]->second_begin = list[t]->n_tokens / 2;
    }
    assert_ok(lm_embedder_run(embedder, list, n, &err));
}

static void finish(const lm_model *model, corpus *c, int64_t width) {
    for (int t = 0; t < N_TEXTS; t++) lm_pooling_finish(lm_model_pooling(model), c->out[t], width);
}

static golden_model open_scalar(const char *path) {
    golden_model g;
    lm_device_options options = {.n_threads = 1, .isa = "scalar"};
    assert_ok(lm_backend_cpu.open(&options, &g.device, &err));
    assert_ok(lm_model_open(path, g.device, NULL, &g.model, &err));
    return g;
}

/* The largest difference from what is expected. */
static double check(const char *path, const char *expected_path) {
    static corpus alone, together;
    char *bytes;
    size_t size;
    lm_embedder *one, *two;
    double worst = 0;
    golden_model first = open_scalar(path), second = golden_open(path, 2);
    bool ranks = lm_model_pooling(first.model)->ranks;
    assert_ok(lm_embedder_new(first.model, &(lm_session_options){.max_context = 96}, &one, &err));
    assert_ok(lm_embedder_new(
        second.model, &(lm_session_options){.max_rows = 50, .max_context = 96}, &two, &err));
    int64_t width = lm_embedder_width(one);
    assert_in_range(width, 1, MAX_WIDTH);
    assert_ok(lm_file_read(expected_path, 1 << 20, &bytes, &size, &err));
    assert_int_equal(size, N_TEXTS * width * sizeof(float));
    fill(&alone);
    fill(&together);
    for (int t = 0; t < N_TEXTS; t++) run(one, &alone, t, 1, ranks);
    run(two, &together, 0, N_TEXTS, ranks);
    finish(first.model, &alone, width);
    finish(second.model, &together, width);
    for (int t = 0; t < N_TEXTS; t++) {
        assert_memory_equal(alone.out[t], together.out[t], width * sizeof(float));
        assert_int_equal(alone.texts[t].flops, together.texts[t].flops);
        for (int64_t i = 0; i < width; i++) {
            double delta = fabs((double)alone.out[t][i] - ((const float *)bytes)[t * width + i]);
            if (!(delta <= worst)) worst = delta; /* NaN too, which then fails */
        }
    }
    lm_free(bytes);
    lm_embedder_free(one);
    lm_embedder_free(two);
    golden_close(&first);
    golden_close(&second);
    return worst;
}

/* GGUF says neither BERT's other activations nor dense modules with biases, nor narrower embeddings, nor tasks. */
static bool is_unsaid(const char *path) {
    return strstr(path, "/bert-plain") || strstr(path, "/bert-dense") ||
           strstr(path, "/t5-dense") || strstr(path, "/electra") || strstr(path, "/ernie-tasks");
}

static void convert(const char *from, const char *to, bool to_folder, loam_status expected) {
    lm_convert_result result;
    golden_model g = golden_open_with(from, 1, &(lm_model_options){.no_pack = true});
    bool by_words = strstr(from, "qwen3-reranker"); /* what its vocabulary is made of */
    lm_convert_options options = {.to_folder = to_folder, .no_tokenizer = by_words};
    assert_status(expected, lm_convert(g.model, to, &options, &result, &err));
    golden_close(&g);
}

/* What is made of a model in the other format, and of that in its own. */
static double check_converted(const char *path, const char *expected) {
    char *dir = test_temp_dir(), *gguf = lm_path_join(dir, "m.gguf"),
         *folder = lm_path_join(dir, "folder");
    bool was_folder = lm_file_is_dir(path),
         unsaid = golden_is_read_only(path) || (was_folder && is_unsaid(path));
    const char *there = was_folder ? gguf : folder, *back = was_folder ? folder : gguf;
    double worst = 0;
    convert(path, there, !was_folder, unsaid ? LOAM_UNSUPPORTED : LOAM_OK);
    if (!unsaid) {
        worst = check(there, expected);
        convert(there, back, was_folder, LOAM_OK);
        worst = fmax(worst, check(back, expected));
    }
    assert_ok(lm_file_remove_tree(dir, &err));
    char *const texts[] = {dir, gguf, folder};
    for (size_t i = 0; i < LM_COUNT_OF(texts); i++) lm_free(texts[i]);
    return worst;
}

int main(int argc, char **argv) {
    const golden_cases read = {"encoders", LM_ENCODERS_DIR, "expected", check};
    const golden_cases converted = {"encoders converted", LM_ENCODERS_DIR, "expected",
                                    check_converted};
    int status = golden_cases_run(&read, argc, argv);
    return argc > 1 ? status : status | golden_cases_run(&converted, argc, argv);
}
