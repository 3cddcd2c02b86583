/* Values of a template while it is rendered, and what Python's operators do to them.
 *
 * All memory is the run's arena: nothing is freed singly. Strings, lists, tuples and dicts never change once they are made
 * (the sandbox allows no changing methods), so they are shared freely; a namespace, an iterator, a cycler and a joiner are
 * the only things with state. Strings are valid UTF-8; lengths and indices that a template sees count code points.
 */
#ifndef LM_MODEL_JINJA_VALUE_H
#define LM_MODEL_JINJA_VALUE_H

#include <jansson.h>

#include "base/arena.h"
#include "base/str.h"

typedef struct lm_jrun lm_jrun;
typedef struct lm_jbuiltin lm_jbuiltin;
typedef struct lm_jnode lm_jnode;

typedef enum lm_jkind {
    LM_J_MISSING, /* not a value: a variable without one, an argument not given */
    LM_J_UNDEFINED,
    LM_J_NONE,
    LM_J_BOOL,
    LM_J_INT,
    LM_J_FLOAT,
    LM_J_STRING,
    LM_J_LIST,
    LM_J_TUPLE,
    LM_J_DICT,
    LM_J_VIEW, /* d.keys(), d.values(), d.items() */
    LM_J_RANGE,
    LM_J_ITERATOR, /* what map, select and other filters give: can be walked once */
    LM_J_NAMESPACE,
    LM_J_MACRO,
    LM_J_BUILTIN,
    LM_J_METHOD, /* a builtin with the value it belongs to */
    LM_J_LOOP,
    LM_J_CYCLER,
    LM_J_JOINER,
} lm_jkind;

typedef struct lm_jval lm_jval;

/* Text that grew by appending owns the rest of its block, so that the next append need not copy. */
typedef struct lm_jtail {
    char *end, *limit;
} lm_jtail;

typedef struct lm_jstr {
    const char *ptr;
    size_t len;
    size_t n_chars;
    lm_jtail *tail; /* NULL: none */
    bool markup;    /* HTML that needs no escaping */
} lm_jstr;

typedef struct lm_jundef {
    const char *hint;  /* the whole message, or NULL: built of the rest */
    const char *owner; /* the kind of value that has no such attribute, or NULL: a variable */
    lm_str name;
} lm_jundef;

typedef struct lm_jlist lm_jlist;
typedef struct lm_jdict lm_jdict;
typedef struct lm_jview lm_jview;
typedef struct lm_jrange lm_jrange;
typedef struct lm_jiter lm_jiter;
typedef struct lm_jmacro lm_jmacro;
typedef struct lm_jmethod lm_jmethod;
typedef struct lm_jloop lm_jloop;

struct lm_jval {
    lm_jkind kind;
    union {
        bool boolean;
        int64_t integer;
        double real;
        const lm_jundef *undefined;
        const lm_jstr *string;
        const lm_jlist *list; /* tuples too */
        lm_jdict *dict;       /* namespaces too */
        const lm_jview *view;
        const lm_jrange *range;
        lm_jiter *iter; /* cyclers too */
        const lm_jmacro *macro;
        const lm_jbuiltin *builtin;
        const lm_jmethod *method;
        lm_jloop *loop;
        struct lm_jjoiner *joiner;
    } u;
};

struct lm_jlist {
    lm_jval *items;
    size_t n;
    bool is_group; /* a tuple of groupby, whose items are called grouper and list */
};

typedef struct lm_jentry {
    lm_jval key, value;
    uint64_t hash;
} lm_jentry;

struct lm_jdict {
    lm_jentry *entries; /* in order of insertion */
    size_t n, capacity;
    uint32_t *index; /* open addressing; entry + 1, 0: free; NULL while the dict is small */
    size_t index_size;
};

typedef enum lm_jview_of { LM_JVIEW_KEYS, LM_JVIEW_VALUES, LM_JVIEW_ITEMS } lm_jview_of;
struct lm_jview {
    const lm_jdict *dict;
    lm_jview_of of;
};

struct lm_jrange {
    int64_t start, stop, step, n;
};

struct lm_jiter {
    const lm_jval *items;
    size_t n, at;
};

struct lm_jmethod {
    const lm_jbuiltin *builtin;
    lm_jval self;
};

typedef struct lm_jjoiner {
    lm_jval separator;
    bool used;
} lm_jjoiner;

/* --- Making values. Statuses are LOAM_LIMIT or LOAM_NO_MEMORY when the memory is used up. */

static inline lm_jval lm_jval_none(void) {
    return (lm_jval){.kind = LM_J_NONE};
}
static inline lm_jval lm_jval_bool(bool value) {
    return (lm_jval){.kind = LM_J_BOOL, .u.boolean = value};
}
static inline lm_jval lm_jval_int(int64_t value) {
    return (lm_jval){.kind = LM_J_INT, .u.integer = value};
}
static inline lm_jval lm_jval_float(double value) {
    return (lm_jval){.kind = LM_J_FLOAT, .u.real = value};
}

loam_status lm_jval_str(lm_jrun *run, lm_str text, lm_jval *out) LM_MUST_USE; /* copies */
loam_status lm_jval_str_of(lm_jrun *run, const char *text, lm_jval *out) LM_MUST_USE;
/* Borrows text that lives as long as the run (part of another string, of the template, of the variables). */
loam_status lm_jval_str_ref(lm_jrun *run, lm_str text, lm_jval *out) LM_MUST_USE;
loam_status lm_jval_list(lm_jrun *run, lm_jkind kind, lm_jval *items, size_t n,
                         lm_jval *out) LM_MUST_USE; /* takes the array */
loam_status lm_jval_pair(lm_jrun *run, lm_jval first, lm_jval second, lm_jval *out) LM_MUST_USE;
loam_status lm_jval_iter(lm_jrun *run, const lm_jval *items, size_t n, lm_jval *out) LM_MUST_USE;
loam_status lm_jval_dict(lm_jrun *run, lm_jkind kind, lm_jval *out) LM_MUST_USE; /* empty */
loam_status lm_jval_undef(lm_jrun *run, lm_jundef undefined, lm_jval *out) LM_MUST_USE;
loam_status lm_jval_of_json(lm_jrun *run, const json_t *json, lm_jval *out) LM_MUST_USE;

/* --- Dicts. Keys are compared as Python does: 1, 1.0 and true are one key. */

loam_status lm_jdict_set(lm_jrun *run, lm_jdict *dict, lm_jval key, lm_jval value) LM_MUST_USE;
loam_status lm_jdict_set_text(lm_jrun *run, lm_jdict *dict, lm_str key, lm_jval value) LM_MUST_USE;
/* *out is MISSING when there is no such key. LOAM_INVALID for a key that cannot be one. */
loam_status lm_jdict_get(lm_jrun *run, const lm_jdict *dict, lm_jval key, lm_jval *out) LM_MUST_USE;
lm_jval lm_jdict_get_text(const lm_jdict *dict, lm_str key); /* MISSING: none */

/* --- Reading values. */

static inline lm_str lm_jstr_text(const lm_jstr *string) {
    return (lm_str){string->ptr, string->len};
}
static inline bool lm_jval_is_int(lm_jval value) { /* as Python's isinstance: bools are integers */
    return value.kind == LM_J_INT || value.kind == LM_J_BOOL;
}
static inline int64_t lm_jval_to_int(lm_jval value) {
    return value.kind == LM_J_BOOL ? value.u.boolean : value.u.integer;
}
static inline bool lm_jval_is_number(lm_jval value) {
    return lm_jval_is_int(value) || value.kind == LM_J_FLOAT;
}
static inline double lm_jval_to_float(lm_jval value) {
    return value.kind == LM_J_FLOAT ? value.u.real : (double)lm_jval_to_int(value);
}
static inline bool lm_jval_is_sequence(lm_jval value) {
    return value.kind == LM_J_LIST || value.kind == LM_J_TUPLE;
}

const char *lm_jval_type_name(lm_jval value); /* "str", "dict", ...: Python's */
bool lm_jval_truth(lm_jval value);
int64_t lm_jval_len(lm_jval value);    /* -1: has no length */
bool lm_jval_is(lm_jval a, lm_jval b); /* Python's `is` */

/* All items, in order; what an iterator had left is gone then. LOAM_INVALID for what cannot be walked. */
loam_status lm_jval_items(lm_jrun *run, lm_jval value, const lm_jval **out,
                          size_t *out_n) LM_MUST_USE;
bool lm_jval_is_iterable(lm_jval value);

/* Equal values have equal hashes. LOAM_INVALID for what cannot be a key: lists, dicts. */
loam_status lm_jval_hash(lm_jrun *run, lm_jval key, uint64_t *out) LM_MUST_USE;
loam_status lm_jval_equal(lm_jrun *run, lm_jval a, lm_jval b, bool *out) LM_MUST_USE;
/* Sign of the order; LOAM_INVALID for kinds without one. `unordered` (NaN) is 2. */
loam_status lm_jval_order(lm_jrun *run, lm_jval a, lm_jval b, int *out) LM_MUST_USE;
loam_status lm_jval_contains(lm_jrun *run, lm_jval container, lm_jval item, bool *out) LM_MUST_USE;

typedef enum lm_jop {
    LM_JOP_ADD,
    LM_JOP_SUB,
    LM_JOP_MUL,
    LM_JOP_DIV,
    LM_JOP_FLOORDIV,
    LM_JOP_MOD,
    LM_JOP_POW,
    LM_JOP_EQ,
    LM_JOP_NE,
    LM_JOP_LT,
    LM_JOP_LE,
    LM_JOP_GT,
    LM_JOP_GE,
    LM_JOP_IN,
    LM_JOP_NOT_IN,
} lm_jop;

loam_status lm_jval_arithmetic(lm_jrun *run, lm_jop op, lm_jval a, lm_jval b,
                               lm_jval *out) LM_MUST_USE;
loam_status lm_jval_compare(lm_jrun *run, lm_jop op, lm_jval a, lm_jval b, bool *out) LM_MUST_USE;
loam_status lm_jval_negate(lm_jrun *run, lm_jval a, bool negative, lm_jval *out) LM_MUST_USE;

/* obj.name, obj[key], obj[start:stop:step] with the sandbox's rules; absent ones are undefined values. */
loam_status lm_jval_attr(lm_jrun *run, lm_jval object, lm_str name, lm_jval *out) LM_MUST_USE;
loam_status lm_jval_item(lm_jrun *run, lm_jval object, lm_jval key, lm_jval *out) LM_MUST_USE;
/* Bounds are NONE where they are not given. */
loam_status lm_jval_slice(lm_jrun *run, lm_jval object, const lm_jval bounds[3],
                          lm_jval *out) LM_MUST_USE;

/* Sorts in place, stable, by keys[i] for items[i]; both are reordered. */
loam_status lm_jval_sort(lm_jrun *run, lm_jval *items, lm_jval *keys, size_t n,
                         bool reverse) LM_MUST_USE;

#endif
