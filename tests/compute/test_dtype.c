/* Element types against their definitions, and the quantization formats against the gguf
 * package, byte for byte. */
#include "testing.h"

#include <math.h>

#include "../golden/ops/quant.inc"
#include "compute/dtype.h"

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Every f16 survives the way to f32 and back; what f32 makes of it is right. */
static void test_f16_round_trip(void **state) {
    for (uint32_t x = 0; x < 0x10000; x++) {
        float f = lm_f16_to_f32((uint16_t)x);
        bool is_nan = (x & 0x7c00u) == 0x7c00u && (x & 0x3ffu);
        if (is_nan) {
            assert_true(isnan(f) && isnan(lm_f16_to_f32(lm_f32_to_f16(f))));
            continue;
        }
        int exponent = (int)(x >> 10 & 31u);
        float wanted = exponent == 31 ? INFINITY
                       : exponent     ? ldexpf(1.0f + (float)(x & 0x3ffu) / 1024.0f, exponent - 15)
                                      : ldexpf((float)(x & 0x3ffu), -24);
        assert_int_equal(bits_of(f), bits_of(x & 0x8000u ? -wanted : wanted));
        assert_int_equal(lm_f32_to_f16(f), x);
    }
}

/* Between neighbours, f32 to f16 takes the nearer, and at the middle the even one. */
static void test_f16_rounding(void **state) {
    for (uint32_t x = 0; x < 0x7c00u; x++) {
        float low = lm_f16_to_f32((uint16_t)x);
        float high = x == 0x7bffu ? 65536.0f : lm_f16_to_f32((uint16_t)(x + 1)),
              middle = (low + high) / 2.0f;
        assert_int_equal(lm_f32_to_f16(middle), x & 1u ? x + 1 : x);
        assert_int_equal(lm_f32_to_f16(nextafterf(middle, 0.0f)), x);
        assert_int_equal(lm_f32_to_f16(-nextafterf(middle, INFINITY)), 0x8000u | (x + 1));
    }
    assert_int_equal(lm_f32_to_f16(1e30f), 0x7c00u);
}

static void test_bf16(void **state) {
    for (uint32_t x = 0; x < 0x10000; x++) {
        float f = lm_bf16_to_f32((uint16_t)x);
        if (isnan(f))
            assert_true(isnan(lm_bf16_to_f32(lm_f32_to_bf16(f))));
        else
            assert_int_equal(lm_f32_to_bf16(f), x);
    }
    assert_int_equal(lm_f32_to_bf16(1.00390625f),
                     0x3f80u); /* 1 + 2^-8 lies in the middle: down to even */
    assert_int_equal(lm_f32_to_bf16(1.01171875f), 0x3f82u); /* 1 + 3 * 2^-8: up to even */
}

static void check_quant(lm_dtype dtype, const uint8_t *packed, size_t size, const float *unpacked) {
    int64_t n = (int64_t)LM_COUNT_OF(quant_rows);
    assert_int_equal(lm_dtype_bytes(dtype, n), size);
    uint8_t bytes[2048];
    float x[LM_COUNT_OF(quant_rows)];
    assert_true(size <= sizeof bytes);
    lm_dtype_get(dtype)->pack(quant_rows, bytes, n);
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != packed[i]) fail_msg("byte %zu is %u, gguf has %u", i, bytes[i], packed[i]);
    lm_dtype_get(dtype)->unpack(packed, x, n);
    for (int64_t i = 0; i < n; i++) assert_int_equal(bits_of(x[i]), bits_of(unpacked[i]));
}

static void test_quantization(void **state) {
    check_quant(LM_Q8_0, q8_0_packed, sizeof q8_0_packed, q8_0_unpacked);
    check_quant(LM_Q4_0, q4_0_packed, sizeof q4_0_packed, q4_0_unpacked);
}

static void test_table(void **state) {
    for (int i = 0; i < LM_DTYPE_COUNT; i++) {
        lm_dtype dtype;
        assert_true(lm_dtype_parse(lm_dtype_get((lm_dtype)i)->name, &dtype));
        assert_int_equal(dtype, i);
    }
    lm_dtype dtype;
    assert_false(lm_dtype_parse("q9_9", &dtype));
    assert_true(lm_dtype_is_quantized(LM_Q4_0));
    assert_false(lm_dtype_is_quantized(LM_BF16));
    assert_int_equal(lm_dtype_bytes(LM_Q4_0, 64), 36);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16_round_trip), cmocka_unit_test(test_f16_rounding),
        cmocka_unit_test(test_bf16),           cmocka_unit_test(test_quantization),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
