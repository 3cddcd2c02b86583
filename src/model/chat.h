/* From a conversation to a prompt: a model's chat template, or its family's where it came without one.
 *
 * A chat is made once for a model and used by any number of threads at once; it borrows the tokenizer. Messages, tools and
 * documents go to the template as they are in JSON, as transformers gives them: with `tools` and `documents` none where
 * there are none, the texts of the special tokens by name, and a message's thinking under each of its usual names.
 *
 * What users write never becomes a control token: where their texts spell one, it is tokenized as plain text.
 */
#ifndef LM_MODEL_CHAT_H
#define LM_MODEL_CHAT_H

#include <jansson.h>

#include "model/tokenizer.h"

typedef struct lm_chat lm_chat;

/* The tokenizer's own template, or that of the family that the vocabulary or the architecture's name in either format ("llama"; may be NULL)
 * shows. LOAM_INVALID when its own cannot be compiled. */
loam_status lm_chat_open(const lm_tokenizer *tokenizer, const char *arch, lm_chat **out,
                         loam_error *err) LM_MUST_USE;
/* The family's template, whatever the model came with. */
loam_status lm_chat_open_family(const lm_tokenizer *tokenizer, const char *arch, lm_chat **out,
                                loam_error *err) LM_MUST_USE;
/* A given template. The tokenizer gives the special tokens; NULL: none. */
loam_status lm_chat_new(lm_str source, const lm_tokenizer *tokenizer, lm_chat **out,
                        loam_error *err) LM_MUST_USE;
void lm_chat_free(lm_chat *chat); /* NULL is fine */

/* For the log: "its own template", "the template of its family, chatml". */
const char *lm_chat_description(const lm_chat *chat);
/* The template itself. */
lm_str lm_chat_source(const lm_chat *chat);
/* Control token that ends a turn, as the template shows it; -1: none is known. */
int32_t lm_chat_end(const lm_chat *chat);
/* Text at which an answer is over; NULL: none. */
const char *lm_chat_stop(const lm_chat *chat);
/* Whether the template tells the role of developers from that of systems. */
bool lm_chat_knows_developers(const lm_chat *chat);

typedef struct lm_chat_talk {
    const json_t *messages;    /* array of objects */
    const json_t *tools;       /* array; NULL: none */
    const json_t *documents;   /* array; NULL: none */
    const json_t *variables;   /* object: more that the template may name; NULL: nothing */
    int64_t now_epoch_s;       /* what templates take for the present; 0: it is */
    bool no_generation_prompt; /* do not ask for an answer at the end */
} lm_chat_talk;

/* Appends the prompt's text. LOAM_INVALID carries what the template has to say about the conversation. */
loam_status lm_chat_render(const lm_chat *chat, const lm_chat_talk *talk, lm_buf *out,
                           loam_error *err) LM_MUST_USE;

/* Appends the prompt's ids. `max_bytes` bounds the text that is tokenized (LOAM_LIMIT); 0: only the tokenizer's own bound. */
loam_status lm_chat_encode(const lm_chat *chat, const lm_chat_talk *talk, size_t max_bytes,
                           lm_vec_i32 *ids, loam_error *err) LM_MUST_USE;

#endif
