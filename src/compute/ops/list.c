/* LIST: what rows attend to of a cache that has pooled keys, too: ops/paged_cache.h
 * row_pos   [R] i32                                                             in
 * chosen    [R, K] i32: which pooled ones, the manieth they are, from CHOOSE; optional: all that there are    in
 * listed    [R, window + K] i32: the last `window` positions up to the row's, in order, then pooled ones, then -1; each as
 *           token + tokens of a block * the manieth of the sequence's blocks it is in                          out
 * attrs     window, ratio; n_used K where there is no `chosen`
 */
#include "compute/ops/paged_cache.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *row_pos = node->in[0], *chosen = node->in[1];
    const lm_attrs *a = &node->attrs;
    if (!lm_is(row_pos, LM_I32, 1) || !lm_pooled_ratio_ok(a->ratio) || a->window < 1 ||
        (chosen ? !lm_is(chosen, LM_I32, 2) || !lm_same_rows(row_pos, chosen) : a->n_used < 1))
        return lm_op_refuse(node, err,
                            "row_pos [R] and, if any, chosen [R, K] i32, window, n_used and a "
                            "ratio that divides 64 or is a multiple");
    lm_out_rows(out[0], row_pos, a->window + (chosen ? chosen->shape[1] : a->n_used));
    out[0]->dtype = LM_I32;
    return LOAM_OK;
}

/* The pooled one of positions entry * ratio and those behind it. */
static int32_t pooled_at(int64_t entry, int64_t ratio) {
    int64_t last = entry * ratio + ratio - 1, token = last % LM_PAGED_BLOCK,
            at = lm_pooled_in_block(ratio) > 1 ? token / ratio : 0;
    return (int32_t)(last / LM_PAGED_BLOCK * lm_pooled_tokens(ratio) + LM_PAGED_BLOCK + at);
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t ratio = node->attrs.ratio, width = node->out[0]->shape[1], window = node->attrs.window,
            tokens = lm_pooled_tokens(ratio);
    lm_range rows = lm_share(args, lm_rows_now(args, node->in[0]));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        int64_t last = lm_i32(node->in[0])[r], n = 0, n_pooled = (last + 1) / ratio;
        int32_t *listed = (int32_t *)node->out[0]->data + r * width;
        const int32_t *chosen = node->in[1] ? lm_i32(node->in[1]) + r * (width - window) : NULL;
        for (int64_t p = lm_paged_first(last, window); p <= last; p++)
            listed[n++] = (int32_t)(p / LM_PAGED_BLOCK * tokens + p % LM_PAGED_BLOCK);
        for (int64_t i = 0; i < width - window && i < n_pooled; i++)
            listed[n++] = pooled_at(chosen ? chosen[i] : i, ratio);
        while (n < width) listed[n++] = -1;
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 0;
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_list;
const lm_op lm_op_list = {
    .name = "list",
    .min_inputs = 1,
    .max_inputs = 2,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
