/* json.dumps of Python, and the tojson filter that transformers builds of it. */
#include <math.h>

#include "model/jinja/builtins.h"
#include "model/jinja/unicode.h"

typedef struct dumping {
    lm_jrun *run;
    const lm_jdump *how;
    int64_t depth;
} dumping;

static LM_MUST_USE loam_status dump(dumping *d, lm_jval value);

static void put_escaped(lm_buf *out, uint32_t c) {
    if (c < 0x10000) {
        lm_buf_printf(out, "\\u%04x", (unsigned)c);
        return;
    }
    c -= 0x10000;
    lm_buf_printf(out, "\\u%04x\\u%04x", 0xd800 + (unsigned)(c >> 10),
                  0xdc00 + (unsigned)(c & 0x3ff));
}

static void put_char(lm_buf *out, uint32_t c, lm_str bytes, bool ensure_ascii) {
    static const char names[] = "\"\\\b\f\n\r\t", values[] = "\"\\bfnrt";
    const char *special = c && c < 0x80 ? strchr(names, (int)c) : NULL;
    if (special) {
        lm_buf_putc(out, '\\');
        lm_buf_putc(out, values[special - names]);
    } else if (c < 0x20 || (ensure_ascii && c >= 0x7f)) {
        put_escaped(out, c);
    } else {
        lm_buf_append(out, bytes.ptr, bytes.len);
    }
}

static LM_MUST_USE loam_status dump_text(dumping *d, lm_str text) {
    lm_buf *out = &d->run->out;
    lm_buf_putc(out, '"');
    for (size_t at = 0; at < text.len;) {
        size_t begin = at;
        uint32_t c = lm_unicode_next(text, &at);
        put_char(out, c, (lm_str){text.ptr + begin, at - begin}, d->how->ensure_ascii);
    }
    lm_buf_putc(out, '"');
    return lm_jrun_charge_text(d->run, text.len);
}

static void dump_float(dumping *d, double value) {
    if (isfinite(value))
        lm_jrun_put_float(d->run, value);
    else
        lm_buf_puts(&d->run->out, isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
}

static LM_MUST_USE loam_status new_line(dumping *d) {
    if (!d->how->has_indent) return LOAM_OK;
    lm_buf_putc(&d->run->out, '\n');
    for (int64_t i = 0; i < d->depth; i++) lm_jrun_put(d->run, d->how->indent);
    return lm_jrun_charge_text(d->run, (size_t)d->depth * d->how->indent.len);
}

/* What stands in front of the i-th item. */
static LM_MUST_USE loam_status begin_item(dumping *d, size_t i) {
    if (i) lm_jrun_put(d->run, d->how->item_separator);
    return new_line(d);
}

static LM_MUST_USE loam_status dump_list(dumping *d, const lm_jlist *list) {
    lm_buf_putc(&d->run->out, '[');
    d->depth++;
    for (size_t i = 0; i < list->n; i++) {
        LM_TRY(begin_item(d, i));
        LM_TRY(dump(d, list->items[i]));
    }
    d->depth--;
    if (list->n) LM_TRY(new_line(d));
    lm_buf_putc(&d->run->out, ']');
    return LOAM_OK;
}

static LM_MUST_USE loam_status dump_key(dumping *d, lm_jval key) {
    if (key.kind == LM_J_STRING) return dump_text(d, lm_jstr_text(key.u.string));
    if (key.kind != LM_J_NONE && !lm_jval_is_number(key))
        return lm_jrun_fail(d->run, "keys must be str, int, float, bool or None, not %s",
                            lm_jval_type_name(key));
    lm_buf_putc(&d->run->out, '"');
    LM_TRY(dump(d, key));
    lm_buf_putc(&d->run->out, '"');
    return LOAM_OK;
}

static LM_MUST_USE loam_status sorted_entries(dumping *d, const lm_jdict *dict,
                                              const lm_jentry **out) {
    lm_jrun *run = d->run;
    *out = dict->entries;
    if (!d->how->sort_keys) return LOAM_OK;
    lm_jval *keys = lm_jrun_alloc(run, dict->n + 1, sizeof *keys),
            *places = lm_jrun_alloc(run, dict->n + 1, sizeof *places);
    lm_jentry *entries = lm_jrun_alloc(run, dict->n + 1, sizeof *entries);
    if (!keys || !places || !entries) return lm_jrun_no_memory(run);
    for (size_t i = 0; i < dict->n; i++) {
        keys[i] = dict->entries[i].key;
        places[i] = lm_jval_int((int64_t)i);
    }
    LM_TRY(lm_jval_sort(run, places, keys, dict->n, false));
    for (size_t i = 0; i < dict->n; i++) entries[i] = dict->entries[places[i].u.integer];
    *out = entries;
    return LOAM_OK;
}

static LM_MUST_USE loam_status dump_dict(dumping *d, const lm_jdict *dict) {
    const lm_jentry *entries;
    LM_TRY(sorted_entries(d, dict, &entries));
    lm_buf_putc(&d->run->out, '{');
    d->depth++;
    for (size_t i = 0; i < dict->n; i++) {
        LM_TRY(begin_item(d, i));
        LM_TRY(dump_key(d, entries[i].key));
        lm_jrun_put(d->run, d->how->key_separator);
        LM_TRY(dump(d, entries[i].value));
    }
    d->depth--;
    if (dict->n) LM_TRY(new_line(d));
    lm_buf_putc(&d->run->out, '}');
    return LOAM_OK;
}

static LM_MUST_USE loam_status dump_value(dumping *d, lm_jval value) {
    switch (value.kind) {
    case LM_J_NONE: lm_buf_puts(&d->run->out, "null"); return LOAM_OK;
    case LM_J_BOOL: lm_buf_puts(&d->run->out, value.u.boolean ? "true" : "false"); return LOAM_OK;
    case LM_J_INT: lm_buf_printf(&d->run->out, "%lld", (long long)value.u.integer); return LOAM_OK;
    case LM_J_FLOAT: dump_float(d, value.u.real); return LOAM_OK;
    case LM_J_STRING: return dump_text(d, lm_jstr_text(value.u.string));
    case LM_J_LIST:
    case LM_J_TUPLE: return dump_list(d, value.u.list);
    case LM_J_DICT: return dump_dict(d, value.u.dict);
    default:
        return lm_jrun_fail(d->run, "Object of type %s is not JSON serializable",
                            lm_jval_type_name(value));
    }
}

static loam_status dump(dumping *d, lm_jval value) {
    LM_TRY(lm_jrun_enter(d->run));
    loam_status status = dump_value(d, value);
    d->run->depth--;
    return status;
}

loam_status lm_jdump_json(lm_jrun *run, const lm_jdump *how, lm_jval value) {
    dumping d = {.run = run, .how = how};
    return dump(&d, value);
}

/* A number of spaces, or a text. */
static LM_MUST_USE loam_status set_indent(lm_jrun *run, lm_jval indent, lm_jdump *how) {
    if (indent.kind == LM_J_MISSING || indent.kind == LM_J_NONE) return LOAM_OK;
    how->has_indent = true;
    how->item_separator = LM_STR(",");
    if (indent.kind == LM_J_STRING) {
        how->indent = lm_jstr_text(indent.u.string);
        return LOAM_OK;
    }
    lm_jval space;
    if (!lm_jval_is_int(indent)) return lm_jrun_fail(run, "indent must be an integer or a string");
    LM_TRY(lm_jval_str_ref(run, LM_STR(" "), &space));
    LM_TRY(lm_jval_arithmetic(run, LM_JOP_MUL, space, indent, &space));
    how->indent = lm_jstr_text(space.u.string);
    return LOAM_OK;
}

static LM_MUST_USE loam_status set_separators(lm_jrun *run, lm_jval separators, lm_jdump *how) {
    const lm_jval *items;
    size_t n;
    if (separators.kind == LM_J_MISSING || separators.kind == LM_J_NONE) return LOAM_OK;
    LM_TRY(lm_jval_items(run, separators, &items, &n));
    if (n != 2 || items[0].kind != LM_J_STRING || items[1].kind != LM_J_STRING)
        return lm_jrun_fail(run, "separators must be two strings");
    how->item_separator = lm_jstr_text(items[0].u.string);
    how->key_separator = lm_jstr_text(items[1].u.string);
    return LOAM_OK;
}

loam_status lm_j_filter_tojson(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jdump how = {.ensure_ascii = lm_jarg_truth(call, 0, false),
                    .sort_keys = lm_jarg_truth(call, 3, false),
                    .item_separator = LM_STR(", "),
                    .key_separator = LM_STR(": ")};
    LM_TRY(set_indent(run, call->args[1], &how));
    LM_TRY(set_separators(run, call->args[2], &how));
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jdump_json(run, &how, call->self));
    return lm_jrun_take(run, begin, out);
}
