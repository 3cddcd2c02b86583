/* What filters, tests, methods and globals share, and where their functions are declared: each is a row of a table
 * (filters.def, tests.def, methods.def, globals.def). */
#ifndef LM_MODEL_JINJA_BUILTINS_H
#define LM_MODEL_JINJA_BUILTINS_H

#include "base/vec.h"
#include "model/jinja/run.h"

#define LM_JBUILTIN(fn) loam_status lm_j_##fn(lm_jrun *run, const lm_jcall *call, lm_jval *out);
#define LM_JFILTER(name, fn, params, n_required) LM_JBUILTIN(fn)
#include "model/jinja/filters.def"
#undef LM_JFILTER
#define LM_JTEST(name, fn, params, n_required) LM_JBUILTIN(fn)
#include "model/jinja/tests.def"
#undef LM_JTEST
#define LM_JMETHOD(kind, name, fn, params, n_required) LM_JBUILTIN(fn)
#define LM_JUNSAFE(kind, name)
#include "model/jinja/methods.def"
#undef LM_JMETHOD
#undef LM_JUNSAFE
#define LM_JGLOBAL(name, fn, params, n_required) LM_JBUILTIN(fn)
#include "model/jinja/globals.def"
#undef LM_JGLOBAL
#undef LM_JBUILTIN

static inline bool lm_jarg_given(const lm_jcall *call, int i) {
    return call->args[i].kind != LM_J_MISSING;
}

/* Arguments of a kind; TypeError otherwise. Fallbacks stand for arguments that are not given, and for none where Python's
 * function takes it for the same. */
loam_status lm_jarg_text(lm_jrun *run, const lm_jcall *call, int i, lm_str *out) LM_MUST_USE;
loam_status lm_jarg_int(lm_jrun *run, const lm_jcall *call, int i, int64_t fallback,
                        int64_t *out) LM_MUST_USE;
bool lm_jarg_truth(const lm_jcall *call, int i, bool fallback);
/* str(value) of what is filtered, as soft_str gives it. */
loam_status lm_jself_text(lm_jrun *run, const lm_jcall *call, lm_str *out) LM_MUST_USE;

/* A list that grows while it is made. */
typedef struct lm_jgrowing {
    lm_jval *items;
    size_t n, capacity;
} lm_jgrowing;
loam_status lm_jgrow(lm_jrun *run, lm_jgrowing *list, lm_jval item) LM_MUST_USE;

/* Splits text at a separator (NULL: at white space), at most max_splits times (< 0: always), from the left or right. */
loam_status lm_jsplit(lm_jrun *run, lm_str text, const lm_str *separator, int64_t max_splits,
                      bool from_right, lm_jgrowing *out) LM_MUST_USE;
loam_status lm_jsplit_lines(lm_jrun *run, lm_str text, bool keep_ends,
                            lm_jgrowing *out) LM_MUST_USE;
/* Appends text with old replaced by new, at most `count` times (< 0: always). */
loam_status lm_jreplace(lm_jrun *run, lm_str text, lm_str old, lm_str new_text,
                        int64_t count) LM_MUST_USE;
loam_status lm_jconvert(lm_jrun *run, lm_str text, int to_case, lm_jval *out) LM_MUST_USE;

/* int(text, base) and float(text) of Python; false: not a number. Overflow of an integer is an error. */
loam_status lm_jparse_int(lm_jrun *run, lm_str text, int64_t base, bool *out_good,
                          int64_t *out) LM_MUST_USE;
bool lm_jparse_float(lm_str text, double *out);

#endif
