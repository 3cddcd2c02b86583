/* loam help as a reader meets it: every command and subcommand explains itself, hidden ones stay hidden. */
#include "testing.h"

#include "base/str.h"

/* Standard output of `loam ARGS` and its exit code. */
typedef struct result {
    char text[16384];
    int code;
} result;

static result loam(const char *args) {
    result r = {0};
    char *command = lm_asprintf("%s %s 2>/dev/null", LM_LOAM, args);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    r.text[fread(r.text, 1, sizeof r.text - 1, pipe)] = '\0';
    int status = pclose(pipe);
    r.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    lm_free(command);
    return r;
}

static void test_subcommand(void **state) {
    result by_help = loam("help job create"), by_option = loam("job create --help");
    assert_int_equal(by_help.code, 0);
    assert_string_equal(by_help.text, by_option.text);
    assert_non_null(strstr(by_help.text, "usage: loam job create [options] <name>\n"));
}

static void test_unknown_names(void **state) {
    assert_int_equal(loam("help nothing").code, 2);
    assert_int_equal(loam("help job nothing").code, 2);
    assert_int_equal(loam("help run nothing").code, 2);
}

static void test_hidden_commands_stay_hidden(void **state) {
    const char *const pages[] = {"help", "help --man", "help --completion bash"};
    for (size_t i = 0; i < LM_COUNT_OF(pages); i++) {
        result page = loam(pages[i]);
        assert_int_equal(page.code, 0);
        assert_non_null(strstr(page.text, "tokenize"));
        assert_null(strstr(page.text, "supervise"));
    }
}

static void test_examples_are_indented(void **state) {
    result page = loam("help up");
    assert_non_null(strstr(page.text, "\nexamples:\n  loam up\n      run on this machine"));
}

/* What could not be written is not passed over; a reader who leaves early is no failure. */
static void test_lost_output_fails(void **state) {
    assert_int_equal(loam("help > /dev/full").code, 1);
    assert_int_equal(loam("run --help > /dev/full").code, 1);
    assert_int_equal(loam("help | true").code, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subcommand),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_hidden_commands_stay_hidden),
        cmocka_unit_test(test_examples_are_indented),
        cmocka_unit_test(test_lost_output_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
