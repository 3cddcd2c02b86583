/* PLACE: where rows' keys go that lie beside pooled ones in their cache: ops/paged_cache.h
 * slots     [R] i32, block * LM_PAGED_BLOCK + token     in
 * row_pos   [R] i32                                     in
 * own       [R] i32, slots of the rows' keys            out 0
 * pooled    [R] i32, of those pooled up to them, -1 but of the last of each `ratio` positions    out 1
 * alone     [R] i32, the same in a cache of pooled ones alone                                    out 2
 * attrs     ratio
 */
#include "compute/ops/paged_cache.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *slots = node->in[0], *row_pos = node->in[1];
    if (!lm_is(slots, LM_I32, 1) || !lm_is(row_pos, LM_I32, 1) || !lm_same_rows(slots, row_pos) ||
        !lm_pooled_ratio_ok(node->attrs.ratio))
        return lm_op_refuse(node, err,
                            "slots and row_pos [R] i32, a ratio that divides 64 or is a multiple");
    for (int i = 0; i < 3; i++) {
        lm_out_column(out[i], slots);
        out[i]->dtype = LM_I32;
    }
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t ratio = node->attrs.ratio, n_pooled = lm_pooled_in_block(ratio),
            tokens = lm_pooled_tokens(ratio);
    lm_range rows = lm_share(args, lm_rows_now(args, node->in[0]));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        int64_t slot = lm_i32(node->in[0])[r], block = slot / LM_PAGED_BLOCK,
                token = slot % LM_PAGED_BLOCK, pos = lm_i32(node->in[1])[r],
                at = n_pooled > 1 ? token / ratio : 0;
        bool ends = slot >= 0 && (pos + 1) % ratio == 0;
        ((int32_t *)node->out[0]->data)[r] = (int32_t)(slot < 0 ? -1 : block * tokens + token);
        ((int32_t *)node->out[1]->data)[r] =
            (int32_t)(ends ? block * tokens + LM_PAGED_BLOCK + at : -1);
        ((int32_t *)node->out[2]->data)[r] = (int32_t)(ends ? block * n_pooled + at : -1);
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 0;
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_place;
const lm_op lm_op_place = {
    .name = "place",
    .min_inputs = 2,
    .max_inputs = 2,
    .n_outputs = 3,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
