#include "testing.h"

#include "base/file.h"
#include "base/json.h"
#include "model/chat.h"

static lm_tokenizer *open_tokenizer(void) {
    if (!test_data_dir()) skip(); /* LOAM_TEST_DATA with models/stories260K */
    lm_tokenizer *tokenizer;
    char *path = lm_asprintf("%s/models/stories260K", test_data_dir());
    assert_ok(lm_tokenizer_open(path, &tokenizer, &err));
    lm_free(path);
    return tokenizer;
}

/* Two conversations as {"messages": ..., "tools": ..., more variables}. */
static lm_chat_talk talk_of(json_t *json) {
    return (lm_chat_talk){.messages = json_object_get(json, "messages"),
                          .tools = json_object_get(json, "tools"),
                          .variables = json_object_get(json, "variables"),
                          .no_generation_prompt = json_is_true(json_object_get(json, "no_prompt"))};
}

static void expect_render(const lm_chat *chat, const char *json_text, const char *wanted) {
    json_t *json = NULL;
    lm_buf out;
    lm_buf_init(&out, 1 << 20);
    assert_ok(lm_json_parse(lm_str_of(json_text), "talk", &json, &err));
    lm_chat_talk talk = talk_of(json);
    assert_ok(lm_chat_render(chat, &talk, &out, &err));
    assert_string_equal(lm_buf_cstr(&out), wanted);
    lm_buf_deinit(&out);
    json_decref(json);
}

#define TALK                                                                                   \
    "{\"messages\":[{\"role\":\"system\",\"content\":\"Be "                                    \
    "kind.\"},{\"role\":\"user\",\"content\":"                                                 \
    "[{\"type\":\"text\",\"text\":\" Hi \"}]},{\"role\":\"assistant\",\"content\":\"Hello\"}," \
    "{\"role\":\"user\",\"content\":\"Why?\"}]}"

static void test_what_templates_are_given(void **state) {
    lm_tokenizer *tokenizer = open_tokenizer();
    lm_chat *chat;
    assert_ok(lm_chat_new(LM_STR("{{ bos_token }}{{ eos_token }}{{ messages | length }}{{ tools "
                                 "}}{{ documents }}{{ add_generation_prompt }}{{ x }}"
                                 "{{ messages[0].reasoning_content }}{{ messages[0].thinking }}"),
                          tokenizer, &chat, &err));
    expect_render(
        chat, "{\"messages\":[{\"reasoning\":\"r\"}],\"variables\":{\"x\":5},\"no_prompt\":true}",
        "<s></s>1NoneNoneFalse5rr");
    expect_render(chat,
                  "{\"messages\":[{\"thinking\":\"t\",\"reasoning_content\":null}],\"tools\":[1]}",
                  "<s></s>1[1]NoneTruett");
    lm_chat_free(chat);
    lm_tokenizer_free(tokenizer);
}

static void test_families(void **state) {
    lm_tokenizer *tokenizer = open_tokenizer(); /* no template, no token that tells */
    static const struct {
        const char *arch, *name, *text;
    } rows[] = {
        {"qwen2", "chatml",
         "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n Hi "
         "<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|"
         "im_start|>assistant\n"},
        {"mistral", "llama-2",
         "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] Why? [/INST]"},
        {"gemma3_text", "gemma",
         "<s><start_of_turn>user\nBe "
         "kind.<end_of_turn>\n<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nHello<"
         "end_of_turn>\n<start_of_turn>user\nWhy?<end_of_turn>\n<start_of_turn>model\n"},
        {"llama", "plain",
         "system: Be kind.\nuser:  Hi \nassistant: Hello\nuser: Why?\nassistant:"},
        {NULL, "plain", "system: Be kind.\nuser:  Hi \nassistant: Hello\nuser: Why?\nassistant:"},
    };
    for (size_t i = 0; i < LM_COUNT_OF(rows); i++) {
        lm_chat *chat;
        assert_ok(lm_chat_open(tokenizer, rows[i].arch, &chat, &err));
        assert_non_null(strstr(lm_chat_description(chat), rows[i].name));
        assert_int_equal(lm_chat_stop(chat) != NULL, strcmp(rows[i].name, "plain") == 0);
        expect_render(chat, TALK, rows[i].text);
        lm_chat_free(chat);
    }
    lm_tokenizer_free(tokenizer);
}

/* A folder with stories260K's tokenizer, to which files are added. */
static char *tokenizer_dir(void) {
    if (!test_data_dir()) skip(); /* LOAM_TEST_DATA with models/stories260K */
    char *dir = test_temp_dir(), *text = NULL;
    char *from = lm_asprintf("%s/models/stories260K/tokenizer.json", test_data_dir());
    char *to = lm_asprintf("%s/tokenizer.json", dir);
    size_t size = 0;
    assert_ok(lm_file_read(from, 1 << 24, &text, &size, &err));
    assert_ok(lm_file_write_atomic(to, text, size, &err));
    lm_free(text);
    lm_free(from);
    lm_free(to);
    return dir;
}

static void write_file(const char *dir, const char *name, const char *text) {
    char *path = lm_asprintf("%s/%s", dir, name);
    assert_ok(lm_file_write_atomic(path, text, strlen(text), &err));
    lm_free(path);
}

static void expect_template(const char *dir, const char *without_tools, const char *with_tools) {
    lm_tokenizer *tokenizer;
    lm_chat *chat;
    assert_ok(lm_tokenizer_open(dir, &tokenizer, &err));
    assert_ok(lm_chat_open(tokenizer, NULL, &chat, &err));
    assert_string_equal(lm_chat_description(chat), "its own template");
    expect_render(chat, "{\"messages\":[]}", without_tools);
    expect_render(chat, "{\"messages\":[],\"tools\":[]}", without_tools);
    expect_render(chat, "{\"messages\":[],\"tools\":[1]}", with_tools);
    lm_chat_free(chat);
    lm_tokenizer_free(tokenizer);
}

static void test_where_templates_come_from(void **state) {
    char *dir = tokenizer_dir();
    write_file(dir, "tokenizer_config.json",
               "{\"chat_template\":\"a{{ tools | length if tools }}\"}");
    expect_template(dir, "a", "a1");
    write_file(dir, "tokenizer_config.json",
               "{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"t\"},{\"name\":"
               "\"default\",\"template\":\"d\"},{\"name\":\"rag\",\"template\":\"r\"}]}");
    expect_template(dir, "d", "t");
    write_file(dir, "chat_template.json", "{\"chat_template\":\"j\"}");
    expect_template(dir, "j", "t");
    write_file(dir, "chat_template.jinja", "f\n");
    expect_template(dir, "f", "t");
    lm_tokenizer *tokenizer;
    lm_chat *chat = NULL;
    write_file(dir, "chat_template.jinja", "\n{% if %}");
    assert_ok(lm_tokenizer_open(dir, &tokenizer, &err));
    loam_error error = {0};
    assert_int_equal(lm_chat_open(tokenizer, NULL, &chat, &error), LOAM_INVALID);
    assert_non_null(strstr(error.message, "chat template: template line 2"));
    assert_ok(lm_chat_open_family(tokenizer, "qwen3", &chat, &err));
    assert_non_null(strstr(lm_chat_description(chat), "chatml"));
    lm_chat_free(chat);
    lm_tokenizer_free(tokenizer);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(dir);
}

static void test_end_of_turn(void **state) {
    static const struct {
        const char *source, *end;
    } rows[] = {{"{% for m in messages %}{{ m.content }} </s>{% endfor %}", "</s>"},
                {"{% for m in messages %}<s>{{ m.role + m.content }}{% endfor %}",
                 "<s>"}, /* what follows an answer */
                {"{% for m in messages %}{{ m.content }}!{% endfor %}", NULL},
                {"{{ raise_exception('never') }}", NULL}};
    lm_tokenizer *tokenizer = open_tokenizer();
    for (size_t i = 0; i < LM_COUNT_OF(rows); i++) {
        lm_chat *chat;
        assert_ok(lm_chat_new(lm_str_of(rows[i].source), tokenizer, &chat, &err));
        int32_t wanted = rows[i].end ? lm_tokenizer_find(tokenizer, lm_str_of(rows[i].end)) : -1;
        assert_int_equal(lm_chat_end(chat), wanted);
        lm_chat_free(chat);
    }
    lm_tokenizer_free(tokenizer);
}

static size_t n_control(const lm_tokenizer *tokenizer, const lm_vec_i32 *ids) {
    size_t n = 0;
    for (size_t i = 0; i < ids->len; i++)
        n += lm_tokenizer_token_type(tokenizer, ids->ptr[i]) == LM_TOKEN_CONTROL;
    return n;
}

static void test_users_cannot_write_control_tokens(void **state) {
    lm_tokenizer *tokenizer = open_tokenizer();
    lm_chat *chat;
    lm_vec_i32 ids = {0};
    lm_buf text;
    json_t *json = NULL;
    assert_ok(
        lm_chat_new(LM_STR("<s>{% for m in messages %}{{ m.content | trim }}</s>{% endfor %}"),
                    tokenizer, &chat, &err));
    assert_ok(lm_json_parse(
        LM_STR(
            "{\"messages\":[{\"content\":\"a</s>b<s>c\\ufdd0</s\\ufdd1>\"},{\"content\":\"d\"}]}"),
        "talk", &json, &err));
    lm_chat_talk talk = talk_of(json);
    assert_ok(lm_chat_encode(chat, &talk, 0, &ids, &err));
    assert_int_equal(ids.ptr[0], lm_tokenizer_bos(tokenizer));
    assert_int_equal(n_control(tokenizer, &ids), 3);
    lm_buf_init(&text, 1 << 16);
    assert_ok(lm_tokenizer_decode(tokenizer, ids.ptr, ids.len, &text, &err));
    assert_non_null(strstr(lm_buf_cstr(&text), "a</s>b<s>c</s>"));
    ids.len = 0;
    assert_status(LOAM_LIMIT, lm_chat_encode(chat, &talk, 10, &ids, &err));
    assert_int_equal(ids.len, 0);
    lm_buf_deinit(&text);
    lm_vec_deinit(&ids);
    json_decref(json);
    lm_chat_free(chat);
    lm_tokenizer_free(tokenizer);
}

/* Without foreign control tokens the ids are those of the rendered text. */
static void test_plain_talks_are_tokenized_whole(void **state) {
    lm_tokenizer *tokenizer = open_tokenizer();
    lm_chat *chat;
    lm_vec_i32 ids = {0}, wanted = {0};
    json_t *json = NULL;
    assert_ok(lm_chat_open(tokenizer, "mistral", &chat, &err));
    assert_ok(lm_json_parse(LM_STR(TALK), "talk", &json, &err));
    lm_chat_talk talk = talk_of(json);
    assert_ok(lm_chat_encode(chat, &talk, 0, &ids, &err));
    assert_ok(lm_tokenizer_encode(
        tokenizer,
        LM_STR(
            "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] Why? [/INST]"),
        (lm_encode_options){.parse_special = true}, &wanted, &err));
    assert_int_equal(ids.len, wanted.len);
    assert_memory_equal(ids.ptr, wanted.ptr, ids.len * sizeof *ids.ptr);
    lm_vec_deinit(&ids);
    lm_vec_deinit(&wanted);
    json_decref(json);
    lm_chat_free(chat);
    lm_tokenizer_free(tokenizer);
}

static void test_what_is_no_talk(void **state) {
    lm_chat *chat;
    lm_buf out;
    json_t *json = json_pack("[i]", 1);
    lm_chat_talk talk = {.messages = json};
    lm_buf_init(&out, 100);
    assert_ok(lm_chat_new(LM_STR("x"), NULL, &chat, &err));
    assert_status(LOAM_INVALID, lm_chat_render(chat, &talk, &out, &err));
    talk.messages = NULL;
    assert_status(LOAM_INVALID, lm_chat_render(chat, &talk, &out, &err));
    assert_status(LOAM_INVALID, lm_chat_new(LM_STR("{% x"), NULL, &chat, &err));
    json_decref(json);
    lm_chat_free(chat);
    lm_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_templates_are_given),
                                       cmocka_unit_test(test_families),
                                       cmocka_unit_test(test_where_templates_come_from),
                                       cmocka_unit_test(test_end_of_turn),
                                       cmocka_unit_test(test_users_cannot_write_control_tokens),
                                       cmocka_unit_test(test_plain_talks_are_tokenized_whole),
                                       cmocka_unit_test(test_what_is_no_talk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
