/* Filters on sequences and mappings. What Jinja gives as a generator is an iterator here, already computed: it can be walked
 * once, has no length, and counts as true. */
#include "model/jinja/builtins.h"
#include "model/jinja/unicode.h"

/* ---- attributes of items: "a.b.0" ---- */

/* int(x) if x.isdigit() else x */
static LM_MUST_USE loam_status path_part(lm_jrun *run, lm_str part, lm_jval *out) {
    int64_t number;
    bool digits = part.len > 0 && part.len < 18;
    for (size_t i = 0; i < part.len && digits; i++)
        digits = part.ptr[i] >= '0' && part.ptr[i] <= '9';
    if (!digits || !lm_str_to_i64(part, &number)) return lm_jval_str_ref(run, part, out);
    *out = lm_jval_int(number);
    return LOAM_OK;
}

static LM_MUST_USE loam_status follow_path(lm_jrun *run, lm_str path, lm_jval fallback,
                                           lm_jval *value) {
    for (;;) {
        const char *dot = memchr(path.ptr, '.', path.len);
        size_t len = dot ? (size_t)(dot - path.ptr) : path.len;
        lm_jval key;
        LM_TRY(path_part(run, (lm_str){path.ptr, len}, &key));
        LM_TRY(lm_jval_item(run, *value, key, value));
        bool use = fallback.kind != LM_J_MISSING && fallback.kind != LM_J_NONE;
        if (value->kind == LM_J_UNDEFINED && use) *value = fallback;
        if (!dot) return LOAM_OK;
        path = (lm_str){dot + 1, path.len - len - 1};
    }
}

/* item[attribute]; the item itself when attribute is none. */
static LM_MUST_USE loam_status get_attribute(lm_jrun *run, lm_jval item, lm_jval attribute,
                                             lm_jval fallback, lm_jval *out) {
    *out = item;
    if (attribute.kind == LM_J_MISSING || attribute.kind == LM_J_NONE) return LOAM_OK;
    if (attribute.kind == LM_J_STRING)
        return follow_path(run, lm_jstr_text(attribute.u.string), fallback, out);
    LM_TRY(lm_jval_item(run, item, attribute, out));
    bool use = fallback.kind != LM_J_MISSING && fallback.kind != LM_J_NONE;
    if (out->kind == LM_J_UNDEFINED && use) *out = fallback;
    return LOAM_OK;
}

static LM_MUST_USE loam_status ignore_case(lm_jrun *run, lm_jval *value) {
    if (value->kind != LM_J_STRING) return LOAM_OK;
    return lm_jconvert(run, lm_jstr_text(value->u.string), LM_CASE_LOWER, value);
}

/* What an item is sorted or compared by. */
static LM_MUST_USE loam_status key_of(lm_jrun *run, lm_jval item, lm_jval attribute,
                                      lm_jval fallback, bool case_sensitive, lm_jval *out) {
    LM_TRY(lm_jrun_charge(run, 1));
    LM_TRY(get_attribute(run, item, attribute, fallback, out));
    return case_sensitive ? LOAM_OK : ignore_case(run, out);
}

/* "a,b": several keys. Python compares lists of them, so that equal ones need not have an order. */
static LM_MUST_USE loam_status sort_key_of(lm_jrun *run, lm_jval item, lm_jval attribute,
                                           bool case_sensitive, lm_jval *out) {
    const lm_jval missing = {.kind = LM_J_MISSING};
    lm_jgrowing paths = {0};
    lm_str comma = LM_STR(",");
    if (attribute.kind == LM_J_STRING)
        LM_TRY(lm_jsplit(run, lm_jstr_text(attribute.u.string), &comma, -1, false, &paths));
    else
        LM_TRY(lm_jgrow(run, &paths, attribute));
    for (size_t i = 0; i < paths.n; i++)
        LM_TRY(key_of(run, item, paths.items[i], missing, case_sensitive, &paths.items[i]));
    return lm_jval_list(run, LM_J_LIST, paths.items, paths.n, out);
}

static LM_MUST_USE loam_status copy_items(lm_jrun *run, lm_jval value, lm_jval **out,
                                          size_t *out_n) {
    const lm_jval *items;
    LM_TRY(lm_jval_items(run, value, &items, out_n));
    *out = lm_jrun_alloc(run, *out_n + 1, sizeof **out);
    if (!*out) return lm_jrun_no_memory(run);
    if (*out_n) memcpy(*out, items, *out_n * sizeof **out);
    return lm_jrun_charge(run, *out_n / 8);
}

/* ---- whole sequences ---- */

loam_status lm_j_filter_length(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    int64_t n = lm_jval_len(call->self);
    if (call->self.kind == LM_J_LOOP) return lm_jval_attr(run, call->self, LM_STR("length"), out);
    if (n < 0)
        return lm_jrun_fail(run, "object of type '%s' has no len()", lm_jval_type_name(call->self));
    *out = lm_jval_int(n);
    return LOAM_OK;
}

loam_status lm_j_filter_list(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jval *items;
    size_t n;
    LM_TRY(copy_items(run, call->self, &items, &n));
    return lm_jval_list(run, LM_J_LIST, items, n, out);
}

loam_status lm_j_filter_items(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    if (call->self.kind == LM_J_UNDEFINED) return lm_jval_iter(run, NULL, 0, out);
    if (call->self.kind != LM_J_DICT)
        return lm_jrun_fail(run, "Can only get item pairs from a mapping.");
    lm_jval view;
    const lm_jval *items;
    size_t n;
    LM_TRY(lm_j_dict_items(run, call, &view));
    LM_TRY(lm_jval_items(run, view, &items, &n));
    return lm_jval_iter(run, items, n, out);
}

static LM_MUST_USE loam_status empty(lm_jrun *run, const char *hint, lm_jval *out) {
    return lm_jval_undef(run, (lm_jundef){.hint = hint}, out);
}

loam_status lm_j_filter_first(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    const lm_jval *items;
    size_t n, at = call->self.kind == LM_J_ITERATOR ? call->self.u.iter->at : 0;
    LM_TRY(lm_jval_items(run, call->self, &items, &n));
    if (n == 0) return empty(run, "No first item, sequence was empty.", out);
    if (call->self.kind == LM_J_ITERATOR)
        call->self.u.iter->at = at + 1; /* the others are still there */
    *out = items[0];
    return LOAM_OK;
}

static bool is_reversible(lm_jval value) {
    return lm_jval_len(value) >= 0;
}

loam_status lm_j_filter_last(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    const lm_jval *items;
    size_t n;
    if (!is_reversible(call->self))
        return lm_jrun_fail(run, "'%s' object is not reversible", lm_jval_type_name(call->self));
    LM_TRY(lm_jval_items(run, call->self, &items, &n));
    if (n == 0) return empty(run, "No last item, sequence was empty.", out);
    *out = items[n - 1];
    return LOAM_OK;
}

loam_status lm_j_filter_random(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    int64_t n = lm_jval_len(call->self);
    if (n < 0)
        return lm_jrun_fail(run, "object of type '%s' has no len()", lm_jval_type_name(call->self));
    if (n == 0) return empty(run, "No random item, sequence was empty.", out);
    return lm_jval_item(run, call->self, lm_jval_int((int64_t)lm_rng_below(&run->rng, (uint64_t)n)),
                        out);
}

static LM_MUST_USE loam_status reverse_text(lm_jrun *run, lm_jval text, lm_jval *out) {
    const lm_jval bounds[3] = {lm_jval_none(), lm_jval_none(), lm_jval_int(-1)};
    return lm_jval_slice(run, text, bounds, out);
}

loam_status lm_j_filter_reverse(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jval *items;
    size_t n;
    if (call->self.kind == LM_J_STRING) return reverse_text(run, call->self, out);
    if (!lm_jval_is_iterable(call->self)) return lm_jrun_fail(run, "argument must be iterable");
    LM_TRY(copy_items(run, call->self, &items, &n));
    for (size_t i = 0; i < n / 2; i++) {
        lm_jval swap = items[i];
        items[i] = items[n - 1 - i];
        items[n - 1 - i] = swap;
    }
    if (!is_reversible(call->self)) return lm_jval_list(run, LM_J_LIST, items, n, out);
    return lm_jval_iter(run, items, n, out);
}

loam_status lm_j_filter_batch(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jval *items, batch;
    lm_jgrowing batches = {0};
    size_t n;
    int64_t size;
    LM_TRY(lm_jarg_int(run, call, 0, 1, &size));
    LM_TRY(copy_items(run, call->self, &items, &n));
    bool fill = lm_jarg_given(call, 1) && call->args[1].kind != LM_J_NONE;
    size_t step = size > 0 ? (size_t)size : n ? n : 1;
    if (size == 0 &&
        n > 0) { /* Python gives an empty batch first, and all the others of one never end */
        LM_TRY(lm_jval_list(run, LM_J_LIST, NULL, 0, &batch));
        LM_TRY(lm_jgrow(run, &batches, batch));
        step = n;
    }
    for (size_t at = 0; at < n; at += step) {
        size_t len = n - at < step ? n - at : step, full = fill && size > 0 ? step : len;
        LM_TRY(lm_jrun_charge(run, full));
        lm_jval *part = lm_jrun_alloc(run, full + 1, sizeof *part);
        if (!part) return lm_jrun_no_memory(run);
        for (size_t i = 0; i < full; i++) part[i] = i < len ? items[at + i] : call->args[1];
        LM_TRY(lm_jval_list(run, LM_J_LIST, part, full, &batch));
        LM_TRY(lm_jgrow(run, &batches, batch));
    }
    return lm_jval_iter(run, batches.items, batches.n, out);
}

loam_status lm_j_filter_slice(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jval *items;
    size_t n, at = 0;
    int64_t slices;
    LM_TRY(lm_jarg_int(run, call, 0, 1, &slices));
    LM_TRY(copy_items(run, call->self, &items, &n));
    if (slices == 0) return lm_jrun_fail(run, "integer division or modulo by zero");
    if (slices < 0) return lm_jval_iter(run, NULL, 0, out);
    LM_TRY(lm_jrun_charge(run, (size_t)slices));
    lm_jval *parts = lm_jrun_alloc(run, (size_t)slices, sizeof *parts);
    if (!parts) return lm_jrun_no_memory(run);
    bool fill = lm_jarg_given(call, 1) && call->args[1].kind != LM_J_NONE;
    size_t each = n / (size_t)slices, extra = n % (size_t)slices;
    for (size_t i = 0; i < (size_t)slices; i++) {
        size_t len = each + (i < extra), filled = len + (fill && i >= extra);
        lm_jval *part = lm_jrun_alloc(run, filled + 1, sizeof *part);
        if (!part) return lm_jrun_no_memory(run);
        if (len) memcpy(part, items + at, len * sizeof *part);
        if (filled > len) part[len] = call->args[1];
        LM_TRY(lm_jval_list(run, LM_J_LIST, part, filled, &parts[i]));
        at += len;
    }
    return lm_jval_iter(run, parts, (size_t)slices, out);
}

/* ---- sums and extremes ---- */

loam_status lm_j_filter_sum(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    const lm_jval *items, missing = {.kind = LM_J_MISSING};
    size_t n;
    lm_jval sum = lm_jarg_given(call, 1) ? call->args[1] : lm_jval_int(0);
    if (sum.kind == LM_J_STRING)
        return lm_jrun_fail(run, "sum() can't sum strings [use ''.join(seq) instead]");
    LM_TRY(lm_jval_items(run, call->self, &items, &n));
    for (size_t i = 0; i < n; i++) {
        lm_jval item;
        LM_TRY(lm_jrun_charge(run, 1));
        LM_TRY(get_attribute(run, items[i], call->args[0], missing, &item));
        LM_TRY(lm_jval_arithmetic(run, LM_JOP_ADD, sum, item, &sum));
    }
    *out = sum;
    return LOAM_OK;
}

static LM_MUST_USE loam_status extreme(lm_jrun *run, const lm_jcall *call, lm_jop better,
                                       lm_jval *out) {
    const lm_jval *items, missing = {.kind = LM_J_MISSING};
    lm_jval best_key, key;
    size_t n, best = 0;
    bool case_sensitive = lm_jarg_truth(call, 0, false);
    LM_TRY(lm_jval_items(run, call->self, &items, &n));
    if (n == 0) return empty(run, "No aggregated item, sequence was empty.", out);
    LM_TRY(key_of(run, items[0], call->args[1], missing, case_sensitive, &best_key));
    for (size_t i = 1; i < n; i++) {
        bool is_better;
        LM_TRY(key_of(run, items[i], call->args[1], missing, case_sensitive, &key));
        LM_TRY(lm_jval_compare(run, better, key, best_key, &is_better));
        if (!is_better) continue;
        best = i;
        best_key = key;
    }
    *out = items[best];
    return LOAM_OK;
}

loam_status lm_j_filter_min(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return extreme(run, call, LM_JOP_LT, out);
}

loam_status lm_j_filter_max(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return extreme(run, call, LM_JOP_GT, out);
}

/* ---- order ---- */

loam_status lm_j_filter_sort(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jval *items;
    size_t n;
    bool case_sensitive = lm_jarg_truth(call, 1, false);
    LM_TRY(copy_items(run, call->self, &items, &n));
    lm_jval *keys = lm_jrun_alloc(run, n + 1, sizeof *keys);
    if (!keys) return lm_jrun_no_memory(run);
    for (size_t i = 0; i < n; i++)
        LM_TRY(sort_key_of(run, items[i], call->args[2], case_sensitive, &keys[i]));
    LM_TRY(lm_jval_sort(run, items, keys, n, lm_jarg_truth(call, 0, false)));
    return lm_jval_list(run, LM_J_LIST, items, n, out);
}

loam_status lm_j_filter_dictsort(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str by = LM_STR("key");
    const lm_jval missing = {.kind = LM_J_MISSING};
    if (lm_jarg_given(call, 1)) LM_TRY(lm_jarg_text(run, call, 1, &by));
    bool by_value = lm_str_is(by, "value");
    if (!by_value && !lm_str_is(by, "key"))
        return lm_jrun_fail(run, "You can only sort by either \"key\" or \"value\"");
    if (call->self.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, call->self);
    if (call->self.kind != LM_J_DICT)
        return lm_jrun_fail(run, "'%s' object has no attribute 'items'",
                            lm_jval_type_name(call->self));
    const lm_jdict *dict = call->self.u.dict;
    lm_jval *items = lm_jrun_alloc(run, dict->n + 1, sizeof *items),
            *keys = lm_jrun_alloc(run, dict->n + 1, sizeof *keys);
    if (!items || !keys) return lm_jrun_no_memory(run);
    for (size_t i = 0; i < dict->n; i++) {
        const lm_jentry *e = &dict->entries[i];
        LM_TRY(lm_jval_pair(run, e->key, e->value, &items[i]));
        LM_TRY(key_of(run, by_value ? e->value : e->key, missing, missing,
                      lm_jarg_truth(call, 0, false), &keys[i]));
    }
    LM_TRY(lm_jval_sort(run, items, keys, dict->n, lm_jarg_truth(call, 2, false)));
    return lm_jval_list(run, LM_J_LIST, items, dict->n, out);
}

loam_status lm_j_filter_unique(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    const lm_jval *items, missing = {.kind = LM_J_MISSING};
    lm_jgrowing kept = {0};
    lm_jval seen, key, found;
    size_t n;
    LM_TRY(lm_jval_items(run, call->self, &items, &n));
    LM_TRY(lm_jval_dict(run, LM_J_DICT, &seen));
    for (size_t i = 0; i < n; i++) {
        LM_TRY(key_of(run, items[i], call->args[1], missing, lm_jarg_truth(call, 0, false), &key));
        LM_TRY(lm_jdict_get(run, seen.u.dict, key, &found));
        if (found.kind != LM_J_MISSING) continue;
        LM_TRY(lm_jdict_set(run, seen.u.dict, key, lm_jval_none()));
        LM_TRY(lm_jgrow(run, &kept, items[i]));
    }
    return lm_jval_iter(run, kept.items, kept.n, out);
}

static LM_MUST_USE loam_status new_group(lm_jrun *run, lm_jval grouper, lm_jval *items, size_t n,
                                         lm_jval *out) {
    lm_jval list;
    LM_TRY(lm_jval_list(run, LM_J_LIST, items, n, &list));
    LM_TRY(lm_jval_pair(run, grouper, list, out));
    ((lm_jlist *)out->u.list)->is_group = true;
    return LOAM_OK;
}

/* Each group is called as its first item spells it. */
loam_status lm_j_filter_groupby(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jval *items, group, grouper;
    lm_jgrowing groups = {0};
    size_t n, begin = 0;
    bool case_sensitive = lm_jarg_truth(call, 2, false);
    LM_TRY(copy_items(run, call->self, &items, &n));
    lm_jval *keys = lm_jrun_alloc(run, n + 1, sizeof *keys);
    if (!keys) return lm_jrun_no_memory(run);
    for (size_t i = 0; i < n; i++)
        LM_TRY(key_of(run, items[i], call->args[0], call->args[1], case_sensitive, &keys[i]));
    LM_TRY(lm_jval_sort(run, items, keys, n, false));
    for (size_t i = 1; i <= n; i++) {
        bool equal = false;
        if (i < n) LM_TRY(lm_jval_equal(run, keys[begin], keys[i], &equal));
        if (equal) continue;
        LM_TRY(get_attribute(run, items[begin], call->args[0], call->args[1], &grouper));
        LM_TRY(new_group(run, grouper, items + begin, i - begin, &group));
        LM_TRY(lm_jgrow(run, &groups, group));
        begin = i;
    }
    return lm_jval_list(run, LM_J_LIST, groups.items, groups.n, out);
}

/* ---- other filters and tests on each item ---- */

static LM_MUST_USE loam_status named(lm_jrun *run, lm_jval name, bool is_filter,
                                     const lm_jbuiltin **out) {
    const char *what = is_filter ? "filter" : "test";
    if (name.kind != LM_J_STRING)
        return lm_jrun_fail(run, "No %s named by a '%s'.", what, lm_jval_type_name(name));
    lm_str text = lm_jstr_text(name.u.string);
    *out = is_filter ? lm_jbuiltin_filter(text) : lm_jbuiltin_test(text);
    return *out ? LOAM_OK : lm_jrun_fail(run, "No %s named '%.*s'.", what, (int)text.len, text.ptr);
}

/* map(attribute=..., default=...) */
static LM_MUST_USE loam_status map_attribute(lm_jrun *run, const lm_jargs *given,
                                             const lm_jval *items, size_t n, lm_jgrowing *out) {
    lm_jval attribute = {.kind = LM_J_MISSING}, fallback = attribute, value;
    for (size_t i = 0; i < given->n_kw; i++) {
        if (lm_str_is(given->kw[i].name, "attribute"))
            attribute = given->kw[i].value;
        else if (lm_str_is(given->kw[i].name, "default"))
            fallback = given->kw[i].value;
        else
            return lm_jrun_fail(run, "Unexpected keyword argument '%.*s'",
                                (int)given->kw[i].name.len, given->kw[i].name.ptr);
    }
    if (attribute.kind == LM_J_MISSING) return lm_jrun_fail(run, "map requires a filter argument");
    for (size_t i = 0; i < n; i++) {
        LM_TRY(lm_jrun_charge(run, 1));
        LM_TRY(get_attribute(run, items[i], attribute, fallback, &value));
        LM_TRY(lm_jgrow(run, out, value));
    }
    return LOAM_OK;
}

loam_status lm_j_filter_map(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    const lm_jval *items;
    const lm_jbuiltin *filter;
    lm_jgrowing made = {0};
    lm_jargs rest = *call->given;
    lm_jval value;
    size_t n;
    if (!lm_jval_truth(call->self)) return lm_jval_iter(run, NULL, 0, out);
    LM_TRY(lm_jval_items(run, call->self, &items, &n));
    if (rest.n_pos == 0) {
        LM_TRY(map_attribute(run, &rest, items, n, &made));
        return lm_jval_iter(run, made.items, made.n, out);
    }
    LM_TRY(named(run, rest.pos[0], true, &filter));
    rest.pos++;
    rest.n_pos--;
    for (size_t i = 0; i < n; i++) {
        LM_TRY(lm_jrun_call_builtin(run, filter, items[i], &rest, &value));
        LM_TRY(lm_jgrow(run, &made, value));
    }
    return lm_jval_iter(run, made.items, made.n, out);
}

static LM_MUST_USE loam_status select_items(lm_jrun *run, const lm_jcall *call, bool by_attribute,
                                            bool wanted, lm_jval *out) {
    const lm_jval *items, missing = {.kind = LM_J_MISSING};
    const lm_jbuiltin *test = NULL;
    lm_jgrowing kept = {0};
    lm_jargs rest = *call->given;
    lm_jval attribute = missing, value;
    size_t n;
    if (!lm_jval_truth(call->self)) return lm_jval_iter(run, NULL, 0, out);
    LM_TRY(lm_jval_items(run, call->self, &items, &n));
    if (by_attribute && rest.n_pos == 0)
        return lm_jrun_fail(run, "Missing parameter for attribute name");
    if (by_attribute) attribute = rest.pos[0];
    rest.pos += by_attribute;
    rest.n_pos -= by_attribute;
    if (rest.n_pos > 0) {
        LM_TRY(named(run, rest.pos[0], false, &test));
        rest.pos++;
        rest.n_pos--;
    }
    for (size_t i = 0; i < n; i++) {
        LM_TRY(lm_jrun_charge(run, 1));
        LM_TRY(get_attribute(run, items[i], attribute, missing, &value));
        if (test) LM_TRY(lm_jrun_call_builtin(run, test, value, &rest, &value));
        if (lm_jval_truth(value) == wanted) LM_TRY(lm_jgrow(run, &kept, items[i]));
    }
    return lm_jval_iter(run, kept.items, kept.n, out);
}

loam_status lm_j_filter_select(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return select_items(run, call, false, true, out);
}

loam_status lm_j_filter_reject(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return select_items(run, call, false, false, out);
}

loam_status lm_j_filter_selectattr(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return select_items(run, call, true, true, out);
}

loam_status lm_j_filter_rejectattr(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return select_items(run, call, true, false, out);
}

/* ---- the rest ---- */

loam_status lm_j_filter_default(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    bool use = call->self.kind == LM_J_UNDEFINED ||
               (lm_jarg_truth(call, 1, false) && !lm_jval_truth(call->self));
    *out = use ? call->args[0] : call->self;
    return out->kind == LM_J_MISSING ? lm_jval_str_ref(run, LM_STR(""), out) : LOAM_OK;
}

/* Only attributes: an item of that name does not count. */
loam_status lm_j_filter_attr(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str name;
    LM_TRY(lm_jarg_text(run, call, 0, &name));
    if (call->self.kind == LM_J_DICT && !lm_jbuiltin_method(LM_J_DICT, name))
        return lm_jval_undef(run, (lm_jundef){.owner = "dict", .name = name}, out);
    return lm_jval_attr(run, call->self, name, out);
}

loam_status lm_j_filter_join(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    const lm_jval *items, missing = {.kind = LM_J_MISSING};
    lm_str separator = {"", 0};
    size_t n, begin = lm_jrun_capture(run);
    LM_TRY(lm_jval_items(run, call->self, &items, &n));
    if (lm_jarg_given(call, 0)) LM_TRY(lm_jrun_to_str(run, call->args[0], &separator));
    for (size_t i = 0; i < n; i++) {
        lm_jval item;
        LM_TRY(lm_jrun_charge(run, 1));
        LM_TRY(get_attribute(run, items[i], call->args[1], missing, &item));
        if (i) lm_jrun_put(run, separator);
        LM_TRY(lm_jrun_put_str(run, item));
    }
    return lm_jrun_take(run, begin, out);
}
