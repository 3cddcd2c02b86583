/* A whole training step beside torch's: loss, gradients, and three clipped AdamW steps (tests/golden/train_step.py). */
#include "learning.h"

#include "backend/cpu/cpu.h"
#include "model/safetensors.h"

enum { N_STEPS = 3 };

static lm_safetensors *golden;
static learning l;

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
    lm_device *device;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 2}, &device, &err));
    learning_open(&l, device, true, bf16);
    for (int i = 0; i < l.params.len; i++) {
        const lm_train_param *param = &l.params.list[i];
        memcpy(l.params.weights + param->offset, golden_values("weight", param),
               (size_t)param->n_elems * sizeof(float));
    }
    assert_ok(lm_train_params_round(&l.params, &err));
    for (int i = 0; i < LEARN_BATCH * LEARN_LEN; i++) {
        lm_learner_tokens(l.learner)[i] = (7 * i + 3) % LEARN_VOCAB;
        lm_learner_targets(l.learner)[i] = i % 7 == 3 ? -1 : (5 * i + 2) % LEARN_VOCAB;
    }
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
    for (int i = 0; i < l.params.len; i++) {
        const lm_train_param *param = &l.params.list[i];
        const float *expected = golden_values(kind, param);
        for (int64_t j = 0; j < param->n_elems; j++)
            assert_close(values[param->offset + j], expected[j], atol, rtol);
    }
}

static void test_loss_and_gradients(void **state) {
    open_learner(false);
    assert_close(learning_loss(&l), golden_loss(0), 1e-5, 0);
    assert_close(learning_accumulate(&l), golden_loss(0), 1e-5, 0);
    compare("grad", l.params.grads, 2e-6, 1e-4);
    learning_close(&l);
}

static void test_optimizer_steps(void **state) {
    open_learner(false);
    for (int step = 0; step < N_STEPS; step++) {
        assert_close(learning_accumulate(&l), golden_loss(step), 2e-5, 0);
        double norm = learning_grad_norm(&l);
        assert_true(norm > 0.5);
        assert_ok(lm_learner_update(l.learner, step, 0.01, 0.5 / norm, &err));
    }
    assert_close(learning_loss(&l), golden_loss(N_STEPS), 5e-5, 0);
    compare("after", l.params.weights, 1e-4,
            0); /* a step of lr 0.01 turns on the ratio of two small numbers */
    learning_close(&l);
}

static void test_bf16_follows(void **state) {
    open_learner(true);
    for (int step = 0; step < N_STEPS; step++) {
        assert_close(learning_accumulate(&l), golden_loss(step), 0.03, 0);
        double norm = learning_grad_norm(&l);
        assert_ok(lm_learner_update(l.learner, step, 0.01, 0.5 / norm, &err));
    }
    learning_close(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_loss_and_gradients),
                                       cmocka_unit_test(test_optimizer_steps),
                                       cmocka_unit_test(test_bf16_follows)};
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
