/* Statements: one function a tag, found in a table. */
#include "model/jinja/parser.h"

#include "base/mem.h"

typedef struct statements {
    lm_jparser p;
    int loops; /* around the current place, within one function */
} statements;

static LM_MUST_USE loam_status nodes_until(statements *s, const char *const *ends, lm_jnodes *out);

typedef loam_status (*statement_reader)(statements *s, lm_jnode *node);

/* ---- helpers ---- */

static LM_MUST_USE loam_status adopt_body(statements *s, lm_jnode *node, const lm_jnodes *body) {
    for (size_t i = 0; i < body->n; i++) LM_TRY(lm_jparser_child(&s->p, node, body->items[i]));
    return LOAM_OK;
}

static LM_MUST_USE loam_status expect_block_end(statements *s) {
    if (s->p.token->kind != LM_JT_BLOCK_END)
        return lm_jparser_unexpected(&s->p, "the end of the statement");
    s->p.token++;
    return LOAM_OK;
}

/* The statements of a body, from the end of its opening tag to one of the words, which becomes the current token. */
static LM_MUST_USE loam_status body_until(statements *s, lm_jnode *node, const char *const *ends,
                                          lm_jnodes *out) {
    lm_jparser_skip_op(&s->p, ":");
    LM_TRY(expect_block_end(s));
    LM_TRY(lm_jparser_enter(&s->p));
    LM_TRY(nodes_until(s, ends, out));
    s->p.nesting--;
    return adopt_body(s, node, out);
}

/* The same up to one word, which is taken. */
static LM_MUST_USE loam_status whole_body(statements *s, lm_jnode *node, const char *end,
                                          lm_jnodes *out) {
    LM_TRY(body_until(s, node, (const char *const[]){end, NULL}, out));
    s->p.token++;
    return LOAM_OK;
}

/* A body that is a function of its own: loops around it cannot be left from inside. */
static LM_MUST_USE loam_status function_body(statements *s, lm_jnode *node, const char *end,
                                             lm_jnodes *out) {
    int loops = s->loops;
    s->loops = 0;
    LM_TRY(whole_body(s, node, end, out));
    s->loops = loops;
    return LOAM_OK;
}

static LM_MUST_USE loam_status push(statements *s, lm_jnode_vec *nodes, lm_jnode *node) {
    return lm_vec_push(nodes, node) ? LOAM_OK : lm_error_no_memory(s->p.err, sizeof node);
}

/* ---- control ---- */

static LM_MUST_USE loam_status parse_for(statements *s, lm_jnode *node) {
    static const char *const ends[] = {"endfor", "else", NULL};
    lm_jparser *p = &s->p;
    lm_jtuple_rules rules = {.no_condition = true, .end_name = "recursive"};
    node->kind = LM_JN_FOR;
    LM_TRY(lm_jparse_target(p, false, "in", &node->u.loop.target));
    if (!lm_jparser_skip_name(p, "in")) return lm_jparser_unexpected(p, "'in'");
    LM_TRY(lm_jparse_tuple(p, rules, &node->u.loop.iter));
    if (lm_jparser_skip_name(p, "if")) LM_TRY(lm_jparse_expression(p, true, &node->u.loop.test));
    node->u.loop.recursive = lm_jparser_skip_name(p, "recursive");
    s->loops++;
    LM_TRY(body_until(s, node, ends, &node->u.loop.body));
    s->loops--;
    bool has_else = lm_jparser_is_name(p, "else");
    p->token++;
    return has_else ? whole_body(s, node, "endfor", &node->u.loop.otherwise) : LOAM_OK;
}

typedef struct branches {
    lm_jnode_vec tests;
    LM_VEC(lm_jnodes) bodies;
} branches;

static LM_MUST_USE loam_status one_branch(statements *s, lm_jnode *node, branches *b) {
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    lm_jnode *test = NULL;
    lm_jnodes body = {0};
    LM_TRY(lm_jparse_tuple(&s->p, (lm_jtuple_rules){.no_condition = true}, &test));
    LM_TRY(lm_jparser_child(&s->p, node, test));
    LM_TRY(push(s, &b->tests, test));
    LM_TRY(body_until(s, node, ends, &body));
    return lm_vec_push(&b->bodies, body) ? LOAM_OK : lm_error_no_memory(s->p.err, sizeof body);
}

static LM_MUST_USE loam_status all_branches(statements *s, lm_jnode *node, branches *b) {
    do LM_TRY(one_branch(s, node, b));
    while (lm_jparser_skip_name(&s->p, "elif"));
    bool has_else = lm_jparser_is_name(&s->p, "else");
    s->p.token++;
    return has_else ? whole_body(s, node, "endif", &node->u.branch.otherwise) : LOAM_OK;
}

static LM_MUST_USE loam_status parse_if(statements *s, lm_jnode *node) {
    branches b = {0};
    lm_jnodes tests = {0};
    node->kind = LM_JN_IF;
    loam_status status = lm_jparser_nodes(&s->p, all_branches(s, node, &b), &b.tests, &tests);
    if (status == LOAM_OK) {
        node->u.branch.tests = tests.items;
        node->u.branch.n = tests.n;
        node->u.branch.bodies = lm_jinja_alloc(s->p.jinja, b.bodies.len, sizeof(lm_jnodes));
        if (node->u.branch.bodies)
            memcpy(node->u.branch.bodies, b.bodies.ptr, b.bodies.len * sizeof(lm_jnodes));
        else
            status = lm_error_no_memory(s->p.err, b.bodies.len);
    }
    lm_vec_deinit(&b.bodies);
    return status;
}

static LM_MUST_USE loam_status parse_leave(statements *s, lm_jnode *node) {
    bool is_break = lm_str_is(s->p.token[-1].text, "break");
    node->kind = is_break ? LM_JN_BREAK : LM_JN_CONTINUE;
    if (s->loops > 0) return LOAM_OK;
    return lm_jinja_refuse(s->p.err, node->line, "'%s' outside loop",
                           is_break ? "break" : "continue");
}

/* ---- variables ---- */

static LM_MUST_USE loam_status parse_set(statements *s, lm_jnode *node) {
    node->kind = LM_JN_SET;
    LM_TRY(lm_jparse_target(&s->p, true, NULL, &node->u.set.target));
    if (lm_jparser_skip_op(&s->p, "=")) {
        LM_TRY(lm_jparse_tuple(&s->p, (lm_jtuple_rules){0}, &node->u.set.value));
        return lm_jparser_child(&s->p, node, node->u.set.value);
    }
    node->kind = LM_JN_SET_BLOCK;
    LM_TRY(lm_jparse_filters(&s->p, NULL, false, &node->u.set.value));
    LM_TRY(lm_jparser_child(&s->p, node, node->u.set.value));
    return whole_body(s, node, "endset", &node->u.set.body);
}

static LM_MUST_USE loam_status with_variables(statements *s, lm_jnode_vec *targets,
                                              lm_jnode_vec *values) {
    while (s->p.token->kind != LM_JT_BLOCK_END) {
        lm_jnode *node = NULL;
        if (targets->len) LM_TRY(lm_jparser_expect_op(&s->p, ","));
        LM_TRY(lm_jparse_target(&s->p, false, NULL, &node));
        LM_TRY(push(s, targets, node));
        LM_TRY(lm_jparser_expect_op(&s->p, "="));
        LM_TRY(lm_jparse_expression(&s->p, true, &node));
        LM_TRY(push(s, values, node));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status parse_with(statements *s, lm_jnode *node) {
    lm_jnode_vec targets = {0}, values = {0};
    node->kind = LM_JN_WITH;
    loam_status status = with_variables(s, &targets, &values);
    status = lm_jparser_nodes(&s->p, status, &targets, &node->u.with.targets);
    LM_TRY(lm_jparser_nodes(&s->p, status, &values, &node->u.with.values));
    LM_TRY(adopt_body(s, node, &node->u.with.values));
    return whole_body(s, node, "endwith", &node->u.with.body);
}

/* ---- macros and calls ---- */

static LM_MUST_USE loam_status parameters(statements *s, lm_jnode_vec *names,
                                          lm_jnode_vec *defaults) {
    LM_TRY(lm_jparser_expect_op(&s->p, "("));
    while (!lm_jparser_is_op(&s->p, ")")) {
        lm_jnode *node = NULL;
        if (names->len) LM_TRY(lm_jparser_expect_op(&s->p, ","));
        LM_TRY(lm_jparse_name_target(&s->p, &node));
        LM_TRY(push(s, names, node));
        if (lm_jparser_skip_op(&s->p, "=")) {
            LM_TRY(lm_jparse_expression(&s->p, true, &node));
            LM_TRY(push(s, defaults, node));
        } else if (defaults->len) {
            return lm_jinja_refuse(s->p.err, s->p.token->line,
                                   "non-default argument follows default argument");
        }
    }
    return lm_jparser_expect_op(&s->p, ")");
}

static LM_MUST_USE loam_status signature(statements *s, lm_jnode *node) {
    lm_jnode_vec names = {0}, defaults = {0};
    lm_jsignature *made = node->u.macro.signature;
    loam_status status = parameters(s, &names, &defaults);
    status = lm_jparser_nodes(&s->p, status, &names, &made->params);
    LM_TRY(lm_jparser_nodes(&s->p, status, &defaults, &made->defaults));
    return adopt_body(s, node, &made->defaults);
}

static LM_MUST_USE loam_status new_signature(statements *s, lm_jnode *node) {
    node->u.macro.signature = lm_jinja_alloc(s->p.jinja, 1, sizeof(lm_jsignature));
    return node->u.macro.signature ? LOAM_OK : lm_error_no_memory(s->p.err, sizeof(lm_jsignature));
}

static LM_MUST_USE loam_status parse_macro(statements *s, lm_jnode *node) {
    lm_jnode *name = NULL;
    node->kind = LM_JN_MACRO;
    LM_TRY(new_signature(s, node));
    LM_TRY(lm_jparse_name_target(&s->p, &name));
    node->u.macro.signature->name = name->u.name.name;
    LM_TRY(signature(s, node));
    return function_body(s, node, "endmacro", &node->u.macro.signature->body);
}

static LM_MUST_USE loam_status parse_call(statements *s, lm_jnode *node) {
    node->kind = LM_JN_CALL_BLOCK;
    LM_TRY(new_signature(s, node));
    if (lm_jparser_is_op(&s->p, "(")) LM_TRY(signature(s, node));
    LM_TRY(lm_jparse_expression(&s->p, true, &node->u.macro.call));
    if (node->u.macro.call->kind != LM_JN_CALL)
        return lm_jinja_refuse(s->p.err, node->line, "expected call");
    LM_TRY(lm_jparser_child(&s->p, node, node->u.macro.call));
    return function_body(s, node, "endcall", &node->u.macro.signature->body);
}

/* ---- blocks of text ---- */

static LM_MUST_USE loam_status parse_filter(statements *s, lm_jnode *node) {
    node->kind = LM_JN_FILTER_BLOCK;
    LM_TRY(lm_jparse_filters(&s->p, NULL, true, &node->u.block.filter));
    LM_TRY(lm_jparser_child(&s->p, node, node->u.block.filter));
    return whole_body(s, node, "endfilter", &node->u.block.body);
}

static LM_MUST_USE loam_status parse_generation(statements *s, lm_jnode *node) {
    node->kind = LM_JN_SCOPE;
    return function_body(s, node, "endgeneration", &node->u.block.body);
}

/* Whether it escapes or not: prompts are no HTML, and nothing is escaped. */
static LM_MUST_USE loam_status parse_autoescape(statements *s, lm_jnode *node) {
    lm_jnode *ignored;
    node->kind = LM_JN_SCOPE;
    LM_TRY(lm_jparse_expression(&s->p, true, &ignored));
    return whole_body(s, node, "endautoescape", &node->u.block.body);
}

static LM_MUST_USE loam_status parse_block(statements *s, lm_jnode *node) {
    node->kind = LM_JN_BLOCK;
    LM_TRY(lm_jparser_expect_name(&s->p, &node->u.block.name));
    bool scoped = lm_jparser_skip_name(&s->p, "scoped");
    bool required = lm_jparser_skip_name(&s->p, "required");
    if (required)
        return lm_jinja_refuse(s->p.err, node->line,
                               "a required block needs a template that extends this one");
    if (scoped) node->kind = LM_JN_SCOPE;
    LM_TRY(function_body(s, node, "endblock", &node->u.block.body));
    if (s->p.token->kind == LM_JT_NAME && lm_str_equal(s->p.token->text, node->u.block.name))
        s->p.token++;
    return LOAM_OK;
}

static LM_MUST_USE loam_status parse_print(statements *s, lm_jnode *node) {
    lm_jnode_vec items = {0};
    loam_status status = LOAM_OK;
    node->kind = LM_JN_OUTPUT;
    while (status == LOAM_OK && s->p.token->kind != LM_JT_BLOCK_END) {
        lm_jnode *item = NULL;
        if (items.len) status = lm_jparser_expect_op(&s->p, ",");
        if (status == LOAM_OK) status = lm_jparse_expression(&s->p, true, &item);
        if (status == LOAM_OK) status = push(s, &items, item);
    }
    LM_TRY(lm_jparser_nodes(&s->p, status, &items, &node->u.list));
    return adopt_body(s, node, &node->u.list);
}

/* A template stands alone: what would load another one fails when it is reached, as Jinja does without a loader. */
static LM_MUST_USE loam_status parse_loads(statements *s, lm_jnode *node) {
    node->kind = LM_JN_LOADS;
    node->u.text = s->p.token[-1].text;
    while (s->p.token->kind != LM_JT_BLOCK_END && s->p.token->kind != LM_JT_END) s->p.token++;
    return LOAM_OK;
}

static const struct {
    const char *name;
    statement_reader read;
} TAGS[] = {
    {"for", parse_for},
    {"if", parse_if},
    {"set", parse_set},
    {"with", parse_with},
    {"macro", parse_macro},
    {"call", parse_call},
    {"filter", parse_filter},
    {"generation", parse_generation},
    {"autoescape", parse_autoescape},
    {"block", parse_block},
    {"print", parse_print},
    {"break", parse_leave},
    {"continue", parse_leave},
    {"include", parse_loads},
    {"extends", parse_loads},
    {"import", parse_loads},
    {"from", parse_loads},
};

static LM_MUST_USE loam_status parse_tag(statements *s, lm_jnode **out) {
    const lm_jtoken *t = s->p.token;
    if (t->kind != LM_JT_NAME) return lm_jparser_unexpected(&s->p, "a tag's name");
    for (size_t i = 0; i < LM_COUNT_OF(TAGS); i++) {
        if (!lm_str_is(t->text, TAGS[i].name)) continue;
        s->p.token++;
        LM_TRY(lm_jparser_node(&s->p, LM_JN_SCOPE, t->line, out));
        LM_TRY(TAGS[i].read(s, *out));
        return expect_block_end(s);
    }
    return lm_jinja_refuse(s->p.err, t->line, "unknown tag '%.*s'",
                           (int)(t->text.len < 60 ? t->text.len : 60), t->text.ptr);
}

static bool is_one_of(const lm_jparser *p, const char *const *names) {
    for (; names && *names; names++)
        if (lm_jparser_is_name(p, *names)) return true;
    return false;
}

static LM_MUST_USE loam_status parse_data(statements *s, lm_jnode **out) {
    LM_TRY(lm_jparser_node(&s->p, LM_JN_DATA, s->p.token->line, out));
    (*out)->u.text = (s->p.token++)->text;
    return LOAM_OK;
}

static LM_MUST_USE loam_status parse_output(statements *s, lm_jnode **out) {
    lm_jnode_vec items = {0};
    lm_jnode *item = NULL;
    LM_TRY(lm_jparser_node(&s->p, LM_JN_OUTPUT, (s->p.token++)->line, out));
    LM_TRY(lm_jparse_tuple(&s->p, (lm_jtuple_rules){0}, &item));
    LM_TRY(lm_jparser_nodes(&s->p, push(s, &items, item), &items, &(*out)->u.list));
    LM_TRY(adopt_body(s, *out, &(*out)->u.list));
    if (s->p.token->kind != LM_JT_VARIABLE_END) return lm_jparser_unexpected(&s->p, "'}}'");
    s->p.token++;
    return LOAM_OK;
}

static LM_MUST_USE loam_status collect_until(statements *s, const char *const *ends,
                                             lm_jnode_vec *nodes) {
    while (s->p.token->kind != LM_JT_END) {
        lm_jnode *node = NULL;
        if (s->p.token->kind == LM_JT_DATA) {
            LM_TRY(parse_data(s, &node));
        } else if (s->p.token->kind == LM_JT_VARIABLE_BEGIN) {
            LM_TRY(parse_output(s, &node));
        } else {
            s->p.token++; /* "{%": nothing else begins here */
            if (is_one_of(&s->p, ends)) return LOAM_OK;
            LM_TRY(parse_tag(s, &node));
        }
        LM_TRY(push(s, nodes, node));
    }
    return ends ? lm_jinja_refuse(s->p.err, s->p.token->line, "the template ends without '%s'",
                                  ends[0])
                : LOAM_OK;
}

static loam_status nodes_until(statements *s, const char *const *ends, lm_jnodes *out) {
    lm_jnode_vec nodes = {0};
    return lm_jparser_nodes(&s->p, collect_until(s, ends, &nodes), &nodes, out);
}

loam_status lm_jinja_parse(lm_jinja *jinja, loam_error *err) {
    lm_jtokens tokens = {0};
    loam_status status = lm_jinja_tokenize(jinja, &tokens, err);
    if (status == LOAM_OK) {
        statements s = {.p = {.jinja = jinja, .token = tokens.ptr, .err = err}};
        status = nodes_until(&s, NULL, &jinja->body);
    }
    lm_vec_deinit(&tokens);
    return status;
}
