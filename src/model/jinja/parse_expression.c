/* Expressions, by precedence from the loosest to the tightest as Jinja has it (which is not Python's: filters and tests bind
 * tighter than any operator, and a sign tighter than a filter). */
#include "model/jinja/parser.h"

#include "model/jinja/unicode.h"

loam_status lm_jparser_unexpected(lm_jparser *p, const char *wanted) {
    static const char *const kinds[] = {"template text", "'{{'", "'}}'", "'{%'", "'%}'"};
    const lm_jtoken *t = p->token;
    if (t->kind == LM_JT_END)
        return lm_jinja_refuse(p->err, t->line, "the template ends where %s belongs", wanted);
    if (t->kind < LM_JT_NAME)
        return lm_jinja_refuse(p->err, t->line, "expected %s, got %s", wanted, kinds[t->kind]);
    return lm_jinja_refuse(p->err, t->line, "expected %s, got '%.*s'", wanted,
                           (int)(t->text.len < 60 ? t->text.len : 60), t->text.ptr);
}

loam_status lm_jparser_expect_op(lm_jparser *p, const char *op) {
    char wanted[8];
    if (lm_jparser_skip_op(p, op)) return LOAM_OK;
    snprintf(wanted, sizeof wanted, "'%s'", op);
    return lm_jparser_unexpected(p, wanted);
}

loam_status lm_jparser_expect_name(lm_jparser *p, lm_str *out) {
    if (p->token->kind != LM_JT_NAME) return lm_jparser_unexpected(p, "a name");
    *out = (p->token++)->text;
    return LOAM_OK;
}

loam_status lm_jparser_node(lm_jparser *p, lm_jnode_kind kind, int line, lm_jnode **out) {
    lm_jnode *node = lm_jinja_alloc(p->jinja, 1, sizeof *node);
    if (!node) return lm_error_no_memory(p->err, sizeof *node);
    node->kind = kind;
    node->line = line;
    node->depth = 1;
    *out = node;
    return LOAM_OK;
}

loam_status lm_jparser_child(lm_jparser *p, lm_jnode *node, const lm_jnode *child) {
    if (child && child->depth >= node->depth) node->depth = child->depth + 1;
    if (node->depth > LM_J_MAX_TREE)
        return lm_jinja_refuse(p->err, node->line,
                               "an expression of more than %d operations in a row", LM_J_MAX_TREE);
    return LOAM_OK;
}

loam_status lm_jparser_nodes(lm_jparser *p, loam_status status, lm_jnode_vec *nodes,
                             lm_jnodes *out) {
    if (status == LOAM_OK && nodes->len) {
        out->items = lm_jinja_alloc(p->jinja, nodes->len, sizeof(lm_jnode *));
        if (out->items)
            memcpy(out->items, nodes->ptr, nodes->len * sizeof(lm_jnode *));
        else
            status = lm_error_no_memory(p->err, nodes->len * sizeof(lm_jnode *));
    }
    out->n = status == LOAM_OK ? nodes->len : 0;
    lm_vec_deinit(nodes);
    return status;
}

loam_status lm_jparser_enter(lm_jparser *p) {
    if (++p->nesting > LM_J_MAX_NESTING)
        return lm_jinja_refuse(p->err, p->token->line, "nested more than %d deep",
                               LM_J_MAX_NESTING);
    return LOAM_OK;
}

static LM_MUST_USE loam_status push(lm_jparser *p, lm_jnode_vec *nodes, lm_jnode *node) {
    return lm_vec_push(nodes, node) ? LOAM_OK : lm_error_no_memory(p->err, sizeof node);
}

static LM_MUST_USE loam_status adopt_all(lm_jparser *p, lm_jnode *node, const lm_jnodes *children) {
    for (size_t i = 0; i < children->n; i++) LM_TRY(lm_jparser_child(p, node, children->items[i]));
    return LOAM_OK;
}

static LM_MUST_USE loam_status new_binary(lm_jparser *p, lm_jnode_kind kind, lm_jop op, int line,
                                          lm_jnode *left, lm_jnode *right, lm_jnode **out) {
    lm_jnode *node = NULL;
    LM_TRY(lm_jparser_node(p, kind, line, &node));
    node->u.binary.op = op;
    node->u.binary.left = left;
    node->u.binary.right = right;
    LM_TRY(lm_jparser_child(p, node, left));
    LM_TRY(lm_jparser_child(p, node, right));
    *out = node;
    return LOAM_OK;
}

/* ---- primaries ---- */

static void set_string(lm_jnode *node, lm_str text) {
    node->string = (lm_jstr){
        .ptr = text.ptr ? text.ptr : "", .len = text.len, .n_chars = lm_unicode_count(text)};
    node->u.constant = (lm_jval){.kind = LM_J_STRING, .u.string = &node->string};
}

static LM_MUST_USE loam_status string_constant(lm_jparser *p, lm_jnode **out) {
    lm_jnode *node = NULL;
    LM_TRY(lm_jparser_node(p, LM_JN_CONST, p->token->line, &node));
    size_t len = 0;
    const lm_jtoken *first = p->token;
    for (; p->token->kind == LM_JT_STRING; p->token++) len += p->token->text.len;
    if (p->token == first + 1) {
        set_string(node, first->text);
    } else {
        char *joined = lm_jinja_alloc(p->jinja, len + 1, 1), *end = joined;
        if (!joined) return lm_error_no_memory(p->err, len);
        for (const lm_jtoken *t = first; t < p->token; t++) {
            memcpy(end, t->text.ptr, t->text.len);
            end += t->text.len;
        }
        set_string(node, (lm_str){joined, len});
    }
    *out = node;
    return LOAM_OK;
}

static bool constant_word(lm_str name, lm_jval *out) {
    if (lm_str_is(name, "true") || lm_str_is(name, "True"))
        *out = lm_jval_bool(true);
    else if (lm_str_is(name, "false") || lm_str_is(name, "False"))
        *out = lm_jval_bool(false);
    else if (lm_str_is(name, "none") || lm_str_is(name, "None"))
        *out = lm_jval_none();
    else
        return false;
    return true;
}

static LM_MUST_USE loam_status name_or_word(lm_jparser *p, bool namespaces, lm_jnode **out) {
    const lm_jtoken *t = p->token++;
    lm_jnode *node = NULL;
    lm_jval word;
    bool is_word = constant_word(t->text, &word);
    LM_TRY(lm_jparser_node(p, is_word ? LM_JN_CONST : LM_JN_NAME, t->line, &node));
    if (is_word) {
        node->u.constant = word;
    } else {
        node->u.name.name = t->text;
        if (namespaces && lm_jparser_skip_op(p, ".")) {
            node->kind = LM_JN_NSREF;
            LM_TRY(lm_jparser_expect_name(p, &node->u.name.attr));
        }
    }
    *out = node;
    return LOAM_OK;
}

static LM_MUST_USE loam_status number_constant(lm_jparser *p, lm_jnode **out) {
    const lm_jtoken *t = p->token++;
    LM_TRY(lm_jparser_node(p, LM_JN_CONST, t->line, out));
    (*out)->u.constant =
        t->kind == LM_JT_INTEGER ? lm_jval_int(t->u.integer) : lm_jval_float(t->u.real);
    return LOAM_OK;
}

/* [a, b] or {a: b}: the items up to the closing brace. */
static LM_MUST_USE loam_status items_until(lm_jparser *p, const char *closing, bool pairs,
                                           lm_jnode_vec *items) {
    while (!lm_jparser_is_op(p, closing)) {
        lm_jnode *item = NULL;
        if (items->len) {
            LM_TRY(lm_jparser_expect_op(p, ","));
            if (lm_jparser_is_op(p, closing)) break;
        }
        LM_TRY(lm_jparse_expression(p, true, &item));
        LM_TRY(push(p, items, item));
        if (!pairs) continue;
        LM_TRY(lm_jparser_expect_op(p, ":"));
        LM_TRY(lm_jparse_expression(p, true, &item));
        LM_TRY(push(p, items, item));
    }
    return lm_jparser_expect_op(p, closing);
}

static LM_MUST_USE loam_status container(lm_jparser *p, lm_jnode_kind kind, lm_jnode **out) {
    lm_jnode *node = NULL;
    lm_jnode_vec items = {0};
    bool pairs = kind == LM_JN_DICT;
    LM_TRY(lm_jparser_node(p, kind, p->token++->line, &node));
    LM_TRY(lm_jparser_nodes(p, items_until(p, pairs ? "}" : "]", pairs, &items), &items,
                            &node->u.list));
    *out = node;
    return adopt_all(p, node, &node->u.list);
}

static LM_MUST_USE loam_status primary(lm_jparser *p, bool namespaces, lm_jnode **out) {
    switch (p->token->kind) {
    case LM_JT_NAME: return name_or_word(p, namespaces, out);
    case LM_JT_STRING: return string_constant(p, out);
    case LM_JT_INTEGER:
    case LM_JT_FLOAT: return number_constant(p, out);
    default: break;
    }
    if (lm_jparser_is_op(p, "[")) return container(p, LM_JN_LIST, out);
    if (lm_jparser_is_op(p, "{")) return container(p, LM_JN_DICT, out);
    if (!lm_jparser_skip_op(p, "(")) return lm_jparser_unexpected(p, "an expression");
    LM_TRY(lm_jparse_tuple(p, (lm_jtuple_rules){.parentheses = true}, out));
    return lm_jparser_expect_op(p, ")");
}

/* ---- calls, attributes, items ---- */

static LM_MUST_USE loam_status push_keyword(lm_jparser *p, lm_jarguments *args,
                                            lm_jkeyword *keywords) {
    lm_jkeyword *keyword = &keywords[args->n_kw];
    if (args->n_kw == LM_J_MAX_ARGS)
        return lm_jinja_refuse(p->err, p->token->line, "a call has more than %d arguments",
                               LM_J_MAX_ARGS);
    keyword->name = p->token->text;
    p->token += 2;
    LM_TRY(lm_jparse_expression(p, true, &keyword->value));
    args->n_kw++;
    return LOAM_OK;
}

static bool is_keyword(const lm_jparser *p) {
    return p->token->kind == LM_JT_NAME && p->token[1].kind == LM_JT_OPERATOR &&
           lm_str_is(p->token[1].text, "=");
}

static LM_MUST_USE loam_status one_argument(lm_jparser *p, lm_jarguments *args,
                                            lm_jkeyword *keywords, lm_jnode_vec *pos) {
    bool good = !args->dyn_kw;
    lm_jnode *node = NULL;
    if (lm_jparser_skip_op(p, "*")) {
        good &= !args->dyn_pos;
        LM_TRY(lm_jparse_expression(p, true, &args->dyn_pos));
    } else if (lm_jparser_skip_op(p, "**")) {
        LM_TRY(lm_jparse_expression(p, true, &args->dyn_kw));
    } else if (is_keyword(p)) {
        LM_TRY(push_keyword(p, args, keywords));
    } else {
        good &= !args->dyn_pos && args->n_kw == 0 && pos->len < LM_J_MAX_ARGS;
        LM_TRY(lm_jparse_expression(p, true, &node));
        LM_TRY(push(p, pos, node));
    }
    return good ? LOAM_OK
                : lm_jinja_refuse(p->err, p->token->line,
                                  "invalid syntax for function call expression");
}

static LM_MUST_USE loam_status arguments_until(lm_jparser *p, lm_jarguments *args,
                                               lm_jkeyword *keywords, lm_jnode_vec *pos) {
    for (bool first = true; !lm_jparser_is_op(p, ")"); first = false) {
        if (!first) {
            LM_TRY(lm_jparser_expect_op(p, ","));
            if (lm_jparser_is_op(p, ")")) break;
        }
        LM_TRY(one_argument(p, args, keywords, pos));
    }
    return lm_jparser_expect_op(p, ")");
}

/* "(a, b=c)" at the current token, into node->u.call.args. */
static LM_MUST_USE loam_status arguments(lm_jparser *p, lm_jnode *node) {
    lm_jkeyword keywords[LM_J_MAX_ARGS];
    lm_jarguments *args = &node->u.call.args;
    lm_jnode_vec pos = {0};
    LM_TRY(lm_jparser_expect_op(p, "("));
    LM_TRY(lm_jparser_enter(p));
    LM_TRY(lm_jparser_nodes(p, arguments_until(p, args, keywords, &pos), &pos, &args->pos));
    p->nesting--;
    args->kw = lm_jinja_alloc(p->jinja, args->n_kw + 1, sizeof *args->kw);
    if (!args->kw) return lm_error_no_memory(p->err, args->n_kw * sizeof *args->kw);
    for (size_t i = 0; i < args->n_kw; i++) {
        args->kw[i] = keywords[i];
        LM_TRY(lm_jparser_child(p, node, keywords[i].value));
    }
    LM_TRY(adopt_all(p, node, &args->pos));
    LM_TRY(lm_jparser_child(p, node, args->dyn_pos));
    return lm_jparser_child(p, node, args->dyn_kw);
}

static LM_MUST_USE loam_status call(lm_jparser *p, lm_jnode *callee, lm_jnode **out) {
    lm_jnode *node = NULL;
    LM_TRY(lm_jparser_node(p, LM_JN_CALL, p->token->line, &node));
    node->u.call.callee = callee;
    LM_TRY(lm_jparser_child(p, node, callee));
    *out = node;
    return arguments(p, node);
}

static bool ends_bound(const lm_jparser *p) {
    return lm_jparser_is_op(p, "]") || lm_jparser_is_op(p, ",") || lm_jparser_is_op(p, ":");
}

/* One index: an expression or a slice. */
static LM_MUST_USE loam_status subscript(lm_jparser *p, lm_jnode **out) {
    lm_jnode *bounds[3] = {0}, *node = NULL;
    int line = p->token->line, n = 0;
    if (!lm_jparser_is_op(p, ":")) {
        LM_TRY(lm_jparse_expression(p, true, &bounds[0]));
        if (!lm_jparser_is_op(p, ":")) {
            *out = bounds[0];
            return LOAM_OK;
        }
    }
    while (n < 2 && lm_jparser_skip_op(p, ":")) {
        n++;
        if (!ends_bound(p)) LM_TRY(lm_jparse_expression(p, true, &bounds[n]));
    }
    LM_TRY(lm_jparser_node(p, LM_JN_SLICE, line, &node));
    for (int i = 0; i < 3; i++) {
        node->u.slice.bounds[i] = bounds[i];
        LM_TRY(lm_jparser_child(p, node, bounds[i]));
    }
    *out = node;
    return LOAM_OK;
}

static LM_MUST_USE loam_status subscripts(lm_jparser *p, lm_jnode_vec *keys) {
    while (!lm_jparser_is_op(p, "]")) {
        lm_jnode *key = NULL;
        if (keys->len) LM_TRY(lm_jparser_expect_op(p, ","));
        LM_TRY(subscript(p, &key));
        LM_TRY(push(p, keys, key));
    }
    return lm_jparser_expect_op(p, "]");
}

static LM_MUST_USE loam_status bracket_key(lm_jparser *p, lm_jnode **out) {
    lm_jnode_vec keys = {0};
    lm_jnodes list = {0};
    int line = p->token->line;
    LM_TRY(lm_jparser_enter(p));
    LM_TRY(lm_jparser_nodes(p, subscripts(p, &keys), &keys, &list));
    p->nesting--;
    if (list.n == 1) {
        *out = list.items[0];
        return LOAM_OK;
    }
    LM_TRY(lm_jparser_node(p, LM_JN_TUPLE, line, out));
    (*out)->u.list = list;
    return adopt_all(p, *out, &list);
}

/* ".name", ".0" or "[key]" on a value. */
static LM_MUST_USE loam_status access(lm_jparser *p, lm_jnode *object, lm_jnode **out) {
    lm_jnode *node = NULL;
    int line = p->token->line;
    bool dot = lm_jparser_skip_op(p, ".");
    p->token += !dot;
    LM_TRY(lm_jparser_node(p, LM_JN_ITEM, line, &node));
    node->u.access.object = object;
    if (!dot) {
        LM_TRY(bracket_key(p, &node->u.access.key));
    } else if (p->token->kind == LM_JT_NAME) {
        node->kind = LM_JN_ATTR;
        node->u.access.name = (p->token++)->text;
    } else if (p->token->kind == LM_JT_INTEGER) {
        LM_TRY(number_constant(p, &node->u.access.key));
    } else {
        return lm_jparser_unexpected(p, "a name or number");
    }
    LM_TRY(lm_jparser_child(p, node, object));
    *out = node;
    return lm_jparser_child(p, node, node->u.access.key);
}

static LM_MUST_USE loam_status postfix(lm_jparser *p, lm_jnode **node) {
    for (;;) {
        if (lm_jparser_is_op(p, ".") || lm_jparser_is_op(p, "["))
            LM_TRY(access(p, *node, node));
        else if (lm_jparser_is_op(p, "("))
            LM_TRY(call(p, *node, node));
        else
            return LOAM_OK;
    }
}

/* ---- filters and tests ---- */

/* "name" or "name.of.more", whose text stays in one piece of the source unless there are spaces within. */
static LM_MUST_USE loam_status dotted_name(lm_jparser *p, lm_str *out) {
    LM_TRY(lm_jparser_expect_name(p, out));
    while (lm_jparser_skip_op(p, ".")) {
        lm_str more = {0};
        LM_TRY(lm_jparser_expect_name(p, &more));
        char *joined = lm_jinja_alloc(p->jinja, out->len + more.len + 2, 1);
        if (!joined) return lm_error_no_memory(p->err, out->len);
        snprintf(joined, out->len + more.len + 2, "%.*s.%.*s", (int)out->len, out->ptr,
                 (int)more.len, more.ptr);
        *out = lm_str_of(joined);
    }
    return LOAM_OK;
}

loam_status lm_jparse_filters(lm_jparser *p, lm_jnode *node, bool start_inline, lm_jnode **out) {
    while (start_inline || lm_jparser_is_op(p, "|")) {
        lm_jnode *filter = NULL;
        if (!start_inline) p->token++;
        start_inline = false;
        LM_TRY(lm_jparser_node(p, LM_JN_FILTER, p->token->line, &filter));
        LM_TRY(dotted_name(p, &filter->u.call.name));
        filter->u.call.builtin = lm_jbuiltin_filter(filter->u.call.name);
        filter->u.call.callee = node;
        LM_TRY(lm_jparser_child(p, filter, node));
        if (lm_jparser_is_op(p, "(")) LM_TRY(arguments(p, filter));
        node = filter;
    }
    *out = node;
    return LOAM_OK;
}

/* Whether the token begins a test's only argument, given without parentheses. */
static bool begins_argument(const lm_jparser *p) {
    switch (p->token->kind) {
    case LM_JT_NAME:
        return !lm_jparser_is_name(p, "else") && !lm_jparser_is_name(p, "or") &&
               !lm_jparser_is_name(p, "and");
    case LM_JT_STRING:
    case LM_JT_INTEGER:
    case LM_JT_FLOAT: return true;
    default: return lm_jparser_is_op(p, "[") || lm_jparser_is_op(p, "{");
    }
}

static LM_MUST_USE loam_status bare_argument(lm_jparser *p, lm_jnode *test) {
    lm_jnode *arg = NULL;
    if (lm_jparser_is_name(p, "is"))
        return lm_jinja_refuse(p->err, p->token->line, "you cannot chain multiple tests with is");
    LM_TRY(primary(p, false, &arg));
    LM_TRY(postfix(p, &arg));
    lm_jnode_vec pos = {0};
    LM_TRY(lm_jparser_nodes(p, push(p, &pos, arg), &pos, &test->u.call.args.pos));
    return lm_jparser_child(p, test, arg);
}

static LM_MUST_USE loam_status test(lm_jparser *p, lm_jnode *subject, lm_jnode **out) {
    lm_jnode *node = NULL;
    int line = (p->token++)->line;
    bool negated = lm_jparser_skip_name(p, "not");
    LM_TRY(lm_jparser_node(p, LM_JN_TEST, line, &node));
    LM_TRY(dotted_name(p, &node->u.call.name));
    node->u.call.builtin = lm_jbuiltin_test(node->u.call.name);
    node->u.call.callee = subject;
    LM_TRY(lm_jparser_child(p, node, subject));
    if (lm_jparser_is_op(p, "("))
        LM_TRY(arguments(p, node));
    else if (begins_argument(p))
        LM_TRY(bare_argument(p, node));
    *out = node;
    return negated ? new_binary(p, LM_JN_NOT, 0, line, node, NULL, out) : LOAM_OK;
}

static LM_MUST_USE loam_status filters_and_tests(lm_jparser *p, lm_jnode **node) {
    for (;;) {
        if (lm_jparser_is_op(p, "|"))
            LM_TRY(lm_jparse_filters(p, *node, false, node));
        else if (lm_jparser_is_name(p, "is"))
            LM_TRY(test(p, *node, node));
        else if (lm_jparser_is_op(p, "("))
            LM_TRY(call(p, *node, node));
        else
            return LOAM_OK;
    }
}

/* ---- operators ---- */

static LM_MUST_USE loam_status unary(lm_jparser *p, bool with_filter, lm_jnode **out) {
    int line = p->token->line;
    bool minus = lm_jparser_is_op(p, "-");
    LM_TRY(lm_jparser_enter(p));
    if (minus || lm_jparser_is_op(p, "+")) {
        lm_jnode *operand = NULL;
        p->token++;
        LM_TRY(unary(p, false, &operand));
        LM_TRY(new_binary(p, minus ? LM_JN_NEGATE : LM_JN_PLUS, 0, line, operand, NULL, out));
    } else {
        LM_TRY(primary(p, false, out));
    }
    LM_TRY(postfix(p, out));
    if (with_filter) LM_TRY(filters_and_tests(p, out));
    p->nesting--;
    return LOAM_OK;
}

typedef struct operator_row {
    const char *text;
    lm_jop op;
} operator_row;

static const operator_row *find_operator(const lm_jparser *p, const operator_row *rows) {
    for (; rows->text; rows++)
        if (lm_jparser_is_op(p, rows->text)) return rows;
    return NULL;
}

static LM_MUST_USE loam_status power(lm_jparser *p, lm_jnode **out) {
    LM_TRY(unary(p, true, out));
    while (lm_jparser_is_op(p, "**")) {
        lm_jnode *right = NULL;
        int line = (p->token++)->line;
        LM_TRY(unary(p, true, &right));
        LM_TRY(new_binary(p, LM_JN_BINARY, LM_JOP_POW, line, *out, right, out));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status product(lm_jparser *p, lm_jnode **out) {
    static const operator_row rows[] = {
        {"*", LM_JOP_MUL}, {"/", LM_JOP_DIV}, {"//", LM_JOP_FLOORDIV}, {"%", LM_JOP_MOD}, {0}};
    const operator_row *row;
    LM_TRY(power(p, out));
    while ((row = find_operator(p, rows))) {
        lm_jnode *right = NULL;
        int line = (p->token++)->line;
        LM_TRY(power(p, &right));
        LM_TRY(new_binary(p, LM_JN_BINARY, row->op, line, *out, right, out));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status products_joined(lm_jparser *p, lm_jnode *first,
                                               lm_jnode_vec *parts) {
    LM_TRY(push(p, parts, first));
    while (lm_jparser_skip_op(p, "~")) {
        lm_jnode *part = NULL;
        LM_TRY(product(p, &part));
        LM_TRY(push(p, parts, part));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status concatenation(lm_jparser *p, lm_jnode **out) {
    lm_jnode *first = NULL, *node = NULL;
    lm_jnode_vec parts = {0};
    LM_TRY(product(p, &first));
    *out = first;
    if (!lm_jparser_is_op(p, "~")) return LOAM_OK;
    LM_TRY(lm_jparser_node(p, LM_JN_CONCAT, first->line, &node));
    LM_TRY(lm_jparser_nodes(p, products_joined(p, first, &parts), &parts, &node->u.list));
    *out = node;
    return adopt_all(p, node, &node->u.list);
}

static LM_MUST_USE loam_status sum(lm_jparser *p, lm_jnode **out) {
    LM_TRY(concatenation(p, out));
    while (lm_jparser_is_op(p, "+") || lm_jparser_is_op(p, "-")) {
        lm_jnode *right = NULL;
        lm_jop op = lm_jparser_is_op(p, "+") ? LM_JOP_ADD : LM_JOP_SUB;
        int line = (p->token++)->line;
        LM_TRY(concatenation(p, &right));
        LM_TRY(new_binary(p, LM_JN_BINARY, op, line, *out, right, out));
    }
    return LOAM_OK;
}

static bool comparison(lm_jparser *p, lm_jop *out) {
    static const operator_row rows[] = {{"==", LM_JOP_EQ},
                                        {"!=", LM_JOP_NE},
                                        {"<", LM_JOP_LT},
                                        {"<=", LM_JOP_LE},
                                        {">", LM_JOP_GT},
                                        {">=", LM_JOP_GE},
                                        {0}};
    const operator_row *row = find_operator(p, rows);
    if (row) {
        *out = row->op;
        p->token++;
        return true;
    }
    *out = LM_JOP_IN;
    if (lm_jparser_skip_name(p, "in")) return true;
    *out = LM_JOP_NOT_IN;
    if (!lm_jparser_is_name(p, "not") || p->token[1].kind != LM_JT_NAME ||
        !lm_str_is(p->token[1].text, "in"))
        return false;
    p->token += 2;
    return true;
}

typedef LM_VEC(lm_jop) op_vec;

static LM_MUST_USE loam_status comparison_chain(lm_jparser *p, lm_jop op, op_vec *ops,
                                                lm_jnode_vec *rest) {
    do {
        lm_jnode *operand = NULL;
        LM_TRY(sum(p, &operand));
        LM_TRY(push(p, rest, operand));
        if (!lm_vec_push(ops, op)) return lm_error_no_memory(p->err, sizeof op);
    } while (comparison(p, &op));
    return LOAM_OK;
}

static LM_MUST_USE loam_status compare(lm_jparser *p, lm_jnode **out) {
    lm_jnode *first = NULL, *node = NULL;
    lm_jop op;
    op_vec ops = {0};
    lm_jnode_vec rest = {0};
    LM_TRY(sum(p, &first));
    *out = first;
    if (!comparison(p, &op)) return LOAM_OK;
    LM_TRY(lm_jparser_node(p, LM_JN_COMPARE, first->line, &node));
    node->u.compare.first = first;
    loam_status status = comparison_chain(p, op, &ops, &rest);
    status = lm_jparser_nodes(p, status, &rest, &node->u.compare.rest);
    node->u.compare.ops = lm_jinja_alloc(p->jinja, ops.len + 1, sizeof op);
    if (node->u.compare.ops && ops.len)
        memcpy(node->u.compare.ops, ops.ptr, ops.len * sizeof op);
    else if (status == LOAM_OK)
        status = lm_error_no_memory(p->err, ops.len);
    lm_vec_deinit(&ops);
    LM_TRY(status);
    *out = node;
    LM_TRY(lm_jparser_child(p, node, first));
    return adopt_all(p, node, &node->u.compare.rest);
}

static LM_MUST_USE loam_status negation(lm_jparser *p, lm_jnode **out) {
    int line = p->token->line;
    if (!lm_jparser_skip_name(p, "not")) return compare(p, out);
    lm_jnode *operand = NULL;
    LM_TRY(lm_jparser_enter(p));
    LM_TRY(negation(p, &operand));
    p->nesting--;
    return new_binary(p, LM_JN_NOT, 0, line, operand, NULL, out);
}

static LM_MUST_USE loam_status conjunction(lm_jparser *p, lm_jnode **out) {
    LM_TRY(negation(p, out));
    while (lm_jparser_is_name(p, "and")) {
        lm_jnode *right = NULL;
        int line = (p->token++)->line;
        LM_TRY(negation(p, &right));
        LM_TRY(new_binary(p, LM_JN_AND, 0, line, *out, right, out));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status disjunction(lm_jparser *p, lm_jnode **out) {
    LM_TRY(conjunction(p, out));
    while (lm_jparser_is_name(p, "or")) {
        lm_jnode *right = NULL;
        int line = (p->token++)->line;
        LM_TRY(conjunction(p, &right));
        LM_TRY(new_binary(p, LM_JN_OR, 0, line, *out, right, out));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status condition(lm_jparser *p, lm_jnode **out) {
    LM_TRY(disjunction(p, out));
    while (lm_jparser_is_name(p, "if")) {
        lm_jnode *node = NULL;
        LM_TRY(lm_jparser_node(p, LM_JN_CONDITION, p->token++->line, &node));
        node->u.condition.then = *out;
        LM_TRY(disjunction(p, &node->u.condition.test));
        if (lm_jparser_skip_name(p, "else")) {
            LM_TRY(lm_jparser_enter(p));
            LM_TRY(condition(p, &node->u.condition.otherwise));
            p->nesting--;
        }
        LM_TRY(lm_jparser_child(p, node, node->u.condition.then));
        LM_TRY(lm_jparser_child(p, node, node->u.condition.test));
        LM_TRY(lm_jparser_child(p, node, node->u.condition.otherwise));
        *out = node;
    }
    return LOAM_OK;
}

loam_status lm_jparse_expression(lm_jparser *p, bool with_condition, lm_jnode **out) {
    LM_TRY(lm_jparser_enter(p));
    LM_TRY(with_condition ? condition(p, out) : disjunction(p, out));
    p->nesting--;
    return LOAM_OK;
}

/* ---- tuples and targets ---- */

static bool is_tuple_end(const lm_jparser *p, const lm_jtuple_rules *rules) {
    return p->token->kind == LM_JT_VARIABLE_END || p->token->kind == LM_JT_BLOCK_END ||
           lm_jparser_is_op(p, ")") || (rules->end_name && lm_jparser_is_name(p, rules->end_name));
}

static LM_MUST_USE loam_status tuple_items(lm_jparser *p, const lm_jtuple_rules *rules,
                                           lm_jnode_vec *items, bool *is_tuple) {
    for (;;) {
        lm_jnode *item = NULL;
        if (items->len) LM_TRY(lm_jparser_expect_op(p, ","));
        if (is_tuple_end(p, rules)) return LOAM_OK;
        LM_TRY(rules->targets ? primary(p, rules->namespaces, &item)
                              : lm_jparse_expression(p, !rules->no_condition, &item));
        LM_TRY(push(p, items, item));
        if (!lm_jparser_is_op(p, ",")) return LOAM_OK;
        *is_tuple = true;
    }
}

loam_status lm_jparse_tuple(lm_jparser *p, lm_jtuple_rules rules, lm_jnode **out) {
    lm_jnode_vec items = {0};
    lm_jnodes list = {0};
    bool is_tuple = false;
    int line = p->token->line;
    LM_TRY(lm_jparser_nodes(p, tuple_items(p, &rules, &items, &is_tuple), &items, &list));
    if (!is_tuple && list.n == 1) {
        *out = list.items[0];
        return LOAM_OK;
    }
    if (!is_tuple && !rules.parentheses) return lm_jparser_unexpected(p, "an expression");
    LM_TRY(lm_jparser_node(p, LM_JN_TUPLE, line, out));
    (*out)->u.list = list;
    return adopt_all(p, *out, &list);
}

static LM_MUST_USE loam_status check_target(lm_jparser *p, const lm_jnode *target) {
    if (target->kind == LM_JN_NAME || target->kind == LM_JN_NSREF) return LOAM_OK;
    if (target->kind != LM_JN_TUPLE)
        return lm_jinja_refuse(p->err, target->line, "can't assign to this expression");
    for (size_t i = 0; i < target->u.list.n; i++) LM_TRY(check_target(p, target->u.list.items[i]));
    return LOAM_OK;
}

loam_status lm_jparse_target(lm_jparser *p, bool namespaces, const char *end_name, lm_jnode **out) {
    lm_jtuple_rules rules = {.targets = true, .namespaces = namespaces, .end_name = end_name};
    LM_TRY(lm_jparse_tuple(p, rules, out));
    return check_target(p, *out);
}

loam_status lm_jparse_name_target(lm_jparser *p, lm_jnode **out) {
    lm_jval word;
    LM_TRY(lm_jparser_node(p, LM_JN_NAME, p->token->line, out));
    LM_TRY(lm_jparser_expect_name(p, &(*out)->u.name.name));
    if (constant_word((*out)->u.name.name, &word))
        return lm_jinja_refuse(p->err, (*out)->line, "can't assign to a constant");
    return LOAM_OK;
}
