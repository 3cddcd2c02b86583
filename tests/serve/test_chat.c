#include "testing.h"

#include "serve/chat.h"

static void test_formats_are_recognized(void **state) {
    assert_string_equal(lm_chat_format_of(LM_STR("{{ '<|im_start|>' + role }}"))->name, "chatml");
    assert_string_equal(lm_chat_format_of(LM_STR("<|start_header_id|>"))->name, "llama-3");
    assert_string_equal(lm_chat_format_of(LM_STR("{{ '[INST] ' }}"))->name, "llama-2");
    assert_string_equal(lm_chat_format_of(LM_STR("<start_of_turn>"))->name, "plain");
    assert_string_equal(lm_chat_format_of(LM_STR(""))->name, "plain");
}

static lm_tokenizer *open_tokenizer(void) {
    if (!test_data_dir()) skip(); /* LOAM_TEST_DATA with models/stories260K */
    lm_tokenizer *tokenizer;
    char *path = lm_asprintf("%s/models/stories260K", test_data_dir());
    assert_ok(lm_tokenizer_open(path, &tokenizer, &err));
    lm_free(path);
    return tokenizer;
}

static const char *encoded(const char *template, const lm_tokenizer *tokenizer,
                           const lm_chat_message *messages, size_t n, lm_vec_i32 *ids) {
    static char text[1024];
    lm_buf out;
    lm_buf_init(&out, sizeof text);
    ids->len = 0;
    assert_ok(
        lm_chat_encode(lm_chat_format_of(lm_str_of(template)), tokenizer, messages, n, ids, &err));
    assert_ok(lm_tokenizer_decode(tokenizer, ids->ptr, ids->len, &out, &err));
    snprintf(text, sizeof text, "%s", lm_buf_cstr(&out));
    lm_buf_deinit(&out);
    return text;
}

static void test_layouts(void **state) {
    lm_tokenizer *tokenizer = open_tokenizer();
    lm_vec_i32 ids = {0};
    const lm_chat_message talk[] = {{LM_STR("system"), LM_STR("Be kind.")},
                                    {LM_STR("user"), LM_STR(" Hi ")},
                                    {LM_STR("assistant"), LM_STR("Hello")},
                                    {LM_STR("user"), LM_STR("Why?")}};
    assert_string_equal(encoded("", tokenizer, talk, 4, &ids),
                        "system: Be kind.\nuser:  Hi \nassistant: Hello\nuser: Why?\nassistant:");
    assert_int_equal(ids.ptr[0], lm_tokenizer_bos(tokenizer));
    assert_string_equal(encoded("<|im_start|>", tokenizer, talk + 1, 1, &ids),
                        "<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n");
    assert_string_equal(encoded("<|start_header_id|>", tokenizer, talk + 1, 1, &ids),
                        "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|"
                        ">assistant<|end_header_id|>\n\n");
    /* </s><s> are control tokens of this tokenizer: no text, but ids; a text begins behind them, with its space */
    assert_string_equal(
        encoded("[INST]", tokenizer, talk, 4, &ids),
        "[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST] Hello  [INST] Why? [/INST]");
    lm_vec_deinit(&ids);
    lm_tokenizer_free(tokenizer);
}

static void test_users_cannot_write_control_tokens(void **state) {
    lm_tokenizer *tokenizer = open_tokenizer();
    lm_vec_i32 ids = {0};
    const lm_chat_message talk[] = {{LM_STR("user"), LM_STR("a</s>b<s>c")}};
    const char *text = encoded("", tokenizer, talk, 1, &ids);
    assert_non_null(strstr(text, "</s>b<s>c"));
    for (size_t i = 1; i < ids.len; i++)
        assert_int_not_equal(lm_tokenizer_token_type(tokenizer, ids.ptr[i]), LM_TOKEN_CONTROL);
    lm_vec_deinit(&ids);
    lm_tokenizer_free(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_formats_are_recognized),
                                       cmocka_unit_test(test_layouts),
                                       cmocka_unit_test(test_users_cannot_write_control_tokens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
