/* Rank files: tiktoken's and Mistral's tekken.json. */
#include "hostile.h"

#include "base/file.h"
#include "model/tokenizer_readers.h"

/* a b c ab bc abc, and a byte that is no ASCII: base64 and rank. */
static const char ranks[] = "YQ== 0\nYg== 1\nYw== 2\nYmM= 3\nYWI= 4\r\nYWJj 6\n/w== 5\n";

static lm_tokenizer *open_ranks(const char *text, const char *path) {
    lm_tokenizer_spec spec;
    lm_tokenizer *tokenizer = NULL;
    assert_ok(lm_tokenizer_read_tiktoken(lm_str_of(text), path, &spec, &err));
    assert_ok(lm_tokenizer_new(&spec, &tokenizer, &err));
    return tokenizer;
}

static void check_ids(const lm_tokenizer *tokenizer, lm_str text, size_t n, const int32_t *want) {
    lm_vec_i32 ids = {0};
    lm_buf back;
    lm_buf_init(&back, 1 << 16);
    lm_encode_options options = {.parse_special = true};
    assert_ok(lm_tokenizer_encode(tokenizer, text, options, &ids, &err));
    assert_int_equal(ids.len, n);
    for (size_t i = 0; i < n; i++) assert_int_equal(ids.ptr[i], want[i]);
    assert_ok(lm_tokenizer_decode(tokenizer, ids.ptr, ids.len, &back, &err));
    lm_buf_deinit(&back);
    lm_vec_deinit(&ids);
}

static void test_tiktoken(void **state) {
    lm_tokenizer *tokenizer = open_ranks(ranks, "dir/cl100k_base.tiktoken");
    assert_string_equal(lm_tokenizer_kind(tokenizer), "bpe");
    check_ids(tokenizer, LM_STR("abc"), 1, (int32_t[]){6});     /* a token is taken whole */
    check_ids(tokenizer, LM_STR("abcc"), 2, (int32_t[]){6, 2}); /* "bc" before "ab", then both */
    check_ids(tokenizer, LM_STR("a\xff"), 2, (int32_t[]){0, 5});
    check_ids(tokenizer, LM_STR("a<|endoftext|>"), 2, (int32_t[]){0, 100257});
    assert_true(lm_tokenizer_is_eos(tokenizer, 100257));
    lm_tokenizer_free(tokenizer);
}

static void check_refused(const char *text, const char *path, loam_status want, const char *what) {
    lm_tokenizer_spec spec;
    loam_error err = {0};
    assert_int_equal(lm_tokenizer_read_tiktoken(lm_str_of(text), path, &spec, &err), want);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, what));
}

static void test_hostile_ranks(void **state) {
    check_refused("", "qwen.tiktoken", LOAM_INVALID, "no tokens");
    check_refused("YQ== 0\nYQ==\n", "qwen.tiktoken", LOAM_INVALID, "line 2 is no base64 and rank");
    check_refused("YQ== 0\n!! 1\n", "qwen.tiktoken", LOAM_INVALID, "line 2: token 1 '!!'");
    check_refused("YQ== 99999999999\n", "qwen.tiktoken", LOAM_INVALID, "line 1");
    check_refused("YQ== 2000000000\n", "qwen.tiktoken", LOAM_INVALID, "the id 2000000000");
    check_refused(" 0\n", "qwen.tiktoken", LOAM_INVALID, "token 0 ''");
    check_refused(ranks, "other.tiktoken", LOAM_UNSUPPORTED, "a rank file of 7 tokens");
}

static loam_status open_one(const void *bytes, size_t size, loam_error *err) {
    lm_tokenizer_spec spec;
    loam_status status =
        lm_tokenizer_read_tiktoken((lm_str){bytes, size}, "gpt.r50k_base", &spec, err);
    if (status == LOAM_OK) lm_tokenizer_spec_deinit(&spec);
    return status;
}

static loam_status open_known(const void *bytes, size_t size, loam_error *err) {
    lm_tokenizer_spec spec;
    loam_status status =
        lm_tokenizer_read_tiktoken((lm_str){bytes, size}, "r50k_base.tiktoken", &spec, err);
    if (status == LOAM_OK) lm_tokenizer_spec_deinit(&spec);
    return status;
}

static void test_broken_ranks(void **state) {
    lm_buf b;
    lm_buf_init(&b, 1 << 16);
    lm_buf_puts(&b, ranks);
    assert_status(LOAM_UNSUPPORTED, open_one(b.ptr, b.len, &err));
    check_every_cut(open_known, &b, LOAM_INVALID, LOAM_OK);
    check_every_flip(open_known, &b);
    check_every_missing_allocation(open_known, &b);
    lm_buf_deinit(&b);
}

#define TEKKEN(config, vocab, specials) \
    "{\"config\":{" config "},\"vocab\":[" vocab "]" specials "}"
#define CONFIG                                                                                  \
    "\"pattern\":\"[^\\\\s]+|\\\\s+\",\"default_vocab_size\":8,\"default_num_special_tokens\":" \
    "4"
#define TOKEN(rank, bytes) "{\"rank\":" rank ",\"token_bytes\":\"" bytes "\",\"token_str\":null}"
#define VOCAB \
    TOKEN("0", "YQ==") "," TOKEN("1", "Yg==") "," TOKEN("2", "YWI=") "," TOKEN("9", "YmI=")

static loam_status read_json(const char *text, lm_tokenizer **out, loam_error *err) {
    lm_tokenizer_spec spec;
    LM_TRY(lm_tokenizer_read_json(lm_str_of(text), "tekken.json", &spec, err));
    return lm_tokenizer_new(&spec, out, err);
}

static void test_tekken(void **state) {
    static const char *const specials[] = {"", ",\"special_tokens\":[{\"rank\":1,\"token_str\":\"<"
                                               "s>\"},{\"rank\":2,\"token_str\":\"</s>\"}]"};
    for (size_t i = 0; i < LM_COUNT_OF(specials); i++) {
        lm_tokenizer *tokenizer = NULL;
        char *text = lm_asprintf("%.*s%s}", (int)strlen(TEKKEN(CONFIG, VOCAB, "")) - 1,
                                 TEKKEN(CONFIG, VOCAB, ""), specials[i]);
        assert_ok(read_json(text, &tokenizer, &err));
        assert_int_equal(lm_tokenizer_vocab_size(tokenizer), 7);
        assert_int_equal(lm_tokenizer_bos(tokenizer), 1);
        assert_int_equal(lm_tokenizer_eos(tokenizer), 2);
        assert_true(lm_tokenizer_adds_bos(tokenizer));
        check_ids(tokenizer, LM_STR("abb</s>"), 3, (int32_t[]){6, 5, 2});
        lm_tokenizer_free(tokenizer);
        lm_free(text);
    }
}

static void check_tekken(const char *text, const char *what) {
    lm_tokenizer *tokenizer = NULL;
    loam_error err = {0};
    assert_int_equal(read_json(text, &tokenizer, &err), LOAM_INVALID);
    assert_non_null(strstr(err.message, what));
}

static void test_hostile_tekken(void **state) {
    check_tekken(TEKKEN("\"pattern\":\"a\"", "", ""), "default_num_special_tokens");
    check_tekken(
        TEKKEN("\"pattern\":\"a\",\"default_vocab_size\":1,\"default_num_special_tokens\":2", "",
               ""),
        "2 special tokens in a vocabulary of 1");
    check_tekken(TEKKEN(CONFIG, TOKEN("-1", "YQ=="), ""), "token 0 has the rank -1");
    check_tekken(TEKKEN(CONFIG, TOKEN("0", "*"), ""), "no base64");
    check_tekken(TEKKEN(CONFIG, "7", ""), "rank");
    check_tekken(TEKKEN(CONFIG, VOCAB, ",\"special_tokens\":[{\"rank\":4,\"token_str\":\"x\"}]"),
                 "special token 'x' has the rank 4");
}

/* A folder whose tokenizer.model is tiktoken's, as with Llama 3's own release. */
static void test_folder(void **state) {
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "qwen.tiktoken");
    lm_tokenizer *tokenizer = NULL;
    assert_false(lm_tokenizer_is_in_folder(dir));
    assert_ok(lm_file_write_atomic(path, ranks, sizeof ranks - 1, &err));
    assert_true(lm_tokenizer_is_in_folder(dir));
    assert_ok(lm_tokenizer_open(dir, &tokenizer, &err));
    check_ids(tokenizer, LM_STR("<|im_end|>"), 1, (int32_t[]){151645});
    lm_tokenizer_free(tokenizer);
    lm_free(path);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiktoken),       cmocka_unit_test(test_hostile_ranks),
        cmocka_unit_test(test_broken_ranks),   cmocka_unit_test(test_tekken),
        cmocka_unit_test(test_hostile_tekken), cmocka_unit_test(test_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
