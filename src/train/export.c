#include "train/export.h"

#include <jansson.h>

#include "base/file.h"
#include "base/mem.h"
#include "model/hparams_write.h"
#include "model/safetensors_writer.h"
#include "model/tokenizer_writers.h"

static size_t bytes_of(const lm_train_param *param) {
    return (size_t)param->n_elems * sizeof(float);
}

static loam_status view_weights(lm_host_view *view, const lm_train_params *params,
                                const lm_train_param *param, loam_error *err) {
    return lm_host_view_init(view, params->device, params->weights + param->offset, bytes_of(param),
                             err);
}

/* --- Hugging Face */

static loam_status declare_safetensors(const lm_train_params *params, lm_safetensors_writer *writer,
                                       loam_error *err) {
    for (int i = 0; i < params->len; i++) {
        const lm_train_param *param = &params->list[i];
        char name[LM_PARAM_NAME_BYTES];
        lm_param_name(param->id, param->layer, LM_NAMING_HF, name);
        LM_TRY(lm_safetensors_writer_add_tensor(writer, name, LM_F32, param->n_dims, param->shape,
                                                err));
    }
    return LOAM_OK;
}

static loam_status write_stored(const lm_train_params *params, const lm_train_param *param,
                                lm_safetensors_writer *writer, loam_error *err) {
    lm_host_view weights;
    LM_TRY(view_weights(&weights, params, param, err));
    loam_status status = lm_safetensors_writer_write(writer, weights.ptr, bytes_of(param), err);
    lm_host_view_deinit(&weights);
    return status;
}

static loam_status write_safetensors(const lm_train_params *params, const char *path,
                                     loam_error *err) {
    lm_safetensors_writer *writer = lm_safetensors_writer_new();
    loam_status status =
        writer ? declare_safetensors(params, writer, err) : lm_error_no_memory(err, 0);
    if (status == LOAM_OK) status = lm_safetensors_writer_begin(writer, path, err);
    for (int i = 0; status == LOAM_OK && i < params->len; i++)
        status = write_stored(params, &params->list[i], writer, err);
    if (status == LOAM_OK) status = lm_safetensors_writer_commit(writer, err);
    lm_safetensors_writer_free(writer);
    return status;
}

static json_t *config_json(const lm_arch_config *config, const lm_tokenizer *tokenizer) {
    json_t *document = lm_hparams_config_json(config, LM_F32),
           *ids = json_pack("{s:i, s:i}", "bos_token_id", (int)lm_tokenizer_bos(tokenizer),
                            "eos_token_id", (int)lm_tokenizer_eos(tokenizer));
    json_object_update(document, ids);
    json_decref(ids);
    return document;
}

static json_t *generation_json(const lm_tokenizer *tokenizer) {
    return json_pack("{s:i, s:i, s:b, s:f}", "bos_token_id", (int)lm_tokenizer_bos(tokenizer),
                     "eos_token_id", (int)lm_tokenizer_eos(tokenizer), "do_sample", 1,
                     "temperature", 0.8);
}

/* Takes the reference over. */
static loam_status write_json(json_t *value, const char *dir, const char *name, loam_error *err) {
    char *text = value ? json_dumps(value, JSON_INDENT(2)) : NULL;
    char *path = lm_path_join(dir, name);
    loam_status status = text && path ? lm_file_write_atomic(path, text, strlen(text), err)
                                      : lm_error_no_memory(err, 0);
    lm_free(path);
    free(text); /* jansson's own */
    json_decref(value);
    return status;
}

loam_status lm_export_folder(const lm_train_params *params, const lm_tokenizer *tokenizer,
                             const char *dir, loam_error *err) {
    LM_TRY(lm_file_make_dirs(dir, err));
    LM_TRY(write_json(config_json(&params->config, tokenizer), dir, "config.json", err));
    LM_TRY(write_json(generation_json(tokenizer), dir, "generation_config.json", err));
    LM_TRY(lm_tokenizer_write_folder(tokenizer, dir, params->config.hparams.context_len, err));
    char *path = lm_path_join(dir, "model.safetensors");
    if (!path) return lm_error_no_memory(err, 0);
    loam_status status = write_safetensors(params, path, err);
    lm_free(path);
    return status;
}

/* --- GGUF */

static loam_status declare_gguf(const lm_train_params *params, lm_gguf_writer *writer,
                                loam_error *err) {
    for (int i = 0; i < params->len; i++) {
        const lm_train_param *param = &params->list[i];
        char name[LM_PARAM_NAME_BYTES];
        lm_param_name(param->id, param->layer, LM_NAMING_GGUF, name);
        LM_TRY(lm_gguf_writer_add_tensor(writer, name, LM_F32, param->n_dims, param->shape, err));
    }
    return LOAM_OK;
}

/* Rows of a head: (half 0: 0 .. d/2), (half 1: 0 .. d/2) become 0 of both, 1 of both, and so on. */
static loam_status write_rotated(const float *weights, const lm_train_param *param,
                                 int64_t head_dim, lm_gguf_writer *writer, loam_error *err) {
    int64_t n_in = param->shape[1];
    for (int64_t row = 0; row < param->shape[0]; row++) {
        int64_t head = row / head_dim, pair = row % head_dim / 2, half = row % 2;
        int64_t source = head * head_dim + half * (head_dim / 2) + pair;
        LM_TRY(lm_gguf_writer_write(writer, weights + source * n_in, (size_t)n_in * sizeof(float),
                                    err));
    }
    return LOAM_OK;
}

static loam_status write_tensors(const lm_train_params *params, lm_gguf_writer *writer,
                                 loam_error *err) {
    for (int i = 0; i < params->len; i++) {
        const lm_train_param *param = &params->list[i];
        bool rotated = param->id == LM_PARAM_Q || param->id == LM_PARAM_K;
        lm_host_view weights;
        LM_TRY(view_weights(&weights, params, param, err));
        loam_status status =
            rotated
                ? write_rotated(weights.ptr, param, params->config.hparams.head_dim, writer, err)
                : lm_gguf_writer_write(writer, weights.ptr, bytes_of(param), err);
        lm_host_view_deinit(&weights);
        LM_TRY(status);
    }
    return LOAM_OK;
}

loam_status lm_export_gguf(const lm_train_params *params, const lm_tokenizer *tokenizer,
                           const char *name, const char *path, loam_error *err) {
    lm_gguf_writer *writer = lm_gguf_writer_new();
    if (!writer) return lm_error_no_memory(err, 0);
    lm_hparams_write_gguf(&params->config, writer);
    lm_gguf_writer_add_str(writer, "general.name", lm_str_of(name));
    lm_gguf_writer_add_u32(writer, "general.file_type", 0); /* all f32 */
    loam_status status =
        lm_tokenizer_write_gguf(tokenizer, params->config.hparams.vocab_size, writer, err);
    if (status == LOAM_OK) status = declare_gguf(params, writer, err);
    if (status == LOAM_OK) status = lm_gguf_writer_begin(writer, path, err);
    if (status == LOAM_OK) status = write_tensors(params, writer, err);
    if (status == LOAM_OK) status = lm_gguf_writer_commit(writer, err);
    lm_gguf_writer_free(writer);
    return status;
}
