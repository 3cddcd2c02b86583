/* One rendering: its memory, its limits, its variables, its output. What the parts of the interpreter share. One thread. */
#ifndef LM_MODEL_JINJA_RUN_H
#define LM_MODEL_JINJA_RUN_H

#include "base/rng.h"
#include "model/jinja/jinja.h"
#include "model/jinja/value.h"

enum {
    LM_J_MAX_DEPTH =
        1200, /* of nested evaluations; a macro that calls itself takes some ten of them each time */
    LM_J_MAX_ARGS = 64,       /* of one call as it is written */
    LM_J_MAX_RANGE = 100000,  /* items; Jinja's sandbox has the same bound */
    LM_J_TEXT_PER_STEP = 256, /* bytes of text work that count as one step */
};

typedef struct lm_jframe lm_jframe;
struct
    lm_jframe { /* variables of one execution of the template, of a macro, of a recursive loop or of a block */
    lm_jval *slots;
    lm_jframe *parent; /* the one that the code stands in */
};

struct lm_jrun {
    const lm_jinja_options *options;
    lm_arena arena;
    char *bump, *bump_end; /* rest of the block that small pieces are cut from */
    size_t max_memory_bytes;
    int64_t steps_left;
    int depth;
    int line;       /* of what is being evaluated, for messages */
    lm_jdict *vars; /* the template's variables, with what its outermost level sets */
    lm_buf out;     /* captures (macros, set blocks) stack on it and are cut off again */
    lm_rng rng;
    loam_error *err;
};

typedef struct lm_jkwarg {
    lm_str name;
    lm_jval value;
} lm_jkwarg;

typedef struct lm_jargs {
    const lm_jval *pos;
    size_t n_pos;
    const lm_jkwarg *kw;
    size_t n_kw;
} lm_jargs;

/* A call as a builtin sees it. */
typedef struct lm_jcall {
    lm_jval self;          /* what is filtered, tested, or has the method */
    const lm_jval *args;   /* by the builtin's parameters; MISSING where not given */
    const lm_jargs *given; /* all of them, for builtins that take any */
} lm_jcall;

typedef loam_status (*lm_jbuiltin_fn)(lm_jrun *run, const lm_jcall *call, lm_jval *out);

struct lm_jbuiltin {
    const char *name;
    lm_jbuiltin_fn call;
    const char *params; /* "old,new,count"; NULL: takes any arguments */
    int n_required;
    bool unsafe; /* would change its object: the sandbox hides it */
};

/* Errors name the line. LOAM_INVALID; what Python would raise. */
loam_status lm_jrun_fail(lm_jrun *run, const char *fmt, ...) LM_PRINTF(2, 3);
loam_status lm_jrun_undefined(lm_jrun *run, lm_jval value); /* UndefinedError */
loam_status lm_jrun_no_memory(lm_jrun *run);

/* 16-byte aligned, uninitialized. NULL after the limit. */
LM_MUST_USE void *lm_jrun_alloc(lm_jrun *run, size_t n, size_t size_bytes);
/* Counts work; LOAM_LIMIT when there was too much. */
loam_status lm_jrun_charge(lm_jrun *run, size_t steps) LM_MUST_USE;
loam_status lm_jrun_charge_text(lm_jrun *run, size_t bytes) LM_MUST_USE;
loam_status lm_jrun_enter(lm_jrun *run) LM_MUST_USE; /* one level deeper; run->depth-- leaves */

/* Text made step by step behind the output: begin, append to run->out, take. */
size_t lm_jrun_capture(lm_jrun *run);
loam_status lm_jrun_take(lm_jrun *run, size_t begin, lm_jval *out) LM_MUST_USE;

/* Appends str(value) or repr(value) to run->out. */
loam_status lm_jrun_put_str(lm_jrun *run, lm_jval value) LM_MUST_USE;
loam_status lm_jrun_put_repr(lm_jrun *run, lm_jval value) LM_MUST_USE;
loam_status lm_jrun_to_str(lm_jrun *run, lm_jval value, lm_str *out) LM_MUST_USE;
loam_status lm_jrun_concat(lm_jrun *run, const lm_jstr *a, lm_str b, lm_jval *out) LM_MUST_USE;
void lm_jrun_put(lm_jrun *run, lm_str text);
void lm_jrun_put_float(lm_jrun *run, double value); /* Python's repr */

/* Calls anything that can be called. */
loam_status lm_jrun_call(lm_jrun *run, lm_jval callee, const lm_jargs *args,
                         lm_jval *out) LM_MUST_USE;
loam_status lm_jrun_call_builtin(lm_jrun *run, const lm_jbuiltin *builtin, lm_jval self,
                                 const lm_jargs *args, lm_jval *out) LM_MUST_USE;
loam_status lm_jrun_call_macro(lm_jrun *run, const lm_jmacro *macro, const lm_jargs *args,
                               lm_jval *out) LM_MUST_USE;
loam_status lm_jrun_call_loop(lm_jrun *run, lm_jloop *loop, const lm_jargs *args,
                              lm_jval *out) LM_MUST_USE;
loam_status lm_jloop_attr(lm_jrun *run, lm_jloop *loop, lm_str name, lm_jval *out) LM_MUST_USE;
/* *out stays MISSING when there is no such attribute. */
loam_status lm_jmacro_attr(lm_jrun *run, const lm_jmacro *macro, lm_str name,
                           lm_jval *out) LM_MUST_USE;

/* Builtins by name; NULL: none. */
const lm_jbuiltin *lm_jbuiltin_filter(lm_str name);
const lm_jbuiltin *lm_jbuiltin_test(lm_str name);
const lm_jbuiltin *lm_jbuiltin_global(lm_str name);
const lm_jbuiltin *lm_jbuiltin_method(lm_jkind kind, lm_str name);

/* Python's printf-style formatting, str.format and json.dumps, into run->out. */
loam_status lm_jformat_percent(lm_jrun *run, lm_str format, lm_jval args) LM_MUST_USE;
loam_status lm_jformat_braces(lm_jrun *run, lm_str format, const lm_jargs *args) LM_MUST_USE;
typedef struct lm_jdump {
    bool ensure_ascii, sort_keys, has_indent;
    lm_str indent, item_separator, key_separator;
} lm_jdump;
loam_status lm_jdump_json(lm_jrun *run, const lm_jdump *how, lm_jval value) LM_MUST_USE;

#endif
