/* HEAD_LINEAR: LINEAR with a matrix for each head        arXiv:2405.04434
 * x     [R, H * K] f32: a row's heads one after the other                        in
 * w     [H, N, K] any float type, each head's in row order or the backend's      in
 * y     [R, H * N] f32                                                           out
 *
 * Order: each product is LINEAR's.
 */
#include "compute/ops/experts.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *w = node->in[1];
    if (w->n_dims != 3 || !lm_is_weight(w->dtype) || w->extent != LM_EXTENT_FIXED ||
        !lm_is(x, LM_F32, 2) || x->shape[1] != w->shape[0] * w->shape[2])
        return lm_op_refuse(node, err, "x [R, H * K] f32 and w [H, N, K]");
    lm_out_rows(out[0], x, w->shape[0] * w->shape[1]);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    const lm_tensor *x = node->in[0], *w = node->in[1];
    int64_t n_heads = w->shape[0], n_out = w->shape[1], n_in = w->shape[2];
    size_t head_bytes = lm_dtype_bytes(w->dtype, n_out * n_in);
    lm_range slots = lm_share(args, lm_rows_now(args, x) * n_heads);
    for (int64_t s = slots.begin; s < slots.end; s++) {
        lm_expert_product p;
        lm_expert_product_init(&p, node, s % n_heads, head_bytes, 1, lm_at(x, s * n_in),
                               lm_f32(node->out[0]) + s * n_out);
        lm_expert_product_reference(args, &p);
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 2 * node->in[1]->shape[2] * lm_elems_now(node->out[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_head_linear;
const lm_op lm_op_head_linear = {
    .name = "head_linear",
    .min_inputs = 2,
    .max_inputs = 2,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
