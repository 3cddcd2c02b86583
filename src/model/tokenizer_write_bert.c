/* What GGUF and tokenizer.json say of BERT's WordPiece: both mean the same steps, and mark tokens otherwise: GGUF those that
 * begin a word, tokenizer.json those inside one. */
#include "model/tokenizer_spec.h"
#include "model/tokenizer_writers.h"

static bool has_step(const lm_tokenizer_spec *spec, lm_normalizer_kind kind) {
    for (size_t i = 0; i < spec->normalizer.len; i++)
        if (spec->normalizer.ptr[i].kind == kind) return true;
    return false;
}

static bool has_steps_of(const lm_tokenizer_spec *spec, const lm_tokenizer_spec *wanted) {
    if (spec->normalizer.len != wanted->normalizer.len ||
        spec->pretokenizer.len != wanted->pretokenizer.len)
        return false;
    for (size_t i = 0; i < wanted->normalizer.len; i++)
        if (spec->normalizer.ptr[i].kind != wanted->normalizer.ptr[i].kind) return false;
    for (size_t i = 0; i < wanted->pretokenizer.len; i++) {
        const lm_pretokenizer_step *a = &spec->pretokenizer.ptr[i],
                                   *b = &wanted->pretokenizer.ptr[i];
        if (a->kind != b->kind || a->at != b->at || a->behavior != b->behavior) return false;
    }
    return true;
}

loam_status lm_tokenizer_spec_is_bert(const lm_tokenizer_spec *spec, lm_bert_steps *out,
                                      bool *out_is, loam_error *err) {
    lm_tokenizer_spec wanted;
    const lm_bert_steps steps = {.strips_accents = has_step(spec, LM_NORMALIZER_BERT_ACCENTS),
                                 .lowers = has_step(spec, LM_NORMALIZER_LOWERCASE)};
    *out_is = false;
    LM_TRY(lm_tokenizer_spec_init(&wanted, LM_TOKENIZER_WORDPIECE, err));
    loam_status status = lm_tokenizer_spec_normalize_bert(&wanted, true, true, steps.strips_accents,
                                                          steps.lowers, err);
    if (status == LOAM_OK) status = lm_tokenizer_spec_cut_bert(&wanted, err);
    if (status == LOAM_OK)
        *out_is = spec->kind == LM_TOKENIZER_WORDPIECE && spec->after.len == 1 &&
                  spec->before.len <= 1 && has_steps_of(spec, &wanted);
    *out = steps;
    lm_tokenizer_spec_deinit(&wanted);
    return status;
}

/* The text without its mark; *out_begins: it begins a word. */
static lm_str bare_text(const lm_tokenizer_spec *spec, int32_t id, bool *out_begins) {
    lm_str text = spec->tokens.ptr[id].text, begin = spec->word_prefix, in = spec->inner_prefix;
    lm_str mark = LM_STR("");
    *out_begins = begin.len > 0 ? lm_str_starts(text, begin) : !lm_str_starts(text, in);
    if (*out_begins || begin.len == 0) mark = *out_begins ? begin : in;
    return (lm_str){text.ptr + mark.len, text.len - mark.len};
}

void lm_tokenizer_spec_put_piece(const lm_tokenizer_spec *spec, int32_t id, const char *word_mark,
                                 const char *inner_mark, lm_buf *out) {
    bool begins, is_whole = spec->tokens.ptr[id].type == LM_TOKEN_CONTROL ||
                            spec->tokens.ptr[id].type == LM_TOKEN_UNKNOWN;
    lm_str text = bare_text(spec, id, &begins);
    lm_buf_reset(out);
    if (is_whole) text = spec->tokens.ptr[id].text;
    if (!is_whole) lm_buf_puts(out, begins ? word_mark : inner_mark);
    lm_buf_append(out, text.ptr, text.len);
}
