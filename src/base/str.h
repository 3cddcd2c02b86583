/* Text: borrowed views (lm_str) and growing buffers with a limit from birth (lm_buf).
 *
 * A view borrows; it is valid as long as what it points into. A buffer owns its bytes, is always NUL-terminated past
 * `len`, and refuses to grow past `max_bytes`. Appending reports failure once, at the end: after the first failed
 * append every later one is ignored, and lm_buf_status says what went wrong.
 */
#ifndef LM_BASE_STR_H
#define LM_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

typedef struct lm_str {
    const char *ptr; /* not terminated */
    size_t len;
} lm_str;

#define LM_STR(literal) ((lm_str){(literal), sizeof(literal) - 1})

static inline lm_str lm_str_of(const char *text) {
    return (lm_str){text, text ? strlen(text) : 0};
}

bool lm_str_equal(lm_str a, lm_str b);
bool lm_str_is(lm_str a, const char *text);
bool lm_str_starts(lm_str text, lm_str prefix);
bool lm_str_ends(lm_str text, lm_str suffix);

/* Whole text as a number; false on anything else, overflow included. Base 10. */
LM_MUST_USE bool lm_str_to_i64(lm_str text, int64_t *out);
LM_MUST_USE bool lm_str_to_u64(lm_str text, uint64_t *out);
LM_MUST_USE bool lm_str_to_f64(lm_str text, double *out); /* finite, independent of the locale */

/* Edit distance (Levenshtein), for "did you mean"; texts longer than 64 bytes compare by their first 64. */
size_t lm_str_distance(lm_str a, lm_str b);

/* Nearest of n names to `text` by edit distance, or NULL when none is within a third of its length (at least 2). */
const char *lm_str_nearest(const char *text, const char *const *names, size_t n);

typedef struct lm_buf {
    char *ptr; /* NUL-terminated; NULL until the first append */
    size_t len;
    size_t capacity;
    size_t max_bytes;
    loam_status status; /* first failure: LOAM_NO_MEMORY or LOAM_LIMIT */
} lm_buf;

void lm_buf_init(lm_buf *buf, size_t max_bytes);
void lm_buf_deinit(lm_buf *buf);
void lm_buf_reset(lm_buf *buf); /* empty, keeps the memory, clears the status */
void lm_buf_append(lm_buf *buf, const void *bytes, size_t len);
void lm_buf_puts(lm_buf *buf, const char *text);
void lm_buf_putc(lm_buf *buf, char c);
void lm_buf_printf(lm_buf *buf, const char *fmt, ...) LM_PRINTF(2, 3);
/* Text as part of a URL: all but letters, digits, "-_.~" and the characters of `keep` percent-encoded (RFC 3986). */
void lm_buf_put_percent(lm_buf *buf, const char *text, const char *keep);
loam_status lm_buf_status(const lm_buf *buf, loam_error *err) LM_MUST_USE;
lm_str lm_buf_view(const lm_buf *buf);      /* until the next append */
const char *lm_buf_cstr(const lm_buf *buf); /* "" when empty */
char *
lm_buf_take(lm_buf *buf); /* gives the bytes away (lm_free); never NULL unless out of memory */

#endif
