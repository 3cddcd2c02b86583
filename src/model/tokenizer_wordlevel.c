/* Word level: every word is one token, or unk. */
#include "model/tokenizer_impl.h"

static lm_str text_of(const lm_tokenizer *tokenizer, int32_t id) {
    const lm_token *token = &tokenizer->spec.tokens.ptr[id];
    return token->in_model ? token->text : LM_STR("");
}

static loam_status prepare(lm_tokenizer *tokenizer, loam_error *err) {
    return lm_words_index(tokenizer, text_of, err);
}

static bool encode(const lm_tokenizer *tokenizer, lm_str word, lm_encode_scratch *scratch,
                   lm_vec_i32 *ids) {
    int32_t id = lm_text_index_get(tokenizer->words, word, lm_text_hash(word));
    if (id < 0) id = tokenizer->spec.unk;
    return id < 0 || lm_vec_push(ids, id);
}

const lm_tokenizer_ops lm_tokenizer_ops_wordlevel = {
    .name = "wordlevel", .prepare = prepare, .encode = encode};
