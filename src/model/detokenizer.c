/* Ids back to text, whole or token by token. Whole decoding is the stream pushed to its end, so that the two cannot
 * differ. */
#include "model/tokenizer_spec.h"
#include "model/utf8.h"

void lm_detokenizer_init(lm_detokenizer *stream, const lm_tokenizer *tokenizer, bool at_start) {
    bool adds_space = lm_tokenizer_get_spec(tokenizer)->space_prefix != LM_SPACE_PREFIX_NONE;
    *stream = (lm_detokenizer){.tokenizer = tokenizer, .at_start = at_start && adds_space};
}

/* Length of the prefix of bytes that holds no character cut off at the end. */
static size_t whole_characters(const char *bytes, size_t n) {
    size_t most = n < LM_UTF8_MAX_BYTES - 1 ? n : LM_UTF8_MAX_BYTES - 1;
    for (size_t cut = most; cut > 0; cut--) {
        if (lm_utf8_is_cut(bytes + n - cut, cut)) return n - cut;
    }
    return n;
}

void lm_detokenizer_push(lm_detokenizer *stream, int32_t id, lm_buf *out) {
    lm_str bytes = lm_tokenizer_token_bytes(stream->tokenizer, id);
    if (bytes.len == 0) return;
    if (stream->at_start && bytes.ptr[0] == ' ') bytes = (lm_str){bytes.ptr + 1, bytes.len - 1};
    stream->at_start = false;
    size_t before = out->len;
    lm_buf_append(out, stream->held, (size_t)stream->n_held);
    lm_buf_append(out, bytes.ptr, bytes.len);
    if (out->status != LOAM_OK) return;
    size_t whole = whole_characters(out->ptr + before, out->len - before);
    stream->n_held = (int)(out->len - before - whole);
    memcpy(stream->held, out->ptr + before + whole, (size_t)stream->n_held);
    out->len = before + whole;
    out->ptr[out->len] = '\0';
}

void lm_detokenizer_flush(lm_detokenizer *stream, lm_buf *out) {
    lm_buf_append(out, stream->held, (size_t)stream->n_held);
    stream->n_held = 0;
}

loam_status lm_tokenizer_decode(const lm_tokenizer *tokenizer, const int32_t *ids, size_t n,
                                lm_buf *out, loam_error *err) {
    lm_detokenizer stream;
    lm_detokenizer_init(&stream, tokenizer, true);
    for (size_t i = 0; i < n; i++) lm_detokenizer_push(&stream, ids[i], out);
    lm_detokenizer_flush(&stream, out);
    return lm_buf_status(out, err);
}
