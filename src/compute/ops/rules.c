#include "compute/ops/rules.h"

#include <stdio.h>
#include <string.h>

bool lm_is(const lm_tensor *tensor, lm_dtype dtype, int n_dims) {
    return tensor->dtype == dtype && tensor->n_dims == n_dims;
}

bool lm_is_float(const lm_tensor *tensor) {
    return tensor->dtype == LM_F32 || tensor->dtype == LM_BF16 || tensor->dtype == LM_F16;
}

bool lm_is_f32_or_bf16(lm_dtype dtype) {
    return dtype == LM_F32 || dtype == LM_BF16;
}

bool lm_is_weight(lm_dtype dtype) {
    return dtype == LM_F32 || dtype == LM_BF16 || dtype == LM_F16 || lm_dtype_is_quantized(dtype);
}

bool lm_same_rows(const lm_tensor *a, const lm_tensor *b) {
    return a->extent == b->extent && a->shape[0] == b->shape[0];
}

bool lm_heads_ok(const lm_attrs *attrs) {
    return attrs->n_heads > 0 && attrs->n_heads <= LM_MAX_HEADS && attrs->n_kv_heads > 0 &&
           attrs->n_heads % attrs->n_kv_heads == 0 && attrs->head_dim > 0 &&
           attrs->head_dim <= LM_MAX_HEAD_DIM;
}

void lm_out_like(lm_tensor *out, const lm_tensor *like, lm_dtype dtype) {
    out->dtype = dtype;
    out->extent = like->extent;
    out->n_dims = like->n_dims;
    memcpy(out->shape, like->shape, sizeof out->shape);
}

void lm_out_rows(lm_tensor *out, const lm_tensor *rows_of, int64_t row_elems) {
    out->dtype = LM_F32;
    out->extent = rows_of->extent;
    out->n_dims = 2;
    out->shape[0] = rows_of->shape[0];
    out->shape[1] = row_elems;
}

void lm_out_column(lm_tensor *out, const lm_tensor *rows_of) {
    out->dtype = LM_F32;
    out->extent = rows_of->extent;
    out->n_dims = 1;
    out->shape[0] = rows_of->shape[0];
}

void lm_out_vector(lm_tensor *out, int64_t n) {
    out->dtype = LM_F32;
    out->extent = LM_EXTENT_FIXED;
    out->n_dims = 1;
    out->shape[0] = n;
}

void lm_out_in_place(lm_tensor *out, lm_tensor *in) {
    lm_out_like(out, in, in->dtype);
    out->alias = in;
}

loam_status lm_op_refuse(const lm_node *node, loam_error *err, const char *wanted) {
    char shapes[384] = "", text[LM_TENSOR_TEXT_BYTES];
    for (int i = 0; i < node->n_inputs; i++) {
        size_t at = strlen(shapes);
        snprintf(shapes + at, sizeof shapes - at, "%s%s", i ? ", " : "",
                 node->in[i] ? lm_tensor_text(node->in[i], text) : "nothing");
    }
    return lm_error_set(err, LOAM_INVALID, "%s wants %s; got %s", lm_op_get(node->op)->name, wanted,
                        shapes);
}

loam_status lm_shape_f32_rows(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    if (!lm_is(node->in[0], LM_F32, 2)) return lm_op_refuse(node, err, "x [R, D] f32");
    lm_out_like(out[0], node->in[0], LM_F32);
    return LOAM_OK;
}

loam_status lm_shape_f32_pair(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *a = node->in[0], *b = node->in[1];
    if (a->dtype != LM_F32 || b->dtype != LM_F32 || !lm_tensor_same_shape(a, b))
        return lm_op_refuse(node, err, "two f32 tensors of one shape");
    lm_out_like(out[0], a, LM_F32);
    return LOAM_OK;
}

int64_t lm_bytes_now(const lm_tensor *tensor, const int64_t *extents) {
    if (!tensor) return 0;
    return (int64_t)lm_dtype_bytes(tensor->dtype,
                                   lm_tensor_dim0(tensor, extents) * lm_tensor_row_elems(tensor));
}

int64_t lm_elems_now(const lm_tensor *tensor, const int64_t *extents) {
    return lm_tensor_dim0(tensor, extents) * lm_tensor_row_elems(tensor);
}

int64_t lm_node_bytes(const lm_node *node, const int64_t *extents) {
    int64_t bytes = 0;
    for (int i = 0; i < node->n_inputs; i++) bytes += lm_bytes_now(node->in[i], extents);
    for (int i = 0; i < node->n_outputs; i++) bytes += lm_bytes_now(node->out[i], extents);
    return bytes;
}

int64_t lm_causal_pairs(int64_t n_rows, int64_t seq_len) {
    int64_t rest = n_rows % seq_len;
    return n_rows / seq_len * (seq_len * (seq_len + 1) / 2) + rest * (rest + 1) / 2;
}
