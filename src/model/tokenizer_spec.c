#include "model/tokenizer_spec.h"

#include "base/mem.h"
#include "model/utf8.h"

enum { POOL_BYTES = 64 * 1024 };

loam_status lm_token_type_of(int64_t number, lm_token_type *out, loam_error *err) {
    if (number < 0 || number > LM_TOKEN_BYTE)
        return lm_error_set(err, LOAM_CORRUPT, "token type %lld is not from 0 to %d",
                            (long long)number, LM_TOKEN_BYTE);
    *out = number ? (lm_token_type)number : LM_TOKEN_NORMAL;
    return LOAM_OK;
}

loam_status lm_tokenizer_spec_init(lm_tokenizer_spec *spec, lm_tokenizer_kind_id kind,
                                   loam_error *err) {
    *spec = (lm_tokenizer_spec){.kind = kind, .bos = -1, .unk = -1, .pad = -1};
    lm_arena_init(&spec->arena, 0, 0);
    spec->by_text = lm_map_new();
    return spec->by_text ? LOAM_OK : lm_error_no_memory(err, sizeof(void *));
}

void lm_tokenizer_spec_deinit(lm_tokenizer_spec *spec) {
    lm_vec_deinit(&spec->tokens);
    lm_vec_deinit(&spec->merges);
    lm_vec_deinit(&spec->eos);
    lm_map_free(spec->by_text);
    lm_arena_deinit(&spec->arena);
    *spec = (lm_tokenizer_spec){0};
}

/* Short texts share blocks: the arena alone would give each of 100,000 tokens its own cache line. */
lm_str lm_tokenizer_spec_copy(lm_tokenizer_spec *spec, lm_str text) {
    size_t need = text.len + 1;
    if (need > spec->pool_left) {
        size_t block = need > POOL_BYTES ? need : POOL_BYTES;
        char *pool = lm_arena_alloc(&spec->arena, block);
        if (!pool) return (lm_str){0};
        spec->pool = pool;
        spec->pool_left = block;
    }
    char *copy = spec->pool;
    if (text.len) memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    spec->pool += need;
    spec->pool_left -= need;
    return (lm_str){copy, text.len};
}

loam_status lm_tokenizer_spec_add_token(lm_tokenizer_spec *spec, lm_str text, lm_token_type type,
                                        float score, loam_error *err) {
    if (spec->tokens.len == LM_VOCAB_MAX_TOKENS)
        return lm_error_set(err, LOAM_LIMIT, "more than %d tokens", LM_VOCAB_MAX_TOKENS);
    if (text.len > LM_TOKEN_MAX_BYTES)
        return lm_error_set(err, LOAM_LIMIT, "token %zu has %zu bytes, at most %d are allowed",
                            spec->tokens.len, text.len, LM_TOKEN_MAX_BYTES);
    lm_token token = {.text = lm_tokenizer_spec_copy(spec, text), .type = type, .score = score};
    if (!token.text.ptr || !lm_vec_push(&spec->tokens, token))
        return lm_error_no_memory(err, text.len);
    uint64_t there;
    if (text.len == 0 || lm_map_get(spec->by_text, text, &there)) return LOAM_OK;
    return lm_map_set(spec->by_text, text, spec->tokens.len - 1)
               ? LOAM_OK
               : lm_error_no_memory(err, text.len);
}

int32_t lm_tokenizer_spec_find(const lm_tokenizer_spec *spec, lm_str text) {
    uint64_t id;
    return lm_map_get(spec->by_text, text, &id) ? (int32_t)id : -1;
}

static lm_str join(lm_str left, lm_str right, char both[2 * LM_TOKEN_MAX_BYTES]) {
    memcpy(both, left.ptr, left.len);
    memcpy(both + left.len, right.ptr, right.len);
    return (lm_str){both, left.len + right.len};
}

loam_status lm_tokenizer_spec_add_merge(lm_tokenizer_spec *spec, lm_str left, lm_str right,
                                        loam_error *err) {
    char both[2 * LM_TOKEN_MAX_BYTES];
    lm_token_merge merge = {lm_tokenizer_spec_find(spec, left), lm_tokenizer_spec_find(spec, right),
                            -1};
    if (merge.left >= 0 && merge.right >= 0)
        merge.result = lm_tokenizer_spec_find(spec, join(left, right, both));
    if (merge.result < 0)
        return lm_error_set(err, LOAM_INVALID,
                            "merge %zu of '%.*s' and '%.*s' names or makes what is no token",
                            spec->merges.len, (int)(left.len < 100 ? left.len : 100), left.ptr,
                            (int)(right.len < 100 ? right.len : 100), right.ptr);
    if (spec->merges.len == LM_VOCAB_MAX_TOKENS)
        return lm_error_set(err, LOAM_LIMIT, "more than %d merges", LM_VOCAB_MAX_TOKENS);
    return lm_vec_push(&spec->merges, merge) ? LOAM_OK : lm_error_no_memory(err, sizeof merge);
}

loam_status lm_tokenizer_spec_add_spaced_merge(lm_tokenizer_spec *spec, lm_str both,
                                               loam_error *err) {
    const char *space = both.len > 1 ? memchr(both.ptr + 1, ' ', both.len - 1) : NULL;
    if (!space)
        return lm_error_set(err, LOAM_INVALID,
                            "merge %zu '%.*s' is not two tokens with a space between",
                            spec->merges.len, (int)(both.len < 100 ? both.len : 100), both.ptr);
    size_t left_len = (size_t)(space - both.ptr);
    return lm_tokenizer_spec_add_merge(spec, (lm_str){both.ptr, left_len},
                                       (lm_str){space + 1, both.len - left_len - 1}, err);
}

loam_status lm_tokenizer_spec_add_bytes(lm_tokenizer_spec *spec, loam_error *err) {
    for (int byte = 0; byte < 256; byte++) {
        char text[LM_UTF8_MAX_BYTES];
        size_t len = lm_utf8_encode(lm_bpe_char_of_byte((uint8_t)byte), text);
        LM_TRY(lm_tokenizer_spec_add_token(spec, (lm_str){text, len}, LM_TOKEN_NORMAL, 0, err));
    }
    return LOAM_OK;
}

loam_status lm_tokenizer_spec_add_merged(lm_tokenizer_spec *spec, int32_t left, int32_t right,
                                         loam_error *err) {
    LM_ASSERT(left >= 0 && right >= 0 && left < (int32_t)spec->tokens.len &&
              right < (int32_t)spec->tokens.len);
    char both[2 * LM_TOKEN_MAX_BYTES];
    lm_token_merge merge = {left, right, (int32_t)spec->tokens.len};
    lm_str text = join(spec->tokens.ptr[left].text, spec->tokens.ptr[right].text, both);
    LM_TRY(lm_tokenizer_spec_add_token(spec, text, LM_TOKEN_NORMAL, 0, err));
    return lm_vec_push(&spec->merges, merge) ? LOAM_OK : lm_error_no_memory(err, sizeof merge);
}

loam_status lm_tokenizer_spec_add_eos(lm_tokenizer_spec *spec, int32_t id, loam_error *err) {
    for (size_t i = 0; i < spec->eos.len; i++) {
        if (spec->eos.ptr[i] == id) return LOAM_OK;
    }
    return lm_vec_push(&spec->eos, id) ? LOAM_OK : lm_error_no_memory(err, sizeof id);
}

loam_status lm_tokenizer_spec_set_pre(lm_tokenizer_spec *spec, lm_str name, loam_error *err) {
    lm_pretokenizer_patterns patterns;
    if (!lm_pretokenizer_find(name, &patterns)) {
        lm_error_set(err, LOAM_UNSUPPORTED, "pre-tokenization '%.*s'",
                     (int)(name.len < 100 ? name.len : 100), name.ptr);
        return lm_error_hint(err, LOAM_UNSUPPORTED, "loam knows %s", lm_pretokenizer_known_names());
    }
    memcpy(spec->pre_name, name.ptr, name.len); /* known names fit */
    spec->pre_name[name.len] = '\0';
    spec->patterns = patterns;
    return LOAM_OK;
}
