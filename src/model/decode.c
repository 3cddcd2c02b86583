#include "model/decode.h"

#include "base/mem.h"
#include "model/text_pattern.h"
#include "model/tokenizer_spec.h"
#include "model/utf8.h"

typedef struct ready_step {
    lm_decoder_step step;
    lm_normalizer *replace; /* REPLACE is the normalizer's */
} ready_step;

struct lm_decoder {
    lm_decoder_whole whole;
    size_t n;
    ready_step steps[];
};

/* ------------------------------------------------------------------------------------------------- steps */

int lm_decoder_byte_of_token(lm_str text) {
    static const char digits[] = "0123456789abcdef";
    if (text.len != 6 || !lm_str_starts(text, LM_STR("<0x")) || text.ptr[5] != '>') return -1;
    const char *high = memchr(digits, text.ptr[3] | 0x20, 16),
               *low = memchr(digits, text.ptr[4] | 0x20, 16);
    return high && low ? (int)(16 * (high - digits) + (low - digits)) : -1;
}

static void put_all(lm_str text, lm_buf *out) {
    lm_buf_append(out, text.ptr, text.len);
}

/* A token with a character that stands for no byte is taken literally, as other implementations do. */
static void spell_bytes(lm_str text, lm_buf *out) {
    size_t before = out->len;
    for (size_t at = 0; at < text.len;) {
        size_t n = lm_utf8_char_bytes(text.ptr + at, text.len - at);
        int byte = n ? lm_bpe_byte_of_char(lm_utf8_decode(text.ptr + at, n)) : -1;
        if (byte < 0) {
            out->len = before;
            put_all(text, out);
            return;
        }
        lm_buf_putc(out, (char)byte);
        at += n;
    }
}

static void put_replaced(lm_str text, lm_str from, lm_str to, lm_buf *out) {
    for (size_t at = 0; at < text.len;) {
        if (from.len && lm_str_starts((lm_str){text.ptr + at, text.len - at}, from)) {
            put_all(to, out);
            at += from.len;
        } else {
            lm_buf_putc(out, text.ptr[at++]);
        }
    }
}

/* English as tokenizers tidies it up. */
static void put_clean(lm_str text, lm_buf *out) {
    static const struct {
        const char *from, *to;
    } rows[] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
                {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
                {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t at = 0; at < text.len;) {
        lm_str rest = {text.ptr + at, text.len - at};
        size_t i = 0;
        while (i < LM_COUNT_OF(rows) && !lm_str_starts(rest, lm_str_of(rows[i].from))) i++;
        if (i < LM_COUNT_OF(rows)) {
            lm_buf_puts(out, rows[i].to);
            at += strlen(rows[i].from);
        } else {
            lm_buf_putc(out, text.ptr[at++]);
        }
    }
}

static void spell_wordpiece(lm_str prefix, lm_str text, bool is_first, lm_buf *out) {
    if (!is_first && prefix.len && lm_str_starts(text, prefix))
        text = (lm_str){text.ptr + prefix.len, text.len - prefix.len};
    else if (!is_first)
        lm_buf_putc(out, ' ');
    put_all(text, out);
}

static lm_str strip(const lm_decoder_step *step, lm_str text) {
    for (size_t i = 0; i < step->start && step->text.len && lm_str_starts(text, step->text); i++)
        text = (lm_str){text.ptr + step->text.len, text.len - step->text.len};
    for (size_t i = 0; i < step->stop && step->text.len && lm_str_ends(text, step->text); i++)
        text.len -= step->text.len;
    return text;
}

static void spell_step(const lm_decoder_step *step, lm_str text, bool is_first, lm_buf *out) {
    int byte = -1;
    switch (step->kind) {
    case LM_DECODER_BYTE_LEVEL: spell_bytes(text, out); break;
    case LM_DECODER_METASPACE:
        put_replaced(text, step->text, is_first && step->drops ? LM_STR("") : LM_STR(" "), out);
        break;
    case LM_DECODER_WORDPIECE: spell_wordpiece(step->text, text, is_first, out); break;
    case LM_DECODER_CLEAN: put_clean(text, out); break;
    case LM_DECODER_BYTE_FALLBACK:
        byte = lm_decoder_byte_of_token(text);
        if (byte >= 0)
            lm_buf_putc(out, (char)byte);
        else
            put_all(text, out);
        break;
    case LM_DECODER_STRIP: put_all(strip(step, text), out); break;
    case LM_DECODER_CTC:
        if (!lm_str_equal(text, step->text)) put_all(text, out);
        break;
    case LM_DECODER_SUFFIX: put_replaced(text, step->text, LM_STR(" "), out); break;
    case LM_DECODER_JOIN:
        if (!is_first) lm_buf_putc(out, ' ');
        put_all(text, out);
        break;
    default: put_all(text, out);
    }
}

/* ------------------------------------------------------------------------------------------------- making */

/* A step on the whole text. */
static LM_MUST_USE loam_status add_whole(const lm_decoder_step *step, lm_decoder_whole *whole,
                                         loam_error *err) {
    if (step->kind == LM_DECODER_FUSE) return LOAM_OK;
    if (step->kind != LM_DECODER_STRIP || step->text.len != 1)
        return lm_error_set(err, LOAM_UNSUPPORTED,
                            "a decoder that does more to the whole text than to strip characters");
    if (step->start) whole->front = step->text.ptr[0];
    if (step->stop) whole->back = step->text.ptr[0];
    whole->n_front += step->start;
    whole->n_back += step->stop;
    return LOAM_OK;
}

static void note_first(const lm_decoder_step *step, lm_decoder_whole *whole) {
    if (step->kind == LM_DECODER_WORDPIECE || step->kind == LM_DECODER_JOIN ||
        (step->kind == LM_DECODER_METASPACE && step->drops))
        whole->first_differs = true;
    if (step->kind == LM_DECODER_CTC) whole->drops_repeats = true;
    if (step->kind == LM_DECODER_SUFFIX) {
        whole->back = ' ';
        whole->n_back = 1;
    }
}

static LM_MUST_USE loam_status add_step(lm_decoder *decoder, const lm_decoder_step *step,
                                        loam_error *err) {
    ready_step *ready = &decoder->steps[decoder->n++];
    ready->step = *step;
    note_first(step, &decoder->whole);
    if (step->kind != LM_DECODER_REPLACE) return LOAM_OK;
    lm_normalizer_step replace = {.kind = LM_NORMALIZER_REPLACE,
                                  .pattern = step->pattern,
                                  .is_regex = step->is_regex,
                                  .text = step->text};
    lm_normalizer_steps one = {.ptr = &replace, .len = 1};
    return lm_normalizer_new(&one, NULL, &ready->replace, err);
}

/* Replacing behind BYTE_LEVEL is done token by token: what it looks for does not reach over tokens in practice. */
static bool works_by_token(const lm_decoder_step *step) {
    return step->kind == LM_DECODER_REPLACE;
}

loam_status lm_decoder_new(const lm_decoder_steps *steps, lm_decoder **out, loam_error *err) {
    lm_decoder *made = lm_calloc(1, sizeof *made + steps->len * sizeof *made->steps);
    if (!made) return lm_error_no_memory(err, sizeof *made);
    loam_status status = LOAM_OK;
    bool is_whole = false;
    for (size_t i = 0; i < steps->len && status == LOAM_OK; i++) {
        const lm_decoder_step *step = &steps->ptr[i];
        if (is_whole && !works_by_token(step))
            status = add_whole(step, &made->whole, err);
        else
            status = add_step(made, step, err);
        if (step->kind == LM_DECODER_FUSE || step->kind == LM_DECODER_BYTE_LEVEL) is_whole = true;
    }
    if (status != LOAM_OK) {
        lm_decoder_free(made);
        return status;
    }
    *out = made;
    return LOAM_OK;
}

void lm_decoder_free(lm_decoder *decoder) {
    if (!decoder) return;
    for (size_t i = 0; i < decoder->n; i++) lm_normalizer_free(decoder->steps[i].replace);
    lm_free(decoder);
}

const lm_decoder_whole *lm_decoder_of_whole(const lm_decoder *decoder) {
    return &decoder->whole;
}

void lm_decoder_scratch_init(lm_decoder_scratch *scratch) {
    lm_buf_init(&scratch->from, UINT32_MAX);
    lm_buf_init(&scratch->to, UINT32_MAX);
}

void lm_decoder_scratch_deinit(lm_decoder_scratch *scratch) {
    lm_buf_deinit(&scratch->from);
    lm_buf_deinit(&scratch->to);
}

static LM_MUST_USE loam_status replace(const ready_step *ready, lm_str text, lm_buf *out,
                                       loam_error *err) {
    lm_normalizer_scratch scratch;
    lm_str replaced;
    lm_normalizer_scratch_init(&scratch);
    loam_status status = lm_normalizer_run(ready->replace, text, &scratch, &replaced, err);
    if (status == LOAM_OK) put_all(replaced, out);
    lm_normalizer_scratch_deinit(&scratch);
    return status;
}

loam_status lm_decoder_spell(const lm_decoder *decoder, lm_str token, bool is_first,
                             lm_decoder_scratch *scratch, lm_buf *out, loam_error *err) {
    for (size_t i = 0; i < decoder->n; i++) {
        const ready_step *ready = &decoder->steps[i];
        lm_buf old = scratch->from;
        lm_buf_reset(&scratch->to);
        if (!ready->replace)
            spell_step(&ready->step, token, is_first, &scratch->to);
        else if (!ready->step.is_regex)
            put_replaced(token, ready->step.pattern, ready->step.text, &scratch->to);
        else
            LM_TRY(replace(ready, token, &scratch->to, err));
        LM_TRY(lm_buf_status(&scratch->to, err));
        scratch->from = scratch->to;
        scratch->to = old;
        token = (lm_str){lm_buf_cstr(&scratch->from), scratch->from.len};
    }
    put_all(token, out);
    return lm_buf_status(out, err);
}
