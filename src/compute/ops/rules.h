/* What the ops' files share: predicates and fillers for shape rules, counting for costs, access
 * for references. */
#ifndef LM_COMPUTE_OPS_RULES_H
#define LM_COMPUTE_OPS_RULES_H

#include "base/pool.h"
#include "compute/numerics.h"
#include "compute/op.h"

/* Shape rules. */
bool lm_is(const lm_tensor *tensor, lm_dtype dtype, int n_dims);
bool lm_is_f32_or_bf16(lm_dtype dtype);
bool lm_is_float(const lm_tensor *tensor); /* f32, bf16 or f16 */
bool lm_is_weight(lm_dtype dtype);         /* these or a quantization format */
bool lm_same_rows(const lm_tensor *a,
                  const lm_tensor *b); /* same dimension 0, and the same extent */
/* Attention's heads: all positive, n_heads a multiple of n_kv_heads, head_dim at most
 * LM_MAX_HEAD_DIM. */
bool lm_heads_ok(const lm_attrs *attrs);
void lm_out_like(lm_tensor *out, const lm_tensor *like, lm_dtype dtype);
void lm_out_rows(lm_tensor *out, const lm_tensor *rows_of,
                 int64_t row_elems);                          /* f32 [rows, row_elems] */
void lm_out_column(lm_tensor *out, const lm_tensor *rows_of); /* f32 [rows] */
void lm_out_vector(lm_tensor *out, int64_t n);                /* f32 [n] */
void lm_out_in_place(lm_tensor *out, lm_tensor *in);

/* LOAM_INVALID: "linear wants x [R, K] and w [N, K]; got x f32 [3, 8], w f32 [4, 9]". */
loam_status lm_op_refuse(const lm_node *node, loam_error *err, const char *wanted);

/* A whole shape rule: two f32 tensors of one shape in, one more of it out. */
loam_status lm_shape_f32_pair(const lm_node *node, lm_tensor *const *out, loam_error *err);

/* Another: x [R, D] f32 in, one of its shape out. */
loam_status lm_shape_f32_rows(const lm_node *node, lm_tensor *const *out, loam_error *err);

/* Costs: elements and bytes of a tensor in a run with these extents (NULL: 0 bytes); of all
 * inputs and outputs. */
int64_t lm_elems_now(const lm_tensor *tensor, const int64_t *extents);
int64_t lm_bytes_now(const lm_tensor *tensor, const int64_t *extents);
int64_t lm_node_bytes(const lm_node *node, const int64_t *extents);

/* Pairs (row, position it attends to) of causal sequences of seq_len rows, the last maybe
 * shorter. */
int64_t lm_causal_pairs(int64_t n_rows, int64_t seq_len);

/* References. */
static inline float *lm_f32(const lm_tensor *tensor) {
    return tensor->data;
}

static inline const int32_t *lm_i32(const lm_tensor *tensor) {
    return tensor->data;
}

/* Dimension 0 of a tensor in this run. */
static inline int64_t lm_rows_now(const lm_kernel_args *args, const lm_tensor *tensor) {
    return lm_tensor_dim0(tensor, args->extents);
}

/* This thread's share of n. */
static inline lm_range lm_share(const lm_kernel_args *args, int64_t n) {
    return lm_range_split(n, 1, args->thread, args->n_threads);
}

/* The element at `at` (a multiple of the type's block) of any type. */
static inline const void *lm_at(const lm_tensor *tensor, int64_t at) {
    return (const char *)tensor->data + lm_dtype_bytes(tensor->dtype, at);
}

static inline float lm_round_bf16(float x) {
    return lm_bf16_to_f32(lm_f32_to_bf16(x));
}

/* n elements from `at` on of an f32 or bf16 tensor, rounded as CAST does. */
static inline void lm_store(const lm_tensor *tensor, int64_t at, const float *src, int64_t n) {
    lm_dtype_get(tensor->dtype)->pack(src, (void *)lm_at(tensor, at), n);
}

/* n elements from `at` on, as f32. */
static inline void lm_load(const lm_tensor *tensor, int64_t at, float *dst, int64_t n) {
    lm_dtype_get(tensor->dtype)->unpack(lm_at(tensor, at), dst, n);
}

/* In the order of LAYER_NORM: lanes, then their fold. */
static inline float lm_mean(const float *x, int64_t n) {
    float lanes[LM_LANES] = {0};
    for (int64_t i = 0; i < n; i++) lanes[i % LM_LANES] += x[i];
    return lm_lanes_fold(lanes) / (float)n;
}

/* The sum of (x - mean)^2, likewise. */
static inline float lm_squares_about(const float *x, float mean, int64_t n) {
    float lanes[LM_LANES] = {0};
    for (int64_t i = 0; i < n; i++) {
        float d = x[i] - mean;
        lanes[i % LM_LANES] = fmaf(d, d, lanes[i % LM_LANES]);
    }
    return lm_lanes_fold(lanes);
}

/* Parts of a row that a norm normalizes alone, where they are counted. */
static inline int64_t lm_n_groups(const lm_node *norm) {
    return norm->attrs.n_heads ? norm->attrs.n_heads : 1;
}

/* What input `in` of a norm has for group `group` of all rows', `dim` wide; NULL: there is no such input. */
static inline const float *lm_group_of(const lm_node *norm, int in, int64_t group, int64_t dim) {
    const lm_tensor *v = norm->in[in];
    if (!v) return NULL;
    return lm_f32(v) + (v->shape[0] == dim ? 0 : group % lm_n_groups(norm) * dim);
}

#endif
