#include "train/params.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"

enum { PARAM_ALIGN_ELEMS = 16, CHUNK_ELEMS = 4096 };

/* --- The list */

static void add_param(lm_train_params *params, lm_param_id id, int64_t layer, int n_dims) {
    lm_train_param *param = &params->list[params->len];
    *param = (lm_train_param){.id = id, .layer = layer, .offset = params->n_elems, .shape = {1, 1}};
    param->n_dims = lm_param_shape(&params->config, id, layer, param->shape);
    if (param->n_dims != n_dims) return;
    param->n_elems = param->shape[0] * (n_dims == 2 ? param->shape[1] : 1);
    params->n_elems +=
        (param->n_elems + PARAM_ALIGN_ELEMS - 1) / PARAM_ALIGN_ELEMS * PARAM_ALIGN_ELEMS;
    params->len++;
}

/* All parameters with so many dimensions. */
static void add_params(lm_train_params *params, int n_dims) {
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        if (!lm_param_in(&params->config, (lm_param_id)id)) continue;
        int64_t n_layers =
            lm_param_has_layer((lm_param_id)id) ? params->config.hparams.n_layers : 1;
        for (int64_t layer = 0; layer < n_layers; layer++)
            add_param(params, (lm_param_id)id, layer, n_dims);
    }
}

int lm_train_params_find(const lm_train_params *params, lm_param_id id, int64_t layer) {
    if (id == LM_PARAM_OUTPUT_HEAD && !lm_param_in(&params->config, id)) id = LM_PARAM_TOKEN_EMBED;
    for (int i = 0; i < params->len; i++) {
        if (params->list[i].id == id && params->list[i].layer == layer) return i;
    }
    LM_ASSERT(!"a parameter that the model has");
    return -1;
}

/* --- The arrays */

static loam_status alloc_array(lm_train_params *params, int64_t n, size_t elem_bytes, void **out,
                               loam_error *err) {
    return lm_device_alloc(params->device, (size_t)n * elem_bytes, out, err);
}

static loam_status alloc_arrays(lm_train_params *params, bool bf16, loam_error *err) {
    float **const arrays[] = {&params->weights, &params->grads, &params->m, &params->v};
    for (size_t i = 0; i < LM_COUNT_OF(arrays); i++)
        LM_TRY(alloc_array(params, params->n_elems, sizeof(float), (void **)arrays[i], err));
    return bf16 ? alloc_array(params, params->n_matrix_elems, sizeof(uint16_t),
                              (void **)&params->bf16, err)
                : LOAM_OK;
}

/* Draws one parameter, a chunk at a time on its way to the device. */
static loam_status draw_param(lm_train_params *params, int i, double init_std, lm_rng *rng,
                              loam_error *err) {
    const lm_train_param *param = &params->list[i];
    bool into_residual = param->id == LM_PARAM_OUT || param->id == LM_PARAM_DOWN;
    double residual = into_residual ? sqrt(2.0 * (double)params->config.hparams.n_layers) : 1;
    float deviation = (float)(init_std / residual), chunk[CHUNK_ELEMS];
    float constant = lm_param_is_norm(param->id) ? 1.0f : 0.0f;
    for (int64_t at = 0; at < param->n_elems; at += CHUNK_ELEMS) {
        int64_t n = param->n_elems - at < CHUNK_ELEMS ? param->n_elems - at : CHUNK_ELEMS;
        for (int64_t j = 0; j < n; j++)
            chunk[j] = param->n_dims == 2 ? deviation * lm_rng_normal(rng) : constant;
        LM_TRY(lm_device_upload(params->device, params->weights + param->offset + at, chunk,
                                (size_t)n * sizeof *chunk, err));
    }
    return LOAM_OK;
}

static loam_status draw_weights(lm_train_params *params, const lm_train_params_options *options,
                                loam_error *err) {
    for (int i = 0; i < params->len; i++) {
        lm_rng rng;
        lm_rng_init_stream(&rng, options->seed, (uint64_t)i);
        LM_TRY(draw_param(params, i, options->init_std, &rng, err));
    }
    return LOAM_OK;
}

loam_status lm_train_params_round(lm_train_params *params, loam_error *err) {
    uint16_t rounded[CHUNK_ELEMS];
    float chunk[CHUNK_ELEMS];
    int64_t n_elems = params->bf16 ? params->n_matrix_elems : 0;
    for (int64_t at = 0; at < n_elems; at += CHUNK_ELEMS) {
        int64_t n = n_elems - at < CHUNK_ELEMS ? n_elems - at : CHUNK_ELEMS;
        LM_TRY(lm_device_download(params->device, chunk, params->weights + at,
                                  (size_t)n * sizeof *chunk, err));
        lm_dtype_get(LM_BF16)->pack(chunk, rounded, n);
        LM_TRY(lm_device_upload(params->device, params->bf16 + at, rounded,
                                (size_t)n * sizeof *rounded, err));
    }
    return LOAM_OK;
}

loam_status lm_train_params_init(lm_train_params *params, lm_device *device,
                                 const lm_arch_config *config,
                                 const lm_train_params_options *options, loam_error *err) {
    *params = (lm_train_params){.device = device, .config = *config};
    size_t most = LM_PARAM_COUNT * (size_t)config->hparams.n_layers +
                  1; /* room for one that add_param drops again */
    params->list = lm_calloc(most, sizeof *params->list);
    if (!params->list) return lm_error_no_memory(err, most * sizeof *params->list);
    add_params(params, 2);
    params->n_matrix_elems = params->n_elems;
    add_params(params, 1);
    loam_status status = alloc_arrays(params, options->bf16, err);
    if (status == LOAM_OK) status = draw_weights(params, options, err);
    if (status == LOAM_OK) status = lm_train_params_round(params, err);
    if (status != LOAM_OK) lm_train_params_deinit(params);
    return status;
}

void lm_train_params_deinit(lm_train_params *params) {
    void *const arrays[] = {params->weights, params->grads, params->m, params->v, params->bf16};
    for (size_t i = 0; i < LM_COUNT_OF(arrays); i++) {
        lm_device_free(params->device, arrays[i]);
    }
    lm_free(params->list);
    *params = (lm_train_params){0};
}
