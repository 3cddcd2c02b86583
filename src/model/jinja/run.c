#include "model/jinja/run.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/jinja/unicode.h"

enum { BUMP_BYTES = 16 << 10 };

loam_status lm_jrun_fail(lm_jrun *run, const char *fmt, ...) {
    va_list args;
    char text[sizeof(((loam_error *)0)->message)];
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return lm_error_set(run->err, LOAM_INVALID, "template line %d: %s", run->line, text);
}

static loam_status limit(lm_jrun *run, const char *what, const char *hint) {
    lm_error_set(run->err, LOAM_LIMIT, "template line %d: %s", run->line, what);
    return lm_error_hint(run->err, LOAM_LIMIT, "%s", hint);
}

loam_status lm_jrun_no_memory(lm_jrun *run) {
    return limit(run, "rendering takes too much memory",
                 "the template may build texts without bound");
}

void *lm_jrun_alloc(lm_jrun *run, size_t n, size_t size_bytes) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size_bytes, &bytes) || bytes > run->max_memory_bytes) return NULL;
    bytes = (bytes + 15) & ~(size_t)15;
    if (bytes > BUMP_BYTES / 4) return lm_arena_alloc(&run->arena, bytes);
    if ((size_t)(run->bump_end - run->bump) < bytes) {
        run->bump = lm_arena_alloc(&run->arena, BUMP_BYTES);
        if (!run->bump) {
            run->bump_end = NULL;
            return NULL;
        }
        run->bump_end = run->bump + BUMP_BYTES;
    }
    void *block = run->bump;
    run->bump += bytes;
    return block;
}

loam_status lm_jrun_charge(lm_jrun *run, size_t steps) {
    if (steps > (size_t)run->steps_left) {
        run->steps_left = 0;
        return limit(run, "rendering takes too many steps", "the template may loop for ever");
    }
    run->steps_left -= (int64_t)steps;
    return LOAM_OK;
}

loam_status lm_jrun_charge_text(lm_jrun *run, size_t bytes) {
    return lm_jrun_charge(run, bytes / LM_J_TEXT_PER_STEP);
}

loam_status lm_jrun_enter(lm_jrun *run) {
    if (run->depth >= LM_J_MAX_DEPTH)
        return limit(run, "evaluation is nested too deep", "a macro may call itself without end");
    run->depth++;
    return lm_jrun_charge(run, 1);
}

/* ---- text ---- */

size_t lm_jrun_capture(lm_jrun *run) {
    return run->out.len;
}

loam_status lm_jrun_take(lm_jrun *run, size_t begin, lm_jval *out) {
    if (run->out.status != LOAM_OK) return limit(run, "rendering gives too much text", "");
    lm_str text = lm_buf_view(&run->out); /* of no memory at all while nothing was written */
    if (text.len) text = (lm_str){text.ptr + begin, text.len - begin};
    loam_status status = lm_jval_str(run, text, out);
    run->out.len = begin;
    return status;
}

void lm_jrun_put(lm_jrun *run, lm_str text) {
    lm_buf_append(&run->out, text.ptr, text.len);
}

/* The shortest digits that read back as the same number, in Python's choice of notation. */
void lm_jrun_put_float(lm_jrun *run, double value) {
    char text[40], digits[24];
    if (!isfinite(value)) {
        lm_buf_puts(&run->out, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, value);
        if (strtod(text, NULL) == value) break;
    }
    const char *e = strchr(text, 'e');
    int exponent = atoi(e + 1), n = 0;
    for (const char *c = text; c < e; c++)
        if (*c >= '0' && *c <= '9') digits[n++] = *c;
    if (signbit(value)) lm_buf_putc(&run->out, '-');
    if (exponent < -4 || exponent >= 16) {
        lm_buf_printf(&run->out, "%c%s%.*se%c%02d", digits[0], n > 1 ? "." : "", n - 1, digits + 1,
                      exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) lm_buf_printf(&run->out, "0.%.*s", -exponent - 1, "0000");
    for (int i = 0; i < n || i <= exponent; i++) {
        lm_buf_putc(&run->out, i < n ? digits[i] : '0');
        if (i == exponent) lm_buf_puts(&run->out, i + 1 < n ? "." : ".0");
    }
}

static void put_repr_text(lm_jrun *run, lm_str text) {
    bool has_single = memchr(text.ptr, '\'', text.len),
         has_double = memchr(text.ptr, '"', text.len);
    char quote = has_single && !has_double ? '"' : '\'';
    lm_buf_putc(&run->out, quote);
    for (size_t at = 0; at < text.len;) {
        size_t begin = at;
        uint32_t c = lm_unicode_next(text, &at);
        if (c == (uint32_t)quote || c == '\\')
            lm_buf_printf(&run->out, "\\%c", (char)c);
        else if (c == '\n' || c == '\r' || c == '\t')
            lm_buf_puts(&run->out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        else if (lm_unicode_is_printable(c))
            lm_buf_append(&run->out, text.ptr + begin, at - begin);
        else
            lm_buf_printf(&run->out,
                          c < 0x100     ? "\\x%02x"
                          : c < 0x10000 ? "\\u%04x"
                                        : "\\U%08x",
                          (unsigned)c);
    }
    lm_buf_putc(&run->out, quote);
}

static LM_MUST_USE loam_status put_items(lm_jrun *run, const char *opening, const lm_jval *items,
                                         size_t n, const char *closing) {
    lm_buf_puts(&run->out, opening);
    for (size_t i = 0; i < n; i++) {
        if (i) lm_buf_puts(&run->out, ", ");
        LM_TRY(lm_jrun_put_repr(run, items[i]));
    }
    lm_buf_puts(&run->out, closing);
    return LOAM_OK;
}

static LM_MUST_USE loam_status put_dict(lm_jrun *run, const lm_jdict *dict) {
    lm_buf_putc(&run->out, '{');
    for (size_t i = 0; i < dict->n; i++) {
        if (i) lm_buf_puts(&run->out, ", ");
        LM_TRY(lm_jrun_put_repr(run, dict->entries[i].key));
        lm_buf_puts(&run->out, ": ");
        LM_TRY(lm_jrun_put_repr(run, dict->entries[i].value));
    }
    lm_buf_putc(&run->out, '}');
    return LOAM_OK;
}

static LM_MUST_USE loam_status put_view(lm_jrun *run, lm_jval view) {
    const lm_jval *items;
    size_t n;
    LM_TRY(lm_jval_items(run, view, &items, &n));
    lm_buf_printf(&run->out, "%s(", lm_jval_type_name(view));
    return put_items(run, "[", items, n, "])");
}

static LM_MUST_USE loam_status put_range(lm_jrun *run, const lm_jrange *range) {
    lm_buf_printf(&run->out, "range(%lld, %lld", (long long)range->start, (long long)range->stop);
    if (range->step != 1) lm_buf_printf(&run->out, ", %lld", (long long)range->step);
    lm_buf_putc(&run->out, ')');
    return LOAM_OK;
}

static LM_MUST_USE loam_status put_compound(lm_jrun *run, lm_jval value) {
    switch (value.kind) {
    case LM_J_LIST: return put_items(run, "[", value.u.list->items, value.u.list->n, "]");
    case LM_J_TUPLE:
        return put_items(run, "(", value.u.list->items, value.u.list->n,
                         value.u.list->n == 1 ? ",)" : ")");
    case LM_J_DICT: return put_dict(run, value.u.dict);
    case LM_J_VIEW: return put_view(run, value);
    case LM_J_RANGE: return put_range(run, value.u.range);
    case LM_J_NAMESPACE:
        lm_buf_puts(&run->out, "<Namespace ");
        LM_TRY(put_dict(run, value.u.dict));
        lm_buf_putc(&run->out, '>');
        return LOAM_OK;
    default: lm_buf_printf(&run->out, "<%s object>", lm_jval_type_name(value)); return LOAM_OK;
    }
}

loam_status lm_jrun_put_repr(lm_jrun *run, lm_jval value) {
    LM_TRY(lm_jrun_enter(run));
    loam_status status = LOAM_OK;
    switch (value.kind) {
    case LM_J_MISSING:
    case LM_J_UNDEFINED: lm_buf_puts(&run->out, "Undefined"); break;
    case LM_J_NONE: lm_buf_puts(&run->out, "None"); break;
    case LM_J_BOOL: lm_buf_puts(&run->out, value.u.boolean ? "True" : "False"); break;
    case LM_J_INT: lm_buf_printf(&run->out, "%lld", (long long)value.u.integer); break;
    case LM_J_FLOAT: lm_jrun_put_float(run, value.u.real); break;
    case LM_J_STRING:
        status = lm_jrun_charge_text(run, value.u.string->len);
        if (value.u.string->markup) lm_buf_puts(&run->out, "Markup(");
        put_repr_text(run, lm_jstr_text(value.u.string));
        if (value.u.string->markup) lm_buf_putc(&run->out, ')');
        break;
    default: status = put_compound(run, value); break;
    }
    run->depth--;
    return status == LOAM_OK && run->out.status != LOAM_OK
               ? limit(run, "rendering gives too much text", "")
               : status;
}

loam_status lm_jrun_put_str(lm_jrun *run, lm_jval value) {
    if (value.kind == LM_J_UNDEFINED) return LOAM_OK;
    if (value.kind != LM_J_STRING) return lm_jrun_put_repr(run, value);
    lm_jrun_put(run, lm_jstr_text(value.u.string));
    if (run->out.status != LOAM_OK) return limit(run, "rendering gives too much text", "");
    return lm_jrun_charge_text(run, value.u.string->len);
}

loam_status lm_jrun_to_str(lm_jrun *run, lm_jval value, lm_str *out) {
    if (value.kind == LM_J_STRING) {
        *out = lm_jstr_text(value.u.string);
        return LOAM_OK;
    }
    size_t begin = lm_jrun_capture(run);
    lm_jval text;
    LM_TRY(lm_jrun_put_str(run, value));
    LM_TRY(lm_jrun_take(run, begin, &text));
    *out = lm_jstr_text(text.u.string);
    return LOAM_OK;
}

/* a + b. What a template builds piece by piece grows in place: a block has room for as much again, and whoever holds the
 * block's last text may go on with it; texts that end before stay as they are. */
loam_status lm_jrun_concat(lm_jrun *run, const lm_jstr *a, lm_str b, lm_jval *out) {
    size_t len = a->len + b.len;
    lm_jstr *made = lm_jrun_alloc(run, 1, sizeof *made);
    if (!made) return lm_jrun_no_memory(run);
    LM_TRY(lm_jrun_charge_text(run, b.len));
    lm_jtail *tail = a->tail;
    if (!tail || tail->end != a->ptr + a->len || (size_t)(tail->limit - tail->end) < b.len) {
        size_t capacity = len < 128 ? len : 2 * len;
        char *block = lm_jrun_alloc(run, capacity + 1, 1);
        tail = len < 128 ? NULL : lm_jrun_alloc(run, 1, sizeof *tail);
        if (!block || (len >= 128 && !tail)) return lm_jrun_no_memory(run);
        LM_TRY(lm_jrun_charge_text(run, a->len));
        memcpy(block, a->ptr, a->len);
        memcpy(block + a->len, b.ptr, b.len);
        if (tail) *tail = (lm_jtail){block + len, block + capacity};
        *made = (lm_jstr){.ptr = block, .len = len, .tail = tail};
    } else {
        memcpy(tail->end, b.ptr, b.len);
        tail->end += b.len;
        *made = (lm_jstr){.ptr = a->ptr, .len = len, .tail = tail};
    }
    made->n_chars = a->n_chars + lm_unicode_count(b);
    made->markup = a->markup;
    *out = (lm_jval){.kind = LM_J_STRING, .u.string = made};
    return LOAM_OK;
}

/* ---- undefined values ---- */

loam_status lm_jrun_undefined(lm_jrun *run, lm_jval value) {
    const lm_jundef *u = value.u.undefined;
    if (u->hint) return lm_jrun_fail(run, "%s", u->hint);
    int len = (int)(u->name.len < 200 ? u->name.len : 200);
    if (!u->owner) return lm_jrun_fail(run, "'%.*s' is undefined", len, u->name.ptr);
    return lm_jrun_fail(run, "'%s object' has no attribute '%.*s'", u->owner, len, u->name.ptr);
}
