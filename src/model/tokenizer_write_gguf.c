#include "base/mem.h"
#include "model/tokenizer_spec.h"
#include "model/tokenizer_writers.h"

/* Qwen's: readers of GGUF know it by the pre-tokenization or leave it out, which text that is composed does not notice. */
static bool is_nfc_only(const lm_tokenizer_spec *spec) {
    return spec->normalizer.len == 1 && spec->normalizer.ptr[0].kind == LM_NORMALIZER_NFC;
}

static LM_MUST_USE loam_status check_sayable(const lm_tokenizer_spec *spec, loam_error *err) {
    const char *what = NULL;
    if (spec->kind == LM_TOKENIZER_BPE && spec->normalizer.len && !is_nfc_only(spec))
        what = "a normal form";
    if (spec->kind != LM_TOKENIZER_BPE && spec->kind != LM_TOKENIZER_SPM)
        what = "another kind than BPE";
    if (spec->kind == LM_TOKENIZER_BPE && !spec->pre_name[0])
        what = "a pre-tokenization of its own";
    if (!what) return LOAM_OK;
    return lm_error_set(err, LOAM_UNSUPPORTED, "the tokenizer has %s, which GGUF cannot say", what);
}

static LM_MUST_USE loam_status add_scores(const lm_tokenizer_spec *spec, lm_gguf_writer *writer,
                                          loam_error *err) {
    float *scores;
    LM_TRY(lm_tokenizer_spec_scores(spec, &scores, err));
    lm_gguf_writer_open_array(writer, "tokenizer.ggml.scores", LM_GGUF_F32, spec->tokens.len);
    for (size_t i = 0; i < spec->tokens.len; i++) lm_gguf_writer_push_f32(writer, scores[i]);
    lm_free(scores);
    return LOAM_OK;
}

static void add_tokens(const lm_tokenizer_spec *spec, lm_gguf_writer *writer) {
    size_t n = spec->tokens.len;
    lm_gguf_writer_open_array(writer, "tokenizer.ggml.tokens", LM_GGUF_STRING, n);
    for (size_t i = 0; i < n; i++) lm_gguf_writer_push_str(writer, spec->tokens.ptr[i].text);
    lm_gguf_writer_open_array(writer, "tokenizer.ggml.token_type", LM_GGUF_I32, n);
    for (size_t i = 0; i < n; i++)
        lm_gguf_writer_push_i32(writer, (int32_t)spec->tokens.ptr[i].type);
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

loam_status lm_tokenizer_write_gguf(const lm_tokenizer *tokenizer, lm_gguf_writer *writer,
                                    loam_error *err) {
    const lm_tokenizer_spec *spec = lm_tokenizer_get_spec(tokenizer);
    bool is_spm = spec->kind == LM_TOKENIZER_SPM;
    LM_TRY(check_sayable(spec, err));
    lm_gguf_writer_add_str(writer, "tokenizer.ggml.model",
                           is_spm ? LM_STR("llama") : LM_STR("gpt2"));
    lm_gguf_writer_add_str(writer, "tokenizer.ggml.pre",
                           is_spm ? LM_STR("default") : lm_str_of(spec->pre_name));
    add_tokens(spec, writer);
    LM_TRY(is_spm ? add_scores(spec, writer, err) : add_merges(spec, writer, err));
    add_id(writer, "tokenizer.ggml.bos_token_id", spec->bos);
    add_id(writer, "tokenizer.ggml.eos_token_id", lm_tokenizer_eos(tokenizer));
    add_id(writer, "tokenizer.ggml.unknown_token_id", spec->unk);
    add_id(writer, "tokenizer.ggml.padding_token_id", spec->pad);
    lm_gguf_writer_add_bool(writer, "tokenizer.ggml.add_bos_token", spec->add_bos);
    lm_gguf_writer_add_bool(writer, "tokenizer.ggml.add_space_prefix",
                            lm_tokenizer_spec_adds_space(spec));
    if (spec->chat_template.len)
        lm_gguf_writer_add_str(writer, "tokenizer.chat_template", spec->chat_template);
    if (spec->tool_template.len)
        lm_gguf_writer_add_str(writer, "tokenizer.chat_template.tool_use", spec->tool_template);
    return LOAM_OK;
}
