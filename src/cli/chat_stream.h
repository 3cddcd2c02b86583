/* One streamed answer of an OpenAI-compatible server: a request out, its text pieces in as they come. */
#ifndef LM_CLI_CHAT_STREAM_H
#define LM_CLI_CHAT_STREAM_H

#include <jansson.h>

#include "base/str.h"

typedef struct lm_chat_stream {
    const char *url; /* of the server */
    const char *key;
    const char *path;   /* "/v1/chat/completions" or "/v1/completions" */
    const json_t *body; /* with "stream": true */
    /* Takes a piece of the answer's text; false stops the answer. */
    bool (*on_text)(lm_str text, void *arg);
    bool (*go_on)(void *arg); /* asked with every piece that comes, text or not */
    void *arg;
} lm_chat_stream;

/* LOAM_CANCELLED when on_text or go_on said so; the server's own error with its message. */
loam_status lm_chat_stream_run(const lm_chat_stream *stream, loam_error *err) LM_MUST_USE;

#endif
