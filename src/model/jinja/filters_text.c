/* Filters on texts and numbers. */
#include <math.h>
#include <stdlib.h>

#include "model/jinja/builtins.h"
#include "model/jinja/unicode.h"

enum {
    DEFAULT_WIDTH = 80,
    DEFAULT_WRAP = 79,
    DEFAULT_INDENT = 4,
    DEFAULT_LENGTH = 255,
    DEFAULT_LEEWAY = 5
};

/* What is filtered must be a text: where Jinja works on it without str(). */
static LM_MUST_USE loam_status self_string(lm_jrun *run, const lm_jcall *call, lm_str *out) {
    if (call->self.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, call->self);
    if (call->self.kind != LM_J_STRING)
        return lm_jrun_fail(run, "expected a string, not '%s'", lm_jval_type_name(call->self));
    *out = lm_jstr_text(call->self.u.string);
    return LOAM_OK;
}

/* What is made of markup stays markup. */
static void keep_markup(const lm_jcall *call, lm_jval *out) {
    if (call->self.kind == LM_J_STRING && call->self.u.string->markup)
        ((lm_jstr *)out->u.string)->markup = true;
}

/* A method of strings on str(value). */
static LM_MUST_USE loam_status as_method(lm_jrun *run, const lm_jcall *call, const char *name,
                                         const lm_jargs *args, lm_jval *out) {
    lm_str text;
    lm_jval self;
    LM_TRY(lm_jself_text(run, call, &text));
    LM_TRY(lm_jval_str_ref(run, text, &self));
    LM_TRY(lm_jrun_call_builtin(run, lm_jbuiltin_method(LM_J_STRING, lm_str_of(name)), self, args,
                                out));
    keep_markup(call, out);
    return LOAM_OK;
}

/* ---- cases ---- */

#define CASE_FILTER(name, to)                                                          \
    loam_status lm_j_filter_##name(lm_jrun *run, const lm_jcall *call, lm_jval *out) { \
        lm_str text;                                                                   \
        LM_TRY(lm_jself_text(run, call, &text));                                       \
        LM_TRY(lm_jconvert(run, text, to, out));                                       \
        keep_markup(call, out);                                                        \
        return LOAM_OK;                                                                \
    }
CASE_FILTER(capitalize, LM_CASE_CAPITALIZE)
CASE_FILTER(lower, LM_CASE_LOWER)
CASE_FILTER(upper, LM_CASE_UPPER)

/* Jinja's title: words begin behind white space, hyphens and opening brackets. */
loam_status lm_j_filter_title(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text;
    size_t begin = lm_jrun_capture(run), word = 0;
    LM_TRY(lm_jself_text(run, call, &text));
    LM_TRY(lm_jrun_charge_text(run, 8 * text.len));
    for (size_t at = 0; at <= text.len;) {
        size_t end = at;
        uint32_t c = at < text.len ? lm_unicode_next(text, &at) : ' ';
        bool cuts = lm_unicode_is_space(c) || (c && c < 0x80 && strchr("-({[<", (int)c));
        if (cuts && end > word) {
            lm_str part = {text.ptr + word, end - word};
            size_t first = 0;
            lm_unicode_next(part, &first);
            lm_unicode_convert((lm_str){part.ptr, first}, LM_CASE_UPPER, &run->out);
            lm_unicode_convert((lm_str){part.ptr + first, part.len - first}, LM_CASE_LOWER,
                               &run->out);
        }
        if (cuts && end < text.len) lm_buf_append(&run->out, text.ptr + end, at - end);
        if (cuts) word = at;
        if (end == text.len) break;
    }
    return lm_jrun_take(run, begin, out);
}

/* ---- cutting and joining ---- */

loam_status lm_j_filter_trim(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    const lm_jargs args = {.pos = call->args, .n_pos = lm_jarg_given(call, 0)};
    return as_method(run, call, "strip", &args, out);
}

loam_status lm_j_filter_center(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    const lm_jval width = lm_jarg_given(call, 0) ? call->args[0] : lm_jval_int(DEFAULT_WIDTH);
    return as_method(run, call, "center", &(lm_jargs){.pos = &width, .n_pos = 1}, out);
}

loam_status lm_j_filter_replace(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text, old, new_text;
    int64_t count = -1;
    if (lm_jarg_given(call, 2) && call->args[2].kind != LM_J_NONE)
        LM_TRY(lm_jarg_int(run, call, 2, -1, &count));
    LM_TRY(lm_jself_text(run, call, &text));
    LM_TRY(lm_jrun_to_str(run, call->args[0], &old));
    LM_TRY(lm_jrun_to_str(run, call->args[1], &new_text));
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jreplace(run, text, old, new_text, count));
    return lm_jrun_take(run, begin, out);
}

loam_status lm_j_filter_string(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text;
    *out = call->self;
    if (call->self.kind == LM_J_STRING) return LOAM_OK;
    LM_TRY(lm_jself_text(run, call, &text));
    return lm_jval_str_ref(run, text, out);
}

static LM_MUST_USE loam_status indentation(lm_jrun *run, const lm_jcall *call, lm_str *out) {
    lm_jval space, width = lm_jarg_given(call, 0) ? call->args[0] : lm_jval_int(DEFAULT_INDENT);
    if (width.kind != LM_J_STRING) {
        LM_TRY(lm_jval_str_ref(run, LM_STR(" "), &space));
        LM_TRY(lm_jval_arithmetic(run, LM_JOP_MUL, space, width, &width));
    }
    *out = lm_jstr_text(width.u.string);
    return LOAM_OK;
}

loam_status lm_j_filter_indent(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text, space;
    lm_jgrowing lines = {0};
    lm_jval whole;
    bool first = lm_jarg_truth(call, 1, false), blank = lm_jarg_truth(call, 2, false);
    LM_TRY(self_string(run, call, &text));
    LM_TRY(indentation(run, call, &space));
    LM_TRY(lm_jrun_concat(run, call->self.u.string, LM_STR("\n"), &whole));
    LM_TRY(lm_jsplit_lines(run, lm_jstr_text(whole.u.string), false, &lines));
    size_t begin = lm_jrun_capture(run);
    if (first) lm_jrun_put(run, space);
    for (size_t i = 0; i < lines.n; i++) {
        lm_str line = lm_jstr_text(lines.items[i].u.string);
        if (i) lm_buf_putc(&run->out, '\n');
        if (i && (blank || line.len)) lm_jrun_put(run, space);
        lm_jrun_put(run, line);
        LM_TRY(lm_jrun_charge_text(run, space.len + line.len));
    }
    return lm_jrun_take(run, begin, out);
}

loam_status lm_j_filter_truncate(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text, end = LM_STR("..."), space = LM_STR(" ");
    int64_t length, leeway = DEFAULT_LEEWAY;
    lm_jgrowing parts = {0};
    LM_TRY(lm_jarg_int(run, call, 0, DEFAULT_LENGTH, &length));
    if (lm_jarg_given(call, 2)) LM_TRY(lm_jarg_text(run, call, 2, &end));
    if (lm_jarg_given(call, 3) && call->args[3].kind != LM_J_NONE)
        LM_TRY(lm_jarg_int(run, call, 3, 0, &leeway));
    int64_t n_end = (int64_t)lm_unicode_count(end), n = lm_jval_len(call->self);
    if (length < n_end)
        return lm_jrun_fail(run, "expected length >= %lld, got %lld", (long long)n_end,
                            (long long)length);
    if (leeway < 0) return lm_jrun_fail(run, "expected leeway >= 0, got %lld", (long long)leeway);
    if (n < 0)
        return lm_jrun_fail(run, "object of type '%s' has no len()", lm_jval_type_name(call->self));
    *out = call->self;
    if (n <= length || n - length <= leeway) return LOAM_OK;
    LM_TRY(self_string(run, call, &text));
    text.len = lm_unicode_offset(text, (size_t)n, (size_t)(length - n_end));
    if (!lm_jarg_truth(call, 1, false)) {
        LM_TRY(lm_jsplit(run, text, &space, 1, true, &parts));
        text = lm_jstr_text(parts.items[0].u.string);
    }
    lm_jval cut;
    LM_TRY(lm_jval_str_ref(run, text, &cut));
    return lm_jrun_concat(run, cut.u.string, end, out);
}

loam_status lm_j_filter_wordcount(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text;
    int64_t n = 0;
    bool in_word = false;
    LM_TRY(lm_jself_text(run, call, &text));
    LM_TRY(lm_jrun_charge_text(run, text.len));
    for (size_t at = 0; at < text.len;) {
        bool is_word = lm_unicode_is_word(lm_unicode_next(text, &at));
        n += is_word && !in_word;
        in_word = is_word;
    }
    *out = lm_jval_int(n);
    return LOAM_OK;
}

loam_status lm_j_filter_format(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text;
    lm_jval values;
    const lm_jargs *given = call->given;
    if (given->n_pos && given->n_kw)
        return lm_jrun_fail(run, "can't handle positional and keyword arguments at the same time");
    LM_TRY(lm_jself_text(run, call, &text));
    if (given->n_kw) {
        LM_TRY(lm_jval_dict(run, LM_J_DICT, &values));
        for (size_t i = 0; i < given->n_kw; i++)
            LM_TRY(lm_jdict_set_text(run, values.u.dict, given->kw[i].name, given->kw[i].value));
    } else {
        LM_TRY(lm_jval_list(run, LM_J_TUPLE, (lm_jval *)given->pos, given->n_pos, &values));
    }
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jformat_percent(run, text, values));
    return lm_jrun_take(run, begin, out);
}

/* ---- wrapping ---- */

typedef struct wrapping {
    lm_jrun *run;
    int64_t width;
    lm_str newline;
    bool break_long;
    int64_t column; /* characters of the line so far */
    bool any;       /* a line of this paragraph is finished */
} wrapping;

static bool is_wrap_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Chunks of a paragraph: runs of white space, and words, cut behind hyphens between letters. */
static LM_MUST_USE loam_status wrap_chunks(lm_jrun *run, lm_str text, bool hyphens,
                                           lm_jgrowing *out) {
    for (size_t at = 0; at < text.len;) {
        size_t end = at;
        bool space = is_wrap_space(text.ptr[at]);
        while (end < text.len && is_wrap_space(text.ptr[end]) == space) {
            bool cut = hyphens && !space && text.ptr[end] == '-' && end > at + 1 &&
                       end + 2 < text.len && text.ptr[end - 1] != '-' && text.ptr[end + 1] != '-' &&
                       !is_wrap_space(text.ptr[end + 1]) && !is_wrap_space(text.ptr[end + 2]);
            end++;
            if (cut) break;
        }
        lm_jval chunk;
        LM_TRY(lm_jrun_charge(run, 1));
        LM_TRY(lm_jval_str_ref(run, (lm_str){text.ptr + at, end - at}, &chunk));
        LM_TRY(lm_jgrow(run, out, chunk));
        at = end;
    }
    return LOAM_OK;
}

static bool is_blank(lm_jval chunk) {
    return lm_unicode_strip(lm_jstr_text(chunk.u.string), NULL, true, false).len == 0;
}

/* Fills one line from chunks[*next] on; what is longer than a line is cut if that is wanted. */
static LM_MUST_USE loam_status wrap_line(wrapping *w, lm_jgrowing *chunks, size_t *next) {
    int64_t used = 0;
    size_t first = *next;
    if (w->any && is_blank(chunks->items[first]))
        first = ++*next; /* lines do not begin with white space */
    while (*next < chunks->n && used + (int64_t)chunks->items[*next].u.string->n_chars <= w->width)
        used += (int64_t)chunks->items[(*next)++].u.string->n_chars;
    size_t last = *next;
    lm_str tail = {"", 0};
    if (*next < chunks->n && (int64_t)chunks->items[*next].u.string->n_chars > w->width) {
        const lm_jstr *word = chunks->items[*next].u.string;
        int64_t room = w->width - used < 1 ? 1 : w->width - used;
        lm_str text = lm_jstr_text(word);
        if (w->break_long && w->width - used >= 1) {
            size_t cut = lm_unicode_offset(text, word->n_chars, (size_t)room);
            tail = (lm_str){text.ptr, cut};
            LM_TRY(lm_jval_str_ref(w->run, (lm_str){text.ptr + cut, text.len - cut},
                                   &chunks->items[*next]));
        } else if (used == 0) {
            last = ++*next;
        }
    }
    while (last > first && tail.len == 0 && is_blank(chunks->items[last - 1])) last--;
    if (last == first && tail.len == 0) return LOAM_OK;
    if (w->any) lm_jrun_put(w->run, w->newline);
    for (size_t i = first; i < last; i++) LM_TRY(lm_jrun_put_str(w->run, chunks->items[i]));
    lm_jrun_put(w->run, tail);
    w->any = true;
    return lm_jrun_charge(w->run, 1);
}

loam_status lm_j_filter_wordwrap(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text;
    lm_jgrowing lines = {0};
    wrapping w = {.run = run, .newline = LM_STR("\n"), .break_long = lm_jarg_truth(call, 1, true)};
    bool hyphens = lm_jarg_truth(call, 3, true);
    LM_TRY(self_string(run, call, &text));
    LM_TRY(lm_jarg_int(run, call, 0, DEFAULT_WRAP, &w.width));
    if (lm_jarg_given(call, 2) && call->args[2].kind != LM_J_NONE)
        LM_TRY(lm_jarg_text(run, call, 2, &w.newline));
    LM_TRY(lm_jsplit_lines(run, text, false, &lines));
    size_t begin = lm_jrun_capture(run);
    for (size_t i = 0; i < lines.n; i++) {
        lm_jgrowing chunks = {0};
        lm_str line = lm_jstr_text(lines.items[i].u.string);
        if (w.width <= 0 && line.len)
            return lm_jrun_fail(run, "invalid width %lld (must be > 0)", (long long)w.width);
        LM_TRY(wrap_chunks(run, line, hyphens, &chunks));
        if (i) lm_jrun_put(run, w.newline);
        w.any = false;
        for (size_t next = 0; next < chunks.n;) LM_TRY(wrap_line(&w, &chunks, &next));
    }
    return lm_jrun_take(run, begin, out);
}

/* ---- HTML ---- */

static void put_html(lm_buf *out, lm_str text) {
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '&': lm_buf_puts(out, "&amp;"); break;
        case '<': lm_buf_puts(out, "&lt;"); break;
        case '>': lm_buf_puts(out, "&gt;"); break;
        case '"': lm_buf_puts(out, "&#34;"); break;
        case '\'': lm_buf_puts(out, "&#39;"); break;
        default: lm_buf_putc(out, text.ptr[i]);
        }
    }
}

static LM_MUST_USE loam_status mark(lm_jrun *run, lm_str text, lm_jval *out) {
    LM_TRY(lm_jval_str_ref(run, text, out));
    ((lm_jstr *)out->u.string)->markup = true;
    return LOAM_OK;
}

static LM_MUST_USE loam_status escape(lm_jrun *run, lm_str text, lm_jval *out) {
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jrun_charge_text(run, 4 * text.len));
    put_html(&run->out, text);
    LM_TRY(lm_jrun_take(run, begin, out));
    ((lm_jstr *)out->u.string)->markup = true;
    return LOAM_OK;
}

loam_status lm_j_filter_escape(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text;
    *out = call->self;
    if (call->self.kind == LM_J_STRING && call->self.u.string->markup) return LOAM_OK;
    LM_TRY(lm_jself_text(run, call, &text));
    return escape(run, text, out);
}

loam_status lm_j_filter_forceescape(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text;
    LM_TRY(lm_jself_text(run, call, &text));
    return escape(run, text, out);
}

loam_status lm_j_filter_safe(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text;
    LM_TRY(lm_jself_text(run, call, &text));
    return mark(run, text, out);
}

/* Without comments and tags; white space in one. */
loam_status lm_j_filter_striptags(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text;
    lm_jgrowing words = {0};
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jself_text(run, call, &text));
    LM_TRY(lm_jrun_charge_text(run, text.len));
    for (size_t at = 0; at < text.len;) {
        lm_str rest = {text.ptr + at, text.len - at};
        bool is_comment = lm_str_starts(rest, LM_STR("<!--"));
        const char *end = rest.ptr[0] != '<' ? NULL
                          : is_comment       ? memmem(rest.ptr, rest.len, "-->", 3)
                                             : memchr(rest.ptr, '>', rest.len);
        if (!end) lm_buf_putc(&run->out, rest.ptr[0]);
        at += end ? (size_t)(end - rest.ptr) + (is_comment ? 3 : 1) : 1;
    }
    LM_TRY(lm_jrun_take(run, begin, out));
    LM_TRY(lm_jsplit(run, lm_jstr_text(out->u.string), NULL, -1, false, &words));
    static const struct {
        const char *name, *text;
    } entities[] = {{"&lt;", "<"},  {"&gt;", ">"},    {"&#34;", "\""},
                    {"&#39;", "'"}, {"&quot;", "\""}, {"&amp;", "&"}};
    for (size_t i = 0; i < words.n; i++) {
        if (i) lm_buf_putc(&run->out, ' ');
        LM_TRY(lm_jrun_put_str(run, words.items[i]));
    }
    LM_TRY(lm_jrun_take(run, begin, out));
    for (size_t i = 0; i < LM_COUNT_OF(entities); i++) {
        LM_TRY(lm_jreplace(run, lm_jstr_text(out->u.string), lm_str_of(entities[i].name),
                           lm_str_of(entities[i].text), -1));
        LM_TRY(lm_jrun_take(run, begin, out));
    }
    return LOAM_OK;
}

loam_status lm_j_filter_xmlattr(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    size_t begin = lm_jrun_capture(run);
    bool space = lm_jarg_truth(call, 0, true);
    if (call->self.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, call->self);
    if (call->self.kind != LM_J_DICT)
        return lm_jrun_fail(run, "'%s' object has no attribute 'items'",
                            lm_jval_type_name(call->self));
    for (size_t i = 0; i < call->self.u.dict->n; i++) {
        const lm_jentry *e = &call->self.u.dict->entries[i];
        lm_str key, value;
        if (e->value.kind == LM_J_NONE || e->value.kind == LM_J_UNDEFINED) continue;
        if (e->key.kind != LM_J_STRING)
            return lm_jrun_fail(run, "expected string or bytes-like object");
        key = lm_jstr_text(e->key.u.string);
        for (size_t k = 0; k < key.len; k++)
            if (strchr(" \t\n\r\f\v/>=", key.ptr[k]) && key.ptr[k])
                return lm_jrun_fail(run, "Invalid character in attribute name: '%.*s'",
                                    (int)key.len, key.ptr);
        LM_TRY(lm_jrun_to_str(run, e->value, &value));
        if (run->out.len > begin || space) lm_buf_putc(&run->out, ' ');
        put_html(&run->out, key);
        lm_buf_puts(&run->out, "=\"");
        put_html(&run->out, value);
        lm_buf_putc(&run->out, '"');
        LM_TRY(lm_jrun_charge_text(run, key.len + value.len));
    }
    return lm_jrun_take(run, begin, out);
}

static void put_url(lm_buf *out, lm_str text, bool query) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr("_.-~", c));
        if (plain || (c == '/' && !query))
            lm_buf_putc(out, c);
        else if (c == ' ' && query)
            lm_buf_putc(out, '+');
        else
            lm_buf_printf(out, "%%%02X", (uint8_t)c);
    }
}

static LM_MUST_USE loam_status put_query(lm_jrun *run, lm_jval pairs) {
    const lm_jval *items, *pair;
    lm_str text;
    size_t n, n_pair;
    LM_TRY(lm_jval_items(run, pairs, &items, &n));
    for (size_t i = 0; i < n; i++) {
        LM_TRY(lm_jval_items(run, items[i], &pair, &n_pair));
        if (n_pair != 2) return lm_jrun_fail(run, "urlencode needs pairs");
        if (i) lm_buf_putc(&run->out, '&');
        LM_TRY(lm_jrun_to_str(run, pair[0], &text));
        put_url(&run->out, text, true);
        lm_buf_putc(&run->out, '=');
        LM_TRY(lm_jrun_to_str(run, pair[1], &text));
        put_url(&run->out, text, true);
    }
    return LOAM_OK;
}

loam_status lm_j_filter_urlencode(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text;
    size_t begin = lm_jrun_capture(run);
    lm_jval pairs = call->self;
    if (pairs.kind == LM_J_STRING || !lm_jval_is_iterable(pairs)) {
        LM_TRY(lm_jself_text(run, call, &text));
        LM_TRY(lm_jrun_charge_text(run, 4 * text.len));
        put_url(&run->out, text, false);
        return lm_jrun_take(run, begin, out);
    }
    if (pairs.kind == LM_J_DICT) LM_TRY(lm_j_dict_items(run, call, &pairs));
    LM_TRY(put_query(run, pairs));
    return lm_jrun_take(run, begin, out);
}

/* Links make no sense in a prompt: the text is left as HTML would show it without them. */
loam_status lm_j_filter_urlize(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text;
    LM_TRY(lm_jself_text(run, call, &text));
    if (memmem(text.ptr, text.len, "://", 3) || memmem(text.ptr, text.len, "www.", 4) ||
        memchr(text.ptr, '@', text.len))
        return lm_jrun_fail(run, "urlize: making links is not supported");
    size_t begin = lm_jrun_capture(run);
    put_html(&run->out, text);
    return lm_jrun_take(run, begin, out);
}

/* ---- numbers ---- */

loam_status lm_jparse_int(lm_jrun *run, lm_str text, int64_t base, bool *out_good, int64_t *out) {
    size_t at = 0, n = 0;
    int64_t value = 0;
    *out_good = false;
    text = lm_unicode_strip(text, NULL, true, true);
    bool negative = text.len && text.ptr[0] == '-';
    if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+')) at = 1;
    if (at + 1 < text.len && text.ptr[at] == '0' && base != 10) {
        char kind = text.ptr[at + 1] | 0x20;
        int64_t said = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
        if (said && (base == said || base == 0)) {
            base = said;
            at += 2;
            if (at < text.len && text.ptr[at] == '_') at++;
        }
    }
    if (base == 0) base = 10;
    if (base < 2 || base > 36) return LOAM_OK;
    for (; at < text.len; at++) {
        char c = text.ptr[at];
        if (c == '_' && n && at + 1 < text.len && text.ptr[at - 1] != '_') continue;
        int64_t digit = c >= '0' && c <= '9'                     ? c - '0'
                        : (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? (c | 0x20) - 'a' + 10
                                                                 : 99;
        if (digit >= base) return LOAM_OK;
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return lm_jrun_fail(run, "an integer of more than 64 bits");
        n++;
    }
    *out_good = n > 0;
    *out = negative ? -value : value;
    return LOAM_OK;
}

bool lm_jparse_float(lm_str text, double *out) {
    char copy[512];
    size_t n = 0;
    text = lm_unicode_strip(text, NULL, true, true);
    if (text.len == 0 || text.len >= sizeof copy) return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool between = i > 0 && i + 1 < text.len && text.ptr[i - 1] >= '0' &&
                       text.ptr[i - 1] <= '9' && text.ptr[i + 1] >= '0' && text.ptr[i + 1] <= '9';
        if (c == '_' && between) continue;
        if (!c || (c | 0x20) == 'x' || c == '_' || c == '(')
            return false; /* strtod reads hexadecimals, Python does not */
        copy[n++] = c;
    }
    copy[n] = '\0';
    char *end;
    *out = strtod(copy, &end);
    return *end == '\0' && end > copy;
}

/* int(value) of a float; false: inf, nan, or too large. */
static bool whole(double value, int64_t *out) {
    if (!(fabs(value) < 9223372036854775807.0)) return false;
    *out = (int64_t)value;
    return true;
}

loam_status lm_j_filter_int(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    int64_t base, value = 0;
    double real;
    bool good = false;
    lm_jval self = call->self;
    LM_TRY(lm_jarg_int(run, call, 1, 10, &base));
    if (self.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, self);
    if (self.kind == LM_J_STRING) {
        lm_str text = lm_jstr_text(self.u.string);
        LM_TRY(lm_jparse_int(run, text, base, &good, &value));
        if (!good) good = lm_jparse_float(text, &real) && whole(real, &value);
    } else if (self.kind == LM_J_FLOAT) {
        if (isinf(self.u.real))
            return lm_jrun_fail(run, "cannot convert float infinity to integer");
        good = whole(self.u.real, &value);
        if (!good && !isnan(self.u.real))
            return lm_jrun_fail(run, "an integer of more than 64 bits");
    } else if (lm_jval_is_int(self)) {
        good = true;
        value = lm_jval_to_int(self);
    }
    *out = good ? lm_jval_int(value) : lm_jarg_given(call, 0) ? call->args[0] : lm_jval_int(0);
    return LOAM_OK;
}

loam_status lm_j_filter_float(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    double value = 0;
    lm_jval self = call->self;
    if (self.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, self);
    bool good = self.kind == LM_J_STRING ? lm_jparse_float(lm_jstr_text(self.u.string), &value)
                                         : lm_jval_is_number(self);
    if (lm_jval_is_number(self)) value = lm_jval_to_float(self);
    *out = good ? lm_jval_float(value) : lm_jarg_given(call, 0) ? call->args[0] : lm_jval_float(0);
    return LOAM_OK;
}

loam_status lm_j_filter_abs(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jval self = call->self;
    if (self.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, self);
    if (!lm_jval_is_number(self))
        return lm_jrun_fail(run, "bad operand type for abs(): '%s'", lm_jval_type_name(self));
    bool negative = self.kind == LM_J_FLOAT ? signbit(self.u.real) : lm_jval_to_int(self) < 0;
    return lm_jval_negate(run, self, negative, out);
}

/* Exactly rounded to `precision` places, halves to even, as Python's round does by way of the decimal text. */
static double round_to(double value, int64_t precision) {
    char text[400];
    if (!isfinite(value) || precision > 300) return value;
    if (precision < 0) {
        double scale = pow(10, (double)-precision), scaled = value / scale;
        double rounded = nearbyint(scaled);
        return precision < -308 ? copysign(0, value) : rounded * scale;
    }
    snprintf(text, sizeof text, "%.*f", (int)precision, value);
    return strtod(text, NULL);
}

static LM_MUST_USE loam_status round_int(lm_jrun *run, int64_t value, int64_t precision,
                                         lm_jval *out) {
    int64_t scale = 1;
    *out = lm_jval_int(value);
    if (precision >= 0) return LOAM_OK;
    for (int64_t i = 0; i > precision; i--)
        if (__builtin_mul_overflow(scale, 10, &scale)) {
            *out = lm_jval_int(0);
            return LOAM_OK;
        }
    int64_t quotient = value / scale, rest = value % scale, twice;
    if (rest < 0) {
        rest += scale;
        quotient--;
    }
    twice = rest - (scale - rest);
    quotient += twice > 0 || (twice == 0 && (quotient & 1));
    if (__builtin_mul_overflow(quotient, scale, &value))
        return lm_jrun_fail(run, "an integer of more than 64 bits");
    *out = lm_jval_int(value);
    return LOAM_OK;
}

loam_status lm_j_filter_round(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str method = LM_STR("common");
    int64_t precision;
    lm_jval self = call->self;
    LM_TRY(lm_jarg_int(run, call, 0, 0, &precision));
    if (lm_jarg_given(call, 1)) LM_TRY(lm_jarg_text(run, call, 1, &method));
    bool ceil_it = lm_str_is(method, "ceil"), common = lm_str_is(method, "common");
    if (!ceil_it && !common && !lm_str_is(method, "floor"))
        return lm_jrun_fail(run, "method must be common, ceil or floor");
    if (self.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, self);
    if (!lm_jval_is_number(self))
        return lm_jrun_fail(run, "type %s doesn't define __round__ method",
                            lm_jval_type_name(self));
    if (common && lm_jval_is_int(self)) return round_int(run, lm_jval_to_int(self), precision, out);
    double value = lm_jval_to_float(self);
    if (common) {
        *out = lm_jval_float(round_to(value, precision));
        return LOAM_OK;
    }
    lm_jval scale, scaled;
    LM_TRY(lm_jval_arithmetic(run, LM_JOP_POW, lm_jval_int(10), lm_jval_int(precision), &scale));
    LM_TRY(lm_jval_arithmetic(run, LM_JOP_MUL, self, scale, &scaled));
    double whole_value = ceil_it ? ceil(lm_jval_to_float(scaled)) : floor(lm_jval_to_float(scaled));
    if (!isfinite(whole_value)) return lm_jrun_fail(run, "cannot convert float to integer");
    *out = lm_jval_float(whole_value / lm_jval_to_float(scale));
    return LOAM_OK;
}

loam_status lm_j_filter_filesizeformat(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    static const char *const decimal[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
    static const char *const powers[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
    bool binary = lm_jarg_truth(call, 0, false);
    double base = binary ? 1024 : 1000, bytes, unit;
    char text[64];
    int i = 0;
    lm_jval self = call->self;
    if (self.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, self);
    if (self.kind == LM_J_STRING ? !lm_jparse_float(lm_jstr_text(self.u.string), &bytes)
                                 : !lm_jval_is_number(self))
        return lm_jrun_fail(run, "could not convert to float");
    if (self.kind != LM_J_STRING) bytes = lm_jval_to_float(self);
    if (bytes == 1) return lm_jval_str_of(run, "1 Byte", out);
    if (!isfinite(bytes) && !(bytes > 0))
        return lm_jrun_fail(run, "cannot convert float to integer");
    if (bytes < base) {
        snprintf(text, sizeof text, "%lld Bytes", (long long)bytes);
        return lm_jval_str_of(run, text, out);
    }
    for (unit = base * base; i < 7 && bytes >= unit; i++) unit *= base;
    snprintf(text, sizeof text, "%.1f %s", base * bytes / unit, (binary ? powers : decimal)[i]);
    return lm_jval_str_of(run, text, out);
}

/* Python's pprint breaks what is longer than 80 characters; that is not done: the value stands on one line, its keys in
 * order. */
loam_status lm_j_filter_pprint(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jrun_put_repr(run, call->self));
    return lm_jrun_take(run, begin, out);
}
