#include "testing.h"

#include "base/map.h"

static void test_many_keys(void **state) {
    lm_map *map = lm_map_new();
    char key[32];
    uint64_t value;
    for (uint64_t i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "key-%d", (int)i);
        assert_true(lm_map_set(map, lm_str_of(key), i));
    }
    for (uint64_t i = 0; i < 5000; i += 2) {
        snprintf(key, sizeof key, "key-%d", (int)i);
        assert_true(lm_map_remove(map, lm_str_of(key)));
        assert_false(lm_map_remove(map, lm_str_of(key)));
    }
    assert_int_equal(lm_map_len(map), 2500);
    for (uint64_t i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "key-%d", (int)i);
        assert_int_equal(lm_map_get(map, lm_str_of(key), &value), i % 2 == 1);
        if (i % 2) assert_int_equal(value, i);
    }
    lm_map_free(map);
}

static void test_keys_are_bytes(void **state) {
    lm_map *map = lm_map_new();
    uint64_t value = 0;
    assert_true(lm_map_set(map, (lm_str){"a\0b", 3}, 1));
    assert_true(lm_map_set(map, (lm_str){"a\0c", 3}, 2));
    assert_true(lm_map_set(map, (lm_str){"", 0}, 3));
    assert_true(lm_map_get(map, (lm_str){"a\0c", 3}, &value));
    assert_int_equal(value, 2);
    size_t cursor = 0, n = 0;
    lm_str key;
    while (lm_map_next(map, &cursor, &key, &value)) n++;
    assert_int_equal(n, 3);
    lm_map_free(map);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_many_keys),
                                       cmocka_unit_test(test_keys_are_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
