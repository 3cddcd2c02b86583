/* Files embedded into the program at build time by tools/embed.c: SQL migrations, the web console. */
#ifndef LM_BASE_ASSET_H
#define LM_BASE_ASSET_H

#include <stddef.h>

typedef struct lm_asset {
    const char *name;  /* path below the embedded folder, with '/'; NULL ends a table */
    const char *bytes; /* NUL-terminated beyond size_bytes */
    size_t size_bytes;
} lm_asset;

#endif
