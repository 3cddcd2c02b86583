#include "model/model.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/near.h"
#include "model/generation_config.h"
#include "model/model_file.h"
#include "model/model_weights.h"
#include "model/tokenizer.h"

struct lm_model {
    char *name;
    lm_device *device;
    lm_model_file *file; /* keeps the map that weights and rope factors point into */
    lm_arch_config config;
    lm_model_weights weights;
    lm_tokenizer *tokenizer; /* NULL when the file has none */
    lm_sampler_options sampling;
    lm_pooling pooling;
};

/* Names the nearest that are known. */
static loam_status unknown_arch(const char *name, loam_error *err) {
    lm_near near;
    lm_near_init(&near, name);
    for (size_t i = 0; i < lm_arch_count(); i++) lm_near_offer(&near, lm_arch_at(i)->hf_type);
    lm_error_set(err, LOAM_UNSUPPORTED, "architecture '%s' is not known", name);
    return lm_error_hint(err, LOAM_UNSUPPORTED,
                         "near are %s, %s and %s; docs/models.md lists all that loam runs",
                         near.names[0], near.names[1], near.names[2]);
}

static loam_status read_config(lm_model *model, const char *path, loam_error *err) {
    const lm_hparams *hp = lm_model_file_hparams(model->file);
    const lm_arch *arch = lm_arch_find(hp->architecture);
    if (!arch) return unknown_arch(hp->architecture, err);
    lm_model_weights_describe(model->file, arch, &model->config);
    LM_TRY(lm_pooling_read(path, model->name, model->file, &model->config, &model->pooling, err));
    if (model->pooling.kind != LM_POOLING_NONE && !model->pooling.by_answer) {
        model->config.features |= LM_FEATURE_NO_HEAD;
        model->config.features &= ~(uint64_t)LM_FEATURE_UNTIED_HEAD;
    }
    return lm_arch_config_check(&model->config, err);
}

/* A model without a tokenizer can still be stepped with token ids. */
static loam_status open_tokenizer(lm_model *model, const char *path, loam_error *err) {
    const lm_gguf *gguf = lm_model_file_gguf(model->file);
    if (gguf) {
        bool there = lm_gguf_find(gguf, "tokenizer.ggml.model") != NULL;
        return there ? lm_tokenizer_open_gguf(gguf, &model->tokenizer, err) : LOAM_OK;
    }
    return lm_tokenizer_is_in_folder(path) ? lm_tokenizer_open(path, &model->tokenizer, err)
                                           : LOAM_OK;
}

/* Special tokens beyond the weights exist (Gemma 3's text models have one for images) and are never computed; words beyond them say
 * that the tokenizer is another model's. */
static loam_status check_vocabulary(const lm_model *model, const char *path, loam_error *err) {
    const lm_tokenizer *tokenizer = model->tokenizer;
    int64_t n_rows = model->config.hparams.vocab_size;
    for (int64_t id = n_rows; tokenizer && id < lm_tokenizer_vocab_size(tokenizer); id++) {
        lm_token_type type = lm_tokenizer_token_type(tokenizer, (int32_t)id);
        if (type != LM_TOKEN_NORMAL && type != LM_TOKEN_BYTE) continue;
        lm_str text = lm_tokenizer_token_text(tokenizer, (int32_t)id);
        lm_error_set(
            err, LOAM_CORRUPT, "%s: the tokenizer has '%.*s' at %lld, but vocab_size is %lld", path,
            (int)(text.len < 40 ? text.len : 40), text.ptr, (long long)id, (long long)n_rows);
        return lm_error_hint(err, LOAM_CORRUPT, "tokenizer and weights are of different models");
    }
    return LOAM_OK;
}

/* Last part of the path, without slashes behind it and without ".gguf". */
static char *name_of(const char *path) {
    lm_str text = lm_str_of(path);
    while (text.len > 1 && text.ptr[text.len - 1] == '/') text.len--;
    size_t begin = text.len;
    while (begin > 0 && text.ptr[begin - 1] != '/') begin--;
    lm_str name = {text.ptr + begin, text.len - begin};
    if (lm_str_ends(name, LM_STR(".gguf"))) name.len -= strlen(".gguf");
    return lm_strndup(name.ptr, name.len);
}

static loam_status open_parts(lm_model *model, const char *path, const lm_model_options *options,
                              loam_error *err) {
    model->name = name_of(path);
    if (!model->name) return lm_error_no_memory(err, strlen(path));
    LM_TRY(lm_model_file_open(path, &model->file, err));
    loam_status status = read_config(model, path, err);
    if (status != LOAM_OK) return lm_error_prefix(err, status, "%s", path);
    LM_TRY(open_tokenizer(model, path, err));
    LM_TRY(check_vocabulary(model, path, err));
    lm_model_weights_options load = {.no_pack = options->no_pack,
                                     .check_finite = options->check_weights,
                                     .coded = options->coded_weights,
                                     .reserve_only = options->measured,
                                     .on_demand = options->on_demand,
                                     .pack_places = options->pack_places};
    LM_TRY(lm_model_weights_load(&model->weights, model->file, &model->config, model->device, &load,
                                 err));
    return lm_generation_config_read(path, &model->sampling, err);
}

loam_status lm_model_open(const char *path, lm_device *device, const lm_model_options *options,
                          lm_model **out, loam_error *err) {
    lm_model *model = lm_calloc(1, sizeof *model);
    if (!model) return lm_error_no_memory(err, sizeof *model);
    model->device = device;
    loam_status status = open_parts(model, path, options ? options : &(lm_model_options){0}, err);
    if (status != LOAM_OK) {
        lm_model_free(model);
        return status;
    }
    *out = model;
    return LOAM_OK;
}

void lm_model_free(lm_model *model) {
    if (!model) return;
    lm_tokenizer_free(model->tokenizer);
    lm_model_weights_free(&model->weights);
    lm_model_file_close(model->file);
    lm_pooling_deinit(&model->pooling);
    lm_free(model->name);
    lm_free(model);
}

const lm_arch_config *lm_model_config(const lm_model *model) {
    return &model->config;
}

const lm_tokenizer *lm_model_tokenizer(const lm_model *model) {
    return model->tokenizer;
}

const char *lm_model_name(const lm_model *model) {
    return model->name;
}

lm_device *lm_model_device(const lm_model *model) {
    return model->device;
}

lm_sampler_options lm_model_sampling(const lm_model *model) {
    return model->sampling;
}

const lm_pooling *lm_model_pooling(const lm_model *model) {
    return &model->pooling;
}

bool lm_model_is_end(const lm_model *model, int32_t token) {
    if (!model->tokenizer || token < 0) return false;
    return lm_tokenizer_is_eos(model->tokenizer, token) ||
           token == lm_tokenizer_bos(model->tokenizer);
}

const lm_weight *lm_model_param(const lm_model *model, lm_param_id id, int64_t layer) {
    return lm_model_weights_get(&model->weights, id, layer);
}

loam_status lm_model_make_param(lm_model *model, lm_param_id id, int64_t layer, loam_error *err) {
    return lm_model_weights_make(&model->weights, id, layer, err);
}

void lm_model_drop_param(lm_model *model, lm_param_id id, int64_t layer) {
    if (lm_model_weights_drop(&model->weights, id, layer)) lm_model_file_forget(model->file);
}

void lm_model_trim(const lm_model *model) {
    lm_model_weights_trim(&model->weights);
}

size_t lm_model_weight_bytes(const lm_model *model) {
    return model->weights.stored_bytes;
}
