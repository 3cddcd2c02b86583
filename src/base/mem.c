#include "base/mem.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t g_n_allocs;
static _Atomic uint64_t g_fail_countdown; /* 0: off */

uint64_t lm_mem_n_allocs(void) {
    return atomic_load_explicit(&g_n_allocs, memory_order_relaxed);
}

void lm_mem_fail_after(uint64_t n) {
    atomic_store(&g_fail_countdown, n);
}

/* Counts the allocation; true when a test asked for this one to fail. */
static bool count_and_check(void) {
    atomic_fetch_add_explicit(&g_n_allocs, 1, memory_order_relaxed);
    uint64_t left = atomic_load_explicit(&g_fail_countdown, memory_order_relaxed);
    if (LM_LIKELY(left == 0)) return false;
    if (atomic_fetch_sub(&g_fail_countdown, 1) != 1) return false;
    errno = ENOMEM;
    return true;
}

void *lm_alloc(size_t size_bytes) {
    if (count_and_check()) return NULL;
    return malloc(size_bytes ? size_bytes : 1);
}

void *lm_calloc(size_t count, size_t size_bytes) {
    if (count_and_check()) return NULL;
    return calloc(count ? count : 1, size_bytes ? size_bytes : 1);
}

void *lm_realloc(void *ptr, size_t size_bytes) {
    if (count_and_check()) return NULL;
    return realloc(ptr, size_bytes ? size_bytes : 1);
}

void *lm_alloc_aligned(size_t alignment, size_t size_bytes) {
    if (count_and_check()) return NULL;
    void *ptr = NULL;
    if (posix_memalign(&ptr, alignment, size_bytes ? size_bytes : 1) != 0) return NULL;
    return ptr;
}

char *lm_strdup(const char *text) {
    return lm_strndup(text, strlen(text));
}

char *lm_strndup(const char *text, size_t len) {
    size_t n = strnlen(text, len);
    char *copy = lm_alloc(n + 1);
    if (!copy) return NULL;
    memcpy(copy, text, n);
    copy[n] = '\0';
    return copy;
}

int lm_printf_len(const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    return len;
}

char *lm_asprintf(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int len = lm_printf_len(fmt, args);
    char *text = len < 0 ? NULL : lm_alloc((size_t)len + 1);
    if (text) vsnprintf(text, (size_t)len + 1, fmt, args);
    va_end(args);
    return text;
}

void lm_free(void *ptr) {
    free(ptr);
}
