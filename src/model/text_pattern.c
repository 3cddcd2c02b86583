#include "model/text_pattern.h"

#include <stdio.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/mem.h"

enum {
    MATCH_LIMIT =
        10 * 1000 * 1000, /* steps of one match; a pattern worth its name needs a few a character */
    MAX_SCRIPT_NAME_BYTES = 40,
    MAX_CLASS_DEPTH = 8,
};

struct lm_text_pattern {
    pcre2_code *code;
    bool has_jit;
};

/* ------------------------------------------------------------------------------------------------- dialects */

/* PCRE2's \s has U+180E besides Unicode's White_Space; the engines these patterns were written for do not. */
#define WHITE_SPACE                                                                              \
    "\\x09-\\x0d\\x20\\x85\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}" \
    "\\x{3000}"

/* Theirs has marks and connecting punctuation (UTS #18, annex C), PCRE2's only letters, numbers and '_'. */
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"

static pcre2_code *compile_utf(const char *text, size_t len, int *code, PCRE2_SIZE *offset) {
    return pcre2_compile((PCRE2_SPTR)text, len,
                         PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, code,
                         offset, NULL);
}

/* Since PCRE2 10.40 \p{Han} is every character that is used with the script; they mean those of the script. */
static bool is_script(lm_str name) {
    char text[MAX_SCRIPT_NAME_BYTES + 16];
    int code, len;
    PCRE2_SIZE offset;
    if (name.len < 3 || name.len > MAX_SCRIPT_NAME_BYTES || memchr(name.ptr, ':', name.len) ||
        memchr(name.ptr, '=', name.len))
        return false;
    len = snprintf(text, sizeof text, "\\p{sc:%.*s}", (int)name.len, name.ptr);
    pcre2_code *compiled = compile_utf(text, (size_t)len, &code, &offset);
    pcre2_code_free(compiled);
    return compiled != NULL;
}

/* "\p{Name}" at text[0]: appends it and returns its bytes. */
static size_t spell_property(lm_str text, lm_buf *out) {
    const char *end = text.len > 3 && text.ptr[2] == '{' ? memchr(text.ptr, '}', text.len) : NULL;
    size_t len = end ? (size_t)(end - text.ptr) + 1 : 2;
    bool negated = end && text.ptr[3] == '^';
    size_t skip = negated ? 4 : 3;
    if (end && is_script((lm_str){text.ptr + skip, len - skip - 1})) {
        lm_buf_append(out, text.ptr, skip);
        lm_buf_puts(out, "sc:");
        lm_buf_append(out, text.ptr + skip, len - skip);
    } else {
        lm_buf_append(out, text.ptr, len);
    }
    return len;
}

/* The escape at text[0]: appends what means the same to PCRE2 and returns its bytes. */
static size_t spell_escape(lm_str text, bool in_class, lm_buf *out) {
    static const struct {
        char letter;
        const char *in_class, *alone; /* NULL: as it is */
    } rows[] = {{'s', WHITE_SPACE, "[" WHITE_SPACE "]"},
                {'S', NULL, "[^" WHITE_SPACE "]"},
                {'w', WORD, "[" WORD "]"},
                {'W', NULL, "[^" WORD "]"},
                {'h', "0-9A-Fa-f", "[0-9A-Fa-f]"},
                {'H', NULL, "[^0-9A-Fa-f]"}};
    char letter = text.len > 1 ? text.ptr[1] : '\0';
    if (letter == 'p' || letter == 'P') return spell_property(text, out);
    for (size_t i = 0; i < LM_COUNT_OF(rows); i++) {
        const char *spelling = in_class ? rows[i].in_class : rows[i].alone;
        if (rows[i].letter != letter || !spelling) continue;
        lm_buf_puts(out, spelling);
        return 2;
    }
    size_t n = text.len > 1 ? 2 : 1;
    lm_buf_append(out, text.ptr, n);
    return n;
}

/* Bytes of the class that begins at text[0] == '[', its ']' included; 0 when it is not closed or nests too deep. */
static size_t class_bytes(lm_str text) {
    size_t at = 1 + (text.len > 1 && text.ptr[1] == '^');
    for (size_t first = at, depth = 1; at < text.len && depth <= MAX_CLASS_DEPTH; at++) {
        char c = text.ptr[at];
        if (c == '\\')
            at++;
        else if (c == '[')
            depth++;
        else if (c == ']' && at != first && --depth == 0)
            return at + 1;
    }
    return 0;
}

static void spell_class(lm_str text, lm_buf *out);

/* A class inside a class that only adds to it; 0 when none begins at text[0]. */
static size_t inner_class_bytes(lm_str text) {
    bool adds = text.ptr[0] == '[' && text.len > 1 && text.ptr[1] != ':' && text.ptr[1] != '^';
    return adds ? class_bytes(text) : 0;
}

/* What stands inside brackets; nested classes are written out flat. */
static void spell_members(lm_str text, lm_buf *out) {
    for (size_t at = 0; at < text.len;) {
        lm_str rest = {text.ptr + at, text.len - at};
        if (rest.ptr[0] == '\\') {
            at += spell_escape(rest, true, out);
        } else if (inner_class_bytes(rest) > 0) {
            size_t n = inner_class_bytes(rest);
            spell_members((lm_str){rest.ptr + 1, n - 2}, out);
            at += n;
        } else {
            if (rest.ptr[0] == '[' && (rest.len == 1 || rest.ptr[1] != ':')) lm_buf_putc(out, '\\');
            lm_buf_putc(out, rest.ptr[0]);
            at++;
        }
    }
}

static size_t inner_bytes(lm_str text) {
    size_t n = class_bytes(text);
    return n ? n : 1;
}

/* Where "&&" stands in the class's members, outside of inner classes; its length when nowhere. */
static size_t find_intersection(lm_str members) {
    for (size_t at = 0; at + 1 < members.len; at++) {
        char c = members.ptr[at];
        if (c == '\\')
            at++;
        else if (c == '[')
            at += inner_bytes((lm_str){members.ptr + at, members.len - at}) - 1;
        else if (c == '&' && members.ptr[at + 1] == '&')
            return at;
    }
    return members.len;
}

/* [A&&[^B]] has no spelling in PCRE2: a look ahead for one and the character of the other, (?:(?=[^B])[A]). */
static void spell_class(lm_str text, lm_buf *out) {
    lm_str members = {text.ptr + 1, text.len - 2};
    size_t cut = find_intersection(members);
    if (cut == members.len) {
        lm_buf_putc(out, '[');
        spell_members(members, out);
        lm_buf_putc(out, ']');
        return;
    }
    lm_str other = {members.ptr + cut + 2, members.len - cut - 2};
    bool is_class = other.len > 2 && other.ptr[0] == '[' && class_bytes(other) == other.len;
    lm_buf_puts(out, "(?:(?=");
    if (is_class) {
        spell_class(other, out);
    } else {
        lm_buf_putc(out, '[');
        spell_members(other, out);
        lm_buf_putc(out, ']');
    }
    lm_buf_puts(out, ")[");
    spell_members((lm_str){members.ptr, cut}, out);
    lm_buf_puts(out, "])");
}

static void spell_for_pcre2(lm_str pattern, lm_buf *out) {
    for (size_t at = 0; at < pattern.len;) {
        lm_str rest = {pattern.ptr + at, pattern.len - at};
        if (rest.ptr[0] == '\\') {
            at += spell_escape(rest, false, out);
        } else if (rest.ptr[0] == '[' && class_bytes(rest) > 0) {
            size_t n = class_bytes(rest);
            spell_class((lm_str){rest.ptr, n}, out);
            at += n;
        } else {
            lm_buf_putc(out, rest.ptr[0]);
            at++;
        }
    }
}

/* ------------------------------------------------------------------------------------------------- compiling */

static LM_MUST_USE loam_status compile(lm_str pattern, pcre2_code **out, loam_error *err) {
    int code = 0;
    PCRE2_SIZE offset = 0;
    lm_buf spelled;
    lm_buf_init(&spelled, 128 * LM_TEXT_PATTERN_MAX_BYTES);
    spell_for_pcre2(pattern, &spelled);
    loam_status status = lm_buf_status(&spelled, err);
    if (status == LOAM_OK) *out = compile_utf(lm_buf_cstr(&spelled), spelled.len, &code, &offset);
    lm_buf_deinit(&spelled);
    if (status != LOAM_OK || *out) return status;
    char reason[128];
    pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
    return lm_error_set(err, LOAM_INVALID, "the pattern '%.*s' does not compile: %s",
                        (int)(pattern.len < 200 ? pattern.len : 200), pattern.ptr, reason);
}

loam_status lm_text_pattern_new(lm_str pattern, lm_text_pattern **out, loam_error *err) {
    if (pattern.len > LM_TEXT_PATTERN_MAX_BYTES)
        return lm_error_set(err, LOAM_LIMIT, "a pattern of %zu bytes, at most %d are allowed",
                            pattern.len, LM_TEXT_PATTERN_MAX_BYTES);
    lm_text_pattern *made = lm_calloc(1, sizeof *made);
    if (!made) return lm_error_no_memory(err, sizeof *made);
    loam_status status = compile(pattern, &made->code, err);
    if (status != LOAM_OK) {
        lm_free(made);
        return status;
    }
    made->has_jit = pcre2_jit_compile(made->code, PCRE2_JIT_COMPLETE) == 0;
    *out = made;
    return LOAM_OK;
}

void lm_text_pattern_free(lm_text_pattern *pattern) {
    if (!pattern) return;
    pcre2_code_free(pattern->code);
    lm_free(pattern);
}

/* ------------------------------------------------------------------------------------------------- matching */

void lm_text_matcher_deinit(lm_text_matcher *matcher) {
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->context);
    *matcher = (lm_text_matcher){0};
}

static LM_MUST_USE bool matcher_prepare(lm_text_matcher *matcher) {
    if (!matcher->data) matcher->data = pcre2_match_data_create(1, NULL);
    if (!matcher->context) {
        matcher->context = pcre2_match_context_create(NULL);
        if (matcher->context) pcre2_set_match_limit(matcher->context, MATCH_LIMIT);
    }
    return matcher->data && matcher->context;
}

loam_status lm_text_pattern_find(const lm_text_pattern *pattern, lm_text_matcher *matcher,
                                 lm_str text, size_t from, bool *out_found, size_t *out_start,
                                 size_t *out_end, loam_error *err) {
    PCRE2_SPTR subject = (PCRE2_SPTR)text.ptr;
    if (!matcher_prepare(matcher)) return lm_error_no_memory(err, text.len);
    int n = PCRE2_ERROR_JIT_STACKLIMIT;
    if (pattern->has_jit)
        n = pcre2_jit_match(pattern->code, subject, text.len, from, 0, matcher->data,
                            matcher->context);
    if (n == PCRE2_ERROR_JIT_STACKLIMIT || n == PCRE2_ERROR_JIT_BADOPTION)
        n = pcre2_match(pattern->code, subject, text.len, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                        matcher->data, matcher->context);
    *out_found = n >= 0;
    if (n == PCRE2_ERROR_NOMATCH) return LOAM_OK;
    if (n == PCRE2_ERROR_NOMEMORY) return lm_error_no_memory(err, text.len);
    if (n < 0) {
        char reason[128];
        pcre2_get_error_message(n, (PCRE2_UCHAR *)reason, sizeof reason);
        return lm_error_set(err, LOAM_LIMIT, "a pattern gave up on %zu bytes of text: %s", text.len,
                            reason);
    }
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(matcher->data);
    *out_start = bounds[0];
    *out_end = bounds[1] > bounds[0] ? bounds[1] : bounds[0];
    return LOAM_OK;
}
