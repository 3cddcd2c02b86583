#include "testing.h"

#include "net/route.h"

static bool matches(const char *pattern, const char *path) {
    lm_route_params params;
    return lm_route_match(pattern, path, &params);
}

static void test_literals(void **state) {
    assert_true(matches("/", "/"));
    assert_true(matches("/v1/models", "/v1/models"));
    assert_false(matches("/v1/models", "/v1/models/"));
    assert_false(matches("/v1/models", "/v1/model"));
    assert_false(matches("/v1/models", "/v1"));
    assert_false(matches("/v1", "/v1/models"));
    assert_false(matches("/v1", "v1"));
}

static void test_parameters(void **state) {
    lm_route_params params;
    assert_true(lm_route_match("/a/{id}/b/{name}", "/a/7/b/x%2Fy", &params));
    assert_int_equal(params.len, 2);
    assert_true(lm_str_is(params.items[0].name, "id"));
    assert_true(lm_str_is(params.items[0].value, "7"));
    assert_true(lm_str_is(params.items[1].value, "x%2Fy"));
    assert_false(matches("/a/{id}", "/a/"));
    assert_false(matches("/a/{id}", "/a/b/c"));
}

static void test_rest(void **state) {
    lm_route_params params;
    assert_true(lm_route_match("/files/{path...}", "/files/a/b.js", &params));
    assert_true(lm_str_is(params.items[0].name, "path"));
    assert_true(lm_str_is(params.items[0].value, "a/b.js"));
    assert_true(lm_route_match("/{path...}", "/", &params));
    assert_true(lm_str_is(params.items[0].value, ""));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_literals),
                                       cmocka_unit_test(test_parameters),
                                       cmocka_unit_test(test_rest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
