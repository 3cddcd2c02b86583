/* Bump allocator for things that die together (a model, a session, a request, a step).
 *
 * Memory comes in chunks of at least `chunk_bytes`; nothing is freed singly. `lm_arena_reset` keeps the chunks, so a
 * warmed-up arena serves a step without touching the heap. One thread at a time. `limit_bytes` bounds what bytes
 * from outside can make us take; reaching it makes lm_arena_alloc return NULL, as running out of memory does.
 */
#ifndef LM_BASE_ARENA_H
#define LM_BASE_ARENA_H

#include <stddef.h>

#include "base/compiler.h"

typedef struct lm_arena_chunk lm_arena_chunk;

typedef struct lm_arena {
    lm_arena_chunk *first; /* oldest chunk; the list is walked in order after a reset */
    lm_arena_chunk *current;
    size_t chunk_bytes;
    size_t limit_bytes; /* total of all chunks; SIZE_MAX when unlimited */
    size_t total_bytes;
} lm_arena;

void lm_arena_init(lm_arena *arena, size_t chunk_bytes,
                   size_t limit_bytes); /* 0 for either: 64 KiB, no limit */
void lm_arena_deinit(lm_arena *arena);
void lm_arena_reset(lm_arena *arena);

/* size bytes aligned to 64, uninitialized; NULL when out of memory or past the limit. */
LM_MUST_USE void *lm_arena_alloc(lm_arena *arena, size_t size_bytes);
LM_MUST_USE void *lm_arena_calloc(lm_arena *arena, size_t count, size_t size_bytes);
LM_MUST_USE char *lm_arena_strndup(lm_arena *arena, const char *text, size_t len);
LM_MUST_USE char *lm_arena_printf(lm_arena *arena, const char *fmt, ...) LM_PRINTF(2, 3);

#endif
