/* loam convert: a model with its tokenizer to GGUF and back answers as before. */
#include <unistd.h>

#include "base/file.h"
#include "cli/command_line.h"

static const char *model_dir(void) {
    const char *data = getenv("LOAM_TEST_DATA");
    if (!data) {
        print_message("LOAM_TEST_DATA is not set: no stories260K\n");
        skip();
    }
    return data;
}

static char *answer_of(const char *path) {
    cli_result r =
        cli_loam("run --temperature 0 -n 48 --no-pack-file '%s' 'Once upon a time, Tom and'", path);
    assert_int_equal(r.code, 0);
    assert_true(strlen(r.text) > 40);
    return lm_strdup(r.text);
}

static void check_answer(const char *path, const char *want) {
    char *is = answer_of(path);
    assert_string_equal(is, want);
    lm_free(is);
}

static void check_tokens(const char *path, const char *other) {
    static const char text[] = "'  Héllo  wörld, 你好 🙂\t<s> xxxxxxxxxxxxxxxxxx One day'";
    cli_result a = cli_loam("tokenize --json '%s' %s", path, text),
               b = cli_loam("tokenize --json '%s' %s", other, text);
    assert_int_equal(a.code, 0);
    assert_string_equal(a.text, b.text);
}

static void test_there_and_back(void **state) {
    char *source = lm_asprintf("%s/models/stories260K", model_dir()), *dir = test_temp_dir();
    char *gguf = lm_path_join(dir, "s.gguf"), *folder = lm_path_join(dir, "folder");
    char *want = answer_of(source);
    assert_int_equal(cli_loam("convert '%s' '%s'", source, gguf).code, 0);
    check_answer(gguf, want);
    assert_int_equal(cli_loam("convert '%s' '%s'", gguf, folder).code, 0);
    check_answer(folder, want);
    check_tokens(gguf, folder);
    assert_int_equal(lm_file_remove_tree(dir, NULL), LOAM_OK);
    char *const texts[] = {source, dir, gguf, folder, want};
    for (size_t i = 0; i < LM_COUNT_OF(texts); i++) lm_free(texts[i]);
}

static void test_quantized(void **state) {
    char *source = lm_asprintf("%s/models/stories260K/stories260K-f32.gguf", model_dir()),
         *dir = test_temp_dir();
    assert_int_equal(cli_loam("quantize '%s' '%s/q.gguf' q8_0", source, dir).code, 0);
    assert_int_equal(cli_loam("convert '%s/q.gguf' '%s/folder'", dir, dir).code, 1);
    assert_int_equal(cli_loam("convert '%s/q.gguf' '%s/folder' --type q8_0", dir, dir).code, 1);
    assert_int_equal(cli_loam("convert '%s/q.gguf' '%s/folder' --type f32", dir, dir).code, 0);
    char *folder = lm_path_join(dir, "folder");
    lm_free(answer_of(folder)); /* not the same: products with Q8_0 round what enters them, too */
    assert_int_equal(lm_file_remove_tree(dir, NULL), LOAM_OK);
    char *const texts[] = {source, dir, folder};
    for (size_t i = 0; i < LM_COUNT_OF(texts); i++) lm_free(texts[i]);
}

/* A folder quantized at once is what its GGUF file quantized is, and leaves nothing beside it. */
static void test_quantize_folder(void **state) {
    char *source = lm_asprintf("%s/models/stories260K", model_dir()), *dir = test_temp_dir();
    char *at_once = lm_path_join(dir, "a.gguf"), *by_file = lm_path_join(dir, "b.gguf"),
         *whole = lm_path_join(dir, "whole.gguf"), *bytes[2];
    size_t sizes[2];
    assert_int_equal(cli_loam("quantize '%s' '%s' q4_0", source, at_once).code, 0);
    assert_int_equal(cli_loam("convert '%s' '%s'", source, whole).code, 0);
    assert_int_equal(cli_loam("quantize '%s' '%s' q4_0", whole, by_file).code, 0);
    assert_int_equal(lm_file_read(at_once, 1 << 24, &bytes[0], &sizes[0], NULL), LOAM_OK);
    assert_int_equal(lm_file_read(by_file, 1 << 24, &bytes[1], &sizes[1], NULL), LOAM_OK);
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(bytes[0], bytes[1], sizes[0]);
    assert_int_equal(unlink(at_once) + unlink(by_file) + unlink(whole), 0);
    assert_int_equal(rmdir(dir), 0);
    char *const texts[] = {source, dir, at_once, by_file, whole, bytes[0], bytes[1]};
    for (size_t i = 0; i < LM_COUNT_OF(texts); i++) lm_free(texts[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_quantized),
        cmocka_unit_test(test_quantize_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
