/* A tokenizer written out and read back is the same tokenizer. */
#include <unistd.h>

#include "testing.h"

#include "base/file.h"
#include "base/rng.h"
#include "model/tokenizer_spec.h"
#include "model/tokenizer_writers.h"

static lm_tokenizer_spec trained_spec(const char *pre) {
    lm_tokenizer_spec spec;
    assert_ok(lm_tokenizer_spec_init(&spec, LM_TOKENIZER_BPE, &err));
    assert_ok(lm_tokenizer_spec_add_bytes(&spec, &err));
    assert_ok(lm_tokenizer_spec_add_merged(&spec, 't', 'h', &err));
    assert_ok(lm_tokenizer_spec_add_merged(&spec, 256, 'e', &err));
    assert_ok(lm_tokenizer_spec_add_merged(&spec, ' ', 257, &err));
    assert_ok(lm_tokenizer_spec_add_merged(&spec, '\n', '\n', &err));
    assert_ok(lm_tokenizer_spec_add_token(&spec, LM_STR("<|begin|>"), LM_TOKEN_CONTROL, 0, &err));
    assert_ok(lm_tokenizer_spec_add_token(&spec, LM_STR("<|end|>"), LM_TOKEN_CONTROL, 0, &err));
    assert_ok(
        lm_tokenizer_spec_add_token(&spec, LM_STR("h\xc3\xa9"), LM_TOKEN_USER_DEFINED, 0, &err));
    assert_ok(lm_tokenizer_spec_set_pre(&spec, lm_str_of(pre), &err));
    spec.bos = 260;
    spec.add_bos = true;
    spec.chat_template = lm_tokenizer_spec_copy(&spec, LM_STR("{{ messages }}"));
    if (strcmp(pre, "gpt-2") == 0) /* some have one for tools as well */
        spec.tool_template = lm_tokenizer_spec_copy(&spec, LM_STR("{{ tools }}"));
    assert_ok(lm_tokenizer_spec_add_eos(&spec, 261, &err));
    return spec;
}

static lm_tokenizer *trained(const char *pre) {
    lm_tokenizer_spec spec = trained_spec(pre);
    lm_tokenizer *tokenizer = NULL;
    assert_ok(lm_tokenizer_new(&spec, &tokenizer, &err));
    return tokenizer;
}

static void check_same(const lm_tokenizer *a, const lm_tokenizer *b) {
    static const char *const pieces[] = {"the",       " the",  "then", "\n\n", "<|end|>",
                                         "h\xc3\xa9", "12345", "'s",   "\xff", " "};
    lm_encode_options options = {.add_bos = true, .parse_special = true};
    lm_rng rng;
    lm_buf text;
    lm_vec_i32 ids_a = {0}, ids_b = {0};
    lm_rng_init(&rng, 1);
    lm_buf_init(&text, 1 << 16);
    for (int i = 0; i < 300; i++) {
        lm_buf_reset(&text);
        ids_a.len = ids_b.len = 0;
        for (uint64_t n = lm_rng_below(&rng, 10); n > 0; n--)
            lm_buf_puts(&text, pieces[lm_rng_below(&rng, LM_COUNT_OF(pieces))]);
        assert_ok(lm_tokenizer_encode(a, lm_buf_view(&text), options, &ids_a, &err));
        assert_ok(lm_tokenizer_encode(b, lm_buf_view(&text), options, &ids_b, &err));
        assert_int_equal(ids_a.len, ids_b.len);
        assert_memory_equal(ids_a.ptr, ids_b.ptr, ids_a.len * sizeof *ids_a.ptr);
    }
    lm_vec_deinit(&ids_a);
    lm_vec_deinit(&ids_b);
    lm_buf_deinit(&text);
    assert_int_equal(lm_tokenizer_vocab_size(a), lm_tokenizer_vocab_size(b));
    assert_int_equal(lm_tokenizer_bos(a), lm_tokenizer_bos(b));
    assert_int_equal(lm_tokenizer_eos(a), lm_tokenizer_eos(b));
    assert_int_equal(lm_tokenizer_adds_bos(a), lm_tokenizer_adds_bos(b));
    assert_true(lm_str_equal(lm_tokenizer_chat_template(a), lm_tokenizer_chat_template(b)));
    assert_true(lm_str_equal(lm_tokenizer_tool_template(a), lm_tokenizer_tool_template(b)));
    for (int32_t id = 0; id < lm_tokenizer_vocab_size(a); id++) {
        assert_true(lm_str_equal(lm_tokenizer_token_text(a, id), lm_tokenizer_token_text(b, id)));
        assert_int_equal(lm_tokenizer_token_type(a, id), lm_tokenizer_token_type(b, id));
    }
}

static void test_folder(void **state) {
    static const char *const pres[] = {"gpt-2", "llama-bpe", "deepseek-llm"};
    for (size_t i = 0; i < LM_COUNT_OF(pres); i++) {
        char *dir = test_temp_dir();
        lm_tokenizer *a = trained(pres[i]), *b = NULL;
        assert_ok(lm_tokenizer_write_folder(a, dir, 512, &err));
        assert_ok(lm_tokenizer_open(dir, &b, &err));
        check_same(a, b);
        assert_string_equal(lm_tokenizer_get_spec(b)->pre_name, pres[i]);
        lm_tokenizer_free(a);
        lm_tokenizer_free(b);
        assert_ok(lm_file_remove_tree(dir, &err));
        lm_free(dir);
    }
}

static void check_gguf(const lm_tokenizer *a) {
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "t.gguf");
    lm_gguf_writer *writer = lm_gguf_writer_new();
    lm_tokenizer *b = NULL;
    assert_ok(lm_tokenizer_write_gguf(a, 0, writer, &err));
    assert_ok(lm_gguf_writer_begin(writer, path, &err));
    assert_ok(lm_gguf_writer_commit(writer, &err));
    lm_gguf_writer_free(writer);
    assert_ok(lm_tokenizer_open(path, &b, &err));
    check_same(a, b);
    lm_tokenizer_free(b);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

static void test_gguf(void **state) {
    lm_tokenizer *a = trained("qwen2");
    check_gguf(a);
    lm_tokenizer_free(a);
}

/* Words in pieces, and what stands around a text, and a pair where models judge those. */
static void check_same_texts(const lm_tokenizer *a, const lm_tokenizer *b) {
    static const char *const texts[] = {"", "The thens", "h\xc3\xa9, THEN!", "\xe4\xbd\xa0the then",
                                        "unknownword the"};
    const lm_encode_options options = {.add_special = true};
    bool judges = lm_tokenizer_get_spec(a)->after.len > 0;
    for (size_t i = 0; i < LM_COUNT_OF(texts); i++) {
        lm_vec_i32 ids_a = {0}, ids_b = {0};
        lm_str text = lm_str_of(texts[i]);
        assert_ok(lm_tokenizer_encode(a, text, options, &ids_a, &err));
        assert_ok(lm_tokenizer_encode(b, text, options, &ids_b, &err));
        if (judges) {
            size_t second_a, second_b;
            assert_ok(lm_tokenizer_encode_pair(a, text, LM_STR("the"), &ids_a, &second_a, &err));
            assert_ok(lm_tokenizer_encode_pair(b, text, LM_STR("the"), &ids_b, &second_b, &err));
            assert_int_equal(second_a, second_b);
        }
        assert_int_equal(ids_a.len, ids_b.len);
        assert_memory_equal(ids_a.ptr, ids_b.ptr, ids_a.len * sizeof *ids_a.ptr);
        lm_vec_deinit(&ids_a);
        lm_vec_deinit(&ids_b);
    }
}

/* To GGUF, from there to a folder. */
static void check_both(const lm_tokenizer *a) {
    const int32_t n = lm_tokenizer_vocab_size(a), n_rows = n + 3; /* of the embedding */
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "t.gguf");
    lm_gguf_writer *writer = lm_gguf_writer_new();
    lm_tokenizer *b = NULL, *c = NULL;
    assert_ok(lm_tokenizer_write_gguf(a, n_rows, writer, &err));
    assert_ok(lm_gguf_writer_begin(writer, path, &err));
    assert_ok(lm_gguf_writer_commit(writer, &err));
    lm_gguf_writer_free(writer);
    assert_ok(lm_tokenizer_open(path, &b, &err));
    check_same_texts(a, b);
    assert_int_equal(lm_tokenizer_vocab_size(b), n_rows);
    assert_int_equal(lm_tokenizer_token_type(b, n), LM_TOKEN_UNUSED);
    assert_ok(lm_tokenizer_write_folder(b, dir, 512, &err));
    assert_int_equal(unlink(path), 0);
    assert_ok(lm_tokenizer_open(dir, &c, &err));
    check_same_texts(a, c);
    assert_int_equal(lm_tokenizer_vocab_size(c), n);
    lm_tokenizer_free(b);
    lm_tokenizer_free(c);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

static lm_tokenizer *bert(bool lowers, bool strips) {
    static const char *const words[] = {"the",  "The", "h", "##e",         "##n",
                                        "##ns", ",",   "!", "\xe4\xbd\xa0"};
    lm_tokenizer_spec spec;
    lm_tokenizer *tokenizer = NULL;
    assert_ok(lm_tokenizer_spec_init(&spec, LM_TOKENIZER_WORDPIECE, &err));
    for (const char *const *name = (const char *const[]){"[PAD]", "[UNK]", "[CLS]", "[SEP]", NULL};
         *name; name++)
        assert_ok(lm_tokenizer_spec_add_token(&spec, lm_str_of(*name), LM_TOKEN_CONTROL, 0, &err));
    for (size_t i = 0; i < LM_COUNT_OF(words); i++)
        assert_ok(
            lm_tokenizer_spec_add_token(&spec, lm_str_of(words[i]), LM_TOKEN_NORMAL, 0, &err));
    assert_ok(lm_tokenizer_spec_normalize_bert(&spec, true, true, strips, lowers, &err));
    assert_ok(lm_tokenizer_spec_cut_bert(&spec, &err));
    spec.inner_prefix = LM_STR("##");
    spec.pad = 0;
    spec.unk = 1;
    spec.bos = 2;
    spec.add_bos = spec.add_eos = true;
    assert_true(lm_vec_push(&spec.before, 2) && lm_vec_push(&spec.after, 3));
    assert_ok(lm_tokenizer_new(&spec, &tokenizer, &err));
    return tokenizer;
}

static void test_wordpiece(void **state) {
    for (int i = 0; i < 4; i++) {
        lm_tokenizer *a = bert(i & 1, i & 2);
        check_both(a);
        lm_tokenizer_free(a);
    }
}

/* SentencePiece's, by its one step, or by the steps that tokenizer.json has for it. */
static lm_tokenizer *unigram(bool as_json, bool prefixes) {
    static const char *const pieces[] = {
        LM_SPM_SPACE "the", LM_SPM_SPACE, "the", "n", "ns", "h", "e", "T", ",", "!",
        "\xe4\xbd\xa0"};
    const lm_normalizer_step one = {.kind = LM_NORMALIZER_SENTENCEPIECE,
                                    .pattern = LM_STR(""),
                                    .prefixes = prefixes,
                                    .squeezes = true,
                                    .escapes = true};
    const lm_pretokenizer_step words = {.kind = LM_PRETOKENIZER_SPLIT,
                                        .at = LM_SPLIT_AT_SPACE,
                                        .behavior = LM_SPLIT_REMOVED},
                               spaces = {.kind = LM_PRETOKENIZER_METASPACE,
                                         .text = LM_STR(LM_SPM_SPACE),
                                         .scheme = LM_PREPEND_ALWAYS,
                                         .cuts = true};
    lm_tokenizer_spec spec;
    lm_tokenizer *tokenizer = NULL;
    assert_ok(lm_tokenizer_spec_init(&spec, LM_TOKENIZER_UNIGRAM, &err));
    assert_ok(lm_tokenizer_spec_add_token(&spec, LM_STR("<s>"), LM_TOKEN_CONTROL, 0, &err));
    assert_ok(lm_tokenizer_spec_add_token(&spec, LM_STR("</s>"), LM_TOKEN_CONTROL, 0, &err));
    assert_ok(lm_tokenizer_spec_add_token(&spec, LM_STR("<unk>"), LM_TOKEN_UNKNOWN, 0, &err));
    for (size_t i = 0; i < LM_COUNT_OF(pieces); i++)
        assert_ok(lm_tokenizer_spec_add_token(&spec, lm_str_of(pieces[i]), LM_TOKEN_NORMAL,
                                              -2 - (double)i / 4, &err));
    if (as_json) {
        assert_ok(lm_tokenizer_spec_add_pretokenizer(&spec, words, &err));
        assert_ok(lm_tokenizer_spec_add_pretokenizer(&spec, spaces, &err));
    } else {
        assert_ok(lm_tokenizer_spec_add_normalizer(&spec, one, &err));
    }
    assert_ok(lm_tokenizer_spec_decode_metaspace(&spec, prefixes, &err));
    assert_ok(lm_tokenizer_spec_add_eos(&spec, 1, &err));
    spec.unk = 2;
    spec.bos = 0;
    spec.fuse_unk = spec.add_bos = spec.add_eos = true;
    assert_true(lm_vec_push(&spec.before, 0) && lm_vec_push(&spec.after, 1) &&
                lm_vec_push(&spec.between, 1) && lm_vec_push(&spec.between, 1));
    assert_ok(lm_tokenizer_new(&spec, &tokenizer, &err));
    return tokenizer;
}

static void test_unigram(void **state) {
    for (int i = 0; i < 3; i++) {
        lm_tokenizer *a = unigram(i == 2, i > 0);
        check_both(a);
        lm_tokenizer_free(a);
    }
}

/* RoBERTa's: <s> A </s></s> B </s>. */
static void test_template(void **state) {
    lm_tokenizer_spec spec = trained_spec("gpt-2");
    lm_tokenizer *a = NULL;
    spec.add_eos = true;
    assert_true(lm_vec_push(&spec.before, 260) && lm_vec_push(&spec.after, 261) &&
                lm_vec_push(&spec.between, 261) && lm_vec_push(&spec.between, 261));
    assert_ok(lm_tokenizer_new(&spec, &a, &err));
    check_both(a);
    lm_tokenizer_free(a);
}

static void test_gguf_of_sentencepiece(void **state) {
    if (!test_data_dir()) skip();
    char *path = lm_asprintf("%s/models/stories260K/tokenizer.model", test_data_dir());
    lm_tokenizer *a = NULL;
    assert_ok(lm_tokenizer_open(path, &a, &err));
    check_gguf(a);
    lm_tokenizer_free(a);
    lm_free(path);
}

/* Published ones, on the texts that come with them: from GGUF to a folder and to GGUF again. */
static void check_published(const char *name) {
    char *path = lm_asprintf("%s/vocab/%s.gguf", test_data_dir(), name),
         *texts = lm_asprintf("%s.inp", path), *dir = test_temp_dir(), *bytes;
    lm_tokenizer *a = NULL, *b = NULL;
    lm_vec_i32 ids_a = {0}, ids_b = {0};
    const lm_encode_options options = {.add_special = true};
    size_t size;
    assert_ok(lm_file_read(texts, 1 << 20, &bytes, &size, &err));
    assert_ok(lm_tokenizer_open(path, &a, &err));
    assert_ok(lm_tokenizer_write_folder(a, dir, 512, &err));
    assert_ok(lm_tokenizer_open(dir, &b, &err));
    assert_ok(lm_tokenizer_encode(a, (lm_str){bytes, size}, options, &ids_a, &err));
    assert_ok(lm_tokenizer_encode(b, (lm_str){bytes, size}, options, &ids_b, &err));
    assert_true(ids_a.len > 100);
    assert_int_equal(ids_a.len, ids_b.len);
    assert_memory_equal(ids_a.ptr, ids_b.ptr, ids_a.len * sizeof *ids_a.ptr);
    check_both(b);
    lm_tokenizer_free(a);
    lm_tokenizer_free(b);
    lm_vec_deinit(&ids_a);
    lm_vec_deinit(&ids_b);
    assert_ok(lm_file_remove_tree(dir, &err));
    char *const all[] = {path, texts, dir, bytes};
    for (size_t i = 0; i < LM_COUNT_OF(all); i++) lm_free(all[i]);
}

static void test_published(void **state) {
    static const char *const names[] = {"bert-bge", "deepseek-llm", "gpt-2", "llama-spm", "phi-3"};
    if (!test_data_dir()) skip();
    for (size_t i = 0; i < LM_COUNT_OF(names); i++) check_published(names[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder),    cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_wordpiece), cmocka_unit_test(test_unigram),
        cmocka_unit_test(test_template),  cmocka_unit_test(test_gguf_of_sentencepiece),
        cmocka_unit_test(test_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
