#include "model/char_class.h"

#include <utf8proc.h>

#include "base/compiler.h"

bool lm_char_is_space(uint32_t c) {
    if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static utf8proc_category_t category_of(uint32_t c) {
    return utf8proc_category((utf8proc_int32_t)c);
}

/* Alphabetic without being a letter or a mark: circled and squared letters. */
static bool is_letter_symbol(uint32_t c) {
    return (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
           (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
}

bool lm_char_is_word(uint32_t c) {
    switch (category_of(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default: return is_letter_symbol(c) || c == 0x200c || c == 0x200d;
    }
}

/* Characters that are younger than the tables others froze: (first, last), ascending. */
typedef struct char_range {
    uint32_t first, last;
} char_range;

static const char_range young_marks[] = {
#define LM_YOUNG_MARK(first, last) {first, last},
#include "model/young_chars.def"
#undef LM_YOUNG_MARK
};

static const char_range young_bert[] = {
#define LM_YOUNG_BERT(first, last) {first, last},
#include "model/young_chars.def"
#undef LM_YOUNG_BERT
};

static const char_range young_normal[] = {
#define LM_YOUNG_NORMAL(first, last) {first, last},
#include "model/young_chars.def"
#undef LM_YOUNG_NORMAL
};

static bool is_in(uint32_t c, const char_range *ranges, size_t n) {
    size_t low = 0;
    while (n > 0) {
        size_t half = n / 2;
        if (ranges[low + half].last < c) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
            if (ranges[low + half].first <= c) return true;
        }
    }
    return false;
}

bool lm_char_is_mark(uint32_t c) {
    if (c == 0x1cf2 || c == 0x1cf3) return true; /* letters since */
    utf8proc_category_t category = category_of(c);
    if (category != UTF8PROC_CATEGORY_MN && category != UTF8PROC_CATEGORY_MC &&
        category != UTF8PROC_CATEGORY_ME)
        return false;
    return !is_in(c, young_marks, LM_COUNT_OF(young_marks));
}

bool lm_char_is_numeric(uint32_t c) {
    if (c < 0x80) return c >= '0' && c <= '9';
    utf8proc_category_t category = category_of(c);
    return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

bool lm_char_is_bert_dropped(uint32_t c) {
    if (c == '\t' || c == '\n' || c == '\r') return false;
    if (c == 0 || c == 0xfffd) return true;
    switch (category_of(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO: return !is_in(c, young_bert, LM_COUNT_OF(young_bert));
    default: return false;
    }
}

bool lm_char_is_bert_accent(uint32_t c) {
    return (category_of(c) == UTF8PROC_CATEGORY_MN || c == 0x1734) && /* Mc since */
           !is_in(c, young_bert, LM_COUNT_OF(young_bert));
}

bool lm_char_is_bert_punctuation(uint32_t c) {
    if (c < 0x80)
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
               (c >= '{' && c <= '~');
    if (c == 0x166d || c == 0x111c9) return true; /* no punctuation any more */
    utf8proc_category_t category = category_of(c);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO &&
           !is_in(c, young_bert, LM_COUNT_OF(young_bert));
}

bool lm_char_is_bert_ideograph(uint32_t c) {
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
           (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

bool lm_char_is_young_normal(uint32_t c) {
    return c >= young_normal[0].first && is_in(c, young_normal, LM_COUNT_OF(young_normal));
}

int lm_char_lower(uint32_t c, uint32_t out[2]) {
    if (c < 0x80) {
        out[0] = c >= 'A' && c <= 'Z' ? c + 0x20 : c;
        return 1;
    }
    if (c == 0x130) { /* the one character whose lower case is longer (SpecialCasing.txt) */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    return 1;
}
