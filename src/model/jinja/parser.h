/* The parser's two halves share this: statements call for expressions. */
#ifndef LM_MODEL_JINJA_PARSER_H
#define LM_MODEL_JINJA_PARSER_H

#include "model/jinja/lexer.h"

enum {
    LM_J_MAX_NESTING = 300, /* of braces and blocks in a template */
    LM_J_MAX_TREE =
        900, /* depth of the tree, which chains of operators make deep without nesting */
};

typedef struct lm_jparser {
    lm_jinja *jinja;
    const lm_jtoken *token; /* the current one */
    int nesting;
    loam_error *err;
} lm_jparser;

typedef LM_VEC(lm_jnode *) lm_jnode_vec;

static inline bool lm_jparser_is_op(const lm_jparser *p, const char *op) {
    return p->token->kind == LM_JT_OPERATOR && lm_str_is(p->token->text, op);
}
static inline bool lm_jparser_is_name(const lm_jparser *p, const char *name) {
    return p->token->kind == LM_JT_NAME && lm_str_is(p->token->text, name);
}
static inline bool lm_jparser_skip_op(lm_jparser *p, const char *op) {
    bool found = lm_jparser_is_op(p, op);
    p->token += found;
    return found;
}
static inline bool lm_jparser_skip_name(lm_jparser *p, const char *name) {
    bool found = lm_jparser_is_name(p, name);
    p->token += found;
    return found;
}

loam_status lm_jparser_expect_op(lm_jparser *p, const char *op) LM_MUST_USE;
loam_status lm_jparser_expect_name(lm_jparser *p, lm_str *out) LM_MUST_USE; /* any name */
loam_status lm_jparser_unexpected(lm_jparser *p, const char *wanted);
loam_status lm_jparser_node(lm_jparser *p, lm_jnode_kind kind, int line,
                            lm_jnode **out) LM_MUST_USE;
/* Takes note of how deep a child is. */
loam_status lm_jparser_child(lm_jparser *p, lm_jnode *node, const lm_jnode *child) LM_MUST_USE;
/* Moves the vector's nodes into the tree, or frees them on failure of an earlier status. */
loam_status lm_jparser_nodes(lm_jparser *p, loam_status status, lm_jnode_vec *nodes,
                             lm_jnodes *out) LM_MUST_USE;
loam_status lm_jparser_enter(lm_jparser *p) LM_MUST_USE; /* p->nesting-- leaves */

loam_status lm_jparse_expression(lm_jparser *p, bool with_condition, lm_jnode **out) LM_MUST_USE;

typedef struct lm_jtuple_rules {
    bool targets;         /* only names and literals */
    bool no_condition;    /* no inline if at the outermost level */
    bool namespaces;      /* of targets: ns.name too */
    bool parentheses;     /* an empty tuple is one */
    const char *end_name; /* a word that ends it, or NULL */
} lm_jtuple_rules;

/* One expression, or a tuple of several with commas between. */
loam_status lm_jparse_tuple(lm_jparser *p, lm_jtuple_rules rules, lm_jnode **out) LM_MUST_USE;
/* The filters at the current token on `node` (NULL: on a block's text, and the first without its '|'). */
loam_status lm_jparse_filters(lm_jparser *p, lm_jnode *node, bool start_inline,
                              lm_jnode **out) LM_MUST_USE;
loam_status lm_jparse_name_target(lm_jparser *p, lm_jnode **out) LM_MUST_USE;
loam_status lm_jparse_target(lm_jparser *p, bool namespaces, const char *end_name,
                             lm_jnode **out) LM_MUST_USE;

#endif
