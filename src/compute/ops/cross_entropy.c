/* CROSS_ENTROPY: mean over the rows that count of  log(sum of exp(logits)) - logits[target]
 * logits   [R, V] f32                                     in
 * targets  [R] i32, in [0, V); negative: row is left out  in
 * loss     [1] f32; 0 when every row is left out          out 0
 * lse      [R] f32, log of the sum, for the gradient      out 1
 *
 * Order: the maximum m first, then exp(logit - m) in lanes and folded; the rows' losses are added
 * in order, in f64.
 */
#include "compute/ops/mean_loss.h"
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *logits = node->in[0], *targets = node->in[1];
    if (!lm_is(logits, LM_F32, 2) || !lm_is(targets, LM_I32, 1) || !lm_same_rows(logits, targets))
        return lm_op_refuse(node, err, "logits [R, V] f32 and targets [R] i32");
    lm_out_vector(out[0], 1);
    lm_out_column(out[1], logits);
    return LOAM_OK;
}

static float log_sum_exp(const float *x, int64_t n) {
    float max = x[0], lanes[LM_LANES] = {0};
    for (int64_t i = 1; i < n; i++) max = x[i] > max ? x[i] : max;
    for (int64_t i = 0; i < n; i++) lanes[i % LM_LANES] += lm_exp(x[i] - max);
    return max + logf(lm_lanes_fold(lanes));
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t n_rows = lm_rows_now(args, node->in[0]), n_classes = node->in[0]->shape[1];
    lm_range rows = lm_share(args, n_rows);
    for (int64_t r = rows.begin; r < rows.end; r++)
        lm_f32(node->out[1])[r] = log_sum_exp(lm_f32(node->in[0]) + r * n_classes, n_classes);
    args->barrier(args->device);
    if (args->thread == 0) *lm_f32(node->out[0]) = lm_mean_loss_of_logits(node, n_rows);
}

static void backward(lm_graph *graph, const lm_node *node, lm_tensor *const *d_out,
                     lm_tensor **d_in) {
    d_in[0] = lm_graph_op(graph, LM_OP_CROSS_ENTROPY_BACKWARD,
                          &(lm_op_args){.in = {node->in[0], node->in[1], node->out[1], d_out[0]}});
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 4 * lm_elems_now(node->in[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_cross_entropy;
const lm_op lm_op_cross_entropy = {
    .name = "cross_entropy",
    .min_inputs = 2,
    .max_inputs = 2,
    .n_outputs = 2,
    .shape = shape,
    .reference = reference,
    .backward = backward,
    .cost = cost,
};
