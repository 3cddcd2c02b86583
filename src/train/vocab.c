#include "train/vocab.h"

#include "base/mem.h"
#include "model/tokenizer_spec.h"
#include "train/bpe_train.h"
#include "train/texts.h"

enum { N_SPECIAL = 2 };

static const char pre_tokenization[] = "gpt-2";

static loam_status add_words(lm_bpe_words *words, const lm_pretokenizer *pretokenizer,
                             lm_str document, lm_pretokens *pretokens, loam_error *err) {
    LM_TRY(lm_pretokenizer_run(pretokenizer, document, true, pretokens, err));
    for (size_t i = 0; i < pretokens->stretches.len; i++) {
        lm_stretch word = pretokens->stretches.ptr[i];
        if (!lm_bpe_words_add(words, (lm_str){document.ptr + word.start, word.end - word.start}))
            return lm_error_no_memory(err, word.end - word.start);
    }
    return LOAM_OK;
}

static loam_status open_pretokenizer(lm_pretokenizer **out, loam_error *err) {
    lm_pretokenizer_steps steps = {0};
    bool ok = lm_pretokenizer_add_preset(lm_pretokenizer_find(lm_str_of(pre_tokenization)), &steps);
    loam_status status =
        ok ? lm_pretokenizer_new(&steps, true, out, err) : lm_error_no_memory(err, sizeof steps);
    lm_vec_deinit(&steps);
    return status;
}

static loam_status collect_words(const lm_vocab_options *options, lm_bpe_words *words,
                                 loam_error *err) {
    lm_pretokenizer *pretokenizer = NULL;
    LM_TRY(open_pretokenizer(&pretokenizer, err));
    lm_pretokens pretokens;
    lm_pretokens_init(&pretokens);
    lm_str rest = options->text, document;
    if (rest.len > LM_VOCAB_SAMPLE_BYTES) rest.len = LM_VOCAB_SAMPLE_BYTES;
    loam_status status = LOAM_OK;
    while (status == LOAM_OK && lm_texts_next_document(&rest, options->separator, &document))
        status = add_words(words, pretokenizer, document, &pretokens, err);
    lm_pretokens_deinit(&pretokens);
    lm_pretokenizer_free(pretokenizer);
    return status;
}

static loam_status learn(const lm_vocab_options *options, lm_bpe_merges *merges, loam_error *err) {
    int64_t n_merges = options->vocab_size - LM_BPE_N_BYTES - N_SPECIAL;
    if (n_merges <= 0) return LOAM_OK;
    lm_bpe_words *words = lm_bpe_words_new();
    loam_status status = words ? collect_words(options, words, err) : lm_error_no_memory(err, 0);
    if (status == LOAM_OK) status = lm_bpe_learn(words, (int32_t)n_merges, merges, err);
    lm_bpe_words_free(words);
    return status;
}

static loam_status fill_spec(lm_tokenizer_spec *spec, const lm_bpe_merges *merges,
                             bool has_documents, loam_error *err) {
    LM_TRY(lm_tokenizer_spec_set_pre(spec, lm_str_of(pre_tokenization), err));
    LM_TRY(lm_tokenizer_spec_add_bytes(spec, err));
    for (size_t i = 0; i < merges->len; i++)
        LM_TRY(lm_tokenizer_spec_add_merged(spec, merges->ptr[i].left, merges->ptr[i].right, err));
    spec->bos = (int32_t)spec->tokens.len;
    LM_TRY(lm_tokenizer_spec_add_token(spec, LM_STR("<|bos|>"), LM_TOKEN_CONTROL, 0, err));
    LM_TRY(lm_tokenizer_spec_add_eos(spec, (int32_t)spec->tokens.len, err));
    LM_TRY(lm_tokenizer_spec_add_token(spec, LM_STR("<|eos|>"), LM_TOKEN_CONTROL, 0, err));
    spec->add_bos = has_documents;
    return LOAM_OK;
}

loam_status lm_vocab_make(const lm_vocab_options *options, lm_tokenizer **out, loam_error *err) {
    lm_bpe_merges merges = {0};
    lm_tokenizer_spec spec = {0};
    loam_status status = learn(options, &merges, err);
    if (status == LOAM_OK) status = lm_tokenizer_spec_init(&spec, LM_TOKENIZER_BPE, err);
    if (status == LOAM_OK) status = fill_spec(&spec, &merges, options->separator.len > 0, err);
    if (status == LOAM_OK) status = lm_tokenizer_new(&spec, out, err);
    lm_tokenizer_spec_deinit(&spec);
    lm_vec_deinit(&merges);
    return status;
}
