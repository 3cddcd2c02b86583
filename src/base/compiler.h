/* GNU attributes in one place, and the always-on assertion for our own bugs. */
#ifndef LM_BASE_COMPILER_H
#define LM_BASE_COMPILER_H

#define LM_MUST_USE __attribute__((warn_unused_result))
#define LM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define LM_NORETURN __attribute__((noreturn))
#define LM_ALIGNED(n) __attribute__((aligned(n)))
#define LM_VECTOR(n_bytes) __attribute__((vector_size(n_bytes)))
#define LM_COLD __attribute__((cold, noinline))
#define LM_UNUSED __attribute__((unused))
#define LM_ALWAYS_INLINE inline __attribute__((always_inline))
#define LM_LIKELY(x) __builtin_expect(!!(x), 1)
#define LM_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define LM_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Evaluates the expression of type loam_status and returns it from the calling function when it is not ok. */
#define LM_TRY(expr)                                                       \
    do {                                                                   \
        loam_status lm_try_status_ = (expr);                               \
        if (LM_UNLIKELY(lm_try_status_ != LOAM_OK)) return lm_try_status_; \
    } while (0)

/* A broken invariant of ours: prints the place and aborts. Never used on bytes from outside. */
#define LM_ASSERT(cond)                                                        \
    do {                                                                       \
        if (LM_UNLIKELY(!(cond))) lm_assert_failed(#cond, __FILE__, __LINE__); \
    } while (0)

LM_NORETURN LM_COLD void lm_assert_failed(const char *cond, const char *file, int line);

#endif
