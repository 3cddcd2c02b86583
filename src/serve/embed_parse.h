/* The bodies of /v1/embeddings (OpenAI's) and /v1/rerank (as Jina and Cohere have it), with vLLM's truncate_prompt_tokens, checked field by
 * field like those of openai_parse.h. Texts are borrowed from the body, which belongs to the parsed request.
 */
#ifndef LM_SERVE_EMBED_PARSE_H
#define LM_SERVE_EMBED_PARSE_H

#include "serve/api_fields.h"

enum { LM_API_MAX_INPUTS = 2048 }; /* as OpenAI's; of documents too */

typedef struct lm_embed_request {
    json_t *body;
    lm_arena arena;
    bool rerank;
    lm_str model;
    lm_api_prompts inputs; /* or documents, which are text */
    int64_t truncate; /* tokens that are kept of a text; -1: as many as the model takes, 0: longer ones are refused */
    /* embeddings */
    bool base64;
    int64_t dimensions; /* 0: all */
    /* rerank */
    lm_str query;
    int64_t top_n; /* 0: all */
    bool return_documents;
} lm_embed_request;

/* n_vocab bounds token ids. On failure nothing is left to free. */
loam_status lm_embed_request_parse(lm_str text, bool rerank, int64_t n_vocab, lm_embed_request *out,
                                   lm_api_error *error) LM_MUST_USE;
void lm_embed_request_deinit(lm_embed_request *request);

#endif
