#include "model/added_tokens.h"

#include "base/mem.h"
#include "model/char_class.h"
#include "model/token_trie.h"
#include "model/utf8.h"

struct lm_added_tokens {
    const lm_tokenizer_spec *spec;
    lm_token_trie *all, *plain; /* plain: without control and unknown tokens */
    bool first[256];            /* bytes that one of them begins with */
};

static bool is_plain(const lm_tokenizer_spec *spec, int32_t id) {
    return spec->tokens.ptr[id].type == LM_TOKEN_USER_DEFINED;
}

static lm_token_trie *make_trie(const lm_tokenizer_spec *spec, const lm_added_token *tokens,
                                size_t n, bool only_plain) {
    lm_trie_entry *entries = lm_calloc(n + 1, sizeof *entries);
    size_t n_entries = 0;
    if (!entries) return NULL;
    for (size_t i = 0; i < n; i++) {
        if (tokens[i].text.len == 0 || (only_plain && !is_plain(spec, tokens[i].id))) continue;
        entries[n_entries++] = (lm_trie_entry){tokens[i].text, tokens[i].id};
    }
    lm_token_trie *trie = lm_token_trie_new(entries, n_entries);
    lm_free(entries);
    return trie;
}

lm_added_tokens *lm_added_tokens_new(const lm_tokenizer_spec *spec, const lm_added_token *tokens,
                                     size_t n) {
    lm_added_tokens *added = lm_calloc(1, sizeof *added);
    if (!added) return NULL;
    added->spec = spec;
    added->all = make_trie(spec, tokens, n, false);
    added->plain = make_trie(spec, tokens, n, true);
    if (!added->all || !added->plain) {
        lm_added_tokens_free(added);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (tokens[i].text.len > 0) added->first[(uint8_t)tokens[i].text.ptr[0]] = true;
    }
    return added;
}

void lm_added_tokens_free(lm_added_tokens *added) {
    if (!added) return;
    lm_token_trie_free(added->all);
    lm_token_trie_free(added->plain);
    lm_free(added);
}

static bool is_word_at(lm_str text, size_t at) {
    size_t n = at < text.len ? lm_utf8_char_bytes(text.ptr + at, text.len - at) : 0;
    return n && lm_char_is_word(lm_utf8_decode(text.ptr + at, n));
}

static bool is_word_before(lm_str text, size_t at) {
    size_t n = lm_utf8_last_char_bytes((lm_str){text.ptr, at});
    return n && lm_char_is_word(lm_utf8_decode(text.ptr + at - n, n));
}

static size_t skip_space(lm_str text, size_t at) {
    for (size_t n; at < text.len && (n = lm_utf8_char_bytes(text.ptr + at, text.len - at)) > 0;
         at += n) {
        if (!lm_char_is_space(lm_utf8_decode(text.ptr + at, n))) break;
    }
    return at;
}

static size_t skip_space_back(lm_str text, size_t at, size_t first) {
    for (size_t n; at > first && (n = lm_utf8_last_char_bytes((lm_str){text.ptr, at})) > 0;
         at -= n) {
        if (!lm_char_is_space(lm_utf8_decode(text.ptr + at - n, n))) break;
    }
    return at < first ? first : at;
}

int32_t lm_added_tokens_next(const lm_added_tokens *added, lm_str text, size_t from,
                             bool parse_special, size_t *out_start, size_t *out_end) {
    const lm_token_trie *trie = parse_special ? added->all : added->plain;
    for (size_t at = from; at < text.len;) {
        size_t len = 0;
        if (!added->first[(uint8_t)text.ptr[at]]) {
            at++;
            continue;
        }
        int32_t id = lm_token_trie_longest(trie, 0, (lm_str){text.ptr + at, text.len - at}, &len);
        if (id < 0) {
            at++;
            continue;
        }
        const lm_token *token = &added->spec->tokens.ptr[id];
        size_t start = at, end = at + len;
        at = end;
        if (token->single_word && (is_word_before(text, start) || is_word_at(text, end))) continue;
        *out_start = token->lstrip ? skip_space_back(text, start, from) : start;
        *out_end = token->rstrip ? skip_space(text, end) : end;
        return id;
    }
    return -1;
}
