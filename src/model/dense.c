#include "model/dense.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/hf_folder.h"
#include "model/safetensors.h"
#include "model/safetensors_writer.h"

enum { MAX_LAYERS = 4, MAX_WIDTH = 1 << 16, LANES = 8 };

struct lm_dense {
    int n;
    lm_dense_layer layers[MAX_LAYERS];
};

/* --- Reading. */

static loam_status unpack(const lm_stored_tensor *tensor, float **out, loam_error *err) {
    int64_t n = lm_stored_tensor_n_elems(tensor);
    if (!tensor->type->is_loadable)
        return lm_error_set(err, LOAM_UNSUPPORTED, "tensor '%s' is stored as %s", tensor->name,
                            tensor->type->name);
    float *wide = lm_alloc((size_t)n * sizeof *wide);
    if (!wide) return lm_error_no_memory(err, (size_t)n * sizeof *wide);
    lm_dtype_get(tensor->type->dtype)->unpack(tensor->data, wide, n);
    *out = wide;
    return LOAM_OK;
}

static void free_layer(lm_dense_layer *l) {
    lm_free(l->w);
    lm_free(l->bias);
    lm_free(l->norm);
}

static bool is_matrix(const lm_stored_tensor *w, int64_t n_in) {
    return w->n_dims == 2 && w->shape[1] == n_in && w->shape[0] >= 1 && w->shape[0] <= MAX_WIDTH;
}

static bool is_vector(const lm_stored_tensor *t, const lm_stored_tensor *w) {
    return !t || (t->n_dims == 1 && t->shape[0] == w->shape[0]);
}

static loam_status unpack_parts(const lm_dense_parts *parts, lm_dense_layer *out, loam_error *err) {
    LM_TRY(unpack(parts->w, &out->w, err));
    if (parts->bias) LM_TRY(unpack(parts->bias, &out->bias, err));
    return parts->norm ? unpack(parts->norm, &out->norm, err) : LOAM_OK;
}

loam_status lm_dense_append(const lm_dense_parts *parts, int64_t n_in, lm_dense **inout,
                            loam_error *err) {
    const lm_stored_tensor *w = parts->w;
    lm_dense *dense = *inout ? *inout : lm_calloc(1, sizeof *dense);
    if (!dense) return lm_error_no_memory(err, sizeof *dense);
    *inout = dense;
    if (dense->n == MAX_LAYERS)
        return lm_error_set(err, LOAM_LIMIT, "more than %d dense modules", MAX_LAYERS);
    lm_dense_layer l = {.n_in = lm_dense_width(dense, n_in), .act = parts->act, .eps = parts->eps};
    if (!w || !is_matrix(w, l.n_in) || !is_vector(parts->bias, w) || !is_vector(parts->norm, w))
        return lm_error_set(err, LOAM_INVALID,
                            "a dense module has no matrix that reads %lld numbers, or a bias that "
                            "is none of it",
                            (long long)l.n_in);
    l.n_out = w->shape[0];
    loam_status status = unpack_parts(parts, &l, err);
    if (status != LOAM_OK) free_layer(&l);
    if (status == LOAM_OK) dense->layers[dense->n++] = l;
    return status;
}

static loam_status read_act(const char *dir, const char *name, lm_dense_act *out, loam_error *err) {
    json_t *config = NULL;
    lm_str act;
    LM_TRY(lm_hf_folder_read_json(dir, name, &config, err));
    if (!config) return lm_error_set(err, LOAM_NOT_FOUND, "%s/%s is not there", dir, name);
    loam_status status = lm_json_str_or(config, name, "activation_function",
                                        LM_STR("torch.nn.modules.activation.Tanh"), &act, err);
    bool is_tanh = status == LOAM_OK && lm_str_ends(act, LM_STR(".Tanh"));
    if (status == LOAM_OK && !is_tanh && !lm_str_ends(act, LM_STR(".Identity")))
        status = lm_error_set(err, LOAM_UNSUPPORTED, "%s: activation '%.*s'", name, (int)act.len,
                              act.ptr);
    json_decref(config);
    *out = is_tanh ? LM_DENSE_TANH : LM_DENSE_LINEAR;
    return status;
}

static loam_status read_weights(const char *path, lm_dense_act act, int64_t n_in, lm_dense **inout,
                                loam_error *err) {
    lm_safetensors *file;
    LM_TRY(lm_safetensors_open(path, &file, err));
    const lm_stored_tensors *tensors = lm_safetensors_tensors(file);
    const lm_dense_parts parts = {.w = lm_stored_tensors_find(tensors, "linear.weight"),
                                  .bias = lm_stored_tensors_find(tensors, "linear.bias"),
                                  .act = act};
    loam_status status = lm_dense_append(&parts, n_in, inout, err);
    if (status != LOAM_OK) lm_error_prefix(err, status, "%s", path);
    lm_safetensors_close(file);
    return status;
}

loam_status lm_dense_read_module(const char *dir, lm_str module, int64_t n_in, lm_dense **inout,
                                 loam_error *err) {
    char *config = lm_asprintf("%.*s/config.json", (int)module.len, module.ptr),
         *weights = lm_asprintf("%s/%.*s/model.safetensors", dir, (int)module.len, module.ptr);
    lm_dense_act act = LM_DENSE_LINEAR;
    loam_status status =
        config && weights ? read_act(dir, config, &act, err) : lm_error_no_memory(err, module.len);
    if (status == LOAM_OK) status = read_weights(weights, act, n_in, inout, err);
    lm_free(config);
    lm_free(weights);
    return status;
}

loam_status lm_dense_read_tensors(const lm_stored_tensors *tensors, int64_t n_in, lm_dense **inout,
                                  loam_error *err) {
    static const char *const names[] = {"dense_2.weight", "dense_3.weight"};
    for (size_t i = 0; i < LM_COUNT_OF(names); i++) {
        const lm_stored_tensor *w = lm_stored_tensors_find(tensors, names[i]);
        if (w) LM_TRY(lm_dense_append(&(lm_dense_parts){.w = w}, n_in, inout, err));
    }
    return LOAM_OK;
}

void lm_dense_free(lm_dense *dense) {
    for (int i = 0; dense && i < dense->n; i++) free_layer(&dense->layers[i]);
    lm_free(dense);
}

/* --- Writing. */

int lm_dense_count(const lm_dense *dense) {
    return dense ? dense->n : 0;
}

const lm_dense_layer *lm_dense_at(const lm_dense *dense, int index) {
    LM_ASSERT(index >= 0 && index < dense->n);
    return &dense->layers[index];
}

static loam_status write_weights(const lm_dense_layer *l, const char *path, loam_error *err) {
    const int64_t shape[] = {l->n_out, l->n_in};
    size_t row_bytes = (size_t)l->n_out * sizeof(float);
    lm_safetensors_writer *writer = lm_safetensors_writer_new();
    if (!writer) return lm_error_no_memory(err, 1);
    loam_status status =
        lm_safetensors_writer_add_tensor(writer, "linear.weight", LM_F32, 2, shape, err);
    if (status == LOAM_OK && l->bias)
        status = lm_safetensors_writer_add_tensor(writer, "linear.bias", LM_F32, 1, shape, err);
    if (status == LOAM_OK) status = lm_safetensors_writer_begin(writer, path, err);
    if (status == LOAM_OK)
        status = lm_safetensors_writer_write(writer, l->w, row_bytes * (size_t)l->n_in, err);
    if (status == LOAM_OK && l->bias)
        status = lm_safetensors_writer_write(writer, l->bias, row_bytes, err);
    if (status == LOAM_OK) status = lm_safetensors_writer_commit(writer, err);
    lm_safetensors_writer_free(writer);
    return status;
}

loam_status lm_dense_write_module(const lm_dense_layer *l, const char *dir, loam_error *err) {
    const char *act = l->act == LM_DENSE_TANH ? "torch.nn.modules.activation.Tanh"
                                              : "torch.nn.modules.linear.Identity";
    char *config = lm_path_join(dir, "config.json"),
         *weights = lm_path_join(dir, "model.safetensors"),
         *text =
             lm_asprintf("{\"in_features\": %lld, \"out_features\": %lld, \"bias\": %s, "
                         "\"activation_function\": \"%s\"}\n",
                         (long long)l->n_in, (long long)l->n_out, l->bias ? "true" : "false", act);
    loam_status status =
        config && weights && text ? lm_file_make_dirs(dir, err) : lm_error_no_memory(err, 1);
    if (status == LOAM_OK) status = lm_file_write_atomic(config, text, strlen(text), err);
    if (status == LOAM_OK) status = write_weights(l, weights, err);
    lm_free(config);
    lm_free(weights);
    lm_free(text);
    return status;
}

/* --- What it makes. */

int64_t lm_dense_width(const lm_dense *dense, int64_t n_in) {
    return dense && dense->n > 0 ? dense->layers[dense->n - 1].n_out : n_in;
}

int64_t lm_dense_room(const lm_dense *dense) {
    int64_t widest = 0;
    for (int i = 0; dense && i < dense->n; i++)
        if (dense->layers[i].n_out > widest) widest = dense->layers[i].n_out;
    return 2 * widest;
}

int64_t lm_dense_flops(const lm_dense *dense) {
    int64_t flops = 0;
    for (int i = 0; dense && i < dense->n; i++)
        flops += 2 * dense->layers[i].n_in * dense->layers[i].n_out;
    return flops;
}

/* Products of floats are exact in double, so it is the same whether they are fused with the sum or not. */
static float dot(const float *a, const float *b, int64_t n) {
    double lanes[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lanes[j] += (double)a[i + j] * b[i + j];
    for (; i < n; i++) sum += (double)a[i] * b[i];
    for (int j = 0; j < LANES; j++) sum += lanes[j];
    return (float)sum;
}

static float activated(lm_dense_act act, float x) {
    switch (act) {
    case LM_DENSE_LINEAR: return x;
    case LM_DENSE_TANH: return (float)tanh((double)x);
    case LM_DENSE_GELU: return (float)(0.5 * (double)x * (1 + erf((double)x / sqrt(2))));
    }
    return x;
}

static void normalize(const lm_dense_layer *l, float *y) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < l->n_out; i++) mean += (double)y[i] / (double)l->n_out;
    for (int64_t i = 0; i < l->n_out; i++) squares += ((double)y[i] - mean) * ((double)y[i] - mean);
    double scale = 1 / sqrt(squares / (double)l->n_out + l->eps);
    for (int64_t i = 0; i < l->n_out; i++)
        y[i] = (float)(((double)y[i] - mean) * scale * (double)l->norm[i]);
}

static void run_layer(const lm_dense_layer *l, const float *x, float *y) {
    for (int64_t o = 0; o < l->n_out; o++)
        y[o] =
            activated(l->act, dot(l->w + o * l->n_in, x, l->n_in) + (l->bias ? l->bias[o] : 0.0f));
    if (l->norm) normalize(l, y);
}

void lm_dense_apply(const lm_dense *dense, float *inout, float *room) {
    if (!dense) return;
    const float *from = inout;
    float *rooms[] = {room, room + lm_dense_room(dense) / 2};
    for (int i = 0; i < dense->n; i++) {
        float *to = i == dense->n - 1 && from != inout ? inout : rooms[i % 2];
        run_layer(&dense->layers[i], from, to);
        from = to;
    }
    if (from != inout)
        memcpy(inout, from, (size_t)lm_dense_width(dense, 0) * sizeof *inout);
}
