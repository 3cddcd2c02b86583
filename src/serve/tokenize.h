/* /tokenize and /detokenize, as vLLM serves them: text or a conversation to token ids and back. Loop's thread; nothing is generated. */
#ifndef LM_SERVE_TOKENIZE_H
#define LM_SERVE_TOKENIZE_H

#include "net/http_server.h"

/* lm_http_handler; arg is the lm_completion_context. */
void lm_handle_tokenize(lm_http_request *request, void *context);
void lm_handle_detokenize(lm_http_request *request, void *context);

#endif
