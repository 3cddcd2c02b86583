/* The tree of a template. Nodes and texts live in the compiled template's arena and never change once names are bound. */
#ifndef LM_MODEL_JINJA_AST_H
#define LM_MODEL_JINJA_AST_H

#include "model/jinja/run.h"

typedef enum lm_jnode_kind {
    /* expressions */
    LM_JN_CONST,
    LM_JN_NAME,
    LM_JN_NSREF, /* ns.name, as a target only */
    LM_JN_TUPLE,
    LM_JN_LIST,
    LM_JN_DICT, /* items: key, value, key, value */
    LM_JN_BINARY,
    LM_JN_NEGATE,
    LM_JN_PLUS,
    LM_JN_NOT,
    LM_JN_AND,
    LM_JN_OR,
    LM_JN_COMPARE,
    LM_JN_CONCAT,
    LM_JN_CONDITION,
    LM_JN_ATTR,
    LM_JN_ITEM,
    LM_JN_SLICE, /* only as the index of an item */
    LM_JN_CALL,
    LM_JN_FILTER,
    LM_JN_TEST,
    /* statements */
    LM_JN_DATA,
    LM_JN_OUTPUT,
    LM_JN_FOR,
    LM_JN_IF,
    LM_JN_SET,
    LM_JN_SET_BLOCK,
    LM_JN_WITH,
    LM_JN_MACRO,
    LM_JN_CALL_BLOCK,
    LM_JN_FILTER_BLOCK,
    LM_JN_SCOPE, /* generation, autoescape */
    LM_JN_BLOCK,
    LM_JN_BREAK,
    LM_JN_CONTINUE,
    LM_JN_LOADS, /* extends, include, import: there is nothing to load from */
} lm_jnode_kind;

typedef struct lm_jnodes {
    lm_jnode **items;
    size_t n;
} lm_jnodes;

/* What a scope does when it is entered: each of its variables takes a value from outside or has none. */
typedef enum lm_jload {
    LM_JLOAD_PARAM,   /* set by whoever enters */
    LM_JLOAD_RESOLVE, /* from the template's variables */
    LM_JLOAD_ALIAS,   /* from a variable of a scope around */
    LM_JLOAD_NOTHING,
} lm_jload;

/* A variable seen from some place: that many functions outwards, in that slot. */
typedef struct lm_jref {
    int hops, slot;
} lm_jref;

typedef struct lm_jentering {
    lm_jload load;
    int slot;
    lm_str name;
    lm_jref outer; /* of an alias */
} lm_jentering;

typedef struct lm_jscope {
    lm_jentering *entries;
    size_t n;
} lm_jscope;

typedef struct lm_jkeyword {
    lm_str name;
    lm_jnode *value;
} lm_jkeyword;

typedef struct lm_jarguments { /* of a call, a filter, a test */
    lm_jnodes pos;
    lm_jkeyword *kw;
    size_t n_kw;
    lm_jnode *dyn_pos, *dyn_kw; /* *args, **kwargs; NULL: none */
} lm_jarguments;

typedef struct lm_jsignature { /* of a macro or a call block */
    lm_jnodes params;          /* names */
    lm_jnodes defaults;        /* of the last ones */
    lm_jnodes body;
    lm_jscope scope;
    int n_slots;
    int caller_slot, kwargs_slot, varargs_slot; /* -1: the body does not ask for it */
    lm_str name;                                /* of a macro */
} lm_jsignature;

struct lm_jnode {
    lm_jnode_kind kind;
    int line;
    int depth; /* of the tree below, 1 for leaves */
    union {
        lm_jval constant; /* strings borrow `text` */
        struct {
            lm_str name, attr; /* attr: of an nsref */
            lm_jref ref;
            bool exported; /* a target of the outermost level */
        } name;
        lm_jnodes list;
        struct {
            lm_jop op;
            lm_jnode *left, *right; /* right NULL: unary */
        } binary;
        struct {
            lm_jnode *first;
            lm_jop *ops;
            lm_jnodes rest;
        } compare;
        struct {
            lm_jnode *test, *then, *otherwise; /* otherwise may be NULL */
        } condition;
        struct {
            lm_jnode *object, *key;
            lm_str name;
        } access;
        struct {
            lm_jnode *bounds[3]; /* NULL: not given */
        } slice;
        struct {
            lm_jnode *callee; /* what is called, filtered (NULL: a block's text) or tested */
            lm_jarguments args;
            lm_str name; /* of a filter or test */
            const lm_jbuiltin *
                builtin; /* the filter or test; NULL: there is none, which is told when it is used */
        } call;
        struct {
            lm_jnode *target, *iter, *test; /* test may be NULL */
            lm_jnode *test_target;          /* the target as the test sees it */
            lm_jnodes body, otherwise;
            lm_jscope scope, test_scope, else_scope;
            int loop_slot;
            int n_slots; /* of a recursive loop, which is a function of its own */
            bool recursive;
        } loop;
        struct {
            lm_jnode **tests; /* of if and each elif */
            lm_jnodes *bodies;
            size_t n;
            lm_jnodes otherwise;
        } branch;
        struct {
            lm_jnode *target,
                *value; /* value: the expression, or the filters of a set block (NULL: none) */
            lm_jnodes body;
            lm_jscope scope;
        } set;
        struct {
            lm_jnodes targets, values, body;
            lm_jscope scope;
        } with;
        struct {
            lm_jsignature *signature;
            lm_jref ref;    /* of the macro's name */
            lm_jnode *call; /* of a call block */
            bool exported;
        } macro;
        struct { /* filter blocks, scopes, blocks */
            lm_jnode *filter;
            lm_jnodes body;
            lm_jscope scope;
            int n_slots; /* of a block */
            lm_str name;
        } block;
        lm_str text; /* data; the tag of what loads */
    } u;
    lm_jstr string; /* of a constant or of an attribute's name */
};

struct lm_jinja {
    lm_arena arena;
    lm_str source;
    lm_jnodes body;
    lm_jscope scope;
    int n_slots;
    lm_str *reads; /* variables that are taken from outside somewhere */
    size_t n_reads;
};

/* Room in the template's arena, zeroed; NULL when out of memory. */
LM_MUST_USE void *lm_jinja_alloc(lm_jinja *jinja, size_t n, size_t size_bytes);
loam_status lm_jinja_refuse(loam_error *err, int line, const char *fmt, ...) LM_PRINTF(3, 4);

/* Reads the source into jinja->body. */
loam_status lm_jinja_parse(lm_jinja *jinja, loam_error *err) LM_MUST_USE;

/* Gives every variable its place, as Jinja's scopes demand. */
loam_status lm_jinja_bind(lm_jinja *jinja, loam_error *err) LM_MUST_USE;

#endif
