#include "hostile.h"

#include "base/clock.h"
#include "model/tokenizer_readers.h"

#define BYTE_LEVEL \
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"
#define SPM_NORMALIZER                                                                          \
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":" \
    "\"\xe2\x96\x81\"},"                                                                        \
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}]}"
#define BPE_MODEL(vocab, merges) \
    "\"model\":{\"type\":\"BPE\",\"vocab\":" vocab ",\"merges\":" merges "}"
#define SMALL_VOCAB                                       \
    "{\"a\":0,\"b\":1,\"ab\":2,\"\xc4\xa0\":3,\"\xc4\xa0" \
    "ab\":4}"
#define SMALL_MERGES "[\"a b\",[\"\xc4\xa0\",\"ab\"]]"

static lm_tokenizer *open_text(const char *text) {
    lm_tokenizer_spec spec;
    lm_tokenizer *tokenizer = NULL;
    assert_ok(lm_tokenizer_read_json(lm_str_of(text), "t.json", &spec, &err));
    assert_ok(lm_tokenizer_new(&spec, &tokenizer, &err));
    return tokenizer;
}

static void check_ids(const lm_tokenizer *tokenizer, const char *text, lm_encode_options options,
                      size_t n, const int32_t *want) {
    lm_vec_i32 ids = {0};
    assert_ok(lm_tokenizer_encode(tokenizer, lm_str_of(text), options, &ids, &err));
    assert_int_equal(ids.len, n);
    for (size_t i = 0; i < n; i++) assert_int_equal(ids.ptr[i], want[i]);
    lm_vec_deinit(&ids);
}

static void check_refused(const char *text, loam_status want, const char *what) {
    lm_tokenizer_spec spec;
    loam_error err = {0};
    loam_status status = lm_tokenizer_read_json(lm_str_of(text), "t.json", &spec, &err);
    if (status == LOAM_OK) lm_tokenizer_spec_deinit(&spec);
    if (status != want || !strstr(err.message, what))
        fail_msg("%s: got '%s' (%s), wanted '%s' with '%s'", text, loam_status_name(status),
                 err.message, loam_status_name(want), what);
}

static void test_byte_level(void **state) {
    lm_tokenizer *tokenizer = open_text(
        "{\"added_tokens\":[{\"id\":5,\"content\":\"<s>\",\"special\":true},"
        "{\"id\":6,\"content\":\"<mask>\",\"special\":true,\"lstrip\":true,\"rstrip\":true},"
        "{\"id\":9,\"content\":\"abab\",\"special\":false}]," BYTE_LEVEL ","
        "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
        "\"<s>\","
        "\"type_id\":0}},"
        "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}]}," BPE_MODEL(SMALL_VOCAB, SMALL_MERGES) "}");
    lm_encode_options plain = {0}, special = {.parse_special = true}, bos = {.add_bos = true};
    assert_string_equal(lm_tokenizer_kind(tokenizer), "bpe");
    assert_int_equal(lm_tokenizer_vocab_size(tokenizer), 10); /* ids 7 and 8 are holes */
    assert_int_equal(lm_tokenizer_token_type(tokenizer, 8), LM_TOKEN_UNUSED);
    assert_int_equal(lm_tokenizer_bos(tokenizer), 5);
    assert_true(lm_tokenizer_adds_bos(tokenizer));
    check_ids(tokenizer, "ab ab", plain, 2, (int32_t[]){2, 4});
    check_ids(tokenizer, "ab", bos, 2, (int32_t[]){5, 2});
    check_ids(tokenizer, "abab ab", plain, 2,
              (int32_t[]){9, 4}); /* an added token goes before everything */
    check_ids(tokenizer, "a <mask>  b", special, 3, (int32_t[]){0, 6, 1});
    lm_tokenizer_free(tokenizer);
}

static void test_sentencepiece_spellings(void **state) {
    static const char *const prefixes[] = {
        SPM_NORMALIZER,
        "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_"
        "scheme\":\"first\","
        "\"split\":false}",
    };
    for (size_t i = 0; i < LM_COUNT_OF(prefixes); i++) {
        char *text = lm_asprintf(
            "{%s,\"model\":{\"byte_fallback\":true,\"fuse_unk\":true,\"unk_token\":\"<unk>\","
            "\"vocab\":{\"<unk>\":0,\"<0xC3>\":1,"
            "\"<0xA9>\":2,\"\xe2\x96\x81\":3,\"a\":4,\"\xe2\x96\x81"
            "a\":5},\"merges\":[\"\xe2\x96\x81 a\"]}}",
            prefixes[i]);
        lm_tokenizer *tokenizer = open_text(text);
        assert_string_equal(lm_tokenizer_kind(tokenizer), "spm");
        check_ids(tokenizer, "a\xc3\xa9 a", (lm_encode_options){0}, 4, (int32_t[]){5, 1, 2, 5});
        check_ids(tokenizer, "zz", (lm_encode_options){0}, 2,
                  (int32_t[]){3, 0}); /* one unk for both */
        lm_tokenizer_free(tokenizer);
        lm_free(text);
    }
}

static void test_what_would_be_ignored_is_refused(void **state) {
#define WITH(stage) "{" stage "," BPE_MODEL(SMALL_VOCAB, SMALL_MERGES) "}"
    check_refused(WITH("\"normalizer\":{\"type\":\"Rot13\"}"), LOAM_UNSUPPORTED,
                  "normalizer: unknown step 'Rot13'");
    check_refused(WITH("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
                       "\"Syllables\"}]}"),
                  LOAM_UNSUPPORTED, "pre_tokenizer: unknown step 'Syllables'");
    check_refused(WITH("\"decoder\":{\"type\":\"Rot13\"}"), LOAM_UNSUPPORTED,
                  "decoder: unknown step 'Rot13'");
    check_refused(WITH("\"post_processor\":{\"type\":\"Rot13\"}"), LOAM_UNSUPPORTED,
                  "post_processor: unknown step 'Rot13'");
    check_refused(WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},"
                       "\"behavior\":\"Lost\"}"),
                  LOAM_UNSUPPORTED, "behavior 'Lost'");
    check_refused(WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"last\"}"),
                  LOAM_UNSUPPORTED, "prepend scheme 'last'");
    check_refused("{\"model\":{\"type\":\"Characters\"}}", LOAM_UNSUPPORTED, "'Characters'");
}

static void check_decoded(const lm_tokenizer *tokenizer, size_t n, const int32_t *ids,
                          const char *want) {
    lm_buf out;
    lm_buf_init(&out, 1 << 16);
    assert_ok(lm_tokenizer_decode(tokenizer, ids, n, &out, &err));
    assert_string_equal(lm_buf_cstr(&out), want);
    lm_buf_deinit(&out);
}

static void check_pair(const lm_tokenizer *tokenizer, const char *first, const char *second,
                       size_t n, const int32_t *want, size_t want_begin) {
    lm_vec_i32 ids = {0};
    size_t begin = 0;
    assert_ok(lm_tokenizer_encode_pair(tokenizer, lm_str_of(first), lm_str_of(second), &ids, &begin,
                                       &err));
    assert_int_equal(ids.len, n);
    assert_memory_equal(ids.ptr, want, n * sizeof *want);
    assert_int_equal(begin, want_begin);
    lm_vec_deinit(&ids);
}

/* What stands between two texts: the template's, RoBERTa's two separators, else what stands behind one. */
static void test_pairs(void **state) {
    static const struct {
        const char *processor;
        size_t n;
        int32_t ids[8];
        size_t begin;
    } rows[] = {
        {"{\"type\":\"RobertaProcessing\",\"sep\":[\"</s>\",2],\"cls\":[\"<s>\",1]}",
         6,
         {1, 3, 2, 2, 4, 2},
         4},
        {"{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},"
         "{\"Sequence\":{\"id\":\"A\"}}],\"pair\":[{\"SpecialToken\":{\"id\":\"<s>\"}},"
         "{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"</s>\"}},"
         "{\"Sequence\":{\"id\":\"B\"}},{\"SpecialToken\":{\"id\":\"</s>\"}}]}",
         4,
         {1, 3, 2, 4},
         3},
        {"{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}},"
         "{\"SpecialToken\":{\"id\":\"</s>\"}}]}",
         4,
         {3, 2, 4, 2},
         2},
    };
    for (size_t i = 0; i < LM_COUNT_OF(rows); i++) {
        char *json = lm_asprintf("{\"post_processor\":%s,\"model\":{\"type\":\"WordLevel\","
                                 "\"unk_token\":\"?\",\"vocab\":{\"?\":0,\"<s>\":1,\"</s>\":2,"
                                 "\"a\":3,\"b\":4}}}",
                                 rows[i].processor);
        lm_tokenizer *tokenizer = open_text(json);
        check_pair(tokenizer, "a", "b", rows[i].n, rows[i].ids, rows[i].begin);
        lm_tokenizer_free(tokenizer);
        lm_free(json);
    }
}

static void test_wordpiece(void **state) {
    lm_tokenizer *tokenizer = open_text(
        "{\"normalizer\":{\"type\":\"BertNormalizer\"},\"pre_tokenizer\":{\"type\":"
        "\"BertPreTokenizer\"},\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\","
        "2],"
        "\"cls\":[\"[CLS]\",1]},\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":"
        "true},\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","
        "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":6,\"vocab\":{\"[UNK]\":"
        "0,"
        "\"[CLS]\":1,\"[SEP]\":2,\"un\":3,\"##do\":4,\"##ing\":5,\"e\":6,\".\":7,\"a\":8}}}");
    assert_string_equal(lm_tokenizer_kind(tokenizer), "wordpiece");
    check_ids(tokenizer, "Undo\xc3\x89.", (lm_encode_options){.add_special = true}, 4,
              (int32_t[]){1, 0, 7, 2});
    check_ids(tokenizer, "UNdo \xc3\x89", (lm_encode_options){.add_bos = true}, 4,
              (int32_t[]){1, 3, 4, 6});
    check_pair(tokenizer, "undo", ".", 6, (int32_t[]){1, 3, 4, 2, 7, 2}, 4);
    check_ids(tokenizer, "undoing", (lm_encode_options){0}, 1, (int32_t[]){0}); /* too long */
    check_ids(tokenizer, "a\xff", (lm_encode_options){0}, 1, (int32_t[]){8});   /* U+FFFD goes */
    check_decoded(tokenizer, 4, (int32_t[]){3, 4, 6, 7}, "undo e.");
    lm_tokenizer_free(tokenizer);
}

static void test_unigram(void **state) {
    lm_tokenizer *tokenizer = open_text(
        "{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"always\"},\"decoder\":{"
        "\"type\":\"Metaspace\",\"prepend_scheme\":\"always\"},\"model\":{\"type\":\"Unigram\","
        "\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"\xe2\x96\x81\",-2],[\"a\",-3],[\"b\",-3],"
        "[\"ab\",-5],[\"\xe2\x96\x81"
        "a\",-6]]}}");
    assert_string_equal(lm_tokenizer_kind(tokenizer), "unigram");
    check_ids(tokenizer, "ab", (lm_encode_options){0}, 2, (int32_t[]){1, 4});
    check_ids(tokenizer, "a zz", (lm_encode_options){0}, 4, (int32_t[]){1, 2, 1, 0});
    check_decoded(tokenizer, 4, (int32_t[]){1, 4, 1, 2}, "ab a");
    lm_tokenizer_free(tokenizer);
}

static void test_word_level(void **state) {
    lm_tokenizer *tokenizer =
        open_text("{\"pre_tokenizer\":{\"type\":\"Whitespace\"},\"model\":{\"type\":\"WordLevel\","
                  "\"unk_token\":\"?\",\"vocab\":{\"?\":0,\"one\":1,\"two\":2,\",\":3}}}");
    check_ids(tokenizer, "one, two three", (lm_encode_options){0}, 4, (int32_t[]){1, 3, 2, 0});
    check_decoded(tokenizer, 3, (int32_t[]){1, 3, 2}, "one , two");
    lm_tokenizer_free(tokenizer);
}

/* Characters with what is written around them inside and at the end of words. */
static void test_affixes(void **state) {
    lm_tokenizer *tokenizer = open_text(
        "{\"pre_tokenizer\":{\"type\":\"Whitespace\"},\"decoder\":{\"type\":\"BPEDecoder\","
        "\"suffix\":\"</w>\"},\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</"
        "w>\",\"vocab\":{"
        "\"a\":0,\"b\":1,\"a</w>\":2,\"b</w>\":3,\"ab</w>\":4},\"merges\":[\"a b</w>\"]}}");
    check_ids(tokenizer, "ab ba", (lm_encode_options){0}, 3, (int32_t[]){4, 1, 2});
    check_decoded(tokenizer, 3, (int32_t[]){4, 1, 2}, "ab ba");
    lm_tokenizer_free(tokenizer);
}

/* single_word, white space of all kinds, and tokens that are looked for in normalized text. */
static void test_added_tokens(void **state) {
    lm_tokenizer *tokenizer = open_text(
        "{\"normalizer\":{\"type\":\"Lowercase\"},\"added_tokens\":["
        "{\"id\":5,\"content\":\"ba\",\"single_word\":true,\"normalized\":false},"
        "{\"id\":6,\"content\":\"<M>\",\"lstrip\":true,\"rstrip\":true,\"normalized\":false},"
        "{\"id\":7,\"content\":\"BB\",\"normalized\":true}]," BYTE_LEVEL
        "," BPE_MODEL(SMALL_VOCAB, SMALL_MERGES) "}");
    check_ids(tokenizer, "ba", (lm_encode_options){0}, 1, (int32_t[]){5});
    check_ids(tokenizer, "aba", (lm_encode_options){0}, 2, (int32_t[]){2, 0});
    check_ids(tokenizer,
              "a\xe3\x80\x80<M>\xc2\xa0"
              "b",
              (lm_encode_options){0}, 3, (int32_t[]){0, 6, 1});
    check_ids(tokenizer, "abb", (lm_encode_options){0}, 2, (int32_t[]){0, 7});
    check_ids(tokenizer, "aBB", (lm_encode_options){0}, 2, (int32_t[]){0, 7});
    lm_tokenizer_free(tokenizer);
}

static void test_hostile_documents(void **state) {
#define MODEL(vocab, merges) "{" BYTE_LEVEL "," BPE_MODEL(vocab, merges) "}"
    check_refused("", LOAM_INVALID, "not valid JSON");
    check_refused("[]", LOAM_INVALID, "'model' must be an object");
    check_refused("{\"model\":[]}", LOAM_INVALID, "'model' must be an object");
    check_refused(MODEL("[]", "[]"), LOAM_INVALID, "'model.vocab' must be an object");
    check_refused(MODEL("{}", "{}"), LOAM_INVALID, "'model.merges' must be an array");
    check_refused(MODEL("{\"a\":-1}", "[]"), LOAM_INVALID, "token 'a' of 1 has the id -1");
    check_refused(MODEL("{\"a\":2147483647}", "[]"), LOAM_INVALID, "has the id 2147483647");
    check_refused(MODEL("{\"a\":1e9}", "[]"), LOAM_INVALID, "has the id -1");
    check_refused(MODEL("{\"a\":0,\"b\":1}", "[\"a b\"]"), LOAM_INVALID, "merge 0 of 'a' and 'b'");
    check_refused(MODEL("{\"a\":0}", "[\"a\"]"), LOAM_INVALID, "merge 0 'a' is not two tokens");
    check_refused(MODEL("{\"a\":0}", "[[\"a\"]]"), LOAM_INVALID, "merge 0 is no pair");
    check_refused(MODEL("{\"a\":0}", "[7]"), LOAM_INVALID, "merge 0 is no pair");
    check_refused("{" BYTE_LEVEL ",\"added_tokens\":7," BPE_MODEL("{}", "[]") "}", LOAM_INVALID,
                  "'added_tokens'");
    check_refused("{" BYTE_LEVEL ",\"added_tokens\":[7]," BPE_MODEL("{}", "[]") "}", LOAM_INVALID,
                  "added token 0");
    check_refused("{\"normalizer\":7," BPE_MODEL("{}", "[]") "}", LOAM_INVALID,
                  "a step is no object");
    check_refused("{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{"
                  "\"SpecialToken\":{\"id\":\"<s>\"}}]}," BPE_MODEL("{\"a\":0}", "[]") "}",
                  LOAM_INVALID, "post_processor: token -1");
    check_refused("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", LOAM_INVALID,
                  "entry 0 is no pair");
    check_refused("{\"model\":{\"type\":\"Unigram\",\"unk_id\":7,\"vocab\":[[\"a\",1]]}}",
                  LOAM_INVALID, "'model.unk_id' is 7");
    check_refused(
        "{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"*\"}," BPE_MODEL(
            "{}", "[]") "}",
        LOAM_INVALID, "no base64");
}

static void test_deep_nesting(void **state) {
    enum { DEPTH = 200000 };
    char *text = lm_alloc(DEPTH + 1);
    memset(text, '[', DEPTH);
    text[DEPTH] = '\0';
    check_refused(text, LOAM_INVALID, "not valid JSON");
    lm_free(text);
}

static loam_status open_one(const void *bytes, size_t size, loam_error *err) {
    lm_tokenizer_spec spec;
    lm_tokenizer *tokenizer = NULL;
    LM_TRY(lm_tokenizer_read_json((lm_str){bytes, size}, "t.json", &spec, err));
    LM_TRY(lm_tokenizer_new(&spec, &tokenizer, err));
    lm_tokenizer_free(tokenizer);
    return LOAM_OK;
}

static void test_missing_memory(void **state) {
    static const char *const texts[] = {
        "{" BYTE_LEVEL "," BPE_MODEL(SMALL_VOCAB, SMALL_MERGES) "}",
        "{" SPM_NORMALIZER "," BPE_MODEL("{\"a\":0}", "[]") "}",
    };
    for (size_t i = 0; i < LM_COUNT_OF(texts); i++) {
        lm_buf b;
        lm_buf_init(&b, 1 << 16);
        lm_buf_puts(&b, texts[i]);
        check_every_missing_allocation(open_one, &b);
        lm_buf_deinit(&b);
    }
}

/* A pattern that backtracks without end is stopped, and one that does not compile refused. */
static void test_hostile_patterns(void **state) {
#define SPLIT(regex)                                                                            \
    "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","         \
    "\"pattern\":{\"Regex\":\"" regex                                                           \
    "\"},\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\",\"use_regex\":false}]}," BPE_MODEL( \
        SMALL_VOCAB, "[]") "}"
    lm_tokenizer_spec spec;
    lm_tokenizer *tokenizer = NULL;
    assert_ok(lm_tokenizer_read_json(lm_str_of(SPLIT("(")), "t.json", &spec, &err));
    assert_status(LOAM_INVALID, lm_tokenizer_new(&spec, &tokenizer, &err));
    tokenizer = open_text(SPLIT("(a|aa)+$"));
    lm_vec_i32 ids = {0};
    char text[64];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 'b';
    assert_status(LOAM_LIMIT, lm_tokenizer_encode(tokenizer, (lm_str){text, sizeof text},
                                                  (lm_encode_options){0}, &ids, &err));
    assert_int_equal(ids.len, 0);
    lm_vec_deinit(&ids);
    lm_tokenizer_free(tokenizer);
    tokenizer = open_text(SPLIT("a\\\\K|b*")); /* matches of nothing cut nothing */
    check_ids(tokenizer, "ab", (lm_encode_options){0}, 2, (int32_t[]){0, 1});
    lm_tokenizer_free(tokenizer);
}

/* Texts that take forever where anything looks at all of a run again and again. */
static void fill(char *text, size_t size, const char *unit) {
    size_t n = strlen(unit);
    for (size_t i = 0; i < size; i++) text[i] = i / n * n + n <= size ? unit[i % n] : ' ';
}

/* A megabyte of any of these takes every kind of tokenizer far below a second; what is quadratic takes hours. */
static void test_time_is_linear(void **state) {
    enum { SIZE = 1 << 20, LIMIT_S = 20 };
#define NORMALIZED(kind) "\"normalizer\":{\"type\":\"" kind "\"},"
#define WORDS "\"pre_tokenizer\":{\"type\":\"Whitespace\"},"
#define PIECES                                                                                    \
    "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",-9],[\"a\",-1],[\"aa\",-" \
    "1.5],"                                                                                       \
    "[\"aaa\",-1.7],[\"1\",-2],[\" \",-2],[\"\xcc\x81\",-3]]}"
    static const char *const tokenizers[] = {
        "{" BYTE_LEVEL "," BPE_MODEL(SMALL_VOCAB, SMALL_MERGES) "}",
        "{" SPM_NORMALIZER
        "," BPE_MODEL("{\"a\":0,\"aa\":1,\"aaaa\":2}", "[\"a a\",\"aa aa\"]") "}",
        "{" NORMALIZED("NFC") PIECES "}",
        "{" NORMALIZED("NFKD") WORDS PIECES "}",
        "{" NORMALIZED("NFKC") WORDS
        "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"?\",\"max_input_chars_per_word\":"
        "2000000,\"vocab\":{\"?\":0,\"a\":1,\"##a\":2,\"##aaa\":3}}}",
        "{" NORMALIZED("StripAccents") WORDS "\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0,"
                                             "\"?\":1},\"unk_token\":\"?\"}}",
    };
    static const char *const units[] = {
        "a", "1", " ", "\n", "aaab", "\xf0\x9f\x91\xa9\xe2\x80\x8d", "\xcc\x81\xcc\x96", "\xff"};
    char *text = lm_alloc(SIZE);
    for (size_t t = 0; t < LM_COUNT_OF(tokenizers); t++) {
        lm_tokenizer *tokenizer = open_text(tokenizers[t]);
        for (size_t u = 0; u < LM_COUNT_OF(units); u++) {
            lm_vec_i32 ids = {0};
            fill(text, SIZE, units[u]);
            int64_t start_ns = lm_clock_mono_ns();
            assert_ok(lm_tokenizer_encode(tokenizer, (lm_str){text, SIZE}, (lm_encode_options){0},
                                          &ids, &err));
            if (lm_clock_mono_ns() - start_ns > LIMIT_S * INT64_C(1000000000))
                fail_msg("tokenizer %zu took over %d s for '%s' again and again", t, LIMIT_S,
                         units[u]);
            lm_vec_deinit(&ids);
        }
        lm_tokenizer_free(tokenizer);
    }
    lm_free(text);
}

/* Marks in a wrong order come into the canonical one, those of a class keeping theirs, before anything is composed. */
static void test_marks_are_ordered(void **state) {
    lm_tokenizer *tokenizer = open_text(
        "{\"normalizer\":{\"type\":\"NFC\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"\u1ea1\":0,"
        "\"\u0301\":1,\"\u0300\":2,\"a\":3,\"\u0323\":4},\"merges\":[]}}");
    /* a, acute (230), grave (230), dot below (220): the dot goes first and becomes one with the letter */
    check_ids(tokenizer, "a\xcc\x81\xcc\x80\xcc\xa3", (lm_encode_options){0}, 3,
              (int32_t[]){0, 1, 2});
    lm_tokenizer_free(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_level),
        cmocka_unit_test(test_sentencepiece_spellings),
        cmocka_unit_test(test_what_would_be_ignored_is_refused),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_wordpiece),
        cmocka_unit_test(test_unigram),
        cmocka_unit_test(test_word_level),
        cmocka_unit_test(test_affixes),
        cmocka_unit_test(test_added_tokens),
        cmocka_unit_test(test_hostile_documents),
        cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_missing_memory),
        cmocka_unit_test(test_hostile_patterns),
        cmocka_unit_test(test_time_is_linear),
        cmocka_unit_test(test_marks_are_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
