#include "cli/chat_stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "net/event_stream.h"
#include "net/http_fetch.h"

enum { EVENT_MAX_BYTES = 1 << 20, URL_BYTES = 1024 };

typedef struct reading {
    const lm_chat_stream *stream;
    lm_event_stream events;
    loam_error failure; /* told inside the stream */
} reading;

/* {"error":{"message"}} of an answer or an event; false when there is none. */
static bool read_error(const json_t *object, loam_error *err) {
    const char *message =
        json_string_value(json_object_get(json_object_get(object, "error"), "message"));
    if (message) lm_error_set(err, LOAM_UNAVAILABLE, "%s", message);
    return message != NULL;
}

static bool take_chunk(reading *r, const json_t *chunk) {
    const json_t *choice = json_array_get(json_object_get(chunk, "choices"), 0);
    const json_t *text = json_object_get(choice, "text");
    if (!text) text = json_object_get(json_object_get(choice, "delta"), "content");
    if (read_error(chunk, &r->failure)) return false;
    lm_str piece = {json_string_value(text), json_string_length(text)};
    return !piece.len || r->stream->on_text(piece, r->stream->arg);
}

static bool take_event(lm_str data, void *arg) {
    json_t *chunk = NULL;
    if (lm_json_parse(data, "event", &chunk, NULL) != LOAM_OK) return true; /* "[DONE]" */
    bool more = take_chunk(arg, chunk);
    json_decref(chunk);
    return more;
}

static bool on_body(lm_str bytes, void *arg) {
    reading *r = arg;
    return r->stream->go_on(r->stream->arg) && lm_event_stream_push(&r->events, bytes);
}

static loam_status refusal(lm_str answer, int http_status, loam_error *err) {
    json_t *object = NULL;
    loam_status status = LOAM_UNAVAILABLE;
    if (lm_json_parse(answer, "answer", &object, NULL) != LOAM_OK || !read_error(object, err))
        status = lm_error_set(err, LOAM_UNAVAILABLE, "the server answered %d", http_status);
    json_decref(object);
    return status;
}

loam_status lm_chat_stream_run(const lm_chat_stream *stream, loam_error *err) {
    char url[URL_BYTES], *body = json_dumps(stream->body, JSON_COMPACT);
    int http_status = 0;
    lm_buf answer;
    if (!body) return lm_error_no_memory(err, 1);
    reading r = {.stream = stream};
    lm_event_stream_init(&r.events, EVENT_MAX_BYTES, take_event, &r);
    snprintf(url, sizeof url, "%s%s", stream->url, stream->path);
    lm_http_fetch_options options = {.method = "POST",
                                     .url = url,
                                     .bearer = stream->key,
                                     .body = lm_str_of(body),
                                     .on_body = on_body,
                                     .arg = &r};
    loam_status status = lm_http_fetch(&options, &http_status, &answer, err);
    if (r.failure.status != LOAM_OK) {
        if (err) *err = r.failure;
        status = r.failure.status;
    } else if (status == LOAM_OK && http_status != 200) {
        status = refusal(lm_buf_view(&answer), http_status, err);
    }
    lm_buf_deinit(&answer);
    lm_event_stream_deinit(&r.events);
    free(body);
    return status;
}
