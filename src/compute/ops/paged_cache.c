#include "compute/ops/paged_cache.h"

static bool is_state(const lm_tensor *tensor, lm_dtype dtype, int n_dims) {
    return lm_is(tensor, dtype, n_dims) && tensor->extent == LM_EXTENT_FIXED;
}

static bool scale_ok(const lm_tensor *scale, const lm_tensor *k) {
    return is_state(scale, LM_F32, 3) && scale->shape[0] == k->shape[0] &&
           scale->shape[1] == k->shape[1] && scale->shape[2] == k->shape[3];
}

static bool values_ok(const lm_tensor *v, const lm_tensor *k) {
    return is_state(v, k->dtype, 4) && v->shape[0] == k->shape[0] && v->shape[1] == k->shape[1] &&
           v->shape[2] == k->shape[3] && v->shape[3] <= LM_MAX_HEAD_DIM;
}

bool lm_paged_cache_ok(const lm_tensor *k, const lm_tensor *v, const lm_tensor *k_scale,
                       const lm_tensor *v_scale) {
    if (!is_state(k, k->dtype, 4) || (v && !values_ok(v, k))) return false;
    if (lm_is_float(k)) return !k_scale && !v_scale;
    bool pairs = lm_paged_head_dim(k) % 2 == 0 && lm_paged_tokens(k) % 2 == 0;
    if (!lm_paged_coded(k->dtype) || !pairs || !k_scale || !scale_ok(k_scale, k)) return false;
    return v ? v_scale && scale_ok(v_scale, k) : !v_scale;
}
