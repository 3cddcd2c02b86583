/* The whole model's gradient, its independence of threads, and that a step allocates nothing. */
#include "learning.h"

#include <math.h>

#include "backend/cpu/cpu.h"
#include "base/rng.h"

static void fill_batch(lm_learner *learner, uint64_t seed) {
    lm_rng rng;
    lm_rng_init(&rng, seed);
    for (int i = 0; i < LEARN_BATCH * LEARN_LEN; i++) {
        lm_learner_tokens(learner)[i] = (int32_t)lm_rng_below(&rng, LEARN_VOCAB);
        lm_learner_targets(learner)[i] = i % 7 == 3 ? -1 : (int32_t)lm_rng_below(&rng, LEARN_VOCAB);
    }
}

static void open_on(learning *f, const lm_device_options *options, bool tied, bool bf16) {
    lm_device *device;
    assert_ok(lm_backend_cpu.open(options, &device, &err));
    learning_open(f, device, tied, bf16);
    fill_batch(f->learner, 5);
}

static void open_fixture(learning *f, int n_threads, bool tied, bool bf16) {
    open_on(f, &(lm_device_options){.n_threads = n_threads}, tied, bf16);
}

static void check_gradient(bool tied) {
    learning f;
    open_fixture(&f, 2, tied, false);
    learning_accumulate(&f);
    for (int i = 0; i < f.params.len; i++) {
        const lm_train_param *param = &f.params.list[i];
        for (int64_t j = param->offset; j < param->offset + param->n_elems;
             j += 1 + param->n_elems / 5) {
            float at = f.params.weights[j], step = 4e-3f;
            f.params.weights[j] = at + step;
            double above = learning_loss(&f);
            f.params.weights[j] = at - step;
            double below = learning_loss(&f);
            f.params.weights[j] = at;
            assert_close(f.params.grads[j], (above - below) / (2 * (double)step), 3e-4,
                         2e-2); /* f32 losses near 4 */
        }
    }
    learning_close(&f);
}

static void test_gradient_is_the_slope(void **state) {
    check_gradient(true);
    check_gradient(false);
}

static void train_some(learning *f, int n_steps) {
    for (int step = 0; step < n_steps; step++) {
        for (int part = 0; part < 2; part++) {
            fill_batch(f->learner, (uint64_t)(step % 4 * 2 + part));
            learning_accumulate(f);
        }
        double norm = learning_grad_norm(f) / 2, factor = norm > 1 ? 0.5 / norm : 0.5;
        assert_ok(lm_learner_update(f->learner, step, 1e-2, factor, &err));
    }
}

static void check_threads(bool bf16) {
    learning one, other;
    for (int n_threads = 2; n_threads <= 5; n_threads++) {
        open_fixture(&one, 1, true, bf16);
        open_fixture(&other, n_threads, true, bf16);
        train_some(&one, 5);
        train_some(&other, 5);
        assert_memory_equal(one.params.weights, other.params.weights,
                            (size_t)one.params.n_elems * sizeof(float));
        assert_memory_equal(one.params.v, other.params.v,
                            (size_t)one.params.n_elems * sizeof(float));
        learning_close(&one);
        learning_close(&other);
    }
}

static void test_threads_do_not_show(void **state) {
    check_threads(false);
    check_threads(true);
}

static void test_instruction_sets_do_not_show(void **state) {
    for (int i = 0; i < 2 * LM_CPU_N_ISAS; i++) {
        learning best, capped;
        const char *isa = lm_cpu_isa_name((lm_cpu_isa)(i / 2));
        open_fixture(&best, 2, true, i % 2);
        open_on(&capped, &(lm_device_options){.n_threads = 2, .isa = isa}, true, i % 2);
        train_some(&best, 5);
        train_some(&capped, 5);
        assert_memory_equal(best.params.weights, capped.params.weights,
                            (size_t)best.params.n_elems * sizeof(float));
        learning_close(&best);
        learning_close(&capped);
    }
}

static void test_learns_by_heart(void **state) {
    for (int bf16 = 0; bf16 < 2; bf16++) {
        learning f;
        open_fixture(&f, 2, true, bf16);
        fill_batch(f.learner, 0);
        float before = learning_loss(&f);
        train_some(&f, 150);
        fill_batch(f.learner, 0);
        float after = learning_loss(&f);
        assert_true(before > 3);
        assert_true(after < before / 3);
        learning_close(&f);
    }
}

static void test_bf16_is_near_f32(void **state) {
    learning exact, rounded;
    open_fixture(&exact, 2, false, false);
    open_fixture(&rounded, 2, false, true);
    assert_close(learning_accumulate(&rounded), learning_accumulate(&exact), 0.05, 0);
    double dot = 0, a = 0, b = 0;
    for (int64_t i = 0; i < exact.params.n_elems; i++) {
        dot += (double)exact.params.grads[i] * (double)rounded.params.grads[i];
        a += (double)exact.params.grads[i] * (double)exact.params.grads[i];
        b += (double)rounded.params.grads[i] * (double)rounded.params.grads[i];
    }
    assert_true(dot > 0.995 * sqrt(a * b));
    learning_close(&exact);
    learning_close(&rounded);
}

static void test_step_allocates_nothing(void **state) {
    learning f;
    open_fixture(&f, 2, true, false);
    train_some(&f, 1);
    uint64_t before = lm_mem_n_allocs();
    train_some(&f, 3);
    assert_int_equal(lm_mem_n_allocs(), before);
    learning_close(&f);
}

static void test_gaps_stay_zero_and_costs_are_counted(void **state) {
    learning f;
    open_fixture(&f, 2, false, false);
    train_some(&f, 3);
    int64_t end = 0;
    for (int i = 0; i < f.params.len; i++) {
        for (; end < f.params.list[i].offset; end++)
            assert_true(f.params.weights[end] == 0 && f.params.m[end] == 0);
        end = f.params.list[i].offset + f.params.list[i].n_elems;
    }
    lm_learner_flops cost = lm_learner_cost(f.learner);
    int64_t products = 2 * LEARN_BATCH * LEARN_LEN * lm_arch_n_params(&f.params.config);
    assert_in_range(cost.loss, products / 2, products * 3);
    assert_in_range(cost.accumulate, cost.loss * 2, cost.loss * 4);
    learning_close(&f);
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
