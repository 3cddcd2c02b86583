/* Python's two ways of formatting: "%s" % values, and "{}".format(values) with its specifications. */
#include <math.h>
#include <stdlib.h>

#include "model/jinja/builtins.h"
#include "model/jinja/unicode.h"

enum { MAX_FIELD = 1 << 16 /* width and precision that are taken */ };

/* How a number or text is set: [[fill]align][sign][#][0][width][grouping][.precision][type] */
typedef struct spec {
    lm_str fill;
    char align; /* < > = ^, 0: by kind */
    char sign;  /* + or space: in front of what is not negative */
    bool alternate;
    int64_t width, precision; /* precision -1: none */
    char grouping;            /* , or _ */
    char type;
} spec;

/* Digits as text: sign, prefix, digits with point and exponent. */
typedef struct digits {
    char sign;
    char prefix[3];
    char text[400];
    int n_whole; /* digits in front of the point or exponent, which grouping cuts in threes */
} digits;

/* ---- numbers into digits ---- */

static void int_digits(int64_t value, char type, bool alternate, digits *d) {
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    unsigned base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
    char reversed[68];
    int n = 0;
    do reversed[n++] = (type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[rest % base];
    while (rest /= base);
    *d = (digits){.sign = value < 0 ? '-' : 0, .n_whole = n};
    if (alternate && base != 10) {
        d->prefix[0] = '0';
        d->prefix[1] = type;
    }
    for (int i = 0; i < n; i++) d->text[i] = reversed[n - 1 - i];
    d->text[n] = '\0';
}

static void count_whole(digits *d) {
    d->n_whole = 0;
    while (d->text[d->n_whole] >= '0' && d->text[d->n_whole] <= '9') d->n_whole++;
}

/* printf's g keeps no zeros; Python's # does, and so does printf's. */
static void float_digits(double value, const spec *s, digits *d) {
    int precision = s->precision < 0 ? 6 : s->precision > 200 ? 200 : (int)s->precision;
    bool percent = s->type == '%', negative = signbit(value) && !isnan(value);
    char format[8] = "%.*f";
    char type = percent || s->type == 0 ? 'f' : s->type == 'F' ? 'f' : s->type;
    *d = (digits){.sign = negative ? '-' : 0};
    if (!isfinite(value)) {
        bool upper = s->type == 'F' || s->type == 'E' || s->type == 'G';
        snprintf(d->text, sizeof d->text, "%s%s",
                 isnan(value) ? upper ? "NAN" : "nan"
                 : upper      ? "INF"
                              : "inf",
                 percent ? "%" : "");
        return;
    }
    snprintf(format, sizeof format, s->alternate ? "%%#.*%c" : "%%.*%c", type);
    int len = snprintf(d->text, sizeof d->text - 2, format, precision,
                       fabs(percent ? value * 100 : value));
    if (percent && len < (int)sizeof d->text - 2) memcpy(d->text + len, "%", 2);
    count_whole(d);
}

/* ---- setting ---- */

static LM_MUST_USE loam_status put_fill(lm_jrun *run, lm_str fill, int64_t n) {
    LM_TRY(lm_jrun_charge(run, n > 0 ? (size_t)n / 64 : 0));
    for (int64_t i = 0; i < n && run->out.status == LOAM_OK; i++) lm_jrun_put(run, fill);
    return LOAM_OK;
}

static int64_t before_fill(const spec *s, int64_t missing, char usual) {
    char align = s->align ? s->align : usual;
    return align == '>' || align == '=' ? missing : align == '^' ? missing / 2 : 0;
}

static LM_MUST_USE loam_status put_text(lm_jrun *run, const spec *s, lm_str text) {
    size_t n = lm_unicode_count(text);
    if (s->precision >= 0 && (size_t)s->precision < n) {
        text.len = lm_unicode_offset(text, n, (size_t)s->precision);
        n = (size_t)s->precision;
    }
    int64_t missing = s->width > (int64_t)n ? s->width - (int64_t)n : 0,
            left = before_fill(s, missing, '<');
    LM_TRY(put_fill(run, s->fill, left));
    lm_jrun_put(run, text);
    LM_TRY(lm_jrun_charge_text(run, text.len));
    return put_fill(run, s->fill, missing - left);
}

/* Whole digits with separators, and zeros in front up to a width. */
static size_t group(const digits *d, const spec *s, int64_t zeros_to, char *out, size_t capacity) {
    int every =
        s->grouping == '_' && (s->type == 'x' || s->type == 'X' || s->type == 'o' || s->type == 'b')
            ? 4
            : 3;
    size_t n = 0;
    int placed = 0;
    for (int i = d->n_whole; i > 0 || (int64_t)n < zeros_to;) {
        if (s->grouping && placed && placed % every == 0 && n + 1 < capacity)
            out[n++] = s->grouping;
        if (n + 1 >= capacity) break;
        out[n++] = i > 0 ? d->text[--i] : '0';
        placed++;
    }
    for (size_t i = 0; i < n / 2; i++) {
        char swap = out[i];
        out[i] = out[n - 1 - i];
        out[n - 1 - i] = swap;
    }
    return n;
}

static LM_MUST_USE loam_status put_digits(lm_jrun *run, const spec *s, const digits *d) {
    char head[4] = {0}, whole[1024];
    char sign = d->sign ? d->sign : s->sign == '+' || s->sign == ' ' ? s->sign : 0;
    snprintf(head, sizeof head, "%s%s", sign ? (char[]){sign, 0} : "", d->prefix);
    lm_str rest = lm_str_of(d->text + d->n_whole);
    bool zeros = s->align == '=' && lm_str_is(s->fill, "0");
    int64_t fixed = (int64_t)(strlen(head) + rest.len);
    int64_t zeros_to = zeros && s->width - fixed < 1000 ? s->width - fixed : 0;
    if (d->n_whole == 0) zeros_to = 0; /* inf and nan */
    size_t n = group(d, s, zeros_to, whole, sizeof whole);
    int64_t len = fixed + (int64_t)n, missing = s->width > len ? s->width - len : 0;
    int64_t left = before_fill(s, missing, '>');
    bool inside = s->align == '=';
    if (!inside) LM_TRY(put_fill(run, s->fill, left));
    lm_buf_puts(&run->out, head);
    if (inside) LM_TRY(put_fill(run, s->fill, left));
    lm_buf_append(&run->out, whole, n);
    lm_jrun_put(run, rest);
    return put_fill(run, s->fill, missing - left);
}

/* ---- specifications of format() ---- */

static LM_MUST_USE loam_status read_count(lm_jrun *run, lm_str text, size_t *at, int64_t *out) {
    int64_t value = 0;
    while (*at < text.len && text.ptr[*at] >= '0' && text.ptr[*at] <= '9') {
        value = value * 10 + (text.ptr[(*at)++] - '0');
        if (value > MAX_FIELD)
            return lm_jrun_fail(run, "a width or precision of more than %d", MAX_FIELD);
    }
    *out = value;
    return LOAM_OK;
}

static bool is_one_of(lm_str text, size_t at, const char *chars) {
    return at < text.len && text.ptr[at] && strchr(chars, text.ptr[at]);
}

static LM_MUST_USE loam_status parse_spec(lm_jrun *run, lm_str text, spec *out) {
    size_t at = 0, second = 0;
    *out = (spec){.fill = LM_STR(" "), .precision = -1};
    if (text.len) lm_unicode_next(text, &second);
    if (is_one_of(text, second, "<>=^") && second > 0) {
        out->fill = (lm_str){text.ptr, second};
        out->align = text.ptr[second];
        at = second + 1;
    } else if (is_one_of(text, 0, "<>=^")) {
        out->align = text.ptr[at++];
    }
    if (is_one_of(text, at, "+- ")) out->sign = text.ptr[at++];
    if (is_one_of(text, at, "#")) out->alternate = text.ptr[at++];
    if (is_one_of(text, at, "0")) {
        at++;
        if (!out->align) {
            out->align = '=';
            out->fill = LM_STR("0");
        }
    }
    LM_TRY(read_count(run, text, &at, &out->width));
    if (is_one_of(text, at, ",_")) out->grouping = text.ptr[at++];
    if (is_one_of(text, at, ".")) {
        at++;
        if (!is_one_of(text, at, "0123456789"))
            return lm_jrun_fail(run, "Format specifier missing precision");
        LM_TRY(read_count(run, text, &at, &out->precision));
    }
    if (at < text.len) out->type = text.ptr[at++];
    return at == text.len
               ? LOAM_OK
               : lm_jrun_fail(run, "Invalid format specifier '%.*s'", (int)text.len, text.ptr);
}

static LM_MUST_USE loam_status unknown_code(lm_jrun *run, const spec *s, lm_jval value) {
    return lm_jrun_fail(run, "Unknown format code '%c' for object of type '%s'", s->type,
                        lm_jval_type_name(value));
}

static LM_MUST_USE loam_status format_int(lm_jrun *run, spec *s, lm_jval value) {
    digits d;
    if (s->type == 'c') {
        int64_t c = lm_jval_to_int(value);
        if (c < 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return lm_jrun_fail(run, "%%c arg not in range(0x110000)");
        lm_unicode_put(&run->out, (uint32_t)c);
        return LOAM_OK;
    }
    if (s->type && !strchr("bdnoxX", s->type)) return unknown_code(run, s, value);
    if (s->precision >= 0)
        return lm_jrun_fail(run, "Precision not allowed in integer format specifier");
    int_digits(lm_jval_to_int(value), s->type, s->alternate, &d);
    return put_digits(run, s, &d);
}

/* Without a type: as repr shows it, or with a precision as g does, but always with a digit behind the point. */
static LM_MUST_USE loam_status format_plain_float(lm_jrun *run, spec *s, double value) {
    digits d = {.sign = signbit(value) && !isnan(value) ? '-' : 0};
    size_t begin = lm_jrun_capture(run);
    if (s->precision >= 0) {
        spec general = *s;
        general.type = 'g';
        general.precision = s->precision ? s->precision : 1;
        float_digits(value, &general, &d);
        bool plain = isfinite(value) && !strpbrk(d.text, ".e");
        if (plain && (int64_t)strlen(d.text) >= general.precision) {
            general.type = 'e';
            general.precision--;
            float_digits(value, &general, &d);
        } else if (plain) {
            strcat(d.text, ".0");
        }
    } else {
        lm_jrun_put_float(run, isnan(value) ? value : fabs(value));
        snprintf(d.text, sizeof d.text, "%.*s", (int)(run->out.len - begin), run->out.ptr + begin);
        run->out.len = begin;
        count_whole(&d);
    }
    return put_digits(run, s, &d);
}

static LM_MUST_USE loam_status format_float(lm_jrun *run, spec *s, lm_jval value) {
    digits d;
    double number = lm_jval_to_float(value);
    if (!s->type) return format_plain_float(run, s, number);
    if (!strchr("eEfFgGn%", s->type)) return unknown_code(run, s, value);
    if (s->type == 'n') s->type = 'g';
    if (s->precision == 0 && (s->type == 'g' || s->type == 'G')) s->precision = 1;
    float_digits(number, s, &d);
    return put_digits(run, s, &d);
}

static LM_MUST_USE loam_status format_value(lm_jrun *run, lm_jval value, lm_str text) {
    spec s;
    lm_str shown;
    if (text.len == 0) return lm_jrun_put_str(run, value);
    LM_TRY(parse_spec(run, text, &s));
    if (value.kind == LM_J_FLOAT) return format_float(run, &s, value);
    if (lm_jval_is_int(value)) {
        bool as_float = s.type && strchr("eEfFgG%", s.type);
        if (value.kind == LM_J_INT || s.type)
            return as_float ? format_float(run, &s, value) : format_int(run, &s, value);
    }
    if (value.kind != LM_J_STRING && value.kind != LM_J_BOOL)
        return lm_jrun_fail(run, "unsupported format string passed to %s.__format__",
                            lm_jval_type_name(value));
    if (value.kind == LM_J_BOOL)
        return format_int(run, &s, value); /* a width makes an integer of it */
    if (s.type && s.type != 's') return unknown_code(run, &s, value);
    if (s.sign || s.align == '=' || s.alternate || s.grouping) {
        bool zero = lm_str_is(s.fill, "0") && s.align == '=';
        if (s.sign || s.alternate || s.grouping || !zero)
            return lm_jrun_fail(
                run,
                "'=' alignment, signs and grouping are not allowed in string format specifiers");
        s.align = '<';
    }
    LM_TRY(lm_jrun_to_str(run, value, &shown));
    return put_text(run, &s, shown);
}

/* ---- "{}".format ---- */

typedef struct fields {
    lm_jrun *run;
    const lm_jargs *args;
    int64_t next; /* automatic number; -1 once fields are numbered by hand */
    int depth;
} fields;

static LM_MUST_USE loam_status put_fields(fields *f, lm_str format);

static LM_MUST_USE loam_status first_value(fields *f, lm_str name, lm_jval *out) {
    int64_t number;
    bool by_hand = name.len > 0;
    if (!by_hand || (name.len < 18 && lm_str_to_i64(name, &number))) {
        if ((by_hand && f->next > 0) || (!by_hand && f->next < 0))
            return lm_jrun_fail(
                f->run,
                "cannot switch between manual field specification and automatic field numbering");
        if (!by_hand) number = f->next++;
        if (by_hand) f->next = -1;
        if (number < 0 || (size_t)number >= f->args->n_pos)
            return lm_jrun_fail(f->run,
                                "Replacement index %lld out of range for positional args tuple",
                                (long long)number);
        *out = f->args->pos[number];
        return LOAM_OK;
    }
    for (size_t i = 0; i < f->args->n_kw; i++) {
        if (!lm_str_equal(f->args->kw[i].name, name)) continue;
        *out = f->args->kw[i].value;
        return LOAM_OK;
    }
    return lm_jrun_fail(f->run, "format has no argument '%.*s'", (int)name.len, name.ptr);
}

/* "a.b[0]" */
static LM_MUST_USE loam_status field_value(fields *f, lm_str name, lm_jval *out) {
    size_t at = 0;
    while (at < name.len && name.ptr[at] != '.' && name.ptr[at] != '[') at++;
    LM_TRY(first_value(f, (lm_str){name.ptr, at}, out));
    while (at < name.len) {
        bool is_attr = name.ptr[at++] == '.';
        size_t begin = at;
        int64_t number;
        lm_jval key;
        while (at < name.len &&
               (is_attr ? name.ptr[at] != '.' && name.ptr[at] != '[' : name.ptr[at] != ']'))
            at++;
        lm_str part = {name.ptr + begin, at - begin};
        if (part.len == 0) return lm_jrun_fail(f->run, "Empty attribute in format string");
        if (is_attr) {
            LM_TRY(lm_jval_attr(f->run, *out, part, out));
            continue;
        }
        if (at++ >= name.len) return lm_jrun_fail(f->run, "Missing ']' in format string");
        if (at < name.len && name.ptr[at] != '.' && name.ptr[at] != '[')
            return lm_jrun_fail(f->run, "Only '.' or '[' may follow ']' in format field specifier");
        if (part.len < 18 && lm_str_to_i64(part, &number) && number >= 0)
            key = lm_jval_int(number);
        else
            LM_TRY(lm_jval_str_ref(f->run, part, &key));
        LM_TRY(lm_jval_item(f->run, *out, key, out));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status convert(fields *f, char how, lm_jval *value) {
    size_t begin = lm_jrun_capture(f->run);
    if (how == 's')
        LM_TRY(lm_jrun_put_str(f->run, *value));
    else if (how == 'r')
        LM_TRY(lm_jrun_put_repr(f->run, *value));
    else
        return lm_jrun_fail(f->run, "Unknown conversion specifier '%c'", how);
    return lm_jrun_take(f->run, begin, value);
}

/* "name!r:spec", where the spec may hold fields itself. */
static LM_MUST_USE loam_status put_field(fields *f, lm_str field) {
    size_t at = 0, brackets = 0;
    lm_jval value, shown;
    lm_str text = {"", 0};
    char how = 0;
    while (at < field.len && (brackets || (field.ptr[at] != '!' && field.ptr[at] != ':'))) {
        brackets = field.ptr[at] == '[' ? 1 : field.ptr[at] == ']' ? 0 : brackets;
        at++;
    }
    LM_TRY(field_value(f, (lm_str){field.ptr, at}, &value));
    if (at < field.len && field.ptr[at] == '!') {
        if (at + 1 >= field.len)
            return lm_jrun_fail(f->run, "end of string while looking for conversion specifier");
        how = field.ptr[at + 1];
        at += 2;
        if (at < field.len && field.ptr[at] != ':')
            return lm_jrun_fail(f->run, "expected ':' after conversion specifier");
    }
    if (how) LM_TRY(convert(f, how, &value));
    if (at < field.len) {
        size_t begin = lm_jrun_capture(f->run);
        if (++f->depth > 1) return lm_jrun_fail(f->run, "Max string recursion exceeded");
        LM_TRY(put_fields(f, (lm_str){field.ptr + at + 1, field.len - at - 1}));
        f->depth--;
        LM_TRY(lm_jrun_take(f->run, begin, &shown));
        text = lm_jstr_text(shown.u.string);
    }
    return format_value(f->run, value, text);
}

/* Where the field that begins at `at` ends (its '}'); SIZE_MAX: nowhere. */
static size_t field_end(lm_str format, size_t at) {
    for (int depth = 1; at < format.len; at++) {
        depth += format.ptr[at] == '{' ? 1 : format.ptr[at] == '}' ? -1 : 0;
        if (depth == 0) return at;
    }
    return SIZE_MAX;
}

static loam_status put_fields(fields *f, lm_str format) {
    for (size_t at = 0; at < format.len; at++) {
        char c = format.ptr[at];
        bool doubled = at + 1 < format.len && format.ptr[at + 1] == c;
        LM_TRY(lm_jrun_charge(f->run, c == '{'));
        if ((c != '{' && c != '}') || doubled) {
            lm_buf_putc(&f->run->out, c);
            at += c == '{' || c == '}';
            continue;
        }
        if (c == '}') return lm_jrun_fail(f->run, "Single '}' encountered in format string");
        size_t end = field_end(format, at + 1);
        if (end == SIZE_MAX) return lm_jrun_fail(f->run, "expected '}' before end of string");
        LM_TRY(put_field(f, (lm_str){format.ptr + at + 1, end - at - 1}));
        at = end;
    }
    return LOAM_OK;
}

loam_status lm_jformat_braces(lm_jrun *run, lm_str format, const lm_jargs *args) {
    fields f = {.run = run, .args = args};
    LM_TRY(lm_jrun_charge_text(run, format.len));
    return put_fields(&f, format);
}

/* ---- "%" ---- */

typedef struct conversion {
    lm_str key; /* %(key)s */
    bool has_key, left, zero;
    spec set;
} conversion;

typedef struct percent {
    lm_jrun *run;
    lm_str format;
    size_t at;
    const lm_jval *items; /* positional values */
    size_t n, n_used;
    lm_jval mapping; /* MISSING: none */
} percent;

static LM_MUST_USE loam_status next_item(percent *p, lm_jval *out) {
    if (p->n_used >= p->n) return lm_jrun_fail(p->run, "not enough arguments for format string");
    *out = p->items[p->n_used++];
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_star_or_count(percent *p, int64_t *out) {
    lm_jval value;
    if (!is_one_of(p->format, p->at, "*")) return read_count(p->run, p->format, &p->at, out);
    p->at++;
    LM_TRY(next_item(p, &value));
    if (!lm_jval_is_int(value)) return lm_jrun_fail(p->run, "* wants int");
    *out = lm_jval_to_int(value);
    return *out <= MAX_FIELD && *out >= -MAX_FIELD
               ? LOAM_OK
               : lm_jrun_fail(p->run, "a width of more than %d", MAX_FIELD);
}

/* From behind the % to behind the type. */
static LM_MUST_USE loam_status read_conversion(percent *p, conversion *out) {
    *out = (conversion){.set = {.fill = LM_STR(" "), .precision = -1, .align = '>'}};
    spec *s = &out->set;
    if (is_one_of(p->format, p->at, "(")) {
        size_t begin = ++p->at;
        for (int depth = 1; p->at < p->format.len && depth; p->at++)
            depth += p->format.ptr[p->at] == '(' ? 1 : p->format.ptr[p->at] == ')' ? -1 : 0;
        if (p->format.ptr[p->at - 1] != ')') return lm_jrun_fail(p->run, "incomplete format key");
        out->key = (lm_str){p->format.ptr + begin, p->at - begin - 1};
        out->has_key = true;
    }
    for (; is_one_of(p->format, p->at, "-+ #0"); p->at++) {
        char flag = p->format.ptr[p->at];
        out->left |= flag == '-';
        out->zero |= flag == '0';
        s->alternate |= flag == '#';
        if (flag == '+' || (flag == ' ' && s->sign != '+')) s->sign = flag;
    }
    LM_TRY(read_star_or_count(p, &s->width));
    if (s->width < 0) {
        out->left = true;
        s->width = -s->width;
    }
    if (is_one_of(p->format, p->at, ".")) {
        p->at++;
        LM_TRY(read_star_or_count(p, &s->precision));
        if (s->precision < 0) s->precision = 0;
    }
    while (is_one_of(p->format, p->at, "hlL")) p->at++;
    if (p->at >= p->format.len) return lm_jrun_fail(p->run, "incomplete format");
    s->type = p->format.ptr[p->at++];
    if (out->left) s->align = '<';
    return LOAM_OK;
}

static LM_MUST_USE loam_status percent_int(lm_jrun *run, const conversion *c, lm_jval value) {
    spec s = c->set;
    digits d;
    bool decimal = strchr("diu", s.type);
    if (value.kind == LM_J_FLOAT && decimal) {
        if (!isfinite(value.u.real) || fabs(value.u.real) >= 9.2e18)
            return lm_jrun_fail(run, "cannot convert float to integer");
        value = lm_jval_int((int64_t)value.u.real);
    }
    if (!lm_jval_is_int(value))
        return lm_jrun_fail(run, "%%%c format: a real number is required, not %s", s.type,
                            lm_jval_type_name(value));
    if (decimal) s.type = 'd';
    int_digits(lm_jval_to_int(value), s.type, s.alternate, &d);
    if (s.precision > d.n_whole &&
        s.precision < (int64_t)sizeof d.text - 1) { /* at least so many digits */
        int zeros = (int)s.precision - d.n_whole;
        memmove(d.text + zeros, d.text, (size_t)d.n_whole + 1);
        memset(d.text, '0', (size_t)zeros);
        d.n_whole += zeros;
    }
    if (c->zero && !c->left) {
        s.align = '=';
        s.fill = LM_STR("0");
    }
    return put_digits(run, &s, &d);
}

static LM_MUST_USE loam_status percent_float(lm_jrun *run, const conversion *c, lm_jval value) {
    spec s = c->set;
    digits d;
    if (!lm_jval_is_number(value))
        return lm_jrun_fail(run, "must be real number, not %s", lm_jval_type_name(value));
    if (s.precision == 0 && (s.type == 'g' || s.type == 'G')) s.precision = 1;
    float_digits(lm_jval_to_float(value), &s, &d);
    if (c->zero && !c->left) {
        s.align = '=';
        s.fill = LM_STR("0");
    }
    return put_digits(run, &s, &d);
}

static LM_MUST_USE loam_status percent_text(lm_jrun *run, const conversion *c, lm_jval value) {
    lm_jval shown = value;
    size_t begin = lm_jrun_capture(run);
    if (c->set.type == 's')
        LM_TRY(lm_jrun_put_str(run, value));
    else
        LM_TRY(lm_jrun_put_repr(run, value));
    LM_TRY(lm_jrun_take(run, begin, &shown));
    return put_text(run, &c->set, lm_jstr_text(shown.u.string));
}

static LM_MUST_USE loam_status percent_char(lm_jrun *run, const conversion *c, lm_jval value) {
    char bytes[8];
    lm_str text;
    spec s = c->set;
    s.precision = -1;
    if (value.kind == LM_J_STRING && value.u.string->n_chars == 1)
        return put_text(run, &s, lm_jstr_text(value.u.string));
    if (!lm_jval_is_int(value)) return lm_jrun_fail(run, "%%c requires int or char");
    int64_t code = lm_jval_to_int(value);
    if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return lm_jrun_fail(run, "%%c arg not in range(0x110000)");
    size_t begin = lm_jrun_capture(run);
    lm_unicode_put(&run->out, (uint32_t)code);
    LM_TRY(lm_jrun_charge(run, 1));
    if (run->out.status != LOAM_OK) return lm_jrun_no_memory(run);
    memcpy(bytes, run->out.ptr + begin, run->out.len - begin);
    text = (lm_str){bytes, run->out.len - begin};
    run->out.len = begin;
    return put_text(run, &s, text);
}

static LM_MUST_USE loam_status put_conversion(percent *p) {
    conversion c;
    lm_jval value;
    LM_TRY(read_conversion(p, &c));
    if (c.set.type == '%') {
        lm_buf_putc(&p->run->out, '%');
        return LOAM_OK;
    }
    if (c.has_key) {
        lm_jval key;
        if (p->mapping.kind == LM_J_MISSING)
            return lm_jrun_fail(p->run, "format requires a mapping");
        LM_TRY(lm_jval_str_ref(p->run, c.key, &key));
        LM_TRY(lm_jdict_get(p->run, p->mapping.u.dict, key, &value));
        if (value.kind == LM_J_MISSING)
            return lm_jrun_fail(p->run, "'%.*s' is not in the mapping", (int)c.key.len, c.key.ptr);
        p->n_used = p->n;
    } else {
        LM_TRY(next_item(p, &value));
    }
    if (value.kind == LM_J_UNDEFINED && !strchr("sra", c.set.type))
        return lm_jrun_undefined(p->run, value);
    if (strchr("diuoxX", c.set.type)) return percent_int(p->run, &c, value);
    if (strchr("eEfFgG", c.set.type)) return percent_float(p->run, &c, value);
    if (c.set.type == 's' || c.set.type == 'r') return percent_text(p->run, &c, value);
    if (c.set.type == 'c') return percent_char(p->run, &c, value);
    return lm_jrun_fail(p->run, "unsupported format character '%c'", c.set.type);
}

loam_status lm_jformat_percent(lm_jrun *run, lm_str format, lm_jval args) {
    percent p = {.run = run, .format = format, .items = &args, .n = 1};
    bool is_mapping = args.kind == LM_J_DICT;
    if (args.kind == LM_J_TUPLE) {
        p.items = args.u.list->items;
        p.n = args.u.list->n;
    }
    if (is_mapping) p.mapping = args;
    LM_TRY(lm_jrun_charge_text(run, format.len));
    while (p.at < format.len) {
        char c = format.ptr[p.at++];
        if (c != '%')
            lm_buf_putc(&run->out, c);
        else
            LM_TRY(put_conversion(&p));
    }
    /* a mapping, and a list, may be left over: Python asks only those that cannot be subscripted */
    bool may_rest = is_mapping || args.kind == LM_J_LIST || args.kind == LM_J_RANGE ||
                    args.kind == LM_J_UNDEFINED;
    if (p.n_used < p.n && !may_rest)
        return lm_jrun_fail(run, "not all arguments converted during string formatting");
    return LOAM_OK;
}
