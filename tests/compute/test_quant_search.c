/* Quantization by search, of every format: how small the error is, that importance moves it, and hostile numbers. */
#include "testing.h"

#include <math.h>

#include "base/rng.h"
#include "compute/quant/quant.h"

enum { N = 256 * 64 };

static const struct {
    lm_dtype dtype;
    float error; /* of bell-shaped numbers, relative to their size: 2 % above what was measured */
} formats[] = {
    {LM_Q8_0, 0.0049f},  {LM_Q4_0, 0.0818f},  {LM_Q4_1, 0.0706f},   {LM_Q5_0, 0.0404f},
    {LM_Q5_1, 0.0338f},  {LM_Q2_K, 0.2674f},  {LM_Q3_K, 0.1466f},   {LM_Q4_K, 0.0709f},
    {LM_Q5_K, 0.0348f},  {LM_Q6_K, 0.0171f},  {LM_IQ4_NL, 0.0744f}, {LM_IQ4_XS, 0.0749f},
    {LM_MXFP4, 0.1130f}, {LM_TQ1_0, 0.4399f}, {LM_TQ2_0, 0.4399f},
};

static float source[N], quantized[N];
static uint8_t bytes[N * 2];

static void fill_normal(uint64_t seed) {
    lm_rng rng;
    lm_rng_init(&rng, seed);
    for (int i = 0; i < N; i++) source[i] = lm_rng_normal(&rng);
}

static void quantize(lm_dtype dtype, const float *importance) {
    const lm_dtype_info *info = lm_dtype_get(dtype);
    lm_quantize(info, source, importance, bytes, N);
    info->unpack(bytes, quantized, N);
}

/* Root mean square of the error of elements first, first + stride, ... */
static double rmse(int first, int stride) {
    double sum = 0;
    int n = 0;
    for (int i = first; i < N; i += stride, n++) {
        double e = quantized[i] - source[i];
        sum += e * e;
    }
    return sqrt(sum / n);
}

static void test_error(void **state) {
    int n_quantized = 0;
    for (int i = 0; i < LM_DTYPE_COUNT; i++) n_quantized += lm_dtype_is_quantized((lm_dtype)i);
    assert_int_equal(n_quantized, LM_COUNT_OF(formats)); /* none is left out */
    fill_normal(1);
    for (size_t i = 0; i < LM_COUNT_OF(formats); i++) {
        quantize(formats[i].dtype, NULL);
        double error = rmse(0, 1);
        if (!(error <= formats[i].error))
            fail_msg("%s: error %.4f, wanted %.4f", lm_dtype_get(formats[i].dtype)->name, error,
                     formats[i].error);
    }
}

/* The reference quantizations of the formats that have one are never better. */
static void test_against_reference(void **state) {
    const lm_dtype dtypes[] = {LM_Q8_0, LM_Q4_0};
    fill_normal(2);
    for (size_t i = 0; i < LM_COUNT_OF(dtypes); i++) {
        quantize(dtypes[i], NULL);
        double searched = rmse(0, 1);
        lm_dtype_get(dtypes[i])->pack(source, bytes, N);
        lm_dtype_get(dtypes[i])->unpack(bytes, quantized, N);
        assert_true(searched < rmse(0, 1) * 0.96);
    }
}

/* Q8_0 rounds as its reference is written: halves away from zero, and the greatest number below a half to zero. */
static void test_rounding(void **state) {
    static const float hard[] = {127.0f, 0.5f,   -0.5f,       1.5f,
                                 -2.5f,  126.5f, 0.49999997f, -0.49999997f};
    fill_normal(6);
    memcpy(source, hard,
           sizeof hard); /* whose block has the scale 1, its other numbers being small */
    lm_dtype_get(LM_Q8_0)->pack(source, bytes, N);
    for (int b = 0; b < N / 32; b++) {
        lm_quant_block block;
        float max = 0;
        lm_dtype_get(LM_Q8_0)->quant->read(bytes + b * 34, &block);
        for (int i = 0; i < 32; i++) max = fmaxf(max, fabsf(source[32 * b + i]));
        float d = max / 127.0f, inverse = 1.0f / d;
        assert_int_equal(block.d, lm_f32_to_f16(d));
        for (int i = 0; i < 32; i++)
            assert_int_equal(block.codes[i] - 128, (int)roundf(source[32 * b + i] * inverse));
    }
}

/* What matters ten thousand times as much gets a smaller error, at the cost of the rest. */
static void test_importance(void **state) {
    static float importance[N];
    fill_normal(3);
    for (int i = 0; i < N; i++) importance[i] = i % 4 == 0 ? 1.0f : 1e-4f;
    for (size_t i = 0; i < LM_COUNT_OF(formats); i++) {
        lm_dtype dtype = formats[i].dtype;
        quantize(dtype, NULL);
        double plain = rmse(0, 4);
        quantize(dtype, importance);
        bool ternary = lm_dtype_get(dtype)->quant->n_codes == 3;
        double limit = dtype == LM_MXFP4 ? 1.0
                       : ternary ? 0.99
                                 : 0.92; /* powers of two and three levels leave little choice */
        if (!(rmse(0, 4) <= plain * limit))
            fail_msg("%s: %.4f with importance, %.4f without", lm_dtype_get(dtype)->name,
                     rmse(0, 4), plain);
    }
    memset(importance, 0, sizeof importance); /* says nothing: all alike */
    quantize(LM_Q4_K, NULL);
    double plain = rmse(0, 1);
    quantize(LM_Q4_K, importance);
    assert_true(rmse(0, 1) == plain);
}

/* Whatever comes in, numbers come out; zeros stay zeros. */
static void test_hostile(void **state) {
    static const float hard[] = {0.0f,  -0.0f, NAN,    INFINITY, -INFINITY, 1e38f,   -1e38f, 1e-45f,
                                 1e-7f, 6e4f,  -1e10f, 65504.0f, 1.0f,      -1e-20f, 0.5f,   3e38f};
    lm_rng rng;
    lm_rng_init(&rng, 4);
    for (size_t i = 0; i < LM_COUNT_OF(formats); i++) {
        memset(source, 0, sizeof source);
        quantize(formats[i].dtype, NULL);
        for (int j = 0; j < N; j++) assert_true(quantized[j] == 0.0f);
        for (int j = 0; j < N; j++) { /* every block has one to sixteen of them */
            uint64_t kinds = (uint64_t)(1 + j / 256 % 16);
            source[j] = hard[(lm_rng_below(&rng, kinds) + (uint64_t)j / 4096) % 16];
        }
        quantize(formats[i].dtype, NULL);
        for (int j = 0; j < N; j++)
            if (!isfinite(quantized[j]))
                fail_msg("%s: element %d of %g became %g", lm_dtype_get(formats[i].dtype)->name, j,
                         source[j], quantized[j]);
    }
}

/* A row means the same wherever it stands: blocks do not know their neighbours. */
static void test_blocks_alone(void **state) {
    fill_normal(5);
    for (size_t i = 0; i < LM_COUNT_OF(formats); i++) {
        const lm_dtype_info *info = lm_dtype_get(formats[i].dtype);
        uint8_t alone[512];
        quantize(formats[i].dtype, NULL);
        lm_quantize(info, source + 5 * 256, NULL, alone, info->block_elems);
        assert_memory_equal(alone, bytes + lm_dtype_bytes(formats[i].dtype, 5 * 256),
                            info->block_bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error),      cmocka_unit_test(test_against_reference),
        cmocka_unit_test(test_importance), cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_hostile),    cmocka_unit_test(test_blocks_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
