/* The tokenizer in a GGUF file's metadata. */
#include "base/mem.h"
#include "model/tokenizer_readers.h"

/* Values of tokenizer.ggml.model. */
static const struct {
    const char *name;
    bool is_supported;
    lm_tokenizer_kind_id kind;
    bool adds_bos; /* when the file does not say */
    const char *description;
} gguf_models[] = {
    {"llama", true, LM_TOKENIZER_SPM, true, "SentencePiece BPE"},
    {"gpt2", true, LM_TOKENIZER_BPE, false, "byte-level BPE"},
    {"bert", false, 0, false, "WordPiece"},
    {"t5", false, 0, false, "SentencePiece Unigram"},
    {"rwkv", false, 0, false, "RWKV"},
};

static LM_MUST_USE loam_status find_model(const lm_gguf *gguf, size_t *out_index, loam_error *err) {
    lm_str name;
    if (!lm_gguf_find(gguf, "tokenizer.ggml.model"))
        return lm_error_set(err, LOAM_NOT_FOUND, "%s: the file holds no tokenizer",
                            lm_gguf_path(gguf));
    LM_TRY(lm_gguf_str(gguf, "tokenizer.ggml.model", &name, err));
    const char *description = "unknown";
    for (size_t i = 0; i < LM_COUNT_OF(gguf_models); i++) {
        if (!lm_str_is(name, gguf_models[i].name)) continue;
        description = gguf_models[i].description;
        *out_index = i;
        if (gguf_models[i].is_supported) return LOAM_OK;
    }
    lm_error_set(err, LOAM_UNSUPPORTED, "%s: tokenizer '%.*s' (%s)", lm_gguf_path(gguf),
                 (int)(name.len < 100 ? name.len : 100), name.ptr, description);
    return lm_error_hint(err, LOAM_UNSUPPORTED,
                         "loam knows 'llama' (SentencePiece BPE) and 'gpt2' (byte-level BPE)");
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

/* Tokens that end a turn, which files often do not list: by their own keys, or by the spelling families use. */
static LM_MUST_USE loam_status read_eos(const lm_gguf *gguf, lm_tokenizer_spec *spec,
                                        loam_error *err) {
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    static const char *const spellings[] = {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>",
                                            "<|endoftext|>"};
    for (size_t i = 0; i < LM_COUNT_OF(keys); i++) {
        int32_t id = -1;
        LM_TRY(read_id(gguf, keys[i], &id, err));
        if (id != -1) LM_TRY(lm_tokenizer_spec_add_eos(spec, id, err));
    }
    for (size_t i = 0; i < LM_COUNT_OF(spellings); i++) {
        int32_t id = lm_tokenizer_spec_find(spec, lm_str_of(spellings[i]));
        if (id < 0 || spec->tokens.ptr[id].type != LM_TOKEN_CONTROL) continue;
        LM_TRY(lm_tokenizer_spec_add_eos(spec, id, err));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_rest(const lm_gguf *gguf, bool adds_bos,
                                         lm_tokenizer_spec *spec, loam_error *err) {
    lm_str text;
    bool space_prefix = false;
    bool is_spm = spec->kind == LM_TOKENIZER_SPM;
    LM_TRY(read_id(gguf, "tokenizer.ggml.bos_token_id", &spec->bos, err));
    LM_TRY(read_id(gguf, "tokenizer.ggml.unknown_token_id", &spec->unk, err));
    LM_TRY(read_id(gguf, "tokenizer.ggml.padding_token_id", &spec->pad, err));
    LM_TRY(read_eos(gguf, spec, err));
    LM_TRY(lm_gguf_bool_or(gguf, "tokenizer.ggml.add_bos_token", adds_bos, &spec->add_bos, err));
    LM_TRY(lm_gguf_bool_or(gguf, "tokenizer.ggml.add_space_prefix", is_spm, &space_prefix, err));
    spec->space_prefix = space_prefix ? LM_SPACE_PREFIX_EACH : LM_SPACE_PREFIX_NONE;
    spec->byte_fallback = is_spm;
    LM_TRY(lm_gguf_str_or(gguf, "tokenizer.chat_template", LM_STR(""), &text, err));
    spec->chat_template = lm_tokenizer_spec_copy(spec, text);
    if (!spec->chat_template.ptr) return lm_error_no_memory(err, text.len);
    if (is_spm) return LOAM_OK;
    LM_TRY(lm_gguf_str_or(gguf, "tokenizer.ggml.pre", LM_STR("default"), &text, err));
    return lm_tokenizer_spec_set_pre(spec, text, err);
}

loam_status lm_tokenizer_read_gguf(const lm_gguf *gguf, lm_tokenizer_spec *out, loam_error *err) {
    size_t model = 0;
    LM_TRY(find_model(gguf, &model, err));
    lm_tokenizer_spec spec;
    loam_status status = lm_tokenizer_spec_init(&spec, gguf_models[model].kind, err);
    if (status == LOAM_OK) status = read_tokens(gguf, &spec, err);
    if (status == LOAM_OK && spec.kind == LM_TOKENIZER_BPE) status = read_merges(gguf, &spec, err);
    if (status == LOAM_OK) status = read_rest(gguf, gguf_models[model].adds_bos, &spec, err);
    if (status == LOAM_OK) {
        *out = spec;
        return LOAM_OK;
    }
    lm_tokenizer_spec_deinit(&spec);
    return lm_error_prefix(err, status, "%s", lm_gguf_path(gguf));
}
