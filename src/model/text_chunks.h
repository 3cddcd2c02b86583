/* A text cut in chunks of tokens that know nothing of each other: how perplexity and importance are measured, so that long texts
 * fit any context. A model that wants a token that begins a text has it in place of each chunk's first.
 */
#ifndef LM_MODEL_TEXT_CHUNKS_H
#define LM_MODEL_TEXT_CHUNKS_H

#include "model/model.h"

typedef struct lm_text_chunks {
    const int32_t *tokens; /* of the whole text, borrowed */
    int64_t n_ctx, n_chunks;
    int32_t bos; /* takes the place of each chunk's first token; -1: none does */
} lm_text_chunks;

/* As many whole chunks as the text has, max_chunks at most (0: all); n_ctx 0: 512. LOAM_INVALID: fewer tokens than one chunk
 * has, a chunk below 4, a token that the model does not have. */
loam_status lm_text_chunks_init(lm_text_chunks *chunks, const lm_model *model,
                                const int32_t *tokens, int64_t n_tokens, int64_t n_ctx,
                                int64_t max_chunks, int32_t bos, loam_error *err) LM_MUST_USE;

/* Token i of a chunk as the model sees it. */
static inline int32_t lm_text_chunk_token(const lm_text_chunks *c, int64_t chunk, int64_t i) {
    return i == 0 && c->bos >= 0 ? c->bos : c->tokens[chunk * c->n_ctx + i];
}

#endif
