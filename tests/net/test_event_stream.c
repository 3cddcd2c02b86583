#include "testing.h"

#include "net/event_stream.h"

typedef struct seen {
    char text[256]; /* all data, each ended by '|' */
    int n, stop_at;
} seen;

static bool keep(lm_str data, void *arg) {
    seen *s = arg;
    size_t len = strlen(s->text);
    snprintf(s->text + len, sizeof s->text - len, "%.*s|", (int)data.len, data.ptr);
    return ++s->n != s->stop_at;
}

static const char events[] =
    ": comment\nevent: x\ndata: {\"a\":1}\n\ndata:2\r\n\r\nid: 7\ndata: [DONE]\n\n";

static void test_any_pieces(void **state) {
    for (size_t piece = 1; piece <= sizeof events; piece++) {
        seen s = {0};
        lm_event_stream stream;
        lm_event_stream_init(&stream, 64, keep, &s);
        for (size_t at = 0; at < sizeof events - 1; at += piece) {
            size_t left = sizeof events - 1 - at;
            assert_true(
                lm_event_stream_push(&stream, (lm_str){events + at, piece < left ? piece : left}));
        }
        assert_string_equal(s.text, "{\"a\":1}|2|[DONE]|");
        lm_event_stream_deinit(&stream);
    }
}

static void test_stops(void **state) {
    seen s = {.stop_at = 2};
    lm_event_stream stream;
    lm_event_stream_init(&stream, 16, keep, &s);
    assert_false(lm_event_stream_push(&stream, LM_STR("data: 1\ndata: 2\ndata: 3\n")));
    assert_false(lm_event_stream_push(&stream, LM_STR("data: 4\n")));
    assert_string_equal(s.text, "1|2|");
    lm_event_stream_reset(&stream);
    assert_true(lm_event_stream_push(&stream, LM_STR("data: 5\n")));
    assert_false(lm_event_stream_push(&stream, LM_STR("data: longer than sixteen bytes")));
    lm_event_stream_deinit(&stream);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_pieces),
                                       cmocka_unit_test(test_stops)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
