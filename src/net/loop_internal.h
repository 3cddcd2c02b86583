/* What the HTTP server and client need of the loop beyond its public face. Only src/net/ includes this. */
#ifndef LM_NET_LOOP_INTERNAL_H
#define LM_NET_LOOP_INTERNAL_H

#include <event2/event.h>

#include "net/loop.h"

struct event_base *lm_loop_base(lm_loop *loop);

static inline struct timeval lm_timeval_of_ms(int64_t ms) {
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

#endif
