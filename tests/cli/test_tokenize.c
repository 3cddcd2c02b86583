/* loam tokenize and loam show as a user meets them. */
#include "command_line.h"

/* `loam COMMAND MODEL REST`, the model being a path in the shared data; input comes on standard input. */
static cli_result run(const char *input, const char *command, const char *model, const char *rest) {
    const char *data = test_data_dir();
    if (!data) {
        print_message("LOAM_TEST_DATA is not set: no models\n");
        skip();
    }
    char *line = lm_asprintf("printf '%s' | %s %s %s/%s %s 2>&1", input, LM_LOAM, command, data,
                             model, rest);
    cli_result r = cli_shell(line);
    lm_free(line);
    return r;
}

#define STORIES "models/stories260K"

static void check(cli_result r, int code, const char *text) {
    assert_string_equal(r.text, text);
    assert_int_equal(r.code, code);
}

static void test_encode(void **state) {
    const char *ids = "1 403 407 261 378 432 317 439 419 357 336\n";
    check(run("", "tokenize", STORIES, "\"Once upon a time, Lily's mom said\""), 0, ids);
    check(run("Once upon a time, Lily\\047s mom said", "tokenize", STORIES "/stories260K-f32.gguf",
              "-"),
          0, ids);
    check(run("Once upon", "tokenize", STORIES "/tokenizer.model", "--no-bos"), 0, "403 407\n");
    check(run("", "tokenize", "vocab/gpt-2.gguf", "'<|endoftext|>' --special"), 0, "50256\n");
    check(run("", "tokenize", "vocab/bert-bge.gguf", "x"), 0, "101 1060 102\n");
    check(run("", "tokenize", STORIES, "'h\xc3\xa9' --json --no-bos"), 0,
          "{\"text\": \"h\xc3\xa9\", \"n_tokens\": 2, \"ids\": [270, 485], \"tokens\": "
          "[\"\xe2\x96\x81h\", "
          "\"\xc3\xa9\"]}\n");
}

static void test_decode(void **state) {
    check(run("", "tokenize", STORIES, "--decode '1 403 407'"), 0, "Once upon\n");
    check(run("[403, 407]", "tokenize", STORIES, "-d"), 0, "Once upon\n");
    check(run("", "tokenize", STORIES, "-d '1 x'"), 1, "loam: 'x' is no token id\n");
    check(run("", "tokenize", STORIES, "-d 99999999999"), 1,
          "loam: '99999999999' is no token id\n");
}

static void test_show(void **state) {
    cli_result r = run("", "show", STORIES, "--tensors");
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.text, "parameters    260032\n"));
    assert_non_null(strstr(r.text, "tokenizer     spm, 512 tokens, bos 1 (added), eos 2\n"));
    assert_non_null(strstr(r.text, "model.layers.0.mlp.up_proj.weight"));
    r = run("", "show", STORIES "/stories260K-f32.gguf", "--json");
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.text, "\"n_params\": 260032"));
    assert_non_null(strstr(r.text, "\"layout\": \"interleaved\""));
}

static void test_failures(void **state) {
    assert_int_equal(run("", "show", STORIES "/nothing", "").code, 1);
    assert_non_null(strstr(run("", "show", STORIES "/README.md", "").text, "not a GGUF file"));
    assert_int_equal(run("", "show", "", "too many").code, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_show),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
