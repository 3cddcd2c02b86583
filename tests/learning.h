/* A small model in training, as several tests have it. */
#ifndef LM_TESTS_LEARNING_H
#define LM_TESTS_LEARNING_H

#include "testing.h"

#include "train/learner.h"

enum { LEARN_BATCH = 3, LEARN_LEN = 8, LEARN_VOCAB = 29 };

typedef struct learning {
    lm_device *device;
    lm_train_params params;
    lm_learner *learner;
} learning;

static inline lm_arch_config learning_config(bool tied) {
    lm_arch_config config = {.arch = lm_arch_find("llama"),
                             .features = tied ? 0 : LM_FEATURE_UNTIED_HEAD};
    config.hparams = (lm_hparams){.architecture = "llama",
                                  .n_layers = 2,
                                  .dim = 16,
                                  .n_heads = 4,
                                  .n_kv_heads = 2,
                                  .head_dim = 4,
                                  .rope_dim = 4,
                                  .ffn_dim = 24,
                                  .hidden_act = "silu",
                                  .vocab_size = LEARN_VOCAB,
                                  .context_len = LEARN_LEN,
                                  .rms_norm_eps = 1e-5,
                                  .rope_theta = 10000,
                                  .rope_scaling = {.factor = 1},
                                  .tied_embeddings = tied};
    return config;
}

/* The device goes with the rest at close. */
static inline void learning_open(learning *l, lm_device *device, bool tied, bool bf16) {
    lm_arch_config config = learning_config(tied);
    assert_ok(lm_arch_config_check(&config, &err));
    lm_train_params_options params = {.seed = 7, .init_std = 0.3, .bf16 = bf16};
    lm_learner_options learner = {.batch_size = LEARN_BATCH,
                                  .seq_len = LEARN_LEN,
                                  .bf16 = bf16,
                                  .beta1 = 0.9f,
                                  .beta2 = 0.99f,
                                  .eps = 1e-8f,
                                  .weight_decay = 0.1f};
    l->device = device;
    assert_ok(lm_train_params_init(&l->params, device, &config, &params, &err));
    assert_ok(lm_learner_new(&l->params, &learner, &l->learner, &err));
}

static inline void learning_close(learning *l) {
    lm_learner_free(l->learner);
    lm_train_params_deinit(&l->params);
    lm_device_close(l->device);
}

static inline float learning_accumulate(learning *l) {
    float loss;
    assert_ok(lm_learner_accumulate(l->learner, &loss, &err));
    return loss;
}

static inline float learning_loss(learning *l) {
    float loss;
    assert_ok(lm_learner_loss(l->learner, &loss, &err));
    return loss;
}

static inline double learning_grad_norm(learning *l) {
    double norm;
    assert_ok(lm_learner_grad_norm(l->learner, &norm, &err));
    return norm;
}

#endif
