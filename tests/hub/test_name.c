#include "hub/hub_name.h"
#include "testing.h"

static void test_names(void **state) {
    lm_hub_name name;
    assert_ok(lm_hub_name_parse("Qwen/Qwen3-0.6B", &name, &err));
    assert_string_equal(name.repo, "Qwen/Qwen3-0.6B");
    assert_string_equal(name.pick, "");
    assert_ok(lm_hub_name_parse("a/b.c_d:sub/m-Q4_K_M.gguf", &name, &err));
    assert_string_equal(name.repo, "a/b.c_d");
    assert_string_equal(name.pick, "sub/m-Q4_K_M.gguf");
}

static void test_what_is_no_name(void **state) {
    static const char *const bad[] = {"",           "a",           "/a",       "a/",        "a/b/c",
                                      "../b",       "a/..",        "./b",      "a/.b",      "-a/b",
                                      "a b/c",      "a/b:",        "a/b:../x", "a/b:/x",    "a\\/b",
                                      "http://x/y", "a/b:.loam/x", "a/b\n",    "\xc3\xa9/b"};
    lm_hub_name name;
    for (size_t i = 0; i < LM_COUNT_OF(bad); i++)
        if (lm_hub_name_parse(bad[i], &name, NULL) == LOAM_OK) fail_msg("'%s' is taken", bad[i]);
    char long_name[300];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    long_name[2] = '/';
    assert_status(LOAM_INVALID, lm_hub_name_parse(long_name, &name, &err));
}

static void test_paths(void **state) {
    static const char *const good[] = {"a",     "a/b.c",     ".gitattributes",
                                       "a/..b", "x/.loam/y", "name with space"};
    static const char *const bad[] = {"",    "/",      "/a",   "a/",   "a//b",  ".",         "..",
                                      "a/.", "a/../b", "a\\b", "a\nb", ".loam", ".loam/lock"};
    for (size_t i = 0; i < LM_COUNT_OF(good); i++) assert_true(lm_hub_path_is_safe(good[i]));
    for (size_t i = 0; i < LM_COUNT_OF(bad); i++) assert_false(lm_hub_path_is_safe(bad[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_what_is_no_name),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
