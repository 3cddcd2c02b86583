/* Chat templates over many conversations, against what jinja2 gave (templates.py). Those of LOAM_TEST_DATA are tried when it is there. */
#include "testing.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "model/chat.h"

enum { NOW_EPOCH_S = 1700000000, HASH_DIGITS = 16 };

static json_t *g_conversations, *g_expected;

static json_t *read_json(const char *name) {
    char *path = lm_asprintf("%s/%s", LM_TEMPLATES_DIR, name), *text = NULL;
    size_t size = 0;
    json_t *json = NULL;
    assert_ok(lm_file_read(path, 1 << 20, &text, &size, &err));
    assert_ok(lm_json_parse((lm_str){text, size}, path, &json, &err));
    lm_free(text);
    lm_free(path);
    return json;
}

static void hash_of(const lm_buf *text, char out[LM_SHA256_HEX_BYTES]) {
    lm_sha256 hash;
    uint8_t digest[LM_SHA256_BYTES];
    lm_sha256_init(&hash);
    lm_sha256_update(&hash, lm_buf_cstr(text), text->len);
    lm_sha256_final(&hash, digest);
    lm_sha256_hex(digest, out);
    out[HASH_DIGITS] = '\0';
}

/* Whether a rendering is what was expected: a hash, "!" for an error, or "!" and words. */
static bool is_expected(const char *expected, loam_status status, const loam_error *error,
                        const lm_buf *text) {
    char hash[LM_SHA256_HEX_BYTES];
    if (expected[0] == '!') return status != LOAM_OK && strstr(error->message, expected + 1);
    hash_of(text, hash);
    return status == LOAM_OK && strcmp(hash, expected) == 0;
}

static void try_one(const lm_chat *chat, const char *name, const json_t *conversation, bool prompt,
                    const char *expected) {
    loam_error error = {0};
    lm_buf text;
    json_t *variables = json_pack("{s:s, s:s}", "bos_token", "<s>", "eos_token", "</s>");
    json_object_update(variables, json_object_get(conversation, "variables"));
    lm_chat_talk talk = {.messages = json_object_get(conversation, "messages"),
                         .tools = json_object_get(conversation, "tools"),
                         .documents = json_object_get(conversation, "documents"),
                         .variables = variables,
                         .no_generation_prompt = !prompt,
                         .now_epoch_s = NOW_EPOCH_S};
    lm_buf_init(&text, 1 << 20);
    loam_status status = lm_chat_render(chat, &talk, &text, &error);
    if (!is_expected(expected, status, &error, &text))
        fail_msg("%s: '%s' %s a prompt: wanted %s, got %s [%s]", name,
                 json_string_value(json_object_get(conversation, "name")),
                 prompt ? "with" : "without", expected, error.message, lm_buf_cstr(&text));
    lm_buf_deinit(&text);
    json_decref(variables);
}

/* False when the template is not there. */
static bool try_template(const char *dir, const char *name, const json_t *rows) {
    char *path = lm_asprintf("%s/%s", dir, name), *source = NULL;
    size_t size = 0;
    lm_chat *chat;
    bool exists = lm_file_exists(path);
    if (exists) {
        assert_ok(lm_file_read(path, 1 << 20, &source, &size, &err));
        assert_ok(lm_chat_new((lm_str){source, size}, NULL, &chat, &err));
        assert_int_equal(json_array_size(rows), json_array_size(g_conversations));
        for (size_t i = 0; i < json_array_size(rows); i++)
            for (size_t prompt = 0; prompt < 2; prompt++)
                try_one(chat, name, json_array_get(g_conversations, i), prompt == 1,
                        json_string_value(json_array_get(json_array_get(rows, i), prompt)));
        lm_chat_free(chat);
    }
    lm_free(source);
    lm_free(path);
    return exists;
}

static size_t try_all(const char *dir) {
    const char *name;
    json_t *rows;
    size_t n = 0;
    json_object_foreach(g_expected, name, rows) n += try_template(dir, name, rows);
    return n;
}

static void test_own_templates(void **state) {
    assert_int_equal(try_all(LM_TEMPLATES_DIR), 3);
}

static void test_published_templates(void **state) {
    if (!test_data_dir()) skip(); /* LOAM_TEST_DATA with templates/ */
    char *dir = lm_asprintf("%s/templates", test_data_dir());
    assert_int_equal(try_all(dir), json_object_size(g_expected) - 3);
    lm_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_own_templates),
                                       cmocka_unit_test(test_published_templates)};
    setenv("TZ", "UTC", 1);
    g_conversations = read_json("conversations.json");
    g_expected = read_json("expected.json");
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(g_conversations);
    json_decref(g_expected);
    return n_failed;
}
