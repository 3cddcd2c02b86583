/* Ids back to text, whole or token by token. Whole decoding is the stream pushed to its end, so that the two cannot
 * differ. */
#include "model/tokenizer_spec.h"
#include "model/utf8.h"

static const lm_decoder_whole *whole_of(const lm_detokenizer *stream) {
    return lm_decoder_of_whole(lm_tokenizer_decoder(stream->tokenizer));
}

void lm_detokenizer_init(lm_detokenizer *stream, const lm_tokenizer *tokenizer, bool at_start) {
    *stream = (lm_detokenizer){.tokenizer = tokenizer, .at_start = at_start, .last_id = -1};
    if (at_start) stream->n_front = whole_of(stream)->n_front;
}

/* Length of the prefix of bytes that holds no character cut off at the end. */
static size_t whole_characters(const char *bytes, size_t n) {
    size_t most = n < LM_UTF8_MAX_BYTES - 1 ? n : LM_UTF8_MAX_BYTES - 1;
    for (size_t cut = most; cut > 0; cut--) {
        if (lm_utf8_is_cut(bytes + n - cut, cut)) return n - cut;
    }
    return n;
}

/* Appends text of the stream; what may have to be dropped at the end is held back. */
static void put(lm_detokenizer *stream, lm_str text, lm_buf *out) {
    const lm_decoder_whole *whole = whole_of(stream);
    while (stream->n_front > 0 && text.len > 0 && text.ptr[0] == whole->front) {
        text = (lm_str){text.ptr + 1, text.len - 1};
        stream->n_front--;
    }
    if (text.len == 0) return;
    stream->n_front = 0;
    size_t before = out->len;
    lm_buf_append(out, stream->held, (size_t)stream->n_held);
    for (; stream->n_back > 0; stream->n_back--) lm_buf_putc(out, whole->back);
    lm_buf_append(out, text.ptr, text.len);
    if (out->status != LOAM_OK) return;
    while (stream->n_back < whole->n_back && out->len > before &&
           out->ptr[out->len - 1] == whole->back) {
        out->len--;
        stream->n_back++;
    }
    size_t kept = whole_characters(out->ptr + before, out->len - before);
    stream->n_held = (int)(out->len - before - kept);
    memcpy(stream->held, out->ptr + before + kept, (size_t)stream->n_held);
    out->len = before + kept;
    out->ptr[out->len] = '\0';
}

/* The first token where it is spelled otherwise than later ones. */
static void put_first(lm_detokenizer *stream, int32_t id, lm_buf *out) {
    lm_decoder_scratch scratch;
    lm_buf bytes;
    lm_decoder_scratch_init(&scratch);
    lm_buf_init(&bytes, out->max_bytes);
    loam_status status = lm_decoder_spell(lm_tokenizer_decoder(stream->tokenizer),
                                          lm_tokenizer_token_text(stream->tokenizer, id), true,
                                          &scratch, &bytes, NULL);
    if (status == LOAM_OK)
        put(stream, lm_buf_view(&bytes), out);
    else
        out->status = out->status == LOAM_OK ? status : out->status;
    lm_buf_deinit(&bytes);
    lm_decoder_scratch_deinit(&scratch);
}

void lm_detokenizer_push(lm_detokenizer *stream, int32_t id, lm_buf *out) {
    const lm_decoder_whole *whole = whole_of(stream);
    lm_str bytes = lm_tokenizer_token_bytes(stream->tokenizer, id);
    bool is_repeat = whole->drops_repeats && id == stream->last_id;
    stream->last_id = id;
    if (bytes.len == 0 || is_repeat) return;
    bool is_first = stream->at_start;
    stream->at_start = false;
    if (is_first && whole->first_differs)
        put_first(stream, id, out);
    else
        put(stream, bytes, out);
}

void lm_detokenizer_flush(lm_detokenizer *stream, lm_buf *out) {
    lm_buf_append(out, stream->held, (size_t)stream->n_held);
    stream->n_held = 0;
    stream->n_back = 0;
}

loam_status lm_tokenizer_decode(const lm_tokenizer *tokenizer, const int32_t *ids, size_t n,
                                lm_buf *out, loam_error *err) {
    lm_detokenizer stream;
    lm_detokenizer_init(&stream, tokenizer, true);
    for (size_t i = 0; i < n; i++) lm_detokenizer_push(&stream, ids[i], out);
    lm_detokenizer_flush(&stream, out);
    return lm_buf_status(out, err);
}
