/* From chat messages to a prompt.
 *
 * A template is recognized by its landmarks (chatml, llama-3, llama-2) and its format written by hand; any other model
 * gets plain "role: content" lines. This file is the place where a template engine takes over: callers hand over the
 * template's text and messages, and get ids.
 *
 * What users write never becomes a control token: only the format's own words are read with control tokens allowed.
 */
#ifndef LM_SERVE_CHAT_H
#define LM_SERVE_CHAT_H

#include "model/tokenizer.h"

typedef struct lm_chat_message {
    lm_str role; /* "system", "user", "assistant", ...: checked by the caller */
    lm_str content;
} lm_chat_message;

typedef struct lm_chat_writer lm_chat_writer;
typedef struct lm_chat_format {
    const char *name;     /* "chatml"; for the log */
    const char *landmark; /* text in the model's template that tells */
    const char *end;      /* control token that ends a turn; NULL: none of its own */
    const char *stop;     /* text at which the answer is over; NULL: none */
    void (*write)(const lm_chat_message *messages, size_t n, lm_chat_writer *writer);
} lm_chat_format;

/* The format for a model's template (which may be empty). Static storage, never NULL. */
const lm_chat_format *lm_chat_format_of(lm_str chat_template);

/* Appends the prompt that makes the model answer the messages. */
loam_status lm_chat_encode(const lm_chat_format *format, const lm_tokenizer *tokenizer,
                           const lm_chat_message *messages, size_t n, lm_vec_i32 *ids,
                           loam_error *err) LM_MUST_USE;

#endif
