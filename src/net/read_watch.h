/* A deadline for requests to arrive: a client that sends a byte now and then keeps any idle timeout from running out, and
 * could hold connections for ever.
 *
 * The time runs from a request's first byte until the server takes the request over, and is looked at whenever more
 * bytes come. Connections are known by their input buffers. evhttp does not say when it frees one, so an entry outlives
 * its connection until the same address is used again; only buffers that are alive ever ask for theirs, and there are
 * never more entries than there were connections at once. Loop's thread only.
 */
#ifndef LM_NET_READ_WATCH_H
#define LM_NET_READ_WATCH_H

#include <event2/bufferevent.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef struct lm_read_watch lm_read_watch;

loam_status lm_read_watch_new(int64_t limit_ms, lm_read_watch **out, loam_error *err) LM_MUST_USE;
void lm_read_watch_free(lm_read_watch *watch); /* after the last connection */

/* A new connection, before its first byte. false: out of memory. */
LM_MUST_USE bool lm_read_watch_add(lm_read_watch *watch, struct bufferevent *connection);

/* The request is here; and: it is answered, the next may come. */
void lm_read_watch_pause(lm_read_watch *watch, struct bufferevent *connection);
void lm_read_watch_resume(lm_read_watch *watch, struct bufferevent *connection);

#endif
