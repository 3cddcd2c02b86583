/* Which variable a name means. Jinja decides it before a template runs: each scope (a loop's body, a macro, a with or
 * a captured block) is looked through for the names it sets and reads, and for each of them it is settled what it is when
 * the scope is entered: a parameter, the variable of the same name of a scope around, what the template was given, or
 * nothing. An if has no scope, but what only some of its branches set is what it was before in the others.
 *
 * Two walks over a scope: look() collects names, place() gives names their slots and descends into the scopes inside.
 */
#include "base/mem.h"
#include "base/vec.h"
#include "model/jinja/ast.h"

enum {
    MAX_NAMES_WORK = 1 << 24 /* of comparisons: templates with very many names in very many ifs */
};

typedef struct function { /* what has one array of slots */
    int depth, n_slots;
} function;

typedef struct symbol {
    lm_str name;
    int slot;
    bool known;  /* in this branch */
    bool stored; /* in this branch */
    lm_jload load;
    lm_jref outer;
} symbol;

typedef LM_VEC(symbol) symbols;

typedef struct scope scope;
struct scope {
    scope *parent; /* NULL: the outermost, or a block */
    function *fn;
    bool toplevel;
    symbols syms; /* index = order of first mention; slots are the same in all branches */
};

typedef struct binder {
    lm_jinja *jinja;
    loam_error *err;
    int64_t work_left;
    LM_VEC(lm_str) reads; /* names that some scope takes from outside */
    int loops;            /* around: `loop` cannot be set there */
} binder;

static LM_MUST_USE loam_status place_all(binder *b, scope *s, const lm_jnodes *nodes, bool soft);
static LM_MUST_USE loam_status place(binder *b, scope *s, lm_jnode *node, bool soft);
static LM_MUST_USE loam_status look(binder *b, scope *s, const lm_jnode *node);

static LM_MUST_USE loam_status look_all(binder *b, scope *s, const lm_jnodes *nodes) {
    for (size_t i = 0; i < nodes->n; i++) LM_TRY(look(b, s, nodes->items[i]));
    return LOAM_OK;
}

/* ---- symbols ---- */

static LM_MUST_USE loam_status work(binder *b, size_t n) {
    b->work_left -= (int64_t)n + 1;
    return b->work_left > 0
               ? LOAM_OK
               : lm_error_set(b->err, LOAM_LIMIT, "the template has too many names and branches");
}

static symbol *find(const scope *s, lm_str name) {
    for (size_t i = 0; i < s->syms.len; i++)
        if (lm_str_equal(s->syms.ptr[i].name, name)) return &s->syms.ptr[i];
    return NULL;
}

/* The symbol of this scope, made when it is new. */
static LM_MUST_USE loam_status own(binder *b, scope *s, lm_str name, symbol **out) {
    LM_TRY(work(b, s->syms.len));
    *out = find(s, name);
    if (*out) return LOAM_OK;
    if (!lm_vec_push(&s->syms, ((symbol){.name = name, .slot = s->fn->n_slots++})))
        return lm_error_no_memory(b->err, sizeof(symbol));
    *out = &s->syms.ptr[s->syms.len - 1];
    return LOAM_OK;
}

/* The variable of that name that is seen from the scope; hops count from `from`. */
static bool find_known(const scope *s, const function *from, lm_str name, lm_jref *out) {
    for (; s; s = s->parent) {
        const symbol *found = find(s, name);
        if (!found || !found->known) continue;
        *out = (lm_jref){from->depth - s->fn->depth, found->slot};
        return true;
    }
    return false;
}

static LM_MUST_USE loam_status load(binder *b, scope *s, lm_str name) {
    lm_jref ref;
    symbol *sym;
    LM_TRY(work(b, s->syms.len));
    if (find_known(s, s->fn, name, &ref)) return LOAM_OK;
    LM_TRY(own(b, s, name, &sym));
    sym->known = true;
    sym->load = LM_JLOAD_RESOLVE;
    return LOAM_OK;
}

static LM_MUST_USE loam_status store(binder *b, scope *s, lm_str name) {
    symbol *sym;
    LM_TRY(own(b, s, name, &sym));
    sym->stored = true;
    if (sym->known) return LOAM_OK;
    sym->known = true;
    sym->load = find_known(s->parent, s->fn, name, &sym->outer) ? LM_JLOAD_ALIAS : LM_JLOAD_NOTHING;
    return LOAM_OK;
}

static LM_MUST_USE loam_status declare(binder *b, scope *s, lm_str name, int *out_slot) {
    symbol *sym;
    LM_TRY(own(b, s, name, &sym));
    sym->known = sym->stored = true;
    sym->load = LM_JLOAD_PARAM;
    if (out_slot) *out_slot = sym->slot;
    return LOAM_OK;
}

typedef enum target_of { OF_SET, OF_LOOP, OF_PARAM } target_of;

static LM_MUST_USE loam_status look_target(binder *b, scope *s, const lm_jnode *target,
                                           target_of of) {
    if (target->kind == LM_JN_TUPLE) {
        for (size_t i = 0; i < target->u.list.n; i++)
            LM_TRY(look_target(b, s, target->u.list.items[i], of));
        return LOAM_OK;
    }
    lm_str name = target->u.name.name;
    if (target->kind == LM_JN_NSREF) return load(b, s, name);
    if (of != OF_PARAM && b->loops > 0 && lm_str_is(name, "loop"))
        return lm_jinja_refuse(b->err, target->line,
                               "can't assign to special loop variable in for-loop");
    return of == OF_SET ? store(b, s, name) : declare(b, s, name, NULL);
}

/* ---- an if's branches ---- */

static LM_MUST_USE loam_status copy(binder *b, const symbols *from, symbols *out) {
    LM_TRY(work(b, from->len));
    *out = (symbols){0};
    if (!lm_vec_reserve(out, from->len + 1))
        return lm_error_no_memory(b->err, from->len * sizeof(symbol));
    if (from->len) memcpy(out->ptr, from->ptr, from->len * sizeof(symbol));
    out->len = from->len;
    return LOAM_OK;
}

/* What one branch found out, with the names as they were before it; *before grows by new names, unknown in it. */
static LM_MUST_USE loam_status look_branch(binder *b, scope *s, const lm_jnodes *body,
                                           symbols *out) {
    symbols before;
    LM_TRY(copy(b, &s->syms, &before));
    loam_status status = look_all(b, s, body);
    *out = s->syms;
    s->syms = before;
    for (size_t i = before.len; i < out->len && status == LOAM_OK; i++) {
        symbol unknown = {.name = out->ptr[i].name, .slot = out->ptr[i].slot};
        if (!lm_vec_push(&s->syms, unknown)) status = lm_error_no_memory(b->err, sizeof unknown);
    }
    return status;
}

/* Adds a branch's findings; names it set for the first time are noted in `fresh`. */
static void merge(symbols *into, const symbols *branch, bool *fresh) {
    for (size_t i = 0; i < branch->len; i++) {
        const symbol *found = &branch->ptr[i];
        symbol *sym = &into->ptr[i];
        if (!found->known) continue;
        fresh[i] |= found->stored && !sym->stored;
        bool stored = sym->stored;
        *sym = *found;
        sym->stored = stored;
    }
}

static LM_MUST_USE loam_status settle(binder *b, scope *s, const bool *fresh) {
    for (size_t i = 0; i < s->syms.len; i++) {
        symbol *sym = &s->syms.ptr[i];
        if (!fresh[i]) continue;
        LM_TRY(work(b, s->syms.len));
        sym->stored = true;
        sym->load = find_known(s->parent, s->fn, sym->name, &sym->outer) ? LM_JLOAD_ALIAS
                                                                         : LM_JLOAD_RESOLVE;
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status look_if(binder *b, scope *s, const lm_jnode *node, size_t from);

/* The branches behind the first: an elif is an if within. */
static LM_MUST_USE loam_status look_elifs(binder *b, scope *s, const lm_jnode *node, size_t from,
                                          symbols *out) {
    symbols before;
    loam_status status = LOAM_OK;
    LM_TRY(copy(b, &s->syms, &before));
    for (size_t i = from; i < node->u.branch.n && status == LOAM_OK; i++)
        status = look_if(b, s, node, i);
    *out = s->syms;
    s->syms = before;
    for (size_t i = before.len; i < out->len && status == LOAM_OK; i++) {
        symbol unknown = {.name = out->ptr[i].name, .slot = out->ptr[i].slot};
        if (!lm_vec_push(&s->syms, unknown)) status = lm_error_no_memory(b->err, sizeof unknown);
    }
    return status;
}

/* The test and body number `index`; the whole if with its elifs and else for number 0. */
static loam_status look_if(binder *b, scope *s, const lm_jnode *node, size_t index) {
    symbols branches[3] = {0};
    bool *fresh = NULL;
    LM_TRY(look(b, s, node->u.branch.tests[index]));
    loam_status status = look_branch(b, s, &node->u.branch.bodies[index], &branches[0]);
    if (status == LOAM_OK && index == 0) status = look_elifs(b, s, node, 1, &branches[1]);
    if (status == LOAM_OK && index == 0)
        status = look_branch(b, s, &node->u.branch.otherwise, &branches[2]);
    if (status == LOAM_OK) {
        fresh = lm_calloc(s->syms.len + 1, sizeof *fresh);
        if (!fresh) status = lm_error_no_memory(b->err, s->syms.len);
    }
    for (int i = 0; i < 3; i++) {
        if (status == LOAM_OK) merge(&s->syms, &branches[i], fresh);
        lm_vec_deinit(&branches[i]);
    }
    if (status == LOAM_OK) status = settle(b, s, fresh);
    lm_free(fresh);
    return status;
}

/* ---- the first walk ---- */

static LM_MUST_USE loam_status look_arguments(binder *b, scope *s, const lm_jarguments *args) {
    LM_TRY(look_all(b, s, &args->pos));
    for (size_t i = 0; i < args->n_kw; i++) LM_TRY(look(b, s, args->kw[i].value));
    LM_TRY(look(b, s, args->dyn_pos));
    return look(b, s, args->dyn_kw);
}

static LM_MUST_USE loam_status look_expression(binder *b, scope *s, const lm_jnode *node) {
    switch (node->kind) {
    case LM_JN_NAME: return load(b, s, node->u.name.name);
    case LM_JN_TUPLE:
    case LM_JN_LIST:
    case LM_JN_DICT:
    case LM_JN_CONCAT:
    case LM_JN_OUTPUT: return look_all(b, s, &node->u.list);
    case LM_JN_COMPARE:
        LM_TRY(look(b, s, node->u.compare.first));
        return look_all(b, s, &node->u.compare.rest);
    case LM_JN_CONDITION:
        LM_TRY(look(b, s, node->u.condition.test));
        LM_TRY(look(b, s, node->u.condition.then));
        return look(b, s, node->u.condition.otherwise);
    case LM_JN_ATTR:
    case LM_JN_ITEM:
        LM_TRY(look(b, s, node->u.access.object));
        return look(b, s, node->u.access.key);
    case LM_JN_SLICE:
        for (int i = 0; i < 3; i++) LM_TRY(look(b, s, node->u.slice.bounds[i]));
        return LOAM_OK;
    case LM_JN_CALL:
    case LM_JN_FILTER:
    case LM_JN_TEST:
        LM_TRY(look(b, s, node->u.call.callee));
        return look_arguments(b, s, &node->u.call.args);
    case LM_JN_CONST:
    case LM_JN_DATA: return LOAM_OK;
    default: /* the operators of one or two operands */
        LM_TRY(look(b, s, node->u.binary.left));
        return look(b, s, node->u.binary.right);
    }
}

/* Of a statement that has a scope, only what is evaluated outside of it. */
static loam_status look(binder *b, scope *s, const lm_jnode *node) {
    if (!node) return LOAM_OK;
    LM_TRY(work(b, 0));
    switch (node->kind) {
    case LM_JN_FOR: return look(b, s, node->u.loop.iter);
    case LM_JN_IF: return look_if(b, s, node, 0);
    case LM_JN_SET:
        LM_TRY(look(b, s, node->u.set.value));
        return look_target(b, s, node->u.set.target, OF_SET);
    case LM_JN_SET_BLOCK: return look_target(b, s, node->u.set.target, OF_SET);
    case LM_JN_WITH: return look_all(b, s, &node->u.with.values);
    case LM_JN_MACRO: return store(b, s, node->u.macro.signature->name);
    case LM_JN_CALL_BLOCK: return look(b, s, node->u.macro.call);
    case LM_JN_FILTER_BLOCK: return look(b, s, node->u.block.filter);
    case LM_JN_SCOPE:
    case LM_JN_BLOCK:
    case LM_JN_BREAK:
    case LM_JN_CONTINUE:
    case LM_JN_LOADS: return LOAM_OK;
    default: return look_expression(b, s, node);
    }
}

/* ---- the second walk ---- */

/* Writes down how the scope is entered, and gives its symbols back. */
static LM_MUST_USE loam_status leave(binder *b, scope *s, loam_status status, lm_jscope *out) {
    if (status == LOAM_OK && s->syms.len) {
        out->entries = lm_jinja_alloc(b->jinja, s->syms.len, sizeof *out->entries);
        if (!out->entries) status = lm_error_no_memory(b->err, s->syms.len);
    }
    for (size_t i = 0; i < s->syms.len && status == LOAM_OK; i++) {
        const symbol *sym = &s->syms.ptr[i];
        if (!sym->known) continue;
        out->entries[out->n++] = (lm_jentering){sym->load, sym->slot, sym->name, sym->outer};
        if (sym->load == LM_JLOAD_RESOLVE && !lm_vec_push(&b->reads, sym->name))
            status = lm_error_no_memory(b->err, sizeof sym->name);
    }
    lm_vec_deinit(&s->syms);
    return status;
}

static LM_MUST_USE loam_status place_name(binder *b, scope *s, lm_jnode *node, bool target) {
    if (!find_known(s, s->fn, node->u.name.name, &node->u.name.ref))
        return lm_error_set(b->err, LOAM_INTERNAL, "a name without a place");
    node->u.name.exported = target && s->toplevel;
    return LOAM_OK;
}

static LM_MUST_USE loam_status place_target(binder *b, scope *s, lm_jnode *target) {
    if (target->kind != LM_JN_TUPLE) return place_name(b, s, target, target->kind == LM_JN_NAME);
    for (size_t i = 0; i < target->u.list.n; i++)
        LM_TRY(place_target(b, s, target->u.list.items[i]));
    return LOAM_OK;
}

static LM_MUST_USE loam_status place_arguments(binder *b, scope *s, lm_jarguments *args,
                                               bool soft) {
    LM_TRY(place_all(b, s, &args->pos, soft));
    for (size_t i = 0; i < args->n_kw; i++) LM_TRY(place(b, s, args->kw[i].value, soft));
    LM_TRY(place(b, s, args->dyn_pos, soft));
    return place(b, s, args->dyn_kw, soft);
}

/* A filter or test that does not exist is refused, but in an if only when it is reached. */
static LM_MUST_USE loam_status place_filter(binder *b, scope *s, lm_jnode *node, bool soft) {
    if (!node->u.call.builtin && !soft)
        return lm_jinja_refuse(b->err, node->line, "no %s named '%.*s'",
                               node->kind == LM_JN_FILTER ? "filter" : "test",
                               (int)node->u.call.name.len, node->u.call.name.ptr);
    LM_TRY(place(b, s, node->u.call.callee, soft));
    return place_arguments(b, s, &node->u.call.args, soft);
}

static scope inner(scope *parent, function *fn) {
    return (scope){.parent = parent, .fn = fn};
}

/* The test runs between the body's turns, so its target has variables of its own. */
static LM_MUST_USE loam_status copy_target(binder *b, const lm_jnode *target, lm_jnode **out) {
    lm_jnode *made = lm_jinja_alloc(b->jinja, 1, sizeof *made);
    if (!made) return lm_error_no_memory(b->err, sizeof *made);
    *made = *target;
    *out = made;
    if (target->kind != LM_JN_TUPLE) return LOAM_OK;
    made->u.list.items = lm_jinja_alloc(b->jinja, target->u.list.n + 1, sizeof(lm_jnode *));
    if (!made->u.list.items) return lm_error_no_memory(b->err, target->u.list.n);
    for (size_t i = 0; i < target->u.list.n; i++)
        LM_TRY(copy_target(b, target->u.list.items[i], &made->u.list.items[i]));
    return LOAM_OK;
}

static LM_MUST_USE loam_status place_loop_test(binder *b, scope *s, lm_jnode *node) {
    scope test = inner(s, s->fn);
    LM_TRY(copy_target(b, node->u.loop.target, &node->u.loop.test_target));
    loam_status status = look_target(b, &test, node->u.loop.test_target, OF_LOOP);
    if (status == LOAM_OK) status = look(b, &test, node->u.loop.test);
    if (status == LOAM_OK) status = place_target(b, &test, node->u.loop.test_target);
    if (status == LOAM_OK) status = place(b, &test, node->u.loop.test, false);
    return leave(b, &test, status, &node->u.loop.test_scope);
}

static LM_MUST_USE loam_status place_loop_body(binder *b, scope *s, lm_jnode *node) {
    scope body = inner(s, s->fn);
    loam_status status = declare(b, &body, LM_STR("loop"), &node->u.loop.loop_slot);
    if (status == LOAM_OK) status = look_target(b, &body, node->u.loop.target, OF_LOOP);
    if (status == LOAM_OK) status = look_all(b, &body, &node->u.loop.body);
    if (status == LOAM_OK) status = place_target(b, &body, node->u.loop.target);
    if (status == LOAM_OK) status = place_all(b, &body, &node->u.loop.body, false);
    return leave(b, &body, status, &node->u.loop.scope);
}

static LM_MUST_USE loam_status place_loop_else(binder *b, scope *s, lm_jnode *node) {
    scope body = inner(s, s->fn);
    loam_status status = look_all(b, &body, &node->u.loop.otherwise);
    if (status == LOAM_OK) status = place_all(b, &body, &node->u.loop.otherwise, false);
    return leave(b, &body, status, &node->u.loop.else_scope);
}

static LM_MUST_USE loam_status place_for(binder *b, scope *s, lm_jnode *node, bool soft) {
    LM_TRY(place(b, s, node->u.loop.iter, soft));
    function fn = {.depth = s->fn->depth + 1};
    scope outside = inner(s, &fn);
    scope *around = node->u.loop.recursive ? &outside : s;
    b->loops++;
    if (node->u.loop.test) LM_TRY(place_loop_test(b, around, node));
    LM_TRY(place_loop_body(b, around, node));
    LM_TRY(place_loop_else(b, around, node));
    b->loops--;
    node->u.loop.n_slots = fn.n_slots;
    return LOAM_OK;
}

static LM_MUST_USE loam_status place_if(binder *b, scope *s, lm_jnode *node) {
    for (size_t i = 0; i < node->u.branch.n; i++) {
        LM_TRY(place(b, s, node->u.branch.tests[i], true));
        LM_TRY(place_all(b, s, &node->u.branch.bodies[i], true));
    }
    return place_all(b, s, &node->u.branch.otherwise, true);
}

static LM_MUST_USE loam_status place_set_block(binder *b, scope *s, lm_jnode *node) {
    scope body = inner(s, s->fn);
    loam_status status = look_all(b, &body, &node->u.set.body);
    if (status == LOAM_OK) status = look(b, &body, node->u.set.value);
    if (status == LOAM_OK) status = place_all(b, &body, &node->u.set.body, false);
    if (status == LOAM_OK) status = place(b, &body, node->u.set.value, false);
    LM_TRY(leave(b, &body, status, &node->u.set.scope));
    return place_target(b, s, node->u.set.target);
}

static LM_MUST_USE loam_status place_with(binder *b, scope *s, lm_jnode *node, bool soft) {
    scope body = inner(s, s->fn);
    loam_status status = place_all(b, s, &node->u.with.values, soft);
    for (size_t i = 0; i < node->u.with.targets.n && status == LOAM_OK; i++)
        status = look_target(b, &body, node->u.with.targets.items[i], OF_PARAM);
    if (status == LOAM_OK) status = look_all(b, &body, &node->u.with.body);
    for (size_t i = 0; i < node->u.with.targets.n && status == LOAM_OK; i++)
        status = place_target(b, &body, node->u.with.targets.items[i]);
    if (status == LOAM_OK) status = place_all(b, &body, &node->u.with.body, false);
    return leave(b, &body, status, &node->u.with.scope);
}

/* Filter blocks and plain scopes. */
static LM_MUST_USE loam_status place_scope(binder *b, scope *s, lm_jnode *node) {
    scope body = inner(s, s->fn);
    loam_status status = look_all(b, &body, &node->u.block.body);
    if (status == LOAM_OK) status = look(b, &body, node->u.block.filter);
    if (status == LOAM_OK) status = place_all(b, &body, &node->u.block.body, false);
    if (status == LOAM_OK) status = place(b, &body, node->u.block.filter, false);
    return leave(b, &body, status, &node->u.block.scope);
}

/* A block sees what the outermost level has set, and nothing of the scopes it stands in. */
static LM_MUST_USE loam_status place_block(binder *b, lm_jnode *node) {
    function fn = {0};
    scope body = {.fn = &fn};
    loam_status status = look_all(b, &body, &node->u.block.body);
    if (status == LOAM_OK) status = place_all(b, &body, &node->u.block.body, false);
    LM_TRY(leave(b, &body, status, &node->u.block.scope));
    node->u.block.n_slots = fn.n_slots;
    return LOAM_OK;
}

/* ---- macros ---- */

static bool asks_all(const lm_jnodes *nodes, const char *name, bool *stop);

static bool asks_target(const lm_jnode *target, const char *name, bool *stop) {
    if (target->kind == LM_JN_NAME) *stop |= lm_str_is(target->u.name.name, name);
    for (size_t i = 0; target->kind == LM_JN_TUPLE && i < target->u.list.n; i++)
        asks_target(target->u.list.items[i], name, stop);
    return false;
}

/* Whether the name is read anywhere below, inner scopes included, before it is set there (then *stop). */
static bool asks(const lm_jnode *node, const char *name, bool *stop) {
    if (!node || *stop) return false;
    switch (node->kind) {
    case LM_JN_NAME: return lm_str_is(node->u.name.name, name);
    case LM_JN_TUPLE:
    case LM_JN_LIST:
    case LM_JN_DICT:
    case LM_JN_CONCAT:
    case LM_JN_OUTPUT: return asks_all(&node->u.list, name, stop);
    case LM_JN_COMPARE:
        return asks(node->u.compare.first, name, stop) ||
               asks_all(&node->u.compare.rest, name, stop);
    case LM_JN_CONDITION:
        return asks(node->u.condition.test, name, stop) ||
               asks(node->u.condition.then, name, stop) ||
               asks(node->u.condition.otherwise, name, stop);
    case LM_JN_ATTR:
    case LM_JN_ITEM:
        return asks(node->u.access.object, name, stop) || asks(node->u.access.key, name, stop);
    case LM_JN_SLICE:
        for (int i = 0; i < 3; i++)
            if (asks(node->u.slice.bounds[i], name, stop)) return true;
        return false;
    case LM_JN_CALL:
    case LM_JN_FILTER:
    case LM_JN_TEST: {
        const lm_jarguments *args = &node->u.call.args;
        if (asks(node->u.call.callee, name, stop) || asks_all(&args->pos, name, stop)) return true;
        for (size_t i = 0; i < args->n_kw; i++)
            if (asks(args->kw[i].value, name, stop)) return true;
        return asks(args->dyn_pos, name, stop) || asks(args->dyn_kw, name, stop);
    }
    case LM_JN_FOR:
        asks_target(node->u.loop.target, name, stop);
        return asks(node->u.loop.iter, name, stop) || asks_all(&node->u.loop.body, name, stop) ||
               asks_all(&node->u.loop.otherwise, name, stop) || asks(node->u.loop.test, name, stop);
    case LM_JN_IF:
        for (size_t i = 0; i < node->u.branch.n; i++)
            if (asks(node->u.branch.tests[i], name, stop) ||
                asks_all(&node->u.branch.bodies[i], name, stop))
                return true;
        return asks_all(&node->u.branch.otherwise, name, stop);
    case LM_JN_SET:
    case LM_JN_SET_BLOCK:
        asks_target(node->u.set.target, name, stop);
        return asks(node->u.set.value, name, stop) || asks_all(&node->u.set.body, name, stop);
    case LM_JN_WITH:
        for (size_t i = 0; i < node->u.with.targets.n; i++)
            asks_target(node->u.with.targets.items[i], name, stop);
        return asks_all(&node->u.with.values, name, stop) ||
               asks_all(&node->u.with.body, name, stop);
    case LM_JN_MACRO:
    case LM_JN_CALL_BLOCK: {
        const lm_jsignature *made = node->u.macro.signature;
        if (asks(node->u.macro.call, name, stop)) return true;
        for (size_t i = 0; i < made->params.n; i++) asks_target(made->params.items[i], name, stop);
        return asks_all(&made->defaults, name, stop) || asks_all(&made->body, name, stop);
    }
    case LM_JN_FILTER_BLOCK:
    case LM_JN_SCOPE:
        return asks_all(&node->u.block.body, name, stop) || asks(node->u.block.filter, name, stop);
    case LM_JN_NEGATE:
    case LM_JN_PLUS:
    case LM_JN_NOT:
    case LM_JN_AND:
    case LM_JN_OR:
    case LM_JN_BINARY:
        return asks(node->u.binary.left, name, stop) || asks(node->u.binary.right, name, stop);
    default: return false;
    }
}

static bool asks_all(const lm_jnodes *nodes, const char *name, bool *stop) {
    for (size_t i = 0; i < nodes->n; i++)
        if (asks(nodes->items[i], name, stop)) return true;
    return false;
}

static bool has_param(const lm_jsignature *made, const char *name) {
    for (size_t i = 0; i < made->params.n; i++)
        if (lm_str_is(made->params.items[i]->u.name.name, name)) return true;
    return false;
}

static LM_MUST_USE loam_status special_param(binder *b, scope *s, const lm_jsignature *made,
                                             const char *name, int *out_slot) {
    bool stop = false;
    *out_slot = -1;
    if (has_param(made, name) || !asks_all(&made->body, name, &stop)) return LOAM_OK;
    return declare(b, s, lm_str_of(name), out_slot);
}

static LM_MUST_USE loam_status look_macro(binder *b, scope *s, lm_jsignature *made) {
    for (size_t i = 0; i < made->params.n; i++)
        LM_TRY(look_target(b, s, made->params.items[i], OF_PARAM));
    LM_TRY(special_param(b, s, made, "caller", &made->caller_slot));
    LM_TRY(special_param(b, s, made, "kwargs", &made->kwargs_slot));
    LM_TRY(special_param(b, s, made, "varargs", &made->varargs_slot));
    LM_TRY(look_all(b, s, &made->defaults));
    LM_TRY(look_all(b, s, &made->body));
    for (size_t i = 0; i < made->params.n; i++) LM_TRY(place_target(b, s, made->params.items[i]));
    LM_TRY(place_all(b, s, &made->defaults, false));
    return place_all(b, s, &made->body, false);
}

static LM_MUST_USE loam_status place_macro(binder *b, scope *s, lm_jnode *node, bool soft) {
    lm_jsignature *made = node->u.macro.signature;
    function fn = {.depth = s->fn->depth + 1};
    scope body = inner(s, &fn);
    LM_TRY(leave(b, &body, look_macro(b, &body, made), &made->scope));
    made->n_slots = fn.n_slots;
    if (node->kind == LM_JN_CALL_BLOCK) return place(b, s, node->u.macro.call, soft);
    if (!find_known(s, s->fn, made->name, &node->u.macro.ref))
        return lm_error_set(b->err, LOAM_INTERNAL, "a macro without a place");
    node->u.macro.exported = s->toplevel;
    return LOAM_OK;
}

/* ---- all of them ---- */

static LM_MUST_USE loam_status place_expression(binder *b, scope *s, lm_jnode *node, bool soft) {
    switch (node->kind) {
    case LM_JN_NAME: return place_name(b, s, node, false);
    case LM_JN_TUPLE:
    case LM_JN_LIST:
    case LM_JN_DICT:
    case LM_JN_CONCAT:
    case LM_JN_OUTPUT: return place_all(b, s, &node->u.list, soft);
    case LM_JN_COMPARE:
        LM_TRY(place(b, s, node->u.compare.first, soft));
        return place_all(b, s, &node->u.compare.rest, soft);
    case LM_JN_CONDITION:
        LM_TRY(place(b, s, node->u.condition.test, true));
        LM_TRY(place(b, s, node->u.condition.then, true));
        return place(b, s, node->u.condition.otherwise, true);
    case LM_JN_ATTR:
    case LM_JN_ITEM:
        LM_TRY(place(b, s, node->u.access.object, soft));
        return place(b, s, node->u.access.key, soft);
    case LM_JN_SLICE:
        for (int i = 0; i < 3; i++) LM_TRY(place(b, s, node->u.slice.bounds[i], soft));
        return LOAM_OK;
    case LM_JN_CALL:
        LM_TRY(place(b, s, node->u.call.callee, soft));
        return place_arguments(b, s, &node->u.call.args, soft);
    case LM_JN_FILTER:
    case LM_JN_TEST: return place_filter(b, s, node, soft);
    case LM_JN_CONST:
    case LM_JN_DATA: return LOAM_OK;
    default:
        LM_TRY(place(b, s, node->u.binary.left, soft));
        return place(b, s, node->u.binary.right, soft);
    }
}

static loam_status place(binder *b, scope *s, lm_jnode *node, bool soft) {
    if (!node) return LOAM_OK;
    switch (node->kind) {
    case LM_JN_FOR: return place_for(b, s, node, soft);
    case LM_JN_IF: return place_if(b, s, node);
    case LM_JN_SET:
        LM_TRY(place(b, s, node->u.set.value, soft));
        return place_target(b, s, node->u.set.target);
    case LM_JN_SET_BLOCK: return place_set_block(b, s, node);
    case LM_JN_WITH: return place_with(b, s, node, soft);
    case LM_JN_MACRO:
    case LM_JN_CALL_BLOCK: return place_macro(b, s, node, soft);
    case LM_JN_FILTER_BLOCK:
    case LM_JN_SCOPE: return place_scope(b, s, node);
    case LM_JN_BLOCK: return place_block(b, node);
    case LM_JN_BREAK:
    case LM_JN_CONTINUE:
    case LM_JN_LOADS: return LOAM_OK;
    default: return place_expression(b, s, node, soft);
    }
}

static loam_status place_all(binder *b, scope *s, const lm_jnodes *nodes, bool soft) {
    for (size_t i = 0; i < nodes->n; i++) LM_TRY(place(b, s, nodes->items[i], soft));
    return LOAM_OK;
}

loam_status lm_jinja_bind(lm_jinja *jinja, loam_error *err) {
    binder b = {.jinja = jinja, .err = err, .work_left = MAX_NAMES_WORK};
    function fn = {0};
    scope root = {.fn = &fn, .toplevel = true};
    loam_status status = look_all(&b, &root, &jinja->body);
    if (status == LOAM_OK) status = place_all(&b, &root, &jinja->body, false);
    status = leave(&b, &root, status, &jinja->scope);
    jinja->n_slots = fn.n_slots;
    jinja->reads = lm_jinja_alloc(jinja, b.reads.len, sizeof *jinja->reads);
    if (jinja->reads && b.reads.len)
        memcpy(jinja->reads, b.reads.ptr, b.reads.len * sizeof *jinja->reads);
    jinja->n_reads = jinja->reads ? b.reads.len : 0;
    if (status == LOAM_OK && !jinja->reads) status = lm_error_no_memory(err, b.reads.len);
    lm_vec_deinit(&b.reads);
    return status;
}
