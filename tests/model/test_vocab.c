/* Published vocabularies against the ids their own implementations gave for a list of awkward texts. */
#include "testing.h"

#include "base/file.h"
#include "model/tokenizer.h"

enum { MAX_FILE_BYTES = 1 << 20 };

static char *read_text(const char *folder, const char *name, const char *suffix) {
    char *path = lm_asprintf("%s/vocab/%s%s", folder, name, suffix), *text;
    assert_ok(lm_file_read(path, MAX_FILE_BYTES, &text, NULL, &err));
    lm_free(path);
    return text;
}

static lm_tokenizer *open_vocab(const char *folder, const char *name) {
    char *path = lm_asprintf("%s/vocab/%s.gguf", folder, name);
    lm_tokenizer *tokenizer = NULL;
    assert_ok(lm_tokenizer_open(path, &tokenizer, &err));
    lm_free(path);
    return tokenizer;
}

/* "1 2 3" up to the line's end; returns what follows it. */
static const char *parse_ids(const char *line, lm_vec_i32 *out) {
    out->len = 0;
    while (*line && *line != '\n') {
        char *end;
        int32_t id = (int32_t)strtol(line, &end, 10);
        if (end == line) {
            line++;
            continue;
        }
        assert_true(lm_vec_push(out, id));
        line = end;
    }
    return *line ? line + 1 : line;
}

static void check_text(const lm_tokenizer *tokenizer, lm_str text, const lm_vec_i32 *want) {
    lm_vec_i32 ids = {0};
    lm_buf decoded;
    lm_buf_init(&decoded, SIZE_MAX - 1);
    assert_ok(lm_tokenizer_encode(tokenizer, text, (lm_encode_options){0}, &ids, &err));
    for (size_t i = 0; i < ids.len && i < want->len; i++) {
        if (ids.ptr[i] != want->ptr[i])
            fail_msg("'%.*s': id %zu is %d, not %d", (int)text.len, text.ptr, i, ids.ptr[i],
                     want->ptr[i]);
    }
    assert_int_equal(ids.len, want->len);
    assert_ok(lm_tokenizer_decode(tokenizer, ids.ptr, ids.len, &decoded, &err));
    if (strcmp(lm_tokenizer_kind(tokenizer), "wordpiece") != 0) /* it forgets case and spaces */
        assert_true(lm_str_equal(lm_buf_view(&decoded), text));
    lm_buf_deinit(&decoded);
    lm_vec_deinit(&ids);
}

static void check_vocab(const char *name) {
    static const char separator[] = "\n__ggml_vocab_test__\n";
    const char *folder = test_data_dir();
    if (!folder) skip();
    lm_tokenizer *tokenizer = open_vocab(folder, name);
    char *texts = read_text(folder, name, ".gguf.inp"),
         *wanted = read_text(folder, name, ".gguf.out");
    const char *text = texts, *line = wanted;
    lm_vec_i32 want = {0};
    int n = 0;
    for (const char *end; (end = strstr(text, separator)) != NULL; n++) {
        line = parse_ids(line, &want);
        check_text(tokenizer, (lm_str){text, (size_t)(end - text)}, &want);
        text = end + sizeof separator - 1;
    }
    assert_int_equal(*text, '\0');
    assert_int_equal(*line, '\0');
    assert_int_equal(n, 46);
    lm_vec_deinit(&want);
    lm_free(texts);
    lm_free(wanted);
    lm_tokenizer_free(tokenizer);
}

static void test_llama_spm(void **state) {
    check_vocab("llama-spm");
}

static void test_phi_3(void **state) {
    check_vocab("phi-3");
}

static void test_gpt_2(void **state) {
    check_vocab("gpt-2");
}

static void test_deepseek_llm(void **state) {
    check_vocab("deepseek-llm");
}

static void test_bert_bge(void **state) {
    check_vocab("bert-bge");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama_spm), cmocka_unit_test(test_phi_3),
        cmocka_unit_test(test_gpt_2),     cmocka_unit_test(test_deepseek_llm),
        cmocka_unit_test(test_bert_bge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
