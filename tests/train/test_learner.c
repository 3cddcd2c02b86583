/* The whole model's gradient, its independence of threads, and that a step allocates nothing. */
#include "testing.h"

#include <math.h>

#include "backend/cpu/cpu.h"
#include "base/rng.h"
#include "train/learner.h"

enum { BATCH = 3, LEN = 8, VOCAB = 29 };

typedef struct fixture {
    lm_device *device;
    lm_train_params params;
    lm_learner *learner;
} fixture;

static lm_arch_config make_config(bool tied) {
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
                                  .vocab_size = VOCAB,
                                  .context_len = LEN,
                                  .rms_norm_eps = 1e-5,
                                  .rope_theta = 10000,
                                  .rope_scaling = {.factor = 1},
                                  .tied_embeddings = tied};
    return config;
}

static void fill_batch(lm_learner *learner, uint64_t seed) {
    lm_rng rng;
    lm_rng_init(&rng, seed);
    for (int i = 0; i < BATCH * LEN; i++) {
        lm_learner_tokens(learner)[i] = (int32_t)lm_rng_below(&rng, VOCAB);
        lm_learner_targets(learner)[i] = i % 7 == 3 ? -1 : (int32_t)lm_rng_below(&rng, VOCAB);
    }
}

static void open_on(fixture *f, const lm_device_options *device, bool tied, bool bf16) {
    lm_arch_config config = make_config(tied);
    assert_ok(lm_arch_config_check(&config, &err));
    assert_ok(lm_backend_cpu.open(device, &f->device, &err));
    lm_train_params_options options = {.seed = 7, .init_std = 0.3, .bf16 = bf16};
    assert_ok(lm_train_params_init(&f->params, f->device, &config, &options, &err));
    lm_learner_options learner_options = {.batch_size = BATCH,
                                          .seq_len = LEN,
                                          .bf16 = bf16,
                                          .beta1 = 0.9f,
                                          .beta2 = 0.99f,
                                          .eps = 1e-8f,
                                          .weight_decay = 0.1f};
    assert_ok(lm_learner_new(&f->params, &learner_options, &f->learner, &err));
    fill_batch(f->learner, 5);
}

static void open_fixture(fixture *f, int n_threads, bool tied, bool bf16) {
    open_on(f, &(lm_device_options){.n_threads = n_threads}, tied, bf16);
}

static void close_fixture(fixture *f) {
    lm_learner_free(f->learner);
    lm_train_params_deinit(&f->params);
    lm_device_close(f->device);
}

static void check_gradient(bool tied) {
    fixture f;
    open_fixture(&f, 2, tied, false);
    lm_learner_accumulate(f.learner);
    for (int i = 0; i < f.params.len; i++) {
        const lm_train_param *param = &f.params.list[i];
        for (int64_t j = param->offset; j < param->offset + param->n_elems;
             j += 1 + param->n_elems / 5) {
            float at = f.params.weights[j], step = 4e-3f;
            f.params.weights[j] = at + step;
            double above = lm_learner_loss(f.learner);
            f.params.weights[j] = at - step;
            double below = lm_learner_loss(f.learner);
            f.params.weights[j] = at;
            assert_close(f.params.grads[j], (above - below) / (2 * (double)step), 3e-4,
                         2e-2); /* f32 losses near 4 */
        }
    }
    close_fixture(&f);
}

static void test_gradient_is_the_slope(void **state) {
    check_gradient(true);
    check_gradient(false);
}

static void train_some(fixture *f, int n_steps) {
    for (int step = 0; step < n_steps; step++) {
        for (int part = 0; part < 2; part++) {
            fill_batch(f->learner, (uint64_t)(step % 4 * 2 + part));
            lm_learner_accumulate(f->learner);
        }
        double norm = lm_learner_grad_norm(f->learner) / 2;
        lm_learner_update(f->learner, step, 1e-2, norm > 1 ? 0.5 / norm : 0.5);
    }
}

static void check_threads(bool bf16) {
    fixture one, other;
    for (int n_threads = 2; n_threads <= 5; n_threads++) {
        open_fixture(&one, 1, true, bf16);
        open_fixture(&other, n_threads, true, bf16);
        train_some(&one, 5);
        train_some(&other, 5);
        assert_memory_equal(one.params.weights, other.params.weights,
                            (size_t)one.params.n_elems * sizeof(float));
        assert_memory_equal(one.params.v, other.params.v,
                            (size_t)one.params.n_elems * sizeof(float));
        close_fixture(&one);
        close_fixture(&other);
    }
}

static void test_threads_do_not_show(void **state) {
    check_threads(false);
    check_threads(true);
}

static void test_instruction_sets_do_not_show(void **state) {
    static const char *const isas[] = {"scalar", "avx2"};
    for (int i = 0; i < 4; i++) {
        fixture best, capped;
        open_fixture(&best, 2, true, i / 2);
        open_on(&capped, &(lm_device_options){.n_threads = 2, .isa = isas[i % 2]}, true, i / 2);
        train_some(&best, 5);
        train_some(&capped, 5);
        assert_memory_equal(best.params.weights, capped.params.weights,
                            (size_t)best.params.n_elems * sizeof(float));
        close_fixture(&best);
        close_fixture(&capped);
    }
}

static void test_learns_by_heart(void **state) {
    for (int bf16 = 0; bf16 < 2; bf16++) {
        fixture f;
        open_fixture(&f, 2, true, bf16);
        fill_batch(f.learner, 0);
        float before = lm_learner_loss(f.learner);
        train_some(&f, 150);
        fill_batch(f.learner, 0);
        float after = lm_learner_loss(f.learner);
        assert_true(before > 3);
        assert_true(after < before / 3);
        close_fixture(&f);
    }
}

static void test_bf16_is_near_f32(void **state) {
    fixture exact, rounded;
    open_fixture(&exact, 2, false, false);
    open_fixture(&rounded, 2, false, true);
    assert_close(lm_learner_accumulate(rounded.learner), lm_learner_accumulate(exact.learner), 0.05,
                 0);
    double dot = 0, a = 0, b = 0;
    for (int64_t i = 0; i < exact.params.n_elems; i++) {
        dot += (double)exact.params.grads[i] * (double)rounded.params.grads[i];
        a += (double)exact.params.grads[i] * (double)exact.params.grads[i];
        b += (double)rounded.params.grads[i] * (double)rounded.params.grads[i];
    }
    assert_true(dot > 0.995 * sqrt(a * b));
    close_fixture(&exact);
    close_fixture(&rounded);
}

static void test_step_allocates_nothing(void **state) {
    fixture f;
    open_fixture(&f, 2, true, false);
    train_some(&f, 1);
    uint64_t before = lm_mem_n_allocs();
    train_some(&f, 3);
    assert_int_equal(lm_mem_n_allocs(), before);
    close_fixture(&f);
}

static void test_gaps_stay_zero_and_costs_are_counted(void **state) {
    fixture f;
    open_fixture(&f, 2, false, false);
    train_some(&f, 3);
    int64_t end = 0;
    for (int i = 0; i < f.params.len; i++) {
        for (; end < f.params.list[i].offset; end++)
            assert_true(f.params.weights[end] == 0 && f.params.m[end] == 0);
        end = f.params.list[i].offset + f.params.list[i].n_elems;
    }
    lm_learner_flops cost = lm_learner_cost(f.learner);
    int64_t products = 2 * BATCH * LEN * lm_arch_n_params(&f.params.config);
    assert_in_range(cost.loss, products / 2, products * 3);
    assert_in_range(cost.accumulate, cost.loss * 2, cost.loss * 4);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient_is_the_slope),
        cmocka_unit_test(test_threads_do_not_show),
        cmocka_unit_test(test_instruction_sets_do_not_show),
        cmocka_unit_test(test_learns_by_heart),
        cmocka_unit_test(test_bf16_is_near_f32),
        cmocka_unit_test(test_step_allocates_nothing),
        cmocka_unit_test(test_gaps_stay_zero_and_costs_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
