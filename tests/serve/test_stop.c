#include "testing.h"

#include "serve/stop.h"

static lm_buf g_out;

/* Pushes pieces until the NULL; returns whether a stop string was met. The text sent is in g_out. */
static bool push_all(lm_stop_matcher *matcher, const char *const *pieces) {
    lm_buf_reset(&g_out);
    for (; *pieces; pieces++)
        if (lm_stop_matcher_push(matcher, lm_str_of(*pieces), &g_out)) return true;
    return false;
}

static int setup(void **state) {
    lm_buf_init(&g_out, 1 << 16);
    return 0;
}

static int teardown(void **state) {
    lm_buf_deinit(&g_out);
    return 0;
}

static void check(const lm_str *stops, size_t n, const char *const *pieces, bool stopped,
                  const char *sent, const char *with_flush) {
    lm_stop_matcher matcher;
    lm_stop_matcher_init(&matcher, (lm_stop_set){stops, n});
    assert_int_equal(push_all(&matcher, pieces), stopped);
    assert_string_equal(lm_buf_cstr(&g_out), sent);
    lm_stop_matcher_flush(&matcher, &g_out);
    assert_string_equal(lm_buf_cstr(&g_out), with_flush);
    lm_stop_matcher_deinit(&matcher);
}

#define PIECES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_without_stops(void **state) {
    check(NULL, 0, PIECES("a", "b"), false, "ab", "ab");
}

static void test_across_pieces(void **state) {
    const lm_str stops[] = {LM_STR("END")};
    check(stops, 1, PIECES("one E", "N", "D two"), true, "one ", "one ");
    check(stops, 1, PIECES("one E", "N"), false, "one ", "one EN");
    check(stops, 1, PIECES("one E", "N", "X"), false, "one ENX", "one ENX");
    check(stops, 1, PIECES("EEN", "D"), true, "E", "E");
    check(stops, 1, PIECES("ENEND"), true, "EN", "EN");
}

static void test_earliest_of_several(void **state) {
    const lm_str stops[] = {LM_STR("later"), LM_STR("l"), LM_STR("\n\n")};
    check(stops, 3, PIECES("be later"), true, "be ", "be ");
    check(stops, 3, PIECES("a\n", "\nb"), true, "a", "a");
    check(stops, 3, PIECES("a\n", "b\n"), false, "a\nb", "a\nb\n");
}

static void test_self_overlap(void **state) {
    const lm_str stops[] = {LM_STR("aab")};
    check(stops, 1, PIECES("a", "a", "a", "b"), true, "a", "a");
    check(stops, 1, PIECES("aa", "aa"), false, "aa", "aaaa");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_stops), cmocka_unit_test(test_across_pieces),
        cmocka_unit_test(test_earliest_of_several), cmocka_unit_test(test_self_overlap)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
