/* KV_WRITE: this step's keys and values into the paged cache
 * k, v              [R, Hkv * D] and [R, Hkv * Dv] f32  in
 * k_cache, v_cache  STATE, ops/paged_cache.h            in, changed in place
 * slots             [R] i32, block * T + token; negative: the row is not kept    in
 * k_scale, v_scale  STATE, of an i8 or i16 cache only   in, changed in place
 * k_cache, v_cache, k_scale, v_scale: those that there are    out
 * Without v there are no v_cache and v_scale: values are part of the keys. No two rows of a step name the same slot. Readers take the outputs, so that they come after the
 * writes. A head's key and value of codes have a scale each (lm_paged_factor_i8, lm_paged_factor_i16).
 */
#include <string.h>

#include "compute/ops/paged_cache.h"

static bool values_fit(const lm_tensor *v, const lm_tensor *k, const lm_tensor *v_cache) {
    return lm_is(v, LM_F32, 2) && lm_same_rows(k, v) &&
           v->shape[1] == lm_paged_n_heads(v_cache) * lm_paged_value_dim(v_cache);
}

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *k = node->in[0], *v = node->in[1], *k_cache = node->in[2],
                    *slots = node->in[4];
    bool states = k_cache && !v == !node->in[3];
    for (int i = 2; i < 7; i++)
        states &= i == 4 || !node->in[i] || node->in[i]->role == LM_ROLE_STATE;
    if (!states || !lm_paged_cache_ok(k_cache, node->in[3], node->in[5], node->in[6]) ||
        lm_paged_head_dim(k_cache) > LM_MAX_HEAD_DIM || !lm_is(k, LM_F32, 2) || !slots ||
        !lm_is(slots, LM_I32, 1) || !lm_same_rows(k, slots) ||
        (v && !values_fit(v, k, node->in[3])) ||
        k->shape[1] != lm_paged_n_heads(k_cache) * lm_paged_head_dim(k_cache))
        return lm_op_refuse(
            node, err,
            "k [R, Hkv * D] and v [R, Hkv * Dv] f32, states k_cache [blocks, Hkv, D, T] and "
            "v_cache [blocks, Hkv, T, Dv], slots [R] i32, and with i8 and i16 scales [blocks, "
            "Hkv, T] and an even D");
    for (int i = 2, n = 0; i < 7; i++)
        if (i != 4 && node->in[i]) lm_out_in_place(out[n++], node->in[i]);
    return LOAM_OK;
}

/* The largest magnitude; NaN where one number is not finite. */
static float largest_of(const float *x, int64_t n) {
    float largest = 0.0f, finite = 0.0f;
    for (int64_t i = 0; i < n; i++) {
        if (fabsf(x[i]) > largest) largest = fabsf(x[i]);
        finite += x[i] * 0.0f;
    }
    return finite == 0.0f ? largest : NAN;
}

/* A vector as the cache has it, its scale where that is codes. */
static void pack_vector(lm_dtype dtype, const float *x, int64_t n, char *packed, float *scale) {
    float codes[LM_MAX_HEAD_DIM];
    if (scale) {
        float factor = dtype == LM_I8 ? lm_paged_factor_i8(largest_of(x, n), scale)
                                      : lm_paged_factor_i16(sqrtf(lm_dot(x, x, n)), scale);
        lm_make_codes(x, factor, codes, n);
        x = codes;
    }
    lm_dtype_get(dtype)->pack(x, packed, n);
}

/* Where element d of a token's key or value is: lm_paged_key_at, lm_paged_value_at. */
typedef int64_t place_fn(const lm_tensor *cache, int64_t token, int64_t d);

/* A head's key or value into its place in the part of the cache that begins `at`. */
static void write_vector(const lm_tensor *cache, int64_t at, int64_t token, place_fn *place,
                         const float *x, int64_t dim, float *scale) {
    char packed[LM_MAX_HEAD_DIM * sizeof(float)];
    size_t bytes = lm_dtype_bytes(cache->dtype, 1);
    pack_vector(cache->dtype, x, dim, packed, scale);
    for (int64_t d = 0; d < dim; d++)
        memcpy((char *)lm_at(cache, at + place(cache, token, d)), packed + (size_t)d * bytes,
               bytes);
}

static void write_head(const lm_node *node, int64_t row, int64_t slot, int64_t kv_head) {
    const lm_tensor *k = lm_kv_written(node, 2), *v = lm_kv_written(node, 3),
                    *k_scale = lm_kv_written(node, 5), *v_scale = lm_kv_written(node, 6);
    int64_t tokens = lm_paged_tokens(k), token = slot % tokens, block = slot / tokens,
            scale_at = lm_paged_scale_at(k, block, kv_head) + token,
            vector = row * lm_paged_n_heads(k) + kv_head, dim = lm_paged_head_dim(k);
    write_vector(k, lm_paged_at(k, block, kv_head), token, lm_paged_key_at,
                 lm_f32(node->in[0]) + vector * dim, dim, k_scale ? lm_f32(k_scale) + scale_at : NULL);
    if (!v) return;
    dim = lm_paged_value_dim(v);
    write_vector(v, lm_paged_at(v, block, kv_head), token, lm_paged_value_at,
                 lm_f32(node->in[1]) + vector * dim, dim, v_scale ? lm_f32(v_scale) + scale_at : NULL);
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    const int32_t *slots = lm_i32(node->in[4]);
    int64_t n_heads = lm_paged_n_heads(node->out[0]),
            n_slots = node->out[0]->shape[0] * lm_paged_tokens(node->out[0]);
    lm_range rows = lm_share(args, lm_rows_now(args, node->in[0]));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        if (slots[r] < 0) continue;
        LM_ASSERT(slots[r] < n_slots);
        for (int64_t h = 0; h < n_heads; h++) write_head(node, r, slots[r], h);
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    const lm_tensor *k = node->in[2];
    int64_t n_keys = lm_elems_now(node->in[0], extents), n_caches = node->in[3] ? 2 : 1,
            n_values = node->in[1] ? lm_elems_now(node->in[1], extents) : 0,
            cache = (int64_t)lm_dtype_bytes(k->dtype, n_keys + n_values);
    if (node->in[5]) cache += n_caches * (int64_t)sizeof(float) * n_keys / lm_paged_head_dim(k);
    out->flops = 0;
    out->bytes = (int64_t)lm_dtype_bytes(LM_F32, n_keys + n_values) + cache +
                 lm_bytes_now(node->in[4], extents);
}

extern const lm_op lm_op_kv_write;
const lm_op lm_op_kv_write = {
    .name = "kv_write",
    .min_inputs = 1,
    .max_inputs = 7,
    .n_outputs = 4,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
