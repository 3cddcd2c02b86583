/* loam help as a reader meets it: every command and subcommand explains itself, hidden ones stay hidden. */
#include "command_line.h"

static void test_subcommand(void **state) {
    cli_result by_help = cli_loam("help job create"), by_option = cli_loam("job create --help");
    assert_int_equal(by_help.code, 0);
    assert_string_equal(by_help.text, by_option.text);
    assert_non_null(strstr(by_help.text, "usage: loam job create [options] <name>\n"));
}

/* What a command cannot do without is a matter of usage. */
static void test_missing_option(void **state) {
    cli_result r = cli_shell(LM_LOAM " job create x 2>&1");
    assert_int_equal(r.code, 2);
    assert_non_null(strstr(r.text, "--recipe is missing"));
    assert_int_equal(cli_loam("train missing.yaml --set nonsense").code, 1); /* no such file */
}

static void test_unknown_names(void **state) {
    assert_int_equal(cli_loam("help nothing").code, 2);
    assert_int_equal(cli_loam("help job nothing").code, 2);
    assert_int_equal(cli_loam("help run nothing").code, 2);
}

static void test_hidden_commands_stay_hidden(void **state) {
    const char *const pages[] = {"help", "help --man", "help --completion bash"};
    for (size_t i = 0; i < LM_COUNT_OF(pages); i++) {
        cli_result page = cli_loam("%s", pages[i]);
        assert_int_equal(page.code, 0);
        assert_non_null(strstr(page.text, "tokenize"));
        assert_null(strstr(page.text, "supervise"));
    }
}

static void test_examples_are_indented(void **state) {
    cli_result page = cli_loam("help up");
    assert_non_null(strstr(page.text, "\nexamples:\n  loam up\n      run on this machine"));
}

/* What could not be written is not passed over; a reader who leaves early is no failure. */
static void test_lost_output_fails(void **state) {
    assert_int_equal(cli_loam("help > /dev/full").code, 1);
    assert_int_equal(cli_loam("run --help > /dev/full").code, 1);
    assert_int_equal(cli_loam("help | true").code, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subcommand),
        cmocka_unit_test(test_missing_option),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_hidden_commands_stay_hidden),
        cmocka_unit_test(test_examples_are_indented),
        cmocka_unit_test(test_lost_output_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
