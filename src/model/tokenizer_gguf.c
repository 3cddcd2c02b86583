/* The tokenizer in a GGUF file's metadata. */
#include "base/mem.h"
#include "model/tokenizer_readers.h"

/* Values of tokenizer.ggml.model, and what they mean where the file says nothing else. */
typedef struct gguf_model {
    const char *name, *description;
    lm_tokenizer_kind_id kind;
    bool adds_bos, adds_eos, adds_sep, adds_space;
    int32_t bos, eos, unk, sep; /* -1: none */
    const char *pre;            /* BPE: when the file has none */
} gguf_model;

static const gguf_model models[] = {
    {"llama", "SentencePiece BPE", LM_TOKENIZER_SPM, true, false, false, true, 1, 2, 0, -1, NULL},
    {"gpt2", "byte-level BPE", LM_TOKENIZER_BPE, false, false, false, false, -1, -1, -1, -1,
     "default"},
    {"gemma4", "BPE of characters", LM_TOKENIZER_BPE, true, false, false, false, -1, -1, -1, -1,
     "gemma4"},
    {"bert", "WordPiece", LM_TOKENIZER_WORDPIECE, true, false, true, false, 101, -1, 100, 102,
     NULL},
    {"t5", "SentencePiece Unigram", LM_TOKENIZER_UNIGRAM, false, true, false, true, -1, 1, 2, -1,
     NULL},
};

static LM_MUST_USE loam_status find_model(const lm_gguf *gguf, const gguf_model **out,
                                          loam_error *err) {
    lm_str name;
    if (!lm_gguf_find(gguf, "tokenizer.ggml.model"))
        return lm_error_set(err, LOAM_NOT_FOUND, "%s: the file holds no tokenizer",
                            lm_gguf_path(gguf));
    LM_TRY(lm_gguf_str(gguf, "tokenizer.ggml.model", &name, err));
    for (size_t i = 0; i < LM_COUNT_OF(models); i++) {
        if (!lm_str_is(name, models[i].name)) continue;
        *out = &models[i];
        return LOAM_OK;
    }
    lm_error_set(err, LOAM_UNSUPPORTED, "%s: tokenizer.ggml.model '%.*s'", lm_gguf_path(gguf),
                 (int)(name.len < 100 ? name.len : 100), name.ptr);
    return lm_error_hint(err, LOAM_UNSUPPORTED, "loam knows llama, gpt2, gemma4, bert and t5");
}

static LM_MUST_USE loam_status read_tokens(const lm_gguf *gguf, lm_tokenizer_spec *spec,
                                           loam_error *err) {
    lm_gguf_array tokens = {0}, types = {0}, scores = {0};
    LM_TRY(lm_gguf_array_or_empty(gguf, "tokenizer.ggml.tokens", LM_GGUF_STRING, &tokens, err));
    LM_TRY(lm_gguf_array_or_empty(gguf, "tokenizer.ggml.token_type", LM_GGUF_I32, &types, err));
    LM_TRY(lm_gguf_array_or_empty(gguf, "tokenizer.ggml.scores", LM_GGUF_F32, &scores, err));
    if ((types.n && types.n != tokens.n) || (scores.n && scores.n != tokens.n))
        return lm_error_set(err, LOAM_INVALID, "%zu tokens, but %zu token types and %zu scores",
                            tokens.n, types.n, scores.n);
    size_t cursor = 0;
    lm_str text;
    for (size_t i = 0; lm_gguf_array_next_str(&tokens, &cursor, &text); i++) {
        lm_token_type type = LM_TOKEN_NORMAL;
        if (types.n) LM_TRY(lm_token_type_of(lm_gguf_array_i32(&types, i), &type, err));
        LM_TRY(lm_tokenizer_spec_add_token(spec, text, type,
                                           scores.n ? lm_gguf_array_f32(&scores, i) : 0, err));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_merges(const lm_gguf *gguf, lm_tokenizer_spec *spec,
                                           loam_error *err) {
    lm_gguf_array merges = {0};
    LM_TRY(lm_gguf_array_or_empty(gguf, "tokenizer.ggml.merges", LM_GGUF_STRING, &merges, err));
    size_t cursor = 0;
    lm_str text;
    while (lm_gguf_array_next_str(&merges, &cursor, &text))
        LM_TRY(lm_tokenizer_spec_add_spaced_merge(spec, text, err));
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_id(const lm_gguf *gguf, const char *key, int32_t *out,
                                       loam_error *err) {
    int64_t id = -1;
    LM_TRY(lm_gguf_i64_or(gguf, key, -1, &id, err));
    if (id < INT32_MIN || id > INT32_MAX)
        return lm_error_set(err, LOAM_INVALID, "'%s' is %lld", key, (long long)id);
    *out = (int32_t)id;
    return LOAM_OK;
}

/* An id by its key, or the format's own where the vocabulary has it. */
static LM_MUST_USE loam_status read_id_or(const lm_gguf *gguf, const char *key, int32_t fallback,
                                          const lm_tokenizer_spec *spec, int32_t *out,
                                          loam_error *err) {
    *out = fallback < (int32_t)spec->tokens.len ? fallback : -1;
    return lm_gguf_find(gguf, key) ? read_id(gguf, key, out, err) : LOAM_OK;
}

/* Tokens that end a turn, which files often do not list: by their own keys, or by the spelling families use. */
static LM_MUST_USE loam_status read_eos(const lm_gguf *gguf, const gguf_model *model,
                                        lm_tokenizer_spec *spec, loam_error *err) {
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    static const char *const spellings[] = {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>",
                                            "<|endoftext|>"};
    for (size_t i = 0; i < LM_COUNT_OF(keys); i++) {
        int32_t id = -1;
        LM_TRY(read_id_or(gguf, keys[i], i == 0 ? model->eos : -1, spec, &id, err));
        if (id != -1) LM_TRY(lm_tokenizer_spec_add_eos(spec, id, err));
    }
    for (size_t i = 0; i < LM_COUNT_OF(spellings); i++) {
        int32_t id = lm_tokenizer_spec_find(spec, lm_str_of(spellings[i]));
        if (id < 0 || spec->tokens.ptr[id].type != LM_TOKEN_CONTROL) continue;
        LM_TRY(lm_tokenizer_spec_add_eos(spec, id, err));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status push_id(lm_vec_i32 *ids, int32_t id, loam_error *err) {
    return id < 0 || lm_vec_push(ids, id) ? LOAM_OK : lm_error_no_memory(err, sizeof id);
}

/* What stands around a text. */
static LM_MUST_USE loam_status read_template(const lm_gguf *gguf, const gguf_model *model,
                                             unsigned flags, lm_tokenizer_spec *spec,
                                             loam_error *err) {
    bool adds_sep = model->adds_sep || (flags & LM_PRE_SEPARATORS),
         adds_bos = model->adds_bos || (flags & (LM_PRE_BOS | LM_PRE_SEPARATORS));
    int32_t sep = -1;
    LM_TRY(read_id_or(gguf, "tokenizer.ggml.seperator_token_id", model->sep, spec, &sep, err));
    if (sep < 0 && spec->eos.len > 0) sep = spec->eos.ptr[0];
    LM_TRY(lm_gguf_bool_or(gguf, "tokenizer.ggml.add_bos_token", adds_bos, &spec->add_bos, err));
    LM_TRY(lm_gguf_bool_or(gguf, "tokenizer.ggml.add_eos_token", model->adds_eos, &spec->add_eos,
                           err));
    LM_TRY(lm_gguf_bool_or(gguf, "tokenizer.ggml.add_sep_token", adds_sep, &adds_sep, err));
    if (!adds_sep) return LOAM_OK;
    LM_TRY(push_id(&spec->after, sep, err));
    bool two = spec->kind != LM_TOKENIZER_WORDPIECE && spec->add_eos && spec->eos.len > 0;
    if (!two) return LOAM_OK;
    LM_TRY(push_id(&spec->between, spec->eos.ptr[0], err)); /* RoBERTa's pairs: </s></s> */
    return push_id(&spec->between, sep, err);
}

/* ------------------------------------------------------------------------------------------------- kinds */

static LM_MUST_USE loam_status read_spm(const lm_gguf *gguf, lm_tokenizer_spec *spec, bool prefix,
                                        loam_error *err) {
    lm_normalizer_step front = {.kind = LM_NORMALIZER_PREPEND, .text = LM_STR(LM_SPM_SPACE)},
                       spaces = {.kind = LM_NORMALIZER_REPLACE,
                                 .pattern = LM_STR(" "),
                                 .text = LM_STR(LM_SPM_SPACE)};
    spec->byte_fallback = spec->fuse_unk = spec->symbols_spell_spaces = true;
    if (prefix) LM_TRY(lm_tokenizer_spec_add_normalizer(spec, front, err));
    LM_TRY(lm_tokenizer_spec_add_normalizer(spec, spaces, err));
    return lm_tokenizer_spec_decode_metaspace(spec, prefix, err);
}

static LM_MUST_USE loam_status read_bpe(const lm_gguf *gguf, const gguf_model *model,
                                        lm_tokenizer_spec *spec, bool prefix, unsigned *out_flags,
                                        loam_error *err) {
    lm_str pre;
    lm_pretokenizer_step space = {.kind = LM_PRETOKENIZER_PREFIX_SPACE};
    LM_TRY(lm_gguf_str_or(gguf, "tokenizer.ggml.pre", lm_str_of(model->pre), &pre, err));
    if (strcmp(model->pre, "default") != 0) pre = lm_str_of(model->pre);
    LM_TRY(lm_tokenizer_spec_set_pre(spec, pre, err));
    *out_flags = lm_pretokenizer_find(pre)->flags;
    if (!prefix) return LOAM_OK;
    LM_TRY(lm_tokenizer_spec_add_pretokenizer(spec, space, err));
    lm_pretokenizer_steps *steps = &spec->pretokenizer;
    memmove(steps->ptr + 1, steps->ptr, (steps->len - 1) * sizeof space);
    steps->ptr[0] = space;
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_bert(const lm_gguf *gguf, lm_tokenizer_spec *spec,
                                         loam_error *err) {
    const lm_decoder_step steps[] = {
        {.kind = LM_DECODER_REPLACE, .pattern = LM_STR(LM_SPM_SPACE), .text = LM_STR(" ")},
        {.kind = LM_DECODER_CLEAN},
        {.kind = LM_DECODER_FUSE},
        {.kind = LM_DECODER_STRIP, .text = LM_STR(" "), .start = 1}};
    bool lowers = true, strips = true;
    LM_TRY(lm_gguf_bool_or(gguf, "tokenizer.ggml.normalizer.lowercase", true, &lowers, err));
    LM_TRY(lm_gguf_bool_or(gguf, "tokenizer.ggml.normalizer.strip_accents", lowers, &strips, err));
    LM_TRY(lm_tokenizer_spec_normalize_bert(spec, true, true, strips, lowers, err));
    LM_TRY(lm_tokenizer_spec_cut_bert(spec, err));
    spec->word_prefix = LM_STR(LM_SPM_SPACE);
    for (size_t i = 0; i < LM_COUNT_OF(steps); i++)
        LM_TRY(lm_tokenizer_spec_add_decoder(spec, steps[i], err));
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_unigram(const lm_gguf *gguf, lm_tokenizer_spec *spec,
                                            bool prefix, loam_error *err) {
    lm_gguf_array map = {0};
    const lm_gguf_value *value = lm_gguf_find(gguf, "tokenizer.ggml.precompiled_charsmap");
    lm_normalizer_step step = {
        .kind = LM_NORMALIZER_SENTENCEPIECE, .prefixes = prefix, .escapes = true};
    if (value)
        LM_TRY(lm_gguf_array_or_empty(
            gguf, "tokenizer.ggml.precompiled_charsmap",
            value->type == LM_GGUF_ARRAY && value->array.type == LM_GGUF_I8 ? LM_GGUF_I8
                                                                            : LM_GGUF_U8,
            &map, err));
    LM_TRY(lm_gguf_bool_or(gguf, "tokenizer.ggml.remove_extra_whitespaces", false, &step.squeezes,
                           err));
    step.pattern = lm_tokenizer_spec_copy(spec, (lm_str){(const char *)map.bytes, map.n});
    if (!step.pattern.ptr) return lm_error_no_memory(err, map.n);
    spec->fuse_unk = spec->single_precision = spec->symbols_inside = spec->symbols_spell_spaces =
        true;
    LM_TRY(lm_tokenizer_spec_add_normalizer(spec, step, err));
    return lm_tokenizer_spec_decode_metaspace(spec, prefix, err);
}

static LM_MUST_USE loam_status read_kind(const lm_gguf *gguf, const gguf_model *model,
                                         lm_tokenizer_spec *spec, unsigned *out_flags,
                                         loam_error *err) {
    bool prefix = false;
    LM_TRY(
        lm_gguf_bool_or(gguf, "tokenizer.ggml.add_space_prefix", model->adds_space, &prefix, err));
    switch (model->kind) {
    case LM_TOKENIZER_SPM: return read_spm(gguf, spec, prefix, err);
    case LM_TOKENIZER_BPE:
        LM_TRY(read_bpe(gguf, model, spec, prefix, out_flags, err));
        return read_merges(gguf, spec, err);
    case LM_TOKENIZER_WORDPIECE: return read_bert(gguf, spec, err);
    default: return read_unigram(gguf, spec, prefix, err);
    }
}

static LM_MUST_USE loam_status read_rest(const lm_gguf *gguf, const gguf_model *model,
                                         lm_tokenizer_spec *spec, loam_error *err) {
    lm_str text;
    unsigned flags = 0;
    LM_TRY(read_kind(gguf, model, spec, &flags, err));
    LM_TRY(read_id_or(gguf, "tokenizer.ggml.bos_token_id", model->bos, spec, &spec->bos, err));
    LM_TRY(read_id_or(gguf, "tokenizer.ggml.unknown_token_id", model->unk, spec, &spec->unk, err));
    LM_TRY(read_id(gguf, "tokenizer.ggml.padding_token_id", &spec->pad, err));
    LM_TRY(read_eos(gguf, model, spec, err));
    LM_TRY(read_template(gguf, model, flags, spec, err));
    LM_TRY(lm_gguf_str_or(gguf, "tokenizer.chat_template", LM_STR(""), &text, err));
    spec->chat_template = lm_tokenizer_spec_copy(spec, text);
    if (!spec->chat_template.ptr) return lm_error_no_memory(err, text.len);
    LM_TRY(lm_gguf_str_or(gguf, "tokenizer.chat_template.tool_use", LM_STR(""), &text, err));
    spec->tool_template = lm_tokenizer_spec_copy(spec, text);
    return spec->tool_template.ptr ? LOAM_OK : lm_error_no_memory(err, text.len);
}

loam_status lm_tokenizer_read_gguf(const lm_gguf *gguf, lm_tokenizer_spec *out, loam_error *err) {
    const gguf_model *model = NULL;
    LM_TRY(find_model(gguf, &model, err));
    lm_tokenizer_spec spec;
    loam_status status = lm_tokenizer_spec_init(&spec, model->kind, err);
    if (status == LOAM_OK) status = read_tokens(gguf, &spec, err);
    if (status == LOAM_OK) status = read_rest(gguf, model, &spec, err);
    if (status == LOAM_OK) {
        *out = spec;
        return LOAM_OK;
    }
    lm_tokenizer_spec_deinit(&spec);
    return lm_error_prefix(err, status, "%s", lm_gguf_path(gguf));
}
