#include "testing.h"

#include "base/rng.h"
#include "train/bpe_train.h"

enum { MAX_SYMBOLS = 4000 };

/* The plain algorithm: counts everything anew for every merge. words: symbols, words divided by -1. */
static int learn_plainly(int32_t *symbols, int len, int n_merges, lm_bpe_merge *out) {
    for (int m = 0; m < n_merges; m++) {
        lm_bpe_merge best = {0};
        int best_count = 1;
        for (int i = 0; i + 1 < len; i++) {
            int32_t left = symbols[i], right = symbols[i + 1];
            if (left < 0 || right < 0) continue;
            int count = 0;
            for (int j = 0; j + 1 < len; j++)
                count += symbols[j] == left && symbols[j + 1] == right;
            bool better = count > best_count ||
                          (count == best_count && count > 1 &&
                           (left < best.left || (left == best.left && right < best.right)));
            if (better) best = (lm_bpe_merge){left, right}, best_count = count;
        }
        if (best_count < 2) return m;
        out[m] = best;
        int n = 0;
        for (int i = 0; i < len; i++) {
            bool hit = i + 1 < len && symbols[i] == best.left && symbols[i + 1] == best.right;
            symbols[n++] = hit ? LM_BPE_N_BYTES + m : symbols[i];
            i += hit;
        }
        len = n;
    }
    return n_merges;
}

static void compare(const char *text, int n_merges) {
    static int32_t symbols[MAX_SYMBOLS];
    lm_bpe_words *words = lm_bpe_words_new();
    int len = 0;
    for (const char *at = text; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        assert_true(lm_bpe_words_add(words, (lm_str){at, n}));
        for (size_t i = 0; i < n; i++) symbols[len++] = (uint8_t)at[i];
        symbols[len++] = -1;
        assert_true(len < MAX_SYMBOLS - 100);
    }
    lm_bpe_merge plain[200];
    int n_plain = learn_plainly(symbols, len, n_merges, plain);
    lm_bpe_merges merges = {0};
    assert_ok(lm_bpe_learn(words, n_merges, &merges, &err));
    assert_int_equal(merges.len, n_plain);
    for (int i = 0; i < n_plain; i++) {
        assert_int_equal(merges.ptr[i].left, plain[i].left);
        assert_int_equal(merges.ptr[i].right, plain[i].right);
    }
    lm_vec_deinit(&merges);
    lm_bpe_words_free(words);
}

static void test_equals_the_plain_algorithm(void **state) {
    compare("low low low low low lower lower newest newest newest newest newest newest widest "
            "widest widest",
            20);
    lm_rng rng;
    lm_rng_init(&rng, 4);
    for (int round = 0; round < 20; round++) {
        char text[1200];
        size_t n = 0;
        while (n + 2 < sizeof text) text[n++] = " aabbbcd"[lm_rng_below(&rng, 8)];
        text[n] = '\0';
        compare(text + strspn(text, " "), 60);
    }
}

static void test_runs_of_one_letter(void **state) {
    compare("aaaaaaa aaaa aaa aaaaaaaaaaaaa", 10); /* pairs that overlap themselves */
    compare("ab", 5);
    compare("", 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equals_the_plain_algorithm),
                                       cmocka_unit_test(test_runs_of_one_letter)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
