#include "base/str.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

bool lm_str_equal(lm_str a, lm_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool lm_str_is(lm_str a, const char *text) {
    return lm_str_equal(a, lm_str_of(text));
}

bool lm_str_starts(lm_str text, lm_str prefix) {
    return text.len >= prefix.len && memcmp(text.ptr, prefix.ptr, prefix.len) == 0;
}

bool lm_str_ends(lm_str text, lm_str suffix) {
    return text.len >= suffix.len &&
           memcmp(text.ptr + text.len - suffix.len, suffix.ptr, suffix.len) == 0;
}

bool lm_str_to_u64(lm_str text, uint64_t *out) {
    if (text.len == 0) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        if (__builtin_mul_overflow(value, 10u, &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)(text.ptr[i] - '0'), &value)) return false;
    }
    *out = value;
    return true;
}

bool lm_str_to_i64(lm_str text, int64_t *out) {
    bool negative = text.len > 0 && text.ptr[0] == '-';
    uint64_t magnitude;
    if (!lm_str_to_u64(negative ? (lm_str){text.ptr + 1, text.len - 1} : text, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) return false;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

static locale_t g_c_locale;

static void make_c_locale(void) {
    g_c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool lm_str_to_f64(lm_str text, double *out) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once,
                 make_c_locale); /* the host program may have set a locale with a decimal comma */
    char copy[64];
    if (text.len == 0 || text.len >= sizeof copy) return false;
    if (!strchr("+-.0123456789", text.ptr[0])) return false; /* no blanks, no "nan", no "inf" */
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    char *end;
    double value = g_c_locale ? strtod_l(copy, &end, g_c_locale) : strtod(copy, &end);
    if (*end != '\0' || !isfinite(value)) return false;
    *out = value;
    return true;
}

size_t lm_str_distance(lm_str a, lm_str b) {
    enum { MAX = 64 };
    size_t n = a.len < MAX ? a.len : MAX, m = b.len < MAX ? b.len : MAX;
    size_t row[MAX + 1];
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

const char *lm_str_nearest(const char *text, const char *const *names, size_t n) {
    size_t limit = strlen(text) / 3 > 2 ? strlen(text) / 3 : 2;
    const char *nearest = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t distance = lm_str_distance(lm_str_of(text), lm_str_of(names[i]));
        if (distance > limit) continue;
        limit = distance > 0 ? distance - 1 : 0;
        nearest = names[i];
        if (distance == 0) break;
    }
    return nearest;
}

void lm_buf_init(lm_buf *buf, size_t max_bytes) {
    *buf = (lm_buf){.max_bytes = max_bytes};
}

void lm_buf_deinit(lm_buf *buf) {
    lm_free(buf->ptr);
    *buf = (lm_buf){.max_bytes = buf->max_bytes};
}

void lm_buf_reset(lm_buf *buf) {
    buf->len = 0;
    buf->status = LOAM_OK;
    if (buf->ptr) buf->ptr[0] = '\0';
}

/* Makes room for `extra` bytes and the terminator. */
static bool buf_reserve(lm_buf *buf, size_t extra) {
    if (buf->status != LOAM_OK) return false;
    if (extra > buf->max_bytes - buf->len) {
        buf->status = LOAM_LIMIT;
        return false;
    }
    size_t need = buf->len + extra + 1;
    if (need <= buf->capacity) return true;
    size_t capacity = buf->capacity ? buf->capacity : 64;
    while (capacity < need) capacity *= 2;
    char *ptr = lm_realloc(buf->ptr, capacity);
    if (!ptr) {
        buf->status = LOAM_NO_MEMORY;
        return false;
    }
    buf->ptr = ptr;
    buf->capacity = capacity;
    return true;
}

void lm_buf_append(lm_buf *buf, const void *bytes, size_t len) {
    if (!buf_reserve(buf, len)) return;
    if (len) memcpy(buf->ptr + buf->len, bytes, len);
    buf->len += len;
    buf->ptr[buf->len] = '\0';
}

void lm_buf_puts(lm_buf *buf, const char *text) {
    lm_buf_append(buf, text, strlen(text));
}

void lm_buf_putc(lm_buf *buf, char c) {
    lm_buf_append(buf, &c, 1);
}

void lm_buf_printf(lm_buf *buf, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int len = lm_printf_len(fmt, args);
    if (len >= 0 && buf_reserve(buf, (size_t)len)) {
        vsnprintf(buf->ptr + buf->len, (size_t)len + 1, fmt, args);
        buf->len += (size_t)len;
    }
    va_end(args);
}

void lm_buf_put_percent(lm_buf *buf, const char *text, const char *keep) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-_.~", c) || strchr(keep, c);
        if (plain)
            lm_buf_putc(buf, (char)c);
        else
            lm_buf_printf(buf, "%%%02X", c);
    }
}

loam_status lm_buf_status(const lm_buf *buf, loam_error *err) {
    if (buf->status == LOAM_LIMIT)
        return lm_error_set(err, LOAM_LIMIT, "text grew past its limit of %zu bytes",
                            buf->max_bytes);
    if (buf->status != LOAM_OK) return lm_error_no_memory(err, buf->capacity * 2);
    return LOAM_OK;
}

lm_str lm_buf_view(const lm_buf *buf) {
    return (lm_str){buf->ptr ? buf->ptr : "", buf->len};
}

const char *lm_buf_cstr(const lm_buf *buf) {
    return buf->ptr ? buf->ptr : "";
}

char *lm_buf_take(lm_buf *buf) {
    char *ptr = buf->ptr ? buf->ptr : lm_strdup("");
    *buf = (lm_buf){.max_bytes = buf->max_bytes};
    return ptr;
}
