#include "testing.h"

#include "base/arena.h"

static void test_aligned_and_zeroed(void **state) {
    lm_arena arena;
    lm_arena_init(&arena, 256, 0);
    for (size_t n = 1; n < 400; n += 37) {
        unsigned char *p = lm_arena_calloc(&arena, n, 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < n; i++) assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    lm_arena_deinit(&arena);
}

static void test_reset_allocates_nothing(void **state) {
    lm_arena arena;
    lm_arena_init(&arena, 1024, 0);
    for (int i = 0; i < 100; i++) assert_non_null(lm_arena_alloc(&arena, 100));
    lm_arena_reset(&arena);
    uint64_t before = lm_mem_n_allocs();
    for (int i = 0; i < 100; i++) assert_non_null(lm_arena_alloc(&arena, 100));
    assert_int_equal(lm_mem_n_allocs(), before);
    lm_arena_deinit(&arena);
}

static void test_limit_and_overflow(void **state) {
    lm_arena arena;
    lm_arena_init(&arena, 1024, 4096);
    assert_null(lm_arena_alloc(&arena, 8192));
    assert_null(lm_arena_alloc(&arena, SIZE_MAX));
    assert_null(lm_arena_calloc(&arena, SIZE_MAX / 2, 3));
    assert_non_null(lm_arena_alloc(&arena, 1000));
    lm_arena_deinit(&arena);
}

static void test_printf(void **state) {
    lm_arena arena;
    lm_arena_init(&arena, 0, 0);
    assert_string_equal(lm_arena_printf(&arena, "blk.%d.%s", 3, "attn_q"), "blk.3.attn_q");
    assert_string_equal(lm_arena_strndup(&arena, "weights", 3), "wei");
    lm_arena_deinit(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aligned_and_zeroed),
        cmocka_unit_test(test_reset_allocates_nothing),
        cmocka_unit_test(test_limit_and_overflow),
        cmocka_unit_test(test_printf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
