#include "model/pretokenize.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/mem.h"
#include "model/utf8.h"

enum {
    MATCH_LIMIT =
        10 * 1000 * 1000, /* steps of one match; a pattern worth its name needs a few a character */
    JIT_STACK_BYTES = 1 << 20,
};

struct lm_pretokenizer {
    int n;
    pcre2_code *codes[LM_PRETOKENIZER_MAX_PATTERNS];
};

/* ------------------------------------------------------------------------------------------------- names */

static const struct {
    const char *name;
    const char *patterns[LM_PRETOKENIZER_MAX_PATTERNS]; /* NULL ends them */
} known[] = {
#define LM_PRETOKENIZER(name, ...) {name, {__VA_ARGS__}},
#include "model/pretokenizers.def"
#undef LM_PRETOKENIZER
};

static void patterns_of(size_t index, lm_pretokenizer_patterns *out) {
    *out = (lm_pretokenizer_patterns){0};
    for (const char *const *pattern = known[index].patterns; *pattern; pattern++)
        out->items[out->n++] = lm_str_of(*pattern);
}

bool lm_pretokenizer_find(lm_str name, lm_pretokenizer_patterns *out) {
    for (size_t i = 0; i < LM_COUNT_OF(known); i++) {
        if (!lm_str_is(name, known[i].name)) continue;
        patterns_of(i, out);
        return true;
    }
    return false;
}

const char *lm_pretokenizer_known_names(void) {
    static const char names[] =
#define LM_PRETOKENIZER(name, ...) ", " name
#include "model/pretokenizers.def"
#undef LM_PRETOKENIZER
        ;
    return names + 2;
}

const char *lm_pretokenizer_name_of(const lm_pretokenizer_patterns *patterns) {
    for (size_t i = 0; i < LM_COUNT_OF(known); i++) {
        lm_pretokenizer_patterns row;
        patterns_of(i, &row);
        bool same = row.n == patterns->n;
        for (int k = 0; k < row.n && same; k++)
            same = lm_str_equal(row.items[k], patterns->items[k]);
        if (same) return known[i].name;
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------- compiling */

/* PCRE2's \s has U+180E besides Unicode's White_Space; the engines these patterns were written for do not. */
#define WHITE_SPACE                                                                              \
    "\\x09-\\x0d\\x20\\x85\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}" \
    "\\x{3000}"

/* Spells \s and \S out. In a class only \s is replaced. */
static void spell_white_space(lm_str pattern, lm_buf *out) {
    bool in_class = false;
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.ptr[i], next = i + 1 < pattern.len ? pattern.ptr[i + 1] : '\0';
        if (c == '\\' && next == 's') {
            lm_buf_puts(out, in_class ? WHITE_SPACE : "[" WHITE_SPACE "]");
            i++;
        } else if (c == '\\' && next == 'S' && !in_class) {
            lm_buf_puts(out, "[^" WHITE_SPACE "]");
            i++;
        } else if (c == '\\' && next) {
            lm_buf_append(out, pattern.ptr + i++, 2);
        } else {
            in_class = in_class ? c != ']' : c == '[';
            lm_buf_putc(out, c);
        }
    }
}

static LM_MUST_USE loam_status compile(lm_str pattern, pcre2_code **out, loam_error *err) {
    int code;
    PCRE2_SIZE offset;
    lm_buf spelled;
    if (pattern.len > LM_PRETOKENIZER_MAX_PATTERN_BYTES)
        return lm_error_set(err, LOAM_LIMIT, "a pattern of %zu bytes, at most %d are allowed",
                            pattern.len, LM_PRETOKENIZER_MAX_PATTERN_BYTES);
    lm_buf_init(&spelled, 64 * LM_PRETOKENIZER_MAX_PATTERN_BYTES);
    spell_white_space(pattern, &spelled);
    loam_status status = lm_buf_status(&spelled, err);
    pcre2_code *compiled = NULL;
    if (status == LOAM_OK) {
        compiled =
            pcre2_compile((PCRE2_SPTR)lm_buf_cstr(&spelled), spelled.len,
                          PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
    }
    lm_buf_deinit(&spelled);
    if (status != LOAM_OK) return status;
    if (!compiled) {
        char reason[128];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
        return lm_error_set(err, LOAM_INVALID, "the pattern '%.*s' does not compile: %s",
                            (int)(pattern.len < 200 ? pattern.len : 200), pattern.ptr, reason);
    }
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* where it cannot, matching interprets */
    *out = compiled;
    return LOAM_OK;
}

loam_status lm_pretokenizer_new(const lm_pretokenizer_patterns *patterns, lm_pretokenizer **out,
                                loam_error *err) {
    lm_pretokenizer *pretokenizer = lm_calloc(1, sizeof *pretokenizer);
    if (!pretokenizer) return lm_error_no_memory(err, sizeof *pretokenizer);
    loam_status status = LOAM_OK;
    for (int i = 0; i < patterns->n && status == LOAM_OK; i++) {
        status = compile(patterns->items[i], &pretokenizer->codes[i], err);
        if (status == LOAM_OK) pretokenizer->n++;
    }
    if (status != LOAM_OK) {
        lm_pretokenizer_free(pretokenizer);
        return status;
    }
    *out = pretokenizer;
    return LOAM_OK;
}

void lm_pretokenizer_free(lm_pretokenizer *pretokenizer) {
    if (!pretokenizer) return;
    for (int i = 0; i < pretokenizer->n; i++) pcre2_code_free(pretokenizer->codes[i]);
    lm_free(pretokenizer);
}

void lm_pretokens_deinit(lm_pretokens *pretokens) {
    lm_vec_deinit(&pretokens->ends);
    lm_vec_deinit(&pretokens->next_ends);
}

/* ------------------------------------------------------------------------------------------------- matching */

/* PCRE2's working memory of one call. */
typedef struct matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
} matcher;

static void matcher_deinit(matcher *m) {
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
}

static LM_MUST_USE bool matcher_init(matcher *m) {
    *m = (matcher){pcre2_match_data_create(1, NULL), pcre2_match_context_create(NULL),
                   pcre2_jit_stack_create(JIT_STACK_BYTES / 16, JIT_STACK_BYTES, NULL)};
    if (!m->data || !m->context || !m->stack) {
        matcher_deinit(m);
        return false;
    }
    pcre2_set_match_limit(m->context, MATCH_LIMIT);
    pcre2_jit_stack_assign(m->context, NULL, m->stack);
    return true;
}

/* One match in the stretch at or behind `from`; false in *out_found when there is none. Empty matches cut nothing. */
static LM_MUST_USE loam_status next_match(const matcher *m, const pcre2_code *code, lm_str stretch,
                                          size_t from, bool *out_found, size_t *out_start,
                                          size_t *out_end, loam_error *err) {
    PCRE2_SPTR subject = (PCRE2_SPTR)stretch.ptr;
    uint32_t options =
        PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY; /* the caller cut the text at invalid bytes */
    int n = pcre2_match(code, subject, stretch.len, from, options, m->data, m->context);
    if (n == PCRE2_ERROR_JIT_STACKLIMIT)
        n = pcre2_match(code, subject, stretch.len, from, options | PCRE2_NO_JIT, m->data,
                        m->context);
    *out_found = n >= 0;
    if (n == PCRE2_ERROR_NOMATCH) return LOAM_OK;
    if (n == PCRE2_ERROR_NOMEMORY) return lm_error_no_memory(err, stretch.len);
    if (n < 0) {
        char reason[128];
        pcre2_get_error_message(n, (PCRE2_UCHAR *)reason, sizeof reason);
        return lm_error_set(err, LOAM_LIMIT,
                            "a pre-tokenization pattern gave up on %zu bytes of text: %s",
                            stretch.len, reason);
    }
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(m->data);
    *out_start = bounds[0];
    *out_end = bounds[1];
    return LOAM_OK;
}

/* Cuts one stretch [start, end) of the text by one pattern, appending to next_ends. */
static LM_MUST_USE loam_status cut_stretch(const matcher *m, const pcre2_code *code, lm_str text,
                                           size_t start, size_t end, lm_pretokens *out,
                                           loam_error *err) {
    lm_str stretch = {text.ptr + start, end - start};
    size_t at = 0;
    while (at < stretch.len) {
        bool found = false;
        size_t from = 0, to = 0;
        LM_TRY(next_match(m, code, stretch, at, &found, &from, &to, err));
        if (!found) break;
        if (from > at && !lm_vec_push(&out->next_ends, (uint32_t)(start + from)))
            return lm_error_no_memory(err, out->next_ends.len);
        if (!lm_vec_push(&out->next_ends, (uint32_t)(start + to)))
            return lm_error_no_memory(err, out->next_ends.len);
        at = to;
    }
    if (at < stretch.len && !lm_vec_push(&out->next_ends, (uint32_t)end))
        return lm_error_no_memory(err, out->next_ends.len);
    return LOAM_OK;
}

static void swap_ends(lm_pretokens *out) {
    lm_text_ends old = out->ends;
    out->ends = out->next_ends;
    out->next_ends = old;
    out->next_ends.len = 0;
}

/* Valid and invalid stretches by turns. */
static LM_MUST_USE loam_status cut_invalid(lm_str text, lm_pretokens *out, loam_error *err) {
    out->ends.len = out->next_ends.len = 0;
    size_t at = 0;
    for (bool valid = true; at < text.len; valid = !valid) {
        size_t n = lm_utf8_run_bytes(text.ptr + at, text.len - at, valid);
        at += n;
        if (n > 0 && !lm_vec_push(&out->ends, (uint32_t)at))
            return lm_error_no_memory(err, out->ends.len);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status cut_all(const matcher *m, const pcre2_code *code, lm_str text,
                                       lm_pretokens *out, loam_error *err) {
    size_t start = 0;
    for (size_t i = 0; i < out->ends.len; i++) {
        size_t end = out->ends.ptr[i];
        if (lm_utf8_char_bytes(text.ptr + start, end - start) > 0) {
            LM_TRY(cut_stretch(m, code, text, start, end, out, err));
        } else if (!lm_vec_push(&out->next_ends, (uint32_t)end)) {
            return lm_error_no_memory(err, out->next_ends.len);
        }
        start = end;
    }
    swap_ends(out);
    return LOAM_OK;
}

loam_status lm_pretokenizer_run(const lm_pretokenizer *pretokenizer, lm_str text, lm_pretokens *out,
                                loam_error *err) {
    matcher m;
    if (text.len > UINT32_MAX) return lm_error_set(err, LOAM_LIMIT, "text of %zu bytes", text.len);
    LM_TRY(cut_invalid(text, out, err));
    if (!matcher_init(&m)) return lm_error_no_memory(err, JIT_STACK_BYTES);
    loam_status status = LOAM_OK;
    for (int i = 0; i < pretokenizer->n && status == LOAM_OK; i++)
        status = cut_all(&m, pretokenizer->codes[i], text, out, err);
    matcher_deinit(&m);
    return status;
}
