/* KV_WRITE: this step's keys and values into the paged cache
 * k, v              [R, E] f32                          in
 * k_cache, v_cache  [n_slots, E] f32|bf16|f16 STATE     in, changed in place (out 0, 1)
 * slots             [R] i32, block * block_tokens + offset; negative: the row is not kept    in
 * No two rows of a step name the same slot. Readers take the outputs, so that they come after the
 * writes.
 */
#include "compute/ops/rules.h"

static bool cache_ok(const lm_tensor *cache, int64_t width) {
    return cache->role == LM_ROLE_STATE && cache->n_dims == 2 && lm_is_float(cache) &&
           cache->shape[1] == width;
}

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *k = node->in[0], *v = node->in[1], *slots = node->in[4];
    if (!lm_is(k, LM_F32, 2) || !lm_is(v, LM_F32, 2) || !lm_is(slots, LM_I32, 1) ||
        !lm_tensor_same_shape(k, v) || !lm_same_rows(k, slots) ||
        !cache_ok(node->in[2], k->shape[1]) || !cache_ok(node->in[3], k->shape[1]))
        return lm_op_refuse(
            node, err,
            "k and v [R, E] f32, states k_cache and v_cache [n_slots, E], slots [R] i32");
    lm_out_in_place(out[0], node->in[2]);
    lm_out_in_place(out[1], node->in[3]);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    const int32_t *slots = lm_i32(node->in[4]);
    int64_t width = node->in[0]->shape[1];
    lm_range rows = lm_share(args, lm_rows_now(args, node->in[0]));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        if (slots[r] < 0) continue;
        LM_ASSERT(slots[r] < node->in[2]->shape[0]);
        for (int i = 0; i < 2; i++) {
            const lm_tensor *cache = node->out[i];
            void *slot = (void *)lm_at(cache, slots[r] * width);
            lm_dtype_get(cache->dtype)->pack(lm_f32(node->in[i]) + r * width, slot, width);
        }
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    int64_t n_elems = lm_elems_now(node->in[0], extents);
    out->flops = 0;
    out->bytes = 2 * lm_bytes_now(node->in[0], extents) + lm_bytes_now(node->in[4], extents) +
                 (int64_t)lm_dtype_bytes(node->in[2]->dtype, n_elems) +
                 (int64_t)lm_dtype_bytes(node->in[3]->dtype, n_elems);
}

extern const lm_op lm_op_kv_write;
const lm_op lm_op_kv_write = {
    .name = "kv_write",
    .min_inputs = 5,
    .max_inputs = 5,
    .n_outputs = 2,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
