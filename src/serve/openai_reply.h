/* Answers of the completion endpoints as JSON text: whole replies and the chunks of a stream. Buffers belong to the
 * caller and are appended to.
 */
#ifndef LM_SERVE_OPENAI_REPLY_H
#define LM_SERVE_OPENAI_REPLY_H

#include "serve/choice.h"

/* What every object of one answer repeats. */
typedef struct lm_reply_head {
    const char *id; /* "cmpl-...", "chatcmpl-..." */
    bool chat;
    int64_t created_s;
    lm_str model;
    const lm_tokenizer *tokenizer; /* spells tokens for logprobs */
} lm_reply_head;

typedef struct lm_reply_usage {
    int64_t prompt_tokens, completion_tokens;
} lm_reply_usage;

/* One choice of a reply, or its piece in a chunk. */
typedef struct lm_reply_choice {
    int index;
    lm_str text;
    bool logprobs;            /* asked for */
    const lm_sample *samples; /* [n_samples] */
    size_t n_samples;
    size_t text_offset; /* of the first sample's text in the choice's text; completions report it */
    lm_finish finish;
    bool first; /* chunks of a chat begin with the role */
} lm_reply_choice;

void lm_reply_write(lm_buf *out, const lm_reply_head *head, const lm_reply_choice *choices,
                    size_t n, lm_reply_usage usage);

/* with_usage: the stream ends with a usage chunk, and all before say "usage": null. */
void lm_reply_write_chunk(lm_buf *out, const lm_reply_head *head, const lm_reply_choice *choice,
                          bool with_usage);
void lm_reply_write_usage_chunk(lm_buf *out, const lm_reply_head *head, lm_reply_usage usage);

/* Bytes of text that a token adds to `text_offset`. */
size_t lm_reply_token_bytes(const lm_reply_head *head, int32_t token);

#endif
