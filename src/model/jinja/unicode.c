#include "model/jinja/unicode.h"

#include <utf8proc.h>

#include "base/compiler.h"
#include "model/utf8.h"

uint32_t lm_unicode_next(lm_str text, size_t *at) {
    size_t n = lm_utf8_char_bytes(text.ptr + *at, text.len - *at);
    uint32_t c = lm_utf8_decode(text.ptr + *at, n);
    *at += n;
    return c;
}

uint32_t lm_unicode_before(lm_str text, size_t *end) {
    size_t at = *end - 1;
    while (at > 0 && ((uint8_t)text.ptr[at] & 0xc0) == 0x80) at--;
    size_t next = at;
    *end = at;
    return lm_unicode_next(text, &next);
}

size_t lm_unicode_count(lm_str text) {
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) n += ((uint8_t)text.ptr[i] & 0xc0) != 0x80;
    return n;
}

size_t lm_unicode_offset(lm_str text, size_t n_chars, size_t index) {
    if (n_chars == text.len || index == 0) return index;
    if (index >= n_chars) return text.len;
    size_t at = 0;
    for (; index > 0; index--) {
        at++;
        while (at < text.len && ((uint8_t)text.ptr[at] & 0xc0) == 0x80) at++;
    }
    return at;
}

bool lm_unicode_valid(lm_str text) {
    return lm_utf8_run_bytes(text.ptr, text.len, true) == text.len;
}

/* ---- classes ---- */

bool lm_unicode_is_space(uint32_t c) {
    if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool lm_unicode_is_line_break(uint32_t c) {
    return (c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

static utf8proc_category_t category(uint32_t c) {
    return utf8proc_category((utf8proc_int32_t)c);
}

bool lm_unicode_is_printable(uint32_t c) {
    if (c < 0x7f) return c >= ' ';
    switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
    }
}

bool lm_unicode_is_letter(uint32_t c) {
    utf8proc_category_t kind = category(c);
    return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool lm_unicode_is_decimal(uint32_t c) {
    return category(c) == UTF8PROC_CATEGORY_ND;
}

bool lm_unicode_is_numeric(uint32_t c) {
    utf8proc_category_t kind = category(c);
    return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
           kind == UTF8PROC_CATEGORY_NO;
}

bool lm_unicode_is_word(uint32_t c) {
    return c == '_' || lm_unicode_is_letter(c) || lm_unicode_is_numeric(c);
}

bool lm_unicode_is_upper(uint32_t c) {
    return utf8proc_isupper((utf8proc_int32_t)c);
}

bool lm_unicode_is_lower(uint32_t c) {
    return utf8proc_islower((utf8proc_int32_t)c);
}

bool lm_unicode_is_title(uint32_t c) {
    return category(c) == UTF8PROC_CATEGORY_LT;
}

static bool is_cased(uint32_t c) {
    return lm_unicode_is_upper(c) || lm_unicode_is_lower(c) || lm_unicode_is_title(c);
}

/* ---- cases ---- */

void lm_unicode_put(lm_buf *out, uint32_t c) {
    char bytes[LM_UTF8_MAX_BYTES];
    lm_buf_append(out, bytes, lm_utf8_encode(c, bytes));
}

static const struct {
    uint32_t c;
    const char *upper, *title;
} SPECIAL[] = {
#define LM_SPECIAL_CASE(c, upper, title) {c, upper, title},
#include "model/jinja/special_casing.def"
#undef LM_SPECIAL_CASE
};

static const char *special_case(uint32_t c, bool title) {
    size_t low = 0, high = LM_COUNT_OF(SPECIAL);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (SPECIAL[middle].c == c) return title ? SPECIAL[middle].title : SPECIAL[middle].upper;
        if (SPECIAL[middle].c < c)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void put_upper(lm_buf *out, uint32_t c, bool title) {
    const char *special = c < 0x80 ? NULL : special_case(c, title);
    utf8proc_int32_t code = (utf8proc_int32_t)c;
    if (special)
        lm_buf_puts(out, special);
    else
        lm_unicode_put(out, (uint32_t)(title ? utf8proc_totitle(code) : utf8proc_toupper(code)));
}

/* Characters such as apostrophes and accents, which words go on behind: approximately the standard's Case_Ignorable. */
static bool is_case_ignorable(uint32_t c) {
    utf8proc_category_t kind = category(c);
    return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_ME ||
           kind == UTF8PROC_CATEGORY_CF || kind == UTF8PROC_CATEGORY_LM ||
           kind == UTF8PROC_CATEGORY_SK || c == '\'' || c == '.' || c == ':' || c == 0xb7 ||
           c == 0x2018 || c == 0x2019 || c == 0x2024 || c == 0x2027;
}

/* A capital sigma ends a word: behind a letter, before none. */
static bool is_final_sigma(lm_str text, size_t begin, size_t end) {
    uint32_t c = 0;
    bool found = false;
    for (size_t at = begin; at > 0 && !found;)
        found = !is_case_ignorable(c = lm_unicode_before(text, &at));
    if (!found || !is_cased(c)) return false;
    found = false;
    for (size_t at = end; at < text.len && !found;)
        found = !is_case_ignorable(c = lm_unicode_next(text, &at));
    return !found || !is_cased(c);
}

static void put_lower(lm_buf *out, lm_str text, size_t begin, size_t end, uint32_t c) {
    if (c == 0x3a3)
        lm_unicode_put(out, is_final_sigma(text, begin, end) ? 0x3c2 : 0x3c3);
    else if (c == 0x130)
        lm_buf_puts(out, "i\xcc\x87");
    else
        lm_unicode_put(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
}

static void put_folded(lm_buf *out, uint32_t c) {
    utf8proc_int32_t folded[8];
    int boundary = 0;
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)c, folded, 8, UTF8PROC_CASEFOLD, &boundary);
    for (utf8proc_ssize_t i = 0; i < n && i < 8; i++) lm_unicode_put(out, (uint32_t)folded[i]);
}

void lm_unicode_convert(lm_str text, lm_unicode_case to, lm_buf *out) {
    bool in_word = false;
    for (size_t at = 0; at < text.len;) {
        size_t begin = at;
        uint32_t c = lm_unicode_next(text, &at);
        bool begins = to == LM_CASE_TITLE ? !in_word : to == LM_CASE_CAPITALIZE && begin == 0;
        if (to == LM_CASE_FOLD)
            put_folded(out, c);
        else if (to == LM_CASE_UPPER || begins)
            put_upper(out, c, begins);
        else if (to == LM_CASE_SWAP && lm_unicode_is_lower(c))
            put_upper(out, c, false);
        else if (to == LM_CASE_SWAP && !lm_unicode_is_upper(c))
            lm_unicode_put(out, c);
        else
            put_lower(out, text, begin, at, c);
        in_word = to == LM_CASE_TITLE && is_cased(c);
    }
}

/* ---- stripping ---- */

static bool is_stripped(uint32_t c, const lm_str *chars) {
    if (!chars) return lm_unicode_is_space(c);
    for (size_t at = 0; at < chars->len;)
        if (lm_unicode_next(*chars, &at) == c) return true;
    return false;
}

lm_str lm_unicode_strip(lm_str text, const lm_str *chars, bool left, bool right) {
    size_t begin = 0, end = text.len;
    for (size_t at = 0; left && at < end; begin = at)
        if (!is_stripped(lm_unicode_next(text, &at), chars)) break;
    for (size_t at = end; right && at > begin; end = at)
        if (!is_stripped(lm_unicode_before(text, &at), chars)) break;
    return (lm_str){text.ptr + begin, end - begin};
}
