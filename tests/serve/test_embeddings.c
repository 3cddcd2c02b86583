/* A server of a model that gives embeddings, and one of a model that reranks: the answers' form, what they bill, what they refuse,
 * and that company changes no bit. OpenAI's own client is in tests/api. */
#include "serve/live_server.h"

#include <jansson.h>
#include <sodium.h>

#include "base/json.h"
#include "base/usage_journal.h"

enum { WIDTH = 32 };

static void open_encoder(const char *name) {
    char *path = lm_asprintf("%s/%s", LM_ENCODERS_DIR, name);
    live_open(path);
    lm_free(path);
}

/* The answer as JSON, for json_decref. */
static json_t *ask_json(const char *path, const char *body) {
    int http_status;
    json_t *answer;
    char *text = live_ask(path, body, &http_status);
    if (http_status != 200) fail_msg("%s gave %d: %s", body, http_status, text);
    assert_ok(lm_json_parse(lm_str_of(text), "answer", &answer, &err));
    lm_free(text);
    return answer;
}

static const json_t *item(const json_t *answer, const char *list, size_t i) {
    return json_array_get(json_object_get(answer, list), i);
}

static void read_vector(const json_t *answer, size_t i, float *out, size_t n) {
    const json_t *vector = json_object_get(item(answer, "data", i), "embedding");
    assert_int_equal(json_integer_value(json_object_get(item(answer, "data", i), "index")), i);
    assert_int_equal(json_array_size(vector), n);
    for (size_t k = 0; k < n; k++) out[k] = (float)json_real_value(json_array_get(vector, k));
}

static int64_t usage_of(const json_t *answer, const char *name) {
    return json_integer_value(json_object_get(json_object_get(answer, "usage"), name));
}

/* Strings, ids and base64 say the same; fewer dimensions are the first ones, again of length 1. */
static void test_forms_of_embeddings(void **state) {
    float text[WIDTH], ids[WIDTH], packed[WIDTH], few[8];
    double squares = 0;
    size_t n_bytes;
    open_encoder("bge");
    live_start((lm_serve_options){0}, "bge");
    json_t *one = ask_json("/v1/embeddings", "{\"model\":\"bge\",\"input\":\"a cab\"}");
    json_t *two =
        ask_json("/v1/embeddings", "{\"model\":\"bge\",\"input\":[[2,4,6,30,31,3],\"a cab\"]}");
    json_t *base64 = ask_json("/v1/embeddings", "{\"model\":\"bge\",\"input\":\"a cab\","
                                                "\"encoding_format\":\"base64\",\"user\":\"u\"}");
    json_t *cut = ask_json("/v1/embeddings", "{\"model\":\"bge\",\"input\":\"a cab\","
                                             "\"encoding_format\":\"float\",\"dimensions\":8}");
    read_vector(one, 0, text, WIDTH);
    read_vector(two, 0, ids, WIDTH);
    assert_memory_equal(text, ids, sizeof text);
    read_vector(two, 1, ids, WIDTH);
    assert_memory_equal(text, ids, sizeof text);
    const json_t *coded = json_object_get(item(base64, "data", 0), "embedding");
    assert_int_equal(sodium_base642bin((unsigned char *)packed, sizeof packed,
                                       json_string_value(coded), json_string_length(coded), NULL,
                                       &n_bytes, NULL, sodium_base64_VARIANT_ORIGINAL),
                     0);
    assert_int_equal(n_bytes, sizeof packed);
    assert_memory_equal(text, packed, sizeof text);
    read_vector(cut, 0, few, 8);
    for (int i = 0; i < 8; i++) squares += (double)few[i] * few[i];
    assert_close(squares, 1, 1e-6, 0);
    assert_close(few[1] / few[0], text[1] / text[0], 1e-5, 0);
    assert_int_equal(usage_of(one, "prompt_tokens"), 6); /* [CLS] a c ##a ##b [SEP] */
    assert_int_equal(usage_of(two, "total_tokens"), 12);
    assert_string_equal(json_string_value(json_object_get(one, "object")), "list");
    assert_string_equal(json_string_value(json_object_get(one, "model")), "bge");
    live_stop();
    json_decref(one);
    json_decref(two);
    json_decref(base64);
    json_decref(cut);
    live_close();
}

typedef struct client {
    pthread_t thread;
    char body[256];
    char *answer;
    int http_status;
} client;

static void *client_main(void *arg) {
    client *c = arg;
    c->answer = live_ask("/v1/embeddings", c->body, &c->http_status);
    return NULL;
}

static const char *data_of(const char *answer) {
    const char *data = strstr(answer, "\"data\":");
    return data ? data : answer;
}

/* Alone and in company the same bits; each is booked once, by its prompt alone. */
static void test_company_changes_no_bit(void **state) {
    enum { N = 24 };
    static client alone[N], together[N];
    static lm_usage_record records[2 * N + 1];
    int64_t cursor = 0, n;
    open_encoder("bge");
    live_start((lm_serve_options){.journal = g_live.journal, .max_seqs = 5}, "bge");
    for (int i = 0; i < N; i++) {
        snprintf(alone[i].body, sizeof alone[i].body,
                 "{\"model\":\"bge\",\"input\":[\"%.*s\",\"dead\",\"%.*s\"]}", i + 1,
                 "a bad cafe had a big cabbage", i + 1, "feed me a fig pie, madam said he");
        memcpy(together[i].body, alone[i].body, sizeof alone[i].body);
        client_main(&alone[i]);
        assert_int_equal(alone[i].http_status, 200);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&together[i].thread, NULL, client_main, &together[i]), 0);
    for (int i = 0; i < N; i++) {
        pthread_join(together[i].thread, NULL);
        assert_string_equal(data_of(together[i].answer), data_of(alone[i].answer));
        lm_free(together[i].answer);
        lm_free(alone[i].answer);
    }
    live_expect("/metrics", NULL, 200,
                "loam_requests_total{endpoint=\"embeddings\",status=\"200\"} 48\n");
    live_stop();
    assert_ok(lm_usage_journal_read(g_live.journal, &cursor, records, 2 * N + 1, &n, &err));
    assert_int_equal(n, 2 * N);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(records[i].finished, 1);
        assert_int_equal(records[i].completion_tokens, 0);
        assert_true(records[i].flops > 0 && records[i].prompt_tokens >= 12);
    }
    live_close();
}

static void test_refusals(void **state) {
    char *rest = lm_alloc(1000), *body;
    memset(rest, '.', 999);
    rest[999] = '\0';
    body = lm_asprintf("{\"model\":\"bge\",\"input\":[\"a\",\"%s\"]}", rest);
    open_encoder("bge");
    live_start((lm_serve_options){0}, "bge");
    live_expect("/v1/embeddings", body, 400,
                "text 1 has 1001 tokens; this model takes at most 128");
    live_expect("/v1/embeddings", body, 400, "context_length_exceeded");
    live_expect("/v1/embeddings", "{\"model\":\"other\",\"input\":\"a\"}", 404, "model_not_found");
    live_expect("/v1/embeddings", "{\"model\":\"bge\",\"input\":[]}", 400, "empty list");
    live_expect("/v1/embeddings", "{\"model\":\"bge\",\"input\":\"\"}", 400, "text 0 is empty");
    live_expect("/v1/embeddings", "{\"model\":\"bge\",\"input\":[99]}", 400, "not below 48");
    live_expect("/v1/embeddings", "{\"model\":\"bge\",\"input\":\"a\",\"dimensions\":33}", 400,
                "vectors of this model have 32");
    live_expect("/v1/embeddings", "{", 400, "not valid JSON");
    live_expect("/v1/rerank", "{\"model\":\"bge\",\"query\":\"a\",\"documents\":[\"b\"]}", 400,
                "answers /v1/embeddings");
    live_expect("/v1/completions", "{\"model\":\"bge\",\"prompt\":\"a\"}", 400, "writes no text");
    live_expect("/v1/chat/completions", "{\"model\":\"bge\",\"messages\":[]}", 400,
                "ask it at /v1/embeddings");
    live_expect("/tokenize", "{\"prompt\":\"a\"}", 200, "\"max_model_len\":128");
    live_expect("/tokenize", "{\"messages\":[]}", 400, "no conversations");
    live_expect("/v1/models", NULL, 200, "\"max_model_len\":128");
    live_stop();
    live_close();
    lm_free(body);
    lm_free(rest);
}

/* Texts are cut at their end, and what stands around them stays; ids simply end. */
static void test_truncation(void **state) {
    float cut[WIDTH], whole[WIDTH];
    open_encoder("bge");
    live_start((lm_serve_options){0}, "bge");
    json_t *answer = ask_json("/v1/embeddings",
                              "{\"model\":\"bge\",\"input\":[\"a cab\",[2,4,6,3,30,31]],"
                              "\"truncate_prompt_tokens\":4}"),
           *wanted = ask_json("/v1/embeddings",
                              "{\"model\":\"bge\",\"input\":[[2,4,6,3],[2,4,6,3]]}"),
           *longest = ask_json("/v1/embeddings", "{\"model\":\"bge\",\"input\":\"a cab\","
                                                 "\"truncate_prompt_tokens\":-1}");
    for (size_t i = 0; i < 2; i++) {
        read_vector(answer, i, cut, WIDTH);
        read_vector(wanted, i, whole, WIDTH);
        assert_memory_equal(cut, whole, sizeof cut);
    }
    assert_int_equal(usage_of(answer, "prompt_tokens"), 8);
    assert_int_equal(usage_of(longest, "prompt_tokens"), 6);
    live_expect("/v1/embeddings",
                "{\"model\":\"bge\",\"input\":\"a cab\",\"truncate_prompt_tokens\":1}", 400,
                "2 tokens around a text");
    json_decref(answer);
    json_decref(wanted);
    json_decref(longest);
    live_stop();
    live_close();
}

static double score_of(const json_t *answer, size_t i) {
    return json_real_value(json_object_get(item(answer, "results", i), "relevance_score"));
}

static int64_t index_of(const json_t *answer, size_t i) {
    return json_integer_value(json_object_get(item(answer, "results", i), "index"));
}

static void test_reranking(void **state) {
    open_encoder("bert-reranker");
    live_start((lm_serve_options){0}, "rank");
    json_t *all = ask_json("/v1/rerank", "{\"model\":\"rank\",\"query\":\"a cab\",\"documents\":"
                                         "[\"abba\",{\"text\":\"dead beef\"},\"feed\",\"abba\"]}");
    json_t *best = ask_json("/v1/rerank", "{\"model\":\"rank\",\"query\":\"a cab\",\"documents\":"
                                          "[\"abba\",\"dead beef\",\"feed\",\"abba\"],\"top_n\":1,"
                                          "\"return_documents\":false}");
    assert_int_equal(json_array_size(json_object_get(all, "results")), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_in_range(index_of(all, i), 0, 3);
        assert_true(score_of(all, i) > 0 && score_of(all, i) < 1);
        if (i == 0) continue;
        assert_true(score_of(all, i) <= score_of(all, i - 1));
        if (score_of(all, i) == score_of(all, i - 1))
            assert_true(index_of(all, i) > index_of(all, i - 1));
    }
    const json_t *document = json_object_get(item(all, "results", 0), "document");
    assert_non_null(json_string_value(json_object_get(document, "text")));
    assert_int_equal(json_array_size(json_object_get(best, "results")), 1);
    assert_int_equal(index_of(best, 0), index_of(all, 0));
    assert_true(score_of(best, 0) == score_of(all, 0));
    assert_null(json_object_get(item(best, "results", 0), "document"));
    assert_int_equal(usage_of(all, "prompt_tokens"), usage_of(best, "prompt_tokens"));
    json_t *cut = ask_json("/v1/rerank", "{\"model\":\"rank\",\"query\":\"a cab\",\"documents\":"
                                         "[\"dead\"],\"truncate_prompt_tokens\":10}"),
           *less = ask_json("/v1/rerank",
                            "{\"model\":\"rank\",\"query\":\"a cab\",\"documents\":[\"dea\"]}");
    assert_true(score_of(cut, 0) == score_of(less, 0));
    assert_int_equal(usage_of(cut, "prompt_tokens"), 10);
    json_decref(cut);
    json_decref(less);
    live_expect("/v1/embeddings", "{\"model\":\"rank\",\"input\":\"a\"}", 400,
                "answers /v1/rerank");
    live_stop();
    json_decref(all);
    json_decref(best);
    live_close();
}

static bool leave_at_once(lm_str bytes, void *arg) {
    return false;
}

/* What comes while the queue is full is refused; clients that leave cost nobody else anything. */
static void test_queue_and_clients_that_leave(void **state) {
    enum { N = 16 };
    static client clients[N];
    open_encoder("bge");
    live_start((lm_serve_options){.max_waiting = 1}, "bge");
    for (int i = 0; i < N; i++) {
        char url[128];
        lm_buf answer;
        int http_status;
        snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/embeddings", g_live.port);
        lm_http_fetch_options options = {.method = "POST",
                                         .url = url,
                                         .on_body = leave_at_once,
                                         .body = LM_STR("{\"model\":\"bge\",\"input\":\"a\"}")};
        assert_status(LOAM_CANCELLED, lm_http_fetch(&options, &http_status, &answer, &err));
        lm_buf_deinit(&answer);
    }
    for (int i = 0; i < N; i++) {
        snprintf(clients[i].body, sizeof clients[i].body, "{\"model\":\"bge\",\"input\":\"a\"}");
        assert_int_equal(pthread_create(&clients[i].thread, NULL, client_main, &clients[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(clients[i].thread, NULL);
        bool full = clients[i].http_status == 429 && strstr(clients[i].answer, "queue is full");
        assert_true(full || clients[i].http_status == 200);
        lm_free(clients[i].answer);
    }
    live_expect("/v1/embeddings", "{\"model\":\"bge\",\"input\":\"a\"}", 200, "embedding");
    live_stop();
    live_close();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_of_embeddings), cmocka_unit_test(test_company_changes_no_bit),
        cmocka_unit_test(test_truncation), cmocka_unit_test(test_refusals), cmocka_unit_test(test_reranking),
        cmocka_unit_test(test_queue_and_clients_that_leave)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
