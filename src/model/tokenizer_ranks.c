#include "model/tokenizer_ranks.h"

#include <sodium.h>

#include "base/mem.h"
#include "model/text_index.h"
#include "model/utf8.h"

enum { MAX_RANKED_BYTES = 1 << 12, MAX_HOLES = 1 << 16 };

void lm_ranks_deinit(lm_ranked_tokens *tokens) {
    lm_vec_deinit(&tokens->list);
}

static LM_MUST_USE loam_status put(lm_tokenizer_spec *spec, lm_ranked_tokens *tokens, int64_t id,
                                   lm_str text, lm_token_type type, loam_error *err) {
    if (id < 0 || id >= LM_VOCAB_MAX_TOKENS)
        return lm_error_set(err, LOAM_INVALID, "a token has the id %lld", (long long)id);
    lm_ranked_token token = {lm_tokenizer_spec_copy(spec, text), type};
    size_t need = (size_t)id + 1;
    if (!token.text.ptr) return lm_error_no_memory(err, text.len);
    if (need > tokens->list.len) {
        size_t more = need - tokens->list.len;
        if (!lm_vec_reserve(&tokens->list, more))
            return lm_error_no_memory(err, need * sizeof token);
        memset(tokens->list.ptr + tokens->list.len, 0, more * sizeof token);
        tokens->list.len = need;
    }
    tokens->list.ptr[id] = token;
    tokens->n_put++;
    return LOAM_OK;
}

loam_status lm_ranks_put_bytes(lm_tokenizer_spec *spec, lm_ranked_tokens *tokens, int64_t id,
                               lm_str base64, loam_error *err) {
    unsigned char bytes[MAX_RANKED_BYTES];
    char spelled[2 * MAX_RANKED_BYTES];
    size_t n = 0, len = 0;
    if (id > (int64_t)tokens->n_put + MAX_HOLES)
        return lm_error_set(err, LOAM_INVALID, "token %zu has the id %lld", tokens->n_put,
                            (long long)id);
    if (sodium_base642bin(bytes, sizeof bytes, base64.ptr, base64.len, NULL, &n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        n == 0)
        return lm_error_set(err, LOAM_INVALID, "token %lld '%.*s' is no base64 of 1 to %d bytes",
                            (long long)id, (int)(base64.len < 40 ? base64.len : 40), base64.ptr,
                            MAX_RANKED_BYTES);
    for (size_t i = 0; i < n; i++) {
        char c[LM_UTF8_MAX_BYTES];
        size_t n_c = lm_utf8_encode(lm_bpe_char_of_byte(bytes[i]), c);
        memcpy(spelled + len, c, n_c);
        len += n_c;
    }
    return put(spec, tokens, id, (lm_str){spelled, len}, LM_TOKEN_NORMAL, err);
}

loam_status lm_ranks_put_special(lm_tokenizer_spec *spec, lm_ranked_tokens *tokens, int64_t id,
                                 lm_str text, loam_error *err) {
    return put(spec, tokens, id, text, LM_TOKEN_CONTROL, err);
}

/* Every way to cut a token into two tokens is a merge. */
static LM_MUST_USE loam_status add_merges_of(lm_tokenizer_spec *spec, const lm_text_index *index,
                                             int32_t id, loam_error *err) {
    lm_str text = spec->tokens.ptr[id].text;
    for (size_t cut = 1; cut < text.len; cut++) {
        if (((uint8_t)text.ptr[cut] & 0xc0) == 0x80) continue;
        lm_str left = {text.ptr, cut}, right = {text.ptr + cut, text.len - cut};
        lm_token_merge merge = {lm_text_index_get(index, left, lm_text_hash(left)), -1, id};
        if (merge.left >= 0) merge.right = lm_text_index_get(index, right, lm_text_hash(right));
        if (merge.right < 0) continue;
        if (!lm_vec_push(&spec->merges, merge)) return lm_error_no_memory(err, sizeof merge);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status add_merges(lm_tokenizer_spec *spec, loam_error *err) {
    lm_text_index *index = lm_text_index_new(spec->tokens.len);
    if (!index) return lm_error_no_memory(err, spec->tokens.len);
    for (size_t id = 0; id < spec->tokens.len; id++) {
        const lm_token *token = &spec->tokens.ptr[id];
        if (token->type == LM_TOKEN_NORMAL) lm_text_index_add(index, token->text, (int32_t)id);
    }
    loam_status status = LOAM_OK;
    for (size_t id = 0; id < spec->tokens.len && status == LOAM_OK; id++) {
        if (spec->tokens.ptr[id].type == LM_TOKEN_NORMAL)
            status = add_merges_of(spec, index, (int32_t)id, err);
    }
    lm_text_index_free(index);
    return status;
}

loam_status lm_ranks_finish(lm_tokenizer_spec *spec, const lm_ranked_tokens *tokens,
                            loam_error *err) {
    if (tokens->list.len == 0) return lm_error_set(err, LOAM_INVALID, "there are no tokens");
    for (size_t id = 0; id < tokens->list.len; id++) {
        const lm_ranked_token *token = &tokens->list.ptr[id];
        lm_str text = token->text.ptr ? token->text : LM_STR("");
        lm_token_type type = token->text.ptr ? token->type : LM_TOKEN_UNUSED;
        LM_TRY(lm_tokenizer_spec_add_token(spec, text, type, 0, err));
    }
    spec->ignore_merges = spec->merge_by_result = true;
    return add_merges(spec, err);
}
