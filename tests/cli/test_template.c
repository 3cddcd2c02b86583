/* loam template as a user meets it. */
#include "command_line.h"

/* `loam template REST` with input on standard input; files are written beside. */
static cli_result run(const char *input, const char *rest) {
    char *line = lm_asprintf("printf '%%s' '%s' | %s template %s 2>&1", input, LM_LOAM, rest);
    cli_result r = cli_shell(line);
    lm_free(line);
    return r;
}

static void check(cli_result r, int code, const char *text) {
    assert_string_equal(r.text, text);
    assert_int_equal(r.code, code);
}

static char *write_template(const char *dir, const char *text) {
    char *path = lm_asprintf("%s/chat.jinja", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

#define HI "[{\"role\": \"user\", \"content\": \"Hi\"}]"

static void test_a_file(void **state) {
    char *dir = test_temp_dir();
    char *path = write_template(
        dir, "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}{{ "
             "tools | tojson }}{{ x }}{{ ' A:' if add_generation_prompt }}\n");
    char *plain = lm_asprintf("%s", path),
         *option =
             lm_asprintf("-t %s --no-generation-prompt --var x=true --var bos_token=B -", path);
    char *tools = lm_asprintf("%s --tools '[1]'", path),
         *inline_talk = lm_asprintf("%s '" HI "' --json", path);
    check(run(HI, plain), 0, "user: Hinull A:");
    check(run(HI, option), 0, "Buser: HinullTrue");
    check(run(HI, tools), 0, "user: Hi[1] A:");
    check(run("{\"messages\": " HI ", \"tools\": [2], \"x\": 7, \"add_generation_prompt\": false}",
              plain),
          0, "user: Hi[2]7");
    check(run("", inline_talk), 0,
          "{\"template\": \"its own template\", \"prompt\": \"user: Hinull A:\"}\n");
    check(run("[1]", plain), 1, "loam: 'messages[0]' must be an object\n");
    check(run("[", plain), 1,
          "loam: conversation: not valid JSON at line 1 column 1: ']' expected near end of file\n");
    lm_free(plain);
    lm_free(option);
    lm_free(tools);
    lm_free(inline_talk);
    lm_free(path);
    path = write_template(dir, "a\n{{ raise_exception('only ' ~ messages | length ~ ' turn') }}");
    check(run(HI, path), 1, "loam: template line 2: only 1 turn\n");
    lm_free(path);
    path = write_template(dir, "{% for %}");
    cli_result r = run(HI, path);
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.text, "chat.jinja: template line 1: "));
    lm_free(path);
    lm_free(dir);
}

static void test_a_model(void **state) {
    if (!test_data_dir()) {
        print_message("LOAM_TEST_DATA is not set: no models\n");
        skip();
    }
    char *model = lm_asprintf("%s/models/stories260K", test_data_dir()),
         *ids = lm_asprintf("%s --ids --json", model);
    char *show = lm_asprintf("%s --show", model);
    check(run(HI, model), 0, "user: Hi\nassistant:");
    cli_result r = run(HI, ids);
    assert_non_null(strstr(r.text, "\"template\": \"the template of its family, plain\""));
    assert_non_null(strstr(r.text, "\"ids\": [1, "));
    assert_non_null(strstr(run("", show).text, "{{ m.role + "));
    assert_int_equal(run(HI, "").code, 1);
    lm_free(model);
    lm_free(ids);
    lm_free(show);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_file),
                                       cmocka_unit_test(test_a_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
