#include "testing.h"

#include <ctype.h>

#include "base/file.h"
#include "base/map.h"
#include "train/corpus.h"

static char *read_text(const char *dir, const char *name) {
    char *path = lm_path_join(dir, name), *text = NULL;
    size_t size;
    assert_ok(lm_file_read(path, 64 << 20, &text, &size, &err));
    lm_free(path);
    return text;
}

/* Calls visit for every story of a text; returns their number. */
static int64_t each_story(char *text, void (*visit)(char *story, void *arg), void *arg) {
    int64_t n = 0;
    for (char *story = text, *end; story && *story; story = end ? end + 2 : NULL, n++) {
        end = strstr(story, "\n\n");
        if (end) *end = '\0';
        visit(story, arg);
    }
    return n;
}

static void check_wording(char *story, void *arg) {
    assert_null(strpbrk(story, "<>|;*\n"));
    assert_null(strstr(story, "(n)"));
    assert_null(strstr(story, "  "));
    assert_null(strstr(story, ".."));
    assert_true(isupper((unsigned char)story[0]));
    assert_true(strchr(".!\"", story[strlen(story) - 1]) != NULL);
    int n_quotes = 0;
    for (const char *at = story; *at; at++) {
        n_quotes += *at == '"';
        bool article = (at == story || at[-1] == ' ') && (*at == 'a' || *at == 'A');
        if (article && at[1] == ' ') assert_null(strchr("aeiou", at[2]));
        if (article && at[1] == 'n' && at[2] == ' ') assert_non_null(strchr("aeiou", at[3]));
    }
    assert_int_equal(n_quotes % 2, 0);
}

static void add_to_map(char *story, void *arg) {
    assert_true(lm_map_set(arg, lm_str_of(story), 1));
}

static void check_not_in_map(char *story, void *arg) {
    uint64_t value;
    assert_false(lm_map_get(arg, lm_str_of(story), &value));
}

static void test_split_shares_no_story(void **state) {
    char *dir = test_temp_dir();
    lm_corpus_options options = {
        .dir = dir, .n_stories = 4000, .seed = 5, .validation_fraction = 0.1};
    lm_corpus_summary summary;
    assert_ok(lm_corpus_write(&options, &summary, &err));
    assert_int_equal(summary.train.n_stories + summary.validation.n_stories, 4000);
    assert_in_range(summary.validation.n_stories, 320, 480);
    char *train = read_text(dir, "train.txt"), *validation = read_text(dir, "validation.txt");
    char *checked = lm_strdup(train);
    assert_int_equal(each_story(checked, check_wording, NULL), summary.train.n_stories);
    lm_map *stories = lm_map_new();
    each_story(train, add_to_map, stories);
    assert_true(lm_map_len(stories) > 3500); /* hardly a story is told twice */
    assert_int_equal(each_story(validation, check_not_in_map, stories),
                     summary.validation.n_stories);
    lm_map_free(stories);
    char *path = lm_path_join(dir, "corpus.json");
    double nats_per_byte = 0;
    assert_ok(lm_corpus_read_nats_per_byte(path, &nats_per_byte, &err));
    assert_close(nats_per_byte, summary.validation.nats / (double)summary.validation.n_bytes, 1e-9,
                 0);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(checked);
    lm_free(train);
    lm_free(validation);
    lm_free(dir);
}

static void test_seed_decides(void **state) {
    char *texts[3];
    for (int i = 0; i < 3; i++) {
        char *dir = test_temp_dir();
        lm_corpus_options options = {.dir = dir, .n_stories = 20, .seed = i < 2 ? 1 : 2};
        lm_corpus_summary summary;
        assert_ok(lm_corpus_write(&options, &summary, &err));
        texts[i] = read_text(dir, "train.txt");
        assert_ok(lm_file_remove_tree(dir, &err));
        lm_free(dir);
    }
    assert_string_equal(texts[0], texts[1]);
    assert_string_not_equal(texts[0], texts[2]);
    for (int i = 0; i < 3; i++) lm_free(texts[i]);
}

static void test_wrong_options(void **state) {
    lm_corpus_summary summary;
    lm_corpus_options options = {.dir = "/nonexistent", .n_stories = 0};
    assert_status(LOAM_INVALID, lm_corpus_write(&options, &summary, &err));
    options =
        (lm_corpus_options){.dir = "/nonexistent", .n_stories = 1, .validation_fraction = 0.9};
    assert_status(LOAM_INVALID, lm_corpus_write(&options, &summary, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_shares_no_story),
        cmocka_unit_test(test_seed_decides),
        cmocka_unit_test(test_wrong_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
