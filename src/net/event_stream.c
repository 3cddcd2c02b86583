#include "net/event_stream.h"

void lm_event_stream_init(lm_event_stream *stream, size_t max_line_bytes,
                          bool (*on_data)(lm_str data, void *arg), void *arg) {
    *stream = (lm_event_stream){.on_data = on_data, .arg = arg};
    lm_buf_init(&stream->line, max_line_bytes);
}

void lm_event_stream_deinit(lm_event_stream *stream) {
    lm_buf_deinit(&stream->line);
}

void lm_event_stream_reset(lm_event_stream *stream) {
    lm_buf_reset(&stream->line);
    stream->stopped = false;
}

static bool take_line(lm_event_stream *stream) {
    lm_str line = lm_buf_view(&stream->line);
    if (line.len > 0 && line.ptr[line.len - 1] == '\r') line.len--;
    if (!lm_str_starts(line, LM_STR("data:"))) return true;
    size_t skipped = line.len > 5 && line.ptr[5] == ' ' ? 6 : 5;
    return stream->on_data((lm_str){line.ptr + skipped, line.len - skipped}, stream->arg);
}

bool lm_event_stream_push(lm_event_stream *stream, lm_str bytes) {
    while (bytes.len > 0 && !stream->stopped) {
        const char *end = memchr(bytes.ptr, '\n', bytes.len);
        size_t len = end ? (size_t)(end - bytes.ptr) : bytes.len;
        lm_buf_append(&stream->line, bytes.ptr, len);
        stream->stopped = stream->line.status != LOAM_OK;
        if (end && !stream->stopped) {
            stream->stopped = !take_line(stream);
            lm_buf_reset(&stream->line);
        }
        len += end != NULL;
        bytes = (lm_str){bytes.ptr + len, bytes.len - len};
    }
    return !stream->stopped;
}
