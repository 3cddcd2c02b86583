/* CROSS_ENTROPY_BACKWARD: the gradient of CROSS_ENTROPY
 *     d_logits = (exp(logits - lse) - [column is the target]) * (d_loss / rows that count)
 * logits    [R, V] f32                                 in
 * targets   [R] i32; rows with negative ones get 0     in
 * lse       [R] f32, from CROSS_ENTROPY                in
 * d_loss    [1] f32                                    in
 * d_logits  [R, V] f32; may take over logits           out
 */
#include <string.h>

#include "compute/ops/mean_loss.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *logits = node->in[0], *targets = node->in[1], *lse = node->in[2],
                    *d_loss = node->in[3];
    if (!lm_is(logits, LM_F32, 2) || !lm_is(targets, LM_I32, 1) || !lm_is(lse, LM_F32, 1) ||
        !lm_is(d_loss, LM_F32, 1) || !lm_same_rows(logits, targets) || !lm_same_rows(logits, lse) ||
        d_loss->shape[0] != 1)
        return lm_op_refuse(node, err,
                            "logits [R, V] f32, targets [R] i32, lse [R] f32 and d_loss [1] f32");
    lm_out_like(out[0], logits, LM_F32);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    const int32_t *targets = lm_i32(node->in[1]);
    int64_t n_rows = lm_rows_now(args, node->in[0]), n_classes = node->in[0]->shape[1];
    float scale = lm_mean_loss_scale(targets, n_rows, *lm_f32(node->in[3]));
    lm_range rows = lm_share(args, n_rows);
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const float *logits = lm_f32(node->in[0]) + r * n_classes;
        float *d_logits = lm_f32(node->out[0]) + r * n_classes, lse = lm_f32(node->in[2])[r];
        if (targets[r] < 0) {
            memset(d_logits, 0, (size_t)n_classes * sizeof *d_logits);
            continue;
        }
        for (int64_t c = 0; c < n_classes; c++) {
            float p = lm_exp(logits[c] - lse);
            d_logits[c] = (c == targets[r] ? p - 1.0f : p) * scale;
        }
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 3 * lm_elems_now(node->in[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_cross_entropy_backward;
const lm_op lm_op_cross_entropy_backward = {
    .name = "cross_entropy_backward",
    .min_inputs = 4,
    .max_inputs = 4,
    .n_outputs = 1,
    .in_place = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
