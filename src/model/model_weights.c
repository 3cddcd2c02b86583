#include "model/model_weights.h"

#include <math.h>

#include "base/file.h"
#include "compute/device.h"

/* --- What the file has. */

static lm_naming naming_of(const lm_model_file *file) {
    return lm_model_file_format(file) == LM_FORMAT_GGUF ? LM_NAMING_GGUF : LM_NAMING_HF;
}

unsigned lm_model_weights_features(const lm_model_file *file, const lm_arch *arch) {
    const lm_hparams *hp = lm_model_file_hparams(file);
    unsigned features = arch->features;
    if (!hp->tied_embeddings) features |= LM_FEATURE_UNTIED_HEAD;
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        if (!lm_param_has_layer(id) || lm_param_feature(id) == LM_FEATURE_ALWAYS) continue;
        char name[LM_PARAM_NAME_BYTES];
        lm_param_name(id, 0, naming_of(file), name);
        if (lm_model_file_find(file, name)) features |= lm_param_feature(id);
    }
    return features;
}

/* Tensors that files carry and graphs do not read. */
static bool is_ignorable(const char *name, const lm_arch_config *config) {
    lm_str text = lm_str_of(name);
    bool tied = !(config->features & LM_FEATURE_UNTIED_HEAD);
    if (tied && (lm_str_is(text, "lm_head.weight") || lm_str_is(text, "output.weight")))
        return true;
    return lm_str_is(text, "rope_freqs.weight") ||
           lm_str_ends(text, LM_STR(".rotary_emb.inv_freq"));
}

static loam_status refuse_strangers(const lm_model_weights *w, const lm_model_file *file,
                                    const lm_arch_config *config, loam_error *err) {
    lm_map *known = lm_map_new();
    bool ok = known != NULL;
    for (int64_t i = 0; ok && i < LM_PARAM_COUNT * w->n_layers; i++) {
        if (w->weights[i].name) ok = lm_map_set(known, lm_str_of(w->weights[i].name), 1);
    }
    loam_status status = ok ? LOAM_OK : lm_error_no_memory(err, 0);
    for (size_t i = 0; status == LOAM_OK && i < lm_model_file_n_tensors(file); i++) {
        const char *name = lm_model_file_tensor_at(file, i)->name;
        uint64_t unused;
        if (lm_map_get(known, lm_str_of(name), &unused) || is_ignorable(name, config)) continue;
        status = lm_error_set(err, LOAM_UNSUPPORTED,
                              "%s: tensor '%s' has no place in architecture '%s' of %lld layers",
                              lm_model_file_path(file), name, config->arch->name,
                              (long long)w->n_layers);
    }
    lm_map_free(known);
    return status;
}

/* --- Loading. */

static lm_weight *slot(const lm_model_weights *w, lm_param_id id, int64_t layer) {
    return &w->weights[id * w->n_layers + layer];
}

static loam_status find_weight(lm_model_weights *w, const lm_model_file *file,
                               const lm_arch_config *config, lm_param_id id, int64_t layer,
                               loam_error *err) {
    char name[LM_PARAM_NAME_BYTES];
    int64_t shape[2];
    lm_param_name(id, layer, naming_of(file), name);
    int n_dims = lm_param_shape(config, id, shape);
    lm_weight *weight = slot(w, id, layer);
    LM_TRY(lm_model_file_weight(file, name, n_dims, shape, weight, err));
    w->stored_bytes += lm_dtype_bytes(weight->dtype, shape[0] * shape[1]);
    return LOAM_OK;
}

/* Ops read vectors as f32. */
static loam_status widen_vector(lm_model_weights *w, lm_weight *weight, loam_error *err) {
    if (weight->dtype == LM_F32) return LOAM_OK;
    float *wide = lm_arena_alloc(&w->arena, weight->shape[0] * sizeof *wide);
    if (!wide) return lm_error_no_memory(err, weight->shape[0] * sizeof *wide);
    lm_dtype_get(weight->dtype)->unpack(weight->data, wide, weight->shape[0]);
    weight->data = wide;
    weight->dtype = LM_F32;
    return LOAM_OK;
}

static size_t bytes_of(const lm_weight *weight) {
    return lm_dtype_bytes(weight->dtype,
                          weight->shape[0] * (weight->n_dims > 1 ? weight->shape[1] : 1));
}

/* Brings a weight to a device that cannot read it where it is. */
static loam_status place(lm_model_weights *w, lm_weight *weight, loam_error *err) {
    if (lm_device_shares_host_memory(w->device)) return LOAM_OK;
    void *buffer;
    LM_TRY(lm_device_alloc(w->device, bytes_of(weight), &buffer, err));
    const lm_weight stored = *weight;
    weight->data = buffer;
    w->owned[weight - w->weights] = true;
    return lm_device_upload(w->device, buffer, stored.data, bytes_of(&stored), err);
}

static loam_status find_param(lm_model_weights *w, const lm_model_file *file,
                              const lm_arch_config *config, bool check_finite, lm_param_id id,
                              loam_error *err) {
    int64_t n = lm_param_has_layer(id) ? w->n_layers : 1;
    for (int64_t layer = 0; layer < n; layer++) {
        LM_TRY(find_weight(w, file, config, id, layer, err));
        lm_weight *weight = slot(w, id, layer);
        loam_status status = check_finite ? lm_weight_check_finite(weight, err) : LOAM_OK;
        if (status != LOAM_OK) return lm_error_prefix(err, status, "%s", lm_model_file_path(file));
        if (weight->n_dims == 1) LM_TRY(widen_vector(w, weight, err));
    }
    return LOAM_OK;
}

static loam_status find_all(lm_model_weights *w, const lm_model_file *file,
                            const lm_arch_config *config, bool check_finite, loam_error *err) {
    size_t n = LM_PARAM_COUNT * (size_t)w->n_layers;
    w->weights = lm_arena_calloc(&w->arena, n, sizeof *w->weights);
    w->owned = lm_arena_calloc(&w->arena, n, sizeof *w->owned);
    if (!w->weights || !w->owned) return lm_error_no_memory(err, n * sizeof *w->weights);
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        if (lm_param_in(config, id)) LM_TRY(find_param(w, file, config, check_finite, id, err));
    }
    return refuse_strangers(w, file, config, err);
}

/* The weights that the device wants in its own order: [*out_n], room for all. */
static void list_packable(const lm_model_weights *w, lm_weight **list, size_t *out_n) {
    const lm_weight *embed = slot(w, LM_PARAM_TOKEN_EMBED, 0);
    size_t n = 0;
    for (int64_t i = 0; i < LM_PARAM_COUNT * w->n_layers; i++) {
        lm_weight *weight = &w->weights[i];
        if (weight->name && weight->n_dims > 1 && weight != embed &&
            lm_device_packed_bytes(w->device, weight) > 0)
            list[n++] = weight;
    }
    *out_n = n;
}

static loam_status pack_in_memory(lm_model_weights *w, lm_weight *weight, loam_error *err) {
    lm_weight packed;
    loam_status status = lm_device_pack(w->device, weight, &packed, err);
    if (status == LOAM_NO_MEMORY) {
        lm_error_prefix(err, status, "packing tensor '%s'", weight->name);
        lm_error_hint(err, status,
                      "the weights take %zu MiB; packed into a file they are mapped instead, and a "
                      "model quantized to fewer bits takes less",
                      w->stored_bytes >> 20);
    }
    if (status != LOAM_OK) return status;
    lm_file_map_forget(weight->data, bytes_of(weight));
    *weight = packed;
    w->owned[weight - w->weights] = true;
    return LOAM_OK;
}

static loam_status pack_all(lm_model_weights *w, const lm_model_file *file,
                            const lm_pack_places *places, loam_error *err) {
    size_t n_max = LM_PARAM_COUNT * (size_t)w->n_layers;
    lm_pack_plan plan = {.device = w->device,
                         .weights = lm_arena_calloc(&w->arena, n_max, sizeof *plan.weights)};
    if (!plan.weights) return lm_error_no_memory(err, n_max * sizeof *plan.weights);
    list_packable(w, plan.weights, &plan.n);
    if (lm_device_shares_host_memory(w->device) &&
        lm_pack_store_open(places, file, &plan, &w->packed_file))
        return LOAM_OK;
    for (size_t i = 0; i < plan.n; i++) LM_TRY(pack_in_memory(w, plan.weights[i], err));
    return LOAM_OK;
}

/* What was not packed has to be where the device can read it. The head of a tied model, unless packed, is the embedding. */
static loam_status place_all(lm_model_weights *w, bool tied, loam_error *err) {
    lm_weight *head = slot(w, LM_PARAM_OUTPUT_HEAD, 0);
    for (int64_t i = 0; i < LM_PARAM_COUNT * w->n_layers; i++) {
        lm_weight *weight = &w->weights[i];
        if (weight->name && weight->layout == LM_LAYOUT_ROWS && !(tied && weight == head))
            LM_TRY(place(w, weight, err));
    }
    if (tied && head->layout == LM_LAYOUT_ROWS) *head = *slot(w, LM_PARAM_TOKEN_EMBED, 0);
    return LOAM_OK;
}

/* The embedding is looked up row by row, in the file's order; as the head of a tied model it is multiplied with as well. */
static loam_status load_all(lm_model_weights *w, const lm_model_file *file,
                            const lm_arch_config *config, const lm_model_weights_options *options,
                            loam_error *err) {
    LM_TRY(find_all(w, file, config, options->check_finite, err));
    bool tied = !(config->features & LM_FEATURE_UNTIED_HEAD);
    if (tied) *slot(w, LM_PARAM_OUTPUT_HEAD, 0) = *slot(w, LM_PARAM_TOKEN_EMBED, 0);
    if (!options->no_pack) LM_TRY(pack_all(w, file, &options->pack_places, err));
    return place_all(w, tied, err);
}

loam_status lm_model_weights_load(lm_model_weights *w, const lm_model_file *file,
                                  const lm_arch_config *config, lm_device *device,
                                  const lm_model_weights_options *options, loam_error *err) {
    *w = (lm_model_weights){.device = device, .n_layers = config->hparams.n_layers};
    lm_arena_init(&w->arena, 0, 0);
    loam_status status = load_all(w, file, config, options, err);
    if (status != LOAM_OK) lm_model_weights_free(w);
    return status;
}

void lm_model_weights_free(lm_model_weights *w) {
    for (int64_t i = 0; w->owned && i < LM_PARAM_COUNT * w->n_layers; i++) {
        if (w->owned[i]) lm_device_free(w->device, (void *)w->weights[i].data);
    }
    lm_file_map_close(&w->packed_file);
    lm_arena_deinit(&w->arena);
    *w = (lm_model_weights){0};
}

const lm_weight *lm_model_weights_get(const lm_model_weights *w, lm_param_id id, int64_t layer) {
    LM_ASSERT(layer >= 0 && layer < w->n_layers);
    const lm_weight *weight = slot(w, id, lm_param_has_layer(id) ? layer : 0);
    return weight->name ? weight : NULL;
}

void lm_model_weights_trim(const lm_model_weights *w) {
    const lm_weight *embed = slot(w, LM_PARAM_TOKEN_EMBED, 0),
                    *head = slot(w, LM_PARAM_OUTPUT_HEAD, 0);
    bool mapped = !w->owned[embed - w->weights];
    bool tied = head->name && strcmp(head->name, embed->name) == 0;
    if (mapped && tied && head->layout != LM_LAYOUT_ROWS)
        lm_file_map_forget(embed->data, bytes_of(embed));
}

loam_status lm_weight_check_finite(const lm_weight *weight, loam_error *err) {
    enum { CHUNK = 1024 }; /* a multiple of every format's block */
    const lm_dtype_info *type = lm_dtype_get(weight->dtype);
    int64_t n = weight->shape[0] * (weight->n_dims > 1 ? weight->shape[1] : 1);
    float values[CHUNK];
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t count = n - at < CHUNK ? n - at : CHUNK;
        type->unpack((const char *)weight->data + lm_dtype_bytes(weight->dtype, at), values, count);
        for (int64_t i = 0; i < count; i++) {
            if (isfinite(values[i])) continue;
            return lm_error_set(err, LOAM_CORRUPT, "tensor '%s': element %lld is %g", weight->name,
                                (long long)(at + i), values[i]);
        }
    }
    return LOAM_OK;
}
