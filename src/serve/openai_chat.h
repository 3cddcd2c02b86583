/* The part of a chat request that its template sees: messages, tools, documents and variables, checked and brought into the form that
 * templates expect. Part of openai_parse. */
#ifndef LM_SERVE_OPENAI_CHAT_H
#define LM_SERVE_OPENAI_CHAT_H

#include "serve/openai_parse.h"

/* Fills out->talk from out->body. Texts in parts become one text, a call's arguments an object; developers are systems to
 * templates that do not know them. */
loam_status lm_api_read_talk(const lm_chat *chat, lm_api_request *out,
                             lm_api_error *error) LM_MUST_USE;

/* Of a body that has a talk and nothing else: /tokenize. The body stays the caller's and must outlive *out. On failure nothing is
 * left to free; otherwise lm_api_request_deinit. */
loam_status lm_api_talk_parse(const lm_chat *chat, json_t *body, lm_api_request *out,
                              lm_api_error *error) LM_MUST_USE;

/* The same talk for templates that stumble over contents that are null: without them (attempt 1), or with empty ones (2). False
 * when there is none, or no such attempt. */
bool lm_api_retry_talk(lm_api_request *request, int attempt);

/* Appends the ids of the talk as its template puts it. Clients send no content beside calls, over which some templates stumble:
 * those get it left out, or empty. Errors as lm_chat_encode's. */
loam_status lm_api_encode_talk(const lm_chat *chat, lm_api_request *request, size_t max_bytes,
                               lm_vec_i32 *ids, loam_error *err) LM_MUST_USE;

#endif
