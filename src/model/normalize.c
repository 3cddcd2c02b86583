#include "model/normalize.h"

#include <utf8proc.h>

#include "base/mem.h"
#include "model/char_class.h"
#include "model/charsmap.h"
#include "model/tokenizer_spec.h"
#include "model/utf8.h"

enum {
    MAX_MAPPED_CLUSTER_BYTES = 6, /* tokenizers asks the map for shorter clusters whole */
    MAX_DECOMPOSED_CHARS = 32,    /* of one character; U+FDFA has the most, 18 */
    MAX_COMBINING_CLASS = 254,
};

typedef struct ready_step {
    lm_normalizer_step step;
    lm_text_pattern *pattern;
    lm_charsmap map;
    const lm_token_trie *symbols;
} ready_step;

struct lm_normalizer {
    size_t n;
    ready_step steps[];
};

/* Appends what the step makes of text. */
typedef loam_status (*step_runner)(const ready_step *step, lm_str text, lm_text_matcher *matcher,
                                   lm_buf *out, loam_error *err);

/* ------------------------------------------------------------------------------------------------- by character */

static void put_char(uint32_t c, lm_buf *out) {
    char bytes[LM_UTF8_MAX_BYTES];
    lm_buf_append(out, bytes, lm_utf8_encode(c, bytes));
}

/* SentencePiece's "nmt" rules: some control characters go, more kinds of space become ' '. */
static void put_nmt(uint32_t c, lm_str bytes, lm_buf *out) {
    bool is_dropped = (c >= 0x1 && c <= 0x8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f ||
                      c == 0x8f || c == 0x9f;
    bool is_space = c == 0x9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 ||
                    (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                    c == 0xfeff || c == 0xfffd;
    if (is_space)
        lm_buf_putc(out, ' ');
    else if (!is_dropped)
        lm_buf_append(out, bytes.ptr, bytes.len);
}

static void put_kept(bool is_kept, lm_str bytes, lm_buf *out) {
    if (is_kept) lm_buf_append(out, bytes.ptr, bytes.len);
}

static void put_character(lm_normalizer_kind kind, uint32_t c, lm_str bytes, lm_buf *out) {
    switch (kind) {
    case LM_NORMALIZER_STRIP_ACCENTS: put_kept(!lm_char_is_mark(c), bytes, out); break;
    case LM_NORMALIZER_BERT_ACCENTS: put_kept(!lm_char_is_bert_accent(c), bytes, out); break;
    case LM_NORMALIZER_BERT_CLEAN:
        if (lm_char_is_bert_dropped(c)) break;
        if (lm_char_is_space(c))
            lm_buf_putc(out, ' ');
        else
            lm_buf_append(out, bytes.ptr, bytes.len);
        break;
    case LM_NORMALIZER_BERT_IDEOGRAPHS:
        if (!lm_char_is_bert_ideograph(c)) {
            lm_buf_append(out, bytes.ptr, bytes.len);
            break;
        }
        lm_buf_putc(out, ' ');
        lm_buf_append(out, bytes.ptr, bytes.len);
        lm_buf_putc(out, ' ');
        break;
    default: put_nmt(c, bytes, out);
    }
}

/* Where printable ASCII ends, which no step by character changes. */
static size_t plain_bytes(lm_str text) {
    size_t n = 0;
    while (n < text.len && text.ptr[n] >= 0x20 && text.ptr[n] < 0x7f) n++;
    return n;
}

static loam_status run_by_character(const ready_step *step, lm_str text, lm_text_matcher *matcher,
                                    lm_buf *out, loam_error *err) {
    for (size_t at = 0; at < text.len;) {
        lm_str rest = {text.ptr + at, text.len - at};
        size_t n = plain_bytes(rest);
        if (n == 0) n = lm_utf8_char_bytes(rest.ptr, rest.len);
        if (n > 1 && (uint8_t)rest.ptr[0] < 0x80)
            lm_buf_append(out, rest.ptr, n);
        else if (n > 0)
            put_character(step->step.kind, lm_utf8_decode(rest.ptr, n), (lm_str){rest.ptr, n}, out);
        else
            lm_buf_putc(out, rest.ptr[0]);
        at += n ? n : 1;
    }
    return LOAM_OK;
}

static loam_status run_lowercase(const ready_step *step, lm_str text, lm_text_matcher *matcher,
                                 lm_buf *out, loam_error *err) {
    for (size_t at = 0; at < text.len;) {
        size_t n = lm_utf8_char_bytes(text.ptr + at, text.len - at);
        if (n == 0) {
            lm_buf_putc(out, text.ptr[at++]);
            continue;
        }
        uint32_t lower[2];
        int n_lower = lm_char_lower(lm_utf8_decode(text.ptr + at, n), lower);
        for (int i = 0; i < n_lower; i++) put_char(lower[i], out);
        at += n;
    }
    return LOAM_OK;
}

static loam_status run_byte_level(const ready_step *step, lm_str text, lm_text_matcher *matcher,
                                  lm_buf *out, loam_error *err) {
    for (size_t i = 0; i < text.len; i++) put_char(lm_bpe_char_of_byte((uint8_t)text.ptr[i]), out);
    return LOAM_OK;
}

/* ------------------------------------------------------------------------------------------------- whole texts */

static utf8proc_option_t options_of(lm_normalizer_kind kind) {
    switch (kind) {
    case LM_NORMALIZER_NFC: return UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    case LM_NORMALIZER_NFD: return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    case LM_NORMALIZER_NFKC: return UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    default: return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
    }
}

static size_t ascii_bytes(lm_str text) {
    size_t n = 0;
    while (n < text.len && (uint8_t)text.ptr[n] < 0x80) n++;
    return n;
}

/* Where text stops being valid UTF-8 that the normal forms know. */
static size_t normal_bytes(lm_str text) {
    size_t at = 0;
    while (at < text.len) {
        size_t n = lm_utf8_char_bytes(text.ptr + at, text.len - at);
        if (n == 0 || (n > 1 && lm_char_is_young_normal(lm_utf8_decode(text.ptr + at, n)))) break;
        at += n;
    }
    return at;
}

static LM_MUST_USE loam_status decompose(lm_str text, utf8proc_option_t options, lm_vec_i32 *out,
                                         loam_error *err) {
    for (size_t at = 0; at < text.len;) {
        utf8proc_int32_t parts[MAX_DECOMPOSED_CHARS];
        int boundary = 0;
        size_t n_bytes = lm_utf8_char_bytes(text.ptr + at, text.len - at);
        utf8proc_ssize_t n =
            utf8proc_decompose_char((utf8proc_int32_t)lm_utf8_decode(text.ptr + at, n_bytes), parts,
                                    MAX_DECOMPOSED_CHARS, options, &boundary);
        for (utf8proc_ssize_t i = 0; i < n; i++)
            if (!lm_vec_push(out, parts[i])) return lm_error_no_memory(err, text.len);
        at += n_bytes;
    }
    return LOAM_OK;
}

static int combining_class(int32_t c) {
    return utf8proc_get_property(c)->combining_class;
}

/* Stable, and linear: utf8proc's own way of ordering takes seconds for a long run of marks. */
static void order_marks(int32_t *marks, size_t n, int32_t *spare) {
    size_t begin[MAX_COMBINING_CLASS + 2] = {0};
    for (size_t i = 0; i < n; i++) begin[combining_class(marks[i]) + 1]++;
    for (int c = 0; c <= MAX_COMBINING_CLASS; c++) begin[c + 1] += begin[c];
    for (size_t i = 0; i < n; i++) spare[begin[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, spare, n * sizeof *marks);
}

/* The canonical ordering of the Unicode standard, 3.11: every run of marks by its classes. */
static LM_MUST_USE loam_status order_all_marks(lm_vec_i32 *chars, loam_error *err) {
    int32_t *spare = NULL;
    for (size_t i = 0; i < chars->len; i++) {
        size_t begin = i;
        bool is_ordered = true;
        for (int last = 0, class; i < chars->len && (class = combining_class(chars->ptr[i])) > 0;
             i++, last = class)
            is_ordered &= class >= last;
        if (is_ordered) continue;
        if (!spare) spare = lm_alloc(chars->len * sizeof *spare);
        if (!spare) return lm_error_no_memory(err, chars->len * sizeof *spare);
        order_marks(chars->ptr + begin, i - begin, spare);
    }
    lm_free(spare);
    return LOAM_OK;
}

static LM_MUST_USE loam_status put_normal(lm_normalizer_kind kind, lm_str text, lm_buf *out,
                                          loam_error *err) {
    lm_vec_i32 chars = {0};
    loam_status status = decompose(text, options_of(kind), &chars, err);
    if (status == LOAM_OK) status = order_all_marks(&chars, err);
    utf8proc_ssize_t n = (utf8proc_ssize_t)chars.len;
    if (status == LOAM_OK) n = utf8proc_normalize_utf32(chars.ptr, n, options_of(kind));
    for (utf8proc_ssize_t i = 0; i < n && status == LOAM_OK; i++)
        put_char((uint32_t)chars.ptr[i], out);
    lm_vec_deinit(&chars);
    return status;
}

static loam_status run_unicode(const ready_step *step, lm_str text, lm_text_matcher *matcher,
                               lm_buf *out, loam_error *err) {
    if (ascii_bytes(text) == text.len) {
        lm_buf_append(out, text.ptr, text.len);
        return LOAM_OK;
    }
    for (size_t at = 0; at < text.len;) {
        lm_str rest = {text.ptr + at, text.len - at};
        size_t n = normal_bytes(rest);
        if (n > 0) LM_TRY(put_normal(step->step.kind, (lm_str){rest.ptr, n}, out, err));
        at += n;
        if (at == text.len) break;
        n = lm_utf8_char_bytes(text.ptr + at, text.len - at);
        lm_buf_append(out, text.ptr + at, n ? n : 1);
        at += n ? n : 1;
    }
    return LOAM_OK;
}

/* Bytes of the white space character that text begins (or ends) with; 0 when it does not. */
static size_t space_at_start(lm_str text) {
    size_t n = text.len ? lm_utf8_char_bytes(text.ptr, text.len) : 0;
    return n && lm_char_is_space(lm_utf8_decode(text.ptr, n)) ? n : 0;
}

static size_t space_at_end(lm_str text) {
    size_t n = lm_utf8_last_char_bytes(text);
    return n && lm_char_is_space(lm_utf8_decode(text.ptr + text.len - n, n)) ? n : 0;
}

static loam_status run_strip(const ready_step *step, lm_str text, lm_text_matcher *matcher,
                             lm_buf *out, loam_error *err) {
    for (size_t n; step->step.left && (n = space_at_start(text)) > 0;)
        text = (lm_str){text.ptr + n, text.len - n};
    for (size_t n; step->step.right && (n = space_at_end(text)) > 0;) text.len -= n;
    lm_buf_append(out, text.ptr, text.len);
    return LOAM_OK;
}

static loam_status run_prepend(const ready_step *step, lm_str text, lm_text_matcher *matcher,
                               lm_buf *out, loam_error *err) {
    if (text.len > 0) lm_buf_append(out, step->step.text.ptr, step->step.text.len);
    lm_buf_append(out, text.ptr, text.len);
    return LOAM_OK;
}

static void replace_literal(const lm_normalizer_step *step, lm_str text, lm_buf *out) {
    size_t done = 0;
    for (const char *found; step->pattern.len && done < text.len;
         done = (size_t)(found - text.ptr) + step->pattern.len) {
        found = memmem(text.ptr + done, text.len - done, step->pattern.ptr, step->pattern.len);
        if (!found) break;
        lm_buf_append(out, text.ptr + done, (size_t)(found - text.ptr) - done);
        lm_buf_append(out, step->text.ptr, step->text.len);
    }
    lm_buf_append(out, text.ptr + done, text.len - done);
}

static LM_MUST_USE loam_status replace_matches(const ready_step *step, lm_str text,
                                               lm_text_matcher *matcher, lm_buf *out,
                                               loam_error *err) {
    size_t done = 0;
    for (size_t at = 0; at <= text.len;) {
        bool found = false;
        size_t start = 0, end = 0;
        LM_TRY(lm_text_pattern_find(step->pattern, matcher, text, at, &found, &start, &end, err));
        if (!found) break;
        lm_buf_append(out, text.ptr + done, start - done);
        lm_buf_append(out, step->step.text.ptr, step->step.text.len);
        done = end;
        at = end;
        if (end == start) /* behind an empty match the next character is passed over */
            at += end < text.len ? lm_utf8_char_bytes(text.ptr + end, text.len - end) : 1;
    }
    lm_buf_append(out, text.ptr + done, text.len - done);
    return LOAM_OK;
}

static loam_status run_replace(const ready_step *step, lm_str text, lm_text_matcher *matcher,
                               lm_buf *out, loam_error *err) {
    if (!step->step.is_regex) {
        replace_literal(&step->step, text, out);
        return LOAM_OK;
    }
    for (size_t at = 0; at < text.len;) {
        size_t n = lm_utf8_run_bytes(text.ptr + at, text.len - at, false);
        lm_buf_append(out, text.ptr + at, n);
        at += n;
        n = lm_utf8_run_bytes(text.ptr + at, text.len - at, true);
        if (n > 0) LM_TRY(replace_matches(step, (lm_str){text.ptr + at, n}, matcher, out, err));
        at += n;
    }
    return LOAM_OK;
}

/* ------------------------------------------------------------------------------------------------- maps */

/* Bytes of the grapheme cluster that text begins with; text is valid UTF-8. */
static size_t cluster_bytes(lm_str text) {
    size_t at = lm_utf8_char_bytes(text.ptr, text.len);
    utf8proc_int32_t state = 0, before = (utf8proc_int32_t)lm_utf8_decode(text.ptr, at);
    while (at < text.len) {
        size_t n = lm_utf8_char_bytes(text.ptr + at, text.len - at);
        if (n == 0) break;
        utf8proc_int32_t c = (utf8proc_int32_t)lm_utf8_decode(text.ptr + at, n);
        if (utf8proc_grapheme_break_stateful(before, c, &state)) break;
        before = c;
        at += n;
    }
    return at;
}

static void map_by_character(const lm_charsmap *map, lm_str cluster, lm_buf *out) {
    for (size_t at = 0; at < cluster.len;) {
        size_t n = lm_utf8_char_bytes(cluster.ptr + at, cluster.len - at), len;
        lm_str c = {cluster.ptr + at, n}, become;
        if (lm_charsmap_match(map, c, true, &len, &become)) c = become;
        lm_buf_append(out, c.ptr, c.len);
        at += n;
    }
}

/* A short cluster that begins with something the map knows becomes that, whole; else each character does. */
static loam_status run_charsmap(const ready_step *step, lm_str text, lm_text_matcher *matcher,
                                lm_buf *out, loam_error *err) {
    for (size_t at = 0; at < text.len;) {
        size_t len, n = lm_utf8_char_bytes(text.ptr + at, text.len - at);
        if (n == 0) {
            lm_buf_putc(out, text.ptr[at++]);
            continue;
        }
        lm_str become,
            cluster = {text.ptr + at, cluster_bytes((lm_str){text.ptr + at, text.len - at})};
        if (cluster.len < MAX_MAPPED_CLUSTER_BYTES &&
            lm_charsmap_match(&step->map, cluster, true, &len, &become))
            lm_buf_append(out, become.ptr, become.len);
        else
            map_by_character(&step->map, cluster, out);
        at += cluster.len;
    }
    return LOAM_OK;
}

/* A symbol as it is, the longest sequence the map knows, or one character or byte as it is. */
static lm_str next_mapped(const ready_step *step, lm_str text, size_t *out_len) {
    lm_str become;
    if (step->symbols && lm_token_trie_longest(step->symbols, 0, text, out_len) >= 0)
        return (lm_str){text.ptr, *out_len};
    if (lm_charsmap_match(&step->map, text, false, out_len, &become)) return become;
    size_t n = lm_utf8_char_bytes(text.ptr, text.len);
    *out_len = n ? n : 1;
    return (lm_str){text.ptr, *out_len};
}

/* Text with spaces as SentencePiece writes them. */
typedef struct space_writer {
    const lm_normalizer_step *step;
    lm_buf *out;
    bool after_space;
} space_writer;

static void put_space(space_writer *writer) {
    if (writer->step->escapes)
        lm_buf_puts(writer->out, LM_SPM_SPACE);
    else
        lm_buf_putc(writer->out, ' ');
}

static void put_mapped(space_writer *writer, lm_str text) {
    for (size_t i = 0; i < text.len; i++) {
        bool is_space = text.ptr[i] == ' ';
        if (!is_space)
            lm_buf_putc(writer->out, text.ptr[i]);
        else if (!writer->after_space || !writer->step->squeezes)
            put_space(writer);
        writer->after_space = is_space;
    }
}

/* Takes away spaces at the end of what was written from `start` on. */
static void drop_last_spaces(const space_writer *writer, size_t start) {
    lm_str space = writer->step->escapes ? LM_STR(LM_SPM_SPACE) : LM_STR(" ");
    lm_buf *out = writer->out;
    while (out->len > start && lm_str_ends((lm_str){out->ptr + start, out->len - start}, space))
        out->len -= space.len;
}

static loam_status run_sentencepiece(const ready_step *step, lm_str text, lm_text_matcher *matcher,
                                     lm_buf *out, loam_error *err) {
    const lm_normalizer_step *s = &step->step;
    size_t start = out->len;
    space_writer writer = {.step = s, .out = out, .after_space = s->squeezes};
    size_t at = 0, n = 0;
    while (s->squeezes && at < text.len &&
           lm_str_is(next_mapped(step, (lm_str){text.ptr + at, text.len - at}, &n), " "))
        at += n; /* white space in front goes before the prefix comes */
    if (at == text.len) return LOAM_OK;
    if (s->prefixes) put_space(&writer);
    for (; at < text.len; at += n)
        put_mapped(&writer, next_mapped(step, (lm_str){text.ptr + at, text.len - at}, &n));
    if (s->squeezes) drop_last_spaces(&writer, start);
    if (s->suffixes) put_space(&writer);
    return LOAM_OK;
}

/* ------------------------------------------------------------------------------------------------- running */

static const step_runner runners[LM_NORMALIZER_KIND_COUNT] = {
#define LM_NORMALIZER(id, run) [LM_NORMALIZER_##id] = run,
#include "model/normalizers.def"
#undef LM_NORMALIZER
};

static LM_MUST_USE loam_status make_ready(const lm_normalizer_step *step,
                                          const lm_token_trie *symbols, ready_step *out,
                                          loam_error *err) {
    out->step = *step;
    out->symbols = symbols;
    if (step->kind == LM_NORMALIZER_REPLACE && step->is_regex)
        return lm_text_pattern_new(step->pattern, &out->pattern, err);
    if (step->kind == LM_NORMALIZER_CHARSMAP || step->kind == LM_NORMALIZER_SENTENCEPIECE)
        return lm_charsmap_init(&out->map, step->pattern, err);
    return LOAM_OK;
}

loam_status lm_normalizer_new(const lm_normalizer_steps *steps, const lm_token_trie *symbols,
                              lm_normalizer **out, loam_error *err) {
    lm_normalizer *made = lm_calloc(1, sizeof *made + steps->len * sizeof *made->steps);
    if (!made) return lm_error_no_memory(err, sizeof *made);
    loam_status status = LOAM_OK;
    for (size_t i = 0; i < steps->len && status == LOAM_OK; i++) {
        status = make_ready(&steps->ptr[i], symbols, &made->steps[i], err);
        made->n++;
    }
    if (status != LOAM_OK) {
        lm_normalizer_free(made);
        return status;
    }
    *out = made;
    return LOAM_OK;
}

void lm_normalizer_free(lm_normalizer *normalizer) {
    if (!normalizer) return;
    for (size_t i = 0; i < normalizer->n; i++) lm_text_pattern_free(normalizer->steps[i].pattern);
    lm_free(normalizer);
}

void lm_normalizer_scratch_init(lm_normalizer_scratch *scratch) {
    *scratch = (lm_normalizer_scratch){0};
    lm_buf_init(&scratch->from, UINT32_MAX);
    lm_buf_init(&scratch->to, UINT32_MAX);
}

void lm_normalizer_scratch_deinit(lm_normalizer_scratch *scratch) {
    lm_buf_deinit(&scratch->from);
    lm_buf_deinit(&scratch->to);
    lm_text_matcher_deinit(&scratch->matcher);
}

loam_status lm_normalizer_run(const lm_normalizer *normalizer, lm_str text,
                              lm_normalizer_scratch *scratch, lm_str *out, loam_error *err) {
    for (size_t i = 0; i < normalizer->n; i++) {
        const ready_step *step = &normalizer->steps[i];
        lm_buf old = scratch->from;
        lm_buf_reset(&scratch->to);
        LM_TRY(runners[step->step.kind](step, text, &scratch->matcher, &scratch->to, err));
        LM_TRY(lm_buf_status(&scratch->to, err));
        scratch->from = scratch->to;
        scratch->to = old;
        text = (lm_str){lm_buf_cstr(&scratch->from), scratch->from.len};
    }
    *out = text;
    return LOAM_OK;
}
