#include "serve/stop.h"

enum { HELD_MAX_BYTES = 1 << 20 };

void lm_stop_matcher_init(lm_stop_matcher *matcher, lm_stop_set set) {
    LM_ASSERT(set.n <= LM_STOP_MAX_STRINGS);
    matcher->set = set;
    lm_buf_init(&matcher->held, HELD_MAX_BYTES);
}

void lm_stop_matcher_deinit(lm_stop_matcher *matcher) {
    lm_buf_deinit(&matcher->held);
}

/* Position of the first complete stop string, or text.len. */
static size_t find_stop(lm_stop_set set, lm_str text) {
    size_t first = text.len;
    for (size_t i = 0; i < set.n; i++) {
        const char *at = memmem(text.ptr, text.len, set.strings[i].ptr, set.strings[i].len);
        if (at && (size_t)(at - text.ptr) < first) first = (size_t)(at - text.ptr);
    }
    return first;
}

/* Where the longest end of the text that begins some stop string starts; text.len when there is none. */
static size_t find_hold(lm_stop_set set, lm_str text) {
    size_t hold = text.len;
    for (size_t i = 0; i < set.n; i++) {
        size_t longest = set.strings[i].len - 1 < text.len ? set.strings[i].len - 1 : text.len;
        for (size_t len = longest; len > text.len - hold; len--) {
            if (memcmp(text.ptr + text.len - len, set.strings[i].ptr, len) != 0) continue;
            hold = text.len - len;
            break;
        }
    }
    return hold;
}

bool lm_stop_matcher_push(lm_stop_matcher *matcher, lm_str text, lm_buf *out) {
    if (matcher->set.n == 0) {
        lm_buf_append(out, text.ptr, text.len);
        return false;
    }
    lm_buf_append(&matcher->held, text.ptr, text.len);
    lm_str all = lm_buf_view(&matcher->held);
    size_t end = find_stop(matcher->set, all);
    bool stopped = end < all.len;
    if (!stopped) end = find_hold(matcher->set, all);
    lm_buf_append(out, all.ptr, end);
    size_t n_left = stopped ? 0 : all.len - end;
    if (n_left) memmove(matcher->held.ptr, matcher->held.ptr + end, n_left);
    matcher->held.len = n_left;
    return stopped;
}

void lm_stop_matcher_flush(lm_stop_matcher *matcher, lm_buf *out) {
    lm_buf_append(out, matcher->held.ptr, matcher->held.len);
    lm_buf_reset(&matcher->held);
}
