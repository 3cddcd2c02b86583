#include "model/pooling.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/hf_folder.h"
#include "model/param_source.h"

enum { README_MAX_BYTES = 1 << 20 };

/* How the two formats say a kind: sentence-transformers' old flag and its newer name, GGUF's number. */
static const struct {
    lm_pooling_kind kind;
    const char *name, *flag;
    int64_t gguf;
} kinds[] = {
    {LM_POOLING_MEAN, "mean", "pooling_mode_mean_tokens", 1},
    {LM_POOLING_CLS, "cls", "pooling_mode_cls_token", 2},
    {LM_POOLING_LAST, "lasttoken", "pooling_mode_lasttoken", 3},
    {LM_POOLING_MAX, "max", "pooling_mode_max_tokens", -1},
};

const char *lm_pooling_name(lm_pooling_kind kind) {
    for (size_t i = 0; i < LM_COUNT_OF(kinds); i++)
        if (kinds[i].kind == kind) return kinds[i].name;
    return "none";
}

/* --- Folders. */

static loam_status unsupported(const char *path, const char *what, loam_error *err) {
    lm_error_set(err, LOAM_UNSUPPORTED, "%s: %s is not supported", path, what);
    return lm_error_hint(
        err, LOAM_UNSUPPORTED,
        "loam knows one pooling (mean, cls, lasttoken or max), Dense and Normalize");
}

static loam_status read_kind(const json_t *config, const char *path, lm_pooling *out,
                             loam_error *err) {
    const char *name = json_string_value(json_object_get(config, "pooling_mode"));
    int n = 0;
    for (size_t i = 0; i < LM_COUNT_OF(kinds); i++) {
        bool said = json_is_true(json_object_get(config, kinds[i].flag)) ||
                    (name && strcmp(name, kinds[i].name) == 0);
        if (said) out->kind = kinds[i].kind;
        n += said;
    }
    return n == 1 ? LOAM_OK : unsupported(path, "its kind of pooling", err);
}

/* A module's folder, which is inside the model's. */
static bool is_inside(lm_str module) {
    return module.len > 0 && module.ptr[0] != '/' && !strstr(module.ptr, "..");
}

static loam_status read_pooling_module(const char *dir, lm_str module, lm_pooling *out,
                                       loam_error *err) {
    bool leaves = !is_inside(module);
    char *name = leaves ? NULL : lm_asprintf("%s/config.json", module.ptr);
    json_t *config = NULL;
    if (leaves) return unsupported(dir, "a pooling module without a folder", err);
    if (!name) return lm_error_no_memory(err, module.len);
    loam_status status = lm_hf_folder_read_json(dir, name, &config, err);
    if (status == LOAM_OK) status = read_kind(config, name, out, err);
    json_decref(config);
    lm_free(name);
    return status;
}

/* A sentence-transformers folder: a transformer, a pooling, maybe dense layers and Normalize. */
static loam_status read_modules(const char *dir, const json_t *modules, int64_t dim,
                                lm_pooling *out, loam_error *err) {
    for (size_t i = 0; i < json_array_size(modules); i++) {
        const json_t *module = json_array_get(modules, i);
        lm_str type, path;
        LM_TRY(lm_json_str(module, "modules.json", "type", &type, err));
        LM_TRY(lm_json_str_or(module, "modules.json", "path", LM_STR(""), &path, err));
        if (lm_str_ends(type, LM_STR("Pooling")))
            LM_TRY(read_pooling_module(dir, path, out, err));
        else if (lm_str_ends(type, LM_STR("Normalize")))
            out->normalize = true;
        else if (lm_str_ends(type, LM_STR("Dense")) && is_inside(path))
            LM_TRY(lm_dense_read_module(dir, path, dim, &out->dense, err));
        else if (!lm_str_ends(type, LM_STR("Transformer")))
            return unsupported("modules.json", type.ptr, err);
    }
    return LOAM_OK;
}

/* Some say it as the transformer's, some leave it to the tokenizer. */
static loam_status read_max_tokens(const char *dir, lm_pooling *out, loam_error *err) {
    static const char name[] = "sentence_bert_config.json";
    json_t *config = NULL;
    LM_TRY(lm_hf_folder_read_json(dir, name, &config, err));
    bool said = json_is_integer(json_object_get(config, "max_seq_length"));
    loam_status status =
        said ? lm_json_i64(config, name, "max_seq_length", &out->max_tokens, err) : LOAM_OK;
    json_decref(config);
    if (status == LOAM_OK && out->max_tokens < said)
        status = lm_error_set(err, LOAM_INVALID, "%s: 'max_seq_length' is %lld", name,
                              (long long)out->max_tokens);
    return status;
}

static bool has_text(const char *where, const char *what) {
    for (size_t n = strlen(what); *where; where++)
        if (strncasecmp(where, what, n) == 0) return true;
    return false;
}

/* Qwen3-Reranker's folders are those of a decoder that writes; only their name and what is written about them tell. */
static bool is_qwen3_reranker(const char *dir, const char *name, const lm_arch_config *config) {
    char *text = NULL;
    size_t size;
    if (strcmp(config->arch->hf_type, "qwen3") != 0) return false;
    bool found = has_text(name, "qwen3-reranker");
    char *path = lm_path_join(dir, "README.md");
    if (!found && path && lm_file_read(path, README_MAX_BYTES, &text, &size, NULL) == LOAM_OK)
        found = memchr(text, '\0', size) == NULL && has_text(text, "# qwen3-reranker");
    lm_free(text);
    lm_free(path);
    return found;
}

static loam_status read_folder(const char *dir, const char *name, const lm_arch_config *config,
                               lm_pooling *out, loam_error *err) {
    json_t *modules = NULL;
    LM_TRY(lm_hf_folder_read_json(dir, "modules.json", &modules, err));
    loam_status status = LOAM_OK;
    if (modules) {
        status = read_modules(dir, modules, config->hparams.dim, out, err);
        if (status == LOAM_OK) status = read_max_tokens(dir, out, err);
    } else if (is_qwen3_reranker(dir, name, config)) {
        *out = (lm_pooling){.kind = LM_POOLING_LAST, .ranks = true, .by_answer = true};
    }
    json_decref(modules);
    return status;
}

/* --- GGUF files, and both. */

enum { GGUF_NONE = 0, GGUF_MEAN = 1, GGUF_CLS = 2, GGUF_RANK = 4 };

static loam_status read_gguf(const lm_gguf *gguf, const lm_arch_config *config, lm_pooling *out,
                             loam_error *err) {
    char key[LM_ARCHITECTURE_BYTES + 32], normalize_key[LM_ARCHITECTURE_BYTES + 32];
    int64_t type;
    snprintf(key, sizeof key, "%s.pooling_type", config->hparams.architecture);
    LM_TRY(lm_gguf_i64_or(gguf, key, GGUF_NONE, &type, err));
    if (type == GGUF_NONE || type == GGUF_RANK) return LOAM_OK;
    for (size_t i = 0; i < LM_COUNT_OF(kinds); i++)
        if (kinds[i].gguf == type) out->kind = kinds[i].kind;
    snprintf(normalize_key, sizeof normalize_key, "%s.pooling_normalize",
             config->hparams.architecture);
    LM_TRY(lm_gguf_bool_or(gguf, normalize_key, true, &out->normalize, err));
    if (out->kind != LM_POOLING_NONE) return LOAM_OK;
    return lm_error_set(err, LOAM_UNSUPPORTED, "%s: '%s' is %lld", lm_gguf_path(gguf), key,
                        (long long)type);
}

/* One score a text; of a decoder also two, for "yes" and "no". */
static loam_status check_classifier(const lm_arch_config *config, loam_error *err) {
    const lm_hparams *hp = &config->hparams;
    if (strcmp(config->arch->hf_type, "llama_bidirec") == 0)
        return lm_error_set(err, LOAM_UNSUPPORTED, "a classifier of a llama_bidirec model");
    if (hp->n_labels == 1 || (hp->n_labels == 2 && !hp->bidirectional)) return LOAM_OK;
    lm_error_set(err, LOAM_UNSUPPORTED, "a classifier of %lld labels", (long long)hp->n_labels);
    return lm_error_hint(err, LOAM_UNSUPPORTED, "loam runs those that rerank: of one score");
}

static const lm_stored_tensor *tensor_of(const lm_model_file *file, const lm_arch_config *config,
                                         lm_param_id id) {
    lm_param_source source;
    bool found = lm_param_in(config, id) && lm_param_source_find(file, config, id, 0, &source);
    return found ? source.tensor : NULL;
}

/* A classifier that reads the mean of all rows is applied to that. */
static loam_status read_scorer(const lm_model_file *file, const lm_arch_config *config,
                               lm_dense **inout, loam_error *err) {
    int64_t dim = config->hparams.dim;
    bool gelu = strcmp(lm_arch_pooler_act(config->arch), "gelu") == 0;
    const lm_dense_parts pooler = {.w = tensor_of(file, config, LM_PARAM_POOLER),
                                   .bias = tensor_of(file, config, LM_PARAM_POOLER_BIAS),
                                   .norm = tensor_of(file, config, LM_PARAM_POOLER_NORM),
                                   .act = gelu ? LM_DENSE_GELU : LM_DENSE_TANH,
                                   .eps = config->hparams.rms_norm_eps},
                         scores = {.w = tensor_of(file, config, LM_PARAM_CLASSIFIER),
                                   .bias = tensor_of(file, config, LM_PARAM_CLASSIFIER_BIAS)};
    if (lm_arch_has(config, LM_FEATURE_POOLER)) LM_TRY(lm_dense_append(&pooler, dim, inout, err));
    return lm_dense_append(&scores, dim, inout, err);
}

static loam_status read_any(const char *path, const char *name, const lm_model_file *file,
                            const lm_arch_config *config, lm_pooling *inout, loam_error *err) {
    const lm_gguf *gguf = lm_model_file_gguf(file);
    bool encoder = config->hparams.bidirectional;
    int64_t dim = config->hparams.dim;
    if (lm_arch_has(config, LM_FEATURE_CLASSIFIER)) {
        LM_TRY(check_classifier(config, err));
        bool mean = encoder && config->hparams.scores_mean;
        *inout = (lm_pooling){.kind = mean      ? LM_POOLING_MEAN
                                      : encoder ? LM_POOLING_CLS
                                                : LM_POOLING_LAST,
                              .ranks = true};
        if (mean) LM_TRY(read_scorer(file, config, &inout->scorer, err));
    } else if (gguf) {
        LM_TRY(read_gguf(gguf, config, inout, err));
        LM_TRY(lm_dense_read_tensors(lm_gguf_tensors(gguf), dim, &inout->dense, err));
    } else {
        LM_TRY(read_folder(path, name, config, inout, err));
    }
    if (inout->kind == LM_POOLING_NONE && encoder) {
        inout->kind = LM_POOLING_MEAN;
        inout->normalize = true;
    }
    if (encoder || lm_dense_width(inout->dense, dim) >= dim) return LOAM_OK;
    return lm_error_set(err, LOAM_UNSUPPORTED, "dense modules that give %lld numbers of %lld",
                        (long long)lm_dense_width(inout->dense, dim), (long long)dim);
}

loam_status lm_pooling_read(const char *path, const char *name, const lm_model_file *file,
                            const lm_arch_config *config, lm_pooling *out, loam_error *err) {
    lm_pooling pooling = {0};
    loam_status status = read_any(path, name, file, config, &pooling, err);
    if (status == LOAM_OK)
        *out = pooling;
    else
        lm_pooling_deinit(&pooling);
    return status;
}

void lm_pooling_deinit(lm_pooling *pooling) {
    lm_dense_free(pooling->dense);
    lm_dense_free(pooling->scorer);
    *pooling = (lm_pooling){0};
}

/* --- Writing. */

static int64_t gguf_type_of(const lm_pooling *pooling) {
    if (pooling->ranks) return GGUF_RANK;
    for (size_t i = 0; i < LM_COUNT_OF(kinds); i++)
        if (kinds[i].kind == pooling->kind) return kinds[i].gguf;
    return GGUF_NONE;
}

/* Those that GGUF has tensors for. */
static bool is_sayable(const lm_dense *dense, const lm_arch_config *config) {
    int n = lm_dense_count(dense);
    bool plain = n == 0 || (n <= 2 && strcmp(config->arch->name, "gemma-embedding") == 0);
    for (int i = 0; i < n; i++)
        plain &= !lm_dense_at(dense, i)->bias && lm_dense_at(dense, i)->act == LM_DENSE_LINEAR;
    return plain;
}

loam_status lm_pooling_check_gguf(const lm_pooling *pooling, const lm_arch_config *config,
                                  loam_error *err) {
    if (!is_sayable(pooling->dense, config))
        return lm_error_set(err, LOAM_UNSUPPORTED, "GGUF cannot say this model's dense modules");
    if (gguf_type_of(pooling) >= 0) return LOAM_OK;
    return lm_error_set(err, LOAM_UNSUPPORTED, "GGUF cannot say that pooling is '%s'",
                        lm_pooling_name(pooling->kind));
}

static void write_answers(const lm_arch_config *config, lm_gguf_writer *writer) {
    char key[LM_ARCHITECTURE_BYTES + 32];
    snprintf(key, sizeof key, "%s.classifier.output_labels", config->arch->name);
    lm_gguf_writer_open_array(writer, key, LM_GGUF_STRING, 2);
    lm_gguf_writer_push_str(writer, LM_STR("yes"));
    lm_gguf_writer_push_str(writer, LM_STR("no"));
}

/* llama.cpp leaves it to the caller whether vectors have length 1, so that its files do not say it. */
void lm_pooling_write_gguf(const lm_pooling *pooling, const lm_arch_config *config,
                           lm_gguf_writer *writer) {
    char key[LM_ARCHITECTURE_BYTES + 32];
    if (pooling->kind == LM_POOLING_NONE) return;
    snprintf(key, sizeof key, "%s.pooling_type", config->arch->name);
    lm_gguf_writer_add_u32(writer, key, (uint32_t)gguf_type_of(pooling));
    snprintf(key, sizeof key, "%s.classifier.pooling_type", config->arch->name);
    if (pooling->ranks && config->arch->pooler_normed)
        lm_gguf_writer_add_u32(writer, key, pooling->scorer ? GGUF_MEAN : GGUF_CLS);
    snprintf(key, sizeof key, "%s.pooling_normalize", config->arch->name);
    if (!pooling->ranks && !pooling->normalize) lm_gguf_writer_add_bool(writer, key, false);
    if (pooling->by_answer) write_answers(config, writer);
    for (int i = 0; i < lm_dense_count(pooling->dense); i++) {
        const lm_dense_layer *layer = lm_dense_at(pooling->dense, i);
        snprintf(key, sizeof key, "%s.dense_%d_feat_in", config->arch->name, i + 2);
        lm_gguf_writer_add_u32(writer, key, (uint32_t)layer->n_in);
        snprintf(key, sizeof key, "%s.dense_%d_feat_out", config->arch->name, i + 2);
        lm_gguf_writer_add_u32(writer, key, (uint32_t)layer->n_out);
    }
}

/* The next in line; path NULL: by its place and type. */
static void append_module(json_t *modules, const char *path, const char *type) {
    char name[24], text[48];
    int index = (int)json_array_size(modules);
    snprintf(name, sizeof name, "%d", index);
    snprintf(text, sizeof text, "%d_%s", index, type);
    json_array_append_new(modules, json_pack("{s:i, s:s, s:s, s:s+}", "idx", index, "name", name,
                                             "path", path ? path : text, "type",
                                             "sentence_transformers.models.", type));
}

json_t *lm_pooling_modules_json(const lm_pooling *pooling) {
    if (pooling->kind == LM_POOLING_NONE || pooling->ranks) return NULL;
    json_t *modules = json_array();
    append_module(modules, "", "Transformer");
    append_module(modules, LM_POOLING_MODULE, "Pooling");
    for (int i = 0; i < lm_dense_count(pooling->dense); i++) append_module(modules, NULL, "Dense");
    if (pooling->normalize) append_module(modules, NULL, "Normalize");
    return modules;
}

json_t *lm_pooling_module_json(const lm_pooling *pooling, int64_t dim) {
    json_t *module = json_pack("{s:I}", "word_embedding_dimension", (json_int_t)dim);
    for (size_t i = 0; i < LM_COUNT_OF(kinds); i++)
        json_object_set_new(module, kinds[i].flag, json_boolean(kinds[i].kind == pooling->kind));
    return module;
}

/* --- Pooling. */

bool lm_pooling_wants(const lm_pooling *pooling, int64_t position, int64_t n_tokens) {
    switch (pooling->kind) {
    case LM_POOLING_CLS: return position == 0;
    case LM_POOLING_LAST: return position == n_tokens - 1;
    default: return true;
    }
}

void lm_pooling_add(const lm_pooling *pooling, const float *state, int64_t dim, int64_t position,
                    int64_t n_tokens, float *inout) {
    bool only = pooling->kind == LM_POOLING_CLS || pooling->kind == LM_POOLING_LAST;
    if (only || position == 0) {
        memcpy(inout, state, (size_t)dim * sizeof *inout);
    } else {
        bool sum = pooling->kind == LM_POOLING_MEAN;
        for (int64_t i = 0; i < dim; i++)
            inout[i] = sum ? inout[i] + state[i] : fmaxf(inout[i], state[i]);
    }
    if (pooling->kind == LM_POOLING_MEAN && position == n_tokens - 1)
        for (int64_t i = 0; i < dim; i++) inout[i] /= (float)n_tokens;
}

void lm_pooling_finish(const lm_pooling *pooling, float *inout, int64_t n) {
    double squares = 0;
    if (!pooling->normalize) return;
    for (int64_t i = 0; i < n; i++) squares += (double)inout[i] * inout[i];
    double length = fmax(sqrt(squares), 1e-12);
    for (int64_t i = 0; i < n; i++) inout[i] = (float)(inout[i] / length);
}
