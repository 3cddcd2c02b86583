/* BPE of characters: whole characters merge, by the score of what they make (SentencePiece) or by ranked merges, and
 * those without a token fall back to their bytes or to unk. Spaces are mostly spelled "▁", by a step before.
 * Sources: Kudo and Richardson, arXiv:1808.06226; Sennrich et al., arXiv:1508.07909.
 */
#include "base/mem.h"
#include "model/tokenizer_impl.h"
#include "model/utf8.h"

static bool may_be_made(const lm_token *token) {
    return token->type == LM_TOKEN_NORMAL || token->type == LM_TOKEN_USER_DEFINED;
}

/* Where the first word of text ends: before a space, spelled "▁", that does not follow another one. */
static size_t word_bytes(lm_str text) {
    const lm_str space = LM_STR(LM_SPM_SPACE);
    bool after_space = true;
    for (size_t at = 0; at < text.len;) {
        bool is_space = lm_str_starts((lm_str){text.ptr + at, text.len - at}, space);
        if (is_space && !after_space) return at;
        after_space = is_space;
        at += is_space ? space.len : 1;
    }
    return text.len;
}

static lm_str piece_of(const lm_tokenizer *tokenizer, int32_t id) {
    const lm_token *token = &tokenizer->spec.tokens.ptr[id];
    return may_be_made(token) ? token->text : LM_STR("");
}

static LM_MUST_USE loam_status index_pieces(lm_tokenizer *tokenizer, loam_error *err) {
    const lm_tokenizer_spec *spec = &tokenizer->spec;
    tokenizer->words_apart = !spec->inner_prefix.len && !spec->word_suffix.len &&
                             lm_tokenizer_spec_find(spec, LM_STR(LM_SPM_SPACE)) >= 0;
    tokenizer->pieces = lm_text_index_new(spec->tokens.len);
    if (!tokenizer->pieces) return lm_error_no_memory(err, spec->tokens.len);
    for (size_t id = 0; id < spec->tokens.len; id++) {
        lm_str text = piece_of(tokenizer, (int32_t)id);
        if (text.len == 0) continue;
        lm_text_index_add(tokenizer->pieces, text, (int32_t)id);
        if (text.len > tokenizer->max_piece_bytes) tokenizer->max_piece_bytes = text.len;
        if (word_bytes(text) < text.len) tokenizer->words_apart = false;
    }
    return LOAM_OK;
}

static loam_status prepare(lm_tokenizer *tokenizer, loam_error *err) {
    LM_TRY(index_pieces(tokenizer, err));
    return lm_words_index(tokenizer, piece_of, err);
}

/* ------------------------------------------------------------------------------------------------- merging */

typedef struct score_rule {
    const lm_tokenizer *tokenizer;
    const char *text;
} score_rule;

static int32_t find_piece(const lm_tokenizer *tokenizer, lm_str text) {
    return lm_text_index_get(tokenizer->pieces, text, lm_text_hash(text));
}

static bool merge_by_score(const void *context, const lm_symbol *left, const lm_symbol *right,
                           double *out_cost, int32_t *out_result) {
    const score_rule *rule = context;
    lm_str both = {rule->text + left->start, (size_t)left->len + right->len};
    if (both.len > rule->tokenizer->max_piece_bytes) return false;
    int32_t id = find_piece(rule->tokenizer, both);
    if (id < 0) return false;
    *out_cost = -rule->tokenizer->spec.tokens.ptr[id].score;
    *out_result = id;
    return true;
}

/* The token of a character, with what the vocabulary writes around those inside and at the end of a word. */
static int32_t find_character(const lm_tokenizer *tokenizer, lm_str c, bool is_first,
                              bool is_last) {
    const lm_tokenizer_spec *spec = &tokenizer->spec;
    lm_str prefix = is_first ? LM_STR("") : spec->inner_prefix,
           suffix = is_last ? spec->word_suffix : LM_STR("");
    char text[LM_UTF8_MAX_BYTES + 128];
    if (prefix.len + suffix.len == 0) return find_piece(tokenizer, c);
    if (prefix.len + c.len + suffix.len > sizeof text) return -1;
    memcpy(text, prefix.ptr, prefix.len);
    memcpy(text + prefix.len, c.ptr, c.len);
    memcpy(text + prefix.len + c.len, suffix.ptr, suffix.len);
    return find_piece(tokenizer, (lm_str){text, prefix.len + c.len + suffix.len});
}

/* A character without token, where merges are ranked: its bytes, which may merge too, or unk, which goes on over
 * neighbours if so wished; without unk it is lost. */
static LM_MUST_USE bool push_unknown(const lm_tokenizer *tokenizer, lm_str text, size_t at,
                                     size_t n, lm_merger *merger) {
    bool falls_back = tokenizer->spec.byte_fallback;
    int32_t unk = tokenizer->spec.unk;
    for (size_t i = at; i < at + n && falls_back; i++)
        falls_back = tokenizer->byte_ids[(uint8_t)text.ptr[i]] >= 0;
    for (size_t i = at; i < at + n && falls_back; i++) {
        int32_t id = tokenizer->byte_ids[(uint8_t)text.ptr[i]];
        if (!lm_merger_push(merger, (uint32_t)i, 1, id)) return false;
    }
    if (falls_back || unk < 0) return true;
    size_t n_symbols = merger->symbols.len;
    lm_symbol *last = n_symbols ? &merger->symbols.ptr[n_symbols - 1] : NULL;
    if (!last || !tokenizer->spec.fuse_unk || last->id != unk || last->start + last->len != at)
        return lm_merger_push(merger, (uint32_t)at, (uint32_t)n, unk);
    last->len += (uint32_t)n;
    return true;
}

static LM_MUST_USE bool push_characters(const lm_tokenizer *tokenizer, lm_str text,
                                        lm_merger *merger) {
    lm_merger_reset(merger);
    for (size_t at = 0, n; at < text.len; at += n) {
        n = lm_utf8_char_bytes(text.ptr + at, text.len - at);
        if (n == 0) n = 1; /* a byte that is no UTF-8 */
        int32_t id =
            find_character(tokenizer, (lm_str){text.ptr + at, n}, at == 0, at + n == text.len);
        bool ok = id < 0 && tokenizer->merges
                      ? push_unknown(tokenizer, text, at, n, merger)
                      : lm_merger_push(merger, (uint32_t)at, (uint32_t)n, id);
        if (!ok) return false;
    }
    return true;
}

/* The same for a symbol without token that is left when merging by scores is done. */
static LM_MUST_USE bool emit_unknown(const lm_tokenizer *tokenizer, lm_str text,
                                     lm_encode_scratch *scratch, lm_vec_i32 *ids) {
    bool done = false, fused = scratch->after_unknown && tokenizer->spec.fuse_unk;
    scratch->met_unknown = true;
    if (tokenizer->spec.byte_fallback && !lm_encode_bytes(tokenizer, text, ids, &done))
        return false;
    if (done) {
        scratch->after_unknown = false;
        return true;
    }
    scratch->after_unknown = true;
    return fused || tokenizer->spec.unk < 0 || lm_vec_push(ids, tokenizer->spec.unk);
}

static bool encode_word(const lm_tokenizer *tokenizer, lm_str word, lm_encode_scratch *scratch,
                        lm_vec_i32 *ids) {
    score_rule by_score = {tokenizer, word.ptr};
    lm_merge_rule rule = tokenizer->merges ? lm_merge_by_table : merge_by_score;
    const void *context = tokenizer->merges ? (const void *)tokenizer->merges : &by_score;
    lm_merger *merger = &scratch->merger;
    if (!push_characters(tokenizer, word, merger) || !lm_merger_run(merger, rule, context))
        return false;
    for (int32_t i = merger->symbols.len ? 0 : -1; i >= 0; i = merger->symbols.ptr[i].next) {
        const lm_symbol *symbol = &merger->symbols.ptr[i];
        lm_str piece = {word.ptr + symbol->start, symbol->len};
        if (symbol->id < 0) {
            if (!emit_unknown(tokenizer, piece, scratch, ids)) return false;
        } else {
            scratch->after_unknown = false;
            if (!lm_vec_push(ids, symbol->id)) return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------- stretches */

static LM_MUST_USE bool encode_words(const lm_tokenizer *tokenizer, lm_str rest,
                                     lm_encode_scratch *scratch, lm_vec_i32 *ids) {
    while (rest.len > 0) {
        size_t n = tokenizer->words_apart ? word_bytes(rest) : rest.len;
        if (!lm_words_encode(tokenizer, (lm_str){rest.ptr, n}, scratch, ids)) return false;
        rest = (lm_str){rest.ptr + n, rest.len - n};
    }
    return true;
}

static bool encode(const lm_tokenizer *tokenizer, lm_str stretch, lm_encode_scratch *scratch,
                   lm_vec_i32 *ids) {
    size_t done = 0;
    scratch->after_unknown = false;
    for (size_t at = 0; tokenizer->symbols && at < stretch.len;) {
        size_t len = 0;
        lm_str rest = {stretch.ptr + at, stretch.len - at};
        int32_t id = lm_token_trie_longest(tokenizer->symbols, 0, rest, &len);
        if (id < 0) {
            size_t n = lm_utf8_char_bytes(rest.ptr, rest.len);
            at += n ? n : 1;
            continue;
        }
        lm_str before = {stretch.ptr + done, at - done};
        if (!encode_words(tokenizer, before, scratch, ids) || !lm_vec_push(ids, id)) return false;
        scratch->after_unknown = false;
        done = at += len;
    }
    return encode_words(tokenizer, (lm_str){stretch.ptr + done, stretch.len - done}, scratch, ids);
}

const lm_tokenizer_ops lm_tokenizer_ops_spm = {
    .name = "spm", .prepare = prepare, .encode = encode, .encode_word = encode_word};
