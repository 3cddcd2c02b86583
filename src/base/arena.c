#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"

enum { ARENA_ALIGN = 64, ARENA_DEFAULT_CHUNK = 64 << 10 };

struct lm_arena_chunk {
    lm_arena_chunk *next;
    size_t size_bytes; /* of data */
    size_t used_bytes;
    LM_ALIGNED(64) unsigned char data[];
};

void lm_arena_init(lm_arena *arena, size_t chunk_bytes, size_t limit_bytes) {
    *arena = (lm_arena){
        .chunk_bytes = chunk_bytes ? chunk_bytes : ARENA_DEFAULT_CHUNK,
        .limit_bytes = limit_bytes ? limit_bytes : SIZE_MAX,
    };
}

void lm_arena_deinit(lm_arena *arena) {
    for (lm_arena_chunk *chunk = arena->first; chunk;) {
        lm_arena_chunk *next = chunk->next;
        lm_free(chunk);
        chunk = next;
    }
    *arena = (lm_arena){.chunk_bytes = arena->chunk_bytes, .limit_bytes = arena->limit_bytes};
}

void lm_arena_reset(lm_arena *arena) {
    for (lm_arena_chunk *chunk = arena->first; chunk; chunk = chunk->next) chunk->used_bytes = 0;
    arena->current = arena->first;
}

static lm_arena_chunk *chunk_new(lm_arena *arena, size_t need_bytes) {
    size_t size = need_bytes > arena->chunk_bytes ? need_bytes : arena->chunk_bytes;
    size_t total;
    if (!lm_checked_add_size(arena->total_bytes, size, &total) || total > arena->limit_bytes)
        return NULL;
    lm_arena_chunk *chunk = lm_alloc_aligned(ARENA_ALIGN, sizeof *chunk + size);
    if (!chunk) return NULL;
    *chunk = (lm_arena_chunk){.size_bytes = size};
    arena->total_bytes = total;
    return chunk;
}

void *lm_arena_alloc(lm_arena *arena, size_t size_bytes) {
    size_t need;
    if (!lm_checked_add_size(size_bytes, ARENA_ALIGN - 1, &need)) return NULL;
    need &= ~(size_t)(ARENA_ALIGN - 1);
    lm_arena_chunk *chunk = arena->current;
    while (chunk && chunk->size_bytes - chunk->used_bytes < need && chunk->next)
        chunk = chunk->next;
    if (!chunk || chunk->size_bytes - chunk->used_bytes < need) {
        lm_arena_chunk *fresh = chunk_new(arena, need);
        if (!fresh) return NULL;
        if (chunk) {
            chunk->next = fresh;
        } else {
            arena->first = fresh;
        }
        chunk = fresh;
    }
    arena->current = chunk;
    void *ptr = chunk->data + chunk->used_bytes;
    chunk->used_bytes += need;
    return ptr;
}

void *lm_arena_calloc(lm_arena *arena, size_t count, size_t size_bytes) {
    size_t total;
    if (!lm_checked_mul_size(count, size_bytes, &total)) return NULL;
    void *ptr = lm_arena_alloc(arena, total);
    return ptr ? memset(ptr, 0, total) : NULL;
}

char *lm_arena_strndup(lm_arena *arena, const char *text, size_t len) {
    char *copy = lm_arena_alloc(arena, len + 1);
    if (!copy) return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *lm_arena_printf(lm_arena *arena, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int len = lm_printf_len(fmt, args);
    char *text = len < 0 ? NULL : lm_arena_alloc(arena, (size_t)len + 1);
    if (text) vsnprintf(text, (size_t)len + 1, fmt, args);
    va_end(args);
    return text;
}
