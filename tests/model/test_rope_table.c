#include "testing.h"

#include <math.h>

#include "model/rope_table.h"

typedef struct golden_table {
    lm_rope_scaling_kind kind;
    int64_t head_dim, context_len, original_context_len, context;
    double theta, factor, scale;
    const float *inv_freq;
} golden_table;

static const golden_table tables[] = {
#define ROPE_TABLE(kind, head_dim, context_len, original, context, theta, factor, scale, ...)     \
    {LM_ROPE_SCALING_##kind,      head_dim, context_len, original, context, theta, factor, scale, \
     (const float[]){__VA_ARGS__}},
#include "golden/llama/rope_tables.inc"
#undef ROPE_TABLE
};

static lm_hparams hparams_of(const golden_table *t) {
    return (lm_hparams){
        .rope_dim = t->head_dim,
        .context_len = t->context_len,
        .rope_theta = t->theta,
        .rope_scaling = {.kind = t->kind,
                         .factor = t->factor,
                         .original_context_len = t->original_context_len,
                         .low_freq_factor = 1,
                         .high_freq_factor = 4,
                         .beta_fast = 32,
                         .beta_slow = 1},
    };
}

/* Settings of real models, against transformers' functions. torch computes powers in f32, hence a few units of 6e-8. */
static void test_tables(void **state) {
    for (size_t i = 0; i < LM_COUNT_OF(tables); i++) {
        lm_hparams hp = hparams_of(&tables[i]);
        float inv_freq[256], scale;
        assert_ok(lm_rope_check(&hp, &err));
        lm_rope_table(&hp, tables[i].context, inv_freq, &scale);
        assert_close(scale, tables[i].scale, 0, 1e-6);
        for (int64_t j = 0; j < hp.rope_dim / 2; j++)
            assert_close(inv_freq[j], tables[i].inv_freq[j], 0, 2e-6);
    }
}

static void test_factors_divide(void **state) {
    lm_hparams hp = {.rope_dim = 4,
                     .context_len = 16,
                     .rope_theta = 100,
                     .rope_freq_factors = (const float[]){1, 4}};
    float inv_freq[2], scale;
    lm_rope_table(&hp, 16, inv_freq, &scale);
    assert_close(inv_freq[0], 1, 0, 0);
    assert_close(inv_freq[1], 0.025, 0, 1e-6);
    assert_true(scale == 1);
}

static void test_bad_scaling(void **state) {
    lm_hparams hp = hparams_of(&tables[0]);
    hp.rope_scaling.factor = 0.5;
    assert_status(LOAM_INVALID, lm_rope_check(&hp, &err));
    hp.rope_scaling.factor = NAN;
    assert_status(LOAM_INVALID, lm_rope_check(&hp, &err));
    hp = hparams_of(&tables[1]);
    hp.rope_scaling.beta_slow = 64;
    assert_status(LOAM_INVALID, lm_rope_check(&hp, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_factors_divide),
        cmocka_unit_test(test_bad_scaling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
