#include "base/mem.h"
#include "model/tokenizer_spec.h"
#include "model/tokenizer_writers.h"

/* Qwen's: readers of GGUF know it by the pre-tokenization or leave it out, which text that is composed does not notice. */
static bool is_nfc_only(const lm_tokenizer_spec *spec) {
    return spec->normalizer.len == 1 && spec->normalizer.ptr[0].kind == LM_NORMALIZER_NFC;
}

static LM_MUST_USE loam_status check_sayable(const lm_tokenizer_spec *spec, loam_error *err) {
    const char *what = NULL;
    lm_bert_steps steps;
    lm_unigram_steps unigram;
    bool is_bert;
    LM_TRY(lm_tokenizer_spec_is_bert(spec, &steps, &is_bert, err));
    bool known = is_bert || lm_tokenizer_spec_is_unigram(spec, &unigram);
    if (spec->kind == LM_TOKENIZER_BPE && spec->normalizer.len && !is_nfc_only(spec))
        what = "a normal form";
    if (spec->kind != LM_TOKENIZER_BPE && spec->kind != LM_TOKENIZER_SPM && !known)
        what = "another kind than BPE, BERT's WordPiece and SentencePiece's Unigram";
    if (spec->kind == LM_TOKENIZER_BPE && !spec->pre_name[0])
        what = "a pre-tokenization of its own";
    if (!what) return LOAM_OK;
    return lm_error_set(err, LOAM_UNSUPPORTED, "the tokenizer has %s, which GGUF cannot say", what);
}

/* Where it goes, and how many tokens there are to be. */
typedef struct gguf_vocab {
    lm_gguf_writer *writer;
    size_t n;
} gguf_vocab;

static LM_MUST_USE loam_status add_scores(const lm_tokenizer_spec *spec, const gguf_vocab *out,
                                          loam_error *err) {
    float *scores;
    LM_TRY(lm_tokenizer_spec_scores(spec, &scores, err));
    lm_gguf_writer_open_array(out->writer, "tokenizer.ggml.scores", LM_GGUF_F32, out->n);
    for (size_t i = 0; i < out->n; i++)
        lm_gguf_writer_push_f32(out->writer, i < spec->tokens.len ? scores[i] : 0);
    lm_free(scores);
    return LOAM_OK;
}

/* "[PAD7]", as llama.cpp's converter calls them. */
static void put_token(const lm_tokenizer_spec *spec, size_t id, lm_buf *piece) {
    lm_buf_reset(piece);
    if (id >= spec->tokens.len)
        lm_buf_printf(piece, "[PAD%zu]", id);
    else if (spec->kind == LM_TOKENIZER_WORDPIECE)
        lm_tokenizer_spec_put_piece(spec, (int32_t)id, LM_SPM_SPACE, "", piece);
    else
        lm_buf_append(piece, spec->tokens.ptr[id].text.ptr, spec->tokens.ptr[id].text.len);
}

static LM_MUST_USE loam_status add_tokens(const lm_tokenizer_spec *spec, const gguf_vocab *out,
                                          loam_error *err) {
    lm_buf piece;
    lm_buf_init(&piece, LM_TOKEN_MAX_BYTES + 8);
    lm_gguf_writer_open_array(out->writer, "tokenizer.ggml.tokens", LM_GGUF_STRING, out->n);
    for (size_t i = 0; i < out->n && piece.status == LOAM_OK; i++) {
        put_token(spec, i, &piece);
        lm_gguf_writer_push_str(out->writer, lm_buf_view(&piece));
    }
    loam_status status = lm_buf_status(&piece, err);
    lm_buf_deinit(&piece);
    lm_gguf_writer_open_array(out->writer, "tokenizer.ggml.token_type", LM_GGUF_I32, out->n);
    for (size_t i = 0; i < out->n; i++)
        lm_gguf_writer_push_i32(out->writer, i < spec->tokens.len
                                                 ? (int32_t)spec->tokens.ptr[i].type
                                                 : LM_TOKEN_UNUSED);
    return status;
}

/* The two steps by which BERT's differ. */
static LM_MUST_USE loam_status add_bert(const lm_tokenizer_spec *spec, lm_gguf_writer *writer,
                                        loam_error *err) {
    lm_bert_steps steps;
    bool is_bert;
    LM_TRY(lm_tokenizer_spec_is_bert(spec, &steps, &is_bert, err));
    lm_gguf_writer_add_bool(writer, "tokenizer.ggml.normalizer.lowercase", steps.lowers);
    lm_gguf_writer_add_bool(writer, "tokenizer.ggml.normalizer.strip_accents",
                            steps.strips_accents);
    return LOAM_OK;
}

static LM_MUST_USE loam_status add_merges(const lm_tokenizer_spec *spec, lm_gguf_writer *writer,
                                          loam_error *err) {
    lm_buf text;
    lm_buf_init(&text, 2 * LM_TOKEN_MAX_BYTES + 1);
    lm_gguf_writer_open_array(writer, "tokenizer.ggml.merges", LM_GGUF_STRING, spec->merges.len);
    for (size_t i = 0; i < spec->merges.len && text.status == LOAM_OK; i++) {
        const lm_token_merge *merge = &spec->merges.ptr[i];
        lm_str left = spec->tokens.ptr[merge->left].text,
               right = spec->tokens.ptr[merge->right].text;
        lm_buf_reset(&text);
        lm_buf_append(&text, left.ptr, left.len);
        lm_buf_putc(&text, ' ');
        lm_buf_append(&text, right.ptr, right.len);
        lm_gguf_writer_push_str(writer, lm_buf_view(&text));
    }
    loam_status status = lm_buf_status(&text, err);
    lm_buf_deinit(&text);
    return status;
}

static void add_id(lm_gguf_writer *writer, const char *key, int32_t id) {
    if (id >= 0) lm_gguf_writer_add_u32(writer, key, (uint32_t)id);
}

static LM_MUST_USE loam_status add_unigram(const lm_tokenizer_spec *spec, const gguf_vocab *out,
                                           loam_error *err) {
    lm_unigram_steps steps;
    LM_ASSERT(lm_tokenizer_spec_is_unigram(spec, &steps));
    const lm_gguf_value map = {.key = LM_STR("tokenizer.ggml.precompiled_charsmap"),
                               .type = LM_GGUF_ARRAY,
                               .array = {.type = LM_GGUF_U8,
                                         .n = steps.charsmap.len,
                                         .bytes = (const uint8_t *)steps.charsmap.ptr,
                                         .size_bytes = steps.charsmap.len}};
    if (steps.charsmap.len) lm_gguf_writer_add_value(out->writer, &map);
    lm_gguf_writer_add_bool(out->writer, "tokenizer.ggml.remove_extra_whitespaces", steps.squeezes);
    return add_scores(spec, out, err);
}

static LM_MUST_USE loam_status add_kind(const lm_tokenizer_spec *spec, const gguf_vocab *out,
                                        loam_error *err) {
    switch (spec->kind) {
    case LM_TOKENIZER_SPM: return add_scores(spec, out, err);
    case LM_TOKENIZER_WORDPIECE: return add_bert(spec, out->writer, err);
    case LM_TOKENIZER_UNIGRAM: return add_unigram(spec, out, err);
    default: return add_merges(spec, out->writer, err);
    }
}

/* What stands around a text. */
static void add_template(const lm_tokenizer *tokenizer, lm_gguf_writer *writer) {
    const lm_tokenizer_spec *spec = lm_tokenizer_get_spec(tokenizer);
    int32_t last = spec->after.len > 0 ? spec->after.ptr[spec->after.len - 1] : -1,
            eos = lm_tokenizer_eos(tokenizer);
    bool separates = spec->kind == LM_TOKENIZER_WORDPIECE || spec->between.len == 2;
    if (separates) add_id(writer, "tokenizer.ggml.seperator_token_id", last); /* as it is spelled */
    lm_gguf_writer_add_bool(writer, "tokenizer.ggml.add_bos_token", spec->add_bos);
    if (spec->kind == LM_TOKENIZER_WORDPIECE) return;
    lm_gguf_writer_add_bool(writer, "tokenizer.ggml.add_eos_token",
                            spec->add_eos && (last < 0 || last == eos));
    if (separates) lm_gguf_writer_add_bool(writer, "tokenizer.ggml.add_sep_token", true);
}

loam_status lm_tokenizer_write_gguf(const lm_tokenizer *tokenizer, int64_t n_rows,
                                    lm_gguf_writer *writer, loam_error *err) {
    static const char *const models[LM_TOKENIZER_KIND_COUNT] = {[LM_TOKENIZER_SPM] = "llama",
                                                                [LM_TOKENIZER_BPE] = "gpt2",
                                                                [LM_TOKENIZER_WORDPIECE] = "bert",
                                                                [LM_TOKENIZER_UNIGRAM] = "t5"};
    const lm_tokenizer_spec *spec = lm_tokenizer_get_spec(tokenizer);
    const size_t n = spec->tokens.len;
    const gguf_vocab vocab = {writer, n_rows > (int64_t)n ? (size_t)n_rows : n};
    LM_TRY(check_sayable(spec, err));
    lm_gguf_writer_add_str(writer, "tokenizer.ggml.model", lm_str_of(models[spec->kind]));
    lm_gguf_writer_add_str(writer, "tokenizer.ggml.pre",
                           spec->kind == LM_TOKENIZER_BPE ? lm_str_of(spec->pre_name)
                                                          : LM_STR("default"));
    LM_TRY(add_tokens(spec, &vocab, err));
    LM_TRY(add_kind(spec, &vocab, err));
    add_id(writer, "tokenizer.ggml.bos_token_id", spec->bos);
    add_id(writer, "tokenizer.ggml.eos_token_id", lm_tokenizer_eos(tokenizer));
    add_id(writer, "tokenizer.ggml.unknown_token_id", spec->unk);
    add_id(writer, "tokenizer.ggml.padding_token_id", spec->pad);
    add_template(tokenizer, writer);
    lm_unigram_steps unigram;
    bool prefixes = lm_tokenizer_spec_is_unigram(spec, &unigram)
                        ? unigram.prefixes
                        : lm_tokenizer_spec_adds_space(spec);
    lm_gguf_writer_add_bool(writer, "tokenizer.ggml.add_space_prefix", prefixes);
    if (spec->chat_template.len)
        lm_gguf_writer_add_str(writer, "tokenizer.chat_template", spec->chat_template);
    if (spec->tool_template.len)
        lm_gguf_writer_add_str(writer, "tokenizer.chat_template.tool_use", spec->tool_template);
    return LOAM_OK;
}
