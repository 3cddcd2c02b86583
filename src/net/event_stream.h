/* Reads server-sent events (text/event-stream) as they come: the data of each line "data: ...", in pieces of any size.
 *
 *     lm_event_stream_init(&stream, 1 << 20, on_data, arg);
 *     while (more bytes) lm_event_stream_push(&stream, bytes);
 *     lm_event_stream_deinit(&stream);
 *
 * What OpenAI-compatible servers send has one line of data an event; other fields and comments are passed over. One thread.
 */
#ifndef LM_NET_EVENT_STREAM_H
#define LM_NET_EVENT_STREAM_H

#include "base/str.h"

typedef struct lm_event_stream {
    lm_buf line; /* begun, its end has not come */
    bool (*on_data)(lm_str data, void *arg);
    void *arg;
    bool stopped;
} lm_event_stream;

/* on_data: false stops the stream. A line longer than max_line_bytes stops it, too. */
void lm_event_stream_init(lm_event_stream *stream, size_t max_line_bytes,
                          bool (*on_data)(lm_str data, void *arg), void *arg);
void lm_event_stream_deinit(lm_event_stream *stream);
void lm_event_stream_reset(lm_event_stream *stream); /* for the next answer */

/* False once the stream is stopped. */
bool lm_event_stream_push(lm_event_stream *stream, lm_str bytes);

#endif
