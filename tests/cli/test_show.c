/* loam show: what it says of a model's memory. */
#include "cli/command_line.h"

#define MODEL LM_GOLDEN_DIR "/plain.gguf"

static void check_says(const char *args, const char *words) {
    cli_result r = cli_loam("show " MODEL " %s", args);
    assert_int_equal(r.code, 0);
    if (!strstr(r.text, words)) fail_msg("show %s says %s", args, r.text);
}

static void test_memory(void **state) {
    check_says("--context 32 --batch 2",
               "to serve 2 at once with 32 tokens each, keys and values as i16");
    check_says("--kv-dtype i8", "keys and values as i8");
    check_says("", "fits          here, where ");
    check_says("--memory 24GiB", "fits          into 24.0 GiB");
    check_says("--memory 100kB", "does not fit  into 97.7 KiB");
    check_says("--json", "\"total_bytes\": ");
    check_says("--context 1000000", "memory        unknown: ");
}

/* Machines of usual sizes, and a cloud's nodes if one is named. */
static void test_elsewhere(void **state) {
    check_says("", "elsewhere     4.0 GiB 64 tokens, all that the model can;");
    check_says("--batch 1000000 --json", "\"longest_context\": ");
    check_says("--url http://127.0.0.1:1", "cloud         http://127.0.0.1:1 cannot be asked: ");
    check_says("--url http://127.0.0.1:1 --json", "\"error\": ");
    cli_result r = cli_loam("show " MODEL " --url http://127.0.0.1:1 --offline");
    assert_int_equal(r.code, 0);
    assert_null(strstr(r.text, "cloud  "));
}

/* Of latent attention a token's cache is one key: 20 and 6 numbers in each of three layers, and as i16 a scale. */
static void test_latent_attention(void **state) {
    static const char *const words[] = {"\"kv_bytes_per_token\": 156,", "\"kv_dim\": 20,",
                                        "\"token_cache_bytes\": 168"};
    cli_result r = cli_loam("show " LM_GOLDEN_DIR "/../families/deepseek_v3/model.gguf --json");
    assert_int_equal(r.code, 0);
    for (size_t i = 0; i < LM_COUNT_OF(words); i++)
        if (!strstr(r.text, words[i])) fail_msg("no %s in %s", words[i], r.text);
    r = cli_loam("show " LM_GOLDEN_DIR "/../families/deepseek_v3");
    assert_non_null(strstr(r.text, "4 heads of 16, keys and values of all in 26 numbers"));
}

/* What an indexer reads of a token is a part of the cache where a sequence can be long enough to need it. */
static void test_indexer(void **state) {
    static const char model[] = LM_GOLDEN_DIR "/../families/glm_moe_dsa-sparse/model.gguf";
    cli_result r = cli_loam("show %s --context 64 --kv-dtype f16", model);
    assert_int_equal(r.code, 0);
    assert_non_null(
        strstr(r.text, "indexer       12 heads of 10 choose 9 positions, in 3 of 4 layers\n"));
    assert_non_null(
        strstr(r.text, "16.8 KiB cache (3.8 KiB of it what an indexer reads), 268 B a token"));
    r = cli_loam("show %s --context 9 --kv-dtype f16", model);
    assert_non_null(strstr(r.text, "13.0 KiB cache, 208 B a token"));
}

static void test_refusals(void **state) {
    static const char *const bad[] = {"--memory much", "--memory 0", "--memory 24X",
                                      "--kv-dtype q9"};
    for (size_t i = 0; i < LM_COUNT_OF(bad); i++)
        assert_int_equal(cli_loam("show " MODEL " %s", bad[i]).code, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),           cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_latent_attention), cmocka_unit_test(test_indexer),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
