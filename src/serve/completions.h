/* /v1/completions and /v1/chat/completions: from body to generation, from events to reply or stream. Loop's thread. */
#ifndef LM_SERVE_COMPLETIONS_H
#define LM_SERVE_COMPLETIONS_H

#include "base/rng.h"
#include "model/chat.h"
#include "net/http_server.h"
#include "serve/embed_engine.h"
#include "serve/metrics.h"

/* What a handler needs; belongs to the server. */
typedef struct lm_completion_context {
    lm_engine *engine;             /* NULL: the model writes no text */
    lm_embed_engine *embed_engine; /* NULL: it gives no embeddings and no scores */
    const lm_tokenizer *tokenizer;
    const lm_chat *chat;
    lm_sampler_options sampling; /* for what a body leaves out */
    const char *model_name;      /* that requests must name */
    size_t
        longest_token_bytes; /* of the vocabulary: a prompt has at least its bytes divided by this in tokens */
    lm_metrics *metrics;
    lm_rng rng;    /* for ids */
    bool draining; /* refuse new requests */
} lm_completion_context;

/* Tokens that one text or conversation may have. */
int64_t lm_completion_max_tokens(const lm_completion_context *context);

/* Of the longest text that can fit into the context: longer ones are refused before seconds are spent on tokenizing them. */
size_t lm_completion_max_prompt_bytes(const lm_completion_context *context);

/* lm_http_handler; arg is the context. */
void lm_handle_completions(lm_http_request *request, void *context);
void lm_handle_chat_completions(lm_http_request *request, void *context);

#endif
