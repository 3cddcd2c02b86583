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
    *spec = (lm_tokenizer_spec){.kind = kind,
                                .bos = -1,
                                .unk = -1,
                                .pad = -1,
                                .word_prefix = LM_STR(""),
                                .inner_prefix = LM_STR(""),
                                .word_suffix = LM_STR(""),
                                .max_word_chars = 100};
    lm_arena_init(&spec->arena, 0, 0);
    spec->by_text = lm_map_new();
    return spec->by_text ? LOAM_OK : lm_error_no_memory(err, sizeof(void *));
}

void lm_tokenizer_spec_deinit(lm_tokenizer_spec *spec) {
    lm_vec_deinit(&spec->tokens);
    lm_vec_deinit(&spec->merges);
    lm_vec_deinit(&spec->normalizer);
    lm_vec_deinit(&spec->pretokenizer);
    lm_vec_deinit(&spec->decoder);
    lm_vec_deinit(&spec->eos);
    lm_vec_deinit(&spec->before);
    lm_vec_deinit(&spec->after);
    lm_vec_deinit(&spec->between);
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
                                        double score, loam_error *err) {
    if (spec->tokens.len == LM_VOCAB_MAX_TOKENS)
        return lm_error_set(err, LOAM_LIMIT, "more than %d tokens", LM_VOCAB_MAX_TOKENS);
    if (text.len > LM_TOKEN_MAX_BYTES)
        return lm_error_set(err, LOAM_LIMIT, "token %zu has %zu bytes, at most %d are allowed",
                            spec->tokens.len, text.len, LM_TOKEN_MAX_BYTES);
    lm_token token = {.text = lm_tokenizer_spec_copy(spec, text),
                      .type = type,
                      .score = score,
                      .in_model = true,
                      .is_added = type == LM_TOKEN_CONTROL || type == LM_TOKEN_UNKNOWN ||
                                  type == LM_TOKEN_USER_DEFINED};
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

static lm_str without(lm_str text, lm_str prefix) {
    if (!prefix.len || !lm_str_starts(text, prefix)) return text;
    return (lm_str){text.ptr + prefix.len, text.len - prefix.len};
}

loam_status lm_tokenizer_spec_add_merge(lm_tokenizer_spec *spec, lm_str left, lm_str right,
                                        loam_error *err) {
    char both[2 * LM_TOKEN_MAX_BYTES];
    lm_token_merge merge = {lm_tokenizer_spec_find(spec, left), lm_tokenizer_spec_find(spec, right),
                            -1};
    if (merge.left >= 0 && merge.right >= 0)
        merge.result =
            lm_tokenizer_spec_find(spec, join(left, without(right, spec->inner_prefix), both));
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

loam_status lm_tokenizer_spec_add_normalizer(lm_tokenizer_spec *spec, lm_normalizer_step step,
                                             loam_error *err) {
    return lm_vec_push(&spec->normalizer, step) ? LOAM_OK : lm_error_no_memory(err, sizeof step);
}

loam_status lm_tokenizer_spec_add_pretokenizer(lm_tokenizer_spec *spec, lm_pretokenizer_step step,
                                               loam_error *err) {
    return lm_vec_push(&spec->pretokenizer, step) ? LOAM_OK : lm_error_no_memory(err, sizeof step);
}

loam_status lm_tokenizer_spec_add_decoder(lm_tokenizer_spec *spec, lm_decoder_step step,
                                          loam_error *err) {
    return lm_vec_push(&spec->decoder, step) ? LOAM_OK : lm_error_no_memory(err, sizeof step);
}

loam_status lm_tokenizer_spec_normalize_bert(lm_tokenizer_spec *spec, bool cleans,
                                             bool spaces_ideographs, bool strips_accents,
                                             bool lowers, loam_error *err) {
    const struct {
        bool wanted;
        lm_normalizer_kind kind;
    } rows[] = {{cleans, LM_NORMALIZER_BERT_CLEAN},
                {spaces_ideographs, LM_NORMALIZER_BERT_IDEOGRAPHS},
                {strips_accents, LM_NORMALIZER_NFD},
                {strips_accents, LM_NORMALIZER_BERT_ACCENTS},
                {lowers, LM_NORMALIZER_LOWERCASE}};
    for (size_t i = 0; i < LM_COUNT_OF(rows); i++) {
        lm_normalizer_step step = {.kind = rows[i].kind};
        if (rows[i].wanted) LM_TRY(lm_tokenizer_spec_add_normalizer(spec, step, err));
    }
    return LOAM_OK;
}

loam_status lm_tokenizer_spec_cut_bert(lm_tokenizer_spec *spec, loam_error *err) {
    lm_pretokenizer_step spaces = {
        .kind = LM_PRETOKENIZER_SPLIT, .at = LM_SPLIT_AT_SPACE, .behavior = LM_SPLIT_REMOVED};
    lm_pretokenizer_step punctuation = {.kind = LM_PRETOKENIZER_SPLIT,
                                        .at = LM_SPLIT_AT_PUNCTUATION,
                                        .behavior = LM_SPLIT_ISOLATED};
    LM_TRY(lm_tokenizer_spec_add_pretokenizer(spec, spaces, err));
    return lm_tokenizer_spec_add_pretokenizer(spec, punctuation, err);
}

loam_status lm_tokenizer_spec_decode_metaspace(lm_tokenizer_spec *spec, bool has_prefix,
                                               loam_error *err) {
    const lm_decoder_step steps[] = {
        {.kind = LM_DECODER_REPLACE, .pattern = LM_STR(LM_SPM_SPACE), .text = LM_STR(" ")},
        {.kind = LM_DECODER_BYTE_FALLBACK},
        {.kind = LM_DECODER_FUSE},
        {.kind = LM_DECODER_STRIP, .text = LM_STR(" "), .start = 1}};
    for (size_t i = 0; i < LM_COUNT_OF(steps) - !has_prefix; i++)
        LM_TRY(lm_tokenizer_spec_add_decoder(spec, steps[i], err));
    return LOAM_OK;
}

bool lm_tokenizer_spec_adds_space(const lm_tokenizer_spec *spec) {
    for (size_t i = 0; i < spec->normalizer.len; i++) {
        const lm_normalizer_step *step = &spec->normalizer.ptr[i];
        if (step->kind == LM_NORMALIZER_PREPEND) return true;
        if (step->kind == LM_NORMALIZER_SENTENCEPIECE && step->prefixes) return true;
    }
    for (size_t i = 0; i < spec->pretokenizer.len; i++) {
        const lm_pretokenizer_step *step = &spec->pretokenizer.ptr[i];
        if (step->kind == LM_PRETOKENIZER_PREFIX_SPACE) return true;
        if (step->kind == LM_PRETOKENIZER_METASPACE && step->scheme != LM_PREPEND_NEVER)
            return true;
    }
    return false;
}

bool lm_tokenizer_spec_is_byte_level(const lm_tokenizer_spec *spec) {
    size_t n = spec->pretokenizer.len;
    return n > 0 && spec->pretokenizer.ptr[n - 1].kind == LM_PRETOKENIZER_BYTE_LEVEL;
}

/* What surrounds a pre-tokenization whose tokens are not spelled byte by byte. */
static LM_MUST_USE loam_status spell_characters(lm_tokenizer_spec *spec, unsigned flags,
                                                loam_error *err) {
    lm_normalizer_step spaces = {
        .kind = LM_NORMALIZER_REPLACE, .pattern = LM_STR(" "), .text = LM_STR(LM_SPM_SPACE)};
    spec->kind = LM_TOKENIZER_SPM;
    if (!(flags & LM_PRE_METASPACE)) return LOAM_OK;
    LM_TRY(lm_tokenizer_spec_add_normalizer(spec, spaces, err));
    return lm_tokenizer_spec_decode_metaspace(spec, false, err);
}

loam_status lm_tokenizer_spec_set_pre(lm_tokenizer_spec *spec, lm_str name, loam_error *err) {
    const lm_pretokenizer_preset *preset = lm_pretokenizer_find(name);
    if (!preset) {
        lm_error_set(err, LOAM_UNSUPPORTED, "pre-tokenization '%.*s'",
                     (int)(name.len < 100 ? name.len : 100), name.ptr);
        return lm_error_hint(err, LOAM_UNSUPPORTED, "loam knows %s", lm_pretokenizer_known_names());
    }
    snprintf(spec->pre_name, sizeof spec->pre_name, "%s", preset->name);
    spec->pretokenizer.len = spec->decoder.len = 0;
    spec->ignore_merges = preset->flags & LM_PRE_WHOLE;
    spec->byte_fallback = preset->flags & LM_PRE_BYTE_TOKENS;
    if (!lm_pretokenizer_add_preset(preset, &spec->pretokenizer))
        return lm_error_no_memory(err, sizeof *spec->pretokenizer.ptr);
    if (preset->flags & LM_PRE_CHARACTERS) return spell_characters(spec, preset->flags, err);
    lm_pretokenizer_step bytes = {.kind = LM_PRETOKENIZER_BYTE_LEVEL};
    LM_TRY(lm_tokenizer_spec_add_pretokenizer(spec, bytes, err));
    return lm_tokenizer_spec_add_decoder(spec, (lm_decoder_step){.kind = LM_DECODER_BYTE_LEVEL},
                                         err);
}
