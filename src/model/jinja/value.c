#include "model/jinja/value.h"

#include <math.h>

#include "model/jinja/run.h"
#include "model/jinja/unicode.h"

enum { SMALL_DICT = 8 /* entries that are looked through without an index */ };

/* ---- making ---- */

static LM_MUST_USE loam_status str_view(lm_jrun *run, lm_str text, lm_jval *out) {
    lm_jstr *made = lm_jrun_alloc(run, 1, sizeof *made);
    if (!made) return lm_jrun_no_memory(run);
    *made = (lm_jstr){.ptr = text.ptr, .len = text.len, .n_chars = lm_unicode_count(text)};
    *out = (lm_jval){.kind = LM_J_STRING, .u.string = made};
    return LOAM_OK;
}

loam_status lm_jval_str_ref(lm_jrun *run, lm_str text, lm_jval *out) {
    return str_view(run, text.ptr ? text : LM_STR(""), out);
}

loam_status lm_jval_str(lm_jrun *run, lm_str text, lm_jval *out) {
    char *copy = lm_jrun_alloc(run, text.len + 1, 1);
    if (!copy) return lm_jrun_no_memory(run);
    if (text.len) memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    LM_TRY(lm_jrun_charge_text(run, text.len));
    return str_view(run, (lm_str){copy, text.len}, out);
}

loam_status lm_jval_str_of(lm_jrun *run, const char *text, lm_jval *out) {
    return lm_jval_str(run, lm_str_of(text), out);
}

loam_status lm_jval_list(lm_jrun *run, lm_jkind kind, lm_jval *items, size_t n, lm_jval *out) {
    lm_jlist *made = lm_jrun_alloc(run, 1, sizeof *made);
    if (!made) return lm_jrun_no_memory(run);
    *made = (lm_jlist){.items = items, .n = n};
    *out = (lm_jval){.kind = kind, .u.list = made};
    return LOAM_OK;
}

loam_status lm_jval_pair(lm_jrun *run, lm_jval first, lm_jval second, lm_jval *out) {
    lm_jval *items = lm_jrun_alloc(run, 2, sizeof *items);
    if (!items) return lm_jrun_no_memory(run);
    items[0] = first;
    items[1] = second;
    return lm_jval_list(run, LM_J_TUPLE, items, 2, out);
}

loam_status lm_jval_iter(lm_jrun *run, const lm_jval *items, size_t n, lm_jval *out) {
    lm_jiter *made = lm_jrun_alloc(run, 1, sizeof *made);
    if (!made) return lm_jrun_no_memory(run);
    *made = (lm_jiter){.items = items, .n = n};
    *out = (lm_jval){.kind = LM_J_ITERATOR, .u.iter = made};
    return LOAM_OK;
}

loam_status lm_jval_dict(lm_jrun *run, lm_jkind kind, lm_jval *out) {
    lm_jdict *made = lm_jrun_alloc(run, 1, sizeof *made);
    if (!made) return lm_jrun_no_memory(run);
    *made = (lm_jdict){0};
    *out = (lm_jval){.kind = kind, .u.dict = made};
    return LOAM_OK;
}

loam_status lm_jval_undef(lm_jrun *run, lm_jundef undefined, lm_jval *out) {
    lm_jundef *made = lm_jrun_alloc(run, 1, sizeof *made);
    if (!made) return lm_jrun_no_memory(run);
    *made = undefined;
    *out = (lm_jval){.kind = LM_J_UNDEFINED, .u.undefined = made};
    return LOAM_OK;
}

static LM_MUST_USE loam_status list_of_json(lm_jrun *run, const json_t *json, lm_jval *out) {
    size_t n = json_array_size(json);
    lm_jval *items = lm_jrun_alloc(run, n + 1, sizeof *items);
    if (!items) return lm_jrun_no_memory(run);
    for (size_t i = 0; i < n; i++) LM_TRY(lm_jval_of_json(run, json_array_get(json, i), &items[i]));
    return lm_jval_list(run, LM_J_LIST, items, n, out);
}

static LM_MUST_USE loam_status dict_of_json(lm_jrun *run, const json_t *json, lm_jval *out) {
    const char *key;
    json_t *member;
    LM_TRY(lm_jval_dict(run, LM_J_DICT, out));
    json_object_foreach((json_t *)json, key, member) {
        lm_jval value;
        LM_TRY(lm_jval_of_json(run, member, &value));
        LM_TRY(lm_jdict_set_text(run, out->u.dict, lm_str_of(key), value));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status of_json(lm_jrun *run, const json_t *json, lm_jval *out) {
    switch (json_typeof(json)) {
    case JSON_OBJECT: return dict_of_json(run, json, out);
    case JSON_ARRAY: return list_of_json(run, json, out);
    case JSON_STRING:
        return lm_jval_str_ref(run, (lm_str){json_string_value(json), json_string_length(json)},
                               out);
    case JSON_INTEGER: *out = lm_jval_int(json_integer_value(json)); return LOAM_OK;
    case JSON_REAL: *out = lm_jval_float(json_real_value(json)); return LOAM_OK;
    case JSON_TRUE: *out = lm_jval_bool(true); return LOAM_OK;
    case JSON_FALSE: *out = lm_jval_bool(false); return LOAM_OK;
    default: *out = lm_jval_none(); return LOAM_OK;
    }
}

loam_status lm_jval_of_json(lm_jrun *run, const json_t *json, lm_jval *out) {
    LM_TRY(lm_jrun_enter(run));
    loam_status status = of_json(run, json, out);
    run->depth--;
    return status;
}

/* ---- dicts ---- */

static uint64_t hash_bytes(
    lm_str text) { /* FNV-1a, mixed; chains are charged for as work, so they need no secret */
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < text.len; i++) hash = (hash ^ (uint8_t)text.ptr[i]) * 1099511628211u;
    return hash ^ hash >> 29;
}

static uint64_t hash_int(uint64_t value) {
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    return value ^ value >> 27;
}

loam_status lm_jval_hash(lm_jrun *run, lm_jval key, uint64_t *out) {
    *out = (uint64_t)key.kind;
    switch (key.kind) {
    case LM_J_STRING: *out = hash_bytes(lm_jstr_text(key.u.string)); return LOAM_OK;
    case LM_J_BOOL:
    case LM_J_INT: *out = hash_int((uint64_t)lm_jval_to_int(key)); return LOAM_OK;
    case LM_J_FLOAT: {
        double real = key.u.real;
        bool whole = real == floor(real) && fabs(real) < 9e18;
        uint64_t bits;
        memcpy(&bits, &real, sizeof bits);
        *out = hash_int(whole ? (uint64_t)(int64_t)real : bits);
        return LOAM_OK;
    }
    case LM_J_TUPLE:
        LM_TRY(lm_jrun_enter(run));
        for (size_t i = 0; i < key.u.list->n; i++) {
            uint64_t hash;
            LM_TRY(lm_jval_hash(run, key.u.list->items[i], &hash));
            *out = hash_int(*out * 31 + hash);
        }
        run->depth--;
        return LOAM_OK;
    case LM_J_LIST:
    case LM_J_DICT: return lm_jrun_fail(run, "unhashable type: '%s'", lm_jval_type_name(key));
    case LM_J_VIEW:
        if (key.u.view->of == LM_JVIEW_VALUES) return LOAM_OK;
        return lm_jrun_fail(run, "unhashable type: '%s'", lm_jval_type_name(key));
    default: return LOAM_OK;
    }
}

/* Entry of the key, or dict->n. */
static LM_MUST_USE loam_status find_entry(lm_jrun *run, const lm_jdict *dict, lm_jval key,
                                          uint64_t hash, size_t *out) {
    size_t n_probes = 0, at = dict->index ? hash & (dict->index_size - 1) : 0;
    *out = dict->n;
    for (;; at = dict->index ? (at + 1) & (dict->index_size - 1) : at + 1) {
        size_t entry = at;
        bool equal;
        if (dict->index) {
            if (dict->index[at] == 0) break;
            entry = dict->index[at] - 1;
        } else if (at >= dict->n) {
            break;
        }
        if (++n_probes > SMALL_DICT) LM_TRY(lm_jrun_charge(run, 1));
        if (dict->entries[entry].hash != hash) continue;
        LM_TRY(lm_jval_equal(run, dict->entries[entry].key, key, &equal));
        if (!equal) continue;
        *out = entry;
        break;
    }
    return LOAM_OK;
}

static void index_entry(lm_jdict *dict, size_t entry) {
    size_t at = dict->entries[entry].hash & (dict->index_size - 1);
    while (dict->index[at]) at = (at + 1) & (dict->index_size - 1);
    dict->index[at] = (uint32_t)entry + 1;
}

static LM_MUST_USE loam_status grow(lm_jrun *run, lm_jdict *dict) {
    size_t capacity = dict->capacity ? 2 * dict->capacity : 4;
    lm_jentry *entries = lm_jrun_alloc(run, capacity, sizeof *entries);
    if (!entries || capacity > UINT32_MAX / 4) return lm_jrun_no_memory(run);
    LM_TRY(lm_jrun_charge(run, dict->n / 8));
    if (dict->n) memcpy(entries, dict->entries, dict->n * sizeof *entries);
    dict->entries = entries;
    dict->capacity = capacity;
    if (capacity <= SMALL_DICT) return LOAM_OK;
    dict->index_size = 2 * capacity;
    dict->index = lm_jrun_alloc(run, dict->index_size, sizeof *dict->index);
    if (!dict->index) return lm_jrun_no_memory(run);
    memset(dict->index, 0, dict->index_size * sizeof *dict->index);
    for (size_t i = 0; i < dict->n; i++) index_entry(dict, i);
    return LOAM_OK;
}

loam_status lm_jdict_set(lm_jrun *run, lm_jdict *dict, lm_jval key, lm_jval value) {
    uint64_t hash;
    size_t entry;
    LM_TRY(lm_jval_hash(run, key, &hash));
    LM_TRY(find_entry(run, dict, key, hash, &entry));
    if (entry < dict->n) {
        dict->entries[entry].value = value;
        return LOAM_OK;
    }
    if (dict->n == dict->capacity) LM_TRY(grow(run, dict));
    dict->entries[dict->n] = (lm_jentry){key, value, hash};
    if (dict->index) index_entry(dict, dict->n);
    dict->n++;
    return LOAM_OK;
}

loam_status lm_jdict_set_text(lm_jrun *run, lm_jdict *dict, lm_str key, lm_jval value) {
    lm_jval text;
    LM_TRY(lm_jval_str_ref(run, key, &text));
    return lm_jdict_set(run, dict, text, value);
}

loam_status lm_jdict_get(lm_jrun *run, const lm_jdict *dict, lm_jval key, lm_jval *out) {
    uint64_t hash;
    size_t entry;
    LM_TRY(lm_jval_hash(run, key, &hash));
    LM_TRY(find_entry(run, dict, key, hash, &entry));
    *out = entry < dict->n ? dict->entries[entry].value : (lm_jval){.kind = LM_J_MISSING};
    return LOAM_OK;
}

lm_jval lm_jdict_get_text(const lm_jdict *dict, lm_str key) {
    uint64_t hash = hash_bytes(key);
    size_t at = dict->index ? hash & (dict->index_size - 1) : 0;
    for (;; at = dict->index ? (at + 1) & (dict->index_size - 1) : at + 1) {
        if (dict->index ? dict->index[at] == 0 : at >= dict->n)
            return (lm_jval){.kind = LM_J_MISSING};
        const lm_jentry *e = &dict->entries[dict->index ? dict->index[at] - 1 : at];
        if (e->hash == hash && e->key.kind == LM_J_STRING &&
            lm_str_equal(lm_jstr_text(e->key.u.string), key))
            return e->value;
    }
}

/* ---- reading ---- */

const char *lm_jval_type_name(lm_jval value) {
    static const char *const names[] = {
        [LM_J_MISSING] = "Undefined",
        [LM_J_UNDEFINED] = "Undefined",
        [LM_J_NONE] = "NoneType",
        [LM_J_BOOL] = "bool",
        [LM_J_INT] = "int",
        [LM_J_FLOAT] = "float",
        [LM_J_STRING] = "str",
        [LM_J_LIST] = "list",
        [LM_J_TUPLE] = "tuple",
        [LM_J_DICT] = "dict",
        [LM_J_RANGE] = "range",
        [LM_J_ITERATOR] = "generator",
        [LM_J_NAMESPACE] = "Namespace",
        [LM_J_MACRO] = "Macro",
        [LM_J_BUILTIN] = "function",
        [LM_J_METHOD] = "builtin_function_or_method",
        [LM_J_LOOP] = "LoopContext",
        [LM_J_CYCLER] = "Cycler",
        [LM_J_JOINER] = "Joiner",
    };
    static const char *const views[] = {"dict_keys", "dict_values", "dict_items"};
    return value.kind == LM_J_VIEW ? views[value.u.view->of] : names[value.kind];
}

bool lm_jval_truth(lm_jval value) {
    switch (value.kind) {
    case LM_J_MISSING:
    case LM_J_UNDEFINED:
    case LM_J_NONE: return false;
    case LM_J_BOOL: return value.u.boolean;
    case LM_J_INT: return value.u.integer != 0;
    case LM_J_FLOAT: return value.u.real != 0;
    default: {
        int64_t len = lm_jval_len(value);
        return len != 0; /* what has no length is true */
    }
    }
}

int64_t lm_jval_len(lm_jval value) {
    switch (value.kind) {
    case LM_J_UNDEFINED: return 0;
    case LM_J_STRING: return (int64_t)value.u.string->n_chars;
    case LM_J_LIST:
    case LM_J_TUPLE: return (int64_t)value.u.list->n;
    case LM_J_DICT: return (int64_t)value.u.dict->n;
    case LM_J_VIEW: return (int64_t)value.u.view->dict->n;
    case LM_J_RANGE: return value.u.range->n;
    default: return -1;
    }
}

bool lm_jval_is(lm_jval a, lm_jval b) {
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case LM_J_NONE: return true;
    case LM_J_BOOL: return a.u.boolean == b.u.boolean;
    case LM_J_INT: return a.u.integer == b.u.integer;
    case LM_J_FLOAT: return a.u.real == b.u.real;
    case LM_J_STRING: return lm_str_equal(lm_jstr_text(a.u.string), lm_jstr_text(b.u.string));
    default: return a.u.list == b.u.list;
    }
}

static LM_MUST_USE loam_status chars_of(lm_jrun *run, const lm_jstr *string, lm_jval *items) {
    lm_str text = lm_jstr_text(string);
    size_t n = 0;
    for (size_t at = 0; at < text.len;) {
        size_t begin = at;
        lm_unicode_next(text, &at);
        LM_TRY(lm_jval_str_ref(run, (lm_str){text.ptr + begin, at - begin}, &items[n++]));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status entries_of(lm_jrun *run, const lm_jdict *dict, lm_jview_of of,
                                          lm_jval *items) {
    for (size_t i = 0; i < dict->n; i++) {
        const lm_jentry *e = &dict->entries[i];
        if (of == LM_JVIEW_ITEMS)
            LM_TRY(lm_jval_pair(run, e->key, e->value, &items[i]));
        else
            items[i] = of == LM_JVIEW_KEYS ? e->key : e->value;
    }
    return LOAM_OK;
}

bool lm_jval_is_iterable(lm_jval value) {
    return value.kind == LM_J_ITERATOR || value.kind == LM_J_LOOP || value.kind == LM_J_CYCLER ||
           lm_jval_len(value) >= 0;
}

loam_status lm_jval_items(lm_jrun *run, lm_jval value, const lm_jval **out, size_t *out_n) {
    int64_t n = lm_jval_len(value);
    if (value.kind == LM_J_ITERATOR) {
        *out_n = value.u.iter->n - value.u.iter->at;
        *out = *out_n ? value.u.iter->items + value.u.iter->at : NULL;
        value.u.iter->at = value.u.iter->n;
        return LOAM_OK;
    }
    if (n < 0) return lm_jrun_fail(run, "'%s' object is not iterable", lm_jval_type_name(value));
    *out_n = (size_t)n;
    *out = NULL;
    if (lm_jval_is_sequence(value)) {
        *out = value.u.list->items;
        return LOAM_OK;
    }
    lm_jval *items = lm_jrun_alloc(run, *out_n + 1, sizeof *items);
    if (!items) return lm_jrun_no_memory(run);
    LM_TRY(lm_jrun_charge(run, *out_n / 4));
    *out = items;
    switch (value.kind) {
    case LM_J_STRING: return chars_of(run, value.u.string, items);
    case LM_J_DICT: return entries_of(run, value.u.dict, LM_JVIEW_KEYS, items);
    case LM_J_VIEW: return entries_of(run, value.u.view->dict, value.u.view->of, items);
    case LM_J_RANGE:
        for (int64_t i = 0; i < n; i++)
            items[i] = lm_jval_int(value.u.range->start + i * value.u.range->step);
        return LOAM_OK;
    default: return LOAM_OK;
    }
}

/* ---- comparing ---- */

/* Integers and floats exactly: a long double holds both. */
static int number_order(lm_jval a, lm_jval b) {
    if (lm_jval_is_int(a) && lm_jval_is_int(b)) {
        int64_t x = lm_jval_to_int(a), y = lm_jval_to_int(b);
        return (x > y) - (x < y);
    }
    long double x = a.kind == LM_J_FLOAT ? (long double)a.u.real : (long double)lm_jval_to_int(a);
    long double y = b.kind == LM_J_FLOAT ? (long double)b.u.real : (long double)lm_jval_to_int(b);
    return isnan(x) || isnan(y) ? 2 : (x > y) - (x < y);
}

static LM_MUST_USE loam_status equal_lists(lm_jrun *run, const lm_jlist *a, const lm_jlist *b,
                                           bool *out) {
    *out = a->n == b->n;
    for (size_t i = 0; i < a->n && *out; i++)
        LM_TRY(lm_jval_equal(run, a->items[i], b->items[i], out));
    return LOAM_OK;
}

static LM_MUST_USE loam_status equal_dicts(lm_jrun *run, const lm_jdict *a, const lm_jdict *b,
                                           bool *out) {
    *out = a->n == b->n;
    for (size_t i = 0; i < a->n && *out; i++) {
        lm_jval other;
        LM_TRY(lm_jdict_get(run, b, a->entries[i].key, &other));
        *out = other.kind != LM_J_MISSING;
        if (*out) LM_TRY(lm_jval_equal(run, a->entries[i].value, other, out));
    }
    return LOAM_OK;
}

/* Keys are a set, and so are items. */
static LM_MUST_USE loam_status equal_views(lm_jrun *run, const lm_jview *a, const lm_jview *b,
                                           bool *out) {
    *out = a == b;
    if (a->of != b->of || a->of == LM_JVIEW_VALUES) return LOAM_OK;
    if (a->of == LM_JVIEW_ITEMS) return equal_dicts(run, a->dict, b->dict, out);
    *out = a->dict->n == b->dict->n;
    for (size_t i = 0; i < a->dict->n && *out; i++) {
        lm_jval other;
        LM_TRY(lm_jdict_get(run, b->dict, a->dict->entries[i].key, &other));
        *out = other.kind != LM_J_MISSING;
    }
    return LOAM_OK;
}

static bool equal_ranges(const lm_jrange *a, const lm_jrange *b) {
    return a->n == b->n && (a->n == 0 || a->start == b->start) && (a->n < 2 || a->step == b->step);
}

static LM_MUST_USE loam_status equal_same_kind(lm_jrun *run, lm_jval a, lm_jval b, bool *out) {
    switch (a.kind) {
    case LM_J_UNDEFINED:
    case LM_J_NONE: *out = true; return LOAM_OK;
    case LM_J_STRING:
        *out = lm_str_equal(lm_jstr_text(a.u.string), lm_jstr_text(b.u.string));
        return *out ? lm_jrun_charge_text(run, a.u.string->len) : LOAM_OK;
    case LM_J_LIST:
    case LM_J_TUPLE: return equal_lists(run, a.u.list, b.u.list, out);
    case LM_J_DICT: return equal_dicts(run, a.u.dict, b.u.dict, out);
    case LM_J_VIEW: return equal_views(run, a.u.view, b.u.view, out);
    case LM_J_RANGE: *out = equal_ranges(a.u.range, b.u.range); return LOAM_OK;
    case LM_J_METHOD:
        *out = a.u.method->builtin == b.u.method->builtin &&
               lm_jval_is(a.u.method->self, b.u.method->self);
        return LOAM_OK;
    default: *out = lm_jval_is(a, b); return LOAM_OK;
    }
}

loam_status lm_jval_equal(lm_jrun *run, lm_jval a, lm_jval b, bool *out) {
    if (lm_jval_is_number(a) && lm_jval_is_number(b)) {
        *out = number_order(a, b) == 0;
        return LOAM_OK;
    }
    *out = false;
    if (a.kind != b.kind) return LOAM_OK;
    LM_TRY(lm_jrun_enter(run));
    loam_status status = equal_same_kind(run, a, b, out);
    run->depth--;
    return status;
}

static LM_MUST_USE loam_status order_lists(lm_jrun *run, const lm_jlist *a, const lm_jlist *b,
                                           int *out) {
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        bool equal;
        LM_TRY(lm_jval_equal(run, a->items[i], b->items[i], &equal));
        if (!equal) return lm_jval_order(run, a->items[i], b->items[i], out);
    }
    *out = (a->n > b->n) - (a->n < b->n);
    return LOAM_OK;
}

static int order_texts(lm_str a, lm_str b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0; /* UTF-8 keeps the order of code points */
    return order ? (order > 0) - (order < 0) : (a.len > b.len) - (a.len < b.len);
}

loam_status lm_jval_order(lm_jrun *run, lm_jval a, lm_jval b, int *out) {
    if (a.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, a);
    if (b.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, b);
    if (lm_jval_is_number(a) && lm_jval_is_number(b)) {
        *out = number_order(a, b);
        return LOAM_OK;
    }
    if (a.kind == LM_J_STRING && b.kind == LM_J_STRING) {
        *out = order_texts(lm_jstr_text(a.u.string), lm_jstr_text(b.u.string));
        return lm_jrun_charge_text(run, a.u.string->len < b.u.string->len ? a.u.string->len
                                                                          : b.u.string->len);
    }
    if (a.kind != b.kind || !lm_jval_is_sequence(a))
        return lm_jrun_fail(run, "'<' not supported between instances of '%s' and '%s'",
                            lm_jval_type_name(a), lm_jval_type_name(b));
    LM_TRY(lm_jrun_enter(run));
    loam_status status = order_lists(run, a.u.list, b.u.list, out);
    run->depth--;
    return status;
}

static LM_MUST_USE loam_status text_contains(lm_jrun *run, const lm_jstr *text, lm_jval item,
                                             bool *out) {
    if (item.kind != LM_J_STRING)
        return lm_jrun_fail(run, "'in <string>' requires string as left operand, not %s",
                            lm_jval_type_name(item));
    *out = item.u.string->len == 0 ||
           memmem(text->ptr, text->len, item.u.string->ptr, item.u.string->len);
    return lm_jrun_charge_text(run, text->len);
}

loam_status lm_jval_contains(lm_jrun *run, lm_jval container, lm_jval item, bool *out) {
    lm_jval found;
    if (container.kind == LM_J_STRING) return text_contains(run, container.u.string, item, out);
    bool keys = container.kind == LM_J_VIEW && container.u.view->of == LM_JVIEW_KEYS;
    if (container.kind == LM_J_DICT || keys) {
        LM_TRY(lm_jdict_get(run, keys ? container.u.view->dict : container.u.dict, item, &found));
        *out = found.kind != LM_J_MISSING;
        return LOAM_OK;
    }
    lm_jiter *iter = container.kind == LM_J_ITERATOR ? container.u.iter : NULL;
    const lm_jval *items;
    size_t n;
    *out = false;
    if (!lm_jval_is_iterable(container))
        return lm_jrun_fail(run, "argument of type '%s' is not iterable",
                            lm_jval_type_name(container));
    size_t first = iter ? iter->at : 0;
    LM_TRY(lm_jval_items(run, container, &items, &n));
    for (size_t i = 0; i < n && !*out; i++) {
        LM_TRY(lm_jrun_charge(run, 1));
        *out = lm_jval_is(items[i], item) && item.kind != LM_J_FLOAT;
        if (!*out) LM_TRY(lm_jval_equal(run, items[i], item, out));
        if (*out && iter) iter->at = first + i + 1; /* an iterator stops behind what was found */
    }
    return LOAM_OK;
}

static bool holds(lm_jop op, int order) {
    switch (op) {
    case LM_JOP_LT: return order == -1;
    case LM_JOP_LE: return order == -1 || order == 0;
    case LM_JOP_GT: return order == 1;
    default: return order == 1 || order == 0;
    }
}

loam_status lm_jval_compare(lm_jrun *run, lm_jop op, lm_jval a, lm_jval b, bool *out) {
    int order;
    switch (op) {
    case LM_JOP_EQ:
    case LM_JOP_NE:
        LM_TRY(lm_jval_equal(run, a, b, out));
        *out ^= op == LM_JOP_NE;
        return LOAM_OK;
    case LM_JOP_IN:
    case LM_JOP_NOT_IN:
        LM_TRY(lm_jval_contains(run, b, a, out));
        *out ^= op == LM_JOP_NOT_IN;
        return LOAM_OK;
    default:
        LM_TRY(lm_jval_order(run, a, b, &order));
        *out = holds(op, order);
        return LOAM_OK;
    }
}

/* ---- sorting: merging runs, stable ---- */

typedef struct sorting {
    lm_jrun *run;
    lm_jval *items, *keys, *spare_items, *spare_keys;
    bool reverse;
} sorting;

static LM_MUST_USE loam_status merge_halves(sorting *s, size_t begin, size_t middle, size_t end) {
    size_t a = begin, b = middle;
    for (size_t out = begin; out < end; out++) {
        bool second = a == middle;
        if (!second && b < end) { /* the later one goes first only if it is strictly before */
            LM_TRY(lm_jrun_charge(s->run, 1));
            LM_TRY(s->reverse
                       ? lm_jval_compare(s->run, LM_JOP_LT, s->keys[a], s->keys[b], &second)
                       : lm_jval_compare(s->run, LM_JOP_LT, s->keys[b], s->keys[a], &second));
        }
        size_t from = second ? b++ : a++;
        s->spare_items[out] = s->items[from];
        s->spare_keys[out] = s->keys[from];
    }
    memcpy(s->items + begin, s->spare_items + begin, (end - begin) * sizeof(lm_jval));
    memcpy(s->keys + begin, s->spare_keys + begin, (end - begin) * sizeof(lm_jval));
    return LOAM_OK;
}

loam_status lm_jval_sort(lm_jrun *run, lm_jval *items, lm_jval *keys, size_t n, bool reverse) {
    sorting s = {.run = run, .items = items, .keys = keys, .reverse = reverse};
    s.spare_items = lm_jrun_alloc(run, n + 1, sizeof(lm_jval));
    s.spare_keys = lm_jrun_alloc(run, n + 1, sizeof(lm_jval));
    if (!s.spare_items || !s.spare_keys) return lm_jrun_no_memory(run);
    for (size_t width = 1; width < n; width *= 2)
        for (size_t begin = 0; begin + width < n; begin += 2 * width)
            LM_TRY(merge_halves(&s, begin, begin + width,
                                begin + 2 * width < n ? begin + 2 * width : n));
    return LOAM_OK;
}
