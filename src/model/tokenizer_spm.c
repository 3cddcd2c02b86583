/* SentencePiece BPE: spaces are spelled "▁", whole characters merge, by the score of what they make or by ranked
 * merges, and characters without a token fall back to their bytes. Source: Kudo and Richardson, arXiv:1808.06226.
 */
#include "base/mem.h"
#include "model/tokenizer_impl.h"
#include "model/utf8.h"

static void spell(lm_str text, lm_buf *out) {
    const lm_str space = LM_STR(LM_SPM_SPACE);
    for (size_t i = 0; i < text.len;) {
        if (lm_str_starts((lm_str){text.ptr + i, text.len - i}, space)) {
            lm_buf_putc(out, ' ');
            i += space.len;
        } else {
            lm_buf_putc(out, text.ptr[i++]);
        }
    }
}

static bool may_be_made(lm_token_type type) {
    return type == LM_TOKEN_NORMAL || type == LM_TOKEN_USER_DEFINED;
}

/* Where the first word of escaped text ends: before a space that does not follow another one. */
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

static LM_MUST_USE loam_status prepare(lm_tokenizer *tokenizer, loam_error *err) {
    const lm_tokenizer_spec *spec = &tokenizer->spec;
    tokenizer->pieces = lm_map_new();
    tokenizer->words_apart = true;
    if (!tokenizer->pieces) return lm_error_no_memory(err, sizeof(void *));
    for (size_t id = 0; id < spec->tokens.len; id++) {
        const lm_token *token = &spec->tokens.ptr[id];
        uint64_t there;
        if (!may_be_made(token->type) || token->text.len == 0) continue;
        if (lm_map_get(tokenizer->pieces, token->text, &there)) continue;
        if (!lm_map_set(tokenizer->pieces, token->text, id))
            return lm_error_no_memory(err, token->text.len);
        if (token->text.len > tokenizer->max_piece_bytes)
            tokenizer->max_piece_bytes = token->text.len;
        if (word_bytes(token->text) < token->text.len) tokenizer->words_apart = false;
    }
    return LOAM_OK;
}

/* ------------------------------------------------------------------------------------------------- encoding */

typedef struct score_rule {
    const lm_tokenizer *tokenizer;
    const char *text;
} score_rule;

static int32_t find_piece(const lm_tokenizer *tokenizer, lm_str text) {
    uint64_t id;
    return lm_map_get(tokenizer->pieces, text, &id) ? (int32_t)id : -1;
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

static bool wants_prefix(lm_space_prefix rule, lm_str text, bool is_first) {
    switch (rule) {
    case LM_SPACE_PREFIX_EACH: return true;
    case LM_SPACE_PREFIX_EACH_IF_ABSENT: return text.ptr[0] != ' ';
    case LM_SPACE_PREFIX_FIRST_IF_ABSENT: return is_first && text.ptr[0] != ' ';
    default: return false;
    }
}

static void escape(const lm_tokenizer *tokenizer, lm_str text, bool is_first, lm_buf *out) {
    lm_buf_reset(out);
    if (wants_prefix(tokenizer->spec.space_prefix, text, is_first)) lm_buf_puts(out, LM_SPM_SPACE);
    size_t done = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != ' ') continue;
        lm_buf_append(out, text.ptr + done, i - done);
        lm_buf_puts(out, LM_SPM_SPACE);
        done = i + 1;
    }
    lm_buf_append(out, text.ptr + done, text.len - done);
}

static LM_MUST_USE bool push_characters(const lm_tokenizer *tokenizer, lm_str text,
                                        lm_merger *merger) {
    lm_merger_reset(merger);
    for (size_t at = 0; at < text.len;) {
        size_t n = lm_utf8_char_bytes(text.ptr + at, text.len - at);
        if (n == 0) n = 1; /* a byte that is no UTF-8 */
        int32_t id = find_piece(tokenizer, (lm_str){text.ptr + at, n});
        if (!lm_merger_push(merger, (uint32_t)at, (uint32_t)n, id)) return false;
        at += n;
    }
    return true;
}

/* A symbol without token: its bytes, or one unk for a row of them; without unk it is lost. */
static LM_MUST_USE bool emit_unknown(const lm_tokenizer *tokenizer, lm_str text, bool after_unknown,
                                     lm_vec_i32 *ids) {
    bool fall_back = tokenizer->spec.byte_fallback;
    for (size_t i = 0; i < text.len && fall_back; i++)
        fall_back = tokenizer->byte_ids[(uint8_t)text.ptr[i]] >= 0;
    if (!fall_back)
        return after_unknown || tokenizer->spec.unk < 0 || lm_vec_push(ids, tokenizer->spec.unk);
    for (size_t i = 0; i < text.len; i++) {
        if (!lm_vec_push(ids, tokenizer->byte_ids[(uint8_t)text.ptr[i]])) return false;
    }
    return true;
}

/* *unknown: whether the last symbol had no token, from word to word. */
static LM_MUST_USE bool emit(const lm_tokenizer *tokenizer, const char *text,
                             const lm_merger *merger, bool *unknown, lm_vec_i32 *ids) {
    for (int32_t i = merger->symbols.len ? 0 : -1; i >= 0; i = merger->symbols.ptr[i].next) {
        const lm_symbol *symbol = &merger->symbols.ptr[i];
        lm_str piece = {text + symbol->start, symbol->len};
        if (symbol->id >= 0 ? !lm_vec_push(ids, symbol->id)
                            : !emit_unknown(tokenizer, piece, *unknown, ids))
            return false;
        *unknown = symbol->id < 0;
    }
    return true;
}

static LM_MUST_USE bool encode_word(const lm_tokenizer *tokenizer, lm_str word, lm_merger *merger,
                                    bool *unknown, lm_vec_i32 *ids) {
    score_rule by_score = {tokenizer, word.ptr};
    lm_merge_rule rule = tokenizer->merges ? lm_merge_by_table : merge_by_score;
    const void *context = tokenizer->merges ? (const void *)tokenizer->merges : &by_score;
    return push_characters(tokenizer, word, merger) && lm_merger_run(merger, rule, context) &&
           emit(tokenizer, word.ptr, merger, unknown, ids);
}

static LM_MUST_USE loam_status encode(const lm_tokenizer *tokenizer, lm_str text, bool is_first,
                                      lm_encode_scratch *scratch, lm_vec_i32 *ids,
                                      loam_error *err) {
    escape(tokenizer, text, is_first, &scratch->text);
    LM_TRY(lm_buf_status(&scratch->text, err));
    lm_str rest = lm_buf_view(&scratch->text);
    for (bool unknown = false; rest.len > 0;) {
        size_t n = tokenizer->words_apart ? word_bytes(rest) : rest.len;
        if (!encode_word(tokenizer, (lm_str){rest.ptr, n}, &scratch->merger, &unknown, ids))
            return lm_error_no_memory(err, n * sizeof(lm_symbol));
        rest = (lm_str){rest.ptr + n, rest.len - n};
    }
    return LOAM_OK;
}

const lm_tokenizer_ops lm_tokenizer_ops_spm = {
    .name = "spm", .spell = spell, .prepare = prepare, .encode = encode};
