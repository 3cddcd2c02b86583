#include "model/text_chunks.h"

enum { DEFAULT_CTX = 512, MIN_CTX = 4 };

loam_status lm_text_chunks_init(lm_text_chunks *c, const lm_model *model, const int32_t *tokens,
                                int64_t n_tokens, int64_t n_ctx, int64_t max_chunks, int32_t bos,
                                loam_error *err) {
    int64_t n_vocab = lm_model_config(model)->hparams.vocab_size;
    if (n_ctx == 0) n_ctx = DEFAULT_CTX;
    if (n_ctx < MIN_CTX)
        return lm_error_set(err, LOAM_INVALID,
                            "chunks of %lld tokens are too short, %d is the least",
                            (long long)n_ctx, MIN_CTX);
    if (n_tokens < n_ctx) {
        lm_error_set(err, LOAM_INVALID, "the text has %lld tokens, one chunk has %lld",
                     (long long)n_tokens, (long long)n_ctx);
        return lm_error_hint(err, LOAM_INVALID, "take a longer text or a smaller context");
    }
    for (int64_t i = 0; i < n_tokens; i++)
        if (tokens[i] < 0 || tokens[i] >= n_vocab)
            return lm_error_set(err, LOAM_INVALID,
                                "token %d is not in the model's vocabulary of %lld", tokens[i],
                                (long long)n_vocab);
    *c = (lm_text_chunks){
        .tokens = tokens, .n_ctx = n_ctx, .n_chunks = n_tokens / n_ctx, .bos = bos};
    if (max_chunks > 0 && max_chunks < c->n_chunks) c->n_chunks = max_chunks;
    return LOAM_OK;
}
