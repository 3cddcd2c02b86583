/* Python's view of characters: classes and cases of code points, and whole texts by them. Source: The Unicode Standard,
 * chapter 3.13 (default case algorithms) and SpecialCasing.txt. Owns nothing; any thread. */
#ifndef LM_MODEL_JINJA_UNICODE_H
#define LM_MODEL_JINJA_UNICODE_H

#include "base/str.h"

/* The code point at text[*at], which moves behind it. The text is valid UTF-8 and *at is below its length. */
uint32_t lm_unicode_next(lm_str text, size_t *at);
uint32_t lm_unicode_before(lm_str text,
                           size_t *end); /* the one that ends at *end, which moves to its start */
size_t lm_unicode_count(lm_str text);
size_t lm_unicode_offset(lm_str text, size_t n_chars,
                         size_t index); /* byte offset of the index-th character */
bool lm_unicode_valid(lm_str text);

bool lm_unicode_is_space(uint32_t c);
bool lm_unicode_is_line_break(uint32_t c); /* of splitlines; \r\n is one break */
bool lm_unicode_is_printable(uint32_t c);
bool lm_unicode_is_letter(uint32_t c);
bool lm_unicode_is_decimal(uint32_t c);
bool lm_unicode_is_numeric(uint32_t c); /* as isnumeric for digits and number letters */
bool lm_unicode_is_word(uint32_t c);    /* \w */
bool lm_unicode_is_upper(uint32_t c);
bool lm_unicode_is_lower(uint32_t c);
bool lm_unicode_is_title(uint32_t c);

typedef enum lm_unicode_case {
    LM_CASE_UPPER,
    LM_CASE_LOWER,
    LM_CASE_TITLE, /* str.title: words begin behind what has no case */
    LM_CASE_CAPITALIZE,
    LM_CASE_SWAP,
    LM_CASE_FOLD,
} lm_unicode_case;

void lm_unicode_convert(lm_str text, lm_unicode_case to, lm_buf *out);
void lm_unicode_put(lm_buf *out, uint32_t c);

/* Without white space (chars NULL) or without those characters at the ends. */
lm_str lm_unicode_strip(lm_str text, const lm_str *chars, bool left, bool right);

#endif
