/* Where else `loam show`'s model would fit: the nodes of the cloud that the user has a key for. */
#ifndef LM_CLI_SHOW_CLOUD_H
#define LM_CLI_SHOW_CLOUD_H

#include <jansson.h>

#include "base/compiler.h"

/* {"url", "nodes": [{"name", "pool", "memory_bytes", "longest_context", "fits"}]}, or {"url", "error"} where the cloud does not
 * answer. memory: of lm_show_memory. A new reference. */
LM_MUST_USE json_t *lm_show_cloud(const char *url, const char *key, const json_t *memory);
void lm_show_cloud_print(const json_t *cloud);

#endif
