/* Answers of /v1/embeddings and /v1/rerank as JSON text. Buffers belong to the caller and are appended to. */
#ifndef LM_SERVE_EMBED_REPLY_H
#define LM_SERVE_EMBED_REPLY_H

#include "model/pooling.h"
#include "serve/embed_parse.h"

typedef struct lm_embed_reply {
    const char *id;
    lm_str model;
    float *vectors; /* [request's inputs, width] as the embedder gave them */
    int64_t width, n_tokens;
} lm_embed_reply;

/* The vectors cut to the wanted dimensions and finished in place (lm_pooling_finish), as numbers that give the same f32 back or
 * as base64 of little-endian f32. */
void lm_embed_reply_vectors(lm_buf *out, const lm_embed_reply *reply,
                            const lm_embed_request *request, const lm_pooling *pooling);

/* The best first, equal ones as they came; at most top_n. */
void lm_embed_reply_rank(lm_buf *out, const lm_embed_reply *reply, const lm_embed_request *request);

#endif
