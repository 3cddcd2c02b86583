#include "model/model_file.h"

#include "base/mem.h"
#include "model/arch.h"
#include "model/coded_folder.h"
#include "model/hf_folder.h"

struct lm_model_file {
    char *path;
    lm_gguf *gguf; /* one of the two */
    lm_hf_folder *folder;
    const lm_stored_tensors *stored; /* of that one */
    lm_coded_folder *coded;       /* of a quantized folder */
    const lm_stored_tensors *tensors;
    lm_hparams hparams;
};

static LM_MUST_USE loam_status open_gguf(lm_model_file *file, loam_error *err) {
    LM_TRY(lm_gguf_open(file->path, &file->gguf, err));
    file->stored = file->tensors = lm_gguf_tensors(file->gguf);
    LM_TRY(lm_hparams_from_gguf(file->gguf, &file->hparams, err));
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        if (!lm_param_is_listed(id)) continue;
        LM_TRY(lm_gguf_add_listed(file->gguf, lm_param_list_key(id),
                                  lm_param_pattern(id, LM_NAMING_GGUF), file->hparams.n_layers,
                                  err));
    }
    return LOAM_OK;
}

/* Norms whose weights config.json says by a number. */
static LM_MUST_USE loam_status add_said_norms(lm_model_file *file, loam_error *err) {
    const lm_hparams *hp = &file->hparams;
    const lm_arch *arch = lm_arch_of_folder(hp->architecture);
    char name[LM_PARAM_NAME_BYTES];
    for (int id = 0; arch && hp->head_dim <= LM_MAX_HEAD_DIM && id < LM_PARAM_COUNT; id++) {
        float value = id == LM_PARAM_Q_NORM ? (float)hp->query_norm : 1;
        for (int64_t i = 0; lm_param_is_said(arch, id) && i < hp->n_layers; i++) {
            lm_param_name(id, i, LM_NAMING_HF, name);
            LM_TRY(lm_hf_folder_add_alike(file->folder, name, hp->head_dim, value, err));
        }
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status open_folder(lm_model_file *file, loam_error *err) {
    LM_TRY(lm_hf_folder_open(file->path, &file->folder, err));
    const json_t *config = lm_hf_folder_config(file->folder);
    const char *path = lm_hf_folder_config_path(file->folder);
    file->stored = file->tensors = lm_hf_folder_tensors(file->folder);
    LM_TRY(lm_hparams_from_config(config, path, &file->hparams, err));
    LM_TRY(add_said_norms(file, err));
    LM_TRY(lm_coded_folder_open(config, path, file->stored, &file->coded, err));
    if (!file->coded) return LOAM_OK;
    file->tensors = lm_coded_folder_tensors(file->coded);
    file->hparams.rounded_reads = lm_coded_folder_rounds(file->coded);
    return LOAM_OK;
}

loam_status lm_model_file_open(const char *path, lm_model_file **out, loam_error *err) {
    lm_model_file *file = lm_calloc(1, sizeof *file);
    if (!file) return lm_error_no_memory(err, sizeof *file);
    file->path = lm_strdup(path);
    loam_status status = !file->path            ? lm_error_no_memory(err, strlen(path))
                         : lm_file_is_dir(path) ? open_folder(file, err)
                                                : open_gguf(file, err);
    if (status != LOAM_OK) {
        lm_model_file_close(file);
        return status;
    }
    *out = file;
    return LOAM_OK;
}

void lm_model_file_close(lm_model_file *file) {
    if (!file) return;
    lm_coded_folder_close(file->coded);
    lm_gguf_close(file->gguf);
    lm_hf_folder_close(file->folder);
    lm_free(file->path);
    lm_free(file);
}

void lm_model_file_forget(const lm_model_file *file) {
    if (file->gguf) lm_gguf_forget(file->gguf);
    if (file->folder) lm_hf_folder_forget(file->folder);
}

lm_model_format lm_model_file_format(const lm_model_file *file) {
    return file->gguf ? LM_FORMAT_GGUF : LM_FORMAT_HF;
}

const char *lm_model_file_path(const lm_model_file *file) {
    return file->path;
}

const lm_hparams *lm_model_file_hparams(const lm_model_file *file) {
    return &file->hparams;
}

const lm_gguf *lm_model_file_gguf(const lm_model_file *file) {
    return file->gguf;
}

size_t lm_model_file_n_tensors(const lm_model_file *file) {
    return file->tensors->items.len;
}

const lm_stored_tensor *lm_model_file_tensor_at(const lm_model_file *file, size_t index) {
    return &file->tensors->items.ptr[index];
}

const lm_stored_tensors *lm_model_file_stored(const lm_model_file *file) {
    return file->stored;
}

const char *lm_model_file_quantization(const lm_model_file *file) {
    return file->coded ? lm_coded_folder_method(file->coded) : NULL;
}

lm_model_size lm_model_file_size(const lm_model_file *file) {
    lm_model_size size = {0};
    for (size_t i = 0; i < file->tensors->items.len; i++)
        size.n_params += lm_stored_tensor_n_elems(&file->tensors->items.ptr[i]);
    for (size_t i = 0; i < file->stored->items.len; i++)
        size.size_bytes += file->stored->items.ptr[i].size_bytes;
    return size;
}

const lm_stored_tensor *lm_model_file_find(const lm_model_file *file, const char *name) {
    return lm_stored_tensors_find(file->tensors, name);
}

static LM_MUST_USE loam_status check_shape(const lm_model_file *file,
                                           const lm_stored_tensor *tensor, int n_dims,
                                           const int64_t *shape, loam_error *err) {
    if (tensor->n_dims == n_dims &&
        memcmp(tensor->shape, shape, (size_t)n_dims * sizeof *shape) == 0)
        return LOAM_OK;
    char is[LM_SHAPE_TEXT_BYTES], want[LM_SHAPE_TEXT_BYTES];
    lm_error_set(err, LOAM_INVALID, "%s: tensor '%s' is %s, the model's sizes want %s", file->path,
                 tensor->name, lm_stored_shape_text(tensor->n_dims, tensor->shape, is),
                 lm_stored_shape_text(n_dims, shape, want));
    return lm_error_hint(err, LOAM_INVALID,
                         "the sizes in the file's metadata and its tensors do not belong together");
}

loam_status lm_model_file_weight(const lm_model_file *file, const char *name, int n_dims,
                                 const int64_t *shape, lm_weight *out, loam_error *err) {
    LM_ASSERT(n_dims >= 0 && n_dims <= LM_MAX_DIMS);
    const lm_stored_tensor *tensor = lm_model_file_find(file, name);
    if (!tensor) {
        lm_error_set(err, LOAM_NOT_FOUND, "%s: tensor '%s' is missing", file->path, name);
        return lm_error_hint(err, LOAM_NOT_FOUND, "loam show --tensors lists what is there");
    }
    LM_TRY(check_shape(file, tensor, n_dims, shape, err));
    if (!tensor->type->is_loadable) {
        lm_error_set(err, LOAM_UNSUPPORTED, "%s: tensor '%s' is stored as %s", file->path, name,
                     tensor->type->name);
        return lm_error_hint(err, LOAM_UNSUPPORTED,
                             "loam loads F32, BF16, F16, Q4_0 to Q8_0, Q2_K to Q6_K, IQ4_NL, "
                             "IQ4_XS, MXFP4, TQ1_0 and TQ2_0; convert the model");
    }
    *out = (lm_weight){.name = tensor->name,
                       .dtype = tensor->type->dtype,
                       .layout = LM_LAYOUT_ROWS,
                       .n_dims = n_dims,
                       .data = tensor->data};
    memcpy(out->shape, shape, (size_t)n_dims * sizeof *shape);
    return LOAM_OK;
}
