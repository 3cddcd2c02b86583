/* loam embed as a user meets it. */
#include "command_line.h"

#define BGE LM_ENCODERS_DIR "/bge"
#define RERANKER LM_ENCODERS_DIR "/bert-reranker"

static void test_sources_and_forms_agree(void **state) {
    cli_result args = cli_loam("embed --no-pack-file '%s' 'a cab' bee", BGE);
    cli_result lines =
        cli_shell("printf 'a cab\\n\\nbee' | " LM_LOAM " embed --no-pack-file '" BGE "'");
    cli_result json = cli_loam("embed --no-pack-file --json '%s' 'a cab' bee", BGE);
    assert_int_equal(args.code, 0);
    assert_string_equal(args.text, lines.text);
    char *second = strchr(args.text, '\n');
    assert_non_null(second);
    assert_int_equal(strspn(args.text, "0123456789.e- "), second - args.text);
    assert_non_null(strstr(json.text, "{\"index\": 0, \"n_tokens\": 6, \"embedding\": ["));
    assert_non_null(strstr(json.text, "\n{\"index\": 1, "));
    for (char *at = args.text; at < second; at++) {
        if (*at != ' ') continue;
        *at = '\0';
        assert_non_null(strstr(json.text, args.text));
        break;
    }
}

static void test_dimensions(void **state) {
    cli_result cut = cli_loam("embed --no-pack-file --dimensions 2 '%s' 'a cab'", BGE);
    double x, y;
    assert_int_equal(cut.code, 0);
    assert_int_equal(sscanf(cut.text, "%lf %lf\n", &x, &y), 2);
    assert_close(x * x + y * y, 1, 1e-6, 0);
}

static void test_scores(void **state) {
    cli_result r = cli_loam("embed --no-pack-file --query 'a cab' '%s' abba feed abba", RERANKER);
    double score[3];
    assert_int_equal(r.code, 0);
    assert_int_equal(sscanf(r.text, "%lf\n%lf\n%lf\n", &score[0], &score[1], &score[2]), 3);
    assert_true(score[0] > 0 && score[0] < 1 && score[0] == score[2] && score[0] != score[1]);
    r = cli_loam("embed --no-pack-file --json --query 'a cab' '%s' abba", RERANKER);
    assert_non_null(strstr(r.text, "\"relevance_score\": 0."));
}

static void test_show_says_what_it_gives(void **state) {
    assert_non_null(
        strstr(cli_loam("show '%s'", BGE).text, "gives         embeddings: cls, of length 1\n"));
    assert_non_null(strstr(cli_loam("show '%s'", RERANKER).text, "gives         scores of texts"));
    assert_non_null(strstr(cli_loam("show --json '%s'", BGE).text, "\"pooling\": \"cls\""));
    assert_null(strstr(cli_loam("show '%s/biased.gguf'", LM_GOLDEN_DIR).text, "gives"));
}

static void check_refused(const char *args, const char *message) {
    char *line = lm_asprintf("%s embed --no-pack-file %s 2>&1 </dev/null", LM_LOAM, args);
    cli_result r = cli_shell(line);
    assert_int_equal(r.code, 1);
    if (!strstr(r.text, message)) fail_msg("'%s' gave: %s", args, r.text);
    lm_free(line);
}

static void test_refusals(void **state) {
    check_refused("'" RERANKER "' a", "--query");
    check_refused("'" BGE "' --query a b", "scores nothing");
    check_refused("'" BGE "' --dimensions 33 a", "vectors have 32");
    check_refused("'" BGE "' --context 4 'a cab'", "text 0 has 6 tokens; the model takes 1 to 4");
    check_refused("'" LM_ENCODERS_DIR "/roberta' a", "without a tokenizer");
    check_refused("'" LM_GOLDEN_DIR "/biased.gguf' a", "writes text");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources_and_forms_agree), cmocka_unit_test(test_dimensions),
        cmocka_unit_test(test_scores), cmocka_unit_test(test_show_says_what_it_gives),
        cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
