/* loam run as a user meets it: what is on standard output, byte for byte, and how it exits. */
#include "base/file.h"
#include "command_line.h"

static const char published[] = "Once upon a time, there was a little girl named Lily. She loved "
                                "to play outside in the park. One day, she saw a big, "
                                "red ball. She wanted to play with it, but it was too "
                                "high.\nLily's mom said, \"Lily, let's go to the park.\" Lily was "
                                "sad and didn't know what to do. She said, \"I want to play with "
                                "your ball, but I can't find it.\"\nLily was sad and "
                                "didn't know what to do. She said, \"I'm sorry, Lily. I didn't "
                                "know what to do.\"\nLily didn't want to help her mom, so "
                                "she said, \"I'm sorry, mom. I didn't know what to do.\" Her mom "
                                "said, \"Don't worry, Lily. We can help you.";

static char *model_args(const char *file, const char *rest) {
    const char *data = test_data_dir();
    if (!data) {
        print_message("LOAM_TEST_DATA is not set: no stories260K\n");
        skip();
    }
    return lm_asprintf("%s/models/stories260K%s %s", data, file, rest);
}

static void test_published_text(void **state) {
    const char *files[] = {"", "/stories260K-f32.gguf"};
    for (size_t i = 0; i < LM_COUNT_OF(files); i++) {
        char *args = model_args(files[i], "'' --temperature 0 --max-tokens 256");
        cli_result r = cli_loam("run %s", args);
        assert_int_equal(r.code, 0);
        assert_string_equal(r.text, published);
        lm_free(args);
    }
}

static void test_prompt_from_standard_input(void **state) {
    char *args = model_args("", "- --temperature 0 --max-tokens 6 --echo < /dev/null");
    cli_result r = cli_loam("run %s", args);
    assert_int_equal(r.code, 0);
    assert_int_equal(strncmp(r.text, published, strlen(r.text)), 0);
    lm_free(args);
}

static void test_seed_repeats(void **state) {
    char *args = model_args("", "'Lily' --seed 3 --max-tokens 30 --threads 1"),
         *other = model_args("", "Lily -s 3 -n 30 --threads 3");
    assert_string_equal(cli_loam("run %s", args).text, cli_loam("run %s", other).text);
    lm_free(args);
    lm_free(other);
}

/* A processor without AVX2, emulated: the same text, only later, from weights of a float type and of a quantized one. */
static void test_old_processor(void **state) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
    skip();
#endif
    if (system("command -v qemu-x86_64 >/dev/null") != 0) {
        print_message("skipped: no qemu-x86_64 to be an old processor\n");
        skip();
    }
    char *source = model_args("/stories260K-f32.gguf", ""), *dir = test_temp_dir();
    const char *types[] = {"f32", "q8_0"};
    for (size_t i = 0; i < LM_COUNT_OF(types); i++) {
        assert_int_equal(cli_loam("quantize %s %s/m.gguf %s", source, dir, types[i]).code, 0);
        char *here = lm_asprintf("run %s/m.gguf Lily --temperature 0 -n 24", dir),
             *there = lm_asprintf("qemu-x86_64 -cpu Nehalem %s %s 2>/dev/null", LM_LOAM, here);
        cli_result want = cli_loam("%s", here), is = cli_shell(there);
        assert_int_equal(is.code, 0);
        assert_true(strlen(want.text) > 20);
        assert_string_equal(is.text, want.text);
        lm_free(here);
        lm_free(there);
    }
    assert_int_equal(lm_file_remove_tree(dir, NULL), LOAM_OK);
    lm_free(source);
    lm_free(dir);
}

static void test_json(void **state) {
    char *args = model_args("", "'' --json --temperature 0 --max-tokens 3");
    cli_result r = cli_loam("run %s", args);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.text, "\"text\": \"Once upon"));
    assert_non_null(strstr(r.text, "\"completion_tokens\": 3"));
    assert_non_null(strstr(r.text, "\"finish_reason\": \"length\""));
    lm_free(args);
}

static void test_failures(void **state) {
    assert_int_equal(cli_loam("run /nonexistent").code, 1);
    assert_string_equal(cli_loam("run /nonexistent").text, "");
    assert_int_equal(cli_loam("run ").code, 2);
    assert_int_equal(cli_loam("run x --temperature hot").code, 2);
    assert_int_equal(cli_loam("run " LM_GOLDEN_DIR "/plain.gguf hello").code,
                     1); /* it has no tokenizer */
}

/* A question is what the model's template makes of it. */
static void test_question(void **state) {
    char *plain =
        model_args("", "'system: Be kind.\nuser: Hi\nassistant:' --temperature 0 --max-tokens 8");
    char *chat = model_args("", "--chat --system 'Be kind.' Hi --temperature 0 --max-tokens 8");
    cli_result wanted = cli_loam("run %s", plain), got = cli_loam("run %s", chat);
    assert_int_equal(got.code, 0);
    assert_true(strlen(got.text) > 0);
    assert_string_equal(got.text, wanted.text);
    lm_free(plain);
    lm_free(chat);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_text),
        cmocka_unit_test(test_question),
        cmocka_unit_test(test_prompt_from_standard_input),
        cmocka_unit_test(test_seed_repeats),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_old_processor),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
