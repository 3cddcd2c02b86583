#include "testing.h"

#include "train/dataset.h"
#include "train/texts.h"
#include "train/vocab.h"

static const char story_text[] =
    "the cat sat on the mat\n\nthe dog sat on the log\n\n\n\nthe end of a much longer tale, the "
    "tale of the cat and the dog on the mat and on the log\n\nthe hen";

static char *dir, *path;
static lm_tokenizer *tokenizer;
static lm_dataset dataset;

static loam_status open_dataset(const char *text, const char *separator, loam_error *err) {
    return lm_dataset_open(path, lm_str_of(text), lm_str_of(separator), tokenizer, &dataset, err);
}

static int set_up(void **state) {
    dir = test_temp_dir();
    path = lm_path_join(dir, "x.tokens");
    lm_vocab_options options = {
        .text = lm_str_of(story_text), .separator = LM_STR("\n\n"), .vocab_size = 280};
    assert_ok(lm_vocab_make(&options, &tokenizer, &err));
    assert_ok(open_dataset(story_text, "\n\n", &err));
    return 0;
}

static int tear_down(void **state) {
    lm_dataset_close(&dataset);
    lm_tokenizer_free(tokenizer);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
    return 0;
}

static void test_vocabulary(void **state) {
    assert_int_equal(lm_tokenizer_vocab_size(tokenizer), 280);
    assert_int_equal(lm_tokenizer_bos(tokenizer), 278);
    assert_int_equal(lm_tokenizer_eos(tokenizer), 279);
    assert_true(lm_tokenizer_adds_bos(tokenizer));
    assert_true(lm_str_is(lm_tokenizer_token_bytes(tokenizer, 256), "th") ||
                lm_str_is(lm_tokenizer_token_bytes(tokenizer, 256), "he"));
    assert_true(lm_tokenizer_find(tokenizer, LM_STR("\xc4\xa0the")) >
                256); /* " the" as GPT-2 spells it */
    char bytes[256], *back;
    for (int i = 0; i < 256; i++) bytes[i] = (char)i;
    lm_vec_i32 ids = {0};
    lm_buf text;
    lm_buf_init(&text, 10000);
    assert_ok(
        lm_tokenizer_encode(tokenizer, (lm_str){bytes, 256}, (lm_encode_options){0}, &ids, &err));
    assert_ok(lm_tokenizer_decode(tokenizer, ids.ptr, ids.len, &text, &err));
    back = text.ptr;
    assert_int_equal(text.len, 256);
    assert_memory_equal(back, bytes, 256);
    lm_vec_deinit(&ids);
    lm_buf_deinit(&text);
}

static void test_bytes_vocabulary(void **state) {
    lm_tokenizer *bytes = NULL;
    lm_vocab_options options = {.text = LM_STR("hello hello"), .vocab_size = 258};
    assert_ok(lm_vocab_make(&options, &bytes, &err));
    lm_vec_i32 ids = {0};
    assert_ok(lm_tokenizer_encode(bytes, LM_STR("h\xc3\xa9!"), (lm_encode_options){0}, &ids, &err));
    assert_int_equal(ids.len, 4);
    assert_int_equal(ids.ptr[1], 0xc3);
    assert_false(lm_tokenizer_adds_bos(bytes));
    lm_vec_deinit(&ids);
    lm_tokenizer_free(bytes);
}

static void test_documents_are_framed_and_cached(void **state) {
    assert_int_equal(dataset.n_documents, 4);
    lm_buf text;
    lm_buf_init(&text, 10000);
    for (int64_t d = 0; d < 4; d++) {
        int64_t end = d < 3 ? dataset.starts[d + 1] : dataset.n_tokens;
        assert_int_equal(dataset.tokens[dataset.starts[d]], lm_tokenizer_bos(tokenizer));
        assert_int_equal(dataset.tokens[end - 1], lm_tokenizer_eos(tokenizer));
    }
    assert_ok(
        lm_tokenizer_decode(tokenizer, dataset.tokens, (size_t)dataset.starts[1], &text, &err));
    assert_string_equal(lm_buf_cstr(&text), "the cat sat on the mat");
    lm_buf_deinit(&text);
    char *before;
    size_t size, again_size;
    assert_ok(lm_file_read(path, 1 << 20, &before, &size, &err));
    lm_dataset_close(&dataset);
    assert_int_equal(truncate(path, (off_t)size - 3), 0); /* damaged: made anew */
    assert_ok(open_dataset(story_text, "\n\n", &err));
    assert_ok(lm_file_size(path, &again_size, &err));
    assert_int_equal(size, again_size);
    assert_memory_equal(before, dataset.map.ptr, size);
    lm_dataset_close(&dataset);
    FILE *file = fopen(path, "r+b");
    fseek(file, 64 + 10, SEEK_SET);
    fputc(0x7f, file); /* an id that no vocabulary has */
    fclose(file);
    assert_ok(open_dataset(story_text, "\n\n", &err));
    assert_memory_equal(before, dataset.map.ptr, size);
    lm_dataset_close(&dataset);
    assert_ok(open_dataset("another text", "\n\n", &err));
    assert_int_equal(dataset.n_documents, 1);
    lm_free(before);
}

static void test_samples_are_a_function_of_seed_and_number(void **state) {
    enum { LEN = 12 };
    int32_t a[2 * LEN], b[2 * LEN];
    int n_at_start = 0, n_different = 0;
    for (int64_t n = 0; n < 200; n++) {
        lm_dataset_sample(&dataset, 3, n, LEN, a, a + LEN);
        lm_dataset_sample(&dataset, 3, n, LEN, b, b + LEN);
        assert_memory_equal(a, b, sizeof a);
        assert_memory_equal(a + 1, a + LEN, (LEN - 1) * sizeof *a);
        n_at_start += a[0] == dataset.bos;
        lm_dataset_sample(&dataset, 4, n, LEN, b, b + LEN);
        n_different += memcmp(a, b, sizeof a) != 0;
    }
    assert_in_range(n_at_start, 20,
                    199); /* short documents from their beginning, the long one from anywhere */
    assert_true(n_different > 20);
}

/* Every token but <|bos|> and the first is predicted once. */
static void check_windows(int64_t len) {
    lm_windows windows = {0};
    int32_t tokens[64], targets[64];
    assert_ok(lm_dataset_windows(&dataset, len, &windows, &err));
    char *seen = lm_calloc(1, (size_t)dataset.n_tokens);
    for (size_t w = 0; w < windows.len; w++) {
        int64_t n = 0;
        int64_t counted = lm_dataset_window(&dataset, &windows.ptr[w], len, tokens, targets);
        for (int64_t i = 0; i < len; i++) {
            if (targets[i] < 0) continue;
            int64_t at = windows.ptr[w].start + i;
            assert_int_equal(tokens[i], dataset.tokens[at]);
            assert_int_equal(targets[i], dataset.tokens[at + 1]);
            assert_int_equal(seen[at + 1]++, 0);
            n++;
        }
        assert_int_equal(n, counted);
    }
    for (int64_t at = 1; at < dataset.n_tokens; at++)
        assert_int_equal(seen[at], dataset.tokens[at] != dataset.bos);
    lm_free(seen);
    lm_vec_deinit(&windows);
}

static void test_windows_hold_every_token_once(void **state) {
    for (int64_t len = 2; len < 64; len++) check_windows(len);
}

static void test_short_documents_stay_whole(void **state) {
    lm_windows windows = {0};
    int64_t first = dataset.starts[1];
    assert_ok(lm_dataset_windows(&dataset, first + 2, &windows, &err));
    assert_int_equal(windows.ptr[0].n_targets, first - 1);
    assert_int_equal(windows.ptr[1].start, first);
    lm_vec_deinit(&windows);
}

static void test_held_out_end(void **state) {
    lm_recipe recipe;
    lm_texts texts;
    char *file = lm_path_join(dir, "t.txt");
    assert_ok(lm_file_write_atomic(file, story_text, sizeof story_text - 1, &err));
    lm_recipe_init(&recipe);
    recipe.data_validation_fraction = 0.5;
    assert_ok(lm_texts_open(&recipe, "t.txt", dir, &texts, &err));
    assert_int_equal(texts.train.len + texts.validation.len, sizeof story_text - 1);
    lm_texts_close(&texts);
    recipe.data_separator = "\n\n";
    assert_ok(lm_texts_open(&recipe, file, NULL, &texts, &err));
    assert_string_equal(texts.validation.ptr, "the hen");
    lm_texts_close(&texts);
    recipe.data_validation_fraction = 0;
    assert_status(LOAM_INVALID, lm_texts_open(&recipe, file, NULL, &texts, &err));
    assert_status(LOAM_NOT_FOUND, lm_texts_open(&recipe, "none.txt", dir, &texts, &err));
    lm_recipe_deinit(&recipe);
    lm_free(file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_vocabulary),
        TEST(test_bytes_vocabulary),
        TEST(test_documents_are_framed_and_cached),
        TEST(test_samples_are_a_function_of_seed_and_number),
        TEST(test_windows_hold_every_token_once),
        TEST(test_short_documents_stay_whole),
        TEST(test_held_out_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
