/* tokenizer.model: SentencePiece's ModelProto, of a SentencePiece BPE. Field numbers from sentencepiece_model.proto, as in
 * tokenizer_sentencepiece.c, which reads it; the wire format from the Protocol Buffers encoding guide.
 */
#include "base/file.h"
#include "base/mem.h"
#include "model/tokenizer_spec.h"
#include "model/tokenizer_writers.h"

enum { MODEL_MAX_BYTES = 1 << 30, VARINT = 0, BYTES = 2, FIXED32 = 5, MODEL_TYPE_BPE = 2 };

loam_status lm_tokenizer_spec_scores(const lm_tokenizer_spec *spec, float **out, loam_error *err) {
    size_t n = spec->tokens.len, n_merges = spec->merges.len;
    float *scores = lm_alloc((n + 1) * sizeof *scores);
    if (!scores) return lm_error_no_memory(err, n * sizeof *scores);
    /* What no merge makes must not be made before anything that one does. */
    for (size_t i = 0; i < n; i++)
        scores[i] = n_merges ? -(float)(n_merges + 1) : (float)spec->tokens.ptr[i].score;
    for (size_t rank = n_merges; rank-- > 0;) scores[spec->merges.ptr[rank].result] = -(float)rank;
    *out = scores;
    return LOAM_OK;
}

size_t lm_tokenizer_spec_n_used(const lm_tokenizer_spec *spec) {
    size_t n = spec->tokens.len;
    while (n > 0 && spec->tokens.ptr[n - 1].type == LM_TOKEN_UNUSED) n--;
    return n;
}

static void put_varint(lm_buf *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) lm_buf_putc(out, (char)(value | 0x80));
    lm_buf_putc(out, (char)value);
}

static void put_key(lm_buf *out, unsigned field, unsigned wire_type) {
    put_varint(out, field << 3 | wire_type);
}

static void put_number(lm_buf *out, unsigned field, int64_t value) {
    put_key(out, field, VARINT);
    put_varint(out, (uint64_t)value);
}

static void put_bytes(lm_buf *out, unsigned field, lm_str bytes) {
    put_key(out, field, BYTES);
    put_varint(out, bytes.len);
    lm_buf_append(out, bytes.ptr, bytes.len);
}

static void put_piece(lm_buf *out, const lm_token *token, float score, lm_buf *piece) {
    lm_buf_reset(piece);
    put_bytes(piece, 1, token->text);
    put_key(piece, 2, FIXED32);
    lm_buf_append(piece, &score, sizeof score);
    put_number(piece, 3, token->type);
    put_bytes(out, 1, lm_buf_view(piece));
}

static void put_trainer(lm_buf *out, const lm_tokenizer *tokenizer, lm_buf *part) {
    const lm_tokenizer_spec *spec = lm_tokenizer_get_spec(tokenizer);
    lm_buf_reset(part);
    put_number(part, 3, MODEL_TYPE_BPE);
    put_number(part, 35, spec->byte_fallback);
    put_number(part, 40, spec->unk);
    put_number(part, 41, spec->bos);
    put_number(part, 42, lm_tokenizer_eos(tokenizer));
    put_number(part, 43, spec->pad);
    put_bytes(out, 2, lm_buf_view(part));
}

static void put_normalizer(lm_buf *out, const lm_tokenizer_spec *spec, lm_buf *part) {
    lm_buf_reset(part);
    put_bytes(part, 1, LM_STR("identity"));
    put_number(part, 3, lm_tokenizer_spec_adds_space(spec));
    put_number(part, 4, 0);
    put_number(part, 5, 1);
    put_bytes(out, 3, lm_buf_view(part));
}

loam_status lm_tokenizer_write_sentencepiece(const lm_tokenizer *tokenizer, const char *path,
                                             loam_error *err) {
    const lm_tokenizer_spec *spec = lm_tokenizer_get_spec(tokenizer);
    lm_buf model, part;
    float *scores;
    LM_TRY(lm_tokenizer_spec_scores(spec, &scores, err));
    lm_buf_init(&model, MODEL_MAX_BYTES);
    lm_buf_init(&part, LM_TOKEN_MAX_BYTES + 64);
    for (size_t i = 0; i < lm_tokenizer_spec_n_used(spec); i++)
        put_piece(&model, &spec->tokens.ptr[i], scores[i], &part);
    put_trainer(&model, tokenizer, &part);
    put_normalizer(&model, spec, &part);
    loam_status status = lm_buf_status(&part, err);
    if (status == LOAM_OK) status = lm_buf_status(&model, err);
    if (status == LOAM_OK) status = lm_file_write_atomic(path, model.ptr, model.len, err);
    lm_buf_deinit(&model);
    lm_buf_deinit(&part);
    lm_free(scores);
    return status;
}
