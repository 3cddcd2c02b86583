/* A model being trained on a device: the graphs of forward and backward, of validation and of the optimizer, planned once.
 *
 *     fill lm_learner_tokens and _targets;  lm_learner_accumulate(...)      once or several times
 *     norm = lm_learner_grad_norm(...);     lm_learner_update(...)          one optimizer step
 *
 * Gradients of several batches add up until the update. Every result is a function of parameters and batches alone, whatever the
 * number of threads. After birth nothing is allocated. What runs may end with LOAM_UNAVAILABLE when the device is lost, never on the
 * CPU. One thread.
 */
#ifndef LM_TRAIN_LEARNER_H
#define LM_TRAIN_LEARNER_H

#include "compute/plan.h"
#include "train/params.h"

typedef struct lm_learner lm_learner;

typedef struct lm_learner_options {
    int64_t batch_size, seq_len;
    bool bf16; /* products of matrices in bf16, with f32 sums, weights and moments */
    float beta1, beta2, eps, weight_decay;
} lm_learner_options;

/* params are borrowed and change with every update. */
loam_status lm_learner_new(lm_train_params *params, const lm_learner_options *options,
                           lm_learner **out, loam_error *err) LM_MUST_USE;
void lm_learner_free(lm_learner *learner);

/* The next batch: [batch_size * seq_len] each, the caller fills them. Negative targets do not count. */
int32_t *lm_learner_tokens(lm_learner *learner);
int32_t *lm_learner_targets(lm_learner *learner);

/* Mean loss of the batch in nats; accumulate also adds its gradient to what is there. */
loam_status lm_learner_accumulate(lm_learner *learner, float *out_loss,
                                  loam_error *err) LM_MUST_USE;
loam_status lm_learner_loss(lm_learner *learner, float *out_loss, loam_error *err) LM_MUST_USE;

/* Length of the gradient as it stands. */
loam_status lm_learner_grad_norm(lm_learner *learner, double *out_norm,
                                 loam_error *err) LM_MUST_USE;

/* One AdamW step with the gradient times `factor`; clears the gradient. step counts from 0. */
loam_status lm_learner_update(lm_learner *learner, int64_t step, double lr, double factor,
                              loam_error *err) LM_MUST_USE;

/* Floating-point operations of one call: from the ops' definitions. */
typedef struct lm_learner_flops {
    int64_t accumulate, loss, update; /* update includes the norm */
} lm_learner_flops;

lm_learner_flops lm_learner_cost(const lm_learner *learner);

/* The plan of forward and backward, and its graph: for profiles. */
lm_plan *lm_learner_plan(lm_learner *learner, const lm_graph **out_graph);

/* For tests: the gradient accumulated so far is params->grads. Clears it. */
loam_status lm_learner_clear_grads(lm_learner *learner, loam_error *err) LM_MUST_USE;

#endif
