/* Expressions. */
#include "model/jinja/interp.h"

static lm_jval *slot_of(lm_jframe *frame, lm_jref ref) {
    for (int i = 0; i < ref.hops; i++) frame = frame->parent;
    return &frame->slots[ref.slot];
}

static LM_MUST_USE loam_status eval_name(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                         lm_jval *out) {
    *out = *slot_of(frame, node->u.name.ref);
    if (out->kind != LM_J_MISSING) return LOAM_OK;
    return lm_jval_undef(run, (lm_jundef){.name = node->u.name.name}, out);
}

static LM_MUST_USE loam_status eval_list(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                         lm_jval *out) {
    size_t n = node->u.list.n;
    lm_jval *items = lm_jrun_alloc(run, n + 1, sizeof *items);
    if (!items) return lm_jrun_no_memory(run);
    for (size_t i = 0; i < n; i++) LM_TRY(lm_jeval(run, frame, node->u.list.items[i], &items[i]));
    return lm_jval_list(run, node->kind == LM_JN_LIST ? LM_J_LIST : LM_J_TUPLE, items, n, out);
}

static LM_MUST_USE loam_status eval_dict(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                         lm_jval *out) {
    LM_TRY(lm_jval_dict(run, LM_J_DICT, out));
    for (size_t i = 0; i < node->u.list.n; i += 2) {
        lm_jval key, value;
        LM_TRY(lm_jeval(run, frame, node->u.list.items[i], &key));
        LM_TRY(lm_jeval(run, frame, node->u.list.items[i + 1], &value));
        LM_TRY(lm_jdict_set(run, out->u.dict, key, value));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status eval_concat(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                           lm_jval *out) {
    lm_jval parts[2], made;
    lm_str text;
    LM_TRY(lm_jeval(run, frame, node->u.list.items[0], &parts[0]));
    LM_TRY(lm_jrun_to_str(run, parts[0], &text));
    made = parts[0];
    if (made.kind != LM_J_STRING || made.u.string->markup)
        LM_TRY(lm_jval_str_ref(run, text, &made));
    for (size_t i = 1; i < node->u.list.n; i++) {
        LM_TRY(lm_jeval(run, frame, node->u.list.items[i], &parts[1]));
        LM_TRY(lm_jrun_to_str(run, parts[1], &text));
        LM_TRY(lm_jrun_concat(run, made.u.string, text, &made));
    }
    *out = made;
    return LOAM_OK;
}

static LM_MUST_USE loam_status eval_compare(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                            lm_jval *out) {
    lm_jval left, right;
    bool holds = true;
    LM_TRY(lm_jeval(run, frame, node->u.compare.first, &left));
    for (size_t i = 0; i < node->u.compare.rest.n && holds; i++) {
        LM_TRY(lm_jeval(run, frame, node->u.compare.rest.items[i], &right));
        run->line = node->line;
        LM_TRY(lm_jval_compare(run, node->u.compare.ops[i], left, right, &holds));
        left = right;
    }
    *out = lm_jval_bool(holds);
    return LOAM_OK;
}

static LM_MUST_USE loam_status no_else(lm_jrun *run, const lm_jnode *node, lm_jval *out) {
    char *hint = lm_jrun_alloc(run, 1, 160);
    if (!hint) return lm_jrun_no_memory(run);
    snprintf(
        hint, 160,
        "the inline if-expression on line %d evaluated to false and no else section was defined.",
        node->line);
    return lm_jval_undef(run, (lm_jundef){.hint = hint}, out);
}

static LM_MUST_USE loam_status eval_condition(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                              lm_jval *out) {
    lm_jval test;
    LM_TRY(lm_jeval(run, frame, node->u.condition.test, &test));
    if (lm_jval_truth(test)) return lm_jeval(run, frame, node->u.condition.then, out);
    if (node->u.condition.otherwise) return lm_jeval(run, frame, node->u.condition.otherwise, out);
    return no_else(run, node, out);
}

static LM_MUST_USE loam_status eval_logic(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                          lm_jval *out) {
    LM_TRY(lm_jeval(run, frame, node->u.binary.left, out));
    if (lm_jval_truth(*out) == (node->kind == LM_JN_OR)) return LOAM_OK;
    return lm_jeval(run, frame, node->u.binary.right, out);
}

static LM_MUST_USE loam_status eval_binary(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                           lm_jval *out) {
    lm_jval left, right;
    LM_TRY(lm_jeval(run, frame, node->u.binary.left, &left));
    LM_TRY(lm_jeval(run, frame, node->u.binary.right, &right));
    run->line = node->line;
    return lm_jval_arithmetic(run, node->u.binary.op, left, right, out);
}

static LM_MUST_USE loam_status eval_unary(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                          lm_jval *out) {
    lm_jval operand;
    LM_TRY(lm_jeval(run, frame, node->u.binary.left, &operand));
    if (node->kind != LM_JN_NOT)
        return lm_jval_negate(run, operand, node->kind == LM_JN_NEGATE, out);
    *out = lm_jval_bool(!lm_jval_truth(operand));
    return LOAM_OK;
}

static LM_MUST_USE loam_status eval_slice(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                          lm_jval object, lm_jval *out) {
    lm_jval bounds[3];
    for (int i = 0; i < 3; i++) {
        bounds[i] = lm_jval_none();
        if (node->u.slice.bounds[i])
            LM_TRY(lm_jeval(run, frame, node->u.slice.bounds[i], &bounds[i]));
    }
    return lm_jval_slice(run, object, bounds, out);
}

static LM_MUST_USE loam_status eval_item(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                         lm_jval *out) {
    lm_jval object, key;
    LM_TRY(lm_jeval(run, frame, node->u.access.object, &object));
    if (node->kind == LM_JN_ATTR) {
        run->line = node->line;
        return lm_jval_attr(run, object, node->u.access.name, out);
    }
    if (node->u.access.key->kind == LM_JN_SLICE)
        return eval_slice(run, frame, node->u.access.key, object, out);
    LM_TRY(lm_jeval(run, frame, node->u.access.key, &key));
    run->line = node->line;
    return lm_jval_item(run, object, key, out);
}

/* ---- calls ---- */

typedef struct arguments { /* evaluated, with room for those of *args and **kwargs */
    lm_jval *pos;
    lm_jkwarg *kw;
    lm_jargs args;
} arguments;

static LM_MUST_USE loam_status spread(lm_jrun *run, lm_jval extra, arguments *a) {
    const lm_jval *items;
    size_t n, n_pos = a->args.n_pos;
    LM_TRY(lm_jval_items(run, extra, &items, &n));
    lm_jval *all = lm_jrun_alloc(run, n_pos + n + 1, sizeof *all);
    if (!all) return lm_jrun_no_memory(run);
    if (n_pos) memcpy(all, a->pos, n_pos * sizeof *all);
    if (n) memcpy(all + n_pos, items, n * sizeof *all);
    a->pos = all;
    a->args.n_pos = n_pos + n;
    return LOAM_OK;
}

static LM_MUST_USE loam_status spread_keywords(lm_jrun *run, lm_jval extra, arguments *a) {
    if (extra.kind != LM_J_DICT)
        return lm_jrun_fail(run, "argument after ** must be a mapping, not %s",
                            lm_jval_type_name(extra));
    size_t n = extra.u.dict->n;
    lm_jkwarg *all = lm_jrun_alloc(run, a->args.n_kw + n + 2, sizeof *all);
    if (!all) return lm_jrun_no_memory(run);
    if (a->args.n_kw) memcpy(all, a->kw, a->args.n_kw * sizeof *all);
    a->kw = all;
    for (size_t i = 0; i < n; i++) {
        const lm_jentry *e = &extra.u.dict->entries[i];
        if (e->key.kind != LM_J_STRING) return lm_jrun_fail(run, "keywords must be strings");
        all[a->args.n_kw++] = (lm_jkwarg){lm_jstr_text(e->key.u.string), e->value};
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status check_keywords(lm_jrun *run, const arguments *a) {
    for (size_t i = 0; i < a->args.n_kw; i++)
        for (size_t k = 0; k < i; k++)
            if (lm_str_equal(a->kw[i].name, a->kw[k].name))
                return lm_jrun_fail(run, "got multiple values for keyword argument '%.*s'",
                                    (int)a->kw[i].name.len, a->kw[i].name.ptr);
    return lm_jrun_charge(run, a->args.n_kw * a->args.n_kw / 64);
}

static LM_MUST_USE loam_status eval_arguments(lm_jrun *run, lm_jframe *frame,
                                              const lm_jarguments *given, lm_jval caller,
                                              arguments *a) {
    lm_jval extra;
    bool has_caller = caller.kind != LM_J_MISSING;
    a->pos = lm_jrun_alloc(run, given->pos.n + 1, sizeof *a->pos);
    a->kw = lm_jrun_alloc(run, given->n_kw + 2, sizeof *a->kw);
    if (!a->pos || !a->kw) return lm_jrun_no_memory(run);
    for (size_t i = 0; i < given->pos.n; i++)
        LM_TRY(lm_jeval(run, frame, given->pos.items[i], &a->pos[i]));
    a->args.n_pos = given->pos.n;
    if (given->dyn_pos) {
        LM_TRY(lm_jeval(run, frame, given->dyn_pos, &extra));
        LM_TRY(spread(run, extra, a));
    }
    for (size_t i = 0; i < given->n_kw; i++) {
        a->kw[i].name = given->kw[i].name;
        LM_TRY(lm_jeval(run, frame, given->kw[i].value, &a->kw[i].value));
    }
    a->args.n_kw = given->n_kw;
    if (given->dyn_kw) {
        LM_TRY(lm_jeval(run, frame, given->dyn_kw, &extra));
        LM_TRY(spread_keywords(run, extra, a));
    }
    if (has_caller) a->kw[a->args.n_kw++] = (lm_jkwarg){LM_STR("caller"), caller};
    a->args.pos = a->pos;
    a->args.kw = a->kw;
    return a->args.n_kw > 1 ? check_keywords(run, a) : LOAM_OK;
}

loam_status lm_jeval_call(lm_jrun *run, lm_jframe *frame, const lm_jnode *node, lm_jval caller,
                          lm_jval *out) {
    lm_jval callee;
    arguments a = {0};
    LM_TRY(lm_jeval(run, frame, node->u.call.callee, &callee));
    LM_TRY(eval_arguments(run, frame, &node->u.call.args, caller, &a));
    run->line = node->line;
    return lm_jrun_call(run, callee, &a.args, out);
}

/* A filter or test on a value that is there already. */
static LM_MUST_USE loam_status apply(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                     lm_jval subject, lm_jval *out) {
    arguments a = {0};
    const lm_jbuiltin *builtin = node->u.call.builtin;
    LM_TRY(eval_arguments(run, frame, &node->u.call.args, (lm_jval){.kind = LM_J_MISSING}, &a));
    run->line = node->line;
    if (!builtin)
        return lm_jrun_fail(run, "No %s named '%.*s' found.",
                            node->kind == LM_JN_FILTER ? "filter" : "test",
                            (int)node->u.call.name.len, node->u.call.name.ptr);
    return lm_jrun_call_builtin(run, builtin, subject, &a.args, out);
}

loam_status lm_jeval_filters(lm_jrun *run, lm_jframe *frame, const lm_jnode *node, lm_jval text,
                             lm_jval *out) {
    lm_jval subject = text;
    LM_TRY(lm_jrun_enter(run));
    if (node->u.call.callee)
        LM_TRY(lm_jeval_filters(run, frame, node->u.call.callee, text, &subject));
    run->depth--;
    return apply(run, frame, node, subject, out);
}

static LM_MUST_USE loam_status eval_applied(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                            lm_jval *out) {
    lm_jval subject;
    LM_TRY(lm_jeval(run, frame, node->u.call.callee, &subject));
    return apply(run, frame, node, subject, out);
}

/* ---- all of them ---- */

static LM_MUST_USE loam_status eval(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                    lm_jval *out) {
    switch (node->kind) {
    case LM_JN_CONST: *out = node->u.constant; return LOAM_OK;
    case LM_JN_NAME: return eval_name(run, frame, node, out);
    case LM_JN_TUPLE:
    case LM_JN_LIST: return eval_list(run, frame, node, out);
    case LM_JN_DICT: return eval_dict(run, frame, node, out);
    case LM_JN_BINARY: return eval_binary(run, frame, node, out);
    case LM_JN_NEGATE:
    case LM_JN_PLUS:
    case LM_JN_NOT: return eval_unary(run, frame, node, out);
    case LM_JN_AND:
    case LM_JN_OR: return eval_logic(run, frame, node, out);
    case LM_JN_COMPARE: return eval_compare(run, frame, node, out);
    case LM_JN_CONCAT: return eval_concat(run, frame, node, out);
    case LM_JN_CONDITION: return eval_condition(run, frame, node, out);
    case LM_JN_ATTR:
    case LM_JN_ITEM: return eval_item(run, frame, node, out);
    case LM_JN_CALL: return lm_jeval_call(run, frame, node, (lm_jval){.kind = LM_J_MISSING}, out);
    case LM_JN_FILTER:
    case LM_JN_TEST: return eval_applied(run, frame, node, out);
    default: return lm_jrun_fail(run, "a slice where a value belongs");
    }
}

loam_status lm_jeval(lm_jrun *run, lm_jframe *frame, const lm_jnode *node, lm_jval *out) {
    run->line = node->line;
    LM_TRY(lm_jrun_enter(run));
    loam_status status = eval(run, frame, node, out);
    run->depth--;
    return status;
}

/* ---- assignment ---- */

static LM_MUST_USE loam_status unpack(lm_jrun *run, lm_jframe *frame, const lm_jnode *target,
                                      lm_jval value) {
    const lm_jval *items;
    size_t n, wanted = target->u.list.n;
    LM_TRY(lm_jval_items(run, value, &items, &n));
    if (n > wanted) return lm_jrun_fail(run, "too many values to unpack (expected %zu)", wanted);
    if (n < wanted)
        return lm_jrun_fail(run, "not enough values to unpack (expected %zu, got %zu)", wanted, n);
    for (size_t i = 0; i < n; i++)
        LM_TRY(lm_jassign(run, frame, target->u.list.items[i], items[i]));
    return LOAM_OK;
}

static LM_MUST_USE loam_status assign_attribute(lm_jrun *run, lm_jframe *frame,
                                                const lm_jnode *target, lm_jval value) {
    lm_jval space = *slot_of(frame, target->u.name.ref);
    lm_str name = target->u.name.attr;
    if (space.kind != LM_J_NAMESPACE)
        return lm_jrun_fail(run, "cannot assign attribute on non-namespace object");
    if (name.len && name.ptr[0] == '_')
        return lm_jrun_fail(run,
                            "Chat templates cannot store underscore-prefixed attributes on a "
                            "namespace, but got '%.*s'.",
                            (int)name.len, name.ptr);
    return lm_jdict_set_text(run, space.u.dict, name, value);
}

loam_status lm_jassign(lm_jrun *run, lm_jframe *frame, const lm_jnode *target, lm_jval value) {
    run->line = target->line;
    if (target->kind == LM_JN_TUPLE) return unpack(run, frame, target, value);
    if (target->kind == LM_JN_NSREF) return assign_attribute(run, frame, target, value);
    *slot_of(frame, target->u.name.ref) = value;
    return target->u.name.exported ? lm_jdict_set_text(run, run->vars, target->u.name.name, value)
                                   : LOAM_OK;
}
