/* Methods of dicts, lists, tuples, ranges and numbers. */
#include <math.h>

#include "model/jinja/builtins.h"

/* ---- dicts ---- */

loam_status lm_j_dict_get(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    LM_TRY(lm_jdict_get(run, call->self.u.dict, call->args[0], out));
    if (out->kind == LM_J_MISSING) *out = lm_jarg_given(call, 1) ? call->args[1] : lm_jval_none();
    return LOAM_OK;
}

static LM_MUST_USE loam_status view(lm_jrun *run, const lm_jcall *call, lm_jview_of of,
                                    lm_jval *out) {
    lm_jview *made = lm_jrun_alloc(run, 1, sizeof *made);
    if (!made) return lm_jrun_no_memory(run);
    *made = (lm_jview){call->self.u.dict, of};
    *out = (lm_jval){.kind = LM_J_VIEW, .u.view = made};
    return LOAM_OK;
}

loam_status lm_j_dict_items(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return view(run, call, LM_JVIEW_ITEMS, out);
}

loam_status lm_j_dict_keys(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return view(run, call, LM_JVIEW_KEYS, out);
}

loam_status lm_j_dict_values(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return view(run, call, LM_JVIEW_VALUES, out);
}

/* Dicts do not change, but two equal ones are not the same one. */
loam_status lm_j_dict_copy(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    const lm_jdict *from = call->self.u.dict;
    LM_TRY(lm_jval_dict(run, LM_J_DICT, out));
    for (size_t i = 0; i < from->n; i++)
        LM_TRY(lm_jdict_set(run, out->u.dict, from->entries[i].key, from->entries[i].value));
    return LOAM_OK;
}

loam_status lm_j_dict_fromkeys(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    const lm_jval *keys;
    size_t n;
    LM_TRY(lm_jval_items(run, call->args[0], &keys, &n));
    LM_TRY(lm_jval_dict(run, LM_J_DICT, out));
    for (size_t i = 0; i < n; i++)
        LM_TRY(lm_jdict_set(run, out->u.dict, keys[i],
                            lm_jarg_given(call, 1) ? call->args[1] : lm_jval_none()));
    return LOAM_OK;
}

/* ---- sequences ---- */

loam_status lm_j_list_copy(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return lm_jval_list(run, LM_J_LIST, call->self.u.list->items, call->self.u.list->n, out);
}

loam_status lm_j_list_count(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    const lm_jval *items;
    size_t n;
    int64_t found = 0;
    LM_TRY(lm_jval_items(run, call->self, &items, &n));
    for (size_t i = 0; i < n; i++) {
        bool equal;
        LM_TRY(lm_jrun_charge(run, 1));
        LM_TRY(lm_jval_equal(run, items[i], call->args[0], &equal));
        found += equal;
    }
    *out = lm_jval_int(found);
    return LOAM_OK;
}

static int64_t clip(int64_t index, int64_t n) {
    if (index < 0) index = index < -n ? 0 : index + n;
    return index > n ? n : index;
}

loam_status lm_j_list_index(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    const lm_jval *items;
    size_t n;
    int64_t start = 0, stop = INT64_MAX;
    bool is_range = call->self.kind == LM_J_RANGE;
    if (!is_range) LM_TRY(lm_jarg_int(run, call, 1, 0, &start));
    if (!is_range) LM_TRY(lm_jarg_int(run, call, 2, INT64_MAX, &stop));
    LM_TRY(lm_jval_items(run, call->self, &items, &n));
    stop = clip(stop, (int64_t)n);
    for (int64_t i = clip(start, (int64_t)n); i < stop; i++) {
        bool equal;
        LM_TRY(lm_jrun_charge(run, 1));
        LM_TRY(lm_jval_equal(run, items[i], call->args[0], &equal));
        if (!equal) continue;
        *out = lm_jval_int(i);
        return LOAM_OK;
    }
    return lm_jrun_fail(run, "the value is not in the list");
}

/* ---- numbers ---- */

static uint64_t magnitude(lm_jval value) {
    int64_t number = lm_jval_to_int(value);
    return number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
}

loam_status lm_j_int_bit_length(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    uint64_t value = magnitude(call->self);
    *out = lm_jval_int(value ? 64 - __builtin_clzll(value) : 0);
    return LOAM_OK;
}

loam_status lm_j_int_bit_count(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    *out = lm_jval_int(__builtin_popcountll(magnitude(call->self)));
    return LOAM_OK;
}

loam_status lm_j_float_is_integer(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    *out =
        lm_jval_bool(isfinite(call->self.u.real) && call->self.u.real == floor(call->self.u.real));
    return LOAM_OK;
}

loam_status lm_j_number_itself(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    *out = call->self.kind == LM_J_BOOL ? lm_jval_int(lm_jval_to_int(call->self)) : call->self;
    return LOAM_OK;
}

/* Methods that are there, as templates can test, but whose results (bytes and the like) no template could print. */
loam_status lm_j_unsupported(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return lm_jrun_fail(run, "this method of '%s' is not supported", lm_jval_type_name(call->self));
}
