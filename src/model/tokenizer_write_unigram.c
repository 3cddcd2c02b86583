/* What GGUF and tokenizer.json say of SentencePiece's Unigram: GGUF by flags, tokenizer.json by steps. */
#include <sodium.h>

#include "base/mem.h"
#include "model/tokenizer_spec.h"
#include "model/tokenizer_writers.h"

/* Runs of spaces become one, as transformers writes SentencePiece's removal of extra white space. */
static const char runs_of_spaces[] = " {2,}";

/* One step, as GGUF and SentencePiece have it. */
static bool is_one_step(const lm_tokenizer_spec *spec, lm_unigram_steps *out) {
    if (spec->normalizer.len != 1 || spec->pretokenizer.len != 0) return false;
    const lm_normalizer_step *step = &spec->normalizer.ptr[0];
    *out = (lm_unigram_steps){step->pattern, step->squeezes, step->prefixes};
    return step->kind == LM_NORMALIZER_SENTENCEPIECE && step->escapes && !step->suffixes;
}

/* Steps as tokenizer.json has them: a map of characters, spaces squeezed in one way or another, "▁" for a space. */
static bool is_json_steps(const lm_tokenizer_spec *spec, lm_unigram_steps *out) {
    size_t n = spec->pretokenizer.len;
    *out = (lm_unigram_steps){0};
    for (size_t i = 0; i < spec->normalizer.len; i++) {
        const lm_normalizer_step *step = &spec->normalizer.ptr[i];
        bool is_map = step->kind == LM_NORMALIZER_CHARSMAP && i == 0,
             squeezes =
                 step->kind == LM_NORMALIZER_REPLACE && lm_str_is(step->pattern, runs_of_spaces);
        if (!is_map && !squeezes && step->kind != LM_NORMALIZER_STRIP) return false;
        if (is_map) out->charsmap = step->pattern;
        out->squeezes |= squeezes;
    }
    const lm_pretokenizer_step *last = n ? &spec->pretokenizer.ptr[n - 1] : NULL,
                               *first = n == 2 ? &spec->pretokenizer.ptr[0] : NULL;
    bool words = first && first->kind == LM_PRETOKENIZER_SPLIT && first->at == LM_SPLIT_AT_SPACE &&
                 first->behavior == LM_SPLIT_REMOVED;
    out->squeezes |= words;
    out->prefixes = last && last->scheme != LM_PREPEND_NEVER;
    return last && last->kind == LM_PRETOKENIZER_METASPACE && lm_str_is(last->text, LM_SPM_SPACE) &&
           n <= 2 && (!first || words);
}

bool lm_tokenizer_spec_is_unigram(const lm_tokenizer_spec *spec, lm_unigram_steps *out) {
    return spec->kind == LM_TOKENIZER_UNIGRAM && !spec->byte_fallback &&
           (is_one_step(spec, out) || is_json_steps(spec, out));
}

/* --- tokenizer.json. */

static json_t *map_json(lm_str charsmap) {
    size_t n = sodium_base64_ENCODED_LEN(charsmap.len, sodium_base64_VARIANT_ORIGINAL);
    char *text = lm_alloc(n);
    if (!text) return NULL;
    sodium_bin2base64(text, n, (const unsigned char *)charsmap.ptr, charsmap.len,
                      sodium_base64_VARIANT_ORIGINAL);
    json_t *step = json_pack("{s:s, s:s}", "type", "Precompiled", "precompiled_charsmap", text);
    lm_free(text);
    return step;
}

json_t *lm_tokenizer_unigram_normalizer(const lm_unigram_steps *steps) {
    json_t *list = json_array();
    if (steps->charsmap.len) json_array_append_new(list, map_json(steps->charsmap));
    if (steps->squeezes) {
        json_array_append_new(
            list, json_pack("{s:s, s:b, s:b}", "type", "Strip", "strip_left", 0, "strip_right", 1));
        json_array_append_new(list, json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern",
                                              "Regex", runs_of_spaces, "content", LM_SPM_SPACE));
    }
    return json_pack("{s:s, s:o}", "type", "Sequence", "normalizers", list);
}

json_t *lm_tokenizer_unigram_metaspace(const lm_unigram_steps *steps) {
    return json_pack("{s:s, s:s, s:s, s:b}", "type", "Metaspace", "replacement", LM_SPM_SPACE,
                     "prepend_scheme", steps->prefixes ? "always" : "never", "split", 1);
}

json_t *lm_tokenizer_unigram_model(const lm_tokenizer_spec *spec) {
    json_t *vocab = json_array();
    for (size_t id = 0; id < lm_tokenizer_spec_n_used(spec); id++) {
        const lm_token *token = &spec->tokens.ptr[id];
        json_array_append_new(
            vocab,
            json_pack("[o, f]", json_stringn(token->text.ptr, token->text.len), token->score));
    }
    return json_pack("{s:s, s:o, s:o, s:b}", "type", "Unigram", "unk_id",
                     spec->unk >= 0 ? json_integer(spec->unk) : json_null(), "vocab", vocab,
                     "byte_fallback", 0);
}
