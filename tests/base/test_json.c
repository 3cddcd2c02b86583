#include "testing.h"

#include "base/json.h"

/* What Python's module writes of `text`, parsed. */
static json_t *from_python(const char *text) {
    char copy[256];
    size_t n = strlen(text);
    json_t *object = NULL;
    assert_true(n < sizeof copy);
    memcpy(copy, text, n + 1);
    lm_json_from_python(copy, n);
    assert_int_equal(strlen(copy), n);
    assert_ok(lm_json_parse((lm_str){copy, n}, "test", &object, &err));
    return object;
}

static void test_numbers_as_python_writes_them(void **state) {
    json_t *o =
        from_python("{\"max\": 1000000000000000019884624838656, \"least\": -9223372036854775808,"
                    " \"below\":-9223372036854775809,\"most\": 9223372036854775807}");
    assert_true(json_real_value(json_object_get(o, "max")) > 0.999e30);
    assert_true(json_real_value(json_object_get(o, "max")) < 1.001e30);
    assert_true(json_integer_value(json_object_get(o, "least")) == INT64_MIN);
    assert_true(json_integer_value(json_object_get(o, "most")) == INT64_MAX);
    assert_true(json_real_value(json_object_get(o, "below")) < -9.2e18);
    json_decref(o);
    o = from_python("{\"a\": [Infinity, -Infinity, 1, -2.5e-3, 12345678901234567890.5, 1E3]}");
    json_t *a = json_object_get(o, "a");
    assert_true(json_is_null(json_array_get(a, 0)) && json_is_null(json_array_get(a, 1)));
    assert_int_equal(json_integer_value(json_array_get(a, 2)), 1);
    assert_true(json_real_value(json_array_get(a, 3)) == -2.5e-3);
    assert_true(json_real_value(json_array_get(a, 4)) == 12345678901234567890.5);
    assert_true(json_real_value(json_array_get(a, 5)) == 1000);
    json_decref(o);
}

static void test_texts_stay(void **state) {
    static const char TEXT[] =
        "{\"Infinity\": \"1000000000000000019884624838656 \\\" Infinity\\\\\"}";
    json_t *o = from_python(TEXT);
    assert_string_equal(json_string_value(json_object_get(o, "Infinity")),
                        "1000000000000000019884624838656 \" Infinity\\");
    json_decref(o);
}

/* What ends too early is as wrong afterwards, and nothing behind it is touched. */
static void test_what_is_no_json(void **state) {
    static const char *const TEXTS[] = {
        "-", "\"", "\"\\", "{\"a\": 10000000000000000000000", "-Infinit", "+++", ""};
    for (size_t i = 0; i < LM_COUNT_OF(TEXTS); i++) {
        char copy[64];
        size_t n = strlen(TEXTS[i]);
        memset(copy, '#', sizeof copy);
        memcpy(copy, TEXTS[i], n);
        lm_json_from_python(copy, n);
        for (size_t at = n; at < sizeof copy; at++) assert_int_equal(copy[at], '#');
        json_t *o = NULL;
        assert_status(LOAM_INVALID, lm_json_parse((lm_str){copy, n}, "test", &o, &err));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_as_python_writes_them),
        cmocka_unit_test(test_texts_stay),
        cmocka_unit_test(test_what_is_no_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
