/* Server-sent events in pieces: the first byte is their size. However they are cut, the same data come out. */
#include <stdlib.h>

#include "net/event_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool add_up(lm_str data, void *arg) {
    uint64_t *sum = arg;
    for (size_t i = 0; i < data.len; i++) *sum = *sum * 31 + (uint8_t)data.ptr[i];
    *sum = *sum * 31 + 257;
    return true;
}

static uint64_t read_in_pieces(lm_str text, size_t piece) {
    uint64_t sum = 0;
    lm_event_stream stream;
    lm_event_stream_init(&stream, 64, add_up, &sum);
    while (text.len > 0) {
        size_t len = text.len < piece ? text.len : piece;
        if (!lm_event_stream_push(&stream, (lm_str){text.ptr, len})) break;
        text = (lm_str){text.ptr + len, text.len - len};
    }
    lm_event_stream_deinit(&stream);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (size < 2) return 0;
    lm_str text = {(const char *)bytes + 1, size - 1};
    if (read_in_pieces(text, bytes[0] ? bytes[0] : 1) != read_in_pieces(text, size)) abort();
    return 0;
}
