#include "testing.h"

#include <math.h>

#include "train/grammar.h"

#define ALTERNATIVES(...)   \
    (const char *const[]) { \
        __VA_ARGS__, NULL   \
    }

static lm_grammar *make(const lm_grammar_rule *rules, size_t n) {
    lm_grammar *grammar = NULL;
    assert_ok(lm_grammar_new(rules, n, &grammar, &err));
    return grammar;
}

static void test_marks(void **state) {
    const lm_grammar_rule rules[] = {
        {"story", NULL,
         ALTERNATIVES("<x=pet><y=pet!x>a(n) <x.word> met a(n) <y.word>. <says_*x.voice>")},
        {"pet", "word voice", ALTERNATIVES("owl;hoot", "cat;meow")},
        {"says_hoot", NULL, ALTERNATIVES("it said, \"hoot\", and went.")},
        {"says_meow", NULL, ALTERNATIVES("it said, \"meow\", and went.")},
    };
    lm_grammar *grammar = make(rules, 4);
    lm_rng rng;
    lm_rng_init(&rng, 3);
    int n_owl = 0;
    for (int i = 0; i < 40; i++) {
        lm_buf text;
        double nats = -1;
        lm_buf_init(&text, 1000);
        assert_ok(lm_grammar_write(grammar, "story", &rng, &text, &nats, &err));
        assert_close(nats, log(2), 1e-12, 0); /* the second pet is no choice */
        bool owl =
            strcmp(lm_buf_cstr(&text), "An owl met a cat. It said, \"Hoot\", and went.") == 0;
        if (!owl)
            assert_string_equal(lm_buf_cstr(&text),
                                "A cat met an owl. It said, \"Meow\", and went.");
        n_owl += owl;
        lm_buf_deinit(&text);
    }
    assert_in_range(n_owl, 8, 32);
    lm_grammar_free(grammar);
}

static void test_wrong_tables(void **state) {
    const lm_grammar_rule twice[] = {{"a", NULL, ALTERNATIVES("x", "y", "x")}};
    const lm_grammar_rule same_name[] = {{"a", NULL, ALTERNATIVES("x")},
                                         {"a", NULL, ALTERNATIVES("y")}};
    const lm_grammar_rule wrong[] = {
        {"none", NULL, ALTERNATIVES("<nothing>")},
        {"open", NULL, ALTERNATIVES("<none")},
        {"loop", NULL, ALTERNATIVES("<loop>")},
        {"field", NULL, ALTERNATIVES("<x=pet><x.age>")},
        {"only", NULL, ALTERNATIVES("<x=pet><y=pet!x>")},
        {"pet", "word", ALTERNATIVES("owl")},
    };
    lm_grammar *grammar = NULL;
    assert_status(LOAM_INVALID, lm_grammar_new(twice, 1, &grammar, &err));
    assert_status(LOAM_INVALID, lm_grammar_new(same_name, 2, &grammar, &err));
    grammar = make(wrong, LM_COUNT_OF(wrong));
    lm_rng rng;
    lm_rng_init(&rng, 1);
    for (size_t i = 0; i + 1 < LM_COUNT_OF(wrong); i++) {
        lm_buf text;
        double nats;
        lm_buf_init(&text, 1000);
        assert_status(LOAM_INVALID,
                      lm_grammar_write(grammar, wrong[i].name, &rng, &text, &nats, &err));
        lm_buf_deinit(&text);
    }
    lm_grammar_free(grammar);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_marks),
                                       cmocka_unit_test(test_wrong_tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
