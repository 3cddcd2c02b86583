#include "testing.h"

#include "base/rng.h"
#include "model/merge.h"

enum { MAX_SYMBOLS = 120, N_LETTERS = 4, N_MERGES = 40 };

/* The definition itself: again and again the cheapest pair, leftmost on equal cost. */
static size_t merge_plainly(const lm_merge_table *table, int32_t *ids, size_t n) {
    for (;;) {
        size_t best = n;
        int32_t best_rank = INT32_MAX, best_result = -1, rank, result;
        for (size_t i = 0; i + 1 < n; i++) {
            if (!lm_merge_table_get(table, ids[i], ids[i + 1], &rank, &result) || rank >= best_rank)
                continue;
            best = i, best_rank = rank, best_result = result;
        }
        if (best == n) return n;
        ids[best] = best_result;
        memmove(ids + best + 1, ids + best + 2, (n - best - 2) * sizeof *ids);
        n--;
    }
}

/* Random merges of letters and of what earlier ones made. */
static lm_merge_table *random_table(lm_rng *rng) {
    lm_merge_table *table = lm_merge_table_new(N_MERGES);
    for (int32_t i = 0; i < N_MERGES; i++) {
        int32_t left = (int32_t)lm_rng_below(rng, (uint64_t)(N_LETTERS + i)), rank, result;
        int32_t right = (int32_t)lm_rng_below(rng, (uint64_t)(N_LETTERS + i));
        if (!lm_merge_table_get(table, left, right, &rank, &result))
            lm_merge_table_add(table, left, right, N_LETTERS + i);
    }
    return table;
}

static void check_one(const lm_merge_table *table, lm_merger *merger, const int32_t *letters,
                      size_t n) {
    int32_t want[MAX_SYMBOLS];
    memcpy(want, letters, n * sizeof *want);
    size_t n_want = merge_plainly(table, want, n), n_got = 0;
    lm_merger_reset(merger);
    for (size_t i = 0; i < n; i++) assert_true(lm_merger_push(merger, (uint32_t)i, 1, letters[i]));
    assert_true(lm_merger_run(merger, lm_merge_by_table, table));
    uint32_t end = 0;
    for (int32_t i = n ? 0 : -1; i >= 0; i = merger->symbols.ptr[i].next) {
        const lm_symbol *symbol = &merger->symbols.ptr[i];
        assert_int_equal(symbol->start, end);
        end += symbol->len;
        assert_true(n_got < n_want);
        assert_int_equal(symbol->id, want[n_got++]);
    }
    assert_int_equal(n_got, n_want);
    assert_int_equal(end, n);
}

/* Short and long texts, which take different ways, against the definition. */
static void test_equals_the_definition(void **state) {
    lm_rng rng;
    lm_merger merger = {0};
    int32_t letters[MAX_SYMBOLS];
    lm_rng_init(&rng, 11);
    for (int round = 0; round < 400; round++) {
        lm_merge_table *table = random_table(&rng);
        for (int i = 0; i < 5; i++) {
            size_t n = lm_rng_below(&rng, MAX_SYMBOLS);
            for (size_t k = 0; k < n; k++) letters[k] = (int32_t)lm_rng_below(&rng, N_LETTERS);
            check_one(table, &merger, letters, n);
        }
        lm_merge_table_free(table);
    }
    lm_merger_deinit(&merger);
}

static void test_table(void **state) {
    lm_merge_table *table = lm_merge_table_new(3);
    int32_t rank, result;
    lm_merge_table_add(table, 1, 2, 7);
    lm_merge_table_add(table, 2, 1, 8);
    lm_merge_table_add(table, 1, 2, 9); /* the first stays */
    assert_true(lm_merge_table_get(table, 1, 2, &rank, &result));
    assert_int_equal(rank, 0);
    assert_int_equal(result, 7);
    assert_true(lm_merge_table_get(table, 2, 1, &rank, &result));
    assert_int_equal(rank, 1);
    assert_false(lm_merge_table_get(table, 1, 1, &rank, &result));
    assert_false(lm_merge_table_get(table, -1, 1, &rank, &result));
    lm_merge_table_free(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equals_the_definition),
                                       cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
