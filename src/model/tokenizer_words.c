/* Looking words up instead of encoding them: most words of a text are one token, and most of the rest were met before.
 * Whether a word gives exactly its own token is found out when it is first met, once for all calls. */
#include "model/tokenizer_impl.h"

#include "base/mem.h"

enum { STATE_UNKNOWN, STATE_WHOLE, STATE_PARTS };

loam_status lm_words_index(lm_tokenizer *tokenizer,
                           lm_str (*key_of)(const lm_tokenizer *tokenizer, int32_t id),
                           loam_error *err) {
    size_t n = tokenizer->spec.tokens.len;
    tokenizer->words = lm_text_index_new(n);
    tokenizer->word_states = lm_calloc(n, 1);
    if (!tokenizer->words || !tokenizer->word_states) return lm_error_no_memory(err, n);
    for (size_t id = 0; id < n; id++) {
        lm_str key = key_of(tokenizer, (int32_t)id);
        if (key.len > 0) lm_text_index_add(tokenizer->words, key, (int32_t)id);
    }
    return LOAM_OK;
}

static lm_cached_word *cache_slot(const lm_encode_scratch *scratch, uint64_t hash) {
    return scratch->cache ? &scratch->cache[hash % LM_WORD_CACHE_SLOTS] : NULL;
}

static bool is_cached(const lm_cached_word *slot, lm_str word, uint64_t hash) {
    return slot && slot->hash == hash && slot->len == word.len && word.len > 0 &&
           memcmp(slot->word, word.ptr, word.len) == 0;
}

static void keep(lm_cached_word *slot, lm_str word, uint64_t hash, const int32_t *ids, size_t n) {
    if (!slot || word.len > LM_CACHED_WORD_BYTES || n > LM_CACHED_WORD_IDS) return;
    slot->hash = hash;
    slot->len = (uint8_t)word.len;
    slot->n_ids = (uint8_t)n;
    memcpy(slot->word, word.ptr, word.len);
    memcpy(slot->ids, ids, n * sizeof *ids);
}

static LM_MUST_USE bool push_all(lm_vec_i32 *ids, const int32_t *more, size_t n) {
    if (n == 0) return true;
    if (!lm_vec_reserve(ids, n)) return false;
    memcpy(ids->ptr + ids->len, more, n * sizeof *more);
    ids->len += n;
    return true;
}

static LM_MUST_USE bool encode_new(const lm_tokenizer *tokenizer, lm_str word, uint64_t hash,
                                   int32_t whole, lm_encode_scratch *scratch, lm_vec_i32 *ids) {
    size_t before = ids->len;
    scratch->met_unknown = false;
    if (!tokenizer->ops->encode_word(tokenizer, word, scratch, ids)) return false;
    size_t n = ids->len - before;
    if (whole >= 0) {
        bool is_whole = n == 1 && ids->ptr[before] == whole && !scratch->met_unknown;
        __atomic_store_n(&tokenizer->word_states[whole], is_whole ? STATE_WHOLE : STATE_PARTS,
                         __ATOMIC_RELAXED);
    }
    if (!scratch->met_unknown && n > 0)
        keep(cache_slot(scratch, hash), word, hash, ids->ptr + before, n);
    return true;
}

bool lm_words_encode(const lm_tokenizer *tokenizer, lm_str word, lm_encode_scratch *scratch,
                     lm_vec_i32 *ids) {
    uint64_t hash = lm_text_hash(word);
    int32_t whole = lm_text_index_get(tokenizer->words, word, hash);
    if (whole >= 0 &&
        (tokenizer->spec.ignore_merges ||
         __atomic_load_n(&tokenizer->word_states[whole], __ATOMIC_RELAXED) == STATE_WHOLE)) {
        scratch->after_unknown = false;
        return lm_vec_push(ids, whole);
    }
    const lm_cached_word *slot = cache_slot(scratch, hash);
    if (is_cached(slot, word, hash)) {
        scratch->after_unknown = false;
        return push_all(ids, slot->ids, slot->n_ids);
    }
    return encode_new(tokenizer, word, hash, whole, scratch, ids);
}

bool lm_encode_bytes(const lm_tokenizer *tokenizer, lm_str text, lm_vec_i32 *ids, bool *out_done) {
    *out_done = false;
    for (size_t i = 0; i < text.len; i++) {
        if (tokenizer->byte_ids[(uint8_t)text.ptr[i]] < 0) return true;
    }
    *out_done = true;
    for (size_t i = 0; i < text.len; i++) {
        if (!lm_vec_push(ids, tokenizer->byte_ids[(uint8_t)text.ptr[i]])) return false;
    }
    return true;
}

loam_status lm_tokens_trie(const lm_tokenizer *tokenizer, bool (*is_in)(const lm_token *token),
                           lm_token_trie **out, loam_error *err) {
    const lm_tokenizer_spec *spec = &tokenizer->spec;
    lm_trie_entry *entries = lm_calloc(spec->tokens.len, sizeof *entries);
    size_t n = 0;
    if (!entries) return lm_error_no_memory(err, spec->tokens.len * sizeof *entries);
    for (size_t id = 0; id < spec->tokens.len; id++) {
        const lm_token *token = &spec->tokens.ptr[id];
        if (token->text.len > 0 && is_in(token))
            entries[n++] = (lm_trie_entry){token->text, (int32_t)id};
    }
    *out = lm_token_trie_new(entries, n);
    lm_free(entries);
    return *out ? LOAM_OK : lm_error_no_memory(err, n);
}
