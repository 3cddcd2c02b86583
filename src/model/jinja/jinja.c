#include "model/jinja/jinja.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "model/jinja/interp.h"
#include "model/jinja/unicode.h"

enum {
    COMPILE_CHUNK_BYTES = 16 << 10,
    COMPILE_MAX_BYTES = 512 << 20,
    RENDER_CHUNK_BYTES = 64 << 10,
    DEFAULT_MAX_STEPS = 50000000,
    DEFAULT_MAX_MEMORY_BYTES = 256 << 20,
    DEFAULT_MAX_OUTPUT_BYTES = 64 << 20,
};

loam_status lm_jinja_refuse(loam_error *err, int line, const char *fmt, ...) {
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return lm_error_set(err, LOAM_INVALID, "template line %d: %s", line, text);
}

void *lm_jinja_alloc(lm_jinja *jinja, size_t n, size_t size_bytes) {
    return lm_arena_calloc(&jinja->arena, n ? n : 1, size_bytes);
}

/* ---- compiling ---- */

/* All line ends become \n, and the last one goes. */
static LM_MUST_USE loam_status set_source(lm_jinja *jinja, lm_str source, loam_error *err) {
    char *copy = lm_arena_alloc(&jinja->arena, source.len + 1);
    size_t n = 0;
    if (!copy) return lm_error_no_memory(err, source.len);
    for (size_t i = 0; i < source.len; i++) {
        if (source.ptr[i] == '\r' && i + 1 < source.len && source.ptr[i + 1] == '\n') continue;
        copy[n++] = source.ptr[i] == '\r' ? '\n' : source.ptr[i];
    }
    if (n && copy[n - 1] == '\n') n--;
    copy[n] = '\0';
    jinja->source = (lm_str){copy, n};
    return LOAM_OK;
}

loam_status lm_jinja_compile(lm_str source, lm_jinja **out, loam_error *err) {
    if (source.len > LM_JINJA_MAX_SOURCE_BYTES)
        return lm_error_set(err, LOAM_LIMIT, "the template has %zu bytes, more than %d", source.len,
                            LM_JINJA_MAX_SOURCE_BYTES);
    if (!lm_unicode_valid(source))
        return lm_error_set(err, LOAM_INVALID, "the template is no valid UTF-8");
    lm_jinja *jinja = lm_calloc(1, sizeof *jinja);
    if (!jinja) return lm_error_no_memory(err, sizeof *jinja);
    lm_arena_init(&jinja->arena, COMPILE_CHUNK_BYTES, COMPILE_MAX_BYTES);
    loam_status status = set_source(jinja, source, err);
    if (status == LOAM_OK) status = lm_jinja_parse(jinja, err);
    if (status == LOAM_OK) status = lm_jinja_bind(jinja, err);
    if (status == LOAM_OK)
        *out = jinja;
    else
        lm_jinja_free(jinja);
    return status;
}

void lm_jinja_free(lm_jinja *jinja) {
    if (!jinja) return;
    lm_arena_deinit(&jinja->arena);
    lm_free(jinja);
}

lm_str lm_jinja_source(const lm_jinja *jinja) {
    return jinja->source;
}

bool lm_jinja_reads(const lm_jinja *jinja, lm_str name) {
    for (size_t i = 0; i < jinja->n_reads; i++)
        if (lm_str_equal(jinja->reads[i], name)) return true;
    return false;
}

/* ---- rendering ---- */

static LM_MUST_USE loam_status set_variables(lm_jrun *run, const json_t *variables) {
    lm_jval dict;
    LM_TRY(lm_jval_dict(run, LM_J_DICT, &dict));
    if (variables) LM_TRY(lm_jval_of_json(run, variables, &dict));
    if (dict.kind != LM_J_DICT)
        return lm_error_set(run->err, LOAM_INVALID, "the template's variables must be an object");
    run->vars = dict.u.dict;
    return LOAM_OK;
}

static LM_MUST_USE loam_status render(lm_jrun *run, const lm_jinja *jinja, lm_buf *out) {
    lm_jframe *frame;
    lm_jflow flow = LM_JFLOW_ON;
    LM_TRY(set_variables(run, run->options->variables));
    LM_TRY(lm_jframe_new(run, NULL, jinja->n_slots, &frame));
    LM_TRY(lm_jscope_enter(run, frame, &jinja->scope));
    LM_TRY(lm_jexec_all(run, frame, &jinja->body, &flow));
    LM_TRY(lm_buf_status(&run->out, run->err));
    size_t len = out->len;
    lm_buf_append(out, run->out.ptr, run->out.len);
    if (out->status != LOAM_OK) out->len = len;
    return lm_buf_status(out, run->err);
}

loam_status lm_jinja_render(const lm_jinja *jinja, const lm_jinja_options *options, lm_buf *out,
                            loam_error *err) {
    const lm_jinja_limits *limits = &options->limits;
    lm_jrun run = {
        .options = options,
        .max_memory_bytes =
            limits->max_memory_bytes ? limits->max_memory_bytes : DEFAULT_MAX_MEMORY_BYTES,
        .steps_left = limits->max_steps ? limits->max_steps : DEFAULT_MAX_STEPS,
        .line = 1,
        .err = err,
    };
    lm_arena_init(&run.arena, RENDER_CHUNK_BYTES, run.max_memory_bytes);
    lm_buf_init(&run.out,
                limits->max_output_bytes ? limits->max_output_bytes : DEFAULT_MAX_OUTPUT_BYTES);
    lm_rng_init(&run.rng,
                1); /* the same choice every time: a prompt is a function of its conversation */
    loam_status status = render(&run, jinja, out);
    lm_buf_deinit(&run.out);
    lm_arena_deinit(&run.arena);
    return status;
}
