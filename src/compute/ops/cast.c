/* CAST: y = x in another element type, rounded as dtype.h says
 * x           any shape; f32, or any float type when the target is f32    in
 * y           attrs.dtype, same shape                                     out
 * The gradient passes unchanged, as f32.
 */
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0];
    lm_dtype to = node->attrs.dtype;
    bool one_is_f32 = x->dtype == LM_F32 || to == LM_F32;
    if (!one_is_f32 || !lm_is_weight(x->dtype) || !lm_is_weight(to) || x->layout != LM_LAYOUT_ROWS)
        return lm_op_refuse(node, err, "f32 on one side and a float type on the other");
    lm_out_like(out[0], x, to);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_tensor *x = args->node->in[0], *y = args->node->out[0];
    const lm_dtype_info *to = lm_dtype_get(y->dtype), *from = lm_dtype_get(x->dtype);
    int64_t grain = to->block_elems > from->block_elems ? to->block_elems : from->block_elems;
    int64_t n = lm_elems_now(x, args->extents);
    lm_range range = lm_range_split(n, grain, args->thread, args->n_threads);
    int64_t count = range.end - range.begin;
    void *dst = (void *)lm_at(y, range.begin);
    if (y->dtype == LM_F32)
        from->unpack(lm_at(x, range.begin), dst, count);
    else
        to->pack(lm_f32(x) + range.begin, dst, count);
}

static void backward(lm_graph *graph, const lm_node *node, lm_tensor *const *d_out,
                     lm_tensor **d_in) {
    d_in[0] = d_out[0];
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 0;
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_cast;
const lm_op lm_op_cast = {
    .name = "cast",
    .min_inputs = 1,
    .max_inputs = 1,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .backward = backward,
    .cost = cost,
};
