/* Follows Jinja's lexer: which characters a tag swallows on either side is decided here and nowhere else. */
#include "model/jinja/lexer.h"

#include <math.h>

#include "model/jinja/unicode.h"
#include "model/utf8.h"

enum { MAX_BRACES = 256 };

typedef struct lexer {
    lm_jinja *jinja;
    lm_str source;
    size_t at;
    int line;
    bool line_starting; /* the last tag ended with a newline */
    char braces[MAX_BRACES];
    size_t n_braces;
    lm_jtokens *out;
    loam_error *err;
} lexer;

static LM_MUST_USE loam_status add(lexer *l, lm_jtoken token) {
    return lm_vec_push(l->out, token) ? LOAM_OK : lm_error_no_memory(l->err, sizeof token);
}

static bool is_at(const lexer *l, size_t at, const char *text) {
    size_t n = strlen(text);
    return l->source.len - at >= n && memcmp(l->source.ptr + at, text, n) == 0;
}

static size_t skip_space(const lexer *l, size_t at) {
    while (at < l->source.len) {
        size_t next = at;
        if (!lm_unicode_is_space(lm_unicode_next(l->source, &next))) break;
        at = next;
    }
    return at;
}

/* Moves to `end`, counting lines. */
static void move(lexer *l, size_t end) {
    if (end > l->at) l->line_starting = l->source.ptr[end - 1] == '\n';
    for (; l->at < end; l->at++) l->line += l->source.ptr[l->at] == '\n';
}

/* ---- text between tags ---- */

/* Text in front of a tag, cut as the tag's sign and lstrip_blocks want it. */
static LM_MUST_USE loam_status add_data(lexer *l, lm_str text, char sign, bool lstrip) {
    if (sign == '-') {
        text = lm_unicode_strip(text, NULL, false, true);
    } else if (sign != '+' && lstrip) {
        size_t begin = text.len;
        while (begin > 0 && text.ptr[begin - 1] != '\n') begin--;
        lm_str tail = {text.ptr + begin, text.len - begin};
        if ((begin > 0 || l->line_starting) && lm_unicode_strip(tail, NULL, true, false).len == 0)
            text.len = begin;
    }
    if (text.len == 0) return LOAM_OK;
    return add(l, (lm_jtoken){.kind = LM_JT_DATA, .line = l->line, .text = text});
}

static char sign_at(const lexer *l, size_t at) {
    return at < l->source.len && (l->source.ptr[at] == '-' || l->source.ptr[at] == '+')
               ? l->source.ptr[at]
               : 0;
}

/* Where a tag's end at `at` ("%}", "-%}", "+%}", with what each swallows) ends; 0: there is none. */
static size_t tag_end(const lexer *l, size_t at, const char *closing, bool plus, bool trim) {
    if (is_at(l, at, "-") && is_at(l, at + 1, closing)) return skip_space(l, at + 3);
    if (plus && is_at(l, at, "+") && is_at(l, at + 1, closing)) return at + 3;
    if (!is_at(l, at, closing)) return 0;
    return at + 2 + (trim && is_at(l, at + 2, "\n"));
}

/* "{%- raw %}" or "{% endraw -%}" at `at`: where it ends; 0: it is something else. */
static size_t raw_tag_end(const lexer *l, size_t at, const char *word, bool is_end) {
    if (!is_at(l, at, "{%")) return 0;
    at += 2;
    if (sign_at(l, at)) at++;
    at = skip_space(l, at);
    if (!is_at(l, at, word)) return 0;
    at = skip_space(l, at + strlen(word));
    return tag_end(l, at, "%}", is_end, is_end);
}

static LM_MUST_USE loam_status raw_block(lexer *l, size_t begin) {
    move(l, begin);
    for (size_t at = begin; at < l->source.len; at++) {
        size_t end = raw_tag_end(l, at, "endraw", true);
        if (end == 0) continue;
        lm_str text = {l->source.ptr + begin, at - begin};
        LM_TRY(add_data(l, text, sign_at(l, at + 2), true));
        move(l, end);
        return LOAM_OK;
    }
    return lm_jinja_refuse(l->err, l->line, "missing end of raw directive");
}

static LM_MUST_USE loam_status comment(lexer *l) {
    for (size_t at = l->at; at < l->source.len; at++) {
        size_t end = tag_end(l, at, "#}", true, true);
        if (end == 0) continue;
        move(l, end);
        return LOAM_OK;
    }
    return lm_jinja_refuse(l->err, l->line, "missing end of comment tag");
}

/* ---- inside tags ---- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_digit_of(char c, int base) {
    if (base == 16) return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    return c >= '0' && c < '0' + base;
}

static char char_at(const lexer *l, size_t at) {
    return at < l->source.len ? l->source.ptr[at] : 0;
}

/* Digits, each perhaps with one underscore in front: where they end. */
static size_t skip_digits(const lexer *l, size_t at, int base) {
    for (;;) {
        size_t next = at + (char_at(l, at) == '_');
        if (!is_digit_of(char_at(l, next), base)) return at;
        at = next + 1;
    }
}

/* End of a float at l->at; 0: none. */
static size_t float_end(const lexer *l) {
    size_t at = skip_digits(l, l->at, 10), end = 0;
    if (char_at(l, at) == '.' && is_digit(char_at(l, at + 1)))
        end = at = skip_digits(l, at + 1, 10);
    char e = char_at(l, at);
    if (e != 'e' && e != 'E') return end;
    size_t exponent = at + 1;
    if (char_at(l, exponent) == '+' || char_at(l, exponent) == '-') exponent++;
    return is_digit(char_at(l, exponent)) ? skip_digits(l, exponent, 10) : end;
}

static size_t without_underscores(lm_str text, char out[64]) {
    size_t n = 0;
    for (size_t i = 0; i < text.len && n < 63; i++)
        if (text.ptr[i] != '_') out[n++] = text.ptr[i];
    out[n] = '\0';
    return n;
}

static LM_MUST_USE loam_status integer(lexer *l) {
    char kind = char_at(l, l->at + 1) | 0x20;
    int base = kind == 'b' ? 2 : kind == 'o' ? 8 : 16;
    bool prefixed = char_at(l, l->at) == '0' && (kind == 'b' || kind == 'o' || kind == 'x') &&
                    skip_digits(l, l->at + 2, base) > l->at + 2;
    size_t begin = l->at + (prefixed ? 2 : 0), end = begin;
    if (prefixed)
        end = skip_digits(l, begin, base);
    else if (char_at(l, begin) == '0')
        for (end = begin + 1; char_at(l, end) == '0' || is_at(l, end, "_0");)
            end += 1 + (char_at(l, end) == '_');
    else
        end = skip_digits(l, begin, 10);
    int64_t value = 0;
    if (!prefixed) base = 10;
    for (size_t i = begin; i < end; i++) {
        char c = l->source.ptr[i];
        if (c == '_') continue;
        int digit = is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return lm_jinja_refuse(l->err, l->line, "an integer of more than 64 bits");
    }
    LM_TRY(add(l, (lm_jtoken){.kind = LM_JT_INTEGER,
                              .line = l->line,
                              .text = {l->source.ptr + l->at, end - l->at},
                              .u.integer = value}));
    move(l, end);
    return LOAM_OK;
}

static LM_MUST_USE loam_status number(lexer *l) {
    size_t end = l->at > 0 && l->source.ptr[l->at - 1] == '.' ? 0 : float_end(l);
    if (end == 0) return integer(l);
    char digits[64];
    double value = 0;
    lm_str text = {l->source.ptr + l->at, end - l->at};
    size_t n = without_underscores(text, digits);
    if (!lm_str_to_f64((lm_str){digits, n}, &value)) value = HUGE_VAL;
    LM_TRY(
        add(l, (lm_jtoken){.kind = LM_JT_FLOAT, .line = l->line, .text = text, .u.real = value}));
    move(l, end);
    return LOAM_OK;
}

/* \x41, A, \U00000041, \101 at text[*at] (behind the backslash): the code point. */
static bool escaped_number(lm_str text, size_t *at, uint32_t *out) {
    char c = text.ptr[*at];
    size_t n = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    bool octal = n == 0;
    uint32_t value = 0;
    size_t i = *at + !octal, end = octal ? i + 3 : i + n;
    for (; i < end && i < text.len && is_digit_of(text.ptr[i], octal ? 8 : 16); i++) {
        char digit = text.ptr[i];
        value = value * (octal ? 8 : 16) +
                (uint32_t)(is_digit(digit) ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    if (!octal && i != end) return false;
    *at = i;
    *out = value;
    return value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
}

/* Jinja reads escapes in an ASCII copy of the text, so that a character beyond it behind a backslash shows its number. */
static void put_escaped_foreign(lm_buf *out, lm_str text, size_t *at) {
    uint32_t c = lm_unicode_next(text, at);
    lm_buf_printf(out, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
}

static bool put_escape(lm_buf *out, lm_str text, size_t *at) {
    static const char names[] = "abfnrtv\\'\"", values[] = "\a\b\f\n\r\t\v\\'\"";
    char c = text.ptr[*at];
    const char *simple = c ? strchr(names, c) : NULL;
    uint32_t code = 0;
    if (simple) {
        lm_buf_putc(out, values[simple - names]);
    } else if (c == 'x' || c == 'u' || c == 'U' || (c >= '0' && c <= '7')) {
        if (!escaped_number(text, at, &code)) return false;
        lm_unicode_put(out, code);
        return true;
    } else if (c == 'N') {
        return false;
    } else if ((unsigned char)c >= 0x80) {
        put_escaped_foreign(out, text, at);
        return true;
    } else if (c != '\n') {
        lm_buf_putc(out, '\\');
        lm_buf_putc(out, c);
    }
    ++*at;
    return true;
}

static LM_MUST_USE loam_status unescape(lexer *l, lm_str text, lm_str *out) {
    lm_buf buf;
    lm_buf_init(&buf, 10 * text.len + 1);
    bool good = true;
    for (size_t i = 0; i < text.len && good;) {
        if (text.ptr[i] != '\\')
            lm_buf_putc(&buf, text.ptr[i++]);
        else
            good = ++i < text.len && put_escape(&buf, text, &i);
    }
    char *copy = lm_arena_strndup(&l->jinja->arena, lm_buf_cstr(&buf), buf.len);
    *out = (lm_str){copy, buf.len};
    loam_status status =
        good ? lm_buf_status(&buf, l->err)
             : lm_jinja_refuse(l->err, l->line, "a string has an escape that means nothing");
    if (status == LOAM_OK && !copy) status = lm_error_no_memory(l->err, buf.len);
    lm_buf_deinit(&buf);
    return status;
}

static LM_MUST_USE loam_status string(lexer *l) {
    char quote = l->source.ptr[l->at];
    size_t end = l->at + 1;
    bool escapes = false;
    while (end < l->source.len && l->source.ptr[end] != quote) {
        bool escape = l->source.ptr[end] == '\\';
        escapes |= escape;
        end += escape ? 2 : 1;
    }
    if (end >= l->source.len)
        return lm_jinja_refuse(l->err, l->line, "unexpected char '%c': a string has no end", quote);
    lm_str text = {l->source.ptr + l->at + 1, end - l->at - 1};
    if (escapes) LM_TRY(unescape(l, text, &text));
    LM_TRY(add(l, (lm_jtoken){.kind = LM_JT_STRING, .line = l->line, .text = text}));
    move(l, end + 1);
    return LOAM_OK;
}

static bool is_name_char(uint32_t c, bool first) {
    if (c < 0x80)
        return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               (!first && c >= '0' && c <= '9');
    return first ? lm_unicode_is_letter(c) : lm_unicode_is_word(c);
}

static size_t name_end(const lexer *l) {
    size_t at = l->at;
    while (at < l->source.len) {
        size_t next = at;
        if (!is_name_char(lm_unicode_next(l->source, &next), at == l->at)) break;
        at = next;
    }
    return at;
}

static LM_MUST_USE loam_status brace(lexer *l, char c) {
    if (c == '(' || c == '[' || c == '{') {
        if (l->n_braces == MAX_BRACES)
            return lm_jinja_refuse(l->err, l->line, "braces are nested more than %d deep",
                                   MAX_BRACES);
        l->braces[l->n_braces++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (l->n_braces == 0) return lm_jinja_refuse(l->err, l->line, "unexpected '%c'", c);
        char expected = l->braces[--l->n_braces];
        if (expected != c)
            return lm_jinja_refuse(l->err, l->line, "unexpected '%c', expected '%c'", c, expected);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status operator_token(lexer *l) {
    static const char *const operators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                            "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                            ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    for (size_t i = 0; i < LM_COUNT_OF(operators); i++) {
        if (!is_at(l, l->at, operators[i])) continue;
        LM_TRY(brace(l, operators[i][0]));
        LM_TRY(add(l, (lm_jtoken){.kind = LM_JT_OPERATOR,
                                  .line = l->line,
                                  .text = {l->source.ptr + l->at, strlen(operators[i])}}));
        move(l, l->at + strlen(operators[i]));
        return LOAM_OK;
    }
    size_t end = l->at;
    lm_unicode_next(l->source, &end);
    return lm_jinja_refuse(l->err, l->line, "unexpected char '%.*s'", (int)(end - l->at),
                           l->source.ptr + l->at);
}

static LM_MUST_USE loam_status inner_token(lexer *l) {
    size_t end = skip_space(l, l->at);
    if (end > l->at) {
        move(l, end);
        return LOAM_OK;
    }
    char c = l->source.ptr[l->at];
    if (is_digit(c)) return number(l);
    end = name_end(l);
    if (end > l->at) {
        lm_str text = {l->source.ptr + l->at, end - l->at};
        LM_TRY(add(l, (lm_jtoken){.kind = LM_JT_NAME, .line = l->line, .text = text}));
        move(l, end);
        return LOAM_OK;
    }
    return c == '"' || c == '\'' ? string(l) : operator_token(l);
}

/* A tag from behind its opening to behind its end. */
static LM_MUST_USE loam_status tag(lexer *l, bool is_block) {
    l->n_braces = 0;
    while (l->at < l->source.len) {
        size_t end =
            l->n_braces ? 0 : tag_end(l, l->at, is_block ? "%}" : "}}", is_block, is_block);
        if (end) {
            lm_jtoken_kind kind = is_block ? LM_JT_BLOCK_END : LM_JT_VARIABLE_END;
            LM_TRY(add(l, (lm_jtoken){.kind = kind, .line = l->line}));
            move(l, end);
            return LOAM_OK;
        }
        LM_TRY(inner_token(l));
    }
    return LOAM_OK; /* the parser misses the end */
}

/* The next opening at or behind `at`; the source's length when there is none. */
static size_t find_opening(const lexer *l, size_t at) {
    for (; at + 1 < l->source.len; at++) {
        const char *brace = memchr(l->source.ptr + at, '{', l->source.len - at - 1);
        if (!brace) break;
        at = (size_t)(brace - l->source.ptr);
        char kind = brace[1];
        if (kind == '%' || kind == '{' || kind == '#') return at;
    }
    return l->source.len;
}

static LM_MUST_USE loam_status next_tag(lexer *l) {
    size_t opening = find_opening(l, l->at);
    lm_str text = {l->source.ptr + l->at, opening - l->at};
    if (opening == l->source.len) {
        LM_TRY(add_data(l, text, '+', false));
        move(l, opening);
        return LOAM_OK;
    }
    char kind = l->source.ptr[opening + 1], sign = sign_at(l, opening + 2);
    LM_TRY(add_data(l, text, sign, kind != '{'));
    size_t raw_end = raw_tag_end(l, opening, "raw", false);
    if (raw_end) return raw_block(l, raw_end);
    move(l, opening + 2 + (sign != 0));
    if (kind == '#') return comment(l);
    bool is_block = kind == '%';
    lm_jtoken_kind begin = is_block ? LM_JT_BLOCK_BEGIN : LM_JT_VARIABLE_BEGIN;
    LM_TRY(add(l, (lm_jtoken){.kind = begin, .line = l->line}));
    return tag(l, is_block);
}

loam_status lm_jinja_tokenize(lm_jinja *jinja, lm_jtokens *out, loam_error *err) {
    lexer l = {.jinja = jinja,
               .source = jinja->source,
               .line = 1,
               .line_starting = true,
               .out = out,
               .err = err};
    while (l.at < l.source.len) LM_TRY(next_tag(&l));
    return add(&l, (lm_jtoken){.kind = LM_JT_END, .line = l.line});
}
