/* The paged cache of keys and values as KV_WRITE and ATTENTION_PAGED see it.
 *
 * k_cache   [n_blocks, Hkv, D, T]   T tokens of a block side by side: a vector of positions for each dimension
 * v_cache   [n_blocks, Hkv, T, Dv]   values may be wider or narrower than keys
 * k_scale, v_scale  [n_blocks, Hkv, T] f32, only where the caches are codes: what a token's codes are multiplied with
 * Without v_cache a value is the first elements of its key (ops/attention_paged.c), and has the key's scale.
 * Where pooled keys (ops/pool.c), of `ratio` positions each, lie beside those of positions, without v_cache, T is lm_pooled_tokens(ratio): LM_PAGED_BLOCK
 * positions, and behind them the pooled keys that end in the block.
 * A slot is block * T + token. f32, bf16 and f16 caches hold the numbers themselves, rounded. i8 and i16 caches hold codes, integers
 * of a vector's own scale, in pairs, as integer products read them: keys lie as [D / 2][T][2], values as [T / 2][Dv][2], D and T are even.
 */
#ifndef LM_COMPUTE_OPS_PAGED_CACHE_H
#define LM_COMPUTE_OPS_PAGED_CACHE_H

#include "compute/ops/paged_softmax.h"
#include "compute/ops/rules.h"

/* Whether these four tensors (v NULL: values are in the keys; scales NULL or there for both) make one cache for n_kv_heads heads of head_dim. */
bool lm_paged_cache_ok(const lm_tensor *k, const lm_tensor *v, const lm_tensor *k_scale,
                       const lm_tensor *v_scale);

/* Pooled keys have places in blocks only so. */
static inline bool lm_pooled_ratio_ok(int64_t ratio) {
    return ratio > 1 && ratio <= 1 << 20 &&
           (LM_PAGED_BLOCK % ratio == 0 || ratio % LM_PAGED_BLOCK == 0);
}

/* How many of them may end in a block, */
static inline int64_t lm_pooled_in_block(int64_t ratio) {
    return ratio < LM_PAGED_BLOCK ? LM_PAGED_BLOCK / ratio : 1;
}

/* and the tokens of a block with room for these: an even number, as codes want it. */
static inline int64_t lm_pooled_tokens(int64_t ratio) {
    int64_t n = lm_pooled_in_block(ratio);
    return LM_PAGED_BLOCK + n + n % 2;
}

static inline int64_t lm_paged_n_heads(const lm_tensor *k_cache) {
    return k_cache->shape[1];
}

static inline int64_t lm_paged_head_dim(const lm_tensor *k_cache) {
    return k_cache->shape[2];
}

static inline int64_t lm_paged_value_dim(const lm_tensor *v_cache) {
    return v_cache->shape[3];
}

static inline int64_t lm_paged_tokens(const lm_tensor *k_cache) {
    return k_cache->shape[3];
}

/* Of ATTENTION_PAGED: how wide a value is. */
static inline int64_t lm_value_dim(const lm_attrs *attrs) {
    return attrs->value_dim > 0 ? attrs->value_dim : attrs->head_dim;
}

/* Of CHOOSE and ATTENTION_PAGED: the positions, or pooled keys, that there are for a row; and whether these are more than n, which are chosen then. */
static inline int64_t lm_paged_choices(const lm_node *node, int64_t row) {
    int64_t n = (int64_t)lm_i32(node->in[3])[row] + 1;
    return node->attrs.ratio > 0 ? n / node->attrs.ratio : n;
}

static inline bool lm_paged_chooses(const lm_node *node, int64_t row, int64_t n) {
    return lm_paged_choices(node, row) > n;
}

/* Of ATTENTION_PAGED: the positions that were chosen for a row, or listed, pooled keys among them; NULL: none were, or all. */
static inline const int32_t *lm_paged_chosen(const lm_node *node, int64_t row) {
    const lm_tensor *chosen = node->in[11];
    bool listed = node->attrs.ratio > 0;
    if (!chosen || (!listed && !lm_paged_chooses(node, row, chosen->shape[1]))) return NULL;
    return lm_i32(chosen) + row * chosen->shape[1];
}

/* Of ATTENTION_PAGED: how many are listed for a row. */
static inline int64_t lm_paged_n_listed(const lm_node *node, int64_t row) {
    int64_t last = lm_i32(node->in[3])[row], window = node->attrs.window,
            most = node->in[11]->shape[1] - window, n = lm_paged_choices(node, row);
    return last + 1 - lm_paged_first(last, window) + (n < most ? n : most);
}

/* Of ATTENTION_PAGED: the positions that a row sees; of chosen ones, the manieth they are. */
static inline lm_range lm_paged_seen(const lm_node *node, int64_t row) {
    int64_t last = lm_i32(node->in[3])[row], window = node->attrs.window;
    if (node->attrs.ratio > 0) return (lm_range){0, lm_paged_n_listed(node, row)};
    if (lm_paged_chosen(node, row)) return (lm_range){0, node->in[11]->shape[1]};
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

/* Where the keys [D][T], or values [T][Dv], of a head of a block begin in their cache, in elements. */
static inline int64_t lm_paged_at(const lm_tensor *cache, int64_t block, int64_t kv_head) {
    return (block * cache->shape[1] + kv_head) * cache->shape[2] * cache->shape[3];
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

static inline bool lm_paged_coded(lm_dtype dtype) {
    return dtype == LM_I8 || dtype == LM_I16;
}

/* Where element d of a token's key, or value, is in its cache behind lm_paged_at. */
static inline int64_t lm_paged_key_at(const lm_tensor *k_cache, int64_t token, int64_t d) {
    int64_t tokens = k_cache->shape[3];
    return lm_paged_coded(k_cache->dtype) ? (d / 2 * tokens + token) * 2 + d % 2
                                          : d * tokens + token;
}

static inline int64_t lm_paged_value_at(const lm_tensor *v_cache, int64_t token, int64_t d) {
    int64_t dim = lm_paged_value_dim(v_cache);
    return lm_paged_coded(v_cache->dtype) ? (token / 2 * dim + d) * 2 + token % 2 : token * dim + d;
}

/* The factor and the scale of a vector's codes (lm_code_factor). Of 8 bits, the largest becomes 127: `largest` is NaN where one number is
 * not finite. Of 16 bits, the vector's length, sqrtf(lm_dot(x, x)), becomes LM_CODE_LENGTH. */
static inline float lm_paged_factor_i8(float largest, float *out_scale) {
    return lm_code_factor(largest, 127.0f, out_scale);
}

static inline float lm_paged_factor_i16(float length, float *out_scale) {
    return lm_code_factor(length, LM_CODE_LENGTH, out_scale);
}

#endif
