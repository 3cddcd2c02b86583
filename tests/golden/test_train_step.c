/* A whole training step beside torch's: loss, gradients, and three clipped AdamW steps (tests/golden/train_step.py). */
#include "testing.h"

#include "backend/cpu/cpu.h"
#include "model/safetensors.h"
#include "train/learner.h"

enum { BATCH = 3, LEN = 8, VOCAB = 29, N_STEPS = 3 };

static lm_safetensors *golden;
static lm_device *device;
static lm_train_params params;
static lm_learner *learner;

static const float *golden_values(const char *kind, const lm_train_param *param) {
    char name[LM_PARAM_NAME_BYTES], full[2 * LM_PARAM_NAME_BYTES];
    lm_param_name(param->id, param->layer, LM_NAMING_HF, name);
    snprintf(full, sizeof full, "%s.%s", kind, name);
    const lm_stored_tensor *tensor = lm_stored_tensors_find(lm_safetensors_tensors(golden), full);
    assert_non_null(tensor);
    assert_int_equal(lm_stored_tensor_n_elems(tensor), param->n_elems);
    return tensor->data;
}

static float golden_loss(int i) {
    return ((const float *)lm_stored_tensors_find(lm_safetensors_tensors(golden), "loss")->data)[i];
}

static void open_learner(bool bf16) {
    lm_arch_config config = {.arch = lm_arch_find("llama")};
    config.hparams = (lm_hparams){.architecture = "llama",
                                  .n_layers = 2,
                                  .dim = 16,
                                  .n_heads = 4,
                                  .n_kv_heads = 2,
                                  .head_dim = 4,
                                  .rope_dim = 4,
                                  .ffn_dim = 24,
                                  .hidden_act = "silu",
                                  .vocab_size = VOCAB,
                                  .context_len = LEN,
                                  .rms_norm_eps = 1e-5,
                                  .rope_theta = 10000,
                                  .rope_scaling = {.factor = 1},
                                  .tied_embeddings = true};
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 2}, &device, &err));
    lm_train_params_options options = {.init_std = 1, .bf16 = bf16};
    assert_ok(lm_train_params_init(&params, device, &config, &options, &err));
    for (int i = 0; i < params.len; i++) {
        const lm_train_param *param = &params.list[i];
        memcpy(params.weights + param->offset, golden_values("weight", param),
               (size_t)param->n_elems * sizeof(float));
    }
    lm_train_params_round(&params);
    lm_learner_options learner_options = {.batch_size = BATCH,
                                          .seq_len = LEN,
                                          .bf16 = bf16,
                                          .beta1 = 0.9f,
                                          .beta2 = 0.99f,
                                          .eps = 1e-8f,
                                          .weight_decay = 0.1f};
    assert_ok(lm_learner_new(&params, &learner_options, &learner, &err));
    for (int i = 0; i < BATCH * LEN; i++) {
        lm_learner_tokens(learner)[i] = (7 * i + 3) % VOCAB;
        lm_learner_targets(learner)[i] = i % 7 == 3 ? -1 : (5 * i + 2) % VOCAB;
    }
}

static void close_learner(void) {
    lm_learner_free(learner);
    lm_train_params_deinit(&params);
    lm_device_close(device);
}

static int open_golden(void **state) {
    loam_error err;
    return lm_safetensors_open(LM_GOLDEN_DIR "/../train/step.safetensors", &golden, &err) !=
           LOAM_OK;
}

static int close_golden(void **state) {
    lm_safetensors_close(golden);
    return 0;
}

/* Every element of one of the flat arrays beside what torch has for it. */
static void compare(const char *kind, const float *values, double atol, double rtol) {
    for (int i = 0; i < params.len; i++) {
        const lm_train_param *param = &params.list[i];
        const float *expected = golden_values(kind, param);
        for (int64_t j = 0; j < param->n_elems; j++)
            assert_close(values[param->offset + j], expected[j], atol, rtol);
    }
}

static void test_loss_and_gradients(void **state) {
    open_learner(false);
    assert_close(lm_learner_loss(learner), golden_loss(0), 1e-5, 0);
    assert_close(lm_learner_accumulate(learner), golden_loss(0), 1e-5, 0);
    compare("grad", params.grads, 2e-6, 1e-4);
    close_learner();
}

static void test_optimizer_steps(void **state) {
    open_learner(false);
    for (int step = 0; step < N_STEPS; step++) {
        assert_close(lm_learner_accumulate(learner), golden_loss(step), 2e-5, 0);
        double norm = lm_learner_grad_norm(learner);
        assert_true(norm > 0.5);
        lm_learner_update(learner, step, 0.01, 0.5 / norm);
    }
    assert_close(lm_learner_loss(learner), golden_loss(N_STEPS), 5e-5, 0);
    compare("after", params.weights, 1e-4,
            0); /* a step of lr 0.01 turns on the ratio of two small numbers */
    close_learner();
}

static void test_bf16_follows(void **state) {
    open_learner(true);
    for (int step = 0; step < N_STEPS; step++) {
        assert_close(lm_learner_accumulate(learner), golden_loss(step), 0.03, 0);
        lm_learner_update(learner, step, 0.01, 0.5 / lm_learner_grad_norm(learner));
    }
    close_learner();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_loss_and_gradients),
                                       cmocka_unit_test(test_optimizer_steps),
                                       cmocka_unit_test(test_bf16_follows)};
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
