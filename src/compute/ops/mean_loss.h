/* The mean of the rows' losses, added in order in f64: how CROSS_ENTROPY and LINEAR_CROSS_ENTROPY end, on one thread.
 */
#ifndef LM_COMPUTE_OPS_MEAN_LOSS_H
#define LM_COMPUTE_OPS_MEAN_LOSS_H

#include "compute/ops/rules.h"

typedef struct lm_mean_loss {
    double sum;
    int64_t count;
} lm_mean_loss;

/* A row that counts: the log of its sum of exponentials, and its logit at the target. */
static inline void lm_mean_loss_add(lm_mean_loss *mean, float lse, float at_target) {
    mean->sum += (double)lse - (double)at_target;
    mean->count++;
}

/* 0 when no row counts. */
static inline float lm_mean_loss_end(const lm_mean_loss *mean) {
    return mean->count ? (float)(mean->sum / (double)mean->count) : 0.0f;
}

/* The loss of a CROSS_ENTROPY node, when the rows' lse are there. */
static inline float lm_mean_loss_of_logits(const lm_node *node, int64_t n_rows) {
    const float *logits = lm_f32(node->in[0]), *lse = lm_f32(node->out[1]);
    const int32_t *targets = lm_i32(node->in[1]);
    int64_t n_classes = node->in[0]->shape[1];
    lm_mean_loss mean = {0};
    for (int64_t r = 0; r < n_rows; r++) {
        if (targets[r] < 0) continue;
        LM_ASSERT(targets[r] < n_classes);
        lm_mean_loss_add(&mean, lse[r], logits[r * n_classes + targets[r]]);
    }
    return lm_mean_loss_end(&mean);
}

/* What a row's gradient is multiplied by: d_loss over the number of rows that count; 0 when none does. */
static inline float lm_mean_loss_scale(const int32_t *targets, int64_t n_rows, float d_loss) {
    int64_t count = 0;
    for (int64_t r = 0; r < n_rows; r++) count += targets[r] >= 0;
    return count ? d_loss / (float)count : 0.0f;
}

#endif
