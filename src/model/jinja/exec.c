/* Statements: what they print goes to run->out. */
#include "model/jinja/builtins.h"
#include "model/jinja/interp.h"

loam_status lm_jframe_new(lm_jrun *run, lm_jframe *parent, int n_slots, lm_jframe **out) {
    lm_jframe *frame = lm_jrun_alloc(run, 1, sizeof *frame);
    lm_jval *slots = lm_jrun_alloc(run, (size_t)n_slots + 1, sizeof *slots);
    if (!frame || !slots) return lm_jrun_no_memory(run);
    memset(slots, 0, ((size_t)n_slots + 1) * sizeof *slots); /* MISSING */
    *frame = (lm_jframe){slots, parent};
    *out = frame;
    return LOAM_OK;
}

static lm_jval resolve(lm_jrun *run, lm_str name) {
    lm_jval value = lm_jdict_get_text(run->vars, name);
    if (value.kind != LM_J_MISSING) return value;
    const lm_jbuiltin *global = lm_jbuiltin_global(name);
    return global ? (lm_jval){.kind = LM_J_BUILTIN, .u.builtin = global} : value;
}

loam_status lm_jscope_enter(lm_jrun *run, lm_jframe *frame, const lm_jscope *scope) {
    for (size_t i = 0; i < scope->n; i++) {
        const lm_jentering *e = &scope->entries[i];
        const lm_jframe *outer = frame;
        switch (e->load) {
        case LM_JLOAD_PARAM: break;
        case LM_JLOAD_NOTHING: frame->slots[e->slot] = (lm_jval){.kind = LM_J_MISSING}; break;
        case LM_JLOAD_RESOLVE: frame->slots[e->slot] = resolve(run, e->name); break;
        case LM_JLOAD_ALIAS:
            for (int hops = 0; hops < e->outer.hops; hops++) outer = outer->parent;
            frame->slots[e->slot] = outer->slots[e->outer.slot];
            break;
        }
    }
    return lm_jrun_charge(run, scope->n / 4);
}

void lm_jscope_leave(lm_jframe *frame, const lm_jscope *scope) {
    for (size_t i = 0; i < scope->n; i++)
        frame->slots[scope->entries[i].slot] = (lm_jval){.kind = LM_J_MISSING};
}

/* ---- loops ---- */

static LM_MUST_USE loam_status next_of_source(lm_jloop *loop, lm_jval *out) {
    lm_jiter *source = loop->source;
    *out = source->at < source->n ? source->items[source->at++] : (lm_jval){.kind = LM_J_MISSING};
    return LOAM_OK;
}

/* The next item that passes the loop's test; MISSING at the end. The test runs as late as in Python: when it is needed. */
static LM_MUST_USE loam_status fetch(lm_jrun *run, lm_jloop *loop, lm_jval *out) {
    const lm_jnode *node = loop->node;
    for (;;) {
        lm_jval passes;
        LM_TRY(next_of_source(loop, out));
        LM_TRY(lm_jrun_charge(run, 1));
        if (!node->u.loop.test || out->kind == LM_J_MISSING) return LOAM_OK;
        LM_TRY(lm_jassign(run, loop->frame, node->u.loop.test_target, *out));
        LM_TRY(lm_jeval(run, loop->frame, node->u.loop.test, &passes));
        if (lm_jval_truth(passes)) return LOAM_OK;
    }
}

/* One item ahead. */
static LM_MUST_USE loam_status peek(lm_jrun *run, lm_jloop *loop) {
    if (loop->after.kind != LM_J_MISSING || loop->at_end) return LOAM_OK;
    LM_TRY(fetch(run, loop, &loop->after));
    loop->at_end = loop->after.kind == LM_J_MISSING;
    return LOAM_OK;
}

static LM_MUST_USE loam_status advance(lm_jrun *run, lm_jloop *loop, lm_jval *out) {
    if (loop->after.kind != LM_J_MISSING || loop->at_end) {
        *out = loop->after;
        loop->after = (lm_jval){.kind = LM_J_MISSING};
    } else {
        LM_TRY(fetch(run, loop, out));
    }
    if (out->kind == LM_J_MISSING) return LOAM_OK;
    loop->index0++;
    loop->before = loop->current;
    loop->current = *out;
    return LOAM_OK;
}

/* What is left, walked to its end to be counted. */
static LM_MUST_USE loam_status measure(lm_jrun *run, lm_jloop *loop) {
    size_t n = 0, most = loop->source->n - loop->source->at;
    lm_jval *items = lm_jrun_alloc(run, most + 1, sizeof *items);
    if (!items) return lm_jrun_no_memory(run);
    for (;; n++) {
        LM_TRY(fetch(run, loop, &items[n]));
        if (items[n].kind == LM_J_MISSING) break;
    }
    lm_jval rest;
    LM_TRY(lm_jval_iter(run, items, n, &rest));
    lm_jnode *untested = lm_jrun_alloc(run, 1, sizeof *untested);
    if (!untested) return lm_jrun_no_memory(run);
    *untested = *loop->node;
    untested->u.loop.test = NULL; /* they have passed */
    loop->node = untested;
    loop->source = rest.u.iter;
    loop->length = (int64_t)n + loop->index0 + 1 + (loop->after.kind != LM_J_MISSING);
    return LOAM_OK;
}

static LM_MUST_USE loam_status start_loop(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                          lm_jval iterable, lm_jloop **out) {
    lm_jloop *loop = lm_jrun_alloc(run, 1, sizeof *loop);
    if (!loop) return lm_jrun_no_memory(run);
    *loop = (lm_jloop){.node = node, .frame = frame, .index0 = -1, .length = -1};
    if (iterable.kind == LM_J_ITERATOR) {
        loop->source = iterable.u.iter; /* what the loop does not take is left for others */
    } else {
        const lm_jval *items;
        lm_jval source;
        size_t n;
        LM_TRY(lm_jval_items(run, iterable, &items, &n));
        LM_TRY(lm_jval_iter(run, items, n, &source));
        loop->source = source.u.iter;
        if (!node->u.loop.test) loop->length = (int64_t)n;
    }
    *out = loop;
    return LOAM_OK;
}

static LM_MUST_USE loam_status run_loop(lm_jrun *run, lm_jloop *loop) {
    const lm_jnode *node = loop->node;
    lm_jframe *frame = loop->frame;
    lm_jflow flow = LM_JFLOW_ON;
    bool done = false; /* a turn came to its end: one left early counts for none */
    lm_jval item;
    if (node->u.loop.test) LM_TRY(lm_jscope_enter(run, frame, &node->u.loop.test_scope));
    while (flow != LM_JFLOW_BREAK) {
        LM_TRY(advance(run, loop, &item));
        if (item.kind == LM_J_MISSING) break;
        LM_TRY(lm_jassign(run, frame, node->u.loop.target, item));
        frame->slots[node->u.loop.loop_slot] = (lm_jval){.kind = LM_J_LOOP, .u.loop = loop};
        LM_TRY(lm_jscope_enter(run, frame, &node->u.loop.scope));
        LM_TRY(lm_jexec_all(run, frame, &node->u.loop.body, &flow));
        done |= flow == LM_JFLOW_ON;
    }
    lm_jscope_leave(frame, &node->u.loop.scope);
    if (done || node->u.loop.otherwise.n == 0) return LOAM_OK;
    flow = LM_JFLOW_ON;
    LM_TRY(lm_jscope_enter(run, frame, &node->u.loop.else_scope));
    LM_TRY(lm_jexec_all(run, frame, &node->u.loop.otherwise, &flow));
    lm_jscope_leave(frame, &node->u.loop.else_scope);
    return LOAM_OK;
}

/* A loop that may call itself is a function: each level has variables of its own. */
static LM_MUST_USE loam_status run_recursive(lm_jrun *run, lm_jframe *around, const lm_jnode *node,
                                             lm_jval iterable, int64_t depth0) {
    lm_jframe *frame;
    lm_jloop *loop;
    LM_TRY(lm_jframe_new(run, around, node->u.loop.n_slots, &frame));
    LM_TRY(start_loop(run, frame, node, iterable, &loop));
    loop->around = around;
    loop->depth0 = depth0;
    return run_loop(run, loop);
}

static LM_MUST_USE loam_status exec_for(lm_jrun *run, lm_jframe *frame, const lm_jnode *node) {
    lm_jval iterable;
    lm_jloop *loop;
    LM_TRY(lm_jeval(run, frame, node->u.loop.iter, &iterable));
    if (node->u.loop.recursive) return run_recursive(run, frame, node, iterable, 0);
    LM_TRY(start_loop(run, frame, node, iterable, &loop));
    return run_loop(run, loop);
}

loam_status lm_jrun_call_loop(lm_jrun *run, lm_jloop *loop, const lm_jargs *args, lm_jval *out) {
    if (!loop->around)
        return lm_jrun_fail(run,
                            "The loop must have the 'recursive' marker to be called recursively.");
    if (args->n_pos != 1 || args->n_kw != 0) return lm_jrun_fail(run, "loop() takes one iterable");
    size_t begin = lm_jrun_capture(run);
    LM_TRY(run_recursive(run, loop->around, loop->node, args->pos[0], loop->depth0 + 1));
    return lm_jrun_take(run, begin, out);
}

static LM_MUST_USE loam_status neighbour(lm_jrun *run, lm_jval item, const char *hint,
                                         lm_jval *out) {
    *out = item;
    return item.kind != LM_J_MISSING ? LOAM_OK : lm_jval_undef(run, (lm_jundef){.hint = hint}, out);
}

/* Those that look ahead. */
static LM_MUST_USE loam_status loop_attr_ahead(lm_jrun *run, lm_jloop *loop, lm_str name,
                                               lm_jval *out) {
    if (lm_str_is(name, "last") || lm_str_is(name, "nextitem")) {
        LM_TRY(peek(run, loop));
        if (lm_str_is(name, "nextitem"))
            return neighbour(run, loop->after, "there is no next item", out);
        *out = lm_jval_bool(loop->at_end);
        return LOAM_OK;
    }
    bool zero = lm_str_is(name, "revindex0");
    if (!zero && !lm_str_is(name, "revindex") && !lm_str_is(name, "length")) return LOAM_OK;
    if (loop->length < 0) LM_TRY(measure(run, loop));
    *out =
        lm_jval_int(lm_str_is(name, "length") ? loop->length : loop->length - loop->index0 - zero);
    return LOAM_OK;
}

loam_status lm_jloop_attr(lm_jrun *run, lm_jloop *loop, lm_str name, lm_jval *out) {
    if (lm_str_is(name, "index"))
        *out = lm_jval_int(loop->index0 + 1);
    else if (lm_str_is(name, "index0"))
        *out = lm_jval_int(loop->index0);
    else if (lm_str_is(name, "first"))
        *out = lm_jval_bool(loop->index0 == 0);
    else if (lm_str_is(name, "depth"))
        *out = lm_jval_int(loop->depth0 + 1);
    else if (lm_str_is(name, "depth0"))
        *out = lm_jval_int(loop->depth0);
    else if (lm_str_is(name, "previtem"))
        return neighbour(run, loop->index0 == 0 ? (lm_jval){.kind = LM_J_MISSING} : loop->before,
                         "there is no previous item", out);
    else
        return loop_attr_ahead(run, loop, name, out);
    return LOAM_OK;
}

loam_status lm_j_loop_cycle(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    const lm_jargs *given = call->given;
    if (given->n_pos == 0 || given->n_kw) return lm_jrun_fail(run, "no items for cycling given");
    *out = given->pos[(size_t)call->self.u.loop->index0 % given->n_pos];
    return LOAM_OK;
}

loam_status lm_j_loop_changed(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jloop *loop = call->self.u.loop;
    lm_jval now;
    bool equal = false;
    LM_TRY(lm_jval_list(run, LM_J_TUPLE, (lm_jval *)call->given->pos, call->given->n_pos, &now));
    if (loop->changed.kind != LM_J_MISSING) LM_TRY(lm_jval_equal(run, loop->changed, now, &equal));
    loop->changed = now;
    *out = lm_jval_bool(!equal);
    return LOAM_OK;
}

/* ---- macros ---- */

static LM_MUST_USE loam_status new_macro(lm_jrun *run, lm_jframe *frame,
                                         const lm_jsignature *signature, lm_jval *out) {
    lm_jmacro *macro = lm_jrun_alloc(run, 1, sizeof *macro);
    if (!macro) return lm_jrun_no_memory(run);
    *macro = (lm_jmacro){signature, frame};
    *out = (lm_jval){.kind = LM_J_MACRO, .u.macro = macro};
    return LOAM_OK;
}

static LM_MUST_USE loam_status exec_macro(lm_jrun *run, lm_jframe *frame, const lm_jnode *node) {
    lm_jval macro;
    lm_jframe *home = frame;
    LM_TRY(new_macro(run, frame, node->u.macro.signature, &macro));
    for (int i = 0; i < node->u.macro.ref.hops; i++) home = home->parent;
    home->slots[node->u.macro.ref.slot] = macro;
    return node->u.macro.exported
               ? lm_jdict_set_text(run, run->vars, node->u.macro.signature->name, macro)
               : LOAM_OK;
}

/* What a filter or call block gives must be a text: Jinja joins it with the others as it is. */
static LM_MUST_USE loam_status put_block_text(lm_jrun *run, lm_jval text) {
    if (text.kind == LM_J_STRING) return lm_jrun_put_str(run, text);
    return lm_jrun_fail(run, "sequence item: expected str instance, %s found",
                        lm_jval_type_name(text));
}

static LM_MUST_USE loam_status exec_call_block(lm_jrun *run, lm_jframe *frame,
                                               const lm_jnode *node) {
    lm_jval caller, text;
    LM_TRY(new_macro(run, frame, node->u.macro.signature, &caller));
    LM_TRY(lm_jeval_call(run, frame, node->u.macro.call, caller, &text));
    return put_block_text(run, text);
}

/* Takes the keyword argument out of those not used yet. */
static lm_jval take_keyword(lm_jkwarg *kw, size_t *n, lm_str name) {
    for (size_t i = 0; i < *n; i++) {
        if (!lm_str_equal(kw[i].name, name)) continue;
        lm_jval value = kw[i].value;
        memmove(&kw[i], &kw[i + 1], (--*n - i) * sizeof *kw);
        return value;
    }
    return (lm_jval){.kind = LM_J_MISSING};
}

static LM_MUST_USE loam_status keywords_as_dict(lm_jrun *run, const lm_jkwarg *kw, size_t n,
                                                lm_jval *out) {
    LM_TRY(lm_jval_dict(run, LM_J_DICT, out));
    for (size_t i = 0; i < n; i++)
        LM_TRY(lm_jdict_set_text(run, out->u.dict, kw[i].name, kw[i].value));
    return LOAM_OK;
}

/* What goes into the macro's special variables, and what is left over. */
static LM_MUST_USE loam_status bind_specials(lm_jrun *run, const lm_jsignature *s, lm_jframe *frame,
                                             const lm_jargs *args, lm_jkwarg *kw, size_t n_kw) {
    size_t n_params = s->params.n;
    if (s->caller_slot >= 0) {
        lm_jval *slot = &frame->slots[s->caller_slot];
        *slot = take_keyword(kw, &n_kw, LM_STR("caller"));
        if (slot->kind == LM_J_MISSING)
            LM_TRY(lm_jval_undef(
                run, (lm_jundef){.hint = "No caller defined", .name = LM_STR("caller")}, slot));
    }
    if (s->kwargs_slot >= 0)
        LM_TRY(keywords_as_dict(run, kw, n_kw, &frame->slots[s->kwargs_slot]));
    else if (n_kw > 0)
        return lm_jrun_fail(run, "macro '%.*s' takes no keyword argument '%.*s'", (int)s->name.len,
                            s->name.ptr, (int)kw[0].name.len, kw[0].name.ptr);
    if (s->varargs_slot >= 0) {
        size_t n = args->n_pos > n_params ? args->n_pos - n_params : 0;
        return lm_jval_list(run, LM_J_TUPLE, (lm_jval *)args->pos + (n ? n_params : 0), n,
                            &frame->slots[s->varargs_slot]);
    }
    if (args->n_pos > n_params)
        return lm_jrun_fail(run, "macro '%.*s' takes not more than %zu argument(s)",
                            (int)s->name.len, s->name.ptr, n_params);
    return LOAM_OK;
}

static LM_MUST_USE loam_status set_defaults(lm_jrun *run, const lm_jsignature *s,
                                            lm_jframe *frame) {
    for (size_t i = 0; i < s->params.n; i++) {
        const lm_jnode *param = s->params.items[i];
        lm_jval *slot = &frame->slots[param->u.name.ref.slot];
        size_t n_plain = s->params.n - s->defaults.n;
        if (slot->kind != LM_J_MISSING) continue;
        if (i >= n_plain) {
            LM_TRY(lm_jeval(run, frame, s->defaults.items[i - n_plain], slot));
            continue;
        }
        char *hint = lm_jrun_alloc(run, 1, 64 + param->u.name.name.len);
        if (!hint) return lm_jrun_no_memory(run);
        snprintf(hint, 64 + param->u.name.name.len, "parameter '%.*s' was not provided",
                 (int)param->u.name.name.len, param->u.name.name.ptr);
        LM_TRY(lm_jval_undef(run, (lm_jundef){.hint = hint, .name = param->u.name.name}, slot));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status bind_parameters(lm_jrun *run, const lm_jsignature *s,
                                               lm_jframe *frame, const lm_jargs *args) {
    size_t n_kw = args->n_kw;
    lm_jkwarg *kw = lm_jrun_alloc(run, n_kw + 1, sizeof *kw);
    if (!kw) return lm_jrun_no_memory(run);
    if (n_kw) memcpy(kw, args->kw, n_kw * sizeof *kw);
    for (size_t i = 0; i < s->params.n; i++) {
        const lm_jnode *param = s->params.items[i];
        frame->slots[param->u.name.ref.slot] =
            i < args->n_pos ? args->pos[i] : take_keyword(kw, &n_kw, param->u.name.name);
    }
    return bind_specials(run, s, frame, args, kw, n_kw);
}

loam_status lm_jrun_call_macro(lm_jrun *run, const lm_jmacro *macro, const lm_jargs *args,
                               lm_jval *out) {
    const lm_jsignature *s = macro->signature;
    lm_jframe *frame;
    lm_jflow flow = LM_JFLOW_ON;
    LM_TRY(lm_jframe_new(run, macro->closure, s->n_slots, &frame));
    LM_TRY(bind_parameters(run, s, frame, args));
    LM_TRY(lm_jscope_enter(run, frame, &s->scope));
    LM_TRY(set_defaults(run, s, frame));
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jexec_all(run, frame, &s->body, &flow));
    return lm_jrun_take(run, begin, out);
}

static LM_MUST_USE loam_status parameter_names(lm_jrun *run, const lm_jsignature *s, lm_jval *out) {
    lm_jval *items = lm_jrun_alloc(run, s->params.n + 1, sizeof *items);
    if (!items) return lm_jrun_no_memory(run);
    for (size_t i = 0; i < s->params.n; i++)
        LM_TRY(lm_jval_str_ref(run, s->params.items[i]->u.name.name, &items[i]));
    return lm_jval_list(run, LM_J_TUPLE, items, s->params.n, out);
}

loam_status lm_jmacro_attr(lm_jrun *run, const lm_jmacro *macro, lm_str name, lm_jval *out) {
    const lm_jsignature *s = macro->signature;
    if (lm_str_is(name, "name")) return lm_jval_str_ref(run, s->name, out);
    if (lm_str_is(name, "arguments")) return parameter_names(run, s, out);
    if (lm_str_is(name, "catch_kwargs")) *out = lm_jval_bool(s->kwargs_slot >= 0);
    if (lm_str_is(name, "catch_varargs")) *out = lm_jval_bool(s->varargs_slot >= 0);
    if (lm_str_is(name, "caller")) *out = lm_jval_bool(s->caller_slot >= 0);
    return LOAM_OK;
}

/* ---- the others ---- */

static LM_MUST_USE loam_status exec_if(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                       lm_jflow *flow) {
    for (size_t i = 0; i < node->u.branch.n; i++) {
        lm_jval test;
        LM_TRY(lm_jeval(run, frame, node->u.branch.tests[i], &test));
        if (lm_jval_truth(test)) return lm_jexec_all(run, frame, &node->u.branch.bodies[i], flow);
    }
    return lm_jexec_all(run, frame, &node->u.branch.otherwise, flow);
}

static LM_MUST_USE loam_status exec_output(lm_jrun *run, lm_jframe *frame, const lm_jnode *node) {
    for (size_t i = 0; i < node->u.list.n; i++) {
        lm_jval value;
        LM_TRY(lm_jeval(run, frame, node->u.list.items[i], &value));
        LM_TRY(lm_jrun_put_str(run, value));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status check_namespaces(lm_jrun *run, lm_jframe *frame,
                                                const lm_jnode *target) {
    if (target->kind == LM_JN_TUPLE)
        for (size_t i = 0; i < target->u.list.n; i++)
            LM_TRY(check_namespaces(run, frame, target->u.list.items[i]));
    if (target->kind != LM_JN_NSREF) return LOAM_OK;
    for (int i = 0; i < target->u.name.ref.hops; i++) frame = frame->parent;
    if (frame->slots[target->u.name.ref.slot].kind == LM_J_NAMESPACE) return LOAM_OK;
    return lm_jrun_fail(run, "cannot assign attribute on non-namespace object");
}

static LM_MUST_USE loam_status exec_set(lm_jrun *run, lm_jframe *frame, const lm_jnode *node) {
    lm_jval value;
    LM_TRY(check_namespaces(run, frame, node->u.set.target));
    LM_TRY(lm_jeval(run, frame, node->u.set.value, &value));
    return lm_jassign(run, frame, node->u.set.target, value);
}

static LM_MUST_USE loam_status exec_set_block(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                              lm_jflow *flow) {
    lm_jval text;
    size_t begin = lm_jrun_capture(run);
    LM_TRY(lm_jscope_enter(run, frame, &node->u.set.scope));
    LM_TRY(lm_jexec_all(run, frame, &node->u.set.body, flow));
    LM_TRY(lm_jrun_take(run, begin, &text));
    if (*flow != LM_JFLOW_ON) return LOAM_OK; /* the loop was left from inside: nothing is set */
    if (node->u.set.value) LM_TRY(lm_jeval_filters(run, frame, node->u.set.value, text, &text));
    LM_TRY(lm_jassign(run, frame, node->u.set.target, text));
    lm_jscope_leave(frame, &node->u.set.scope);
    return LOAM_OK;
}

static LM_MUST_USE loam_status exec_with(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                         lm_jflow *flow) {
    LM_TRY(lm_jscope_enter(run, frame, &node->u.with.scope));
    for (size_t i = 0; i < node->u.with.targets.n; i++) {
        lm_jval value;
        LM_TRY(lm_jeval(run, frame, node->u.with.values.items[i], &value));
        LM_TRY(lm_jassign(run, frame, node->u.with.targets.items[i], value));
    }
    LM_TRY(lm_jexec_all(run, frame, &node->u.with.body, flow));
    lm_jscope_leave(frame, &node->u.with.scope);
    return LOAM_OK;
}

static LM_MUST_USE loam_status exec_scope(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                          lm_jflow *flow) {
    size_t begin = lm_jrun_capture(run);
    lm_jval text;
    LM_TRY(lm_jscope_enter(run, frame, &node->u.block.scope));
    LM_TRY(lm_jexec_all(run, frame, &node->u.block.body, flow));
    if (node->kind == LM_JN_FILTER_BLOCK) {
        LM_TRY(lm_jrun_take(run, begin, &text));
        if (*flow != LM_JFLOW_ON) return LOAM_OK;
        LM_TRY(lm_jeval_filters(run, frame, node->u.block.filter, text, &text));
        LM_TRY(put_block_text(run, text));
    }
    lm_jscope_leave(frame, &node->u.block.scope);
    return LOAM_OK;
}

static LM_MUST_USE loam_status exec_block(lm_jrun *run, const lm_jnode *node) {
    lm_jframe *frame;
    lm_jflow flow = LM_JFLOW_ON;
    LM_TRY(lm_jframe_new(run, NULL, node->u.block.n_slots, &frame));
    LM_TRY(lm_jscope_enter(run, frame, &node->u.block.scope));
    return lm_jexec_all(run, frame, &node->u.block.body, &flow);
}

static LM_MUST_USE loam_status exec(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                                    lm_jflow *flow) {
    switch (node->kind) {
    case LM_JN_DATA:
        lm_jrun_put(run, node->u.text);
        return lm_jrun_charge_text(run, node->u.text.len);
    case LM_JN_OUTPUT: return exec_output(run, frame, node);
    case LM_JN_FOR: return exec_for(run, frame, node);
    case LM_JN_IF: return exec_if(run, frame, node, flow);
    case LM_JN_SET: return exec_set(run, frame, node);
    case LM_JN_SET_BLOCK: return exec_set_block(run, frame, node, flow);
    case LM_JN_WITH: return exec_with(run, frame, node, flow);
    case LM_JN_MACRO: return exec_macro(run, frame, node);
    case LM_JN_CALL_BLOCK: return exec_call_block(run, frame, node);
    case LM_JN_FILTER_BLOCK:
    case LM_JN_SCOPE: return exec_scope(run, frame, node, flow);
    case LM_JN_BLOCK: return exec_block(run, node);
    case LM_JN_BREAK: *flow = LM_JFLOW_BREAK; return LOAM_OK;
    case LM_JN_CONTINUE: *flow = LM_JFLOW_CONTINUE; return LOAM_OK;
    default:
        return lm_jrun_fail(run, "'%.*s': a chat template stands alone and can load no other one",
                            (int)node->u.text.len, node->u.text.ptr);
    }
}

loam_status lm_jexec_all(lm_jrun *run, lm_jframe *frame, const lm_jnodes *body, lm_jflow *flow) {
    *flow = LM_JFLOW_ON;
    for (size_t i = 0; i < body->n && *flow == LM_JFLOW_ON; i++) {
        run->line = body->items[i]->line;
        LM_TRY(lm_jrun_enter(run));
        LM_TRY(exec(run, frame, body->items[i], flow));
        run->depth--;
    }
    return LOAM_OK;
}
