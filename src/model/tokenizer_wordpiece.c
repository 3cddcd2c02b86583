/* WordPiece: from left to right the longest token that fits; a word that cannot be cut into tokens is unk as a whole.
 * Source: Devlin et al., arXiv:1810.04805.
 */
#include "model/tokenizer_impl.h"
#include "model/utf8.h"

static bool is_piece(const lm_token *token) {
    return token->in_model;
}

static lm_str word_of(const lm_tokenizer *tokenizer, int32_t id) {
    lm_str text = tokenizer->spec.tokens.ptr[id].text, prefix = tokenizer->spec.word_prefix;
    if (!is_piece(&tokenizer->spec.tokens.ptr[id]) || !lm_str_starts(text, prefix))
        return LM_STR("");
    return (lm_str){text.ptr + prefix.len, text.len - prefix.len};
}

static loam_status prepare(lm_tokenizer *tokenizer, loam_error *err) {
    LM_TRY(lm_tokens_trie(tokenizer, is_piece, &tokenizer->trie, err));
    tokenizer->has_words =
        lm_token_trie_find(tokenizer->trie, tokenizer->spec.word_prefix, &tokenizer->word_root);
    tokenizer->has_inners =
        lm_token_trie_find(tokenizer->trie, tokenizer->spec.inner_prefix, &tokenizer->inner_root);
    return lm_words_index(tokenizer, word_of, err);
}

static bool is_too_long(const lm_tokenizer *tokenizer, lm_str word) {
    size_t n = 0;
    for (size_t i = 0; i < word.len; i++) n += ((uint8_t)word.ptr[i] & 0xc0) != 0x80;
    return n > tokenizer->spec.max_word_chars;
}

static LM_MUST_USE bool give_up(const lm_tokenizer *tokenizer, size_t before, lm_vec_i32 *ids) {
    ids->len = before;
    return tokenizer->spec.unk < 0 || lm_vec_push(ids, tokenizer->spec.unk);
}

static bool encode_word(const lm_tokenizer *tokenizer, lm_str word, lm_encode_scratch *scratch,
                        lm_vec_i32 *ids) {
    size_t before = ids->len;
    if (is_too_long(tokenizer, word)) return give_up(tokenizer, before, ids);
    for (size_t at = 0; at < word.len;) {
        size_t len = 0;
        lm_str rest = {word.ptr + at, word.len - at};
        uint32_t root = at == 0 ? tokenizer->word_root : tokenizer->inner_root;
        bool has_any = at == 0 ? tokenizer->has_words : tokenizer->has_inners;
        int32_t id = has_any ? lm_token_trie_longest(tokenizer->trie, root, rest, &len) : -1;
        if (id < 0) return give_up(tokenizer, before, ids);
        if (!lm_vec_push(ids, id)) return false;
        at += len;
    }
    return true;
}

const lm_tokenizer_ops lm_tokenizer_ops_wordpiece = {
    .name = "wordpiece", .prepare = prepare, .encode = lm_words_encode, .encode_word = encode_word};
