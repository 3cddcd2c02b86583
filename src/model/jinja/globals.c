/* What templates may name without being given it. */
#include <time.h>

#include "base/clock.h"
#include "model/jinja/builtins.h"

static LM_MUST_USE loam_status put_pairs(lm_jrun *run, lm_jval pairs, lm_jdict *dict) {
    const lm_jval *items, *pair;
    size_t n, n_pair;
    if (pairs.kind == LM_J_DICT || pairs.kind == LM_J_NAMESPACE) {
        for (size_t i = 0; i < pairs.u.dict->n; i++)
            LM_TRY(lm_jdict_set(run, dict, pairs.u.dict->entries[i].key,
                                pairs.u.dict->entries[i].value));
        return LOAM_OK;
    }
    LM_TRY(lm_jval_items(run, pairs, &items, &n));
    for (size_t i = 0; i < n; i++) {
        LM_TRY(lm_jval_items(run, items[i], &pair, &n_pair));
        if (n_pair != 2)
            return lm_jrun_fail(
                run, "dictionary update sequence element #%zu has length %zu; 2 is required", i,
                n_pair);
        LM_TRY(lm_jdict_set(run, dict, pair[0], pair[1]));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status new_dict(lm_jrun *run, const lm_jcall *call, lm_jkind kind,
                                        lm_jval *out) {
    const lm_jargs *given = call->given;
    LM_TRY(lm_jval_dict(run, kind, out));
    if (given->n_pos > 1)
        return lm_jrun_fail(run, "dict expected at most 1 argument, got %zu", given->n_pos);
    if (given->n_pos == 1) LM_TRY(put_pairs(run, given->pos[0], out->u.dict));
    for (size_t i = 0; i < given->n_kw; i++)
        LM_TRY(lm_jdict_set_text(run, out->u.dict, given->kw[i].name, given->kw[i].value));
    return LOAM_OK;
}

loam_status lm_j_global_dict(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    return new_dict(run, call, LM_J_DICT, out);
}

loam_status lm_j_global_namespace(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    LM_TRY(new_dict(run, call, LM_J_NAMESPACE, out));
    for (size_t i = 0; i < out->u.dict->n; i++) {
        lm_jval key = out->u.dict->entries[i].key;
        if (key.kind == LM_J_STRING && key.u.string->len && key.u.string->ptr[0] == '_')
            return lm_jrun_fail(run,
                                "Chat templates cannot store underscore-prefixed attributes on a "
                                "namespace, but got "
                                "'%.*s'.",
                                (int)key.u.string->len, key.u.string->ptr);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status range_bounds(lm_jrun *run, const lm_jargs *given, lm_jrange *out) {
    int64_t bounds[3] = {0, 0, 1};
    if (given->n_pos < 1 || given->n_pos > 3 || given->n_kw)
        return lm_jrun_fail(run, "range expected from 1 to 3 arguments, got %zu", given->n_pos);
    for (size_t i = 0; i < given->n_pos; i++) {
        if (given->pos[i].kind == LM_J_UNDEFINED) return lm_jrun_undefined(run, given->pos[i]);
        if (!lm_jval_is_int(given->pos[i]))
            return lm_jrun_fail(run, "'%s' object cannot be interpreted as an integer",
                                lm_jval_type_name(given->pos[i]));
        bounds[given->n_pos == 1 ? 1 : i] = lm_jval_to_int(given->pos[i]);
    }
    if (bounds[2] == 0) return lm_jrun_fail(run, "range() arg 3 must not be zero");
    *out = (lm_jrange){bounds[0], bounds[1], bounds[2], 0};
    return LOAM_OK;
}

loam_status lm_j_global_range(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jrange *range = lm_jrun_alloc(run, 1, sizeof *range);
    if (!range) return lm_jrun_no_memory(run);
    LM_TRY(range_bounds(run, call->given, range));
    bool back = range->step < 0;
    uint64_t stride = back ? 0 - (uint64_t)range->step : (uint64_t)range->step;
    uint64_t distance = back ? (uint64_t)range->start - (uint64_t)range->stop
                             : (uint64_t)range->stop - (uint64_t)range->start;
    bool empty = back ? range->start <= range->stop : range->start >= range->stop;
    uint64_t n = empty ? 0 : (distance - 1) / stride + 1;
    if (n > LM_J_MAX_RANGE)
        return lm_jrun_fail(run,
                            "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).",
                            LM_J_MAX_RANGE);
    range->n = (int64_t)n;
    *out = (lm_jval){.kind = LM_J_RANGE, .u.range = range};
    return LOAM_OK;
}

loam_status lm_j_global_raise_exception(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_str message;
    LM_TRY(lm_jrun_to_str(run, call->args[0], &message));
    return lm_jrun_fail(run, "%.*s", (int)message.len, message.ptr);
}

loam_status lm_j_global_strftime_now(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    char format[256], text[1024];
    lm_str given;
    struct tm now;
    LM_TRY(lm_jarg_text(run, call, 0, &given));
    if (given.len >= sizeof format)
        return lm_jrun_fail(run, "a date format of more than %zu bytes", sizeof format - 1);
    snprintf(format, sizeof format, "%.*s", (int)given.len, given.ptr);
    time_t seconds = (time_t)(run->options->now_epoch_s ? run->options->now_epoch_s
                                                        : lm_clock_epoch_ms() / 1000);
    localtime_r(&seconds, &now);
    return lm_jval_str(run, (lm_str){text, strftime(text, sizeof text, format, &now)}, out);
}

/* ---- cyclers and joiners ---- */

loam_status lm_j_global_cycler(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    if (call->given->n_pos == 0) return lm_jrun_fail(run, "at least one item has to be provided");
    LM_TRY(lm_jval_iter(run, call->given->pos, call->given->n_pos, out));
    out->kind = LM_J_CYCLER;
    return LOAM_OK;
}

loam_status lm_j_cycler_next(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jiter *cycle = call->self.u.iter;
    *out = cycle->items[cycle->at];
    cycle->at = (cycle->at + 1) % cycle->n;
    return LOAM_OK;
}

loam_status lm_j_cycler_reset(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    call->self.u.iter->at = 0;
    *out = lm_jval_none();
    return LOAM_OK;
}

loam_status lm_j_global_joiner(lm_jrun *run, const lm_jcall *call, lm_jval *out) {
    lm_jjoiner *joiner = lm_jrun_alloc(run, 1, sizeof *joiner);
    if (!joiner) return lm_jrun_no_memory(run);
    *joiner = (lm_jjoiner){.used = false};
    if (lm_jarg_given(call, 0))
        joiner->separator = call->args[0];
    else
        LM_TRY(lm_jval_str_ref(run, LM_STR(", "), &joiner->separator));
    *out = (lm_jval){.kind = LM_J_JOINER, .u.joiner = joiner};
    return LOAM_OK;
}
