#include "testing.h"

#include <math.h>

#include "base/rng.h"
#include "model/sampler.h"
#include "model/sampler_cut.h"

static const lm_sampler_options plain = LM_SAMPLER_DEFAULTS;

static lm_sample sample_once(lm_sampler_options options, const float *logits, int64_t n) {
    lm_sampler *sampler;
    lm_sample out;
    float copy[4096];
    memcpy(copy, logits, n * sizeof *copy);
    assert_ok(lm_sampler_new(&options, n, &sampler, &err));
    assert_ok(lm_sampler_sample(sampler, copy, &out, &err));
    lm_sampler_free(sampler);
    return out;
}

/* How often each of n tokens comes in `draws` draws. */
static void count_draws(lm_sampler_options options, const float *logits, int64_t n, int draws,
                        int *counts) {
    lm_sampler *sampler;
    lm_sample out;
    float copy[64];
    memset(counts, 0, n * sizeof *counts);
    assert_ok(lm_sampler_new(&options, n, &sampler, &err));
    for (int i = 0; i < draws; i++) {
        memcpy(copy, logits, n * sizeof *copy);
        assert_ok(lm_sampler_sample(sampler, copy, &out, &err));
        counts[out.token]++;
    }
    lm_sampler_free(sampler);
}

static void test_greedy(void **state) {
    lm_sampler_options o = plain;
    o.temperature = 0;
    assert_int_equal(sample_once(o, (float[]){1, 5, 5, 2}, 4).token,
                     1); /* lowest id among equals */
    assert_int_equal(sample_once(o, (float[]){-9, -7, -8}, 3).token, 1);
    o.temperature = 1;
    o.top_k = 1;
    assert_int_equal(sample_once(o, (float[]){1, 5, 5, 2}, 4).token, 1);
}

static void test_frequencies_follow_softmax(void **state) {
    int counts[4];
    const float logits[] = {logf(1), logf(2), logf(3), logf(4)};
    count_draws(plain, logits, 4, 20000, counts);
    for (int i = 0; i < 4; i++) assert_close(counts[i] / 20000.0, (i + 1) / 10.0, 0.015, 0);
    lm_sampler_options o = plain;
    o.temperature = 0.5f; /* squares the ratios */
    count_draws(o, logits, 4, 20000, counts);
    for (int i = 0; i < 4; i++)
        assert_close(counts[i] / 20000.0, (i + 1) * (i + 1) / 30.0, 0.015, 0);
}

static void test_filters(void **state) {
    int counts[5];
    const float logits[] = {logf(4), logf(1), logf(3), logf(2), -1000};
    lm_sampler_options o = plain;
    o.top_k = 2;
    count_draws(o, logits, 5, 5000, counts);
    assert_true(counts[0] > 0 && counts[2] > 0);
    assert_int_equal(counts[0] + counts[2], 5000);

    o = plain;
    o.top_p = 0.69f; /* 4 of 10 do not reach it, 7 of 10 do */
    count_draws(o, logits, 5, 5000, counts);
    assert_true(counts[2] > 0);
    assert_int_equal(counts[0] + counts[2], 5000);

    o = plain;
    o.min_p = 0.45f; /* of the likeliest: 4, 3 and 2 stay */
    count_draws(o, logits, 5, 5000, counts);
    assert_int_equal(counts[1] + counts[4], 0);
    assert_true(counts[3] > 0);

    o.top_k = 3; /* of 4, 3, 2 the first two hold 7 / 9 */
    o.top_p = 0.77f;
    count_draws(o, logits, 5, 5000, counts);
    assert_int_equal(counts[0] + counts[2], 5000);
}

static void test_penalties(void **state) {
    lm_sampler *sampler;
    lm_sample out;
    lm_sampler_options o = plain;
    o.temperature = 0;
    o.repetition_penalty = 2;
    assert_ok(lm_sampler_new(&o, 4, &sampler, &err));
    lm_sampler_accept_prompt(sampler, (int32_t[]){0, 99, -1}, 3);
    assert_ok(lm_sampler_sample(sampler, (float[]){5, 3, 2, 1}, &out, &err)); /* 5 / 2 */
    assert_int_equal(out.token, 1);
    assert_ok(lm_sampler_sample(sampler, (float[]){-1, -2, -3, -3.5f}, &out,
                                &err)); /* -2, -4, -3, -3.5 */
    assert_int_equal(out.token, 0);
    lm_sampler_free(sampler);

    o.repetition_penalty = 1;
    o.frequency_penalty = 1;
    o.presence_penalty = 0.5f;
    assert_ok(lm_sampler_new(&o, 2, &sampler, &err));
    lm_sampler_accept_prompt(sampler, (int32_t[]){0, 0, 0, 0},
                             4); /* the prompt does not count for these */
    const int expected[] = {
        0, 0, 1, 0, 1}; /* token 0 loses 1.5, 2.5, ...: 3, 1.5, 0.5, then even with token 1 */
    for (int i = 0; i < 5; i++) {
        assert_ok(lm_sampler_sample(sampler, (float[]){3, 1.25f}, &out, &err));
        if (i < 4) assert_int_equal(out.token, expected[i]);
    }
    lm_sampler_free(sampler);
}

static void test_biases(void **state) {
    lm_sampler_options o = plain;
    o.temperature = 0;
    o.biases = (lm_logit_bias[]){{.token = 0, .bias = -100}, {.token = 3, .bias = 2}};
    o.n_biases = 2;
    assert_int_equal(sample_once(o, (float[]){9, 1, 2, 1}, 4).token, 3);
    o.logprobs = true; /* of the model, not of the biased choice */
    assert_close(sample_once(o, (float[]){9, 1, 2, 1}, 4).logprob,
                 1 - 9 - log1p(2 * exp(-8) + exp(-7)), 1e-5, 0);
}

static void test_logprobs(void **state) {
    lm_sampler_options o = plain;
    o.temperature = 0;
    o.n_top_logprobs = 3;
    lm_sample s = sample_once(o, (float[]){logf(2), logf(4), logf(2), logf(1), logf(1)}, 5);
    assert_int_equal(s.n_top, 3);
    assert_int_equal(s.top[0].token, 1);
    assert_int_equal(s.top[1].token, 0);
    assert_int_equal(s.top[2].token, 2);
    assert_close(s.logprob, log(0.4), 1e-6, 0);
    assert_close(s.top[2].logprob, log(0.2), 1e-6, 0);
}

static void test_seed_decides(void **state) {
    float logits[64] = {0};
    lm_sampler_options o = plain;
    int first[64], again[64], other[64];
    o.seed = 7;
    count_draws(o, logits, 64, 500, first);
    count_draws(o, logits, 64, 500, again);
    assert_memory_equal(first, again, sizeof first);
    o.seed = 8;
    count_draws(o, logits, 64, 500, other);
    assert_memory_not_equal(first, other, sizeof first);
}

static int by_likelihood(const void *a, const void *b) {
    const float *const *x = a, *const *y = b;
    if (**x != **y) return **x < **y ? 1 : -1;
    return *x < *y ? -1 : 1;
}

/* Against sorting: every size of cut, on likelihoods with many ties. */
static void test_cuts_equal_sorting(void **state) {
    enum { N = 200 };
    lm_rng rng;
    lm_rng_init(&rng, 1);
    for (int round = 0; round < 50; round++) {
        float p[N], kept[N];
        const float *order[N];
        double total = 0;
        for (int i = 0; i < N; i++) {
            p[i] = lm_rng_below(&rng, 4) == 0 ? lm_rng_f32(&rng) : lm_rng_below(&rng, 5) / 4.0f;
            order[i] = &p[i];
            total += p[i];
        }
        qsort(order, N, sizeof *order, by_likelihood);
        int64_t count = 1 + lm_rng_below(&rng, N);
        memcpy(kept, p, sizeof p);
        lm_cut_apply(lm_cut_by_count(p, N, count), kept, N);
        for (int i = 0; i < N; i++) assert_true(kept[order[i] - p] == (i < count ? *order[i] : 0));

        double mass = lm_rng_f64(&rng) * total, reached = 0;
        memcpy(kept, p, sizeof p);
        lm_cut_apply(lm_cut_by_mass(p, N, mass), kept, N);
        for (int i = 0; i < N; i++) {
            bool near = fabs(reached - mass) < 1e-9; /* rounding may decide either way */
            if (!near)
                assert_true(kept[order[i] - p] == (reached < mass || i == 0 ? *order[i] : 0));
            reached += *order[i];
        }
    }
}

static void test_sampling_allocates_nothing(void **state) {
    lm_sampler *sampler;
    lm_sample out;
    lm_sampler_options o = {.temperature = 0.9f,
                            .top_k = 10,
                            .top_p = 0.9f,
                            .min_p = 0.01f,
                            .repetition_penalty = 1.1f,
                            .frequency_penalty = 0.1f,
                            .n_top_logprobs = 5};
    float logits[300];
    assert_ok(lm_sampler_new(&o, 300, &sampler, &err));
    uint64_t before = lm_mem_n_allocs();
    for (int step = 0; step < 20; step++) {
        for (int i = 0; i < 300; i++) logits[i] = (i * 37 % 101) / 10.0f;
        assert_ok(lm_sampler_sample(sampler, logits, &out, &err));
    }
    assert_int_equal(lm_mem_n_allocs(), before);
    lm_sampler_free(sampler);
}

static void test_broken_logits(void **state) {
    const float broken[] = {NAN, INFINITY, -INFINITY};
    lm_sampler *sampler;
    lm_sample out;
    assert_ok(lm_sampler_new(&plain, 2, &sampler, &err));
    for (size_t i = 0; i < LM_COUNT_OF(broken); i++) {
        assert_status(LOAM_CORRUPT,
                      lm_sampler_sample(sampler, (float[]){1, broken[i]}, &out, &err));
        assert_status(LOAM_CORRUPT,
                      lm_sampler_sample(sampler, (float[]){broken[i], 1}, &out, &err));
    }
    lm_sampler_free(sampler);
}

static void test_options_are_checked(void **state) {
    const struct {
        lm_sampler_options options;
        const char *word;
    } wrong[] = {
        {{.temperature = -1, .top_p = 1, .repetition_penalty = 1}, "temperature"},
        {{.temperature = NAN, .top_p = 1, .repetition_penalty = 1}, "temperature"},
        {{.temperature = 1, .top_p = 1.5f, .repetition_penalty = 1}, "top_p"},
        {{.temperature = 1, .top_p = 1, .repetition_penalty = 0}, "repetition_penalty"},
        {{.temperature = 1, .top_p = 1, .repetition_penalty = 1, .n_top_logprobs = 21}, "logprobs"},
        {{.temperature = 1, .top_p = 1, .repetition_penalty = 1, .top_k = -1}, "top_k"},
        {{.temperature = 1,
          .top_p = 1,
          .repetition_penalty = 1,
          .biases = (lm_logit_bias[]){{.token = 9}},
          .n_biases = 1},
         "bias"},
    };
    for (size_t i = 0; i < LM_COUNT_OF(wrong); i++) {
        lm_sampler *sampler = NULL;
        loam_error err = {0};
        assert_int_equal(lm_sampler_new(&wrong[i].options, 8, &sampler, &err), LOAM_INVALID);
        assert_non_null(strstr(err.message, wrong[i].word));
        assert_null(sampler);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_frequencies_follow_softmax),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_penalties),
        cmocka_unit_test(test_biases),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_seed_decides),
        cmocka_unit_test(test_cuts_equal_sorting),
        cmocka_unit_test(test_sampling_allocates_nothing),
        cmocka_unit_test(test_broken_logits),
        cmocka_unit_test(test_options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
