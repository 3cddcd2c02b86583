#include "model/utf8.h"

#include "base/compiler.h"

static bool is_continuation(uint8_t byte) {
    return (byte & 0xc0) == 0x80;
}

/* What the first byte promises: the character's bytes, and the range its second byte must be in. */
static size_t promised_bytes(uint8_t first, uint8_t *out_min, uint8_t *out_max) {
    *out_min = 0x80;
    *out_max = 0xbf;
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    if (first < 0xe0) return 2;
    if (first == 0xe0) *out_min = 0xa0; /* overlong */
    if (first == 0xed) *out_max = 0x9f; /* surrogates */
    if (first == 0xf0) *out_min = 0x90; /* overlong */
    if (first == 0xf4) *out_max = 0x8f; /* above U+10FFFF */
    return first < 0xf0 ? 3 : 4;
}

/* How many of the n bytes fit the promise of the first; *out_want is what it promises. */
static size_t fitting_bytes(const char *text, size_t n, size_t *out_want) {
    const uint8_t *bytes = (const uint8_t *)text;
    uint8_t min, max;
    *out_want = promised_bytes(bytes[0], &min, &max);
    if (*out_want < 2) return *out_want;
    if (n < 2 || bytes[1] < min || bytes[1] > max) return 1;
    size_t i = 2;
    while (i < *out_want && i < n && is_continuation(bytes[i])) i++;
    return i;
}

size_t lm_utf8_char_bytes(const char *text, size_t n) {
    if (LM_LIKELY((uint8_t)text[0] < 0x80)) return 1;
    size_t want;
    return fitting_bytes(text, n, &want) == want ? want : 0;
}

size_t lm_utf8_last_char_bytes(lm_str text) {
    for (size_t n = 1; n <= LM_UTF8_MAX_BYTES && n <= text.len; n++) {
        const char *at = text.ptr + text.len - n;
        if (!is_continuation((uint8_t)*at)) return lm_utf8_char_bytes(at, n) == n ? n : 0;
    }
    return 0;
}

bool lm_utf8_is_cut(const char *text, size_t n) {
    size_t want;
    return fitting_bytes(text, n, &want) == n && n < want;
}

size_t lm_utf8_run_bytes(const char *text, size_t n, bool valid) {
    size_t at = 0;
    while (at < n) {
        size_t len = lm_utf8_char_bytes(text + at, n - at);
        if ((len > 0) != valid) break;
        at += len ? len : 1;
    }
    return at;
}

/* How many of the n bytes are ASCII, eight at a time. */
static size_t ascii_run(const char *text, size_t n) {
    size_t at = 0;
    for (uint64_t eight; at + sizeof eight <= n; at += sizeof eight) {
        memcpy(&eight, text + at, sizeof eight);
        if (eight & 0x8080808080808080u) break;
    }
    return at;
}

bool lm_utf8_is_valid(lm_str text) {
    for (size_t at = 0; at < text.len;) {
        at += ascii_run(text.ptr + at, text.len - at);
        if (at == text.len) break;
        size_t n = lm_utf8_char_bytes(text.ptr + at, text.len - at);
        if (n == 0) return false;
        at += n;
    }
    return true;
}

uint32_t lm_utf8_decode(const char *text, size_t n) {
    static const uint8_t first_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code_point = (uint8_t)text[0] & first_mask[n];
    for (size_t i = 1; i < n; i++) code_point = code_point << 6 | ((uint8_t)text[i] & 0x3f);
    return code_point;
}

size_t lm_utf8_encode(uint32_t code_point, char out[LM_UTF8_MAX_BYTES]) {
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    size_t n = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    static const uint8_t first_bits[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, code_point >>= 6)
        out[i] = (char)(0x80 | (code_point & 0x3f));
    out[0] = (char)(first_bits[n] | code_point);
    return n;
}

void lm_utf8_repair(lm_str text, lm_buf *out) {
    for (size_t at = 0; at < text.len;) {
        size_t good = lm_utf8_run_bytes(text.ptr + at, text.len - at, true);
        lm_buf_append(out, text.ptr + at, good);
        at += good;
        if (at == text.len) break;
        lm_buf_puts(out, "\xef\xbf\xbd"); /* U+FFFD */
        at++;
    }
}

void lm_utf8_decode_lossy(lm_str text, lm_buf *out) {
    for (size_t at = 0; at < text.len;) {
        size_t good = lm_utf8_run_bytes(text.ptr + at, text.len - at, true), want;
        lm_buf_append(out, text.ptr + at, good);
        at += good;
        if (at == text.len) break;
        lm_buf_puts(out, "\xef\xbf\xbd");
        size_t fitting = fitting_bytes(text.ptr + at, text.len - at, &want);
        at += fitting ? fitting : 1;
    }
}
