#include "testing.h"

#include "base/rng.h"
#include "model/tokenizer.h"

static const char story[] = "Once upon a time, Lily's mom said";
static const int32_t story_ids[] = {1, 403, 407, 261, 378, 432, 317, 439, 419, 357, 336};

static lm_tokenizer *open_shared(const char *name) {
    char *path = lm_asprintf("%s/%s", test_data_dir(), name);
    lm_tokenizer *tokenizer = NULL;
    assert_ok(lm_tokenizer_open(path, &tokenizer, &err));
    lm_free(path);
    return tokenizer;
}

/* The same vocabulary from GGUF, tokenizer.json, tokenizer.model, and the folder. */
static void test_every_source_agrees(void **state) {
    static const char *const names[] = {"stories260K-f32.gguf", "tokenizer.json", "tokenizer.model",
                                        ""};
    if (!test_data_dir()) skip();
    for (size_t i = 0; i < LM_COUNT_OF(names); i++) {
        char name[128];
        snprintf(name, sizeof name, "models/stories260K/%s", names[i]);
        lm_tokenizer *tokenizer = open_shared(name);
        lm_vec_i32 ids = {0};
        assert_ok(lm_tokenizer_encode(tokenizer, LM_STR(story),
                                      (lm_encode_options){.add_bos = true}, &ids, &err));
        assert_int_equal(ids.len, LM_COUNT_OF(story_ids));
        assert_memory_equal(ids.ptr, story_ids, sizeof story_ids);
        assert_int_equal(lm_tokenizer_vocab_size(tokenizer), 512);
        assert_int_equal(lm_tokenizer_bos(tokenizer), 1);
        assert_true(lm_tokenizer_adds_bos(tokenizer));
        if (strcmp(names[i], "tokenizer.json") != 0) assert_true(lm_tokenizer_is_eos(tokenizer, 2));
        assert_int_equal(lm_tokenizer_find(tokenizer, LM_STR("\xe2\x96\x81Lily")), 317);
        assert_int_equal(lm_tokenizer_token_type(tokenizer, 3 + 'A'), LM_TOKEN_BYTE);
        assert_true(lm_str_is(lm_tokenizer_token_bytes(tokenizer, 3 + 'A'), "A"));
        assert_int_equal(lm_tokenizer_token_bytes(tokenizer, 1).len, 0);
        lm_vec_deinit(&ids);
        lm_tokenizer_free(tokenizer);
    }
}

/* Random characters of all lengths, spaces, and bytes that are no UTF-8. */
static void random_text(lm_rng *rng, lm_buf *out) {
    static const char *const pieces[] = {"a",
                                         "the",
                                         " ",
                                         "  ",
                                         "\n",
                                         "\t ",
                                         "'s",
                                         "\xc3\xa9",
                                         "12345",
                                         "!?",
                                         "\xf0\x9f\xa6\x99",
                                         "\xe4\xbd\xa0",
                                         "\xe2\x96\x81",
                                         "\xff",
                                         "\xe2\x96",
                                         "\xc0"};
    lm_buf_reset(out);
    for (uint64_t n = lm_rng_below(rng, 24); n > 0; n--) {
        if (lm_rng_below(rng, 6) == 0) {
            lm_buf_putc(out, (char)lm_rng_below(rng, 256));
        } else {
            lm_buf_puts(out, pieces[lm_rng_below(rng, LM_COUNT_OF(pieces))]);
        }
    }
}

static void check_stream(const lm_tokenizer *tokenizer, const lm_vec_i32 *ids, lm_str whole) {
    lm_detokenizer stream;
    lm_buf pieces;
    lm_buf_init(&pieces, 1 << 20);
    lm_detokenizer_init(&stream, tokenizer, true);
    for (size_t i = 0; i < ids->len; i++) lm_detokenizer_push(&stream, ids->ptr[i], &pieces);
    lm_detokenizer_flush(&stream, &pieces);
    assert_true(lm_str_equal(lm_buf_view(&pieces), whole));
    lm_buf_deinit(&pieces);
}

/* SentencePiece spells a space and U+2581 alike, so that character is the one thing it cannot give back. */
static void spell_as_spm(lm_buf *text) {
    for (char *at; text->ptr && (at = strstr(text->ptr, "\xe2\x96\x81")) != NULL;) {
        *at = ' ';
        memmove(at + 1, at + 3, (size_t)(text->ptr + text->len - at) - 2);
        text->len -= 2;
    }
}

static void check_round_trip(const char *name, bool is_spm) {
    if (!test_data_dir()) skip();
    lm_tokenizer *tokenizer = open_shared(name);
    lm_rng rng;
    lm_buf text, back;
    lm_vec_i32 ids = {0};
    lm_rng_init(&rng, 7);
    lm_buf_init(&text, 1 << 20);
    lm_buf_init(&back, 1 << 20);
    for (int i = 0; i < 3000; i++) {
        random_text(&rng, &text);
        if (is_spm) {
            while (text.len && memchr(text.ptr, '\0', text.len))
                *(char *)memchr(text.ptr, '\0', text.len) = '0';
            spell_as_spm(&text);
        }
        ids.len = 0;
        lm_buf_reset(&back);
        assert_ok(
            lm_tokenizer_encode(tokenizer, lm_buf_view(&text), (lm_encode_options){0}, &ids, &err));
        assert_ok(lm_tokenizer_decode(tokenizer, ids.ptr, ids.len, &back, &err));
        if (!lm_str_equal(lm_buf_view(&back), lm_buf_view(&text)))
            fail_msg("round %d: '%s' came back as '%s'", i, lm_buf_cstr(&text), lm_buf_cstr(&back));
        check_stream(tokenizer, &ids, lm_buf_view(&back));
    }
    lm_vec_deinit(&ids);
    lm_buf_deinit(&text);
    lm_buf_deinit(&back);
    lm_tokenizer_free(tokenizer);
}

static void test_byte_level_round_trip(void **state) {
    check_round_trip("vocab/gpt-2.gguf", false);
}

static void test_spm_round_trip(void **state) {
    check_round_trip("models/stories260K/tokenizer.json", true);
}

static void test_stream_holds_half_characters(void **state) {
    if (!test_data_dir()) skip();
    lm_tokenizer *tokenizer = open_shared("models/stories260K");
    lm_detokenizer stream;
    lm_buf out;
    lm_buf_init(&out, 100);
    lm_detokenizer_init(&stream, tokenizer, false);
    lm_detokenizer_push(&stream, 3 + 0xc3, &out);
    assert_int_equal(out.len, 0);
    lm_detokenizer_push(&stream, 3 + 0xa9, &out);
    assert_string_equal(lm_buf_cstr(&out), "\xc3\xa9");
    lm_detokenizer_push(&stream, 3 + 0xe2, &out);
    lm_detokenizer_push(&stream, 3 + 'A', &out); /* the character never comes */
    assert_string_equal(lm_buf_cstr(&out), "\xc3\xa9\xe2"
                                           "A");
    lm_detokenizer_push(&stream, 3 + 0xf0, &out);
    lm_detokenizer_push(&stream, 3 + 0x9f, &out);
    assert_int_equal(out.len, 4);
    lm_detokenizer_flush(&stream, &out);
    assert_string_equal(lm_buf_cstr(&out), "\xc3\xa9\xe2"
                                           "A\xf0\x9f");
    lm_buf_deinit(&out);
    lm_tokenizer_free(tokenizer);
}

static void test_special_tokens_only_when_asked(void **state) {
    if (!test_data_dir()) skip();
    lm_tokenizer *tokenizer = open_shared("vocab/gpt-2.gguf");
    lm_vec_i32 ids = {0};
    lm_str text = LM_STR("a<|endoftext|>b");
    assert_ok(lm_tokenizer_encode(tokenizer, text, (lm_encode_options){0}, &ids, &err));
    for (size_t i = 0; i < ids.len; i++) assert_int_not_equal(ids.ptr[i], 50256);
    ids.len = 0;
    assert_ok(lm_tokenizer_encode(tokenizer, text, (lm_encode_options){.parse_special = true}, &ids,
                                  &err));
    assert_int_equal(ids.len, 3);
    assert_int_equal(ids.ptr[1], 50256);
    lm_vec_deinit(&ids);
    lm_tokenizer_free(tokenizer);
}

/* A megabyte of one letter must not take quadratic time. */
static void test_megabyte_of_one_letter(void **state) {
    static const char *const names[] = {"vocab/gpt-2.gguf", "vocab/llama-spm.gguf",
                                        "models/stories260K"};
    static const char letters[] = {'a', ' ', '\n', '\xff', '<'};
    enum { N = 1 << 20 };
    if (!test_data_dir()) skip();
    char *text = lm_alloc(N);
    for (size_t i = 0; i < LM_COUNT_OF(names); i++) {
        lm_tokenizer *tokenizer = open_shared(names[i]);
        for (size_t k = 0; k < sizeof letters; k++) {
            lm_vec_i32 ids = {0};
            memset(text, letters[k], N);
            lm_encode_options options = {.parse_special = true};
            assert_ok(lm_tokenizer_encode(tokenizer, (lm_str){text, N}, options, &ids, &err));
            assert_true(ids.len > 1000);
            lm_vec_deinit(&ids);
        }
        lm_tokenizer_free(tokenizer);
    }
    lm_free(text);
}

static void test_missing_memory_is_reported(void **state) {
    if (!test_data_dir()) skip();
    lm_tokenizer *tokenizer = open_shared("models/stories260K");
    lm_vec_i32 ids = {0};
    uint64_t n_failed = 0;
    for (uint64_t n = 1; n < 100; n++) {
        lm_vec_deinit(&ids);
        lm_mem_fail_after(n);
        loam_error err = {0};
        loam_status status =
            lm_tokenizer_encode(tokenizer, LM_STR(story), (lm_encode_options){0}, &ids, &err);
        lm_mem_fail_after(0);
        if (status == LOAM_OK) break;
        assert_int_equal(status, LOAM_NO_MEMORY);
        assert_int_equal(ids.len, 0);
        n_failed++;
    }
    assert_true(n_failed > 2 && n_failed < 90);
    lm_vec_deinit(&ids);
    lm_tokenizer_free(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_source_agrees),
        cmocka_unit_test(test_byte_level_round_trip),
        cmocka_unit_test(test_spm_round_trip),
        cmocka_unit_test(test_stream_holds_half_characters),
        cmocka_unit_test(test_special_tokens_only_when_asked),
        cmocka_unit_test(test_megabyte_of_one_letter),
        cmocka_unit_test(test_missing_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
