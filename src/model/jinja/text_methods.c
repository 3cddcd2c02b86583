/* Methods of strings. */
#include "model/jinja/builtins.h"
#include "model/jinja/unicode.h"

static lm_str self_of(const lm_jcall *call) {
    return lm_jstr_text(call->self.u.string);
}

static LM_MUST_USE loam_status done(lm_jrun *run, size_t begin, lm_jval *out) {
    return lm_jrun_take(run, begin, out);
}

/* ---- what others use too ---- */

loam_status lm_jconvert(lm_jrun *run, lm_str text, int to_case, lm_jval *out) {
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jrun_charge_text(run, 8 * text.len));
    lm_unicode_convert(text, (lm_unicode_case)to_case, &run->out);
    return done(run, begin, out);
}

/* Offset of the first or last occurrence within text, or SIZE_MAX. */
static size_t find_text(lm_str text, lm_str part, bool last) {
    if (part.len > text.len) return SIZE_MAX;
    if (!last) {
        const char *found = part.len ? memmem(text.ptr, text.len, part.ptr, part.len) : text.ptr;
        return found ? (size_t)(found - text.ptr) : SIZE_MAX;
    }
    for (size_t at = text.len - part.len + 1; at-- > 0;)
        if (part.len == 0 || memcmp(text.ptr + at, part.ptr, part.len) == 0) return at;
    return SIZE_MAX;
}

loam_status lm_jreplace(lm_jrun *run, lm_str text, lm_str old, lm_str new_text, int64_t count) {
    size_t at = 0;
    LM_TRY(lm_jrun_charge_text(run, text.len));
    if (old.len == 0) { /* in front of each character, and at the end */
        for (; count != 0; count--) {
            lm_jrun_put(run, new_text);
            if (at >= text.len) return LOAM_OK;
            size_t begin = at;
            lm_unicode_next(text, &at);
            lm_buf_append(&run->out, text.ptr + begin, at - begin);
            LM_TRY(lm_jrun_charge(run, 1));
        }
    }
    for (; old.len && count != 0; count--) {
        size_t found = find_text((lm_str){text.ptr + at, text.len - at}, old, false);
        if (found == SIZE_MAX) break;
        lm_buf_append(&run->out, text.ptr + at, found);
        lm_jrun_put(run, new_text);
        LM_TRY(lm_jrun_charge_text(run, 16 + new_text.len));
        at += found + old.len;
    }
    lm_buf_append(&run->out, text.ptr + at, text.len - at);
    return LOAM_OK;
}

static LM_MUST_USE loam_status add_part(lm_jrun *run, lm_jgrowing *list, lm_str text, size_t begin,
                                        size_t end) {
    lm_jval part;
    LM_TRY(lm_jrun_charge(run, 1));
    LM_TRY(lm_jval_str_ref(run, (lm_str){text.ptr + begin, end - begin}, &part));
    return lm_jgrow(run, list, part);
}

static LM_MUST_USE loam_status split_at(lm_jrun *run, lm_str text, lm_str separator, int64_t max,
                                        lm_jgrowing *out) {
    size_t begin = 0;
    for (; max != 0; max--) {
        size_t found = find_text((lm_str){text.ptr + begin, text.len - begin}, separator, false);
        if (found == SIZE_MAX) break;
        LM_TRY(add_part(run, out, text, begin, begin + found));
        begin += found + separator.len;
    }
    return add_part(run, out, text, begin, text.len);
}

static LM_MUST_USE loam_status split_at_right(lm_jrun *run, lm_str text, lm_str separator,
                                              int64_t max, lm_jgrowing *out) {
    size_t end = text.len;
    for (; max != 0; max--) {
        size_t found = find_text((lm_str){text.ptr, end}, separator, true);
        if (found == SIZE_MAX) break;
        LM_TRY(add_part(run, out, text, found + separator.len, end));
        LM_TRY(lm_jrun_charge_text(run, end - found));
        end = found;
    }
    return add_part(run, out, text, 0, end);
}

static LM_MUST_USE loam_status split_words(lm_jrun *run, lm_str text, int64_t max,
                                           lm_jgrowing *out) {
    for (text = lm_unicode_strip(text, NULL, true, false); text.len; max--) {
        size_t end = 0, next = 0;
        if (max == 0) return add_part(run, out, text, 0, text.len);
        while (next < text.len && !lm_unicode_is_space(lm_unicode_next(text, &next))) end = next;
        LM_TRY(add_part(run, out, text, 0, end));
        text = lm_unicode_strip((lm_str){text.ptr + end, text.len - end}, NULL, true, false);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status split_words_right(lm_jrun *run, lm_str text, int64_t max,
                                                 lm_jgrowing *out) {
    for (text = lm_unicode_strip(text, NULL, false, true); text.len; max--) {
        size_t begin = text.len, before = text.len;
        if (max == 0) return add_part(run, out, text, 0, text.len);
        while (before > 0 && !lm_unicode_is_space(lm_unicode_before(text, &before))) begin = before;
        LM_TRY(add_part(run, out, text, begin, text.len));
        text = lm_unicode_strip((lm_str){text.ptr, begin}, NULL, false, true);
    }
    return LOAM_OK;
}

loam_status lm_jsplit(lm_jrun *run, lm_str text, const lm_str *separator, int64_t max_splits,
                      bool from_right, lm_jgrowing *out) {
    LM_TRY(lm_jrun_charge_text(run, text.len));
    if (separator && separator->len == 0) return lm_jrun_fail(run, "empty separator");
    if (!from_right)
        return separator ? split_at(run, text, *separator, max_splits, out)
                         : split_words(run, text, max_splits, out);
    LM_TRY(separator ? split_at_right(run, text, *separator, max_splits, out)
                     : split_words_right(run, text, max_splits, out));
    for (size_t i = 0; i < out->n / 2; i++) {
        lm_jval swap = out->items[i];
        out->items[i] = out->items[out->n - 1 - i];
        out->items[out->n - 1 - i] = swap;
    }
    return LOAM_OK;
}

loam_status lm_jsplit_lines(lm_jrun *run, lm_str text, bool keep_ends, lm_jgrowing *out) {
    size_t begin = 0;
    LM_TRY(lm_jrun_charge_text(run, text.len));
    for (size_t at = 0; at < text.len;) {
        size_t end = at;
        uint32_t c = lm_unicode_next(text, &at);
        if (!lm_unicode_is_line_break(c)) continue;
        if (c == '\r' && at < text.len && text.ptr[at] == '\n') at++;
        LM_TRY(add_part(run, out, text, begin, keep_ends ? at : end));
        begin = at;
    }
    return begin < text.len ? add_part(run, out, text, begin, text.len) : LOAM_OK;
}

/* ---- cases ---- */

#define CASE_METHOD(name, to)                                                       \
    loam_status lm_j_str_##name(lm_jrun *run, const lm_jcall *call, lm_jval *out) { \
        return lm_jconvert(run, self_of(call), to, out);                            \
    }
CASE_METHOD(capitalize, LM_CASE_CAPITALIZE)
CASE_METHOD(casefold, LM_CASE_FOLD)
CASE_METHOD(lower, LM_CASE_LOWER)
CASE_METHOD(swapcase, LM_CASE_SWAP)
CASE_METHOD(title, LM_CASE_TITLE)
CASE_METHOD(upper, LM_CASE_UPPER)

/* ---- classes ---- */

/* All characters are of the class, and there is one. */
static LM_MUST_USE loam_status all_of(lm_jrun *run, const lm_jcall *call, bool (*is)(uint32_t),
                                      bool if_empty, lm_jval *out) {
    lm_str text = self_of(call);
    bool good = text.len > 0 || if_empty;
    LM_TRY(lm_jrun_charge_text(run, text.len));
    for (size_t at = 0; at < text.len && good;) good = is(lm_unicode_next(text, &at));
    *out = lm_jval_bool(good);
    return LOAM_OK;
}

static bool is_ascii(uint32_t c) {
    return c < 0x80;
}

static bool is_alphanumeric(uint32_t c) {
    return lm_unicode_is_letter(c) || lm_unicode_is_numeric(c);
}

/* Decimals, and the superscripts, subscripts and circled digits. */
static bool is_digit(uint32_t c) {
    return lm_unicode_is_decimal(c) || c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 ||
           (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089) ||
           (c >= 0x2460 && c <= 0x2468);
}

#define CLASS_METHOD(name, is, if_empty)                                            \
    loam_status lm_j_str_##name(lm_jrun *run, const lm_jcall *call, lm_jval *out) { \
        return all_of(run, call, is, if_empty, out);                                \
    }
CLASS_METHOD(isalnum, is_alphanumeric, false)
CLASS_METHOD(isalpha, lm_unicode_is_letter, false)
CLASS_METHOD(isascii, is_ascii, true)
CLASS_METHOD(isdecimal, lm_unicode_is_decimal, false)
CLASS_METHOD(isdigit, is_digit, false)
CLASS_METHOD(isnumeric, lm_unicode_is_numeric, false)
CLASS_METHOD(isprintable, lm_unicode_is_printable, true)
CLASS_METHOD(isspace, lm_unicode_is_space, false)

loam_status lm_j_str_isidentifier(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text = self_of(call);
    size_t at = 0;
    uint32_t c = text.len ? lm_unicode_next(text, &at) : '0';
    bool good = c == '_' || lm_unicode_is_letter(c);
    while (at < text.len && good) good = lm_unicode_is_word(lm_unicode_next(text, &at));
    *out = lm_jval_bool(good);
    return lm_jrun_charge_text(run, text.len);
}

/* Some character has a case, and none the other. */
static LM_MUST_USE loam_status all_in_case(lm_jrun *run, const lm_jcall *call, bool upper,
                                           lm_jval *out) {
    lm_str text = self_of(call);
    bool some = false, other = false;
    for (size_t at = 0; at < text.len && !other;) {
        uint32_t c = lm_unicode_next(text, &at);
        bool is_upper = lm_unicode_is_upper(c), is_lower = lm_unicode_is_lower(c);
        some |= upper ? is_upper : is_lower;
        other = (upper ? is_lower : is_upper) || lm_unicode_is_title(c);
    }
    *out = lm_jval_bool(some && !other);
    return lm_jrun_charge_text(run, text.len);
}

loam_status lm_j_str_islower(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return all_in_case(run, call, false, out);
}

loam_status lm_j_str_isupper(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return all_in_case(run, call, true, out);
}

loam_status lm_j_str_istitle(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text = self_of(call);
    bool good = true, some = false, in_word = false;
    for (size_t at = 0; at < text.len && good;) {
        uint32_t c = lm_unicode_next(text, &at);
        bool begins = lm_unicode_is_upper(c) || lm_unicode_is_title(c),
             goes_on = lm_unicode_is_lower(c);
        if (begins || goes_on) good = begins != in_word;
        some |= begins || goes_on;
        in_word = begins || goes_on;
    }
    *out = lm_jval_bool(good && some);
    return lm_jrun_charge_text(run, text.len);
}

/* ---- finding ---- */

typedef struct window { /* the stretch that start and end cut out */
    lm_str text;
    int64_t first; /* index of its first character */
    bool empty;    /* start is behind the end: not even "" is there */
} window;

static LM_MUST_USE loam_status window_of(lm_jrun *run, const lm_jcall *call, window *out) {
    const lm_jstr *self = call->self.u.string;
    lm_str text = self_of(call);
    int64_t n = (int64_t)self->n_chars, start = 0, end = n;
    if (lm_jarg_given(call, 1) && call->args[1].kind != LM_J_NONE)
        LM_TRY(lm_jarg_int(run, call, 1, 0, &start));
    if (lm_jarg_given(call, 2) && call->args[2].kind != LM_J_NONE)
        LM_TRY(lm_jarg_int(run, call, 2, n, &end));
    if (start < 0) start = start < -n ? 0 : start + n;
    if (end < 0) end = end < -n ? 0 : end + n;
    if (end > n) end = n;
    *out = (window){.first = start, .empty = start > end};
    if (out->empty) return LOAM_OK;
    size_t begin = lm_unicode_offset(text, self->n_chars, (size_t)start);
    size_t stop = lm_unicode_offset(text, self->n_chars, (size_t)end);
    out->text = (lm_str){text.ptr + begin, stop - begin};
    return lm_jrun_charge_text(run, text.len);
}

static LM_MUST_USE loam_status find(lm_jrun *run, const lm_jcall *call, bool last, int64_t *out) {
    window w;
    lm_str part;
    *out = -1;
    LM_TRY(lm_jarg_text(run, call, 0, &part));
    LM_TRY(window_of(run, call, &w));
    if (w.empty) return LOAM_OK;
    size_t at = find_text(w.text, part, last);
    if (at != SIZE_MAX) *out = w.first + (int64_t)lm_unicode_count((lm_str){w.text.ptr, at});
    return LOAM_OK;
}

static LM_MUST_USE loam_status find_or_fail(lm_jrun *run, const lm_jcall *call, bool last,
                                            lm_jval *out) {
    int64_t at;
    LM_TRY(find(run, call, last, &at));
    if (at < 0) return lm_jrun_fail(run, "substring not found");
    *out = lm_jval_int(at);
    return LOAM_OK;
}

loam_status lm_j_str_find(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    int64_t at;
    LM_TRY(find(run, call, false, &at));
    *out = lm_jval_int(at);
    return LOAM_OK;
}

loam_status lm_j_str_rfind(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    int64_t at;
    LM_TRY(find(run, call, true, &at));
    *out = lm_jval_int(at);
    return LOAM_OK;
}

loam_status lm_j_str_index(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return find_or_fail(run, call, false, out);
}

loam_status lm_j_str_rindex(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return find_or_fail(run, call, true, out);
}

loam_status lm_j_str_count(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    window w;
    lm_str part;
    int64_t n = 0;
    LM_TRY(lm_jarg_text(run, call, 0, &part));
    LM_TRY(window_of(run, call, &w));
    if (part.len == 0 && !w.empty) n = (int64_t)lm_unicode_count(w.text) + 1;
    for (size_t at = 0; part.len && !w.empty; n++) {
        size_t found = find_text((lm_str){w.text.ptr + at, w.text.len - at}, part, false);
        if (found == SIZE_MAX) break;
        at += found + part.len;
    }
    *out = lm_jval_int(n);
    return LOAM_OK;
}

/* One text or a tuple of them. */
static LM_MUST_USE loam_status has_affix(lm_jrun *run, const lm_jcall *call, bool at_end,
                                         lm_jval *out) {
    window w;
    const lm_jval *candidates = &call->args[0];
    size_t n = 1;
    bool found = false;
    if (candidates->kind == LM_J_TUPLE) {
        n = candidates->u.list->n;
        candidates = candidates->u.list->items;
    }
    LM_TRY(window_of(run, call, &w));
    for (size_t i = 0; i < n && !found; i++) {
        if (candidates[i].kind != LM_J_STRING)
            return lm_jrun_fail(run, "%s first arg must be str or a tuple of str, not %s",
                                at_end ? "endswith" : "startswith",
                                lm_jval_type_name(candidates[i]));
        lm_str affix = lm_jstr_text(candidates[i].u.string);
        found = !w.empty && (at_end ? lm_str_ends(w.text, affix) : lm_str_starts(w.text, affix));
    }
    *out = lm_jval_bool(found);
    return lm_jrun_charge(run, n);
}

loam_status lm_j_str_startswith(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return has_affix(run, call, false, out);
}

loam_status lm_j_str_endswith(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return has_affix(run, call, true, out);
}

/* ---- cutting ---- */

static LM_MUST_USE loam_status strip(lm_jrun *run, const lm_jcall *call, bool left, bool right,
                                     lm_jval *out) {
    lm_str chars;
    bool given = lm_jarg_given(call, 0) && call->args[0].kind != LM_J_NONE;
    if (given) LM_TRY(lm_jarg_text(run, call, 0, &chars));
    lm_str text = lm_unicode_strip(self_of(call), given ? &chars : NULL, left, right);
    size_t work = self_of(call).len - text.len + 1;
    LM_TRY(lm_jrun_charge_text(run, given ? work * (chars.len + 1) : work));
    return lm_jval_str_ref(run, text, out);
}

loam_status lm_j_str_strip(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return strip(run, call, true, true, out);
}

loam_status lm_j_str_lstrip(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return strip(run, call, true, false, out);
}

loam_status lm_j_str_rstrip(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return strip(run, call, false, true, out);
}

loam_status lm_j_str_removeprefix(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text = self_of(call), prefix;
    LM_TRY(lm_jarg_text(run, call, 0, &prefix));
    if (lm_str_starts(text, prefix)) text = (lm_str){text.ptr + prefix.len, text.len - prefix.len};
    return lm_jval_str_ref(run, text, out);
}

loam_status lm_j_str_removesuffix(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text = self_of(call), suffix;
    LM_TRY(lm_jarg_text(run, call, 0, &suffix));
    if (lm_str_ends(text, suffix)) text.len -= suffix.len;
    return lm_jval_str_ref(run, text, out);
}

static LM_MUST_USE loam_status split(lm_jrun *run, const lm_jcall *call, bool from_right,
                                     lm_jval *out) {
    lm_jgrowing parts = {0};
    lm_str separator;
    int64_t max_splits;
    bool given = lm_jarg_given(call, 0) && call->args[0].kind != LM_J_NONE;
    if (given) LM_TRY(lm_jarg_text(run, call, 0, &separator));
    LM_TRY(lm_jarg_int(run, call, 1, -1, &max_splits));
    LM_TRY(
        lm_jsplit(run, self_of(call), given ? &separator : NULL, max_splits, from_right, &parts));
    return lm_jval_list(run, LM_J_LIST, parts.items, parts.n, out);
}

loam_status lm_j_str_split(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return split(run, call, false, out);
}

loam_status lm_j_str_rsplit(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return split(run, call, true, out);
}

loam_status lm_j_str_splitlines(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jgrowing parts = {0};
    LM_TRY(lm_jsplit_lines(run, self_of(call), lm_jarg_truth(call, 0, false), &parts));
    return lm_jval_list(run, LM_J_LIST, parts.items, parts.n, out);
}

static LM_MUST_USE loam_status partition(lm_jrun *run, const lm_jcall *call, bool last,
                                         lm_jval *out) {
    lm_str text = self_of(call), separator;
    lm_jval *parts = lm_jrun_alloc(run, 3, sizeof *parts);
    if (!parts) return lm_jrun_no_memory(run);
    LM_TRY(lm_jarg_text(run, call, 0, &separator));
    if (separator.len == 0) return lm_jrun_fail(run, "empty separator");
    LM_TRY(lm_jrun_charge_text(run, text.len));
    size_t at = find_text(text, separator, last), end = at + separator.len;
    if (at == SIZE_MAX) {
        separator.len = 0;
        at = end = last ? 0 : text.len;
    }
    LM_TRY(lm_jval_str_ref(run, (lm_str){text.ptr, at}, &parts[0]));
    LM_TRY(lm_jval_str_ref(run, separator, &parts[1]));
    LM_TRY(lm_jval_str_ref(run, (lm_str){text.ptr + end, text.len - end}, &parts[2]));
    return lm_jval_list(run, LM_J_TUPLE, parts, 3, out);
}

loam_status lm_j_str_partition(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return partition(run, call, false, out);
}

loam_status lm_j_str_rpartition(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return partition(run, call, true, out);
}

/* ---- putting together ---- */

loam_status lm_j_str_replace(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str old, new_text;
    int64_t count;
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jarg_text(run, call, 0, &old));
    LM_TRY(lm_jarg_text(run, call, 1, &new_text));
    LM_TRY(lm_jarg_int(run, call, 2, -1, &count));
    LM_TRY(lm_jreplace(run, self_of(call), old, new_text, count));
    return done(run, begin, out);
}

loam_status lm_j_str_join(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    const lm_jval *items;
    size_t n, begin = lm_jrun_capture(run);
    LM_TRY(lm_jval_items(run, call->args[0], &items, &n));
    for (size_t i = 0; i < n; i++) {
        if (items[i].kind != LM_J_STRING)
            return lm_jrun_fail(run, "sequence item %zu: expected str instance, %s found", i,
                                lm_jval_type_name(items[i]));
        if (i) lm_jrun_put(run, self_of(call));
        LM_TRY(lm_jrun_put_str(run, items[i]));
    }
    return done(run, begin, out);
}

/* Fills up to a width; `left` of the missing characters go in front. */
static LM_MUST_USE loam_status put_padded(lm_jrun *run, lm_str text, int64_t left, int64_t right,
                                          lm_str fill) {
    if (left > 0 || right > 0)
        LM_TRY(lm_jrun_charge(run, (size_t)(left > 0 ? left : 0) / 64 +
                                       (size_t)(right > 0 ? right : 0) / 64));
    for (int64_t i = 0; i < left && run->out.status == LOAM_OK; i++) lm_jrun_put(run, fill);
    lm_jrun_put(run, text);
    for (int64_t i = 0; i < right && run->out.status == LOAM_OK; i++) lm_jrun_put(run, fill);
    return LOAM_OK;
}

static LM_MUST_USE loam_status pad(lm_jrun *run, const lm_jcall *call, int where, lm_jval *out) {
    lm_str fill = LM_STR(" ");
    int64_t width, n = (int64_t)call->self.u.string->n_chars;
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jarg_int(run, call, 0, 0, &width));
    if (lm_jarg_given(call, 1)) LM_TRY(lm_jarg_text(run, call, 1, &fill));
    if (lm_unicode_count(fill) != 1)
        return lm_jrun_fail(run, "The fill character must be exactly one character long");
    int64_t missing = width > n ? width - n : 0;
    int64_t left = where < 0 ? 0 : where > 0 ? missing : missing / 2 + (missing & width & 1);
    LM_TRY(put_padded(run, self_of(call), left, missing - left, fill));
    return done(run, begin, out);
}

loam_status lm_j_str_center(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return pad(run, call, 0, out);
}

loam_status lm_j_str_ljust(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return pad(run, call, -1, out);
}

loam_status lm_j_str_rjust(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return pad(run, call, 1, out);
}

loam_status lm_j_str_zfill(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text = self_of(call);
    int64_t width, n = (int64_t)call->self.u.string->n_chars;
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jarg_int(run, call, 0, 0, &width));
    if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+')) {
        lm_buf_putc(&run->out, text.ptr[0]);
        text = (lm_str){text.ptr + 1, text.len - 1};
    }
    LM_TRY(put_padded(run, text, width > n ? width - n : 0, 0, LM_STR("0")));
    return done(run, begin, out);
}

loam_status lm_j_str_expandtabs(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str text = self_of(call);
    int64_t size, column = 0;
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jarg_int(run, call, 0, 8, &size));
    LM_TRY(lm_jrun_charge_text(run, text.len));
    for (size_t at = 0; at < text.len && run->out.status == LOAM_OK;) {
        size_t start = at;
        uint32_t c = lm_unicode_next(text, &at);
        int64_t spaces = c == '\t' && size > 0 ? size - column % size : 0;
        if (c != '\t') lm_buf_append(&run->out, text.ptr + start, at - start);
        LM_TRY(put_padded(run, LM_STR(""), spaces, 0, LM_STR(" ")));
        column = c == '\n' || c == '\r' ? 0 : column + (c == '\t' ? spaces : 1);
    }
    return done(run, begin, out);
}

/* ---- formatting ---- */

loam_status lm_j_str_format(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jformat_braces(run, self_of(call), call->given));
    return done(run, begin, out);
}

loam_status lm_j_str_format_map(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    if (call->args[0].kind != LM_J_DICT) return lm_jrun_fail(run, "format_map() takes a mapping");
    const lm_jdict *dict = call->args[0].u.dict;
    lm_jkwarg *kw = lm_jrun_alloc(run, dict->n + 1, sizeof *kw);
    size_t n = 0, begin = lm_jrun_capture(run);
    if (!kw) return lm_jrun_no_memory(run);
    for (size_t i = 0; i < dict->n; i++)
        if (dict->entries[i].key.kind == LM_J_STRING)
            kw[n++] =
                (lm_jkwarg){lm_jstr_text(dict->entries[i].key.u.string), dict->entries[i].value};
    const lm_jargs args = {.kw = kw, .n_kw = n};
    LM_TRY(lm_jformat_braces(run, self_of(call), &args));
    return done(run, begin, out);
}
