/* /v1/embeddings and /v1/rerank: from body to job, from its vectors to the reply. Loop's thread. */
#ifndef LM_SERVE_EMBEDDINGS_H
#define LM_SERVE_EMBEDDINGS_H

#include "serve/completions.h"

/* lm_http_handler; arg is an lm_completion_context. */
void lm_handle_embeddings(lm_http_request *request, void *context);
void lm_handle_rerank(lm_http_request *request, void *context);

/* "embeddings" or "rerank": where an engine's model is asked. */
const char *lm_embed_endpoint(const lm_embed_engine *engine);

#endif
