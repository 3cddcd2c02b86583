/* Calling: the tables of builtins, and how arguments find their parameters. */
#include "model/jinja/builtins.h"

static const lm_jbuiltin FILTERS[] = {
#define LM_JFILTER(name, fn, params, n_required) {name, lm_j_##fn, params, n_required, false},
#include "model/jinja/filters.def"
#undef LM_JFILTER
};

static const lm_jbuiltin TESTS[] = {
#define LM_JTEST(name, fn, params, n_required) {name, lm_j_##fn, params, n_required, false},
#include "model/jinja/tests.def"
#undef LM_JTEST
};

static const lm_jbuiltin GLOBALS[] = {
#define LM_JGLOBAL(name, fn, params, n_required) {name, lm_j_##fn, params, n_required, false},
#include "model/jinja/globals.def"
#undef LM_JGLOBAL
};

static const struct {
    lm_jkind kind;
    lm_jbuiltin builtin;
} METHODS[] = {
#define LM_JMETHOD(kind, name, fn, params, n_required) \
    {LM_J_##kind, {name, lm_j_##fn, params, n_required, false}},
#define LM_JUNSAFE(kind, name) {LM_J_##kind, {name, NULL, NULL, 0, true}},
#include "model/jinja/methods.def"
#undef LM_JMETHOD
#undef LM_JUNSAFE
};

static const lm_jbuiltin *find(const lm_jbuiltin *rows, size_t n, lm_str name) {
    for (size_t i = 0; i < n; i++)
        if (lm_str_is(name, rows[i].name)) return &rows[i];
    return NULL;
}

const lm_jbuiltin *lm_jbuiltin_filter(lm_str name) {
    return find(FILTERS, LM_COUNT_OF(FILTERS), name);
}

const lm_jbuiltin *lm_jbuiltin_test(lm_str name) {
    return find(TESTS, LM_COUNT_OF(TESTS), name);
}

const lm_jbuiltin *lm_jbuiltin_global(lm_str name) {
    return find(GLOBALS, LM_COUNT_OF(GLOBALS), name);
}

const lm_jbuiltin *lm_jbuiltin_method(lm_jkind kind, lm_str name) {
    if (kind == LM_J_BOOL) kind = LM_J_INT;
    for (size_t i = 0; i < LM_COUNT_OF(METHODS); i++)
        if (METHODS[i].kind == kind && lm_str_is(name, METHODS[i].builtin.name))
            return &METHODS[i].builtin;
    return NULL;
}

/* ---- parameters ---- */

enum { MAX_PARAMS = 8 };

static int split_params(const char *params, lm_str names[MAX_PARAMS]) {
    int n = 0;
    while (*params && n < MAX_PARAMS) {
        size_t len = strcspn(params, ",");
        names[n++] = (lm_str){params, len};
        params += len + (params[len] == ',');
    }
    return n;
}

static int param_named(const lm_str *names, int n, lm_str name) {
    for (int i = 0; i < n; i++)
        if (lm_str_equal(names[i], name)) return i;
    return -1;
}

static LM_MUST_USE loam_status bind(lm_jrun *run, const lm_jbuiltin *builtin, const lm_jargs *args,
                                    lm_jval bound[MAX_PARAMS]) {
    lm_str names[MAX_PARAMS];
    int n = split_params(builtin->params, names);
    if (args->n_pos > (size_t)n)
        return lm_jrun_fail(run, "%s() takes at most %d arguments (%zu given)", builtin->name, n,
                            args->n_pos);
    for (size_t i = 0; i < args->n_pos; i++) bound[i] = args->pos[i];
    for (size_t i = 0; i < args->n_kw; i++) {
        int at = param_named(names, n, args->kw[i].name);
        if (at < 0)
            return lm_jrun_fail(run, "%s() got an unexpected keyword argument '%.*s'",
                                builtin->name, (int)args->kw[i].name.len, args->kw[i].name.ptr);
        if (bound[at].kind != LM_J_MISSING)
            return lm_jrun_fail(run, "%s() got multiple values for argument '%.*s'", builtin->name,
                                (int)names[at].len, names[at].ptr);
        bound[at] = args->kw[i].value;
    }
    for (int i = 0; i < builtin->n_required; i++)
        if (bound[i].kind == LM_J_MISSING)
            return lm_jrun_fail(run, "%s() missing required argument '%.*s'", builtin->name,
                                (int)names[i].len, names[i].ptr);
    return LOAM_OK;
}

loam_status lm_jrun_call_builtin(lm_jrun *run, const lm_jbuiltin *builtin, lm_jval self,
                                 const lm_jargs *args, lm_jval *out) {
    lm_jval bound[MAX_PARAMS] = {0};
    lm_jcall call = {.self = self, .args = bound, .given = args};
    LM_TRY(lm_jrun_enter(run));
    if (builtin->params) LM_TRY(bind(run, builtin, args, bound));
    loam_status status = builtin->call(run, &call, out);
    run->depth--;
    return status;
}

/* What a method of markup gives is markup. */
static LM_MUST_USE loam_status call_method(lm_jrun *run, const lm_jmethod *method,
                                           const lm_jargs *args, lm_jval *out) {
    lm_jval self = method->self;
    LM_TRY(lm_jrun_call_builtin(run, method->builtin, self, args, out));
    if (self.kind != LM_J_STRING || !self.u.string->markup || out->kind != LM_J_STRING)
        return LOAM_OK;
    LM_TRY(lm_jval_str_ref(run, lm_jstr_text(out->u.string), out));
    ((lm_jstr *)out->u.string)->markup = true;
    return LOAM_OK;
}

/* The first time a joiner is asked it says nothing. */
static lm_jval next_separator(lm_jrun *run, lm_jjoiner *joiner, loam_status *status) {
    lm_jval text = joiner->separator;
    if (!joiner->used) *status = lm_jval_str_ref(run, LM_STR(""), &text);
    joiner->used = true;
    return text;
}

loam_status lm_jrun_call(lm_jrun *run, lm_jval callee, const lm_jargs *args, lm_jval *out) {
    loam_status status = LOAM_OK;
    LM_TRY(lm_jrun_enter(run));
    switch (callee.kind) {
    case LM_J_MACRO: status = lm_jrun_call_macro(run, callee.u.macro, args, out); break;
    case LM_J_BUILTIN:
        status =
            lm_jrun_call_builtin(run, callee.u.builtin, (lm_jval){.kind = LM_J_MISSING}, args, out);
        break;
    case LM_J_METHOD: status = call_method(run, callee.u.method, args, out); break;
    case LM_J_LOOP: status = lm_jrun_call_loop(run, callee.u.loop, args, out); break;
    case LM_J_JOINER: *out = next_separator(run, callee.u.joiner, &status); break;
    case LM_J_UNDEFINED: return lm_jrun_undefined(run, callee);
    default: return lm_jrun_fail(run, "'%s' object is not callable", lm_jval_type_name(callee));
    }
    run->depth--;
    return status;
}

/* ---- arguments ---- */

loam_status lm_jarg_text(lm_jrun *run, const lm_jcall *call, int i, lm_str *out) {
    lm_jval value = call->args[i];
    if (value.kind != LM_J_STRING)
        return lm_jrun_fail(run, "expected a string, not '%s'", lm_jval_type_name(value));
    *out = lm_jstr_text(value.u.string);
    return LOAM_OK;
}

loam_status lm_jarg_int(lm_jrun *run, const lm_jcall *call, int i, int64_t fallback, int64_t *out) {
    lm_jval value = call->args[i];
    *out = fallback;
    if (value.kind == LM_J_MISSING) return LOAM_OK;
    if (!lm_jval_is_int(value))
        return lm_jrun_fail(run, "'%s' object cannot be interpreted as an integer",
                            lm_jval_type_name(value));
    *out = lm_jval_to_int(value);
    return LOAM_OK;
}

bool lm_jarg_truth(const lm_jcall *call, int i, bool fallback) {
    return lm_jarg_given(call, i) ? lm_jval_truth(call->args[i]) : fallback;
}

loam_status lm_jself_text(lm_jrun *run, const lm_jcall *call, lm_str *out) {
    return lm_jrun_to_str(run, call->self, out);
}

loam_status lm_jgrow(lm_jrun *run, lm_jgrowing *list, lm_jval item) {
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 8;
        lm_jval *items = lm_jrun_alloc(run, capacity, sizeof *items);
        if (!items) return lm_jrun_no_memory(run);
        if (list->n) memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->n++] = item;
    return LOAM_OK;
}
