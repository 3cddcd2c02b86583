/* Every quantization format against the gguf package: the file of quant.py holds blocks of random bytes and their
 * values. Values are equal in every bit; blocks that are read apart and written again are equal in every byte. */
#include "testing.h"

#include <math.h>

#include "base/mem.h"
#include "compute/quant/quant.h"
#include "model/gguf.h"

static const lm_stored_tensor *find(const lm_gguf *gguf, const char *name) {
    const lm_stored_tensor *tensor = lm_stored_tensors_find(lm_gguf_tensors(gguf), name);
    if (!tensor) fail_msg("the fixture has no tensor '%s'", name);
    return tensor;
}

static void check_values(const lm_stored_tensor *packed, const lm_stored_tensor *values) {
    const lm_dtype_info *info = lm_dtype_get(packed->type->dtype);
    int64_t n = lm_stored_tensor_n_elems(packed);
    assert_int_equal(lm_stored_tensor_n_elems(values), n);
    assert_int_equal(lm_dtype_bytes(packed->type->dtype, n), packed->size_bytes);
    float *x = lm_alloc((size_t)n * sizeof *x);
    assert_non_null(x);
    info->unpack(packed->data, x, n);
    const uint32_t *is = (const uint32_t *)x, *wanted = values->data;
    for (int64_t i = 0; i < n; i++)
        if (is[i] != wanted[i])
            fail_msg("%s: value %lld has bits %08x, gguf has %08x", packed->name, (long long)i,
                     is[i], wanted[i]);
    lm_free(x);
}

static void check_rewritten(const lm_stored_tensor *packed) {
    const lm_dtype_info *info = lm_dtype_get(packed->type->dtype);
    for (size_t at = 0; at < packed->size_bytes; at += info->block_bytes) {
        lm_quant_block block;
        uint8_t bytes[512];
        const uint8_t *source = (const uint8_t *)packed->data + at;
        info->quant->read(source, &block);
        info->quant->write(&block, bytes);
        if (memcmp(bytes, source, info->block_bytes) != 0)
            fail_msg("%s: the block at byte %zu is another when written", packed->name, at);
    }
}

static void test_formats(void **state) {
    char *path = lm_asprintf("%s/../quant/formats.gguf", LM_GOLDEN_DIR);
    lm_gguf *gguf;
    assert_ok(lm_gguf_open(path, &gguf, &err));
    int n_formats = 0;
    for (int i = 0; i < LM_DTYPE_COUNT; i++) {
        if (!lm_dtype_is_quantized((lm_dtype)i)) continue;
        const char *name = lm_gguf_stored_type(lm_gguf_type_of_dtype((lm_dtype)i))->name;
        char *values = lm_asprintf("%s.f32", name);
        check_values(find(gguf, name), find(gguf, values));
        check_rewritten(find(gguf, name));
        lm_free(values);
        n_formats++;
    }
    assert_int_equal(2 * n_formats, lm_gguf_tensors(gguf)->items.len);
    lm_gguf_close(gguf);
    lm_free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_formats)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
