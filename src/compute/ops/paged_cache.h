/* The paged cache of keys and values as KV_WRITE and ATTENTION_PAGED see it.
 *
 * k_cache   [n_blocks, Hkv, D, T]   T tokens of a block side by side: a vector of positions for each dimension
 * v_cache   [n_blocks, Hkv, T, D]
 * k_scale, v_scale  [n_blocks, Hkv, T] f32, only where the caches are i8: what a token's codes are multiplied with
 * Without v_cache a value is the first elements of its key (ops/attention_paged.c), and has the key's scale.
 * A slot is block * T + token. f32, bf16 and f16 caches hold the numbers themselves, rounded.
 */
#ifndef LM_COMPUTE_OPS_PAGED_CACHE_H
#define LM_COMPUTE_OPS_PAGED_CACHE_H

#include "compute/ops/paged_softmax.h"
#include "compute/ops/rules.h"

/* Whether these four tensors (v NULL: values are in the keys; scales NULL or there for both) make one cache for n_kv_heads heads of head_dim. */
bool lm_paged_cache_ok(const lm_tensor *k, const lm_tensor *v, const lm_tensor *k_scale,
                       const lm_tensor *v_scale);

static inline int64_t lm_paged_n_heads(const lm_tensor *k_cache) {
    return k_cache->shape[1];
}

static inline int64_t lm_paged_head_dim(const lm_tensor *k_cache) {
    return k_cache->shape[2];
}

static inline int64_t lm_paged_tokens(const lm_tensor *k_cache) {
    return k_cache->shape[3];
}

/* Of ATTENTION_PAGED: how wide a value is. */
static inline int64_t lm_value_dim(const lm_attrs *attrs) {
    return attrs->value_dim > 0 ? attrs->value_dim : attrs->head_dim;
}

/* Of ATTENTION_PAGED: the positions that a row sees. */
static inline lm_range lm_paged_seen(const lm_node *node, int64_t row) {
    int64_t last = lm_i32(node->in[3])[row], window = node->attrs.window;
    if (node->attrs.chunked && window > 0) return (lm_range){last - last % window, last + 1};
    if (!node->in[9]) return (lm_range){lm_paged_first(last, window), last + 1};
    int64_t at = lm_i32(node->in[9])[row], half = window > 0 ? window / 2 : INT32_MAX;
    return (lm_range){at > half ? at - half : 0, (at + half < last ? at + half : last) + 1};
}

/* Of ATTENTION_PAGED: what is added to a row's score of position p is at [p]; NULL: nothing is. */
static inline const float *lm_paged_bias(const lm_node *node, int64_t row, int64_t head) {
    const lm_tensor *bias = node->in[10], *at = node->in[9] ? node->in[9] : node->in[3];
    if (!bias) return NULL;
    int64_t n = bias->shape[1], itself = node->in[9] ? n / 2 : n - 1;
    LM_ASSERT(lm_i32(at)[row] <= itself && lm_i32(node->in[3])[row] <= itself);
    return lm_f32(bias) + head * n + itself - lm_i32(at)[row];
}

/* Where the keys [D][T] (and values [T][D]) of a head of a block begin, in elements. */
static inline int64_t lm_paged_at(const lm_tensor *k_cache, int64_t block, int64_t kv_head) {
    return (block * k_cache->shape[1] + kv_head) * k_cache->shape[2] * k_cache->shape[3];
}

/* Where their scales [T] begin. */
static inline int64_t lm_paged_scale_at(const lm_tensor *k_cache, int64_t block, int64_t kv_head) {
    return (block * k_cache->shape[1] + kv_head) * k_cache->shape[3];
}

/* Where KV_WRITE writes what its input i is, k_cache (2) and so on; NULL: nowhere. */
static inline const lm_tensor *lm_kv_written(const lm_node *node, int i) {
    int n = 0;
    if (!node->in[i]) return NULL;
    for (int before = 2; before < i; before++) n += before != 4 && node->in[before];
    return node->out[n];
}

/* The i8 codes of a vector are x[i] * factor rounded to even, with factor = 127 / largest magnitude; its scale is
 * largest / 127. The factor is 0, and all codes are, where the largest is next to nothing, and where one number is not
 * finite: the scale is then NaN, so that nothing wrong comes back. */
static inline float lm_paged_code_factor(float largest, bool finite, float *out_scale) {
    const float least = 0x1p-118f; /* 127 / least is finite */
    bool has_codes = finite && largest >= least;
    *out_scale = has_codes ? largest / 127.0f : finite ? 0.0f : NAN;
    return has_codes ? 127.0f / largest : 0.0f;
}

#endif
