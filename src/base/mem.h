/* The one door to the heap: counted allocation, so that tests can prove "this step allocates nothing" and make the
 * n-th allocation fail.
 *
 * All of loam allocates here; third-party libraries keep their own malloc. Any thread. Failure returns NULL, and the
 * caller reports lm_error_no_memory.
 */
#ifndef LM_BASE_MEM_H
#define LM_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

LM_MUST_USE void *lm_alloc(size_t size_bytes); /* uninitialized; size 0 gives a unique pointer */
LM_MUST_USE void *lm_calloc(size_t count,
                            size_t size_bytes); /* zeroed; NULL on overflow of the product */
LM_MUST_USE void *lm_realloc(void *ptr,
                             size_t size_bytes); /* old block stays valid when NULL is returned */
LM_MUST_USE void *lm_alloc_aligned(size_t alignment,
                                   size_t size_bytes); /* alignment a power of two; lm_free frees */
LM_MUST_USE char *lm_strdup(const char *text);
LM_MUST_USE char *lm_strndup(const char *text,
                             size_t len); /* stops at len or NUL; result is terminated */
LM_MUST_USE char *lm_asprintf(const char *fmt, ...) LM_PRINTF(1, 2);
int lm_printf_len(const char *fmt, va_list args)
    LM_PRINTF(1, 0);     /* of the text to come; args may be used after; -1: none */
void lm_free(void *ptr); /* NULL is fine */

/* Number of allocations made by this process so far (allocations and reallocations, not frees). For tests. */
uint64_t lm_mem_n_allocs(void);

/* The n-th allocation from now (1 = the next) fails, and every later one succeeds; 0 switches off. For tests. */
void lm_mem_fail_after(uint64_t n);

#endif
