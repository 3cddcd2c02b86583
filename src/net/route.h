/* Matching a request path against route patterns: literal segments, "{name}" for one segment, a last "{name...}" for the
 * rest (which may be empty). Paths are matched as sent, still percent-encoded, so that an encoded slash stays inside its
 * segment; the server decodes the parameters. No allocation.
 */
#ifndef LM_NET_ROUTE_H
#define LM_NET_ROUTE_H

#include <stdbool.h>

#include "base/str.h"

enum { LM_ROUTE_MAX_PARAMS = 8 };

typedef struct lm_route_params {
    struct {
        lm_str name;  /* borrowed from the pattern */
        lm_str value; /* borrowed from the path, encoded */
    } items[LM_ROUTE_MAX_PARAMS];
    int len;
} lm_route_params;

/* Whether the path fits; *out is written either way and means something only on true. */
bool lm_route_match(const char *pattern, const char *path, lm_route_params *out);

#endif
