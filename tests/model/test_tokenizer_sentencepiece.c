#include "hostile.h"

#include "model/tokenizer_readers.h"

/* ------------------------------------------------------------------------------------------------- messages by hand */

static void put_varint(lm_buf *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) lm_buf_putc(out, (char)(value | 0x80));
    lm_buf_putc(out, (char)value);
}

static void put_number(lm_buf *out, uint32_t field, uint64_t value) {
    put_varint(out, field << 3);
    put_varint(out, value);
}

static void put_bytes(lm_buf *out, uint32_t field, const void *bytes, size_t len) {
    put_varint(out, field << 3 | 2);
    put_varint(out, len);
    lm_buf_append(out, bytes, len);
}

static void put_piece(lm_buf *out, const char *text, float score, int type) {
    lm_buf piece;
    lm_buf_init(&piece, 1 << 16);
    put_bytes(&piece, 1, text, strlen(text));
    put_varint(&piece, 2 << 3 | 5);
    lm_buf_append(&piece, &score, sizeof score);
    put_number(&piece, 3, (uint64_t)type);
    put_bytes(out, 1, piece.ptr, piece.len);
    lm_buf_deinit(&piece);
}

static void put_settings(lm_buf *out, int model_type, bool remove_extra) {
    lm_buf trainer, normalizer;
    lm_buf_init(&trainer, 1 << 16);
    lm_buf_init(&normalizer, 1 << 16);
    put_number(&trainer, 3, (uint64_t)model_type);
    put_number(&trainer, 35, 1);
    put_number(&trainer, 43, (uint64_t)-1);
    put_bytes(&normalizer, 1, "identity", 8);
    put_number(&normalizer, 4, remove_extra);
    put_bytes(out, 2, trainer.ptr, trainer.len);
    put_bytes(out, 3, normalizer.ptr, normalizer.len);
    lm_buf_deinit(&trainer);
    lm_buf_deinit(&normalizer);
}

static lm_buf model_of(int model_type, bool remove_extra) {
    lm_buf b;
    lm_buf_init(&b, 1 << 16);
    put_piece(&b, "<unk>", 0, 2);
    put_piece(&b, "<s>", 0, 3);
    put_piece(&b, "</s>", 0, 3);
    put_piece(&b, "\xe2\x96\x81", -3, 1);
    put_piece(&b, "a", -4, 1);
    put_piece(&b, "aa", -2, 1);
    put_piece(&b,
              "\xe2\x96\x81"
              "a",
              -1, 1);
    put_settings(&b, model_type, remove_extra);
    return b;
}

static loam_status open_one(const void *bytes, size_t size, loam_error *err) {
    lm_tokenizer_spec spec;
    loam_status status =
        lm_tokenizer_read_sentencepiece((lm_str){bytes, size}, "t.model", &spec, err);
    if (status == LOAM_OK) lm_tokenizer_spec_deinit(&spec);
    return status;
}

/* ------------------------------------------------------------------------------------------------- tests */

static void test_higher_scores_merge_first(void **state) {
    lm_buf b = model_of(2, false);
    lm_tokenizer_spec spec;
    lm_tokenizer *tokenizer = NULL;
    lm_vec_i32 ids = {0};
    assert_ok(lm_tokenizer_read_sentencepiece(lm_buf_view(&b), "t.model", &spec, &err));
    assert_ok(lm_tokenizer_new(&spec, &tokenizer, &err));
    assert_int_equal(lm_tokenizer_bos(tokenizer), 1);
    assert_int_equal(lm_tokenizer_eos(tokenizer), 2);
    assert_int_equal(lm_tokenizer_pad(tokenizer), -1);
    assert_ok(lm_tokenizer_encode(tokenizer, LM_STR("aaa"), (lm_encode_options){0}, &ids, &err));
    assert_int_equal(ids.len, 2); /* "▁a" before "aa" */
    assert_int_equal(ids.ptr[0], 6);
    assert_int_equal(ids.ptr[1], 5);
    lm_vec_deinit(&ids);
    lm_tokenizer_free(tokenizer);
    lm_buf_deinit(&b);
}

static void test_unigram_squeezes_spaces(void **state) {
    lm_buf b = model_of(1, true);
    lm_tokenizer_spec spec;
    lm_tokenizer *tokenizer = NULL;
    lm_vec_i32 ids = {0};
    assert_ok(lm_tokenizer_read_sentencepiece(lm_buf_view(&b), "t.model", &spec, &err));
    assert_ok(lm_tokenizer_new(&spec, &tokenizer, &err));
    assert_string_equal(lm_tokenizer_kind(tokenizer), "unigram");
    assert_ok(
        lm_tokenizer_encode(tokenizer, LM_STR("  aa   a "), (lm_encode_options){0}, &ids, &err));
    assert_int_equal(ids.len, 3); /* "▁a" "a" would score -5, "▁" "aa" does too, and comes first */
    assert_int_equal(ids.ptr[2], 6);
    lm_vec_deinit(&ids);
    lm_tokenizer_free(tokenizer);
    lm_buf_deinit(&b);
}

static void test_other_models_are_refused(void **state) {
    loam_error err = {0};
    lm_buf words = model_of(3, false);
    assert_int_equal(open_exactly(open_one, &words, words.len, &err), LOAM_UNSUPPORTED);
    assert_non_null(strstr(err.message, "model type 3"));
    lm_buf_deinit(&words);
}

/* A cut between two fields leaves a shorter but proper message. */
static void test_truncated_at_every_byte(void **state) {
    lm_buf b = model_of(2, false);
    check_every_cut(open_one, &b, LOAM_CORRUPT, LOAM_OK);
    lm_buf_deinit(&b);
}

static void test_any_bit_flipped(void **state) {
    lm_buf b = model_of(2, false);
    check_every_flip(open_one, &b);
    lm_buf_deinit(&b);
}

static void test_missing_memory(void **state) {
    lm_buf b = model_of(2, false);
    check_every_missing_allocation(open_one, &b);
    lm_buf_deinit(&b);
}

static void test_endless_numbers(void **state) {
    loam_error err = {0};
    lm_buf b;
    lm_buf_init(&b, 1 << 16);
    for (int i = 0; i < 40; i++) lm_buf_putc(&b, (char)0x80);
    assert_int_equal(open_exactly(open_one, &b, b.len, &err), LOAM_CORRUPT);
    lm_buf_reset(&b);
    put_varint(&b, 1 << 3 | 2);
    put_varint(&b, UINT64_MAX); /* a length beyond everything */
    assert_int_equal(open_exactly(open_one, &b, b.len, &err), LOAM_CORRUPT);
    lm_buf_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_higher_scores_merge_first),
        cmocka_unit_test(test_unigram_squeezes_spaces),
        cmocka_unit_test(test_other_models_are_refused),
        cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_any_bit_flipped),
        cmocka_unit_test(test_missing_memory),
        cmocka_unit_test(test_endless_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
