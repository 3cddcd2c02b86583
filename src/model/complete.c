#include "model/complete.h"

#include "model/tokenizer.h"

typedef struct completion {
    lm_detokenizer detokenizer;
    lm_buf piece;
    lm_complete_fn *fn;
    void *ctx;
} completion;

static bool on_token(void *ctx, const lm_sample *sample) {
    completion *c = ctx;
    lm_buf_reset(&c->piece);
    lm_detokenizer_push(&c->detokenizer, sample->token, &c->piece);
    if (c->piece.status != LOAM_OK) return false;
    return c->fn(c->ctx, lm_buf_view(&c->piece), sample);
}

static void flush(completion *c) {
    lm_buf_reset(&c->piece);
    lm_detokenizer_flush(&c->detokenizer, &c->piece);
    if (c->piece.len > 0) c->fn(c->ctx, lm_buf_view(&c->piece), NULL);
}

static loam_status encode(const lm_tokenizer *tokenizer, lm_str prompt, bool parse_special,
                          lm_vec_i32 *ids, loam_error *err) {
    lm_encode_options options = {.add_bos = prompt.len == 0 || lm_tokenizer_adds_bos(tokenizer),
                                 .parse_special = parse_special};
    LM_TRY(lm_tokenizer_encode(tokenizer, prompt, options, ids, err));
    if (ids->len > 0) return LOAM_OK;
    lm_error_set(err, LOAM_INVALID,
                 "the prompt is empty, and the model has no token that begins a text");
    return lm_error_hint(err, LOAM_INVALID, "give it some text to go on from");
}

loam_status lm_complete(lm_session *session, lm_str prompt, const lm_complete_options *options,
                        lm_complete_fn *fn, void *ctx, lm_generate_stats *out_stats,
                        loam_error *err) {
    const lm_tokenizer *tokenizer = lm_model_tokenizer(lm_session_model(session));
    if (!tokenizer) {
        lm_error_set(err, LOAM_INVALID, "the model has no tokenizer");
        return lm_error_hint(err, LOAM_INVALID,
                             "copy the tokenizer's files into the model's folder");
    }
    completion c = {.fn = fn, .ctx = ctx};
    lm_detokenizer_init(&c.detokenizer, tokenizer, prompt.len == 0 && !options->ids);
    lm_buf_init(&c.piece, LM_DETOKENIZER_MAX_PIECE_BYTES);
    lm_vec_i32 ids = {0};
    const lm_vec_i32 *given = options->ids ? options->ids : &ids;
    loam_status status =
        options->ids ? LOAM_OK : encode(tokenizer, prompt, options->parse_special, &ids, err);
    if (status == LOAM_OK)
        status = lm_generate(session, given->ptr, (int64_t)given->len, &options->generate, on_token,
                             &c, out_stats, err);
    if (status == LOAM_OK) status = lm_buf_status(&c.piece, err);
    if (status == LOAM_OK) flush(&c);
    lm_vec_deinit(&ids);
    lm_buf_deinit(&c.piece);
    return status;
}
