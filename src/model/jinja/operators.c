/* Arithmetic, attributes, items and slices, as Python and Jinja's sandbox define them. */
#include <math.h>

#include "model/jinja/run.h"
#include "model/jinja/unicode.h"

/* ---- numbers ---- */

static LM_MUST_USE loam_status overflow(lm_jrun *run) {
    return lm_jrun_fail(run, "an integer of more than 64 bits");
}

static LM_MUST_USE loam_status int_power(lm_jrun *run, int64_t base, int64_t exponent,
                                         lm_jval *out) {
    if (exponent < 0) {
        if (base == 0) return lm_jrun_fail(run, "0.0 cannot be raised to a negative power");
        *out = lm_jval_float(pow((double)base, (double)exponent));
        return LOAM_OK;
    }
    int64_t result = 1;
    for (;;) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) return overflow(run);
        exponent >>= 1;
        if (exponent == 0) break;
        if (__builtin_mul_overflow(base, base, &base)) return overflow(run);
    }
    *out = lm_jval_int(result);
    return LOAM_OK;
}

static LM_MUST_USE loam_status int_quotient(lm_jrun *run, lm_jop op, int64_t a, int64_t b,
                                            lm_jval *out) {
    if (b == 0) return lm_jrun_fail(run, "division by zero");
    if (op == LM_JOP_DIV) {
        *out = lm_jval_float((double)a / (double)b);
        return LOAM_OK;
    }
    if (b == -1) { /* the one quotient that can overflow */
        if (op == LM_JOP_FLOORDIV && __builtin_sub_overflow(0, a, &a)) return overflow(run);
        *out = lm_jval_int(op == LM_JOP_MOD ? 0 : a);
        return LOAM_OK;
    }
    int64_t quotient = a / b, rest = a % b;
    bool adjust = rest != 0 && (rest < 0) != (b < 0);
    *out = lm_jval_int(op == LM_JOP_MOD ? rest + (adjust ? b : 0) : quotient - adjust);
    return LOAM_OK;
}

static LM_MUST_USE loam_status int_arithmetic(lm_jrun *run, lm_jop op, int64_t a, int64_t b,
                                              lm_jval *out) {
    int64_t result = 0;
    bool over;
    switch (op) {
    case LM_JOP_ADD: over = __builtin_add_overflow(a, b, &result); break;
    case LM_JOP_SUB: over = __builtin_sub_overflow(a, b, &result); break;
    case LM_JOP_MUL: over = __builtin_mul_overflow(a, b, &result); break;
    case LM_JOP_POW: return int_power(run, a, b, out);
    default: return int_quotient(run, op, a, b, out);
    }
    if (over) return overflow(run);
    *out = lm_jval_int(result);
    return LOAM_OK;
}

/* Python's % and //: the rest has the divisor's sign. */
static void float_quotient(double a, double b, double *out_floor, double *out_rest) {
    double rest = fmod(a, b), quotient = (a - rest) / b;
    if (rest != 0) {
        if ((b < 0) != (rest < 0)) {
            rest += b;
            quotient -= 1;
        }
    } else {
        rest = copysign(0, b);
    }
    if (quotient != 0) {
        double whole = floor(quotient);
        *out_floor = quotient - whole > 0.5 ? whole + 1 : whole;
    } else {
        *out_floor = copysign(0, a / b);
    }
    *out_rest = rest;
}

static LM_MUST_USE loam_status float_power(lm_jrun *run, double a, double b, lm_jval *out) {
    if (a == 0 && b < 0) return lm_jrun_fail(run, "0.0 cannot be raised to a negative power");
    if (a < 0 && isfinite(a) && isfinite(b) && b != floor(b))
        return lm_jrun_fail(run, "a complex number");
    double result = pow(a, b);
    if (isinf(result) && isfinite(a) && isfinite(b))
        return lm_jrun_fail(run, "Numerical result out of range");
    *out = lm_jval_float(result);
    return LOAM_OK;
}

static LM_MUST_USE loam_status float_arithmetic(lm_jrun *run, lm_jop op, double a, double b,
                                                lm_jval *out) {
    double whole, rest;
    switch (op) {
    case LM_JOP_ADD: *out = lm_jval_float(a + b); return LOAM_OK;
    case LM_JOP_SUB: *out = lm_jval_float(a - b); return LOAM_OK;
    case LM_JOP_MUL: *out = lm_jval_float(a * b); return LOAM_OK;
    case LM_JOP_POW: return float_power(run, a, b, out);
    default: break;
    }
    if (b == 0) return lm_jrun_fail(run, "float division by zero");
    float_quotient(a, b, &whole, &rest);
    *out = lm_jval_float(op == LM_JOP_DIV ? a / b : op == LM_JOP_MOD ? rest : whole);
    return LOAM_OK;
}

/* ---- texts and lists ---- */

static LM_MUST_USE loam_status repeat_text(lm_jrun *run, const lm_jstr *text, int64_t times,
                                           lm_jval *out) {
    size_t n = times > 0 && text->len > 0 ? (size_t)times : 0, bytes;
    if (__builtin_mul_overflow(n, text->len, &bytes)) return lm_jrun_no_memory(run);
    char *copy = lm_jrun_alloc(run, bytes + 1, 1);
    if (!copy) return lm_jrun_no_memory(run);
    LM_TRY(lm_jrun_charge(run, n / 16));
    LM_TRY(lm_jrun_charge_text(run, bytes));
    for (size_t i = 0; i < n; i++) memcpy(copy + i * text->len, text->ptr, text->len);
    return lm_jval_str_ref(run, (lm_str){copy, bytes}, out);
}

static LM_MUST_USE loam_status repeat_list(lm_jrun *run, lm_jval list, int64_t times,
                                           lm_jval *out) {
    size_t n = times > 0 && list.u.list->n > 0 ? (size_t)times : 0, len;
    if (__builtin_mul_overflow(n, list.u.list->n, &len)) return lm_jrun_no_memory(run);
    LM_TRY(lm_jrun_charge(run, len / 8));
    lm_jval *items = lm_jrun_alloc(run, len + 1, sizeof *items);
    if (!items) return lm_jrun_no_memory(run);
    for (size_t i = 0; i < len; i++) items[i] = list.u.list->items[i % list.u.list->n];
    return lm_jval_list(run, list.kind, items, len, out);
}

static LM_MUST_USE loam_status join_lists(lm_jrun *run, lm_jval a, lm_jval b, lm_jval *out) {
    size_t n = a.u.list->n + b.u.list->n;
    lm_jval *items = lm_jrun_alloc(run, n + 1, sizeof *items);
    if (!items) return lm_jrun_no_memory(run);
    LM_TRY(lm_jrun_charge(run, n / 8));
    if (a.u.list->n) memcpy(items, a.u.list->items, a.u.list->n * sizeof *items);
    if (b.u.list->n) memcpy(items + a.u.list->n, b.u.list->items, b.u.list->n * sizeof *items);
    return lm_jval_list(run, a.kind, items, n, out);
}

/* Where one of two texts is markup, the other one is escaped. */
static LM_MUST_USE loam_status add_texts(lm_jrun *run, lm_jval a, lm_jval b, lm_jval *out) {
    const lm_jbuiltin *escape = lm_jbuiltin_filter(LM_STR("escape"));
    const lm_jargs none = {0};
    if (a.u.string->markup != b.u.string->markup) {
        LM_TRY(lm_jrun_call_builtin(run, escape, a, &none, &a));
        LM_TRY(lm_jrun_call_builtin(run, escape, b, &none, &b));
    }
    return lm_jrun_concat(run, a.u.string, lm_jstr_text(b.u.string), out);
}

static LM_MUST_USE loam_status unsupported(lm_jrun *run, lm_jop op, lm_jval a, lm_jval b) {
    static const char *const signs[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};
    if (op == LM_JOP_ADD && a.kind == LM_J_STRING)
        return lm_jrun_fail(run, "can only concatenate str (not \"%s\") to str",
                            lm_jval_type_name(b));
    return lm_jrun_fail(run, "unsupported operand type(s) for %s: '%s' and '%s'", signs[op],
                        lm_jval_type_name(a), lm_jval_type_name(b));
}

static LM_MUST_USE loam_status multiply(lm_jrun *run, lm_jval a, lm_jval b, lm_jval *out) {
    if (lm_jval_is_int(a)) {
        lm_jval swap = a;
        a = b;
        b = swap;
    }
    if (!lm_jval_is_int(b)) return unsupported(run, LM_JOP_MUL, a, b);
    if (a.kind == LM_J_STRING) return repeat_text(run, a.u.string, lm_jval_to_int(b), out);
    if (lm_jval_is_sequence(a)) return repeat_list(run, a, lm_jval_to_int(b), out);
    return unsupported(run, LM_JOP_MUL, a, b);
}

static LM_MUST_USE loam_status format_text(lm_jrun *run, const lm_jstr *format, lm_jval args,
                                           lm_jval *out) {
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jformat_percent(run, lm_jstr_text(format), args));
    return lm_jrun_take(run, begin, out);
}

loam_status lm_jval_arithmetic(lm_jrun *run, lm_jop op, lm_jval a, lm_jval b, lm_jval *out) {
    if (lm_jval_is_int(a) && lm_jval_is_int(b))
        return int_arithmetic(run, op, lm_jval_to_int(a), lm_jval_to_int(b), out);
    if (lm_jval_is_number(a) && lm_jval_is_number(b))
        return float_arithmetic(run, op, lm_jval_to_float(a), lm_jval_to_float(b), out);
    if (op == LM_JOP_MOD && a.kind == LM_J_STRING) return format_text(run, a.u.string, b, out);
    if (a.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, a);
    if (b.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, b);
    if (op == LM_JOP_ADD && a.kind == b.kind) {
        if (a.kind == LM_J_STRING) return add_texts(run, a, b, out);
        if (lm_jval_is_sequence(a)) return join_lists(run, a, b, out);
    }
    if (op == LM_JOP_MUL) return multiply(run, a, b, out);
    return unsupported(run, op, a, b);
}

loam_status lm_jval_negate(lm_jrun *run, lm_jval a, bool negative, lm_jval *out) {
    if (a.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, a);
    if (a.kind == LM_J_FLOAT) {
        *out = lm_jval_float(negative ? -a.u.real : a.u.real);
        return LOAM_OK;
    }
    if (!lm_jval_is_int(a))
        return lm_jrun_fail(run, "bad operand type for unary %c: '%s'", negative ? '-' : '+',
                            lm_jval_type_name(a));
    int64_t value = lm_jval_to_int(a);
    if (negative && __builtin_sub_overflow(0, value, &value)) return overflow(run);
    *out = lm_jval_int(value);
    return LOAM_OK;
}

/* ---- attributes and items ---- */

static LM_MUST_USE loam_status no_attribute(lm_jrun *run, lm_jval object, lm_str name,
                                            lm_jval *out) {
    return lm_jval_undef(run, (lm_jundef){.owner = lm_jval_type_name(object), .name = name}, out);
}

static LM_MUST_USE loam_status unsafe_attribute(lm_jrun *run, lm_jval object, lm_str name,
                                                lm_jval *out) {
    size_t bytes = name.len + 96;
    char *hint = lm_jrun_alloc(run, bytes, 1);
    if (!hint) return lm_jrun_no_memory(run);
    snprintf(hint, bytes, "access to attribute '%.*s' of '%s' object is unsafe.", (int)name.len,
             name.ptr, lm_jval_type_name(object));
    return lm_jval_undef(run, (lm_jundef){.hint = hint, .name = name}, out);
}

static LM_MUST_USE loam_status bind_method(lm_jrun *run, const lm_jbuiltin *builtin, lm_jval self,
                                           lm_jval *out) {
    lm_jmethod *method = lm_jrun_alloc(run, 1, sizeof *method);
    if (!method) return lm_jrun_no_memory(run);
    *method = (lm_jmethod){builtin, self};
    *out = (lm_jval){.kind = LM_J_METHOD, .u.method = method};
    return LOAM_OK;
}

/* Plain attributes of numbers and of groups. */
static bool plain_attribute(lm_jval object, lm_str name, lm_jval *out) {
    if (lm_jval_is_number(object)) {
        bool is_float = object.kind == LM_J_FLOAT;
        if (lm_str_is(name, "real") || (!is_float && lm_str_is(name, "numerator")))
            *out = is_float ? object : lm_jval_int(lm_jval_to_int(object));
        else if (lm_str_is(name, "imag"))
            *out = is_float ? lm_jval_float(0) : lm_jval_int(0);
        else if (!is_float && lm_str_is(name, "denominator"))
            *out = lm_jval_int(1);
        else
            return false;
        return true;
    }
    if (object.kind == LM_J_TUPLE && object.u.list->is_group) {
        bool is_list = lm_str_is(name, "list");
        if (!is_list && !lm_str_is(name, "grouper")) return false;
        *out = object.u.list->items[is_list];
        return true;
    }
    if (object.kind == LM_J_CYCLER && lm_str_is(name, "current")) {
        *out = object.u.iter->items[object.u.iter->at];
        return true;
    }
    return false;
}

/* What jinja2's class for undefined values has, which the sandbox finds before they fail. */
static bool has_undefined(lm_str name) {
    static const char own[] =
        "__add__ __aiter__ __bool__ __call__ __class__ __complex__ __delattr__ __dir__ "
        "__div__ __doc__ __eq__ __float__ __floordiv__ __format__ __ge__ __getattr__ "
        "__getattribute__ __getitem__ __getstate__ __gt__ __hash__ __init__ "
        "__init_subclass__ __int__ __iter__ __le__ __len__ __lt__ __mod__ __module__ __mul__ "
        "__ne__ __neg__ __new__ __pos__ __pow__ __radd__ __rdiv__ __reduce__ __reduce_ex__ "
        "__repr__ __rfloordiv__ __rmod__ __rmul__ __rpow__ __rsub__ __rtruediv__ __setattr__ "
        "__sizeof__ __slots__ __str__ __sub__ __subclasshook__ __truediv__ "
        "_fail_with_undefined_error _undefined_exception _undefined_hint _undefined_message "
        "_undefined_name _undefined_obj ";
    for (const char *at = own; *at; at += strcspn(at, " ") + 1)
        if (strcspn(at, " ") == name.len && memcmp(at, name.ptr, name.len) == 0) return true;
    return false;
}

/* What getattr finds; MISSING when it raises AttributeError. */
static LM_MUST_USE loam_status find_attribute(lm_jrun *run, lm_jval object, lm_str name,
                                              lm_jval *out) {
    *out = (lm_jval){.kind = LM_J_MISSING};
    if (object.kind == LM_J_UNDEFINED)
        return has_undefined(name) ? unsafe_attribute(run, object, name, out)
                                   : lm_jrun_undefined(run, object);
    if (lm_str_starts(name, LM_STR("__")) && lm_str_ends(name, LM_STR("__")))
        return unsafe_attribute(run, object, name, out);
    if (object.kind == LM_J_NAMESPACE) {
        *out = lm_jdict_get_text(object.u.dict, name);
        return LOAM_OK;
    }
    if (object.kind == LM_J_LOOP) LM_TRY(lm_jloop_attr(run, object.u.loop, name, out));
    if (out->kind != LM_J_MISSING) return LOAM_OK;
    if (object.kind == LM_J_MACRO) return lm_jmacro_attr(run, object.u.macro, name, out);
    if (plain_attribute(object, name, out)) return LOAM_OK;
    const lm_jbuiltin *method = lm_jbuiltin_method(object.kind, name);
    if (!method) return LOAM_OK;
    return method->unsafe ? unsafe_attribute(run, object, name, out)
                          : bind_method(run, method, object, out);
}

loam_status lm_jval_attr(lm_jrun *run, lm_jval object, lm_str name, lm_jval *out) {
    LM_TRY(find_attribute(run, object, name, out));
    if (out->kind != LM_J_MISSING) return LOAM_OK;
    if (object.kind == LM_J_DICT) *out = lm_jdict_get_text(object.u.dict, name);
    return out->kind == LM_J_MISSING ? no_attribute(run, object, name, out) : LOAM_OK;
}

/* The position an index means; false: out of range. */
static bool position(int64_t index, int64_t n, int64_t *out) {
    *out = index < 0 ? index + n : index;
    return *out >= 0 && *out < n;
}

static LM_MUST_USE loam_status char_at(lm_jrun *run, const lm_jstr *string, int64_t index,
                                       lm_jval *out) {
    lm_str text = lm_jstr_text(string);
    size_t begin = lm_unicode_offset(text, string->n_chars, (size_t)index), end = begin;
    lm_unicode_next(text, &end);
    LM_TRY(lm_jrun_charge_text(run, begin));
    return lm_jval_str_ref(run, (lm_str){text.ptr + begin, end - begin}, out);
}

/* What subscription finds; MISSING when it raises LookupError or TypeError. */
static LM_MUST_USE loam_status find_item(lm_jrun *run, lm_jval object, lm_jval key, lm_jval *out) {
    int64_t at, n = lm_jval_len(object);
    *out = (lm_jval){.kind = LM_J_MISSING};
    if (object.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, object);
    if (object.kind == LM_J_DICT) {
        if (key.kind == LM_J_LIST || key.kind == LM_J_DICT || key.kind == LM_J_VIEW) return LOAM_OK;
        return lm_jdict_get(run, object.u.dict, key, out);
    }
    if (!lm_jval_is_int(key) || n < 0 || !position(lm_jval_to_int(key), n, &at)) return LOAM_OK;
    switch (object.kind) {
    case LM_J_LIST:
    case LM_J_TUPLE: *out = object.u.list->items[at]; return LOAM_OK;
    case LM_J_STRING: return char_at(run, object.u.string, at, out);
    case LM_J_RANGE:
        *out = lm_jval_int(object.u.range->start + at * object.u.range->step);
        return LOAM_OK;
    default: return LOAM_OK;
    }
}

loam_status lm_jval_item(lm_jrun *run, lm_jval object, lm_jval key, lm_jval *out) {
    lm_str name = {"", 0};
    LM_TRY(find_item(run, object, key, out));
    if (out->kind == LM_J_MISSING && key.kind == LM_J_STRING)
        LM_TRY(find_attribute(run, object, lm_jstr_text(key.u.string), out));
    if (out->kind != LM_J_MISSING) return LOAM_OK;
    LM_TRY(lm_jrun_to_str(run, key, &name));
    return no_attribute(run, object, name, out);
}

/* ---- slices ---- */

static LM_MUST_USE loam_status bound(lm_jrun *run, lm_jval value, int64_t fallback, int64_t *out) {
    *out = fallback;
    if (value.kind == LM_J_NONE) return LOAM_OK;
    if (!lm_jval_is_int(value)) return lm_jrun_fail(run, "slice indices must be integers or None");
    *out = lm_jval_to_int(value);
    return LOAM_OK;
}

static int64_t clamp(int64_t index, int64_t n, int64_t low, int64_t high) {
    if (index < 0) index = index < -n ? low : index + n;
    return index < low ? low : index > high ? high : index;
}

typedef struct span { /* n items from start by step */
    int64_t start, stop, step, n;
} span;

static LM_MUST_USE loam_status resolve_slice(lm_jrun *run, const lm_jval bounds[3], int64_t n,
                                             span *out) {
    int64_t start, stop, step;
    LM_TRY(bound(run, bounds[2], 1, &step));
    if (step == 0) return lm_jrun_fail(run, "slice step cannot be zero");
    bool back = step < 0;
    LM_TRY(bound(run, bounds[0], back ? INT64_MAX : 0, &start));
    LM_TRY(bound(run, bounds[1], 0, &stop));
    start = clamp(start, n, back ? -1 : 0, back ? n - 1 : n);
    stop = bounds[1].kind == LM_J_NONE ? (back ? -1 : n)
                                       : clamp(stop, n, back ? -1 : 0, back ? n - 1 : n);
    int64_t distance = back ? start - stop : stop - start;
    uint64_t stride = back ? 0 - (uint64_t)step : (uint64_t)step;
    *out = (span){start, stop, step,
                  distance <= 0 ? 0 : (int64_t)(((uint64_t)distance - 1) / stride) + 1};
    return LOAM_OK;
}

static LM_MUST_USE loam_status slice_text(lm_jrun *run, const lm_jstr *string, span s,
                                          lm_jval *out) {
    lm_str text = lm_jstr_text(string);
    LM_TRY(lm_jrun_charge_text(run, text.len));
    if (s.n == 0) return lm_jval_str_ref(run, LM_STR(""), out);
    if (s.step == 1) {
        size_t begin = lm_unicode_offset(text, string->n_chars, (size_t)s.start);
        size_t end = lm_unicode_offset(text, string->n_chars, (size_t)(s.start + s.n));
        return lm_jval_str_ref(run, (lm_str){text.ptr + begin, end - begin}, out);
    }
    const lm_jval *chars;
    size_t n, begin = lm_jrun_capture(run);
    LM_TRY(lm_jval_items(run, (lm_jval){.kind = LM_J_STRING, .u.string = string}, &chars, &n));
    for (int64_t i = 0; i < s.n; i++)
        lm_jrun_put(run, lm_jstr_text(chars[s.start + i * s.step].u.string));
    return lm_jrun_take(run, begin, out);
}

static LM_MUST_USE loam_status slice_list(lm_jrun *run, lm_jval list, span s, lm_jval *out) {
    lm_jval *items;
    if (s.n > 0 && s.step == 1) {
        items = list.u.list->items + s.start;
    } else {
        items = lm_jrun_alloc(run, (size_t)s.n + 1, sizeof *items);
        if (!items) return lm_jrun_no_memory(run);
        LM_TRY(lm_jrun_charge(run, (size_t)s.n / 8));
        for (int64_t i = 0; i < s.n; i++) items[i] = list.u.list->items[s.start + i * s.step];
    }
    return lm_jval_list(run, list.kind, items, (size_t)s.n, out);
}

static LM_MUST_USE loam_status slice_range(lm_jrun *run, const lm_jrange *range, span s,
                                           lm_jval *out) {
    lm_jrange *made = lm_jrun_alloc(run, 1, sizeof *made);
    if (!made) return lm_jrun_no_memory(run);
    int64_t start, stop, step;
    if (__builtin_mul_overflow(range->step, s.step, &step) ||
        __builtin_mul_overflow(s.start, range->step, &start) ||
        __builtin_mul_overflow(s.stop, range->step, &stop) ||
        __builtin_add_overflow(start, range->start, &start) ||
        __builtin_add_overflow(stop, range->start, &stop))
        return overflow(run);
    *made = (lm_jrange){start, stop, step, s.n};
    *out = (lm_jval){.kind = LM_J_RANGE, .u.range = made};
    return LOAM_OK;
}

loam_status lm_jval_slice(lm_jrun *run, lm_jval object, const lm_jval bounds[3], lm_jval *out) {
    span s = {0};
    bool fits =
        object.kind == LM_J_STRING || object.kind == LM_J_RANGE || lm_jval_is_sequence(object);
    if (object.kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, object);
    if (!fits)
        return lm_jrun_fail(run, "'%s' object is not subscriptable by a slice",
                            lm_jval_type_name(object));
    LM_TRY(resolve_slice(run, bounds, lm_jval_len(object), &s));
    if (object.kind == LM_J_STRING) return slice_text(run, object.u.string, s, out);
    if (object.kind == LM_J_RANGE) return slice_range(run, object.u.range, s, out);
    return slice_list(run, object, s, out);
}
