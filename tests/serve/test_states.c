/* The whole server with models whose layers keep states, or more of a token than keys and values (an indexer's key): what one client gets
 * does not depend on the others, on several answers to its prompt, or on being preempted and computed again. */
#include "serve/live_server.h"

enum { N_CLIENTS = 24, N_VOCAB = 48 };

/* A folder of the tiny model with a tokenizer whose tokens are words. */
static char *folder_with_words(const char *family) {
    static const char *const files[] = {"config.json", "model.safetensors"};
    char *dir = test_temp_dir(), *from = lm_path_join(LM_FAMILIES_DIR, family), *bytes;
    size_t size;
    for (size_t i = 0; i < LM_COUNT_OF(files); i++) {
        char *source = lm_path_join(from, files[i]), *target = lm_path_join(dir, files[i]);
        assert_ok(lm_file_read(source, 1 << 20, &bytes, &size, &err));
        assert_ok(lm_file_write_atomic(target, bytes, size, &err));
        lm_free(bytes);
        lm_free(source);
        lm_free(target);
    }
    lm_buf text;
    lm_buf_init(&text, 1 << 16);
    for (int i = 0; i < N_VOCAB; i++) lm_buf_printf(&text, "%s\"w%d\": %d", i ? ", " : "", i, i);
    char *vocab = lm_buf_take(&text),
         *json = lm_asprintf(
             "{\"pre_tokenizer\": {\"type\": \"WhitespaceSplit\"}, \"model\": {\"type\": "
             "\"WordLevel\", \"unk_token\": \"w0\", \"vocab\": {%s}}}",
             vocab),
         *path = lm_path_join(dir, "tokenizer.json");
    assert_ok(lm_file_write_atomic(path, json, strlen(json), &err));
    char *const texts[] = {from, vocab, json, path};
    for (size_t i = 0; i < LM_COUNT_OF(texts); i++) lm_free(texts[i]);
    return dir;
}

/* Prompts of 3 to 26 words, several of which begin alike. */
static void fill(live_client *c, int i) {
    char prompt[256] = "";
    for (int word = 0; word < 3 + i; word++)
        snprintf(prompt + strlen(prompt), sizeof prompt - strlen(prompt), "%sw%d", word ? " " : "",
                 (word * 7 + (i % 3) + 1) % N_VOCAB);
    snprintf(c->body, sizeof c->body,
             "{\"model\":\"m\",\"prompt\":\"%s\",\"n\":%d,\"max_tokens\":%d,\"seed\":%d,"
             "\"temperature\":%s,\"ignore_eos\":true,\"logprobs\":2}",
             prompt, 1 + i % 3, 30 + i, i, i % 2 ? "0" : "1.3");
}

static void check_family(const char *family) {
    static live_client alone[N_CLIENTS], together[N_CLIENTS];
    int http_status;
    char *dir = folder_with_words(family);
    live_open(dir);
    live_start((lm_serve_options){.max_context = 128}, "m");
    for (int i = 0; i < N_CLIENTS; i++) {
        fill(&alone[i], i);
        together[i] = alone[i];
        live_client_main(&alone[i]);
        assert_int_equal(alone[i].http_status, 200);
    }
    live_stop();
    live_start((lm_serve_options){.max_context = 128, .n_blocks = 9, .max_seqs = 12}, "m");
    live_check_company(together, alone, N_CLIENTS);
    char *metrics = live_ask("/metrics", NULL, &http_status);
    assert_non_null(strstr(metrics, "loam_kv_blocks_used 0\n"));
    assert_null(strstr(metrics, "loam_preemptions_total 0\n"));
    lm_free(metrics);
    live_stop();
    live_close();
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(dir);
}

static void test_company_changes_no_bit(void **state) {
    static const char *const families[] = {"lfm2",  "qwen3_next", "falcon_h1",  "mamba2",
                                           "jamba", "minimax",    "deepseek_v4"};
    for (size_t i = 0; i < LM_COUNT_OF(families); i++) check_family(families[i]);
}

static void test_keys_of_indexers_go_along(void **state) {
    check_family("glm_moe_dsa-sparse");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_company_changes_no_bit),
                                       cmocka_unit_test(test_keys_of_indexers_go_along)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
