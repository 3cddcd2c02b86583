/* The loss of a CROSS_ENTROPY node from its logits, its targets and the lse of each row, which is there already. All its
 * kernels end with this on one thread.
 */
#ifndef LM_COMPUTE_OPS_MEAN_LOSS_H
#define LM_COMPUTE_OPS_MEAN_LOSS_H

#include "compute/ops/rules.h"

/* Mean over the rows that count; 0 when none does. */
static inline float lm_mean_loss(const lm_node *node, int64_t n_rows) {
    const float *logits = lm_f32(node->in[0]), *lse = lm_f32(node->out[1]);
    const int32_t *targets = lm_i32(node->in[1]);
    int64_t n_classes = node->in[0]->shape[1], count = 0;
    double sum = 0.0;
    for (int64_t r = 0; r < n_rows; r++) {
        if (targets[r] < 0) continue;
        LM_ASSERT(targets[r] < n_classes);
        sum += (double)lse[r] - (double)logits[r * n_classes + targets[r]];
        count++;
    }
    return count ? (float)(sum / (double)count) : 0.0f;
}

#endif
