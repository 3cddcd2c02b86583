/* SUM_SQUARES: total = sum so far + sum of x^2, for the gradients' norm
 * x      any shape f32                   in
 * sofar  [1] f32, optional: then zero    in
 * total  [1] f32                         out
 *
 * Order: lm_dot over every LM_REDUCE_CHUNK consecutive elements; the chunks' sums are added in
 * order in f64, and sofar to that last. The reference leaves all of it to one thread.
 */
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *sofar = node->in[1];
    if (x->dtype != LM_F32 || (sofar && (!lm_is(sofar, LM_F32, 1) || sofar->shape[0] != 1)))
        return lm_op_refuse(node, err, "x f32 and, if any, a sum so far [1] f32");
    lm_out_vector(out[0], 1);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    if (args->thread != 0) return;
    const float *x = lm_f32(node->in[0]);
    int64_t n = lm_elems_now(node->in[0], args->extents);
    double sum = 0.0;
    for (int64_t at = 0; at < n; at += LM_REDUCE_CHUNK) {
        int64_t count = n - at < LM_REDUCE_CHUNK ? n - at : LM_REDUCE_CHUNK;
        sum += (double)lm_dot(x + at, x + at, count);
    }
    if (node->in[1]) sum += (double)*lm_f32(node->in[1]);
    *lm_f32(node->out[0]) = (float)sum;
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 2 * lm_elems_now(node->in[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_sum_squares;
const lm_op lm_op_sum_squares = {
    .name = "sum_squares",
    .min_inputs = 1,
    .max_inputs = 2,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
