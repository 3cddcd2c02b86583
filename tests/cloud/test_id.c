#include "testing.h"

#include "base/clock.h"
#include "cloud/id.h"

static void test_ids_sort_as_made(void **state) {
    lm_id_gen gen;
    lm_id_gen_init(&gen);
    char last[LM_ID_BYTES] = "", id[LM_ID_BYTES];
    for (int i = 0; i < 20000; i++) {
        lm_id_new(&gen, "prj", id);
        assert_true(lm_id_is("prj", id));
        assert_true(strcmp(last, id) < 0);
        memcpy(last, id, sizeof id);
    }
    int64_t age_ms = lm_clock_epoch_ms() - lm_id_epoch_ms(id);
    assert_true(age_ms >= -1 && age_ms < 60000);
    lm_id_gen_deinit(&gen);
}

static void test_a_clock_that_jumps_back(void **state) {
    lm_id_gen gen;
    lm_id_gen_init(&gen);
    char first[LM_ID_BYTES], second[LM_ID_BYTES];
    lm_id_new_at(&gen, "k", 2000000, first);
    lm_id_new_at(&gen, "k", 1000000, second);
    assert_true(strcmp(first, second) < 0);
    assert_int_equal(lm_id_epoch_ms(second), 2000000);
    lm_id_gen_deinit(&gen);
}

static void test_what_is_no_id(void **state) {
    assert_false(lm_id_is("prj", NULL));
    assert_false(lm_id_is("prj", ""));
    assert_false(lm_id_is("prj", "prj"));
    assert_false(lm_id_is("prj", "key_00000000000000000000000000"));
    assert_false(lm_id_is("prj", "prj_0000000000000000000000000"));
    assert_false(lm_id_is("prj", "prj_000000000000000000000000000"));
    assert_false(lm_id_is("prj", "prj_0000000000000000000000000I"));
    assert_true(lm_id_is("prj", "prj_00000000000000000000000000"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ids_sort_as_made),
                                       cmocka_unit_test(test_a_clock_that_jumps_back),
                                       cmocka_unit_test(test_what_is_no_id)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
