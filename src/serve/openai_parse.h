/* The bodies of /v1/completions and /v1/chat/completions, checked field by field. Everything that is wrong is named; a
 * field nobody knows is refused, one that OpenAI knows but that changes nothing here is ignored.
 *
 * Texts are borrowed from the body, or from the arena, which both belong to the parsed request.
 */
#ifndef LM_SERVE_OPENAI_PARSE_H
#define LM_SERVE_OPENAI_PARSE_H

#include "model/chat.h"
#include "model/sampler.h"
#include "serve/api_fields.h"
#include "serve/stop.h"

enum { LM_API_MAX_CHOICES = 128, LM_API_MAX_PROMPTS = 256 };

typedef struct lm_api_request {
    json_t *body;
    lm_arena arena;
    bool chat;
    lm_str model;
    lm_api_prompts prompts; /* completions */
    lm_chat_talk talk;      /* chat; borrows from the body and from the two below */
    json_t *messages;       /* as templates read them: a new list */
    json_t *variables;
    int n;
    int64_t max_tokens; /* INT64_MAX: as far as the context goes */
    bool stream, include_usage, echo, ignore_end;
    lm_str stops[LM_STOP_MAX_STRINGS];
    size_t n_stops;
    lm_sampler_options
        sampling; /* biases point into the arena; seed is the given one or a random one */
} lm_api_request;

/* chat: the model's template, NULL for /v1/completions. defaults: sampling for what the body leaves out. n_vocab bounds token ids. On failure nothing is left to free. */
loam_status lm_api_request_parse(lm_str text, const lm_chat *chat,
                                 const lm_sampler_options *defaults, int64_t n_vocab,
                                 lm_api_request *out, lm_api_error *error) LM_MUST_USE;
void lm_api_request_deinit(lm_api_request *request);

#endif
