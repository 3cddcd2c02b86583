/* Tests: what may follow `is`. */
#include "model/jinja/builtins.h"

/* ---- kinds ---- */

#define KIND_TEST(name, condition)                                                   \
    loam_status lm_j_test_##name(lm_jrun *run, const lm_jcall *call, lm_jval *out) { \
        lm_jval self = call->self;                                                   \
        *out = lm_jval_bool(condition);                                              \
        return LOAM_OK;                                                              \
    }
KIND_TEST(boolean, self.kind == LM_J_BOOL)
KIND_TEST(defined, self.kind != LM_J_UNDEFINED)
KIND_TEST(undefined, self.kind == LM_J_UNDEFINED)
KIND_TEST(none, self.kind == LM_J_NONE)
KIND_TEST(true, self.kind == LM_J_BOOL && self.u.boolean)
KIND_TEST(false, self.kind == LM_J_BOOL && !self.u.boolean)
KIND_TEST(integer, self.kind == LM_J_INT)
KIND_TEST(float, self.kind == LM_J_FLOAT)
KIND_TEST(number, lm_jval_is_number(self))
KIND_TEST(string, self.kind == LM_J_STRING)
KIND_TEST(mapping, self.kind == LM_J_DICT)
KIND_TEST(escaped, self.kind == LM_J_STRING && self.u.string->markup)
KIND_TEST(iterable, lm_jval_is_iterable(self))
KIND_TEST(sequence, lm_jval_len(self) >= 0 && self.kind != LM_J_VIEW)
/* an undefined value has a __call__, which fails: Python's callable() only looks for it */
KIND_TEST(callable, self.kind == LM_J_MACRO || self.kind == LM_J_BUILTIN ||
                        self.kind == LM_J_METHOD || self.kind == LM_J_LOOP ||
                        self.kind == LM_J_JOINER || self.kind == LM_J_UNDEFINED)

/* ---- names ---- */

loam_status lm_j_test_filter(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jval self = call->self;
    uint64_t hash; /* names are looked up in a dict, which refuses lists */
    LM_TRY(lm_jval_hash(run, self, &hash));
    *out =
        lm_jval_bool(self.kind == LM_J_STRING && lm_jbuiltin_filter(lm_jstr_text(self.u.string)));
    return LOAM_OK;
}

loam_status lm_j_test_test(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jval self = call->self;
    uint64_t hash; /* names are looked up in a dict, which refuses lists */
    LM_TRY(lm_jval_hash(run, self, &hash));
    *out = lm_jval_bool(self.kind == LM_J_STRING && lm_jbuiltin_test(lm_jstr_text(self.u.string)));
    return LOAM_OK;
}

/* ---- numbers ---- */

static LM_MUST_USE loam_status rest_is(lm_jrun *run, lm_jval value, lm_jval divisor, int64_t wanted,
                                       lm_jval *out) {
    lm_jval rest;
    bool equal;
    LM_TRY(lm_jval_arithmetic(run, LM_JOP_MOD, value, divisor, &rest));
    LM_TRY(lm_jval_equal(run, rest, lm_jval_int(wanted), &equal));
    *out = lm_jval_bool(equal);
    return LOAM_OK;
}

loam_status lm_j_test_odd(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return rest_is(run, call->self, lm_jval_int(2), 1, out);
}

loam_status lm_j_test_even(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return rest_is(run, call->self, lm_jval_int(2), 0, out);
}

loam_status lm_j_test_divisibleby(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return rest_is(run, call->self, call->args[0], 0, out);
}

/* ---- texts ---- */

static LM_MUST_USE loam_status method_of_text(lm_jrun *run, const lm_jcall *call, const char *name,
                                              lm_jval *out) {
    lm_str text;
    lm_jval self;
    const lm_jargs none = {0};
    LM_TRY(lm_jself_text(run, call, &text));
    LM_TRY(lm_jval_str_ref(run, text, &self));
    return lm_jrun_call_builtin(run, lm_jbuiltin_method(LM_J_STRING, lm_str_of(name)), self, &none,
                                out);
}

loam_status lm_j_test_lower(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return method_of_text(run, call, "islower", out);
}

loam_status lm_j_test_upper(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return method_of_text(run, call, "isupper", out);
}

/* ---- comparisons ---- */

loam_status lm_j_test_sameas(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    *out = lm_jval_bool(lm_jval_is(call->self, call->args[0]));
    return LOAM_OK;
}

#define COMPARISON_TEST(name, op)                                                    \
    loam_status lm_j_test_##name(lm_jrun *run, const lm_jcall *call, lm_jval *out) { \
        bool holds;                                                                  \
        LM_TRY(lm_jval_compare(run, op, call->self, call->args[0], &holds));         \
        *out = lm_jval_bool(holds);                                                  \
        return LOAM_OK;                                                              \
    }
COMPARISON_TEST(eq, LM_JOP_EQ)
COMPARISON_TEST(ne, LM_JOP_NE)
COMPARISON_TEST(lt, LM_JOP_LT)
COMPARISON_TEST(le, LM_JOP_LE)
COMPARISON_TEST(gt, LM_JOP_GT)
COMPARISON_TEST(ge, LM_JOP_GE)
COMPARISON_TEST(in, LM_JOP_IN)
