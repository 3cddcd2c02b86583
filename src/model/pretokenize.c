#include "model/pretokenize.h"

#include "base/mem.h"
#include "model/char_class.h"
#include "model/tokenizer_spec.h"
#include "model/utf8.h"

typedef struct ready_step {
    lm_pretokenizer_step step;
    lm_text_pattern *pattern;
} ready_step;

struct lm_pretokenizer {
    size_t n;
    ready_step steps[];
};

/* ------------------------------------------------------------------------------------------------- names */

static const lm_pretokenizer_preset presets[] = {
#define LM_PRETOKENIZER(name, flags, ...) {name, flags, {__VA_ARGS__}},
#include "model/pretokenizers.def"
#undef LM_PRETOKENIZER
};

const lm_pretokenizer_preset *lm_pretokenizer_find(lm_str name) {
    for (size_t i = 0; i < LM_COUNT_OF(presets); i++) {
        if (lm_str_is(name, presets[i].name)) return &presets[i];
    }
    return NULL;
}

const char *lm_pretokenizer_known_names(void) {
    static const char names[] =
#define LM_PRETOKENIZER(name, flags, ...) ", " name
#include "model/pretokenizers.def"
#undef LM_PRETOKENIZER
        ;
    return names + 2;
}

static bool is_pattern(const lm_pretokenizer_step *step, const char *pattern) {
    return step->kind == LM_PRETOKENIZER_SPLIT && step->at == LM_SPLIT_AT_REGEX &&
           step->behavior == LM_SPLIT_ISOLATED && !step->inverted && pattern &&
           lm_str_is(step->text, pattern);
}

const char *lm_pretokenizer_name_of(const lm_pretokenizer_steps *steps) {
    size_t n = steps->len;
    if (n > 0 && steps->ptr[n - 1].kind == LM_PRETOKENIZER_BYTE_LEVEL) n--;
    if (n >= LM_PRETOKENIZER_MAX_PATTERNS) return NULL;
    for (size_t i = 0; i < LM_COUNT_OF(presets); i++) {
        const lm_pretokenizer_preset *preset = &presets[i];
        size_t k = 0;
        while (k < n && is_pattern(&steps->ptr[k], preset->patterns[k])) k++;
        if (k == n && !preset->patterns[k] && !(preset->flags & LM_PRE_CHARACTERS))
            return preset->name;
    }
    return NULL;
}

bool lm_pretokenizer_add_preset(const lm_pretokenizer_preset *preset,
                                lm_pretokenizer_steps *steps) {
    for (const char *const *pattern = preset->patterns; *pattern; pattern++) {
        lm_pretokenizer_step step = {.kind = LM_PRETOKENIZER_SPLIT,
                                     .at = LM_SPLIT_AT_REGEX,
                                     .behavior = LM_SPLIT_ISOLATED,
                                     .text = lm_str_of(*pattern)};
        if (!lm_vec_push(steps, step)) return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------- making */

loam_status lm_pretokenizer_new(const lm_pretokenizer_steps *steps, bool leaves_bytes,
                                lm_pretokenizer **out, loam_error *err) {
    size_t n = steps->len;
    lm_pretokenizer *made = lm_calloc(1, sizeof *made + n * sizeof *made->steps);
    if (!made) return lm_error_no_memory(err, sizeof *made);
    if (leaves_bytes && n > 0 && steps->ptr[n - 1].kind == LM_PRETOKENIZER_BYTE_LEVEL) n--;
    loam_status status = LOAM_OK;
    for (size_t i = 0; i < n && status == LOAM_OK; i++) {
        ready_step *ready = &made->steps[made->n++];
        ready->step = steps->ptr[i];
        if (ready->step.kind == LM_PRETOKENIZER_SPLIT && ready->step.at == LM_SPLIT_AT_REGEX)
            status = lm_text_pattern_new(ready->step.text, &ready->pattern, err);
    }
    if (status != LOAM_OK) {
        lm_pretokenizer_free(made);
        return status;
    }
    *out = made;
    return LOAM_OK;
}

void lm_pretokenizer_free(lm_pretokenizer *pretokenizer) {
    if (!pretokenizer) return;
    for (size_t i = 0; i < pretokenizer->n; i++)
        lm_text_pattern_free(pretokenizer->steps[i].pattern);
    lm_free(pretokenizer);
}

void lm_pretokens_init(lm_pretokens *pretokens) {
    *pretokens = (lm_pretokens){0};
    lm_buf_init(&pretokens->written, UINT32_MAX);
    lm_buf_init(&pretokens->rewritten, UINT32_MAX);
}

void lm_pretokens_deinit(lm_pretokens *pretokens) {
    lm_vec_deinit(&pretokens->stretches);
    lm_vec_deinit(&pretokens->next);
    lm_buf_deinit(&pretokens->written);
    lm_buf_deinit(&pretokens->rewritten);
    lm_text_matcher_deinit(&pretokens->matcher);
}

/* ------------------------------------------------------------------------------------------------- finding */

static bool is_found(lm_split_at at, uint32_t c) {
    switch (at) {
    case LM_SPLIT_AT_SPACE: return lm_char_is_space(c);
    case LM_SPLIT_AT_PUNCTUATION: return lm_char_is_bert_punctuation(c);
    default: return lm_char_is_numeric(c);
    }
}

static bool find_character(lm_split_at at, lm_str text, size_t from, size_t *out_start,
                           size_t *out_end) {
    for (size_t i = from; i < text.len;) {
        size_t n = lm_utf8_char_bytes(text.ptr + i, text.len - i);
        if (is_found(at, lm_utf8_decode(text.ptr + i, n))) {
            *out_start = i;
            *out_end = i + n;
            return true;
        }
        i += n;
    }
    return false;
}

static bool find_text(lm_str text, lm_str what, size_t from, size_t *out_start, size_t *out_end) {
    const char *found = what.len && from < text.len
                            ? memmem(text.ptr + from, text.len - from, what.ptr, what.len)
                            : NULL;
    if (!found) return false;
    *out_start = (size_t)(found - text.ptr);
    *out_end = *out_start + what.len;
    return true;
}

static LM_MUST_USE loam_status find(const ready_step *ready, lm_text_matcher *matcher, lm_str text,
                                    size_t from, bool *out_found, size_t *out_start,
                                    size_t *out_end, loam_error *err) {
    const lm_pretokenizer_step *step = &ready->step;
    switch (step->at) {
    case LM_SPLIT_AT_REGEX:
        return lm_text_pattern_find(ready->pattern, matcher, text, from, out_found, out_start,
                                    out_end, err);
    case LM_SPLIT_AT_TEXT:
        *out_found = find_text(text, step->text, from, out_start, out_end);
        return LOAM_OK;
    default: *out_found = find_character(step->at, text, from, out_start, out_end); return LOAM_OK;
    }
}

/* ------------------------------------------------------------------------------------------------- cutting */

/* Puts pieces, found ones and those between, together by the behavior, into stretches that begin at `base`. */
typedef struct cutter {
    const lm_pretokenizer_step *step;
    lm_stretches *out;
    size_t base, first; /* first: index of this stretch's first piece in out */
    bool last_was_found, has_last;
} cutter;

static LM_MUST_USE bool push_piece(cutter *c, size_t start, size_t end) {
    return start == end ||
           lm_vec_push(c->out,
                       ((lm_stretch){(uint32_t)(c->base + start), (uint32_t)(c->base + end)}));
}

static void extend_last(cutter *c, size_t end) {
    c->out->ptr[c->out->len - 1].end = (uint32_t)(c->base + end);
}

/* Pieces come from left to right, without gaps. Empty ones only count as found. */
static LM_MUST_USE bool add_piece(cutter *c, size_t start, size_t end, bool is_found) {
    bool found = is_found != c->step->inverted, was_found = c->has_last && c->last_was_found;
    bool has_stretch = c->out->len > c->first;
    bool joins = false;
    switch (c->step->behavior) {
    case LM_SPLIT_REMOVED:
        if (found) return true;
        break;
    case LM_SPLIT_CONTIGUOUS: joins = c->has_last && found == was_found; break;
    case LM_SPLIT_MERGED_WITH_PREVIOUS: joins = found && c->has_last && !was_found; break;
    case LM_SPLIT_MERGED_WITH_NEXT: joins = !found && was_found; break;
    default: break;
    }
    c->has_last = true;
    c->last_was_found = found;
    if (!joins || !has_stretch) return push_piece(c, start, end);
    extend_last(c, end);
    return true;
}

static size_t char_bytes_at(lm_str text, size_t at) {
    return at < text.len ? lm_utf8_char_bytes(text.ptr + at, text.len - at) : 1;
}

/* Cuts the stretch by the step. */
static LM_MUST_USE loam_status cut_stretch(const ready_step *ready, lm_text_matcher *matcher,
                                           lm_str text, lm_stretch stretch, lm_stretches *out,
                                           loam_error *err) {
    lm_str part = {text.ptr + stretch.start, stretch.end - stretch.start};
    cutter c = {.step = &ready->step, .out = out, .base = stretch.start, .first = out->len};
    size_t done = 0;
    for (size_t at = 0; at < part.len;) {
        bool found = false;
        size_t start = 0, end = 0;
        LM_TRY(find(ready, matcher, part, at, &found, &start, &end, err));
        if (!found) break;
        at = end > start ? end : end + char_bytes_at(part, end);
        if (end == start && (start == done || start == part.len)) continue; /* cuts nothing */
        if (start > done && !add_piece(&c, done, start, false))
            return lm_error_no_memory(err, out->len);
        if (!add_piece(&c, start, end, true)) return lm_error_no_memory(err, out->len);
        done = end;
    }
    if (done < part.len && !add_piece(&c, done, part.len, false))
        return lm_error_no_memory(err, out->len);
    return LOAM_OK;
}

static LM_MUST_USE loam_status cut_length(size_t length, lm_str text, lm_stretch stretch,
                                          lm_stretches *out, loam_error *err) {
    uint32_t start = stretch.start, at = start;
    for (size_t n = 1; at < stretch.end; n++) {
        at += (uint32_t)lm_utf8_char_bytes(text.ptr + at, stretch.end - at);
        if (n % length != 0 && at < stretch.end) continue;
        if (!lm_vec_push(out, ((lm_stretch){start, at}))) return lm_error_no_memory(err, out->len);
        start = at;
    }
    return LOAM_OK;
}

/* ------------------------------------------------------------------------------------------------- rewriting */

/* `text` with every space spelled anew. */
static void spell_spaces(lm_str text, lm_str spelling, lm_buf *out) {
    size_t done = 0;
    for (const char *space;
         done < text.len && (space = memchr(text.ptr + done, ' ', text.len - done)) != NULL;) {
        lm_buf_append(out, text.ptr + done, (size_t)(space - text.ptr) - done);
        lm_buf_append(out, spelling.ptr, spelling.len);
        done = (size_t)(space - text.ptr) + 1;
    }
    lm_buf_append(out, text.ptr + done, text.len - done);
}

static bool wants_prefix(const lm_pretokenizer_step *step, lm_str part, bool is_first) {
    if (step->scheme == LM_PREPEND_NEVER || (step->scheme == LM_PREPEND_FIRST && !is_first))
        return false;
    return part.ptr[0] != ' ' && !lm_str_starts(part, step->text);
}

/* Appends what the step makes of the stretch's text. after_invalid: it goes on behind bytes that are no UTF-8. */
static void rewrite(const lm_pretokenizer_step *step, lm_str part, bool is_first,
                    bool after_invalid, lm_buf *out) {
    switch (step->kind) {
    case LM_PRETOKENIZER_PREFIX_SPACE:
        if (part.ptr[0] != ' ' && !after_invalid) lm_buf_putc(out, ' ');
        lm_buf_append(out, part.ptr, part.len);
        break;
    case LM_PRETOKENIZER_METASPACE:
        if (!after_invalid && wants_prefix(step, part, is_first))
            lm_buf_append(out, step->text.ptr, step->text.len);
        spell_spaces(part, step->text, out);
        break;
    default:
        for (size_t i = 0; i < part.len; i++) {
            char spelled[LM_UTF8_MAX_BYTES];
            size_t n = lm_utf8_encode(lm_bpe_char_of_byte((uint8_t)part.ptr[i]), spelled);
            lm_buf_append(out, spelled, n);
        }
    }
}

static bool is_invalid(lm_str text, lm_stretch stretch) {
    return lm_utf8_char_bytes(text.ptr + stretch.start, stretch.end - stretch.start) == 0;
}

static LM_MUST_USE loam_status rewrite_all(const lm_pretokenizer_step *step, bool is_first,
                                           lm_pretokens *out, loam_error *err) {
    bool after_invalid = false;
    lm_buf_reset(&out->rewritten);
    for (size_t i = 0; i < out->stretches.len; i++) {
        lm_stretch *stretch = &out->stretches.ptr[i];
        uint32_t start = (uint32_t)out->rewritten.len;
        lm_str part = {out->text.ptr + stretch->start, stretch->end - stretch->start};
        bool invalid = is_invalid(out->text, *stretch);
        if (invalid && step->kind != LM_PRETOKENIZER_BYTE_LEVEL)
            lm_buf_append(&out->rewritten, part.ptr, part.len);
        else
            rewrite(step, part, is_first && stretch->start == 0, after_invalid, &out->rewritten);
        after_invalid = invalid;
        *stretch = (lm_stretch){start, (uint32_t)out->rewritten.len};
    }
    LM_TRY(lm_buf_status(&out->rewritten, err));
    lm_buf old = out->written;
    out->written = out->rewritten;
    out->rewritten = old;
    out->text = (lm_str){lm_buf_cstr(&out->written), out->written.len};
    return LOAM_OK;
}

/* ------------------------------------------------------------------------------------------------- running */

static LM_MUST_USE loam_status cut_all(const ready_step *ready, lm_pretokens *out,
                                       loam_error *err) {
    out->next.len = 0;
    for (size_t i = 0; i < out->stretches.len; i++) {
        lm_stretch stretch = out->stretches.ptr[i];
        if (is_invalid(out->text, stretch)) {
            if (!lm_vec_push(&out->next, stretch)) return lm_error_no_memory(err, out->next.len);
        } else if (ready->step.kind == LM_PRETOKENIZER_LENGTH) {
            LM_TRY(cut_length(ready->step.length, out->text, stretch, &out->next, err));
        } else {
            LM_TRY(cut_stretch(ready, &out->matcher, out->text, stretch, &out->next, err));
        }
    }
    lm_stretches old = out->stretches;
    out->stretches = out->next;
    out->next = old;
    return LOAM_OK;
}

/* Valid and invalid stretches by turns. */
static LM_MUST_USE loam_status cut_invalid(lm_str text, lm_pretokens *out, loam_error *err) {
    out->text = text;
    out->stretches.len = 0;
    if (text.len > 0 && lm_utf8_is_valid(text))
        return lm_vec_push(&out->stretches, ((lm_stretch){0, (uint32_t)text.len}))
                   ? LOAM_OK
                   : lm_error_no_memory(err, sizeof(lm_stretch));
    size_t at = 0;
    for (bool valid = true; at < text.len; valid = !valid) {
        size_t n = lm_utf8_run_bytes(text.ptr + at, text.len - at, valid);
        lm_stretch stretch = {(uint32_t)at, (uint32_t)(at + n)};
        at += n;
        if (n > 0 && !lm_vec_push(&out->stretches, stretch))
            return lm_error_no_memory(err, out->stretches.len);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status run_step(const ready_step *ready, bool is_first, lm_pretokens *out,
                                        loam_error *err) {
    const lm_pretokenizer_step *step = &ready->step;
    if (step->kind == LM_PRETOKENIZER_SPLIT || step->kind == LM_PRETOKENIZER_LENGTH)
        return cut_all(ready, out, err);
    LM_TRY(rewrite_all(step, is_first, out, err));
    if (step->kind != LM_PRETOKENIZER_METASPACE || !step->cuts) return LOAM_OK;
    ready_step cut = {.step = {.kind = LM_PRETOKENIZER_SPLIT,
                               .at = LM_SPLIT_AT_TEXT,
                               .behavior = LM_SPLIT_MERGED_WITH_NEXT,
                               .text = step->text}};
    return cut_all(&cut, out, err);
}

loam_status lm_pretokenizer_run(const lm_pretokenizer *pretokenizer, lm_str text, bool is_first,
                                lm_pretokens *out, loam_error *err) {
    if (text.len > UINT32_MAX / 4)
        return lm_error_set(err, LOAM_LIMIT, "text of %zu bytes", text.len);
    LM_TRY(cut_invalid(text, out, err));
    for (size_t i = 0; i < pretokenizer->n; i++)
        LM_TRY(run_step(&pretokenizer->steps[i], is_first, out, err));
    return LOAM_OK;
}
