/* Stop strings over a stream of text: finds the first occurrence of any, and holds back text that could still become one,
 * so that no part of a stop string is ever sent.
 *
 * One matcher belongs to one stream. Text goes in piece by piece; what may be sent comes out. Stop strings are at most
 * LM_STOP_MAX_BYTES, so the text held is bounded too.
 */
#ifndef LM_SERVE_STOP_H
#define LM_SERVE_STOP_H

#include "base/str.h"

enum { LM_STOP_MAX_STRINGS = 16, LM_STOP_MAX_BYTES = 256 };

typedef struct lm_stop_set {
    const lm_str *strings; /* borrowed; none empty */
    size_t n;
} lm_stop_set;

typedef struct lm_stop_matcher {
    lm_stop_set set;
    lm_buf held; /* end of the text so far that is the beginning of a stop string */
} lm_stop_matcher;

void lm_stop_matcher_init(lm_stop_matcher *matcher, lm_stop_set set);
void lm_stop_matcher_deinit(lm_stop_matcher *matcher);

/* Takes more text and appends to *out what can be sent. True when a stop string is complete: *out then ends before it,
 * and the rest is gone. */
bool lm_stop_matcher_push(lm_stop_matcher *matcher, lm_str text, lm_buf *out);

/* The stream has ended: what was held is text after all. */
void lm_stop_matcher_flush(lm_stop_matcher *matcher, lm_buf *out);

#endif
