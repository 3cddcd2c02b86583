#include "testing.h"

#include "serve/embed_parse.h"

enum { N_VOCAB = 100 };

static lm_api_error g_error;
static lm_embed_request g_request;

static bool parse(bool rerank, const char *body) {
    g_error = (lm_api_error){0};
    return lm_embed_request_parse(lm_str_of(body), rerank, N_VOCAB, &g_request, &g_error) ==
           LOAM_OK;
}

static void expect_ok(bool rerank, const char *body) {
    if (!parse(rerank, body)) fail_msg("'%s' refused: %s", body, g_error.message);
}

static void test_everything_in_embeddings(void **state) {
    expect_ok(false, "{\"model\":\"m\",\"input\":[\"a\",[1,99]],\"encoding_format\":\"base64\","
                     "\"dimensions\":7,\"truncate_prompt_tokens\":5,\"user\":\"u\"}");
    assert_int_equal(g_request.truncate, 5);
    assert_true(lm_str_is(g_request.model, "m") && g_request.base64);
    assert_int_equal(g_request.inputs.len, 2);
    assert_true(lm_str_is(g_request.inputs.ptr[0].text, "a"));
    assert_int_equal(g_request.inputs.ptr[1].n_ids, 2);
    assert_int_equal(g_request.inputs.ptr[1].ids[1], 99);
    assert_int_equal(g_request.dimensions, 7);
    lm_embed_request_deinit(&g_request);
    expect_ok(false, "{\"model\":\"m\",\"input\":[5,6],\"encoding_format\":null}");
    assert_int_equal(g_request.inputs.len, 1);
    assert_int_equal(g_request.inputs.ptr[0].n_ids, 2);
    assert_true(!g_request.base64 && g_request.dimensions == 0 && g_request.truncate == 0);
    lm_embed_request_deinit(&g_request);
}

static void test_everything_in_rerank(void **state) {
    expect_ok(true, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",{\"text\":\"b\"}],"
                    "\"top_n\":1,\"return_documents\":false,\"user\":null}");
    assert_true(lm_str_is(g_request.query, "q"));
    assert_int_equal(g_request.inputs.len, 2);
    assert_true(lm_str_is(g_request.inputs.ptr[1].text, "b"));
    assert_true(g_request.top_n == 1 && !g_request.return_documents);
    lm_embed_request_deinit(&g_request);
    expect_ok(true, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\"]}");
    assert_true(g_request.top_n == 0 && g_request.return_documents);
    lm_embed_request_deinit(&g_request);
}

static void test_refusals(void **state) {
    static const struct {
        bool rerank;
        const char *body, *param, *text;
    } rows[] = {
        {false, "[]", "", "JSON object"},
        {false, "{\"input\":\"a\"}", "model", "must be a string"},
        {false, "{\"model\":\"m\"}", "input", "missing"},
        {false, "{\"model\":\"m\",\"input\":[]}", "input", "empty list"},
        {false, "{\"model\":\"m\",\"input\":[\"a\",\"\"]}", "input", "text 1 is empty"},
        {false, "{\"model\":\"m\",\"input\":[[]]}", "input", "must be a string"},
        {false, "{\"model\":\"m\",\"input\":{}}", "input", "must be a string"},
        {false, "{\"model\":\"m\",\"input\":[1,\"a\"]}", "input", "something else at 1"},
        {false, "{\"model\":\"m\",\"input\":[100]}", "input", "not below 100"},
        {false, "{\"model\":\"m\",\"input\":[-1]}", "input", "not below 100"},
        {false, "{\"model\":\"m\",\"input\":\"a\",\"dimensions\":0}", "dimensions", "from 1"},
        {false, "{\"model\":\"m\",\"input\":\"a\",\"dimensions\":1.5}", "dimensions", "integer"},
        {false, "{\"model\":\"m\",\"input\":\"a\",\"encoding_format\":\"hex\"}", "encoding_format",
         "base64"},
        {false, "{\"model\":\"m\",\"input\":\"a\",\"encoding_format\":1}", "encoding_format",
         "base64"},
        {false, "{\"model\":\"m\",\"input\":\"a\",\"dimension\":1}", "dimension",
         "did you mean 'dimensions'"},
        {false, "{\"model\":\"m\",\"input\":\"a\",\"truncate_prompt_tokens\":0}",
         "truncate_prompt_tokens", "or -1"},
        {false, "{\"model\":\"m\",\"input\":\"a\",\"truncate_prompt_tokens\":-2}",
         "truncate_prompt_tokens", "from -1"},
        {true, "{\"model\":\"m\",\"documents\":[\"a\"]}", "query", "must be a string"},
        {true, "{\"model\":\"m\",\"query\":\"\",\"documents\":[\"a\"]}", "query", "empty"},
        {true, "{\"model\":\"m\",\"query\":\"q\",\"documents\":\"a\"}", "documents", "a list"},
        {true, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[]}", "documents", "empty list"},
        {true, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",7]}", "documents",
         "1 is neither"},
        {true, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[{\"title\":\"a\"}]}", "documents",
         "0 is neither"},
        {true, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"\"]}", "documents",
         "text 0 is empty"},
        {true, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\"],\"top_n\":-1}", "top_n",
         "from 0"},
        {true, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\"],\"return_documents\":1}",
         "return_documents", "true or false"},
        {true, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\"],\"input\":\"a\"}", "input",
         "unknown field"},
    };
    for (size_t i = 0; i < LM_COUNT_OF(rows); i++) {
        if (parse(rows[i].rerank, rows[i].body)) fail_msg("'%s' accepted", rows[i].body);
        assert_int_equal(g_error.http_status, 400);
        if (strcmp(g_error.param, rows[i].param) != 0 || !strstr(g_error.message, rows[i].text))
            fail_msg("'%s' gave param '%s': '%s'", rows[i].body, g_error.param, g_error.message);
    }
}

static void test_many_inputs(void **state) {
    lm_buf body;
    lm_buf_init(&body, 1 << 20);
    lm_buf_puts(&body, "{\"model\":\"m\",\"input\":[\"a\"");
    for (int i = 0; i < LM_API_MAX_INPUTS; i++) lm_buf_puts(&body, ",\"a\"");
    lm_buf_puts(&body, "]}");
    assert_false(parse(false, lm_buf_cstr(&body)));
    assert_non_null(strstr(g_error.message, "more than 2048"));
    lm_buf_deinit(&body);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_everything_in_embeddings),
                                       cmocka_unit_test(test_everything_in_rerank),
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_many_inputs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
